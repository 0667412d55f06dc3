//! `cotter luks bind`

use super::change;
use super::chosen::with_token;
use super::rebind::waits_for_approval;
use crate::args::BindArgs;
use crate::command::encrypt::{config, trust};
use crate::counters;
use crate::error::CommandError;
use crate::host::Host;
use crate::opening::{self, Given, Opened};
use crate::output;
use crate::passphrase;
use crate::verdict;
use crate::volume::{self, Disks, Seal};
use ::luks::{Accepted, Area, MetaState};
use block::{BlockRead, Bytes};
use clevis::verdict::{Policy, Surroundings, Verdict};
use clevis::{Config, PinError, Ports};
use crypto::SystemRandom;
use json::Object;
use linux::Terminal;
use unlock::{BindError, BindRequest, Bound, CommitError, LastHumanSlot, NewMeta, Prepared, Proof};

/// Binds a keyslot to a policy.
pub fn run(args: &BindArgs) -> Result<(), CommandError> {
    let config = config(&args.policy)?;
    let policy = verdict::policy(&args.policy.pin, &config)?;
    let host = Host::new(args.patience.limit());
    let verdict = Verdict::of(&policy, &around(args, &policy, &config, &host));
    verdict::require(&verdict, &args.goals.require)?;
    if args.recovery && !args.dry_run {
        passphrase::check_recovery_shown()?;
    }
    let disks = Disks::open_to_change(&args.device, args.dry_run)?;
    let header = disks.accepted(&args.ceilings)?;
    volume::check_meta(header.header())?;
    let request = BindRequest {
        pin: &args.policy.pin,
        config: &config,
        slot: args.slot.map(volume::slot).transpose()?,
        token: args.token.map(volume::token).transpose()?,
        proof: if args.require_proof || args.replace { Proof::Required } else { Proof::IfReachable },
        new_meta: new_meta(args, &disks, &header, &host)?,
    };
    check_free(&header, &request)?;
    let given = opening::read(&args.opener, &host)?;
    host.cancel_on_signal()?;
    let opened = open(args, &disks, &header, given, &host)?;
    if args.dry_run {
        host.made().rehearse();
    }
    let prepared = prepare(&request, args, &header, &host).inspect_err(|_| counters::take_back(&host))?;
    prepared.remarks().iter().for_each(|remark| volume::tell_remark("", remark));
    let prepared = if args.recovery { prepared.with_recovery(passphrase::recovery_key()?) } else { prepared };
    if args.dry_run {
        change::print_plan(args.format, &plan(args, &header, &opened, &prepared)?)?;
        return counters::print_plan(args.format, &host);
    }
    show_recovery(args, &header, &opened, &prepared).inspect_err(|_| counters::take_back(&host))?;
    let bound = write(args, &disks, &opened, prepared, &host)?;
    volume::tell_unexpected_parent(header.header(), &bound, &host);
    let reported = report(args, &bound, &opened, &verdict);
    counters::tell(&host);
    reported
}

/// What the policy is judged for. The TPM is asked if it has a part in it, and not for what is refused anyhow.
fn around(args: &BindArgs, policy: &Policy, config: &Config, host: &Host) -> Surroundings {
    let can_be = || clevis::check(&args.policy.pin, config, crate::pins::ALL).is_ok();
    if verdict::has_tpm(policy) && can_be() {
        verdict::with_tpm(&host.ports(trust(&args.policy)))
    } else {
        verdict::this_machine()
    }
}

fn write(
    args: &BindArgs,
    disks: &Disks,
    opened: &Opened,
    prepared: Prepared,
    host: &Host,
) -> Result<Bound, CommandError> {
    let exclusive = || volume::exclusive(disks.header());
    let volume = disks.volume(&args.ceilings, &exclusive, host);
    let bound = if args.replace {
        unlock::bind_instead(&volume, &opened.key, prepared, opened.slot, last(args))
    } else {
        unlock::bind(&volume, &opened.key, prepared)
    };
    bound.map_err(|source| {
        counters::take_back_unless_written(host, &source);
        if args.recovery && !source.may_have_written() {
            output::say("the recovery key above opens nothing: it was not written");
        }
        let named = matches!(source, CommitError::LastHumanSlot { .. });
        let error = change::not_written("cannot bind", source);
        if named { error.hint("if only policies shall open it: --last-passphrase") } else { error }
    })
}

