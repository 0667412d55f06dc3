//! Volumes made by us.

use crate::support::*;
use block::{BlockRead, BlockWrite, Bytes, MemoryDisk};
use crypto::kdf::{Argon2Cost, Argon2Variant};
use crypto::{Hash, SystemRandom};
use luks::*;

fn check_they_open(options: FormatOptions) -> String {
    let what = format!("{options:?}");
    let disk = MemoryDisk::zeroed(usize::try_from(options.data_offset.0).unwrap() + (1 << 20));
    let plan = FormatPlan::new(disk.len(), options).unwrap();
    let formatted = plan.apply(&disk, &passphrase("one"), &SystemRandom, &mut |_| {}).unwrap();
    let file = TestFile::new(&disk.to_vec());
    assert!(they_open(&file, 0, "one"), "{what}");
    assert!(!they_open(&file, 0, "two"), "{what}");
    let dump = cryptsetup(&["luksDump", file.name()], "").unwrap();
    assert!(dump.contains(&formatted.header.uuid().to_string()), "{dump}");
    // Their key is ours.
    let args = ["luksDump", "-q", "--dump-volume-key", "--key-file=-", file.name()];
    let said = cryptsetup(&args, "one").unwrap();
    let shown: String = said.rsplit("MK dump:").next().unwrap().split_whitespace().collect();
    let ours: String = formatted.key.expose().iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(shown, ours, "{said}");
    dump
}

#[test]
fn what_we_format_they_open() {
    let base = || FormatOptions::new(pbkdf2());
    check_they_open(base());
    check_they_open(FormatOptions { kdf: argon2(Argon2Variant::Argon2id), ..base() });
    check_they_open(FormatOptions { kdf: argon2(Argon2Variant::Argon2i), key_len: 32, ..base() });
    for key_len in [16, 32] {
        check_they_open(FormatOptions { cipher: Cipher::AesCbcEssivSha256, key_len, ..base() });
    }
    for size in [512, 1024, 2048, 4096] {
        let dump = check_they_open(FormatOptions { sector_size: SectorSize::new(size), ..base() });
        assert!(dump.contains(&format!("sector: {size} [bytes]")), "{dump}");
    }
    for header_size in HeaderSize::all() {
        let dump = check_they_open(FormatOptions { header_size, ..base() });
        assert!(dump.contains(&format!("Metadata area: \t{} [bytes]", header_size.bytes().0)), "{dump}");
    }
    let label = "x".repeat(47);
    let named = FormatOptions { label: label.clone(), subsystem: "sub".into(), data_offset: Bytes(1 << 20), ..base() };
    let dump = check_they_open(named);
    assert!(dump.contains(&format!("Label:         \t{label}\n")) && dump.contains("Subsystem:     \tsub\n"), "{dump}");
}

#[test]
fn every_hash_that_they_know_too_is_understood_alike() {
    for hash in Hash::ALL {
        let kdf = KdfCost::Pbkdf2 { hash, iterations: LEAST_ITERATIONS };
        check_they_open(FormatOptions { hash, kdf, data_offset: Bytes(1 << 20), ..FormatOptions::new(kdf) });
    }
}

#[test]
fn our_metadata_is_theirs_but_for_what_is_random() {
    let masked = |json: &str| {
        let mut parts = json.split("\"salt\":\"");
        let mut out = parts.next().unwrap().to_owned();
        parts.for_each(|part| out.push_str(part.split_once('"').unwrap().1));
        let (start, end) = out.split_once("\"digest\":\"").unwrap();
        format!("{start}{}", end.split_once('"').unwrap().1)
    };
    let theirs = they_format(&TINY_PBKDF2, 32 << 20);
    let ours = MemoryDisk::zeroed(32 << 20);
    let plan = FormatPlan::new(ours.len(), FormatOptions::new(pbkdf2())).unwrap();
    plan.apply(&ours, &passphrase("one"), &SystemRandom, &mut |_| {}).unwrap();
    assert_eq!(masked(&json_of(&ours.to_vec(), 0)), masked(&json_of(&theirs.bytes(), 0)));
    assert_eq!(masked(&json_of(&ours.to_vec(), 16384)), masked(&json_of(&theirs.bytes(), 16384)));
}

