//! What a TPM says of itself (part 3, section 30.2).

use crate::algorithm::hash_of;
use crate::authorisation::Authorisation;
use crate::conversation::Tpm;
use crate::error::TpmError;
use crate::pcr::{Bank, PCRS, bits_of};
use crate::wire::{AnswerHandles, Reader, Request, parameters_of};
use tpm2_protocol::data::{TpmCap, TpmCc, TpmsCapabilityData, TpmuCapabilities};
use tpm2_protocol::frame::TpmGetCapabilityCommand;

const GET_CAPABILITY: &str = "TPM2_GetCapability";
/// More than the fixed or the variable properties of any TPM.
const MOST_PROPERTIES: u32 = 64;
/// `PT_FIXED`, and `PT_VAR`.
const FIXED: u32 = 0x100;
const VARIABLE: u32 = 0x200;

/// Who made the TPM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Four letters of the TCG's list of makers, as `INTC`, `IFX`, `IBM` (the last is swtpm's).
    pub manufacturer: String,
    /// What the maker calls it.
    pub vendor: String,
    /// The version of its firmware.
    pub firmware: (u32, u32),
    /// The revision of the specification, times 100.
    pub revision: u32,
}

/// The state of the dictionary-attack protection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DictionaryAttack {
    /// Nothing that is protected is done now.
    pub locked_out: bool,
    /// Failures that count, unclean power-offs among them.
    pub failures: u32,
    /// How many lock it.
    pub most_failures: u32,
    /// After this long, switched on, one failure is forgotten; 0: none ever counts.
    pub forgets_after_s: u32,
}

impl Tpm<'_> {
    /// The banks that have all of their 24 PCRs, in the TPM's order.
    ///
    /// # Errors
    /// [`TpmError`].
    pub fn banks(&self) -> Result<Vec<Bank>, TpmError> {
        let TpmuCapabilities::Pcrs(banks) = self.capability(TpmCap::Pcrs, 0, 1)? else { return Err(OTHER) };
        let whole = (1 << PCRS) - 1;
        let whole = banks.iter().filter(|bank| bits_of(bank) == whole);
        Ok(whole.filter_map(|bank| Bank::of(hash_of(bank.hash)?)).collect())
    }

    /// Who made it.
    ///
    /// # Errors
    /// [`TpmError`].
    pub fn identity(&self) -> Result<Identity, TpmError> {
        let fixed = self.properties(FIXED)?;
        let value = |property| value(&fixed, property);
        let text = |properties: &[u32]| {
            let letters = properties.iter().flat_map(|property| value(*property).to_be_bytes());
            letters.filter(u8::is_ascii_graphic).map(char::from).collect()
        };
        Ok(Identity {
            manufacturer: text(&[0x105]),
            vendor: text(&[0x106, 0x107, 0x108, 0x109]),
            firmware: (value(0x10b), value(0x10c)),
            revision: value(0x102),
        })
    }

    /// How near the dictionary-attack protection is to locking.
    ///
    /// # Errors
    /// [`TpmError`].
    pub fn dictionary_attack(&self) -> Result<DictionaryAttack, TpmError> {
        let variable = self.properties(VARIABLE)?;
        let value = |property| value(&variable, property);
        Ok(DictionaryAttack {
            // TPMA_PERMANENT, inLockout.
            locked_out: value(0x200) & (1 << 9) != 0,
            failures: value(0x20e),
            most_failures: value(0x20f),
            forgets_after_s: value(0x210),
        })
    }

    /// One group of properties, (property, value).
    fn properties(&self, first: u32) -> Result<Vec<(u32, u32)>, TpmError> {
        let found = self.capability(TpmCap::TpmProperties, first, MOST_PROPERTIES)?;
        let TpmuCapabilities::TpmProperties(found) = found else { return Err(OTHER) };
        Ok(found.iter().map(|tagged| (tagged.property.value(), u32::from(tagged.value))).collect())
    }

    fn capability(&self, cap: TpmCap, property: u32, count: u32) -> Result<TpmuCapabilities, TpmError> {
        let command =
            TpmGetCapabilityCommand { handles: [], cap, property: property.into(), property_count: count.into() };
        let request = Request {
            code: TpmCc::GetCapability,
            handles: &[],
            parameters: parameters_of(&command)?,
            answers_with: AnswerHandles::None,
        };
        let answer = self.run(request, Authorisation::None)?;
        let mut reader = Reader::new(&answer.parameters, GET_CAPABILITY);
        // Whether there is more.
        reader.u8()?;
        let found: TpmsCapabilityData = reader.structure()?;
        reader.end()?;
        Ok(found.data)
    }
}

const OTHER: TpmError = TpmError::Malformed { command: GET_CAPABILITY, what: "it is about something else" };

/// A property that the TPM does not have is 0.
fn value(properties: &[(u32, u32)], wanted: u32) -> u32 {
    properties.iter().find(|(property, _)| *property == wanted).map_or(0, |(_, value)| *value)
}
