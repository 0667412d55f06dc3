//! Opening a volume by what a person typed.
//!
//! This is the one way in for a passphrase: a recovery key may come without its hyphens, and the seal of the header counts as it does for
//! a binding, and so does what the volume has to be.

use crate::identity::{Closed, IdentityFault};
use crate::recovery_key::{Reading, read_recovery_key};
use crate::seal::check_seal;
use crate::seal_fault::SealFault;
use crypto::{Passphrase, VolumeKey};
use luks::{OpenError, SealState, Slot, open_any, open_keyslot};
use std::fmt;

/// A volume that a passphrase opened.
#[derive(Debug)]
pub struct ByPassphrase {
    /// The keyslot.
    pub slot: Slot,
    /// The key of the volume.
    pub key: VolumeKey,
    /// What the seal of the header tells: differences are worth a warning.
    pub seal: SealState,
    /// The recovery key as its keyslot takes it, if that is not what was typed.
    pub meant: Option<Passphrase>,
}

/// Why a passphrase did not open a volume.
#[derive(Debug)]
pub enum NotOpened {
    /// It does not open a keyslot.
    Closed(OpenError),
    /// It does, and the header is not as it was sealed.
    Seal(SealFault),
    /// It is not the volume that it should be.
    Identity(IdentityFault),
}

/// Opens the volume, or this keyslot of it, and checks its seal.
///
/// # Errors
/// [`NotOpened`].
pub fn open_by_passphrase(
    closed: &Closed<'_>,
    typed: &Passphrase,
    only: Option<Slot>,
) -> Result<ByPassphrase, NotOpened> {
    let opened = open_by_passphrase_unsealed(closed, typed, only)?;
    let seal = check_seal(closed.header, &opened.key).map_err(NotOpened::Seal)?;
    Ok(ByPassphrase { seal, ..opened })
}

/// As [`open_by_passphrase`], for who is about to seal anew: what the seal says is only told.
///
/// # Errors
/// [`NotOpened::Closed`], [`NotOpened::Identity`].
pub fn open_by_passphrase_unsealed(
    closed: &Closed<'_>,
    typed: &Passphrase,
    only: Option<Slot>,
) -> Result<ByPassphrase, NotOpened> {
    let Closed { disk, header, expected } = *closed;
    expected.check_header(header.header()).map_err(NotOpened::Identity)?;
    let open = |passphrase: &Passphrase| match only {
        Some(slot) => open_keyslot(disk, header, slot, passphrase).map(|key| (slot, key)),
        None => open_any(disk, header, passphrase),
    };
    let made = |(slot, key): (Slot, VolumeKey), meant| {
        expected.check(header.header(), &key).map_err(NotOpened::Identity)?;
        let seal = header.seal_state(&key);
        Ok(ByPassphrase { slot, key, seal, meant })
    };
    let source = match open(typed) {
        Ok(opened) => return made(opened, None),
        Err(source) => source,
    };
    let wrong = matches!(source, OpenError::WrongPassphrase { .. } | OpenError::NoSlotOpens { .. });
    match read_recovery_key(typed) {
        Some(Reading::Key(meant) | Reading::Mistyped { as_typed: Some(meant), .. })
            if wrong && !meant.secret().ct_eq(typed.expose()) =>
        {
            made(open(&meant).map_err(NotOpened::Closed)?, Some(meant))
        }
        _ => Err(NotOpened::Closed(source)),
    }
}

impl NotOpened {
    /// Whether it is no passphrase of any keyslot that was tried.
    pub fn is_wrong_passphrase(&self) -> bool {
        matches!(self, NotOpened::Closed(OpenError::WrongPassphrase { .. } | OpenError::NoSlotOpens { .. }))
    }

    /// One thing to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            NotOpened::Closed(source) => source.hint(),
            NotOpened::Seal(fault) => Some(fault.hint()),
            NotOpened::Identity(fault) => Some(fault.hint()),
        }
    }
}

impl fmt::Display for NotOpened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotOpened::Closed(source) => source.fmt(f),
            NotOpened::Seal(_) => f.write_str("the volume is not used, though the passphrase opens it"),
            NotOpened::Identity(_) => f.write_str("the volume is not used"),
        }
    }
}

impl std::error::Error for NotOpened {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            NotOpened::Closed(source) => source.source(),
            NotOpened::Seal(fault) => Some(fault),
            NotOpened::Identity(fault) => Some(fault),
        }
    }
}
