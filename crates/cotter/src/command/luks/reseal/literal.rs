//! Bindings that have values of their own: bound anew, or told about.

use super::next::{Next, told};
use crate::args::Device;
use crate::command::luks::{chosen, rebind};
use crate::error::{CommandError, visible};
use crate::output;
use clevis::Lost;
use clevis::measured::{self, Form, Part, PcrDigests, State};
use linux::Access;
use unlock::{BindError, Binding, Old};

/// The parts of a binding that compare PCRs; of `tpm2plus` it is not told which.
pub fn compared(binding: &Binding) -> Result<Vec<Part>, CommandError> {
    let parts = measured::parts(&binding.jwe).map_err(|source| {
        CommandError::failed(format!("the binding of keyslot {} cannot be read", binding.slot), source)
    })?;
    Ok(parts.into_iter().filter(|part| part.compares.is_some() || is_elsewhere(part)).collect())
}

/// Whether the file of a signer says what is right, which is not ours to write.
fn is_elsewhere(part: &Part) -> bool {
    part.form == Form::Replacement
}

/// What is to be done elsewhere.
pub fn tell_elsewhere(binding: &Binding, parts: &[Part]) {
    if parts.iter().any(is_elsewhere) {
        output::say(&format!(
            "keyslot {} (tpm2plus) opens for what is signed in its file: add a policy there for what the PCRs will hold",
            binding.slot
        ));
    }
}

/// One that has values of its own.
pub fn literal(next: &Next<'_>, device: &Device, binding: &Binding, part: &Part) -> Result<(), CommandError> {
    let slot = binding.slot;
    let Some((bank, _)) = &part.compares else { return Ok(()) };
    if part.form == Form::Original {
        return original(next, device, binding, part);
    }
    let later = format!("after the restart, with a passphrase: cotter luks reseal {device} -s {slot} -k -");
    let values = next.part_values(binding, part).map_err(|error| told(slot, error).or_hint(later))?;
    let old = next.old();
    // With no room for one more the old ones go in the same step.
    let has_room = unlock::sets(&part.accepted, std::slice::from_ref(&values.now), Old::Keep).is_ok();
    if old == Old::Drop && has_room && !part.accepted.contains(&values.now) {
        return Err(told(slot, not_yet(format!("`cotter luks reseal {device} -s {slot}`"))));
    }
    let wanted =
        if old == Old::Drop && next.parts.is_empty() { vec![values.now] } else { vec![values.now, values.next] };
    let sets = unlock::sets(&part.accepted, &wanted, old).map_err(|source| {
        CommandError::failed(format!("keyslot {slot} stays as it is"), source)
            .hint("--drop-old accepts what is wanted now in the place of the others")
    })?;
    if sets == part.accepted {
        output::say(&format!("keyslot {slot} accepts these values already"));
        return Ok(());
    }
    let edit = format!("say what it shall be: cotter luks edit {device} -s {slot}");
    let (pin, config) = configuration(binding, bank.name(), &sets).map_err(|error| told(slot, error).or_hint(edit))?;
    let rebinding = next.rebinding(device, slot);
    let found = rebind::find(&rebinding, Access::Write)?;
    output::say(&format!("keyslot {slot} is to accept {} sets of values, {} before", sets.len(), part.accepted.len()));
    rebind::carry_out(&rebinding, &found, next.host, |opened, _, ports| {
        unlock::reseal(&found.binding, opened, (pin, &config), ports)
    })
}

/// The configuration of a binding, with other values.
fn configuration(
    binding: &Binding,
    bank: &str,
    sets: &[PcrDigests],
) -> Result<(&'static str, clevis::Config), CommandError> {
    let failed = |source| CommandError::failed("its configuration cannot be read", source);
    let mut stored = clevis::configuration(&binding.jwe, crate::pins::ALL).map_err(failed)?;
    // What is not told would be gone. Of values it is not: those are what takes the place of the old ones.
    stored.lost.retain(|lost| !matches!(lost, Lost::Unsaid { .. }));
    if !stored.is_complete() {
        let lost = BindError::Incomplete { lost: stored.lost };
        return Err(CommandError::failed("it cannot be given other values", lost));
    }
    let failed = |source| CommandError::failed("it cannot be given other values", source);
    let config = unlock::with_sets(stored.pin, &stored.config, bank, sets).map_err(failed)?;
    let failed = |source| CommandError::failed("its new configuration is none", source);
    Ok((stored.pin, clevis::Config::from_field(&config.field("configuration")).map_err(failed)?))
}

/// Dropping the rest would leave nothing that is known to open; `first` is what accepts the values of now.
pub fn not_yet(first: String) -> CommandError {
    let error =
        CommandError::plain("none of the values that it accepts is what the PCRs hold now, so nothing is dropped");
    error.hint(format!("{first}, without --drop-old, adds what they hold now"))
}

