//! Recovery keys: passphrases for paper, to be read aloud and typed when nothing else opens.
//!
//! The form is that of systemd's: 64 characters of modhex in eight groups, `cbdefghi-…`. Modhex (`cbdefghijklnrtuv`) has no digits and no
//! characters that look alike, and they lie in the same places of every Latin keyboard, which at a boot prompt may not be the one that
//! is printed on the keys. And `systemd-cryptsetup` takes such a key with or without dashes, in either case.
//!
//! systemd draws all 256 bits. Here the last character of each group checks the seven before it, so that a slip is found, and the group
//! with it, before a key derivation says "wrong" about all 64; 224 random bits are left. The check is linear over GF(16) (x⁴ + x + 1,
//! α = x): Σ αⁱ·dᵢ = g for the characters d₀ … d₇ of group g, counted from 0. It sees each wrong character, each two that changed places,
//! and each two groups that did.

use crypto::{Passphrase, Random, RandomFailed, Secret};

/// The digits 0 to 15.
const MODHEX: &[u8; 16] = b"cbdefghijklnrtuv";
/// How many groups there are.
const GROUPS: u8 = 8;
/// How many characters a group has.
const GROUP: usize = 8;
/// How many characters there are in all, without dashes.
const CHARACTERS: usize = GROUPS as usize * GROUP;
/// The length with dashes.
const LENGTH: usize = CHARACTERS + GROUPS as usize - 1;
/// What is so much longer or shorter is no recovery key with a slip.
const SLACK: usize = 8;

/// What somebody typed, if it is meant as a recovery key.
#[derive(Debug)]
pub enum Reading {
    /// A recovery key, as it opens its keyslot.
    Key(Passphrase),
    /// Something is wrong in these groups, counted from 1. A key that systemd made has no checks: where there are only letters that may
    /// be, `as_typed` is worth trying.
    Mistyped {
        /// The groups.
        groups: Vec<u8>,
        /// The key, if the checks do not count.
        as_typed: Option<Passphrase>,
    },
    /// Characters are missing, or there are too many.
    WrongLength {
        /// How many there are, without dashes.
        found: usize,
    },
}

/// Draws a recovery key.
///
/// # Errors
/// [`RandomFailed`].
pub fn recovery_key(random: &dyn Random) -> Result<Passphrase, RandomFailed> {
    let drawn = Secret::try_filled_by(CHARACTERS, |bytes| random.fill(bytes))?;
    let mut key = Secret::new(Vec::with_capacity(CHARACTERS));
    for (number, group) in (0..GROUPS).zip(drawn.expose().chunks(GROUP)) {
        let digits = Secret::copied_from(group).rewritten(|digits| {
            digits.iter_mut().for_each(|digit| *digit &= 15);
            if let Some((check, others)) = digits.split_last_mut() {
                // The weight of the check is α⁷, and α¹⁵ = 1.
                *check = times_alpha(sum(others) ^ number, 8);
            }
        });
        let place = key.len();
        key = key.lengthened_to(place + GROUP).rewritten(|key| {
            key.iter_mut().skip(place).zip(digits.expose()).for_each(|(to, digit)| *to = letter(*digit));
        });
    }
    Ok(with_dashes(&key))
}

/// Reads what somebody typed; `None` if it is not meant as a recovery key. Dashes, white space and case do not count.
pub fn read_recovery_key(typed: &Passphrase) -> Option<Reading> {
    let counts = |byte: &&u8| **byte != b'-' && !byte.is_ascii_whitespace();
    let found = typed.expose().iter().filter(counts).count();
    let letters = Secret::filled_by(found, |into| {
        let typed = typed.expose().iter().filter(counts);
        into.iter_mut().zip(typed).for_each(|(to, byte)| *to = byte.to_ascii_lowercase());
    });
    let strange = letters.expose().iter().filter(|byte| digit(**byte).is_none()).count();
    if found.abs_diff(CHARACTERS) > SLACK || strange > SLACK {
        return None;
    }
    if found != CHARACTERS {
        return Some(Reading::WrongLength { found });
    }
    let groups: Vec<u8> = (0..GROUPS)
        .zip(letters.expose().chunks(GROUP))
        .filter(|(number, group)| !is_right(*number, group))
        .map(|(number, _)| number + 1)
        .collect();
    Some(match (groups.is_empty(), strange) {
        (true, _) => Reading::Key(with_dashes(&letters)),
        (false, 0) => Reading::Mistyped { groups, as_typed: Some(with_dashes(&letters)) },
        (false, _) => Reading::Mistyped { groups, as_typed: None },
    })
}

/// Whether a group has only letters that may be, and checks.
fn is_right(number: u8, group: &[u8]) -> bool {
    let known = group.iter().all(|letter| digit(*letter).is_some());
    let digits = Secret::copied_from(group).rewritten(|group| {
        group.iter_mut().for_each(|letter| *letter = digit(*letter).unwrap_or(0));
    });
    known && sum(digits.expose()) == number
}

/// Σ αⁱ·dᵢ.
fn sum(digits: &[u8]) -> u8 {
    // Horner's rule from the last digit to the first.
    digits.iter().rev().fold(0, |sum, digit| times_alpha(sum, 1) ^ digit)
}

