//! A key in the kernel's keyring for as long as a table is loaded, and no longer (keyrings(7)).
//!
//! It is of the type `logon`, which the kernel uses and gives to nobody, and lies in the keyring of the thread that loads the
//! table: no other thread or process finds it there.

use crate::sys::{KeyNumber, add_logon_key, revoke_key, unlink_key};
use crypto::VolumeKey;
use rustix::io::Errno;
use std::ffi::CString;
use std::fmt;
use std::io;
use std::marker::PhantomData;

/// A key in the keyring of this thread, made useless and taken out when this is dropped. It cannot go to another thread, which
/// could not take it out.
#[derive(Debug)]
#[must_use = "the key is in the keyring until this is dropped"]
pub struct ThreadKey {
    key: KeyNumber,
    only_here: PhantomData<*const ()>,
}

impl ThreadKey {
    /// Puts `key` into this thread's keyring, under `description`, which is `service:name` for a key of this type.
    ///
    /// # Errors
    /// [`KeyringError`].
    pub fn add(description: &str, key: &VolumeKey) -> Result<ThreadKey, KeyringError> {
        let named = CString::new(description);
        let named = named.map_err(|_| KeyringError::Failed { source: io::ErrorKind::InvalidInput.into() })?;
        let key = add_logon_key(&named, key.expose()).map_err(KeyringError::of)?;
        Ok(ThreadKey { key, only_here: PhantomData })
    }
}

impl Drop for ThreadKey {
    fn drop(&mut self) {
        // First useless to everybody, then out of sight. What fails leaves it in a keyring that ends with this thread.
        let _ = revoke_key(self.key);
        let _ = unlink_key(self.key);
    }
}

/// Why the kernel does not keep a key.
#[derive(Debug)]
pub enum KeyringError {
    /// It was built without keyrings.
    Unknown,
    /// This user has as many keys as he may.
    Full,
    /// Anything else.
    Failed {
        /// What the system said.
        source: io::Error,
    },
}

impl KeyringError {
    fn of(source: io::Error) -> KeyringError {
        match Errno::from_io_error(&source) {
            Some(Errno::NOSYS) => KeyringError::Unknown,
            Some(Errno::DQUOT) => KeyringError::Full,
            _ => KeyringError::Failed { source },
        }
    }

    /// What a person can do.
    pub fn hint(&self) -> String {
        match self {
            KeyringError::Unknown => "use a kernel with CONFIG_KEYS".to_owned(),
            KeyringError::Full => {
                "see `cat /proc/key-users`; `sysctl kernel.keys.root_maxbytes` is the limit".to_owned()
            }
            KeyringError::Failed { .. } => "is add_key(2) forbidden here, as in some containers?".to_owned(),
        }
    }
}

impl fmt::Display for KeyringError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyringError::Unknown => f.write_str("this kernel has no keyrings"),
            KeyringError::Full => f.write_str("the kernel keeps no more keys for this user"),
            KeyringError::Failed { .. } => f.write_str("the kernel does not take the key into its keyring"),
        }
    }
}

impl std::error::Error for KeyringError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            KeyringError::Failed { source } => Some(source),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crypto::Secret;
    use std::thread;
    use std::time::Duration;

    /// The lines of `/proc/keys` with this description; it lists what the reading thread may see.
    fn listed(description: &str) -> usize {
        let table = std::fs::read_to_string("/proc/keys").unwrap();
        table.lines().filter(|line| line.contains(description)).count()
    }

    fn key() -> VolumeKey {
        VolumeKey::new(Secret::copied_from(&[7; 64]))
    }

    #[test]
    fn a_key_is_there_until_it_is_dropped() {
        let description = format!("cotter-test:{}-there", std::process::id());
        let held = ThreadKey::add(&description, &key()).unwrap();
        assert_eq!(listed(&description), 1);
        drop(held);
        // The kernel clears away in a thread of its own.
        for _ in 0..200 {
            if listed(&description) == 0 {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("{description} is still in /proc/keys");
    }

    #[test]
    fn a_description_is_of_the_form_that_such_keys_have() {
        for bad in ["no-service", ":name", "a\0b:c"] {
            let refused = ThreadKey::add(bad, &key()).unwrap_err();
            assert!(matches!(refused, KeyringError::Failed { .. }), "{bad}: {refused:?}");
        }
        let none = io::Error::from_raw_os_error(libc::ENOSYS);
        assert!(matches!(KeyringError::of(none), KeyringError::Unknown));
        assert!(matches!(KeyringError::of(io::Error::from_raw_os_error(libc::EDQUOT)), KeyringError::Full));
    }
}
