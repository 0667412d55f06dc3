//! `cotter tpm status`: what the TPM is, how it is, and what the log of the boot explains.

use super::{bank, log};
use crate::args::TpmStatusArgs;
use crate::error::{CommandError, one_line, visible};
use crate::host::Host;
use crate::output;
use crate::volume;
use clevis::measured::{PcrDigests, to_hex};
use clevis::{PinError, TrustPolicy};
use json::{Object, Value};
use linux::{TpmNode, WhyThisTpm, platform};
use tpm2::event_log::{Event, EventLog, Explained};
use tpm2::{Bank, DictionaryAttack, Identity, PcrSelection, TpmKind};

/// PCRs of a bank.
const PCRS: u64 = 24;
/// Names of what stands behind a PCR that are shown without -v.
const MOST_SHOWN: usize = 3;

/// What the TPM itself says.
struct Said {
    identity: Identity,
    protection: DictionaryAttack,
    banks: Vec<Bank>,
    bank: Bank,
    pcrs: PcrDigests,
}

/// Prints it. No TPM at all is a failure; a TPM that may not be talked to is described by what the kernel shows.
pub fn run(args: &TpmStatusArgs) -> Result<(), CommandError> {
    let wanted = args.bank.as_deref().map(bank::named).transpose()?;
    let log = log::read(&args.log)?;
    let host = Host::new(args.patience.limit());
    host.cancel_on_signal()?;
    let nodes = TpmNode::all();
    let chosen = host.which_tpm();
    let said = clevis::measured::ask(&host.ports(TrustPolicy::Ask), |tpm| {
        let banks = tpm.banks()?;
        let first = banks.iter().find(|bank| bank.name() == "sha256").or(banks.first());
        let bank = wanted.or(first.copied()).ok_or(tpm2::TpmError::NoSuchPcr)?;
        let selection = PcrSelection::new(bank, 0..PCRS).map_err(|_| tpm2::TpmError::NoSuchPcr)?;
        let values = tpm.pcr_read(&selection, None)?;
        let pcrs = values.iter().map(|(pcr, value)| (pcr, value.to_vec())).collect();
        Ok(Said { identity: tpm.identity()?, protection: tpm.dictionary_attack()?, banks, bank, pcrs })
    });
    let bank = said.as_ref().map_or_else(|_| wanted, |said| Some(said.bank)).or_else(|| Bank::from_name("sha256"));
    let pcrs = match &said {
        Ok(said) => said.pcrs.clone(),
        // Without root the kernel still shows them, those of the first TPM.
        Err(_) => nodes.first().zip(bank).map(|(node, bank)| node.pcrs(bank.name())).unwrap_or_default(),
    };
    let found = Found { chosen: chosen.as_ref().ok(), nodes: &nodes, said: &said, bank, pcrs: &pcrs, log: &log };
    output::record(args.format, found.record(), || found.text(args.verbose))?;
    match said {
        Ok(_) => Ok(()),
        Err(source) if nodes.is_empty() && chosen.is_err() => {
            let hint = source.hint();
            Err(CommandError::failed("there is nothing more to say", source).hint(hint))
        }
        Err(source) => {
            let hint = source.hint();
            Err(CommandError::failed("the TPM itself was not asked", source).hint(hint))
        }
    }
}

/// All that was found out.
struct Found<'a> {
    chosen: Option<&'a (String, WhyThisTpm)>,
    nodes: &'a [TpmNode],
    said: &'a Result<Said, PinError>,
    bank: Option<Bank>,
    pcrs: &'a PcrDigests,
    log: &'a EventLog,
}

