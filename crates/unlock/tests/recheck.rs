//! The second look at a header.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs)]

use block::{BlockRead, BlockWrite, Bytes, MemoryDisk};
use crypto::kdf::Argon2Cost;
use crypto::{Passphrase, Secret, SystemRandom};
use json::Object;
use luks::{Accepted, Allowed, Edit, FormatOptions, FormatPlan, Header, KdfCost};
use unlock::{RecheckError, recheck};

fn formatted() -> (MemoryDisk, Accepted) {
    let disk = MemoryDisk::zeroed(17 << 20);
    let kdf = KdfCost::argon2id(Argon2Cost { memory_kib: 32, passes: 1, lanes: 1 });
    let plan = FormatPlan::new(disk.len(), FormatOptions::new(kdf)).unwrap();
    plan.apply(&disk, &Passphrase::new(Secret::copied_from(b"typed")), &SystemRandom, &mut |_| ()).unwrap();
    let header = Header::read(&disk).unwrap().accept(&Allowed::default()).unwrap();
    (disk, header)
}

#[test]
fn an_unchanged_header_passes() {
    let (disk, header) = formatted();
    recheck(&disk, &header).unwrap();
}

#[test]
fn a_change_after_acceptance_is_refused() {
    let (disk, header) = formatted();
    let mut edit = Edit::new(&header, &SystemRandom).unwrap();
    edit.add_token(None, Object::new().with("type", "theirs").with("keyslots", vec!["0"])).unwrap();
    edit.apply(&disk).unwrap();
    assert!(matches!(recheck(&disk, &header), Err(RecheckError::Changed)));
}

/// The copy that was not chosen counts too: whoever spoils it prepares for something.
#[test]
fn a_change_of_the_second_copy_alone_is_refused() {
    let (disk, header) = formatted();
    disk.write_at(Bytes(16384 + 5000), b"x").unwrap();
    let error = recheck(&disk, &header).unwrap_err();
    assert!(matches!(error, RecheckError::Changed) && error.hint().contains("luks dump"));
}

#[test]
fn a_header_that_is_gone_is_refused() {
    let (disk, header) = formatted();
    disk.write_at(Bytes(0), &[0; 32768]).unwrap();
    assert!(matches!(recheck(&disk, &header), Err(RecheckError::Unreadable { .. })));
}
