//! `cotter luks erase`: all keyslots destroyed, and a certificate of it.

use crate::args::EraseArgs;
use crate::command::luks::change::{agreed, print_plan};
use crate::error::CommandError;
use crate::host::Host;
use crate::output;
use crate::volume::{self, Disks};
use ::luks::{EraseError, ErasePlan, Erased};
use crypto::SystemRandom;
use json::{Object, Value};
use linux::{LockMode, Terminal};
use std::time::{Duration, SystemTime};

/// Destroys the keyslots; the certificate goes to standard output.
pub fn run(args: &EraseArgs) -> Result<(), CommandError> {
    let disks = Disks::open_to_change(&args.device, args.dry_run)?;
    let plan = ErasePlan::new(disks.header(), &SystemRandom).map_err(not_erased)?;
    if args.dry_run {
        return print_plan(args.format, &plan);
    }
    let host = Host::new(Duration::ZERO);
    volume::tell_if_used(disks.data());
    let question = format!(
        "This destroys all {} keyslots of {}. Without a backup of the header its data is lost for ever. Go on?",
        plan.slots().len(),
        args.device.path.display()
    );
    if !args.quiet && Terminal::types_stdin() && !agreed(&host, &question, "-q asks nothing")? {
        return Err(CommandError::plain("nothing was changed"));
    }
    let held = volume::lock(disks.header(), LockMode::Exclusive)?;
    let erased = plan.apply(disks.header(), &SystemRandom);
    drop(held);
    certify(args, &erased.map_err(not_erased)?)
}

fn not_erased(source: EraseError) -> CommandError {
    let hint = match &source {
        EraseError::Header { source } => source.hint(),
        other => other.hint().unwrap_or_default(),
    };
    CommandError::failed("the keyslots were not erased", source).hint(hint)
}

fn certify(args: &EraseArgs, erased: &Erased) -> Result<(), CommandError> {
    let when = httpdate::fmt_http_date(SystemTime::now());
    let device = args.device.detached_header.as_ref().unwrap_or(&args.device.path).display().to_string();
    let slots: Vec<Value> = erased.slots.iter().map(|slot| u64::from(slot.number()).into()).collect();
    let area = |area: &::luks::Area| Object::new().with("offset", area.offset().0).with("bytes", area.size().0).into();
    let record = Object::new()
        .with("uuid", erased.uuid().to_string())
        .with("device", device.as_str())
        .with("erased", when.as_str())
        .with("keyslots", slots)
        .with("overwritten", erased.areas.iter().map(area).collect::<Vec<Value>>())
        .with("bytes", erased.bytes().0);
    output::record(args.format, record, || {
        format!("Certificate of erasure\ndevice: {}\nwhen: {when}\n{erased}", crate::error::visible(&device))
    })?;
    output::say("backups of the header, snapshots of the disk and copies inside it (flash memory) are not covered");
    Ok(())
}
