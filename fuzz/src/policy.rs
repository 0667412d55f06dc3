//! The protected header of a JWE of any pin, and an approval.

use crate::Reached;
use clevis::pins::ALL;
use clevis::{Approval, Config, PinError};
use crypto::{Random, RandomFailed, Secret};
use jose::Jwe;
use json::{Limits, Object, Value};

/// Takes the bytes as JSON: what an attacker can write into a binding, or into the token of the approvals. What a binding tells of its
/// configuration is one that makes such a binding; an approval that is read is written as the same one.
pub fn policy(bytes: &[u8]) -> Reached {
    let Ok(value) = json::parse(bytes, &Limits::POLICY) else { return Reached::Nothing };
    let Value::Object(members) = &value else { return Reached::Nothing };
    match Approval::read(&value.field("approval")) {
        Ok(approval) => {
            let again: Value = approval.to_json().into();
            assert_eq!(Approval::read(&again.field("approval")).ok(), Some(approval));
            Reached::Read
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            header(members)
        }
    }
}

fn header(members: &Object) -> Reached {
    let jwe = Jwe::encrypt_dir(members, &Secret::new(vec![0; 32]), &Secret::new(Vec::new()), &Zeros);
    let Ok(jwe) = jwe else { return Reached::Nothing };
    let say = |error: PinError| {
        assert!(!error.to_string().is_empty() && !error.hint().is_empty());
        error.next_step();
    };
    clevis::describe(&jwe, ALL).map(drop).unwrap_or_else(say);
    clevis::servers(&jwe, ALL).map(drop).unwrap_or_else(say);
    clevis::signed(&jwe, ALL).map(drop).unwrap_or_else(say);
    clevis::measured::parts(&jwe).map(drop).unwrap_or_else(say);
    match clevis::configuration(&jwe, ALL) {
        Ok(stored) => {
            let config = stored.config.field().value().to_compact();
            assert!(Config::parse(config.as_bytes()).is_ok() || config.len() > Limits::POLICY.bytes);
            clevis::meets(stored.pin, &stored.config, &jwe, ALL).map(drop).unwrap_or_else(say);
            Reached::Read
        }
        Err(error) => {
            say(error);
            Reached::Nothing
        }
    }
}

/// Nothing here is secret.
struct Zeros;

impl Random for Zeros {
    fn fill(&self, into: &mut [u8]) -> Result<(), RandomFailed> {
        into.fill(0);
        Ok(())
    }
}
