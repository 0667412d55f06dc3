//! Approvals: the holder of a key says which values of the PCRs a binding with `signed` opens for.
//!
//! What is signed is the digest of a policy, `PolicyPCR` and perhaps `PolicyNV`, and what it is for, as `TPM2_PolicyAuthorize` wants it: ECDSA
//! on P-256 over `SHA-256(policy ‖ purpose)`. So an approval authenticates itself and may lie anywhere; the TPM believes nothing but the
//! signature. It names the values in clear, so that who looks for the one that fits now need not try them all.
//!
//! The purpose says which PCRs are meant and which counter (see [`purpose`]), and is a part of what the TPM sealed: a header that somebody
//! has written can have other PCRs signed, and an object that was made for these does not open by that.

use crate::measured::{from_hex, to_hex};
use crate::pcr_state::PcrState;
use crypto::Hash;
use crypto::ec::{EcError, Point, sign, verify};
use jose::{Jwk, b64};
use json::{Field, FieldError, Object};
use std::fmt;
use tpm2::policy::Step;
use tpm2::policy::{Comparison, Policy};
use tpm2::{Bank, NvIndex, PcrSelection, TpmError, VerifyingKey};

/// What makes the digests of policies here.
const HASH: Hash = Hash::Sha256;
/// Longest reference, which lies in each sealed object.
const LONGEST_REFERENCE: usize = 64;

/// A signed set of values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    key: Vec<u8>,
    reference: String,
    values: PcrState,
    counter: Option<Counter>,
    policy: Vec<u8>,
    signature: Vec<u8>,
}

/// A counter of the TPM, and the highest number at which something still opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counter {
    /// Where it is.
    pub index: NvIndex,
    /// The name of the index in the TPM.
    pub name: Vec<u8>,
    /// The number.
    pub value: u64,
}

/// Why there is no approval.
#[derive(Debug)]
pub enum ApprovalError {
    /// The key is not one that signs: private, on P-256.
    NotASigner,
    /// The reference is too long.
    Reference,
    /// The policy has a counter, and where it stands was not said.
    NoCount,
    /// The policy makes no sense.
    Policy(TpmError),
    /// The signature failed.
    Sign(EcError),
}

impl Approval {
    /// Approves these values, and with `counter` only while that has counted no further. `key` is a private JWK on P-256.
    ///
    /// # Errors
    /// [`ApprovalError`].
    pub fn sign(
        key: &Jwk,
        reference: &str,
        values: PcrState,
        counter: Option<Counter>,
    ) -> Result<Approval, ApprovalError> {
        let private = key.private().ok_or(ApprovalError::NotASigner)?;
        let signer = key.point().and_then(Signer::of).ok_or(ApprovalError::NotASigner)?;
        check_reference(reference).ok_or(ApprovalError::Reference)?;
        let policy = approved(&values, counter.as_ref()).digest(HASH).map_err(ApprovalError::Policy)?;
        let message = message(&policy, reference, &values, counter.as_ref());
        let signature = sign(private, &message).map_err(ApprovalError::Sign)?;
        Ok(Approval { key: signer.name, reference: reference.to_owned(), values, counter, policy, signature })
    }

    /// Reads one out of the token. What it says of itself must fit together; its signature is not looked at.
    ///
    /// # Errors
    /// [`FieldError`].
    pub fn read(field: &Field<'_>) -> Result<Approval, FieldError> {
        let bytes = |name: &str| {
            let member = field.member(name)?;
            b64::decode(member.text()?).map_err(|_| member.wrong_value("base64url"))
        };
        let bank = field.member("pcr_bank")?;
        let bank = Bank::from_name(bank.text()?).ok_or_else(|| bank.wrong_value("the name of a bank, as sha256"))?;
        let values = PcrState::read(&field.member("pcrs")?, bank)?;
        let reference = field.member("reference")?;
        let text = check_reference(reference.text()?).ok_or_else(|| reference.wrong_value(SHORT))?;
        let counter = field.optional("counter")?.map(|counter| Counter::read(&counter)).transpose()?;
        let policy = field.member("policy")?;
        let expected = approved(&values, counter.as_ref()).digest(HASH).ok();
        let found = from_hex(policy.text()?).filter(|found| Some(found) == expected.as_ref());
        let found = found.ok_or_else(|| policy.wrong_value("the digest of the policy that these values make"))?;
        let (key, signature) = (bytes("key")?, bytes("signature")?);
        Ok(Approval { key, reference: text.to_owned(), values, counter, policy: found, signature })
    }

