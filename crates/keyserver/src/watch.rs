//! Has the key directory changed since it was last asked?
//!
//! Asked before every request, so it must be cheap; and a request that begins after a rename has returned must see it, so
//! it must miss nothing. The kernel queues inotify's events before `rename` returns, so one `read` that finds nothing
//! proves that nothing happened *in* the directory. That the path still leads to that directory (and not to one that was
//! put in its place, or to where a symbolic link now points) takes one `stat`.
//!
//! Where inotify is missing or does not see everything (network file systems tell nothing of what other machines do),
//! the entries are compared instead: a `stat` per key file and request.
//!
//! Left out on purpose: a file that is a symbolic link to elsewhere and changes *there*. Replacing the link is seen.

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::fs::{Stat, stat, statfs};
use rustix::io::Errno;
use std::ffi::OsString;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// A directory under observation.
pub(crate) struct Watch {
    path: PathBuf,
    place: Place,
    means: Means,
}

/// How changes are noticed.
enum Means {
    Events(OwnedFd),
    Comparison(Vec<Entry>),
}

/// What a path led to.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Place {
    device: u64,
    inode: u64,
}

/// One directory entry, as far as a change of its contents shows in it.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    name: OsString,
    device: u64,
    inode: u64,
    size: i64,
    modified: (i64, u64),
    changed: (i64, u64),
}

/// Anything that may change what reading the directory gives.
const INTERESTING: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::MODIFY)
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::ONLYDIR);

/// Room for several events; the longest single one is 16 bytes and a name of 256 (inotify(7)).
const EVENTS_AT_ONCE: usize = 4096;

/// How often a watch is set up again when the directory is replaced meanwhile.
const TRIES: u32 = 8;

impl Watch {
    /// Starts watching what `path` leads to now, with events where they can be trusted.
    pub(crate) fn start(path: &Path) -> io::Result<Watch> {
        if !told_of_everything(path)? {
            return Watch::comparing(path);
        }
        // Out of inotify instances or watches (both are limited per user), or a kernel without them.
        Watch::with_events(path).or_else(|_| Watch::comparing(path))
    }

    fn with_events(path: &Path) -> io::Result<Watch> {
        let events = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        for _ in 0..TRIES {
            let place = Place::of(path)?;
            inotify::add_watch(&events, path, INTERESTING)?;
            // Otherwise the watch may be on another directory than the one remembered.
            if Place::of(path)? == place {
                return Ok(Watch { path: path.to_owned(), place, means: Means::Events(events) });
            }
        }
        Err(io::Error::other("the directory is replaced faster than it can be watched"))
    }

    /// A watch that compares entries, whatever inotify could do.
    fn comparing(path: &Path) -> io::Result<Watch> {
        let place = Place::of(path)?;
        Ok(Watch { path: path.to_owned(), place, means: Means::Comparison(entries(path)?) })
    }

    /// Whether anything happened since the start, or since this was last asked. May say yes too often, never no too often.
    ///
    /// An error means that there is no directory there now; asking again later is right.
    pub(crate) fn changed(&mut self) -> io::Result<bool> {
        if Place::of(&self.path)? != self.place {
            *self = Watch::start(&self.path)?;
            return Ok(true);
        }
        match &mut self.means {
            Means::Events(events) => match drain(events)? {
                Drained::Nothing => Ok(false),
                Drained::Something => Ok(true),
                Drained::WatchGone => {
                    *self = Watch::start(&self.path)?;
                    Ok(true)
                }
            },
            Means::Comparison(before) => {
                let now = entries(&self.path)?;
                let changed = *before != now;
                *before = now;
                Ok(changed)
            }
        }
    }
}

enum Drained {
    Nothing,
    Something,
    /// The directory was removed. Its inode number, and so its [`Place`], may already belong to a new one.
    WatchGone,
}

