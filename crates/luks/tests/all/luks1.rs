//! LUKS1 volumes made and changed by us, byte for byte beside those of cryptsetup 2.6.1.

use crate::luks1_support::*;
use crate::support::*;
use block::{BlockRead, BlockWrite, Bytes, MemoryDisk};
use crypto::{Hash, SystemRandom};
use luks::*;

/// The 1024 bytes of a header with everything random made zero.
fn unrandom(bytes: &[u8]) -> Vec<u8> {
    let mut header = bytes[..1024].to_vec();
    header[112..112 + 20 + 32].fill(0);
    header[168..208].fill(0);
    for slot in 0..8 {
        header[208 + 48 * slot + 8..][..32].fill(0);
    }
    header
}

/// What each sector holds: zeros, what was there before, or other bytes. Neighbours that hold the same are one.
fn map_of(bytes: &[u8]) -> Vec<(usize, char)> {
    let kind = |sector: &[u8]| match sector {
        s if s.iter().all(|b| *b == 0) => '0',
        s if s.iter().all(|b| *b == 0xaa) => 'a',
        _ => 'x',
    };
    let mut map: Vec<(usize, char)> = bytes.chunks(512).map(kind).enumerate().collect();
    map.dedup_by_key(|(_, kind)| *kind);
    map
}

/// `luksDump` without what is random.
fn dump(file: &TestFile) -> String {
    let random =
        ["MK digest", "MK salt", "UUID", "Salt", "                      \t", "               \t", "LUKS header"];
    let lines = cryptsetup(&["luksDump", file.name()], "").unwrap();
    lines.lines().filter(|line| !random.iter().any(|r| line.trim_start_matches('\t').starts_with(r))).collect()
}

/// Makes the same volume twice; the two differ in what is random and in nothing else.
fn check_same(options: FormatOptions, args: &[&str]) -> (MemoryDisk, String) {
    let length = 5 << 20;
    let ours = MemoryDisk::from(vec![0xaa; length]);
    let plan = FormatPlan::new(ours.len(), options).unwrap();
    let formatted = plan.apply(&ours, &passphrase("one"), &SystemRandom, &mut |_| {}).unwrap();
    let theirs = they_format_luks1(args, length);
    let (ours_bytes, theirs_bytes) = (ours.to_vec(), theirs.bytes());
    assert_eq!(unrandom(&ours_bytes), unrandom(&theirs_bytes), "{args:?}");
    assert_eq!(map_of(&ours_bytes), map_of(&theirs_bytes), "{args:?}");
    let file = TestFile::new(&ours_bytes);
    assert_eq!(dump(&file), dump(&theirs), "{args:?}");
    assert!(they_open(&file, 0, "one") && !they_open(&file, 0, "two"), "{args:?}");
    // Their key is ours, and ours theirs.
    let shown = cryptsetup(&["luksDump", "-q", "--dump-volume-key", "--key-file=-", file.name()], "one").unwrap();
    let shown: String = shown.rsplit("MK dump:").next().unwrap().split_whitespace().collect();
    assert_eq!(shown, formatted.key.expose().iter().map(|b| format!("{b:02x}")).collect::<String>(), "{args:?}");
    assert_eq!(opens(&theirs.disk(), "one"), Some(0), "{args:?}");
    (ours, dump(&file))
}

/// `-s 512 -h sha512`, as XCP-ng formats.
#[test]
fn the_volume_of_xcp_ng() {
    let (disk, dump) = check_same(FormatOptions::luks1(pbkdf2_of(Hash::Sha512), 64), &["-s", "512", "-h", "sha512"]);
    for line in
        ["Cipher mode:   \txts-plain64", "Hash spec:     \tsha512", "Payload offset:\t4096", "MK bits:       \t512"]
    {
        assert!(dump.contains(line), "{line:?} is not in {dump}");
    }
    let header = luks1_of(&disk);
    let sectors: Vec<u64> = header.slots.iter().map(|slot| slot.material.0 / 512).collect();
    assert_eq!(sectors, [8, 512, 1016, 1520, 2024, 2528, 3032, 3536]);
    assert!(header.slots.iter().all(|slot| slot.stripes == 4000));
    assert_eq!(header.slots.iter().map(|slot| slot.active).collect::<Vec<_>>(), [&[true][..], &[false; 7]].concat());
}

