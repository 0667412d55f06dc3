//! What the TPM is told to make (nbde-formats 3.3): the parent key that the original makes anew each time, and sealed data under it.

use crate::algorithm::id_of;
use crate::error::TpmError;
use crate::public::Public;
use crypto::Hash;
use tpm2_protocol::data::{
    Tpm2bDigest, TpmAlgId, TpmEccCurve, TpmaObject, TpmsEccParms, TpmsKeyedhashParms, TpmsRsaParms, TpmtEccScheme,
    TpmtKdfScheme, TpmtKeyedhashScheme, TpmtPublic, TpmtSymDefObject, TpmuPublicId, TpmuPublicParms, TpmuSymKeyBits,
    TpmuSymMode,
};

/// The kind of the parent key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParentKey {
    /// On P-256.
    Ecc,
    /// RSA of 2048 bits.
    Rsa,
}

/// Whether failures at an object count for the dictionary-attack protection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// They do, and a power cut while it was used is one. When the TPM is locked it is not used.
    Counted,
    /// They do not (`noDA`), and a locked TPM uses it as before.
    Uncounted,
}

/// A parent: a restricted decryption key of the owner hierarchy, AES-128-CFB inside, empty authorisation. The same template always gives
/// the same key, until the TPM is cleared. The original's is counted; so is the one that systemd made anew each time before version 254.
/// The one that systemd has made persistent since is the uncounted one, of SHA-256 (by reading): its `unique` is empty, where other programs
/// have zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParentTemplate {
    /// Its kind.
    pub key: ParentKey,
    /// The hash that makes its name.
    pub hash: Hash,
    /// Whether power cuts count against it.
    pub protection: Protection,
}

/// Sealed data: fixed to this TPM and this parent. The original's is uncounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedTemplate {
    /// The hash that makes its name, and its policy.
    pub hash: Hash,
    /// The digest of the policy that alone opens it; without one, whoever has the TPM opens it.
    pub policy: Option<Vec<u8>>,
    /// Whether a wrong authorisation value counts. Without a value there is nothing to count but power cuts.
    pub protection: Protection,
}

impl Protection {
    fn attribute(self) -> TpmaObject {
        match self {
            Protection::Counted => TpmaObject::empty(),
            Protection::Uncounted => TpmaObject::NO_DA,
        }
    }
}

/// Of a key that never leaves this TPM.
fn key_attributes() -> TpmaObject {
    TpmaObject::FIXED_TPM
        | TpmaObject::FIXED_PARENT
        | TpmaObject::SENSITIVE_DATA_ORIGIN
        | TpmaObject::USER_WITH_AUTH
        | TpmaObject::DECRYPT
}

fn sealed_attributes() -> TpmaObject {
    TpmaObject::FIXED_TPM | TpmaObject::FIXED_PARENT | TpmaObject::ADMIN_WITH_POLICY
}

impl ParentTemplate {
    pub(crate) fn area(&self) -> Result<TpmtPublic, TpmError> {
        let (object_type, parameters, unique) = match self.key {
            ParentKey::Ecc => (TpmAlgId::Ecc, TpmuPublicParms::Ecc(p256()), TpmuPublicId::Ecc(Default::default())),
            ParentKey::Rsa => (TpmAlgId::Rsa, TpmuPublicParms::Rsa(rsa_2048()), TpmuPublicId::Rsa(Default::default())),
        };
        let auth_policy = Tpm2bDigest::default();
        let name_alg = name_alg(self.hash)?;
        Ok(TpmtPublic {
            object_type,
            name_alg,
            object_attributes: key_attributes() | TpmaObject::RESTRICTED | self.protection.attribute(),
            auth_policy,
            parameters,
            unique,
        })
    }
}

impl SealedTemplate {
    /// Whether a TPM makes this public area by it: the same policy, hash and attributes, so that nothing else opens it.
    ///
    /// # Errors
    /// [`TpmError::Unsayable`] if no TPM makes anything by it.
    pub fn makes(&self, public: &Public) -> Result<bool, TpmError> {
        Ok(public.is_made_by(&self.area()?))
    }

