//! Platform configuration registers: which, what is in them, and the policy that they stay as they are (part 3, sections 22.4 and 23.7).

use crate::algorithm::{hash_of, id_of};
use crate::authorisation::Authorisation;
use crate::conversation::Tpm;
use crate::error::TpmError;
use crate::session::Session;
use crate::wire::{Answer, AnswerHandles, Reader, Request, parameters_of};
use crypto::Hash;
use std::fmt;
use tpm2_protocol::data::{TpmCc, TpmaSession, TpmlDigest, TpmlPcrSelection, TpmsPcrSelect, TpmsPcrSelection};
use tpm2_protocol::frame::TpmPcrReadCommand;

/// PCRs of a PC Client TPM, in each bank.
pub(crate) const PCRS: u8 = 24;
/// How often the reading of more PCRs than fit into one answer is begun anew because they changed meanwhile.
const MOST_READINGS: usize = 4;
const PCR_READ: &str = "TPM2_PCR_Read";

/// A bank of PCRs, by the hash that extends them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bank(Hash);

/// Some PCRs, at least one. Bit n for PCR n.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PcrSet(u32);

/// Some PCRs of one bank, at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PcrSelection {
    bank: Bank,
    /// Bit n for PCR n.
    bits: u32,
}

/// Why a selection is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SelectionError {
    /// There is no PCR of this number.
    OutOfRange {
        /// The number.
        pcr: u64,
    },
    /// No PCR at all.
    Empty,
}

/// What is in the PCRs of a selection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PcrValues {
    selection: PcrSelection,
    /// In the order of their numbers.
    values: Vec<Vec<u8>>,
}

impl Bank {
    /// Names as tpm2-tools have them.
    const NAMES: [(&'static str, Hash); 8] = [
        ("sha1", Hash::Sha1),
        ("sha256", Hash::Sha256),
        ("sha384", Hash::Sha384),
        ("sha512", Hash::Sha512),
        ("sm3_256", Hash::Sm3),
        ("sha3_256", Hash::Sha3_256),
        ("sha3_384", Hash::Sha3_384),
        ("sha3_512", Hash::Sha3_512),
    ];

    /// The bank of this name.
    pub fn from_name(name: &str) -> Option<Bank> {
        Bank::NAMES.iter().find(|(known, _)| *known == name).map(|(_, hash)| Bank(*hash))
    }

    /// The bank of this hash, if TPMs have it.
    pub fn of(hash: Hash) -> Option<Bank> {
        id_of(hash).map(|_| Bank(hash))
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        Bank::NAMES.iter().find(|(_, hash)| *hash == self.0).map_or("", |(name, _)| name)
    }

    /// The hash that extends its PCRs.
    pub fn hash(self) -> Hash {
        self.0
    }
}

impl PcrSet {
    /// These PCRs, in any order, also twice.
    ///
    /// # Errors
    /// [`SelectionError`].
    pub fn new(pcrs: impl IntoIterator<Item = u64>) -> Result<PcrSet, SelectionError> {
        let mut bits = 0;
        for pcr in pcrs {
            let number = u8::try_from(pcr).ok().filter(|number| *number < PCRS);
            bits |= 1 << number.ok_or(SelectionError::OutOfRange { pcr })?;
        }
        if bits == 0 { Err(SelectionError::Empty) } else { Ok(PcrSet(bits)) }
    }

    /// How many there are.
    pub fn count(self) -> usize {
        usize::try_from(self.0.count_ones()).unwrap_or(0)
    }

    /// Those of this bank.
    pub fn in_bank(self, bank: Bank) -> PcrSelection {
        PcrSelection { bank, bits: self.0 }
    }
}

impl PcrSelection {
    /// These PCRs of this bank, in any order.
    ///
    /// # Errors
    /// [`SelectionError`].
    pub fn new(bank: Bank, pcrs: impl IntoIterator<Item = u64>) -> Result<PcrSelection, SelectionError> {
        PcrSet::new(pcrs).map(|set| set.in_bank(bank))
    }

    /// The bank.
    pub fn bank(&self) -> Bank {
        self.bank
    }

    /// The PCRs, in the order of their numbers.
    pub fn pcrs(&self) -> impl Iterator<Item = u8> + use<> {
        let bits = self.bits;
        (0..PCRS).filter(move |pcr| bits & (1 << pcr) != 0)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.pcrs().count()
    }

