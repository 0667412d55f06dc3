//! `cotter boot status`: what is installed, what is in which image, what opens which volume, and which promise holds.

use super::images::{self, OfSystem};
use super::install::journal::Journal;
use super::install::state::State;
use super::mount_points::{self, Guard};
use super::system::System;
use super::target::Target;
use super::volumes::{self, Asked, Found, Stage, Volume};
use crate::args::StatusArgs;
use crate::boot_settings::{Mode, Settings, USUAL};
use crate::error::{CommandError, visible};
use crate::expected;
use crate::output;
use clevis::Cancel;
use json::{Object, Value};
use std::time::{SystemTime, UNIX_EPOCH};
use unlock::identity::Expectation;

/// In seconds.
const DAY: u64 = 86_400;
/// With so many days left somebody has to do something.
const SOON: u64 = 30;

/// What was found, for both forms.
struct Report {
    record: Object,
    lines: Vec<String>,
    is_good: bool,
}

impl Report {
    fn say(&mut self, line: impl AsRef<str>) {
        self.lines.push(visible(line.as_ref()));
    }

    fn bad(&mut self, line: impl AsRef<str>) {
        self.is_good = false;
        self.say(line);
    }

    fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.record.insert(name, value);
    }
}

/// Prints it.
pub fn run(args: &StatusArgs) -> Result<(), CommandError> {
    let target = Target::new(args.root.root.as_deref())?;
    let cancel = Cancel::new();
    let system = System::find(&target, &cancel)?;
    let mut report = Report { record: Object::new(), lines: Vec::new(), is_good: true };
    report.put("framework", system.framework.to_string());
    report.put("systemd", system.systemd.map_or(Value::Null, |version| u64::from(version).into()));
    let systemd = system.systemd.map_or_else(|| "no systemd".to_owned(), |version| format!("systemd {version}"));
    report.say(format!("images are made by {}; {systemd}", system.framework));
    installed(&target, &mut report)?;
    settings(&target, &mut report)?;
    images(&target, &system, &cancel, &mut report)?;
    let found = volumes::find(&target, system.framework, &[])?;
    volumes(&target, &found, &mut report)?;
    guards(&target, &found, &mut report)?;
    let is_good = report.is_good;
    report.put("ok", is_good);
    output::record(args.format, report.record, || report.lines.join("\n"))?;
    if is_good {
        return Ok(());
    }
    let error = CommandError::plain("not all is as it should be, as told above");
    Err(error.hint("what is missing is put there by `cotter boot install`"))
}

fn installed(target: &Target, report: &mut Report) -> Result<(), CommandError> {
    let journal = Journal::read(target)?;
    report.put("installed", !journal.is_empty());
    if journal.is_empty() {
        report.bad("nothing is installed; to do it: cotter boot install");
        return Ok(());
    }
    let mut files = Vec::new();
    for changed in &journal.files {
        let now = State::read(target, &changed.path)?;
        let state = match now {
            State::Absent => "gone",
            now if now.digest() == changed.after => "as installed",
            _ => "changed since",
        };
        if state != "as installed" {
            report.say(format!("{}: {state}", changed.path));
        }
        files.push(Object::new().with("path", changed.path.as_str()).with("state", state).into());
    }
    report.say(format!("{} files of cotter's or changed for it; cotter boot remove takes them back", files.len()));
    report.put("files", Value::Array(files));
    Ok(())
}

fn settings(target: &Target, report: &mut Report) -> Result<(), CommandError> {
    let settings = Settings::read(&target.behind(USUAL))?;
    let (mode, text) = match settings.mode {
        Mode::Map => {
            ("map", "mode map: a volume is opened from the header that was accepted, and by bound keyslots alone")
        }
        Mode::Answer => (
            "answer",
            "mode answer: the passphrase is proved on its own keyslot of the accepted header, then given to who asks, who reads the header again \
             and tries what keyslots it has (threat T7 is met in full in mode map)",
        ),
    };
    report.put("mode", mode);
    report.say(text);
    if let Some(path) = settings.ca {
        authority(target, &path.to_string_lossy(), report);
    }
    Ok(())
}

