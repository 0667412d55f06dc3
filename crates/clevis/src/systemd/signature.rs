//! Signatures over the values of PCRs, as `systemd-measure sign` writes them:
//! `{"sha256":[{"pcrs":[11],"pkfp":HEX,"pol":HEX,"sig":BASE64},…],…}`. A bank holds one for each state of the boot that is vouched for.

use super::token::{Signed, bytes};
use crate::error::{PinError, SignedPolicyError};
use crate::pin::Ports;
use ::tpm2::PcrSet;
use json::{Field, FieldError, Limits, Value};
use std::io;

/// Where they are, if nothing else is named.
const PLACES: [&str; 3] =
    ["/etc/systemd/tpm2-pcr-signature.json", OF_THIS_BOOT, "/usr/lib/systemd/tpm2-pcr-signature.json"];
/// Where those are put that a unified image brings along.
const OF_THIS_BOOT: &str = "/run/systemd/tpm2-pcr-signature.json";
/// Longest signature, in characters of base64.
const LONGEST: usize = 2048;

/// A file of signatures.
pub(super) struct Signatures {
    pub(super) path: String,
    content: Value,
}

impl Signatures {
    /// Reads this file, or the first that is there.
    pub(super) fn read(named: Option<&str>, ports: &Ports<'_>) -> Result<Signatures, PinError> {
        let named = named.map(|path| [path]);
        let (mut missing, places) = (None, named.as_ref().map_or(PLACES.as_slice(), |named| named.as_slice()));
        for path in places.iter().copied() {
            match ports.files.read(path) {
                Ok(text) => {
                    let bad = |source| bad(path, SignedPolicyError::NotJson(source));
                    let content = json::parse(text.expose(), &Limits::POLICY).map_err(bad)?;
                    return Ok(Signatures { path: path.to_owned(), content });
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => missing = Some(error),
                Err(source) => return Err(PinError::File { path: path.to_owned(), source }),
            }
        }
        let path = named.map_or(OF_THIS_BOOT, |[path]| path).to_owned();
        Err(PinError::File { path, source: missing.unwrap_or(io::ErrorKind::NotFound.into()) })
    }

    /// The signature of this key over this policy of these PCRs.
    ///
    /// # Errors
    /// [`PinError::SignedPolicy`] if the file says something else than such files say, [`PinError::NotSigned`] if there is none.
    pub(super) fn find(&self, signed: &Signed, policy: &[u8]) -> Result<Vec<u8>, PinError> {
        let found = self.look_for(signed, policy);
        let found = found.map_err(|source| bad(&self.path, SignedPolicyError::Field(source)))?;
        found.ok_or_else(|| PinError::NotSigned { pcrs: signed.pcrs, path: self.path.clone() })
    }

    fn look_for(&self, signed: &Signed, policy: &[u8]) -> Result<Option<Vec<u8>>, FieldError> {
        let Some(bank) = self.content.field("signatures").optional(signed.pcrs.bank().name())? else { return Ok(None) };
        for entry in bank.items()? {
            let pcrs = entry.member("pcrs")?;
            let numbers = pcrs.items()?.map(|pcr| pcr.integer()).collect::<Result<Vec<u64>, FieldError>>()?;
            let same = PcrSet::new(numbers).is_ok_and(|set| set.in_bank(signed.pcrs.bank()) == signed.pcrs);
            let says = |name, bytes: &[u8]| entry.member(name).map(|field| is_hex(&field, bytes));
            if same && says("pkfp", &signed.by.fingerprint)? && says("pol", policy)? {
                return bytes(&entry.member("sig")?, LONGEST).map(Some);
            }
        }
        Ok(None)
    }
}

fn bad(path: &str, source: SignedPolicyError) -> PinError {
    PinError::SignedPolicy { path: path.to_owned(), source }
}

/// Whether a text is these bytes in hexadecimal digits.
fn is_hex(field: &Field<'_>, bytes: &[u8]) -> bool {
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    field.value().as_str().is_some_and(|found| found.eq_ignore_ascii_case(&text))
}