    /// Length of all their values, one behind the other.
    pub fn values_len(&self) -> usize {
        self.count().saturating_mul(self.bank.0.len())
    }

    /// These values, if they are as long as those of these PCRs.
    pub(crate) fn checked<'v>(&self, values: &'v [u8]) -> Result<&'v [u8], TpmError> {
        let other = TpmError::Unsayable { what: "PCR values of another length than the PCRs have" };
        if values.len() == self.values_len() { Ok(values) } else { Err(other) }
    }

    pub(crate) fn to_list(self) -> Result<TpmlPcrSelection, TpmError> {
        let unsayable = |_| TpmError::Unsayable { what: "a selection of PCRs" };
        let [low, middle, high, _] = self.bits.to_le_bytes();
        let hash = id_of(self.bank.0).ok_or(TpmError::NoSuchPcr)?;
        let pcr_select = TpmsPcrSelect::try_from(&[low, middle, high][..]).map_err(unsayable)?;
        let mut list = TpmlPcrSelection::default();
        list.try_push(TpmsPcrSelection { hash, pcr_select }).map_err(unsayable)?;
        Ok(list)
    }
}

impl PcrValues {
    /// Whose values they are.
    pub fn selection(&self) -> &PcrSelection {
        &self.selection
    }

    /// The values one behind the other, in the order of their numbers.
    pub fn concatenated(&self) -> Vec<u8> {
        self.values.concat()
    }

    /// Each PCR with its value.
    pub fn iter(&self) -> impl Iterator<Item = (u8, &[u8])> {
        self.selection.pcrs().zip(self.values.iter().map(Vec::as_slice))
    }
}

/// One answer of `TPM2_PCR_Read`.
struct Reading {
    counter: u32,
    bits: u32,
    values: Vec<Vec<u8>>,
}

impl Tpm<'_> {
    /// `TPM2_PCR_Read`, as often as it takes. In a session the answers are authenticated: what is sealed against them is sealed against what
    /// the TPM said, and not somebody on the line.
    ///
    /// # Errors
    /// [`TpmError`]; [`TpmError::NoSuchPcr`] if the bank is not there.
    pub fn pcr_read(
        &self,
        selection: &PcrSelection,
        mut session: Option<&mut Session<'_, '_>>,
    ) -> Result<PcrValues, TpmError> {
        for _ in 0..MOST_READINGS {
            if let Some(values) = self.pcr_read_at_once(selection, &mut session)? {
                return Ok(PcrValues { selection: *selection, values });
            }
        }
        Err(TpmError::Malformed { command: PCR_READ, what: "the PCRs do not stand still" })
    }

    /// Nothing if a PCR was extended between two answers.
    fn pcr_read_at_once(
        &self,
        selection: &PcrSelection,
        session: &mut Option<&mut Session<'_, '_>>,
    ) -> Result<Option<Vec<Vec<u8>>>, TpmError> {
        let (mut left, mut counter, mut values) = (selection.bits, None, Vec::new());
        while left != 0 {
            let reading = self.pcr_read_some(&PcrSelection { bits: left, ..*selection }, session)?;
            if counter.is_some_and(|before| before != reading.counter) {
                return Ok(None);
            }
            counter = Some(reading.counter);
            left &= !reading.bits;
            values.extend(reading.values);
        }
        Ok(Some(values))
    }

    /// As many of the lowest numbers as the TPM puts into one answer.
    fn pcr_read_some(
        &self,
        selection: &PcrSelection,
        session: &mut Option<&mut Session<'_, '_>>,
    ) -> Result<Reading, TpmError> {
        let command = TpmPcrReadCommand { handles: [], pcr_selection_in: selection.to_list()? };
        let request = Request {
            code: TpmCc::PcrRead,
            handles: &[],
            parameters: parameters_of(&command)?,
            answers_with: AnswerHandles::None,
        };
        let answer = match session {
            Some(session) => session.run(request, TpmaSession::AUDIT)?,
            None => self.run(request, Authorisation::None)?,
        };
        read_values(&answer, selection)
    }
}

