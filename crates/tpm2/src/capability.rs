//! What a TPM says of itself (part 3, section 30.2).
//!
//! The lists are read here and not by the crate that knows the structures: a newer TPM has properties and hashes that it does not, and they
//! are passed over.

use crate::algorithm::hash_of_number;
use crate::authorisation::Authorisation;
use crate::conversation::Tpm;
use crate::error::TpmError;
use crate::pcr::{Bank, PCRS, bits_of};
use crate::wire::{Answer, AnswerHandles, Reader, Request, parameters_of};
use tpm2_protocol::data::{TpmCap, TpmCc};
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

/// The state of the dictionary-attack protection, as the TPM tells it: nothing vouches for that, and a TPM need not tell all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DictionaryAttack {
    /// It says that nothing that is protected is done now.
    pub locked_out: bool,
    /// Failures that count, unclean power-offs among them.
    pub failures: Option<u32>,
    /// How many lock it.
    pub most_failures: Option<u32>,
    /// After this long, switched on, one failure is forgotten; 0: none ever counts.
    pub forgets_after_s: Option<u32>,
}

impl DictionaryAttack {
    /// How many more failures it takes before it locks: 0 only of one that says that it is locked, nothing if its numbers do not say it.
    pub fn tries_left(&self) -> Option<u32> {
        if self.locked_out {
            return Some(0);
        }
        self.most_failures?.checked_sub(self.failures?).filter(|left| *left > 0)
    }
}

impl Tpm<'_> {
    /// The banks that have all of their 24 PCRs, in the TPM's order.
    ///
    /// # Errors
    /// [`TpmError`].
    pub fn banks(&self) -> Result<Vec<Bank>, TpmError> {
        let answer = self.capability(TpmCap::Pcrs, 0, 1)?;
        let mut reader = list(&answer, TpmCap::Pcrs)?;
        let mut banks = Vec::new();
        for _ in 0..reader.u32()? {
            let hash = hash_of_number(reader.u16()?);
            let len = reader.u8()?;
            let whole = bits_of(reader.take(len.into())?) == (1 << PCRS) - 1;
            banks.extend(hash.and_then(Bank::of).filter(|_| whole));
        }
        reader.end()?;
        Ok(banks)
    }

    /// Who made it.
    ///
    /// # Errors
    /// [`TpmError`].
    pub fn identity(&self) -> Result<Identity, TpmError> {
        let fixed = self.properties(FIXED)?;
        let value = |property| value(&fixed, property).unwrap_or_default();
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
            locked_out: value(0x200).is_some_and(|permanent| permanent & (1 << 9) != 0),
            failures: value(0x20e),
            most_failures: value(0x20f),
            forgets_after_s: value(0x210),
        })
    }

    /// One group of properties, (property, value).
    fn properties(&self, first: u32) -> Result<Vec<(u32, u32)>, TpmError> {
        let answer = self.capability(TpmCap::TpmProperties, first, MOST_PROPERTIES)?;
        let mut reader = list(&answer, TpmCap::TpmProperties)?;
        let mut found = Vec::new();
        for _ in 0..reader.u32()? {
            found.push((reader.u32()?, reader.u32()?));
        }
        reader.end()?;
        Ok(found)
    }

    /// The handles that it knows, of one kind, from `first` on; at most `count`.
    pub(crate) fn handles(&self, first: u32, count: u32) -> Result<Vec<u32>, TpmError> {
        let answer = self.capability(TpmCap::Handles, first, count)?;
        let mut reader = list(&answer, TpmCap::Handles)?;
        let mut found = Vec::new();
        for _ in 0..reader.u32()? {
            found.push(reader.u32()?);
        }
        reader.end().map(|()| found)
    }

    fn capability(&self, cap: TpmCap, property: u32, count: u32) -> Result<Answer, TpmError> {
        let command =
            TpmGetCapabilityCommand { handles: [], cap, property: property.into(), property_count: count.into() };
        let request = Request {
            code: TpmCc::GetCapability,
            handles: &[],
            parameters: parameters_of(&command)?,
            answers_with: AnswerHandles::None,
        };
        self.run(request, Authorisation::None)
    }
}

/// The list in an answer, from its count on.
fn list(answer: &Answer, wanted: TpmCap) -> Result<Reader<'_>, TpmError> {
    let mut reader = Reader::new(&answer.parameters, GET_CAPABILITY);
    // Whether there is more.
    reader.u8()?;
    if reader.u32()? == wanted.value() { Ok(reader) } else { Err(reader.malformed("it is about something else")) }
}

