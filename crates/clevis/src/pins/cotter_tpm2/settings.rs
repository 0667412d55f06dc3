//! What a configuration says, and which options make no sense together.

use super::latch::LATCH_PCR;
use crate::approval::{check_reference, read_index};
use crate::config::{Config, ConfigError};
use crate::pcr_state::PcrState;
use crate::pins::tpm2::{ECC, KeyName, read_bank, read_ids};
use ::tpm2::policy::MOST_BRANCHES;
use ::tpm2::{Bank, NvIndex, PcrSelection};
use crypto::Hash;
use crypto::ec::{Curve, Point};
use jose::{Jwk, b64};
use json::{Field, FieldError, Value};

/// What a configuration says.
pub(super) struct Settings {
    pub(super) key: KeyName,
    pub(super) bank: Bank,
    /// The PCRs without the latch.
    pub(super) pcrs: Option<PcrSelection>,
    /// What they shall hold, instead of what they hold now.
    pub(super) given: Option<PcrState>,
    /// What they may hold as well.
    pub(super) accept: Vec<PcrState>,
    /// Whether a person is asked.
    pub(super) pin: bool,
    pub(super) latch: Option<u8>,
    pub(super) signed: Option<Signed>,
    pub(super) counter: Option<CounterChoice>,
}

/// Who says which values open.
pub(super) struct Signed {
    pub(super) key: SignerKey,
    pub(super) reference: String,
}

/// His key.
pub(super) enum SignerKey {
    Given(Point),
    /// A file with a JWK or a PEM in it.
    File(String),
}

/// Which counter.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum CounterChoice {
    /// One of its own.
    New,
    /// This one, which is there already.
    At(NvIndex),
}

pub(super) const OPTIONS: &[&str] =
    &["key", "pcr_bank", "pcr_ids", "pcr_digest", "accept", "pin", "latch", "signed", "counter"];

/// PCRs that are zero when the firmware is done, and that nothing but a start of the machine sets back.
const LATCHES: std::ops::RangeInclusive<u64> = 8..=15;

impl Settings {
    /// Reads it; an option that there is not, or that has no effect, is an error.
    pub(super) fn read(config: &Config) -> Result<Settings, ConfigError> {
        config.only(OPTIONS)?;
        let field = config.field();
        let latch = given(&field, "latch")?.map(|latch| read_latch(&latch)).transpose()?;
        let bank = read_the_bank(&field, latch)?;
        let pcrs = read_pcrs(&field, bank, latch)?;
        let signed = given(&field, "signed")?.map(|signed| Signed::read(&signed)).transpose()?;
        if let (Some(_), None) = (&signed, &pcrs) {
            return Err(idle(&field.member("signed")?, "of use without pcr_ids, which name what is signed"));
        }
        let selection = pcrs.as_ref();
        Ok(Settings {
            key: field.optional("key")?.map_or(Ok(ECC), |key| KeyName::read(&key))?,
            given: read_given(&field, selection, signed.is_some())?,
            accept: read_accept(&field, selection, signed.is_some())?,
            bank,
            pcrs,
            pin: given(&field, "pin")?.map_or(Ok(false), |pin| pin.bool())?,
            latch,
            signed,
            counter: given(&field, "counter")?.map(|counter| CounterChoice::read(&counter)).transpose()?,
        })
    }
}

impl Signed {
    fn read(field: &Field<'_>) -> Result<Signed, ConfigError> {
        let key = field.member("key")?;
        let unknown = field.members()?.find(|(name, _)| !["key", "reference"].contains(name));
        if let Some((_, option)) = unknown {
            return Err(ConfigError::Unknown { place: option.place().to_owned(), known: &["key", "reference"] });
        }
        let reference = field.optional("reference")?;
        let reference = match &reference {
            None => "",
            Some(text) => {
                check_reference(text.text()?).ok_or_else(|| text.wrong_value("a text of at most 64 bytes"))?
            }
        };
        let given = match key.value() {
            Value::Text(path) => SignerKey::File(path.as_str().to_owned()),
            _ => SignerKey::Given(public_key(&key)?),
        };
        Ok(Signed { key: given, reference: reference.to_owned() })
    }
}

