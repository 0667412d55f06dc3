//! What will be tried, as a value.

use crate::binding::{Binding, bindings};
use crate::enrolled::{How, enrolled};
use clevis::systemd::{self, Tpm2};
use clevis::{Name, PinError, Unopened};
use jose::Jwe;
use luks::{Header, Slot, TokenId};

/// One keyslot that will be tried, by what its header says of it.
#[derive(Debug)]
pub struct Attempt {
    /// The keyslot.
    pub slot: Slot,
    /// The token that says how; LUKS1 has none.
    pub token: Option<TokenId>,
    /// How its passphrase is found.
    pub way: Way,
}

/// How the passphrase of a keyslot is found.
#[derive(Debug)]
pub enum Way {
    /// In a JWE, by the policy that it is bound to.
    Policy(Box<Jwe>),
    /// Sealed by the TPM, as systemd-cryptenroll does.
    Systemd(Box<Tpm2>),
    /// In a way that is not gone here.
    Refused(Unopened),
}

/// Attempts at one volume: every keyslot once. A header may hold more, by several tokens for one keyslot; those are left out,
/// because each attempt is a thread and a request.
pub const MOST_ATTEMPTS: usize = 32;

/// The attempts for these bindings: those of `only` this keyslot if one is named, in ascending order of keyslots, which is the
/// order of preference when two answer at once.
pub fn plan(bindings: Vec<Binding>, only: Option<Slot>) -> Vec<Attempt> {
    in_order(bindings.into_iter().map(Attempt::by), only)
}

/// The attempts for all that a header says of its keyslots: its bindings, and what systemd has enrolled.
pub fn plan_all(header: &Header, only: Option<Slot>) -> Vec<Attempt> {
    let enrolled = enrolled(header).into_iter().filter_map(|found| {
        let way = match found.how {
            How::Tpm2(tpm2) => Way::Systemd(tpm2),
            How::Unopened(why) => Way::Refused(why),
            How::Recovery => return None,
        };
        Some(Attempt { slot: found.slot, token: Some(found.token), way })
    });
    in_order(bindings(header).into_iter().map(Attempt::by).chain(enrolled), only)
}

fn in_order(attempts: impl Iterator<Item = Attempt>, only: Option<Slot>) -> Vec<Attempt> {
    let mut wanted: Vec<Attempt> = attempts.filter(|attempt| only.is_none_or(|slot| slot == attempt.slot)).collect();
    wanted.sort_by_key(|attempt| (attempt.slot, attempt.token));
    wanted.truncate(MOST_ATTEMPTS);
    wanted
}

impl Attempt {
    fn by(binding: Binding) -> Attempt {
        Attempt { slot: binding.slot, token: binding.token, way: Way::Policy(Box::new(binding.jwe)) }
    }

    /// The binding that is tried, if it is one.
    pub fn binding(&self) -> Option<Binding> {
        let Way::Policy(jwe) = &self.way else { return None };
        Some(Binding { slot: self.slot, token: self.token, jwe: (**jwe).clone() })
    }

    /// What it is called: the pin of the binding, or the type of the token.
    ///
    /// # Errors
    /// [`PinError::BadBinding`] if a JWE names no pin.
    pub fn pin(&self) -> Result<Name, PinError> {
        match &self.way {
            Way::Policy(jwe) => clevis::pin_name(jwe),
            Way::Systemd(_) => Ok(Name::new(systemd::TPM2)),
            Way::Refused(why) => Ok(Name::new(why.name())),
        }
    }
}
