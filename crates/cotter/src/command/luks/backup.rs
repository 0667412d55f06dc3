//! `cotter luks backup` and `cotter luks restore`: header and key material in a file, as cryptsetup keeps them.

use crate::args::{BackupArgs, RestoreArgs};
use crate::command::luks::change::{agreed, print_plan, report};
use crate::error::CommandError;
use crate::host::Host;
use crate::private_file;
use crate::volume::{self, Disks};
use ::luks::{ApplyError, Backup, BackupError, Force, RestoreConcern, RestorePlan};
use block::{BlockRead, Bytes};
use crypto::SystemRandom;
use json::Object;
use linux::{Access, LockMode, Terminal};
use std::path::Path;
use std::time::Duration;

/// Writes the backup into a new file that only its owner may read.
pub fn backup(args: &BackupArgs) -> Result<(), CommandError> {
    let disks = Disks::open(&args.device, Access::Read)?;
    let held = volume::lock_for_reading(disks.header())?;
    let what = || format!("cannot back up the header of {}", disks.header().path().display());
    let backup = Backup::read(disks.header()).map_err(|source| no_backup(what(), source))?;
    drop(held);
    if args.dry_run {
        return private_file::plan(&args.file, backup.bytes(), args.format);
    }
    private_file::write(&args.file, backup.bytes())?;
    let uuid = backup.header().uuid().to_string();
    let told = format!(
        "the header of {uuid} is in {}: {} bytes. Old passphrases open it for ever, also when they have been removed from the \
         disk: keep it as you keep them",
        args.file.display(),
        backup.bytes().len()
    );
    let length = u64::try_from(backup.bytes().len()).unwrap_or(u64::MAX);
    report(args.format, &told, Object::new().with("uuid", uuid.as_str()).with("bytes", length))
}

/// Puts a backup back.
pub fn restore(args: &RestoreArgs) -> Result<(), CommandError> {
    let backup = read(&args.file)?;
    let disks = Disks::open_to_change(&args.device, args.dry_run)?;
    let plan = plan(&backup, &disks)?;
    if args.dry_run {
        return print_plan(args.format, &plan);
    }
    refuse_concerns(args, &plan)?;
    volume::tell_if_used(disks.data());
    agree(args, &backup)?;
    let held = volume::lock(disks.header(), LockMode::Exclusive)?;
    let force = if args.force { Force::Yes } else { Force::No };
    let applied = plan.apply(disks.header(), force);
    drop(held);
    applied.map_err(|source| not_applied("cannot restore the header", source))?;
    let uuid = backup.header().uuid().to_string();
    let told = format!("the header of {uuid} is restored; keyslots that were removed since the backup are back");
    report(args.format, &told, Object::new().with("uuid", uuid.as_str()).with("restored", true))
}

fn read(path: &Path) -> Result<Backup, CommandError> {
    let what = || format!("{} is no backup of a header", path.display());
    let file = volume::open_disk(path, Access::Read)?;
    let length = file.len().min(Backup::LARGEST);
    let mut bytes = vec![0; usize::try_from(length.0).unwrap_or(0)];
    file.read_at(Bytes(0), &mut bytes).map_err(|source| CommandError::failed(what(), source))?;
    Backup::parse(bytes).map_err(|source| no_backup(what(), source))
}

fn no_backup(what: String, source: BackupError) -> CommandError {
    let hint = source.hint();
    CommandError::failed(what, source).hint(hint)
}

fn plan(backup: &Backup, disks: &Disks) -> Result<RestorePlan, CommandError> {
    RestorePlan::new(backup, disks.header(), &SystemRandom).map_err(|source| {
        let hint = source.hint().unwrap_or_default();
        CommandError::failed("the backup cannot be restored here", source).hint(hint)
    })
}

fn refuse_concerns(args: &RestoreArgs, plan: &RestorePlan) -> Result<(), CommandError> {
    if args.force || plan.concerns().is_empty() {
        return Ok(());
    }
    let concerns: Vec<String> = plan.concerns().iter().map(RestoreConcern::to_string).collect();
    let error = CommandError::plain(format!("the header was not restored: {}", concerns.join("; ")));
    Err(error.hint("--force restores it all the same"))
}

fn agree(args: &RestoreArgs, backup: &Backup) -> Result<(), CommandError> {
    if args.quiet || !Terminal::types_stdin() {
        return Ok(());
    }
    let host = Host::new(Duration::ZERO);
    let (device, uuid) = (args.device.path.display(), backup.header().uuid());
    let question =
        format!("This replaces the header and all keyslots of {device} by those of the backup of {uuid}. Go on?");
    if agreed(&host, &question, "-q asks nothing")? { Ok(()) } else { Err(CommandError::plain("nothing was changed")) }
}

/// A plan that was not carried out.
pub fn not_applied(what: &str, source: ApplyError) -> CommandError {
    let hint = match source {
        ApplyError::HalfDone { .. } => "do not write to the disk; save its first 16 MiB, then `cotter luks dump`",
        ApplyError::Changed { .. } => "try it again",
        _ => "",
    };
    CommandError::failed(what, source).hint(hint)
}
