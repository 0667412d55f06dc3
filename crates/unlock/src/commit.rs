//! A binding onto the disk, and off it again.
//!
//! The lock is never held over a key derivation: the change is computed without it, and computed anew when the header turns out
//! to have changed meanwhile. After writing, the header is read back and the new keyslot is opened with the new passphrase; if
//! that fails, or the person gives up, what was on the disk before is put back.

use crate::bind::Prepared;
use crate::binding::{Binding, bindings, token_members, tokens};
use block::BlockWrite;
use clevis::{Cancel, PinError};
use crypto::{Random, VolumeKey};
use luks::{
    Accepted, Allowed, Applied, ApplyError, Edit, EditError, Header, HeaderError, KdfCost, NewKeyslot, OpenError,
    Refused, RevertError, Slot, TokenId, open_keyslot,
};
use std::error::Error;
use std::fmt;

/// Takes the write lock of the volume; it is held until what is returned is dropped.
pub type Exclusive<'a> = dyn Fn() -> Result<Box<dyn Send>, Box<dyn Error + Send + Sync>> + 'a;

/// A binding that is on the disk.
#[derive(Debug)]
pub struct Bound {
    /// The keyslot.
    pub slot: Slot,
    /// The token.
    pub token: TokenId,
    /// Why the policy could not be tried, if it could not.
    pub unproved: Option<PinError>,
}

/// How often a change is computed anew because somebody else was quicker.
const TRIES: usize = 3;

/// Why a volume is as it was before.
#[derive(Debug)]
pub enum CommitError {
    /// The header cannot be read.
    Header(HeaderError),
    /// The header is not one that is used.
    Refused(Refused),
    /// The change is not possible.
    Edit(EditError),
    /// The lock was not given.
    Lock(Box<dyn Error + Send + Sync>),
    /// Writing failed.
    Apply(ApplyError),
    /// Somebody else changed the header each time.
    Busy,
    /// The person gave up.
    Cancelled,
    /// The new keyslot did not open; the old header was put back.
    NotOpened(OpenError),
    /// The header did not read back as written; the old one was put back.
    NotReadBack,
    /// The keyslot is not bound as it was when it was chosen: somebody else has changed it meanwhile.
    NotBound {
        /// The keyslot.
        slot: Slot,
    },
    /// The keyslot is the last one: without it nothing opens the volume.
    LastSlot {
        /// The keyslot.
        slot: Slot,
    },
    /// The new header is on the disk, and the old one could not be put back.
    NotReverted {
        /// Why it had to be.
        because: Box<CommitError>,
        /// Why it was not.
        source: RevertFailure,
    },
}

/// Why an old header was not put back.
#[derive(Debug)]
pub enum RevertFailure {
    /// The lock was not given a second time.
    Lock(Box<dyn Error + Send + Sync>),
    /// Writing it failed, or somebody else has changed the header since.
    Revert(RevertError),
}

/// The change that a bind makes to this header; nothing is written. Bindings whose keyslot is gone are cleared away, as the
/// original does.
///
/// # Errors
/// [`EditError`] if there is no room for it.
pub fn bind_edit<'a>(
    header: &'a Accepted,
    key: &VolumeKey,
    prepared: &Prepared,
    random: &'a dyn Random,
) -> Result<(Edit<'a>, Slot, TokenId), EditError> {
    let mut edit = Edit::new(header, random)?;
    let stale: Vec<TokenId> =
        tokens(header.header()).filter(|(_, t)| t.keyslots.is_empty()).map(|(id, _)| id).collect();
    for token in stale {
        edit.remove_token(token)?;
    }
    let hash = header.slot_hash();
    let slot = edit.add_keyslot(&NewKeyslot {
        key,
        passphrase: &prepared.passphrase,
        slot: prepared.slot,
        kdf: KdfCost::random_passphrase(hash),
        af_hash: hash,
    })?;
    let token = edit.add_token(prepared.token, token_members(slot, &prepared.jwe))?;
    Ok((edit, slot, token))
}