#[test]
fn every_key_size_cipher_and_place_of_the_data() {
    let xts = |len: u32| FormatOptions::luks1(pbkdf2_of(Hash::Sha256), len);
    let cbc = |len: u32| FormatOptions { cipher: Cipher::AesCbcEssivSha256, ..xts(len) };
    check_same(xts(32), &["-s", "256"]);
    check_same(cbc(32), &["-s", "256", "-c", "aes-cbc-essiv:sha256"]);
    check_same(cbc(16), &["-s", "128", "-c", "aes-cbc-essiv:sha256"]);
    let at = |offset: u64, options: FormatOptions| FormatOptions { data_offset: Bytes(offset * 512), ..options };
    check_same(at(4040, xts(64)), &["-s", "512", "--align-payload", "8"]);
    check_same(at(4040, xts(64)), &["-s", "512", "--offset", "4040"]);
    check_same(at(8192, xts(64)), &["-s", "512", "--align-payload", "8192"]);
    check_same(at(1032, cbc(16)), &["-s", "128", "-c", "aes-cbc-essiv:sha256", "--align-payload", "8"]);
    let kdf = KdfCost::Pbkdf2 { hash: Hash::Sha256, iterations: 4321.try_into().unwrap() };
    let uuid: uuid::Uuid = "4fe7674a-f61c-4116-b614-9bcc2ff833df".parse().unwrap();
    let slow = FormatOptions { uuid: Some(uuid), ..FormatOptions::luks1(kdf, 64) };
    let (disk, _) = check_same(slow, &["--pbkdf-force-iterations", "4321", "--uuid", &uuid.to_string()]);
    assert_eq!(Header::read(&disk).unwrap().uuid(), uuid);
}

#[test]
fn every_hash_that_they_know_for_luks1() {
    for hash in Hash::ALL {
        check_same(FormatOptions::luks1(pbkdf2_of(hash), 64), &["--hash", hash.luks_name()]);
    }
}

/// The data lies on another disk: its place is 0, and of the header's disk only header and key areas are overwritten.
#[test]
fn a_header_of_its_own() {
    let length = 5 << 20;
    let base = FormatOptions { data: DataPlace::OtherDisk, ..FormatOptions::luks1(pbkdf2_of(Hash::Sha256), 64) };
    for (offset, more) in [(0, &[][..]), (4096, &["--offset", "4096"]), (16384, &["--offset", "16384"])] {
        let ours = MemoryDisk::from(vec![0xaa; length.max(offset * 512)]);
        let plan =
            FormatPlan::new(ours.len(), FormatOptions { data_offset: Bytes(offset as u64 * 512), ..base.clone() });
        plan.unwrap().apply(&ours, &passphrase("one"), &SystemRandom, &mut |_| {}).unwrap();
        let (data, theirs) = (TestFile::zeroed(16 << 20), TestFile::new(&vec![0xaa; length.max(offset * 512)]));
        let mut args = vec!["luksFormat", "-q", "--type", "luks1", "--pbkdf-force-iterations", "1000", "--key-file=-"];
        args.extend(["--header", theirs.name()]);
        args.extend(more);
        args.push(data.name());
        cryptsetup(&args, "one").unwrap();
        assert_eq!(unrandom(&ours.to_vec()), unrandom(&theirs.bytes()), "{offset}");
        assert_eq!(map_of(&ours.to_vec()), map_of(&theirs.bytes()), "{offset}");
        let file = TestFile::new(&ours.to_vec());
        let open = ["open", "--test-passphrase", "--key-file=-", "--header", file.name(), data.name()];
        cryptsetup(&open, "one").unwrap();
        let allowed = Allowed { data: DataPlace::OtherDisk, ..Allowed::default() };
        let header = Header::read(&theirs.disk()).unwrap().accept(&allowed).unwrap();
        let (_, key) = open_any(&theirs.disk(), &header, &passphrase("one")).unwrap();
        assert_eq!(Plain::new(data.disk(), &header, &key).unwrap().len(), Bytes((16 << 20) - offset as u64 * 512));
        // It is changed like any other.
        let disk = theirs.disk();
        let mut edit = Edit::new(&header, &SystemRandom).unwrap();
        let two = passphrase("two");
        let kdf = pbkdf2_of(Hash::Sha256);
        let new = NewKeyslot { key: &key, passphrase: &two, slot: Slot::new(6), kdf, af_hash: Hash::Sha256 };
        edit.add_keyslot(&new).unwrap();
        edit.replace_keyslot(slot(0), &NewKeyslot { passphrase: &passphrase("three"), ..new }).unwrap();
        edit.apply(&disk).unwrap();
        theirs.set(&disk);
        let opens = |text: &str| {
            let open = ["open", "--test-passphrase", "--key-file=-", "--header", theirs.name(), data.name()];
            cryptsetup(&open, text).is_ok()
        };
        assert_eq!(["one", "two", "three"].map(opens), [false, true, true], "{offset}");
    }
}

