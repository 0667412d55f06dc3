//! Conversations that were recorded with swtpm (`linux/examples/record_tpm.rs`), replayed as they were and with every byte of every answer
//! changed: the same comes out, or an error.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test stops where it stands")]

#[path = "talks/signed.rs"]
mod signed;

use crypto::{Hash, Random, RandomFailed, Secret};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tpm2::policy::{Policy, Step};
use tpm2::{
    Bank, Conversation, Means, ParentKey, ParentTemplate, Patience, PcrSelection, Protection, Purpose, SealedTemplate,
    Tpm, TpmError, Transport, TransportError,
};

const ECC_WITH_PCRS: &str = include_str!("../vectors/ecc_pcr_4_16.txt");
const RSA: &str = include_str!("../vectors/rsa.txt");
const OURS: &str = include_str!("../vectors/ours_pcr_4_16.txt");
const SIGNED: &str = include_str!("../vectors/signed_pcr_4_16.txt");
const PATIENCE: Patience<'_> = Patience { until: None, at_most: None, cancelled: &|| false };
const FLUSH_CONTEXT: [u8; 4] = [0, 0, 1, 0x65];
const VERIFY_SIGNATURE: [u8; 4] = [0, 0, 1, 0x77];
const POLICY_AUTHORIZE: [u8; 4] = [0, 0, 1, 0x6a];

/// The random numbers of the recording.
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

/// Gives the recorded answers again, in their order for each command; what is asked beyond them is refused.
struct Tape {
    answers: Vec<(Vec<u8>, Vec<u8>)>,
    said: Mutex<Vec<Vec<u8>>>,
}

impl Tape {
    fn load(text: &str) -> Tape {
        let lines: Vec<Vec<u8>> = text.lines().map(|line| unhex(&line[2..])).collect();
        Tape {
            answers: lines.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect(),
            said: Mutex::default(),
        }
    }

    /// The same with one answer changed.
    fn with(&self, at: usize, change: impl FnOnce(&mut Vec<u8>)) -> Tape {
        let mut answers = self.answers.clone();
        change(&mut answers[at].1);
        Tape { answers, said: Mutex::default() }
    }

    /// How many flushes there were.
    fn flushes(&self) -> usize {
        self.said.lock().unwrap().iter().filter(|command| command[6..10] == FLUSH_CONTEXT).count()
    }
}

impl Transport for Tape {
    fn begin<'a>(&'a self, _: &Patience<'_>) -> Result<Box<dyn Conversation + 'a>, TransportError> {
        Ok(Box::new(Playing { tape: self, played: vec![false; self.answers.len()] }))
    }
}

struct Playing<'a> {
    tape: &'a Tape,
    played: Vec<bool>,
}

impl Conversation for Playing<'_> {
    fn exchange(&mut self, command: &[u8], _: &Patience<'_>) -> Result<Vec<u8>, TransportError> {
        self.tape.said.lock().unwrap().push(command.to_vec());
        let next = self
            .tape
            .answers
            .iter()
            .zip(&mut self.played)
            .find(|((recorded, _), played)| !**played && recorded[6..10] == command[6..10]);
        match next {
            // Nobody but the TPM knows whether a ticket is its own: `TPM_RC_TICKET`, of the fourth parameter, for any other.
            Some(((recorded, _), _)) if command[6..10] == POLICY_AUTHORIZE && recorded[14..] != command[14..] => {
                Ok(b"\x80\x01\0\0\0\x0a\0\0\x04\xe0".to_vec())
            }
            Some(((_, answer), played)) => {
                *played = true;
                Ok(answer.clone())
            }
            None if command[6..10] == FLUSH_CONTEXT => Ok(b"\x80\x01\0\0\0\x0a\0\0\0\0".to_vec()),
            None => Ok(b"\x80\x01\0\0\0\x0a\0\0\x01\x01".to_vec()),
        }
    }

    fn pause(&mut self, _: Duration, _: &Patience<'_>) -> Result<(), TransportError> {
        Ok(())
    }
}

