//! Characters that a field cannot hold as they are: `\` and three octal digits for one byte, as fstab has them.

use super::fault::LineError;

/// The text of a field. `\\` is one backslash; one before anything else stands for itself.
///
/// Debian's scripts also take four digits after a zero (`\0401`): what they read as one byte is a byte and a digit here.
pub(super) fn decode(raw: &str) -> Result<String, LineError> {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let (byte, after) = if *first == b'\\' { escaped(after) } else { (*first, after) };
        bytes.push(byte);
        rest = after;
    }
    if bytes.contains(&0) {
        return Err(LineError::Nul);
    }
    String::from_utf8(bytes).map_err(|_| LineError::NotText)
}

/// The byte that a backslash and what follows it stand for, and what is left.
fn escaped(after: &[u8]) -> (u8, &[u8]) {
    if let Some(rest) = after.strip_prefix(b"\\") {
        return (b'\\', rest);
    }
    let Some((digits, rest)) = after.split_first_chunk::<3>() else { return (b'\\', after) };
    let digit = |byte: u8| char::from(byte).to_digit(8);
    let value = digits.iter().try_fold(0_u32, |value, byte| Some(value * 8 + digit(*byte)?));
    value.and_then(|value| u8::try_from(value).ok()).map_or((b'\\', after), |byte| (byte, rest))
}

/// The text with blanks, control characters, backslashes and those of `also` as octal digits.
pub(super) fn encode(text: &str, also: &[char]) -> String {
    let mut raw = String::with_capacity(text.len());
    let mut buffer = [0; 4];
    for c in text.chars() {
        if c == ' ' || c == '\\' || c.is_control() || also.contains(&c) {
            c.encode_utf8(&mut buffer).bytes().for_each(|byte| raw.push_str(&format!("\\{byte:03o}")));
        } else {
            raw.push(c);
        }
    }
    raw
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(raw: &str, expected: &str) {
        assert_eq!(decode(raw).unwrap(), expected);
        assert_eq!(decode(&encode(expected, &[])).unwrap(), expected);
    }

    #[test]
    fn three_octal_digits_are_a_byte() {
        check(r"a\040b", "a b");
        check(r"\134\011\054", "\\\t,");
        check(r"\303\244", "ä");
        check(r"\0401", " 1");
        check(r"a\\040", r"a\040");
    }

    #[test]
    fn any_other_backslash_stands_for_itself() {
        check(r"a\b\04\089\", r"a\b\04\089\");
        check(r"\400\777", r"\400\777");
    }

    #[test]
    fn a_nul_and_broken_utf8_are_refused() {
        assert_eq!(decode(r"a\000"), Err(LineError::Nul));
        assert_eq!(decode(r"\377"), Err(LineError::NotText));
    }
}