#[test]
fn each_impossible_plan_is_refused() {
    let base = || FormatOptions::luks1(pbkdf2_of(Hash::Sha256), 64);
    let check = |options: FormatOptions, expected: &str| {
        let error = FormatPlan::new(Bytes(8 << 20), options).unwrap_err();
        assert_eq!(chain(&error), expected);
    };
    check(FormatOptions { key_len: 16, ..base() }, "aes-xts-plain64 does not take a key of 16 bytes");
    check(FormatOptions { label: "x".into(), ..base() }, "LUKS1 has no label");
    check(FormatOptions { subsystem: "x".into(), ..base() }, "LUKS1 has no subsystem label");
    let sector_size = SectorSize::new(4096);
    check(FormatOptions { sector_size, ..base() }, "LUKS1 has no sectors of more than 512 bytes");
    let header_size = HeaderSize::new(Bytes(32768)).unwrap();
    check(FormatOptions { header_size, ..base() }, "LUKS1 has no header of another size");
    let kdf = argon2(crypto::kdf::Argon2Variant::Argon2id);
    check(FormatOptions { kdf, ..base() }, "LUKS1 has no Argon2");
    check(FormatOptions { hash: Hash::Sha1, ..base() }, "LUKS1 has no hash of its own for a slot");
    let at = |offset: u64| FormatOptions { data_offset: Bytes(offset), ..base() };
    check(at(2_068_480 + 512), "the data cannot begin at 2068992: not a multiple of 4096");
    check(at(2_068_480 - 4096), "the data cannot begin at 2064384: header and one slot take 2068480 bytes");
    check(at(0), "the data cannot begin at 0: header and one slot take 2068480 bytes");
    check(at(512 << 32), "the data cannot begin at 2199023255552: the header cannot say so");
    check(at(8 << 20), "the disk has 8388608 bytes, and 8389120 are the least");
    let apart = FormatOptions { data: DataPlace::OtherDisk, ..at(0) };
    let error = FormatPlan::new(Bytes(2_068_479), apart).unwrap_err();
    assert_eq!(error.to_string(), "the disk has 2068479 bytes, and 2068480 are the least");
}

#[test]
fn a_plan_can_be_read() {
    let plan = FormatPlan::new(Bytes(32 << 20), FormatOptions::luks1(pbkdf2_of(Hash::Sha512), 64)).unwrap();
    assert_eq!(
        plan.to_string(),
        "overwrite the first 2 MiB of 32 MiB\n\
         write a LUKS1 header, with room for 8 slots\n\
         add keyslot 0 (pbkdf2, sha512)\n\
         data from 2 MiB on: aes-xts-plain64 with a key of 512 bits, sectors of 512 bytes"
    );
}

