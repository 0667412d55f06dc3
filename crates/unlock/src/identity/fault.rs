//! Why a volume is not the one that it should be.

use super::parent_name::ParentName;
use luks::{KeyFingerprint, Slot};
use std::fmt;
use uuid::Uuid;

/// Why a volume is not the one that it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdentityFault {
    /// It has the UUID of a volume that is expected, and another key: somebody else's disk in the place of yours.
    OtherKey {
        /// The UUID of both.
        uuid: Uuid,
        /// The fingerprint of the key that was expected.
        expected: KeyFingerprint,
        /// That of the key that is there.
        found: KeyFingerprint,
        /// What people call the volume that was expected.
        name: Option<String>,
    },
    /// Its UUID is none of those that are expected, and no others are opened.
    Unlisted {
        /// The UUID.
        uuid: Uuid,
    },
    /// A volume was expected, and this is none.
    NotLuks {
        /// What is there instead, if it has a name.
        found: Option<&'static str>,
    },
    /// The binding that opened it was made for another volume key.
    BoundToOther {
        /// The keyslot of the binding.
        slot: Slot,
        /// The UUID of the volume that it was made for.
        uuid: Uuid,
    },
    /// One of its keyslots would have told a PIN, or what shows it, to a key of the TPM that is not expected.
    OtherParent {
        /// The keyslot.
        slot: Slot,
        /// The UUID of the volume.
        uuid: Uuid,
        /// The name of the key; nothing if the keyslot names none.
        found: Option<ParentName>,
    },
    /// What the binding that opened it says of its volume makes no sense.
    Malformed {
        /// The keyslot of the binding.
        slot: Slot,
    },
}

impl IdentityFault {
    /// Whether it is about the volume and not about one of its bindings: then nothing else is to be tried on it.
    pub fn is_of_volume(&self) -> bool {
        match self {
            IdentityFault::OtherKey { .. } | IdentityFault::Unlisted { .. } | IdentityFault::NotLuks { .. } => true,
            IdentityFault::BoundToOther { .. }
            | IdentityFault::OtherParent { .. }
            | IdentityFault::Malformed { .. } => false,
        }
    }

    /// Whether somebody seems to have had his hands on the disk.
    pub fn is_alarm(&self) -> bool {
        self.is_of_volume() || matches!(self, IdentityFault::OtherParent { .. })
    }

    /// One thing to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            IdentityFault::OtherKey { .. } => {
                "do not use this disk, and find out who had access to it; only if you have encrypted it anew yourself: \
                 `cotter luks identity -d DEVICE --add FILE --replace`"
            }
            IdentityFault::Unlisted { .. } => "if it is yours: `cotter luks identity -d DEVICE --add FILE`",
            IdentityFault::NotLuks { .. } => {
                "do not use this disk, and find out who had access to it; `cotter image info DEVICE` says what is there"
            }
            IdentityFault::BoundToOther { .. } => {
                "if the volume was encrypted anew, make the binding anew with a passphrase: `cotter luks regen -k FILE`"
            }
            IdentityFault::OtherParent { found: None, .. } => {
                "do not type a PIN, and find out who had access to the disk; only if systemd before 254 enrolled it, which names no key: enrol it \
                 again with a later one, `systemd-cryptenroll --wipe-slot=tpm2`, or bind it to `cotter-tpm2`, then `cotter luks identity -d \
                 DEVICE --add FILE --replace`"
            }
            IdentityFault::OtherParent { .. } => {
                "do not type a PIN, and find out who had access to the disk; only if you have bound it yourself since the list was made: \
                 `cotter luks identity -d DEVICE --add FILE --replace`"
            }
            IdentityFault::Malformed { .. } => "make the binding anew: `cotter luks regen`",
        }
    }
}

impl fmt::Display for IdentityFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IdentityFault::OtherKey { uuid, expected, found, name } => {
                write!(f, "ALARM: this is not the volume {uuid} ")?;
                if let Some(name) = name {
                    write!(f, "({name}) ")?;
                }
                write!(f, "that is expected but a foreign one with its UUID: its key is {found}, not {expected}")
            }
            IdentityFault::Unlisted { uuid } => {
                write!(f, "the volume {uuid} is none of those that are expected, and no others are opened")
            }
            IdentityFault::NotLuks { found: Some(found) } => {
                write!(f, "ALARM: an encrypted volume is expected, and this is none: {found}")
            }
            IdentityFault::NotLuks { found: None } => {
                f.write_str("ALARM: an encrypted volume is expected, and this is none")
            }
            IdentityFault::BoundToOther { slot, uuid } => write!(
                f,
                "the binding of keyslot {slot} was made for the volume {uuid} with another key: this is another volume, or it was \
                 encrypted anew"
            ),
            IdentityFault::OtherParent { slot, uuid, found } => {
                write!(f, "ALARM: keyslot {slot} of the volume {uuid} ")?;
                match found {
                    Some(found) => write!(f, "names {found} as its key in the TPM")?,
                    None => f.write_str("does not name its key in the TPM")?,
                }
                f.write_str(", which is none of those that are expected: the TPM was asked nothing")
            }
            IdentityFault::Malformed { slot } => {
                write!(f, "what the binding of keyslot {slot} says of its volume makes no sense")
            }
        }
    }
}

impl std::error::Error for IdentityFault {}
