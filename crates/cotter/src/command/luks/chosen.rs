//! Which binding is meant.

use crate::args::{BindingChoice, Quoted};
use crate::error::CommandError;
use crate::volume;
use ::luks::{Header, Slot, TokenId};
use json::Object;
use unlock::{Attempt, Binding, Way};

/// The binding of this keyslot, or of this token.
pub fn binding(header: &Header, which: &BindingChoice, device: &std::path::Path) -> Result<Binding, CommandError> {
    let bindings = unlock::bindings(header).into_iter();
    let (mut found, what): (Vec<Binding>, String) = match which.token {
        Some(token) => {
            let token = volume::token(token)?;
            let found = bindings.filter(|binding| binding.token == Some(token));
            (found.collect(), format!("token {token} is no binding"))
        }
        None => {
            let slot = volume::slot(which.slot.unwrap_or_default())?;
            let found = bindings.filter(|binding| binding.slot == slot);
            (found.collect(), format!("keyslot {slot} is not bound, so it is left alone"))
        }
    };
    let list = format!("cotter luks list -d {}", Quoted(device));
    match (found.pop(), found.as_slice()) {
        (Some(binding), []) => Ok(binding),
        (None, _) => Err(CommandError::plain(what).hint(instead(header, which, device).unwrap_or(list))),
        (Some(last), rest) => {
            let all: Vec<String> = rest.iter().chain([&last]).map(name).collect();
            Err(CommandError::plain(format!("several bindings are meant: {}", all.join(", "))).hint(list))
        }
    }
}

/// The keyslot that is meant, whatever finds its passphrase: a binding, or what systemd has enrolled.
pub fn slot(header: &Header, which: &BindingChoice, device: &std::path::Path) -> Result<Slot, CommandError> {
    let mut slots: Vec<Slot> = unlock::plan_all(header, None)
        .into_iter()
        .filter(|attempt| !matches!(attempt.way, Way::Policy(_)) && is_meant(which, attempt))
        .map(|attempt| attempt.slot)
        .collect();
    match (slots.pop(), slots.as_slice()) {
        (Some(slot), []) => Ok(slot),
        _ => binding(header, which, device).map(|binding| binding.slot),
    }
}

fn is_meant(which: &BindingChoice, attempt: &Attempt) -> bool {
    match which.token {
        Some(token) => attempt.token.is_some_and(|id| u32::from(id.number()) == token),
        None => which.slot == Some(attempt.slot.number().into()),
    }
}

/// What stands in the way of a binding: it is systemd's, or cannot be read.
fn instead(header: &Header, which: &BindingChoice, device: &std::path::Path) -> Option<String> {
    let enrolled = unlock::plan_all(header, None)
        .into_iter()
        .find(|attempt| !matches!(attempt.way, Way::Policy(_)) && is_meant(which, attempt));
    if let Some(Attempt { slot, way, .. }) = enrolled {
        let renewed = match way {
            Way::Systemd(tpm2) => format!("; it renews it: {} {}", tpm2.renewal(), Quoted(device)),
            _ => String::new(),
        };
        return Some(format!("systemd has enrolled keyslot {slot}{renewed}; to remove it: cotter luks kill -s {slot}"));
    }
    let slot = which.slot.and_then(|slot| volume::slot(slot).ok())?;
    let found = unlock::unreadable(header).into_iter().find(|found| found.slots.contains(&slot))?;
    Some(format!("{} should bind it: {}", found.place(), volume::reasons(&found.why)))
}

/// `keyslot 1 (token 0)`
pub fn name(binding: &Binding) -> String {
    let token = binding.token.map_or(String::new(), |token| format!(" (token {token})"));
    format!("keyslot {}{token}", binding.slot)
}

/// The members of a record that say which binding it is about.
pub fn record(binding: &Binding) -> Object {
    with_token(Object::new().with("slot", u64::from(binding.slot.number())), binding.token)
}

/// The number of a binding's token, where there are tokens.
pub fn with_token(record: Object, token: Option<TokenId>) -> Object {
    match token {
        Some(token) => record.with("token", u64::from(token.number())),
        None => record,
    }
}
