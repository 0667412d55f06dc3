//! Signed policies: new approvals, without unsealing anything.

use super::literal::not_yet;
use super::next::{Next, told};
use super::revoke;
use crate::args::Device;
use crate::command::luks::change;
use crate::command::luks::chosen;
use crate::error::{CommandError, visible};
use crate::output;
use crate::volume::{self, Disks};
use ::luks::{Accepted, Header, Slot};
use clevis::Files as _;
use clevis::measured::{self, PcrDigests};
use clevis::{Approval, Counter, PcrState, SignedPolicy};
use crypto::{Secret, SystemRandom};
use jose::Jwk;
use linux::HostFiles;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use unlock::{Approved, Binding, Count, Old};

/// What a file is that signs.
const SIGNER: &str = "the file that `cotter tpm keygen FILE` has made";

/// Reads the private key that signs.
pub fn key(path: &Path) -> Result<Jwk, CommandError> {
    let what = || format!("cannot read the key in {}", path.display());
    if path.metadata().is_ok_and(|about| about.mode() & 0o077 != 0) {
        output::say(&visible(&format!(
            "{} is not for its owner alone: whoever reads it says what may boot",
            path.display()
        )));
    }
    let bytes = linux::read_key_file(path).map_err(|source| CommandError::failed(what(), source).hint(SIGNER))?;
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
    let key = Jwk::parse(bytes.expose()).map_err(|source| CommandError::failed(what(), source).hint(SIGNER))?;
    match key.private() {
        Some(_) => Ok(key),
        None => Err(CommandError::plain(format!("{}: it has no private half", what())).hint("cotter tpm keygen FILE")),
    }
}

/// What is to be approved for one policy: asked of the TPM, of the log and of a person, who all know nothing of what is on the disk by then.
struct Wish<'a> {
    binding: &'a Binding,
    policy: SignedPolicy,
    key: &'a Jwk,
    /// What holds now, and what will.
    wanted: Vec<PcrState>,
    count: Option<Count>,
    old: Old,
    /// Whether what holds now was approved already, or else is from here on.
    now: Now,
}

#[derive(Clone, Copy, PartialEq)]
enum Now {
    Approved,
    ApprovedFromHereOn,
}

/// The approvals of a header with those that are wished for.
struct Made {
    approvals: Vec<Approval>,
    /// What became of each wish.
    each: Vec<Result<Approved, CommandError>>,
    /// How many were signed by the key of no binding.
    strangers: usize,
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
    let (mut wishes, mut failed) = (Vec::new(), None);
    for binding in bindings {
        for policy in clevis::signed(&binding.jwe, crate::pins::ALL).unwrap_or_default() {
            match wish(next, device, (binding, policy), &there) {
                Ok(wish) => wishes.push(wish),
                // The others are not to suffer.
                Err(error) => fail(&mut failed, error),
            }
        }
    }
    if failed.is_none() && wishes.is_empty() && next.args.sign.is_some() && next.args.hook.is_none() {
        let error = CommandError::plain("no binding here is signed, so the key of --sign has approved nothing");
        failed = Some(error.hint(format!("is it this volume? cotter luks list -v {device}")));
    }
    let write = |wishes: &[Wish<'_>]| write(next, disks, &disks.accepted(&next.args.ceilings)?, wishes);
    let made = keep_up(&mut wishes, &write, &|wish| count(next, wish.binding, &wish.policy))?;
    let mut done = Vec::new();
    for (wish, approved) in wishes.iter().zip(made.each) {
        match approved.and_then(|approved| tell(next, wish, &approved)) {
            Ok(()) => done.push(wish),
            Err(error) => fail(&mut failed, error),
        }
    }
    if made.strangers > 0 {
        output::say(&format!("approvals that no key of a binding here has signed: {}, removed", made.strangers));
    }
    // Only now: until the new ones are there the old ones are needed.
    if next.args.revoke && !next.args.dry_run {
        let renewed = done.iter().filter_map(|wish| Some((wish.binding, wish.raised()?)));
        let done = revoke::run(next, (device, disks), bindings, &renewed.collect::<Vec<_>>());
        done.into_iter().for_each(|error| fail(&mut failed, error));
    }
    failed.map_or(Ok(()), Err)
}

impl Wish<'_> {
    /// Its counter, at the number until which the new approvals are good.
    fn raised(&self) -> Option<Counter> {
        let (counter, count) = (self.policy.counter.clone()?, self.count?);
        Some(Counter { value: count.until, ..counter })
    }
}