/// Shows the recovery key, if one was asked for: the policy has been met, there is room for both, and nothing is written yet.
fn show_recovery(args: &BindArgs, header: &Accepted, opened: &Opened, prepared: &Prepared) -> Result<(), CommandError> {
    let Some(key) = prepared.recovery() else { return Ok(()) };
    plan(args, header, opened, prepared)?;
    passphrase::show_recovery_key(args.format, key)
}

fn last(args: &BindArgs) -> LastHumanSlot {
    if args.last_passphrase { LastHumanSlot::Remove } else { LastHumanSlot::Keep }
}

/// What would be written, a step on each line.
fn plan(args: &BindArgs, header: &Accepted, opened: &Opened, prepared: &Prepared) -> Result<String, CommandError> {
    let failed = |source| change::not_written("cannot bind", source);
    if args.replace {
        let old = (opened.slot, last(args));
        let plan = unlock::replace_edit(header, &opened.key, prepared, old, &SystemRandom).map_err(failed)?;
        return Ok(plan.to_string());
    }
    let plan = unlock::bind_edit(header, &opened.key, prepared, &SystemRandom).map_err(failed)?;
    Ok(plan.edit.to_string())
}

/// Whether LUKSMeta is made where there is none. Where that may overwrite something it is asked for, unless a script says `-f` or
/// `-y`; a gap of zeros, as a new volume has it, holds nothing that could be lost.
fn new_meta(args: &BindArgs, disks: &Disks, header: &Accepted, host: &Host) -> Result<NewMeta, CommandError> {
    let absent = header.header().as_luks1().filter(|luks1| matches!(luks1.meta(), MetaState::Absent));
    let Some(luks1) = absent else { return Ok(NewMeta::Make) };
    if args.force || args.policy.yes || luks1.gap().is_some_and(|gap| is_blank(disks.header(), gap)) {
        return Ok(NewMeta::Make);
    }
    let refused = || {
        let error = CommandError::plain("the volume is LUKS1 and has no LUKSMeta yet, in which bindings are kept");
        error.hint("-f makes it in the gap behind the key material, whatever another program keeps there")
    };
    if !Terminal::types_stdin() {
        return Err(refused());
    }
    let question = "A LUKS1 volume keeps bindings in LUKSMeta, which is not there yet. It is made in the gap behind the key \
                    material; whatever another program keeps there is lost. Go on?";
    if change::agreed(host, question, "-f makes it without asking")? { Ok(NewMeta::Make) } else { Err(refused()) }
}

/// How much of a gap is looked at. Where more lies behind the key material somebody has meant something by it.
const MOST_LOOKED_AT: u64 = 256 << 20;

/// Whether there is nothing but zeros. What cannot be read is not known to be blank.
fn is_blank(disk: &dyn BlockRead, place: Area) -> bool {
    let mut piece = vec![0; 1 << 20];
    let mut at = place.offset();
    while at < place.end() && place.size().0 <= MOST_LOOKED_AT {
        let length = usize::try_from(place.end().0 - at.0).map_or(piece.len(), |left| left.min(piece.len()));
        let part = piece.get_mut(..length).unwrap_or_default();
        if disk.read_at(at, part).is_err() || part.iter().any(|byte| *byte != 0) {
            return false;
        }
        at = Bytes(at.0.saturating_add(Bytes::from(length).0));
    }
    at >= place.end()
}

