//! The pin `cotter-tpm2`: what the TPM can do beyond the original's form. The original does not know the pin and refuses it.
//!
//! The parent key is outside of the dictionary-attack protection, so that no power cut locks the machine out, and its name is in the binding:
//! another key is not told anything. What must hold is one policy of the TPM, in this order:
//!
//! - the PCRs hold one of at most eight sets of values (`PolicyPCR`, `PolicyOR`); or what somebody has approved (`PolicyAuthorize`, see
//!   [`Approval`](crate::Approval)), and then a counter has not passed the approval's number;
//! - a counter of the TPM has not passed the number of the binding (`PolicyNV`), so that what is older dies when it is counted up;
//! - the PCR of the latch is zero (`PolicyPCR`), which it is until [`shut_latch`];
//! - a person knows the PIN (`PolicyAuthValue`); only then wrong tries count, and so may a power cut.
//!
//! What is sealed are the 32 bytes of the JWE's content key.

mod binding;
mod failure;
mod latch;
mod opening;
mod person;
mod sealing;
mod settings;
mod signer;

use crate::approval::Counter;
use crate::config::{Config, ConfigError};
use crate::error::{BindingError, PinError};
use crate::pcr_state::PcrState;
use crate::pin::{HEADER, MayCount, Opened, Pin, Ports, Shown, header};
use crate::stored::{BoundCounter, BoundParent, Lost, SignedPolicy};
use ::tpm2::{Bank, ParentTemplate, PcrSelection, Public, Sealed};
use binding::{Binding, Conditions};
use crypto::Secret;
use jose::{Jwe, Jwk};
use json::{Field, Object, Value};
use settings::Settings;

pub(crate) use binding::NAME;
pub use latch::{LATCH_EVENT, LATCH_PCR, shut_latch};

/// Bytes of the content key.
const KEY_LEN: usize = 32;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct CotterTpm2;

impl Pin for CotterTpm2 {
    fn name(&self) -> &'static str {
        NAME
    }

    fn check(&self, config: &Config, _: &[&dyn Pin]) -> Result<(), PinError> {
        Settings::read(config)?;
        Ok(())
    }

    fn encrypt(&self, config: &Config, secret: &Secret, beside: &Object, ports: &Ports<'_>) -> Result<Jwe, PinError> {
        let settings = Settings::read(config)?;
        let key = Secret::try_filled_by(KEY_LEN, |bytes| ports.random.fill(bytes)).map_err(PinError::Random)?;
        let binding = sealing::seal(&settings, &key, ports)?;
        let inner = Object::new().with("pin", NAME).with(NAME, binding.to_json());
        let header = beside.clone().with("clevis", inner);
        Jwe::encrypt_dir(&header, &key, secret, ports.random).map_err(|source| PinError::Seal { pin: NAME, source })
    }

    fn open(&self, jwe: &Jwe, ports: &Ports<'_>) -> Result<Opened, PinError> {
        let binding = read(&header(jwe).field(HEADER))?;
        let key = opening::open(&binding, ports)?;
        let jwk = Jwk::oct(Secret::copied_from(key.expose()));
        let secret = jwe.decrypt_with(&jwk).map_err(|source| PinError::WrongKey { pin: NAME, source })?;
        Ok(Opened::new(secret, key))
    }

    fn is_at_hand(&self, header: &Field<'_>) -> bool {
        read(header).is_ok_and(|binding| binding.pin.is_none())
    }

    fn describe(&self, header: &Field<'_>, _: &[&dyn Pin]) -> Result<Shown, PinError> {
        Ok(Shown { config: read(header)?.configuration().into(), lossy: false })
    }

    fn stored(&self, header: &Field<'_>, _: &[&dyn Pin], lost: &mut Vec<Lost>) -> Result<Value, PinError> {
        let binding = read(header)?;
        if binding.conditions.signed.is_none() && binding.conditions.accepted.len() > 1 {
            let what = "it accepts several sets of values, and does not tell which of them are those of a boot";
            lost.push(Lost::Unsaid { place: String::new(), what });
        }
        Ok(binding.configuration().into())
    }

    fn meets(&self, config: &Config, header: &Field<'_>, _: &[&dyn Pin]) -> Result<bool, PinError> {
        Ok(read(header)?.is_made_by(&Settings::read(config)?))
    }

    /// A header keeps which values open, and not which of them were asked for.
    fn bare(&self, config: &Config, _: &[&dyn Pin]) -> Result<Value, ConfigError> {
        Settings::read(config)?;
        let mut bare = config.field().object()?.clone();
        bare.remove("pcr_digest");
        bare.remove("accept");
        Ok(bare.into())
    }

    fn parents(&self, header: &Field<'_>, _: &[&dyn Pin]) -> Result<Vec<BoundParent>, PinError> {
        let binding = read(header)?;
        Ok(vec![BoundParent { key: binding.key.key, name: binding.parent }])
    }

    fn signed(&self, header: &Field<'_>, _: &[&dyn Pin]) -> Result<Vec<SignedPolicy>, PinError> {
        Ok(read(header)?.signed_policy().into_iter().collect())
    }

    fn counters(&self, header: &Field<'_>, _: &[&dyn Pin]) -> Result<Vec<BoundCounter>, PinError> {
        let Conditions { counter, signed, .. } = read(header)?.conditions;
        let until = |counter: &Counter| if signed.is_none() { Some(counter.value) } else { None };
        Ok(counter.map(|counter| BoundCounter { index: counter.index, until: until(&counter) }).into_iter().collect())
    }

    fn settle(&self, header: &Field<'_>, may: &mut MayCount<'_>, ports: &Ports<'_>) -> Result<(), PinError> {
        sealing::settle(&read(header)?, may, ports)
    }
}

/// What a header has the TPM compare, and what it seals under which key.
pub(crate) struct Compared {
    pub(crate) bank: Bank,
    pub(crate) pcrs: Option<PcrSelection>,
    /// The sets of values that open, unless somebody signs which.
    pub(crate) accepted: Vec<PcrState>,
    pub(crate) signed: bool,
    pub(crate) latch: Option<u8>,
    pub(crate) pin: bool,
    pub(crate) counter: Option<Counter>,
    pub(crate) sealed: Sealed,
    pub(crate) public: Public,
    pub(crate) parent: ParentTemplate,
    /// The name that the parent must have.
    pub(crate) parent_name: Vec<u8>,
}

/// Reads it.
pub(crate) fn compared(header: &Field<'_>) -> Result<Compared, BindingError> {
    let binding = Binding::read(header)?;
    let (public, parent) = (binding.sealed.public_area().map_err(BindingError::Sealed)?, binding.parent_template());
    let Binding { parent: parent_name, sealed, conditions, pin, .. } = binding;
    let Conditions { bank, pcrs, accepted, latch, signed, counter } = conditions;
    let (signed, pin) = (signed.is_some(), pin.is_some());
    Ok(Compared { bank, pcrs, accepted, signed, latch, pin, counter, sealed, public, parent, parent_name })
}

fn read(header: &Field<'_>) -> Result<Binding, PinError> {
    Binding::read(header).map_err(|source| PinError::BadBinding { pin: NAME, source })
}
