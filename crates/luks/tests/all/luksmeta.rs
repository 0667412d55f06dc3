//! LUKSMeta: the same steps by us and by luksmeta 9 give the same bytes, and nothing of ours ever touches the data.

use crate::luks1_support::*;
use crate::support::*;
use block::{BlockError, BlockRead, BlockWrite, Bytes, MemoryDisk};
use crypto::{Hash, SystemRandom};
use luks::*;
use proptest::prelude::*;
use uuid::Uuid;

/// CRC-32C, one bit after the other.
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { (crc >> 1) ^ 0x82F6_3B78 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
}

/// A table with these slots: number, offset, length, checksum.
fn table(slots: &[(usize, u32, u32, u32)]) -> Vec<u8> {
    let mut bytes = vec![0; 272];
    bytes[..12].copy_from_slice(b"LUKSMETA\0\0\0\x01");
    for (number, offset, length, crc) in slots {
        let fields = [offset, length, crc].map(|field| field.to_be_bytes()).concat();
        bytes[16 + 32 * number..][..28].copy_from_slice(&[CLEVIS.as_bytes(), &fields[..]].concat());
    }
    let crc = crc32c(&bytes);
    bytes[12..16].copy_from_slice(&crc.to_be_bytes());
    bytes
}

/// A volume with these bytes at places of its gap.
fn with_gap(disk: &MemoryDisk, pieces: &[(usize, &[u8])]) -> MemoryDisk {
    let mut bytes = disk.to_vec();
    for (at, piece) in pieces {
        bytes[GAP + at..][..piece.len()].copy_from_slice(piece);
    }
    MemoryDisk::from(bytes)
}

/// Bytes that differ from one seed to the next.
fn data(seed: u32, len: usize) -> Vec<u8> {
    (0..len as u32).map(|i| (i.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 13) as u8).collect()
}

fn save(disk: &MemoryDisk, wanted: Option<u64>, uuid: Uuid, data: &[u8]) -> Result<u8, EditError> {
    let header = accepted(disk);
    let mut edit = Edit::new(&header, &SystemRandom).unwrap();
    let slot = edit.save_meta(wanted.and_then(Slot::new), uuid, data)?;
    edit.apply(disk).unwrap();
    Ok(slot.number())
}

/// Two copies of one volume, one changed by us and one by luksmeta.
struct Pair {
    ours: MemoryDisk,
    theirs: TestFile,
}

impl Pair {
    /// With slots 0 and 2 in use, and rubbish in the gap.
    fn new() -> Pair {
        let Volume { disk, key } = luks1_volume();
        edit(&disk, |edit| {
            edit.add_keyslot(&adding(&key, &passphrase("two"), Some(slot(2)))).unwrap();
        });
        disk.write_at(Bytes(GAP as u64), &data(1, PAYLOAD - GAP)).unwrap();
        let theirs = TestFile::new(&disk.to_vec());
        Pair { ours: disk, theirs }
    }

    fn they(&self, args: &[&str], input: &[u8]) -> Result<Vec<u8>, i32> {
        luksmeta(&[args, &["-d", self.theirs.name()]].concat(), input)
    }

    fn same(&self, step: &str) {
        assert!(self.ours.to_vec() == self.theirs.bytes(), "{step}");
    }

    fn init(&self) {
        edit(&self.ours, |edit| edit.init_meta().unwrap());
        self.they(&["init", "-f"], b"").unwrap();
        self.same("init");
    }

    fn save(&self, wanted: Option<u64>, uuid: Uuid, data: &[u8]) -> bool {
        let step = format!("save {wanted:?} {}", data.len());
        let (number, uuid_text) = (wanted.map(|n| n.to_string()), uuid.to_string());
        let args: Vec<&str> = number.iter().flat_map(|n| ["-s", n]).chain(["-u", &uuid_text]).collect();
        let all = [&["save"], &args[..]].concat();
        let saved = match save(&self.ours, wanted, uuid, data) {
            Ok(slot) => {
                let said = self.they(&all, data).unwrap_or_else(|code| panic!("{step}: {code}"));
                let expected = if wanted.is_none() { format!("{slot}\n") } else { String::new() };
                assert_eq!(String::from_utf8(said).unwrap(), expected, "{step}");
                true
            }
            Err(EditError::MetaInUse { .. }) => {
                assert_eq!(self.they(&all, data), Err(69), "{step}");
                false
            }
            Err(EditError::NoFreeSlot) => {
                assert_eq!(self.they(&all, data), Err(71), "{step}");
                false
            }
            // Theirs may overwrite the data of the volume then.
            Err(EditError::NoRoomForMeta { .. }) => false,
            Err(error) => panic!("{step}: {error:?}"),
        };
        self.same(&step);
        saved
    }

