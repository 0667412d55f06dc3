//! `cotter luks backup` and `cotter luks restore`: header and key material in a file, as cryptsetup keeps them.

use crate::args::{BackupArgs, Quoted, RestoreArgs};
use crate::command::luks::change::{agreed, print_plan, report};
use crate::error::{CommandError, visible};
use crate::host::Host;
use crate::output;
use crate::private_file;
use crate::volume::{self, Disks};
use ::luks::{
    ApplyError, Backup, BackupError, BinaryError, CopyError, CopyState, Force, Header, Luks2, RestoreConcern,
    RestorePlan, Slot,
};
use block::{BlockRead, Bytes};
use crypto::SystemRandom;
use json::{Object, Value};
use linux::{Access, DiskError, FileDisk, LockMode, Terminal};
use std::path::Path;
use std::time::Duration;

/// Writes the backup into a new file that only its owner may read.
pub fn backup(args: &BackupArgs) -> Result<(), CommandError> {
    let disks = Disks::open(&args.device, Access::Read)?;
    let held = volume::lock_for_reading(disks.header())?;
    let what = || format!("cannot back up the header of {}", disks.header().path().display());
    let backup = Backup::read(disks.header()).map_err(|source| no_backup(what(), source))?;
    let left_out = in_meta(Header::read(disks.header()).ok().as_ref());
    drop(held);
    let record = with_bad_copies(Object::new(), backup.header());
    let record = with_slots(record, "bindings_left_out", backup.header(), &left_out);
    if args.dry_run {
        private_file::plan(&args.file, backup.bytes(), args.format, record)?;
    } else {
        write(args, &backup, record)?;
    }
    tell_bad_copies(args, backup.header());
    tell_left_out(args, &left_out);
    Ok(())
}

fn write(args: &BackupArgs, backup: &Backup, record: Object) -> Result<(), CommandError> {
    private_file::write(&args.file, backup.bytes())?;
    let uuid = backup.header().uuid().to_string();
    let told = format!(
        "the header of {uuid} is in {}: {} bytes. Old passphrases open it for ever, also when they have been removed from the \
         disk: keep it as you keep them",
        args.file.display(),
        backup.bytes().len()
    );
    let length = u64::try_from(backup.bytes().len()).unwrap_or(u64::MAX);
    report(args.format, &told, record.with("uuid", uuid.as_str()).with("bytes", length))
}

fn tell_left_out(args: &BackupArgs, left_out: &[Slot]) {
    if let [first, ..] = left_out {
        output::say(&format!(
            "the bindings are not in it (keyslot {}): a LUKS1 backup ends where LUKSMeta begins\n  keep each in a file of its own: \
             cotter luks meta load -s {first} {} > FILE; `cotter luks meta save` brings it back, or bind anew",
            list(left_out),
            args.device
        ));
    }
}

/// The copies of a LUKS2 header that are not good, by their names.
fn bad_copies(header: &Header) -> impl Iterator<Item = (&'static str, &CopyState)> {
    let copies = header.as_luks2().into_iter().flat_map(Luks2::copies);
    ["first", "second"].into_iter().zip(copies).filter(|(_, copy)| !matches!(copy, CopyState::Good))
}

fn with_bad_copies(record: Object, header: &Header) -> Object {
    let bad = bad_copies(header).map(|(name, _)| Value::from(name)).collect::<Vec<_>>();
    if bad.is_empty() { record } else { record.with("bad_copies", bad).with("cryptsetup_takes_it", !is_hidden(header)) }
}

/// Whether cryptsetup, which looks for a header at the beginning of a backup alone, finds none.
fn is_hidden(header: &Header) -> bool {
    let no_magic = |copy: &CopyState| {
        matches!(copy, CopyState::Damaged { error: CopyError::Binary { source: BinaryError::WrongMagic } })
    };
    bad_copies(header).any(|(name, copy)| name == "first" && no_magic(copy))
}

/// A backup is a copy byte for byte, of what is damaged too.
fn tell_bad_copies(args: &BackupArgs, header: &Header) {
    for (name, copy) in bad_copies(header) {
        output::say(&visible(&format!("the {name} copy of the header is {copy}; it is so in the backup too")));
    }
    let taken = if is_hidden(header) {
        "cryptsetup does not take this file, `cotter luks restore` does"
    } else {
        "the file has one good copy, which is enough to restore it"
    };
    if bad_copies(header).next().is_some() {
        output::say(&format!(
            "{taken}\n  try: cotter luks repair {}, then back up again into another file",
            args.device
        ));
    }
}

/// The keyslots that are bound in LUKSMeta, which no backup has.
fn in_meta(header: Option<&Header>) -> Vec<Slot> {
    let header = header.filter(|header| header.as_luks1().is_some());
    header.map_or_else(Vec::new, |header| unlock::bindings(header).iter().map(|binding| binding.slot).collect())
}

