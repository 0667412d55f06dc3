//! The conversations that are held.

use super::made_up::{PARENT, PIN, SECRET, SIGNATURE};
use crypto::{Hash, Secret};
use tpm2::policy::{Comparison, Policy, Step};
use tpm2::{
    Approval, Bank, Means, NvIndex, PcrSelection, Protection, Purpose, Sealed, SealedTemplate, Session, Tpm, TpmError,
    VerifyingKey,
};

type Done = Result<(), TpmError>;

/// Each by its number.
pub(super) const TALKS: [fn(&Tpm<'_>) -> Done; 8] =
    [ask, seal, open_plain, open_signed, open_with_pin, keep, persistent, agree];

/// All that a TPM says of itself.
fn ask(tpm: &Tpm<'_>) -> Done {
    assert!(!tpm.identity()?.manufacturer.chars().any(char::is_control));
    let attack = tpm.dictionary_attack()?;
    assert!(attack.tries_left().is_none_or(|left| attack.locked_out || Some(left) <= attack.most_failures));
    assert!(tpm.banks()?.len() <= 4096);
    assert!(tpm.nv_indices()?.iter().all(|index| index.number() >> 24 == 1));
    tpm.pcr_read(&all_pcrs(), None).map(|values| assert_eq!(values.iter().count(), 24))
}

fn seal(tpm: &Tpm<'_>) -> Done {
    let parent = tpm.create_primary(PARENT)?;
    let mut session = start(tpm, &parent, Purpose::Authorise)?;
    let values = tpm.pcr_read(&all_pcrs(), Some(&mut session))?.concatenated();
    let policy = Policy::new().then(Step::Pcr { selection: all_pcrs(), values }).then(Step::AuthValue);
    let policy = Some(policy.digest(Hash::Sha256)?);
    let template = SealedTemplate { hash: Hash::Sha256, policy, protection: Protection::Counted };
    let (secret, pin) = (Secret::copied_from(SECRET), Secret::copied_from(PIN));
    let sealed = tpm.create_with_value(&parent, &template, &secret, &pin, session)?;
    sealed.public_area().map(|_| ())
}

fn open_plain(tpm: &Tpm<'_>) -> Done {
    let parent = tpm.create_primary(PARENT)?;
    let mut session = start(tpm, &parent, Purpose::Authorise)?;
    let object = tpm.load(&parent, &sealed(), &mut session)?;
    believe(&tpm.unseal(&object, session)?)
}

fn open_signed(tpm: &Tpm<'_>) -> Done {
    let parent = tpm.create_primary(PARENT)?;
    let mut reading = start(tpm, &parent, Purpose::Authorise)?;
    let object = tpm.load(&parent, &sealed(), &mut reading)?;
    let index = tpm.nv_read_public(NvIndex::new(0x0180_0001).unwrap())?;
    let value = tpm.nv_read_counter(&index, &mut reading)?;
    let key = VerifyingKey::P256 { x: [1; 32], y: [2; 32] };
    let counter = Step::Nv {
        index: index.index(),
        name: index.name(),
        comparison: Comparison::AtMost,
        operand: value,
        offset: 0,
    };
    let policy = Policy::new()
        .then(Step::Pcr { selection: all_pcrs(), values: vec![0; 24 * 32] })
        .then(counter)
        .then(Step::Authorize { key: key.name()?, reference: b"fuzz".to_vec() })
        .then(Step::Or(vec![vec![1; 32]; 8]))
        .then(Step::UnsealOnly);
    let mut session = start(tpm, &parent, Purpose::Policy)?;
    let approval = Some(Approval { key: &key, signature: SIGNATURE });
    session.play(&policy, &mut Means { reading: Some(&mut reading), approval })?;
    session.policy_digest()?;
    believe(&tpm.unseal(&object, session)?)
}

fn open_with_pin(tpm: &Tpm<'_>) -> Done {
    let parent = tpm.create_primary(PARENT)?;
    let session = start(tpm, &parent, Purpose::Authorise)?;
    let object = tpm.load_last(&parent, &sealed(), session)?;
    let mut session = start(tpm, &parent, Purpose::Policy)?;
    session.play(&Policy::new().then(Step::AuthValue), &mut Means::default())?;
    believe(&tpm.unseal_with_value(&object, &Secret::copied_from(PIN), session)?)
}

/// Everything that a TPM keeps.
fn keep(tpm: &Tpm<'_>) -> Done {
    let parent = tpm.create_primary(PARENT)?;
    let session = &mut start(tpm, &parent, Purpose::Authorise)?;
    let index = NvIndex::new(0x0180_0002).unwrap();
    tpm.nv_define_counter(index, session)?;
    let counter = tpm.nv_read_public(index)?;
    tpm.nv_increment(&counter, session)?;
    tpm.nv_read_counter(&counter, session)?;
    tpm.nv_undefine(&counter, session)?;
    tpm.nv_define(index, 16, session)?;
    let epoch = tpm.nv_read_public(index)?;
    tpm.nv_write(&epoch, b"epoch", session)?;
    assert_eq!(tpm.nv_read(&epoch, session)?.len(), usize::from(epoch.len()));
    tpm.pcr_extend(15, &[Bank::of(Hash::Sha256).unwrap(), Bank::of(Hash::Sha1).unwrap()], b"latch", session)
}

fn persistent(tpm: &Tpm<'_>) -> Done {
    let parent = tpm.persistent(0x8100_0001)?;
    assert_eq!(tpm.read_public(&parent)?, *parent.public());
    let session = start(tpm, &parent, Purpose::Authorise)?;
    tpm.load_last(&parent, &sealed(), session).map(|_| ())
}

fn agree(tpm: &Tpm<'_>) -> Done {
    let parent = tpm.create_primary(PARENT)?;
    let session = start(tpm, &parent, Purpose::Authorise)?;
    let key = tpm.create_agreement_key(&parent, session)?;
    let mut session = start(tpm, &parent, Purpose::Authorise)?;
    let key = tpm.load_agreement_key(&parent, &key, &mut session)?;
    believe(&tpm.ecdh_zgen(&key, (&[3; 32], &[4; 32]), session)?)
}

fn start<'t, 'a>(
    tpm: &'t Tpm<'a>,
    parent: &tpm2::Object<'_, '_>,
    purpose: Purpose,
) -> Result<Session<'t, 'a>, TpmError> {
    tpm.start_session(parent, purpose, Hash::Sha256)
}

fn all_pcrs() -> PcrSelection {
    PcrSelection::new(Bank::of(Hash::Sha256).unwrap(), 0..24).unwrap()
}

/// A secret is at most as long as an answer.
fn believe(secret: &Secret) -> Done {
    assert!(secret.len() <= tpm2::LONGEST_ANSWER);
    Ok(())
}

/// A sealed object with a policy.
fn sealed() -> Sealed {
    let mut area = vec![0, 8, 0, 0x0b, 0, 0, 4, 0x92, 0, 32];
    area.extend([7; 32]);
    area.extend([0, 0x10, 0, 32]);
    area.extend([8; 32]);
    let public = [&[0, u8::try_from(area.len()).unwrap()][..], &area].concat();
    Sealed { public, private: [&[0, 160][..], &[9; 160]].concat() }
}