    fn wipe(&self, number: u64) {
        edit(&self.ours, |edit| edit.wipe_meta(slot(number)).unwrap());
        self.they(&["wipe", "-f", "-s", &number.to_string()], b"").unwrap();
        self.same(&format!("wipe {number}"));
    }

    fn nuke(&self) {
        edit(&self.ours, |edit| edit.nuke_meta().unwrap());
        self.they(&["nuke", "-f"], b"").unwrap();
        self.same("nuke");
    }

    /// Each reads what the other wrote.
    fn check_contents(&self) {
        let (ours, disk) = (meta_of(&self.theirs.disk()), self.theirs.disk());
        let file = TestFile::new(&self.ours.to_vec());
        for number in 0..8 {
            let loaded = luksmeta(&["load", "-s", &number.to_string(), "-d", file.name()], b"");
            match ours.slot(slot(number)) {
                Some(_) => {
                    assert_eq!(ours.data(slot(number)).unwrap().unwrap(), loaded.clone().unwrap());
                    assert_eq!(ours.load(&disk, slot(number)).unwrap(), loaded.unwrap());
                }
                None => assert_eq!(loaded, Err(69)),
            }
        }
    }
}

#[test]
fn each_step_gives_the_bytes_of_luksmeta() {
    let pair = Pair::new();
    pair.init();
    pair.init(); // nothing happens
    let other = Uuid::from_u128(7);
    assert!(pair.save(None, CLEVIS, b"{}"), "slot 1");
    assert!(pair.save(Some(0), CLEVIS, &data(2, 4096)));
    assert!(!pair.save(Some(0), CLEVIS, &data(2, 10)));
    assert!(pair.save(Some(7), other, &data(3, 4097)));
    assert!(pair.save(None, CLEVIS, &data(4, 1306)), "slot 3");
    let saved: Vec<_> = meta_of(&pair.ours).slots().map(|(s, m)| (s.number(), m.uuid, m.offset, m.length)).collect();
    assert_eq!(
        saved,
        [(0, CLEVIS, 8192, 4096), (1, CLEVIS, 4096, 2), (3, CLEVIS, 20480, 1306), (7, other, 12288, 4097)]
    );
    pair.check_contents();
    pair.wipe(0);
    pair.wipe(0); // nothing happens
    assert!(pair.save(Some(5), other, &data(5, 3000)), "where slot 0 was");
    assert!(pair.save(None, other, &data(6, 4096)), "the last block");
    assert!(!pair.save(None, other, b"x"), "full");
    pair.check_contents();
    pair.nuke();
    assert!(matches!(luks1_of(&pair.ours).meta(), MetaState::Absent));
    pair.init();
    pair.check_contents();
}

/// Any steps: allocation, fragmentation, refusals.
#[test]
fn any_steps_give_the_bytes_of_luksmeta() {
    for seed in 1..4u32 {
        let pair = Pair::new();
        pair.init();
        let mut state = seed;
        let mut next = |below: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) % below
        };
        for round in 0..40 {
            let number = u64::from(next(8));
            let len = [1, 100, 1306, 4095, 4096, 4097, 8192][next(7) as usize];
            match next(5) {
                0 | 1 => drop(pair.save(Some(number), CLEVIS, &data(round, len))),
                2 => drop(pair.save(None, Uuid::from_u128(u128::from(round) + 1), &data(round, len))),
                _ => pair.wipe(number),
            }
        }
        pair.check_contents();
    }
}

