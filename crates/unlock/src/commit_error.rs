//! Why a volume is as it was before, or was left in between.

use crate::seal_fault::SealFault;
use block::Bytes;
use clevis::PinError;
use jose::JweError;
use luks::{ApplyError, EditError, HeaderError, OpenError, Refused, RevertError, Slot};
use std::error::Error;
use std::fmt;

/// How often a change is computed anew because somebody else was quicker. Whoever computes without the lock may lose many times
/// to others who compute with it.
pub(crate) const TRIES: usize = 30;

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
    /// More approvals than are read.
    TooManyApprovals {
        /// How many are read.
        limit: usize,
    },
    /// The keyslot is the last one: without it nothing opens the volume.
    LastSlot {
        /// The keyslot.
        slot: Slot,
    },
    /// The keyslot is the last one that a person can use; the others open by policies alone, or nobody knows by what.
    LastHumanSlot {
        /// The keyslot.
        slot: Slot,
        /// Keyslots that open only for who names them.
        ignored: Vec<Slot>,
        /// Keyslots that may be those of bindings which are gone.
        lost: Vec<Slot>,
    },
    /// The keyslot is the last one that is known to open the volume.
    LastBinding {
        /// The keyslot.
        slot: Slot,
        /// The others: they may be those of bindings which are gone.
        lost: Vec<Slot>,
    },
    /// The keyslots would stay, and what brings their passphrases would go.
    Orphans {
        /// The keyslots.
        slots: Vec<Slot>,
    },
    /// The keyslot is bound to a policy, whose passphrase cannot be another's.
    Bound {
        /// The keyslot.
        slot: Slot,
    },
    /// The keyslot is served by something else of another program, whose passphrase cannot be another's.
    Served {
        /// The keyslot.
        slot: Slot,
    },
    /// The LUKS1 volume has no LUKSMeta to keep a binding in, and nobody has agreed to making it.
    NoMeta,
    /// The binding does not fit into the gap between key material and data of the LUKS1 volume, where LUKSMeta is.
    NoRoomInMeta {
        /// How long the binding is.
        needed: Bytes,
        /// How much room there is in one piece.
        there: Bytes,
    },
    /// LUKSMeta holds compact JWEs, and this one has no compact form.
    NotCompact {
        /// The keyslot.
        slot: Slot,
        /// Why not.
        source: JweError,
    },
    /// The policy could not be tried, so the keyslot that it was to replace stays. Nothing was written.
    Unproved,
    /// The new binding is there and proved, but the keyslot that it was to replace is there too.
    OldStays {
        /// The keyslot that should be gone.
        slot: Slot,
        /// The keyslot that is bound.
        bound: Slot,
        /// Why it is not gone.
        source: Box<CommitError>,
    },
    /// A binding that could not be opened says of a seal what no seal will agree with.
    SealFault(SealFault),
    /// A LUKS1 volume keeps its seal in its bindings, and none of them was opened.
    NothingToSeal,
    /// The binding could not be made to say that the header is sealed.
    Annotate(PinError),
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

