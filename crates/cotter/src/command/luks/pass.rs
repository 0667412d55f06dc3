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
    let host =
        Host::new(args.patience.limit()).with_tpm2_signatures(args.tpm2_signature.clone()).expecting(&args.expect)?;
    let header = disks.accepted_as_expected(&args.ceilings, &host)?;
    let slot = chosen::slot(header.header(), &args.which, disks.header().path())?;
    let closed = host.closed(disks.header(), &header)?;
    let unlocked = volume::open_by_bindings(&closed, Some(slot), Seal::Counts, &host)?;
    output::data(unlocked.passphrase.expose())
}
