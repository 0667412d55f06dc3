//! What PCRs will hold when a volume is to be opened after an update.

use super::digests::PcrDigests;
use ::tpm2::Bank;
use ::tpm2::event_log::{self, Booted, EventLog, Exchange, NotLocated, Part, Unpredictable};

/// What will be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Predicted {
    /// The bank.
    pub bank: Bank,
    /// The PCRs that are known.
    pub values: PcrDigests,
    /// The others, with the reason.
    pub unpredictable: Vec<(u8, Unpredictable)>,
}

/// systemd's word in the initramfs, where volumes are opened.
const IN_THE_INITRAMFS: &[&str] = &["enter-initrd"];
/// The PCR that it extends.
const PCR_UNIFIED: u8 = 11;

/// Says of each PCR of `held` what it will hold after these parts were exchanged, at the moment when volumes are opened: PCR 11 has
/// what it has in the initramfs. The PCR of a latch is not one of those that a binding names, and has its first value then.
///
/// # Errors
/// [`NotLocated`] if the log has no place for a part.
pub fn predict(log: &EventLog, bank: Bank, held: &PcrDigests, parts: &[Part<'_>]) -> Result<Predicted, NotLocated> {
    let located = parts.iter().map(|part| log.locate(part)).collect::<Result<Vec<_>, _>>()?;
    let exchanges: Vec<Exchange<'_>> = located.iter().map(|located| located.exchange()).collect();
    let hash = bank.hash();
    let mut predicted = Predicted { bank, values: PcrDigests::new(), unpredictable: Vec::new() };
    for (pcr, value) in held {
        let (value, phases) = match log.phases(hash, value).filter(|_| *pcr == PCR_UNIFIED) {
            Some([]) | None => (value.clone(), &[][..]),
            Some(_) => (in_the_initramfs(log, bank), IN_THE_INITRAMFS),
        };
        let pcrs = [(*pcr, value)];
        let found = event_log::predict(&Booted { log, bank: hash, pcrs: &pcrs, phases }, &exchanges);
        predicted.values.extend(found.values);
        predicted.unpredictable.extend(found.unpredictable);
    }
    Ok(predicted)
}

/// PCR 11 of this boot when its volumes were opened.
fn in_the_initramfs(log: &EventLog, bank: Bank) -> Vec<u8> {
    let hash = bank.hash();
    let replayed = log.replay(hash).pcrs.into_iter().find(|(pcr, _)| *pcr == PCR_UNIFIED);
    let value = replayed.map_or_else(|| vec![0; hash.len()], |(_, value)| value);
    IN_THE_INITRAMFS.iter().fold(value, |value, word| {
        let word = hash.digest(&[word.as_bytes()]);
        hash.digest(&[&value, word.as_ref()]).as_ref().to_vec()
    })
}

/// What these PCRs hold by the log alone, where no TPM can be asked; those that no event extends are left out.
pub fn replayed(log: &EventLog, bank: Bank, pcrs: &[u8]) -> PcrDigests {
    log.replay(bank.hash()).pcrs.into_iter().filter(|(pcr, _)| pcrs.contains(pcr)).collect()
}
