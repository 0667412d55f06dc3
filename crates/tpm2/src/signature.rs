//! Signatures that a TPM verifies: the public half of a key is loaded, and a ticket comes back with which a policy believes it
//! (part 3, sections 12.3 and 20.1).

use crate::authorisation::Authorisation;
use crate::conversation::Tpm;
use crate::error::TpmError;
use crate::object::{Object, push_public};
use crate::public::Public;
use crate::verifying_key::VerifyingKey;
use crate::wire::{AnswerHandles, Reader, Request, bytes_of, name, push_sized};
use tpm2_protocol::data::{TpmCc, TpmSt};
use zeroize::Zeroizing;

/// `TPM_RH_OWNER`: in the hierarchy of nobody tickets are empty.
const OWNER: u32 = 0x4000_0001;

/// That a TPM has verified a signature. Only the same TPM, until it is reset, believes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    hierarchy: u32,
    digest: Vec<u8>,
}

impl Ticket {
    /// `TPMT_TK_VERIFIED`.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, TpmError> {
        let mut bytes = TpmSt::Verified.value().to_be_bytes().to_vec();
        bytes.extend(self.hierarchy.to_be_bytes());
        push_sized(&mut bytes, &self.digest).map(|()| bytes)
    }
}

impl<'a> Tpm<'a> {
    /// Loads the key, verifies the signature and flushes the key.
    ///
    /// # Errors
    /// [`TpmError`]; [`TpmError::Unsayable`] if the policy names another key.
    pub(crate) fn approve(
        &self,
        key: &VerifyingKey,
        key_name: &[u8],
        approved: &[u8],
        reference: &[u8],
        signature: &[u8],
    ) -> Result<Ticket, TpmError> {
        if key.name()? != key_name {
            return Err(TpmError::Unsayable { what: "a signature by another key than the policy names" });
        }
        let loaded = self.load_external(key)?;
        self.verify_signature(&loaded, key, &VerifyingKey::digest(approved, reference), signature)
    }

    /// `TPM2_LoadExternal`: the public half of a key.
    ///
    /// # Errors
    /// [`TpmError`]; [`TpmError::WrongName`] if the TPM names another.
    pub fn load_external<'t>(&'t self, key: &VerifyingKey) -> Result<Object<'t, 'a>, TpmError> {
        let area = key.area()?;
        // No private half.
        let mut parameters = Zeroizing::new(vec![0, 0]);
        push_public(&mut parameters, &area)?;
        parameters.extend(OWNER.to_be_bytes());
        let code = TpmCc::LoadExternal;
        let request = Request { code, handles: &[], parameters, answers_with: AnswerHandles::One };
        let answer = self.run(request, Authorisation::None)?;
        let (value, handle) = self.made(&answer);
        let mut reader = Reader::new(&answer.parameters, name(code));
        let found = reader.sized()?.to_vec();
        reader.end()?;
        let public = Public::parse(&bytes_of(&area)?)?;
        if found != public.name() {
            return Err(TpmError::WrongName { command: name(code) });
        }
        Ok(Object::new(public, found, value, handle))
    }

    /// `TPM2_VerifySignature`: `loaded` is `key` in the TPM, and `digest` of SHA-256.
    ///
    /// # Errors
    /// [`TpmError`]; the meaning [`WrongSignature`](crate::Meaning::WrongSignature) if it is not the key's.
    pub fn verify_signature(
        &self,
        loaded: &Object<'_, '_>,
        key: &VerifyingKey,
        digest: &[u8],
        signature: &[u8],
    ) -> Result<Ticket, TpmError> {
        let code = TpmCc::VerifySignature;
        let mut parameters = Zeroizing::new(Vec::new());
        push_sized(&mut parameters, digest)?;
        parameters.extend(key.signature(signature)?);
        let handles = [loaded.named()];
        let request = Request { code, handles: &handles, parameters, answers_with: AnswerHandles::None };
        let answer = self.run(request, Authorisation::None)?;
        let mut reader = Reader::new(&answer.parameters, name(code));
        if reader.u16()? != TpmSt::Verified.value() {
            return Err(reader.malformed("its ticket is for something else"));
        }
        let ticket = Ticket { hierarchy: reader.u32()?, digest: reader.sized()?.to_vec() };
        reader.end().map(|()| ticket)
    }
}
