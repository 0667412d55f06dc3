//! The keys of a server: a directory of JWK files, read as a whole.

use crypto::Secret;
use jose::{Jwk, JwkError, Jws, JwsError, KeyOperation, Required, Thumbprint, ThumbprintHash};
use json::{Object, Value};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// All keys of a server, with its advertisement ready to be sent.
#[derive(Debug)]
pub struct KeySet {
    files: Vec<KeyFile>,
    /// Every thumbprint of every key by each of the five hashes; the first file wins.
    by_thumbprint: HashMap<String, usize>,
    /// The advertised set, unsigned.
    payload: Vec<u8>,
    /// The advertisement, signed by all visible signing keys.
    advertisement: Arc<[u8]>,
    /// The same with one more signature, by the file of the same index; made when first asked for.
    signed_again: Vec<OnceLock<Arc<[u8]>>>,
}

/// One key of the directory.
#[derive(Debug)]
pub struct KeyFile {
    name: String,
    key: Jwk,
}

/// Whether a key is given to new clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// Advertised.
    Visible,
    /// Rotated: its file name begins with a dot; it still answers those who were bound to it.
    Hidden,
}

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Signs advertisements.
    Signing,
    /// Exchanges.
    Exchange,
    /// Neither: it stays unused.
    Other,
}

/// Why a directory has no keys to serve.
#[derive(Debug)]
pub enum LoadError {
    /// A file is called `.jwk` but is no key. Serving without it would turn its clients away, so nothing is served.
    Unreadable {
        /// The file.
        name: String,
        /// What is wrong with it.
        source: JwkError,
    },
    /// No visible key may sign and verify.
    NoSigningKey,
    /// A visible signing key does not sign.
    NotSigned {
        /// Why.
        source: JwsError,
    },
}

impl KeyFile {
    /// Reads one file of a key directory; `None` if its name does not end in `.jwk`.
    ///
    /// # Errors
    /// [`LoadError::Unreadable`].
    pub fn read(name: &str, contents: &Secret) -> Result<Option<KeyFile>, LoadError> {
        if !name.ends_with(".jwk") {
            return Ok(None);
        }
        let unreadable = |source| LoadError::Unreadable { name: name.to_owned(), source };
        let key = Jwk::parse(contents.expose()).map_err(unreadable)?;
        Ok(Some(KeyFile { name: name.to_owned(), key }))
    }

    /// The file a new key goes into: its S256 thumbprint and `.jwk`.
    pub fn named_by_thumbprint(key: Jwk) -> KeyFile {
        KeyFile { name: format!("{}.jwk", key.thumbprint(ThumbprintHash::S256)), key }
    }

    /// The file's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key.
    pub fn key(&self) -> &Jwk {
        &self.key
    }

    /// Whether new clients are given it.
    pub fn state(&self) -> KeyState {
        if self.name.starts_with('.') { KeyState::Hidden } else { KeyState::Visible }
    }

    /// What it is for. A key that may sign and verify is a signing key, whatever else it may.
    pub fn role(&self) -> Role {
        let permits = |operation| self.key.permits(operation, Required::Implied);
        if permits(KeyOperation::Sign) && permits(KeyOperation::Verify) {
            Role::Signing
        } else if permits(KeyOperation::DeriveKey) {
            Role::Exchange
        } else {
            Role::Other
        }
    }
}

impl KeySet {
    /// Reads all files of a key directory, given as name and contents, and signs the advertisement.
    ///
    /// # Errors
    /// [`LoadError`]. A directory without an exchange key can still be served; see [`KeySet::has_pair`].
    pub fn load(files: Vec<(String, Secret)>) -> Result<KeySet, LoadError> {
        let read = files.iter().map(|(name, contents)| KeyFile::read(name, contents));
        let mut files: Vec<KeyFile> = read.filter_map(Result::transpose).collect::<Result<_, _>>()?;
        // The order of a directory is not specified; this one is the same on every reading.
        files.sort_by(|a, b| a.name.cmp(&b.name));
        let advertised = files.iter().filter(|file| file.state() == KeyState::Visible && file.role() != Role::Other);
        let keys: Vec<Value> = advertised.map(|file| file.key.public_json().into()).collect();
        let payload = Value::Object(Object::new().with("keys", keys)).to_compact().as_bytes().to_vec();
        let advertisement = signed(&payload, &signers(&files))?;
        let signed_again = files.iter().map(|_| OnceLock::new()).collect();
        Ok(KeySet { by_thumbprint: index(&files), files, payload, advertisement, signed_again })
    }

