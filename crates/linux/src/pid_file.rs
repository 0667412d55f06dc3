//! The one process of a kind: it holds a lock on a file for as long as it lives, and the file says its number.
//!
//! The lock tells whether it lives: numbers of processes come again, and a process that was killed leaves its file behind.

use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// How often the end of another process is looked for.
const GLANCE: Duration = Duration::from_millis(5);
/// Longer is no number of a process.
const LONGEST: u64 = 32;

/// The file of this process; it goes with it.
#[derive(Debug)]
#[must_use = "the file is there until this is dropped"]
pub struct PidFile {
    path: PathBuf,
    _locked: File,
}

/// What a process that was asked to end has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// There was none.
    Absent,
    /// It has ended by itself.
    Itself,
    /// It had not when its time was over, and was killed.
    Killed,
}

impl PidFile {
    /// Makes the file, with its directory; `None` if another process has it.
    ///
    /// # Errors
    /// Those of the system.
    pub fn claim(path: &Path) -> io::Result<Option<PidFile>> {
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        loop {
            let mut file =
                OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o644).open(path)?;
            match file.try_lock() {
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(source)) => return Err(source),
                Ok(()) => {}
            }
            // The one before has taken its file with it, between the two calls.
            if !is_at(&file, path)? {
                continue;
            }
            file.set_len(0)?;
            file.write_all(format!("{}\n", std::process::id()).as_bytes())?;
            return Ok(Some(PidFile { path: path.to_owned(), _locked: file }));
        }
    }

    /// Asks the process that has the file to end, and kills it after `limit`; returns when it is gone.
    ///
    /// # Errors
    /// Those of the system; [`InvalidData`](ErrorKind::InvalidData) if the file of a process that lives says no number.
    pub fn end(path: &Path, limit: Duration) -> io::Result<Ended> {
        let mut file = match File::open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Ended::Absent),
            file => file?,
        };
        if is_free(&file)? {
            return Ok(Ended::Absent);
        }
        let pid = number(&mut file)?;
        let ended = |within| -> io::Result<bool> {
            let start = Instant::now();
            while !is_free(&file)? {
                if start.elapsed() > within {
                    return Ok(false);
                }
                thread::sleep(GLANCE);
            }
            Ok(true)
        };
        kill_process(pid, Signal::TERM)?;
        if ended(limit)? {
            return Ok(Ended::Itself);
        }
        kill_process(pid, Signal::KILL)?;
        ended(limit)?;
        Ok(Ended::Killed)
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // Who reads the number of a process that is gone finds the lock free.
        let _ = fs::remove_file(&self.path);
    }
}

fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let held = file.metadata()?;
    Ok(fs::metadata(path).is_ok_and(|there| (there.dev(), there.ino()) == (held.dev(), held.ino())))
}

fn is_free(file: &File) -> io::Result<bool> {
    match file.try_lock_shared() {
        Ok(()) => file.unlock().map(|()| true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(source)) => Err(source),
    }
}

fn number(file: &mut File) -> io::Result<Pid> {
    let mut text = String::new();
    file.take(LONGEST).read_to_string(&mut text)?;
    let pid = text.trim().parse().ok().filter(|number: &i32| *number > 1).and_then(Pid::from_raw);
    pid.ok_or_else(|| io::Error::new(ErrorKind::InvalidData, "it says no number of a process"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn one_process_has_the_file_and_it_goes_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/agent.pid");
        assert_eq!(PidFile::end(&path, Duration::ZERO).unwrap(), Ended::Absent);
        let held = PidFile::claim(&path).unwrap().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
        assert!(PidFile::claim(&path).unwrap().is_none());
        drop(held);
        assert!(!path.exists());
        // What was left behind by one that was killed is nobody's.
        fs::write(&path, "1\n").unwrap();
        assert_eq!(PidFile::end(&path, Duration::ZERO).unwrap(), Ended::Absent);
        assert!(PidFile::claim(&path).unwrap().is_some());
    }

    #[test]
    fn a_process_is_asked_to_end_and_killed_if_it_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pid");
        for (ignores, expected) in [("", Ended::Itself), ("trap '' TERM; ", Ended::Killed)] {
            fs::write(&path, "").unwrap();
            let script = format!("{ignores}echo $$ > {0}; echo; while :; do sleep 0.01; done", path.display());
            let file = File::open(&path).unwrap();
            file.try_lock().unwrap();
            let stdout = std::process::Stdio::piped();
            let mut child = std::process::Command::new("sh").args(["-c", &script]).stdout(stdout).spawn().unwrap();
            let mut ready = [0; 1];
            child.stdout.take().unwrap().read_exact(&mut ready).unwrap();
            let ender = thread::spawn({
                let path = path.clone();
                move || PidFile::end(&path, Duration::from_millis(300))
            });
            child.wait().unwrap();
            drop(file);
            assert_eq!(ender.join().unwrap().unwrap(), expected, "{ignores}");
        }
    }

    #[test]
    fn a_file_without_a_number_ends_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pid");
        for text in ["", "0", "1", "-7", "x", "99999999999999"] {
            fs::write(&path, text).unwrap();
            let file = File::open(&path).unwrap();
            file.try_lock().unwrap();
            assert_eq!(PidFile::end(&path, Duration::ZERO).unwrap_err().kind(), ErrorKind::InvalidData, "{text}");
        }
    }
}
