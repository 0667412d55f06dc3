//! What the pins say to a TPM, command for command, as docs/tpm.md has it: a slow TPM pays for every one.

use crate::line::Line;
use crate::pin::{NAME, World, approve, approver};
use jose::Jwe;
use tpm2::Transport;

/// The commands that went over the line, by the names of the specification (part 2, 6.5.2).
fn names(line: &Line<'_>) -> String {
    let name = |code: &u32| match code {
        0x12a => "NV_DefineSpace",
        0x131 => "CreatePrimary",
        0x134 => "NV_Increment",
        0x149 => "PolicyNV",
        0x14e => "NV_Read",
        0x153 => "Create",
        0x157 => "Load",
        0x15e => "Unseal",
        0x165 => "FlushContext",
        0x167 => "LoadExternal",
        0x169 => "NV_ReadPublic",
        0x16a => "PolicyAuthorize",
        0x16b => "PolicyAuthValue",
        0x171 => "PolicyOR",
        0x176 => "StartAuthSession",
        0x177 => "VerifySignature",
        0x17a => "GetCapability",
        0x17e => "PCR_Read",
        0x17f => "PolicyPCR",
        0x182 => "PCR_Extend",
        _ => "?",
    };
    line.codes().iter().map(name).collect::<Vec<_>>().join(" ")
}

fn bound_by(world: &World, pin: &str, config: &str, expected: &str) -> Jwe {
    let line = Line::listening(&world.device);
    let jwe = world.try_bind(pin, config, &line).unwrap();
    assert_eq!(names(&line), expected, "{pin} {config}");
    jwe
}

fn opened_by(world: &World, jwe: &Jwe, expected: &str) {
    let line = Line::listening(&world.device);
    world.open_over(jwe, &line).unwrap();
    assert_eq!(names(&line), expected);
}

