//! `cotter luks list`: which keyslots are bound, and to what.

mod accepts;
mod enrolled;
mod expect;

use super::chosen::{self, with_token};
use crate::args::{BindingChoice, Format, ListArgs};
use crate::error::{CommandError, visible};
use crate::host::Host;
use crate::output;
use crate::verdict;
use crate::volume::{self, Disks};
use ::luks::Header;
use accepts::Accepts;
use clevis::TrustPolicy;
use clevis::verdict::{Surroundings, Verdict};
use enrolled::Said;
use json::{Object, Value};
use linux::Access;
use std::collections::BTreeSet;
use std::time::Duration;
use unlock::identity::clone_of;
use unlock::{Binding, Enrolled};

/// Prints one line for each binding: `SLOT: PIN 'CONFIG'`, as the original does; or answers whether one is as wanted.
pub fn run(args: &ListArgs) -> Result<(), CommandError> {
    let header = Disks::open(&args.device, Access::Read)?.read_header()?;
    if let [pin, config] = args.expect.as_slice() {
        let slot = volume::slot(args.slot.unwrap_or_default())?;
        return expect::run(&header, slot, pin, config, args.format);
    }
    volume::check_meta(&header)?;
    let enrolled = enrolled(args, &header)?;
    let bindings = if args.token.is_some() && !enrolled.is_empty() { Vec::new() } else { wanted(args, &header)? };
    if args.pins {
        return print_pins(args.format, &bindings, &enrolled);
    }
    let detail = if args.verbose { Detail::Verdict(around(&bindings, &enrolled)) } else { Detail::Policy };
    for binding in &bindings {
        let clone_of = clone_of(&header, binding).filter(|_| args.verbose);
        let place = clone_of.map_or_else(Object::new, |uuid| Object::new().with("clone_of", uuid.to_string()));
        let accepts = Accepts::of(&header, binding).filter(|_| args.verbose);
        let place = accepts.iter().fold(place, |place, accepts| accepts.put(place));
        print_binding(args.format, detail, &place, "", binding)?;
        if let Some(accepts) = accepts.filter(|_| !args.format.json) {
            output::line(&format!("   {}", accepts.line(&args.device, binding.slot)))?;
        }
        if clone_of.is_some() {
            volume::tell_clone(&header, binding);
        }
    }
    enrolled.iter().try_for_each(|found| print_enrolled(args.format, detail, found))?;
    if bindings.is_empty() && enrolled.is_empty() {
        output::say(&args.slot.map_or("no keyslot is bound".to_owned(), |slot| format!("keyslot {slot} is not bound")));
    }
    for broken in unlock::unreadable(&header) {
        output::say(&format!("{}: {}", broken.place(), volume::reasons(&broken.why)));
    }
    Ok(())
}

/// How long a TPM may take to say what it is. What is listed does not depend on it.
const TPM_PATIENCE: Duration = Duration::from_secs(5);

/// What the bindings are judged for. The TPM is asked if it has a part in one of them.
fn around(bindings: &[Binding], enrolled: &[Enrolled]) -> Surroundings {
    let bound = bindings.iter().filter_map(|binding| clevis::configuration(&binding.jwe, crate::pins::ALL).ok());
    let bound = bound.map(|stored| verdict::of_binding(&stored));
    let mut policies = bound.chain(enrolled.iter().filter_map(|found| enrolled::said(found).policy));
    if policies.any(|policy| verdict::has_tpm(&policy)) {
        verdict::with_tpm(&Host::new(TPM_PATIENCE).ports(TrustPolicy::Ask))
    } else {
        verdict::this_machine()
    }
}

fn wanted(args: &ListArgs, header: &Header) -> Result<Vec<Binding>, CommandError> {
    if args.token.is_some() {
        let which = BindingChoice { slot: None, token: args.token };
        return Ok(vec![chosen::binding(header, &which, &args.device.path)?]);
    }
    let only = args.slot.map(volume::slot).transpose()?;
    let mut bindings = unlock::bindings(header);
    bindings.retain(|binding| only.is_none_or(|slot| slot == binding.slot));
    Ok(bindings)
}