/// A header apart from its data: as `luksFormat --header` makes it, and the disk that it grows the file to.
#[test]
fn a_header_apart_is_theirs_but_for_what_is_random() {
    let check = |more: &[&str], change: &dyn Fn(&mut FormatOptions)| {
        let data = TestFile::zeroed(8 << 20);
        let theirs = TestFile::absent();
        let mut args = vec!["luksFormat", "-q", "--type", "luks2", "--key-file=-", "--sector-size", "512"];
        args.extend(TINY_PBKDF2);
        args.extend(more);
        args.extend(["--header", theirs.name(), data.name()]);
        cryptsetup(&args, "one").unwrap();
        let theirs = theirs.bytes();
        let mut options = FormatOptions {
            data: DataPlace::OtherDisk,
            data_offset: Bytes(0),
            sector_size: SectorSize::new(512),
            ..FormatOptions::new(pbkdf2())
        };
        change(&mut options);
        assert_eq!(options.detached_len(), Bytes::from(theirs.len()), "{more:?}");
        let ours = MemoryDisk::zeroed(theirs.len());
        let plan = FormatPlan::new(ours.len(), options).unwrap();
        let formatted = plan.apply(&ours, &passphrase("one"), &SystemRandom, &mut |_| {}).unwrap();
        assert_eq!(comparable(&ours.to_vec()), comparable(&theirs), "{more:?}");
        let header = TestFile::new(&ours.to_vec());
        let test = ["open", "--test-passphrase", "--key-file=-", "--header", header.name(), data.name()];
        assert!(cryptsetup(&test, "one").is_ok() && cryptsetup(&test, "two").is_err(), "{more:?}");
        assert_eq!(data.bytes(), vec![0; 8 << 20], "{more:?}: the data is not touched");
        assert_eq!(
            formatted
                .header
                .accept(&Allowed { data: DataPlace::OtherDisk, ..Allowed::default() })
                .unwrap()
                .slots()
                .count(),
            1
        );
    };
    check(&[], &|_| {});
    check(&["--offset", "4096"], &|options| options.data_offset = Bytes(2 << 20));
    check(&["--offset", "3072"], &|options| options.data_offset = Bytes(3072 * 512));
    check(&["--luks2-metadata-size", "4m"], &|options| options.header_size = HeaderSize::LARGEST);
    check(&["--luks2-keyslots-size", "1m"], &|options| options.keyslots_size = Some(Bytes(1 << 20)));
    let small = FormatOptions { data: DataPlace::OtherDisk, data_offset: Bytes(4096), ..FormatOptions::new(pbkdf2()) };
    let error = FormatPlan::new(Bytes(16 << 20), small).unwrap_err();
    assert!(matches!(error, FormatError::OffsetTooSmall { .. }), "{error}");
}

/// A second copy of a former header, at a place where one is looked for, goes; as with cryptsetup.
#[test]
fn old_copies_do_not_outlive_a_format() {
    let find = |bytes: &[u8]| -> Vec<usize> {
        let places = HeaderSize::all().map(|size| usize::try_from(size.bytes().0).unwrap());
        places.filter(|at| bytes.get(*at..*at + 6) == Some(b"SKUL\xba\xbe")).collect()
    };
    let disk = MemoryDisk::from(vec![0xaa; 8 << 20]);
    for size in HeaderSize::all() {
        disk.write_at(size.bytes(), b"SKUL\xba\xbe").unwrap();
    }
    // One that is at no such place is data.
    disk.write_at(Bytes(5 << 20), b"SKUL\xba\xbe").unwrap();
    let file = TestFile::new(&disk.to_vec());
    let mut args = vec!["luksFormat", "-q", "--type", "luks2", "--key-file=-", "--offset", "2048"];
    args.extend(TINY_PBKDF2);
    args.push(file.name());
    cryptsetup(&args, "one").unwrap();
    assert_eq!(find(&file.bytes()), [16384]);
    let plan = FormatPlan::new(disk.len(), small_options()).unwrap();
    plan.apply(&disk, &passphrase("one"), &SystemRandom, &mut |_| {}).unwrap();
    let bytes = disk.to_vec();
    assert_eq!(find(&bytes), [16384]);
    assert_eq!(bytes[5 << 20..(5 << 20) + 6], *b"SKUL\xba\xbe");
    // 1, 2 and 4 MiB alone lie behind what is wiped anyway.
    let touched = (1 << 20..8 << 20).filter(|at| bytes[*at] == 0).count();
    assert_eq!(touched, 3 * 6, "nothing else is touched");
    // A disk that ends before some of the places.
    let short = MemoryDisk::from(vec![0xaa; (1 << 20) + 4096]);
    let plan = FormatPlan::new(short.len(), small_options()).unwrap();
    plan.apply(&short, &passphrase("one"), &SystemRandom, &mut |_| {}).unwrap();
}