/// CVE-2025-11568, and what is left of it in luksmeta 9 as Debian 12 mended it: with slot 0 in use, 20481 bytes for another
/// slot reach into the data of the volume. We refuse, and the data is as it was.
#[test]
fn data_that_does_not_fit_is_refused_and_the_volume_is_untouched() {
    let pair = Pair::new();
    pair.init();
    assert!(pair.save(Some(0), CLEVIS, b"small"));
    let volume_data = |bytes: &[u8]| Hash::Sha256.digest(&[&bytes[PAYLOAD..]]).as_ref().to_vec();
    let before = pair.ours.to_vec();
    for len in [20_481, 24_576, 24_577, 28_672, 100_000, 1 << 20] {
        let refused = save(&pair.ours, Some(1), CLEVIS, &data(9, len)).unwrap_err();
        assert!(matches!(refused, EditError::NoRoomForMeta { .. }), "{len}: {refused:?}");
        assert!(refused.to_string().contains(&format!("{len} bytes for slot 1")), "{refused}");
        assert!(pair.ours.to_vec() == before, "{len}");
    }
    // The original takes it.
    let overwrites = pair.they(&["save", "-s", "1", "-u", &CLEVIS.to_string()], &data(9, 20_481));
    if overwrites.is_ok() {
        assert_ne!(volume_data(&pair.theirs.bytes()), volume_data(&before));
        // What it left behind is seen, is not read, and goes without a byte of the volume's data.
        let theirs = pair.theirs.disk();
        let broken = theirs.to_vec();
        let meta = meta_of(&theirs);
        assert!(matches!(meta.data(slot(1)), Some(Err(MetaError::Outside))));
        assert!(matches!(meta.load(&theirs, slot(1)), Err(MetaError::Outside)));
        assert_eq!(meta.data(slot(0)).unwrap().unwrap(), b"small");
        edit(&theirs, |edit| edit.wipe_meta(slot(1)).unwrap());
        assert_eq!(volume_data(&theirs.to_vec()), volume_data(&broken));
        assert!(theirs.to_vec()[GAP + 8192..PAYLOAD].iter().all(|b| *b == 0));
    }
    // All there is can be had.
    save(&pair.ours, Some(1), CLEVIS, &data(9, 20_480)).unwrap();
    let after = pair.ours.to_vec();
    assert_eq!(volume_data(&after), volume_data(&before));
    assert_eq!(meta_of(&pair.ours).data(slot(1)).unwrap().unwrap(), data(9, 20_480));
}

/// The original overlooks data of three blocks and more when it looks for room behind their beginning.
#[test]
fn data_of_another_slot_is_never_overwritten() {
    let pair = Pair::new();
    pair.init();
    assert!(pair.save(Some(1), CLEVIS, &data(1, 12_288)));
    assert_eq!(save(&pair.ours, Some(3), CLEVIS, b"small").unwrap(), 3);
    let meta = meta_of(&pair.ours);
    assert_eq!(meta.data(slot(1)).unwrap().unwrap(), data(1, 12_288));
    assert_eq!((meta.slot(slot(3)).unwrap().offset, meta.data(slot(3)).unwrap().unwrap()), (16_384, &b"small"[..]));
    // Where they lie over each other already, the one that goes takes nothing of the other with it.
    pair.they(&["save", "-s", "3", "-u", &CLEVIS.to_string()], b"small").unwrap();
    let theirs = pair.theirs.disk();
    if meta_of(&theirs).slot(slot(3)).unwrap().offset == 8192 {
        edit(&theirs, |edit| edit.wipe_meta(slot(1)).unwrap());
        assert_eq!(meta_of(&theirs).data(slot(3)).unwrap().unwrap(), b"small");
        let rest = theirs.to_vec()[GAP + 4096..GAP + 16_384].iter().filter(|b| **b != 0).count();
        assert_eq!(rest, 5);
    }
}

