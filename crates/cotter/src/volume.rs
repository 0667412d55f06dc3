//! A LUKS volume on disks of this machine: its header read and accepted, its key found.

use crate::args::{Ceilings, Device};
use crate::error::CommandError;
use crate::expected;
use crate::host::Host;
use crate::output;
#[cfg(feature = "full")]
use crate::progress::Progress;
use block::BlockRead;
use clevis::{Remark, TrustPolicy};
use crypto::{Passphrase, SystemRandom};
use linux::{Access, Claim, FileDisk, HeaderLock, LockError, LockMode, machine};
use luks::{Accepted, Allowed, DataPlace, Header, Luks1, MetaError, MetaState, Refused, SealState, Slot, TokenId};
use std::path::Path;
use std::time::Duration;
use unlock::identity::{self, Closed};
use unlock::{AttemptError, Binding, Bound, ByPassphrase, Event, Exclusive, Failed, NotOpened, Unlocked, Way};

/// How long to wait for somebody else who is changing the header.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);

/// The disks of one volume: that of its header and that of its data, which mostly are the same.
pub struct Disks {
    header: FileDisk,
    data: Option<FileDisk>,
}

impl Disks {
    /// Opens the disk of the header for what is to be done to the header. One of the data alone is opened for reading.
    pub fn open(device: &Device, header: Access) -> Result<Disks, CommandError> {
        Disks::open_apart(device, header, Access::Read)
    }

    /// Opens both; `data` counts only where the header is detached.
    pub fn open_apart(device: &Device, header: Access, data: Access) -> Result<Disks, CommandError> {
        let Some(detached) = &device.detached_header else {
            return Ok(Disks { header: open_disk(&device.path, header)?, data: None });
        };
        let data = open_disk(&device.path, data)?;
        Ok(Disks { header: open_disk(detached, header)?, data: Some(data) })
    }

    /// Opens the disk of the header for a change, or for the plan of one.
    pub fn open_to_change(device: &Device, dry_run: bool) -> Result<Disks, CommandError> {
        Disks::open(device, if dry_run { Access::Read } else { Access::Write })
    }

    /// The disk with the header and the key material.
    pub fn header(&self) -> &FileDisk {
        &self.header
    }

    /// The disk with the data.
    pub fn data(&self) -> &FileDisk {
        self.data.as_ref().unwrap_or(&self.header)
    }

    /// What is allowed of the header, where it is and on this machine.
    pub fn allowed(&self, ceilings: &Ceilings) -> Allowed {
        let data = if self.data.is_some() { DataPlace::OtherDisk } else { DataPlace::BehindHeader };
        Allowed { data, ..allowed(ceilings) }
    }

    /// The volume as something that is changed.
    pub fn volume<'a>(
        &'a self,
        ceilings: &Ceilings,
        exclusive: &'a Exclusive<'a>,
        host: &'a Host,
    ) -> unlock::Volume<'a> {
        let (disk, cancel) = (&self.header, host.cancel());
        unlock::Volume {
            disk,
            allowed: self.allowed(ceilings),
            exclusive,
            reading: exclusive,
            random: &SystemRandom,
            cancel,
        }
    }

    /// Reads the header while nobody is changing it.
    pub fn read_header(&self) -> Result<Header, CommandError> {
        read_header(&self.header)
    }

    /// As [`Disks::accepted`], for who opens what this machine expects: another thing in the place of a volume is an alarm.
    pub fn accepted_as_expected(&self, ceilings: &Ceilings, host: &Host) -> Result<Accepted, CommandError> {
        self.accepted(ceilings).map_err(|error| not_a_volume(&self.header, error, host))
    }

    /// Reads the header and accepts it, or says why not.
    pub fn accepted(&self, ceilings: &Ceilings) -> Result<Accepted, CommandError> {
        accept(self.read_header()?, self.header.path(), &self.allowed(ceilings))
    }
}

/// What is allowed of a header in front of its data.
pub fn allowed(ceilings: &Ceilings) -> Allowed {
    let usual = Allowed::default();
    Allowed {
        // Who names a ceiling has thought about memory.
        free_memory_kib: if ceilings.max_memory.is_some() { None } else { machine::free_memory_kib() },
        argon2_memory_kib: ceilings.max_memory.unwrap_or(usual.argon2_memory_kib),
        pbkdf2_iterations: ceilings.max_iterations.unwrap_or(usual.pbkdf2_iterations),
        ..usual
    }
}

