//! `cotter tpm keygen`: a key that signs which values of PCRs are right.

use crate::args::{KeygenArgs, Quoted};
use crate::error::CommandError;
use crate::{output, private_file};
use crypto::SystemRandom;
use crypto::ec::Curve;
use jose::Jwk;
use json::Value;

/// Makes it; the public half is what a binding takes.
pub fn run(args: &KeygenArgs) -> Result<(), CommandError> {
    let failed = |source| CommandError::failed("cannot make a key", source);
    let key = Jwk::signing(Curve::P256, &SystemRandom).map_err(failed)?;
    private_file::write(&args.file, key.private_json().as_bytes())?;
    output::line(&Value::Object(key.public_json()).to_compact())?;
    let file = Quoted(&args.file);
    output::say(&format!(
        "whoever has {file} says what may open the volumes: keep it on the encrypted root, for root alone, or elsewhere"
    ));
    Ok(())
}
