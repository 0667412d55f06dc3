//! `cotter luks dump`: what the header says, without any secret and without judging it.

mod lines;
mod luks1;
mod luks2;
mod opener;

use crate::args::DumpArgs;
use crate::error::CommandError;
use crate::output;
use crate::volume::Disks;
use ::luks::Header;
use linux::Access;
use opener::Openers;

/// Prints the header for a person, or as one object.
pub fn run(args: &DumpArgs) -> Result<(), CommandError> {
    let header = Disks::open(&args.device, Access::Read)?.read_header()?;
    let openers = Openers::of(&header);
    match &header {
        Header::Luks1(luks1) => {
            output::record(args.format, luks1::as_json(luks1, &openers), || luks1::as_text(luks1, &openers).into_text())
        }
        Header::Luks2(luks2) => {
            output::record(args.format, luks2::as_json(luks2, &openers), || luks2::as_text(luks2, &openers).into_text())
        }
    }
}