    /// All keys, sorted by file name.
    pub fn files(&self) -> &[KeyFile] {
        &self.files
    }

    /// Whether there is a visible key of both kinds, without which no client can be bound.
    pub fn has_pair(&self) -> bool {
        [Role::Signing, Role::Exchange]
            .iter()
            .all(|role| self.files.iter().any(|file| file.state() == KeyState::Visible && file.role() == *role))
    }

    /// S256 thumbprints of the keys that sign the advertisement: what a person compares when binding.
    pub fn signing_thumbprints(&self) -> Vec<Thumbprint> {
        signers(&self.files).iter().map(|key| key.thumbprint(ThumbprintHash::S256)).collect()
    }

    /// The advertisement: a signed set of the visible keys.
    pub(super) fn advertisement(&self) -> Arc<[u8]> {
        self.advertisement.clone()
    }

    /// The advertisement with one more signature; `None` if there is no such key, or it is not one that signs.
    ///
    /// # Errors
    /// [`LoadError::NotSigned`] if it should sign and does not.
    pub(super) fn advertisement_signed_by(&self, thumbprint: &str) -> Result<Option<Arc<[u8]>>, LoadError> {
        let index = self.by_thumbprint.get(thumbprint).copied();
        let found = index.and_then(|index| Some((self.files.get(index)?, self.signed_again.get(index)?)));
        let signs = |(file, _): &(&KeyFile, _)| file.key.permits(KeyOperation::Sign, Required::Implied);
        let Some((file, ready)) = found.filter(signs) else { return Ok(None) };
        if let Some(advertisement) = ready.get() {
            return Ok(Some(advertisement.clone()));
        }
        let keys: Vec<&Jwk> = signers(&self.files).into_iter().chain([&file.key]).collect();
        let advertisement = signed(&self.payload, &keys)?;
        Ok(Some(ready.get_or_init(|| advertisement).clone()))
    }

    /// The key with this thumbprint by any of the five hashes.
    pub(super) fn find(&self, thumbprint: &str) -> Option<&Jwk> {
        let index = *self.by_thumbprint.get(thumbprint)?;
        self.files.get(index).map(|file| &file.key)
    }
}

fn signers(files: &[KeyFile]) -> Vec<&Jwk> {
    let signing = |file: &&KeyFile| file.state() == KeyState::Visible && file.role() == Role::Signing;
    files.iter().filter(signing).map(|file| &file.key).collect()
}

fn signed(payload: &[u8], keys: &[&Jwk]) -> Result<Arc<[u8]>, LoadError> {
    if keys.is_empty() {
        return Err(LoadError::NoSigningKey);
    }
    let header = Object::new().with("cty", "jwk-set+json");
    let jws = Jws::sign(payload.to_vec(), &header, keys).map_err(|source| LoadError::NotSigned { source })?;
    Ok(Value::Object(jws.to_json()).to_compact().as_bytes().into())
}

fn index(files: &[KeyFile]) -> HashMap<String, usize> {
    let mut index = HashMap::new();
    for (i, file) in files.iter().enumerate() {
        for hash in ThumbprintHash::ALL {
            index.entry(file.key.thumbprint(hash).to_string()).or_insert(i);
        }
    }
    index
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Unreadable { name, .. } => write!(f, "the key file {name} cannot be used"),
            LoadError::NoSigningKey => f.write_str("there is no visible key that may sign"),
            LoadError::NotSigned { .. } => f.write_str("the advertisement could not be signed"),
        }
    }
}

impl std::error::Error for LoadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            LoadError::Unreadable { source, .. } => Some(source),
            LoadError::NotSigned { source } => Some(source),
            LoadError::NoSigningKey => None,
        }
    }
}
