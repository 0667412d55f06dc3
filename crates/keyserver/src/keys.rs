//! The key directory: read when it has changed, never written.
//!
//! What the files mean is `tang`'s; this is only how they get there. Thousands of keys take the better part of a second to
//! read and sign, so a thread of its own does that, and only the requests that need keys wait for it.

use crate::watch::{Heeded, Watch, is_key_file};
use crypto::Secret;
use rustix::fs::{Mode, OFlags, open};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{error, fmt, thread};
use tang::server::{KeySet, LoadError};
use tokio::sync::Notify;

/// The longest key file. A P-521 key takes 300 bytes; RSA keys of 16384 bits would still fit.
const LONGEST_FILE: u64 = 64 * 1024;
/// The most key files in a directory, hidden ones included.
const MOST_FILES: usize = 16_384;
/// How often a directory that changes while it is read is read again before it is taken as it is.
const READINGS: u32 = 4;
/// How long what could not be read is left alone when no event says that it is worth another try.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The keys of a directory, as they are at each moment.
pub(crate) struct Keys {
    directory: PathBuf,
    state: Mutex<State>,
    /// Locked by who looks, for a moment and while holding `state`; by who reads, for long and without it. They never
    /// meet: nobody looks while [`State::reading`].
    watch: Mutex<Watch>,
    /// Told of the end of every reading.
    settled: Notify,
}

type Current = Result<Arc<KeySet>, Arc<KeysUnusable>>;

struct State {
    current: Current,
    /// When `current` is to be read again though the directory has not changed: what was wrong may be over.
    retry: Option<Instant>,
    reading: bool,
    /// How many readings have ended. They are numbered from 1.
    ended: u64,
}

/// What a request finds.
enum Look {
    Known(Current),
    /// The reading of this number began, or begins, after the look: its end shows all that came before.
    Awaited(u64),
    /// The same, and the one who looked begins it.
    ToBegin(u64),
}

/// Why a key directory cannot be served.
#[derive(Debug)]
pub enum KeysUnusable {
    /// The directory cannot be read.
    Directory {
        /// What the kernel said.
        source: io::Error,
    },
    /// A key file cannot be read.
    File {
        /// Its name.
        name: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// A key file is longer than any key.
    TooLong {
        /// Its name.
        name: String,
    },
    /// The directory holds more key files than can be meant.
    TooMany,
    /// There is no visible key of both kinds, so no client could be bound. Asked only at the start.
    NoPair,
    /// The files were read, but are no keys to serve with.
    Load(LoadError),
}

impl Keys {
    /// Reads `directory` for the first time; it must hold a visible pair.
    pub(crate) fn open(directory: PathBuf) -> Result<Keys, KeysUnusable> {
        // The watch comes first: what changes after it began is seen, what changed before it is read.
        let in_directory = |source| KeysUnusable::Directory { source };
        let mut watch = Watch::start(&directory, Instant::now()).map_err(in_directory)?;
        let keys = read_steadily(&directory, &mut watch)?;
        if !keys.has_pair() {
            return Err(KeysUnusable::NoPair);
        }
        let state = State { current: Ok(Arc::new(keys)), retry: None, reading: false, ended: 0 };
        Ok(Keys { directory, state: Mutex::new(state), watch: Mutex::new(watch), settled: Notify::new() })
    }

    /// The keys as every change up to this call has left them.
    ///
    /// Two locks, one `stat` and one `read` while nothing changes; otherwise it waits for one reading, and for the rest
    /// of another that began before.
    pub(crate) async fn current(self: &Arc<Keys>) -> Current {
        let mut enough = None;
        loop {
            let settled = self.settled.notified(); // before the look, or an end between the two would be missed
            let number = match self.look(enough, Instant::now()) {
                Look::Known(current) => return current,
                Look::Awaited(number) => number,
                Look::ToBegin(number) => {
                    self.begin();
                    number
                }
            };
            enough.get_or_insert(number);
            settled.await;
        }
    }

