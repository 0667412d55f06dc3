//! Volumes made by cryptsetup, opened by us.

use crate::support::*;
use block::MemoryDisk;
use crypto::SystemRandom;
use crypto::kdf::{Argon2Cost, Argon2Variant};
use luks::*;

const MIB: u64 = 1 << 20;

/// Both slots of a volume open with what opens them, and with nothing else.
fn check(args: &[&str]) -> Accepted {
    let file = they_format(args, 20 * MIB);
    let disk = file.disk();
    let header = accepted(&disk);
    let said = cryptsetup(&["luksUUID", file.name()], "").unwrap();
    assert_eq!(said.trim(), header.header().uuid().to_string());
    assert!(header.header().as_luks2().unwrap().copies().iter().all(|copy| matches!(copy, CopyState::Good)));
    let key = open_keyslot(&disk, &header, slot(0), &passphrase("one")).unwrap();
    let shown = cryptsetup(&["luksDump", "-q", "--dump-volume-key", "--key-file=-", file.name()], "one").unwrap();
    let shown: String = shown.rsplit("MK dump:").next().unwrap().split_whitespace().collect();
    assert_eq!(shown, key.expose().iter().map(|b| format!("{b:02x}")).collect::<String>(), "{args:?}");
    let wrong = open_keyslot(&disk, &header, slot(0), &passphrase("two"));
    assert!(matches!(wrong, Err(OpenError::WrongPassphrase { .. })), "{args:?}");
    let absent = open_keyslot(&disk, &header, slot(1), &passphrase("one"));
    assert!(matches!(absent, Err(OpenError::NoSuchSlot { .. })), "{args:?}");
    header
}

#[test]
fn every_key_derivation() {
    let header = check(&TINY_PBKDF2);
    assert_eq!(header.kdf(slot(0)), Some(&pbkdf2()));
    let header = check(&TINY_ARGON2ID);
    assert_eq!(header.kdf(slot(0)), Some(&argon2(Argon2Variant::Argon2id)));
    let args =
        ["--pbkdf", "argon2i", "--pbkdf-memory", "128", "--pbkdf-force-iterations", "5", "--pbkdf-parallel", "1"];
    let cost = Argon2Cost { memory_kib: 128, passes: 5, lanes: 1 };
    let expected = KdfCost::Argon2 { variant: Argon2Variant::Argon2i, cost };
    assert_eq!(check(&args).kdf(slot(0)), Some(&expected));
}

fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    TINY_PBKDF2.iter().chain(more).copied().collect()
}

#[test]
fn every_cipher_and_sector_size() {
    for (cipher, bits) in [
        ("aes-xts-plain64", "256"),
        ("aes-xts-plain64", "512"),
        ("aes-cbc-essiv:sha256", "128"),
        ("aes-cbc-essiv:sha256", "256"),
    ] {
        let header = check(&with(&["--cipher", cipher, "--key-size", bits]));
        assert_eq!(header.data().cipher.name(), cipher);
    }
    for size in ["512", "1024", "2048", "4096"] {
        let header = check(&with(&["--sector-size", size]));
        assert_eq!(header.data().sector_size.bytes().to_string(), size);
    }
    // A key area under another cipher than the data.
    check(&with(&["--keyslot-cipher", "aes-cbc-essiv:sha256", "--keyslot-key-size", "256"]));
}

#[test]
fn every_size_of_metadata() {
    for (kib, size) in
        ["16k", "32k", "64k", "128k", "256k", "512k", "1m", "2m", "4m"].into_iter().zip(HeaderSize::all())
    {
        let header = check(&with(&["--luks2-metadata-size", kib]));
        assert_eq!(header.header().as_luks2().unwrap().size(), size);
    }
}

#[test]
fn every_hash() {
    for name in
        ["sha1", "sha224", "sha384", "sha512", "sha3-256", "sha3-512", "ripemd160", "whirlpool", "blake2b-512", "sm3"]
    {
        let header = check(&with(&["--hash", name]));
        assert_eq!(header.slot_hash().luks_name(), name);
    }
}

#[test]
fn names_and_flags() {
    let file = they_format(&with(&["--label", "disk one", "--subsystem", "fleet"]), 20 * MIB);
    let header = accepted(&file.disk());
    assert_eq!(
        (
            header.header().as_luks2().unwrap().label().as_str(),
            header.header().as_luks2().unwrap().subsystem().as_str()
        ),
        ("disk one", "fleet")
    );
    let config = &header.header().as_luks2().unwrap().metadata().config;
    assert!(config.requirements.is_empty() && config.flags.is_empty());
}

#[test]
fn slots_are_tried_by_priority() {
    let file = they_format(&TINY_PBKDF2, 20 * MIB);
    let old = TestFile::new(b"one");
    let new = TestFile::new(b"two");
    for number in ["1", "2", "3"] {
        let mut args = vec!["luksAddKey", "-q", "--key-file", old.name(), "--key-slot", number];
        args.extend(TINY_PBKDF2);
        args.extend([file.name(), new.name()]);
        cryptsetup(&args, "").unwrap();
    }
    let config = |number: &str, priority: &str| {
        cryptsetup(&["config", "--key-slot", number, "--priority", priority, file.name()], "").unwrap();
    };
    config("1", "ignore");
    config("3", "prefer");
    let disk = file.disk();
    let header = accepted(&disk);
    assert_eq!(open_order(&header), [slot(3), slot(0), slot(2)]);
    assert_eq!(open_any(&disk, &header, &passphrase("two")).unwrap().0, slot(3));
    assert_eq!(open_any(&disk, &header, &passphrase("one")).unwrap().0, slot(0));
    let error = open_any(&disk, &header, &passphrase("three")).unwrap_err();
    assert_eq!(error.to_string(), "the passphrase opens none of 3 slots");
    assert!(open_keyslot(&disk, &header, slot(1), &passphrase("two")).is_ok(), "it opens when it is named");
}

