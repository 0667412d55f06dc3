//! RSA encryption with OAEP (RFC 8017, section 7.1), the label hash and the mask function over the same hash: how a salt travels to a
//! TPM whose key is RSA. The decrypting half is the TPM's.

use crate::{Hash, Secret};
use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OAEP_SHA384_MGF1SHA384, OAEP_SHA512_MGF1SHA512, OaepAlgorithm,
    OaepPublicEncryptingKey, PublicEncryptingKey,
};
use aws_lc_rs::signature::RsaPublicKeyComponents;
use std::fmt;

/// Why nothing was encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OaepError {
    /// A hash that RSA-OAEP is not used with here: it takes SHA-1, SHA-256, SHA-384 and SHA-512.
    Hash(Hash),
    /// The library refuses the key: shorter than 2048 bits, or an exponent that serves nobody.
    KeyRefused,
    /// The text is too long for the key, or the modulus is none (it is even).
    NotEncrypted,
}

/// `text` for the holder of the key with this modulus and exponent (both big endian), under this label. The result is as long as the
/// modulus.
///
/// # Errors
/// [`OaepError`].
pub fn encrypt(modulus: &[u8], exponent: u32, hash: Hash, label: &[u8], text: &Secret) -> Result<Vec<u8>, OaepError> {
    let algorithm = algorithm(hash)?;
    let exponent = exponent.to_be_bytes();
    let exponent = exponent.get(exponent.iter().take_while(|byte| **byte == 0).count()..).unwrap_or_default();
    let key: Result<PublicEncryptingKey, _> = RsaPublicKeyComponents { n: modulus, e: exponent }.try_into();
    let key = key.and_then(OaepPublicEncryptingKey::new).map_err(|_| OaepError::KeyRefused)?;
    let mut encrypted = vec![0; key.ciphertext_size()];
    let written =
        key.encrypt(algorithm, text.expose(), &mut encrypted, Some(label)).map_err(|_| OaepError::NotEncrypted)?;
    let len = written.len();
    encrypted.truncate(len);
    Ok(encrypted)
}

fn algorithm(hash: Hash) -> Result<&'static OaepAlgorithm, OaepError> {
    match hash {
        Hash::Sha1 => Ok(&OAEP_SHA1_MGF1SHA1),
        Hash::Sha256 => Ok(&OAEP_SHA256_MGF1SHA256),
        Hash::Sha384 => Ok(&OAEP_SHA384_MGF1SHA384),
        Hash::Sha512 => Ok(&OAEP_SHA512_MGF1SHA512),
        other => Err(OaepError::Hash(other)),
    }
}

impl fmt::Display for OaepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OaepError::Hash(hash) => write!(f, "no RSA encryption with {}", hash.luks_name()),
            OaepError::KeyRefused => f.write_str("the RSA key does not serve"),
            OaepError::NotEncrypted => f.write_str("the RSA key does not take this text"),
        }
    }
}

impl std::error::Error for OaepError {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
    use aws_lc_rs::rsa::{KeySize, OaepPrivateDecryptingKey, PrivateDecryptingKey};

    /// The modulus out of a `SubjectPublicKeyInfo` of a key of 2048 bits: behind `02 82 01 01 00`, before `02 03 01 00 01`.
    fn modulus(key: &PrivateDecryptingKey) -> Vec<u8> {
        let der: PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
        let der = der.as_ref();
        der[der.len() - 5 - 256..der.len() - 5].to_vec()
    }

    /// OAEP draws a seed, so there is no vector for this half; the library's other half is the judge, and a TPM in the tests of `linux`.
    #[test]
    fn the_holder_of_the_key_reads_it_under_the_same_label_and_hash() {
        let private = PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap();
        let modulus = modulus(&private);
        let key = OaepPrivateDecryptingKey::new(private).unwrap();
        let salt = Secret::copied_from(b"a salt");
        for (hash, algorithm) in [
            (Hash::Sha1, &OAEP_SHA1_MGF1SHA1),
            (Hash::Sha256, &OAEP_SHA256_MGF1SHA256),
            (Hash::Sha384, &OAEP_SHA384_MGF1SHA384),
            (Hash::Sha512, &OAEP_SHA512_MGF1SHA512),
        ] {
            let encrypted = encrypt(&modulus, 65537, hash, b"SECRET\0", &salt).unwrap();
            assert_eq!(encrypted.len(), 256);
            let mut into = [0; 256];
            assert_eq!(
                key.decrypt(algorithm, &encrypted, &mut into, Some(b"SECRET\0")).unwrap(),
                b"a salt",
                "{hash:?}"
            );
            assert!(key.decrypt(algorithm, &encrypted, &mut into, Some(b"SECRET")).is_err());
        }
        let long = Secret::new(vec![1; 256]);
        assert_eq!(encrypt(&modulus, 65537, Hash::Sha256, b"", &long).unwrap_err(), OaepError::NotEncrypted);
    }

    #[test]
    fn a_key_or_a_hash_that_does_not_serve_is_refused() {
        let text = Secret::copied_from(b"x");
        let encrypt = |modulus: &[u8], hash| encrypt(modulus, 65537, hash, b"", &text).map(|_| ());
        assert_eq!(encrypt(&[0xff; 256], Hash::Sm3), Err(OaepError::Hash(Hash::Sm3)));
        for modulus in [&[][..], &[0xff; 64]] {
            assert_eq!(encrypt(modulus, Hash::Sha256), Err(OaepError::KeyRefused), "{} bytes", modulus.len());
        }
        assert_eq!(encrypt(&[0xfe; 256], Hash::Sha256), Err(OaepError::NotEncrypted));
    }
}
