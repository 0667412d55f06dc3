//! What a TPM keeps: counters, a few bytes, PCRs that were extended, keys that were made persistent, and a key that agrees on secrets.

use crate::attacks::left_behind;
use crate::line::Line;
use crate::policies::{OURS, authorised, counter, sha256};
use crate::sealing::CALM;
use crate::swtpm::Swtpm;
use crypto::ec::{Curve, Point, Scalar};
use crypto::{Hash, SystemRandom};
use linux::TpmDevice;
use std::fs;
use tpm2::{Bank, Meaning, NvIndex, ParentKey, ParentTemplate, Purpose, Tpm, TpmError};

#[test]
fn a_counter_counts_and_the_tools_read_the_same() {
    let swtpm = Swtpm::start();
    let device = TpmDevice::at(&swtpm.place()).unwrap();
    let (counter, value) = counter(&device);
    assert!(counter.is_counter() && counter.is_written() && counter.len() == 8);
    let index = counter.index();
    authorised(&device, |tpm, session| tpm.nv_increment(&counter, session)).unwrap();
    let later = authorised(&device, |tpm, session| tpm.nv_read_counter(&counter, session)).unwrap();
    assert_eq!(later, value + 1);
    swtpm.tool(&format!("tpm2_nvread {index} -C o -s 8 -o read"));
    assert_eq!(fs::read(swtpm.file("read")).unwrap(), later.to_be_bytes());
    let said = swtpm.tool(&format!("tpm2_nvreadpublic {index}"));
    let name: String = counter.name().iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(said.contains(&name), "{said}");

    let taken = authorised(&device, |tpm, session| tpm.nv_define_counter(index, session)).unwrap_err();
    assert_eq!(taken.meaning(), Some(Meaning::IndexTaken), "{taken}");
    assert_eq!(authorised(&device, |tpm, _| tpm.nv_indices()).unwrap(), [index]);
    authorised(&device, |tpm, session| tpm.nv_undefine(&counter, session)).unwrap();
    let gone = authorised(&device, |tpm, _| tpm.nv_read_public(index)).unwrap_err();
    assert_eq!(gone.meaning(), Some(Meaning::NoIndex), "{gone}");
    assert_eq!(left_behind(&device), 0);
}

/// Somebody on the line says of an index what it is not, with a name that fits. The TPM does not understand the next command about it.
#[test]
fn a_public_area_that_was_put_in_is_seen_by_the_next_command() {
    let swtpm = Swtpm::start();
    let device = TpmDevice::at(&swtpm.place()).unwrap();
    let index = counter(&device).0.index();
    let lie = |_: usize, mut answer: Vec<u8>| {
        // TPM2B_NV_PUBLIC of 14 bytes and the name of 34: the answer to TPM2_NV_ReadPublic. Not readable by the owner any more.
        if answer.len() == 10 + 2 + 14 + 2 + 34 {
            answer[10 + 2 + 4 + 2 + 1] ^= 0x02;
            let name = Hash::Sha256.digest(&[&answer[12..26]]);
            answer[30..].copy_from_slice(name.as_ref());
        }
        Ok(answer)
    };
    let line = Line::changing(&device, &lie);
    authorised(&line, |tpm, session| {
        let public = tpm.nv_read_public(index).unwrap();
        assert!(!public.is_counter());
        let error = tpm.nv_read(&public, session).unwrap_err();
        assert_eq!(error.meaning(), Some(Meaning::AuthFailed), "{error}");
    });
}

#[test]
fn what_is_written_is_read_here_and_by_the_tools() {
    let swtpm = Swtpm::start();
    let device = TpmDevice::at(&swtpm.place()).unwrap();
    let index = NvIndex::new(0x0180_c078).unwrap();
    authorised(&device, |tpm, session| {
        tpm.nv_define(index, 12, session).unwrap();
        let new = tpm.nv_read_public(index).unwrap();
        let empty = tpm.nv_read(&new, session).unwrap_err();
        assert_eq!(empty.meaning(), Some(Meaning::NotWritten), "{empty}");
        tpm.nv_write(&new, b"epoch 000017", session).unwrap();
        let written = tpm.nv_read_public(index).unwrap();
        assert_ne!(written.name(), new.name());
        assert_eq!(tpm.nv_read(&written, session).unwrap(), b"epoch 000017");
        assert!(tpm.nv_write(&written, b"epoch 0000017", session).is_err(), "one byte too many");
        assert!(tpm.nv_define(NvIndex::new(0x0180_c079).unwrap(), 513, session).is_err());
    });
    swtpm.tool(&format!("tpm2_nvread {index} -C o -s 12 -o read"));
    assert_eq!(fs::read(swtpm.file("read")).unwrap(), b"epoch 000017");
    for number in [0, 0x00ff_ffff, 0x0200_0000, 0x8180_0000] {
        assert_eq!(NvIndex::new(number), None);
    }
}

