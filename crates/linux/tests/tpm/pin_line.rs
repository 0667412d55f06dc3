//! Somebody on the line between the pin `cotter-tpm2` and its TPM.

use crate::line::Line;
use crate::pin::{PASSPHRASE, World};
use clevis::PinError;
use tpm2::TpmError;

const CREATE_PRIMARY: u32 = 0x131;
const FLUSH: u32 = 0x165;

fn has(log: &[(Vec<u8>, Vec<u8>)], needle: &[u8]) -> bool {
    log.iter().any(|(command, answer)| {
        [command, answer].iter().any(|bytes| bytes.windows(needle.len()).any(|at| at == needle))
    })
}

/// Neither the PIN nor what is sealed, nor the passphrase.
#[test]
fn nothing_secret_is_on_the_line() {
    let world = World::new();
    let line = Line::listening(&world.device);
    let jwe = world
        .types(&["a long PIN", "a long PIN"])
        .try_bind("cotter-tpm2", r#"{"pin":true,"pcr_ids":"7"}"#, &line)
        .unwrap();
    let opened = clevis::open(&jwe, &world.types(&["a long PIN"]).ports(&line)).unwrap();
    let log = line.log();
    assert!(log.len() > 10);
    for secret in [&b"a long PIN"[..], PASSPHRASE, opened.key.expose()] {
        assert!(!has(&log, secret));
    }
}

/// Whoever puts a key of his own in the place of the parent hears nothing but that he was found out.
#[test]
fn a_swapped_primary_is_told_nothing() {
    let world = World::new();
    let jwe = world.types(&["1234", "1234"]).bind(r#"{"pin":true,"pcr_ids":"7"}"#);
    let stranger = World::new();
    // Another TPM's answer to the same command: a good key with a good name, and its holder listens.
    let strange = Line::listening(&stranger.device);
    stranger.types(&["x", "x"]).try_bind("cotter-tpm2", r#"{"pin":true}"#, &strange).unwrap();
    let made = strange.log().into_iter().find(|(command, _)| code(command) == CREATE_PRIMARY).unwrap().1;
    let swap = |_, answer: Vec<u8>| Ok(if is_primary(&answer) { made.clone() } else { answer });
    let line = Line::changing(&world.device, &swap);
    let error = world.types(&["1234"]).open_over(&jwe, &line).unwrap_err();
    assert!(matches!(error, PinError::Tpm { source: TpmError::OtherParent, .. }), "{error}");
    assert!(error.to_string().contains("parent key is not the one"), "{error}");
    let after: Vec<u32> = line.codes().into_iter().skip_while(|code| *code != CREATE_PRIMARY).skip(1).collect();
    assert!(after.iter().all(|code| *code == FLUSH), "{after:x?}");
}

/// An answer with a creation ticket and a key: long, and with a transient handle.
fn is_primary(answer: &[u8]) -> bool {
    answer.len() > 150 && answer.get(10) == Some(&0x80)
}

fn code(command: &[u8]) -> u32 {
    u32::from_be_bytes(command[6..10].try_into().unwrap())
}

/// Opening costs what docs/tpm.md says.
#[test]
fn no_more_commands_than_are_documented() {
    let world = World::new();
    let count = |config: &str, answers: &[&'static str]| {
        let jwe = world.types(answers).bind(config);
        let line = Line::listening(&world.device);
        world.types(answers).open_over(&jwe, &line).unwrap();
        line.codes().into_iter().filter(|code| *code != FLUSH).count()
    };
    assert_eq!(count("{}", &[]), 4);
    assert_eq!(count(r#"{"pcr_ids":"7"}"#, &[]), 6);
    assert_eq!(count(r#"{"pcr_ids":"7","latch":true}"#, &[]), 7);
    assert_eq!(count(r#"{"pcr_ids":"7","latch":true,"counter":true}"#, &[]), 8);
    let two = format!(r#"{{"pcr_ids":"7","accept":[{{"7":"{}"}}]}}"#, "00".repeat(32));
    assert_eq!(count(&two, &[]), 7);
    assert_eq!(count(r#"{"pin":true,"pcr_ids":"7"}"#, &["1234", "1234"]), 8);
}
