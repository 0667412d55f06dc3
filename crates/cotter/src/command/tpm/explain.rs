//! `cotter tpm explain`: whether a binding would open now, and what moved.

use super::log;
use crate::args::{Quoted, TpmExplainArgs};
use crate::command::luks::chosen;
use crate::error::{CommandError, one_line};
use crate::host::Host;
use crate::output;
use crate::volume::Disks;
use ::luks::{Header, Slot, TokenId};
use clevis::TrustPolicy;
use clevis::measured::{self, Because, Explanation, Hindrance, MovedPcr, Part, PcrDigests, State, to_hex};
use clevis::systemd::Tpm2;
use json::{Object, Value};
use linux::Access;
use tpm2::event_log::Event;
use tpm2::{NvIndex, PcrSelection};
use unlock::{Binding, Enrolled, How};

/// A part would not open.
const SHUT: u8 = 3;
/// More events than these are counted, and not shown.
const MOST_SHOWN: usize = 12;

/// Explains each part that the TPM decides.
pub fn run(args: &TpmExplainArgs) -> Result<(), CommandError> {
    let header = Disks::open(&args.device, Access::Read)?.read_header()?;
    let (place, what, meant) = meant(args, &header)?;
    let log = log::read(&args.log)?;
    let host = Host::new(args.patience.limit());
    host.cancel_on_signal()?;
    let (parts, policies, renewal) = match meant {
        Meant::Binding(binding) => {
            let policies = clevis::signed(&binding.jwe, crate::pins::ALL).unwrap_or_default();
            (measured::parts(&binding.jwe).map_err(failed)?, policies, None)
        }
        Meant::Systemd(tpm2) => {
            let renewal = format!("{} {}", tpm2.renewal(), Quoted(&args.device.path));
            (vec![tpm2.part()], Vec::new(), Some(renewal))
        }
    };
    if parts.is_empty() {
        let error = CommandError::plain(format!("no part of {what} is decided by the TPM"));
        return Err(error.hint(format!("cotter luks list -d {}", Quoted(&args.device.path))));
    }
    let (approvals, _) = unlock::approvals(&header);
    let mut states = Vec::new();
    for part in &parts {
        let hindrance = measured::hindrance(part, &host.ports(TrustPolicy::Ask)).map_err(failed)?;
        let mut revoked = None;
        let found = if hindrance == Some(Hindrance::OtherTpm) {
            // What its PCRs hold says nothing of this part.
            Explanation { state: State::Unknown, moved: Vec::new() }
        } else {
            let (approved, passed) = approved(part, &policies, &approvals, &host);
            let held = held(part, &host)?;
            revoked =
                passed.into_iter().find(|(values, _)| values.iter().all(|(pcr, value)| held.get(pcr) == Some(value)));
            measured::explain(part, &approved, &held, &log)
        };
        let revoked = revoked.map(|(_, index)| index);
        let told = Told { part, found, hindrance, revoked, renewal: renewal.as_deref() };
        states.push(told.opens());
        output::record(args.format, told.record(place.clone()), || told.text(&what))?;
    }
    if states.contains(&Some(false)) {
        return Err(CommandError::plain("it would not open now").code(SHUT).silent());
    }
    match states.contains(&None) {
        true => Err(CommandError::plain("whether it would open is not known").silent()),
        false => Ok(()),
    }
}

/// What is told of a part.
struct Told<'a> {
    part: &'a Part,
    found: Explanation<'a>,
    hindrance: Option<Hindrance>,
    /// The counter that has passed an approval of what the PCRs hold now.
    revoked: Option<NvIndex>,
    /// The command that seals it anew, if that is not ours.
    renewal: Option<&'a str>,
}

/// What is to be explained.
enum Meant {
    Binding(Box<Binding>),
    Systemd(Box<Tpm2>),
}

/// Finds it, with the members of a record that say where it is, and the same in words.
fn meant(args: &TpmExplainArgs, header: &Header) -> Result<(Object, String, Meant), CommandError> {
    let numbers = |slot: Slot, token: Option<TokenId>| match (args.which.token, args.which.slot) {
        (Some(wanted), _) => token.is_some_and(|token| u32::from(token.number()) == wanted),
        (None, wanted) => wanted == Some(u32::from(slot.number())),
    };
    let enrolled = unlock::enrolled(header).into_iter().find(|found| numbers(found.slot, Some(found.token)));
    if let Some(Enrolled { slot, token, how: How::Tpm2(tpm2) }) = enrolled {
        let place = chosen::with_token(Object::new().with("slot", u64::from(slot.number())), Some(token));
        return Ok((place, format!("keyslot {slot}"), Meant::Systemd(tpm2)));
    }
    let binding = chosen::binding(header, &args.which, args.device.header())?;
    Ok((chosen::record(&binding), format!("keyslot {}", binding.slot), Meant::Binding(Box::new(binding))))
}

