//! `cotter luks fingerprint`: what tells a volume from its clones.
//!
//! Machines made from one image share the volume key, and with it everything: whoever opens one of them reads all.

use crate::args::FingerprintArgs;
use crate::error::CommandError;
use crate::host::Host;
use crate::opened;
use crate::output;
use crate::passphrase;
use crate::volume::{self, Seal};
use ::luks::{Accepted, Allowed, DataPlace, HeaderFingerprint, KeyFingerprint};
use crypto::{Passphrase, VolumeKey};
use json::{Object, Value};
use linux::{Access, FileDisk};
use std::path::Path;

/// One volume among those that are compared.
struct Print {
    device: String,
    uuid: String,
    header: HeaderFingerprint,
    key: Option<KeyFingerprint>,
}

/// Something that two volumes should not have in common.
struct Clone {
    one: String,
    other: String,
    shared: Vec<&'static str>,
}

/// Prints the fingerprints of each volume, and then which of them are clones.
pub fn run(args: &FingerprintArgs) -> Result<(), CommandError> {
    if args.detached_header.is_some() && args.devices.len() > 1 {
        let error = CommandError::usage("--detached-header goes with one device");
        return Err(error.hint("to compare several, name the files of their headers: -d HEADER -d HEADER"));
    }
    let host = Host::new(args.patience.limit());
    let passphrase = args.key.source().map(|key| passphrase::existing(&key, host.person())).transpose()?;
    let mut prints: Vec<Print> = Vec::new();
    for device in &args.devices {
        let print = print_of(args, device, passphrase.as_ref(), &host)?;
        let record = print.record();
        output::record(args.format, record, || print.to_string())?;
        prints.push(print);
    }
    clones(&prints).iter().try_for_each(|clone| {
        output::say(&format!("{} and {} are clones: they share {}", clone.one, clone.other, clone.shared.join(", ")));
        if args.format.json { output::record(args.format, clone.record(), String::new) } else { Ok(()) }
    })
}

fn print_of(
    args: &FingerprintArgs,
    device: &Path,
    passphrase: Option<&Passphrase>,
    host: &Host,
) -> Result<Print, CommandError> {
    let disk = volume::open_disk(args.detached_header.as_deref().unwrap_or(device), Access::Read)?;
    // Only the header counts here, wherever its data is.
    let allowed = Allowed { data: DataPlace::OtherDisk, ..volume::allowed(&args.ceilings) };
    let header = volume::accept(volume::read_header(&disk)?, disk.path(), &allowed)?;
    let key = match passphrase {
        None if !args.open => None,
        _ => Some(volume_key(args, &disk, &header, passphrase, host)?),
    };
    Ok(Print {
        device: device.display().to_string(),
        uuid: header.header().uuid().to_string(),
        header: HeaderFingerprint::of(&header),
        key: key.as_ref().map(KeyFingerprint::of),
    })
}

fn volume_key(
    args: &FingerprintArgs,
    disk: &FileDisk,
    header: &Accepted,
    passphrase: Option<&Passphrase>,
    host: &Host,
) -> Result<VolumeKey, CommandError> {
    let Some(passphrase) = passphrase else {
        return Ok(volume::open_by_bindings(&host.closed(disk, header)?, None, Seal::Counts, host)?.key);
    };
    let what = || format!("{} stays closed", disk.path().display());
    let opened = volume::open_by_passphrase(&host.closed(disk, header)?, passphrase, None, Seal::Counts);
    let source = || args.key.source().unwrap_or_default();
    opened.map(|opened| opened.key).map_err(|failed| opened::not_opened(what(), &source(), passphrase, failed))
}

/// All pairs that share something.
fn clones(prints: &[Print]) -> Vec<Clone> {
    let later = |i: usize, one| prints.iter().skip(i + 1).map(move |other| (one, other));
    let pairs = prints.iter().enumerate().flat_map(|(i, one)| later(i, one));
    let found = pairs.filter_map(|(one, other): (&Print, &Print)| {
        let shared = one.shares_with(other);
        let clone = || Clone { one: one.device.clone(), other: other.device.clone(), shared: shared.clone() };
        (!shared.is_empty()).then(clone)
    });
    found.collect()
}

impl Print {
    fn shares_with(&self, other: &Print) -> Vec<&'static str> {
        let mut shared = Vec::new();
        if self.uuid == other.uuid {
            shared.push("the UUID");
        }
        if self.header == other.header {
            shared.push("the digest of the volume key");
        }
        if self.key.is_some() && self.key == other.key {
            shared.push("the volume key");
        }
        shared
    }

    fn record(&self) -> Object {
        let record = Object::new()
            .with("device", self.device.as_str())
            .with("uuid", self.uuid.as_str())
            .with("header", self.header.to_string());
        match self.key {
            Some(key) => record.with("key", key.to_string()),
            None => record,
        }
    }
}

impl Clone {
    fn record(&self) -> Object {
        let devices: Vec<Value> = vec![self.one.as_str().into(), self.other.as_str().into()];
        let shared: Vec<Value> = self.shared.iter().map(|what| Value::from(*what)).collect();
        Object::new().with("clones", devices).with("shared", shared)
    }
}

/// One line, made for `sort` and `uniq`: fingerprints first.
impl std::fmt::Display for Print {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "header:{}", self.header)?;
        if let Some(key) = &self.key {
            write!(f, " key:{key}")?;
        }
        write!(f, " {} {}", self.uuid, crate::error::visible(&self.device))
    }
}
