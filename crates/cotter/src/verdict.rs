//! What a policy protects from, for people and programs.

use crate::error::{CommandError, visible};
use clevis::verdict::{Answer, Loader, Machine, Policy, SecureBoot, Surroundings, Threat, Verdict};
use clevis::{Config, Ports, Stored};
use json::{Object, Value};
use linux::platform;

/// What this machine says of itself, without its TPM.
pub fn this_machine() -> Surroundings {
    Surroundings {
        machine: match platform::is_virtual() {
            Some(true) => Machine::Virtual,
            Some(false) => Machine::Physical,
            None => Machine::Unknown,
        },
        // Whose keys they are is nothing that the machine knows.
        secure_boot: if platform::secure_boot() == Some(false) { SecureBoot::Off } else { SecureBoot::Unknown },
        loader: if platform::boots_unified_image() { Loader::UnifiedImage } else { Loader::Unknown },
    }
}

/// The policy of a configuration, or why it cannot be judged.
pub fn policy(pin: &str, config: &Config) -> Result<Policy, CommandError> {
    let what = || format!("the configuration of the pin {}", pin.escape_debug());
    Policy::read(pin, config).map_err(|source| CommandError::failed(what(), source).into_usage())
}

/// The policy of a binding. What it does not tell counts as open.
pub fn of_binding(stored: &Stored) -> Policy {
    let lost = stored.lost.iter().filter(|lost| matches!(lost, clevis::Lost::Share { .. })).count();
    let policy = Policy::read(stored.pin, &stored.config).map(|policy| policy.with_unread(lost));
    policy.unwrap_or_else(|_| Policy::Unread { pin: stored.pin.to_owned() })
}

/// Whether the TPM has a part in it.
pub fn has_tpm(policy: &Policy) -> bool {
    match policy {
        Policy::Tpm(_) => true,
        Policy::Threshold { of, .. } => of.iter().any(has_tpm),
        _ => false,
    }
}

/// What this machine and its TPM say of themselves, for policies in which that has a part. What a TPM does not say is told by nobody.
pub fn with_tpm(ports: &Ports<'_>) -> Surroundings {
    let identity = clevis::measured::ask(ports, |tpm| tpm.identity());
    identity.map_or(this_machine(), |identity| this_machine().with_tpm(identity.kind()))
}

/// Refuses a policy that misses one of the goals.
pub fn require(verdict: &Verdict, goals: &[Threat]) -> Result<(), CommandError> {
    let missed = verdict.missed(goals);
    let Some(first) = missed.first() else { return Ok(()) };
    let words: Vec<String> = missed
        .iter()
        .map(|cell| format!("{}: {}, {}", cell.threat.goal(), cell.answer.word(), cell.because()))
        .collect();
    let error = CommandError::plain(visible(&format!("the policy does not reach {}", words.join("; "))));
    Err(match verdict.advice {
        Some(advice) if advice.gap == first.threat || goals.contains(&advice.gap) => {
            error.hint(advice.change.to_string())
        }
        _ => error.hint("what each answer comes from: docs/threat-model.md"),
    })
}

/// A short table, each line behind `lead`.
pub fn table(verdict: &Verdict, lead: &str) -> String {
    let mut lines = Vec::new();
    for cell in &verdict.cells {
        let word = if cell.answer == Answer::No { "NO" } else { cell.answer.word() };
        lines.push(format!("{lead}{:<38} {word:<6}  {}", cell.threat.words(), cell.because()));
    }
    lines.extend(verdict.notes.iter().map(|note| format!("{lead}note: {note}")));
    if let Some(advice) = &verdict.advice {
        lines.push(format!("{lead}better ({}: {}): {}", advice.gap.goal(), advice.then.word(), advice.change));
    }
    lines.iter().map(|line| visible(line)).collect::<Vec<String>>().join("\n")
}

/// The same for a program.
pub fn record(verdict: &Verdict) -> Object {
    let mut answers = Object::new();
    for cell in &verdict.cells {
        let because: Vec<Value> = cell.reasons.iter().map(|reason| reason.to_string().into()).collect();
        answers.insert(cell.threat.goal(), Object::new().with("answer", cell.answer.word()).with("because", because));
    }
    let notes: Vec<Value> = verdict.notes.iter().map(|note| note.to_string().into()).collect();
    let record = Object::new().with("answers", answers).with("notes", notes);
    match &verdict.advice {
        None => record,
        Some(advice) => record.with(
            "advice",
            Object::new()
                .with("gap", advice.gap.goal())
                .with("then", advice.then.word())
                .with("change", advice.change.to_string()),
        ),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A threshold has a TPM if one of its parts has.
    #[test]
    fn a_tpm_is_found_inside_of_a_threshold() {
        let read = |pin: &str, text: &str| policy(pin, &Config::parse(text.as_bytes()).unwrap()).unwrap();
        assert!(has_tpm(&read("sss", r#"{"t":1,"pins":{"cotter-tpm2":{},"null":{}}}"#)));
        assert!(!has_tpm(&read("sss", r#"{"t":1,"pins":{"null":{}}}"#)));
    }
}