    pub(crate) fn area(&self) -> Result<TpmtPublic, TpmError> {
        let too_long = |_| TpmError::Unsayable { what: "a policy digest of more than 64 bytes" };
        let by_value = if self.policy.is_none() { TpmaObject::USER_WITH_AUTH } else { TpmaObject::empty() };
        let object_attributes = sealed_attributes() | self.protection.attribute() | by_value;
        Ok(TpmtPublic {
            object_type: TpmAlgId::KeyedHash,
            name_alg: name_alg(self.hash)?,
            object_attributes,
            auth_policy: Tpm2bDigest::try_from(self.policy.as_deref().unwrap_or_default()).map_err(too_long)?,
            parameters: TpmuPublicParms::KeyedHash(TpmsKeyedhashParms {
                scheme: TpmtKeyedhashScheme { scheme: TpmAlgId::Null, ..Default::default() },
            }),
            unique: TpmuPublicId::KeyedHash(Default::default()),
        })
    }
}

/// A key on P-256 that agrees on secrets and is bound to this TPM and its parent.
pub(crate) fn agreement_key() -> TpmtPublic {
    let null = TpmtSymDefObject { algorithm: TpmAlgId::Null, ..Default::default() };
    TpmtPublic {
        object_type: TpmAlgId::Ecc,
        name_alg: TpmAlgId::Sha256,
        object_attributes: key_attributes() | TpmaObject::NO_DA,
        auth_policy: Tpm2bDigest::default(),
        parameters: TpmuPublicParms::Ecc(TpmsEccParms { symmetric: null, ..p256() }),
        unique: TpmuPublicId::Ecc(Default::default()),
    }
}

/// What every session and every parent here encrypts by.
pub(crate) fn aes_128_cfb() -> TpmtSymDefObject {
    TpmtSymDefObject {
        algorithm: TpmAlgId::Aes,
        key_bits: TpmuSymKeyBits::Aes(128.into()),
        mode: TpmuSymMode::Aes(TpmAlgId::Cfb),
    }
}

pub(crate) fn p256() -> TpmsEccParms {
    TpmsEccParms {
        symmetric: aes_128_cfb(),
        scheme: TpmtEccScheme { scheme: TpmAlgId::Null, ..Default::default() },
        curve_id: TpmEccCurve::NistP256,
        kdf: TpmtKdfScheme { scheme: TpmAlgId::Null, ..Default::default() },
    }
}

fn rsa_2048() -> TpmsRsaParms {
    TpmsRsaParms { symmetric: aes_128_cfb(), scheme: Default::default(), key_bits: 2048.into(), exponent: 0.into() }
}

fn name_alg(hash: Hash) -> Result<TpmAlgId, TpmError> {
    id_of(hash).ok_or(TpmError::Unsayable { what: "a hash that TPMs do not have" })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::wire::bytes_of;

    fn hex(area: TpmtPublic) -> String {
        bytes_of(&area).unwrap().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The bytes that the original's tools send (nbde-formats 3.3).
    #[test]
    fn parents_are_the_originals() {
        for (key, hash, expected) in [
            (ParentKey::Ecc, Hash::Sha256, "0023000b00030072000000060080004300100003001000000000"),
            (ParentKey::Ecc, Hash::Sha1, "0023000400030072000000060080004300100003001000000000"),
            (ParentKey::Rsa, Hash::Sha384, "0001000c00030072000000060080004300100800000000000000"),
        ] {
            assert_eq!(hex(ParentTemplate { key, hash, protection: Protection::Counted }.area().unwrap()), expected);
        }
    }

    #[test]
    fn sealed_data_is_the_originals() {
        let open = SealedTemplate { hash: Hash::Sha256, policy: None, protection: Protection::Uncounted };
        assert_eq!(hex(open.area().unwrap()), "0008000b000004d2000000100000");
        let bound = SealedTemplate { policy: Some(vec![0xab; 2]), ..open };
        assert_eq!(hex(bound.area().unwrap()), "0008000b000004920002abab00100000");
        let none = SealedTemplate { hash: Hash::Whirlpool, ..bound };
        assert!(matches!(none.area(), Err(TpmError::Unsayable { .. })));
    }
}
