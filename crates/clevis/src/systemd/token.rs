//! What a `systemd-tpm2` token says. Some members are spelled with `-`, later ones with `_`; binary ones are base64 with padding.

use super::signer::Signer;
use crate::error::{BindingError, Unopened};
use crate::measured::{self, Part, Under};
use crate::verdict::{Form, Pcrs, Policy, Tpm};
use ::tpm2::{Bank, ParentKey, ParentTemplate, PcrSelection, PcrSet, Protection, Public, Sealed, TpmError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crypto::Hash;
use json::{Field, FieldError, Object, Value};

/// Longest blob or key that is taken, in characters.
const LONGEST: usize = 16 << 10;
/// Longest salt of a PIN, in bytes; systemd draws 32.
const LONGEST_SALT: usize = 1024;

/// The members that say anything of the TPM.
const KNOWN: [&str; 12] = [
    "tpm2-blob",
    "tpm2-pcrs",
    "tpm2-pcr-bank",
    "tpm2-primary-alg",
    "tpm2-policy-hash",
    "tpm2-pin",
    "tpm2_pubkey",
    "tpm2_pubkey_pcrs",
    "tpm2_salt",
    "tpm2_srk",
    "tpm2_pcrlock",
    "tpm2_pcrlock_nv",
];

/// A passphrase that the TPM seals.
#[derive(Clone, Debug)]
pub struct Tpm2 {
    pub(super) sealed: Sealed,
    pub(super) public: Public,
    pub(super) parent: Parent,
    /// What has to be as it was.
    pub(super) pcrs: Option<PcrSelection>,
    /// What has to be as somebody signed.
    pub(super) signed: Option<Signed>,
    pub(super) pin: Option<Pin>,
    /// Where the signatures are, if somebody has said so.
    pub(super) signatures: Option<String>,
}

/// The key that it is sealed under.
#[derive(Clone, Debug)]
pub(super) enum Parent {
    /// Made anew each time, as systemd up to 253 does.
    Made(ParentKey),
    /// The storage root key, which stays in the TPM. The token has its name.
    Stored { handle: u32, name: Vec<u8> },
}

/// PCRs whose values a key vouches for.
#[derive(Clone, Debug)]
pub(super) struct Signed {
    pub(super) pcrs: PcrSelection,
    /// Whose key.
    pub(super) by: Signer,
}

/// How a PIN becomes the authorisation value.
#[derive(Clone, Debug)]
pub(super) enum Pin {
    /// By SHA-256, as systemd up to 253 does.
    Plain,
    /// By PBKDF2 with this salt, and then by SHA-256.
    Salted(Vec<u8>),
}

impl Tpm2 {
    /// Reads all members of a token of the type `systemd-tpm2`. What is well made and cannot be followed here is [`Unopened`].
    ///
    /// # Errors
    /// [`BindingError`], with the place of what is wrong.
    pub fn read(token: &Field<'_>) -> Result<Result<Tpm2, Unopened>, BindingError> {
        if let Some(why) = unopened(token)? {
            return Ok(Err(why));
        }
        let sealed = sealed(&token.member("tpm2-blob")?)?;
        let public = sealed.public_area().map_err(BindingError::Sealed)?;
        let bank = match token.optional("tpm2-pcr-bank")? {
            Some(bank) => {
                Bank::from_name(bank.text()?).ok_or_else(|| bank.wrong_value("the name of a bank, as sha256"))?
            }
            None => Bank::of(Hash::Sha256).ok_or_else(|| token.wrong_value("a token that names its bank"))?,
        };
        let pcrs = |name| token.optional(name)?.map_or(Ok(None), |pcrs| selection(&pcrs, bank));
        let salt = token.optional("tpm2_salt")?.map(|salt| bytes(&salt, LONGEST_SALT)).transpose()?;
        let pin = token.optional("tpm2-pin")?.map_or(Ok(false), |pin| pin.bool())?;
        let signed = match pcrs("tpm2_pubkey_pcrs")? {
            Some(pcrs) => Some(Signed { pcrs, by: signer(&token.member("tpm2_pubkey")?)? }),
            None => None,
        };
        Ok(Ok(Tpm2 {
            parent: parent(token)?,
            pcrs: pcrs("tpm2-pcrs")?,
            signed,
            pin: pin.then(|| salt.map_or(Pin::Plain, Pin::Salted)),
            signatures: None,
            public,
            sealed,
        }))
    }

    /// Where to find the signatures that it wants, instead of the places where systemd looks.
    pub fn signed_at(&mut self, path: &str) {
        self.signatures = Some(path.to_owned());
    }

    /// Whether a person has to know a PIN.
    pub fn asks_pin(&self) -> bool {
        self.pin.is_some()
    }

    /// The name of the key that it is sealed under, which stands in it if that is the storage root key.
    pub fn parent_name(&self) -> Option<&[u8]> {
        if let Parent::Stored { name, .. } = &self.parent { Some(name) } else { None }
    }

    /// How systemd renews it, and with it all other tokens of this kind; the device is to follow.
    pub fn renewal(&self) -> String {
        let ids = |pcrs: &PcrSelection| pcrs.pcrs().map(|pcr| pcr.to_string()).collect::<Vec<String>>().join("+");
        let pcrs = self.pcrs.as_ref().map_or(String::new(), ids);
        let mut command = format!("systemd-cryptenroll --wipe-slot=tpm2 --tpm2-device=auto --tpm2-pcrs={pcrs}");
        if let Some(signed) = &self.signed {
            command += &format!(" --tpm2-public-key=FILE --tpm2-public-key-pcrs={}", ids(&signed.pcrs));
        }
        if self.pin.is_some() {
            command += " --tpm2-with-pin=yes";
        }
        command
    }

    /// What it says, in the words of a configuration.
    pub fn configuration(&self) -> Object {
        let ids = |pcrs: &PcrSelection| pcrs.pcrs().map(|pcr| pcr.to_string()).collect::<Vec<String>>().join(",");
        let mut json = Object::new();
        if let Some(pcrs) = self.pcrs.as_ref().or(self.signed.as_ref().map(|signed| &signed.pcrs)) {
            json.insert("pcr_bank", pcrs.bank().name());
        }
        if let Some(pcrs) = &self.pcrs {
            json.insert("pcr_ids", ids(pcrs));
        }
        if let Some(signed) = &self.signed {
            json.insert("signed", Object::new().with("pcr_ids", ids(&signed.pcrs)));
        }
        if self.pin.is_some() {
            json.insert("pin", true);
        }
        json
    }

    /// What the TPM compares, to be explained.
    pub fn part(&self) -> Part {
        let signed = self.signed.as_ref().map(|signed| &signed.pcrs);
        let sealed = Some(&self.public).filter(|_| signed.is_none());
        let parent = match &self.parent {
            Parent::Made(key) => {
                let template = ParentTemplate { key: *key, hash: Hash::Sha256, protection: Protection::Counted };
                measured::Parent::Made(template, None)
            }
            Parent::Stored { handle, name } => measured::Parent::Stored(*handle, name.clone()),
        };
        let under = Under { parent, sealed: self.sealed.clone(), counter: None };
        Part::of_systemd(self.pcrs.as_ref().or(signed), sealed, self.pin.is_some(), under)
    }

    /// What it is worth.
    pub fn policy(&self) -> Policy {
        let all = |pcrs: &Option<PcrSelection>| pcrs.iter().flat_map(PcrSelection::pcrs).collect::<Vec<u8>>();
        let signed = self.signed.as_ref().map(|signed| signed.pcrs);
        let pcrs = Pcrs::of(&[all(&self.pcrs), all(&signed)].concat()).unwrap_or_default();
        Policy::Tpm(Tpm {
            form: match self.parent {
                Parent::Made(_) => Form::Systemd,
                Parent::Stored { .. } => Form::SystemdStored,
            },
            pcrs,
            signed: signed.is_some(),
            pin: self.pin.is_some(),
            ..Tpm::default()
        })
    }
}

/// What says beforehand that the rest is not for us.
fn unopened(token: &Field<'_>) -> Result<Option<Unopened>, BindingError> {
    if token.optional("tpm2_pcrlock")?.map_or(Ok(false), |pcrlock| pcrlock.bool())? {
        return Ok(Some(Unopened::Pcrlock));
    }
    let later = token.members()?.any(|(name, _)| name.starts_with("tpm2") && !KNOWN.contains(&name));
    if later {
        return Ok(Some(Unopened::Later));
    }
    let blob = token.member("tpm2-blob")?;
    let several = matches!(blob.value(), Value::Array(_)) && blob.items()?.len() != 1;
    Ok(several.then_some(Unopened::Shards))
}

/// `TPM2B_PRIVATE ‖ TPM2B_PUBLIC`, alone or as the only one of an array.
fn sealed(blob: &Field<'_>) -> Result<Sealed, BindingError> {
    let only = match blob.value() {
        Value::Array(_) => blob.items()?.next(),
        _ => None,
    };
    let bytes = bytes(only.as_ref().unwrap_or(blob), LONGEST)?;
    let short = || BindingError::Sealed(TpmError::Unsayable { what: "a blob that ends early" });
    let len = bytes.first_chunk().copied().map(u16::from_be_bytes).ok_or_else(short)?;
    let (private, public) = bytes.split_at_checked(usize::from(len) + 2).ok_or_else(short)?;
    Ok(Sealed { public: public.to_vec(), private: private.to_vec() })
}

/// `tpm2_srk` is a handle, a name with its length before it, and what else the library of TPMs wants to know of the key.
fn parent(token: &Field<'_>) -> Result<Parent, BindingError> {
    let Some(srk) = token.optional("tpm2_srk")? else {
        return Ok(Parent::Made(match token.optional("tpm2-primary-alg")? {
            None => ParentKey::Ecc,
            Some(key) => match key.text()? {
                "ecc" => ParentKey::Ecc,
                "rsa" => ParentKey::Rsa,
                _ => return Err(key.wrong_value("ecc or rsa").into()),
            },
        }));
    };
    let bytes = bytes(&srk, LONGEST)?;
    let stored = || -> Option<Parent> {
        let (handle, rest) = bytes.split_first_chunk()?;
        let (len, rest) = rest.split_first_chunk()?;
        let name = rest.get(..usize::from(u16::from_be_bytes(*len)))?.to_vec();
        let handle = u32::from_be_bytes(*handle);
        (handle >> 24 == PERSISTENT).then_some(Parent::Stored { handle, name })
    };
    stored().ok_or_else(|| srk.wrong_value("a key that stays in the TPM, with its name").into())
}

/// `tpm2_pubkey`: the base64 of a PEM.
fn signer(key: &Field<'_>) -> Result<Signer, BindingError> {
    let signer = Signer::from_pem(&bytes(key, LONGEST)?);
    signer.ok_or_else(|| key.wrong_value("a public key of RSA in PEM").into())
}

/// The first byte of the handles of what stays in the TPM.
const PERSISTENT: u32 = 0x81;

/// Numbers of PCRs; an empty array is none.
fn selection(pcrs: &Field<'_>, bank: Bank) -> Result<Option<PcrSelection>, BindingError> {
    let numbers = pcrs.items()?.map(|pcr| pcr.integer()).collect::<Result<Vec<u64>, FieldError>>()?;
    if numbers.is_empty() {
        return Ok(None);
    }
    let set = PcrSet::new(numbers).map_err(|_| pcrs.wrong_value("PCRs from 0 to 23"))?;
    Ok(Some(set.in_bank(bank)))
}

pub(super) fn bytes(field: &Field<'_>, longest: usize) -> Result<Vec<u8>, FieldError> {
    let text = field.text()?;
    let bytes = (text.len() <= longest).then(|| STANDARD.decode(text).ok()).flatten();
    bytes.ok_or_else(|| field.wrong_value("base64 of reasonable length"))
}
