//! `cotter luks seal`: a seal over the header that only the volume key makes.

use super::change;
use crate::args::SealArgs;
use crate::error::CommandError;
use crate::host::Host;
use crate::opening::{self, Opened};
use crate::output;
use crate::volume::{self, Disks, Seal};
use ::luks::{Accepted, SealState};
use clevis::TrustPolicy;
use crypto::SystemRandom;
use json::{Object, Value};
use linux::Access;
use unlock::PreparedSeal;

/// Seals the header as it is, and has its bindings say so; or says what the seal tells.
pub fn run(args: &SealArgs) -> Result<(), CommandError> {
    let access = if args.check || args.dry_run { Access::Read } else { Access::Write };
    let disks = Disks::open(&args.device, access)?;
    let header = disks.accepted(&args.ceilings)?;
    let host = Host::new(args.patience.limit());
    let given = opening::read(&args.opener, &host)?;
    host.cancel_on_signal()?;
    let opened = opening::open(&disks, &header, &args.opener, given, Seal::IsRenewed, &host)?;
    if args.check {
        return check(args, &header, &opened);
    }
    let (ports, left) = (host.ports(TrustPolicy::Ask), || host.time_left());
    let prepared = unlock::prepare_seal(&host.closed(disks.header(), &header)?, &ports, &left, &mut |_| ());
    tell_unreached(&prepared);
    let failed = |source| change::not_written("the header was not sealed", source);
    if args.dry_run {
        let plan = unlock::seal_edit(&header, &opened.key, &prepared, &SystemRandom).map_err(failed)?;
        return change::print_plan(args.format, &plan.edit);
    }
    let exclusive = || volume::exclusive(disks.header());
    let sealed = unlock::seal(&disks.volume(&args.ceilings, &exclusive, &host), &opened.key, &prepared);
    let sealed = sealed.map_err(failed)?;
    let slots: Vec<Value> = sealed.slots.iter().map(|slot| u64::from(slot.number()).into()).collect();
    let record = Object::new().with("epoch", sealed.epoch).with("bindings", slots);
    let know = match sealed.slots.len() {
        1 => "1 binding knows of it".to_owned(),
        several => format!("{several} bindings know of it"),
    };
    let told = format!("the header is sealed (epoch {}); {know}", sealed.epoch);
    change::report(args.format, &told, record)
}

/// Only a binding that was opened can be made to say that the header is sealed.
fn tell_unreached(prepared: &PreparedSeal) {
    for (binding, why) in &prepared.unreached {
        let slot = binding.slot;
        output::say(&format!(
            "the binding of keyslot {slot} does not open and will not know of the seal: {}",
            volume::reasons(why)
        ));
    }
}

fn check(args: &SealArgs, header: &Accepted, opened: &Opened) -> Result<(), CommandError> {
    let found = unlock::check_seal(header, &opened.key);
    let (word, text) = match &found {
        Ok(state) => (word(state), state.to_string()),
        Err(fault) => ("broken", volume::reasons(fault)),
    };
    let record = Object::new().with("seal", word);
    let record = match &found {
        Ok(SealState::Sealed { epoch, differences }) => {
            let differences: Vec<Value> = differences.iter().map(|difference| difference.to_string().into()).collect();
            record.with("epoch", *epoch).with("differences", differences)
        }
        Ok(_) => record,
        Err(_) => record.with("error", text.as_str()),
    };
    output::record(args.format, record, || text.clone())?;
    match found {
        Ok(state) if state.is_clean() => Ok(()),
        Ok(_) => Err(CommandError::plain(text).silent()),
        Err(fault) => Err(CommandError::plain(text).hint(fault.hint())),
    }
}

fn word(state: &SealState) -> &'static str {
    match state {
        SealState::Unsealed => "none",
        SealState::Sealed { differences, .. } if differences.is_empty() => "good",
        SealState::Sealed { .. } => "different",
        SealState::Broken(_) => "broken",
    }
}
