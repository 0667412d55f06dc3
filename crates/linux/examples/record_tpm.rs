//! Records what is said to a TPM and what it answers, for the replays in `tpm2/tests`: seals a text and opens it again.
//!
//! `TPM2TOOLS_TCTI=swtpm:path=SOCKET cargo run -p linux --example record_tpm -- ecc|rsa|ours|signed [PCR ...] > crates/tpm2/vectors/NAME.txt`
//!
//! The random numbers are those of the replay. The TPM is one to throw away: what is sealed here is no secret.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a tool for this repository")]

#[path = "../../tpm2/tests/talks/signed.rs"]
mod signed;

use crypto::{Hash, Random, RandomFailed, Secret};
use linux::TpmDevice;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tpm2::policy::{Policy, Step};
use tpm2::{
    Bank, Conversation, Means, ParentKey, ParentTemplate, Patience, PcrSelection, Protection, Purpose, SealedTemplate,
    Tpm, Transport, TransportError,
};

/// The same numbers each time: SHA-256 of a counter.
#[derive(Default)]
struct Counted(AtomicU32);

impl Random for Counted {
    fn fill(&self, into: &mut [u8]) -> Result<(), RandomFailed> {
        for piece in into.chunks_mut(32) {
            let count = self.0.fetch_add(1, Ordering::Relaxed).to_be_bytes();
            let digest = Hash::Sha256.digest(&[&count]);
            piece.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
        }
        Ok(())
    }
}

struct Recorder(TpmDevice);

impl Transport for Recorder {
    fn begin<'a>(&'a self, patience: &Patience<'_>) -> Result<Box<dyn Conversation + 'a>, TransportError> {
        Ok(Box::new(Talk(self.0.begin(patience)?)))
    }
}

struct Talk<'a>(Box<dyn Conversation + 'a>);

impl Conversation for Talk<'_> {
    fn exchange(&mut self, command: &[u8], patience: &Patience<'_>) -> Result<Vec<u8>, TransportError> {
        let answer = self.0.exchange(command, patience)?;
        // What it wants again (`TPM_RC_RETRY`) it has not done.
        if answer.get(6..10) != Some(&[0, 0, 9, 0x22]) {
            println!("> {}\n< {}", hex(command), hex(&answer));
        }
        Ok(answer)
    }

    fn pause(&mut self, time: Duration, patience: &Patience<'_>) -> Result<(), TransportError> {
        self.0.pause(time, patience)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn main() {
    let mut words = std::env::args().skip(1);
    let kind = words.next();
    let key = if kind.as_deref() == Some("rsa") { ParentKey::Rsa } else { ParentKey::Ecc };
    let numbers: Vec<u64> = words.map(|word| word.parse().expect("a PCR is a number")).collect();
    let pcrs = PcrSelection::new(Bank::from_name("sha256").unwrap(), numbers).ok();
    let (recorder, random) = (Recorder(TpmDevice::from_environment()), Counted::default());
    let patience = Patience { until: None, at_most: None, cancelled: &|| false };
    if kind.as_deref() == Some("signed") {
        return seal_and_open_signed(&recorder, pcrs.expect("a PCR"));
    }
    let tpm = Tpm::begin(&recorder, patience, &random).unwrap();
    if kind.as_deref() == Some("ours") {
        return seal_and_open_ours(&tpm, pcrs.expect("a PCR"));
    }
    let parent =
        tpm.create_primary(ParentTemplate { key, hash: Hash::Sha256, protection: Protection::Counted }).unwrap();
    let mut session = tpm.start_session(&parent, Purpose::Authorise, Hash::Sha256).unwrap();
    let values = pcrs.map(|pcrs| tpm.pcr_read(&pcrs, Some(&mut session)).unwrap().concatenated());
    let policy = pcrs.zip(values).map(|(pcrs, values)| pcrs.policy(Hash::Sha256, &values).unwrap());
    let template = SealedTemplate { hash: Hash::Sha256, policy, protection: Protection::Uncounted };
    let sealed = tpm.create(&parent, &template, &Secret::copied_from(b"planted"), session).unwrap();
    let mut session = tpm.start_session(&parent, Purpose::Authorise, Hash::Sha256).unwrap();
    let object = tpm.load(&parent, &sealed, &mut session).unwrap();
    let session = match pcrs {
        None => session,
        Some(pcrs) => {
            let session = tpm.start_session(&parent, Purpose::Policy, Hash::Sha256).unwrap();
            session.policy_pcr(&pcrs).unwrap();
            session
        }
    };
    assert!(tpm.unseal(&object, session).unwrap().ct_eq(b"planted"));
}

/// With a parent that is not counted, a choice of states and a PIN.
fn seal_and_open_ours(tpm: &Tpm<'_>, pcrs: PcrSelection) {
    let template = ParentTemplate { key: ParentKey::Ecc, hash: Hash::Sha256, protection: Protection::Uncounted };
    let parent = tpm.create_primary(template).unwrap();
    let mut session = tpm.start_session(&parent, Purpose::Authorise, Hash::Sha256).unwrap();
    let values = tpm.pcr_read(&pcrs, Some(&mut session)).unwrap().concatenated();
    let now = Policy::new().then(Step::Pcr { selection: pcrs, values });
    let branches = vec![now.digest(Hash::Sha256).unwrap(), vec![0x5a; 32]];
    let policy = now.then(Step::Or(branches)).then(Step::AuthValue).then(Step::UnsealOnly);
    let digest = Some(policy.digest(Hash::Sha256).unwrap());
    let template = SealedTemplate { hash: Hash::Sha256, policy: digest, protection: Protection::Counted };
    let (secret, pin) = (Secret::copied_from(b"planted"), Secret::copied_from(b"1234"));
    let sealed = tpm.create_with_value(&parent, &template, &secret, &pin, session).unwrap();
    let session = tpm.start_session(&parent, Purpose::Authorise, Hash::Sha256).unwrap();
    let object = tpm.load_last(&parent, &sealed, session).unwrap();
    let mut session = tpm.start_session(&parent, Purpose::Policy, Hash::Sha256).unwrap();
    session.play(&policy, &mut Means::default()).unwrap();
    assert!(tpm.unseal_with_value(&object, &pin, session).unwrap().ct_eq(b"planted"));
}

/// With a signature and a counter. What is drawn for a signature the library draws: the replay takes it from the recording.
fn seal_and_open_signed(recorder: &Recorder, pcrs: PcrSelection) {
    let signer = signed::signer(&Counted::default());
    let sign = |message: &[u8]| crypto::ec::sign(&signer, message).unwrap();
    let opened = signed::seal_and_open(recorder, &Counted::default(), (&signer, &sign), pcrs);
    assert!(opened.unwrap().ct_eq(b"planted"));
}
