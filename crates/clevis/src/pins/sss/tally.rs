//! What the shares that have answered come to: a secret, or the names of those that are wrong.
//!
//! A set of t shares is right if its key opens the JWE: the tag decides. Shares that have a check value are judged one by one and
//! only right ones count. Of the original's shares nothing is known beforehand, so with every new one the sets that it completes
//! are tried, at most [`MOST_SUBSETS`] in all. A set that opens gives the polynomial, and each further share that does not lie on it
//! is named; without a set that opens nobody can tell who lies, and all that answered are named.

use super::binding::{Binding, NAME, bad_binding};
use super::check::Check;
use super::field::{self, Point};
use super::subsets::subsets;
use crate::error::{BindingError, Failure, PinError, ShareFault, ShareName, WrongShare};
use crate::pin::Opened;
use crate::remark::Remark;
use crypto::{Secret, Share};
use jose::{Jwe, JweError};
use std::cmp::Reverse;

/// Most sets of shares that are tried.
pub(super) const MOST_SUBSETS: usize = 1000;

/// What one child ended with.
pub(super) struct Outcome {
    pub(super) name: ShareName,
    pub(super) result: Result<Opened, PinError>,
}

/// See the module.
pub(super) struct Tally<'a> {
    binding: &'a Binding,
    jwe: &'a Jwe,
    answered: Vec<(ShareName, Point)>,
    failures: Vec<Failure>,
    wrong: Vec<WrongShare>,
    remarks: Vec<Remark>,
    tried: usize,
    /// Why the last set did not open the JWE, if it had a key at all.
    closed: Option<JweError>,
}

