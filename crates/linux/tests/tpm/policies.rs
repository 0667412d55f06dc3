//! Policies of every kind: what they come to here, in the TPM and by tpm2-tools is the same, and what is sealed against them opens when they
//! are met and not otherwise.

use crate::attacks::left_behind;
use crate::line::Line;
use crate::sealing::{CALM, ECC, SECRET};
use crate::swtpm::Swtpm;
use crypto::ec::{Curve, Point, Scalar, sign};
use crypto::{Hash, Secret, SystemRandom};
use linux::TpmDevice;
use std::fs;
use tpm2::policy::{Comparison, Policy, Step};
use tpm2::{
    Approval, Bank, Meaning, Means, NvIndex, NvPublic, ParentTemplate, PcrSelection, Protection, Purpose, Sealed,
    SealedTemplate, Session, Tpm, TpmError, Transport, VerifyingKey,
};

/// The parent of our own bindings.
pub(crate) const OURS: ParentTemplate = ParentTemplate { protection: Protection::Uncounted, ..ECC };
const NO_VALUE: &[u8] = &[];
const COUNTER: u32 = 0x0180_c077;

pub(crate) fn sha256(pcrs: &[u64]) -> PcrSelection {
    PcrSelection::new(Bank::from_name("sha256").unwrap(), pcrs.iter().copied()).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Seals under our parent.
pub(crate) fn seal(line: &dyn Transport, policy: &Policy, value: &[u8]) -> Result<Sealed, TpmError> {
    let tpm = Tpm::begin(line, CALM, &SystemRandom)?;
    let parent = tpm.create_primary(OURS)?;
    let session = tpm.start_session(&parent, Purpose::Authorise, Hash::Sha256)?;
    let protection = if value.is_empty() { Protection::Uncounted } else { Protection::Counted };
    let template = SealedTemplate { hash: Hash::Sha256, policy: Some(policy.digest(Hash::Sha256)?), protection };
    tpm.create_with_value(&parent, &template, &Secret::copied_from(SECRET), &Secret::copied_from(value), session)
}

/// Opens as a binding does that keeps its parent's name: nothing secret is said to another parent.
pub(crate) fn open(
    line: &dyn Transport,
    sealed: &Sealed,
    policy: &Policy,
    approval: Option<Approval<'_>>,
    value: &[u8],
    parent_name: Option<&[u8]>,
) -> Result<Secret, TpmError> {
    let tpm = Tpm::begin(line, CALM, &SystemRandom)?;
    let parent = tpm.create_primary(OURS)?;
    parent_name.map_or(Ok(()), |name| parent.expect_name(name))?;
    let mut reading = tpm.start_session(&parent, Purpose::Authorise, Hash::Sha256)?;
    let object = tpm.load(&parent, sealed, &mut reading)?;
    let mut session = tpm.start_session(&parent, Purpose::Policy, Hash::Sha256)?;
    session.play(policy, &mut Means { reading: Some(&mut reading), approval })?;
    tpm.unseal_with_value(&object, &Secret::copied_from(value), session)
}

pub(crate) fn parent_name(line: &dyn Transport) -> Vec<u8> {
    Tpm::begin(line, CALM, &SystemRandom).unwrap().create_primary(OURS).unwrap().name().to_vec()
}

/// What these PCRs hold now.
pub(crate) fn now(line: &dyn Transport, selection: PcrSelection) -> Step {
    let values = Tpm::begin(line, CALM, &SystemRandom).unwrap().pcr_read(&selection, None).unwrap().concatenated();
    Step::Pcr { selection, values }
}

/// A session that commands with an authorisation take.
pub(crate) fn authorised<T>(line: &dyn Transport, run: impl FnOnce(&Tpm<'_>, &mut Session<'_, '_>) -> T) -> T {
    let tpm = Tpm::begin(line, CALM, &SystemRandom).unwrap();
    let parent = tpm.create_primary(OURS).unwrap();
    let mut session = tpm.start_session(&parent, Purpose::Authorise, Hash::Sha256).unwrap();
    run(&tpm, &mut session)
}

/// A counter of ours that was counted up once, and what it holds.
pub(crate) fn counter(line: &dyn Transport) -> (NvPublic, u64) {
    authorised(line, |tpm, session| {
        let index = NvIndex::new(COUNTER).unwrap();
        tpm.nv_define_counter(index, session).unwrap();
        let new = tpm.nv_read_public(index).unwrap();
        tpm.nv_increment(&new, session).unwrap();
        let counter = tpm.nv_read_public(index).unwrap();
        let value = tpm.nv_read_counter(&counter, session).unwrap();
        (counter, value)
    })
}

pub(crate) fn not_counted_up(counter: &NvPublic, value: u64) -> Step {
    let (index, name) = (counter.index(), counter.name());
    Step::Nv { index, name, comparison: Comparison::AtMost, operand: value, offset: 0 }
}

/// Somebody who signs policies.
pub(crate) struct Signer {
    private: Scalar,
    pub(crate) key: VerifyingKey,
}

impl Signer {
    pub(crate) fn new() -> Signer {
        let private = Scalar::random(Curve::P256, &SystemRandom).unwrap();
        let point = Point::base_times(&private).unwrap();
        let key = VerifyingKey::P256 { x: point.x().try_into().unwrap(), y: point.y().try_into().unwrap() };
        Signer { private, key }
    }

    pub(crate) fn approve(&self, policy: &Policy, reference: &[u8]) -> Vec<u8> {
        sign(&self.private, &[policy.digest(Hash::Sha256).unwrap().as_slice(), reference].concat()).unwrap()
    }

    pub(crate) fn step(&self, reference: &[u8]) -> Step {
        Step::Authorize { key: self.key.name().unwrap(), reference: reference.to_vec() }
    }
}

fn refused(result: Result<Secret, TpmError>) -> Meaning {
    result.err().unwrap().meaning().unwrap()
}

/// The tools play the same steps into a trial session; the TPM says what ours comes to.
#[test]
fn a_policy_is_the_same_here_in_the_tpm_and_by_the_tools() {
    let swtpm = Swtpm::start();
    let device = TpmDevice::at(&swtpm.place()).unwrap();
    let ((counter, value), signer) = (counter(&device), Signer::new());
    let approved = Policy::new().then(now(&device, sha256(&[4, 7]))).then(not_counted_up(&counter, value));
    let signature = signer.approve(&approved, b"here");
    let signed = approved.clone().then(signer.step(b"here"));
    let other = Policy::new().then(Step::UnsealOnly).digest(Hash::Sha256).unwrap();
    let choice = Step::Or(vec![other.clone(), signed.digest(Hash::Sha256).unwrap()]);
    let policy = signed.then(choice).then(Step::AuthValue).then(Step::UnsealOnly);
    let ours = policy.digest(Hash::Sha256).unwrap();

    let tpm = Tpm::begin(&device, CALM, &SystemRandom).unwrap();
    let parent = tpm.create_primary(OURS).unwrap();
    let mut reading = tpm.start_session(&parent, Purpose::Authorise, Hash::Sha256).unwrap();
    let mut session = tpm.start_session(&parent, Purpose::Policy, Hash::Sha256).unwrap();
    let approval = Some(Approval { key: &signer.key, signature: &signature });
    session.play(&policy, &mut Means { reading: Some(&mut reading), approval }).unwrap();
    assert_eq!(hex(&session.policy_digest().unwrap()), hex(&ours));
    drop((session, reading, parent));
    drop(tpm);

    fs::write(swtpm.file("value"), value.to_be_bytes()).unwrap();
    fs::write(swtpm.file("key"), signer.key.name().unwrap()).unwrap();
    fs::write(swtpm.file("reference"), b"here").unwrap();
    fs::write(swtpm.file("other"), other).unwrap();
    swtpm.tool("tpm2_startauthsession -S s");
    swtpm.tool("tpm2_policypcr -S s -l sha256:4,7");
    swtpm.tool(&format!("tpm2_policynv -S s -L approved -i value 0x{COUNTER:x} ule -C 0x{COUNTER:x}"));
    assert_eq!(fs::read(swtpm.file("approved")).unwrap(), approved.digest(Hash::Sha256).unwrap());
    swtpm.tool("tpm2_policyauthorize -S s -L signed -i approved -q reference -n key");
    swtpm.tool("tpm2_policyor -S s sha256:other,signed");
    swtpm.tool("tpm2_policyauthvalue -S s");
    swtpm.tool("tpm2_policycommandcode -S s -L policy TPM2_CC_Unseal");
    assert_eq!(hex(&fs::read(swtpm.file("policy")).unwrap()), hex(&ours));
    swtpm.tool("tpm2_flushcontext s");
    assert_eq!(left_behind(&device), 0);
}

#[test]
fn one_of_several_states_opens() {
    let swtpm = Swtpm::start();
    let device = TpmDevice::at(&swtpm.place()).unwrap();
    let pcr = sha256(&[7]);
    let branch = |step: &Step| Policy::new().then(step.clone()).digest(Hash::Sha256).unwrap();
    let today = now(&device, pcr);
    // What PCR 7 will hold after the update: H(0… ‖ 11…).
    let after = Hash::Sha256.digest(&[&[0; 32], &[0x11; 32]]).as_ref().to_vec();
    let tomorrow = Step::Pcr { selection: pcr, values: after };
    let policy = Policy::new().then(today.clone()).then(Step::Or(vec![branch(&today), branch(&tomorrow)]));
    let sealed = seal(&device, &policy, NO_VALUE).unwrap();
    let try_it = || open(&device, &sealed, &policy, None, NO_VALUE, None);
    assert!(try_it().unwrap().ct_eq(SECRET));
    swtpm.tool(&format!("tpm2_pcrextend 7:sha256={}", "11".repeat(32)));
    assert!(try_it().unwrap().ct_eq(SECRET), "the second state");
    swtpm.tool(&format!("tpm2_pcrextend 7:sha256={}", "11".repeat(32)));
    assert_eq!(refused(try_it()), Meaning::PolicyFailed);
    assert_eq!(left_behind(&device), 0);
}

#[test]
fn what_somebody_signed_opens_and_nothing_else() {
    let swtpm = Swtpm::start();
    let device = TpmDevice::at(&swtpm.place()).unwrap();
    let (signer, stranger) = (Signer::new(), Signer::new());
    let approved = Policy::new().then(now(&device, sha256(&[11])));
    let policy = approved.clone().then(signer.step(b""));
    let sealed = seal(&device, &policy, NO_VALUE).unwrap();
    let by = |policy: &Policy, key: &VerifyingKey, signature: &[u8]| {
        open(&device, &sealed, policy, Some(Approval { key, signature }), NO_VALUE, None)
    };
    let signature = signer.approve(&approved, b"");
    assert!(by(&policy, &signer.key, &signature).unwrap().ct_eq(SECRET));

    assert_eq!(refused(by(&policy, &signer.key, &stranger.approve(&approved, b""))), Meaning::WrongSignature);
    assert_eq!(refused(by(&policy, &signer.key, &signer.approve(&approved, b"else"))), Meaning::WrongSignature);
    let foreign = by(&policy, &stranger.key, &stranger.approve(&approved, b"")).unwrap_err();
    assert!(matches!(foreign, TpmError::Unsayable { .. }), "{foreign}");
    // The stranger's key in his own policy: it is another one than the object's.
    let theirs = approved.clone().then(stranger.step(b""));
    assert_eq!(refused(by(&theirs, &stranger.key, &stranger.approve(&approved, b""))), Meaning::PolicyFailed);
    let none = open(&device, &sealed, &policy, None, NO_VALUE, None).unwrap_err();
    assert!(matches!(none, TpmError::Unsayable { .. }), "{none}");

    // After an update: the old approval does not fit what is booted, a new one does, and the object is the same.
    swtpm.tool(&format!("tpm2_pcrextend 11:sha256={}", "22".repeat(32)));
    assert_eq!(refused(by(&policy, &signer.key, &signature)), Meaning::PolicyFailed);
    let approved = Policy::new().then(now(&device, sha256(&[11])));
    let policy = approved.clone().then(signer.step(b""));
    assert!(by(&policy, &signer.key, &signer.approve(&approved, b"")).unwrap().ct_eq(SECRET));
    assert_eq!(left_behind(&device), 0);
}

/// systemd signs by RSA: PKCS #1 v1.5 with SHA-256, here by openssl.
#[test]
fn a_signature_by_rsa_opens() {
    let swtpm = Swtpm::start();
    let device = TpmDevice::at(&swtpm.place()).unwrap();
    let approved = Policy::new().then(now(&device, sha256(&[11])));
    let digest = approved.digest(Hash::Sha256).unwrap();
    fs::write(swtpm.file("approved"), &digest).unwrap();
    swtpm.tool("openssl genrsa -out private 2048");
    swtpm.tool("openssl dgst -sha256 -sign private -out signature approved");
    let modulus = swtpm.tool("openssl rsa -in private -noout -modulus");
    let hex = modulus.trim().strip_prefix("Modulus=").unwrap();
    let modulus = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
    let key = VerifyingKey::Rsa { modulus, exponent: 65537 };
    let policy = approved.then(Step::Authorize { key: key.name().unwrap(), reference: Vec::new() });
    let sealed = seal(&device, &policy, NO_VALUE).unwrap();
    let mut signature = fs::read(swtpm.file("signature")).unwrap();
    let by =
        |signature: &[u8]| open(&device, &sealed, &policy, Some(Approval { key: &key, signature }), NO_VALUE, None);
    assert!(by(&signature).unwrap().ct_eq(SECRET));
    *signature.last_mut().unwrap() ^= 1;
    assert_eq!(refused(by(&signature)), Meaning::WrongSignature);
}

/// An object that was copied is worth nothing after the counter was counted up, and a counter that was removed does not begin again.
#[test]
fn a_counter_that_went_on_ends_what_was_sealed_before() {
    let swtpm = Swtpm::start();
    let device = TpmDevice::at(&swtpm.place()).unwrap();
    let (counter, value) = counter(&device);
    let policy = Policy::new().then(now(&device, sha256(&[7]))).then(not_counted_up(&counter, value));
    let sealed = seal(&device, &policy, NO_VALUE).unwrap();
    let try_it = || open(&device, &sealed, &policy, None, NO_VALUE, None);
    assert!(try_it().unwrap().ct_eq(SECRET));

    authorised(&device, |tpm, session| tpm.nv_increment(&counter, session)).unwrap();
    assert_eq!(refused(try_it()), Meaning::PolicyFailed);
    authorised(&device, |tpm, session| tpm.nv_undefine(&counter, session)).unwrap();
    assert_eq!(refused(try_it()), Meaning::NoIndex);
    authorised(&device, |tpm, session| tpm.nv_define_counter(counter.index(), session)).unwrap();
    // It is not written yet, so it has another name: the TPM's session is not ours.
    assert!(try_it().is_err());
    let again = authorised(&device, |tpm, _| tpm.nv_read_public(counter.index())).unwrap();
    assert!(!again.is_written() && again.is_counter());
    authorised(&device, |tpm, session| tpm.nv_increment(&again, session)).unwrap();
    assert_eq!(refused(try_it()), Meaning::PolicyFailed);
    assert_eq!(left_behind(&device), 0);
}

/// What opens only to be unsealed cannot be used by its policy for anything else, and a longer policy is another one.
#[test]
fn a_policy_is_met_whole_or_not() {
    let swtpm = Swtpm::start();
    let device = TpmDevice::at(&swtpm.place()).unwrap();
    let policy = Policy::new().then(now(&device, sha256(&[7]))).then(Step::UnsealOnly);
    let sealed = seal(&device, &policy, NO_VALUE).unwrap();
    assert!(open(&device, &sealed, &policy, None, NO_VALUE, None).unwrap().ct_eq(SECRET));
    let shorter = Policy::new().then(policy.steps()[0].clone());
    assert_eq!(refused(open(&device, &sealed, &shorter, None, NO_VALUE, None)), Meaning::PolicyFailed);
    let longer = policy.clone().then(Step::UnsealOnly);
    assert_eq!(refused(open(&device, &sealed, &longer, None, NO_VALUE, None)), Meaning::PolicyFailed);
}

/// Commands of each kind of policy, as the documentation has them: a slow TPM pays for every one.
#[test]
fn no_more_commands_than_are_documented() {
    const BEFORE: [u32; 4] = [0x131, 0x176, 0x157, 0x176];
    const AFTER: [u32; 4] = [0x15e, 0x165, 0x165, 0x165];
    let swtpm = Swtpm::start();
    let device = TpmDevice::at(&swtpm.place()).unwrap();
    let ((counter, value), signer) = (counter(&device), Signer::new());
    let pcr = Policy::new().then(now(&device, sha256(&[7])));
    let digest = pcr.digest(Hash::Sha256).unwrap();
    let signature = signer.approve(&pcr, b"");
    let check = |policy: Policy, value: &[u8], approval: Option<Approval<'_>>, expected: &[u32]| {
        let sealed = seal(&device, &policy, value).unwrap();
        let line = Line::listening(&device);
        open(&line, &sealed, &policy, approval, value, None).unwrap();
        assert_eq!(line.codes(), [&BEFORE[..], expected, &AFTER].concat(), "{policy:x?}");
    };
    let (authorised, one) = (Some(Approval { key: &signer.key, signature: &signature }), NO_VALUE);
    check(pcr.clone(), one, None, &[0x17f]);
    check(pcr.clone().then(Step::Or(vec![digest.clone(); 8])), one, None, &[0x17f, 0x171]);
    check(pcr.clone().then(signer.step(b"")), one, authorised, &[0x17f, 0x167, 0x177, 0x165, 0x16a]);
    check(pcr.clone().then(not_counted_up(&counter, value)), one, None, &[0x17f, 0x149]);
    check(pcr.then(Step::AuthValue), b"1234", None, &[0x17f, 0x16b]);
    check(Policy::new().then(Step::UnsealOnly), one, None, &[0x16c]);
}
