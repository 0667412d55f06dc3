//! The PIN of the pin `cotter-tpm2`, and the TPM's protection from those who guess.

use crate::line::Line;
use crate::pin::{NAME, World};
use clevis::PinError;
use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, Ordering};
use tpm2::{TpmError, TransportError};

fn failures(world: &World) -> u32 {
    let shown = world.tpm.tool("tpm2_getcap properties-variable");
    let line = shown.lines().find(|line| line.contains("TPM2_PT_LOCKOUT_COUNTER")).unwrap();
    u32::from_str_radix(line.split("0x").nth(1).unwrap().trim(), 16).unwrap()
}

#[test]
fn the_right_pin_opens_and_a_wrong_one_may_be_followed_by_it() {
    let world = World::new();
    let jwe = world.types(&["1234", "1234"]).bind(r#"{"pin":true,"pcr_ids":"7","latch":true}"#);
    world.types(&["1234"]).open(&jwe).unwrap();
    assert_eq!(failures(&world), 0);
    world.types(&["12345", "1234"]).open(&jwe).unwrap();
    assert_eq!(failures(&world), 1);
    let questions = world.questions.lock().unwrap().clone();
    assert_eq!(questions.last().unwrap(), "Wrong PIN. PIN for the TPM (2 tries): ");
    assert!(world.is_clean());
}

#[test]
fn two_that_differ_and_an_empty_one_are_no_pin() {
    let world = World::new();
    for answers in [&["one", "two"][..], &["", ""]] {
        let error = world.types(answers).try_bind(NAME, r#"{"pin":true}"#, &world.device).unwrap_err();
        assert!(matches!(error, PinError::PinNotSet { .. }), "{error}");
    }
    let error = world.types(&[]).try_bind(NAME, r#"{"pin":true}"#, &world.device).unwrap_err();
    assert!(matches!(error, PinError::NobodyForPin { .. }), "{error}");
}

/// Three wrong ones lock it; bindings without a PIN do not care.
#[test]
fn three_wrong_ones_lock_and_what_has_no_pin_opens_on() {
    let world = World::new();
    let jwe = world.types(&["1234", "1234"]).bind(r#"{"pin":true}"#);
    let free = world.bind(r#"{"pcr_ids":"7"}"#);
    let original = world.try_bind("tpm2", "{}", &world.device).unwrap();
    let error = world.types(&["1", "2", "3"]).open(&jwe).unwrap_err();
    assert!(matches!(error, PinError::WrongPin { left: Some(0) }), "{error}");
    let error = world.types(&["1234"]).open(&jwe).unwrap_err();
    assert!(matches!(error, PinError::Tpm { protection: Some(_), .. }), "{error}");
    assert!(error.to_string().contains("locked out"), "{error}");
    world.open(&free).unwrap();
    assert!(world.open(&original).is_err(), "the original's parent is locked with it");
    world.tpm.tool("tpm2_dictionarylockout --clear-lockout");
    world.types(&["1234"]).open(&jwe).unwrap();
}

/// That a try is gone is told, whatever fails afterwards; who gave up hears that alone.
#[test]
fn a_wrong_pin_is_not_hidden_by_what_fails_after_it() {
    let world = World::new();
    let jwe = world.types(&["1234", "1234"]).bind(r#"{"pin":true}"#);
    let error = world.types(&["1"]).open(&jwe).unwrap_err();
    assert!(matches!(error, PinError::WrongPin { left: Some(2) }), "the terminal is gone: {error}");
    for cancelled in [false, true] {
        let gone = AtomicBool::new(false);
        let breaks = |_: usize, answer: Vec<u8>| {
            let was_gone = gone.fetch_or(answer.get(6..10) == Some(&[0, 0, 0x09, 0x8e]), Ordering::SeqCst);
            match (was_gone, cancelled) {
                (false, _) => Ok(answer),
                (true, true) => Err(TransportError::Cancelled),
                (true, false) => Err(TransportError::Broken { source: ErrorKind::BrokenPipe.into() }),
            }
        };
        let error = world.types(&["1", "1234"]).open_over(&jwe, &Line::changing(&world.device, &breaks)).unwrap_err();
        assert_eq!(matches!(error, PinError::WrongPin { .. }), !cancelled, "{error}");
        assert_eq!(matches!(error, PinError::Cancelled), cancelled, "{error}");
    }
}

/// The policy is looked at before the PIN: another boot costs no try.
#[test]
fn a_pin_in_another_boot_is_not_counted() {
    let world = World::new();
    let jwe = world.types(&["1234", "1234"]).bind(r#"{"pin":true,"pcr_ids":"7"}"#);
    world.extend(7, 1);
    let error = world.types(&["1234"]).open(&jwe).unwrap_err();
    assert!(matches!(error, PinError::PcrMismatch { .. }), "{error}");
    assert_eq!(failures(&world), 0);
}

/// Three starts in a row that end in a power cut: the original's parent key is locked, ours is not. It is told before.
#[test]
fn power_cuts_lock_the_original_and_not_ours() {
    let mut world = World::new();
    let ours = world.bind(r#"{"pcr_ids":"0"}"#);
    let theirs = world.try_bind("tpm2", r#"{"pcr_ids":"0"}"#, &world.device).unwrap();
    let mut told = Vec::new();
    for _ in 0..3 {
        world.open(&ours).unwrap();
        let opened = clevis::open(&theirs, &world.ports(&world.device));
        told.push(opened.map(|opened| opened.remarks.len()).ok());
        world.tpm.power_cut();
    }
    world.open(&ours).unwrap();
    let error = world.open(&theirs).unwrap_err();
    assert!(error.to_string().contains("locked out"), "{error}");
    assert_eq!(told, [Some(0), Some(0), Some(1)]);
}

/// What the TPM says of its protection is an answer that nothing vouches for.
fn with_property(answer: Vec<u8>, property: u32, change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut answer = answer;
    if let Some(at) = answer.windows(4).position(|bytes| bytes == property.to_be_bytes()) {
        change(&mut answer[at..at + 8]);
    }
    answer
}

const PERMANENT: u32 = 0x200;
const LOCKOUT_COUNTER: u32 = 0x20e;
const MAX_AUTH_FAIL: u32 = 0x20f;

/// A file that is missing is told before anybody types.
#[test]
fn what_systemds_token_needs_beside_a_pin_is_read_before_it_is_asked_for() {
    let world = World::new();
    let text = include_str!("../../../../tests/compliance/vectors/systemd_257/all.json");
    let token = json::parse(text.as_bytes(), &json::Limits::POLICY).unwrap();
    let mut token = clevis::systemd::Tpm2::read(&token.field("token")).unwrap().unwrap();
    token.signed_at("/no/such/file");
    let error = token.open(&world.types(&["1234"]).ports(&world.device)).unwrap_err();
    assert!(matches!(error, PinError::File { .. }), "{error}");
    assert!(world.questions.lock().unwrap().is_empty());
}

/// Whatever the numbers are: no value is tried that nobody typed, and the right PIN opens.
#[test]
fn no_count_makes_the_program_guess() {
    let world = World::new();
    let jwe = world.types(&["1234", "1234"]).bind(r#"{"pin":true}"#);
    let zero = |answer: Vec<u8>| with_property(answer, MAX_AUTH_FAIL, |property| property[4..].fill(0));
    let absent = |answer: Vec<u8>| with_property(answer, MAX_AUTH_FAIL, |property| property[..4].fill(0x7f));
    let spent = |answer: Vec<u8>| with_property(answer, LOCKOUT_COUNTER, |property| property[4..].fill(0xff));
    let lies: [&(dyn Fn(Vec<u8>) -> Vec<u8> + Sync); 3] = [&zero, &absent, &spent];
    for lie in lies {
        let lie = |_: usize, answer: Vec<u8>| Ok(lie(answer));
        world.questions.lock().unwrap().clear();
        world.types(&["1234"]).open_over(&jwe, &Line::changing(&world.device, &lie)).unwrap();
        assert_eq!(*world.questions.lock().unwrap(), ["PIN for the TPM: "]);
        assert_eq!(failures(&world), 0);
    }
}

/// A TPM that says that it is locked is believed so far that nobody types for nothing. Nothing is tried.
#[test]
fn a_lock_that_is_only_said_costs_no_try() {
    let world = World::new();
    let jwe = world.types(&["1234", "1234"]).bind(r#"{"pin":true}"#);
    world.questions.lock().unwrap().clear();
    let locked = |answer: Vec<u8>| with_property(answer, PERMANENT, |property| property[6] |= 2);
    let lie = |_: usize, answer: Vec<u8>| Ok(locked(answer));
    let error = world.types(&["1234"]).open_over(&jwe, &Line::changing(&world.device, &lie)).unwrap_err();
    assert!(matches!(error, PinError::Tpm { source: TpmError::LockedOut, protection: Some(_) }), "{error}");
    assert!(error.to_string().contains("locked out") && error.to_string().contains("0 of 3 failures count"), "{error}");
    assert!(world.questions.lock().unwrap().is_empty());
    assert_eq!(failures(&world), 0);
    world.types(&["1234"]).open(&jwe).unwrap();
}
