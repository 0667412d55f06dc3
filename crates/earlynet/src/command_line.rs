//! The kernel's command line, cut into words.
//!
//! Whoever reads it cuts it in a way of its own, and so each reader here says which way it means:
//!
//! | who | quotes | white space |
//! | --- | --- | --- |
//! | the kernel | `"` protects white space; those around a word or its value are dropped | ASCII's, and each byte `a0`, within UTF-8 too |
//! | dracut | as the kernel | ASCII's |
//! | systemd | `"` and `'` protect white space, and are dropped wherever they stand | ASCII's |
//! | initramfs-tools | none: the shell splits at white space, quotes stay in the words | blank, tab, new line |
//!
//! What stands behind ` -- ` is for init, and all of them read it nonetheless.

use std::error::Error;
use std::fmt;

/// More than any kernel hands over: 2048 bytes on x86, 4096 elsewhere, and what dracut adds from files.
pub const LONGEST_COMMAND_LINE: usize = 65536;

/// The words of a command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandLine {
    words: Vec<Word>,
}

/// One word: `KEY` or `KEY=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// What stands before the first `=`.
    pub key: String,
    /// What stands after it; `None` if there is no `=`.
    pub value: Option<String>,
}

/// A command line longer than [`LONGEST_COMMAND_LINE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong {
    /// Its length.
    pub bytes: usize,
}

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the kernel command line has {} bytes, and {LONGEST_COMMAND_LINE} at most are read", self.bytes)
    }
}

impl Error for TooLong {}

impl Word {
    /// The word as it would be written, without quotes.
    pub fn text(&self) -> String {
        match &self.value {
            Some(value) => format!("{}={value}", self.key),
            None => self.key.clone(),
        }
    }
}

impl CommandLine {
    /// Cuts it as the kernel does (`next_arg` in `lib/cmdline.c`). What is not UTF-8 becomes U+FFFD.
    pub fn parse(bytes: &[u8]) -> Result<CommandLine, TooLong> {
        cut(bytes, b"\"", KERNEL_SPACE)
            .map(|words| CommandLine { words: words.iter().map(|text| Word::of(text)).collect() })
    }

    /// All words in their order.
    pub fn words(&self) -> &[Word] {
        &self.words
    }

    /// The values of every `KEY=VALUE`, in their order; of a bare `KEY` the value is empty.
    pub fn values<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.words.iter().filter(move |word| word.key == key).map(|word| word.value.as_deref().unwrap_or_default())
    }

    /// The value of the last `KEY=VALUE`, the one that counts where there can be only one.
    pub fn last<'a>(&'a self, key: &'a str) -> Option<&'a str> {
        self.values(key).last()
    }

    /// A switch as dracut reads it: `KEY`, `KEY=1` and anything but `0`, `no`, `off` is on. `None` if it is not there.
    pub fn switch(&self, key: &str) -> Option<bool> {
        self.last(key).map(|value| !matches!(value, "0" | "no" | "off"))
    }
}

impl Word {
    fn of(text: &str) -> Word {
        // A word cannot begin with its `=`: the kernel takes that for a key without a value.
        match text.char_indices().skip(1).find(|(_, character)| *character == '=') {
            Some((at, _)) => {
                let (key, value) = text.split_at(at);
                Word {
                    key: key.to_owned(),
                    value: value.strip_prefix('=').map(|value| unquoted(value, '"').to_owned()),
                }
            }
            None => Word { key: text.to_owned(), value: None },
        }
    }
}

/// A word for a message: no more than 100 characters of it.
pub(crate) fn shortened(word: &str) -> String {
    match word.char_indices().nth(100) {
        Some((end, _)) => format!("{}\u{2026}", word.get(..end).unwrap_or_default()),
        None => word.to_owned(),
    }
}

/// What the kernel's `isspace` takes for white space, and the byte zero, with which a copy of its buffer may end.
const KERNEL_SPACE: &[u8] = b" \t\n\x0b\x0c\r\0\xa0";
const SPACE: &[u8] = b" \t\n\x0b\x0c\r\0";

/// Every word that any reader of the table above would see, duplicates included: what is looked for must not hide behind a quote.
pub(crate) fn every_word(bytes: &[u8]) -> Result<Vec<Word>, TooLong> {
    let mut words = Vec::new();
    let readers: [(&[u8], &[u8]); 5] =
        [(b"\"", KERNEL_SPACE), (b"\"", SPACE), (b"\"'", SPACE), (b"", SPACE), (b"", KERNEL_SPACE)];
    for (quotes, space) in readers {
        for text in cut(bytes, quotes, space)? {
            // systemd drops quotes in the middle of a word too.
            let bare = text.replace(['"', '\''], "");
            words.extend(Some(&bare).filter(|bare| **bare != text).map(|bare| Word::of(bare)));
            words.push(Word::of(&text));
        }
    }
    Ok(words)
}

