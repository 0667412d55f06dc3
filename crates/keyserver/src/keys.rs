//! The key directory: read when it has changed, never written.
//!
//! What the files mean is `tang`'s; this is only how they get there.

use crate::watch::Watch;
use crypto::Secret;
use rustix::fs::{Mode, OFlags, open};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::{error, fmt};
use tang::server::{KeySet, LoadError};

/// The longest key file. A P-521 key takes 300 bytes; RSA keys of 16384 bits would still fit.
const LONGEST_FILE: u64 = 64 * 1024;
/// The most key files in a directory, hidden ones included.
const MOST_FILES: usize = 16_384;
/// How often a directory that changes while it is read is read again before it is taken as it is.
const READINGS: u32 = 4;

/// The keys of a directory, as they are at each moment.
pub(crate) struct Keys {
    directory: PathBuf,
    state: Mutex<State>,
}

type Current = Result<Arc<KeySet>, Arc<KeysUnusable>>;

struct State {
    watch: Watch,
    current: Current,
    /// `current` must be read again though the directory may not have changed: what was wrong may be over.
    stale: bool,
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
        let mut watch = Watch::start(&directory).map_err(|source| KeysUnusable::Directory { source })?;
        let (keys, stale) = read_steadily(&directory, &mut watch)?;
        if !keys.has_pair() {
            return Err(KeysUnusable::NoPair);
        }
        let state = Mutex::new(State { watch, current: Ok(Arc::new(keys)), stale });
        Ok(Keys { directory, state })
    }

    /// The keys as every change up to this call has left them.
    ///
    /// One lock, one `stat` and one `read` while nothing changes. The lock is what makes it true for all threads: the
    /// one that takes an event off the queue has new keys in place before another can look.
    pub(crate) fn current(&self) -> Current {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match state.watch.changed() {
            Ok(false) if !state.stale => {}
            Ok(_) => state.read_again(&self.directory),
            Err(source) => state.refuse(KeysUnusable::Directory { source }),
        }
        state.current.clone()
    }
}

impl State {
    fn read_again(&mut self, directory: &Path) {
        match read_steadily(directory, &mut self.watch) {
            Ok((keys, stale)) => {
                self.current = Ok(Arc::new(keys));
                self.stale = stale;
            }
            Err(reason) => self.refuse(reason),
        }
    }

    fn refuse(&mut self, reason: KeysUnusable) {
        // Keys that are no keys stay so until something changes; a file that could not be opened may open next time.
        self.stale = !matches!(reason, KeysUnusable::Load(_));
        self.current = Err(Arc::new(reason));
    }
}

/// Reads until nothing changed meanwhile, so that a rename that hides a key cannot make it vanish for a moment. The flag
/// says that it never came to rest.
fn read_steadily(directory: &Path, watch: &mut Watch) -> Result<(KeySet, bool), KeysUnusable> {
    let mut outcome = read(directory);
    for _ in 1..READINGS {
        if !watch.changed().map_err(|source| KeysUnusable::Directory { source })? {
            return outcome.map(|keys| (keys, false));
        }
        outcome = read(directory);
    }
    outcome.map(|keys| (keys, true))
}

/// Reads every file whose name ends in `.jwk`, hidden ones too (nbde-formats 1.2).
fn read(directory: &Path) -> Result<KeySet, KeysUnusable> {
    let in_directory = |source| KeysUnusable::Directory { source };
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(in_directory)? {
        let name = entry.map_err(in_directory)?.file_name();
        if !name.as_encoded_bytes().ends_with(b".jwk") {
            continue;
        }
        if files.len() == MOST_FILES {
            return Err(KeysUnusable::TooMany);
        }
        let text = name.to_string_lossy().into_owned();
        files.push((text.clone(), read_file(&directory.join(&name), text)?));
    }
    KeySet::load(files).map_err(KeysUnusable::Load)
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
            Self::NoPair | Self::Load(_) => format!("make the first pair: `cotter keys init {directory}`"),
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
