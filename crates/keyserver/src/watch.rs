//! Has the key directory changed since it was last asked?
//!
//! Asked before every request, so it must be cheap; and a request that begins after a rename has returned must see it, so
//! it must miss nothing. The kernel queues inotify's events before `rename` returns, so one `read` that finds nothing
//! proves that nothing happened *in* the directory. That the path still leads to that directory (and not to one that was
//! put in its place, or to where a symbolic link now points) takes one `stat`.
//!
//! Where inotify is missing or does not see everything (network file systems tell nothing of what other machines do),
//! the key files are compared instead: a `stat` per key file and request, as fresh as the answers that the kernel keeps
//! (`actimeo` in nfs(5)). Two changes within one tick of a file system's clock leave the same times behind, so a
//! difference means that the files are to be read until that tick is over, and once after it. The clock asked is this
//! machine's own, from the moment the difference is seen: a file server's may be wrong.
//!
//! Left out on purpose: a key file that is a link, symbolic or hard, and changes under its *other* name. Replacing a
//! symbolic link is seen, wherever in the directory it stands: Kubernetes renames `..data`, through which the key files
//! lead, and touches no key file.

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::fs::{Stat, stat, statfs};
use rustix::io::Errno;
use std::ffi::{CStr, OsStr, OsString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A directory under observation.
pub(crate) struct Watch {
    path: PathBuf,
    place: Place,
    heeded: Heeded,
    means: Means,
}

/// Which names in the directory a change of matters for what the key files hold.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heeded {
    /// Those of key files: none of them is a symbolic link.
    KeyFiles,
    /// Every one: a key file may lead through it.
    Everything,
}

/// How changes are noticed.
enum Means {
    Events(OwnedFd),
    Comparison {
        before: Vec<Entry>,
        /// From then on no change can be hidden behind the times of `before`; `None` if the files have been read since.
        settles: Option<Instant>,
    },
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

/// The coarsest clock of a file system: FAT's, behind a file server.
const COARSEST_TICK: Duration = Duration::from_secs(2);

/// How often a watch is set up again when the directory is replaced meanwhile.
const TRIES: u32 = 8;

/// Whether a directory entry is a key file by its name (nbde-formats 1.2).
pub(crate) fn is_key_file(name: &OsStr) -> bool {
    name.as_encoded_bytes().ends_with(b".jwk")
}

impl Watch {
    /// Starts watching what `path` leads to now, with events where they can be trusted.
    pub(crate) fn start(path: &Path, now: Instant) -> io::Result<Watch> {
        if !told_of_everything(path)? {
            return Watch::comparing(path, now);
        }
        // Out of inotify instances or watches (both are limited per user), or a kernel without them.
        Watch::with_events(path).or_else(|_| Watch::comparing(path, now))
    }

    fn with_events(path: &Path) -> io::Result<Watch> {
        let events = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        for _ in 0..TRIES {
            let place = Place::of(path)?;
            inotify::add_watch(&events, path, INTERESTING)?;
            // Otherwise the watch may be on another directory than the one remembered.
            if Place::of(path)? == place {
                return Ok(Watch::over(path, place, Means::Events(events)));
            }
        }
        Err(io::Error::other("the directory is replaced faster than it can be watched"))
    }

    /// A watch that compares entries, whatever inotify could do.
    fn comparing(path: &Path, now: Instant) -> io::Result<Watch> {
        let place = Place::of(path)?;
        let means = Means::Comparison { before: entries(path)?, settles: Some(now + COARSEST_TICK) };
        Ok(Watch::over(path, place, means))
    }

    fn over(path: &Path, place: Place, means: Means) -> Watch {
        Watch { path: path.to_owned(), place, heeded: Heeded::Everything, means }
    }

    /// Says what the directory has been found to hold. From the start, and in a new directory, everything is heeded.
    pub(crate) fn heed(&mut self, names: Heeded) {
        self.heeded = names;
    }

    /// Whether the files must be read, which the caller does next: something happened since the start, or since this was
    /// last asked, or may have without a trace. May say yes too often.
    ///
    /// An error means that there is no directory there now; asking again later is right.
    pub(crate) fn changed(&mut self, now: Instant) -> io::Result<bool> {
        Ok(self.noticed(now)? || self.may_hide_a_change(now))
    }