/// Until when the certificates of the authority are good.
fn authority(target: &Target, path: &str, report: &mut Report) {
    let found = target.read(path).map_err(|error| error.to_string()).and_then(|content| {
        let content = content.ok_or_else(|| format!("{path} is not there"))?;
        linux::expiries(&content).map_err(|error| format!("{path}: {error}"))
    });
    let found = match found {
        Ok(found) => found,
        Err(why) => return report.bad(why),
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let mut records = Vec::new();
    for expiry in found {
        let record = Object::new().with("subject", expiry.subject.as_str()).with("not_after", expiry.not_after.0);
        records.push(Value::from(record));
        let left = expiry.not_after.0.saturating_sub(now) / DAY;
        let line = format!("{path}: {} is good for {left} days more", expiry.subject);
        match expiry.not_after.0 {
            until if until < now => report.bad(format!("{path}: {} has run out", expiry.subject)),
            _ if left < SOON => report.bad(format!("{line}: get another one")),
            _ => report.say(line),
        }
    }
    report.put("authorities", Value::Array(records));
}

fn images(target: &Target, system: &System, cancel: &Cancel, report: &mut Report) -> Result<(), CommandError> {
    let wanted = OfSystem::read(target, system.framework)?;
    let mut records = Vec::new();
    for kernel in &system.kernels {
        let record = Object::new().with("kernel", kernel.version.as_str());
        let Some(path) = &kernel.image else {
            report.bad(format!("kernel {}: it has no image where one is looked for", kernel.version));
            records.push(record.with("image", Value::Null).into());
            continue;
        };
        let record = record.with("image", path.as_str());
        let lacks = match images::unpack(target, path, cancel) {
            Ok(unpacked) => match unpacked.image() {
                Ok(image) if !images::is_in(&image) => vec!["cotter is not in it".into()],
                Ok(image) => wanted.lacks(&image),
                Err(error) => vec![error.to_string()],
            },
            Err(error) => vec![error.to_string().replace('\n', " ")],
        };
        match lacks.is_empty() {
            true => report.say(format!("{path}: holds what is installed")),
            false => report.bad(format!("{path}: {}; to make it anew: cotter boot install", lacks.join("; "))),
        }
        let lacks: Vec<Value> = lacks.iter().map(|lack| lack.as_str().into()).collect();
        records.push(record.with("lacks", lacks).into());
    }
    report.put("images", Value::Array(records));
    Ok(())
}

fn volumes(target: &Target, found: &Found, report: &mut Report) -> Result<(), CommandError> {
    let path = target.behind(expected::USUAL);
    let list = if path.symlink_metadata().is_ok() { expected::named(&path)? } else { Expectation::default() };
    let mut records = Vec::new();
    for volume in &found.volumes {
        let by = opened_by(volume);
        let is_listed = volume.uuid().is_some_and(|uuid| list.of(uuid).is_some());
        let stage = if volume.stage == Stage::Initramfs { "initramfs" } else { "system" };
        let listed = match (volume.is_bound() && volume.asked == Asked::Anybody, is_listed) {
            (false, _) => "",
            (true, true) => "; its key is in the list of expected volumes",
            (true, false) => "; it is not in the list of expected volumes",
        };
        report.say(format!("{} ({stage}): {by}{listed}", volume.name));
        let uuid = volume.uuid().map_or(Value::Null, |uuid| uuid.to_string().into());
        let line = volume.line.map_or(Value::Null, |line| u64::try_from(line).unwrap_or(0).into());
        let record = Object::new().with("name", volume.name.as_str()).with("uuid", uuid).with("line", line);
        records.push(record.with("stage", stage).with("opened_by", by).with("listed", is_listed).into());
    }
    for remark in &found.remarks {
        report.say(remark);
    }
    let remarks: Vec<Value> = found.remarks.iter().map(|remark| remark.as_str().into()).collect();
    report.put("volumes", Value::Array(records));
    report.put("remarks", remarks);
    Ok(())
}

fn opened_by(volume: &Volume) -> String {
    let header = match (&volume.asked, &volume.header) {
        (Asked::Other(why), _) | (_, Err(why)) => return why.clone(),
        (Asked::Anybody, Ok(header)) => header,
    };
    let attempts = unlock::plan_all(header, None);
    let pin = |attempt: &unlock::Attempt| attempt.pin().map_or_else(|_| "?".to_owned(), |pin| pin.as_str().to_owned());
    let bound: Vec<String> =
        attempts.iter().map(|attempt| format!("keyslot {} ({})", attempt.slot, pin(attempt))).collect();
    match bound.is_empty() {
        true => "a person".to_owned(),
        false => format!("{}, or a person", bound.join(", ")),
    }
}

fn guards(target: &Target, found: &Found, report: &mut Report) -> Result<(), CommandError> {
    let late = found.volumes.iter().filter(|volume| volume.stage == Stage::System);
    let names: Vec<String> = late.map(|volume| volume.name.clone()).collect();
    let mut records = Vec::new();
    for point in mount_points::find(target, &names)?.iter().filter(|point| point.may_be_missing) {
        let (state, text) = match mount_points::guard(target, point) {
            Guard::Guarded => ("guarded", "nobody writes there while its volume is closed".to_owned()),
            Guard::Open => {
                ("open", "what is written there while its volume is closed lies on the root's disk".to_owned())
            }
            Guard::Cannot(why) => ("open", why),
        };
        report.say(format!("{}: {text}", point.directory));
        let record = Object::new().with("directory", point.directory.as_str()).with("volume", point.volume.as_str());
        records.push(record.with("state", state).into());
    }
    report.put("mount_points", Value::Array(records));
    Ok(())
}