/// A slot of a table: where its data lies, mostly near the gap's beginning and end.
fn any_slot() -> impl Strategy<Value = (usize, u32, u32)> {
    let near = |places: Vec<u32>| (prop::sample::select(places), 0u32..9).prop_map(|(at, more)| at.wrapping_add(more));
    let offset = prop_oneof![near(vec![273, 4092, 8192, 24_576, 28_668, 28_672]), any::<u32>()];
    let length = prop_oneof![near(vec![0, 4092, 8188, 12_284, 24_568]), 0u32..24_576];
    (0usize..8, offset, length)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    /// Whatever a table says, nothing outside the gap is ever written, and no data of another slot.
    #[test]
    fn nothing_but_the_gap_is_written(
        slots in prop::collection::vec(any_slot(), 0..8),
        steps in prop::collection::vec((0u64..8, 1usize..30_000, any::<bool>()), 1..6),
    ) {
        let Volume { disk, .. } = small_volume();
        let gap = (1032 * 512)..SMALL_PAYLOAD;
        let mut entries: Vec<_> = slots.into_iter().map(|(slot, offset, length)| (slot, offset, length, 0)).collect();
        entries.sort();
        entries.dedup_by_key(|entry| entry.0);
        let rubbish = data(5, gap.len());
        disk.write_at(Bytes(gap.start as u64), &rubbish).unwrap();
        for entry in &mut entries {
            let place = rubbish.get(entry.1 as usize..).and_then(|rest| rest.get(..entry.2 as usize));
            entry.3 = place.map_or(0, crc32c);
        }
        disk.write_at(Bytes(gap.start as u64), &table(&entries)).unwrap();
        let before = disk.to_vec();
        for (number, len, wipe) in steps {
            let header = accepted(&disk);
            let Some(meta) = header.header().as_luks1().unwrap().meta().present() else { break };
            let mut edit = Edit::new(&header, &SystemRandom).unwrap();
            let made = if wipe {
                edit.wipe_meta(slot(number))
            } else {
                edit.save_meta(Some(slot(number)), CLEVIS, &data(7, len)).map(drop)
            };
            if made.is_err() {
                continue;
            }
            let kept: Vec<_> = meta.slots().filter(|(of, _)| *of != slot(number)).map(|(of, _)| (of, meta.load(&disk, of).ok())).collect();
            edit.apply(&disk).unwrap();
            let after = meta_of(&disk);
            for (of, data) in kept {
                prop_assert_eq!(after.load(&disk, of).ok(), data, "slot {}", of);
            }
            prop_assert_eq!(after.slot(slot(number)).is_some(), !wipe);
        }
        let after = disk.to_vec();
        prop_assert!(after[..gap.start] == before[..gap.start] && after[gap.end..] == before[gap.end..]);
    }

    /// Any bytes in place of some of the header or of the table are an answer or an error.
    #[test]
    fn any_bytes_are_an_answer(at in prop_oneof![0usize..1024, 1032usize * 512..1032 * 512 + 272], bytes in prop::collection::vec(any::<u8>(), 1..50)) {
        let Volume { disk, .. } = small_volume();
        edit(&disk, |edit| edit.init_meta().unwrap());
        disk.write_at(Bytes(at as u64), &bytes).unwrap();
        if let Ok(Ok(header)) = Header::read(&disk).map(|header| header.accept(&Allowed::default())) {
            let mut edit = Edit::new(&header, &SystemRandom).unwrap();
            let _ = edit.save_meta(None, CLEVIS, b"x");
            let _ = edit.remove_keyslot(slot(0));
            let _ = edit.apply(&disk);
            prop_assert_eq!(disk.to_vec()[SMALL_PAYLOAD..].to_vec(), vec![0xaa; 4096]);
        }
    }
}

