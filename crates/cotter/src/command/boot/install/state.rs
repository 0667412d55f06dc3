//! The state of one path: read, put there, compared. What is put back is the same to the last byte, with its owner and its mode.

use crate::command::boot::target::Target;
use crate::error::CommandError;
use crypto::Hash;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

/// Longest file that is kept.
const LONGEST: u64 = 1 << 20;

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing.
    Absent,
    /// A regular file.
    File(Kept),
    /// A symbolic link to there.
    Link(PathBuf),
}

/// A regular file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Who may do what with it.
    pub mode: u32,
    /// Its user and its group.
    pub owner: (u32, u32),
    /// What it says.
    pub content: Vec<u8>,
}

impl Kept {
    /// A file of root's.
    pub fn of_root(mode: u32, content: impl Into<Vec<u8>>) -> Kept {
        Kept { mode, owner: (0, 0), content: content.into() }
    }
}

impl State {
    /// Looks at the path.
    pub fn read(target: &Target, path: &str) -> Result<State, CommandError> {
        let place = target.at(path);
        State::of(&place).map_err(|source| CommandError::failed(format!("cannot read {}", target.shown(path)), source))
    }

    fn of(place: &Path) -> io::Result<State> {
        let about = match fs::symlink_metadata(place) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(State::Absent),
            about => about?,
        };
        if about.is_symlink() {
            return Ok(State::Link(fs::read_link(place)?));
        }
        let content = linux::read_regular_file(place, LONGEST)?;
        Ok(State::File(Kept { mode: about.mode() & 0o7777, owner: (about.uid(), about.gid()), content }))
    }

    /// SHA-256 of what a file says or where a link leads to, in hexadecimal digits.
    pub fn digest(&self) -> String {
        let content = match self {
            State::File(file) => file.content.as_slice(),
            State::Link(to) => to.as_os_str().as_encoded_bytes(),
            State::Absent => b"",
        };
        Hash::Sha256.digest(&[content]).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Makes it so, in one step for who reads meanwhile, and durable.
    pub fn put(&self, target: &Target, path: &str) -> Result<(), CommandError> {
        let place = target.at(path);
        self.put_at(&place).map_err(|source| {
            let error = CommandError::failed(format!("cannot write {}", target.shown(path)), source);
            error.hint("is there room, and is it mounted for writing? `df`")
        })
    }

    fn put_at(&self, place: &Path) -> io::Result<()> {
        let directory = place.parent().unwrap_or(Path::new("/"));
        let name = place.file_name().unwrap_or_default().to_string_lossy();
        let new = directory.join(format!(".{name}.cotter-new"));
        let removed = |path: &Path| match fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        // Of an attempt that was broken off.
        removed(&new)?;
        let made = match self {
            State::Absent => removed(place),
            State::Link(to) => std::os::unix::fs::symlink(to, &new).and_then(|()| fs::rename(&new, place)),
            State::File(file) => file.write(&new).and_then(|()| fs::rename(&new, place)),
        };
        made.inspect_err(|_| drop(removed(&new)))?;
        match File::open(directory) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            opened => opened?.sync_all(),
        }
    }
}

impl Kept {
    fn write(&self, new: &Path) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(new)?;
        file.write_all(&self.content)?;
        chown(new, Some(self.owner.0), Some(self.owner.1))?;
        file.set_permissions(Permissions::from_mode(self.mode))?;
        file.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_back_is_the_same() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("etc")).unwrap();
        let target = Target::new(Some(directory.path())).unwrap();
        let read = || State::read(&target, "/etc/file").unwrap();
        assert_eq!(read(), State::Absent);
        let file = State::File(Kept { owner: (7, 8), ..Kept::of_root(0o640, *b"before") });
        let states = [file, State::Link("elsewhere".into()), State::File(Kept::of_root(0o4755, *b"")), State::Absent];
        for state in states {
            state.put(&target, "/etc/file").unwrap();
            assert_eq!(read(), state);
            assert!(target.names("/etc").iter().all(|name| name == "file"), "{:?}", target.names("/etc"));
        }
        State::Absent.put(&target, "/none/file").unwrap();
        let error = State::Link("x".into()).put(&target, "/none/file").unwrap_err().to_string();
        assert!(error.contains("/none/file") && error.contains("try: "), "{error}");
    }
}
