//! Counters of the TPM that bindings come with: told of, and not left behind without a word.

use crate::args::{Device, Format};
use crate::error::CommandError;
use crate::host::Host;
use crate::output;
use crate::volume;
use clevis::measured::{self, Standing};
use clevis::{Cancel, Counter, Ports, TrustPolicy};
use jose::Jwe;
use json::Object;
use luks::{Accepted, Header, Slot};
use tpm2::NvIndex;
use unlock::{CommitError, Ended};

/// What was made for a policy that came to nothing is taken back, whatever else was cancelled.
pub fn take_back(host: &Host) {
    let cancel = Cancel::new();
    let left = measured::take_back(&Ports { cancel: &cancel, ..host.ports(TrustPolicy::Ask) });
    let Some((indices, error)) = left else { return };
    let why = volume::reasons(&error);
    indices
        .iter()
        .for_each(|index| output::say(&format!("the TPM's counter {index} stays: {why}\n  {}", undefine(*index))));
}

/// The same when writing to the disk failed; where the new binding may be on the disk its counter stays.
pub fn take_back_unless_written(host: &Host, error: &CommitError) {
    if error.may_have_written() { tell(host) } else { take_back(host) }
}

/// Names what was made.
pub fn tell(host: &Host) {
    host.made().take().iter().for_each(|index| output::say(&format!("counter {index} of the TPM was made for it")));
}

/// Prints what would be made, after a plan.
pub fn print_plan(format: Format, host: &Host) -> Result<(), CommandError> {
    host.made().take().iter().try_for_each(|index| {
        let step = format!("define counter {index} of the TPM");
        output::record(format, Object::new().with("would", step.as_str()), || format!("would {step}"))
    })
}

/// Names the counters of a binding that is gone, unless one that is there has them too.
pub fn tell_left(gone: &Jwe, there: &Header, host: &Host) {
    let used: Vec<NvIndex> = unlock::bindings(there).iter().flat_map(|binding| of(&binding.jwe)).collect();
    tell_unused(gone, &used, host);
}

/// The same of a binding whose place another took.
pub fn tell_replaced(gone: &Jwe, by: &Jwe, before: &Header, host: &Host) {
    let others = unlock::bindings(before);
    let others = others.iter().filter(|binding| binding.jwe.to_flattened() != gone.to_flattened());
    let used: Vec<NvIndex> = others.flat_map(|binding| of(&binding.jwe)).chain(of(by)).collect();
    tell_unused(gone, &used, host);
}

fn of(jwe: &Jwe) -> Vec<NvIndex> {
    let counters = clevis::counters(jwe, crate::pins::ALL).unwrap_or_default();
    counters.into_iter().map(|counter| counter.index).collect()
}

/// Counts up the counters of a binding that has taken the place of `gone`, but for those that are the way in of others on the volume. What
/// is on the disk is good, whatever comes of this.
pub fn settle((gone, made): (&Jwe, &Jwe), device: &Device, there: Result<Accepted, CommandError>, ports: &Ports<'_>) {
    tell_signed(gone, made, device);
    let copies = "copies of the old binding still open";
    let there = match there {
        Ok(there) => there,
        Err(error) => return output::say(&format!("no counter of the TPM was counted up, {copies}: {error}")),
    };
    let mut may = |counter: &Counter| {
        let ended = unlock::ended_by(there.header(), counter, crate::pins::ALL);
        if ended.is_nothing() {
            return true;
        }
        let index = counter.index;
        output::say(&format!(
            "counter {index} of the TPM stays at its number, and {copies}: {}. Once no other is at that number it goes up: cotter luks regen \
             {device} -s N; for approvals, cotter luks reseal {device} --sign FILE --revoke",
            lost(&ended)
        ));
        false
    };
    if let Err(source) = clevis::settle(made, &mut may, ports) {
        output::say(&format!("the TPM's counter was not counted up: {copies}: {}", volume::reasons(&source)));
    }
}

/// Why a counter stays: `keyslot 1 would open no more; token 9 cannot be read, and may open at that number alone`.
pub fn lost(ended: &Ended) -> String {
    let known = (!ended.slots.is_empty()).then(|| format!("{} would open no more", keyslots(&ended.slots)));
    let unread = ended.unread.iter().map(|what| format!("{what} cannot be read, and may open at that number alone"));
    known.into_iter().chain(unread).collect::<Vec<String>>().join("; ")
}

/// With a signed policy nothing is counted here: that would end the approvals, which only their signer can sign anew.
fn tell_signed(gone: &Jwe, made: &Jwe, device: &Device) {
    let before = of(gone);
    let counters = clevis::signed(made, crate::pins::ALL).unwrap_or_default();
    let counters = counters.into_iter().filter_map(|policy| policy.counter);
    for Counter { index, value, .. } in counters.filter(|counter| before.contains(&counter.index)) {
        output::say(&format!(
            "the counter {index} of the TPM stays at {value}, where approvals are good: copies of the old binding still open, until: cotter \
             luks reseal {device} --sign FILE --drop-old --revoke"
        ));
    }
}

/// `keyslot 1`, or `keyslots 1, 2`
pub fn keyslots(slots: &[Slot]) -> String {
    let numbers: Vec<String> = slots.iter().map(ToString::to_string).collect();
    format!("keyslot{} {}", if slots.len() == 1 { "" } else { "s" }, numbers.join(", "))
}

/// Under the same number another TPM has the counter of somebody else, so the TPM is asked whose it is before anybody is told to remove it.
fn tell_unused(gone: &Jwe, used: &[NvIndex], host: &Host) {
    let parts = measured::parts(gone).unwrap_or_default();
    for part in parts.iter().filter(|part| part.counter_index().is_some_and(|index| !used.contains(&index))) {
        match measured::standing(part, &host.ports(TrustPolicy::Ask)) {
            Ok(found) => found.iter().for_each(|(index, standing)| tell_standing(*index, *standing)),
            Err(source) => {
                let why = volume::reasons(&source);
                output::say(&format!("whether its counter stays in this TPM is not known: {why}"));
            }
        }
    }
}

fn tell_standing(index: NvIndex, standing: Standing) {
    let foreign = "what has this number here, if anything, is not this binding's";
    output::say(&match standing {
        Standing::There => format!(
            "its counter {index} stays in the TPM; if no binding of another volume uses it, this gives its memory back, and no copy of the binding \
             opens any more: {}",
            undefine(index)
        ),
        Standing::OtherTpm => {
            format!("its counter {index} is not in this TPM, which is another one or was cleared since; {foreign}")
        }
        Standing::Other => format!("its counter {index} is not in this TPM; {foreign}"),
        Standing::Gone => format!("its counter {index} is not in this TPM any more"),
    });
}

fn undefine(index: NvIndex) -> String {
    format!("tpm2_nvundefine {index}")
}
