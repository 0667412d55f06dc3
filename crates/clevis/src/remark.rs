//! What is to be said although a secret came back.

use std::fmt;
use tpm2::{DictionaryAttack, Tpm};

/// A remark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remark {
    /// The TPM is near to locking, and this binding's parent key would be locked with it. Power cuts while it is used count.
    NearLockout {
        /// Failures that count.
        failures: u32,
        /// How many lock it.
        most_failures: u32,
        /// After this long, switched on, one failure is forgotten; 0: never.
        forgets_after_s: Option<u32>,
    },
}

impl Remark {
    /// What there is to be said of a TPM under whose protection the binding is: nothing before half of the failures that lock it are there.
    pub(crate) fn of(protection: DictionaryAttack) -> Option<Remark> {
        let (failures, left) = (protection.failures?, protection.tries_left()?);
        let (most_failures, forgets_after_s) = (protection.most_failures?, protection.forgets_after_s);
        let near = failures > 0 && left <= failures;
        near.then_some(Remark::NearLockout { failures, most_failures, forgets_after_s })
    }

    /// As [`Remark::of`], where the secret is there: whatever the TPM answers now is no reason to withhold it.
    pub(crate) fn near_lockout(tpm: &Tpm<'_>) -> Vec<Remark> {
        tpm.dictionary_attack().ok().and_then(Remark::of).into_iter().collect()
    }

    /// One thing to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Remark::NearLockout { .. } => {
                "leave the machine on, or as owner: `tpm2_dictionarylockout --clear-lockout`; a binding of cotter-tpm2 without a PIN is \
                 never locked"
            }
        }
    }
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Remark::NearLockout { failures, most_failures, forgets_after_s } => {
                write!(
                    f,
                    "the TPM counts {failures} failures, power cuts among them, and locks this binding at {most_failures}"
                )?;
                let forgets = forgets_after_s.filter(|seconds| *seconds > 0);
                forgets.map_or(Ok(()), |seconds| write!(f, "; it forgets one every {seconds} s"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lockout_is_told_before_it_bites() {
        let at = |failures, most_failures| {
            let (failures, most_failures) = (Some(failures), Some(most_failures));
            Remark::of(DictionaryAttack { locked_out: false, failures, most_failures, forgets_after_s: Some(7) })
        };
        assert!(at(0, 3).is_none() && at(1, 3).is_none() && at(15, 32).is_none());
        assert!(at(2, 3).is_some() && at(16, 32).is_some());
        let text = at(2, 3).map(|remark| remark.to_string()).unwrap_or_default();
        assert!(
            text.contains("counts 2 failures") && text.contains("locks this binding at 3; it forgets one every 7 s")
        );
    }
}
