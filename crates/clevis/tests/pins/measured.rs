//! What TPMs compare in bindings, and why it does not fit: against logs that are made here.

use crate::scripted::World;
use crate::tpm2::{PCRS, tpm2plus};
use crate::{config, forged};
use ::tpm2::PcrSelection;
use ::tpm2::event_log::{End, Event, EventKind, EventLog};
use ::tpm2::policy::{Policy, Step};
use clevis::measured::{Because, Form, Part, PcrDigests, State, digests_to_json, explain, parts};
use crypto::Hash;
use jose::Jwe;
use json::{Limits, Object, Value};

const PLAIN: &str = include_str!("../../vectors/tpm2/plain.jwe");
/// PCR 16 must be zero.
const DIGEST: &str = include_str!("../../vectors/tpm2/digest.jwe");
const THRESHOLD: &str = include_str!("../../vectors/tpm2/threshold.jwe");
/// Of our own pin, see `cotter_tpm2.rs`.
const ALL: &str = include_str!("../../vectors/cotter_tpm2/all.jwe");
const SIGNED: &str = include_str!("../../vectors/cotter_tpm2/signed.jwe");

fn of(text: &str) -> Part {
    parts(&vector(text)).unwrap().pop().unwrap()
}

/// A part of our own pin that accepts these sets of values of PCRs of SHA-256, with this said beside it. No TPM has sealed it.
fn ours(accepted: &[PcrDigests], said: &str) -> Part {
    let ids: Vec<u8> = accepted[0].keys().copied().collect();
    let selection = PcrSelection::new(::tpm2::Bank::of(Hash::Sha256).unwrap(), ids.iter().copied().map(u64::from));
    let selection = selection.unwrap();
    let compared = |set: &PcrDigests| Step::Pcr { selection, values: set.values().flatten().copied().collect() };
    let digest = |steps: Vec<Step>| Policy::from(steps).digest(Hash::Sha256).unwrap();
    let mut steps = vec![compared(&accepted[0])];
    if accepted.len() > 1 {
        steps.push(Step::Or(accepted.iter().map(|set| digest(vec![compared(set)])).collect()));
    }
    // `TPM2B_PUBLIC` of sealed data that its policy alone opens.
    let head = [0, 0x4e, 0, 8, 0, 0x0b, 0, 0, 0x04, 0x92, 0, 0x20];
    let public = [&head[..], &digest(steps), &[0, 0x10, 0, 0x20], &[0; 32]].concat();
    let sealed = Object::new().with("public", jose::b64::encode(&public)).with("private", "AAA");
    let parent = Object::new().with("key", "ecc").with("hash", "sha256").with("name", "AAA");
    let binding = Object::new()
        .with("parent", parent)
        .with("sealed", sealed)
        .with("pcr_bank", "sha256")
        .with("pcr_ids", ids.iter().map(u8::to_string).collect::<Vec<String>>().join(","))
        .with("accepted", accepted.iter().map(|set| digests_to_json(set).into()).collect::<Vec<Value>>());
    let binding = Value::Object(binding).to_compact();
    let text = format!(r#"{{"clevis":{{"pin":"cotter-tpm2","cotter-tpm2":{}}},"cotter":{said}}}"#, binding.as_str());
    parts(&forged(&text)).unwrap().pop().unwrap()
}

/// With another text in the place of one in its header.
fn with(jwe: &str, from: &str, to: &str) -> Jwe {
    let header = Value::Object(vector(jwe).header().clone()).to_compact();
    assert!(header.as_str().contains(from), "{from}");
    forged(&header.as_str().replacen(from, to, 1))
}

fn vector(text: &str) -> Jwe {
    Jwe::parse_compact(text.trim_end().as_bytes()).unwrap()
}

/// A log of one event for each of these: PCR, and what is hashed.
fn log(events: &[(u32, &str)]) -> EventLog {
    let event = |(pcr, words): &(u32, &str)| Event {
        pcr: *pcr,
        kind: EventKind::IPL,
        digests: vec![(Hash::Sha256, Hash::Sha256.digest(&[words.as_bytes()]).as_ref().to_vec())],
        data: words.as_bytes().to_vec(),
    };
    let events = events.iter().map(event).collect();
    EventLog { banks: vec![Hash::Sha256], events, end: End::Complete, startup_locality: 0 }
}

fn held(log: &EventLog, pcrs: &[u8]) -> PcrDigests {
    let replayed = log.replay(Hash::Sha256).pcrs;
    let value = |pcr: &u8| replayed.iter().find(|(found, _)| found == pcr).map_or(vec![0; 32], |(_, v)| v.clone());
    pcrs.iter().map(|pcr| (*pcr, value(pcr))).collect()
}

fn words<'a>(because: &Because<'a>) -> Vec<&'a str> {
    let (Because::Events { events, .. } | Because::OneOf { events }) = because else { return Vec::new() };
    events.iter().map(|event| std::str::from_utf8(&event.data).unwrap()).collect()
}

