//! The key that vouches for PCRs: a public key in PEM (RFC 7468, section 13), on P-256 (RFC 5480) or of RSA (RFC 8017, appendix A.1).

use ::tpm2::VerifyingKey;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crypto::Hash;

/// A key, and what signatures name it by.
#[derive(Clone, Debug)]
pub(super) struct Signer {
    pub(super) key: VerifyingKey,
    /// SHA-256 of the key itself, without its algorithm.
    pub(super) fingerprint: Vec<u8>,
}

const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const END: &str = "-----END PUBLIC KEY-----";
/// `rsaEncryption` with its parameters, which are none.
const RSA: [u8; 13] = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
/// `ecPublicKey` on `prime256v1`.
const P256: [u8; 19] =
    [0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
/// What stands for 65537 in the public area of a TPM.
const DEFAULT_EXPONENT: u32 = 0;

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const SEQUENCE: u8 = 0x30;

impl Signer {
    /// Reads a PEM. `None` if it is none, or of a key that is not taken.
    pub(super) fn from_pem(text: &[u8]) -> Option<Signer> {
        let (_, rest) = std::str::from_utf8(text).ok()?.split_once(BEGIN)?;
        let (body, _) = rest.split_once(END)?;
        let body: String = body.chars().filter(|c| !c.is_whitespace()).collect();
        let der = STANDARD.decode(body).ok()?;
        let (info, []) = element(&der, SEQUENCE)? else { return None };
        let (algorithm, rest) = element(info, SEQUENCE)?;
        let (bits, []) = element(rest, BIT_STRING)? else { return None };
        // Whole bytes.
        let bits = bits.strip_prefix(&[0])?;
        let key = if algorithm == RSA {
            rsa(bits)?
        } else if algorithm == P256 {
            let (x, y) = bits.strip_prefix(&[4])?.split_first_chunk()?;
            VerifyingKey::P256 { x: *x, y: y.try_into().ok()? }
        } else {
            return None;
        };
        Some(Signer { key, fingerprint: Hash::Sha256.digest(&[bits]).as_ref().to_vec() })
    }
}

/// `RSAPublicKey`.
fn rsa(der: &[u8]) -> Option<VerifyingKey> {
    let (key, []) = element(der, SEQUENCE)? else { return None };
    let (modulus, rest) = element(key, INTEGER)?;
    let (exponent, []) = element(rest, INTEGER)? else { return None };
    let exponent = match exponent {
        [1, 0, 1] => DEFAULT_EXPONENT,
        other => other.iter().try_fold(0_u32, |sum, byte| sum.checked_mul(256)?.checked_add((*byte).into()))?,
    };
    // The sign is a byte of its own where the highest bit is set, as it is in a modulus.
    let modulus = modulus.strip_prefix(&[0]).unwrap_or(modulus).to_vec();
    Some(VerifyingKey::Rsa { modulus, exponent })
}

/// The content of one DER element of this tag, and what stands behind it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (len, rest) = der.strip_prefix(&[tag])?.split_first()?;
    let (len, rest) = match len {
        ..=0x7f => (usize::from(*len), rest),
        0x81 => rest.split_first().map(|(len, rest)| (usize::from(*len), rest))?,
        0x82 => rest.split_first_chunk().map(|(len, rest)| (usize::from(u16::from_be_bytes(*len)), rest))?,
        _ => return None,
    };
    rest.split_at_checked(len)
}
