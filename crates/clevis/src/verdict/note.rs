//! What is to be known about a policy beside its answers.

use super::judge::{Machine, Surroundings};
use super::policy::{Policy, TokenPin};
use super::tpm::{Form, Tpm};
use std::fmt;

/// A remark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The TPM is one that a host makes up.
    VirtualTpm,
    /// A person has to be there at every start.
    NotUnattended,
    /// Whoever becomes root later can unseal again, and a latch is not to be had with this binding.
    CannotLatch,
    /// The same, and a latch was not asked for.
    NoLatch,
    /// An object that was copied before stays good after the binding was made anew.
    NoCounter,
    /// What was approved once stays approved: nothing revokes it.
    NothingRevokes,
    /// The TPM's parent key is believed each time.
    ParentAtFirstSight,
    /// So whoever puts his own in its place can find out the PIN.
    PinAtFirstSight,
    /// Clevis does not know the form.
    NotForClevis,
    /// The TPM's parent key is believed once, when the binding is made.
    ParentAtBinding,
    /// Power that fails during several starts in a row locks the TPM for a while.
    PowerCuts,
    /// A wrong PIN and a power cut count alike.
    PinAndPowerCuts,
}

/// What is to be said of the policy.
pub(super) fn notes(policy: &Policy, around: &Surroundings) -> Vec<Note> {
    let mut notes = Vec::new();
    let leaves = policy.leaves();
    let is_asked =
        |leaf: &&Policy| matches!(leaf, Policy::Tpm(Tpm { pin: true, .. }) | Policy::Token { pin: TokenPin::Person });
    if leaves.iter().any(is_asked) {
        notes.push(Note::NotUnattended);
    }
    for tpm in leaves.iter().filter_map(|leaf| if let Policy::Tpm(tpm) = leaf { Some(tpm) } else { None }) {
        for note in of_tpm(tpm, around) {
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
    }
    notes
}

fn of_tpm(tpm: &Tpm, around: &Surroundings) -> Vec<Note> {
    let ours = tpm.form == Form::Ours;
    let made_unnamed = matches!(tpm.form, Form::Original | Form::Systemd);
    let all = [
        (around.machine == Machine::Virtual, Note::VirtualTpm),
        (!ours, Note::CannotLatch),
        (ours && !tpm.latch, Note::NoLatch),
        (ours && !tpm.counter && !tpm.signed, Note::NoCounter),
        (tpm.signed && !tpm.counter, Note::NothingRevokes),
        (made_unnamed, Note::ParentAtFirstSight),
        (made_unnamed && tpm.pin, Note::PinAtFirstSight),
        (ours, Note::NotForClevis),
        (ours, Note::ParentAtBinding),
        (made_unnamed, Note::PowerCuts),
        (tpm.pin, Note::PinAndPowerCuts),
    ];
    all.into_iter().filter(|(holds, _)| *holds).map(|(_, note)| note).collect()
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Note::VirtualTpm => "the TPM is virtual: it protects from nobody who reads its host",
            Note::NotUnattended => "a person may be asked for a PIN at every start",
            Note::CannotLatch => {
                "no latch is to be had with this form: whoever becomes root of the running system can unseal again"
            }
            Note::NoLatch => "without a latch whoever becomes root of the running system can unseal again",
            Note::NoCounter => "without a counter a sealed object that was copied stays good after the binding is made anew",
            Note::NothingRevokes => {
                "without a counter whatever was ever signed for it stays good: to take an approval away revokes nothing where somebody has a \
                 copy and puts it back"
            }
            Note::ParentAtFirstSight => {
                "its form names no parent key: what answers as the TPM is believed each time it opens"
            }
            Note::PinAtFirstSight => {
                "so whoever can change what passes between the machine and its TPM can find out a short PIN, without a limit of tries"
            }
            Note::NotForClevis => "Clevis does not know this form, and cannot open it",
            Note::ParentAtBinding => {
                "the TPM that answers when this is bound is believed; from then on no other parent key is told anything"
            }
            Note::PowerCuts => {
                "with its parent key the third start in a row that ends in a power cut can find the TPM locked for a while"
            }
            Note::PinAndPowerCuts => "a power cut after the PIN was used may count as a wrong PIN",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_has_its_own_remarks() {
        let around = Surroundings::default();
        let said = |tpm: Tpm| notes(&Policy::Tpm(tpm), &around);
        assert_eq!(said(Tpm::default()), [Note::CannotLatch, Note::ParentAtFirstSight, Note::PowerCuts]);
        let made = Tpm { form: Form::Systemd, ..Tpm::default() };
        assert_eq!(said(made), said(Tpm::default()), "as Clevis's");
        let typed = [Note::ParentAtFirstSight, Note::PinAtFirstSight, Note::PowerCuts, Note::PinAndPowerCuts];
        assert_eq!(said(Tpm { pin: true, ..made })[2..], typed);
        let stored = Tpm { form: Form::SystemdStored, pin: true, ..Tpm::default() };
        assert_eq!(said(stored), [Note::NotUnattended, Note::CannotLatch, Note::PinAndPowerCuts]);
        let ours = Tpm { form: Form::Ours, ..Tpm::default() };
        let told = [Note::NotForClevis, Note::ParentAtBinding];
        assert_eq!(said(ours), [&[Note::NoLatch, Note::NoCounter], &told[..]].concat());
        let full = Tpm { latch: true, counter: true, pin: true, ..ours };
        assert_eq!(said(full), [&[Note::NotUnattended], &told[..], &[Note::PinAndPowerCuts]].concat());
        let signed = Tpm { signed: true, ..ours };
        assert_eq!(said(signed), [&[Note::NoLatch, Note::NothingRevokes], &told[..]].concat());
        assert!(!said(Tpm { counter: true, ..signed }).contains(&Note::NothingRevokes));
        let twice = Policy::Threshold { needed: 1, of: vec![Policy::Tpm(ours), Policy::Tpm(ours), Policy::Nothing] };
        assert_eq!(notes(&twice, &around), said(ours), "each once");
        let guest = Surroundings { machine: Machine::Virtual, ..around };
        assert!(notes(&Policy::Tpm(full), &guest).contains(&Note::VirtualTpm));
        assert!(notes(&Policy::Nothing, &guest).is_empty());
    }
}