#[test]
fn parts_are_found_at_any_depth() {
    let plain = of(PLAIN);
    assert_eq!((plain.form, plain.compares, plain.place.as_str()), (Form::Original, None, ""));
    let jwe = Jwe::parse_compact(THRESHOLD.trim_end().as_bytes()).unwrap();
    let found = parts(&jwe).unwrap();
    let places: Vec<&str> = found.iter().map(|part| part.place.as_str()).collect();
    assert_eq!((places.len(), found.iter().filter(|part| part.compares.is_some()).count()), (2, 1));
    assert!(places.iter().all(|place| place.starts_with("share ")), "{places:?}");
    let tang = forged(r#"{"clevis":{"pin":"tang","tang":{}}}"#);
    assert!(parts(&tang).unwrap().is_empty());
}

/// A binding of ours has one reader: what opens is a part, whichever name of its key was typed, and what is damaged is none.
#[test]
fn what_opens_is_a_part() {
    let all = of(ALL);
    let pcrs = |part: &Part| part.compares.as_ref().map(|(bank, pcrs)| (bank.name(), pcrs.iter().copied().collect()));
    assert_eq!((all.form, pcrs(&all)), (Form::Ours, Some(("sha256", vec![4, 7]))));
    assert_eq!((all.accepted.len(), all.latch, all.pin, all.counter, all.signed), (2, Some(15), true, true, false));
    let signed = of(SIGNED);
    assert_eq!((pcrs(&signed), signed.signed, signed.pin), (Some(("sha1", vec![7])), true, false));
    for (jwe, key, other) in [(ALL, "ecc", "ecc256"), (SIGNED, "rsa", "rsa2048")] {
        let (key, other) = (format!(r#""key":"{key}""#), format!(r#""key":"{other}""#));
        let named = parts(&with(jwe, &key, &other)).unwrap();
        assert_eq!(named[0].compares, of(jwe).compares, "{other}");
        assert!(parts(&with(jwe, &key, r#""key":"dsa""#)).is_err());
    }
    for (jwe, from, to) in [(ALL, r#""pcr_ids":"4,7""#, r#""pcr_ids":"4""#), (ALL, r#""latch":15"#, r#""latch":14"#)] {
        assert!(parts(&with(jwe, from, to)).is_err(), "{to}");
    }
}

#[test]
fn of_a_digest_the_single_pcr_that_had_less_in_it_is_found() {
    let part = of(DIGEST);
    let empty = log(&[]);
    let check = |log: &EventLog, held: &PcrDigests, state, expected: &[&str]| {
        let found = explain(&part, &[], held, log);
        assert_eq!(found.state, state);
        let named: Vec<&str> = found.moved.iter().flat_map(|moved| words(&moved.because)).collect();
        assert_eq!(named, expected);
    };
    check(&empty, &held(&empty, &[16]), State::Holds, &[]);
    let one = log(&[(16, "something")]);
    check(&one, &held(&one, &[16]), State::Moved, &["something"]);
    let later = PcrDigests::from([(16, vec![1; 32])]);
    let found = explain(&part, &[], &later, &empty);
    assert_eq!((found.state, &found.moved[0].because), (State::Moved, &Because::Later));
    for end in [End::Absent, End::Truncated { offset: 0 }, End::Malformed { offset: 0 }] {
        let none = EventLog { end, ..log(&[]) };
        assert_eq!(explain(&part, &[], &later, &none).moved[0].because, Because::NoLog, "{end:?}");
    }
    let any = explain(&of(PLAIN), &[], &PcrDigests::new(), &empty);
    assert_eq!(any.state, State::AnySystem);
}

#[test]
fn among_several_accepted_values_the_nearest_tells_what_moved() {
    let before = log(&[(7, "db"), (9, "grub.cfg"), (9, "kernel 1"), (9, "initrd 1")]);
    let now = log(&[(7, "db"), (9, "grub.cfg"), (9, "kernel 2"), (9, "initrd 1")]);
    let (old, new) = (held(&before, &[7, 9]), held(&now, &[7, 9]));
    let far = PcrDigests::from([(7, vec![1; 32]), (9, vec![2; 32])]);
    let holds = explain(&ours(&[far.clone(), new.clone()], "{}"), &[], &new, &now);
    assert_eq!((holds.state, holds.moved.len()), (State::Holds, 0));

    let part = ours(&[far, old.clone()], "{}");
    let found = explain(&part, &[], &new, &now);
    assert_eq!((found.state, found.moved.len()), (State::Moved, 1));
    let moved = &found.moved[0];
    assert_eq!((moved.pcr, moved.was.as_ref(), &moved.is), (9, Some(&old[&9]), &new[&9]));
    assert!(matches!(moved.because, Because::OneOf { .. }), "nothing was kept of the other boot");
    assert_eq!(words(&moved.because), ["grub.cfg", "kernel 2", "initrd 1"]);

    let cut = EventLog { end: End::Truncated { offset: 9 }, ..log(&[(9, "grub.cfg")]) };
    let found = explain(&part, &[], &new, &cut);
    assert_eq!(found.moved[0].because, Because::NotExplained { end: cut.end });
}

/// What extended the PCRs is kept when a binding is made, where the log can be read.
#[test]
fn a_record_of_the_boot_names_the_event() {
    let bytes = include_bytes!("../../../tpm2/vectors/event_log/ovmf_grub.log");
    let mut world = World::new();
    let policy = config(r#"{"t":1,"pins":{"tpm2":[{"pcr_ids":"7,9"},{"pcr_bank":"sha1","pcr_ids":4}]}}"#);
    let nothing = clevis::measured::record(Object::new(), &policy, &world.ports());
    assert!(nothing.is_empty(), "no log, no record, no failure");
    world.files.insert(clevis::measured::BOOT_LOG, bytes.to_vec());
    let said = clevis::measured::record(Object::new().with("config", "x"), &policy, &world.ports());
    let boot = Value::Object(said.clone()).to_compact().to_string();
    assert!(
        boot.starts_with(r#"{"config":"x","boot":{"sha1":{"4":""#) && boot.contains(r#""sha256":{"7":""#),
        "{boot}"
    );
    assert!(clevis::measured::record(Object::new(), &config(r#"{"url":"x"}"#), &world.ports()).is_empty());

    let before = EventLog::read(bytes);
    let now = EventLog::read(include_bytes!("../../../tpm2/vectors/event_log/ovmf_grub_other_script.log"));
    let part = ours(&[held(&before, &[7, 9])], &boot);
    let held = held(&now, &[7, 9]);
    let found = explain(&part, &[], &held, &now);
    let Because::Events { events, before: Some(_) } = &found.moved[0].because else { panic!("{found:?}") };
    assert!(events.iter().any(|event| event.component().to_string().contains("grub.cfg")), "{events:?}");
    assert!(events.len() < now.of_pcr(9).count());
}

#[test]
fn a_signature_decides_and_only_for_the_values_it_speaks_of() {
    let (part, empty) = (of(SIGNED), log(&[]));
    let [values, old] = [1, 2].map(|byte| PcrDigests::from([(7, vec![byte; 20])]));
    assert_eq!(explain(&part, &[], &values, &empty).state, State::NotApproved);
    assert_eq!(explain(&part, std::slice::from_ref(&values), &values, &empty).state, State::Holds);
    assert_eq!(explain(&part, &[old], &values, &empty).state, State::NotApproved);
}

/// What is right stands in a file that the signer writes.
#[test]
fn a_signature_elsewhere_is_a_part_of_which_nothing_is_known() {
    let found = parts(&tpm2plus(PCRS)).unwrap();
    let [part] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((part.form, part.form.pin(), part.signed, &part.compares), (Form::Replacement, "tpm2plus", true, &None));
    let (none, empty) = (PcrDigests::new(), log(&[]));
    assert_eq!(explain(part, &[], &none, &empty).state, State::Unknown);
}

/// Whatever an annotation says of the boot: a record for people spoils nothing.
#[test]
fn a_record_that_is_none_is_passed_over() {
    for said in [r#"{"boot":1}"#, r#"{"boot":{"sha256":[]}}"#, r#"{"boot":{"sha256":{"7":"AAA","x":"AAAA"}}}"#] {
        assert!(json::parse(said.as_bytes(), &Limits::POLICY).is_ok());
        ours(&[PcrDigests::from([(9, vec![0; 32])])], said);
    }
}

/// systemd extends PCR 11 on and on; a volume is opened after the first word.
#[test]
fn what_is_predicted_is_what_holds_when_volumes_are_opened() {
    let log = EventLog::read(include_bytes!("../../../tpm2/vectors/event_log/ovmf_unified.log"));
    let extended = |value: &[u8], word: &str| {
        let word = Hash::Sha256.digest(&[word.as_bytes()]);
        Hash::Sha256.digest(&[value, word.as_ref()]).as_ref().to_vec()
    };
    let bank = ::tpm2::Bank::of(Hash::Sha256).unwrap();
    let booted = held(&log, &[4, 7, 11]);
    let opened = extended(&booted[&11], "enter-initrd");
    let later = extended(&extended(&opened, "leave-initrd"), "sysinit");
    for (now, expected) in [(&booted[&11], &booted[&11]), (&opened, &opened), (&later, &opened)] {
        let held = PcrDigests::from([(4, booted[&4].clone()), (11, now.clone())]);
        let predicted = clevis::measured::predict(&log, bank, &held, &[]).unwrap();
        assert_eq!((&predicted.values[&4], &predicted.values[&11]), (&booted[&4], expected));
    }
    let unknown = PcrDigests::from([(11, vec![1; 32])]);
    let predicted = clevis::measured::predict(&log, bank, &unknown, &[]).unwrap();
    assert_eq!((predicted.values.len(), predicted.unpredictable.len()), (0, 1));
}