/// Splits at white space outside of `quotes`, and drops a quote at a word's beginning with the one at its end.
fn cut(bytes: &[u8], quotes: &[u8], space: &[u8]) -> Result<Vec<String>, TooLong> {
    if bytes.len() > LONGEST_COMMAND_LINE {
        return Err(TooLong { bytes: bytes.len() });
    }
    let mut open = None;
    let separates = |byte: &u8| {
        if space.contains(byte) && open.is_none() {
            return true;
        }
        if quotes.contains(byte) {
            open = match open {
                None => Some(*byte),
                Some(quote) if quote == *byte => None,
                other => other,
            };
        }
        false
    };
    let words = bytes.split(separates).map(|word| {
        let text = String::from_utf8_lossy(word).into_owned();
        quotes.iter().fold(text, |text, quote| unquoted(&text, char::from(*quote)).to_owned())
    });
    Ok(words.filter(|word| !word.is_empty()).collect())
}

/// Without the quote at the beginning and, if there is one there, at the end.
fn unquoted(text: &str, quote: char) -> &str {
    match text.strip_prefix(quote) {
        Some(rest) => rest.strip_suffix(quote).unwrap_or(rest),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: &[&str]) {
        let words = CommandLine::parse(line.as_bytes()).unwrap();
        let texts: Vec<String> = words.words().iter().map(Word::text).collect();
        assert_eq!(texts, expected, "{line}");
    }

    #[test]
    fn words_are_cut_as_the_kernel_cuts_them() {
        check("", &[]);
        check("root=/dev/sda1 ro  quiet\n", &["root=/dev/sda1", "ro", "quiet"]);
        check("a=\"b c\" d", &["a=b c", "d"]);
        check("\"a=b c\" d", &["a=b c", "d"]);
        check("\"a b\"=c", &["a b\"=c"]);
        check("a=b\" \"c", &["a=b\" \"c"]);
        check("a=\"b", &["a=b"]);
        check("=b a==b", &["=b", "a==b"]);
        check("a='b c'", &["a='b", "c'"]);
        check("a -- b", &["a", "--", "b"]);
        check("a\0", &["a"]);
        // A letter whose second byte is a0.
        check("a\u{e0}b c\u{a0}d", &["a\u{fffd}", "b", "c\u{fffd}", "d"]);
    }

    #[test]
    fn values_and_switches() {
        let line = CommandLine::parse(b"ip=dhcp rd.neednet ip=off rd.peerdns=0 rd.neednet=1 x=no").unwrap();
        assert_eq!(line.values("ip").collect::<Vec<_>>(), ["dhcp", "off"]);
        assert_eq!(line.last("ip"), Some("off"));
        assert_eq!(line.switch("rd.neednet"), Some(true));
        assert_eq!((line.switch("rd.peerdns"), line.switch("x"), line.switch("y")), (Some(false), Some(false), None));
    }

    #[test]
    fn a_line_without_end_is_refused() {
        assert_eq!(CommandLine::parse(&vec![b'a'; LONGEST_COMMAND_LINE]).unwrap().words().len(), 1);
        assert_eq!(CommandLine::parse(&vec![b'a'; LONGEST_COMMAND_LINE + 1]), Err(TooLong { bytes: 65537 }));
    }

    #[test]
    fn nothing_hides_behind_a_quote() {
        for line in ["a \"b c=d\"", "a=\"b c=d e\"", "'c=d' \"", "'c=d'"] {
            let words = every_word(line.as_bytes()).unwrap();
            assert!(words.iter().any(|word| word.text().contains("c=d")), "{line}");
        }
        assert!(every_word(b"x=\"y init=/bin/sh z\"").unwrap().iter().any(|word| word.text() == "init=/bin/sh"));
        assert!(every_word(b"sys\"tem'd.un'i\"t=x").unwrap().iter().any(|word| word.key == "systemd.unit"));
        assert!(every_word(b"x\xa0init=/bin/sh").unwrap().iter().any(|word| word.text() == "init=/bin/sh"));
        assert!(every_word(b"'init=/bin/sh'").unwrap().iter().any(|word| word.text() == "init=/bin/sh"));
    }
}