/// What the recorder did.
fn seal_and_open(tape: &Tape, key: ParentKey, pcrs: Option<PcrSelection>) -> Result<Secret, TpmError> {
    let random = Counted::default();
    let tpm = Tpm::begin(tape, PATIENCE, &random)?;
    let parent = tpm.create_primary(ParentTemplate { key, hash: Hash::Sha256, protection: Protection::Counted })?;
    let mut session = tpm.start_session(&parent, Purpose::Authorise, Hash::Sha256)?;
    let policy = match pcrs {
        Some(pcrs) => {
            let values = tpm.pcr_read(&pcrs, Some(&mut session))?;
            Some(pcrs.policy(Hash::Sha256, &values.concatenated())?)
        }
        None => None,
    };
    let template = SealedTemplate { hash: Hash::Sha256, policy, protection: Protection::Uncounted };
    let sealed = tpm.create(&parent, &template, &Secret::copied_from(b"planted"), session)?;
    let mut session = tpm.start_session(&parent, Purpose::Authorise, Hash::Sha256)?;
    let object = tpm.load(&parent, &sealed, &mut session)?;
    let session = match pcrs {
        None => session,
        Some(pcrs) => {
            let session = tpm.start_session(&parent, Purpose::Policy, Hash::Sha256)?;
            session.policy_pcr(&pcrs)?;
            session
        }
    };
    tpm.unseal(&object, session)
}

/// The same of a binding of ours: a parent that is not counted, a choice of states and a PIN.
fn seal_and_open_ours(tape: &Tape) -> Result<Secret, TpmError> {
    let random = Counted::default();
    let tpm = Tpm::begin(tape, PATIENCE, &random)?;
    let template = ParentTemplate { key: ParentKey::Ecc, hash: Hash::Sha256, protection: Protection::Uncounted };
    let parent = tpm.create_primary(template)?;
    let mut session = tpm.start_session(&parent, Purpose::Authorise, Hash::Sha256)?;
    let selection = pcrs().unwrap();
    let values = tpm.pcr_read(&selection, Some(&mut session))?.concatenated();
    let now = Policy::new().then(Step::Pcr { selection, values });
    let branches = vec![now.digest(Hash::Sha256)?, vec![0x5a; 32]];
    let policy = now.then(Step::Or(branches)).then(Step::AuthValue).then(Step::UnsealOnly);
    let digest = Some(policy.digest(Hash::Sha256)?);
    let template = SealedTemplate { hash: Hash::Sha256, policy: digest, protection: Protection::Counted };
    let (secret, pin) = (Secret::copied_from(b"planted"), Secret::copied_from(b"1234"));
    let sealed = tpm.create_with_value(&parent, &template, &secret, &pin, session)?;
    let session = tpm.start_session(&parent, Purpose::Authorise, Hash::Sha256)?;
    let object = tpm.load_last(&parent, &sealed, session)?;
    let mut session = tpm.start_session(&parent, Purpose::Policy, Hash::Sha256)?;
    session.play(&policy, &mut Means::default())?;
    tpm.unseal_with_value(&object, &pin, session)
}

/// And with a signature and a counter. The signature is the recorded one: `r` and `s` stand in the command behind a handle, the digest that is
/// signed, and the names of two algorithms, each half with its length before it.
fn seal_and_open_signed(tape: &Tape) -> Result<Secret, TpmError> {
    let recorded = tape.answers.iter().find(|(command, _)| command[6..10] == VERIFY_SIGNATURE).unwrap();
    let halves = &recorded.0[10 + 4 + 2 + 32 + 4..];
    let signature = [&halves[2..34], &halves[36..68]].concat();
    let signer = signed::signer(&Counted::default());
    signed::seal_and_open(tape, &Counted::default(), (&signer, &|_| signature.clone()), pcrs().unwrap())
}

