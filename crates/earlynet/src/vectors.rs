//! Messages that were captured, as the files below `vectors/` have them: hexadecimal digits, white space and comments behind `#`.

/// The bytes of one.
pub(crate) fn bytes(text: &str) -> Vec<u8> {
    let code = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    let digits: Vec<u8> =
        code.flat_map(|line| line.chars().filter_map(|c| c.to_digit(16))).map(|n| u8::try_from(n).unwrap()).collect();
    let (pairs, rest) = digits.as_chunks::<2>();
    assert!(rest.is_empty(), "half a byte at the end");
    pairs.iter().map(|[high, low]| high << 4 | low).collect()
}
