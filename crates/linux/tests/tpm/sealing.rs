//! A secret sealed and opened, by every parent and hash, with and without PCRs.

use crate::line::Line;
use crate::swtpm::Swtpm;
use crypto::{Hash, Secret, SystemRandom};
use linux::TpmDevice;
use tpm2::{
    Bank, Meaning, ParentKey, ParentTemplate, Patience, PcrSelection, Protection, Purpose, Sealed, SealedTemplate, Tpm,
    TpmError, Transport,
};

pub(crate) const CALM: Patience<'_> = Patience { until: None, at_most: None, cancelled: &|| false };
/// As long as the key that is sealed in a binding.
pub(crate) const SECRET: &[u8; 112] = &[0x5a; 112];
pub(crate) const ECC: ParentTemplate =
    ParentTemplate { key: ParentKey::Ecc, hash: Hash::Sha256, protection: Protection::Counted };

pub(crate) fn seal(
    line: &dyn Transport,
    parent: ParentTemplate,
    pcrs: Option<PcrSelection>,
) -> Result<Sealed, TpmError> {
    let tpm = Tpm::begin(line, CALM, &SystemRandom)?;
    let parent_key = tpm.create_primary(parent)?;
    let mut session = tpm.start_session(&parent_key, Purpose::Authorise, Hash::Sha256)?;
    let policy = match pcrs {
        Some(pcrs) => Some(pcrs.policy(parent.hash, &tpm.pcr_read(&pcrs, Some(&mut session))?.concatenated())?),
        None => None,
    };
    let template = SealedTemplate { hash: parent.hash, policy, protection: Protection::Uncounted };
    tpm.create(&parent_key, &template, &Secret::copied_from(SECRET), session)
}

pub(crate) fn open(
    line: &dyn Transport,
    parent: ParentTemplate,
    sealed: &Sealed,
    pcrs: Option<PcrSelection>,
) -> Result<Secret, TpmError> {
    open_within(line, CALM, parent, sealed, pcrs)
}

pub(crate) fn open_within(
    line: &dyn Transport,
    patience: Patience<'_>,
    parent: ParentTemplate,
    sealed: &Sealed,
    pcrs: Option<PcrSelection>,
) -> Result<Secret, TpmError> {
    let tpm = Tpm::begin(line, patience, &SystemRandom)?;
    let parent = tpm.create_primary(parent)?;
    let mut session = tpm.start_session(&parent, Purpose::Authorise, Hash::Sha256)?;
    let Some(pcrs) = pcrs else {
        let object = tpm.load(&parent, sealed, &mut session)?;
        return tpm.unseal(&object, session);
    };
    let object = tpm.load_last(&parent, sealed, session)?;
    let policy = tpm.start_session(&parent, Purpose::Policy, object.public().hash())?;
    policy.policy_pcr(&pcrs)?;
    tpm.unseal(&object, policy)
}

fn pcrs(bank: &str, pcrs: &[u64]) -> PcrSelection {
    PcrSelection::new(Bank::from_name(bank).unwrap(), pcrs.iter().copied()).unwrap()
}

#[test]
fn every_parent_and_hash_with_and_without_pcrs() {
    let swtpm = Swtpm::start();
    let tpm = TpmDevice::at(&swtpm.place()).unwrap();
    for key in [ParentKey::Ecc, ParentKey::Rsa] {
        for hash in [Hash::Sha1, Hash::Sha256, Hash::Sha384, Hash::Sha512] {
            // RSA keys take their time to be found; one hash that is longer than a block of the session is enough.
            if key == ParentKey::Rsa && hash == Hash::Sha512 {
                continue;
            }
            let parent = ParentTemplate { key, hash, protection: Protection::Counted };
            for pcrs in [None, Some(pcrs("sha256", &[4, 16])), Some(pcrs("sha1", &(0..24).collect::<Vec<_>>()))] {
                let sealed = seal(&tpm, parent, pcrs).unwrap_or_else(|error| panic!("{parent:?} {pcrs:?}: {error}"));
                let secret =
                    open(&tpm, parent, &sealed, pcrs).unwrap_or_else(|error| panic!("{parent:?} {pcrs:?}: {error}"));
                assert!(secret.ct_eq(SECRET), "{parent:?} {pcrs:?}");
            }
        }
    }
}

/// 24 values come in three answers, and one bank in another order than the numbers would be another policy.
#[test]
fn all_pcrs_of_a_bank_are_read_in_order() {
    let swtpm = Swtpm::start();
    let device = TpmDevice::at(&swtpm.place()).unwrap();
    let line = Line::listening(&device);
    let tpm = Tpm::begin(&line, CALM, &SystemRandom).unwrap();
    let values = tpm.pcr_read(&pcrs("sha256", &(0..24).collect::<Vec<_>>()), None).unwrap();
    assert_eq!(values.iter().map(|(pcr, _)| pcr).collect::<Vec<_>>(), (0..24).collect::<Vec<_>>());
    // The PCRs of a dynamic launch are all ones, the others all zeros.
    for (pcr, value) in values.iter() {
        assert_eq!(value, [if (17..=22).contains(&pcr) { 0xff } else { 0 }; 32], "PCR {pcr}");
    }
    assert_eq!(line.codes(), [0x17e; 3]);
    let missing = tpm.pcr_read(&pcrs("sm3_256", &[1]), None).unwrap_err();
    assert_eq!(missing.meaning(), Some(Meaning::Unsupported), "{missing}");
}

#[test]
fn what_is_not_this_tpms_or_not_this_state_is_named() {
    let (swtpm, other) = (Swtpm::start(), Swtpm::start());
    let tpm = TpmDevice::at(&swtpm.place()).unwrap();
    let open_without = seal(&tpm, ECC, None).unwrap();
    let other = TpmDevice::at(&other.place()).unwrap();
    let meaning = |result: Result<Secret, TpmError>| result.err().and_then(|error| error.meaning());
    assert_eq!(meaning(open(&other, ECC, &open_without, None)), Some(Meaning::NotOurs));
    let sha1 = ParentTemplate { hash: Hash::Sha1, ..ECC };
    assert_eq!(meaning(open(&tpm, sha1, &open_without, None)), Some(Meaning::NotOurs));

    let bound = seal(&tpm, ECC, Some(pcrs("sha256", &[7]))).unwrap();
    assert_eq!(meaning(open(&tpm, ECC, &bound, Some(pcrs("sha256", &[8])))), Some(Meaning::PolicyFailed));
    assert!(meaning(open(&tpm, ECC, &bound, None)).is_some(), "opened without its policy");
    let mut changed = bound.clone();
    *changed.private.last_mut().unwrap() ^= 1;
    assert_eq!(meaning(open(&tpm, ECC, &changed, Some(pcrs("sha256", &[7])))), Some(Meaning::NotOurs));
}

/// A TPM that nobody started says so; the kernel's driver does that before anybody else talks to it.
#[test]
fn a_tpm_that_was_not_started_is_named() {
    let swtpm = Swtpm::start_with("not-need-init");
    let tpm = TpmDevice::at(&swtpm.place()).unwrap();
    let error = seal(&tpm, ECC, None).unwrap_err();
    assert_eq!(error.meaning(), Some(Meaning::NotStarted), "{error}");
}
