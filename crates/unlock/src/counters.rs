//! Counters of the TPM that several bindings have: whoever counts one up ends everything that was made for its number of before.

use crate::approvals::approvals;
use crate::binding::{Binding, Unreadable, bindings, unreadable};
use clevis::{Approval, Counter, Lost, Pin};
use luks::{Header, Slot};

/// What would open no more if a counter went on.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// The keyslots that lose a way in.
    pub slots: Vec<Slot>,
    /// What cannot be read, by this version or at all, so that nobody knows: `keyslot 2`, `token 9`, `an approval`.
    pub unread: Vec<String>,
}

impl Ended {
    /// Whether it is known that nothing ends.
    pub fn is_nothing(&self) -> bool {
        self.slots.is_empty() && self.unread.is_empty()
    }
}

/// The keyslots that lose a way in when `counter` reaches its number: what is bound to them opens until then and no longer, by itself or by
/// an approval. A number that was passed comes never back, so what cannot be read counts too. Bindings on other volumes are not seen.
pub fn ended_by(header: &Header, counter: &Counter, pins: &[&dyn Pin]) -> Ended {
    let (approvals, broken) = approvals(header);
    let ended =
        |binding: &Binding| ends_itself(binding, counter, pins) || ends_approved(binding, &approvals, counter, pins);
    let bindings = bindings(header);
    let mut unread: Vec<String> = unreadable(header).iter().map(Unreadable::place).collect();
    let partly = bindings.iter().filter(|binding| !is_read(binding, pins));
    unread.extend(partly.map(|binding| format!("keyslot {}", binding.slot)));
    unread.extend(broken.first().map(|_| "an approval".to_owned()));
    Ended { slots: bindings.iter().filter(|binding| ended(binding)).map(|binding| binding.slot).collect(), unread }
}

/// Whether nothing in it is passed over: shares of a threshold that cannot be read are, where counters are asked for.
fn is_read(binding: &Binding, pins: &[&dyn Pin]) -> bool {
    clevis::configuration(&binding.jwe, pins)
        .is_ok_and(|stored| !stored.lost.iter().any(|lost| matches!(lost, Lost::Share { .. })))
}

/// What the counter has passed before has been lost already.
fn is_last(until: u64, counter: &Counter) -> bool {
    until.checked_add(1) == Some(counter.value)
}

fn ends_itself(binding: &Binding, counter: &Counter, pins: &[&dyn Pin]) -> bool {
    let counters = clevis::counters(&binding.jwe, pins).unwrap_or_default();
    let mut same = counters.iter().filter(|one| one.index == counter.index);
    same.any(|one| one.until.is_some_and(|until| is_last(until, counter)))
}

fn ends_approved(binding: &Binding, approvals: &[Approval], counter: &Counter, pins: &[&dyn Pin]) -> bool {
    let policies = clevis::signed(&binding.jwe, pins).unwrap_or_default();
    policies.iter().any(|policy| {
        policy.counter.as_ref().is_some_and(|one| one.index == counter.index)
            && approvals.iter().any(|approval| {
                approval.counter().is_some_and(|one| is_last(one.value, counter)) && policy.is_meant_by(approval)
            })
    })
}