/// The values that are approved for a part, and those whose approval a counter has passed.
fn approved(
    part: &Part,
    policies: &[clevis::SignedPolicy],
    approvals: &[clevis::Approval],
    host: &Host,
) -> (Vec<PcrDigests>, Vec<(PcrDigests, NvIndex)>) {
    let of_part = |policy: &&clevis::SignedPolicy| {
        part.compares.as_ref().is_some_and(|(bank, pcrs)| {
            policy.selection.bank() == *bank && policy.selection.pcrs().eq(pcrs.iter().copied())
        })
    };
    let Some(policy) = policies.iter().find(of_part) else { return Default::default() };
    let counter = policy.counter.as_ref();
    let counted = counter.and_then(|counter| measured::count(counter, &host.ports(TrustPolicy::Ask)).ok());
    let (mut good, mut passed) = (Vec::new(), Vec::new());
    for approval in approvals.iter().filter(|approval| policy.is_meant_by(approval)) {
        let values = approval.values().iter().map(|(pcr, value)| (pcr, value.to_vec())).collect();
        match (approval.counter(), counted) {
            (Some(until), Some(count)) if until.value < count => passed.push((values, until.index)),
            // Where the counter stands is not known.
            (Some(_), None) => {}
            (Some(_) | None, _) => good.push(values),
        }
    }
    (good, passed)
}

fn failed(source: clevis::PinError) -> CommandError {
    let hint = source.hint();
    CommandError::failed("it cannot be said whether the binding would open", source).hint(hint)
}

/// What the PCRs of a part hold.
fn held(part: &Part, host: &Host) -> Result<PcrDigests, CommandError> {
    let Some(bank) = part.bank() else { return Ok(PcrDigests::new()) };
    let pcrs = part.compares.iter().flat_map(|(_, pcrs)| pcrs).chain(&part.latch).map(|pcr| u64::from(*pcr));
    let Ok(selection) = PcrSelection::new(bank, pcrs) else { return Ok(PcrDigests::new()) };
    measured::held(&selection, &host.ports(TrustPolicy::Ask)).map_err(failed)
}

/// How the words of what opens begin.
const NOW: &str = "would open now";

/// The state of the PCRs as one word, and in words.
fn words(state: State) -> (&'static str, &'static str) {
    match state {
        State::AnySystem => ("any-system", "would open now: it compares no PCR"),
        State::Holds => ("holds", "would open now: the PCRs hold what it accepts"),
        State::Moved => ("moved", "would not open now"),
        State::Unnamed => (
            "unnamed",
            "would not open now; it holds a digest of all its PCRs alone, so that the one that moved cannot be named",
        ),
        State::NotApproved => ("not-approved", "would not open now: no signature speaks of what the PCRs hold"),
        State::Latched => ("latched", "would not open before the next start: its latch is shut"),
        State::Unknown => ("unknown", "it does not tell what it compares the PCRs with"),
    }
}