/// Opens a block device or a plain file.
pub fn open_disk(path: &Path, access: Access) -> Result<FileDisk, CommandError> {
    FileDisk::open(path, access).map_err(|source| {
        let hint = source.hint();
        CommandError::failed("cannot open the disk", source).hint(hint)
    })
}

/// Reads the header of the volume that a whole disk is, while nobody is changing it.
pub fn read_header(disk: &FileDisk) -> Result<Header, CommandError> {
    let held = lock_for_reading(disk)?;
    let header = header_of(disk, disk.path());
    drop(held);
    header
}

/// The error, or the alarm that it is: no header where this machine expects one.
pub fn not_a_volume(disk: &FileDisk, error: CommandError, host: &Host) -> CommandError {
    let Err(source) = Header::read(disk) else { return error };
    let fault = match host.expected() {
        Ok(expected) => expected.without_header(disk, &source),
        Err(unknown) => return unknown,
    };
    fault.map_or(error, |fault| {
        let what = format!("{} is not used", disk.path().display());
        expected::alarm(CommandError::failed(what, fault.clone()).hint(fault.hint()), &fault)
    })
}

/// The shared lock, for as long as headers are read. Who may read a disk but not lock it (no way into the directory of lock
/// files, a file system without locks) reads without: both copies of a header are checked, so a change under way is noticed as
/// damage and not taken for truth.
pub fn lock_for_reading(disk: &FileDisk) -> Result<Option<HeaderLock>, CommandError> {
    match HeaderLock::acquire(disk, LockMode::Shared, LOCK_PATIENCE) {
        Ok(held) => Ok(Some(held)),
        Err(LockError::Directory { .. } | LockError::Failed { .. }) => Ok(None),
        Err(source) => Err(not_locked(disk, source)),
    }
}

/// Reads the header of a volume inside an image.
pub fn header_of(disk: &dyn BlockRead, path: &Path) -> Result<Header, CommandError> {
    Header::read(disk).map_err(|source| {
        let hint = source.hint();
        CommandError::failed(format!("cannot read the header of {}", path.display()), source).hint(hint)
    })
}

/// Accepts a header, or says why not.
pub fn accept(header: Header, path: &Path, allowed: &Allowed) -> Result<Accepted, CommandError> {
    header.accept(allowed).map_err(|source| {
        let hint = match source {
            Refused::Argon2Memory { .. } => "if the keyslot is known to be yours: --max-memory KIB",
            Refused::TooManyIterations { .. } => "if the keyslot is known to be yours: --max-iterations N",
            _ => source.hint(),
        };
        CommandError::failed(format!("the header of {} is refused", path.display()), source).hint(hint)
    })
}

/// Takes the lock that cryptsetup takes.
pub fn lock(disk: &FileDisk, mode: LockMode) -> Result<HeaderLock, CommandError> {
    HeaderLock::acquire(disk, mode, LOCK_PATIENCE).map_err(|source| not_locked(disk, source))
}

/// Has the content of a disk for oneself, against whoever serves, mounts or runs it.
pub fn claim(disk: &FileDisk) -> Result<Claim, CommandError> {
    disk.claim().map_err(|source| {
        let hint = source.hint();
        CommandError::failed(format!("{} cannot be changed now", disk.path().display()), source).hint(hint)
    })
}

/// Tells who uses a disk whose header is about to be destroyed or replaced. That is allowed, as cryptsetup allows it: what is open
/// stays open, and then never opens again.
pub fn tell_if_used(disk: &FileDisk) {
    if let Err(source @ (LockError::Claimed { .. } | LockError::Attached { .. })) = disk.claim() {
        output::say(&crate::error::visible(&format!("{source}; what is open stays open until it is closed")));
    }
}

fn not_locked(disk: &FileDisk, source: LockError) -> CommandError {
    let hint = source.hint();
    CommandError::failed(format!("the header of {} is not free", disk.path().display()), source).hint(hint)
}

/// The write lock as a change takes it.
pub fn exclusive(disk: &FileDisk) -> Result<Box<dyn Send>, Box<dyn std::error::Error + Send + Sync>> {
    let held = HeaderLock::acquire(disk, LockMode::Exclusive, LOCK_PATIENCE)?;
    Ok(Box::new(held))
}

/// What counts of a seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seal {
    /// All: a volume whose seal is not right stays closed.
    Counts,
    /// Nothing, for it is about to be made anew.
    IsRenewed,
}