/// The first failure is told in the end, the others where they are met.
pub fn fail(first: &mut Option<CommandError>, error: CommandError) {
    match first {
        None => *first = Some(error),
        Some(_) => output::say(&error.to_string()),
    }
}

/// Writes what is wished for, and once more if a counter went on meanwhile: somebody else was revoking, and what was signed for the number of
/// before opens nothing.
fn keep_up<'a>(
    wishes: &mut [Wish<'a>],
    write: &dyn Fn(&[Wish<'a>]) -> Result<Made, CommandError>,
    count: &dyn Fn(&Wish<'a>) -> Result<Option<u64>, CommandError>,
) -> Result<Made, CommandError> {
    let mut made = write(wishes)?;
    if are_behind(wishes, &mut made, count) {
        made = write(wishes)?;
        are_behind(wishes, &mut made, count);
    }
    Ok(made)
}

/// Whether the counter of a wish has gone on since it was read. That wish has come to nothing, and is one for the new number then.
fn are_behind<'a>(
    wishes: &mut [Wish<'a>],
    made: &mut Made,
    count: &dyn Fn(&Wish<'a>) -> Result<Option<u64>, CommandError>,
) -> bool {
    let mut any = false;
    for (wish, each) in wishes.iter_mut().zip(&mut made.each) {
        let (Some(before), true) = (wish.count, each.is_ok()) else { continue };
        match count(wish) {
            Ok(Some(now)) if now > before.now => {
                any = true;
                let ahead = before.until.saturating_sub(before.now);
                wish.count = Some(Count { now, until: now.saturating_add(ahead) });
                let error = CommandError::plain(format!(
                    "what was approved for keyslot {} opens nothing: its counter went on to {now} meanwhile",
                    wish.binding.slot
                ));
                *each = Err(error.hint("somebody else is revoking approvals; run it again"));
            }
            Ok(_) => {}
            Err(error) => {
                *each = Err(told(wish.binding.slot, error).or_hint("what was approved may open nothing; run it again"))
            }
        }
    }
    any
}

/// Writes what is wished for. Whatever lies in the header by then counts, not what lay there when the TPM was asked.
fn write(next: &Next<'_>, disks: &Disks, header: &Accepted, wishes: &[Wish<'_>]) -> Result<Made, CommandError> {
    let failed = |source| change::not_written("cannot write the approvals", source);
    let made = put(header.header(), wishes);
    if made.approvals == unlock::approvals(header.header()).0 {
        return Ok(made);
    }
    if next.args.dry_run {
        let plan = unlock::approvals_edit(header, &made.approvals, &SystemRandom).map_err(failed)?;
        change::print_plan(next.args.format, &plan)?;
        return Ok(made);
    }
    let exclusive = || volume::exclusive(disks.header());
    let volume = disks.volume(&next.args.ceilings, &exclusive, next.host);
    let put = |header: &Header| {
        let made = put(header, wishes);
        (made.approvals.clone(), made)
    };
    unlock::approve(&volume, put).map_err(failed)
}

/// The approvals of a header with those that are wished for, if nothing about this boot has changed since that was asked.
fn put(header: &Header, wishes: &[Wish<'_>]) -> Made {
    let mut approvals = unlock::approvals(header).0;
    let mut each = Vec::new();
    for wish in wishes {
        let approved = approve(wish, &approvals);
        if let Ok(approved) = &approved {
            approvals.clone_from(&approved.approvals);
        }
        each.push(approved);
    }
    let strangers = if each.iter().any(Result::is_ok) { tidy(header, &mut approvals) } else { 0 };
    Made { approvals, each, strangers }
}

fn approve(wish: &Wish<'_>, there: &[Approval]) -> Result<Approved, CommandError> {
    let (slot, count) = (wish.binding.slot, wish.count);
    let known = |now| unlock::is_approved(there, &wish.policy, now, count.map(|count| count.now));
    if wish.now == Now::Approved && !wish.wanted.first().is_some_and(known) {
        let error = CommandError::plain("somebody has taken the approval of this boot away meanwhile");
        return Err(told(slot, error));
    }
    let failed = |source| CommandError::failed(format!("nothing was approved for keyslot {slot}"), source);
    unlock::approve_values(there, &wish.policy, wish.key, &wish.wanted, (wish.old, count)).map_err(failed)
}

/// Takes out what the key of no binding has signed: it opens nothing, and takes the place of what does. Says how many.
fn tidy(header: &Header, approvals: &mut Vec<Approval>) -> usize {
    let policies = |binding: &Binding| clevis::signed(&binding.jwe, crate::pins::ALL);
    let policies = unlock::bindings(header).iter().map(policies).collect::<Result<Vec<_>, _>>();
    // One that cannot be read may be what they are for.
    let (Ok(policies), []) = (policies, unlock::unreadable(header).as_slice()) else { return 0 };
    let before = approvals.len();
    approvals.retain(|approval| policies.iter().flatten().any(|policy| approval.is_signed_by(&policy.key)));
    before - approvals.len()
}

/// What is to be approved for one policy.
fn wish<'a>(
    next: &'a Next<'_>,
    device: &Device,
    (binding, policy): (&'a Binding, SignedPolicy),
    there: &[Approval],
) -> Result<Wish<'a>, CommandError> {
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
    let (now, later) = (state(&policy, &values.now)?, state(&policy, &values.next)?);
    let counted = count(next, binding, &policy)?;
    let known = unlock::is_approved(there, &policy, &now, counted);
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
        let passed = there.iter().any(|one| policy.is_meant_by(one) && Some(one.values()) == wanted.first());
        let held = wanted.first().cloned();
        held.iter().for_each(|held| show(slot, held, last_approved(&policy, there), device));
        by_consent(next, slot, &mut wanted, (passed, unexplained))?;
    }
    let count = counted.map(|now| Count { now, until: now.saturating_add(u64::from(next.args.revoke)) });
    let now = if known { Now::Approved } else { Now::ApprovedFromHereOn };
    Ok(Wish { binding, policy, key, wanted, count, now, old: next.old() })
}

/// The values that were approved last for the policy.
fn last_approved<'a>(policy: &SignedPolicy, there: &'a [Approval]) -> Option<&'a PcrState> {
    there.iter().rfind(|one| policy.is_meant_by(one)).map(Approval::values)
}