/// The values of an answer; at least one of what was asked for, and nothing else. The lowest numbers come first, so that one answer behind
/// the other is all of them in their order.
fn read_values(answer: &Answer, asked: &PcrSelection) -> Result<Reading, TpmError> {
    let mut reader = Reader::new(&answer.parameters, PCR_READ);
    let counter = reader.u32()?;
    let selected: TpmlPcrSelection = reader.structure()?;
    let digests: TpmlDigest = reader.structure()?;
    reader.end()?;
    let bits = selected
        .iter()
        .filter(|part| hash_of(part.hash) == Some(asked.bank.0))
        .fold(0, |bits, part| bits | bits_of(&part.pcr_select));
    let values: Vec<Vec<u8>> = digests.iter().map(|digest| digest.as_ref().to_vec()).collect();
    let sizes = values.iter().all(|value| value.len() == asked.bank.0.len());
    let highest = 32 - bits.leading_zeros();
    let lowest_first = asked.bits & ((1u32 << highest.min(31)) - 1) == bits;
    match bits {
        0 => Err(TpmError::NoSuchPcr),
        _ if !lowest_first => Err(TpmError::NoSuchPcr),
        _ if !sizes || values.len() != usize::try_from(bits.count_ones()).unwrap_or(0) => {
            Err(reader.malformed("its values are not those of its PCRs"))
        }
        _ => Ok(Reading { counter, bits, values }),
    }
}

/// Bit n for PCR n out of a bitmap; what lies beyond the PCRs of a PC is not looked at.
pub(crate) fn bits_of(bitmap: &[u8]) -> u32 {
    (0u32..).zip(bitmap.iter().take(3)).fold(0, |bits, (at, byte)| bits | (u32::from(*byte) << (8 * at)))
}

impl fmt::Display for PcrSelection {
    /// As tpm2-tools write it: `sha256:4,7`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<String> = self.pcrs().map(|pcr| pcr.to_string()).collect();
        write!(f, "{}:{}", self.bank.name(), numbers.join(","))
    }
}

impl fmt::Display for SelectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SelectionError::OutOfRange { pcr } => write!(f, "there is no PCR {pcr}; they are numbered 0 to 23"),
            SelectionError::Empty => f.write_str("no PCR is named"),
        }
    }
}

impl std::error::Error for SelectionError {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::wire::bytes_of;
    use zeroize::Zeroizing;

    fn selection(pcrs: &[u64]) -> PcrSelection {
        PcrSelection::new(Bank::from_name("sha256").unwrap(), pcrs.iter().copied()).unwrap()
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn a_selection_is_some_of_24() {
        assert_eq!(selection(&[7, 4, 7]).to_string(), "sha256:4,7");
        assert_eq!(hex(&bytes_of(&selection(&[0, 9, 23]).to_list().unwrap()).unwrap()), "00000001000b03010280");
        let bank = Bank::from_name("sha1").unwrap();
        assert_eq!(PcrSelection::new(bank, []), Err(SelectionError::Empty));
        assert_eq!(PcrSelection::new(bank, [24]), Err(SelectionError::OutOfRange { pcr: 24 }));
        assert_eq!(PcrSelection::new(bank, [u64::MAX]), Err(SelectionError::OutOfRange { pcr: u64::MAX }));
        assert_eq!(Bank::from_name("md5"), None);
    }

    fn answer(bits: u8, values: &[&[u8]]) -> Answer {
        let mut parameters =
            vec![0, 0, 0, 9, 0, 0, 0, 1, 0, 0x0b, 3, bits, 0, 0, 0, 0, 0, u8::try_from(values.len()).unwrap()];
        for value in values {
            crate::wire::push_sized(&mut parameters, value).unwrap();
        }
        Answer { handle: None, parameters: Zeroizing::new(parameters), authorisation: Vec::new() }
    }

    #[test]
    fn only_what_was_asked_for_is_taken() {
        let asked = selection(&[0, 1, 2]);
        let value = &[7; 32][..];
        let reading = read_values(&answer(0b011, &[value, value]), &asked).unwrap();
        assert_eq!((reading.counter, reading.bits, reading.values.len()), (9, 0b011, 2));
        for (bits, values) in [
            (0, &[][..]),
            (0b110, &[value, value]),
            (0b1000, &[value]),
            (0b001, &[]),
            (0b001, &[value, value]),
            (0b001, &[&[7; 20]]),
        ] {
            assert!(read_values(&answer(bits, values), &asked).is_err(), "{bits:b}");
        }
    }
}
