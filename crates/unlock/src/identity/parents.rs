//! Under which keys of a TPM the bindings of an expected volume may be sealed.
//!
//! A binding names the key that it is told to, but whoever can write the disk writes that name, too. With the TPM's bus as well he puts a key
//! of his own in its place, and from what is said to it he can try PINs for as long as he likes. So the names come from outside, as all else
//! that is expected.

use super::{Expectation, Expected, IdentityFault, ParentName};
use crate::plan::{Attempt, Way, plan_all};
use clevis::Pin;
use luks::Header;
use std::collections::BTreeSet;

/// The names in all bindings of a header, and of the storage root keys in what systemd has enrolled.
pub fn parents(header: &Header, pins: &[&dyn Pin]) -> BTreeSet<ParentName> {
    plan_all(header, None).iter().flat_map(|attempt| named(attempt, pins)).flatten().collect()
}

/// The keys that an attempt would have told to. Nothing stands for one that has no name, or none that a key can have.
fn named(attempt: &Attempt, pins: &[&dyn Pin]) -> Vec<Option<ParentName>> {
    match &attempt.way {
        // One that cannot be read is not opened either.
        Way::Policy(jwe) => {
            let parents = clevis::parents(jwe, pins).unwrap_or_default();
            parents.iter().map(|parent| ParentName::of(&parent.name)).collect()
        }
        Way::Systemd(tpm2) => vec![tpm2.parent_name().and_then(ParentName::of)],
        Way::Refused(_) => Vec::new(),
    }
}

impl Expectation {
    /// Whether this attempt speaks only to keys of the TPM that are expected of its volume: to be asked before the TPM is asked anything. The
    /// tokens of systemd count if they ask for a PIN; others have nothing to lose.
    ///
    /// # Errors
    /// [`IdentityFault::OtherParent`].
    pub fn check_parents(&self, header: &Header, attempt: &Attempt, pins: &[&dyn Pin]) -> Result<(), IdentityFault> {
        let Some(Expected { uuid, parents: Some(expected), .. }) = self.of(header.uuid()) else { return Ok(()) };
        if matches!(&attempt.way, Way::Systemd(tpm2) if !tpm2.asks_pin()) {
            return Ok(());
        }
        let is_expected = |found: &Option<ParentName>| found.as_ref().is_some_and(|found| expected.contains(found));
        match named(attempt, pins).into_iter().find(|found| !is_expected(found)) {
            None => Ok(()),
            Some(found) => Err(IdentityFault::OtherParent { slot: attempt.slot, uuid: *uuid, found }),
        }
    }

    /// What [`check_parents`](Self::check_parents) has against each attempt at a volume with this header.
    pub fn other_parents(&self, header: &Header, pins: &[&dyn Pin]) -> Vec<IdentityFault> {
        let attempts = plan_all(header, None);
        attempts.iter().filter_map(|attempt| self.check_parents(header, attempt, pins).err()).collect()
    }
}
