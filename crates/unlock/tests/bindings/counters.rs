//! What ends when a counter of the TPM goes on, and what nobody knows of.

use crate::scripted::{accepted, formatted, passphrase, put_token};
use block::MemoryDisk;
use clevis::Counter;
use crypto::{Secret, SystemRandom, VolumeKey};
use jose::{Jwe, b64};
use json::{Object, Value};
use luks::Edit;
use tpm2::NvIndex;
use unlock::{APPROVALS, Ended, ended_by};

/// Good until its counter, 0x0180c077, leaves 1.
const COUNTED: &[u8] = include_bytes!("../../../clevis/vectors/cotter_tpm2/all.jwe");

fn put(disk: &MemoryDisk, key: &VolumeKey, jwe: &Jwe) {
    put_token(disk, key, &passphrase("x"), jwe);
}

/// The binding's counter at this number.
fn ended(disk: &MemoryDisk, value: u64) -> Ended {
    let counter = Counter { index: NvIndex::new(0x0180_c077).unwrap(), name: Vec::new(), value };
    ended_by(accepted(disk).header(), &counter, clevis::pins::ALL)
}

fn token(disk: &MemoryDisk, members: Object) {
    let header = accepted(disk);
    let mut edit = Edit::new(&header, &SystemRandom).unwrap();
    edit.add_token(None, members).unwrap();
    edit.apply(disk).unwrap();
}

/// A JWE for this pin, with that in it.
fn jwe(pin: &str, inside: Object) -> Jwe {
    let header = Object::new().with("clevis", Object::new().with("pin", pin).with(pin, inside));
    let secret = Secret::new(vec![0; 32]);
    Jwe::encrypt_dir(&header, &secret, &secret, &SystemRandom).unwrap()
}

#[test]
fn the_keyslots_that_end_are_known() {
    let (disk, key) = formatted();
    put(&disk, &key, &Jwe::parse_compact(COUNTED.trim_ascii()).unwrap());
    let slots = |value: u64| ended(&disk, value).slots.iter().map(|slot| slot.number()).collect::<Vec<_>>();
    assert_eq!((slots(2), slots(3)), (vec![1], vec![]));
    assert!(ended(&disk, 3).is_nothing() && !ended(&disk, 2).is_nothing());
}

/// A counter never goes back: what this version cannot read may be a way in that would be gone for good.
#[test]
fn what_cannot_be_read_is_not_known_to_go_on() {
    let text = String::from_utf8(COUNTED.trim_ascii().to_vec()).unwrap();
    let (protected, rest) = text.split_once('.').unwrap();
    let later = String::from_utf8(b64::decode(protected).unwrap()).unwrap().replace("sha256", "sha999");
    let later = Jwe::parse_compact(format!("{}.{rest}", b64::encode(later.as_bytes())).as_bytes()).unwrap();
    let shares = vec![text.clone(), later.to_compact().unwrap()];
    let sss = Object::new().with("jwe", shares).with("p", b64::encode(&[0xff; 32])).with("t", 1_u64);
    for (unread, jwe) in
        [("of a later version", later), ("a share", jwe("sss", sss)), ("a pin", jwe("new", Object::new()))]
    {
        let (disk, key) = formatted();
        put(&disk, &key, &jwe);
        assert_eq!(ended(&disk, 3).unread, ["keyslot 1"], "{unread}");
    }
    let none = Vec::<Value>::new();
    let damaged = Object::new().with("type", "clevis").with("keyslots", vec!["0"]).with("jwe", Object::new());
    let approvals = Object::new().with("type", APPROVALS).with("keyslots", none).with("version", 2_u64);
    for (unread, members) in [("token 0", damaged), ("an approval", approvals)] {
        let (disk, _) = formatted();
        token(&disk, members);
        assert_eq!(ended(&disk, 3), Ended { slots: Vec::new(), unread: vec![unread.to_owned()] });
    }
}