/// What a person is to say yes to: each value, and which of them are not those that were approved last.
fn show(slot: Slot, held: &PcrState, last: Option<&PcrState>, device: &Device) {
    let moved = last.map(|last| last.moved(held));
    for (pcr, value) in held.iter() {
        let word = match &moved {
            Some(moved) if moved.contains(&pcr) => "  not as approved last",
            Some(_) => "  as approved last",
            None => "",
        };
        output::say(&format!("keyslot {slot}: {}:{pcr} {}{word}", held.bank().name(), measured::to_hex(value)));
    }
    output::say(&format!(
        "  what each of them is made of: cotter tpm status -v; what moved: cotter tpm explain {device} -s {slot}"
    ));
}

/// What nobody has approved is approved by a person alone. The next boot is this one with other files in it, so that is asked for it too; and
/// this one is not approved along with it.
fn by_consent(
    next: &Next<'_>,
    slot: Slot,
    wanted: &mut Vec<PcrState>,
    (passed, unexplained): (bool, Option<String>),
) -> Result<(), CommandError> {
    let known = if passed {
        "this boot was approved, and the TPM's counter has passed that: it was revoked, or an older header was put back"
    } else {
        "this boot was not approved until now"
    };
    output::say(&format!("keyslot {slot}: {known}; is it one that you trust?"));
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

fn tell(next: &Next<'_>, wish: &Wish<'_>, approved: &Approved) -> Result<(), CommandError> {
    let (binding, policy) = (wish.binding, &wish.policy);
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]
    use super::*;
    use ::luks::Slot;
    use crypto::ec::Curve;
    use jose::Jwe;
    use json::Object;
    use std::cell::RefCell;
    use tpm2::{Bank, NvIndex, PcrSelection};

    /// A key, and a binding that wants its signature.
    struct Signed {
        key: Jwk,
        binding: Binding,
        policy: SignedPolicy,
    }

    impl Signed {
        fn new(counter: Option<Counter>) -> Signed {
            let key = Jwk::signing(Curve::P256, &SystemRandom).unwrap();
            let (secret, slot) = (Secret::copied_from(&[0; 32]), Slot::new(1).unwrap());
            let jwe = Jwe::encrypt_dir(&Object::new(), &secret, &secret, &SystemRandom).unwrap();
            let selection = PcrSelection::new(Bank::from_name("sha256").unwrap(), [7]).unwrap();
            let point = key.point().unwrap().clone();
            let policy = SignedPolicy { key: point, reference: "boot".into(), selection, counter };
            Signed { key, binding: Binding { slot, token: None, jwe }, policy }
        }

        fn values(&self, byte: u8) -> PcrState {
            PcrState::split(&self.policy.selection, &[byte; 32]).unwrap()
        }

        fn wish(&self, now: Now, count: Option<Count>) -> Wish<'_> {
            let wanted = vec![self.values(1), self.values(2)];
            let (binding, policy) = (&self.binding, self.policy.clone());
            Wish { binding, policy, key: &self.key, wanted, count, now, old: Old::Before }
        }
    }

    /// A person or the log vouched for this boot, or its approval did: then it must be there still.
    #[test]
    fn an_approval_that_was_taken_away_meanwhile_vouches_for_nothing() {
        let signed = Signed::new(None);
        let approved = Approval::sign(&signed.key, "boot", signed.values(1), None).unwrap();
        let wish = |now| signed.wish(now, None);
        assert_eq!(approve(&wish(Now::Approved), std::slice::from_ref(&approved)).unwrap().added, 1);
        let error = approve(&wish(Now::Approved), &[]).unwrap_err();
        assert!(error.to_string().contains("taken the approval of this boot away"), "{error}");
        assert_eq!(approve(&wish(Now::ApprovedFromHereOn), &[]).unwrap().added, 2);
    }

    /// Somebody revokes while an update is approved: what is signed for the number that the counter has left is signed again, once.
    #[test]
    fn what_a_counter_has_passed_meanwhile_is_signed_again() {
        let index = NvIndex::new(0x0180_c077).unwrap();
        let signed = Signed::new(Some(Counter { index, name: [&[0, 0x0b][..], &[1; 32]].concat(), value: 1 }));
        let check = |until: u64, stands: &[u64], expected: Option<u64>| {
            let (stands, written) = (RefCell::new(stands.iter()), RefCell::new(Vec::<Approval>::new()));
            let write = |wishes: &[Wish<'_>]| {
                let approved = approve(&wishes[0], &written.borrow()).unwrap();
                written.borrow_mut().clone_from(&approved.approvals);
                Ok(Made { approvals: approved.approvals.clone(), each: vec![Ok(approved)], strangers: 0 })
            };
            let count = |_: &Wish<'_>| Ok(stands.borrow_mut().next().copied());
            let mut wishes = [signed.wish(Now::ApprovedFromHereOn, Some(Count { now: 4, until }))];
            let mut made = keep_up(&mut wishes, &write, &count).unwrap();
            assert_eq!(stands.borrow().len(), 0, "each reading was wanted");
            let numbers = written.borrow().iter().map(|one| one.counter().unwrap().value).collect::<Vec<_>>();
            match (made.each.remove(0), expected) {
                (Ok(_), Some(expected)) => assert_eq!(numbers, [expected, expected]),
                (Err(error), None) => assert!(error.to_string().contains("keyslot 1 opens nothing"), "{error}"),
                (each, _) => panic!("{stands:?}: {:?}", each.is_ok()),
            }
        };
        check(4, &[4], Some(4));
        check(5, &[4], Some(5));
        check(4, &[5, 5], Some(5));
        check(5, &[5, 5], Some(6));
        check(4, &[5, 6], None);
    }
}
