//! What systemd has enrolled, in the list of bindings.

use crate::command::luks::chosen::with_token;
use clevis::systemd::TPM2;
use clevis::verdict::Policy;
use json::{Object, Value};
use unlock::{Enrolled, How};

/// The type of its token.
pub(super) fn name(how: &How) -> &'static str {
    match how {
        How::Tpm2(_) => TPM2,
        How::Unopened(why) => why.name(),
        How::Recovery => "systemd-recovery",
    }
}

/// What is said of one, in the form of a binding.
pub(super) struct Said {
    pub(super) record: Object,
    pub(super) line: String,
    /// What it is worth, unless it is a person's.
    pub(super) policy: Option<Policy>,
}

/// What is to be said of this one.
pub(super) fn said(found: &Enrolled) -> Said {
    let slot = Object::new().with("slot", u64::from(found.slot.number()));
    let (name, slot_number) = (name(&found.how), found.slot);
    let record = with_token(slot, Some(found.token)).with("pin", name);
    match &found.how {
        How::Tpm2(tpm2) => {
            let config: Value = tpm2.configuration().into();
            let line = format!("{slot_number}: {name} '{}'", config.to_compact().as_str());
            Said { record: record.with("config", config), line, policy: Some(tpm2.policy()) }
        }
        How::Unopened(why) => Said {
            record: record.with("error", why.to_string()),
            line: format!("{slot_number}: {name} ({why})"),
            policy: Some(Policy::Unread { pin: name.to_owned() }),
        },
        How::Recovery => {
            let line = format!("{slot_number}: {name} (a recovery key, which a person types)");
            Said { record, line, policy: None }
        }
    }
}