/// The same slots come and go by both: the headers are the same but for salts, and so is all that is not key material.
#[test]
fn slots_come_and_go_as_with_cryptsetup() {
    let ours = luks1_volume();
    let theirs = they_format_luks1(&["-s", "512", "-h", "sha512"], PAYLOAD + (64 << 10));
    let (one, two) = (TestFile::new(b"one"), TestFile::new(b"two"));
    let same = |step: &str| {
        assert_eq!(unrandom(&ours.disk.to_vec()), unrandom(&theirs.bytes()), "{step}");
        assert_eq!(map_of(&ours.disk.to_vec()), map_of(&theirs.bytes()), "{step}");
    };
    let add = |wanted: Option<u64>| {
        let number = wanted.map(|n| n.to_string());
        let mut args = vec!["luksAddKey", "-q", "--key-file", one.name(), "--pbkdf-force-iterations", "1000"];
        args.extend(number.iter().flat_map(|n| ["--key-slot", n]));
        args.extend([theirs.name(), two.name()]);
        cryptsetup(&args, "").unwrap();
        let before = ours.disk.to_vec();
        let added = std::cell::Cell::new(None);
        edit(&ours.disk, |edit| {
            let slot = edit.add_keyslot(&adding(&ours.key, &passphrase("two"), wanted.and_then(Slot::new))).unwrap();
            added.set(Some(slot));
        });
        let number = added.get().unwrap().number();
        same(&format!("add {number}"));
        let file = TestFile::new(&ours.disk.to_vec());
        assert!(they_open(&file, number.into(), "two") && they_open(&file, 0, "one"), "{number}");
        // Nothing but the header and this slot's material has changed.
        let start = usize::try_from(luks1_of(&ours.disk).slots[usize::from(number)].material.0).unwrap();
        let after = ours.disk.to_vec();
        let elsewhere = (1024..after.len()).filter(|i| !(start..start + 256_000).contains(i));
        assert!(elsewhere.clone().all(|i| before[i] == after[i]), "{number}");
    };
    let remove = |number: u64| {
        let text = number.to_string();
        cryptsetup(&["luksKillSlot", "-q", "--key-file", one.name(), theirs.name(), &text], "").unwrap();
        let before = ours.disk.to_vec();
        edit(&ours.disk, |edit| edit.remove_keyslot(slot(number)).unwrap());
        same(&format!("remove {number}"));
        let header = luks1_of(&ours.disk);
        let gone = &header.slots[usize::try_from(number).unwrap()];
        assert!(!gone.active && gone.iterations == 0 && gone.salt == [0; 32]);
        let start = usize::try_from(gone.material.0).unwrap();
        let after = ours.disk.to_vec();
        let kept = (start..start + 256_000).filter(|i| before[*i] == after[*i]).count();
        assert!(kept < 256_000 / 128, "{kept} bytes of the key material are as they were");
    };
    for wanted in [None, Some(6), Some(3), Some(7), None] {
        add(wanted);
    }
    for number in [6, 1, 7] {
        remove(number);
    }
    add(Some(6));
    add(None);
    for number in [3, 2, 6, 1] {
        remove(number);
    }
    assert_eq!((opens(&ours.disk, "one"), opens(&ours.disk, "two")), (Some(0), None));
    assert_eq!((opens(&theirs.disk(), "one"), opens(&theirs.disk(), "two")), (Some(0), None));
}

#[test]
fn all_eight_slots_can_be_used_and_no_more() {
    let Volume { disk, key } = luks1_volume();
    let header = accepted(&disk);
    let mut edit = Edit::new(&header, &SystemRandom).unwrap();
    for n in 1..8u64 {
        assert_eq!(edit.add_keyslot(&adding(&key, &passphrase(&format!("pass {n}")), None)).unwrap(), slot(n));
    }
    assert!(matches!(edit.add_keyslot(&adding(&key, &passphrase("x"), None)), Err(EditError::NoFreeSlot)));
    edit.apply(&disk).unwrap();
    let file = TestFile::new(&disk.to_vec());
    for n in 1..8 {
        assert!(they_open(&file, n, &format!("pass {n}")), "{n}");
    }
    assert_eq!(opens(&disk, "pass 6"), Some(6));
}

#[test]
fn each_impossible_change_is_refused() {
    let Volume { disk, key } = luks1_volume();
    let header = accepted(&disk);
    let before = disk.to_vec();
    let mut edit = Edit::new(&header, &SystemRandom).unwrap();
    let two = passphrase("two");
    let with = |wanted: Option<u64>| adding(&key, &two, wanted.and_then(Slot::new));
    assert!(matches!(edit.add_keyslot(&with(Some(0))), Err(EditError::SlotInUse { .. })));
    assert!(matches!(edit.add_keyslot(&with(Some(8))), Err(EditError::NoSuchSlot { .. })));
    assert!(matches!(edit.remove_keyslot(slot(1)), Err(EditError::NoSuchSlot { .. })));
    assert!(matches!(edit.remove_keyslot(slot(8)), Err(EditError::NoSuchSlot { .. })));
    assert!(matches!(edit.replace_keyslot(slot(1), &with(None)), Err(EditError::NoSuchSlot { .. })));
    let other = VolumeKeyOf([7; 64]);
    let wrong = NewKeyslot { key: &other.key(), ..with(None) };
    assert!(matches!(edit.add_keyslot(&wrong), Err(EditError::WrongVolumeKey)));
    let refuse = |kdf, af_hash, expected: &str| {
        let mut edit = Edit::new(&header, &SystemRandom).unwrap();
        let error = edit.add_keyslot(&NewKeyslot { kdf, af_hash, ..with(None) }).unwrap_err();
        assert_eq!(chain(&error), expected);
    };
    let of_its_own = "LUKS1 has no hash of its own for a slot";
    refuse(argon2(crypto::kdf::Argon2Variant::Argon2id), Hash::Sha512, "LUKS1 has no Argon2");
    refuse(pbkdf2_of(Hash::Sha256), Hash::Sha512, of_its_own);
    refuse(pbkdf2_of(Hash::Sha512), Hash::Sha256, of_its_own);
    let weak = KdfCost::Pbkdf2 { hash: Hash::Sha512, iterations: 999.try_into().unwrap() };
    let few = "the slot would not be accepted: slot 1 has 999 iterations of PBKDF2, fewer than 1000";
    refuse(weak, Hash::Sha512, few);
    assert!(matches!(edit.add_token(None, json::Object::new()), Err(EditError::NotInThisVersion { .. })));
    assert!(matches!(edit.set_label("x"), Err(EditError::NotInThisVersion { .. })));
    assert!(edit.steps().is_empty());
    assert_eq!(header.slot_hash(), Hash::Sha512);
    edit.apply(&disk).unwrap();
    assert_eq!(disk.to_vec(), before);
}