/// Refuses a LUKS1 volume whose bindings are lost because LUKSMeta is damaged.
pub fn check_meta(header: &Header) -> Result<(), CommandError> {
    damaged_meta(header).map_or(Ok(()), |error| Err(bindings_lost(error).hint(hint_for_meta(error))))
}

/// What is wrong with the LUKSMeta of a LUKS1 header, if something is.
pub fn damaged_meta(header: &Header) -> Option<&MetaError> {
    match header.as_luks1().map(Luks1::meta) {
        Some(MetaState::Damaged(error)) => Some(error),
        _ => None,
    }
}

fn bindings_lost(error: &MetaError) -> CommandError {
    CommandError::failed("the LUKSMeta with the bindings cannot be used", error.clone())
}

/// No backup of a header has LUKSMeta, and restoring one brings back keyslots that were removed: that is never the way.
pub fn hint_for_meta(error: &MetaError) -> &'static str {
    match error {
        MetaError::Disk { .. } => "see the system's log for what the device reported",
        MetaError::UnknownVersion { .. } => {
            "a newer program may know it; to give up what it has: `cotter luks meta nuke`"
        }
        _ => {
            "give up what it has, `cotter luks meta nuke`, and bind anew, `cotter luks bind`; copies that `cotter luks meta load` \
             has made come back with `cotter luks meta init` and `cotter luks meta save`"
        }
    }
}

/// Opens the volume by its bindings, all of them or those of one slot. Each failure of one among several is told when it
/// happens, and so is what the seal of the header tells.
pub fn open_by_bindings(
    closed: &Closed<'_>,
    only: Option<Slot>,
    seal: Seal,
    host: &Host,
) -> Result<Unlocked, CommandError> {
    let header = closed.header;
    if let Some(error) = damaged_meta(header.header()) {
        let hint = format!("a passphrase: -k FILE, or -k -; then {}", hint_for_meta(error));
        return Err(bindings_lost(error).hint(hint));
    }
    let mut plan = unlock::plan_all(header.header(), only);
    for attempt in &mut plan {
        if let (Way::Systemd(tpm2), Some(path)) = (&mut attempt.way, host.tpm2_signatures()) {
            tpm2.signed_at(path);
        }
    }
    if let (Some(slot), true) = (only, plan.is_empty()) {
        return Err(
            CommandError::plain(format!("keyslot {slot} is not bound")).hint("`cotter luks list` shows those that are")
        );
    }
    let several = plan.len() > 1;
    let mut tell = |event: Event<'_>| match event {
        // What is never opened here is no news while something else opens.
        Event::Failed(..) if host.cancel().is_cancelled() => {}
        Event::Failed(attempt, error) if several && !matches!(attempt.way, Way::Refused(_)) => {
            output::say(&format!("keyslot {}: {}", attempt.slot, reasons(error)));
        }
        Event::WrongShares(attempt, shares) => {
            shares.iter().for_each(|share| output::say(&format!("keyslot {}: {share}", attempt.slot)));
        }
        Event::Remarks(attempt, remarks) => {
            remarks.iter().for_each(|remark| tell_remark(&format!("keyslot {}: ", attempt.slot), remark));
        }
        _ => {}
    };
    let (ports, left) = (host.ports(TrustPolicy::Ask), || host.time_left());
    let unlocked = match seal {
        Seal::Counts => unlock::run(plan, closed, &ports, &left, &mut tell),
        Seal::IsRenewed => unlock::run_unsealed(plan, closed, &ports, &left, &mut tell),
    };
    let unlocked = unlocked.map_err(|failed| match host.cancel().is_cancelled() {
        true => CommandError::plain("given up; the volume stays closed"),
        false => nothing_opened(failed, header),
    })?;
    if seal == Seal::Counts {
        tell_differences(&unlocked.seal);
    }
    tell_unlisted(closed);
    if let Some(proved) = &unlocked.proved {
        tell_clone(header.header(), &proved.binding);
    }
    Ok(unlocked)
}

/// Says it, with what to do about it.
pub fn tell_remark(lead: &str, remark: &Remark) {
    output::say(&format!("{lead}{remark}\n  try: {}", remark.hint()));
}

/// That a volume is not among those that are expected is no reason not to open it, unless that was asked for.
fn tell_unlisted(closed: &Closed<'_>) {
    let uuid = closed.header.header().uuid();
    if !closed.expected.is_empty() && closed.expected.of(uuid).is_none() {
        output::say(&format!("the volume {uuid} is none of those that are expected"));
    }
}