/// The change that takes a binding off this header; nothing is written. A token that then serves no keyslot goes too; one that
/// serves others stays.
///
/// # Errors
/// [`CommitError::NotBound`] if the header no longer has this very binding, [`CommitError::LastSlot`] if nothing else would open
/// the volume, [`CommitError::Edit`].
pub fn unbind_edit<'a>(
    header: &'a Accepted,
    binding: &Binding,
    random: &'a dyn Random,
) -> Result<Edit<'a>, CommitError> {
    let wanted = binding.jwe.to_flattened();
    let same = |found: &Binding| (found.slot, found.token) == (binding.slot, binding.token);
    let found = bindings(header.header()).into_iter().find(same);
    if found.is_none_or(|found| found.jwe.to_flattened() != wanted) {
        return Err(CommitError::NotBound { slot: binding.slot });
    }
    if header.slots().all(|slot| slot == binding.slot) {
        return Err(CommitError::LastSlot { slot: binding.slot });
    }
    let mut edit = Edit::new(header, random).map_err(CommitError::Edit)?;
    edit.remove_keyslot(binding.slot).map_err(CommitError::Edit)?;
    let idle = |(_, token): &(TokenId, &luks::Token)| token.keyslots.iter().all(|slot| *slot == binding.slot);
    for (id, _) in tokens(header.header()).filter(idle) {
        edit.remove_token(id).map_err(CommitError::Edit)?;
    }
    Ok(edit)
}

/// Binds: writes the keyslot and its token, and proves that the keyslot opens.
///
/// # Errors
/// [`CommitError`]. The disk is then byte for byte as it was, unless it is [`CommitError::NotReverted`], or
/// [`CommitError::Apply`] with [`ApplyError::HalfDone`].
pub fn bind(
    disk: &dyn BlockWrite,
    exclusive: &Exclusive<'_>,
    key: &VolumeKey,
    prepared: Prepared,
    random: &dyn Random,
    cancel: &Cancel,
) -> Result<Bound, CommitError> {
    let (applied, (slot, token)) = write(disk, exclusive, random, cancel, |header, random| {
        let (edit, slot, token) = bind_edit(header, key, &prepared, random).map_err(CommitError::Edit)?;
        Ok((edit, (slot, token)))
    })?;
    match prove(disk, &prepared, slot, token).and_then(|()| alive(cancel)) {
        Ok(()) => Ok(Bound { slot, token, unproved: prepared.unproved }),
        Err(because) => Err(take_back(disk, exclusive, applied, because)),
    }
}

/// Unbinds: overwrites the keyslot and removes its token.
///
/// # Errors
/// [`CommitError`].
pub fn unbind(
    disk: &dyn BlockWrite,
    exclusive: &Exclusive<'_>,
    binding: &Binding,
    random: &dyn Random,
    cancel: &Cancel,
) -> Result<(), CommitError> {
    write(disk, exclusive, random, cancel, |header, random| Ok((unbind_edit(header, binding, random)?, ()))).map(|_| ())
}

/// Computes a change, takes the lock and writes it; anew if the header has changed in between.
fn write<T>(
    disk: &dyn BlockWrite,
    exclusive: &Exclusive<'_>,
    random: &dyn Random,
    cancel: &Cancel,
    change: impl for<'h> Fn(&'h Accepted, &'h dyn Random) -> Result<(Edit<'h>, T), CommitError>,
) -> Result<(Applied, T), CommitError> {
    for _ in 0..TRIES {
        let header = accepted(disk)?;
        let (edit, made) = change(&header, random)?;
        let held = exclusive().map_err(CommitError::Lock)?;
        alive(cancel)?;
        let applied = edit.apply(disk);
        drop(held);
        match applied {
            Ok(applied) => return Ok((applied, made)),
            Err(ApplyError::Changed { .. }) => {}
            Err(error) => return Err(CommitError::Apply(error)),
        }
    }
    Err(CommitError::Busy)
}

/// Reads the disk again, as the next start will: the binding is there, and its passphrase opens its keyslot.
fn prove(disk: &dyn BlockWrite, prepared: &Prepared, slot: Slot, token: TokenId) -> Result<(), CommitError> {
    let header = accepted(disk)?;
    let wanted = prepared.jwe.to_flattened();
    let written = bindings(header.header()).into_iter().find(|found| found.slot == slot && found.token == token);
    if written.is_none_or(|found| found.jwe.to_flattened() != wanted) {
        return Err(CommitError::NotReadBack);
    }
    open_keyslot(&disk, &header, slot, &prepared.passphrase).map(|_| ()).map_err(CommitError::NotOpened)
}

