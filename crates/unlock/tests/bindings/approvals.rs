//! The token with the approvals: written, read within bounds, handed to the pins, and no matter of the seal.

use crate::scripted::{
    NullButFor, OneServer, TANG, accepted, bind, closed, config, formatted, formatted_luks1, free, no_limit, ports,
    request, volume,
};
use block::MemoryDisk;
use clevis::{Approval, Cancel, Pin as _, PinError, Ports};
use crypto::SystemRandom;
use json::{Limits, Object, Value};
use luks::{Edit, EditError};
use std::sync::Mutex;
use unlock::CommitError;

/// One that `Approval::sign` made.
const APPROVAL: &str = r#"{"key":"AAvgbRFa-TTHIP4zADiF3Wl9ndRTbyw23CoBytQ6mUmbDw","reference":"boot","pcr_bank":"sha256","pcr_ids":"7","pcrs":{"7":"0505050505050505050505050505050505050505050505050505050505050505"},"policy":"dae863c7b54e847ce143fe9ce1aefd27fcfb53d109783f744acb15d4fcea5c40","signature":"V-lBACpUqZhMZ7pUwxR_TbHtMKsUeDI1uZG5H5X_0JlHtMiU_OakI_FbY8fK70OFmVTdfscBucTD1bw4dt0H7Q"}"#;

fn approval() -> Approval {
    Approval::read(&json::parse(APPROVAL.as_bytes(), &Limits::POLICY).unwrap().field("approval")).unwrap()
}

fn approve(disk: &MemoryDisk, approvals: &[Approval]) -> Result<(), CommitError> {
    unlock::approve(&volume(disk, &free, &Cancel::new()), |_| (approvals.to_vec(), ()))
}

fn tokens(disk: &MemoryDisk) -> usize {
    let header = accepted(disk);
    let tokens = &header.header().as_luks2().unwrap().metadata().tokens;
    tokens.values().filter(|token| token.kind == unlock::APPROVALS).count()
}

#[test]
fn they_are_written_replaced_and_taken_away() {
    let (disk, _) = formatted();
    for count in [1, 3, 0, 2] {
        approve(&disk, &vec![approval(); count]).unwrap();
        let (read, broken) = unlock::approvals(accepted(&disk).header());
        assert_eq!((read.len(), broken.len(), tokens(&disk)), (count, 0, usize::from(count > 0)));
        assert!(read.iter().all(|read| *read == approval()));
    }
}

/// A hook and a person at the same time: the second one puts its own to what the first has written, and not to what it read before.
#[test]
fn nobodys_approval_is_lost() {
    let (disk, _) = formatted();
    let add = |header: &luks::Header| {
        let mut all = unlock::approvals(header).0;
        all.push(approval());
        (all, ())
    };
    let once = Mutex::new(Some(()));
    let exclusive = || {
        if once.lock().unwrap().take().is_some() {
            unlock::approve(&volume(&disk, &free, &Cancel::new()), add).unwrap();
        }
        free()
    };
    unlock::approve(&volume(&disk, &exclusive, &Cancel::new()), add).unwrap();
    assert_eq!(unlock::approvals(accepted(&disk).header()).0.len(), 2);
}

/// What would not be read is not written: who approved it would believe that it is there.
#[test]
fn more_than_are_read_are_refused() {
    let (disk, _) = formatted();
    let before = disk.to_vec();
    let error = approve(&disk, &vec![approval(); unlock::MOST_APPROVALS + 1]).unwrap_err();
    assert!(matches!(error, CommitError::TooManyApprovals { .. }), "{error}");
    assert!(error.hint().contains("--drop-old"), "{}", error.hint());
    assert!(disk.to_vec() == before);
}

#[test]
fn luks1_has_no_place_for_them() {
    let (disk, _) = formatted_luks1();
    let before = disk.to_vec();
    let error = approve(&disk, &[approval()]).unwrap_err();
    assert!(matches!(error, CommitError::Edit(EditError::NotInThisVersion { .. })), "{error}");
    assert!(disk.to_vec() == before);
    assert!(unlock::approvals(accepted(&disk).header()).0.is_empty());
}

/// They come and go without the volume key, and the seal of the header stays right.
#[test]
fn a_seal_does_not_cover_them() {
    let (disk, key) = formatted();
    let (net, cancel) = (OneServer::new(), Cancel::new());
    bind(&disk, &key, &net, "tang", TANG);
    let header = accepted(&disk);
    let prepared = unlock::prepare_seal(&closed(&disk, &header), &ports(&net, &cancel), &no_limit, &mut |_| ());
    unlock::seal(&volume(&disk, &free, &cancel), &key, &prepared).unwrap();
    let is_clean = || accepted(&disk).seal_state(&key).is_clean();
    assert!(is_clean());
    for approvals in [&[approval()][..], &[]] {
        approve(&disk, approvals).unwrap();
        assert!(is_clean());
    }
}

/// What is none is passed over and told.
#[test]
fn what_is_no_approval_is_told() {
    let (disk, _) = formatted();
    let good = json::parse(APPROVAL.as_bytes(), &Limits::POLICY).unwrap();
    let put = |token: Object| {
        let header = accepted(&disk);
        let mut edit = Edit::new(&header, &SystemRandom).unwrap();
        edit.add_token(None, token.with("type", unlock::APPROVALS).with("keyslots", Vec::<&str>::new())).unwrap();
        edit.apply(&disk).unwrap();
    };
    let read = || {
        let (read, broken) = unlock::approvals(accepted(&disk).header());
        (read.len(), broken.len())
    };
    put(Object::new());
    put(Object::new().with("version", 2u64).with("approvals", vec![good.clone()]));
    assert_eq!(read(), (0, 2));
    put(Object::new().with("version", 1u64).with("approvals", vec![good.clone(), Value::Null, good.clone()]));
    assert_eq!(read(), (2, 3));
    // Writing anew leaves one token, without what was broken.
    approve(&disk, &[approval()]).unwrap();
    assert_eq!((read(), tokens(&disk)), ((1, 0), 1));
}

/// Bound before anything is approved, alone and inside of a threshold; opened when something is.
#[test]
fn they_reach_every_pin() {
    let (disk, key) = formatted();
    let (net, cancel, seen) = (OneServer::new(), Cancel::new(), Mutex::new(Vec::new()));
    let wary = NullButFor(|jwe: &jose::Jwe, ports: &Ports<'_>| {
        seen.lock().unwrap().push(ports.approvals.len());
        match ports.approvals {
            [] => Err(PinError::NotApproved { pcrs: None, skipped: Vec::new() }),
            _ => clevis::pins::Null.open(jwe, ports),
        }
    });
    let pins: [&dyn clevis::Pin; 2] = [&wary, &clevis::pins::Sss];
    let ports = Ports { pins: &pins, ..ports(&net, &cancel) };
    for (pin, text) in [("null", "{}"), ("sss", r#"{"pins":{"null":{}}}"#)] {
        let prepared = unlock::prepare(&request(pin, &config(text)), &ports).unwrap();
        let bound = unlock::bind(&volume(&disk, &free, &cancel), &key, prepared).unwrap();
        assert!(bound.unproved.is_some());
    }
    let open = || {
        let header = accepted(&disk);
        let plan = unlock::plan(unlock::bindings(header.header()), None);
        unlock::run(plan, &closed(&disk, &header), &ports, &no_limit, &mut |_| ()).is_ok()
    };
    assert!(!open());
    approve(&disk, &vec![approval(); 2]).unwrap();
    assert!(open());
    let seen = seen.lock().unwrap().clone();
    assert!(seen.ends_with(&[2]), "{seen:?}");
}
