//! The two key derivations of a TPM (part 1, section 11.4.10). A label counts with the zero byte that ends it.

use crypto::{Hash, Secret, hmac};

/// `KDFa`: `T(i) = HMAC(key, i ‖ label ‖ u ‖ v ‖ bits)`, `T(1) ‖ T(2) ‖ …` cut to `len` bytes (SP 800-108 in counter mode).
pub(crate) fn kdfa(hash: Hash, key: &Secret, label: &[u8], u: &[u8], v: &[u8], len: u16) -> Secret {
    let bits = (u32::from(len) * 8).to_be_bytes();
    filled(len, hash, |counter| hmac(hash, key.expose(), &[counter, label, u, v, &bits]))
}

/// `KDFe`: `T(i) = H(i ‖ z ‖ label ‖ u ‖ v)`, `T(1) ‖ T(2) ‖ …` cut to `len` bytes (SP 800-56A).
pub(crate) fn kdfe(hash: Hash, z: &[u8], label: &[u8], u: &[u8], v: &[u8], len: u16) -> Secret {
    filled(len, hash, |counter| hash.digest(&[counter, z, label, u, v]))
}

fn filled(len: u16, hash: Hash, block: impl Fn(&[u8]) -> crypto::Digest) -> Secret {
    Secret::filled_by(len.into(), |bytes| {
        for (counter, piece) in (1u32..).zip(bytes.chunks_mut(hash.len())) {
            let block = block(&counter.to_be_bytes());
            piece.iter_mut().zip(block.as_ref()).for_each(|(to, from)| *to = *from);
        }
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    fn unhex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
    }

    /// The self test of the reference implementation, as other libraries carry it.
    #[test]
    fn kdfa_known_answer() {
        let key = Secret::new(unhex("271fa08bbdc5060ec3dfa928ff9b73123a12da0c"));
        let (u, v) = (unhex("ce244f395dca7391"), unhex("da504031ddf12e83"));
        let found = kdfa(Hash::Sha256, &key, b"KDFSELFTESTLABEL\0", &u, &v, 20);
        assert!(found.ct_eq(&unhex("bb0259e1c8ba607e6a2cd704b69a902e9ade84c4")));
    }

    /// The beginning of a longer key is another key in KDFa (the length is in it), and the same in KDFe.
    #[test]
    fn more_than_one_block() {
        let key = Secret::copied_from(b"key");
        let long = kdfe(Hash::Sha1, key.expose(), b"L\0", b"u", b"v", 50);
        assert_eq!(long.expose()[..20], *Hash::Sha1.digest(&[&[0, 0, 0, 1], b"key", b"L\0u", b"v"]).as_ref());
        assert_eq!(long.expose()[40..], Hash::Sha1.digest(&[&[0, 0, 0, 3], b"keyL\0uv"]).as_ref()[..10]);
        let long = kdfa(Hash::Sha1, &key, b"CFB\0", b"u", b"v", 32);
        assert_eq!(long.expose()[20..], hmac(Hash::Sha1, b"key", &[b"\0\0\0\x02CFB\0uv\0\0\x01\0"]).as_ref()[..12]);
    }
}