    /// Whether something is seen to have happened since the start, or since this or [`Watch::changed`] was last asked.
    pub(crate) fn noticed(&mut self, now: Instant) -> io::Result<bool> {
        if Place::of(&self.path)? != self.place {
            *self = Watch::start(&self.path, now)?;
            return Ok(true);
        }
        match &mut self.means {
            Means::Events(events) => match drain(events, self.heeded)? {
                Drained::Nothing => Ok(false),
                Drained::Something => Ok(true),
                Drained::WatchGone => {
                    *self = Watch::start(&self.path, now)?;
                    Ok(true)
                }
            },
            Means::Comparison { before, settles } => {
                let found = entries(&self.path)?;
                let differs = *before != found;
                if differs {
                    *before = found;
                    *settles = Some(now + COARSEST_TICK);
                }
                Ok(differs)
            }
        }
    }

    /// Whether a change may have left the times of a file as they were. The last yes comes when that is over.
    fn may_hide_a_change(&mut self, now: Instant) -> bool {
        let Means::Comparison { settles, .. } = &mut self.means else { return false };
        settles.take_if(|over| *over <= now).is_some() || settles.is_some()
    }
}

enum Drained {
    Nothing,
    Something,
    /// The directory was removed. Its inode number, and so its [`Place`], may already belong to a new one.
    WatchGone,
}

/// Takes all events that are waiting. One without a name is about the directory itself, or says that some were lost.
fn drain(events: &OwnedFd, heeded: Heeded) -> io::Result<Drained> {
    let matters = |event: &inotify::Event<'_>| {
        let key_file = |name: &CStr| is_key_file(OsStr::from_bytes(name.to_bytes()));
        heeded == Heeded::Everything || event.file_name().is_none_or(key_file)
    };
    let mut room = [MaybeUninit::uninit(); EVENTS_AT_ONCE];
    let mut reader = inotify::Reader::new(events, &mut room);
    let mut seen = Drained::Nothing;
    loop {
        match reader.next() {
            Ok(event) if event.events().contains(ReadFlags::IGNORED) => seen = Drained::WatchGone,
            Ok(event) if matches!(seen, Drained::Nothing) && matters(&event) => seen = Drained::Something,
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

/// All key files in the order of their names, links followed. One that vanishes between being listed and looked at is left out.
fn entries(path: &Path) -> io::Result<Vec<Entry>> {
    let mut found = Vec::new();
    for listed in std::fs::read_dir(path)? {
        let listed = listed?;
        if !is_key_file(&listed.file_name()) {
            continue;
        }
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
        let now = Instant::now();
        assert!(!watch.noticed(now).unwrap(), "{what}: quiet before");
        change();
        assert!(watch.noticed(now).unwrap(), "{what}: not seen");
        assert!(!watch.noticed(now).unwrap(), "{what}: seen twice");
    }

    fn check_unseen(watch: &mut Watch, what: &str, change: impl FnOnce()) {
        change();
        assert!(!watch.noticed(Instant::now()).unwrap(), "{what}: seen");
    }

    fn check_all_changes(start: fn(&Path) -> io::Result<Watch>) {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("keys");
        fs::create_dir(&path).unwrap();
        let mut watch = start(&path).unwrap();
        watch.heed(Heeded::KeyFiles);
        check_seen_once(&mut watch, "create", || fs::write(path.join("a.jwk"), "1").unwrap());
        check_seen_once(&mut watch, "rewrite", || fs::write(path.join("a.jwk"), "22").unwrap());
        check_seen_once(&mut watch, "rename inside", || fs::rename(path.join("a.jwk"), path.join(".a.jwk")).unwrap());
        check_seen_once(&mut watch, "rename out", || fs::rename(path.join(".a.jwk"), room.path().join("a")).unwrap());
        check_seen_once(&mut watch, "rename in", || fs::rename(room.path().join("a"), path.join("a.jwk")).unwrap());
        check_seen_once(&mut watch, "lose its name", || fs::rename(path.join("a.jwk"), path.join("a")).unwrap());
        check_seen_once(&mut watch, "get it back", || fs::rename(path.join("a"), path.join("a.jwk")).unwrap());
        check_seen_once(&mut watch, "delete", || fs::remove_file(path.join("a.jwk")).unwrap());
        check_unseen(&mut watch, "another file", || fs::write(path.join("readme.txt"), "1").unwrap());
        check_unseen(&mut watch, "that file deleted", || fs::remove_file(path.join("readme.txt")).unwrap());
        check_seen_once(&mut watch, "replace the directory", || {
            fs::create_dir(room.path().join("next")).unwrap();
            fs::rename(&path, room.path().join("last")).unwrap();
            fs::rename(room.path().join("next"), &path).unwrap();
        });
        watch.heed(Heeded::KeyFiles);
        check_seen_once(&mut watch, "create in the new one", || fs::write(path.join("b.jwk"), "1").unwrap());
    }

    fn compared(path: &Path) -> io::Result<Watch> {
        Watch::comparing(path, Instant::now())
    }

    #[test]
    fn events_see_every_change() {
        check_all_changes(Watch::with_events);
    }

    #[test]
    fn comparison_sees_every_change() {
        check_all_changes(compared);
    }

    /// As Kubernetes mounts a secret: `a.jwk -> ..data/a.jwk`, `..data -> ..1`; an update renames `..data` alone.
    fn check_links_inside(start: fn(&Path) -> io::Result<Watch>) {
        let room = tempfile::tempdir().unwrap();
        let path = room.path();
        for version in ["..1", "..2"] {
            fs::create_dir(path.join(version)).unwrap();
            fs::write(path.join(version).join("a.jwk"), version).unwrap();
        }
        symlink("..1", path.join("..data")).unwrap();
        symlink("..data/a.jwk", path.join("a.jwk")).unwrap();
        let mut watch = start(path).unwrap();
        symlink("..2", path.join("..next")).unwrap();
        watch.noticed(Instant::now()).unwrap();
        check_seen_once(&mut watch, "..data", || fs::rename(path.join("..next"), path.join("..data")).unwrap());
    }

    #[test]
    fn a_link_that_key_files_lead_through_is_seen() {
        check_links_inside(Watch::with_events);
        check_links_inside(compared);
    }

    /// Two writes within one tick look like one, so one that is seen may hide another until the tick is over.
    #[test]
    fn after_a_difference_the_files_are_read_until_the_tick_is_over_and_once_more() {
        let room = tempfile::tempdir().unwrap();
        let start = Instant::now();
        let mut watch = Watch::comparing(room.path(), start).unwrap();
        let mut check = |after_ms, expected: [bool; 2]| {
            let now = start + Duration::from_millis(after_ms);
            assert!(expected.iter().all(|expected| watch.changed(now).unwrap() == *expected), "{after_ms} ms");
        };
        check(0, [true, true]);
        check(1_999, [true, true]);
        check(60_000, [true, false]);
        fs::write(room.path().join("a.jwk"), "1").unwrap();
        check(70_000, [true, true]);
        check(71_999, [true, true]);
        check(90_000, [true, false]);
    }

    #[test]
    fn what_is_noticed_while_reading_does_not_end_the_doubt() {
        let room = tempfile::tempdir().unwrap();
        let start = Instant::now();
        let mut watch = Watch::comparing(room.path(), start).unwrap();
        let later = start + Duration::from_secs(60);
        assert!(!watch.noticed(later).unwrap());
        assert!(watch.changed(later).unwrap());
    }

    #[test]
    fn a_symbolic_link_that_points_elsewhere_is_seen() {
        let room = tempfile::tempdir().unwrap();
        let (one, two, link) = (room.path().join("1"), room.path().join("2"), room.path().join("keys"));
        fs::create_dir(&one).unwrap();
        fs::create_dir(&two).unwrap();
        symlink(&one, &link).unwrap();
        let mut watch = Watch::start(&link, Instant::now()).unwrap();
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
        let mut watch = Watch::start(&path, Instant::now()).unwrap();
        fs::remove_dir(&path).unwrap();
        assert!(watch.noticed(Instant::now()).is_err());
        fs::create_dir(&path).unwrap(); // often with the same inode number
        assert!(watch.noticed(Instant::now()).unwrap());
        check_seen_once(&mut watch, "create", || fs::write(path.join("a.jwk"), "1").unwrap());
    }
}
