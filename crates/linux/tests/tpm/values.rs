//! Sealed data with an authorisation value: a PIN.

use crate::attacks::left_behind;
use crate::line::Line;
use crate::policies::{OURS, now, open, parent_name, seal, sha256};
use crate::sealing::{CALM, SECRET};
use crate::swtpm::Swtpm;
use crypto::{Hash, Secret, SystemRandom};
use linux::TpmDevice;
use std::fs;
use std::sync::Mutex;
use tpm2::policy::{Policy, Step};
use tpm2::{Meaning, ParentKey, ParentTemplate, Protection, Purpose, Sealed, SealedTemplate, Tpm, TpmError, Transport};

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
    assert_eq!((state().failures, state().tries_left()), (Some(0), Some(3)));
    for (count, wrong) in [(1, &b"wrong"[..]), (2, b"")] {
        let error = with(wrong).unwrap_err();
        assert_eq!(error.meaning(), Some(Meaning::WrongValue), "{error}");
        assert_eq!((state().failures, state().tries_left()), (Some(count), Some(3 - count)));
    }
    // The right one is taken as long as the TPM is not locked, and does not make good what was wrong.
    assert!(with(PIN).unwrap().ct_eq(SECRET));
    assert_eq!(with(b"wrong again").unwrap_err().meaning(), Some(Meaning::WrongValue));
    let locked = with(PIN).unwrap_err();
    assert_eq!(locked.meaning(), Some(Meaning::LockedOut), "{locked}");
    let state = state();
    assert!(state.locked_out && state.tries_left() == Some(0), "{state:?}");
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

/// What ours seals with a PIN the tools open, and the other way round.
#[test]
fn the_tools_and_ours_open_each_others() {
    let swtpm = Swtpm::start();
    let device = TpmDevice::at(&swtpm.place()).unwrap();
    let policy = with_pin(&device);
    let sealed = seal(&device, &policy, b"1234").unwrap();
    let attributes = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|decrypt";
    swtpm.tool(&format!("tpm2_createprimary -Q -C o -G ecc -g sha256 -a {attributes} -c parent"));
    swtpm.tool("tpm2_flushcontext -t");
    let session = |end: &str| {
        swtpm.tool("tpm2_startauthsession -S session --policy-session");
        swtpm.tool("tpm2_policypcr -S session -l sha256:7");
        swtpm.tool("tpm2_policyauthvalue -S session -L policy");
        swtpm.tool(end);
        swtpm.tool("tpm2_flushcontext session");
        swtpm.tool("tpm2_flushcontext -t");
    };
    fs::write(swtpm.file("public"), &sealed.public).unwrap();
    fs::write(swtpm.file("private"), &sealed.private).unwrap();
    swtpm.tool("tpm2_load -Q -C parent -u public -r private -c object");
    swtpm.tool("tpm2_flushcontext -t");
    session("tpm2_unseal -c object -p session:session+1234 -o text");
    assert_eq!(fs::read(swtpm.file("text")).unwrap(), SECRET);

    fs::write(swtpm.file("text"), SECRET).unwrap();
    swtpm.tool(
        "tpm2_create -Q -C parent -g sha256 -i text -p 1234 -L policy -a fixedtpm|fixedparent -u public -r private",
    );
    swtpm.tool("tpm2_flushcontext -t");
    let [public, private] = ["public", "private"].map(|name| fs::read(swtpm.file(name)).unwrap());
    let theirs = Sealed { public, private };
    assert!(open(&device, &theirs, &policy, None, b"1234", None).unwrap().ct_eq(SECRET));
}

/// A power cut after a PIN was used counts as a wrong one; `bind` says so.
#[test]
fn a_power_cut_after_a_pin_counts_as_a_failure() {
    let mut swtpm = Swtpm::start();
    let place = swtpm.place();
    let device = TpmDevice::at(&place).unwrap();
    let policy = with_pin(&device);
    let sealed = seal(&device, &policy, PIN).unwrap();
    let mut failures = Vec::new();
    for _ in 0..2 {
        assert!(open(&TpmDevice::at(&place).unwrap(), &sealed, &policy, None, PIN, None).unwrap().ct_eq(SECRET));
        swtpm.power_cut();
        let device = TpmDevice::at(&place).unwrap();
        failures.push(Tpm::begin(&device, CALM, &SystemRandom).unwrap().dictionary_attack().unwrap().failures.unwrap());
    }
    assert_eq!(failures, [1, 2]);
}

/// Cleared, and owned by somebody: each has its own answer.
#[test]
fn a_tpm_that_is_not_ours_any_more_says_which_way() {
    let swtpm = Swtpm::start();
    let device = TpmDevice::at(&swtpm.place()).unwrap();
    let (policy, name) = (with_pin(&device), parent_name(&device));
    let sealed = seal(&device, &policy, PIN).unwrap();
    swtpm.tool("tpm2_changeauth -c owner somebody");
    let owned = open(&device, &sealed, &policy, None, PIN, Some(&name)).unwrap_err();
    assert_eq!(owned.meaning(), Some(Meaning::AuthFailed), "{owned}");
    swtpm.tool("tpm2_changeauth -c owner -p somebody");
    assert!(open(&device, &sealed, &policy, None, PIN, Some(&name)).unwrap().ct_eq(SECRET));
    swtpm.tool("tpm2_clear");
    let cleared = open(&device, &sealed, &policy, None, PIN, Some(&name)).unwrap_err();
    assert!(matches!(cleared, TpmError::OtherParent), "{cleared}");
    let unnamed = open(&device, &sealed, &policy, None, PIN, None).unwrap_err();
    assert_eq!(unnamed.meaning(), Some(Meaning::NotOurs), "{unnamed}");
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
        assert_eq!(state.failures, Some(0), "after {cut} cuts");
    }
}
