//! `cotter luks config`: what a LUKS2 header says beside its keys.

use crate::args::{ConfigArgs, FlagName, PriorityName};
use crate::command::luks::change::{self, Change};
use crate::error::CommandError;
use crate::volume::{self, Disks};
use ::luks::{Accepted, Edit, EditError, Flag, Priority, Slot};
use json::Object;
use unlock::CommitError;

/// Sets what was named, and leaves the rest.
pub fn run(args: &ConfigArgs) -> Result<(), CommandError> {
    let disks = Disks::open_to_change(&args.device, args.dry_run)?;
    let header = disks.accepted(&args.ceilings)?;
    let slot = args.slot.map(volume::slot).transpose()?;
    if let Some(both) = args.flag.iter().find(|flag| args.no_flag.contains(flag)) {
        let name = Flag::from(*both).name();
        return Err(CommandError::usage(format!("--flag {name} and --no-flag {name} contradict each other")));
    }
    let (ceilings, format, dry_run) = (&args.ceilings, args.format, args.dry_run);
    let change = Change { failing: "cannot set it", disks: &disks, ceilings, format, dry_run };
    let done = change.carry_out(&header, |header, random| {
        let mut edit = Edit::new(header, random).map_err(CommitError::Edit)?;
        change_settings(args, slot, header, &mut edit).map_err(CommitError::Edit)?;
        let told = edit.steps().iter().map(|step| format!("done: {step}")).collect::<Vec<_>>().join("\n");
        Ok((edit, told))
    })?;
    let Some(told) = done else { return Ok(()) };
    change::report(args.format, &told, Object::new().with("changed", true))
}

fn change_settings(
    args: &ConfigArgs,
    slot: Option<Slot>,
    header: &Accepted,
    edit: &mut Edit<'_>,
) -> Result<(), EditError> {
    if let Some(label) = &args.label {
        edit.set_label(label)?;
    }
    if let Some(subsystem) = &args.subsystem {
        edit.set_subsystem(subsystem)?;
    }
    if let (Some(slot), Some(priority)) = (slot, args.priority) {
        edit.set_priority(slot, priority.into())?;
    }
    if args.flag.is_empty() && args.no_flag.is_empty() {
        return Ok(());
    }
    edit.set_flags(&flags(args, header))
}

/// The flags there are, with those that were named and without those that were not wanted.
fn flags(args: &ConfigArgs, header: &Accepted) -> Vec<Flag> {
    let said = header.header().as_luks2().map(|header| header.metadata().config.flags.as_slice()).unwrap_or_default();
    let has = |flag: &Flag| said.iter().any(|name| name == flag.name());
    let named = |list: &[FlagName], flag: Flag| list.iter().any(|name| Flag::from(*name) == flag);
    let wanted = |flag: &Flag| (has(flag) || named(&args.flag, *flag)) && !named(&args.no_flag, *flag);
    Flag::ALL.into_iter().filter(wanted).collect()
}

impl From<FlagName> for Flag {
    fn from(name: FlagName) -> Flag {
        match name {
            FlagName::AllowDiscards => Flag::AllowDiscards,
            FlagName::SameCpuCrypt => Flag::SameCpuCrypt,
            FlagName::SubmitFromCryptCpus => Flag::SubmitFromCryptCpus,
            FlagName::NoReadWorkqueue => Flag::NoReadWorkqueue,
            FlagName::NoWriteWorkqueue => Flag::NoWriteWorkqueue,
        }
    }
}

impl From<PriorityName> for Priority {
    fn from(name: PriorityName) -> Priority {
        match name {
            PriorityName::Prefer => Priority::Prefer,
            PriorityName::Normal => Priority::Normal,
            PriorityName::Ignore => Priority::Ignore,
        }
    }
}
