//! Counters of the TPM that bindings come with: told of, and not left behind without a word.

use crate::args::Format;
use crate::error::CommandError;
use crate::host::Host;
use crate::output;
use crate::volume;
use clevis::{Cancel, Ports, TrustPolicy, measured};
use jose::Jwe;
use json::Object;
use luks::Header;
use tpm2::NvIndex;
use unlock::CommitError;

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
pub fn tell_left(gone: &Jwe, there: &Header) {
    let of = |jwe: &Jwe| clevis::counters(jwe, clevis::pins::ALL).unwrap_or_default();
    let used: Vec<NvIndex> = unlock::bindings(there).iter().flat_map(|binding| of(&binding.jwe)).collect();
    tell_unused(&of(gone), &used);
}

/// The same of a binding whose place another took.
pub fn tell_replaced(gone: &Jwe, by: &Jwe, before: &Header) {
    let of = |jwe: &Jwe| clevis::counters(jwe, clevis::pins::ALL).unwrap_or_default();
    let others = unlock::bindings(before);
    let others = others.iter().filter(|binding| binding.jwe.to_flattened() != gone.to_flattened());
    let used: Vec<NvIndex> = others.flat_map(|binding| of(&binding.jwe)).chain(of(by)).collect();
    tell_unused(&of(gone), &used);
}

fn tell_unused(counters: &[NvIndex], used: &[NvIndex]) {
    for index in counters.iter().filter(|index| !used.contains(index)) {
        output::say(&format!(
            "its counter {index} stays in the TPM; if nothing else uses it, this gives its memory back, and no copy of the binding opens \
             any more: {}",
            undefine(*index)
        ));
    }
}

fn undefine(index: NvIndex) -> String {
    format!("tpm2_nvundefine {index}")
}
