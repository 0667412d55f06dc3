//! One field of one line changed, and every other byte of the file left as it is.

use super::{CrypttabError, parse};
use std::ops::Range;

/// What is changed of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit<'a> {
    /// An option is there, in front of a comment if there is one.
    Option(&'a str),
    /// It is not.
    NoOption(&'a str),
    /// The third field is this.
    Key(&'a str),
}

/// The file with that line changed; `None` if it is so already, or no line that can be read has this name. An option is compared as it is
/// written.
///
/// # Errors
/// The file is none, as for [`parse`].
pub fn edit(text: &[u8], name: &str, edit: Edit<'_>) -> Result<Option<Vec<u8>>, CrypttabError> {
    let table = parse(text)?;
    let Some(entry) = table.entries.iter().find(|entry| entry.name == name) else { return Ok(None) };
    let line = text.split_inclusive(|byte| *byte == b'\n').nth(entry.line - 1).unwrap_or_default();
    let before: usize = text.split_inclusive(|byte| *byte == b'\n').take(entry.line - 1).map(<[u8]>::len).sum();
    let ends_at = line.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r')).map_or(0, |last| last + 1);
    let Some(changed) = changed(line.get(..ends_at).unwrap_or_default(), edit) else { return Ok(None) };
    let behind = text.get(before + ends_at..).unwrap_or_default();
    Ok(Some([text.get(..before).unwrap_or_default(), &changed, behind].concat()))
}

fn changed(line: &[u8], edit: Edit<'_>) -> Option<Vec<u8>> {
    let fields = fields(line);
    let field = |number: usize| fields.get(number).and_then(|range| line.get(range.clone()));
    let put = |number: usize, text: &[u8]| match fields.get(number) {
        Some(range) => {
            let (front, rest) =
                (line.get(..range.start).unwrap_or_default(), line.get(range.end..).unwrap_or_default());
            [front, text, rest].concat()
        }
        // The fields between are what they mean when they are missing.
        None if fields.len() < number => [line.trim_ascii_end(), b" none ", text].concat(),
        None => [line.trim_ascii_end(), b" ", text].concat(),
    };
    let options = field(3).unwrap_or_default();
    let has = |option: &str| options.split(|byte| *byte == b',').any(|word| word == option.as_bytes());
    match edit {
        Edit::Option(option) if has(option) => None,
        Edit::Option(option) if matches!(options, b"" | b"-" | b"none") => Some(put(3, option.as_bytes())),
        Edit::Option(option) => Some(put(3, &[options, b",", option.as_bytes()].concat())),
        Edit::NoOption(option) if !has(option) => None,
        Edit::NoOption(option) => {
            let words = options.split(|byte| *byte == b',').filter(|word| *word != option.as_bytes());
            let left = words.collect::<Vec<_>>().join(&b',');
            Some(put(3, if left.is_empty() { b"none" } else { &left }))
        }
        Edit::Key(key) if field(2) == Some(key.as_bytes()) => None,
        Edit::Key(key) => Some(put(2, key.as_bytes())),
    }
}

/// Where the fields are. A comment behind them, where a fifth would be, is none; nor is one that stands sooner, which parses as a field and is
/// the line's own fault.
fn fields(line: &[u8]) -> Vec<Range<usize>> {
    let mut fields = Vec::new();
    let mut at = 0;
    for word in line.split(|byte| matches!(byte, b' ' | b'\t')) {
        if !word.is_empty() {
            fields.push(at..at + word.len());
        }
        at += word.len() + 1;
    }
    fields.truncate(4);
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "# the disks\r\nroot UUID=1 none luks,discard # of the system\n\ndata\t/dev/sdb1\n  swap /dev/sdc none -\r\nlast LABEL=x";

    fn check(name: &str, what: Edit<'_>, from: &str, to: &str) {
        let found = edit(TABLE.as_bytes(), name, what).unwrap().unwrap();
        assert_eq!(String::from_utf8(found.clone()).unwrap(), TABLE.replace(from, to), "{what:?}");
        assert_eq!(edit(&found, name, what).unwrap(), None, "it is so already");
    }

    #[test]
    fn one_field_is_changed_and_no_byte_else() {
        check("root", Edit::Option("initramfs"), "luks,discard #", "luks,discard,initramfs #");
        check("data", Edit::Option("x-initrd.attach"), "data\t/dev/sdb1", "data\t/dev/sdb1 none x-initrd.attach");
        check("swap", Edit::Option("initramfs"), "none -\r\n", "none initramfs\r\n");
        check("last", Edit::Option("initramfs"), "LABEL=x", "LABEL=x none initramfs");
        check("root", Edit::NoOption("discard"), "luks,discard #", "luks #");
        check("root", Edit::Key("/run/cotter/key"), "none luks", "/run/cotter/key luks");
        check("data", Edit::Key("/run/cotter/key"), "/dev/sdb1", "/dev/sdb1 /run/cotter/key");
    }

    #[test]
    fn what_was_added_is_taken_back() {
        for (name, option) in [("root", "initramfs"), ("data", "initramfs"), ("last", "initramfs")] {
            let with = edit(TABLE.as_bytes(), name, Edit::Option(option)).unwrap().unwrap();
            let without = edit(&with, name, Edit::NoOption(option)).unwrap().unwrap();
            let table = |text: &[u8]| parse(text).unwrap().entries;
            let (before, after) = (table(TABLE.as_bytes()), table(&without));
            assert_eq!(
                after.iter().map(|entry| &entry.settings).collect::<Vec<_>>(),
                before.iter().map(|entry| &entry.settings).collect::<Vec<_>>()
            );
        }
        assert_eq!(edit(TABLE.as_bytes(), "none", Edit::Option("x")).unwrap(), None);
        assert_eq!(edit(TABLE.as_bytes(), "root", Edit::NoOption("disc")).unwrap(), None);
    }
}
