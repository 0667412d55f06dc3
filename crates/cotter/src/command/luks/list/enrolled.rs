//! What systemd has enrolled, in the list of bindings.

use super::Detail;
use crate::args::Format;
use crate::command::luks::chosen::with_token;
use crate::error::CommandError;
use crate::output;
use crate::verdict;
use clevis::systemd::TPM2;
use clevis::verdict::{Policy, Verdict};
use json::Object;
use unlock::{Enrolled, How};

/// The type of its token.
pub(super) fn name(how: &How) -> &'static str {
    match how {
        How::Tpm2(_) => TPM2,
        How::Unopened(why) => why.name(),
        How::Recovery => "systemd-recovery",
    }
}

/// Prints one, in the form of a binding.
pub(super) fn print(format: Format, detail: Detail, found: &Enrolled) -> Result<(), CommandError> {
    let slot = Object::new().with("slot", u64::from(found.slot.number()));
    let record = with_token(slot, Some(found.token)).with("pin", name(&found.how));
    let (record, line) = match &found.how {
        How::Tpm2(tpm2) => {
            let config = tpm2.configuration();
            let text = json::Value::from(config.clone()).to_compact();
            (record.with("config", config), format!("{}: {TPM2} '{}'", found.slot, text.as_str()))
        }
        How::Unopened(why) => {
            (record.with("error", why.to_string()), format!("{}: {} ({why})", found.slot, why.name()))
        }
        How::Recovery => (record, format!("{}: systemd-recovery (a recovery key, which a person types)", found.slot)),
    };
    let policy = match &found.how {
        How::Tpm2(tpm2) => Some(tpm2.policy()),
        How::Unopened(why) => Some(Policy::Unread { pin: why.name().to_owned() }),
        How::Recovery => None,
    };
    match policy.filter(|_| detail == Detail::Verdict) {
        None => output::record(format, record, || line),
        Some(policy) => {
            let verdict = Verdict::of(&policy, &verdict::this_machine());
            let record = record.with("verdict", verdict::record(&verdict));
            output::record(format, record, || format!("{line}\n{}", verdict::table(&verdict, "   ")))
        }
    }
}