    /// Looks whether `current` still holds. `enough` is the number that the first look gave, so that a directory that never
    /// rests cannot keep a request waiting for ever.
    fn look(&self, enough: Option<u64>, now: Instant) -> Look {
        let mut state = locked(&self.state);
        if enough.is_some_and(|number| number <= state.ended) {
            return Look::Known(state.current.clone());
        }
        if state.reading {
            return Look::Awaited(state.ended + 2); // the one under way may have passed what has just changed
        }
        let due = state.retry.is_some_and(|at| at <= now);
        match locked(&self.watch).changed(now) {
            Ok(false) if !due => Look::Known(state.current.clone()),
            Ok(_) => {
                // Taken off the queue, the event is known to this look alone: nobody may pass before it has been read.
                state.reading = true;
                Look::ToBegin(state.ended + 1)
            }
            Err(source) => {
                state.current = Err(Arc::new(KeysUnusable::Directory { source }));
                state.retry = Some(now); // as soon as there is a directory again
                Look::Known(state.current.clone())
            }
        }
    }

    /// Reads in a thread of its own; where there can be none, here.
    fn begin(self: &Arc<Keys>) {
        let keys = Arc::clone(self);
        if thread::Builder::new().name("keys".into()).spawn(move || keys.read()).is_err() {
            self.read();
        }
    }

    fn read(&self) {
        let outcome = read_steadily(&self.directory, &mut locked(&self.watch));
        let mut state = locked(&self.state);
        state.retry = match &outcome {
            // Unlike keys that are no keys, what could not be read may be readable without an event: where a link leads, or
            // when there are file descriptors again.
            Err(KeysUnusable::Directory { .. } | KeysUnusable::File { .. }) => Some(Instant::now() + RETRY_AFTER),
            _ => None,
        };
        state.current = outcome.map(Arc::new).map_err(Arc::new);
        state.reading = false;
        state.ended += 1;
        drop(state);
        self.settled.notify_waiters();
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads until nothing changed meanwhile, so that a rename that hides a key cannot make it vanish for a moment. Where that
/// never happens, what changed during the last reading is still there for the next look.
fn read_steadily(directory: &Path, watch: &mut Watch) -> Result<KeySet, KeysUnusable> {
    let mut outcome = read(directory, watch);
    for _ in 1..READINGS {
        if !watch.noticed(Instant::now()).map_err(|source| KeysUnusable::Directory { source })? {
            break;
        }
        outcome = read(directory, watch);
    }
    outcome
}

/// Reads every key file, hidden ones too (nbde-formats 1.2).
fn read(directory: &Path, watch: &mut Watch) -> Result<KeySet, KeysUnusable> {
    watch.heed(Heeded::Everything);
    let (names, heeded) = key_files(directory)?;
    watch.heed(heeded);
    let read = names.into_iter().map(|name| {
        let text = name.to_string_lossy().into_owned();
        Ok((text.clone(), read_file(&directory.join(&name), text)?))
    });
    KeySet::load(read.collect::<Result<_, _>>()?).map_err(KeysUnusable::Load)
}

/// The names of all key files, and which other names matter to them.
fn key_files(directory: &Path) -> Result<(Vec<OsString>, Heeded), KeysUnusable> {
    let in_directory = |source| KeysUnusable::Directory { source };
    let (mut names, mut heeded) = (Vec::new(), Heeded::KeyFiles);
    for entry in fs::read_dir(directory).map_err(in_directory)? {
        let entry = entry.map_err(in_directory)?;
        if !is_key_file(&entry.file_name()) {
            continue;
        }
        if names.len() == MOST_FILES {
            return Err(KeysUnusable::TooMany);
        }
        if !entry.file_type().is_ok_and(|kind| !kind.is_symlink()) {
            heeded = Heeded::Everything;
        }
        names.push(entry.file_name());
    }
    Ok((names, heeded))
}

fn read_file(path: &Path, name: String) -> Result<Secret, KeysUnusable> {
    let outcome = (|| {
        // Without waiting: a pipe by the name of a key must not hold up the server.
        let mut file = File::from(open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?);
        let found = file.metadata()?;
        if !found.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a plain file"));
        }
        let Some(length) = usize::try_from(found.len()).ok().filter(|_| found.len() <= LONGEST_FILE) else {
            return Ok(None);
        };
        let mut filled = Ok(());
        let secret = Secret::filled_by(length, |into| filled = file.read_exact(into));
        filled.map(|()| Some(secret))
    })();
    match outcome {
        Ok(Some(secret)) => Ok(secret),
        Ok(None) => Err(KeysUnusable::TooLong { name }),
        Err(source) => Err(KeysUnusable::File { name, source }),
    }
}

impl KeysUnusable {
    /// One command or one place to look.
    pub(crate) fn hint(&self, directory: &Path) -> String {
        let directory = directory.display();
        match self {
            Self::Directory { source } if source.kind() == io::ErrorKind::NotFound => {
                format!("make it, with a first pair of keys: `cotter keys init {directory}`")
            }
            Self::Directory { .. } => format!("see who may read it: `ls -ld {directory}`"),
            Self::File { name, .. } => format!("see who may read it: `ls -l {directory}/{name}`"),
            Self::TooLong { name } => format!("move it elsewhere: {directory}/{name} is no key"),
            Self::TooMany => format!("move retired keys that no disk needs any more out of {directory}"),
            Self::Load(LoadError::Unreadable { name, .. }) => {
                format!("look at it, or move it elsewhere: {directory}/{name}")
            }
            Self::NoPair | Self::Load(LoadError::NoSigningKey) => format!(
                "see what is there: `cotter keys list {directory}`; an empty directory gets its first pair from `cotter keys init {directory}`"
            ),
            // A key that does not sign, or what else `tang` may come to refuse.
            Self::Load(_) => {
                format!(
                    "see which keys there are: `cotter keys list {directory}`; move the one that is meant elsewhere"
                )
            }
        }
    }
}

impl fmt::Display for KeysUnusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory { .. } => f.write_str("the key directory cannot be read"),
            Self::File { name, .. } => write!(f, "the key file {name} cannot be read"),
            Self::TooLong { name } => write!(f, "the key file {name} is longer than {LONGEST_FILE} bytes"),
            Self::TooMany => write!(f, "there are more than {MOST_FILES} key files"),
            Self::NoPair => f.write_str("there is no visible pair of a signing and an exchange key"),
            Self::Load(source) => source.fmt(f),
        }
    }
}