struct VolumeKeyOf([u8; 64]);

impl VolumeKeyOf {
    fn key(&self) -> crypto::VolumeKey {
        crypto::VolumeKey::new(crypto::Secret::copied_from(&self.0))
    }
}

#[test]
fn what_is_undone_is_as_it_was_to_the_last_byte() {
    let Volume { disk, key } = luks1_volume();
    edit(&disk, |edit| {
        edit.add_keyslot(&adding(&key, &passphrase("three"), None)).unwrap();
        edit.init_meta().unwrap();
    });
    let before = disk.to_vec();
    let applied = edit(&disk, |edit| {
        edit.add_keyslot(&adding(&key, &passphrase("two"), Some(slot(6)))).unwrap();
        edit.replace_keyslot(slot(1), &adding(&key, &passphrase("four"), None)).unwrap();
        edit.remove_keyslot(slot(0)).unwrap();
        edit.save_meta(Some(slot(6)), CLEVIS, b"data").unwrap();
    });
    assert_eq!(["one", "two", "three", "four"].map(|text| opens(&disk, text)), [None, Some(6), None, Some(1)]);
    assert!(applied.header.is_same(&Header::read(&disk).unwrap()));
    applied.undo.revert(&disk).unwrap();
    assert!(disk.to_vec() == before);
}

#[test]
fn a_header_changed_meanwhile_is_not_overwritten() {
    let Volume { disk, key } = luks1_volume();
    let header = accepted(&disk);
    let two = passphrase("two");
    let changes: [&dyn Fn(&TestFile); 2] = [
        &|file| {
            let (one, three) = (TestFile::new(b"one"), TestFile::new(b"three"));
            let args = ["luksAddKey", "-q", "--pbkdf-force-iterations", "1000", "--key-file", one.name()];
            cryptsetup(&[&args[..], &[file.name(), three.name()]].concat(), "").unwrap();
        },
        &|file| drop(luksmeta(&["init", "-f", "-d", file.name()], b"").unwrap()),
    ];
    for change in changes {
        let mut edit = Edit::new(&header, &SystemRandom).unwrap();
        edit.add_keyslot(&adding(&key, &two, None)).unwrap();
        let file = TestFile::new(&disk.to_vec());
        change(&file);
        let theirs = file.disk();
        let error = edit.apply(&theirs).unwrap_err();
        assert_eq!(error.to_string(), "somebody else has changed the header meanwhile; nothing was written");
        assert!(theirs.to_vec() == file.bytes());
    }
    disk.write_at(Bytes(0), &[0]).unwrap();
    let edit = Edit::new(&header, &SystemRandom).unwrap();
    assert!(matches!(edit.apply(&disk), Err(ApplyError::Unreadable { .. })));
}

