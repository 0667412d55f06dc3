//! Somebody on the line between the pin `cotter-tpm2` and its TPM.

use crate::line::Line;
use crate::pin::{NAME, PASSPHRASE, World, approve, approver};
use clevis::{Counter, PinError, measured};
use crypto::{Hash, Secret};
use jose::b64;
use linux::TpmDevice;
use std::fs;
use tpm2::policy::{Policy, Step};
use tpm2::{Bank, PcrSelection, TpmError};

const CREATE_PRIMARY: u32 = 0x131;
const NV_INCREMENT: u32 = 0x134;
const CREATE: u32 = 0x153;
const UNSEAL: u32 = 0x15e;
const FLUSH: u32 = 0x165;

/// What the person types.
const PIN: &str = "a long PIN";

fn has(log: &[(Vec<u8>, Vec<u8>)], needle: &[u8]) -> bool {
    log.iter().any(|(command, answer)| {
        [command, answer].iter().any(|bytes| bytes.windows(needle.len()).any(|at| at == needle))
    })
}

/// In no recording are the PIN, what is sealed, as bytes and as text, and the passphrase.
fn tells_nothing_of(line: &Line<'_>, key: &Secret) {
    let log = line.log();
    // It is a recording of all of it.
    assert!(has(&log, &CREATE.to_be_bytes()) && has(&log, &UNSEAL.to_be_bytes()));
    let text = b64::encode_secret(key.expose());
    for secret in [PIN.as_bytes(), PASSPHRASE, key.expose(), text.as_bytes()] {
        assert!(!has(&log, secret));
    }
}