/// αⁿ·`digit`.
fn times_alpha(digit: u8, n: usize) -> u8 {
    (0..n).fold(digit, |digit, _| (digit << 1 ^ if digit & 8 == 0 { 0 } else { 0b1_0011 }) & 15)
}

fn letter(digit: u8) -> u8 {
    MODHEX.get(usize::from(digit)).copied().unwrap_or_default()
}

fn digit(letter: u8) -> Option<u8> {
    MODHEX.iter().position(|known| *known == letter).and_then(|digit| u8::try_from(digit).ok())
}

/// The form that opens a keyslot.
fn with_dashes(letters: &Secret) -> Passphrase {
    Passphrase::new(Secret::filled_by(LENGTH, |into| {
        for (to, from) in into.chunks_mut(GROUP + 1).zip(letters.expose().chunks(GROUP)) {
            to.fill(b'-');
            to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
        }
    }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use crypto::SystemRandom;

    fn key() -> String {
        String::from_utf8(recovery_key(&SystemRandom).unwrap().expose().to_vec()).unwrap()
    }

    fn read(text: &str) -> Option<Reading> {
        read_recovery_key(&Passphrase::new(Secret::copied_from(text.as_bytes())))
    }

    fn is_key(text: &str, key: &str) -> bool {
        matches!(read(text), Some(Reading::Key(found)) if found.expose() == key.as_bytes())
    }

    fn wrong_groups(text: &str) -> Vec<u8> {
        let Some(Reading::Mistyped { groups, .. }) = read(text) else { panic!("not found out: {text}") };
        groups
    }

    #[test]
    fn it_has_the_form_of_systemds() {
        let key = key();
        let groups: Vec<&str> = key.split('-').collect();
        assert_eq!((key.len(), groups.len()), (71, 8));
        assert!(groups.iter().all(|group| group.len() == 8 && group.bytes().all(|byte| MODHEX.contains(&byte))));
        assert_ne!(key, self::key());
    }

    #[test]
    fn it_is_read_however_it_was_typed() {
        let key = key();
        let bare = key.replace('-', "");
        for typed in
            [&key, &bare, &key.to_uppercase(), &key.replace('-', " "), &format!(" {bare}\n"), &key.replace('-', "--")]
        {
            assert!(is_key(typed, &key), "{typed}");
        }
    }

    #[test]
    fn every_wrong_letter_is_found_and_its_group_named() {
        let key = key();
        for at in (0..key.len()).filter(|at| at % 9 != 8) {
            for letter in MODHEX.iter().map(|byte| char::from(*byte)).filter(|letter| !key[at..].starts_with(*letter)) {
                let typed = format!("{}{letter}{}", &key[..at], &key[at + 1..]);
                assert_eq!(wrong_groups(&typed), [u8::try_from(at / 9 + 1).unwrap()], "{typed}");
            }
        }
    }

    #[test]
    fn letters_and_groups_that_changed_places_are_found() {
        let key = key();
        let bytes = key.as_bytes();
        for (a, b) in (0..71).flat_map(|a| (0..a).map(move |b| (a, b))).filter(|(a, b)| a / 9 == b / 9) {
            let mut typed = bytes.to_vec();
            typed.swap(a, b);
            if bytes[a] != bytes[b] && a % 9 != 8 {
                assert_eq!(wrong_groups(&String::from_utf8(typed).unwrap()).len(), 1);
            }
        }
        let groups: Vec<&str> = key.split('-').collect();
        for (a, b) in (0..8).flat_map(|a| (0..a).map(move |b| (a, b))) {
            let mut typed = groups.clone();
            typed.swap(a, b);
            let (first, second) = (u8::try_from(b + 1).unwrap(), u8::try_from(a + 1).unwrap());
            assert_eq!(wrong_groups(&typed.join("-")), [first, second]);
        }
    }

    #[test]
    fn what_is_missing_or_strange_is_said() {
        let key = key();
        assert!(matches!(read(&key[1..]), Some(Reading::WrongLength { found: 63 })));
        assert!(matches!(read(&format!("{key}c")), Some(Reading::WrongLength { found: 65 })));
        let strange = format!("{}a{}", &key[..20], &key[21..]);
        assert!(matches!(read(&strange), Some(Reading::Mistyped { as_typed: None, .. })));
        assert_eq!(wrong_groups(&strange), [3]);
    }

    #[test]
    fn a_passphrase_is_none() {
        let sentence = "the quick brown fox jumps over the lazy dog and then it sleeps some more";
        for typed in ["", "typed", "correct horse battery staple", sentence, &"c".repeat(40), &"x".repeat(64)] {
            assert!(read(typed).is_none(), "{typed}");
        }
    }

    /// What systemd-cryptenroll makes has no checks.
    #[test]
    fn a_key_of_systemds_is_worth_trying() {
        let theirs = "uvbikkhd-nlvtnkgg-bkrkdtlk-gctkvnhl-ugtlcnbe-eltuvuhh-lkbbuljl-tvgegtce";
        let Some(Reading::Mistyped { as_typed: Some(found), .. }) = read(&theirs.replace('-', "")) else { panic!() };
        assert_eq!(found.expose(), theirs.as_bytes());
    }
}
