//! `cotter luks unlock`.

use super::change;
use super::mapping::Plan;
use crate::args::{Requests, UnlockArgs};
use crate::error::CommandError;
use crate::host::Host;
use crate::opened::{self, Opened};
use crate::output;
use crate::volume::{self, Disks};
use ::luks::{Accepted, SealState};
use ::unlock::Unlocked;
use block::BlockRead;
use crypto::{Passphrase, VolumeKey};
use json::Object;
use linux::dm::{Control, DmError, KeyPlace, Mapping, MappingAccess, NewMapping, Udev, Wait};
use linux::{Access, FileDisk, LoopAccess, LoopDevice, deadline_after};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

/// More than udev is given anyway.
const UDEV_PATIENCE: Duration = Duration::from_secs(60);

/// Opens the volume by its bindings, or by a person's passphrase if one is named, and maps it in the kernel or prints what
/// opened it. A program is told of an alarm, too.
pub fn unlock(args: &UnlockArgs) -> Result<(), CommandError> {
    run(args).or_else(|error| {
        if let (true, Some(record)) = (args.format.json, error.as_alarm()) {
            output::record(args.format, record.clone(), String::new)?;
        }
        Err(error)
    })
}

fn run(args: &UnlockArgs) -> Result<(), CommandError> {
    let output = Output::of(args)?;
    let disks = Disks::open(&args.device, Access::Read)?;
    let host = Host::new(args.patience.limit()).with_tpm2_signatures(args.tpm2_signature.clone());
    let host = host.expecting(&args.expect)?;
    let header = disks.accepted_as_expected(&args.ceilings, &host)?;
    let closed = host.closed(disks.header(), &header)?;
    let only = args.slot.or(args.test).map(volume::slot).transpose()?;
    if let Some(output) = output {
        let opened = opened::open(&closed, &args.key, only, &host)?;
        return output.write(&opened.passphrase);
    }
    if args.test.is_some() || args.test_passphrase {
        let opened = opened::open(&closed, &args.key, only, &host)?;
        let record = Object::new().with("slot", u64::from(opened.slot.number())).with("opens", true);
        return change::report(args.format, &format!("keyslot {} opens", opened.slot), record);
    }
    let mut plan = Plan::new(args.name.as_deref(), args.requests, &header, disks.data().len())?;
    let ready = ready(&plan, disks.data());
    let (control, in_the_way) = if args.dry_run { (None, ready.err()) } else { (Some(ready?), None) };
    let Opened { key, seal, .. } = opened::open(&closed, &args.key, only, &host)?;
    plan.heed(&seal);
    if seal == SealState::Unsealed {
        output::say("the header is not sealed, so changes to it cannot show: `cotter luks seal`");
    }
    look_again(&disks, &header)?;
    let Some(control) = control else {
        if let Some(error) = in_the_way {
            output::say(&format!("but not as things are: {error}"));
        }
        return output::record(args.format, plan.record(), || format!("{} would be mapped", plan.name));
    };
    let access = access(args.read_only, disks.data());
    let mapping = map(&control, &plan, &key, disks.data(), access, &host)?;
    report(args, &plan, &mapping, access)
}

/// How a volume is mapped that was opened already.
pub struct Wanted<'a> {
    /// The name of the mapping.
    pub name: &'a str,
    /// What is asked of the kernel.
    pub requests: Requests,
    /// Nothing can be written through it.
    pub read_only: bool,
}

/// Maps a volume from the header that was accepted and the key that it gave; where the mapping is.
pub fn map_opened(
    wanted: &Wanted<'_>,
    disks: &Disks,
    header: &Accepted,
    opened: &Unlocked,
    host: &Host,
) -> Result<PathBuf, CommandError> {
    let mut plan = Plan::new(Some(wanted.name), wanted.requests, header, disks.data().len())?;
    let control = ready(&plan, disks.data())?;
    plan.heed(&opened.seal);
    look_again(disks, header)?;
    let mapping = map(&control, &plan, &opened.key, disks.data(), access(wanted.read_only, disks.data()), host)?;
    Ok(mapping.node)
}

/// Where the passphrase goes that opened the volume.
enum Output {
    Standard,
    Named(OwnedFd),
}

impl Output {
    fn of(args: &UnlockArgs) -> Result<Option<Output>, CommandError> {
        let Some(number) = args.print_key_fd else {
            return Ok(args.print_key.then_some(Output::Standard));
        };
        let named = linux::named_output(number).map_err(|source| {
            let hint = source.hint();
            CommandError::failed("the passphrase cannot be written", source).hint(hint)
        })?;
        Ok(Some(Output::Named(named)))
    }

