//! A volume that is not the one that it should be.

use crate::scripted::{
    OneServer, TANG, accepted, bind, binding, closed, config, formatted, formatted_luks1, free, no_limit, passphrase,
    ports, put_token, volume,
};
use block::{BlockRead, BlockWrite, Bytes, MemoryDisk};
use clevis::{Cancel, PinError};
use crypto::{SystemRandom, VolumeKey};
use jose::Jwe;
use json::{Limits, Object};
use luks::{Accepted, Edit, Header, HeaderError, KeyFingerprint, Slot};
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use unlock::identity::{Closed, Expectation, Expected, IdentityFault, Others, ParentName, clone_of, parents};
use unlock::{AttemptError, Failed, NotOpened, Proof, Unlocked};

/// A list with this volume, as if it had that key.
fn list(header: &Accepted, key: &VolumeKey) -> Expectation {
    let mut list = Expectation::default();
    let name = Some("root".to_owned());
    list.insert(Expected { uuid: header.header().uuid(), key: KeyFingerprint::of(key), name, parents: None });
    list
}

fn run(disk: &dyn BlockRead, expected: &Expectation, net: &OneServer) -> Result<Unlocked, Failed> {
    let header = accepted(disk);
    let plan = unlock::plan(unlock::bindings(header.header()), None);
    let closed = Closed { disk, header: &header, expected };
    unlock::run(plan, &closed, &ports(net, &Cancel::new()), &no_limit, &mut |_| ())
}

