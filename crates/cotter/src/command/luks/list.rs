//! `cotter luks list`: which keyslots are bound, and to what.

use crate::args::{Format, ListArgs};
use crate::command::luks::bind::with_token;
use crate::error::{CommandError, visible};
use crate::output;
use crate::volume::{self, Disks};
use json::Object;
use linux::Access;
use unlock::Binding;

/// Prints one line for each binding: `SLOT: PIN 'CONFIG'`, as the original does.
pub fn run(args: &ListArgs) -> Result<(), CommandError> {
    let header = Disks::open(&args.device, Access::Read)?.read_header()?;
    let only = args.slot.map(volume::slot).transpose()?;
    let mut bindings = unlock::bindings(&header);
    bindings.retain(|binding| only.is_none_or(|slot| slot == binding.slot));
    for binding in &bindings {
        print_binding(args.format, &Object::new(), "", binding)?;
    }
    if bindings.is_empty() {
        output::say(&only.map_or("no keyslot is bound".to_owned(), |slot| format!("keyslot {slot} is not bound")));
    }
    for token in unlock::unreadable(&header) {
        output::say(&format!("{}: {}", token.place(), volume::reasons(&token.why)));
    }
    Ok(())
}

/// Prints one binding: for a program after the members of `place`, for a person after `lead`.
pub fn print_binding(format: Format, place: &Object, lead: &str, binding: &Binding) -> Result<(), CommandError> {
    let record = with_token(place.clone().with("slot", u64::from(binding.slot.number())), binding.token);
    match clevis::describe(&binding.jwe, clevis::pins::ALL) {
        Ok(found) => {
            let config = found.shown.config;
            let text = visible(&config.to_compact());
            let record = record.with("pin", found.pin).with("config", config).with("complete", !found.shown.lossy);
            output::record(format, record, || format!("{lead}{}: {} '{text}'", binding.slot, found.pin))
        }
        Err(error) => {
            let why = volume::reasons(&error);
            let record = record.with("error", why.as_str());
            output::record(format, record, || format!("{lead}{}: {why}", binding.slot))
        }
    }
}