impl CounterChoice {
    fn read(field: &Field<'_>) -> Result<CounterChoice, FieldError> {
        match field.value() {
            Value::Bool(true) => Ok(CounterChoice::New),
            Value::Text(_) => read_index(field).map(CounterChoice::At),
            _ => Err(field.wrong_value("true, or an index of the TPM as \"0x01000000\"")),
        }
    }
}

/// A public JWK on P-256.
fn public_key(field: &Field<'_>) -> Result<Point, FieldError> {
    let key = Jwk::public_from_field(field).ok().and_then(|key| key.point().cloned());
    key.filter(|key| key.curve() == Curve::P256)
        .ok_or_else(|| field.wrong_value("a public key on P-256, as a JWK, or the name of a file with one"))
}

/// The option, unless it says no.
fn given<'a>(field: &Field<'a>, name: &str) -> Result<Option<Field<'a>>, FieldError> {
    Ok(field.optional(name)?.filter(|option| !matches!(option.value(), Value::Null | Value::Bool(false))))
}

fn idle(field: &Field<'_>, why: &'static str) -> ConfigError {
    field.wrong_value(why).into()
}

fn read_latch(field: &Field<'_>) -> Result<u8, FieldError> {
    let number = match field.value() {
        Value::Bool(_) => Some(u64::from(LATCH_PCR)),
        _ => field.integer().ok(),
    };
    let number = number.filter(|number| LATCHES.contains(number)).and_then(|number| u8::try_from(number).ok());
    let expected = "true or a PCR from 8 to 15: those are zero at first, and nothing sets them back";
    number.ok_or_else(|| field.wrong_value(expected))
}

fn read_the_bank(field: &Field<'_>, latch: Option<u8>) -> Result<Bank, ConfigError> {
    match field.optional("pcr_bank")? {
        None => Bank::of(Hash::Sha256).ok_or_else(|| idle(field, "a bank")),
        Some(bank) if latch.is_none() && field.optional("pcr_ids")?.is_none() => {
            Err(idle(&bank, "of use without pcr_ids or latch"))
        }
        Some(bank) => Ok(read_bank(&bank)?),
    }
}

/// The PCRs without that of the latch, which has a condition of its own.
fn read_pcrs(field: &Field<'_>, bank: Bank, latch: Option<u8>) -> Result<Option<PcrSelection>, ConfigError> {
    let Some(ids) = field.optional("pcr_ids")? else { return Ok(None) };
    let (_, set) = read_ids(&ids)?;
    let others = set.in_bank(bank).pcrs().filter(|pcr| Some(*pcr) != latch).map(u64::from);
    Ok(PcrSelection::new(bank, others).ok())
}

const LITERAL: &str = "of use with signed: the signature says which values";
const WITHOUT: &str = "of use without pcr_ids";

fn read_given(
    field: &Field<'_>,
    selection: Option<&PcrSelection>,
    signed: bool,
) -> Result<Option<PcrState>, ConfigError> {
    let Some(digest) = field.optional("pcr_digest")? else { return Ok(None) };
    let selection = selection.ok_or_else(|| idle(&digest, WITHOUT))?;
    if signed {
        return Err(idle(&digest, LITERAL));
    }
    let values = b64::decode(digest.text()?).ok().and_then(|values| PcrState::split(selection, &values));
    let wrong = || idle(&digest, "the values of all pcr_ids but the latch one behind the other, in base64url");
    values.map(Some).ok_or_else(wrong)
}

fn read_accept(
    field: &Field<'_>,
    selection: Option<&PcrSelection>,
    signed: bool,
) -> Result<Vec<PcrState>, ConfigError> {
    let Some(accept) = field.optional("accept")? else { return Ok(Vec::new()) };
    let selection = selection.ok_or_else(|| idle(&accept, WITHOUT))?;
    if signed {
        return Err(idle(&accept, LITERAL));
    }
    // One more is what the PCRs hold now, or pcr_digest.
    if accept.items()?.len() >= MOST_BRANCHES {
        return Err(idle(&accept, "at most 7 sets of values, which makes 8 with that of now"));
    }
    let read = |set: Field<'_>| {
        let values = PcrState::read(&set, selection.bank())?;
        let same = values.is_of(selection);
        if same { Ok(values) } else { Err(idle(&set, "a value for each of pcr_ids but the latch, and for no other")) }
    };
    accept.items()?.map(read).collect()
}
