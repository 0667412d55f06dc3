//! Whether a keyslot is bound to the policy that somebody wants, by exit code and as a record.

use crate::args::Format;
use crate::command::luks::chosen::with_token;
use crate::error::CommandError;
use crate::output;
use crate::volume;
use ::luks::{Header, Slot};
use clevis::Config;
use json::Object;
use unlock::{SlotState, WhyUnreadable};

const UNBOUND: u8 = 3;
const OTHERWISE: u8 = 4;
const UNREADABLE: u8 = 5;

pub fn run(header: &Header, slot: Slot, pin: &str, config: &str, format: Format) -> Result<(), CommandError> {
    let no_policy = |source| CommandError::failed(format!("the configuration of the pin {pin}"), source).into_usage();
    let config = Config::parse(config.as_bytes()).map_err(no_policy)?;
    let state = unlock::state(header, slot, pin, &config, crate::pins::ALL).map_err(|source| {
        let hint = source.hint();
        CommandError::failed("this is no policy that could be expected", source).hint(hint).into_usage()
    })?;
    let record = Object::new().with("slot", u64::from(slot.number()));
    let (word, record, code) = match &state {
        SlotState::AsWanted(binding) => ("as wanted", with_token(record, binding.token), 0),
        SlotState::Unbound => ("unbound", record, UNBOUND),
        SlotState::Otherwise(binding, stored) => {
            let config = stored.config.field().value().clone();
            let record = with_token(record, binding.token).with("pin", stored.pin).with("config", config);
            ("otherwise", record, OTHERWISE)
        }
        SlotState::Unreadable(why) => ("unreadable", record.with("error", reason(why)), UNREADABLE),
    };
    output::record(format, record.with("state", word), || in_words(slot, &state))?;
    if code == 0 { Ok(()) } else { Err(CommandError::plain(word).code(code).silent()) }
}

fn in_words(slot: Slot, state: &SlotState) -> String {
    match state {
        SlotState::AsWanted(_) => format!("keyslot {slot} is bound to this policy"),
        SlotState::Unbound => format!("keyslot {slot} is not bound"),
        SlotState::Otherwise(_, stored) => {
            let config = stored.config.field().value().to_compact();
            crate::error::visible(&format!(
                "keyslot {slot} is bound to another policy: {} '{}'",
                stored.pin,
                config.as_str()
            ))
        }
        SlotState::Unreadable(why) => format!("what keyslot {slot} is bound to cannot be read: {}", reason(why)),
    }
}

fn reason(why: &WhyUnreadable) -> String {
    match why {
        WhyUnreadable::Token(error) => volume::reasons(error),
        WhyUnreadable::Policy(error) => volume::reasons(error),
    }
}
