//! What a binding says that wants a signature and a counter: recorded by `linux/examples/record_tpm.rs` and replayed by `../replay.rs`.

use crypto::ec::{Curve, Point, Scalar};
use crypto::{Hash, Random, Secret};
use tpm2::policy::{Comparison, Policy, Step};
use tpm2::{
    Approval, Means, NvIndex, NvPublic, ParentKey, ParentTemplate, Patience, PcrSelection, Protection, Purpose,
    SealedTemplate, Session, Tpm, TpmError, Transport, VerifyingKey,
};

const PARENT: ParentTemplate =
    ParentTemplate { key: ParentKey::Ecc, hash: Hash::Sha256, protection: Protection::Uncounted };
const PATIENCE: Patience<'_> = Patience { until: None, at_most: None, cancelled: &|| false };
/// Where counters of ours begin.
const FIRST_COUNTER: u32 = 0x0180_c077;
const REFERENCE: &[u8] = b"what the signature is for";

/// The key that signs, the same each time.
pub(crate) fn signer(random: &dyn Random) -> Scalar {
    Scalar::random(Curve::P256, random).unwrap()
}

/// Makes a signature over these bytes: the policy that was met, and the purpose.
type Sign<'a> = &'a dyn Fn(&[u8]) -> Vec<u8>;

/// Makes a counter, seals under a signature for the counter's number and these PCRs, and opens it again.
pub(crate) fn seal_and_open(
    line: &dyn Transport,
    random: &dyn Random,
    (signer, sign): (&Scalar, Sign<'_>),
    pcrs: PcrSelection,
) -> Result<Secret, TpmError> {
    let point = Point::base_times(signer).unwrap();
    let key = VerifyingKey::P256 { x: point.x().try_into().unwrap(), y: point.y().try_into().unwrap() };
    let by = Step::Authorize { key: key.name()?, reference: REFERENCE.to_vec() };
    let tpm = Tpm::begin(line, PATIENCE, random)?;
    let parent = tpm.create_primary(PARENT)?;
    let mut session = tpm.start_session(&parent, Purpose::Authorise, Hash::Sha256)?;
    let (counter, count) = counter(&tpm, &mut session)?;
    let policy = Some(Policy::new().then(by.clone()).digest(Hash::Sha256)?);
    let template = SealedTemplate { hash: Hash::Sha256, policy, protection: Protection::Uncounted };
    let nothing = Secret::new(Vec::new());
    let sealed = tpm.create_with_value(&parent, &template, &Secret::copied_from(b"planted"), &nothing, session)?;
    drop(parent);

    let parent = tpm.create_primary(PARENT)?;
    let mut session = tpm.start_session(&parent, Purpose::Authorise, Hash::Sha256)?;
    let values = tpm.pcr_read(&pcrs, Some(&mut session))?.concatenated();
    let (index, name) = (counter.index(), counter.name());
    let not_passed = Step::Nv { index, name, comparison: Comparison::AtMost, operand: count, offset: 0 };
    let approved = Policy::new().then(Step::Pcr { selection: pcrs, values }).then(not_passed);
    let signature = sign(&[approved.digest(Hash::Sha256)?.as_slice(), REFERENCE].concat());
    let object = tpm.load(&parent, &sealed, &mut session)?;
    let mut playing = tpm.start_session(&parent, Purpose::Policy, Hash::Sha256)?;
    drop(parent);
    let approval = Some(Approval { key: &key, signature: &signature });
    playing.play(&approved.then(by), &mut Means { reading: Some(&mut session), approval })?;
    drop(session);
    tpm.unseal_with_value(&object, &nothing, playing)
}

/// A new counter under the first number that is free, and where it stands.
fn counter(tpm: &Tpm<'_>, session: &mut Session<'_, '_>) -> Result<(NvPublic, u64), TpmError> {
    let taken = tpm.nv_indices()?;
    let index = (FIRST_COUNTER..).filter_map(NvIndex::new).find(|index| !taken.contains(index)).unwrap();
    tpm.nv_define_counter(index, session)?;
    tpm.nv_increment(&tpm.nv_read_public(index)?, session)?;
    let counter = tpm.nv_read_public(index)?;
    let count = tpm.nv_read_counter(&counter, session)?;
    Ok((counter, count))
}
