//! Sealed data with an authorisation value: a PIN.

use crate::attacks::left_behind;
use crate::line::Line;
use crate::policies::{OURS, now, open, parent_name, seal, sha256};
use crate::sealing::{CALM, SECRET};
use crate::swtpm::Swtpm;
use crypto::{Hash, Secret, SystemRandom};
use linux::TpmDevice;
use std::sync::Mutex;
use tpm2::policy::{Policy, Step};
use tpm2::{Meaning, ParentKey, ParentTemplate, Protection, Purpose, SealedTemplate, Tpm, TpmError, Transport};

const PIN: &[u8] = b"correct horse battery staple";
/// Longest piece of a secret that may be on the line by chance.
const PIECE: usize = 6;

fn with_pin(device: &dyn Transport) -> Policy {
    Policy::new().then(now(device, sha256(&[7]))).then(Step::AuthValue)
}

#[test]
fn a_pin_opens_and_another_is_wrong_and_counts() {
    let swtpm = Swtpm::start();
    let device = TpmDevice::at(&swtpm.place()).unwrap();
    let policy = with_pin(&device);
    let sealed = seal(&device, &policy, PIN).unwrap();
    assert!(sealed.public_area().unwrap().is_protected());
    let with = |pin: &[u8]| open(&device, &sealed, &policy, None, pin, None);
    let state = || Tpm::begin(&device, CALM, &SystemRandom).unwrap().dictionary_attack().unwrap();
    assert!(with(PIN).unwrap().ct_eq(SECRET));
    assert_eq!((state().failures, state().tries_left()), (0, 3));
    for (count, wrong) in [(1, &b"wrong"[..]), (2, b"")] {
        let error = with(wrong).unwrap_err();
        assert_eq!(error.meaning(), Some(Meaning::WrongValue), "{error}");
        assert_eq!((state().failures, state().tries_left()), (count, 3 - count));
    }
    // The right one is taken as long as the TPM is not locked, and does not make good what was wrong.
    assert!(with(PIN).unwrap().ct_eq(SECRET));
    assert_eq!(with(b"wrong again").unwrap_err().meaning(), Some(Meaning::WrongValue));
    let locked = with(PIN).unwrap_err();
    assert_eq!(locked.meaning(), Some(Meaning::LockedOut), "{locked}");
    let state = state();
    assert!(state.locked_out && state.tries_left() == 0, "{state:?}");
    assert_eq!(left_behind(&device), 0);

    // What is not counted opens in a locked TPM as before: a PIN of one volume does not shut the others.
    let policy = Policy::new().then(policy.steps()[0].clone());
    let sealed = seal(&device, &policy, b"").unwrap();
    assert!(open(&device, &sealed, &policy, None, b"", None).unwrap().ct_eq(SECRET));
}

/// The TPM leaves out the zeros at the end of a value; a derived one ends in a zero in one of 256 cases.
#[test]
fn zeros_at_the_end_of_a_value_count_for_nothing() {
    let swtpm = Swtpm::start();
    let device = TpmDevice::at(&swtpm.place()).unwrap();
    let policy = with_pin(&device);
    let sealed = seal(&device, &policy, b"1234\0\0").unwrap();
    for pin in [&b"1234"[..], b"1234\0\0", b"1234\0"] {
        assert!(open(&device, &sealed, &policy, None, pin, None).unwrap().ct_eq(SECRET));
    }
    let long = seal(&device, &policy, &[1; 33]).unwrap_err();
    assert!(matches!(long, TpmError::Unsayable { .. }), "{long}");
    let sealed = seal(&device, &policy, &[1; 32]).unwrap();
    assert!(open(&device, &sealed, &policy, None, &[1; 32], None).unwrap().ct_eq(SECRET));
}

