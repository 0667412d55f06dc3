//! `cotter luks repair`: the damaged or older copy of a header comes back, leftovers of interrupted changes go.

use super::backup::not_applied;
use crate::args::RepairArgs;
use crate::command::luks::change::{print_plan, report};
use crate::error::CommandError;
use crate::volume::{self, Disks};
use ::luks::{Allowed, DataPlace, Force, Header, MetaError, Refused, RepairPlan, RepairStep, UnusedAreas};
use crypto::SystemRandom;
use json::{Object, Value};
use linux::LockMode;

/// Mends what can be mended without guessing.
pub fn run(args: &RepairArgs) -> Result<(), CommandError> {
    let disks = Disks::open_to_change(&args.device, args.dry_run)?;
    let areas = if args.wipe_unused { UnusedAreas::All } else { UnusedAreas::LeftOver };
    let plan = RepairPlan::new(disks.header(), areas, &SystemRandom).map_err(|source| {
        let what = format!("the header of {} cannot be repaired", disks.header().path().display());
        CommandError::failed(what, source).hint("restore a backup of it: `cotter luks restore`")
    })?;
    if plan.steps().is_empty() {
        usable(&disks)?;
        let record = Object::new().with("repaired", Vec::<Value>::new());
        return report(args.format, "the header is good as it is; nothing was written", record);
    }
    if args.dry_run {
        return print_plan(args.format, &plan);
    }
    if let (Some(state), false) = (plan.contradiction(), args.force) {
        let error = CommandError::plain(format!("the copies of the header contradict each other: one is {state}"));
        let hint = "no interrupted change does that, so it may be the one that is right: keep both (`cotter luks backup`), \
                    then --force overwrites that one";
        return Err(error.hint(hint));
    }
    let force = match plan.beside() {
        Some(found) if !args.force => {
            let error = CommandError::plain(format!(
                "only the second copy of a LUKS2 header is there, and something else is recognised on the disk: {found}"
            ));
            return Err(error.hint("if the LUKS volume is what you want: --force; what was recognised is lost then"));
        }
        _ if args.force => Force::Yes,
        _ => Force::No,
    };
    let steps: Vec<Value> = plan.steps().iter().map(|step| step.to_string().into()).collect();
    let done: Vec<String> = plan.steps().iter().map(RepairStep::done).collect();
    let held = volume::lock(disks.header(), LockMode::Exclusive)?;
    let applied = plan.apply(disks.header(), force);
    drop(held);
    applied.map_err(|source| not_applied("cannot repair the header", source))?;
    report(args.format, &format!("repaired: {}", done.join("\nrepaired: ")), Object::new().with("repaired", steps))?;
    usable(&disks)
}

/// Refuses to call a header good that no other command takes: what is in its slots only a backup brings back.
fn usable(disks: &Disks) -> Result<(), CommandError> {
    // What a keyslot costs, and where the data is, is no fault of the header.
    let accepted = disks.read_header()?.accept(&Allowed::at_any_cost(DataPlace::OtherDisk));
    let source = match accepted {
        Ok(header) => return meta_usable(disks, header.header()),
        Err(source) => source,
    };
    let hint = match source {
        Refused::Requirement { .. } | Refused::Reencryption { .. } | Refused::Integrity => source.hint(),
        _ => {
            "if it was in use here, restore a backup of it: `cotter luks restore`; if another program made it so, it may be good for that"
        }
    };
    let what = format!("the header of {} is refused, and this cannot be mended", disks.header().path().display());
    Err(CommandError::failed(what, source).hint(hint))
}

/// Refuses to call a LUKS1 header good whose bindings cannot be read: LUKSMeta is there once, and nothing vouches for it but its checksum.
fn meta_usable(disks: &Disks, header: &Header) -> Result<(), CommandError> {
    let Some(source) = volume::damaged_meta(header) else { return Ok(()) };
    let path = disks.header().path().display();
    let is = match source {
        MetaError::Disk { .. } => "cannot be read",
        MetaError::UnknownVersion { .. } => "is not understood",
        _ => "is damaged",
    };
    let hint = volume::hint_for_meta(source);
    let what = format!("LUKSMeta of {path} {is}, and this cannot be mended");
    Err(CommandError::failed(what, source.clone()).hint(hint))
}