/// Takes all events that are waiting.
fn drain(events: &OwnedFd) -> io::Result<Drained> {
    let mut room = [MaybeUninit::uninit(); EVENTS_AT_ONCE];
    let mut reader = inotify::Reader::new(events, &mut room);
    let mut seen = Drained::Nothing;
    loop {
        match reader.next() {
            Ok(event) if event.events().contains(ReadFlags::IGNORED) => seen = Drained::WatchGone,
            Ok(_) if matches!(seen, Drained::Nothing) => seen = Drained::Something,
            Ok(_) | Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Ok(seen),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Whether inotify sees all changes on the file system of `path`: only where this kernel alone makes them.
///
/// A list of the ones known to be local; anything else is compared. Numbers from `linux/magic.h` and, for ZFS, f2fs and
/// bcachefs, from their own headers.
fn told_of_everything(path: &Path) -> io::Result<bool> {
    const LOCAL: [u64; 10] = [
        0xEF53,      // ext2, ext3, ext4
        0x5846_5342, // XFS
        0x9123_683E, // btrfs
        0x0102_1994, // tmpfs
        0x8584_58F6, // ramfs
        0x794C_7630, // overlayfs
        0xF2F5_2010, // f2fs
        0x2FC1_2FC1, // ZFS
        0xCA45_1A4E, // bcachefs
        0x4D44,      // FAT
    ];
    let kind = i128::from(statfs(path)?.f_type); // signed or not, by architecture
    Ok(LOCAL.iter().any(|local| i128::from(*local) == kind))
}

impl Place {
    fn of(path: &Path) -> io::Result<Place> {
        let found = stat(path)?;
        Ok(Place { device: found.st_dev, inode: found.st_ino })
    }
}

/// All entries in the order of their names. One that vanishes between being listed and looked at is left out.
fn entries(path: &Path) -> io::Result<Vec<Entry>> {
    let mut found = Vec::new();
    for listed in std::fs::read_dir(path)? {
        let listed = listed?;
        match stat(listed.path()) {
            Ok(seen) => found.push(Entry::new(listed.file_name(), &seen)),
            Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
    }
    found.sort();
    Ok(found)
}

impl Entry {
    fn new(name: OsString, seen: &Stat) -> Entry {
        Entry {
            name,
            device: seen.st_dev,
            inode: seen.st_ino,
            size: seen.st_size,
            modified: (seen.st_mtime, seen.st_mtime_nsec),
            changed: (seen.st_ctime, seen.st_ctime_nsec),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    /// Whatever is done to the directory, the next question says yes, and the one after it no.
    fn check_seen_once(watch: &mut Watch, what: &str, change: impl FnOnce()) {
        assert!(!watch.changed().unwrap(), "{what}: quiet before");
        change();
        assert!(watch.changed().unwrap(), "{what}: not seen");
        assert!(!watch.changed().unwrap(), "{what}: seen twice");
    }

    fn check_all_changes(start: fn(&Path) -> io::Result<Watch>) {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("keys");
        fs::create_dir(&path).unwrap();
        let mut watch = start(&path).unwrap();
        check_seen_once(&mut watch, "create", || fs::write(path.join("a.jwk"), "1").unwrap());
        check_seen_once(&mut watch, "rewrite", || fs::write(path.join("a.jwk"), "22").unwrap());
        check_seen_once(&mut watch, "rename inside", || fs::rename(path.join("a.jwk"), path.join(".a.jwk")).unwrap());
        check_seen_once(&mut watch, "rename out", || fs::rename(path.join(".a.jwk"), room.path().join("a")).unwrap());
        check_seen_once(&mut watch, "rename in", || fs::rename(room.path().join("a"), path.join("a.jwk")).unwrap());
        check_seen_once(&mut watch, "delete", || fs::remove_file(path.join("a.jwk")).unwrap());
        check_seen_once(&mut watch, "replace the directory", || {
            fs::create_dir(room.path().join("next")).unwrap();
            fs::rename(&path, room.path().join("last")).unwrap();
            fs::rename(room.path().join("next"), &path).unwrap();
        });
        check_seen_once(&mut watch, "create in the new one", || fs::write(path.join("b.jwk"), "1").unwrap());
    }

    #[test]
    fn events_see_every_change() {
        check_all_changes(Watch::with_events);
    }

    #[test]
    fn comparison_sees_every_change() {
        check_all_changes(Watch::comparing);
    }

    #[test]
    fn a_symbolic_link_that_points_elsewhere_is_seen() {
        let room = tempfile::tempdir().unwrap();
        let (one, two, link) = (room.path().join("1"), room.path().join("2"), room.path().join("keys"));
        fs::create_dir(&one).unwrap();
        fs::create_dir(&two).unwrap();
        symlink(&one, &link).unwrap();
        let mut watch = Watch::start(&link).unwrap();
        check_seen_once(&mut watch, "link replaced", || {
            symlink(&two, room.path().join("new")).unwrap();
            fs::rename(room.path().join("new"), &link).unwrap();
        });
    }

    #[test]
    fn a_directory_that_is_gone_is_an_error_until_it_is_back() {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("keys");
        fs::create_dir(&path).unwrap();
        let mut watch = Watch::start(&path).unwrap();
        fs::remove_dir(&path).unwrap();
        assert!(watch.changed().is_err());
        fs::create_dir(&path).unwrap(); // often with the same inode number
        assert!(watch.changed().unwrap());
        check_seen_once(&mut watch, "create", || fs::write(path.join("a.jwk"), "1").unwrap());
    }
}