    fn write(&self, passphrase: &Passphrase) -> Result<(), CommandError> {
        let Output::Named(named) = self else { return output::data(passphrase.expose()) };
        linux::write_all(named, passphrase.expose())
            .map_err(|source| CommandError::failed("cannot write the passphrase", source))
    }
}

/// The device mapper, if nothing stands in the way of the mapping: better said before anybody types or is asked.
fn ready(plan: &Plan, data: &FileDisk) -> Result<Control, CommandError> {
    let control = Control::open().map_err(not_mapped)?;
    control.check_free(&plan.name, &plan.uuid, data.device_number()).map_err(not_mapped)?;
    for file in LoopDevice::all_of(data) {
        control.check_free(&plan.name, &plan.uuid, Some(file)).map_err(not_mapped)?;
    }
    Ok(control)
}

/// Whether the header is still the one that was accepted: opening took its time.
fn look_again(disks: &Disks, header: &Accepted) -> Result<(), CommandError> {
    let held = volume::lock_for_reading(disks.header())?;
    let seen = unlock::recheck(disks.header(), header);
    drop(held);
    seen.map_err(|source| {
        let hint = source.hint();
        CommandError::failed(format!("{} is not mapped", disks.header().path().display()), source).hint(hint)
    })
}

/// A disk that cannot be written is mapped to be read, as cryptsetup does.
fn access(read_only: bool, data: &FileDisk) -> MappingAccess {
    if read_only {
        return MappingAccess::Read;
    }
    if data.device_number().is_some_and(|number| number.is_read_only()) {
        output::say(&format!("{} is read-only, and so is the mapping", data.path().display()));
        return MappingAccess::Read;
    }
    MappingAccess::Write
}

fn map(
    control: &Control,
    plan: &Plan,
    key: &VolumeKey,
    data: &FileDisk,
    access: MappingAccess,
    host: &Host,
) -> Result<Mapping, CommandError> {
    // A signal from here on lets what was begun come to its end, which is soon.
    host.cancel_on_signal()?;
    let attached = if data.is_device() { None } else { Some(attach(data, access)?) };
    let device = attached.as_ref().map(LoopDevice::number).or_else(|| data.device_number());
    let device = device.ok_or_else(|| CommandError::plain("the disk is neither a device nor a file"))?;
    let table = plan.table(key, device);
    let new = NewMapping { name: &plan.name, uuid: &plan.uuid, table: &table, access, udev: Udev::found() };
    let wait = Wait { until: deadline_after(UDEV_PATIENCE), cancel: host.cancel() };
    control.create(&new, &wait).map_err(not_mapped)
}

/// A plain file as a block device, unless somebody else writes it.
fn attach(data: &FileDisk, access: MappingAccess) -> Result<LoopDevice, CommandError> {
    let (access, claim) = match access {
        MappingAccess::Read => (LoopAccess::Read, None),
        MappingAccess::Write => (LoopAccess::Write, Some(volume::claim(data)?)),
    };
    let attached = LoopDevice::attach(data, access);
    drop(claim);
    attached.map_err(|source| {
        let hint = source.hint();
        CommandError::failed(format!("cannot map {}", data.path().display()), source).hint(hint)
    })
}

fn not_mapped(source: DmError) -> CommandError {
    let mut hint = source.hint();
    if matches!(source, DmError::NoDeviceMapper { .. } | DmError::NoCryptTarget | DmError::Denied) {
        hint.push_str("; without root and without the kernel: `cotter image cat FILE`, `cotter image serve FILE`");
    }
    CommandError::failed("the volume is not mapped", source).hint(hint)
}

fn report(args: &UnlockArgs, plan: &Plan, mapping: &Mapping, access: MappingAccess) -> Result<(), CommandError> {
    for flag in &mapping.left_out {
        output::say(&format!("this kernel does not know {flag}, so it does not hold"));
    }
    if mapping.udev_is_late {
        output::say("udev has not answered; links to the mapping may come later");
    }
    let node = mapping.node.display().to_string();
    let record = made(plan.record(), mapping, access).with("node", node.as_str());
    output::record(args.format, record, || node.clone())
}

fn made(plan: Object, mapping: &Mapping, access: MappingAccess) -> Object {
    let key = match mapping.key {
        KeyPlace::Table => "table",
        KeyPlace::Keyring => "keyring",
    };
    plan.with("device", mapping.device.to_string())
        .with("read_only", access == MappingAccess::Read)
        .with("key", key)
        .with("left_out", mapping.left_out.iter().map(ToString::to_string).collect::<Vec<_>>())
}