#[test]
fn nothing_behind_the_key_material_is_touched_and_all_before_it_is() {
    let disk = MemoryDisk::from(vec![0xaa; (1 << 20) + 4096]);
    let plan = FormatPlan::new(disk.len(), small_options()).unwrap();
    assert_eq!(plan.wiped(), Bytes(1 << 20));
    let mut events = Vec::new();
    plan.apply(&disk, &passphrase("one"), &SystemRandom, &mut |e| events.push(e)).unwrap();
    let bytes = disk.to_vec();
    assert!(bytes[1 << 20..].iter().all(|b| *b == 0xaa));
    assert!(!bytes[..1 << 20].windows(16).any(|w| w == [0xaa; 16]));
    assert_eq!((events[0], events[events.len() - 1]), (FormatEvent::Stretching, FormatEvent::Writing));
    assert!(matches!(events[1], FormatEvent::Wiping { done: Bytes(0), total: Bytes(0x10_0000) }));
}

#[test]
fn what_is_slow_needs_no_disk_and_the_writing_no_passphrase() {
    let disk = MemoryDisk::from(vec![0xaa; (1 << 20) + 4096]);
    let plan = FormatPlan::new(disk.len(), small_options()).unwrap();
    let prepared = plan.prepare(&passphrase("one"), &SystemRandom).unwrap();
    assert!(format!("{prepared:?}").ends_with(", .. }"));
    let mut events = Vec::new();
    let formatted = prepared.write(&disk, &SystemRandom, &mut |e| events.push(e)).unwrap();
    assert!(!events.contains(&FormatEvent::Stretching) && events.contains(&FormatEvent::Writing));
    let (slot, key) = open_any(&disk, &accepted(&disk), &passphrase("one")).unwrap();
    assert_eq!((slot.number(), key.expose()), (0, formatted.key.expose()));

    let other = MemoryDisk::from(vec![0xaa; 2 << 20]);
    let prepared = plan.prepare(&passphrase("one"), &SystemRandom).unwrap();
    let error = prepared.write(&other, &SystemRandom, &mut |_| {}).unwrap_err();
    assert!(matches!(error, FormatError::OtherDisk));
    assert!(other.to_vec().iter().all(|b| *b == 0xaa));
}

#[test]
fn a_plan_can_be_read() {
    let plan = FormatPlan::new(Bytes(32 << 20), FormatOptions::new(pbkdf2())).unwrap();
    assert_eq!(
        plan.to_string(),
        "overwrite the first 16 MiB of 32 MiB\n\
         write a LUKS2 header: two copies of 16 KiB, 15.9 MiB for key material\n\
         add keyslot 0 (pbkdf2, sha256)\n\
         data from 16 MiB on: aes-xts-plain64 with a key of 512 bits, sectors of 4096 bytes"
    );
}

#[test]
fn each_impossible_plan_is_refused_before_anything_is_written() {
    let check = |change: &dyn Fn(&mut FormatOptions), expected: &str| {
        let mut options = small_options();
        change(&mut options);
        let error = FormatPlan::new(Bytes(2 << 20), options).unwrap_err();
        assert!(chain(&error).contains(expected), "{}", chain(&error));
    };
    check(&|o| o.key_len = 16, "aes-xts-plain64 does not take a key of 16 bytes");
    check(&|o| o.data_offset = Bytes(4095), "not a multiple of 4096");
    check(&|o| o.data_offset = Bytes(4096), "header and one slot take 290816 bytes");
    check(&|o| o.data_offset = Bytes(290_816 - 4096), "header and one slot take 290816 bytes");
    check(&|o| o.data_offset = Bytes(2 << 20), "the disk has 2097152 bytes, and 2101248 are the least");
    check(&|o| o.data_offset = Bytes(u64::MAX - 4095), "are the least");
    check(&|o| o.label = "x".repeat(48), "at most 47 bytes");
    check(&|o| o.subsystem = "a\0b".into(), "at most 47 bytes");
}

#[test]
fn a_cost_out_of_bounds_leaves_the_disk_alone() {
    let disk = MemoryDisk::from(vec![0xaa; 2 << 20]);
    let cost = Argon2Cost { memory_kib: 64, passes: 4, lanes: 65 };
    let options = FormatOptions { kdf: KdfCost::argon2id(cost), ..small_options() };
    let plan = FormatPlan::new(disk.len(), options).unwrap();
    let error = plan.apply(&disk, &passphrase("one"), &SystemRandom, &mut |_| {}).unwrap_err();
    assert!(chain(&error).contains("slot 0 wants 65 lanes of Argon2, more than 64"), "{}", chain(&error));
    assert!(disk.to_vec().iter().all(|b| *b == 0xaa));
    let other = MemoryDisk::zeroed(3 << 20);
    let error = plan.apply(&other, &passphrase("one"), &SystemRandom, &mut |_| {}).unwrap_err();
    assert!(matches!(error, FormatError::OtherDisk));
}
