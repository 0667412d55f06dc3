//! Keys that sign policies: what a TPM is told of them, and the name that it gives them.

use crate::algorithm::id_of;
use crate::error::TpmError;
use crate::public::Public;
use crate::template::p256;
use crate::wire::{bytes_of, push_sized};
use crypto::Hash;
use tpm2_protocol::data::{
    Tpm2bDigest, Tpm2bEccParameter, Tpm2bPublicKeyRsa, TpmAlgId, TpmaObject, TpmsEccParms, TpmsEccPoint, TpmsRsaParms,
    TpmsSchemeHash, TpmtPublic, TpmtRsaScheme, TpmtSymDefObject, TpmuAsymScheme, TpmuPublicId, TpmuPublicParms,
};

/// What makes the names of these keys and the digests that they sign.
const HASH: Hash = Hash::Sha256;
const TOO_LONG: TpmError = TpmError::Unsayable { what: "a signing key that is too long" };
/// Bytes of a coordinate, and of each half of a signature, on P-256.
const HALF: usize = 32;

/// The public half of a key that signs policies.
///
/// The names of the first two are those of the public area that systemd gives such a key: named by SHA-256, to sign and to decrypt, used with
/// its authorisation value, without a scheme.
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
        /// The exponent as it stands in the public area, where 0 is 65537 too. The name depends on which of the two stands there: tpm2-tools and
        /// systemd 252 write 65537 (seen); systemd from 254 on is said to write 0.
        exponent: u32,
    },
    /// As the pin `tpm2plus` has it: to sign alone, by one scheme with SHA-256.
    RsaSigner {
        /// How it signs.
        scheme: RsaScheme,
        /// As that of `Rsa`.
        modulus: Vec<u8>,
        /// As that of `Rsa`.
        exponent: u32,
    },
}

/// How a key of RSA signs (RFC 8017, section 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RsaScheme {
    /// RSASSA-PKCS1-v1_5.
    Pkcs1,
    /// RSASSA-PSS.
    Pss,
}

impl RsaScheme {
    fn algorithm(self) -> TpmAlgId {
        match self {
            RsaScheme::Pkcs1 => TpmAlgId::Rsassa,
            RsaScheme::Pss => TpmAlgId::Rsapss,
        }
    }
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
        let (scheme, expected) = match self {
            VerifyingKey::P256 { .. } => (TpmAlgId::Ecdsa, 2 * HALF),
            VerifyingKey::Rsa { modulus, .. } => (TpmAlgId::Rsassa, modulus.len()),
            VerifyingKey::RsaSigner { scheme, modulus, .. } => (scheme.algorithm(), modulus.len()),
        };
        if signature.len() != expected {
            return Err(other);
        }
        let halves = if scheme == TpmAlgId::Ecdsa { signature.chunks(HALF) } else { signature.chunks(expected.max(1)) };
        let hash = id_of(HASH).unwrap_or_default();
        let mut bytes = [scheme.value().to_be_bytes(), hash.value().to_be_bytes()].concat();
        halves.into_iter().try_for_each(|half| push_sized(&mut bytes, half))?;
        Ok(bytes)
    }

    /// `TPMT_PUBLIC`.
    pub(crate) fn area(&self) -> Result<TpmtPublic, TpmError> {
        let coordinate = |bytes: &[u8]| Tpm2bEccParameter::try_from(bytes).map_err(|_| TOO_LONG);
        let null = TpmtSymDefObject { algorithm: TpmAlgId::Null, ..Default::default() };
        let mut purpose = TpmaObject::DECRYPT | TpmaObject::SIGN_ENCRYPT;
        let (object_type, parameters, unique) = match self {
            VerifyingKey::P256 { x, y } => {
                let point = TpmsEccPoint { x: coordinate(x)?, y: coordinate(y)? };
                let parms = TpmsEccParms { symmetric: null, ..p256() };
                (TpmAlgId::Ecc, TpmuPublicParms::Ecc(parms), TpmuPublicId::Ecc(point))
            }
            VerifyingKey::Rsa { modulus, exponent } => rsa_area(TpmtRsaScheme::default(), modulus, *exponent)?,
            VerifyingKey::RsaSigner { scheme, modulus, exponent } => {
                purpose = TpmaObject::SIGN_ENCRYPT;
                let details = TpmuAsymScheme::Hash(TpmsSchemeHash { hash_alg: TpmAlgId::Sha256 });
                rsa_area(TpmtRsaScheme { scheme: scheme.algorithm(), details }, modulus, *exponent)?
            }
        };
        Ok(TpmtPublic {
            object_type,
            name_alg: TpmAlgId::Sha256,
            object_attributes: purpose | TpmaObject::USER_WITH_AUTH,
            auth_policy: Tpm2bDigest::default(),
            parameters,
            unique,
        })
    }
}

/// What a public area says of a key of RSA.
fn rsa_area(
    scheme: TpmtRsaScheme,
    modulus: &[u8],
    exponent: u32,
) -> Result<(TpmAlgId, TpmuPublicParms, TpmuPublicId), TpmError> {
    let bits = u16::try_from(modulus.len().saturating_mul(8)).unwrap_or(u16::MAX);
    let symmetric = TpmtSymDefObject { algorithm: TpmAlgId::Null, ..Default::default() };
    let parms = TpmsRsaParms { symmetric, scheme, key_bits: bits.into(), exponent: exponent.into() };
    let modulus = Tpm2bPublicKeyRsa::try_from(modulus).map_err(|_| TOO_LONG)?;
    Ok((TpmAlgId::Rsa, TpmuPublicParms::Rsa(parms), TpmuPublicId::Rsa(modulus)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn unhex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2).unwrap(), 16).unwrap()).collect()
    }

    /// What `tpm2_loadexternal -G ecc` of tpm2-tools 5.4 names this key.
    #[test]
    fn a_key_has_the_name_that_the_tools_give_it() {
        let coordinate = |text| unhex(text).try_into().unwrap();
        let key = VerifyingKey::P256 {
            x: coordinate("3386deeb7cdf6928f54b244e8e80ce2d0a6ca950dcf8256e5375e5b225b04846"),
            y: coordinate("2acf4578fbccddace9bb17c628586b95164b980ebbc3f0029c9db4d2679fd0f9"),
        };
        assert_eq!(key.name().unwrap(), unhex("000bfc65a4c2968a81435828d592c92ae2d6ec5416fd3a0fe3aabd1b2ff28a9df882"));
        assert!(VerifyingKey::Rsa { modulus: vec![1; 100_000], exponent: 0 }.name().is_err());
    }

    #[test]
    fn a_signature_is_as_long_as_its_key_makes_them() {
        let key = VerifyingKey::P256 { x: [1; 32], y: [2; 32] };
        assert_eq!(key.signature(&[7; 64]).unwrap().len(), 4 + 34 + 34);
        assert!(key.signature(&[7; 63]).is_err() && key.signature(&[7; 65]).is_err());
        let key = VerifyingKey::Rsa { modulus: vec![0xc0; 256], exponent: 65537 };
        assert_eq!(key.signature(&[7; 256]).unwrap().len(), 4 + 258);
        assert!(key.signature(&[7; 255]).is_err());
    }
}
