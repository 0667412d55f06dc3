//! A volume that is opened to be used: mapped, read, served.

use crate::args::KeyInstead;
use crate::error::CommandError;
use crate::host::Host;
use crate::opening;
use crate::passphrase;
use crate::volume::{self, Seal};
use crypto::{Passphrase, VolumeKey};
use luks::{SealState, Slot};
use unlock::identity::Closed;
use unlock::{ByPassphrase, Unlocked};

/// A volume that may be used.
pub struct Opened {
    /// What opened it.
    pub passphrase: Passphrase,
    /// The keyslot that it opened.
    pub slot: Slot,
    /// Its key.
    pub key: VolumeKey,
    /// What the seal of its header tells.
    pub seal: SealState,
}

/// Opens the volume in the way the arguments say: a key file if one is named, the bindings otherwise.
pub fn open(closed: &Closed<'_>, key: &KeyInstead, only: Option<Slot>, host: &Host) -> Result<Opened, CommandError> {
    let Some(source) = key.source() else {
        let unlocked = volume::open_by_bindings(closed, only, Seal::Counts, host)?;
        let Unlocked { slot, passphrase, key, seal, .. } = unlocked;
        return Ok(Opened { passphrase, slot, key, seal });
    };
    let given = passphrase::existing(&source, host.person())?;
    let opened = volume::open_by_passphrase(closed, &given, only, Seal::Counts);
    let ByPassphrase { slot, key, seal, meant } =
        opened.map_err(|failed| opening::not_opened("the volume stays closed".to_owned(), &source, &given, failed))?;
    Ok(Opened { passphrase: meant.unwrap_or(given), slot, key, seal })
}
