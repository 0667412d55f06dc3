//! Questions about a keyslot, answered by values: is it bound, to what was wanted, with keys that still stand?

use crate::binding::{Binding, TokenError, bindings, unreadable};
use clevis::{Config, Pin, PinError, Ports, ServerReport, Stored};
use luks::{Header, Slot};

/// What a keyslot is bound to, seen from what was wanted.
#[derive(Debug)]
pub enum SlotState {
    /// To nothing. There may not even be such a keyslot.
    Unbound,
    /// To what was wanted.
    AsWanted(Binding),
    /// To something else.
    Otherwise(Binding, Stored),
    /// To something that cannot be read.
    Unreadable(WhyUnreadable),
}

/// Why it is not known to what a keyslot is bound.
#[derive(Debug)]
pub enum WhyUnreadable {
    /// What should hold the binding holds none.
    Token(TokenError),
    /// The binding does not tell its policy: of a pin that is not here, for example.
    Policy(PinError),
}

/// Whether `slot` is bound to this policy. With several bindings for the slot, one that is as wanted is enough.
///
/// # Errors
/// [`PinError::UnknownPin`] and [`PinError::Config`]: what is wanted is no policy.
pub fn state(
    header: &Header,
    slot: Slot,
    pin: &str,
    config: &Config,
    pins: &[&dyn Pin],
) -> Result<SlotState, PinError> {
    clevis::remembered(pin, config, pins)?;
    let (mut other, mut broken) = (None, None);
    for binding in bindings(header).into_iter().filter(|binding| binding.slot == slot) {
        match clevis::configuration(&binding.jwe, pins) {
            Ok(_) if clevis::meets(pin, config, &binding.jwe, pins)? => return Ok(SlotState::AsWanted(binding)),
            Ok(stored) => other = other.or(Some((binding, stored))),
            Err(error) => broken = broken.or(Some(WhyUnreadable::Policy(error))),
        }
    }
    let token = || unreadable(header).into_iter().find(|token| token.slots.contains(&slot));
    Ok(match (other, broken) {
        (Some((binding, stored)), _) => SlotState::Otherwise(binding, stored),
        (None, Some(why)) => SlotState::Unreadable(why),
        (None, None) => match token() {
            Some(token) => SlotState::Unreadable(WhyUnreadable::Token(token.why)),
            None => SlotState::Unbound,
        },
    })
}

/// What the servers of a binding say about the keys that it is bound to.
#[derive(Debug)]
pub struct Report {
    /// One for each server, in the order of the configuration. A policy without servers has none.
    pub servers: Vec<ServerReport>,
}

/// What a report comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every key is still advertised: the original's 0.
    Current,
    /// A key has been rotated: the original's 1. Bind anew before it is thrown away.
    Rotated,
    /// No key that was asked for is rotated, but a server did not answer.
    Unknown,
}

/// Asks the servers of a binding, at any depth of a threshold, which of its keys they still advertise.
///
/// # Errors
/// [`PinError`] if the binding cannot be read. A server that does not answer is told in its own report.
pub fn report(binding: &Binding, ports: &Ports<'_>) -> Result<Report, PinError> {
    clevis::report(&binding.jwe, ports).map(|servers| Report { servers })
}

impl Report {
    /// What it comes to.
    pub fn verdict(&self) -> Verdict {
        let answers = || self.servers.iter().map(|server| &server.rotated);
        if answers().any(|answer| answer.as_ref().is_ok_and(|rotated| !rotated.is_empty())) {
            Verdict::Rotated
        } else if answers().any(Result::is_err) {
            Verdict::Unknown
        } else {
            Verdict::Current
        }
    }
}
