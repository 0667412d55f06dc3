//! `cotter luks dump`: what the header says, without any secret and without judging it.

mod lines;
mod luks1;
mod luks2;

use crate::args::DumpArgs;
use crate::error::CommandError;
use crate::output;
use crate::volume::{self, Disks};
use ::luks::{Header, Slot};
use linux::Access;
use unlock::Binding;

/// Prints the header for a person, or as one object.
pub fn run(args: &DumpArgs) -> Result<(), CommandError> {
    let header = Disks::open(&args.device, Access::Read)?.read_header()?;
    let bindings = unlock::bindings(&header);
    match &header {
        Header::Luks1(luks1) => output::record(args.format, luks1::as_json(luks1, &bindings), || {
            luks1::as_text(luks1, &bindings).into_text()
        }),
        Header::Luks2(luks2) => output::record(args.format, luks2::as_json(luks2, &bindings), || {
            luks2::as_text(luks2, &bindings).into_text()
        }),
    }
}

/// What opens a keyslot: the pin and its configuration, or a passphrase.
fn opened_by(slot: Slot, bindings: &[Binding]) -> String {
    let binding = bindings.iter().find(|binding| binding.slot == slot);
    match binding.map(|binding| clevis::describe(&binding.jwe, clevis::pins::ALL)) {
        None => "a passphrase".to_owned(),
        Some(Ok(found)) => format!("{} {}", found.pin, found.shown.config.to_compact().as_str()),
        Some(Err(error)) => volume::reasons(&error),
    }
}
