//! The member `boot` of the annotation: what extended the PCRs when a binding was made, four bytes an event, so that it can be said later
//! which event is another. `{"sha256":{"7":"…base64url…"}}`. It is a record for people and decides nothing.

use crate::config::Config;
use crate::pin::{ANNOTATION, Ports};
use crate::pins::tpm2;
use ::tpm2::Bank;
use ::tpm2::event_log::{EventLog, Trace};
use jose::b64;
use json::{Field, Object, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Where the kernel shows the log of the boot to root.
pub const BOOT_LOG: &str = "/sys/kernel/security/tpm0/binary_bios_measurements";

/// By bank and PCR.
pub(super) type Traces = BTreeMap<(String, u8), Trace>;

const BOOT: &str = "boot";
/// More of one PCR is not kept: headers are small.
const LONGEST: usize = 2048;

/// Adds to `said`, which a JWE of this configuration will say beside its policy, what the log of this boot has of the PCRs in it. Where
/// there is no log, or none that can be read, nothing.
pub fn record(said: Object, config: &Config, ports: &Ports<'_>) -> Object {
    let mut wanted = BTreeSet::new();
    collect(config.field().value(), &mut wanted);
    if wanted.is_empty() {
        return said;
    }
    let Ok(log) = ports.files.read(BOOT_LOG) else { return said };
    let traces = traces(&EventLog::read(log.expose()), &wanted);
    if traces.is_empty() { said } else { said.with(BOOT, traces) }
}

/// The PCRs of every part of a configuration, with their banks.
fn collect(config: &Value, wanted: &mut BTreeSet<(&'static str, u8)>) {
    match config {
        Value::Object(members) => {
            let named = members.get("pcr_bank").and_then(Value::as_str).and_then(Bank::from_name);
            let bank = named.map_or("sha256", Bank::name);
            let ids = members.get("pcr_ids").map(|ids| tpm2::read_ids(&ids.field("pcr_ids")));
            if let (Some(Ok((_, set))), Some(of)) = (ids, Bank::from_name(bank)) {
                wanted.extend(set.in_bank(of).pcrs().map(|pcr| (bank, pcr)));
            }
            members.iter().for_each(|(_, value)| collect(value, wanted));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, wanted)),
        _ => {}
    }
}

fn traces(log: &EventLog, wanted: &BTreeSet<(&'static str, u8)>) -> Object {
    let mut banks: BTreeMap<&str, Object> = BTreeMap::new();
    for (name, pcr) in wanted {
        let trace = Bank::from_name(name).and_then(|bank| log.trace(bank.hash(), *pcr)).map(|trace| trace.to_bytes());
        if let Some(bytes) = trace.filter(|bytes| (1..=LONGEST).contains(&bytes.len())) {
            banks.entry(name).or_default().insert(&pcr.to_string(), b64::encode(&bytes));
        }
    }
    banks.into_iter().fold(Object::new(), |json, (name, traces)| json.with(name, traces))
}

/// Reads what is there. What cannot be read is as good as not there.
pub(super) fn read_traces(header: &Field<'_>) -> Traces {
    let mut found = Traces::new();
    let boot = header.optional(ANNOTATION).ok().flatten().and_then(|ours| ours.optional(BOOT).ok().flatten());
    let banks = boot.as_ref().and_then(|boot| boot.members().ok());
    for (bank, traces) in banks.into_iter().flatten() {
        for (pcr, trace) in traces.members().into_iter().flatten() {
            let bytes = trace.text().ok().and_then(|text| b64::decode(text).ok());
            if let (Ok(pcr), Some(trace)) = (pcr.parse(), bytes.and_then(|bytes| Trace::read(&bytes))) {
                found.insert((bank.to_owned(), pcr), trace);
            }
        }
    }
    found
}