/// The keyslots of a LUKS1 header that no binding is known for: there is none in LUKSMeta, or it is one for what was in the keyslot
/// `before`.
fn unbound(restored: &Header, before: Option<&Header>) -> Vec<Slot> {
    let Some(luks1) = restored.as_luks1() else { return Vec::new() };
    let bound = in_meta(Some(restored));
    let before = before.and_then(Header::as_luks1);
    let is_as_before = |at: usize| before.is_none_or(|before| before.slots.get(at) == luks1.slots.get(at));
    let slots = Slot::all().zip(&luks1.slots).enumerate().filter(|(_, (_, entry))| entry.active);
    slots.filter(|(at, (slot, _))| !(bound.contains(slot) && is_as_before(*at))).map(|(_, (slot, _))| slot).collect()
}

fn list(slots: &[Slot]) -> String {
    slots.iter().map(Slot::to_string).collect::<Vec<_>>().join(", ")
}

/// With a list of keyslots, where the header is LUKS1.
fn with_slots(record: Object, name: &'static str, header: &Header, slots: &[Slot]) -> Object {
    let slots = || slots.iter().map(|slot| u64::from(slot.number()).into()).collect::<Vec<Value>>();
    if header.as_luks1().is_some() { record.with(name, slots()) } else { record }
}

/// Puts a backup back.
pub fn restore(args: &RestoreArgs) -> Result<(), CommandError> {
    let backup = read(&args.file)?;
    let disks = Disks::open_to_change(&args.device, args.dry_run)?;
    let plan = plan(&backup, &disks)?;
    if args.dry_run {
        return print_plan(args.format, &plan);
    }
    refuse_concerns(args, &backup, &plan)?;
    volume::tell_if_used(disks.data());
    agree(args, &backup, &plan)?;
    let held = volume::lock(disks.header(), LockMode::Exclusive)?;
    let force = if args.force { Force::Yes } else { Force::No };
    let before = Header::read(disks.header()).ok();
    let applied = plan.apply(disks.header(), force);
    drop(held);
    let restored = applied.map_err(|source| not_applied("cannot restore the header", source))?.header;
    let uuid = backup.header().uuid().to_string();
    let told = format!("the header of {uuid} is restored; keyslots that were removed since the backup are back");
    let unbound = unbound(&restored, before.as_ref());
    let record = Object::new().with("uuid", uuid.as_str()).with("restored", true);
    report(args.format, &told, with_slots(record, "without_binding", &restored, &unbound))?;
    if !unbound.is_empty() {
        output::say(&format!(
            "without a binding now: keyslot {}; a LUKS1 backup holds none. Those that had one open by it again when it is \
             saved back or made anew\n  try: cotter luks meta save -s SLOT -u {2} {1} < FILE, or cotter luks bind {1} PIN CFG",
            list(&unbound),
            args.device,
            unlock::CLEVIS_UUID
        ));
    }
    Ok(())
}

fn read(path: &Path) -> Result<Backup, CommandError> {
    let what = || format!("{} is no backup of a header", path.display());
    let file = FileDisk::open(path, Access::Read).map_err(|source| {
        let hint = match source {
            DiskError::NotFound { .. } => "`cotter luks backup` makes one".to_owned(),
            ref other => other.hint(),
        };
        CommandError::failed("cannot open the backup", source).hint(hint)
    })?;
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

fn refuse_concerns(args: &RestoreArgs, backup: &Backup, plan: &RestorePlan) -> Result<(), CommandError> {
    if args.force || plan.concerns().is_empty() {
        return Ok(());
    }
    let concerns: Vec<String> = plan.concerns().iter().map(RestoreConcern::to_string).collect();
    let error = CommandError::plain(format!("the header was not restored: {}", concerns.join("; ")));
    if plan.concerns().iter().any(|concern| matches!(concern, RestoreConcern::NoHeader { .. })) {
        return Err(error.hint("--force restores it all the same"));
    }
    if plan.concerns().iter().any(|concern| matches!(concern, RestoreConcern::Unreadable { .. })) {
        return Err(error.hint(format!(
            "nothing opens by what is there, and it cannot be backed up. Is it the right disk? In doubt keep what would be \
             overwritten, dd if={} of=FILE bs=1M count={}; then --force",
            Quoted(args.device.header()),
            backup.bytes().len().div_ceil(1 << 20)
        )));
    }
    Err(error.hint(format!(
        "is it the right disk? What is on it now opens afterwards only with a backup of its own header: first \
         `cotter luks backup {} FILE`, then --force",
        args.device
    )))
}

fn agree(args: &RestoreArgs, backup: &Backup, plan: &RestorePlan) -> Result<(), CommandError> {
    if args.quiet || !Terminal::types_stdin() {
        return Ok(());
    }
    let host = Host::new(Duration::ZERO);
    let (device, uuid) = (args.device.path.display(), backup.header().uuid());
    let mut question =
        format!("This replaces the header and all keyslots of {device} by those of the backup of {uuid}.");
    for concern in plan.concerns() {
        question.push_str(&match concern {
            RestoreConcern::OtherVolume { disk, .. } => {
                format!(" The disk is now the volume {disk}, which then opens only with a backup of its own header.")
            }
            other => format!(" But {other}."),
        });
    }
    question.push_str(" Go on?");
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
