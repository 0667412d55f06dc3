//! The pins against servers that run in process, against JWEs that the original made, and against hostile ones.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod cotter_tpm2;
mod file;
mod golden;
mod liars;
mod measured;
mod no_random;
mod null;
mod pkcs11;
mod renewal;
mod scripted;
mod server_pins;
mod sss;
mod stored;
mod tang;
mod tpm2;

use clevis::{Config, PinError};
use crypto::{Secret, SystemRandom};
use jose::Jwe;
use json::{Limits, Object};
use scripted::World;

/// The configuration with these words.
fn config(text: &str) -> Config {
    Config::parse(text.as_bytes()).unwrap()
}

/// What is encrypted in most tests.
fn secret() -> Secret {
    Secret::copied_from(b"the secret")
}

/// Encrypts and decrypts; the secret comes back.
fn round_trip(world: &World, pin: &str, text: &str) -> Jwe {
    let jwe = clevis::encrypt(pin, &config(text), &secret(), &world.ports()).unwrap();
    let jwe = Jwe::parse_compact(jwe.to_compact().unwrap().as_bytes()).unwrap();
    assert_eq!(open(world, &jwe).unwrap(), "the secret");
    jwe
}

fn open(world: &World, jwe: &Jwe) -> Result<String, PinError> {
    clevis::decrypt(jwe, &world.ports()).map(|secret| String::from_utf8(secret.expose().to_vec()).unwrap())
}

fn object(text: &str) -> Object {
    json::parse(text.as_bytes(), &Limits::POLICY).unwrap().as_object().unwrap().clone()
}

/// A JWE that nobody meant: any header, `dir`, and a key of zeros.
fn forged(header: &str) -> Jwe {
    Jwe::encrypt_dir(&object(header), &Secret::new(vec![0; 32]), &secret(), &SystemRandom).unwrap()
}

/// The error and its causes as one line.
fn story(error: &PinError) -> String {
    let mut line = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        line += &format!(": {error}");
        cause = error.source();
    }
    line
}