#[test]
fn a_slot_that_holds_another_key_is_not_one_of_the_data() {
    let file = they_format(&TINY_PBKDF2, 20 * MIB);
    let other = TestFile::new(b"two");
    let mut args = vec!["luksAddKey", "-q", "--unbound", "--key-size", "128", "--key-slot", "4"];
    args.extend(TINY_PBKDF2);
    args.extend([file.name(), other.name()]);
    cryptsetup(&args, "").unwrap();
    let disk = file.disk();
    let header = accepted(&disk);
    assert_eq!(header.header().as_luks2().unwrap().metadata().keyslots.len(), 2);
    assert_eq!(header.slots().collect::<Vec<_>>(), [slot(0)]);
    let found = open_keyslot(&disk, &header, slot(4), &passphrase("two"));
    assert!(matches!(found, Err(OpenError::NoSuchSlot { .. })));
    let mut edit = Edit::new(&header, &SystemRandom).unwrap();
    edit.remove_keyslot(slot(4)).unwrap();
    edit.apply(&disk).unwrap();
    file.set(&disk);
    assert!(they_open(&file, 0, "one"));
}

#[test]
fn luks1_opens() {
    let file = TestFile::zeroed(4 * MIB);
    let mut args = vec!["luksFormat", "-q", "--type", "luks1", "--key-file=-"];
    args.extend(TINY_PBKDF2);
    args.push(file.name());
    cryptsetup(&args, "one").unwrap();
    let disk = file.disk();
    let header = accepted(&disk);
    assert_eq!(header.header().version(), Version::Luks1);
    assert_eq!(open_any(&disk, &header, &passphrase("one")).unwrap().0.number(), 0);
    assert!(open_any(&disk, &header, &passphrase("two")).is_err());
}

/// What was LUKS1 has its areas in odd places, and a digest of 20 bytes.
#[test]
fn a_volume_that_was_luks1_opens() {
    let file = TestFile::zeroed(20 * MIB);
    let mut args = vec!["luksFormat", "-q", "--type", "luks1", "--key-file=-"];
    args.extend(TINY_PBKDF2);
    args.push(file.name());
    cryptsetup(&args, "one").unwrap();
    cryptsetup(&["convert", "-q", "--type", "luks2", file.name()], "").unwrap();
    let disk = file.disk();
    let header = accepted(&disk);
    let (_, key) = open_any(&disk, &header, &passphrase("one")).unwrap();
    let mut edit = Edit::new(&header, &SystemRandom).unwrap();
    let two = passphrase("two");
    let new = NewKeyslot { key: &key, passphrase: &two, slot: None, kdf: pbkdf2(), af_hash: crypto::Hash::Sha1 };
    assert_eq!(edit.add_keyslot(&new).unwrap(), slot(1));
    edit.apply(&disk).unwrap();
    file.set(&disk);
    assert!(they_open(&file, 1, "two") && they_open(&file, 0, "one"));
}

#[test]
fn a_header_apart_from_its_data_is_refused() {
    let header = TestFile::zeroed(16 * MIB);
    let data = TestFile::zeroed(MIB);
    let mut args = vec!["luksFormat", "-q", "--type", "luks2", "--key-file=-", "--header", header.name()];
    args.extend(TINY_PBKDF2);
    args.push(data.name());
    cryptsetup(&args, "one").unwrap();
    let refused = Header::read(&header.disk()).unwrap().accept(&Allowed::default()).unwrap_err();
    assert_eq!(refused, Refused::DetachedHeader);
}

#[test]
fn both_work_on_one_volume_in_turn() {
    let file = they_format(&TINY_ARGON2ID, 20 * MIB);
    let keyfile = TestFile::new(b"one");
    for round in 1..4u64 {
        let disk = file.disk();
        let header = accepted(&disk);
        let (_, key) = open_any(&disk, &header, &passphrase("one")).unwrap();
        let mut edit = Edit::new(&header, &SystemRandom).unwrap();
        let ours = passphrase("ours");
        let kdf = KdfCost::random_passphrase(header.slot_hash());
        let new = NewKeyslot { key: &key, passphrase: &ours, slot: None, kdf, af_hash: header.slot_hash() };
        let added = edit.add_keyslot(&new).unwrap();
        edit.apply(&disk).unwrap();
        file.set(&disk);
        assert!(they_open(&file, added.number().into(), "ours"), "round {round}");

        let theirs = TestFile::new(format!("theirs {round}").as_bytes());
        let mut args = vec!["luksAddKey", "-q", "--key-file", keyfile.name()];
        args.extend(TINY_ARGON2ID);
        args.extend([file.name(), theirs.name()]);
        cryptsetup(&args, "").unwrap();
        let disk: MemoryDisk = file.disk();
        assert!(open_any(&disk, &accepted(&disk), &passphrase(&format!("theirs {round}"))).is_ok());
        let number = added.number().to_string();
        cryptsetup(&["luksKillSlot", "-q", "--key-file", keyfile.name(), file.name(), &number], "").unwrap();
        let disk = file.disk();
        assert!(open_any(&disk, &accepted(&disk), &passphrase("ours")).is_err());
    }
}
