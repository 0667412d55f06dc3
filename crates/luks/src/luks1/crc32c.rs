//! CRC-32C: the polynomial of Castagnoli, reflected, begun and ended with all ones (RFC 3720, appendix B.4).

/// The polynomial, lowest power first.
const POLYNOMIAL: u32 = 0x82F6_3B78;

/// The checksum of the parts, one behind the other.
pub(crate) fn crc32c(parts: &[&[u8]]) -> u32 {
    let bytes = parts.iter().flat_map(|part| part.iter());
    !bytes.fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| shifted(crc)))
}

fn shifted(crc: u32) -> u32 {
    let half = crc >> 1;
    if crc & 1 == 1 { half ^ POLYNOMIAL } else { half }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3720, appendix B.4, and the check value of the catalogues.
    #[test]
    fn it_matches_rfc_3720() {
        assert_eq!(crc32c(&[b"123456789"]), 0xE306_9283);
        assert_eq!(crc32c(&[b"1234", b"", b"56789"]), 0xE306_9283);
        assert_eq!(crc32c(&[&[0; 32]]), 0x8A91_36AA);
        assert_eq!(crc32c(&[&[0xFF; 32]]), 0x62A8_AB43);
        assert_eq!(crc32c(&[]), 0);
    }
}
