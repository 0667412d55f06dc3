//! Which volume it is that was opened.
//!
//! Who can write to a disk can put another volume in its place: with the same UUID, bound to the same servers, which anybody may bind to.
//! It opens, and what is in it is another's. Nothing on the disk can tell; what a volume has to be is said by an [`Expectation`], which
//! comes from elsewhere: a file in the boot image. What a binding itself says of its volume ([`clone_of`]) only finds clones. So it is
//! with the TPM's parent keys that bindings name: an expectation may say which they are ([`ParentName`]).

mod copy;
mod fault;
mod list;
mod parent_name;
mod parents;

pub use copy::clone_of;
pub(crate) use copy::{check_copy, volume_of};
pub use fault::IdentityFault;
pub use list::ListError;
pub use parent_name::ParentName;
pub use parents::parents;

use block::BlockRead;
use crypto::VolumeKey;
use luks::{Accepted, Header, HeaderError, KeyFingerprint};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// A volume that is expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Its UUID.
    pub uuid: Uuid,
    /// The fingerprint of its key.
    pub key: KeyFingerprint,
    /// What people call it.
    pub name: Option<String>,
    /// The keys of the TPM that its bindings are sealed under; any, if nothing is said of them.
    pub parents: Option<BTreeSet<ParentName>>,
}

/// What becomes of a volume whose UUID is not among those that are expected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Others {
    /// It may be opened.
    #[default]
    Allow,
    /// It stays closed, and nobody is asked for anything.
    Refuse,
}

/// The volumes that a machine expects. Without any, and [`Others::Allow`], nothing is expected of any volume.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expectation {
    volumes: BTreeMap<Uuid, Expected>,
    others: Others,
}

/// A volume that is still closed, and what it has to be.
#[derive(Clone, Copy)]
pub struct Closed<'a> {
    /// The disk of its header.
    pub disk: &'a dyn BlockRead,
    /// The header.
    pub header: &'a Accepted,
    /// What it has to be.
    pub expected: &'a Expectation,
}

impl Expectation {
    /// Whether nothing is expected of any volume.
    pub fn is_empty(&self) -> bool {
        self.volumes.is_empty() && self.others == Others::Allow
    }

    /// The volume with this UUID, if it is expected.
    pub fn of(&self, uuid: Uuid) -> Option<&Expected> {
        self.volumes.get(&uuid)
    }

    /// The same, with others treated so.
    #[must_use]
    pub fn with_others(self, others: Others) -> Expectation {
        Expectation { others, ..self }
    }

    /// Expects this volume, too; gives back what was expected of its UUID before.
    pub fn insert(&mut self, volume: Expected) -> Option<Expected> {
        self.volumes.insert(volume.uuid, volume)
    }

    /// Whether a volume with this header may be opened at all: to be asked before anybody is asked for a secret.
    ///
    /// # Errors
    /// [`IdentityFault::Unlisted`].
    pub fn check_header(&self, header: &Header) -> Result<(), IdentityFault> {
        let uuid = header.uuid();
        match self.others {
            Others::Refuse if self.of(uuid).is_none() => Err(IdentityFault::Unlisted { uuid }),
            Others::Refuse | Others::Allow => Ok(()),
        }
    }

    /// Whether a volume with this header and this key is the one that is expected.
    ///
    /// # Errors
    /// [`IdentityFault::OtherKey`]: it is another volume, and gets nothing; [`IdentityFault::Unlisted`].
    pub fn check(&self, header: &Header, key: &VolumeKey) -> Result<(), IdentityFault> {
        self.check_header(header)?;
        let found = KeyFingerprint::of(key);
        match self.of(header.uuid()) {
            Some(Expected { uuid, key, name, .. }) if *key != found => {
                Err(IdentityFault::OtherKey { uuid: *uuid, expected: *key, found, name: name.clone() })
            }
            _ => Ok(()),
        }
    }

    /// What it means that there is no header where a volume should be: an alarm, if volumes are expected and something else lies there
    /// instead of a damaged one.
    pub fn without_header(&self, disk: &dyn BlockRead, error: &HeaderError) -> Option<IdentityFault> {
        let found = match error {
            HeaderError::NotLuks => block::signature::find(disk).ok().flatten(),
            HeaderError::Ambiguous { found } => Some(*found),
            _ => return None,
        };
        (!self.is_empty()).then_some(IdentityFault::NotLuks { found })
    }
}