/// A binding that was just made by another TPM than the list of expected volumes speaks of would be an alarm at the next start.
pub fn tell_unexpected_parent(header: &Header, bound: &Bound, host: &Host) {
    let binding = Binding { slot: bound.slot, token: bound.token, jwe: bound.jwe.clone() };
    let Ok(expected) = host.expected() else { return };
    let attempts = unlock::plan(vec![binding], None);
    if attempts.iter().any(|attempt| expected.check_parents(header, attempt, crate::pins::ALL).is_err()) {
        output::say(&format!(
            "the TPM's key of keyslot {} is not in the list of expected volumes, which keeps it from opening\n  try: cotter luks identity \
             -d DEVICE --add FILE --replace",
            bound.slot
        ));
    }
}

/// Whoever opens one of them reads all.
pub fn tell_clone(header: &Header, binding: &Binding) {
    if let Some(uuid) = identity::clone_of(header, binding) {
        let (slot, here) = (binding.slot, header.uuid());
        output::say(&format!(
            "keyslot {slot} was bound on the volume {uuid}, and this is {here}: one is a clone of the other, and whoever opens one reads both"
        ));
    }
}

/// Changes of keyslots and tokens are made by programs that know no seal, too: they are told, and no more.
fn tell_differences(state: &SealState) {
    if let (SealState::Sealed { .. }, false) = (state, state.is_clean()) {
        output::say(&format!("{state}\n  if that is right: cotter luks seal"));
    }
}

fn nothing_opened(failed: Failed, header: &Accepted) -> CommandError {
    for token in unlock::unreadable(header.header()) {
        output::say(&format!("{}: {}", token.place(), reasons(&token.why)));
    }
    if let Some((_, AttemptError::Identity(fault))) = failed.tried.first()
        && fault.is_alarm()
    {
        let fault = fault.clone();
        return expected::alarm(CommandError::failed("the volume stays closed", failed).hint(fault.hint()), &fault);
    }
    if failed.tried.len() > 1 {
        for (attempt, error) in failed.tried.iter().filter(|(attempt, _)| matches!(attempt.way, Way::Refused(_))) {
            output::say(&format!("keyslot {}: {}", attempt.slot, reasons(error)));
        }
    }
    let hint = format!("{}; or give a passphrase: -k FILE, or -k -", failed.hint());
    CommandError::failed("the volume stays closed", failed).hint(hint)
}

/// An error with all its causes on one line.
pub fn reasons(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    crate::error::visible(&causes.map(ToString::to_string).collect::<Vec<_>>().join(": "))
}

/// Why the one binding that was tried gave no passphrase, in its own words, on one line.
pub fn attempt_reasons(error: &CommandError) -> String {
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        match inner.downcast_ref::<AttemptError>() {
            Some(AttemptError::Pin(why)) => return reasons(why),
            Some(attempt) => return reasons(attempt),
            None => cause = inner.source(),
        }
    }
    error.to_string()
}

/// Opens the volume with a person's passphrase; what its seal tells is told.
pub fn open_by_passphrase(
    closed: &Closed<'_>,
    passphrase: &Passphrase,
    only: Option<Slot>,
    seal: Seal,
) -> Result<ByPassphrase, NotOpened> {
    #[cfg(feature = "full")]
    let progress = Progress::spinner("trying the passphrase");
    let opened = match seal {
        Seal::Counts => unlock::open_by_passphrase(closed, passphrase, only),
        Seal::IsRenewed => unlock::open_by_passphrase_unsealed(closed, passphrase, only),
    }?;
    #[cfg(feature = "full")]
    drop(progress);
    if seal == Seal::Counts {
        tell_differences(&opened.seal);
    }
    tell_unlisted(closed);
    Ok(opened)
}

/// Whether a keyslot is in use, for whatever key.
pub fn is_used(header: &Header, slot: Slot) -> bool {
    match header {
        Header::Luks1(header) => header.slots.get(usize::from(slot.number())).is_some_and(|entry| entry.active),
        Header::Luks2(header) => header.metadata().keyslots.contains_key(&slot),
    }
}

/// The token with this number.
pub fn token(number: u32) -> Result<TokenId, CommandError> {
    let wrong = || CommandError::usage(format!("there is no token {number}: they go from 0 to 31"));
    TokenId::new(number.into()).ok_or_else(wrong)
}

/// The slot with this number, which the parser has kept below 32 where it could.
pub fn slot(number: u32) -> Result<Slot, CommandError> {
    Slot::new(number.into())
        .ok_or_else(|| CommandError::usage(format!("there is no keyslot {number}: they go from 0 to 31")))
}
