//! What a configuration says: which parent key, which hash, which PCRs.

use crate::config::{Config, ConfigError};
use ::tpm2::{Bank, ParentKey, ParentTemplate, PcrSelection, PcrSet, Protection};
use crypto::Hash;
use jose::b64;
use json::{Field, FieldError, Value};

/// What a configuration says.
pub(super) struct Settings {
    pub(super) hash: HashName,
    pub(super) key: KeyName,
    pub(super) pcrs: Option<Pcrs>,
}

/// The hash that makes the name of the parent key, as tpm2-tools call it.
#[derive(Clone, Copy, Debug)]
pub(in crate::pins) struct HashName {
    pub(in crate::pins) name: &'static str,
    pub(in crate::pins) hash: Hash,
}

/// The kind of the parent key, as tpm2-tools call it.
#[derive(Clone, Copy, Debug)]
pub(in crate::pins) struct KeyName {
    pub(in crate::pins) name: &'static str,
    pub(in crate::pins) key: ParentKey,
}

/// The PCRs of a policy.
pub(super) struct Pcrs {
    /// Unless it is left to the TPM.
    bank: Option<Bank>,
    /// The numbers as a header has them: as they were written, without white space, joined by commas.
    ids: String,
    set: PcrSet,
    /// What they shall hold, one value behind the other, instead of what they hold now.
    values: Option<Vec<u8>>,
}

/// The defaults.
pub(in crate::pins) const SHA256: HashName = HashName { name: "sha256", hash: Hash::Sha256 };
pub(in crate::pins) const ECC: KeyName = KeyName { name: "ecc", key: ParentKey::Ecc };

/// As many as tpm2-tools take: what is sealed here, the original opens too.
const MOST_PCRS: usize = 8;

const HASHES: [HashName; 4] = [
    SHA256,
    HashName { name: "sha1", hash: Hash::Sha1 },
    HashName { name: "sha384", hash: Hash::Sha384 },
    HashName { name: "sha512", hash: Hash::Sha512 },
];

const KEYS: [KeyName; 4] = [
    ECC,
    KeyName { name: "ecc256", key: ParentKey::Ecc },
    KeyName { name: "rsa", key: ParentKey::Rsa },
    KeyName { name: "rsa2048", key: ParentKey::Rsa },
];

impl Settings {
    /// Reads it; an option that there is not, or that has no effect, is an error.
    pub(super) fn read(config: &Config) -> Result<Settings, ConfigError> {
        config.only(&["hash", "key", "pcr_bank", "pcr_ids", "pcr_digest"])?;
        let field = config.field();
        let hash = field.optional("hash")?.map(|hash| HashName::read(&hash)).transpose()?;
        let key = field.optional("key")?.map(|key| KeyName::read(&key)).transpose()?;
        Ok(Settings { hash: hash.unwrap_or(SHA256), key: key.unwrap_or(ECC), pcrs: Pcrs::read(&field)? })
    }

    /// The parent key.
    pub(super) fn parent(&self) -> ParentTemplate {
        ParentTemplate { key: self.key.key, hash: self.hash.hash, protection: Protection::Counted }
    }

    pub(super) fn bank(&self) -> Option<Bank> {
        self.pcrs.as_ref()?.bank
    }

    pub(super) fn pcr_ids(&self) -> Option<String> {
        self.pcrs.as_ref().map(|pcrs| pcrs.ids.clone())
    }

    pub(super) fn given_values(&self) -> Option<&[u8]> {
        self.pcrs.as_ref()?.values.as_deref()
    }
}

impl HashName {
    pub(in crate::pins) fn read(field: &Field<'_>) -> Result<HashName, FieldError> {
        let name = field.text()?;
        let found = HASHES.into_iter().find(|hash| hash.name == name);
        found.ok_or_else(|| field.wrong_value("sha1, sha256, sha384 or sha512"))
    }
}

impl KeyName {
    pub(in crate::pins) fn read(field: &Field<'_>) -> Result<KeyName, FieldError> {
        let name = field.text()?;
        let found = KEYS.into_iter().find(|key| key.name == name);
        found.ok_or_else(|| field.wrong_value("ecc or rsa"))
    }
}

impl Pcrs {
    /// The options that begin with `pcr_`. The original passes over a bank or values without numbers, and over numbers that are none: the
    /// policy would protect less than whoever wrote it believes.
    fn read(field: &Field<'_>) -> Result<Option<Pcrs>, ConfigError> {
        let bank = field.optional("pcr_bank")?;
        let digest = field.optional("pcr_digest")?;
        let Some(ids) = field.optional("pcr_ids")? else {
            return match bank.or(digest) {
                None => Ok(None),
                Some(idle) => Err(idle.wrong_value("of use without pcr_ids").into()),
            };
        };
        let bank = bank.map(|bank| read_bank(&bank)).transpose()?;
        let named = ids;
        let (ids, set) = read_ids(&named)?;
        if set.count() > MOST_PCRS {
            return Err(named.wrong_value("no more than 8 PCRs, which is what the original opens").into());
        }
        let pcrs = Pcrs { bank, ids, set, values: None };
        let values = digest.map(|digest| pcrs.read_values(&digest)).transpose()?;
        Ok(Some(Pcrs { values, ..pcrs }))
    }

    /// These PCRs of that bank.
    pub(super) fn selection(&self, bank: Bank) -> PcrSelection {
        self.set.in_bank(bank)
    }

    /// How long the values must be is known once the bank is.
    fn read_values(&self, digest: &Field<'_>) -> Result<Vec<u8>, FieldError> {
        let wrong = || digest.wrong_value("the values of all pcr_ids in pcr_bank one behind the other, in base64url");
        let values = b64::decode(digest.text()?).map_err(|_| wrong())?;
        match self.bank {
            None => Err(digest.wrong_value("of use without pcr_bank")),
            Some(bank) if values.len() == self.selection(bank).values_len() => Ok(values),
            Some(_) => Err(wrong()),
        }
    }
}

/// A bank by its name.
pub(crate) fn read_bank(field: &Field<'_>) -> Result<Bank, FieldError> {
    Bank::from_name(field.text()?).ok_or_else(|| field.wrong_value("the name of a bank, as sha256"))
}

/// Numbers of PCRs: in a text joined by commas, alone, or in an array of texts and numbers. Returned as a header has them, and as a set.
pub(crate) fn read_ids(field: &Field<'_>) -> Result<(String, PcrSet), FieldError> {
    let ids = match field.value() {
        Value::Array(_) => {
            let ids = field.items()?.map(|item| read_id(&item)).collect::<Result<Vec<String>, FieldError>>()?;
            ids.join(",")
        }
        _ => read_id(field)?,
    };
    let numbers: Option<Vec<u64>> = ids.split(',').map(number).collect();
    match numbers.and_then(|numbers| PcrSet::new(numbers).ok()) {
        Some(set) => Ok((ids, set)),
        None => Err(field.wrong_value("the numbers of some PCRs from 0 to 23, as \"4,7\" or [4,7]")),
    }
}

fn read_id(item: &Field<'_>) -> Result<String, FieldError> {
    match item.value() {
        Value::Text(text) => Ok(text.as_str().chars().filter(|c| !c.is_whitespace()).collect()),
        _ => Ok(item.integer()?.to_string()),
    }
}

/// A decimal number. One with a zero in front is octal for tpm2-tools, so it is none here.
fn number(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text.len() == 1 || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain)
}
