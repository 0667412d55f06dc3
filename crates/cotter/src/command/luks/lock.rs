//! `cotter luks lock`: a mapping is closed, once nobody uses it, and its key with it.

use crate::args::LockArgs;
use crate::error::CommandError;
use crate::host::Host;
use crate::output;
use crate::volume;
use json::Object;
use linux::dm::{Control, DmError, MappingName, Removal, Removed, Status, Udev, User, Wait, WhileInUse, users_of};
use linux::{Access, LoopDevice, deadline_after};
use std::path::Path;

/// Closes one mapping of an encrypted volume.
pub fn run(args: &LockArgs) -> Result<(), CommandError> {
    let control = Control::open().map_err(|source| failed("nothing is closed", source))?;
    let status = match (&args.name, &args.device) {
        (Some(name), _) => by_name(&control, name)?,
        (None, Some(device)) => by_device(&control, device)?,
        (None, None) => return Err(CommandError::usage("name a mapping, or the disk it is on: -d")),
    };
    if !status.is_crypt() {
        let error = CommandError::plain(format!("{} is not the mapping of an encrypted volume", status.name));
        return Err(error.hint(format!("see what it is: `dmsetup info {}`", status.name)));
    }
    if args.dry_run { dry_run(args, &status) } else { close(args, &control, &status) }
}

fn by_name(control: &Control, name: &str) -> Result<Status, CommandError> {
    let name = name.strip_prefix("/dev/mapper/").unwrap_or(name);
    let name = MappingName::new(name).map_err(|source| {
        let hint = source.hint();
        CommandError::failed("nothing is closed", source).hint(hint).into_usage()
    })?;
    let found = control.find(&name).map_err(|source| failed("nothing is closed", source))?;
    found.ok_or_else(|| failed("nothing is closed", DmError::NotFound { name }))
}

fn by_device(control: &Control, device: &Path) -> Result<Status, CommandError> {
    let disk = volume::open_disk(device, Access::Read)?;
    let numbers = disk.device_number().map_or_else(|| LoopDevice::all_of(&disk), |number| vec![number]);
    let mut found = Vec::new();
    for number in numbers {
        let there = control.on_device(number).map_err(|source| failed("nothing is closed", source))?;
        found.extend(there.into_iter().filter(Status::is_crypt));
    }
    match (found.pop(), found.is_empty()) {
        (Some(status), true) => Ok(status),
        (Some(status), false) => {
            let names: Vec<_> = found.iter().chain([&status]).map(|status| status.name.to_string()).collect();
            let error = CommandError::usage(format!("{} has several mappings: {}", device.display(), names.join(", ")));
            Err(error.hint("name one of them"))
        }
        (None, _) => {
            Err(CommandError::plain(format!("nothing is open on {}", device.display())).hint("`lsblk` shows what is"))
        }
    }
}

fn dry_run(args: &LockArgs, status: &Status) -> Result<(), CommandError> {
    let users = users_of(status.device);
    output::record(args.format, record(status, "open").with("users", shown(&users)), || {
        let name = &status.name;
        if users.is_empty() {
            format!("{name} would be closed")
        } else {
            format!("{name} is in use, and would be closed after that: {}", shown(&users).join(", "))
        }
    })
}

fn close(args: &LockArgs, control: &Control, status: &Status) -> Result<(), CommandError> {
    let host = Host::new(args.limit());
    host.cancel_on_signal()?;
    let wait = Wait { until: deadline_after(args.limit()), cancel: host.cancel() };
    let in_use = if args.deferred { WhileInUse::Defer } else { WhileInUse::Wait };
    let how = Removal { in_use, udev: Udev::found() };
    let mut tell = |users: &[User]| {
        output::say(&crate::error::visible(&format!("waiting for {}: {}", status.name, shown(users).join(", "))));
    };
    let removed = control.remove(status, how, &wait, &mut tell);
    match removed.map_err(|source| failed("the mapping stays open", source))? {
        Removed::Now => output::record(args.format, record(status, "closed"), || format!("{} is closed", status.name)),
        Removed::Later => output::record(args.format, record(status, "deferred"), || {
            format!("{} will be closed when its last user leaves", status.name)
        }),
    }
}

fn record(status: &Status, state: &str) -> Object {
    let on: Vec<_> = status.on.iter().map(ToString::to_string).collect();
    let uuid = status.uuid.as_ref().map_or("", |uuid| uuid.as_str());
    Object::new()
        .with("name", status.name.as_str())
        .with("state", state)
        .with("uuid", uuid)
        .with("device", status.device.to_string())
        .with("on", on)
}

fn shown(users: &[User]) -> Vec<String> {
    users.iter().map(ToString::to_string).collect()
}

fn failed(what: &str, source: DmError) -> CommandError {
    let hint = source.hint();
    CommandError::failed(what, source).hint(hint)
}