fn fault(failed: &Failed) -> &IdentityFault {
    match &failed.tried[0].1 {
        AttemptError::Identity(fault) => fault,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_foreign_volume_gets_nothing_and_ends_all_other_attempts() {
    let net = OneServer::new();
    let (_, yours) = formatted();
    for (disk, key) in [formatted(), formatted_luks1()] {
        // Its owner has bound it to your servers, as anybody may. The second attempt waits until it is cancelled.
        bind(&disk, &key, &net, "tang", TANG);
        let silent = config(&format!(r#"{{"url":"http://silent","adv":{}}}"#, net.advertisement()));
        let jwe = clevis::encrypt("tang", &silent, passphrase("x").secret(), &ports(&net, &Cancel::new())).unwrap();
        if accepted(&disk).header().as_luks2().is_some() {
            put_token(&disk, &key, &passphrase("x"), &jwe);
        }
        let header = accepted(&disk);
        assert!(run(&disk, &list(&header, &key), &net).is_ok());
        let expected = list(&header, &yours);
        let before = net.asked.load(Ordering::SeqCst);
        let failed = run(&disk, &expected, &net).unwrap_err();
        assert!(net.asked.load(Ordering::SeqCst) <= before + 2, "no more than one request of each attempt");
        assert!(matches!(fault(&failed), IdentityFault::OtherKey { found, .. } if *found == KeyFingerprint::of(&key)));
        assert!(failed.tried.iter().skip(1).all(|(_, e)| matches!(e, AttemptError::Pin(PinError::Cancelled))));
        let text = fault(&failed).to_string();
        assert!(text.contains("(root)") && text.contains("a foreign one with its UUID"), "{text}");
        assert!(failed.hint().contains("do not use this disk"), "{}", failed.hint());
        // A person's passphrase is no better, nor is the way of who seals anew.
        let closed = Closed { disk: &disk, header: &header, expected: &expected };
        let typed = passphrase("typed");
        for opened in [
            unlock::open_by_passphrase(&closed, &typed, None),
            unlock::open_by_passphrase_unsealed(&closed, &typed, None),
        ] {
            assert!(matches!(opened, Err(NotOpened::Identity(IdentityFault::OtherKey { .. }))));
        }
        let plan = || unlock::plan(vec![binding(&disk, Slot::new(1).unwrap())], None);
        let (cancel, tell) = (Cancel::new(), &mut |_: unlock::Event<'_>| ());
        let unsealed = unlock::run_unsealed(plan(), &closed, &ports(&net, &cancel), &no_limit, tell);
        assert!(matches!(fault(&unsealed.unwrap_err()), IdentityFault::OtherKey { .. }));
    }
}

#[test]
fn where_others_are_refused_nobody_is_asked_for_them() {
    let (net, (disk, key), (other, other_key)) = (OneServer::new(), formatted(), formatted());
    bind(&disk, &key, &net, "tang", TANG);
    let asked = net.asked.load(Ordering::SeqCst);
    let expected = list(&accepted(&other), &other_key);
    assert!(run(&disk, &expected, &net).is_ok(), "only told");
    let strict = expected.with_others(Others::Refuse);
    let before = net.asked.load(Ordering::SeqCst);
    assert!(before > asked);
    let failed = run(&disk, &strict, &net).unwrap_err();
    assert!(matches!(fault(&failed), IdentityFault::Unlisted { .. }));
    assert_eq!(net.asked.load(Ordering::SeqCst), before);
    let header = accepted(&disk);
    let closed = Closed { disk: &disk, header: &header, expected: &strict };
    // It would be tried if the volume were.
    let refused = unlock::open_by_passphrase(&closed, &passphrase("wrong"), None).unwrap_err();
    assert!(matches!(refused, NotOpened::Identity(IdentityFault::Unlisted { .. })));
}

#[test]
fn another_thing_in_the_place_of_a_volume_is_an_alarm() {
    let (disk, key) = formatted();
    let expected = list(&accepted(&disk), &key);
    let plain = MemoryDisk::zeroed(1 << 20);
    plain.write_at(Bytes(0x438), &[0x53, 0xef]).unwrap();
    let error = Header::read(&plain).unwrap_err();
    assert_eq!(Expectation::default().without_header(&plain, &error), None);
    let found = match expected.without_header(&plain, &error) {
        Some(IdentityFault::NotLuks { found: Some(found) }) => found,
        other => panic!("{other:?}"),
    };
    assert!(found.contains("ext"), "{found}");
    let damaged = HeaderError::UnknownVersion { version: 9 };
    assert_eq!(expected.without_header(&plain, &damaged), None, "what is damaged is no alarm");
}

/// Sealed under a key that it names; no TPM is here, which is what the pin says when it is asked.
const SEALED: &[u8] = include_bytes!("../../../clevis/vectors/cotter_tpm2/plain.jwe");
/// A token of systemd, sealed under a key that it does not name.
const ENROLLED: &[u8] = include_bytes!("../../../clevis/vectors/systemd/252.json");

/// Who can write the disk writes another name into the header: that attempt is refused before its pin runs, and others go on.
#[test]
fn a_key_of_the_tpm_that_is_not_expected_is_told_nothing() {
    let (net, (disk, key)) = (OneServer::new(), formatted());
    put_token(&disk, &key, &passphrase("x"), &Jwe::parse_compact(SEALED.trim_ascii()).unwrap());
    let header = accepted(&disk);
    let named = parents(header.header(), clevis::pins::ALL);
    let other = ParentName::parse(&format!("000b{}", "5a".repeat(32))).unwrap();
    let with = |parents: Option<BTreeSet<ParentName>>| {
        let mut list = list(&header, &key);
        let of = list.of(header.header().uuid()).unwrap().clone();
        list.insert(Expected { parents, ..of });
        list
    };
    let asked = |list: &Expectation| {
        let failed = run(&disk, list, &net).unwrap_err();
        assert_eq!(failed.tried.len(), 1);
        matches!(failed.tried[0].1, AttemptError::Pin(PinError::NoTpm))
    };
    assert!(asked(&with(None)), "an older list says nothing of it");
    assert!(asked(&with(Some(named.clone()))));
    assert!(asked(&with(Some([other.clone()].into_iter().chain(named.clone()).collect()))));
    for refused in [BTreeSet::new(), [other.clone()].into()] {
        let failed = run(&disk, &with(Some(refused)), &net).unwrap_err();
        let fault = fault(&failed);
        let IdentityFault::OtherParent { slot, found: Some(found), .. } = fault else { panic!("{fault:?}") };
        assert_eq!((slot.number(), BTreeSet::from([found.clone()])), (1, named.clone()));
        assert!(fault.is_alarm() && !fault.is_of_volume() && fault.to_string().contains("ALARM"), "{fault}");
        assert!(failed.hint().contains("do not type a PIN"), "{}", failed.hint());
    }
    bind(&disk, &key, &net, "tang", TANG);
    let opened = run(&disk, &with(Some([other].into())), &net).unwrap();
    assert_eq!(opened.slot.number(), 2, "what names no key is opened as before");
}

/// Puts systemd's token beside keyslot 0, with a PIN or without.
fn enroll(disk: &MemoryDisk, pin: bool) {
    let token: Object = json::parse(ENROLLED, &Limits::POLICY).unwrap().as_object().unwrap().clone();
    let header = accepted(disk);
    let mut edit = Edit::new(&header, &SystemRandom).unwrap();
    edit.add_token(None, token.with("keyslots", vec!["0"]).with("tpm2-pin", pin)).unwrap();
    edit.apply(disk).unwrap();
}

/// A token that asks for a PIN is as good for an attacker as a binding; one that asks for nothing has nothing to tell.
#[test]
fn a_pin_is_not_asked_for_systemd_under_a_key_that_is_not_expected() {
    for (pin, refused) in [(true, true), (false, false)] {
        let (net, (disk, key)) = (OneServer::new(), formatted());
        enroll(&disk, pin);
        let header = accepted(&disk);
        let mut list = list(&header, &key);
        let of = list.of(header.header().uuid()).unwrap().clone();
        list.insert(Expected { parents: Some(BTreeSet::new()), ..of });
        let closed = Closed { disk: &disk, header: &header, expected: &list };
        let plan = unlock::plan_all(header.header(), None);
        assert_eq!(plan.len(), 1);
        let cancel = Cancel::new();
        let failed = unlock::run(plan, &closed, &ports(&net, &cancel), &no_limit, &mut |_| ()).unwrap_err();
        let is_refused =
            matches!(&failed.tried[0].1, AttemptError::Identity(IdentityFault::OtherParent { found: None, .. }));
        assert_eq!(is_refused, refused, "{:?}", failed.tried[0].1);
        assert_eq!(net.questions.lock().unwrap().len(), 0);
    }
}

/// A list that names one binding's key shuts a neighbour that names none: whoever makes it is to hear of that.
#[test]
fn a_new_list_says_which_keyslots_it_shuts() {
    for (pin, shut) in [(true, &[0][..]), (false, &[])] {
        let (disk, key) = formatted();
        put_token(&disk, &key, &passphrase("x"), &Jwe::parse_compact(SEALED.trim_ascii()).unwrap());
        enroll(&disk, pin);
        let header = accepted(&disk);
        let mut list = list(&header, &key);
        assert_eq!(list.other_parents(header.header(), clevis::pins::ALL), []);
        let of = list.of(header.header().uuid()).unwrap().clone();
        list.insert(Expected { parents: Some(parents(header.header(), clevis::pins::ALL)), ..of });
        let faults = list.other_parents(header.header(), clevis::pins::ALL);
        let slots = faults.iter().map(|fault| match fault {
            IdentityFault::OtherParent { slot, found: None, .. } => slot.number(),
            other => panic!("{other:?}"),
        });
        assert_eq!(slots.collect::<Vec<_>>(), shut);
        assert!(faults.iter().all(|fault| fault.hint().contains("systemd-cryptenroll --wipe-slot=tpm2")));
    }
}

/// What a binding says of its volume, before and after it was made anew, and on another volume.
#[test]
fn a_binding_knows_its_volume() {
    let net = OneServer::new();
    for (disk, key) in [formatted(), formatted_luks1()] {
        let slot = bind(&disk, &key, &net, "tang", TANG).slot;
        let said = |disk: &MemoryDisk| {
            let binding = binding(disk, slot);
            let text = clevis::annotation(&binding.jwe).unwrap().get("volume").unwrap().to_compact();
            text.as_str().to_owned()
        };
        let header = accepted(&disk);
        let volume_text = format!(r#"{{"key":"{}","uuid":"{}"}}"#, KeyFingerprint::of(&key), header.header().uuid());
        assert_eq!(said(&disk), volume_text);
        assert_eq!(clone_of(header.header(), &binding(&disk, slot)), None);
        let unlocked = run(&disk, &Expectation::default(), &net).unwrap();
        let (cancel, old) = (Cancel::new(), binding(&disk, slot));
        for prepared in [
            unlock::regen(&old, Some(&unlocked), Proof::Required, &ports(&net, &cancel)).unwrap(),
            unlock::edit(&old, Some(&unlocked), ("null", &config("{}")), Proof::Required, &ports(&net, &cancel))
                .unwrap(),
        ] {
            let before = disk.to_vec();
            unlock::bind(&volume(&disk, &free, &cancel), &key, prepared).unwrap();
            assert_eq!(said(&disk), volume_text);
            disk.write_at(Bytes(0), &before).unwrap();
        }
    }
}

#[test]
fn a_binding_that_was_made_for_another_key_opens_nothing() {
    let (net, (disk, key), (other, other_key)) = (OneServer::new(), formatted(), formatted());
    bind(&disk, &key, &net, "tang", TANG);
    let unlocked = run(&disk, &Expectation::default(), &net).unwrap();
    // As after encrypting anew: the same passphrase, the same binding, another key.
    put_token(&other, &other_key, &unlocked.passphrase, &unlocked.proved.unwrap().binding.jwe);
    let failed = run(&other, &Expectation::default(), &net).unwrap_err();
    let uuid = accepted(&disk).header().uuid();
    assert!(matches!(fault(&failed), IdentityFault::BoundToOther { uuid: told, .. } if *told == uuid));
    assert!(failed.hint().contains("luks regen"), "{}", failed.hint());
    assert_eq!(clone_of(accepted(&other).header(), &binding(&other, Slot::new(1).unwrap())), Some(uuid));
    // It is about that binding alone.
    bind(&other, &other_key, &net, "null", "{}");
    assert_eq!(run(&other, &Expectation::default(), &net).unwrap().slot.number(), 2);
    assert!(closed(&other, &accepted(&other)).expected.is_empty());
}