impl<'a> Tally<'a> {
    /// Before anybody has answered.
    pub(super) fn new(binding: &'a Binding, jwe: &'a Jwe) -> Tally<'a> {
        // With its whole room at once: a vector that grows leaves what it held behind, and nobody wipes that.
        let answered = Vec::with_capacity(binding.shares.len());
        let (failures, wrong, remarks) = (Vec::new(), Vec::new(), Vec::new());
        Tally { binding, jwe, answered, failures, wrong, remarks, tried: 0, closed: None }
    }

    /// Takes one more outcome; with it the JWE may open.
    pub(super) fn take(&mut self, outcome: Outcome) -> Option<Opened> {
        let Outcome { name, result } = outcome;
        let opened = match result {
            Ok(opened) => opened,
            Err(error) => {
                self.failures.push(Failure { share: name.share, pin: name.pin, error });
                return None;
            }
        };
        self.remarks.extend(opened.remarks);
        self.wrong.extend(opened.wrong.into_iter().map(|wrong| wrong.inside(&name)));
        match self.point(name.share, opened.secret) {
            Ok(point) => self.try_with(name, point),
            Err(fault) => {
                self.wrong.push(WrongShare { place: name.to_string(), fault });
                let error = bad_binding(BindingError::Share(fault));
                self.failures.push(Failure { share: name.share, pin: name.pin, error });
                None
            }
        }
    }

    /// Whether nothing that may still come can help: too few are left, enough was tried, or it is not the shares.
    pub(super) fn is_lost(&self) -> bool {
        let checked = self.binding.checks.is_some() && self.closed.is_some();
        checked
            || self.tried >= MOST_SUBSETS
            || self.binding.shares.len() - self.failures.len() < self.binding.threshold
    }

    /// Why the JWE stays closed, when nothing more is awaited.
    pub(super) fn into_error(mut self) -> PinError {
        self.failures.sort_by_key(|failure| (Reverse(failure.error.weight()), failure.share));
        let (needed, failures) = (self.binding.threshold, self.failures);
        if let (Some(_), Some(source)) = (&self.binding.checks, self.closed) {
            // Every share is the one that was dealt: something else was changed.
            return PinError::WrongKey { pin: NAME, source };
        }
        if self.tried == 0 {
            return PinError::TooFew { needed, shares: self.binding.shares.len(), failures };
        }
        let mut answered: Vec<ShareName> = self.answered.into_iter().map(|(name, _)| name).collect();
        answered.sort_by_key(|name| name.share);
        PinError::NoSubset { needed, answered, tried: self.tried, failures }
    }

    /// The share as a point, if it is a share at all and the one that its check value is of.
    fn point(&self, number: usize, share: Secret) -> Result<Point, ShareFault> {
        let modulus = &self.binding.modulus;
        let expected = self.binding.checks.as_ref().and_then(|checks| checks.get(number));
        if expected.is_some_and(|expected| *expected != Check::of(modulus, number, &share)) {
            return Err(ShareFault::Unchecked);
        }
        Point::read(modulus, &Share::new(share)).ok_or(ShareFault::Odd)
    }

    /// Tries the sets that the new share completes.
    fn try_with(&mut self, name: ShareName, point: Point) -> Option<Opened> {
        let chosen = subsets(self.answered.len(), self.binding.threshold - 1);
        for set in chosen.take(MOST_SUBSETS - self.tried) {
            self.tried += 1;
            let earlier = self.answered.iter().enumerate().filter(|(at, _)| set.contains(*at));
            let points: Vec<&Point> = earlier.map(|(_, (_, earlier))| earlier).chain([&point]).collect();
            let Some(key) = field::combine(&self.binding.modulus, &points) else { continue };
            match self.jwe.decrypt(&key) {
                Ok(secret) => {
                    let (wrong, remarks) = (self.strays(&points), self.remarks.clone());
                    return Some(Opened { secret, key, wrong, remarks });
                }
                Err(error) => self.closed = Some(error),
            }
        }
        self.answered.push((name, point));
        None
    }

    /// The wrong ones among those that have answered, now that these shares opened the JWE.
    fn strays(&self, good: &[&Point]) -> Vec<WrongShare> {
        let stray = |(_, point): &&(ShareName, Point)| !field::fits(&self.binding.modulus, good, point);
        let named = |(name, _): &(ShareName, Point)| WrongShare { place: name.to_string(), fault: ShareFault::Stray };
        self.wrong.iter().cloned().chain(self.answered.iter().filter(stray).map(named)).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;
    use crate::error::{Name, NextStep};
    use crate::pins::sss::field::{Modulus, Polynomial};
    use crypto::SystemRandom;
    use json::Object;

    /// A threshold with its shares, which no child holds.
    struct Dealt {
        binding: Binding,
        jwe: Jwe,
        shares: Vec<Secret>,
    }

    impl Dealt {
        /// With check values, as ours are.
        fn ours(threshold: usize, count: usize) -> Dealt {
            let modulus = Modulus::fresh().unwrap();
            let polynomial = Polynomial::draw(modulus.clone(), threshold, &SystemRandom).unwrap();
            let shares: Vec<Secret> =
                (0..count).map(|_| polynomial.share(&SystemRandom).unwrap().into_secret()).collect();
            let checks = shares.iter().enumerate().map(|(number, share)| Check::of(&modulus, number, share)).collect();
            let secret = Secret::copied_from(b"the secret");
            let jwe = Jwe::encrypt_dir(&Object::new(), &polynomial.secret(), &secret, &SystemRandom).unwrap();
            let binding = Binding { threshold, modulus, shares: vec![String::new(); count], checks: Some(checks) };
            Dealt { binding, jwe, shares }
        }

        /// Without, as the original's are.
        fn theirs(threshold: usize, count: usize) -> Dealt {
            let mut dealt = Dealt::ours(threshold, count);
            dealt.binding.checks = None;
            dealt
        }

        fn share(&self, number: usize) -> Result<Opened, PinError> {
            Ok(Opened::new(Secret::copied_from(self.shares[number].expose()), Secret::new(vec![])))
        }

        /// The share with this number, changed.
        fn lie(&self, number: usize) -> Result<Opened, PinError> {
            let changed = Secret::copied_from(self.shares[number].expose()).rewritten(|bytes| bytes[63] ^= 1);
            Ok(Opened::new(changed, Secret::new(vec![])))
        }

        /// Takes the outcomes in this order. What opens must do so with the last of them.
        fn take(&self, outcomes: Vec<(usize, Result<Opened, PinError>)>) -> Result<Vec<String>, PinError> {
            let mut tally = Tally::new(&self.binding, &self.jwe);
            let last = outcomes.len();
            for (at, (share, result)) in outcomes.into_iter().enumerate() {
                if let Some(opened) = tally.take(Outcome { name: name(share), result }) {
                    assert_eq!(opened.secret.expose(), b"the secret");
                    assert_eq!(at + 1, last, "before the last");
                    return Ok(opened.wrong.iter().map(ToString::to_string).collect());
                }
            }
            Err(tally.into_error())
        }
    }

    fn name(share: usize) -> ShareName {
        ShareName { share, pin: Some(Name::new("p")) }
    }

    fn told_to_fail() -> Result<Opened, PinError> {
        Err(PinError::ToldToFail)
    }

    #[test]
    fn the_threshold_is_enough() {
        for dealt in [Dealt::ours(2, 4), Dealt::theirs(2, 4)] {
            let wrong = dealt.take(vec![(3, dealt.share(3)), (0, told_to_fail()), (1, dealt.share(1))]).unwrap();
            assert!(wrong.is_empty());
        }
    }

    /// T24: three of five with two liars.
    #[test]
    fn liars_are_named_and_spoil_nothing() {
        for (dealt, words) in
            [(Dealt::ours(3, 5), "it differs from its check value"), (Dealt::theirs(3, 5), "it does not fit those")]
        {
            let (l, s) = (|n| (n, dealt.lie(n)), |n| (n, dealt.share(n)));
            for outcomes in [vec![l(1), l(4), s(0), s(2), s(3)], vec![s(3), l(4), s(0), l(1), s(2)]] {
                let wrong = dealt.take(outcomes).unwrap();
                assert_eq!(wrong.len(), 2);
                for number in [2, 5] {
                    assert!(wrong.iter().any(|w| w.starts_with(&format!("share {number} (p): ")) && w.contains(words)));
                }
            }
        }
    }

    #[test]
    fn without_check_values_nobody_is_named_before_a_set_opens() {
        let dealt = Dealt::theirs(2, 3);
        let error = dealt.take(vec![(0, dealt.share(0)), (1, dealt.lie(1)), (2, told_to_fail())]).unwrap_err();
        let PinError::NoSubset { needed: 2, answered, tried: 1, failures } = &error else { panic!("{error:?}") };
        assert_eq!((answered.as_slice(), failures.len()), ([name(0), name(1)].as_slice(), 1));
        assert_eq!(
            error.to_string(),
            "2 shares answered, and no 2 of them open the JWE (1 combination tried); share 1 (p); share 2 (p); share 3 (p): the \
             pin null was told to fail"
        );
        assert_eq!(error.next_step(), NextStep::TryAnother);
    }

    #[test]
    fn with_check_values_the_liar_is_a_failure_with_its_name() {
        let dealt = Dealt::ours(2, 2);
        let error = dealt.take(vec![(0, dealt.share(0)), (1, dealt.lie(1))]).unwrap_err();
        let PinError::TooFew { needed: 2, failures, .. } = &error else { panic!("{error:?}") };
        assert!(matches!(
            &failures[0],
            Failure {
                share: 1,
                error: PinError::BadBinding { source: BindingError::Share(ShareFault::Unchecked), .. },
                ..
            }
        ));
    }

    /// With the shares proved right one by one, it is the JWE.
    #[test]
    fn a_damaged_jwe_is_not_blamed_on_its_shares() {
        let mut dealt = Dealt::ours(2, 3);
        dealt.jwe = Dealt::ours(2, 3).jwe;
        let mut tally = Tally::new(&dealt.binding, &dealt.jwe);
        assert!(tally.take(Outcome { name: name(0), result: dealt.share(0) }).is_none() && !tally.is_lost());
        assert!(tally.take(Outcome { name: name(1), result: dealt.share(1) }).is_none() && tally.is_lost());
        assert!(matches!(tally.into_error(), PinError::WrongKey { pin: "sss", .. }));
    }

    #[test]
    fn malformed_shares_are_named_too() {
        let dealt = Dealt::theirs(1, 3);
        let odd = |bytes: Vec<u8>| Ok(Opened::new(Secret::new(bytes), Secret::new(vec![])));
        let outcomes = vec![(0, odd(vec![])), (1, odd(vec![0xff; 64])), (2, dealt.share(2))];
        let wrong = dealt.take(outcomes).unwrap();
        assert_eq!(
            wrong,
            ["share 1 (p): a share is not one of this threshold", "share 2 (p): a share is not one of this threshold"]
        );
    }

    #[test]
    fn one_share_twice_counts_once() {
        let dealt = Dealt::theirs(2, 3);
        assert!(dealt.take(vec![(0, dealt.share(0)), (1, dealt.share(0)), (2, dealt.share(2))]).is_ok());
        let error = dealt.take(vec![(0, dealt.share(0)), (1, dealt.share(0))]).unwrap_err();
        assert!(matches!(error, PinError::NoSubset { .. }), "{error:?}");
    }

    /// 5 good ones of 17 would be found among 6188 sets, but no more than 1,000 are tried.
    #[test]
    fn the_combinations_are_limited() {
        let dealt = Dealt::theirs(5, 17);
        let mut tally = Tally::new(&dealt.binding, &dealt.jwe);
        let outcomes = (0..17).map(|n| (n, if n < 12 { dealt.lie(n) } else { dealt.share(n) }));
        for (share, result) in outcomes {
            assert!(tally.take(Outcome { name: name(share), result }).is_none());
            assert_eq!(tally.is_lost(), tally.tried >= 1000, "share {share}, {} tried", tally.tried);
        }
        let error = tally.into_error();
        assert!(error.to_string().starts_with("17 shares answered, and no 5 of them open the JWE (1000 combinations"));
        assert!(matches!(&error, PinError::NoSubset { answered, .. } if answered.len() == 17));
    }

    #[test]
    fn a_server_that_may_come_back_is_waited_for() {
        let thread = || Err(PinError::Thread(std::io::ErrorKind::WouldBlock.into()));
        let dealt = Dealt::theirs(2, 3);
        let error = dealt.take(vec![(0, dealt.share(0)), (1, dealt.lie(1)), (2, thread())]).unwrap_err();
        assert_eq!(error.next_step(), NextStep::RetryLater);
    }
}
