//! What one stage of a start leaves to the next: the agent of the initramfs does not outlive it, and the one of the system is told by a file
//! which volumes were opened by what, and what was done to the network. There is no secret in it.

use super::search::Found;
use crate::error::CommandError;
use crate::private_file;
use json::{Field, FieldError, Limits, Object, Value};
use linux::since_start;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The file in the directory that both stages see.
const NAME: &str = "boot.json";

/// What was done so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Handover {
    /// The volumes that were opened, in their order.
    pub opened: Vec<Opening>,
    /// What was done to the network, as `linux::network` tells it and takes it back.
    pub network: Vec<String>,
}

/// A volume that was opened, or whose secret was given to who asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The path of the volume.
    pub volume: String,
    /// Its UUID.
    pub uuid: String,
    /// The keyslot.
    pub slot: u64,
    /// The pin of its binding.
    pub pin: String,
    /// What the mapping is called, if it was made here.
    pub mapped: Option<String>,
    /// When, in milliseconds since the machine was started.
    pub at_ms: u64,
}

/// The file of this directory.
pub fn file(directory: &Path) -> PathBuf {
    directory.join(NAME)
}

impl Handover {
    /// Reads what the directory holds; nothing was done where there is no file.
    ///
    /// # Errors
    /// It cannot be read, or something in it is not known.
    pub fn read(directory: &Path) -> Result<Handover, CommandError> {
        let path = file(directory);
        let failed = |source: std::io::Error| CommandError::failed(format!("cannot read {}", path.display()), source);
        let content = match linux::read_regular_file(&path, Limits::SMALL.bytes as u64 + 1) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Handover::default()),
            content => content.map_err(failed)?,
        };
        let what = || format!("{} cannot be followed", path.display());
        let value = json::parse(&content, &Limits::SMALL).map_err(|source| CommandError::failed(what(), source))?;
        Handover::of(&value.field("boot")).map_err(|source| CommandError::failed(what(), source))
    }

    /// Puts it into the directory, which is made if need be. Who reads meanwhile finds the old or the new.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, directory: &Path) -> Result<(), CommandError> {
        let what = || format!("cannot make {}", directory.display());
        fs::create_dir_all(directory).map_err(|source| CommandError::failed(what(), source))?;
        let opened: Vec<Value> = self.opened.iter().map(|opening| opening.to_object().into()).collect();
        let network: Vec<Value> = self.network.iter().map(|line| line.as_str().into()).collect();
        let object = Object::new().with("opened", opened).with("network", network);
        private_file::replace(&file(directory), Value::from(object).to_compact().as_bytes())
    }

    fn of(field: &Field<'_>) -> Result<Handover, FieldError> {
        only(field, &["opened", "network"])?;
        let opened = field.member("opened")?.items()?.map(|opening| Opening::of(&opening)).collect::<Result<_, _>>()?;
        let network = field.member("network")?;
        let network = network.items()?.map(|line| line.text().map(str::to_owned)).collect::<Result<_, _>>()?;
        Ok(Handover { opened, network })
    }
}

impl Opening {
    /// A volume whose secret was found and handed over, now.
    pub fn of_found(volume: &str, found: &Found) -> Opening {
        Opening {
            volume: volume.to_owned(),
            uuid: found.header.header().uuid_text(),
            slot: found.unlocked.slot.number().into(),
            pin: found.unlocked.pin.as_str().to_owned(),
            mapped: None,
            at_ms: u64::try_from(since_start().as_millis()).unwrap_or(u64::MAX),
        }
    }

    fn to_object(&self) -> Object {
        let object = Object::new().with("volume", self.volume.as_str()).with("uuid", self.uuid.as_str());
        let object = object.with("slot", self.slot).with("pin", self.pin.as_str()).with("at_ms", self.at_ms);
        match &self.mapped {
            Some(name) => object.with("mapped", name.as_str()),
            None => object,
        }
    }

    fn of(field: &Field<'_>) -> Result<Opening, FieldError> {
        only(field, &["volume", "uuid", "slot", "pin", "mapped", "at_ms"])?;
        let text = |name: &str| field.member(name)?.text().map(str::to_owned);
        let mapped = field.optional("mapped")?.map(|name| name.text().map(str::to_owned)).transpose()?;
        let (slot, at_ms) = (field.member("slot")?.integer()?, field.member("at_ms")?.integer()?);
        Ok(Opening { volume: text("volume")?, uuid: text("uuid")?, slot, pin: text("pin")?, mapped, at_ms })
    }
}

fn only(field: &Field<'_>, known: &[&str]) -> Result<(), FieldError> {
    match field.members()?.find(|(name, _)| !known.contains(name)) {
        Some((_, member)) => Err(member.wrong_value("known")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_stage_reads_what_the_one_before_has_written() {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().join("run");
        assert_eq!(Handover::read(&run).unwrap(), Handover::default());
        let opening = Opening {
            volume: "/dev/vda2".into(),
            uuid: "3f9f4ab4-0f2c-4a0e-9d5c-6c8f4b0a1d2e".into(),
            slot: 1,
            pin: "tang".into(),
            mapped: None,
            at_ms: 1930,
        };
        let mapped = Opening { mapped: Some("root".into()), ..opening.clone() };
        let done = Handover { opened: vec![opening, mapped], network: vec!["address eth0 192.0.2.9/24".into()] };
        done.write(&run).unwrap();
        assert_eq!(Handover::read(&run).unwrap(), done);
        let text = fs::read_to_string(file(&run)).unwrap();
        for (was, is) in [("\"uuid\"", "\"UUID\""), ("\"slot\":1", "\"slot\":-1"), ("\"opened\"", "\"x\""), ("}", "")] {
            fs::write(file(&run), text.replace(was, is)).unwrap();
            let error = Handover::read(&run).unwrap_err().to_string();
            assert!(error.contains("boot.json cannot be followed"), "{is}: {error}");
        }
    }
}