/// One fault each. What luksmeta calls corrupt is damaged here, what it can load is loaded here, and the other way round.
#[test]
fn each_fault_of_a_table() {
    let Volume { disk, .. } = luks1_volume();
    let good = data(1, 100);
    let crc = crc32c(&good);
    let mut version = table(&[]);
    version[11] = 2;
    version[12..16].fill(0);
    let sum = crc32c(&version);
    version[12..16].copy_from_slice(&sum.to_be_bytes());
    let flipped = |at: usize| {
        let mut bytes = table(&[(0, 4096, 100, crc)]);
        bytes[at] ^= 1;
        bytes
    };
    let reserved = {
        let mut bytes = table(&[(0, 4096, 100, crc)]);
        bytes[12..16].fill(0);
        bytes[16 + 31] = 9;
        let sum = crc32c(&bytes);
        bytes[12..16].copy_from_slice(&sum.to_be_bytes());
        bytes
    };
    let cases: [(&str, Vec<u8>, &str); 16] = [
        ("empty", table(&[]), "present"),
        ("one slot", table(&[(0, 4096, 100, crc)]), "present 0:ok"),
        ("magic", flipped(0), "absent"),
        ("version", version, "LUKSMeta of the unknown version 2"),
        ("checksum", flipped(12), "the table of LUKSMeta does not have its checksum"),
        ("slot", flipped(20), "the table of LUKSMeta does not have its checksum"),
        ("last byte", flipped(271), "the table of LUKSMeta does not have its checksum"),
        ("reserved", reserved, "present 0:ok"),
        ("in the table", table(&[(0, 272, 100, crc)]), "the table of LUKSMeta misplaces the data of slot 0"),
        ("at the beginning", table(&[(5, 0, 100, crc)]), "the table of LUKSMeta misplaces the data of slot 5"),
        ("behind the table", table(&[(0, 273, 100, crc)]), "present 0:the data does not have its checksum"),
        ("too long", table(&[(7, 4096, 24_577, 0)]), "the table of LUKSMeta misplaces the data of slot 7"),
        ("outside", table(&[(0, 28_672, 100, crc), (1, 4096, 100, crc)]), "present 0:outside 1:ok"),
        ("far outside", table(&[(0, u32::MAX, 24_576, crc), (1, 4096, 100, crc)]), "present 0:outside 1:ok"),
        ("no length", table(&[(0, 4096, 0, 0)]), "present 0:ok"),
        ("data", table(&[(0, 4096, 99, crc)]), "present 0:the data does not have its checksum"),
    ];
    for (name, table, expected) in cases {
        let disk = with_gap(&disk, &[(0, &table), (4096, &good)]);
        let header = luks1_of(&disk);
        let found = match header.meta() {
            MetaState::NoGap => "no gap".to_owned(),
            MetaState::Absent => "absent".to_owned(),
            MetaState::Damaged(error) => error.to_string(),
            MetaState::Present(meta) => meta.slots().fold("present".to_owned(), |text, (slot, _)| {
                let state = match meta.data(slot).unwrap() {
                    Ok(_) => "ok".to_owned(),
                    Err(MetaError::Outside) => "outside".to_owned(),
                    Err(error) => error.to_string(),
                };
                format!("{text} {slot}:{state}")
            }),
        };
        assert_eq!(found, expected, "{name}");
        let file = TestFile::new(&disk.to_vec());
        let they_test = luksmeta(&["test", "-d", file.name()], b"");
        assert_eq!(they_test.is_ok(), header.meta().present().is_some(), "{name}: {they_test:?}");
        for (slot, _) in header.meta().present().iter().flat_map(|meta| meta.slots()) {
            let loaded = luksmeta(&["load", "-s", &slot.to_string(), "-d", file.name()], b"");
            let ours = header.meta().present().unwrap().data(slot).unwrap();
            assert_eq!(loaded.ok().as_deref(), ours.ok(), "{name} {slot}");
        }
        // The volume opens whatever is in its gap.
        assert_eq!(opens(&disk, "one"), Some(0), "{name}");
    }
}