/// A property, if the TPM has it.
fn value(properties: &[(u32, u32)], wanted: u32) -> Option<u32> {
    properties.iter().find(|(property, _)| *property == wanted).map(|(_, value)| *value)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::transport::{Conversation, Patience, Transport, TransportError};
    use crypto::SystemRandom;
    use std::time::Duration;

    /// Answers with these parameters.
    struct Says(Vec<u8>);

    impl Transport for Says {
        fn begin<'a>(&'a self, _: &Patience<'_>) -> Result<Box<dyn Conversation + 'a>, TransportError> {
            Ok(Box::new(Saying(&self.0)))
        }
    }

    struct Saying<'a>(&'a [u8]);

    impl Conversation for Saying<'_> {
        fn exchange(&mut self, _: &[u8], _: &Patience<'_>) -> Result<Vec<u8>, TransportError> {
            let len = u32::try_from(10 + self.0.len()).unwrap().to_be_bytes();
            Ok([b"\x80\x01", &len[..], &[0; 4], self.0].concat())
        }

        fn pause(&mut self, _: Duration, _: &Patience<'_>) -> Result<(), TransportError> {
            Ok(())
        }
    }

    fn asked<T>(parameters: &[u8], ask: impl FnOnce(&Tpm<'_>) -> Result<T, TpmError>) -> Result<T, TpmError> {
        let says = Says(parameters.to_vec());
        ask(&Tpm::begin(&says, Patience { until: None, at_most: None, cancelled: &|| false }, &SystemRandom)?)
    }

    /// A hash and a property that nobody has heard of, and a bank of which some PCRs are missing.
    #[test]
    fn what_is_not_known_is_passed_over() {
        let banks = b"\0\0\0\0\x05\0\0\0\x04\x0f\x0f\x03\xff\xff\xff\0\x0b\x03\xff\xff\xff\0\x04\x03\0\0\0\0\x0c\x04\xff\xff\xff\0";
        let names: Vec<&str> = asked(banks, |tpm| tpm.banks()).unwrap().into_iter().map(Bank::name).collect();
        assert_eq!(names, ["sha256", "sha384"]);
        let fixed = b"\0\0\0\0\x06\0\0\0\x02\0\0\x01\x05INTC\0\0\x01\x30\0\0\0\x01";
        assert_eq!(asked(fixed, |tpm| tpm.identity()).unwrap().manufacturer, "INTC");
    }

    /// What a TPM leaves out is not 0, and numbers that say that it is locked do not make it so.
    #[test]
    fn tries_are_counted_by_what_the_tpm_says() {
        let left = |locked_out, failures, most_failures| {
            DictionaryAttack { locked_out, failures, most_failures, forgets_after_s: None }.tries_left()
        };
        assert_eq!(left(false, Some(1), Some(3)), Some(2));
        assert_eq!(left(true, None, None), Some(0));
        for (failures, most_failures) in [(Some(3), Some(3)), (Some(4), Some(3)), (Some(0), None), (None, Some(3))] {
            assert_eq!(left(false, failures, most_failures), None, "{failures:?} of {most_failures:?}");
        }
        let failures_alone = b"\0\0\0\0\x06\0\0\0\x01\0\0\x02\x0e\0\0\0\0";
        let told = asked(failures_alone, |tpm| tpm.dictionary_attack()).unwrap();
        assert_eq!((told.failures, told.most_failures, told.forgets_after_s), (Some(0), None, None));
    }

    #[test]
    fn a_list_that_is_none_is_an_error() {
        let good = b"\0\0\0\0\x06\0\0\0\x01\0\0\x02\x0e\0\0\0\x03";
        assert_eq!(asked(good, |tpm| tpm.dictionary_attack()).unwrap().failures, Some(3));
        for len in 0..good.len() {
            assert!(asked(good.get(..len).unwrap(), |tpm| tpm.dictionary_attack()).is_err(), "{len}");
        }
        assert!(asked(&[good, &b"x"[..]].concat(), |tpm| tpm.dictionary_attack()).is_err());
        let endless = b"\0\0\0\0\x06\xff\xff\xff\xff\0\0\x02\x0e\0\0\0\x03";
        assert!(asked(endless, |tpm| tpm.dictionary_attack()).is_err());
        assert!(asked(good, |tpm| tpm.banks()).is_err());
    }
}