impl error::Error for KeysUnusable {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Directory { source } | Self::File { source, .. } => Some(source),
            Self::Load(source) => source.source(),
            Self::TooLong { .. } | Self::TooMany | Self::NoPair => None,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crypto::SystemRandom;
    use crypto::ec::Curve;
    use jose::Jwk;
    use std::os::unix::fs::symlink;
    use tempfile::TempDir;

    fn served() -> (TempDir, Arc<Keys>) {
        let room = tempfile::tempdir().unwrap();
        let signing = Jwk::signing(Curve::P256, &SystemRandom).unwrap();
        fs::write(room.path().join("signing.jwk"), signing.private_json().as_bytes()).unwrap();
        fs::write(room.path().join("exchange.jwk"), exchange_key()).unwrap();
        let keys = Arc::new(Keys::open(room.path().to_owned()).unwrap());
        (room, keys)
    }

    fn exchange_key() -> Vec<u8> {
        Jwk::exchange(Curve::P256, &SystemRandom).unwrap().private_json().as_bytes().to_vec()
    }

    /// Looks at `now`, reads if that is what the look asks for, and says how many readings that took.
    fn asked(keys: &Keys, now: Instant) -> (Current, u64) {
        let before = locked(&keys.state).ended;
        let mut enough = None;
        loop {
            match keys.look(enough, now) {
                Look::Known(current) => return (current, locked(&keys.state).ended - before),
                Look::Awaited(number) => unreachable!("nobody reads number {number}"),
                Look::ToBegin(number) => {
                    enough = Some(number);
                    keys.read();
                }
            }
        }
    }

    fn check(keys: &Keys, now: Instant, expected: Result<(), &str>, readings: u64, when: &str) {
        let (current, counted) = asked(keys, now);
        assert_eq!(current.map(|_| ()).map_err(|e| e.to_string()), expected.map_err(str::to_owned), "{when}");
        assert_eq!(counted, readings, "{when}");
    }

    /// Nothing tells of what a link leads to, so only time does.
    #[test]
    fn what_could_not_be_read_is_tried_again_after_a_while() {
        let (room, keys) = served();
        let elsewhere = tempfile::tempdir().unwrap();
        let now = Instant::now();
        symlink(elsewhere.path().join("key"), room.path().join("zz.jwk")).unwrap();
        let unreadable = Err("the key file zz.jwk cannot be read");
        check(&keys, now, unreadable, 1, "linked to nothing");
        fs::write(elsewhere.path().join("key"), exchange_key()).unwrap();
        check(&keys, now, unreadable, 0, "at once");
        check(&keys, now, unreadable, 0, "at once, again");
        let later = Instant::now() + RETRY_AFTER;
        check(&keys, later, Ok(()), 1, "a while later");
        check(&keys, later + 60 * RETRY_AFTER, Ok(()), 0, "for good");
    }