/// A slot or token that is taken is better said before anybody types or is asked.
fn check_free(header: &Accepted, request: &BindRequest<'_>) -> Result<(), CommandError> {
    let taken = |what: String, option: &str| {
        Err(CommandError::plain(format!("{what} is in use"))
            .hint(format!("leave out {option} for the lowest free one")))
    };
    if let Some(slot) = request.slot.filter(|slot| volume::is_used(header.header(), *slot)) {
        return taken(format!("keyslot {slot}"), "-s");
    }
    match (request.token, header.header().as_luks2()) {
        (Some(_), None) => Err(CommandError::usage("LUKS1 has no tokens").hint("leave out -t")),
        (Some(token), Some(luks2)) if luks2.metadata().tokens.contains_key(&token) => {
            taken(format!("token {token}"), "-t")
        }
        _ => Ok(()),
    }
}

/// Opens the volume: if the passphrase is wrong, by a binding that is there already.
fn open(args: &BindArgs, disks: &Disks, header: &Accepted, given: Given, host: &Host) -> Result<Opened, CommandError> {
    let Given::Passphrase(passphrase) = given else {
        return opening::open(disks, header, &args.opener, given, Seal::Counts, host);
    };
    let failed = match opening::by_passphrase(&host.closed(disks.header(), header)?, &passphrase, None, Seal::Counts) {
        Ok(opened) => return Ok(opened),
        Err(failed) => failed,
    };
    // What is to be replaced is what the person named, and nothing else.
    if args.replace || !failed.is_wrong_passphrase() || unlock::bindings(header.header()).is_empty() {
        return Err(opening::told(disks, &args.opener.key, &passphrase, failed));
    }
    output::say("the passphrase is wrong: it opens no keyslot; opening the volume by its existing bindings instead");
    opening::open(disks, header, &args.opener, Given::Binding(None), Seal::Counts, host)
}

fn prepare(
    request: &BindRequest<'_>,
    args: &BindArgs,
    header: &Accepted,
    host: &Host,
) -> Result<Prepared, CommandError> {
    let (approvals, _) = unlock::approvals(header.header());
    let ports = Ports { approvals: &approvals, ..host.ports(trust(&args.policy)) };
    unlock::prepare(request, &ports).map_err(|source| {
        if host.cancel().is_cancelled() {
            return CommandError::plain("interrupted; nothing was changed");
        }
        let (device, word) = (&args.device, if args.replace { "--replace" } else { "--require-proof" });
        let hint = match &source {
            BindError::NotProved(error) if waits_for_approval(error) => format!(
                "without {word} first, and it may wait; then `cotter luks reseal {device} --sign FILE` approves it, and `cotter luks kill` removes what it \
                 replaces"
            ),
            _ => source.hint(),
        };
        CommandError::failed(format!("cannot bind {}", args.device.path.display()), source).hint(hint)
    })
}

fn report(args: &BindArgs, bound: &Bound, opened: &Opened, verdict: &Verdict) -> Result<(), CommandError> {
    let proved = bound.unproved.is_none();
    let token = bound.token.map_or(String::new(), |token| format!(" (token {token})"));
    output::say(&format!("keyslot {} is bound to {}{token}", bound.slot, args.policy.pin));
    if let Some(slot) = bound.recovery {
        output::say(&format!("keyslot {slot} has the recovery key"));
    }
    if args.replace {
        output::say(&format!("keyslot {}, which it replaces, is removed", opened.slot));
    }
    if let Some(error) = &bound.unproved {
        output::say(&format!("not proved: {}", volume::reasons(error)));
        if matches!(error, PinError::NotApproved { .. }) {
            let device = &args.device;
            output::say(&format!("  try first, which approves it: cotter luks reseal {device} --sign FILE"));
        }
        output::say(&format!(
            "  try, once that can be: cotter luks unlock --print-key -s {} {} > /dev/null",
            bound.slot, args.device
        ));
    }
    if !args.format.json {
        output::say(&verdict::table(verdict, "  "));
        return Ok(());
    }
    let record = with_token(Object::new().with("slot", u64::from(bound.slot.number())), bound.token)
        .with("pin", args.policy.pin.as_str())
        .with("proved", proved)
        .with("verdict", verdict::record(verdict));
    let record = match bound.recovery {
        Some(slot) => record.with("recovery", u64::from(slot.number())),
        None => record,
    };
    let record = if args.replace { record.with("replaced", u64::from(opened.slot.number())) } else { record };
    output::record(args.format, record, String::new)
}