/// Without a policy the value alone opens, in the session of the other commands.
#[test]
fn a_value_serves_without_a_policy_too() {
    let swtpm = Swtpm::start();
    let device = TpmDevice::at(&swtpm.place()).unwrap();
    for key in [ParentKey::Ecc, ParentKey::Rsa] {
        let tpm = Tpm::begin(&device, CALM, &SystemRandom).unwrap();
        let parent = tpm.create_primary(ParentTemplate { key, ..OURS }).unwrap();
        let session = tpm.start_session(&parent, Purpose::Authorise, Hash::Sha256).unwrap();
        let template = SealedTemplate { hash: Hash::Sha256, policy: None, protection: Protection::Uncounted };
        let (secret, pin) = (Secret::copied_from(SECRET), Secret::copied_from(PIN));
        let sealed = tpm.create_with_value(&parent, &template, &secret, &pin, session).unwrap();
        for (pin, good) in [(PIN, true), (b"wrong", false)] {
            let mut session = tpm.start_session(&parent, Purpose::Authorise, Hash::Sha256).unwrap();
            let object = tpm.load(&parent, &sealed, &mut session).unwrap();
            match tpm.unseal_with_value(&object, &Secret::copied_from(pin), session) {
                Ok(secret) => assert!(good && secret.ct_eq(SECRET)),
                Err(error) => assert!(!good && error.meaning() == Some(Meaning::WrongValue), "{error}"),
            }
        }
    }
}

/// Neither the PIN nor the secret is on the line, when it is set, when it is right and when it is wrong.
#[test]
fn no_pin_passes_in_clear() {
    let swtpm = Swtpm::start();
    let device = TpmDevice::at(&swtpm.place()).unwrap();
    let policy = with_pin(&device);
    let line = Line::listening(&device);
    let sealed = seal(&line, &policy, PIN).unwrap();
    assert!(open(&line, &sealed, &policy, None, PIN, None).unwrap().ct_eq(SECRET));
    let wrong = b"another horse battery staple";
    assert!(open(&line, &sealed, &policy, None, wrong, None).is_err());
    let secrets = [&SECRET[..], PIN, wrong];
    for (command, answer) in line.log() {
        for bytes in [command, answer] {
            let planted = |piece| secrets.iter().any(|secret| secret.windows(PIECE).any(|secret| secret == piece));
            assert!(!bytes.windows(PIECE).any(planted), "{bytes:x?}");
        }
    }
}

/// Another TPM answers in the place of ours: its parent has another name, and all that it hears is how to make one.
#[test]
fn nothing_secret_is_said_to_another_parent() {
    let (swtpm, other) = (Swtpm::start(), Swtpm::start());
    let (device, other) = (TpmDevice::at(&swtpm.place()).unwrap(), TpmDevice::at(&other.place()).unwrap());
    let (policy, name) = (with_pin(&device), parent_name(&device));
    let sealed = seal(&device, &policy, PIN).unwrap();
    let line = Line::listening(&other);
    let error = open(&line, &sealed, &policy, None, PIN, Some(&name)).unwrap_err();
    assert!(matches!(error, TpmError::OtherParent), "{error}");
    assert_eq!(line.codes(), [0x131, 0x165], "more was said to a key that is not the TPM's");
    // As somebody on the line would do it: the other's whole answer, in the middle of a conversation with the right one.
    let theirs = Mutex::new(line.log().remove(0).1);
    let swap = |at: usize, answer: Vec<u8>| Ok(if at == 0 { theirs.lock().unwrap().clone() } else { answer });
    let line = Line::changing(&device, &swap);
    let error = open(&line, &sealed, &policy, None, PIN, Some(&name)).unwrap_err();
    assert!(matches!(error, TpmError::OtherParent), "{error}");
    assert_eq!(line.codes(), [0x131, 0x165], "more was said to a key that is not the TPM's");
    assert!(open(&device, &sealed, &policy, None, PIN, Some(&name)).unwrap().ct_eq(SECRET));
}

/// Power cuts count against the original's parent and not against ours: the machine opens after as many as there are.
#[test]
fn power_cuts_do_not_lock_our_parent_out() {
    let mut swtpm = Swtpm::start();
    let place = swtpm.place();
    let device = TpmDevice::at(&place).unwrap();
    let policy = Policy::new().then(now(&device, sha256(&[7])));
    let sealed = seal(&device, &policy, b"").unwrap();
    for cut in 0..6 {
        swtpm.power_cut();
        let device = TpmDevice::at(&place).unwrap();
        let secret = open(&device, &sealed, &policy, None, b"", None).unwrap_or_else(|error| panic!("{cut}: {error}"));
        assert!(secret.ct_eq(SECRET));
        let state = Tpm::begin(&device, CALM, &SystemRandom).unwrap().dictionary_attack().unwrap();
        assert_eq!(state.failures, 0, "after {cut} cuts");
    }
}