    /// The object of the token.
    pub fn to_json(&self) -> Object {
        let ids: Vec<String> = self.values.iter().map(|(pcr, _)| pcr.to_string()).collect();
        let json = Object::new()
            .with("key", b64::encode(&self.key))
            .with("reference", self.reference.as_str())
            .with("pcr_bank", self.values.bank().name())
            .with("pcr_ids", ids.join(","))
            .with("pcrs", self.values.to_json());
        let json = match &self.counter {
            None => json,
            Some(counter) => json.with("counter", counter.to_json()),
        };
        json.with("policy", to_hex(&self.policy)).with("signature", b64::encode(&self.signature))
    }

    /// Whether the holder of this key has signed it.
    pub fn is_signed_by(&self, key: &Point) -> bool {
        let message = message(&self.policy, &self.reference, &self.values, self.counter.as_ref());
        let named = Signer::of(key).is_some_and(|signer| signer.name == self.key);
        named && verify(key, &message, &self.signature).is_ok()
    }

    /// The name that a TPM gives the key.
    pub fn key_name(&self) -> &[u8] {
        &self.key
    }

    /// What the signer calls its purpose.
    pub fn reference(&self) -> &str {
        &self.reference
    }

    /// The values that are approved.
    pub fn values(&self) -> &PcrState {
        &self.values
    }

    /// Until which number of which counter.
    pub fn counter(&self) -> Option<&Counter> {
        self.counter.as_ref()
    }

    /// The signature, `r ‖ s`.
    pub(crate) fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// What must hold for it.
    pub(crate) fn policy(&self) -> Policy {
        approved(&self.values, self.counter.as_ref())
    }
}

impl Counter {
    /// Reads `{"index":"0x…","name":…,"value":N}`.
    pub(crate) fn read(field: &Field<'_>) -> Result<Counter, FieldError> {
        let name = field.member("name")?;
        let bytes = b64::decode(name.text()?).map_err(|_| name.wrong_value("base64url"))?;
        let (index, value) = (read_index(&field.member("index")?)?, field.member("value")?.integer()?);
        Ok(Counter { index, name: bytes, value })
    }

    pub(crate) fn to_json(&self) -> Object {
        Object::new()
            .with("index", self.index.to_string())
            .with("name", b64::encode(&self.name))
            .with("value", self.value)
    }

    /// The step of a policy: it has counted no further.
    pub(crate) fn step(&self) -> Step {
        let Counter { index, name, value } = self;
        Step::Nv { index: *index, name: name.clone(), comparison: Comparison::AtMost, operand: *value, offset: 0 }
    }
}

/// The number of an index, as tpm2-tools write it.
pub(crate) fn read_index(field: &Field<'_>) -> Result<NvIndex, FieldError> {
    let number = field.text()?.strip_prefix("0x").and_then(|digits| u32::from_str_radix(digits, 16).ok());
    number.and_then(NvIndex::new).ok_or_else(|| field.wrong_value("an index of the TPM, 0x01000000 to 0x01ffffff"))
}

/// The public half of a key that approves, and its name in a TPM.
#[derive(Clone, Debug)]
pub(crate) struct Signer {
    pub(crate) key: VerifyingKey,
    pub(crate) name: Vec<u8>,
}

impl Signer {
    /// `None` for a key that is not on P-256.
    pub(crate) fn of(point: &Point) -> Option<Signer> {
        let key = VerifyingKey::P256 { x: point.x().try_into().ok()?, y: point.y().try_into().ok()? };
        Some(Signer { name: key.name().ok()?, key })
    }
}

const SHORT: &str = "a text of at most 64 bytes";

/// A reference that is not too long.
pub(crate) fn check_reference(text: &str) -> Option<&str> {
    (text.len() <= LONGEST_REFERENCE).then_some(text)
}