fn take_back(disk: &dyn BlockWrite, exclusive: &Exclusive<'_>, applied: Applied, because: CommitError) -> CommitError {
    let reverted = exclusive().map_err(RevertFailure::Lock).and_then(|held| {
        let reverted = applied.undo.revert(disk).map_err(RevertFailure::Revert);
        drop(held);
        reverted
    });
    match reverted {
        Ok(()) => because,
        Err(source) => CommitError::NotReverted { because: Box::new(because), source },
    }
}

fn accepted(disk: &dyn BlockWrite) -> Result<Accepted, CommitError> {
    let header = Header::read(&disk).map_err(CommitError::Header)?;
    header.accept(&Allowed::default()).map_err(CommitError::Refused)
}

fn alive(cancel: &Cancel) -> Result<(), CommitError> {
    if cancel.is_cancelled() { Err(CommitError::Cancelled) } else { Ok(()) }
}

impl fmt::Display for CommitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CommitError::Header(_) => f.write_str("the header cannot be read"),
            CommitError::Refused(_) => f.write_str("the header is refused"),
            CommitError::Edit(_) => f.write_str("the header cannot be changed so"),
            CommitError::Lock(_) => f.write_str("the volume could not be locked"),
            CommitError::Apply(ApplyError::HalfDone { .. }) => f.write_str("the header is half written"),
            CommitError::Apply(_) => f.write_str("the header was not written"),
            CommitError::Busy => write!(f, "somebody else changed the header {TRIES} times meanwhile"),
            CommitError::Cancelled => f.write_str("given up; the header is as it was"),
            CommitError::NotOpened(_) => f.write_str("the new keyslot did not open; the old header was put back"),
            CommitError::NotReadBack => f.write_str("the new header did not read back; the old one was put back"),
            CommitError::NotBound { slot } => {
                write!(
                    f,
                    "keyslot {slot} is not bound any more as it was: somebody else has changed it; nothing was written"
                )
            }
            CommitError::LastSlot { slot } => {
                write!(f, "keyslot {slot} is the last one: without it nothing opens the volume")
            }
            CommitError::NotReverted { because, .. } => {
                write!(
                    f,
                    "the new binding is on the disk, and it should not be ({because}); putting the old header back failed"
                )
            }
        }
    }
}

impl Error for CommitError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            CommitError::Header(source) => Some(source),
            CommitError::Refused(source) => Some(source),
            CommitError::Edit(source) => Some(source),
            CommitError::Lock(source) => Some(source.as_ref()),
            CommitError::Apply(source) => Some(source),
            CommitError::NotOpened(source) => Some(source),
            CommitError::NotReverted { source, .. } => Some(source),
            CommitError::Busy
            | CommitError::Cancelled
            | CommitError::NotReadBack
            | CommitError::NotBound { .. }
            | CommitError::LastSlot { .. } => None,
        }
    }
}

impl CommitError {
    /// One thing to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            CommitError::LastSlot { .. } => "add a passphrase first: `cryptsetup luksAddKey`",
            CommitError::NotBound { .. } | CommitError::Busy => {
                "see what is there now: `cotter luks list`, `cotter luks dump`"
            }
            CommitError::NotReverted { .. } => "take the binding off when the disk works again: `cotter luks unbind`",
            CommitError::Apply(ApplyError::HalfDone { .. }) => {
                "do not write to the disk; save its first 16 MiB, then `cotter luks dump`"
            }
            CommitError::NotOpened(_) | CommitError::NotReadBack => {
                "check the disk: what was written does not read back"
            }
            _ => "",
        }
    }
}

impl fmt::Display for RevertFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RevertFailure::Lock(_) => f.write_str("the volume could not be locked again"),
            RevertFailure::Revert(_) => f.write_str("it could not be written"),
        }
    }
}

impl Error for RevertFailure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            RevertFailure::Lock(source) => Some(source.as_ref()),
            RevertFailure::Revert(source) => Some(source),
        }
    }
}
