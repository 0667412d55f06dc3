//! Recovery keys: random passphrases that can be written down, read aloud over a telephone and typed anywhere.
//!
//! Eight groups of six digits, joined by hyphens: `123453-…`. Digits sound different from each other, and digits and the hyphen
//! are on the number pad of every keyboard, whatever layout an early prompt believes in. Each group is a random number of 16
//! bits times 11, so the whole has 128 bits, and a group with one wrong digit or two that changed places is known to be wrong.

use crypto::{Passphrase, Random, RandomFailed, Secret};
use zeroize::Zeroizing;

const GROUPS: usize = 8;
const DIGITS: usize = 6;
const CHECK: u32 = 11;

/// What a passphrase that looks like a recovery key is.
#[derive(Debug)]
pub enum Typed {
    /// It is one, in the form in which they are used.
    Whole(Passphrase),
    /// It would be one, but this group is wrong, counted from 1.
    WrongGroup(usize),
}

/// Makes one.
pub fn make(random: &dyn Random) -> Result<Passphrase, RandomFailed> {
    let numbers = Secret::try_filled_by(2 * GROUPS, |into| random.fill(into))?;
    let groups = numbers.expose().chunks_exact(2).map(|pair| pair.iter().fold(0, |n, byte| n << 8 | u32::from(*byte)));
    let mut text = Zeroizing::new(Vec::with_capacity(GROUPS * (DIGITS + 1)));
    groups.for_each(|number| push_group(&mut text, number * CHECK));
    Ok(Passphrase::new(Secret::copied_from(&text)))
}

/// What a person who was asked for a passphrase may have meant: the hyphens of a recovery key may be left out, or be spaces.
/// `None` if it is none.
pub fn typed(passphrase: &[u8]) -> Option<Typed> {
    let digits: Zeroizing<Vec<u8>> =
        passphrase.iter().copied().filter(|c| !matches!(c, b'-' | b' ')).collect::<Vec<_>>().into();
    if digits.len() != GROUPS * DIGITS || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let mut text = Zeroizing::new(Vec::with_capacity(GROUPS * (DIGITS + 1)));
    for (index, group) in digits.chunks_exact(DIGITS).enumerate() {
        let number = group.iter().fold(0, |n, digit| n * 10 + u32::from(digit - b'0'));
        if !number.is_multiple_of(CHECK) || number / CHECK > u32::from(u16::MAX) {
            return Some(Typed::WrongGroup(index + 1));
        }
        push_group(&mut text, number);
    }
    Some(Typed::Whole(Passphrase::new(Secret::copied_from(&text))))
}

/// Digit by digit, so that no number is left behind in a buffer that nobody wipes.
fn push_group(text: &mut Vec<u8>, number: u32) {
    if !text.is_empty() {
        text.push(b'-');
    }
    for place in [100_000, 10_000, 1000, 100, 10, 1] {
        // A remainder of ten fits into a byte.
        text.push(b'0' + u8::try_from(number / place % 10).unwrap_or(0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(u8);

    impl Random for Fixed {
        fn fill(&self, into: &mut [u8]) -> Result<(), RandomFailed> {
            into.fill(self.0);
            Ok(())
        }
    }

    fn text(passphrase: &Passphrase) -> String {
        String::from_utf8(passphrase.expose().to_vec()).unwrap()
    }

    #[test]
    fn a_key_is_eight_groups_of_six_digits() {
        assert_eq!(text(&make(&Fixed(0)).unwrap()), ["000000"; 8].join("-"));
        assert_eq!(text(&make(&Fixed(255)).unwrap()), ["720885"; 8].join("-"));
        let key = text(&make(&crypto::SystemRandom).unwrap());
        assert_eq!((key.len(), key.split('-').count()), (55, 8));
        assert_ne!(key, text(&make(&crypto::SystemRandom).unwrap()));
    }

    #[test]
    fn it_is_known_however_it_is_typed() {
        let key = text(&make(&crypto::SystemRandom).unwrap());
        for form in [key.clone(), key.replace('-', ""), key.replace('-', " ")] {
            let Some(Typed::Whole(found)) = typed(form.as_bytes()) else { panic!("{form}") };
            assert_eq!(text(&found), key);
        }
        for other in ["", "correct horse", "123456", &key[1..], &format!("{key}1")] {
            assert!(typed(other.as_bytes()).is_none(), "{other}");
        }
    }

    #[test]
    fn every_wrong_digit_and_every_two_that_changed_places_are_found_with_their_group() {
        let key = text(&make(&Fixed(0x5a)).unwrap());
        for at in (0..key.len()).filter(|at| at % 7 != 6) {
            let mut wrong = key.clone().into_bytes();
            wrong[at] = b'0' + (wrong[at] - b'0' + 1) % 10;
            assert!(matches!(typed(&wrong), Some(Typed::WrongGroup(n)) if n == at / 7 + 1), "{at}");
            let mut swapped = key.clone().into_bytes();
            if at % 7 < 5 && swapped[at] != swapped[at + 1] {
                swapped.swap(at, at + 1);
                assert!(matches!(typed(&swapped), Some(Typed::WrongGroup(n)) if n == at / 7 + 1), "{at}");
            }
        }
    }
}