#[test]
fn each_impossible_change_is_refused() {
    let Volume { disk, .. } = luks1_volume();
    let attempt = |disk: &MemoryDisk, make: &dyn Fn(&mut Edit<'_>) -> Result<(), EditError>| {
        let (header, before) = (accepted(disk), disk.to_vec());
        let mut edit = Edit::new(&header, &SystemRandom).unwrap();
        let error = make(&mut edit).unwrap_err();
        assert!(edit.steps().is_empty(), "{error:?}");
        edit.apply(disk).unwrap();
        assert!(disk.to_vec() == before);
        chain(&error)
    };
    let save = |number: Option<u64>, uuid: Uuid, data: &'static [u8]| {
        move |edit: &mut Edit<'_>| edit.save_meta(number.and_then(Slot::new), uuid, data).map(drop)
    };
    let no_meta = "there is no LUKSMeta yet";
    assert_eq!(attempt(&disk, &save(None, CLEVIS, b"x")), no_meta);
    assert_eq!(attempt(&disk, &|edit| edit.wipe_meta(slot(0))), no_meta);
    edit(&disk, |edit| edit.init_meta().unwrap());
    assert_eq!(attempt(&disk, &save(Some(8), CLEVIS, b"x")), "there is no slot 8");
    assert_eq!(attempt(&disk, &save(None, CLEVIS, b"")), "there are no data for slot 1 of LUKSMeta");
    let nil = "the UUID of all zeros means an empty slot of LUKSMeta";
    assert_eq!(attempt(&disk, &save(None, Uuid::nil(), b"x")), nil);
    edit(&disk, |edit| {
        edit.save_meta(Some(slot(3)), CLEVIS, b"x").unwrap();
    });
    assert_eq!(attempt(&disk, &save(Some(3), CLEVIS, b"x")), "slot 3 has data in LUKSMeta");
    let broken = with_gap(&disk, &[(14, b"!")]);
    let damaged = "the LUKSMeta that is there cannot be used: the table of LUKSMeta does not have its checksum";
    assert_eq!(attempt(&broken, &|edit| edit.init_meta()), damaged);
    assert_eq!(attempt(&broken, &|edit| edit.wipe_meta(slot(3))), damaged);
    assert_eq!(attempt(&broken, &save(None, CLEVIS, b"x")), damaged);
    // With both asked for, it becomes a new one.
    edit(&broken, |edit| {
        edit.nuke_meta().unwrap();
        edit.init_meta().unwrap();
        assert_eq!(edit.save_meta(None, CLEVIS, b"new").unwrap(), slot(1));
    });
    assert_eq!(meta_of(&broken).slots().count(), 1);
    assert_eq!(meta_of(&broken).data(slot(1)).unwrap().unwrap(), b"new");
    assert!(broken.to_vec()[GAP + 4099..PAYLOAD].iter().all(|b| *b == 0));
}

/// The beginning of a long disk of which nobody reads or writes much at once; the rest of it is this byte.
struct Long {
    disk: MemoryDisk,
    len: u64,
    rest: u8,
}

const AT_ONCE: usize = 4 << 20;

impl Long {
    fn refused(doing: &'static str, offset: Bytes) -> BlockError {
        BlockError::Failed { doing, offset, source: std::io::Error::other("too much at once") }
    }
}

impl BlockRead for Long {
    fn len(&self) -> Bytes {
        Bytes(self.len)
    }

    fn read_at(&self, offset: Bytes, into: &mut [u8]) -> Result<(), BlockError> {
        if into.len() > AT_ONCE {
            return Err(Long::refused("read", offset));
        }
        into.fill(self.rest);
        let there = self.disk.len().0.saturating_sub(offset.0).min(into.len() as u64) as usize;
        if there == 0 { Ok(()) } else { self.disk.read_at(offset, &mut into[..there]) }
    }
}

impl BlockWrite for Long {
    fn write_at(&self, offset: Bytes, from: &[u8]) -> Result<(), BlockError> {
        if from.len() > AT_ONCE { Err(Long::refused("write", offset)) } else { self.disk.write_at(offset, from) }
    }

    fn flush(&self) -> Result<(), BlockError> {
        Ok(())
    }
}

/// Anybody can write a table, and a payload that begins late: that costs no memory.
#[test]
fn data_of_any_length_is_not_held_in_memory() {
    const LENGTH: u32 = 1200 << 20;
    let Volume { disk, .. } = luks1_volume();
    disk.write_at(Bytes(104), &(3u32 << 20).to_be_bytes()).unwrap();
    let disk = with_gap(&disk, &[(0, &table(&[(1, 4096, LENGTH, 0)])), (4096, &[0; 16_384])]);
    let long = |rest| Long { disk: MemoryDisk::from(disk.to_vec()), len: (3 << 29) + 65_536, rest };
    let thin = long(0);
    assert!(matches!(meta_of(&thin).load(&thin, slot(1)), Err(MetaError::TooLong { length: LENGTH })));
    let header = accepted(&thin);
    let mut edit = Edit::new(&header, &SystemRandom).unwrap();
    let error = edit.wipe_meta(slot(1)).unwrap_err();
    assert!(matches!(error, EditError::MetaTooLong { size: Bytes(size), .. } if size == u64::from(LENGTH)), "{error}");
    let much = vec![1; META_MOST as usize + 1];
    let error = edit.save_meta(Some(slot(2)), CLEVIS, &much).unwrap_err();
    assert!(matches!(error, EditError::MetaTooLong { .. }), "{error}");
    // Other changes are possible beside it, and repairing does not follow it.
    edit.save_meta(Some(slot(3)), CLEVIS, &[5; 5]).unwrap();
    let repair = RepairPlan::new(&thin, UnusedAreas::All, &SystemRandom).unwrap();
    assert!(repair.steps().iter().all(|step| matches!(step, RepairStep::WipeUnused { .. })), "{repair}");
    repair.apply(&thin, Force::No).unwrap();
    let full = long(7);
    let error = RepairPlan::new(&full, UnusedAreas::All, &SystemRandom).unwrap_err();
    assert!(matches!(error, RepairError::TooMuchUnused { .. }), "{error}");
}

