//! What a header says: the settings that made it, and the two halves of what the TPM sealed.

use super::settings::{HashName, KeyName, Settings, read_bank, read_ids};
use crate::error::BindingError;
use ::tpm2::{ParentTemplate, PcrSelection, Protection, Public, Sealed, TpmError};
use jose::b64;
use json::{Field, Object};

pub(crate) const NAME: &str = "tpm2";

/// What a header says.
pub(super) struct Binding {
    pub(super) hash: HashName,
    pub(super) key: KeyName,
    /// The PCRs, and their numbers as they were written.
    pub(super) pcrs: Option<(PcrSelection, String)>,
    pub(super) sealed: Sealed,
    pub(super) public: Public,
}

impl Binding {
    /// Reads `clevis.tpm2`. What the TPM would refuse anyway is refused here, where it can be told from a TPM that refuses.
    pub(super) fn read(header: &Field<'_>) -> Result<Binding, BindingError> {
        let binding = header.member("clevis")?.member(NAME)?;
        let hash = HashName::read(&binding.member("hash")?)?;
        let key = KeyName::read(&binding.member("key")?)?;
        let (sealed, public) = read_halves(&binding)?;
        // The original takes no numbers and an empty text for the same.
        let ids = binding.optional("pcr_ids")?.filter(|ids| ids.value().as_str() != Some(""));
        let pcrs = match ids {
            None => None,
            Some(ids) => {
                let (ids, set) = read_ids(&ids)?;
                Some((set.in_bank(read_bank(&binding.member("pcr_bank")?)?), ids))
            }
        };
        // Who put PCRs beside an object that opens without them would have it believed that they are compared.
        let unlike = match (&pcrs, public.opens_by_value()) {
            (None, false) => Some("it has a policy, and the header names no PCRs"),
            (Some(_), true) => Some("it opens whatever the PCRs of the header hold"),
            _ => None,
        };
        if let Some(what) = unlike {
            return Err(BindingError::Sealed(TpmError::Unsayable { what }));
        }
        Ok(Binding { hash, key, pcrs, sealed, public })
    }

    /// `clevis.tpm2`, with the members of the original.
    pub(super) fn to_json(&self) -> Object {
        write_halves(&self.sealed, self.configuration())
    }

    /// What of it a configuration says too.
    pub(super) fn configuration(&self) -> Object {
        let json = Object::new().with("hash", self.hash.name).with("key", self.key.name);
        match &self.pcrs {
            None => json,
            Some((selection, ids)) => json.with("pcr_bank", selection.bank().name()).with("pcr_ids", ids.as_str()),
        }
    }

    /// The parent key.
    pub(super) fn parent(&self) -> ParentTemplate {
        ParentTemplate { key: self.key.key, hash: self.hash.hash, protection: Protection::Counted }
    }

    /// Whether it is one that these settings make, on whatever TPM, and whatever the PCRs held unless their values are given.
    pub(super) fn is_made_by(&self, settings: &Settings) -> bool {
        let same_pcrs = match (&self.pcrs, &settings.pcrs) {
            (None, None) => true,
            (Some((selection, _)), Some(pcrs)) => {
                let bank = settings.bank().unwrap_or(selection.bank());
                let wanted = settings.given_values().map(|values| selection.policy(self.public.hash(), values));
                let same_values = wanted.is_none_or(|wanted| wanted.is_ok_and(|wanted| wanted == self.public.policy()));
                pcrs.selection(bank) == *selection && same_values
            }
            _ => false,
        };
        self.parent() == settings.parent() && same_pcrs
    }
}

/// What the TPM sealed, out of the parameters of a header.
pub(in crate::pins) fn read_halves(parameters: &Field<'_>) -> Result<(Sealed, Public), BindingError> {
    let half = |name| {
        let member = parameters.member(name)?;
        let place = || member.place().to_owned();
        b64::decode(member.text()?).map_err(|source| BindingError::Base64 { place: place(), source })
    };
    let sealed = Sealed { public: half("jwk_pub")?, private: half("jwk_priv")? };
    let public = sealed.public_area().map_err(BindingError::Sealed)?;
    Ok((sealed, public))
}

/// These parameters, and what the TPM sealed.
pub(in crate::pins) fn write_halves(sealed: &Sealed, parameters: Object) -> Object {
    let halves = [("jwk_pub", &sealed.public), ("jwk_priv", &sealed.private)];
    halves.into_iter().fold(parameters, |json, (name, half)| json.with(name, b64::encode(half)))
}