#[test]
fn an_edit_can_be_printed() {
    let Volume { disk, key } = luks1_volume();
    let header = accepted(&disk);
    let mut edit = Edit::new(&header, &SystemRandom).unwrap();
    assert_eq!(edit.to_string(), "nothing to change");
    edit.init_meta().unwrap();
    edit.add_keyslot(&adding(&key, &passphrase("two"), None)).unwrap();
    edit.save_meta(Some(slot(1)), CLEVIS, &[1; 5000]).unwrap();
    edit.replace_keyslot(slot(0), &adding(&key, &passphrase("three"), None)).unwrap();
    edit.remove_keyslot(slot(0)).unwrap();
    edit.wipe_meta(slot(1)).unwrap();
    edit.nuke_meta().unwrap();
    assert_eq!(
        edit.to_string().lines().collect::<Vec<_>>(),
        [
            "make an empty LUKSMeta at byte 2068480 (28 KiB)",
            "add keyslot 1 (pbkdf2), key material at byte 262144 (250 KiB)",
            "save data cb6e8904-81ff-40da-a84a-07ab9ab5715e for keyslot 1 in LUKSMeta, at byte 2072576 (8 KiB)",
            "rewrite keyslot 0 (pbkdf2), key material at byte 4096 (250 KiB), meanwhile in keyslot 7",
            "remove keyslot 0, overwrite its key material at byte 4096 (250 KiB)",
            "remove data cb6e8904-81ff-40da-a84a-07ab9ab5715e for keyslot 1 from LUKSMeta",
            "overwrite all of LUKSMeta with zeros, at byte 2068480 (28 KiB)",
        ]
    );
    assert!(!format!("{edit:?}").contains("two"));
}

/// cryptsetup before 1.1 gave the digest of the volume key 10 iterations.
#[test]
fn a_volume_of_the_first_cryptsetups_opens() {
    let Volume { disk, key } = luks1_volume();
    let mut bytes = disk.to_vec();
    let (salt, mut digest) = (bytes[132..164].to_vec(), [0; 20]);
    crypto::kdf::pbkdf2(Hash::Sha512, key.expose(), &salt, 10.try_into().unwrap(), &mut digest);
    bytes[112..132].copy_from_slice(&digest);
    bytes[164..168].copy_from_slice(&10u32.to_be_bytes());
    let file = TestFile::new(&bytes);
    assert!(they_open(&file, 0, "one"));
    assert_eq!((opens(&file.disk(), "one"), opens(&file.disk(), "two")), (Some(0), None));
    bytes[167] = 11;
    let refused = Header::read(&MemoryDisk::from(bytes)).unwrap().accept(&Allowed::default()).unwrap_err();
    assert_eq!(refused, Refused::TooFewIterations { slot: None, found: 11 });
}

/// What we write cryptsetup decrypts in place, which it does without a device mapper once the volume is LUKS2.
#[test]
fn what_we_write_cryptsetup_decrypts() {
    let Volume { disk, key } = luks1_volume_of(PAYLOAD + (4 << 20));
    let header = accepted(&disk);
    let clear: Vec<u8> = (0..1u32 << 22).map(|i| (i.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
    Plain::new(&disk, &header, &key).unwrap().write_at(Bytes(0), &clear).unwrap();
    let file = TestFile::new(&disk.to_vec());
    cryptsetup(&["convert", "-q", "--type", "luks2", file.name()], "").unwrap();
    let header = TestFile::new(&[]);
    std::fs::remove_file(&header.0).unwrap();
    let mut args = vec!["reencrypt", "-q", "--decrypt", "--force-offline-reencrypt", "--key-file=-"];
    args.extend(["--header", header.name(), file.name()]);
    cryptsetup(&args, "one").unwrap();
    assert!(file.bytes()[..4 << 20] == clear);
}

/// Magic and version are those of the bytes that are used, and not of others that were there a moment before.
#[test]
fn the_header_is_read_once() {
    let (first, second) = (luks1_volume().disk.to_vec(), luks1_volume().disk.to_vec());
    let other = [&[0; 8][..], &second[8..]].concat();
    let uuid = Header::read(&MemoryDisk::from(first.clone())).unwrap().uuid();
    let header = Header::read(&ChangingDisk::new(&first, &other, 1)).unwrap();
    assert_eq!(header.uuid(), uuid);
    assert!(matches!(Header::read(&ChangingDisk::new(&first, &other, 0)), Err(HeaderError::NotLuks)));
    // Whatever stands behind what cannot be read, LUKS1 it was.
    let broken = FailingDisk::new(MemoryDisk::from(first.clone()), Failing::ReadFrom(512));
    let error = Header::read(&broken).unwrap_err();
    assert!(matches!(error, HeaderError::Luks1 { source: Luks1Error::Disk { .. } }), "{error}");
    let cut = Header::read(&MemoryDisk::from(first[..1023].to_vec())).unwrap_err();
    assert_eq!(chain(&cut), "the LUKS1 header is damaged: it is cut off");
}
