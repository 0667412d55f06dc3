//! Why a TPM did not do what was asked.

use crate::response_code::{Meaning, ResponseCode};
use crate::transport::TransportError;
use crypto::RandomFailed;
use std::error::Error;
use std::fmt;
use std::io::ErrorKind;

/// Why a TPM did not do what was asked.
#[derive(Debug)]
pub enum TpmError {
    /// No answer.
    Transport(TransportError),
    /// The answer is no.
    Refused {
        /// The command, as the specification spells it.
        command: &'static str,
        /// What the TPM says.
        code: ResponseCode,
    },
    /// The answer is not one of this command: cut, too long, or full of what does not belong there.
    Malformed {
        /// The command.
        command: &'static str,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The HMAC of an answer does not fit it: somebody between here and the TPM changed it, or there is no TPM.
    Forged {
        /// The command.
        command: &'static str,
    },
    /// A name in an answer is not that of the object that was asked for: another key was put in its place.
    WrongName {
        /// The command.
        command: &'static str,
    },
    /// The parent key is not the one whose name was kept. Nothing secret was said to it.
    OtherParent,
    /// The TPM says of itself that its dictionary-attack protection has locked it. Nothing was tried.
    LockedOut,
    /// The TPM has no PCRs of this bank, or not all of those that were asked for.
    NoSuchPcr,
    /// What was handed in cannot be said to a TPM: a sealed object that is none, a secret that is too long.
    Unsayable {
        /// What it is.
        what: &'static str,
    },
    /// No random numbers.
    Random(RandomFailed),
}

impl TpmError {
    /// What the TPM said, if it said something.
    pub fn meaning(&self) -> Option<Meaning> {
        match self {
            TpmError::Refused { command, code } => Some(code.meaning_for(command)),
            TpmError::LockedOut => Some(Meaning::LockedOut),
            _ => None,
        }
    }

    /// Whether somebody gave up waiting.
    pub fn is_cancelled(&self) -> bool {
        matches!(self, TpmError::Transport(TransportError::Cancelled))
    }

    /// Whether the same may work later by itself: a driver comes late in a boot, a TPM is busy or full. What it has judged it has judged.
    pub fn may_pass(&self) -> bool {
        match self {
            TpmError::Transport(error) => !matches!(error, TransportError::Setting { .. } | TransportError::Cancelled),
            TpmError::Refused { command, code } => {
                matches!(
                    code.meaning_for(command),
                    Meaning::Again | Meaning::PcrChanged | Meaning::Full | Meaning::NoHandle
                )
            }
            _ => false,
        }
    }

    /// One command or one place to look.
    pub fn hint(&self) -> &'static str {
        match self {
            TpmError::Transport(error) => transport_hint(error),
            TpmError::Refused { command, code } => refusal_hint(code.meaning_for(command)),
            TpmError::LockedOut => refusal_hint(Meaning::LockedOut),
            TpmError::Malformed { .. } => "this is no TPM 2.0, or what stands between it and this program is broken",
            TpmError::Forged { .. } | TpmError::WrongName { .. } => {
                "somebody may sit between this machine and its TPM: do not type a passphrase before it was looked at"
            }
            TpmError::OtherParent => {
                "the binding is another TPM's, or the TPM was cleared, or somebody sits between this machine and its TPM: \
                 use a passphrase, then `cotter luks regen -d DEVICE -s SLOT`"
            }
            TpmError::NoSuchPcr => "see which banks the TPM has: `tpm2_getcap pcrs`; name another as `pcr_bank`",
            TpmError::Unsayable { .. } => {
                "the binding is damaged: restore it from a backup of the header, or remove it, `cotter luks unbind -d DEVICE -s SLOT`, and \
                 bind anew"
            }
            TpmError::Random(_) => "this should not happen; please report it with the whole message",
        }
    }
}

fn transport_hint(error: &TransportError) -> &'static str {
    match error {
        TransportError::NoDevice => "switch the TPM on in the firmware's settings, or name one in TPM2TOOLS_TCTI",
        TransportError::Setting { .. } => {
            "it is `device:/dev/tpmrm0`, `swtpm:host=IP,port=PORT` or `swtpm:path=SOCKET`"
        }
        TransportError::Open { source, .. } => open_hint(source.kind()),
        TransportError::Broken { .. } | TransportError::TooLong => {
            "see `dmesg` for the TPM's driver, or the log of swtpm"
        }
        TransportError::TimedOut { .. } => {
            "some TPMs take a minute for an RSA key: give it time by `--timeout`; else somebody may use it, or it is broken"
        }
        TransportError::Cancelled => "nothing to do: another attempt was faster, or somebody gave up",
    }
}

fn open_hint(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::PermissionDenied => "be root or in the group tss; see `ls -l /dev/tpm*`",
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
            "no TPM is there: see `dmesg` for its driver, or start swtpm; TPM2TOOLS_TCTI names another place"
        }
        ErrorKind::ResourceBusy => "another program has the TPM to itself: end it, or use /dev/tpmrm0, which is shared",
        _ => "see `ls -l /dev/tpm*`, and `dmesg` for the TPM's driver",
    }
}

