//! Counters of the TPM that several bindings have: whoever counts one up ends everything that was made for its number of before.

use crate::approvals::approvals;
use crate::binding::{Binding, bindings};
use clevis::{Approval, Counter, Pin};
use luks::{Header, Slot};

/// The keyslots that lose a way in when `counter` reaches its number: what is bound to them opens until then and no longer, by itself or by
/// an approval. Bindings on other volumes are not seen.
pub fn ended_by(header: &Header, counter: &Counter, pins: &[&dyn Pin]) -> Vec<Slot> {
    let (approvals, _) = approvals(header);
    let ended =
        |binding: &Binding| ends_itself(binding, counter, pins) || ends_approved(binding, &approvals, counter, pins);
    bindings(header).iter().filter(|binding| ended(binding)).map(|binding| binding.slot).collect()
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
