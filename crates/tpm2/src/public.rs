//! The public area of an object, and its name (part 1, section 16; part 2, section 12.2).

use crate::algorithm::{digest_len, hash_of};
use crate::error::TpmError;
use crypto::Hash;
use std::fmt;
use tpm2_protocol::TpmUnmarshal;
use tpm2_protocol::data::{TpmAlgId, TpmaObject, TpmtPublic, TpmuPublicId, TpmuPublicParms};

/// `TPMT_PUBLIC` as it came, and what it says.
#[derive(Clone, PartialEq, Eq)]
pub struct Public {
    bytes: Vec<u8>,
    area: TpmtPublic,
    hash: Hash,
}

/// The public half of a key that a session can be salted with.
pub(crate) enum SaltingKey<'a> {
    P256 { x: &'a [u8], y: &'a [u8] },
    Rsa { modulus: &'a [u8], exponent: u32 },
}

/// What an RSA exponent of 0 stands for.
const DEFAULT_EXPONENT: u32 = 65537;

impl Public {
    /// Reads `TPMT_PUBLIC`, without the length that stands before it in a `TPM2B_PUBLIC`.
    ///
    /// # Errors
    /// [`TpmError::Unsayable`] if it is none, or its name is computed by a hash that this program does not have.
    pub fn parse(bytes: &[u8]) -> Result<Public, TpmError> {
        let none = TpmError::Unsayable { what: "the public area of an object is none" };
        let Ok((area, [])) = TpmtPublic::unmarshal(bytes) else { return Err(none) };
        let unknown = TpmError::Unsayable { what: "the name of an object is made by an unknown hash" };
        let hash = hash_of(area.name_alg).ok_or(unknown)?;
        Ok(Public { bytes: bytes.to_vec(), area, hash })
    }

    /// `nameAlg ‖ H(TPMT_PUBLIC)`
    pub fn name(&self) -> Vec<u8> {
        let digest = self.hash.digest(&[&self.bytes]);
        [&self.area.name_alg.value().to_be_bytes()[..], digest.as_ref()].concat()
    }

    /// The hash that makes its name, and its policy.
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// `TPMT_PUBLIC`.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether it is sealed data, and not a key.
    pub fn is_sealed_data(&self) -> bool {
        self.area.object_type == TpmAlgId::KeyedHash && !self.has(TpmaObject::SENSITIVE_DATA_ORIGIN)
    }

    /// Whether the authorisation value alone opens it.
    pub fn opens_by_value(&self) -> bool {
        self.has(TpmaObject::USER_WITH_AUTH)
    }

    /// The digest of the policy that opens it; empty if there is none.
    pub fn policy(&self) -> &[u8] {
        self.area.auth_policy.as_ref()
    }

    /// Whether failures at it count for the dictionary-attack protection.
    pub fn is_protected(&self) -> bool {
        !self.has(TpmaObject::NO_DA)
    }

    /// Whether the TPM made it by this template: all but the key itself is the same.
    pub(crate) fn is_made_by(&self, template: &TpmtPublic) -> bool {
        let mut found = TpmtPublic { unique: template.unique.clone(), ..self.area.clone() };
        if let TpmuPublicParms::Rsa(parameters) = &mut found.parameters
            && u32::from(parameters.exponent) == DEFAULT_EXPONENT
        {
            parameters.exponent = 0.into();
        }
        found == *template
    }

    /// Both coordinates of an elliptic key; some TPMs leave out the zeros before one.
    pub fn point(&self) -> Option<(&[u8], &[u8])> {
        match &self.area.unique {
            TpmuPublicId::Ecc(point) => Some((point.x.as_ref(), point.y.as_ref())),
            _ => None,
        }
    }

    pub(crate) fn salting_key(&self) -> Option<SaltingKey<'_>> {
        if let Some((x, y)) = self.point() {
            return Some(SaltingKey::P256 { x, y });
        }
        match (&self.area.unique, &self.area.parameters) {
            (TpmuPublicId::Rsa(modulus), TpmuPublicParms::Rsa(parameters)) => {
                let exponent = match u32::from(parameters.exponent) {
                    0 => DEFAULT_EXPONENT,
                    other => other,
                };
                Some(SaltingKey::Rsa { modulus: modulus.as_ref(), exponent })
            }
            _ => None,
        }
    }

    pub(crate) fn digest_len(&self) -> u16 {
        digest_len(self.hash)
    }

    fn has(&self, attribute: TpmaObject) -> bool {
        self.area.object_attributes.contains(attribute)
    }
}

impl fmt::Debug for Public {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Public({:?}, {:?})", self.area.object_type, self.hash)
    }
}
