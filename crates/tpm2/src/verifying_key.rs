//! Keys that sign policies: what a TPM is told of them, and the name that it gives them.

use crate::algorithm::id_of;
use crate::error::TpmError;
use crate::public::Public;
use crate::template::{p256, rsa_2048};
use crate::wire::{bytes_of, push_sized};
use crypto::Hash;
use tpm2_protocol::data::{
    Tpm2bDigest, Tpm2bEccParameter, Tpm2bPublicKeyRsa, TpmAlgId, TpmaObject, TpmsEccParms, TpmsEccPoint, TpmsRsaParms,
    TpmtPublic, TpmtSymDefObject, TpmuPublicId, TpmuPublicParms,
};

/// What makes the names of these keys and the digests that they sign.
const HASH: Hash = Hash::Sha256;
/// Bytes of a coordinate, and of each half of a signature, on P-256.
const HALF: usize = 32;

/// The public half of a key that signs policies. Its name is that of the public area that systemd gives such a key: named by SHA-256, to sign
/// and to decrypt, used with its authorisation value, without a scheme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VerifyingKey {
    /// Signs by ECDSA with SHA-256; a signature is `r ‖ s`, 64 bytes.
    P256 {
        /// One coordinate.
        x: [u8; HALF],
        /// The other.
        y: [u8; HALF],
    },
    /// Signs by RSASSA (PKCS #1 v1.5) with SHA-256; a signature is as long as the modulus.
    Rsa {
        /// The modulus, big endian, without zeros before it.
        modulus: Vec<u8>,
        /// The exponent as it stands in the public area, where 0 is 65537. The name depends on which of the two stands there.
        exponent: u32,
    },
}

impl VerifyingKey {
    /// `nameAlg ‖ H(TPMT_PUBLIC)`: what a policy knows it by.
    ///
    /// # Errors
    /// [`TpmError::Unsayable`] for a key that no TPM takes.
    pub fn name(&self) -> Result<Vec<u8>, TpmError> {
        Public::parse(&bytes_of(&self.area()?)?).map(|public| public.name())
    }

    /// What is signed when a policy of this digest is: `H(policy ‖ reference)`.
    pub fn digest(policy: &[u8], reference: &[u8]) -> Vec<u8> {
        HASH.digest(&[policy, reference]).as_ref().to_vec()
    }

    /// `TPMT_SIGNATURE`.
    pub(crate) fn signature(&self, signature: &[u8]) -> Result<Vec<u8>, TpmError> {
        let other = TpmError::Unsayable { what: "a signature of another length than the key makes" };
        let (scheme, halves) = match self {
            VerifyingKey::P256 { .. } => (TpmAlgId::Ecdsa, signature.split_at_checked(HALF)),
            VerifyingKey::Rsa { .. } => (TpmAlgId::Rsassa, Some((signature, &[][..]))),
        };
        let (first, second) = halves.ok_or(other)?;
        let hash = id_of(HASH).unwrap_or_default();
        let mut bytes = [scheme.value().to_be_bytes(), hash.value().to_be_bytes()].concat();
        push_sized(&mut bytes, first)?;
        if matches!(self, VerifyingKey::P256 { .. }) {
            push_sized(&mut bytes, second)?;
        }
        Ok(bytes)
    }

    /// `TPMT_PUBLIC`.
    pub(crate) fn area(&self) -> Result<TpmtPublic, TpmError> {
        let too_long = |_| TpmError::Unsayable { what: "a signing key that is too long" };
        let coordinate = |bytes: &[u8]| Tpm2bEccParameter::try_from(bytes).map_err(too_long);
        let null = TpmtSymDefObject { algorithm: TpmAlgId::Null, ..Default::default() };
        let (object_type, parameters, unique) = match self {
            VerifyingKey::P256 { x, y } => {
                let point = TpmsEccPoint { x: coordinate(x)?, y: coordinate(y)? };
                let parms = TpmsEccParms { symmetric: null, ..p256() };
                (TpmAlgId::Ecc, TpmuPublicParms::Ecc(parms), TpmuPublicId::Ecc(point))
            }
            VerifyingKey::Rsa { modulus, exponent } => {
                let bits = u16::try_from(modulus.len().saturating_mul(8)).unwrap_or(u16::MAX);
                let parms =
                    TpmsRsaParms { symmetric: null, key_bits: bits.into(), exponent: (*exponent).into(), ..rsa_2048() };
                let modulus = Tpm2bPublicKeyRsa::try_from(modulus.as_slice()).map_err(too_long)?;
                (TpmAlgId::Rsa, TpmuPublicParms::Rsa(parms), TpmuPublicId::Rsa(modulus))
            }
        };
        Ok(TpmtPublic {
            object_type,
            name_alg: TpmAlgId::Sha256,
            object_attributes: TpmaObject::DECRYPT | TpmaObject::SIGN_ENCRYPT | TpmaObject::USER_WITH_AUTH,
            auth_policy: Tpm2bDigest::default(),
            parameters,
            unique,
        })
    }
}
