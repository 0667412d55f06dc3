//! The key that vouches for PCRs: a public key of RSA (RFC 8017, appendix A.1) in PEM (RFC 7468, section 13). systemd signs by no other.

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
        let rest = element(info, SEQUENCE).and_then(|(algorithm, rest)| (algorithm == RSA).then_some(rest))?;
        let (bits, []) = element(rest, BIT_STRING)? else { return None };
        // Whole bytes.
        let bits = bits.strip_prefix(&[0])?;
        Some(Signer { key: rsa(bits)?, fingerprint: Hash::Sha256.digest(&[bits]).as_ref().to_vec() })
    }
}

/// `RSAPublicKey`.
fn rsa(der: &[u8]) -> Option<VerifyingKey> {
    let (key, []) = element(der, SEQUENCE)? else { return None };
    let (modulus, rest) = element(key, INTEGER)?;
    let (exponent, []) = element(rest, INTEGER)? else { return None };
    // systemd spells the usual exponent out, which makes another name than the zero that stands for it.
    let exponent = exponent.iter().try_fold(0_u32, |sum, byte| sum.checked_mul(256)?.checked_add((*byte).into()))?;
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
