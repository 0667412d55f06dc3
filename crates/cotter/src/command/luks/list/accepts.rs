//! How much a binding opens for: sets of values that are sealed, or approvals beside it.

use crate::args::Device;
use ::luks::{Header, Slot};
use clevis::Approval;
use clevis::measured::{self, Form};
use json::Object;
use unlock::Binding;

/// What a binding by `cotter-tpm2` accepts.
pub enum Accepts {
    /// So many sets of values.
    Sets(usize),
    /// So many approvals, unless the counter of the TPM has passed some.
    Approvals { count: usize, counted: bool },
}

impl Accepts {
    /// `None`: it compares no values of its own form.
    pub fn of(header: &Header, binding: &Binding) -> Option<Accepts> {
        let policies = clevis::signed(&binding.jwe, crate::pins::ALL).unwrap_or_default();
        if policies.is_empty() {
            let parts = measured::parts(&binding.jwe).unwrap_or_default();
            let ours = parts.iter().filter(|part| part.form == Form::Ours && part.compares.is_some());
            return ours.map(|part| part.accepted.len()).max().map(Accepts::Sets);
        }
        let is_meant = |approval: &&Approval| policies.iter().any(|policy| policy.is_meant_by(approval));
        let count = unlock::approvals(header).0.iter().filter(is_meant).count();
        Some(Accepts::Approvals { count, counted: policies.iter().any(|policy| policy.counter.is_some()) })
    }

    /// For a program.
    pub fn put(&self, record: Object) -> Object {
        let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        match *self {
            Accepts::Sets(count) => record.with("accepted_sets", number(count)),
            Accepts::Approvals { count, counted: false } => record.with("approvals", number(count)),
            Accepts::Approvals { count, counted: true } => {
                record.with("approvals", number(count)).with("counter_read", false)
            }
        }
    }

    /// For a person.
    pub fn line(&self, device: &Device, slot: Slot) -> String {
        match self {
            Accepts::Sets(count) => format!("accepted sets: {count}"),
            Accepts::Approvals { count, counted } if *counted && *count > 0 => format!(
                "approvals: {count}, of which the counter may have passed some: where it stands was not looked at; cotter tpm explain {device} -s {slot}"
            ),
            Accepts::Approvals { count, .. } => format!("approvals: {count}"),
        }
    }
}
