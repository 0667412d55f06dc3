//! What was changed, for who takes it back: `/var/lib/cotter/boot.json`.
//!
//! ```json
//! {"version":1,"files":[{"path":"/etc/crypttab","before":{"mode":384,"user":0,"group":0,"content":"…base64url…"},"after":"…SHA-256…"}],
//!  "directories":["/etc/cotter"],"guards":["/srv/data"],"crypttab":[{"name":"root","option":"initramfs"}]}
//! ```
//!
//! It is written before anything is changed, so that what a power failure has left half done is taken back, too. `before` is absent where
//! nothing was there, and `{"link":"…"}` for a link.

use super::state::{Kept, State};
use crate::command::boot::target::Target;
use crate::error::CommandError;
use json::{Field, FieldError, Limits, Object, Value};

/// Where it is.
pub const PATH: &str = "/var/lib/cotter/boot.json";
/// What it lies in.
pub const DIRECTORY: &str = "/var/lib/cotter";
const VERSION: u64 = 1;

/// What was changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Journal {
    /// Files, in the order in which they were written.
    pub files: Vec<Changed>,
    /// Directories that were made.
    pub directories: Vec<String>,
    /// Directories that were made immutable.
    pub guards: Vec<String>,
    /// Options of crypttab that were added, by the names of their lines.
    pub options: Vec<(String, String)>,
}

/// A file that was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Its path in the system.
    pub path: String,
    /// What was there.
    pub before: State,
    /// SHA-256 of what was written, or of where a link leads to, in hexadecimal digits.
    pub after: String,
}

impl Journal {
    /// Reads it; a system without one has had nothing changed.
    pub fn read(target: &Target) -> Result<Journal, CommandError> {
        let Some(text) = target.read(PATH)? else { return Ok(Journal::default()) };
        let refused = |why: String| {
            let error = CommandError::plain(format!("{} cannot be followed: {why}", target.shown(PATH)));
            error
                .hint("it says what was changed; mend it, or remove the files by hand: `cotter boot status` names them")
        };
        let value = json::parse(&text, &Limits::POLICY).map_err(|error| refused(error.to_string()))?;
        let journal = Journal::from_field(&value.field("journal")).map_err(|error| refused(error.to_string()))?;
        journal.ok_or_else(|| refused("it is of another version of this program".into()))
    }

    /// Whether nothing was changed.
    pub fn is_empty(&self) -> bool {
        *self == Journal::default()
    }

    /// Notes a file; what was there before the first change counts.
    pub fn note(&mut self, path: &str, before: &State, after: &State) {
        let after = after.digest();
        match self.files.iter_mut().find(|file| file.path == path) {
            Some(file) => file.after = after,
            None => self.files.push(Changed { path: path.to_owned(), before: before.clone(), after }),
        }
    }

    /// As it is written.
    pub fn to_text(&self) -> String {
        let texts = |list: &[String]| list.iter().map(|text| Value::from(text.as_str())).collect::<Vec<_>>();
        let files: Vec<Value> = self.files.iter().map(|file| file.to_object().into()).collect();
        let option = |(name, option): &(String, String)| {
            Value::from(Object::new().with("name", name.as_str()).with("option", option.as_str()))
        };
        let object = Object::new()
            .with("version", VERSION)
            .with("files", files)
            .with("directories", texts(&self.directories))
            .with("guards", texts(&self.guards))
            .with("crypttab", self.options.iter().map(option).collect::<Vec<_>>());
        format!("{}\n", Value::from(object).to_compact().as_str())
    }

    fn from_field(field: &Field<'_>) -> Result<Option<Journal>, FieldError> {
        if field.member("version")?.integer()? != VERSION {
            return Ok(None);
        }
        let texts = |name: &str| -> Result<Vec<String>, FieldError> {
            field.member(name)?.items()?.map(|item| Ok(item.text()?.to_owned())).collect()
        };
        let option =
            |item: Field<'_>| Ok((item.member("name")?.text()?.to_owned(), item.member("option")?.text()?.to_owned()));
        Ok(Some(Journal {
            files: field.member("files")?.items()?.map(|item| Changed::from_field(&item)).collect::<Result<_, _>>()?,
            directories: texts("directories")?,
            guards: texts("guards")?,
            options: field.member("crypttab")?.items()?.map(option).collect::<Result<_, FieldError>>()?,
        }))
    }
}

impl Changed {
    fn to_object(&self) -> Object {
        let object = Object::new().with("path", self.path.as_str());
        let object = match &self.before {
            State::Absent => object,
            State::Link(to) => object.with("before", Object::new().with("link", to.to_string_lossy().as_ref())),
            State::File(Kept { mode, owner, content }) => {
                let before = Object::new().with("mode", u64::from(*mode)).with("user", u64::from(owner.0));
                let before = before.with("group", u64::from(owner.1)).with("content", jose::b64::encode(content));
                object.with("before", before)
            }
        };
        object.with("after", self.after.as_str())
    }

    fn from_field(field: &Field<'_>) -> Result<Changed, FieldError> {
        let before = match field.optional("before")? {
            None => State::Absent,
            Some(before) => match before.optional("link")? {
                Some(link) => State::Link(link.text()?.into()),
                None => State::File(kept(&before)?),
            },
        };
        let text = |name: &str| Ok::<_, FieldError>(field.member(name)?.text()?.to_owned());
        Ok(Changed { path: text("path")?, before, after: text("after")? })
    }
}

fn kept(field: &Field<'_>) -> Result<Kept, FieldError> {
    let number = |name: &str| {
        let member = field.member(name)?;
        u32::try_from(member.integer()?).map_err(|_| member.wrong_value("a number of 32 bits"))
    };
    let content = field.member("content")?;
    let content = jose::b64::decode(content.text()?).map_err(|_| content.wrong_value("base64url"))?;
    Ok(Kept { mode: number("mode")?, owner: (number("user")?, number("group")?), content })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_journal_is_read_as_it_was_written() {
        let directory = tempfile::tempdir().unwrap();
        for made in ["etc", "var/lib/cotter"] {
            fs::create_dir_all(directory.path().join(made)).unwrap();
        }
        let target = Target::new(Some(directory.path())).unwrap();
        assert!(Journal::read(&target).unwrap().is_empty());
        let mut journal =
            Journal { directories: vec!["/etc/cotter".into()], guards: vec!["/srv".into()], ..Journal::default() };
        journal.options.push(("root".into(), "initramfs".into()));
        let file = |content: &[u8]| State::File(Kept::of_root(0o644, content));
        let before = State::File(Kept { owner: (1, 2), ..Kept::of_root(0o600, *b"\xffbefore") });
        journal.note("/etc/crypttab", &before, &file(b"after"));
        journal.note("/etc/link", &State::Link("there".into()), &State::Link("here".into()));
        journal.note("/etc/new", &State::Absent, &file(b"after"));
        journal.note("/etc/crypttab", &State::Absent, &file(b"later"));
        assert_eq!((&journal.files[0].before, journal.files.len()), (&before, 3), "the first state counts");
        assert_eq!(journal.files[0].after, file(b"later").digest());
        let path = directory.path().join("var/lib/cotter/boot.json");
        fs::write(&path, journal.to_text()).unwrap();
        assert_eq!(Journal::read(&target).unwrap(), journal);
        for wrong in ["{}", "[", &journal.to_text().replace("\"version\":1", "\"version\":2")] {
            fs::write(&path, wrong).unwrap();
            let error = Journal::read(&target).unwrap_err().to_string();
            assert!(error.contains("boot.json cannot be followed") && error.contains("try: "), "{error}");
        }
    }
}
