//! `cotter luks pass` and `cotter luks unlock`.

use crate::args::{PassArgs, UnlockArgs};
use crate::error::CommandError;
use crate::host::Host;
use crate::output;
use crate::volume::{self, Disks};
use linux::Access;

/// Prints the passphrase of a bound keyslot, once it has opened that keyslot.
pub fn pass(args: &PassArgs) -> Result<(), CommandError> {
    let disks = Disks::open(&args.device, Access::Read)?;
    let header = disks.accepted(&args.ceilings)?;
    let host = Host::new(args.patience.limit());
    let unlocked = volume::open_by_bindings(disks.header(), &header, Some(volume::slot(args.slot)?), &host)?;
    output::data(unlocked.passphrase.expose())
}

/// Opens the volume by its bindings, or by a person's passphrase if one is named, and prints what opened it.
pub fn unlock(args: &UnlockArgs) -> Result<(), CommandError> {
    if !args.print_key {
        let error = CommandError::usage("mapping a volume in the kernel is not there yet");
        return Err(error.hint("--print-key | cryptsetup open --key-file -, or `cotter image serve`"));
    }
    let disks = Disks::open(&args.device, Access::Read)?;
    let header = disks.accepted(&args.ceilings)?;
    let host = Host::new(args.patience.limit());
    let only = args.slot.map(volume::slot).transpose()?;
    let (passphrase, _) = volume::open(disks.header(), &header, &args.key, only, &host)?;
    output::data(passphrase.expose())
}
