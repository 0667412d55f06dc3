//! The pin `cotter-tpm2`: each condition, met and not, and all of them together.

use crate::line::Line;
use crate::pin::{NAME, World, approve, approver};
use crate::swtpm::Swtpm;
use clevis::{Counter, PinError, WhySkipped};
use tpm2::{NvIndex, TpmError};

#[test]
fn every_configuration_opens_and_leaves_nothing_behind() {
    let world = World::new();
    let other = format!(r#"{{"7":"{}"}}"#, "ab".repeat(32));
    let seven: Vec<String> = (1..8).map(|n| format!(r#"{{"7":"{}"}}"#, format!("{n:02x}").repeat(32))).collect();
    for config in [
        "{}".to_owned(),
        r#"{"key":"rsa2048"}"#.into(),
        r#"{"key":"ecc256","pcr_ids":"7"}"#.into(),
        r#"{"pcr_ids":"7"}"#.into(),
        r#"{"pcr_bank":"sha1","pcr_ids":[0,"7"]}"#.into(),
        r#"{"pcr_ids":"0,1,2,3,4,5,6,7,8,9,10,11"}"#.into(),
        format!(r#"{{"pcr_ids":"7","accept":[{other}]}}"#),
        format!(r#"{{"pcr_ids":"7","accept":[{}]}}"#, seven.join(",")),
        r#"{"latch":true}"#.into(),
        r#"{"pcr_ids":"7,15","latch":15}"#.into(),
        r#"{"pcr_ids":"7","latch":14,"counter":true}"#.into(),
        format!(r#"{{"key":"rsa","pcr_ids":"7","accept":[{other}],"latch":true,"counter":true}}"#),
    ] {
        let jwe = world.bind(&config);
        world.open(&jwe).unwrap_or_else(|error| panic!("{config}: {error}"));
        assert_eq!(clevis::measured::parts(&jwe).unwrap().len(), 1, "{config}");
        let told = clevis::configuration(&jwe, clevis::pins::ALL).unwrap();
        assert_eq!(told.is_complete(), !config.contains("accept"), "{config}");
        let config = clevis::Config::parse(config.as_bytes()).unwrap();
        assert!(clevis::meets(NAME, &told.config, &jwe, clevis::pins::ALL).unwrap(), "{told:?}");
        assert!(clevis::meets(NAME, &config, &jwe, clevis::pins::ALL).unwrap(), "{config:?}");
    }
    assert!(world.is_clean());
}

#[test]
fn what_moved_is_named() {
    let world = World::new();
    let jwe = world.bind(r#"{"pcr_ids":"4,7,9"}"#);
    world.extend(9, 1);
    let error = world.open(&jwe).unwrap_err();
    let PinError::PcrMismatch { selection, .. } = &error else { panic!("{error}") };
    assert_eq!(selection.to_string(), "sha256:9");
    assert!(world.is_clean());
}

/// A kernel that was announced, the one of today, and none other.
#[test]
fn one_of_several_sets_of_values_suffices() {
    let world = World::new();
    let today = world.state(&[7]);
    world.extend(7, 1);
    let next = world.values(&[7]);
    let given = r#"{"pcr_ids":"7","pcr_digest":"DIGEST","accept":[NEXT]}"#.replace("NEXT", &next);
    let jwe = world.bind(&given.replace("DIGEST", &jose::b64::encode(&today.concatenated())));
    world.open(&jwe).unwrap();
    let back = World::of(Swtpm::start());
    assert_eq!(back.state(&[7]), today);
    world.extend(7, 1);
    assert!(matches!(world.open(&jwe), Err(PinError::PcrMismatch { .. })));
}

#[test]
fn a_latch_shuts_until_the_machine_starts_again() {
    let mut world = World::new();
    let latched = world.bind(r#"{"pcr_ids":"0","latch":true}"#);
    let other = world.bind(r#"{"pcr_ids":"0"}"#);
    world.open(&latched).unwrap();
    for _ in 0..2 {
        let banks = clevis::pins::shut_latch(15, &world.ports(&world.device)).unwrap();
        assert!(banks.len() >= 2, "{banks:?}");
        let error = world.open(&latched).unwrap_err();
        assert!(matches!(error, PinError::Latched { pcr: 15 }), "{error}");
        assert!(error.hint().contains("passphrase"));
        world.open(&other).unwrap();
    }
    // Nothing that is not a start sets it back, and every bank is shut.
    for bank in ["sha1", "sha256", "sha384", "sha512"] {
        let shown = world.tpm.tool(&format!("tpm2_pcrread {bank}:15"));
        let value = shown.split("0x").nth(1).unwrap();
        assert!(value.trim().chars().any(|digit| digit != '0'), "{bank}: {shown}");
    }
    world.tpm.power_cut();
    world.open(&latched).unwrap();
}

/// The new object is ahead by one; when it has taken the place of the old one, the counter kills that.
#[test]
fn what_was_replaced_dies_when_its_successor_is_settled() {
    let mut world = World::new();
    let old = world.bind(r#"{"pcr_ids":"7","counter":true}"#);
    let told = clevis::configuration(&old, clevis::pins::ALL).unwrap();
    let again = told.config.field().value().to_compact().to_string();
    world.replaces = true;
    let new = world.bind(&again);
    world.open(&old).unwrap();
    world.open(&new).unwrap();
    for _ in 0..2 {
        clevis::settle(&new, &mut |_| true, &world.ports(&world.device)).unwrap();
        world.open(&new).unwrap();
        let error = world.open(&old).unwrap_err();
        assert!(matches!(error, PinError::CounterPassed { .. }), "{error}");
    }
    clevis::settle(&old, &mut |_| true, &world.ports(&world.device)).unwrap();
    world.open(&new).unwrap();
    assert!(world.is_clean());
}

/// A disk beside the first one, on the counter of both: neither waits for the other to be settled, and a renewal that counts up ends both.
#[test]
fn a_binding_beside_another_on_its_counter_lives_and_dies_with_it() {
    let mut world = World::new();
    let first = world.bind(r#"{"counter":true}"#);
    let told = clevis::configuration(&first, clevis::pins::ALL).unwrap();
    let same = told.config.field().value().to_compact().to_string();
    let beside = world.bind(&same);
    clevis::settle(&beside, &mut |_| true, &world.ports(&world.device)).unwrap();
    world.open(&first).unwrap();
    world.open(&beside).unwrap();

    world.replaces = true;
    let renewed = world.bind(&same);
    // Whoever is asked for leave and gives none has ended nothing.
    let mut asked = Vec::new();
    let mut refuse = |counter: &Counter| {
        asked.push(counter.value);
        false
    };
    clevis::settle(&renewed, &mut refuse, &world.ports(&world.device)).unwrap();
    assert_eq!(asked, [2]);
    for one in [&first, &beside, &renewed] {
        world.open(one).unwrap();
    }
    clevis::settle(&renewed, &mut |_| true, &world.ports(&world.device)).unwrap();
    world.open(&renewed).unwrap();
    for old in [&first, &beside] {
        let error = world.open(old).unwrap_err();
        assert!(matches!(error, PinError::CounterPassed { .. }), "{error}");
    }
    assert!(world.is_clean());
}

/// A counter of a share is gone: those of the others are counted up all the same.
#[test]
fn one_counter_that_fails_keeps_no_other_from_being_settled() {
    let mut world = World::new();
    let config = |counters: [&str; 3]| {
        let [one, two, three] = counters.map(|counter| format!(r#"{{"counter":{counter}}}"#));
        format!(r#"{{"t":1,"pins":{{"cotter-tpm2":[{one},{two},{three}]}}}}"#)
    };
    let old = world.try_bind("sss", &config(["true"; 3]), &world.device).unwrap();
    let counters = clevis::counters(&old, clevis::pins::ALL).unwrap();
    let [one, two, three] = [0, 1, 2].map(|at: usize| format!(r#""{}""#, counters[at].index));
    world.replaces = true;
    let new = world.try_bind("sss", &config([&one, &two, &three]), &world.device).unwrap();
    world.open(&old).unwrap();
    world.tpm.tool(&format!("tpm2_nvundefine -C o {}", counters[0].index));
    let error = clevis::settle(&new, &mut |_| true, &world.ports(&world.device)).unwrap_err();
    assert!(error.to_string().contains("no such index"), "{error}");
    let error = world.open(&old).unwrap_err();
    let PinError::TooFew { failures, .. } = &error else { panic!("{error}") };
    let passed = |failure: &&clevis::Failure| matches!(failure.error, PinError::CounterPassed { .. });
    assert_eq!(failures.iter().filter(passed).count(), 2, "{error}");
    world.open(&new).unwrap();
}

/// What cannot be taken back is named, and nothing else is.
#[test]
fn one_counter_that_stays_keeps_no_other_from_being_taken_back() {
    let world = World::new();
    (0..4).for_each(|_| drop(world.bind(r#"{"counter":true}"#)));
    let made = world.made.counters();
    world.tpm.tool(&format!("tpm2_nvundefine -C o {}", made[0]));
    // TPM_RC_FAILURE, of NV_ReadPublic of the third; sessions have no part in that.
    let refuse =
        |number: usize, answer| Ok(if number == 5 { b"\x80\x01\0\0\0\x0a\0\0\x01\x01".to_vec() } else { answer });
    let line = Line::changing(&world.device, &refuse);
    let (left, error) = clevis::measured::take_back(&world.ports(&line)).unwrap();
    assert_eq!(left, [made[2]], "{error}");
    let there = world.tpm.tool("tpm2_getcap handles-nv-index");
    let is_there = |index: &&NvIndex| there.to_lowercase().contains(&format!("{:x}", index.number()));
    assert_eq!(made.iter().filter(is_there).collect::<Vec<_>>(), [&made[2]], "{there}");
}

#[test]
fn an_index_that_is_no_counter_of_ours_is_refused() {
    let world = World::new();
    world.tpm.tool("tpm2_nvdefine 0x01800001 -C o -s 8 -a ownerread|ownerwrite|authread|authwrite");
    let refused = world.try_bind(NAME, r#"{"counter":"0x01800001"}"#, &world.device).unwrap_err();
    assert!(matches!(refused, PinError::NotACounter { .. }), "{refused}");
    let absent = world.try_bind(NAME, r#"{"counter":"0x01800002"}"#, &world.device).unwrap_err();
    assert!(matches!(absent, PinError::Tpm { .. }), "{absent}");
}

/// Values are approved that this TPM has never held, and by somebody who has none.
#[test]
fn approved_values_open_and_others_are_named() {
    let mut world = World::new();
    let (key, public) = approver();
    let (stranger, _) = approver();
    let jwe = world.bind(&format!(r#"{{"pcr_ids":"7","signed":{{"key":{public},"reference":"boot"}},"latch":true}}"#));
    let today = world.state(&[7]);
    let next = {
        let future = World::new();
        future.extend(7, 9);
        future.state(&[7])
    };
    let error = world.open(&jwe).unwrap_err();
    assert!(matches!(&error, PinError::NotApproved { skipped, .. } if skipped.is_empty()), "{error}");
    world.approvals = vec![
        approve(&stranger, "boot", today.clone(), None),
        approve(&key, "other", today.clone(), None),
        approve(&key, "boot", world.state(&[8]), None),
        approve(&key, "boot", next, None),
    ];
    let error = world.open(&jwe).unwrap_err();
    let PinError::NotApproved { skipped, .. } = &error else { panic!("{error}") };
    let why: Vec<&WhySkipped> = skipped.iter().map(|skipped| &skipped.why).collect();
    assert_eq!(
        why,
        [&WhySkipped::OtherKey, &WhySkipped::OtherPurpose, &WhySkipped::OtherPcrs, &WhySkipped::OtherValues(vec![7])]
    );
    assert!(error.to_string().contains("approval 1: of another key"), "{error}");
    // The update is there.
    world.extend(7, 9);
    world.open(&jwe).unwrap();
    clevis::pins::shut_latch(15, &world.ports(&world.device)).unwrap();
    assert!(matches!(world.open(&jwe), Err(PinError::Latched { pcr: 15 })));
    assert!(world.is_clean());
}

/// An approval names the counter, and counting it up takes the approval back.
#[test]
fn an_approval_dies_with_its_counter() {
    let mut world = World::new();
    let (key, public) = approver();
    let jwe = world.bind(&format!(r#"{{"pcr_ids":"7","signed":{{"key":{public}}},"counter":true}}"#));
    let policy = clevis::signed(&jwe, clevis::pins::ALL).unwrap().remove(0);
    let counter = policy.counter.unwrap();
    let at = |value| Some(Counter { value, ..counter.clone() });
    world.approvals = vec![approve(&key, "", world.state(&[7]), at(counter.value))];
    world.open(&jwe).unwrap();
    // One for after is there before the counter moves: nothing stays shut in between.
    world.approvals.push(approve(&key, "", world.state(&[7]), at(counter.value + 1)));
    world.tpm.tool(&format!("tpm2_nvincrement {} -C o", counter.index));
    world.open(&jwe).unwrap();
    world.approvals.pop();
    let error = world.open(&jwe).unwrap_err();
    assert!(matches!(error, PinError::CounterPassed { .. }), "{error}");
}

#[test]
fn another_tpm_and_a_cleared_one_are_refused_by_name() {
    let world = World::new();
    let jwe = world.bind(r#"{"pcr_ids":"7"}"#);
    let other = World::new();
    let refused = |world: &World| {
        let error = world.open(&jwe).unwrap_err();
        assert!(matches!(error, PinError::Tpm { source: TpmError::OtherParent, .. }), "{error}");
        assert!(error.hint().contains("cleared"), "{}", error.hint());
    };
    refused(&other);
    world.tpm.tool("tpm2_clear");
    refused(&world);
}

#[test]
fn a_tpm_that_somebody_owns_says_so() {
    let world = World::new();
    let jwe = world.bind("{}");
    world.tpm.tool("tpm2_changeauth -c owner secret");
    for error in [world.open(&jwe).unwrap_err(), world.try_bind(NAME, "{}", &world.device).unwrap_err()] {
        assert!(error.to_string().contains("the TPM wants a password"), "{error}");
        assert!(error.hint().contains("owner hierarchy"), "{}", error.hint());
    }
}

/// Works inside of a threshold as any other.
#[test]
fn a_threshold_takes_it() {
    let world = World::new();
    let (first, second) = (r#"{"pcr_ids":"7","latch":true}"#, r#"{"counter":true}"#);
    let config = format!(r#"{{"t":2,"pins":{{"cotter-tpm2":[{first},{second}],"tpm2":{{}}}}}}"#);
    let jwe = world.try_bind("sss", &config, &world.device).unwrap();
    world.open(&jwe).unwrap();
    world.extend(7, 1);
    world.open(&jwe).unwrap();
}