impl fmt::Display for CommitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CommitError::Header(_) => f.write_str("the header cannot be read"),
            CommitError::Refused(_) => f.write_str("the header is refused"),
            CommitError::TooManyApprovals { limit } => write!(f, "there would be more than {limit} approvals"),
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
            CommitError::LastHumanSlot { slot, ignored, lost } => {
                write!(f, "keyslot {slot} is the last one that a person can use: the others open by policies alone")?;
                if !ignored.is_empty() {
                    write!(f, ", or only when they are named ({})", listed(ignored))?;
                }
                if lost.is_empty() {
                    Ok(())
                } else {
                    write!(f, ", or belong to bindings that were lost ({})", listed(lost))
                }
            }
            CommitError::LastBinding { slot, lost } => write!(
                f,
                "keyslot {slot} is the last one that is known to open the volume: the others may belong to bindings that were \
                 lost ({})",
                listed(lost)
            ),
            CommitError::Orphans { slots } => {
                write!(f, "the passphrases of these keyslots would be lost, and the keyslots stay: {}", listed(slots))
            }
            CommitError::Bound { slot } => {
                write!(f, "keyslot {slot} is bound to a policy, and another passphrase would break it")
            }
            CommitError::Served { slot } => {
                write!(
                    f,
                    "another program keeps the passphrase of keyslot {slot}, and another passphrase would break that"
                )
            }
            CommitError::NoMeta => {
                f.write_str("there is no LUKSMeta on this LUKS1 volume, where its binding would be kept")
            }
            CommitError::NoRoomInMeta { needed, there } => write!(
                f,
                "the binding takes {} bytes, and the gap behind the key material of this LUKS1 volume has room for {}; nothing \
                 was written",
                needed.0, there.0
            ),
            CommitError::NotCompact { slot, .. } => {
                write!(f, "the binding of keyslot {slot} does not go into LUKSMeta")
            }
            CommitError::Unproved => {
                f.write_str("the policy could not be tried, so nothing is replaced by it; nothing was written")
            }
            CommitError::OldStays { slot, bound, .. } => {
                write!(f, "keyslot {bound} is bound, but keyslot {slot}, which it was to replace, was not removed")
            }
            CommitError::SealFault(source) => source.fmt(f),
            CommitError::NothingToSeal => {
                f.write_str("a LUKS1 volume keeps its seal in its bindings, and none of them was opened")
            }
            CommitError::Annotate(_) => f.write_str("the binding could not be made to say that the header is sealed"),
            CommitError::NotReverted { because, .. } => {
                write!(
                    f,
                    "the change is on the disk, and it should not be ({because}); putting the old header back failed"
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
            CommitError::Annotate(source) => Some(source),
            CommitError::OldStays { source, .. } => Some(source.as_ref()),
            CommitError::NotCompact { source, .. } => Some(source),
            CommitError::Busy
            | CommitError::Cancelled
            | CommitError::NotReadBack
            | CommitError::NotBound { .. }
            | CommitError::LastHumanSlot { .. }
            | CommitError::LastBinding { .. }
            | CommitError::Orphans { .. }
            | CommitError::Unproved
            | CommitError::NoMeta
            | CommitError::NothingToSeal
            | CommitError::SealFault(_)
            | CommitError::NoRoomInMeta { .. }
            | CommitError::Bound { .. }
            | CommitError::Served { .. }
            | CommitError::TooManyApprovals { .. }
            | CommitError::LastSlot { .. } => None,
        }
    }
}

impl CommitError {
    /// Whether what was to be written may be on the disk all the same.
    pub fn may_have_written(&self) -> bool {
        matches!(
            self,
            CommitError::OldStays { .. }
                | CommitError::NotReverted { .. }
                | CommitError::Apply(ApplyError::HalfDone { .. })
        )
    }

    /// One thing to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            CommitError::TooManyApprovals { .. } => {
                "`cotter luks reseal -d DEV --sign FILE --drop-old` leaves what holds now"
            }
            CommitError::LastSlot { .. } | CommitError::LastHumanSlot { .. } | CommitError::LastBinding { .. } => {
                "add a passphrase first: `cotter luks add`"
            }
            CommitError::Orphans { .. } => {
                "remove the keyslot with it: `cotter luks unbind`; or say that it is meant: --orphan"
            }
            CommitError::SealFault(fault) => fault.hint(),
            CommitError::NothingToSeal => "bind a keyslot first, or seal where its servers answer",
            CommitError::NoMeta => "let it be made: -y, or `cotter luks meta init`",
            CommitError::NoRoomInMeta { .. } => {
                "bind to fewer servers, remove a binding that is not needed, or use LUKS2: its header has room"
            }
            CommitError::Unproved => "try again when the servers answer",
            CommitError::OldStays { .. } => "remove it when that is possible: `cotter luks kill`",
            CommitError::Bound { .. } => "give the policy a new passphrase: `cotter luks regen`",
            CommitError::Served { .. } => "add a passphrase beside it: `cotter luks add`",
            CommitError::NotBound { .. } | CommitError::Busy => {
                "see what is there now: `cotter luks list`, `cotter luks dump`"
            }
            CommitError::NotReverted { .. } => {
                "take it back when the disk works again: `cotter luks list`, `cotter luks unbind`"
            }
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

fn listed(slots: &[Slot]) -> String {
    slots.iter().map(Slot::to_string).collect::<Vec<_>>().join(", ")
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
