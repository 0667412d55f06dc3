//! The Concat key derivation function as `ECDH-ES` uses it (RFC 7518 section 4.6.2; NIST SP 800-56A section 5.8.1).

use crypto::{Hash, Secret};

/// `SHA256(BE32(i) ‖ z ‖ OtherInfo)` for i = 1, 2, …, joined and cut to `key_bits` (a multiple of 8), where
/// `OtherInfo = BE32(len) ‖ algorithm_id ‖ BE32(len) ‖ apu ‖ BE32(len) ‖ apv ‖ BE32(key_bits)`.
///
/// `z` is the shared x coordinate at its full width; `algorithm_id` is the `enc` of a JWE that uses the key directly; `apu`
/// and `apv` are the decoded values, empty where the header has none.
pub fn concat_kdf(z: &[u8], algorithm_id: &str, apu: &[u8], apv: &[u8], key_bits: u32) -> Secret {
    let lengths = [algorithm_id.len(), apu.len(), apv.len()].map(be32);
    let [id_len, apu_len, apv_len] = lengths.each_ref().map(|bytes| &bytes[..]);
    let bits = key_bits.to_be_bytes();
    Secret::filled_by((key_bits / 8) as usize, |key| {
        for (counter, block) in (1_u32..).zip(key.chunks_mut(Hash::Sha256.len())) {
            let counter = counter.to_be_bytes();
            let parts = [&counter, z, id_len, algorithm_id.as_bytes(), apu_len, apu, apv_len, apv, &bits];
            let digest = Hash::Sha256.digest(&parts);
            block.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
        }
    })
}

/// A JWE is at most 1 MiB (`jwe::LONGEST`), so no length comes near 32 bits.
fn be32(len: usize) -> [u8; 4] {
    u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::b64;

    /// RFC 7518 appendix C: Z, apu and apv as given there, key for A128GCM.
    #[test]
    fn matches_rfc_7518_appendix_c() {
        let z = [
            158, 86, 217, 29, 129, 113, 53, 211, 114, 131, 66, 131, 191, 132, 38, 156, 251, 49, 110, 163, 218, 128,
            106, 72, 246, 218, 167, 121, 140, 254, 144, 196,
        ];
        let key = concat_kdf(&z, "A128GCM", b"Alice", b"Bob", 128);
        assert_eq!(b64::encode(key.expose()), "VqqN6vgjbSBcIijNcacQGg");
    }

    /// Each block has its own counter: the first of two is the one of a single block but for the length that went in.
    #[test]
    fn long_keys_take_several_blocks() {
        let key = concat_kdf(&[7; 32], "A256CBC-HS512", b"", b"", 512);
        assert_eq!(key.len(), 64);
        let other_info = b"\0\0\0\x0dA256CBC-HS512\0\0\0\0\0\0\0\0\0\0\x02\0";
        let block = |i: u8| Hash::Sha256.digest(&[&[0, 0, 0, i], &[7; 32], other_info]);
        assert!(key.ct_eq(&[block(1).as_ref(), block(2).as_ref()].concat()));
    }
}