impl Told<'_> {
    /// Whether the part would open, if that is known.
    fn opens(&self) -> Option<bool> {
        match (self.hindrance, self.found.state) {
            (None, State::Holds | State::AnySystem) => Some(true),
            (None, State::Unknown) => None,
            _ => Some(false),
        }
    }

    /// The state as one word, and in words: the PCRs first, what else there is if they would do.
    fn words(&self) -> (&'static str, String) {
        let fits = matches!(self.found.state, State::Holds | State::AnySystem | State::Unknown);
        if let Some(hindrance) = self.hindrance.filter(|_| fits) {
            return hindrance_words(hindrance);
        }
        if let Some(index) = self.revoked.filter(|_| self.found.state == State::NotApproved) {
            let text = format!(
                "would not open now: what the PCRs hold was approved, and the counter {index} has passed that: it was revoked, or an older header \
                 was put back"
            );
            return ("approval-passed", text);
        }
        let (word, text) = words(self.found.state);
        let text = match text.strip_prefix(NOW).filter(|_| self.part.pin) {
            Some(rest) => format!("{NOW} if its PIN is typed, which was not tried{rest}"),
            None => text.to_owned(),
        };
        (word, text)
    }

    fn record(&self, place: Object) -> Object {
        let part = self.part;
        let record = place.with("pin", part.form.pin());
        let record = if part.place.is_empty() { record } else { record.with("share", part.place.as_str()) };
        let record = match &part.compares {
            None => record,
            Some((bank, pcrs)) => {
                let pcrs: Vec<Value> = pcrs.iter().map(|pcr| u64::from(*pcr).into()).collect();
                record.with("pcr_bank", bank.name()).with("pcrs", pcrs)
            }
        };
        let moved: Vec<Value> = self.found.moved.iter().map(|moved| moved_record(moved).into()).collect();
        let record = record.with("state", self.words().0).with("moved", moved);
        let record = record.with("asks_pin", Value::Bool(part.pin));
        match self.hindrance {
            Some(hindrance) => record.with("hindrance", hindrance_words(hindrance).0),
            None => record,
        }
    }

    fn text(&self, slot: &str) -> String {
        let part = self.part;
        let place = if part.place.is_empty() { String::new() } else { format!(", {}", part.place) };
        let pcrs = part.compares.as_ref().map_or(String::new(), |(bank, pcrs)| {
            format!(" {}:{}", bank.name(), pcrs.iter().map(u8::to_string).collect::<Vec<String>>().join(","))
        });
        let (word, words) = self.words();
        let mut lines = vec![format!("{slot}{place}: {}{pcrs} {}", part.form.pin(), words)];
        for moved in &self.found.moved {
            lines.push(format!("  PCR {} moved", moved.pcr));
            lines.extend(moved.was.iter().map(|was| format!("    was {}", to_hex(was))));
            lines.push(format!("    is  {}", to_hex(&moved.is)));
            lines.push(format!("    {}", because(&moved.because).1));
            if let Because::Events { events, .. } | Because::OneOf { events } = &moved.because {
                let shown = events.iter().take(MOST_SHOWN);
                lines
                    .extend(shown.map(|event| {
                        format!("      {}", one_line(&format!("{} ({})", event.component(), event.kind)))
                    }));
                if let more @ 1.. = events.len().saturating_sub(MOST_SHOWN) {
                    lines.push(format!("      and {more} more"));
                }
            }
        }
        if let Some(also) = self.hindrance.map(hindrance_words).filter(|(other, _)| *other != word) {
            lines.push(format!("  besides, it {}", also.1));
        }
        if let Some(renewal) = self.renewal.filter(|_| self.opens() == Some(false)) {
            lines.push(format!("  if the change was meant, systemd renews it: {renewal}"));
        }
        lines.join("\n")
    }
}

/// The same of what no PCR tells.
fn hindrance_words(hindrance: Hindrance) -> (&'static str, String) {
    match hindrance {
        Hindrance::OtherTpm => {
            ("other-tpm", "would not open: another TPM sealed it, or this one was cleared since".into())
        }
        Hindrance::LockedOut => {
            let hint = "see `cotter tpm status`";
            ("locked-out", format!("would not open now: the TPM is locked after too many failures; {hint}"))
        }
        Hindrance::CounterPassed(index) => {
            ("counter-passed", format!("would never open again: the counter {index} has passed its number"))
        }
        Hindrance::NoCounter(index) => {
            ("no-counter", format!("would not open: its counter {index} is gone, or another stands in its place"))
        }
    }
}

fn moved_record(moved: &MovedPcr<'_>) -> Object {
    let record = Object::new().with("pcr", u64::from(moved.pcr));
    let record = match &moved.was {
        Some(was) => record.with("was", to_hex(was)),
        None => record,
    };
    let record = record.with("is", to_hex(&moved.is)).with("because", because(&moved.because).0);
    let (Because::Events { events, .. } | Because::OneOf { events }) = &moved.because else { return record };
    let event = |event: &&Event| {
        Value::from(Object::new().with("kind", event.kind.to_string()).with("component", event.component().to_string()))
    };
    record.with("events", events.iter().map(event).collect::<Vec<Value>>())
}

fn because(because: &Because<'_>) -> (&'static str, String) {
    match because {
        Because::Events { events, before: Some(before) } => {
            ("events", format!("{} in the place of {before}:", counted(events.len())))
        }
        Because::Events { events, before: None } => ("events", format!("it fits without {}:", counted(events.len()))),
        Because::Later => ("later", "the boot led to the old value: the system has extended it since".into()),
        Because::OneOf { events } => (
            "one-of",
            format!("what was measured then was not kept; one or more of these {} is another:", events.len()),
        ),
        Because::NoLog => ("no-log", "there is no log of the boot here: what moved it cannot be said".into()),
        Because::NotExplained { .. } => ("not-explained", "the log does not explain this PCR".into()),
    }
}

fn counted(events: usize) -> String {
    if events == 1 { "1 event".to_owned() } else { format!("{events} events") }
}