/// The reference that `PolicyAuthorize` is given: what the signer calls the purpose, which PCRs he speaks of, and the name of the counter that
/// ends it, empty if there is none: `SHA-256("cotter approval v1" ‖ each of the three behind its length)`, lengths 2 bytes, big endian, the
/// PCRs as `sha256:4,7`.
pub(crate) fn purpose(reference: &str, pcrs: &PcrSelection, counter: Option<&Counter>) -> Vec<u8> {
    let (pcrs, name) = (pcrs.to_string(), counter.map_or(&[][..], |counter| &counter.name));
    let parts = [reference.as_bytes(), pcrs.as_bytes(), name];
    let lengths = parts.map(|part| u16::try_from(part.len()).unwrap_or(u16::MAX).to_be_bytes());
    let sized = parts.iter().zip(&lengths).flat_map(|(part, length)| [&length[..], part]);
    let all: Vec<&[u8]> = [&b"cotter approval v1"[..]].into_iter().chain(sized).collect();
    HASH.digest(&all).as_ref().to_vec()
}

/// What the signature is over, before it is hashed.
fn message(policy: &[u8], reference: &str, values: &PcrState, counter: Option<&Counter>) -> Vec<u8> {
    [policy, &purpose(reference, &values.selection(), counter)].concat()
}

/// What is signed: these values, and the counter.
fn approved(values: &PcrState, counter: Option<&Counter>) -> Policy {
    Policy::from([values.step()].into_iter().chain(counter.map(Counter::step)).collect::<Vec<Step>>())
}

impl fmt::Display for ApprovalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ApprovalError::NotASigner => "this is not a private key on P-256",
            ApprovalError::Reference => "the reference has more than 64 bytes",
            ApprovalError::NoCount => "where the counter of the policy stands is not known",
            ApprovalError::Policy(_) => "the policy makes no sense",
            ApprovalError::Sign(_) => "the signature failed",
        })
    }
}

impl std::error::Error for ApprovalError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ApprovalError::Policy(source) => Some(source),
            ApprovalError::Sign(source) => Some(source),
            ApprovalError::NotASigner | ApprovalError::Reference | ApprovalError::NoCount => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crypto::SystemRandom;
    use crypto::ec::Curve;
    use json::Value;

    fn values() -> PcrState {
        let bank = Bank::from_name("sha256").unwrap();
        PcrState::split(&PcrSelection::new(bank, [7, 11]).unwrap(), &[5; 64]).unwrap()
    }

    fn counter() -> Counter {
        let name = [&[0, 0x0b][..], &[1; 32]].concat();
        Counter { index: NvIndex::new(0x0180_0000).unwrap(), name, value: 9 }
    }

    #[test]
    fn an_approval_comes_back_as_it_was_signed() {
        let key = Jwk::signing(Curve::P256, &SystemRandom).unwrap();
        for counter in [None, Some(counter())] {
            let signed = Approval::sign(&key, "boot", values(), counter).unwrap();
            let json: Value = signed.to_json().into();
            let read = Approval::read(&json.field("approval")).unwrap();
            assert_eq!(read, signed);
            assert!(read.is_signed_by(key.point().unwrap()));
            assert!(!read.is_signed_by(Jwk::signing(Curve::P256, &SystemRandom).unwrap().point().unwrap()));
            assert!(!Approval { reference: "other".into(), ..read }.is_signed_by(key.point().unwrap()));
        }
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        let key = Jwk::signing(Curve::P256, &SystemRandom).unwrap();
        let good = Approval::sign(&key, "boot", values(), Some(counter())).unwrap().to_json();
        let other = PcrState::split(&values().selection(), &[6; 64]).unwrap().to_json();
        let index = counter().to_json().with("index", "0x00800000");
        let changes: [(&str, Value); 6] = [
            ("pcrs", other.into()),
            ("pcr_bank", "sha1".into()),
            ("reference", "x".repeat(65).into()),
            ("counter", index.into()),
            ("policy", "00".into()),
            ("signature", "!".into()),
        ];
        for (name, value) in changes {
            let json: Value = good.clone().with(name, value).into();
            assert!(Approval::read(&json.field("approval")).is_err(), "{name}");
        }
        for (name, _) in good.iter().filter(|(name, _)| !["pcr_ids", "counter"].contains(name)) {
            let mut json = good.clone();
            json.remove(name);
            assert!(Approval::read(&Value::Object(json).field("approval")).is_err(), "without {name}");
        }
        let p521 = Jwk::signing(Curve::P521, &SystemRandom).unwrap();
        assert!(matches!(Approval::sign(&p521, "", values(), None), Err(ApprovalError::NotASigner)));
        let long = Approval::sign(&key, &"x".repeat(65), values(), None);
        assert!(matches!(long, Err(ApprovalError::Reference)));
    }
}
