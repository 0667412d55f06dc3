//! `cotter tpm predict`: what the PCRs will be after an update.

use super::update::Update;
use super::{bank, log};
use crate::args::PredictArgs;
use crate::error::{CommandError, visible};
use crate::host::Host;
use crate::output;
use clevis::TrustPolicy;
use clevis::measured::{self, PcrDigests, Predicted};
use json::Object;
use tpm2::event_log::{End, EventLog, Unpredictable};
use tpm2::{Bank, PcrSelection};

/// What can be predicted.
const PREDICTABLE: [u8; 4] = [4, 7, 9, 11];
/// One of them cannot.
const NOT_ALL: u8 = 3;
/// How many PCRs there are.
const PCRS: u8 = 24;

/// Prints the values, or why not.
pub fn run(args: &PredictArgs) -> Result<(), CommandError> {
    let bank = bank::named(&args.bank)?;
    let log = log::read(&args.update.log)?;
    if log.end == End::Absent {
        let error = CommandError::plain("nothing can be predicted: there is no log of the boot");
        return Err(error.hint("as root, on the machine itself; or --log FILE"));
    }
    let files = Update::read(&args.update)?;
    let host = Host::new(args.patience.limit());
    host.cancel_on_signal()?;
    let held = held(args, &log, bank, &host)?;
    let parts = files.parts();
    let predict = |held: &PcrDigests| {
        measured::predict(&log, bank, held, &parts).map_err(|source| {
            CommandError::failed("nothing can be predicted", source)
                .hint("the places that there are: `cotter tpm status -v`")
        })
    };
    let mut predicted = predict(&held)?;
    if args.pcrs.is_empty() && log.end == End::Complete {
        // Whoever binds to another PCR that this moves has to hear of it too.
        let others: Vec<u8> = (0..PCRS).filter(|pcr| !PREDICTABLE.contains(pcr)).collect();
        let mut moved = predict(&measured::replayed(&log, bank, &others))?.unpredictable;
        moved.retain(|(_, why)| *why != Unpredictable::NotExplained);
        predicted.unpredictable.extend(moved);
    }
    output::record(args.format, record(&predicted, &held), || text(&predicted, &held))?;
    if !predicted.unpredictable.is_empty() {
        return Err(CommandError::plain("not every PCR can be predicted").code(NOT_ALL).silent());
    }
    Ok(())
}

/// What the PCRs hold: the TPM says it; with a log that was named, the log itself does.
fn held(args: &PredictArgs, log: &EventLog, bank: Bank, host: &Host) -> Result<PcrDigests, CommandError> {
    let known = measured::replayed(log, bank, &PREDICTABLE);
    let wanted: Vec<u8> = match (args.pcrs.as_slice(), log.end) {
        ([], End::Complete) => known.keys().copied().collect(),
        // Which PCRs the rest has extended is not known.
        ([], _) => PREDICTABLE.to_vec(),
        (named, _) => named.to_vec(),
    };
    let none =
        || CommandError::plain(format!("the log of the boot has none of these PCRs in the bank {}", bank.name()));
    if wanted.is_empty() {
        return Err(none());
    }
    if args.update.log.log.is_some() {
        let mut held = measured::replayed(log, bank, &wanted);
        wanted.iter().for_each(|pcr| _ = held.entry(*pcr).or_insert_with(|| vec![0; bank.hash().len()]));
        return Ok(held);
    }
    let selection = PcrSelection::new(bank, wanted.iter().map(|pcr| u64::from(*pcr)));
    let selection = selection.map_err(|_| none())?;
    measured::held(&selection, &host.ports(TrustPolicy::Ask)).map_err(|source| {
        let hint = source.hint();
        CommandError::failed("the PCRs cannot be read", source).hint(hint)
    })
}

fn ids(predicted: &Predicted) -> String {
    predicted.values.keys().map(u8::to_string).collect::<Vec<String>>().join(",")
}

/// As a configuration takes it: an array of sets, here of one.
fn accept(predicted: &Predicted) -> Vec<json::Value> {
    let set = (!predicted.values.is_empty()).then(|| measured::digests_to_json(&predicted.values).into());
    set.into_iter().collect()
}

fn digest(predicted: &Predicted) -> String {
    jose::b64::encode(&predicted.values.values().map(Vec::as_slice).collect::<Vec<&[u8]>>().concat())
}

fn record(predicted: &Predicted, held: &PcrDigests) -> Object {
    let moves = predicted.values.iter().filter(|(pcr, value)| held.get(pcr) != Some(value));
    let moves: Vec<json::Value> = moves.map(|(pcr, _)| u64::from(*pcr).into()).collect();
    let why = |json: Object, (pcr, why): &(u8, _)| json.with(&pcr.to_string(), ToString::to_string(why));
    Object::new()
        .with("pcr_bank", predicted.bank.name())
        .with("accept", accept(predicted))
        .with("pcr_ids", ids(predicted))
        .with("pcr_digest", digest(predicted))
        .with("moves", moves)
        .with("unpredictable", predicted.unpredictable.iter().fold(Object::new(), why))
}

fn text(predicted: &Predicted, held: &PcrDigests) -> String {
    let bank = predicted.bank.name();
    let value = |(pcr, value): (&u8, &Vec<u8>)| {
        let word = if held.get(pcr) == Some(value) { "as it is" } else { "moves" };
        format!("{bank}:{pcr:<2} {}  {word}", measured::to_hex(value))
    };
    let mut lines: Vec<String> = predicted.values.iter().map(value).collect();
    lines.extend(
        predicted
            .unpredictable
            .iter()
            .map(|(pcr, why)| visible(&format!("{bank}:{pcr:<2} cannot be predicted: {why}"))),
    );
    if !predicted.values.is_empty() {
        lines.push(format!("accept      {}", json::Value::from(accept(predicted)).to_compact().as_str()));
        lines.push(format!("pcr_digest  {} with pcr_bank {bank}, pcr_ids {}", digest(predicted), ids(predicted)));
    }
    lines.join("\n")
}
