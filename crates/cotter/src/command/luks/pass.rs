//! `cotter luks pass`

use super::chosen;
use crate::args::PassArgs;
use crate::error::CommandError;
use crate::host::Host;
use crate::output;
use crate::volume::{self, Disks, Seal};
use linux::Access;

/// Prints the passphrase of a bound keyslot, once it has opened that keyslot.
pub fn run(args: &PassArgs) -> Result<(), CommandError> {
    let disks = Disks::open(&args.device, Access::Read)?;
    let header = disks.accepted(&args.ceilings)?;
    let slot = chosen::slot(header.header(), &args.which, disks.header().path())?;
    let host = Host::new(args.patience.limit());
    let only = Some(slot);
    let unlocked = volume::open_by_bindings(disks.header(), &header, only, Seal::Counts, &host)?;
    output::data(unlocked.passphrase.expose())
}