/// Whatever the policy is, and whichever pin.
#[test]
fn nothing_secret_is_on_the_line() {
    let mut world = World::new();
    let (key, public) = approver();
    world.approvals = vec![approve(&key, "boot", world.state(&[7]), None)];
    let signed = format!(r#"{{"pcr_ids":"7","signed":{{"key":{public},"reference":"boot"}}}}"#);
    let other = "00".repeat(32);
    for (pin, config) in [
        (NAME, "{}".to_owned()),
        (NAME, r#"{"key":"rsa","pin":true,"pcr_ids":"7"}"#.into()),
        (NAME, format!(r#"{{"pcr_ids":"7","accept":[{{"7":"{other}"}}],"latch":true}}"#)),
        (NAME, r#"{"pcr_ids":"7","counter":true}"#.into()),
        (NAME, signed.clone()),
        (NAME, format!(r#"{},"pin":true}}"#, signed.strip_suffix('}').unwrap())),
        ("tpm2", "{}".into()),
        ("tpm2", r#"{"key":"rsa","pcr_ids":"7"}"#.into()),
        ("tpm2plus", policy_by_openssl(&world)),
    ] {
        let line = Line::listening(&world.device);
        let jwe = world.types(&[PIN, PIN]).try_bind(pin, &config, &line).unwrap();
        let opened = clevis::open(&jwe, &world.types(&[PIN]).ports(&line)).unwrap();
        tells_nothing_of(&line, &opened.key);
    }
}

/// A binding that takes the place of another: from the old one's opening to the counting that kills it.
#[test]
fn nothing_secret_is_on_the_line_when_a_binding_is_renewed() {
    let mut world = World::new();
    let old = world.types(&[PIN, PIN]).bind(r#"{"pin":true,"pcr_ids":"7","latch":true,"counter":true}"#);
    let told = clevis::configuration(&old, clevis::pins::ALL).unwrap();
    world.replaces = true;
    let line = Line::listening(&world.device);
    let before = clevis::open(&old, &world.types(&[PIN]).ports(&line)).unwrap();
    let again = told.config.field().value().to_compact().to_string();
    let new = world.types(&[PIN, PIN]).try_bind(NAME, &again, &line).unwrap();
    let after = clevis::open(&new, &world.types(&[PIN]).ports(&line)).unwrap();
    clevis::settle(&new, &mut |_| true, &world.ports(&line)).unwrap();
    assert!(line.codes().contains(&NV_INCREMENT));
    assert!(!before.key.ct_eq(after.key.expose()));
    for opened in [before, after] {
        tells_nothing_of(&line, &opened.key);
    }
}

/// An approval is for the number of a counter; what it opens is as little heard.
#[test]
fn nothing_secret_is_on_the_line_when_an_approval_names_a_counter() {
    let mut world = World::new();
    let (key, public) = approver();
    let config = format!(r#"{{"pcr_ids":"7","signed":{{"key":{public}}},"counter":true}}"#);
    let device = TpmDevice::at(&world.tpm.place()).unwrap();
    let line = Line::listening(&device);
    let jwe = world.try_bind(NAME, &config, &line).unwrap();
    let counter = clevis::signed(&jwe, clevis::pins::ALL).unwrap().remove(0).counter;
    world.approvals = vec![approve(&key, "", world.state(&[7]), counter)];
    let opened = clevis::open(&jwe, &world.ports(&line)).unwrap();
    tells_nothing_of(&line, &opened.key);
}

/// A configuration of `tpm2plus` with what PCR 7 holds now, signed by a key of OpenSSL's.
fn policy_by_openssl(world: &World) -> String {
    let tpm = &world.tpm;
    let base64 = |name: &str| tpm.tool(&format!("openssl base64 -A -in {name}"));
    tpm.tool("openssl genrsa -out private 2048");
    let modulus = tpm.tool("openssl rsa -in private -noout -modulus");
    let hex = modulus.trim().strip_prefix("Modulus=").unwrap();
    let modulus: Vec<u8> =
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
    fs::write(tpm.file("modulus"), modulus).unwrap();
    let state = world.state(&[7]);
    let selection = PcrSelection::new(Bank::from_name("sha256").unwrap(), [7]).unwrap();
    let policy = Policy::new().then(Step::Pcr { selection, values: state.concatenated() });
    fs::write(tpm.file("policy"), policy.digest(Hash::Sha256).unwrap()).unwrap();
    fs::write(tpm.file("value"), state.concatenated()).unwrap();
    tpm.tool("openssl dgst -sha256 -sign private -out signature policy");
    let key = format!(
        r#"{{"RSA":{{"scheme":"RSASSA","hashing_algo":"SHA256","exponent":65537,"modulus":"{}"}}}}"#,
        base64("modulus")
    );
    fs::write(tpm.file("public.json"), key).unwrap();
    let steps = format!(r#"[{{"PCRs":{{"pcr_ids":[7],"hash_algorithm":"sha256","value":"{}"}}}}]"#, base64("value"));
    let policies = format!(r#"[{{"policy_ref":"","steps":{steps},"signature":"{}"}}]"#, base64("signature"));
    fs::write(tpm.file("policies.json"), policies).unwrap();
    let (key, policies) = (tpm.file("public.json"), tpm.file("policies.json"));
    let (key, policies) = (key.display(), policies.display());
    format!(r#"{{"use_policy":true,"policy_pubkey_path":"{key}","policy_path":"{policies}","policy_ref":""}}"#)
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

/// He hears no more when something is sealed anew, for whom the old binding says who it must be: neither the PIN nor what is sealed.
#[test]
fn a_swapped_primary_is_told_nothing_new_either() {
    let (mut world, stranger) = (World::new(), World::new());
    for (config, other) in [(r#"{"pin":true,"pcr_ids":"7"}"#, r#"{"key":"rsa"}"#), (r#"{"key":"rsa"}"#, "{}")] {
        let old = world.types(&["1234", "1234"]).bind(config);
        let shared = world.types(&["1234", "1234"]).try_bind(
            "sss",
            &format!(r#"{{"t":1,"pins":{{"{NAME}":{config}}}}}"#),
            &world.device,
        );
        let known = clevis::parents(&old, clevis::pins::ALL).unwrap();
        assert_eq!(clevis::parents(&shared.unwrap(), clevis::pins::ALL).unwrap(), known, "a share names it too");
        world.parents = known;
        let line = Line::listening(&stranger.device);
        let error = world.types(&["1234", "1234"]).try_bind(NAME, config, &line).unwrap_err();
        assert!(matches!(error, PinError::Tpm { source: TpmError::OtherParent, .. }), "{error}");
        assert_eq!(line.codes(), [CREATE_PRIMARY, FLUSH]);
        // The right one is, and of a key of the other kind nothing is known.
        world.types(&["1234", "1234"]).bind(config);
        world.try_bind(NAME, other, &stranger.device).unwrap();
        world.parents.clear();
    }
}

/// What is approved is asked of the TPM that the binding is sealed by; nobody in between answers for it, or has a counter go on that is no
/// policy's.
#[test]
fn what_is_to_be_approved_is_asked_of_the_tpm_of_the_binding_alone() {
    let (mut world, stranger) = (World::new(), World::new());
    let (_, public) = approver();
    let config = format!(r#"{{"pcr_ids":"7","counter":true,"signed":{{"key":{public}}}}}"#);
    let (bound, _) = (world.bind(&config), stranger.bind(&config));
    let counter = clevis::signed(&bound, clevis::pins::ALL).unwrap().remove(0).counter.unwrap();
    world.parents = clevis::parents(&bound, clevis::pins::ALL).unwrap();
    let selection = PcrSelection::new(Bank::from_name("sha256").unwrap(), [7]).unwrap();
    let value = measured::held(&selection, &world.ports(&world.device)).unwrap().remove(&7).unwrap();
    assert_eq!(value, world.state(&[7]).concatenated());
    let line = Line::listening(&stranger.device);
    let ports = world.ports(&line);
    let answers = [
        measured::held(&selection, &ports).map(drop),
        measured::count(&counter, &ports).map(drop),
        measured::raise(&counter, &ports).map(drop),
    ];
    for answer in answers {
        let error = answer.unwrap_err();
        assert!(matches!(error, PinError::Tpm { source: TpmError::OtherParent, .. }), "{error}");
    }
    assert!(line.codes().iter().all(|code| [CREATE_PRIMARY, FLUSH].contains(code)), "{:x?}", line.codes());
    let other_value = |_: usize, mut answer: Vec<u8>| {
        let place = answer.windows(value.len()).position(|at| at == value);
        place.into_iter().for_each(|place| answer[place] ^= 1);
        Ok(answer)
    };
    let line = Line::changing(&world.device, &other_value);
    measured::held(&selection, &world.ports(&line)).unwrap_err();

    let ports = world.ports(&world.device);
    let before = measured::count(&counter, &ports).unwrap();
    let renamed = Counter { name: [&[0, 0x0b][..], &[1; 32]].concat(), ..counter.clone() };
    for answer in [measured::count(&renamed, &ports), measured::raise(&renamed, &ports)] {
        assert!(matches!(answer, Err(PinError::NotACounter { .. })), "{answer:?}");
    }
    // To where new approvals are good and not past them, also when somebody else has counted meanwhile.
    for (until, stands) in
        [(before, before), (before + 1, before + 1), (before + 1, before + 1), (before + 3, before + 1)]
    {
        let counter = Counter { value: until, ..counter.clone() };
        assert_eq!(measured::raise(&counter, &ports).unwrap(), stands, "{until}");
    }
    assert!(world.is_clean() && stranger.is_clean());
}

/// An answer with a creation ticket and a key: long, and with a transient handle.
fn is_primary(answer: &[u8]) -> bool {
    answer.len() > 150 && answer.get(10) == Some(&0x80)
}

fn code(command: &[u8]) -> u32 {
    u32::from_be_bytes(command[6..10].try_into().unwrap())
}
