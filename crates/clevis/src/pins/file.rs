//! The pin `file`: the content key stands in a file of its own (clevis after 22, nbde-formats 3.7).
//!
//! The name of the file is in the header, which anybody may have written who can write the disk. So it is read with care
//! ([`Files::read_key`](crate::Files::read_key)), and nothing of what is in it is ever said.

use crate::config::{Config, ConfigError};
use crate::error::{BindingError, PinError};
use crate::pin::{HEADER, Opened, Pin, Ports, Shown, header};
use crate::pins::tpm2::{key_text, new_key};
use crate::stored::Lost;
use crypto::Secret;
use jose::{Jwe, Jwk};
use json::{Field, Object, Value};
use std::io;

const NAME: &str = "file";

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct File;

impl Pin for File {
    fn name(&self) -> &'static str {
        NAME
    }

    fn check(&self, config: &Config, _: &[&dyn Pin]) -> Result<(), PinError> {
        read_config(config)?;
        Ok(())
    }

    /// Makes the file; it stays when what comes after fails.
    fn encrypt(&self, config: &Config, secret: &Secret, beside: &Object, ports: &Ports<'_>) -> Result<Jwe, PinError> {
        let path = read_config(config)?;
        let key = new_key(ports)?;
        let inner = Object::new().with("pin", NAME).with(NAME, Object::new().with("name", path));
        let header = beside.clone().with("clevis", inner);
        let jwe = Jwe::encrypt_dir(&header, &key, secret, ports.random);
        let jwe = jwe.map_err(|source| PinError::Seal { pin: NAME, source })?;
        ports.files.make_key(path, &key_text(&key)).map_err(|source| failed(path, source))?;
        Ok(jwe)
    }

    fn open(&self, jwe: &Jwe, ports: &Ports<'_>) -> Result<Opened, PinError> {
        let header = header(jwe);
        let path = read(&header.field(HEADER))?;
        let text = ports.files.read_key(path).map_err(|source| failed(path, source))?;
        // What it says instead is nobody's business.
        let none = || failed(path, io::Error::new(io::ErrorKind::InvalidData, "there is no key in it"));
        let key = Jwk::parse(text.expose()).map_err(|_| none())?;
        let bytes = key.oct_key().map(Secret::expose).ok_or_else(none)?;
        let secret = jwe.decrypt_with(&key).map_err(|source| PinError::WrongKey { pin: NAME, source })?;
        Ok(Opened::new(secret, Secret::copied_from(bytes)))
    }

    fn is_at_hand(&self, _: &Field<'_>) -> bool {
        true
    }

    fn describe(&self, header: &Field<'_>, _: &[&dyn Pin]) -> Result<Shown, PinError> {
        Ok(Shown { config: configuration(read(header)?), lossy: false })
    }

    fn stored(&self, header: &Field<'_>, _: &[&dyn Pin], _: &mut Vec<Lost>) -> Result<Value, PinError> {
        Ok(configuration(read(header)?))
    }

    fn meets(&self, config: &Config, header: &Field<'_>, _: &[&dyn Pin]) -> Result<bool, PinError> {
        Ok(read(header)? == read_config(config)?)
    }
}

fn configuration(path: &str) -> Value {
    Object::new().with("name", path).into()
}

fn read_config(config: &Config) -> Result<&str, ConfigError> {
    config.only(&["name"])?;
    let name = config.field().member("name")?;
    match name.text()? {
        "" => Err(name.wrong_value("the name of a file").into()),
        path => Ok(path),
    }
}

fn read<'a>(header: &Field<'a>) -> Result<&'a str, PinError> {
    let name = (|| header.member("clevis")?.member(NAME)?.member("name")?.text())();
    name.map_err(|source| PinError::BadBinding { pin: NAME, source: BindingError::Field(source) })
}

fn failed(path: &str, source: io::Error) -> PinError {
    PinError::KeyFile { path: path.to_owned(), source }
}