/// Of a gap that ends behind the disk no byte is made up in memory: what is there is used, and the whole is not overwritten.
#[test]
fn a_gap_that_the_disk_does_not_have() {
    let Volume { disk, .. } = luks1_volume();
    let cut = |len: usize, payload: u32| {
        let mut bytes = disk.to_vec();
        bytes.truncate(len);
        bytes[104..108].copy_from_slice(&payload.to_be_bytes());
        MemoryDisk::from(bytes)
    };
    let refused = |disk: &MemoryDisk, make: &dyn Fn(&mut Edit<'_>) -> Result<(), EditError>| {
        let header = accepted(disk);
        let mut edit = Edit::new(&header, &SystemRandom).unwrap();
        let error = make(&mut edit).unwrap_err();
        assert!(matches!(error, EditError::GapBehindDisk { .. }) && edit.steps().is_empty(), "{error}");
        error.to_string()
    };
    // 193 MiB of gap, of which the disk has four blocks and a half.
    let some = cut(GAP + 4096 * 4 + 2048, 0x62000);
    let said = refused(&some, &|edit| edit.nuke_meta());
    let expected = "the gap before the data at byte 205520896 reaches behind the end of the disk of 2086912 bytes";
    assert_eq!(said, expected);
    let after = edit(&some, |edit| edit.init_meta().unwrap()).header;
    assert_eq!(after.as_luks1().unwrap().meta().present().unwrap().gap(), meta_of(&some).gap());
    // It would fit into the gap, and not into what the disk has of it.
    assert!(matches!(save(&some, None, CLEVIS, &data(1, 4096 * 3 + 1)), Err(EditError::GapBehindDisk { .. })));
    save(&some, Some(2), CLEVIS, &data(1, 4096 * 3)).unwrap();
    assert_eq!(meta_of(&some).data(slot(2)).unwrap().unwrap(), data(1, 4096 * 3));
    // Data that ends behind the disk goes as far as it is there.
    let long = with_gap(&some, &[(0, &table(&[(2, 4096, 65_536, 0)]))]);
    edit(&long, |edit| edit.wipe_meta(slot(2)).unwrap());
    assert!(
        meta_of(&long).slots().next().is_none() && long.to_vec()[GAP + 4096..GAP + 4096 * 4].iter().all(|b| *b == 0)
    );
    RepairPlan::new(&some, UnusedAreas::All, &SystemRandom).unwrap().apply(&some, Force::No).unwrap();
    let none = cut(GAP + 4095, 0x62000);
    refused(&none, &|edit| edit.nuke_meta());
    refused(&none, &|edit| edit.init_meta());
    refused(&none, &|edit| edit.save_meta(None, CLEVIS, b"x").map(drop));
}

