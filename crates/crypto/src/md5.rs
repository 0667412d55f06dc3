//! MD5, for what packages say of their own files, and for nothing else.

use crate::ffi;

/// MD5 of these bytes (RFC 1321); nothing without memory for it.
///
/// Anybody makes two contents with one digest. To find another content for a digest that somebody honest has published is out of reach
/// (2^123, Sasaki and Aoki 2009): it says whether a file is the one of its package, whose maker is trusted, and nothing more. It stands
/// apart from [`Hash`](crate::Hash), so that no header can name it.
pub fn md5(bytes: &[u8]) -> Option<[u8; 16]> {
    ffi::md5(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 1321, appendix A.5.
    #[test]
    fn digests_match_rfc_1321() {
        let check =
            |text: &str, expected: u128| assert_eq!(md5(text.as_bytes()), Some(expected.to_be_bytes()), "{text}");
        check("", 0xd41d_8cd9_8f00_b204_e980_0998_ecf8_427e);
        check("abc", 0x9001_5098_3cd2_4fb0_d696_3f7d_28e1_7f72);
        check("message digest", 0xf96b_697d_7cb7_938d_525a_2f31_aaf1_61d0);
        let long = "1234567890".repeat(8);
        check(&long, 0x57ed_f4a2_2be3_c955_ac49_da2e_2107_b67a);
    }
}