    #[test]
    fn only_an_event_heals_keys_that_are_no_keys() {
        let (room, keys) = served();
        let (now, file) = (Instant::now(), room.path().join("zz.jwk"));
        fs::write(&file, vec![b' '; 70_000]).unwrap();
        check(&keys, now, Err("the key file zz.jwk is longer than 65536 bytes"), 1, "too long");
        check(&keys, now + 60 * RETRY_AFTER, Err("the key file zz.jwk is longer than 65536 bytes"), 0, "much later");
        fs::remove_file(&file).unwrap();
        check(&keys, now, Ok(()), 1, "removed");
        fs::write(room.path().join("readme.txt"), "no key").unwrap();
        check(&keys, now, Ok(()), 0, "another file");
    }

    /// As Kubernetes updates a mounted secret: no key file is touched.
    #[test]
    fn a_directory_that_key_files_lead_through_may_be_exchanged() {
        let (room, keys) = served();
        let (path, now) = (room.path(), Instant::now());
        fs::create_dir(path.join("..1")).unwrap();
        fs::rename(path.join("exchange.jwk"), path.join("..1/exchange.jwk")).unwrap();
        symlink("..1", path.join("..data")).unwrap();
        symlink("..data/exchange.jwk", path.join("exchange.jwk")).unwrap();
        let before = asked(&keys, now).0.unwrap();
        fs::create_dir(path.join("..2")).unwrap();
        fs::write(path.join("..2/exchange.jwk"), exchange_key()).unwrap();
        symlink("..2", path.join("..next")).unwrap();
        fs::rename(path.join("..next"), path.join("..data")).unwrap();
        let (after, readings) = asked(&keys, now);
        let exchange = |set: &KeySet| set.files().first().map(|file| file.key().thumbprint(jose::ThumbprintHash::S256));
        assert_ne!(exchange(&after.unwrap()), exchange(&before));
        assert_eq!(readings, 1);
    }

    #[test]
    fn a_directory_that_is_back_is_read_at_once() {
        let (room, keys) = served();
        let (now, aside) = (Instant::now(), room.path().with_extension("aside"));
        fs::rename(room.path(), &aside).unwrap();
        for when in ["gone", "still gone"] {
            check(&keys, now, Err("the key directory cannot be read"), 0, when);
        }
        fs::rename(&aside, room.path()).unwrap();
        check(&keys, now, Ok(()), 1, "back");
    }

    /// A reading that was under way when the request came may have passed what changed just before it.
    #[test]
    fn a_request_waits_for_a_reading_that_began_after_it() {
        let (room, keys) = served();
        let now = Instant::now();
        fs::write(room.path().join("new.jwk"), exchange_key()).unwrap();
        assert!(matches!(keys.look(None, now), Look::ToBegin(1)));
        assert!(matches!(keys.look(None, now), Look::Awaited(2)));
        keys.read();
        assert!(matches!(keys.look(Some(1), now), Look::Known(Ok(_))));
        assert!(matches!(keys.look(Some(2), now), Look::Known(Ok(_))), "nothing more has changed");
        fs::write(room.path().join("newer.jwk"), exchange_key()).unwrap();
        assert!(matches!(keys.look(Some(2), now), Look::ToBegin(2)));
        assert!(matches!(keys.look(Some(2), now), Look::Awaited(3)));
    }

    #[test]
    fn each_reason_has_its_own_hint() {
        let not_signed = || LoadError::NotSigned { source: jose::JwsError::Parts { found: 0 } };
        let check = |reason: KeysUnusable, expected: &str| {
            let hint = reason.hint(Path::new("/k"));
            assert!(hint.contains(expected), "{hint}");
        };
        check(KeysUnusable::NoPair, "`cotter keys init /k`");
        check(KeysUnusable::Load(LoadError::NoSigningKey), "`cotter keys init /k`");
        check(KeysUnusable::Load(not_signed()), "`cotter keys list /k`");
        assert!(!KeysUnusable::Load(not_signed()).hint(Path::new("/k")).contains("init"));
    }
}