/// The gap ends where the data begins, in whole blocks.
#[test]
fn a_gap_of_any_length() {
    for (sector, blocks) in [(4040u32, 0), (4044, 0), (4048, 1), (4056, 2), (4063, 2), (5120, 135)] {
        let Volume { disk, .. } = luks1_volume();
        let mut bytes = disk.to_vec();
        bytes[104..108].copy_from_slice(&sector.to_be_bytes());
        bytes.resize(5 << 20, 0);
        let disk = MemoryDisk::from(bytes);
        let file = TestFile::new(&disk.to_vec());
        let header = accepted(&disk);
        let mut edit_it = Edit::new(&header, &SystemRandom).unwrap();
        let ours = edit_it.init_meta();
        let theirs = luksmeta(&["init", "-f", "-d", file.name()], b"");
        if blocks == 0 {
            assert!(matches!(luks1_of(&disk).meta(), MetaState::NoGap));
            assert!(matches!(ours, Err(EditError::NoGap)) && theirs == Err(73), "{sector} {theirs:?}");
            assert!(matches!(edit_it.nuke_meta(), Err(EditError::NoGap)));
            assert!(matches!(edit_it.save_meta(None, CLEVIS, b"x"), Err(EditError::NoGap)));
            continue;
        }
        theirs.unwrap();
        edit_it.apply(&disk).unwrap();
        assert_eq!(meta_of(&disk).gap().size(), Bytes(blocks * 4096), "{sector}");
        let most = usize::try_from((blocks - 1) * 4096).unwrap();
        let too_much = save(&disk, None, CLEVIS, &data(1, most + 1));
        assert!(matches!(too_much, Err(EditError::NoRoomForMeta { .. })), "{sector}");
        if most > 0 {
            save(&disk, None, CLEVIS, &data(1, most)).unwrap();
            luksmeta(&["save", "-s", "1", "-u", &CLEVIS.to_string(), "-d", file.name()], &data(1, most)).unwrap();
        }
        assert!(disk.to_vec() == file.bytes(), "{sector}");
        if most > 64 << 10 {
            let meta = meta_of(&disk);
            assert!(meta.data(slot(1)).is_none(), "so much is not read with every header");
            assert_eq!(meta.load(&disk, slot(1)).unwrap(), data(1, most));
        }
    }
    let options =
        FormatOptions { data: DataPlace::OtherDisk, data_offset: Bytes(0), ..FormatOptions::luks1(pbkdf2(), 64) };
    let disk = MemoryDisk::zeroed(3 << 20);
    let plan = FormatPlan::new(disk.len(), options).unwrap();
    plan.apply(&disk, &passphrase("one"), &SystemRandom, &mut |_| {}).unwrap();
    assert!(matches!(luks1_of(&disk).meta(), MetaState::NoGap));
}

/// Together with its removal, data gives way to other data in one write of the table.
#[test]
fn data_is_replaced_at_once() {
    let Volume { disk, .. } = luks1_volume();
    edit(&disk, |edit| {
        edit.init_meta().unwrap();
        edit.save_meta(Some(slot(0)), CLEVIS, &data(1, 5000)).unwrap();
    });
    edit(&disk, |edit| {
        edit.wipe_meta(slot(0)).unwrap();
        edit.save_meta(Some(slot(0)), CLEVIS, &data(2, 700)).unwrap();
    });
    let meta = meta_of(&disk);
    assert_eq!(meta.data(slot(0)).unwrap().unwrap(), data(2, 700));
    assert_eq!(meta.slot(slot(0)).unwrap().offset, 12_288);
    assert!(disk.to_vec()[GAP + 4096..GAP + 12_288].iter().all(|b| *b == 0), "the old data is gone");
    // Data of one edit that does not stay leaves nothing.
    let before = disk.to_vec();
    edit(&disk, |edit| {
        edit.save_meta(Some(slot(1)), CLEVIS, &data(3, 700)).unwrap();
        edit.wipe_meta(slot(1)).unwrap();
    });
    assert!(disk.to_vec() == before);
}

#[test]
fn a_gap_that_cannot_be_read_does_not_keep_the_volume_shut() {
    let Volume { disk, .. } = luks1_volume();
    edit(&disk, |edit| {
        edit.init_meta().unwrap();
        edit.save_meta(Some(slot(0)), CLEVIS, b"x").unwrap();
    });
    let failing = |from: usize| FailingDisk::new(MemoryDisk::from(disk.to_vec()), Failing::ReadFrom(from as u64));
    let header = luks1_of(&failing(GAP));
    let MetaState::Damaged(error) = header.meta() else { panic!("{:?}", header.meta()) };
    assert_eq!(chain(error), "the gap behind the key material cannot be read: cannot read at byte 2068480: planned");
    assert_eq!(opens(&failing(GAP), "one"), Some(0));
    let meta = meta_of(&failing(GAP + 4096));
    assert!(matches!(meta.data(slot(0)), Some(Err(MetaError::Disk { .. }))));
    assert!(matches!(meta.load(&disk, slot(1)), Err(MetaError::Empty)));
    assert!(meta.data(slot(1)).is_none());
}