/// What will become of a binding with values of its own, for who cannot change it.
pub fn foretell(next: &Next<'_>, device: &Device, binding: &Binding, part: &Part) -> Result<(), CommandError> {
    let slot = binding.slot;
    if part.form == Form::Original {
        return original(next, device, binding, part);
    }
    let values = next.part_values(binding, part).map_err(|error| told(slot, error))?;
    if part.accepted.contains(&values.next) {
        return Ok(());
    }
    output::say(&visible(&format!(
        "keyslot {slot} will not open by itself after the restart. Before it, with a passphrase: cotter luks reseal {device} -s {slot}, and \
         the new --kernel and --initramfs"
    )));
    Ok(())
}

/// The original's form has one set, and no binding of it is made for a boot that was not seen.
fn original(next: &Next<'_>, device: &Device, binding: &Binding, part: &Part) -> Result<(), CommandError> {
    let slot = binding.slot;
    let again = format!("cotter luks regen {device} -s {slot}");
    let later = format!("after the restart, with a passphrase: {again} -k -");
    let values = next.part_values(binding, part).map_err(|error| told(slot, error).or_hint(later))?;
    let found = measured::explain(part, &[], &values.now, &next.log);
    if matches!(found.state, State::Moved | State::Unnamed) {
        let moved: Vec<String> = found.moved.iter().map(|moved| moved.pcr.to_string()).collect();
        let moved = if moved.is_empty() { "a PCR".to_owned() } else { format!("PCR {}", moved.join(",")) };
        output::say(&visible(&format!(
            "keyslot {slot} (tpm2) does not open now: {moved} moved since it was bound, and this form accepts one set of values. With a \
             passphrase, once what is to hold holds: {again} -k -"
        )));
        return Ok(());
    }
    if values.now == values.next {
        output::say(&format!("keyslot {slot} (tpm2) is not touched by this"));
        return Ok(());
    }
    let moves: Vec<String> = values
        .next
        .iter()
        .filter(|(pcr, value)| values.now.get(pcr) != Some(value))
        .map(|(pcr, _)| pcr.to_string())
        .collect();
    let moves = moves.join(",");
    let record = chosen::record(binding).with("pin", "tpm2").with("moves", moves.as_str());
    let record = record.with("next", measured::digests_to_json(&values.next));
    if next.args.format.json {
        output::record(next.args.format, record, String::new)?;
    }
    output::say(&visible(&format!(
        "keyslot {slot} (tpm2) will not open by itself after the restart: PCR {moves} moves, and this form accepts one set of values. A \
         passphrase will be asked for; then: {again} -k -"
    )));
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crypto::{Secret, SystemRandom};
    use jose::{Jwe, b64};
    use json::{Object, Value};
    use std::error::Error as _;

    const ACCEPTS: &str = include_str!("../../../../../clevis/vectors/cotter_tpm2/all.jwe");

    fn threshold(shares: Vec<String>, beside: Object) -> Binding {
        let sss = Object::new().with("jwe", shares).with("p", b64::encode(&[0xff; 32])).with("t", 1_u64);
        let header = Object::new().with("clevis", Object::new().with("pin", "sss").with("sss", sss));
        let header = beside.iter().fold(header, |header, (name, value)| header.with(name, value.clone()));
        let zeros = Secret::new(vec![0; 32]);
        let jwe = Jwe::encrypt_dir(&header, &zeros, &zeros, &SystemRandom).unwrap();
        Binding { slot: ::luks::Slot::new(1).unwrap(), token: None, jwe }
    }

    /// The values are what is replaced; a share that nobody can read would be gone with them.
    #[test]
    fn a_threshold_with_a_share_that_cannot_be_read_gets_no_other_values() {
        let sets = [PcrDigests::from([(4, vec![1; 32]), (7, vec![1; 32])])];
        let good = || ACCEPTS.trim_ascii().to_owned();
        let (pin, config) = configuration(&threshold(vec![good()], Object::new()), "sha256", &sets).unwrap();
        assert!(pin == "sss" && config.field().value().to_compact().as_str().contains("pcr_digest"));
        let kept = Object::new().with("config", Object::new().with("t", 1_u64).with("pins", Object::new()));
        let kept = Object::new().with("cotter", Value::from(kept));
        for (binding, what) in [
            (threshold(vec![good(), "rubbish".into()], Object::new()), "share 2"),
            (threshold(vec![good()], kept), "of another policy"),
        ] {
            let error = configuration(&binding, "sha256", &sets).unwrap_err();
            let why = error.source().unwrap().to_string();
            assert!(why.contains(what), "{why}");
        }
    }
}
