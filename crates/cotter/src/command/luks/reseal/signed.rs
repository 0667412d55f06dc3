//! Signed policies: new approvals, without unsealing anything.

use super::literal::not_yet;
use super::next::{Next, told};
use crate::args::Device;
use crate::command::luks::change;
use crate::command::luks::chosen;
use crate::error::{CommandError, visible};
use crate::output;
use crate::volume::{self, Disks};
use ::luks::{Accepted, Slot};
use clevis::Files as _;
use clevis::measured::{self, PcrDigests};
use clevis::{Approval, Counter, PcrState, SignedPolicy};
use crypto::{Secret, SystemRandom};
use jose::Jwk;
use linux::HostFiles;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use unlock::{Approved, Binding, Count, Old};

/// Reads the private key that signs.
pub fn key(path: &Path) -> Result<Jwk, CommandError> {
    let what = || format!("cannot read the key in {}", path.display());
    if path.metadata().is_ok_and(|about| about.mode() & 0o077 != 0) {
        output::say(&visible(&format!(
            "{} is not for its owner alone: whoever reads it says what may boot",
            path.display()
        )));
    }
    let bytes = linux::read_key_file(path).map_err(|source| CommandError::failed(what(), source))?;
    signer(&bytes, path)
}

/// The same where nobody looks: root's, and for nobody else to read.
pub fn private_key(path: &Path) -> Result<Jwk, CommandError> {
    let bytes = HostFiles.read_key(&path.to_string_lossy()).map_err(|source| {
        let error = CommandError::failed(format!("the key in {} is not used", path.display()), source);
        error.hint("a regular file of root's with the mode 600")
    })?;
    signer(&bytes, path)
}

fn signer(bytes: &Secret, path: &Path) -> Result<Jwk, CommandError> {
    let what = || format!("cannot read the key in {}", path.display());
    let key = Jwk::parse(bytes.expose()).map_err(|source| CommandError::failed(what(), source))?;
    match key.private() {
        Some(_) => Ok(key),
        None => Err(CommandError::plain(format!("{}: it has no private half", what())).hint("cotter tpm keygen FILE")),
    }
}

/// Approves the values of the next boot, for every policy that wants a signature.
pub fn reseal(
    next: &Next<'_>,
    (device, disks): (&Device, &Disks),
    header: &Accepted,
    bindings: &[Binding],
) -> Result<(), CommandError> {
    let (there, broken) = unlock::approvals(header.header());
    for error in broken {
        output::say(&format!("an approval cannot be read: {error}"));
    }
    let mut after = there.clone();
    let mut raised: Vec<(&Binding, Counter)> = Vec::new();
    let (mut failed, mut any) = (None, false);
    for binding in bindings {
        let policies = clevis::signed(&binding.jwe, clevis::pins::ALL).unwrap_or_default();
        for policy in policies {
            match one(next, device, (binding, &policy), &after) {
                Ok(approvals) => (after, any) = (approvals, true),
                // The others are not to suffer.
                Err(error) => {
                    failed = failed.or(Some(error));
                    continue;
                }
            }
            let is_new = |counter: &Counter| raised.iter().all(|(_, other)| other.index != counter.index);
            let counter = policy.counter.filter(|counter| next.args.revoke && is_new(counter));
            raised.extend(counter.map(|counter| (binding, counter)));
        }
    }
    if any {
        tidy(header, &mut after);
    }
    if after != there {
        write(next, disks, header, &after)?;
    }
    // Only now: until the new ones are there the old ones are needed; and whoever got none may have the same counter.
    if !next.args.dry_run && failed.is_none() {
        raised.iter().try_for_each(|(binding, counter)| raise(next, binding, counter))?;
    }
    failed.map_or(Ok(()), Err)
}

/// Takes out what the key of no binding has signed: it opens nothing, and takes the place of what does.
fn tidy(header: &Accepted, approvals: &mut Vec<Approval>) {
    let policies = |binding: &Binding| clevis::signed(&binding.jwe, clevis::pins::ALL);
    // One that cannot be read may be what they are for.
    let Ok(policies) = unlock::bindings(header.header()).iter().map(policies).collect::<Result<Vec<_>, _>>() else {
        return;
    };
    let before = approvals.len();
    let policies: Vec<SignedPolicy> = policies.into_iter().flatten().collect();
    approvals.retain(|approval| policies.iter().any(|policy| approval.is_signed_by(&policy.key)));
    if approvals.len() < before {
        let gone = before - approvals.len();
        output::say(&format!("approvals that no key of a binding here has signed: {gone}, removed"));
    }
}

fn write(next: &Next<'_>, disks: &Disks, header: &Accepted, after: &[Approval]) -> Result<(), CommandError> {
    let failed = |source| change::not_written("cannot write the approvals", source);
    if next.args.dry_run {
        let plan = unlock::approvals_edit(header, after, &SystemRandom).map_err(failed)?;
        return change::print_plan(next.args.format, &plan);
    }
    let exclusive = || volume::exclusive(disks.header());
    unlock::approve(&disks.volume(&next.args.ceilings, &exclusive, next.host), after).map_err(failed)
}