fn refusal_hint(meaning: Meaning) -> &'static str {
    match meaning {
        Meaning::Again | Meaning::PcrChanged => "try again: the TPM was busy",
        Meaning::LockedOut => {
            "leave the machine on and wait, or as owner: `tpm2_dictionarylockout --clear-lockout`; \
             see `tpm2_getcap properties-variable`"
        }
        Meaning::PolicyFailed => {
            "what was booted is not what the binding was made for: use a passphrase, then `cotter luks regen -d DEVICE -s SLOT`"
        }
        Meaning::AuthFailed => {
            "the TPM's owner hierarchy has a password, and this needs it to be empty: `tpm2_changeauth -c owner -p OLD`"
        }
        Meaning::WrongValue => "type the PIN again; after some wrong ones the TPM locks for a while",
        Meaning::WrongSignature => "the approval is not by the key of the binding, or was changed: sign it again",
        Meaning::NoIndex => {
            "the TPM was cleared, or its counter was removed: use a passphrase, then give the binding another, \"counter\":true: \
             `cotter luks edit -d DEVICE -s SLOT`"
        }
        Meaning::IndexTaken => "another program uses this index: choose another, see `tpm2_nvreadpublic`",
        Meaning::NotWritten => {
            "the counter was removed and made anew: use a passphrase, then give the binding another, \"counter\":true: \
             `cotter luks edit -d DEVICE -s SLOT`"
        }
        Meaning::NotOurs => {
            "the binding is another TPM's, or the TPM was cleared: use a passphrase, then `cotter luks regen -d DEVICE -s SLOT`"
        }
        Meaning::Full => "somebody left objects or sessions in the TPM: `tpm2_flushcontext -t`, `tpm2_flushcontext -s`",
        Meaning::Disabled => "switch the TPM's owner hierarchy on in the firmware's settings",
        Meaning::NotStarted => "the TPM was reset behind the kernel's back: restart the machine",
        Meaning::SelfTestFailed => "switch the machine off and on; if it stays, the TPM is broken: use a passphrase",
        Meaning::Unsupported => "this TPM does not have that algorithm: choose another `hash`, `key` or `pcr_bank`",
        Meaning::NoHandle => "the TPM was reset in between: try again",
        Meaning::Other => "this should not happen; please report it with the whole message",
    }
}

impl From<TransportError> for TpmError {
    fn from(error: TransportError) -> TpmError {
        TpmError::Transport(error)
    }
}

impl From<RandomFailed> for TpmError {
    fn from(error: RandomFailed) -> TpmError {
        TpmError::Random(error)
    }
}

impl fmt::Display for TpmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TpmError::Transport(error) => error.fmt(f),
            TpmError::Refused { command, code } => match said(code.meaning_for(command)) {
                Some(said) => write!(f, "{said}: {command} gives {code}"),
                None => write!(f, "the TPM refuses {command}: {code}"),
            },
            TpmError::Malformed { command, what } => write!(f, "the TPM's answer to {command} is malformed: {what}"),
            TpmError::Forged { command } => {
                write!(f, "the answer to {command} does not come from the TPM: its HMAC does not fit")
            }
            TpmError::WrongName { command } => write!(f, "the answer to {command} is about another object"),
            TpmError::OtherParent => f.write_str("the TPM's parent key is not the one that this was sealed under"),
            TpmError::LockedOut => f.write_str(LOCKED_OUT),
            TpmError::NoSuchPcr => f.write_str("the TPM does not have these PCRs"),
            TpmError::Unsayable { what } => write!(f, "this cannot be given to a TPM: {what}"),
            TpmError::Random(_) => f.write_str("no random numbers"),
        }
    }
}

const LOCKED_OUT: &str = "the TPM is locked out by its dictionary-attack protection";

fn said(meaning: Meaning) -> Option<&'static str> {
    Some(match meaning {
        Meaning::Again => "the TPM stayed busy",
        Meaning::LockedOut => LOCKED_OUT,
        Meaning::PolicyFailed => "the TPM does not open this: its policy is not met",
        Meaning::PcrChanged => "the PCRs changed in the meantime",
        Meaning::AuthFailed => "the TPM wants a password",
        Meaning::WrongValue => "the PIN is wrong",
        Meaning::WrongSignature => "the TPM does not accept the signature",
        Meaning::NoIndex => "the TPM has no such index",
        Meaning::IndexTaken => "the TPM has such an index already",
        Meaning::NotWritten => "there is nothing in the TPM's index yet",
        Meaning::NotOurs => "the TPM does not know this object",
        Meaning::Full => "the TPM has no room left",
        Meaning::Disabled => "the TPM's hierarchy is switched off",
        Meaning::NotStarted => "the TPM was not started",
        Meaning::SelfTestFailed => "the TPM says that it is broken",
        Meaning::Unsupported => "the TPM cannot do that",
        Meaning::NoHandle => "the TPM lost what it was given",
        Meaning::Other => return None,
    })
}

impl Error for TpmError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            // Shown as it is.
            TpmError::Transport(error) => error.source(),
            TpmError::Random(source) => Some(source),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Only a door that is shut is opened by being root.
    #[test]
    fn each_reason_not_to_open_has_its_own_step() {
        let hint = |kind: ErrorKind| {
            let error = TransportError::Open { place: "/dev/tpmrm0".into(), source: kind.into() };
            TpmError::from(error).hint()
        };
        let kinds = [
            (ErrorKind::PermissionDenied, "group tss"),
            (ErrorKind::NotFound, "no TPM is there"),
            (ErrorKind::ConnectionRefused, "start swtpm"),
            (ErrorKind::ResourceBusy, "another program"),
            (ErrorKind::Other, "dmesg"),
        ];
        for (kind, expected) in kinds {
            assert!(hint(kind).contains(expected), "{kind:?}: {}", hint(kind));
            assert_eq!(hint(kind).contains("be root"), kind == ErrorKind::PermissionDenied, "{kind:?}");
        }
    }
}