/// What systemd has enrolled for these keyslots, or by this token.
fn enrolled(args: &ListArgs, header: &Header) -> Result<Vec<Enrolled>, CommandError> {
    let only = args.slot.map(volume::slot).transpose()?;
    let token = args.token.map(volume::token).transpose()?;
    let mut enrolled = unlock::enrolled(header);
    enrolled
        .retain(|found| only.is_none_or(|slot| slot == found.slot) && token.is_none_or(|token| token == found.token));
    Ok(enrolled)
}

/// How much is said of a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// The pin and its configuration.
    Policy,
    /// What it protects from, too, there.
    Verdict(Surroundings),
}

/// Prints one binding: for a program after the members of `place`, for a person after `lead`. A program gets the whole
/// configuration, a person the line of the original, which leaves out some.
pub fn print_binding(
    format: Format,
    detail: Detail,
    place: &Object,
    lead: &str,
    binding: &Binding,
) -> Result<(), CommandError> {
    let record = with_token(place.clone().with("slot", u64::from(binding.slot.number())), binding.token);
    let pins = crate::pins::ALL;
    let found =
        clevis::describe(&binding.jwe, pins).and_then(|found| Ok((found, clevis::configuration(&binding.jwe, pins)?)));
    match found {
        Ok((shown, stored)) => {
            let text = visible(&shown.shown.config.to_compact());
            let lost: Vec<Value> = stored.lost.iter().map(|lost| lost.to_string().into()).collect();
            let record = record
                .with("pin", shown.pin)
                .with("config", stored.config.field().value().clone())
                .with("complete", stored.is_complete());
            let record = if lost.is_empty() { record } else { record.with("lost", lost) };
            let line = format!("{lead}{}: {} '{text}'", binding.slot, shown.pin);
            let Detail::Verdict(around) = detail else {
                return output::record(format, record, || line);
            };
            let verdict = Verdict::of(&verdict::of_binding(&stored), &around);
            let record = record.with("verdict", verdict::record(&verdict));
            output::record(format, record, || format!("{line}\n{}", verdict::table(&verdict, &format!("{lead}   "))))
        }
        Err(error) => {
            let why = volume::reasons(&error);
            let record = record.with("error", why.as_str());
            output::record(format, record, || format!("{lead}{}: {why}", binding.slot))
        }
    }
}

fn print_enrolled(format: Format, detail: Detail, found: &Enrolled) -> Result<(), CommandError> {
    let Said { record, line, policy } = enrolled::said(found);
    let (Some(policy), Detail::Verdict(around)) = (policy, detail) else {
        return output::record(format, record, || line);
    };
    let verdict = Verdict::of(&policy, &around);
    let record = record.with("verdict", verdict::record(&verdict));
    output::record(format, record, || format!("{line}\n{}", verdict::table(&verdict, "   ")))
}

/// The names of all pins in these bindings, in the order of their letters.
fn print_pins(format: Format, bindings: &[Binding], enrolled: &[Enrolled]) -> Result<(), CommandError> {
    let mut names: BTreeSet<String> = enrolled.iter().map(|found| enrolled::name(&found.how).to_owned()).collect();
    for binding in bindings {
        match clevis::configuration(&binding.jwe, crate::pins::ALL) {
            Ok(stored) => collect_pins(stored.pin, stored.config.field().value(), &mut names),
            Err(_) => names.extend(clevis::pin_name(&binding.jwe).ok().map(|name| name.as_str().to_owned())),
        }
    }
    names.iter().try_for_each(|name| output::record(format, Object::new().with("pin", name.as_str()), || visible(name)))
}

/// A pin and those inside it: `{"pins":{"tang":[…],"sss":{"pins":…}}}`.
fn collect_pins(pin: &str, config: &Value, names: &mut BTreeSet<String>) {
    names.insert(pin.to_owned());
    let inner = config.as_object().and_then(|config| config.get("pins")?.as_object());
    for (name, config) in inner.into_iter().flat_map(Object::iter) {
        match config {
            Value::Array(several) => several.iter().for_each(|config| collect_pins(name, config, names)),
            config => collect_pins(name, config, names),
        }
    }
}
