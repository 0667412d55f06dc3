//! A directory of secret files: written with their final mode, whole or not at all.

use crypto::Secret;
use rustix::fs::{
    AtFlags, CWD, Dir, Mode, OFlags, RenameFlags, fchmod, fsync, mkdirat, openat, renameat_with, unlinkat,
};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;

/// Longest key file that is read.
const LONGEST_FILE: u64 = 64 << 10;
/// Most files that are read from one directory.
const MOST_FILES: usize = 65_536;

/// An open directory of key files. What it does is relative to the directory itself, not to its path.
#[derive(Debug)]
pub struct KeyDirectory {
    dir: OwnedFd,
}

impl KeyDirectory {
    /// Opens a directory that exists.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn open(path: &Path) -> io::Result<KeyDirectory> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(KeyDirectory { dir: openat(CWD, path, flags, Mode::empty())? })
    }

    /// Opens a directory, making it with mode 0700 if it does not exist; its parent must.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn create(path: &Path) -> io::Result<KeyDirectory> {
        match mkdirat(CWD, path, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => KeyDirectory::open(path),
            Err(error) => Err(error.into()),
        }
    }

    /// Name and contents of every file whose name ends in `.jwk`; other names are not even opened.
    ///
    /// # Errors
    /// Whatever the system says of any of them; files that are too many or too long.
    pub fn read(&self) -> io::Result<Vec<(String, Secret)>> {
        let mut files = Vec::new();
        for entry in Dir::read_from(&self.dir)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            if !name.ends_with(".jwk") {
                continue;
            }
            if files.len() == MOST_FILES {
                return Err(io::Error::other("too many key files"));
            }
            let contents = self.read_file(name).map_err(|e| io::Error::new(e.kind(), format!("{name}: {e}")))?;
            files.push((name.to_owned(), contents));
        }
        Ok(files)
    }

    /// Adds a file with mode 0440. It has this mode and its whole contents from the moment it has its name, and a file that
    /// has the name already stays.
    ///
    /// # Errors
    /// Whatever the system says; nothing is left behind then.
    pub fn add(&self, name: &str, contents: &[u8]) -> io::Result<()> {
        // A name that does not end in .jwk: a server that reads the directory meanwhile passes it over.
        let unfinished = format!(".{name}.new");
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let mut file = File::from(openat(&self.dir, &unfinished, flags, Mode::RUSR)?);
        // The umask counts when a file is made, not when its mode is set.
        let moded = fchmod(&file, Mode::RUSR | Mode::RGRP).map_err(io::Error::from);
        let written = moded.and_then(|()| file.write_all(contents)).and_then(|()| file.sync_all());
        let named = written.and_then(|()| self.rename(&unfinished, name));
        if named.is_err() {
            // The first error is the one to report.
            let _ = unlinkat(&self.dir, &unfinished, AtFlags::empty());
        }
        named
    }

    /// Gives a file another name, unless that is taken.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(renameat_with(&self.dir, from, &self.dir, to, RenameFlags::NOREPLACE)?)
    }

    /// Returns once all names are on stable storage.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn sync(&self) -> io::Result<()> {
        Ok(fsync(&self.dir)?)
    }

    fn read_file(&self, name: &str) -> io::Result<Secret> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let mut file = File::from(openat(&self.dir, name, flags, Mode::empty())?);
        let length = file.metadata()?.len();
        if length > LONGEST_FILE {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "longer than a key file"));
        }
        let length = usize::try_from(length).unwrap_or(0);
        Secret::try_filled_by(length, |into| file.read_exact(into))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_is_written_once_with_its_final_mode() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("keys");
        let dir = KeyDirectory::create(&path).unwrap();
        dir.add("a.jwk", b"{}").unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o700);
        assert_eq!(mode(&path.join("a.jwk")), 0o440);
        assert!(dir.add("a.jwk", b"other").is_err());
        let names: Vec<_> = std::fs::read_dir(&path).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["a.jwk"], "nothing unfinished stays");
        let found = dir.read().unwrap();
        assert!(found[0].0 == "a.jwk" && found[0].1.ct_eq(b"{}"));
    }

    #[test]
    fn only_keys_are_read_and_a_rename_never_replaces() {
        let path = tempfile::tempdir().unwrap();
        let dir = KeyDirectory::open(path.path()).unwrap();
        for name in ["a.jwk", ".b.jwk"] {
            dir.add(name, b"{}").unwrap();
        }
        std::fs::write(path.path().join("README"), b"no key").unwrap();
        let mut names: Vec<String> = dir.read().unwrap().into_iter().map(|(name, _)| name).collect();
        names.sort();
        assert_eq!(names, [".b.jwk", "a.jwk"]);
        assert!(dir.rename("a.jwk", ".b.jwk").is_err());
        dir.rename("a.jwk", ".a.jwk").unwrap();
        dir.sync().unwrap();
        std::fs::write(path.path().join("long.jwk"), vec![0; 70_000]).unwrap();
        assert!(dir.read().unwrap_err().to_string().starts_with("long.jwk: "));
    }

    #[test]
    fn the_directory_is_read_under_whatever_name_it_has() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("keys");
        let dir = KeyDirectory::create(&path).unwrap();
        dir.add("a.jwk", b"{}").unwrap();
        std::fs::rename(&path, parent.path().join("moved")).unwrap();
        KeyDirectory::create(&path).unwrap().add("another.jwk", b"{}").unwrap();
        for _twice in 0..2 {
            let names: Vec<String> = dir.read().unwrap().into_iter().map(|(name, _)| name).collect();
            assert_eq!(names, ["a.jwk"]);
        }
    }
}
