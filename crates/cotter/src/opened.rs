//! A volume that is opened to be used: mapped, read, served.

use crate::args::{KeyInstead, KeySource};
use crate::error::CommandError;
use crate::expected;
use crate::host::Host;
use crate::passphrase;
use crate::volume::{self, Seal};
use crypto::{Passphrase, VolumeKey};
use luks::{SealState, Slot};
use unlock::identity::Closed;
use unlock::{ByPassphrase, NotOpened, Reading, Unlocked};

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
        opened.map_err(|failed| not_opened("the volume stays closed".to_owned(), &source, &given, failed))?;
    Ok(Opened { passphrase: meant.unwrap_or(given), slot, key, seal })
}

/// In words why a passphrase did not open the volume for `what`, with what may be wrong with it.
pub fn not_opened(what: String, key: &KeySource, passphrase: &Passphrase, failed: NotOpened) -> CommandError {
    let hint = match failed.hint() {
        Some(hint) => hint.to_owned(),
        None if failed.is_wrong_passphrase() => slip(key, passphrase),
        None => String::new(),
    };
    let fault = if let NotOpened::Identity(fault) = &failed { Some(fault.clone()) } else { None };
    let error = CommandError::failed(what, failed).hint(hint);
    match fault {
        Some(fault) => expected::alarm(error, &fault),
        None => error,
    }
}

/// More wrong groups than this are no slips: it is another key, or one of systemd's, which has no checks.
const MOST_SLIPS: usize = 2;

fn slip(key: &KeySource, passphrase: &Passphrase) -> String {
    match unlock::read_recovery_key(passphrase) {
        Some(Reading::Mistyped { groups, .. }) if groups.len() <= MOST_SLIPS => {
            let groups: Vec<String> = groups.iter().map(ToString::to_string).collect();
            format!("it looks like a recovery key with a slip in group {}", groups.join(" and "))
        }
        Some(Reading::WrongLength { found }) => {
            format!("it looks like a recovery key, but has {found} letters instead of 64")
        }
        Some(_) => "it looks like a recovery key, but not like one of this volume".to_owned(),
        None => passphrase::likely_slip(key, passphrase).to_owned(),
    }
}
