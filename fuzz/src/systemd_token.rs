//! A token of systemd's in a LUKS2 header.

use crate::Reached;
use crate::header::say;
use clevis::systemd::Tpm2;
use clevis::verdict::{Surroundings, Verdict};
use json::Limits;

/// Takes the bytes as a token of the type `systemd-tpm2`. What is read can be described and judged.
pub fn systemd_token(bytes: &[u8]) -> Reached {
    let Ok(token) = json::parse(bytes, &Limits::LUKS2) else { return Reached::Nothing };
    match Tpm2::read(&token.field("token")) {
        Err(error) => {
            say(&error);
            Reached::Nothing
        }
        Ok(Err(unopened)) => {
            assert!(!unopened.to_string().is_empty() && !unopened.hint().is_empty());
            Reached::Read
        }
        Ok(Ok(tpm2)) => {
            assert!(tpm2.configuration().len() <= 4);
            Verdict::of(&tpm2.policy(), &Surroundings::default());
            Reached::Accepted
        }
    }
}
