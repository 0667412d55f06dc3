//! The hashes that a TPM has and this program too.

use crypto::Hash;
use tpm2_protocol::data::TpmAlgId;

const KNOWN: [(Hash, TpmAlgId); 8] = [
    (Hash::Sha1, TpmAlgId::Sha1),
    (Hash::Sha256, TpmAlgId::Sha256),
    (Hash::Sha384, TpmAlgId::Sha384),
    (Hash::Sha512, TpmAlgId::Sha512),
    (Hash::Sm3, TpmAlgId::Sm3_256),
    (Hash::Sha3_256, TpmAlgId::Sha3_256),
    (Hash::Sha3_384, TpmAlgId::Sha3_384),
    (Hash::Sha3_512, TpmAlgId::Sha3_512),
];

/// The number of a hash (part 2, section 6.3).
pub(crate) fn id_of(hash: Hash) -> Option<TpmAlgId> {
    KNOWN.iter().find(|(known, _)| *known == hash).map(|(_, id)| *id)
}

/// The hash of this number.
pub(crate) fn hash_of(id: TpmAlgId) -> Option<Hash> {
    KNOWN.iter().find(|(_, known)| *known == id).map(|(hash, _)| *hash)
}

/// The hash of this number, which may be one that nobody here has heard of.
pub(crate) fn hash_of_number(number: u16) -> Option<Hash> {
    KNOWN.iter().find(|(_, id)| id.value() == number).map(|(hash, _)| *hash)
}

/// Length of a digest, which is at most 64.
pub(crate) fn digest_len(hash: Hash) -> u16 {
    u16::try_from(hash.len()).unwrap_or(u16::MAX)
}