/// A TPM that has done everything once: one that has just started tests itself first.
fn warm() -> World {
    let world = World::new();
    world.open(&world.bind(r#"{"pcr_ids":"7"}"#)).unwrap();
    world
}

#[test]
fn no_more_commands_for_tpm2_than_are_documented() {
    let world = warm();
    let jwe = bound_by(&world, "tpm2", "{}", "CreatePrimary StartAuthSession Create FlushContext");
    opened_by(&world, &jwe, "CreatePrimary StartAuthSession Load Unseal FlushContext FlushContext GetCapability");
    let expected = "CreatePrimary StartAuthSession PCR_Read Create FlushContext";
    bound_by(&world, "tpm2", r#"{"pcr_bank":"sha256","pcr_ids":"7"}"#, expected);
    let expected = "GetCapability CreatePrimary StartAuthSession PCR_Read Create FlushContext";
    let jwe = bound_by(&world, "tpm2", r#"{"pcr_ids":"7"}"#, expected);
    let expected = "CreatePrimary StartAuthSession Load StartAuthSession PolicyPCR Unseal FlushContext FlushContext \
                    GetCapability";
    opened_by(&world, &jwe, expected);
}

/// The protection from those who guess is asked about once more: for how long.
#[test]
fn no_more_commands_at_a_locked_tpm_than_are_documented() {
    let world = warm();
    let jwe = world.try_bind("tpm2", "{}", &world.device).unwrap();
    let pin = world.types(&["1234", "1234"]).bind(r#"{"pin":true}"#);
    world.types(&["1", "2", "3"]).open(&pin).unwrap_err();
    let refused = |jwe: &Jwe, expected: &str| {
        let line = Line::listening(&world.device);
        world.types(&["1234"]).open_over(jwe, &line).unwrap_err();
        assert_eq!(names(&line), expected);
    };
    refused(&jwe, "CreatePrimary StartAuthSession Load FlushContext FlushContext GetCapability");
    refused(&pin, "GetCapability");
}

const SEALING: &str = "CreatePrimary StartAuthSession Create FlushContext";
const SEALING_WITH_PCRS: &str = "CreatePrimary StartAuthSession PCR_Read Create FlushContext";
const SEALING_WITH_COUNTER: &str = "CreatePrimary StartAuthSession PCR_Read GetCapability NV_DefineSpace NV_ReadPublic \
                                    NV_Increment NV_ReadPublic NV_Read Create FlushContext";
/// To the policy; what it needs to read is read before Load.
const OPENING: &str = "CreatePrimary StartAuthSession Load StartAuthSession FlushContext";
const OPENING_SIGNED: &str = "CreatePrimary StartAuthSession PCR_Read Load StartAuthSession FlushContext";
/// From it on.
const OPENED: &str = "FlushContext Unseal FlushContext";

#[test]
fn no_more_commands_for_cotter_tpm2_than_are_documented() {
    let world = warm();
    let jwe = bound_by(&world, NAME, "{}", SEALING);
    opened_by(&world, &jwe, "CreatePrimary StartAuthSession Load Unseal FlushContext FlushContext");
    let check = |config: &str, sealing: &str, policy: &str| {
        let jwe = bound_by(&world, NAME, config, sealing);
        opened_by(&world, &jwe, &format!("{OPENING} {policy} {OPENED}"));
    };
    check(r#"{"latch":true}"#, SEALING, "PolicyPCR");
    check(r#"{"pcr_ids":"7"}"#, SEALING_WITH_PCRS, "PolicyPCR");
    check(r#"{"pcr_ids":"7","latch":true}"#, SEALING_WITH_PCRS, "PolicyPCR PolicyPCR");
    let two = format!(r#"{{"pcr_ids":"7","accept":[{{"7":"{}"}}]}}"#, "00".repeat(32));
    check(&two, SEALING_WITH_PCRS, "PolicyPCR PolicyOR");
    let counted = r#"{"pcr_ids":"7","latch":true,"counter":true}"#;
    check(counted, SEALING_WITH_COUNTER, "PolicyPCR PolicyNV PolicyPCR");
    let config = r#"{"pin":true,"pcr_ids":"7"}"#;
    let jwe = bound_by(world.types(&["1234", "1234"]), NAME, config, SEALING_WITH_PCRS);
    let opening = format!("GetCapability {OPENING} PolicyPCR PolicyAuthValue {OPENED}");
    opened_by(world.types(&["1234"]), &jwe, &opening);
}

#[test]
fn no_more_commands_for_a_signed_binding_than_are_documented() {
    const SIGNED: &str = "LoadExternal VerifySignature FlushContext PolicyAuthorize";
    let mut world = warm();
    let (key, public) = approver();
    world.approvals = vec![approve(&key, "", world.state(&[7]), None)];
    let config = format!(r#"{{"pcr_ids":"7","signed":{{"key":{public}}}}}"#);
    let jwe = bound_by(&world, NAME, &config, SEALING_WITH_PCRS);
    opened_by(&world, &jwe, &format!("{OPENING_SIGNED} PolicyPCR {SIGNED} {OPENED}"));
    // With a counter it is the approval that names it.
    let config = format!(r#"{{"pcr_ids":"7","signed":{{"key":{public}}},"counter":true}}"#);
    let jwe = bound_by(&world, NAME, &config, SEALING_WITH_COUNTER);
    let counter = clevis::signed(&jwe, clevis::pins::ALL).unwrap().remove(0).counter;
    world.approvals = vec![approve(&key, "", world.state(&[7]), counter)];
    opened_by(&world, &jwe, &format!("{OPENING_SIGNED} PolicyPCR PolicyNV {SIGNED} {OPENED}"));
}

#[test]
fn no_more_commands_to_renew_a_counter_and_to_shut_the_latch_than_are_documented() {
    let mut world = warm();
    let old = world.bind(r#"{"counter":true}"#);
    let told = clevis::configuration(&old, clevis::pins::ALL).unwrap();
    let again = told.config.field().value().to_compact().to_string();
    world.replaces = true;
    let sealing = "CreatePrimary StartAuthSession NV_ReadPublic NV_Read Create FlushContext";
    let new = bound_by(&world, NAME, &again, sealing);
    let said = |run: &dyn Fn(&dyn Transport)| {
        let line = Line::listening(&world.device);
        run(&line);
        names(&line)
    };
    let settle = |line: &dyn Transport| clevis::settle(&new, &mut |_| true, &world.ports(line)).unwrap();
    let looking = "CreatePrimary StartAuthSession NV_ReadPublic NV_Read";
    assert_eq!(said(&settle), format!("{looking} NV_Increment FlushContext FlushContext"));
    // A second time there is nothing to count.
    assert_eq!(said(&settle), format!("{looking} FlushContext FlushContext"));
    let shut = |line: &dyn Transport| drop(clevis::pins::shut_latch(15, &world.ports(line)).unwrap());
    assert_eq!(said(&shut), "GetCapability CreatePrimary StartAuthSession PCR_Extend FlushContext FlushContext");
}
