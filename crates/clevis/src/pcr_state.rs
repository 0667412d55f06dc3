//! What some PCRs of one bank hold, at least one: what a policy compares.

use crate::measured::{PcrDigests, digests_to_json, read_digests};
use json::{Field, FieldError, Object};
use tpm2::policy::Step;
use tpm2::{Bank, PcrSelection, PcrValues};

/// What some PCRs of one bank hold: at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PcrState {
    selection: PcrSelection,
    /// One of each PCR of the selection.
    values: PcrDigests,
}

const WRONG: &str = "an object of PCR numbers and values, with at least one";

impl PcrState {
    /// Reads the object; the values are those of `bank`.
    ///
    /// # Errors
    /// [`FieldError`] if it is none, is empty, or a value has another length.
    pub fn read(field: &Field<'_>, bank: Bank) -> Result<PcrState, FieldError> {
        let values = read_digests(field, bank.hash().len())?;
        let selection = PcrSelection::new(bank, values.keys().copied().map(u64::from));
        let selection = selection.map_err(|_| field.wrong_value(WRONG))?;
        Ok(PcrState { selection, values })
    }

    /// What a TPM said.
    pub fn of(values: &PcrValues) -> PcrState {
        let digests = values.iter().map(|(pcr, value)| (pcr, value.to_vec())).collect();
        PcrState { selection: *values.selection(), values: digests }
    }

    /// These values, one behind the other. `None` if they have another length than the PCRs.
    pub fn split(selection: &PcrSelection, values: &[u8]) -> Option<PcrState> {
        let bank = selection.bank();
        let each = values.chunks(bank.hash().len()).map(<[u8]>::to_vec);
        let fits = values.len() == selection.values_len();
        fits.then(|| PcrState { selection: *selection, values: selection.pcrs().zip(each).collect() })
    }

    /// The bank.
    pub fn bank(&self) -> Bank {
        self.selection.bank()
    }

    /// Each PCR with its value, in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (u8, &[u8])> {
        self.values.iter().map(|(pcr, value)| (*pcr, value.as_slice()))
    }

    /// The PCRs.
    pub fn selection(&self) -> PcrSelection {
        self.selection
    }

    /// Whether these are the values of those PCRs, all and no others.
    pub fn is_of(&self, selection: &PcrSelection) -> bool {
        self.selection == *selection
    }

    /// The values by their numbers.
    pub(crate) fn into_digests(self) -> PcrDigests {
        self.values
    }

    /// The values, one behind the other.
    pub fn concatenated(&self) -> Vec<u8> {
        self.values.values().flatten().copied().collect()
    }

    /// The PCRs whose value is another one in `now`.
    pub fn moved(&self, now: &PcrState) -> Vec<u8> {
        self.iter()
            .filter(|(pcr, value)| now.values.get(pcr).is_none_or(|other| other != value))
            .map(|(pcr, _)| pcr)
            .collect()
    }

    /// The step of a policy that asks for them.
    pub(crate) fn step(&self) -> Step {
        Step::Pcr { selection: self.selection, values: self.concatenated() }
    }

    /// The object.
    pub fn to_json(&self) -> Object {
        digests_to_json(&self.values)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use json::{Limits, Value};

    fn read(text: &str) -> Option<PcrState> {
        let bank = Bank::from_name("sha1").unwrap();
        PcrState::read(&json::parse(text.as_bytes(), &Limits::POLICY).unwrap().field("accept"), bank).ok()
    }

    #[test]
    fn values_are_read_and_written_alike() {
        let (four, seven) = ("ab".repeat(20), "00".repeat(20));
        let text = format!(r#"{{"4":"{four}","7":"{seven}"}}"#);
        let both = read(&text).unwrap();
        assert_eq!(Value::Object(both.to_json()).to_compact().as_str(), text);
        assert_eq!(both.selection().to_string(), "sha1:4,7");
        assert_eq!(PcrState::split(&both.selection(), &both.concatenated()), Some(both.clone()));
        let other = PcrState::split(&both.selection(), &[[1; 20], [0; 20]].concat()).unwrap();
        assert_eq!(both.moved(&other), [4]);
        assert_eq!(read(&format!(r#"{{"4":"{}"}}"#, "AB".repeat(20))).unwrap().moved(&both), Vec::<u8>::new());
    }

    #[test]
    fn what_is_no_value_of_a_pcr_is_refused() {
        let good = "00".repeat(20);
        for (pcr, value) in
            [("24", &*good), ("04", &good), ("-1", &good), ("x", &good), ("4", "00"), ("4", &good[1..]), ("4", "")]
        {
            assert_eq!(read(&format!(r#"{{"{pcr}":"{value}"}}"#)), None, "{pcr} {value}");
        }
        assert_eq!((read("{}"), read("[]")), (None, None));
    }
}
