//! Volumes that cryptsetup 2.6.1 made once (`vectors/make.sh`).

use crate::support::*;
use block::{BlockRead, Bytes, MemoryDisk};
use luks::*;

/// The volume as it was before the gap between key area and data was left out.
fn cbc_volume() -> MemoryDisk {
    let (header, data) = include_bytes!("../../vectors/luks2_cbc128_argon2id.img").split_at(98304);
    let mut bytes = header.to_vec();
    bytes.resize(128 << 10, 0);
    bytes.extend_from_slice(data);
    MemoryDisk::from(bytes)
}

#[test]
fn a_volume_opens_and_shows_its_data() {
    let disk = cbc_volume();
    let header = accepted(&disk);
    assert_eq!(header.data().cipher, Cipher::AesCbcEssivSha256);
    assert!(matches!(open_any(&disk, &header, &passphrase("two")), Err(OpenError::NoSlotOpens { .. })));
    let (slot, key) = open_any(&disk, &header, &passphrase("one")).unwrap();
    let plain = Plain::new(&disk, &header, &key).unwrap();
    let mut data = vec![0; 4096];
    plain.read_at(Bytes(0), &mut data).unwrap();
    assert_eq!(data, b"0123456789abcdef".repeat(256));
    assert_eq!((slot.number(), plain.len()), (0, Bytes(4096)));
}

#[test]
fn any_broken_byte_of_the_key_material_is_a_wrong_passphrase() {
    let disk = cbc_volume();
    let header = accepted(&disk);
    for at in [32768, 32768 + 31_999, 32768 + 63_999] {
        let mut bytes = disk.to_vec();
        bytes[at] ^= 1;
        let found = open_any(&MemoryDisk::from(bytes), &header, &passphrase("one"));
        assert!(matches!(found, Err(OpenError::NoSlotOpens { .. })), "byte {at}");
    }
}

#[test]
fn a_header_with_everything_is_understood() {
    let mut bytes = include_bytes!("../../vectors/luks2_header_with_everything.img").to_vec();
    bytes.resize(24 << 20, 0);
    let header = accepted(&MemoryDisk::from(bytes));
    let read = header.header();
    assert_eq!(
        (read.as_luks2().unwrap().label().as_str(), read.as_luks2().unwrap().subsystem().as_str()),
        ("disk one", "fleet")
    );
    let metadata = read.as_luks2().unwrap().metadata();
    let keyslots: Vec<_> = metadata.keyslots.iter().map(|(s, k)| (s.number(), k.priority, k.key_size)).collect();
    assert_eq!(keyslots, [(0, Priority::Normal, 64), (7, Priority::Prefer, 64), (30, Priority::Normal, 32)]);
    let tokens: Vec<_> = metadata.tokens.iter().map(|(t, token)| (t.number(), token.kind.as_str())).collect();
    assert_eq!(tokens, [(0, "luks2-keyring"), (9, "clevis")]);
    assert_eq!(open_order(&header), [slot(7), slot(0)]);
    assert_eq!(header.slot_hash(), crypto::Hash::Sha512);
    assert!(metadata.digests.len() == 2 && metadata.segments.len() == 1);
}

#[test]
fn luks1_is_read() {
    let mut bytes = include_bytes!("../../vectors/luks1_header.img").to_vec();
    bytes.resize(4096, 0);
    let header = Header::read(&MemoryDisk::from(bytes)).unwrap();
    let luks1 = header.as_luks1().unwrap();
    assert_eq!((luks1.cipher.as_str(), luks1.hash.as_str(), luks1.key_bytes), ("aes-xts-plain64", "sha256", 64));
    assert_eq!(luks1.slots.iter().map(|slot| slot.active).collect::<Vec<_>>(), [&[true][..], &[false; 7]].concat());
}