/// As a latch does it: all banks at once, and each value is that of the tools and of the arithmetic.
#[test]
fn a_pcr_is_extended_in_every_bank_at_once() {
    let swtpm = Swtpm::start();
    let device = TpmDevice::at(&swtpm.place()).unwrap();
    let banks = Tpm::begin(&device, CALM, &SystemRandom).unwrap().banks().unwrap();
    assert!(banks.len() > 1, "{banks:?}");
    authorised(&device, |tpm, session| tpm.pcr_extend(15, &banks, b"cotter latch", session)).unwrap();
    for bank in banks {
        let tpm = Tpm::begin(&device, CALM, &SystemRandom).unwrap();
        let selection = tpm2::PcrSelection::new(bank, [15]).unwrap();
        let value = tpm.pcr_read(&selection, None).unwrap().concatenated();
        let hash = bank.hash();
        let event = hash.digest(&[b"cotter latch"]);
        assert_eq!(value, hash.digest(&[&vec![0; hash.len()], event.as_ref()]).as_ref(), "{}", bank.name());
        drop(tpm);
        let hex: String = value.iter().map(|byte| format!("{byte:02X}")).collect();
        let said = swtpm.tool(&format!("tpm2_pcrread {selection}"));
        assert!(said.contains(&hex), "{said}");
    }
    let none = authorised(&device, |tpm, session| tpm.pcr_extend(24, &[Bank::of(Hash::Sha256).unwrap()], b"", session));
    assert!(matches!(none, Err(TpmError::NoSuchPcr)));
    assert!(matches!(
        authorised(&device, |tpm, session| tpm.pcr_extend(15, &[], b"", session)),
        Err(TpmError::NoSuchPcr)
    ));
    assert_eq!(left_behind(&device), 0);
}

/// A key that somebody has made persistent, as systemd does from version 254 on, is used where it is and stays there.
#[test]
fn a_persistent_key_is_a_parent_by_its_name() {
    let swtpm = Swtpm::start();
    let device = TpmDevice::at(&swtpm.place()).unwrap();
    let none = Tpm::begin(&device, CALM, &SystemRandom).unwrap().persistent(0x8100_0001).unwrap_err();
    assert_eq!(none.meaning(), Some(Meaning::NoHandle), "{none}");
    let attributes = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|decrypt";
    for (handle, kind, key) in [(0x8100_0001, "ecc", ParentKey::Ecc), (0x8100_0002, "rsa2048", ParentKey::Rsa)] {
        swtpm.tool(&format!("tpm2_createprimary -Q -C o -G {kind} -g sha256 -a {attributes} -c key"));
        swtpm.tool(&format!("tpm2_evictcontrol -Q -C o -c key {handle:#x}"));
        swtpm.tool("tpm2_flushcontext -t");
        swtpm.tool(&format!("tpm2_readpublic -Q -c {handle:#x} -n name"));
        let name = fs::read(swtpm.file("name")).unwrap();
        let tpm = Tpm::begin(&device, CALM, &SystemRandom).unwrap();
        let parent = tpm.persistent(handle).unwrap();
        parent.expect_name(&name).unwrap();
        assert!(matches!(parent.expect_name(&name[1..]), Err(TpmError::OtherParent)));
        assert!(!parent.public().is_protected());
        // The same template that the tools were given, so the same key.
        assert_eq!(tpm.create_primary(ParentTemplate { key, ..OURS }).unwrap().name(), name);
        let mut session = tpm.start_session(&parent, Purpose::Authorise, Hash::Sha256).unwrap();
        tpm.pcr_read(&sha256(&[7]), Some(&mut session)).unwrap();
        drop((session, parent));
        drop(tpm);
        swtpm.tool(&format!("tpm2_readpublic -Q -c {handle:#x}"));
        assert_eq!(left_behind(&device), 0);
    }
    let tpm = Tpm::begin(&device, CALM, &SystemRandom).unwrap();
    assert!(matches!(tpm.persistent(0x8000_0000), Err(TpmError::Unsayable { .. })));
}

/// Both sides of an agreement come to the same secret, and only the TPM has the key of one.
#[test]
fn a_key_in_the_tpm_agrees_on_a_secret() {
    let swtpm = Swtpm::start();
    let device = TpmDevice::at(&swtpm.place()).unwrap();
    let tpm = Tpm::begin(&device, CALM, &SystemRandom).unwrap();
    let parent = tpm.create_primary(OURS).unwrap();
    let session = tpm.start_session(&parent, Purpose::Authorise, Hash::Sha256).unwrap();
    let sealed = tpm.create_agreement_key(&parent, session).unwrap();
    let mut session = tpm.start_session(&parent, Purpose::Authorise, Hash::Sha256).unwrap();
    let key = tpm.load_agreement_key(&parent, &sealed, &mut session).unwrap();
    let (x, y) = key.public().point().unwrap();
    let theirs = Point::from_coordinates(Curve::P256, x, y).unwrap();
    let once = Scalar::random(Curve::P256, &SystemRandom).unwrap();
    let ours = Point::base_times(&once).unwrap();
    let shared = tpm.ecdh_zgen(&key, (ours.x(), ours.y()), session).unwrap();
    assert!(shared.ct_eq(theirs.multiply(&once).unwrap().x()));
    drop((key, parent));
    drop(tpm);
    assert_eq!(left_behind(&device), 0);
}
