//! What a TPM says instead of doing what it was told (part 2, section 6.6).

use std::fmt;
use tpm2_protocol::data::{TpmRc, TpmRcBase};

/// A response code other than success.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ResponseCode(u32);

/// What a response code means for whoever asked. Several codes may mean the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// The same command may be sent again at once (`RETRY`, `YIELDED`, `TESTING`, `NV_RATE`).
    Again,
    /// Too many failed authorisations or unclean power-offs: nothing that is under dictionary-attack protection is done for a while.
    LockedOut,
    /// The policy of the object is not met: the PCRs moved, or a session says something else.
    PolicyFailed,
    /// The PCRs changed while they were looked at.
    PcrChanged,
    /// The authorisation value is wrong: a hierarchy or an object has a password.
    AuthFailed,
    /// The authorisation value of a sealed object is wrong: a mistyped PIN. If the object is counted, so is this.
    WrongValue,
    /// A signature is not the key's, or not over this.
    WrongSignature,
    /// There is no index of this number in the TPM's memory: it was never defined, or removed, or the TPM was cleared.
    NoIndex,
    /// There is one already.
    IndexTaken,
    /// Nothing was written to the index yet.
    NotWritten,
    /// The object is not one of this TPM, or was changed, or belongs to another parent or to a time before the TPM was cleared.
    NotOurs,
    /// No room for another object or session: somebody left theirs behind.
    Full,
    /// The hierarchy is switched off in the firmware.
    Disabled,
    /// Nobody started the TPM since it was reset.
    NotStarted,
    /// The TPM found itself broken and does nothing but say so until it is reset.
    SelfTestFailed,
    /// It does not know the algorithm, the curve, the size or the command.
    Unsupported,
    /// A handle that there is not: flushed, or lost in a reset.
    NoHandle,
    /// Anything else: most of it is a command that is wrong, which would be our mistake.
    Other,
}

impl ResponseCode {
    pub(crate) fn new(code: u32) -> ResponseCode {
        ResponseCode(code)
    }

    /// As it came.
    pub fn value(self) -> u32 {
        self.0
    }

    /// What it means.
    pub fn meaning(self) -> Meaning {
        use TpmRcBase as Rc;
        match self.base() {
            Some(Rc::Retry | Rc::Yielded | Rc::Testing | Rc::NvRate) => Meaning::Again,
            Some(Rc::Lockout) => Meaning::LockedOut,
            Some(Rc::PolicyFail | Rc::Policy | Rc::PolicyCc | Rc::Expired) => Meaning::PolicyFailed,
            Some(Rc::PcrChanged) => Meaning::PcrChanged,
            Some(Rc::AuthFail | Rc::BadAuth | Rc::AuthType | Rc::AuthMissing | Rc::AuthUnavailable) => {
                Meaning::AuthFailed
            }
            Some(Rc::Signature) => Meaning::WrongSignature,
            Some(Rc::NvDefined) => Meaning::IndexTaken,
            Some(Rc::NvUninitialized) => Meaning::NotWritten,
            Some(Rc::Integrity | Rc::Binding | Rc::Parent | Rc::Sensitive | Rc::Private) => Meaning::NotOurs,
            Some(
                Rc::ObjectMemory
                | Rc::SessionMemory
                | Rc::Memory
                | Rc::SessionHandles
                | Rc::ObjectHandles
                | Rc::TooManyContexts
                | Rc::NvSpace,
            ) => Meaning::Full,
            Some(Rc::Disabled | Rc::Hierarchy) => Meaning::Disabled,
            Some(Rc::Initialize | Rc::Reboot) => Meaning::NotStarted,
            Some(Rc::Failure | Rc::NeedsTest) => Meaning::SelfTestFailed,
            Some(
                Rc::Hash | Rc::Asymmetric | Rc::KeySize | Rc::Curve | Rc::Symmetric | Rc::Scheme | Rc::CommandCode,
            ) => Meaning::Unsupported,
            Some(Rc::Handle | Rc::ReferenceH0 | Rc::ReferenceH1 | Rc::ReferenceS0 | Rc::ReferenceS1) => {
                Meaning::NoHandle
            }
            _ => Meaning::Other,
        }
    }

    /// What it means as the answer to this command. Some codes say little without it.
    pub(crate) fn meaning_for(self, command: &str) -> Meaning {
        match (command, self.meaning()) {
            // Only sealed data has a value here. The others are empty, and refused where somebody changed what was said.
            ("TPM2_Unseal", Meaning::AuthFailed) => Meaning::WrongValue,
            // No branch of the choice, or not what was signed.
            ("TPM2_PolicyOR" | "TPM2_PolicyAuthorize" | "TPM2_PolicyPCR", _)
                if self.base() == Some(TpmRcBase::Value) =>
            {
                Meaning::PolicyFailed
            }
            (command, Meaning::NoHandle) if command.contains("NV") => Meaning::NoIndex,
            (_, meaning) => meaning,
        }
    }

    fn base(self) -> Option<TpmRcBase> {
        TpmRc::try_from(self.0).ok().map(|code| code.base())
    }
}

impl fmt::Display for ResponseCode {
    /// The name that the specification gives it, and the number: what a person can search for.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.base() {
            Some(name) => write!(f, "{name} (0x{:x})", self.0),
            None => write!(f, "response code 0x{:x}", self.0),
        }
    }
}

impl fmt::Debug for ResponseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers as TPMs and swtpm send them, with and without the index of a parameter, a handle or a session.
    #[test]
    fn codes_have_a_name_and_a_meaning() {
        for (code, name, meaning) in [
            (0x922, "TPM_RC_RETRY (0x922)", Meaning::Again),
            (0x921, "TPM_RC_LOCKOUT (0x921)", Meaning::LockedOut),
            (0x99d, "TPM_RC_POLICY_FAIL (0x99d)", Meaning::PolicyFailed),
            (0x128, "TPM_RC_PCR_CHANGED (0x128)", Meaning::PcrChanged),
            (0x98e, "TPM_RC_AUTH_FAIL (0x98e)", Meaning::AuthFailed),
            (0x9a2, "TPM_RC_BAD_AUTH (0x9a2)", Meaning::AuthFailed),
            (0x1df, "TPM_RC_INTEGRITY (0x1df)", Meaning::NotOurs),
            (0x902, "TPM_RC_OBJECT_MEMORY (0x902)", Meaning::Full),
            (0x185, "TPM_RC_HIERARCHY (0x185)", Meaning::Disabled),
            (0x120, "TPM_RC_DISABLED (0x120)", Meaning::Disabled),
            (0x100, "TPM_RC_INITIALIZE (0x100)", Meaning::NotStarted),
            (0x101, "TPM_RC_FAILURE (0x101)", Meaning::SelfTestFailed),
            (0x2c3, "TPM_RC_HASH (0x2c3)", Meaning::Unsupported),
            (0x910, "TPM_RC_REFERENCE_H0 (0x910)", Meaning::NoHandle),
            (0x18b, "TPM_RC_HANDLE (0x18b)", Meaning::NoHandle),
            (0x1d5, "TPM_RC_SIZE (0x1d5)", Meaning::Other),
            (0xdead_beef, "response code 0xdeadbeef", Meaning::Other),
        ] {
            let code = ResponseCode::new(code);
            assert_eq!((code.to_string().as_str(), code.meaning()), (name, meaning));
        }
    }
}
