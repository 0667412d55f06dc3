//! A passphrase as a person gave it, tried on a volume. A recovery key may have been typed without its hyphens.

use crate::args::KeySource;
use crate::passphrase;
use crate::volume;
use block::BlockRead;
use crypto::{Passphrase, VolumeKey};
use luks::{Accepted, OpenError, Slot};
use unlock::Reading;

/// A passphrase that opened a volume.
pub struct Opened {
    /// The passphrase, as the keyslot has it.
    pub passphrase: Passphrase,
    /// The keyslot.
    pub slot: Slot,
    /// The key of the volume.
    pub key: VolumeKey,
}

/// Why a passphrase did not open the volume.
pub struct NotOpened {
    /// The passphrase.
    pub passphrase: Passphrase,
    /// What was said of it.
    pub source: OpenError,
}

/// Opens the volume, or this slot.
pub fn open(
    disk: &dyn BlockRead,
    header: &Accepted,
    passphrase: Passphrase,
    only: Option<Slot>,
) -> Result<Opened, NotOpened> {
    let source = match volume::open_by_passphrase(disk, header, &passphrase, only) {
        Ok((slot, key)) => return Ok(Opened { passphrase, slot, key }),
        Err(source) => source,
    };
    let wrong = matches!(source, OpenError::WrongPassphrase { .. } | OpenError::NoSlotOpens { .. });
    let meant = match unlock::read_recovery_key(&passphrase) {
        Some(Reading::Key(meant) | Reading::Mistyped { as_typed: Some(meant), .. }) if wrong => meant,
        _ => return Err(NotOpened { passphrase, source }),
    };
    if meant.secret().ct_eq(passphrase.expose()) {
        return Err(NotOpened { passphrase, source });
    }
    match volume::open_by_passphrase(disk, header, &meant, only) {
        Ok((slot, key)) => Ok(Opened { passphrase: meant, slot, key }),
        Err(source) => Err(NotOpened { passphrase, source }),
    }
}

impl NotOpened {
    /// What may be wrong with it.
    pub fn hint(&self, key: &KeySource) -> String {
        if let Some(hint) = self.source.hint() {
            return hint.to_owned();
        }
        match unlock::read_recovery_key(&self.passphrase) {
            Some(Reading::Mistyped { groups, .. }) => {
                format!("it looks like a recovery key with a slip in group {}", listed(&groups))
            }
            Some(Reading::WrongLength { found }) => {
                format!("it looks like a recovery key, but has {found} letters instead of 64")
            }
            _ => passphrase::likely_slip(key, &self.passphrase).to_owned(),
        }
    }
}

fn listed(groups: &[u8]) -> String {
    groups.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
}
