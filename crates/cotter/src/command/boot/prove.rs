//! What `cotter boot check` runs in an image: every bound keyslot of one volume is opened, by the settings and the list that are there.
//!
//! One JSON object on standard output: `{"uuid":…,"listed":true,"slots":[{"slot":1,"pin":"tang","state":"opens","milliseconds":400}, …],"ok":true}`;
//! `state` is `opens`, `stays closed` or `is not proved`, the latter two with `why`.

use super::network;
use super::search::Nobody;
use crate::args::ProveArgs;
use crate::boot_settings::{self, Settings};
use crate::error::CommandError;
use crate::expected;
use crate::host::Host;
use crate::output;
use crate::volume::{self, Disks, reasons};
use clevis::{PinError, Ports, TrustPolicy};
use earlynet::configured::resolv_conf;
use json::{Object, Value};
use linux::{Access, Names};
use std::fs;
use std::path::Path;
use std::time::Instant;
use unlock::{Attempt, AttemptError, Failed};

/// How a keyslot fares.
enum Fares {
    Opens,
    Closed(String),
    /// It depends on what is not now: the moment of the start, or a person.
    NotProved(String),
}

/// Proves it, and prints the object; that a keyslot stays closed is no failure of this program.
pub fn run(args: &ProveArgs) -> Result<(), CommandError> {
    let record = match prove(args) {
        Ok(record) => record,
        Err(error) => Object::new().with("error", error.to_string().replace("\n  try: ", "; try: ")).with("ok", false),
    };
    output::line(&Value::from(record).to_compact())
}

fn prove(args: &ProveArgs) -> Result<Object, CommandError> {
    // Settings that cannot be followed stop the agent, too.
    let settings = Settings::read(Path::new(boot_settings::USUAL))?;
    let expected = expected::usual()?;
    let disks = Disks::open(&args.device, Access::Read)?;
    let header = disks.accepted(&args.ceilings)?;
    if let Some(error) = volume::damaged_meta(header.header()) {
        return Err(CommandError::failed("the LUKSMeta with the bindings cannot be used", error.clone()));
    }
    let names = names(&settings)?;
    let uuid = header.header().uuid();
    let is_listed = expected.of(uuid).is_some();
    let (mut slots, mut ok) = (Vec::new(), is_listed || expected.is_empty());
    for attempt in unlock::plan_all(header.header(), None) {
        let host = Host::new(args.patience.limit()).trusting(settings.ca.as_deref()).resolving(names.clone());
        let closed = host.closed(disks.header(), &header)?;
        let ports = host.ports(TrustPolicy::Ask);
        let ports = Ports { person: &Nobody, ..ports };
        let (slot, pin, begun) = (attempt.slot, name(&attempt), Instant::now());
        let opened = unlock::run(vec![attempt], &closed, &ports, &|| host.time_left(), &mut |_| {});
        let fares = opened.map_or_else(judge, |_| Fares::Opens);
        ok &= !matches!(fares, Fares::Closed(_));
        let record = Object::new().with("slot", u64::from(slot.number())).with("pin", pin);
        slots.push(Value::from(fares.put(record, begun)));
    }
    let record = Object::new().with("uuid", uuid.to_string()).with("listed", is_listed);
    let mode = if settings.mode == boot_settings::Mode::Map { "map" } else { "answer" };
    Ok(record.with("mode", mode).with("slots", slots).with("ok", ok))
}

/// What the settings know of names, and what the root says that this runs in. Where they know nothing, names are looked up as ever.
fn names(settings: &Settings) -> Result<Option<Names>, CommandError> {
    if settings.hosts.is_empty() && settings.name_servers.is_empty() {
        return Ok(None);
    }
    let plan = network::plan(Path::new("/proc/cmdline"), settings)?;
    let told = resolv_conf(&fs::read("/etc/resolv.conf").unwrap_or_default());
    let names = Names::new(plan.hosts);
    names.add_servers(&plan.name_servers);
    names.add_servers(&told.servers);
    names.add_search(&told.search);
    Ok(Some(names))
}

fn name(attempt: &Attempt) -> String {
    attempt.pin().map_or_else(|_| "unknown".to_owned(), |name| name.as_str().to_owned())
}

fn judge(failed: Failed) -> Fares {
    let Some((_, error)) = failed.tried.first() else { return Fares::Closed("it is not bound".into()) };
    let why = format!("{}; try: {}", reasons(error), failed.hint());
    match error {
        AttemptError::Pin(PinError::Latched { .. } | PinError::NobodyForPin { .. }) => Fares::NotProved(why),
        _ => Fares::Closed(why),
    }
}

impl Fares {
    fn put(self, record: Object, begun: Instant) -> Object {
        match self {
            Fares::Opens => {
                let millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
                record.with("state", "opens").with("milliseconds", millis)
            }
            Fares::Closed(why) => record.with("state", "stays closed").with("why", why),
            Fares::NotProved(why) => record.with("state", "is not proved").with("why", why),
        }
    }
}
