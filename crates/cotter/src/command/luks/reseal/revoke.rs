//! Counters go up, so that copies of older approvals open nothing; unless that is the end of something that nobody has approved anew.

use super::next::Next;
use crate::args::Device;
use crate::counters::{keyslots, lost};
use crate::error::CommandError;
use crate::output;
use crate::volume::Disks;
use ::luks::Header;
use clevis::{Counter, measured};
use tpm2::NvIndex;
use unlock::Binding;

/// Counts up every counter that the policies of `bindings` name, to where those in `renewed` are good. Each one that stays is told, or is a
/// failure that is returned.
pub fn run(
    next: &Next<'_>,
    (device, disks): (&Device, &Disks),
    bindings: &[Binding],
    renewed: &[(&Binding, Counter)],
) -> Vec<CommandError> {
    let header = match disks.accepted(&next.args.ceilings) {
        Ok(header) => header,
        Err(error) => return vec![CommandError::failed("no counter was counted up", error)],
    };
    let mut seen: Vec<NvIndex> = Vec::new();
    let mut failed = Vec::new();
    for binding in bindings {
        let policies = clevis::signed(&binding.jwe, crate::pins::ALL).unwrap_or_default();
        for index in policies.into_iter().filter_map(|policy| Some(policy.counter?.index)) {
            if seen.contains(&index) {
                continue;
            }
            seen.push(index);
            match renewed.iter().find(|(_, counter)| counter.index == index) {
                Some((binding, counter)) => {
                    let raised = raise(next, device, header.header(), (binding, counter));
                    failed.extend(raised.and_then(|()| look_again(next, (device, disks), counter)).err());
                }
                None => output::say(&format!(
                    "the counter {index} was not counted up: nothing was approved for {}",
                    keyslots(&[binding.slot])
                )),
            }
        }
    }
    failed
}

/// What was approved until now is worth nothing from here on.
fn raise(
    next: &Next<'_>,
    device: &Device,
    header: &Header,
    (binding, counter): (&Binding, &Counter),
) -> Result<(), CommandError> {
    let index = counter.index;
    let ended = unlock::ended_by(header, counter, crate::pins::ALL);
    if !ended.is_nothing() {
        let error = CommandError::plain(format!(
            "the counter {index} was not counted up, so older approvals still open: {}",
            lost(&ended)
        ));
        return Err(error.hint(format!(
            "make what is there anew first: cotter luks regen {device} -s N; with approvals, this with the key of theirs, --sign FILE"
        )));
    }
    let count = next.ask(binding, |ports| measured::raise(counter, ports)).map_err(|source| {
        let error = CommandError::failed(format!("the counter {index} was not counted up"), source);
        error.hint("the new approvals are good; run it again with --revoke")
    })?;
    output::say(&format!("the counter {index} stands at {count}: older approvals open nothing"));
    Ok(())
}

/// What somebody has written for the old number between the look at the header and the count: it has ended, and nobody else would say so.
fn look_again(next: &Next<'_>, (device, disks): (&Device, &Disks), counter: &Counter) -> Result<(), CommandError> {
    let header = disks.accepted(&next.args.ceilings)?;
    let ended = unlock::ended_by(header.header(), counter, crate::pins::ALL).slots;
    if ended.is_empty() {
        return Ok(());
    }
    let error = CommandError::plain(format!(
        "the counter {} went on while something was written for its number of before, which opens no more: {}",
        counter.index,
        keyslots(&ended)
    ));
    Err(error.hint(format!(
        "before the restart: cotter luks reseal {device} --sign FILE; for what is no approval, cotter luks regen {device} -s N"
    )))
}