impl Found<'_> {
    fn record(&self) -> Object {
        let devices: Vec<Value> = self.nodes.iter().map(|node| node_record(node).into()).collect();
        let mut record = Object::new().with("devices", devices);
        if let Some((place, why)) = self.chosen {
            record = record.with("tpm", Object::new().with("place", place.as_str()).with("why", why_word(*why)));
        }
        record = match self.said {
            Ok(said) => record
                .with("identity", identity_record(&said.identity))
                .with("protection", protection_record(&said.protection))
                .with("banks", said.banks.iter().map(|bank| bank.name().into()).collect::<Vec<Value>>()),
            Err(error) => record.with("error", volume::reasons(error)),
        };
        let log = Object::new().with("end", log::end_word(self.log));
        record = record.with("log", log.with("events", u64::try_from(self.log.events.len()).unwrap_or(u64::MAX)));
        let Some(bank) = self.bank else { return record };
        let pcrs: Vec<Value> = self.pcrs.iter().map(|(pcr, value)| self.pcr_record(bank, *pcr, value).into()).collect();
        record.with("bank", bank.name()).with("pcrs", pcrs)
    }

    fn pcr_record(&self, bank: Bank, pcr: u8, value: &[u8]) -> Object {
        let explained = match self.log.explains(bank.hash(), pcr, value) {
            Explained::Yes => "yes",
            Explained::Untouched => "untouched",
            Explained::No => "no",
        };
        let event = |event: &Event| {
            let digest = event.digest(bank.hash()).map_or(Value::Null, |digest| to_hex(digest).into());
            let kind = event.kind.to_string();
            Value::from(
                Object::new()
                    .with("kind", kind)
                    .with("component", event.component().to_string())
                    .with("digest", digest),
            )
        };
        Object::new()
            .with("pcr", u64::from(pcr))
            .with("value", to_hex(value))
            .with("explained", explained)
            .with("events", self.log.of_pcr(pcr).map(event).collect::<Vec<Value>>())
    }

    fn text(&self, verbose: bool) -> String {
        let mut lines = Vec::new();
        lines.push(match self.chosen {
            Some((place, why)) => format!("TPM       {place}, {}", why_words(*why)),
            None => "TPM       none".to_owned(),
        });
        lines.extend(self.nodes.iter().map(|node| format!("device    {}", node_text(node))));
        if let Ok(said) = self.said {
            lines.extend(said_lines(said));
        }
        lines.push(format!("log       {}", log::end(self.log)));
        if let Some(bank) = self.bank {
            self.pcrs.iter().for_each(|(pcr, value)| lines.extend(self.pcr_lines(bank, *pcr, value, verbose)));
        }
        lines.iter().map(|line| visible(line)).collect::<Vec<String>>().join("\n")
    }

    fn pcr_lines(&self, bank: Bank, pcr: u8, value: &[u8], verbose: bool) -> Vec<String> {
        let components: Vec<String> =
            self.log.of_pcr(pcr).map(|event| one_line(&event.component().to_string())).collect();
        let word = match self.log.explains(bank.hash(), pcr, value) {
            Explained::Yes => named(&components, verbose),
            Explained::Untouched => "nothing was measured".to_owned(),
            Explained::No => "the log does not explain this PCR".to_owned(),
        };
        let mut lines = vec![format!("{}:{pcr:<2} {}  {word}", bank.name(), to_hex(value))];
        if verbose {
            lines.extend(components.iter().map(|component| format!("    {component}")));
        }
        lines
    }
}

/// What stands behind a PCR, each once.
fn named(components: &[String], verbose: bool) -> String {
    let mut distinct: Vec<&str> = Vec::new();
    for component in components {
        if !distinct.contains(&component.as_str()) {
            distinct.push(component);
        }
    }
    if verbose {
        return format!("{} events", components.len());
    }
    let shown = distinct.iter().take(MOST_SHOWN).copied().collect::<Vec<&str>>().join("; ");
    match distinct.len().saturating_sub(MOST_SHOWN) {
        0 => shown,
        more => format!("{shown}; {more} more"),
    }
}

fn said_lines(said: &Said) -> Vec<String> {
    let Identity { manufacturer, vendor, firmware, revision } = &said.identity;
    let maker = said.identity.maker().map_or(String::new(), |maker| format!(" ({maker})"));
    let [high, low] = [firmware.0, firmware.1].map(|part| format!("{}.{}", part >> 16, part & 0xffff));
    let DictionaryAttack { locked_out, failures, most_failures, forgets_after_s } = said.protection;
    let [failures, most_failures, forgets_after_s] =
        [failures, most_failures, forgets_after_s].map(|told| told.map_or_else(|| "?".into(), |told| told.to_string()));
    let state =
        if locked_out { "LOCKED: what is under it opens only after a failure was forgotten" } else { "not locked" };
    let banks: Vec<&str> = said.banks.iter().map(|bank| bank.name()).collect();
    vec![
        format!(
            "maker     {manufacturer}{maker}, {vendor}, firmware {high}.{low}; TPM 2.0, revision {}.{:02}",
            revision / 100,
            revision % 100
        ),
        format!("made of   {}", kind_words(said.identity.kind())),
        format!(
            "lockout   {state}: {failures} of {most_failures} failures, one is forgotten every {forgets_after_s} s while the machine is on; \
             a power cut can count as one. Bindings of the pin tpm2 and PINs are under it"
        ),
        format!("banks     {}", banks.join(", ")),
    ]
}