/// The approvals with those for one policy.
fn one(
    next: &Next<'_>,
    device: &Device,
    (binding, policy): (&Binding, &SignedPolicy),
    there: &[Approval],
) -> Result<Vec<Approval>, CommandError> {
    let slot = binding.slot;
    let Some(key) = next.key.as_ref().filter(|key| key.point() == Some(&policy.key)) else {
        let wrong = if next.key.is_some() { "is signed by another key" } else { "is signed" };
        let error = CommandError::plain(format!("keyslot {slot} {wrong}, so nothing was approved for it"));
        return Err(error.hint("--sign FILE, with the private half of its key"));
    };
    let values = next.values(binding, &policy.selection).map_err(|error| {
        let hint = format!("after the restart, with a passphrase: `cotter luks reseal {device} --sign FILE`");
        told(slot, error).or_hint(hint)
    })?;
    let (now, later) = (state(policy, &values.now)?, state(policy, &values.next)?);
    let counted = count(next, binding, policy)?;
    let known = unlock::is_approved(there, policy, &now, counted);
    let unexplained = values.unexplained.as_ref();
    let unexplained = unexplained.map(|(pcr, why)| format!("PCR {pcr} of this boot is not explained: {why}"));
    let mut wanted = vec![now, later];
    wanted.dedup();
    if next.args.hook.is_some() {
        // Nobody looks: what runs now signs nothing for itself.
        if let Some(why) = unexplained.or_else(|| (!known).then(|| "this boot was not approved".to_owned())) {
            return Err(told(slot, by_a_person(why, device)));
        }
    } else if !known {
        if next.old() == Old::Drop {
            return Err(told(slot, not_yet(format!("`cotter luks reseal {device} --sign FILE`"))));
        }
        by_consent(next, slot, &mut wanted, unexplained)?;
    }
    let failed = |source| CommandError::failed(format!("nothing was approved for keyslot {slot}"), source);
    let count = counted.map(|now| Count { now, until: now.saturating_add(u64::from(next.args.revoke)) });
    let approved = unlock::approve_values(there, policy, key, &wanted, (next.old(), count));
    let approved = approved.map_err(failed)?;
    tell(next, binding, policy, &approved)?;
    Ok(approved.approvals)
}

/// What nobody has approved is approved by a person alone. The next boot is this one with other files in it, so that is asked for it too; and
/// this one is not approved along with it.
fn by_consent(
    next: &Next<'_>,
    slot: Slot,
    wanted: &mut Vec<PcrState>,
    unexplained: Option<String>,
) -> Result<(), CommandError> {
    output::say(&format!("keyslot {slot}: this boot was not approved until now; is it one that you trust?"));
    unexplained.iter().for_each(|why| output::say(&visible(&format!("keyslot {slot}: {why}"))));
    let what = if wanted.len() > 1 { "the next boot, which is this one with these files" } else { "what runs now" };
    if wanted.len() > 1 {
        wanted.remove(0);
    }
    let question = format!("keyslot {slot}: approve {what}?");
    if next.args.yes || next.args.dry_run || change::agreed(next.host, &question, "-y approves it without asking")? {
        return Ok(());
    }
    Err(CommandError::plain(format!("nothing was approved for keyslot {slot}")))
}

/// What the hook does not do.
fn by_a_person(why: String, device: &Device) -> CommandError {
    let error = CommandError::plain(visible(&format!("{why}; nothing was approved")));
    error.hint(format!("look into it, then `cotter luks reseal {device} --sign FILE`"))
}

fn tell(next: &Next<'_>, binding: &Binding, policy: &SignedPolicy, approved: &Approved) -> Result<(), CommandError> {
    let done = format!("{} approved, {} dropped", approved.added, approved.dropped);
    let would = if next.args.dry_run { "would be: " } else { "" };
    output::say(&format!("keyslot {}: {would}{done}", binding.slot));
    if approved.passed > 0 {
        let (slot, passed) = (binding.slot, approved.passed);
        output::say(&format!(
            "keyslot {slot}: the counter had passed {passed} of those dropped: revoked, and not signed anew"
        ));
    }
    if next.args.drop_old && policy.counter.is_none() && approved.dropped > 0 {
        output::say(
            "no counter is in the policy, so a copy of what was dropped still opens: `counter` of the pin cotter-tpm2",
        );
    }
    let record = chosen::record(binding).with("did", done.as_str());
    if next.args.format.json { output::record(next.args.format, record, String::new) } else { Ok(()) }
}

/// Where its counter stands.
fn count(next: &Next<'_>, binding: &Binding, policy: &SignedPolicy) -> Result<Option<u64>, CommandError> {
    let Some(counter) = &policy.counter else { return Ok(None) };
    let now = next.ask(binding, |ports| measured::count(counter, ports));
    let now = now.map_err(|source| CommandError::failed("the TPM's counter cannot be read", source))?;
    Ok(Some(now))
}

fn state(policy: &SignedPolicy, values: &PcrDigests) -> Result<PcrState, CommandError> {
    let json = json::Value::from(measured::digests_to_json(values));
    let state = PcrState::read(&json.field("values"), policy.selection.bank());
    state.map_err(|source| CommandError::failed("the values of the PCRs make no policy", source))
}

/// What was approved until now is worth nothing from here on.
fn raise(next: &Next<'_>, binding: &Binding, counter: &Counter) -> Result<(), CommandError> {
    let index = counter.index;
    let count = next.ask(binding, |ports| measured::raise(counter, ports)).map_err(|source| {
        let error = CommandError::failed(format!("the counter {index} was not counted up"), source);
        error.hint("the new approvals are good; run it again with --revoke")
    })?;
    output::say(&format!("the counter {index} stands at {count}: older approvals open nothing"));
    Ok(())
}
