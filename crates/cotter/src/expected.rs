//! What this machine expects of its volumes: a list that lies beside the disks, in the boot image for one.

use crate::args::Expect;
use crate::error::CommandError;
use clevis::Files;
use crypto::VolumeKey;
use json::Object;
use linux::HostFiles;
use luks::{Header, KeyFingerprint};
use std::io::ErrorKind;
use std::path::Path;
use unlock::identity::{self, Expectation, Expected, IdentityFault, Others};

/// The list that counts where none is named, if it is there.
pub const USUAL: &str = "/etc/cotter/volumes.json";

/// The exit code where a volume is not the one that it should be.
const NOT_EXPECTED: u8 = 3;

/// What is to be expected of a volume that was opened with this key.
pub fn of_volume(header: &Header, key: &VolumeKey, name: Option<String>) -> Expected {
    // Where no binding names a key of the TPM there is nothing to hold them to, and the first one needs no new list.
    let parents = Some(identity::parents(header, crate::pins::ALL)).filter(|parents| !parents.is_empty());
    Expected { uuid: header.uuid(), key: KeyFingerprint::of(key), name, parents }
}

/// The list that is named, or else the usual one.
pub fn read(args: &Expect) -> Result<Expectation, CommandError> {
    let list = match &args.expect {
        Some(path) => named(path)?,
        None => usual()?,
    };
    Ok(if args.only_expected { list.with_others(Others::Refuse) } else { list })
}

/// The list in this file.
pub fn named(path: &Path) -> Result<Expectation, CommandError> {
    parse(path, content(path).map_err(|source| not_read(path, source))?.expose())
}

/// The usual list; nothing is expected where there is none. It is made for who starts the machine: somebody else may not be able to read
/// it, whose images it is not about.
pub fn usual() -> Result<Expectation, CommandError> {
    let path = Path::new(USUAL);
    match content(path) {
        Ok(content) => parse(path, content.expose()),
        Err(source) if source.kind() == ErrorKind::NotFound => Ok(Expectation::default()),
        Err(source) if source.kind() == ErrorKind::PermissionDenied && !linux::machine::is_root() => {
            Ok(Expectation::default())
        }
        Err(source) => Err(not_read(path, source)),
    }
}

fn content(path: &Path) -> Result<crypto::Secret, std::io::Error> {
    let text = path.to_str().ok_or(ErrorKind::InvalidInput)?;
    HostFiles.read(text)
}

fn parse(path: &Path, content: &[u8]) -> Result<Expectation, CommandError> {
    Expectation::parse(content).map_err(|source| {
        let hint = source.hint();
        CommandError::failed(format!("{} cannot be followed", path.display()), source).hint(hint)
    })
}

fn not_read(path: &Path, source: std::io::Error) -> CommandError {
    let error = CommandError::failed(format!("cannot read the list of expected volumes {}", path.display()), source);
    error.hint("make one: `cotter luks identity -d DEVICE --add FILE`")
}

/// The error as an alarm, with an exit code of its own and a record for programs.
pub fn alarm(error: CommandError, fault: &IdentityFault) -> CommandError {
    if !fault.is_alarm() {
        return error;
    }
    error.code(NOT_EXPECTED).alarm(record(fault))
}

fn record(fault: &IdentityFault) -> Object {
    let alarm = |word: &str| Object::new().with("alarm", word);
    match fault {
        IdentityFault::OtherKey { uuid, expected, found, name } => {
            let record = alarm("other key").with("uuid", uuid.to_string());
            let record = record.with("expected", expected.to_string()).with("found", found.to_string());
            match name {
                Some(name) => record.with("name", name.as_str()),
                None => record,
            }
        }
        IdentityFault::Unlisted { uuid } => alarm("not listed").with("uuid", uuid.to_string()),
        IdentityFault::NotLuks { found } => alarm("not encrypted").with("found", found.unwrap_or("nothing known")),
        IdentityFault::BoundToOther { slot, uuid } => {
            alarm("bound to another").with("slot", u64::from(slot.number())).with("uuid", uuid.to_string())
        }
        IdentityFault::OtherParent { slot, uuid, found } => {
            let record = alarm("other parent").with("slot", u64::from(slot.number())).with("uuid", uuid.to_string());
            match found {
                Some(found) => record.with("found", found.to_string()),
                None => record,
            }
        }
        IdentityFault::Malformed { slot } => alarm("makes no sense").with("slot", u64::from(slot.number())),
    }
}