fn kind_words(kind: TpmKind) -> &'static str {
    let guest = platform::is_virtual() == Some(true);
    match kind {
        TpmKind::Software => "software: a virtual TPM protects from nobody who reads its host, and is copied as a file",
        _ if guest => "this is a virtual machine, so it may be virtual: that protects from nobody who reads its host",
        TpmKind::Firmware => "a part of the processor's firmware: nothing to listen to on a bus",
        TpmKind::Other => "a chip, as far as is known",
    }
}

fn kind_word(kind: TpmKind) -> &'static str {
    match kind {
        TpmKind::Software => "software",
        TpmKind::Firmware => "firmware",
        TpmKind::Other => "other",
    }
}

fn identity_record(identity: &Identity) -> Object {
    Object::new()
        .with("manufacturer", identity.manufacturer.as_str())
        .with("maker", identity.maker().map_or(Value::Null, Value::from))
        .with("vendor", identity.vendor.as_str())
        .with("firmware", vec![Value::from(u64::from(identity.firmware.0)), u64::from(identity.firmware.1).into()])
        .with("family", "2.0")
        .with("revision", u64::from(identity.revision))
        .with("kind", kind_word(identity.kind()))
        .with("guest", platform::is_virtual().map_or(Value::Null, Value::Bool))
}

fn protection_record(protection: &DictionaryAttack) -> Object {
    let told = |number: Option<u32>| number.map_or(Value::Null, |number| u64::from(number).into());
    Object::new()
        .with("locked_out", Value::Bool(protection.locked_out))
        .with("failures", told(protection.failures))
        .with("most_failures", told(protection.most_failures))
        .with("forgets_after_s", told(protection.forgets_after_s))
}

fn why_word(why: WhyThisTpm) -> &'static str {
    match why {
        WhyThisTpm::Variable(name) => name,
        WhyThisTpm::Given => "given",
        WhyThisTpm::Managed => "managed",
        WhyThisTpm::Bare => "bare",
    }
}

fn why_words(why: WhyThisTpm) -> String {
    match why {
        WhyThisTpm::Variable(name) => format!("because {name} says so"),
        WhyThisTpm::Given => "because it was given".to_owned(),
        WhyThisTpm::Managed => "the first with a resource manager".to_owned(),
        WhyThisTpm::Bare => {
            "which has no resource manager: it takes one program at a time, and what another leaves in it takes room"
                .to_owned()
        }
    }
}

fn node_record(node: &TpmNode) -> Object {
    let text = |text: &Option<String>| text.as_deref().map_or(Value::Null, Value::from);
    Object::new()
        .with("device", node.bare.to_string_lossy().as_ref())
        .with("managed", node.managed.as_ref().map_or(Value::Null, |path| path.to_string_lossy().as_ref().into()))
        .with("family", node.family.map_or(Value::Null, |family| u64::from(family).into()))
        .with("driver", text(&node.driver))
        .with("hardware_id", text(&node.hardware_id))
}

fn node_text(node: &TpmNode) -> String {
    let managed = node.managed.as_ref().map_or(String::new(), |path| format!(", {}", path.display()));
    let driver = node.driver.as_ref().map_or(String::new(), |driver| format!(", driver {driver}"));
    let id = node.hardware_id.as_ref().map_or(String::new(), |id| format!(", {id}"));
    let family = match node.family {
        Some(1) => ": a TPM 1.2, which is of no use here",
        _ => "",
    };
    format!("{}{managed}{driver}{id}{family}", node.bare.display())
}