/// What makes a recording again.
type Talk = fn(&Tape) -> Result<Secret, TpmError>;

/// The original's form and ours, which has two.
fn talks() -> [(Tape, Talk); 3] {
    [
        (Tape::load(ECC_WITH_PCRS), |tape| seal_and_open(tape, ParentKey::Ecc, pcrs())),
        (Tape::load(OURS), seal_and_open_ours),
        (Tape::load(SIGNED), seal_and_open_signed),
    ]
}

/// Whether a command makes an object or a session.
fn makes(command: &[u8]) -> bool {
    matches!(command[6..10], [0, 0, 1, 0x31 | 0x76 | 0x57 | 0x67])
}

fn pcrs() -> Option<PcrSelection> {
    Some(PcrSelection::new(Bank::from_name("sha256").unwrap(), [4, 16]).unwrap())
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

/// Byte for byte what was said then. RSA is not among it: the padding of its salt is drawn by the library.
#[test]
fn the_same_is_said_again() {
    for (tape, talk) in talks() {
        assert!(talk(&tape).unwrap().ct_eq(b"planted"));
        let recorded: Vec<Vec<u8>> = tape.answers.iter().map(|(command, _)| command.clone()).collect();
        assert_eq!(*tape.said.lock().unwrap(), recorded);
    }
}

#[test]
fn an_rsa_parent_serves_too() {
    assert!(seal_and_open(&Tape::load(RSA), ParentKey::Rsa, None).unwrap().ct_eq(b"planted"));
}

#[test]
fn any_flipped_byte_is_an_error_or_means_nothing() {
    for (tape, talk) in talks() {
        let mut harmless = Vec::new();
        for (number, (command, answer)) in tape.answers.iter().enumerate() {
            for at in 0..answer.len() {
                for mask in [0x01, 0x80] {
                    let changed = tape.with(number, |answer| answer[at] ^= mask);
                    match talk(&changed) {
                        Ok(secret) => {
                            assert!(secret.ct_eq(b"planted"), "byte {at} of answer {number} gave another secret");
                            harmless.push((u32::from_be_bytes(command[6..10].try_into().unwrap()), at, answer.len()));
                        }
                        Err(error) => assert!(!error.to_string().is_empty()),
                    }
                }
            }
        }
        // What nobody vouches for: handles, which mean what the TPM says; how the parent was made, between its public area and its name; the
        // attributes of the empty password; whether there are more indices; and flushes.
        let allowed = |&(code, at, len): &(u32, usize, usize)| match code {
            0x131 => (10..14).contains(&at) || (18 + 2 + 90..len - 5 - 36).contains(&at) || at == len - 3,
            0x176 | 0x157 | 0x167 => (10..14).contains(&at),
            0x17a => at == 10,
            _ => code == 0x165,
        };
        let odd: Vec<_> = harmless.iter().filter(|place| !allowed(place)).collect();
        assert!(odd.is_empty(), "these changes went unseen: {odd:x?}");
    }
}

#[test]
fn any_cut_and_anything_behind_the_end_is_an_error() {
    for (tape, talk) in talks() {
        for (number, (command, answer)) in tape.answers.iter().enumerate() {
            if command[6..10] == FLUSH_CONTEXT {
                continue;
            }
            for len in 0..answer.len() {
                let cut = tape.with(number, |answer| answer.truncate(len));
                assert!(talk(&cut).is_err(), "answer {number} cut to {len}");
            }
            for more in [1, 4, 5000] {
                let longer = tape.with(number, |answer| {
                    answer.resize(answer.len() + more, 0);
                    let size = u32::try_from(answer.len()).unwrap().to_be_bytes();
                    answer[2..6].copy_from_slice(&size);
                });
                assert!(talk(&longer).is_err(), "answer {number} with {more} bytes more");
            }
        }
    }
}

/// An authentic-looking length with a body of ones: nothing is allocated or read beyond what came.
#[test]
fn lengths_from_outside_are_not_believed() {
    for (tape, talk) in talks() {
        for number in 0..tape.answers.len() {
            for at in (10..tape.answers[number].1.len()).step_by(2) {
                let huge = tape.with(number, |answer| answer.iter_mut().skip(at).take(2).for_each(|byte| *byte = 0xff));
                let _ = talk(&huge).map(|secret| assert!(secret.ct_eq(b"planted")));
            }
        }
    }
}

/// The TPM has made what its answer names, also where the rest of the answer is not believed.
#[test]
fn a_handle_in_a_broken_answer_is_flushed() {
    for (tape, talk) in talks() {
        for (number, (command, answer)) in tape.answers.iter().enumerate().filter(|(_, (command, _))| makes(command)) {
            let handle = answer[10..14].to_vec();
            for len in [14, answer.len() / 2, answer.len() - 1] {
                let cut = tape.with(number, |answer| answer.truncate(len));
                assert!(talk(&cut).is_err());
                let said = cut.said.lock().unwrap();
                let flushed = said.iter().any(|said| said[6..10] == FLUSH_CONTEXT && said[10..14] == handle);
                assert!(flushed, "{:x?} is left by an answer of {len} bytes to {:x?}", handle, &command[6..10]);
            }
        }
    }
}

/// Several changes at once, anywhere: bytes, lengths, ends. The same ones in every run.
#[test]
fn any_number_of_changes_is_an_error_or_means_nothing() {
    for (tape, talk) in talks() {
        let draws = Counted::default();
        let draw = |below: usize| {
            let mut bytes = [0; 32];
            draws.fill(&mut bytes).unwrap();
            usize::from_be_bytes(bytes[..8].try_into().unwrap()) % below
        };
        for _ in 0..2_000 {
            let mut answers = tape.answers.clone();
            for _ in 0..=draw(4) {
                let number = draw(answers.len());
                let answer = &mut answers[number].1;
                let at = draw(answer.len().max(1));
                match draw(5) {
                    0 => answer.truncate(at),
                    1 => answer.insert(at, [0, 1, 0x7f, 0xff][draw(4)]),
                    2 if answer.len() > 6 => {
                        let size = u32::try_from(answer.len()).unwrap().to_be_bytes();
                        answer[2..6].copy_from_slice(&size);
                    }
                    _ => answer.get_mut(at).into_iter().for_each(|byte| *byte = [0, 1, 0x80, 0xff][draw(4)]),
                }
            }
            if let Ok(secret) = talk(&Tape { answers, said: Mutex::default() }) {
                assert!(secret.ct_eq(b"planted"));
            }
        }
    }
}

/// Whatever command fails, what was made before is flushed.
#[test]
fn a_refusal_anywhere_is_followed_by_flushes() {
    for (tape, talk) in talks() {
        // A session ends with the command that does not say that it goes on, in the attributes behind its nonce.
        let ends = |command: &[u8]| matches!(command[6..10], [0, 0, 1, 0x53 | 0x57 | 0x5e]) && command[56] & 1 == 0;
        for (number, (command, _)) in tape.answers.iter().enumerate() {
            if command[6..10] == FLUSH_CONTEXT {
                continue;
            }
            let refused = tape.with(number, |answer| *answer = b"\x80\x01\0\0\0\x0a\0\0\x09\x21".to_vec());
            let error = talk(&refused).unwrap_err();
            assert!(error.to_string().contains("TPM_RC_LOCKOUT (0x921)"), "{error}");
            let before = &tape.answers[..number];
            let alive = before.iter().filter(|(command, _)| makes(command)).count()
                - before.iter().filter(|(command, _)| ends(command)).count();
            assert_eq!(refused.flushes(), alive, "after a refusal of answer {number}");
        }
    }
}
