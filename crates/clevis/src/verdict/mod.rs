//! What a policy protects from, computed from its tree, and what would make it better.
//!
//! A verdict is a value: for each [`Threat`] an [`Answer`] with its reasons, remarks, and the one change that closes the worst gap.
//! Nothing is asked and nothing is measured: what is known of the machine comes in as [`Surroundings`], and what is not known counts
//! as it would be worst, short of a virtual machine. The reasons of every cell stand in `docs/threat-model.md`, which a test compares
//! with this code.

mod advice;
mod judge;
mod note;
mod policy;
mod reason;
mod threat;
mod tpm;

pub use advice::{Advice, Change};
pub use judge::{Machine, Surroundings};
pub use note::Note;
pub use policy::{Asks, Policy, TokenPin};
pub use reason::Reason;
pub use threat::{Answer, Threat};
pub use tpm::{Form, Loader, Pcrs, SecureBoot, Tpm};

/// What a policy protects from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// One for each threat, in the order of [`Threat::ALL`].
    pub cells: Vec<Cell>,
    /// What else is to be known.
    pub notes: Vec<Note>,
    /// What closes the worst gap, if one change does.
    pub advice: Option<Advice>,
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// To what.
    pub threat: Threat,
    /// Whether the data stays closed.
    pub answer: Answer,
    /// Why.
    pub reasons: Vec<Reason>,
}

impl Verdict {
    /// Judges a policy.
    pub fn of(policy: &Policy, around: &Surroundings) -> Verdict {
        let cell = |threat| {
            let (answer, reasons) = judge::judge(policy, threat, around);
            Cell { threat, answer, reasons }
        };
        Verdict {
            cells: Threat::ALL.into_iter().map(cell).collect(),
            notes: note::notes(policy, around),
            advice: advice::advice(policy, around),
        }
    }

    /// The answer to one threat.
    pub fn answer(&self, threat: Threat) -> Answer {
        self.cells.iter().find(|cell| cell.threat == threat).map_or(Answer::No, |cell| cell.answer)
    }

    /// Those of `goals` that the policy does not reach: anything less than a plain yes.
    pub fn missed(&self, goals: &[Threat]) -> Vec<&Cell> {
        self.cells.iter().filter(|cell| goals.contains(&cell.threat) && cell.answer != Answer::Yes).collect()
    }
}

impl Cell {
    /// The reasons in one line.
    pub fn because(&self) -> String {
        self.reasons.iter().map(ToString::to_string).collect::<Vec<String>>().join("; ")
    }
}
