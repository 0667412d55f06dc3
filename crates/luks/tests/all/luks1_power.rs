//! The power fails at every moment of every change of a LUKS1 volume, and what should open opens.
//!
//! A disk writes down what is written and flushed. Then every state is made in which a disk could be that lost power: after
//! each write, inside each write at each sector, and, between two flushes, with any of the writes and of their sectors done
//! and the others not. A sector is written whole or not at all.

use crate::luks1_support::*;
use crate::recorder::*;
use crate::support::*;
use block::MemoryDisk;
use crypto::{Hash, SystemRandom, VolumeKey};
use luks::*;
use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// What must hold at every moment of a change.
#[derive(Clone, Default)]
struct Promise {
    /// These passphrases open.
    open: Vec<&'static str>,
    /// Of each pair at least one opens.
    either: Vec<[&'static str; 2]>,
    /// Of each pair one is the data of a slot that it opens: the volume opens by itself. Twice the same: that one.
    bound: Vec<[&'static str; 2]>,
    /// These slots may be in use and opened by nothing, because they are being removed or overwritten on purpose.
    dead: Vec<u8>,
}

/// All passphrases that there ever are.
const KNOWN: [&str; 12] = ["one", "two", "three", "four", "p4", "p5", "p6", "p7", "b2", "b3", "b6", "new"];

impl Promise {
    /// Whether it matters what a slot opens with: one that goes for nothing may be half overwritten.
    fn counts(&self, slot: u8) -> bool {
        !self.dead.contains(&slot) || !self.either.is_empty()
    }
}

/// Opens slots, and remembers how that went: most states differ in places that do not matter.
#[derive(Default)]
struct Opener {
    known: HashMap<u64, Option<&'static str>>,
    states: usize,
}

impl Opener {
    /// The passphrase that opens this slot, of all there are.
    fn who_opens(&mut self, disk: &Image<'_>, header: &Accepted, slot: Slot) -> Option<&'static str> {
        let luks1 = header.header().as_luks1().unwrap();
        let entry = &luks1.slots[usize::from(slot.number())];
        let start = usize::try_from(entry.material.0).unwrap();
        let mut hasher = DefaultHasher::new();
        (header.header().uuid().as_bytes(), entry.iterations, entry.salt).hash(&mut hasher);
        hasher.write(&disk.0[start..][..4000 * luks1.key_bytes as usize]);
        let find = || KNOWN.into_iter().find(|text| open_keyslot(disk, header, slot, &passphrase(text)).is_ok());
        *self.known.entry(hasher.finish()).or_insert_with(find)
    }

    /// Judges one state.
    fn check(&mut self, bytes: &[u8], payload: &[u8], promise: &Promise, when: &dyn Fn() -> String) {
        self.states += 1;
        let disk = Image(bytes);
        let header = Header::read(&disk).unwrap_or_else(|e| panic!("{}: {}", when(), chain(&e)));
        let header = header.accept(&Allowed::default()).unwrap_or_else(|e| panic!("{}: {e}", when()));
        let mut opening = HashMap::new();
        for slot in header.slots().filter(|slot| promise.counts(slot.number())) {
            match self.who_opens(&disk, &header, slot) {
                Some(text) => drop(opening.insert(slot, text)),
                None => assert!(promise.dead.contains(&slot.number()), "{}: nothing opens slot {slot}", when()),
            }
        }
        let texts: HashSet<&str> = opening.values().copied().collect();
        for text in &promise.open {
            assert!(texts.contains(text), "{}: {text} does not open", when());
        }
        for pair in &promise.either {
            assert!(pair.iter().any(|text| texts.contains(text)), "{}: none of {pair:?} opens", when());
        }
        let meta = header.header().as_luks1().unwrap().meta();
        assert!(!matches!(meta, MetaState::Damaged(_)), "{}: {meta:?}", when());
        let mut bound: HashSet<&str> = HashSet::new();
        for (slot, _) in meta.present().iter().flat_map(|meta| meta.slots()) {
            let data = meta.present().unwrap().data(slot).unwrap();
            let data = data.unwrap_or_else(|e| panic!("{}: data of slot {slot}: {e}", when()));
            bound.extend(opening.get(&slot).filter(|text| text.as_bytes() == data));
        }
        for pair in &promise.bound {
            assert!(pair.iter().any(|text| bound.contains(text)), "{}: none of {pair:?} is bound", when());
        }
        assert!(bytes.ends_with(payload), "{}: the data of the volume has changed", when());
    }
}

/// Interrupted here and repaired: what should open opens, and nothing is left that nothing refers to.
fn check_repaired(opener: &mut Opener, state: &[u8], promise: &Promise, when: &dyn Fn() -> String) {
    let payload = state[SMALL_PAYLOAD..].to_vec();
    let disk = MemoryDisk::from(state.to_vec());
    let plan = RepairPlan::new(&disk, UnusedAreas::All, &SystemRandom).unwrap();
    plan.apply(&disk, Force::No).unwrap_or_else(|e| panic!("{}: {}", when(), chain(&e)));
    let bytes = disk.to_vec();
    opener.check(&bytes, &payload, promise, when);
    let header = luks1_of(&disk);
    let mut referred = vec![false; SMALL_PAYLOAD];
    referred[..1024].fill(true);
    for entry in header.slots.iter().filter(|entry| entry.active) {
        referred[usize::try_from(entry.material.0).unwrap()..][..64_000].fill(true);
    }
    for (slot, entry) in header.meta().present().iter().flat_map(|meta| meta.slots()) {
        assert!(header.slots[usize::from(slot.number())].active, "{}: data of slot {slot}", when());
        referred[1032 * SECTOR + entry.offset as usize..][..entry.length as usize].fill(true);
    }
    let gap = 1032 * SECTOR + 4096..SMALL_PAYLOAD;
    if header.meta().present().is_some() {
        assert!(gap.clone().all(|i| referred[i] || bytes[i] == 0), "{}: something is left in the gap", when());
    }
    // Key material that no slot is in has become other bytes.
    for start in
        header.slots.iter().filter(|entry| !entry.active).map(|entry| usize::try_from(entry.material.0).unwrap())
    {
        let same = (start..start + 64_000).filter(|i| bytes[*i] == state[*i]).count();
        assert!(same < 64_000 / 128, "{}: key material at {start} is left", when());
    }
}

/// Judges every state between `before` and the end of these writes.
fn cut_everywhere(opener: &mut Opener, name: &str, before: &[u8], epochs: &[Epoch], promise: &Promise) -> Vec<u8> {
    let payload = before[SMALL_PAYLOAD..].to_vec();
    let mut start = before.to_vec();
    opener.check(&start, &payload, promise, &|| format!("{name}: at the beginning"));
    for (n, epoch) in epochs.iter().enumerate() {
        if !epoch.is_empty() {
            check_repaired(opener, &start, promise, &|| format!("{name}: repaired before epoch {n}"));
        }
        assert!(epoch.len() <= 6, "{name}: {} writes between two flushes", epoch.len());
        // Any of the writes.
        for subset in 0..1u32 << epoch.len() {
            let mut state = start.clone();
            let chosen = epoch.iter().enumerate().filter(|(i, _)| subset >> i & 1 == 1);
            chosen.for_each(|(_, (at, bytes))| put(&mut state, *at, bytes));
            opener.check(&state, &payload, promise, &|| format!("{name}: epoch {n}, writes {subset:b}"));
        }
        // Each write up to each of its sectors, with nothing or all of the others.
        for (i, write) in epoch.iter().enumerate() {
            for others in [false, true] {
                let mut state = start.clone();
                let rest = epoch.iter().enumerate().filter(|(j, _)| others && *j != i);
                rest.for_each(|(_, (at, bytes))| put(&mut state, *at, bytes));
                for (k, (at, piece)) in sectors(write).into_iter().enumerate() {
                    put(&mut state, at, piece);
                    let when = || format!("{name}: epoch {n}, write {i} cut after sector {k}, others: {others}");
                    opener.check(&state, &payload, promise, &when);
                }
            }
        }
        // Any of all their sectors.
        for seed in 1..9 {
            let mut state = start.clone();
            let pieces = epoch.iter().flat_map(sectors).zip(masks(seed * 0x9E37_79B9 + n)).filter(|(_, done)| *done);
            pieces.for_each(|((at, piece), _)| put(&mut state, at, piece));
            opener.check(&state, &payload, promise, &|| format!("{name}: epoch {n}, some sectors, {seed}"));
        }
        epoch.iter().for_each(|(at, bytes)| put(&mut start, *at, bytes));
    }
    start
}

fn add(edit: &mut Edit<'_>, key: &VolumeKey, number: u64, text: &str) {
    edit.add_keyslot(&new(key, &passphrase(text), Some(slot(number)))).unwrap();
}

fn new<'a>(key: &'a VolumeKey, passphrase: &'a crypto::Passphrase, slot: Option<Slot>) -> NewKeyslot<'a> {
    NewKeyslot { key, passphrase, slot, kdf: pbkdf2_of(Hash::Sha1), af_hash: Hash::Sha1 }
}

/// Slot 0: `one`; 1: `two`; 2: `b2`, bound; 6: `b6`, bound.
fn volume_with_bindings() -> Volume {
    let volume = small_volume();
    edit(&volume.disk, |edit| {
        add(edit, &volume.key, 1, "two");
        edit.init_meta().unwrap();
        for (number, text) in [(2, "b2"), (6, "b6")] {
            add(edit, &volume.key, number, text);
            edit.save_meta(Some(slot(number)), CLEVIS, text.as_bytes()).unwrap();
        }
    });
    volume
}

/// One kind of change.
struct Case<'c> {
    name: String,
    make: Box<dyn Fn(&mut Edit<'_>) + 'c>,
    promise: Promise,
}

impl<'c> Case<'c> {
    /// Everything opens that did, and the bindings hold.
    fn new(name: impl Into<String>, make: impl Fn(&mut Edit<'_>) + 'c) -> Case<'c> {
        let promise =
            Promise { open: vec!["one", "two", "b2", "b6"], bound: vec![["b2"; 2], ["b6"; 2]], ..Promise::default() };
        Case { name: name.into(), make: Box::new(make), promise }
    }

    /// But this slot goes, and its binding with it.
    fn without(mut self, text: &str, number: u8) -> Case<'c> {
        self.promise.open.retain(|open| *open != text);
        self.promise.bound.retain(|bound| bound[0] != text);
        self.promise.dead.push(number);
        self
    }

    /// But this one gives way to `new`.
    fn replacing(mut self, text: &'static str, new: &'static str) -> Case<'c> {
        self.promise.open.retain(|open| *open != text);
        self.promise.either.push([text, new]);
        self
    }

    /// And so does its binding.
    fn rebinding(mut self, text: &'static str, new: &'static str) -> Case<'c> {
        self.promise.bound.iter_mut().filter(|bound| bound[0] == text).for_each(|bound| *bound = [text, new]);
        self
    }
}

/// Writes it and takes it back; judges every state on both ways.
fn check(opener: &mut Opener, before: &MemoryDisk, case: &Case<'_>) {
    let recorder = Recorder::new(MemoryDisk::from(before.to_vec()));
    let header = accepted(&recorder);
    let mut edit = Edit::new(&header, &SystemRandom).unwrap();
    (case.make)(&mut edit);
    let applied = edit.apply(&recorder).unwrap_or_else(|e| panic!("{}: {}", case.name, chain(&e)));
    let after = cut_everywhere(opener, &case.name, &before.to_vec(), &recorder.epochs(), &case.promise);
    assert!(after == recorder.disk.to_vec(), "{}", case.name);
    applied.undo.revert(&recorder).unwrap();
    let back = cut_everywhere(opener, &format!("{}, undone", case.name), &after, &recorder.epochs(), &case.promise);
    assert!(back == before.to_vec(), "{}", case.name);
}

#[test]
fn slots_and_data_come_and_go() {
    let Volume { disk, key } = volume_with_bindings();
    let key = &key;
    let mut cases = Vec::new();
    for number in [3, 4, 5, 7] {
        cases.push(Case::new(format!("add {number}"), move |edit| add(edit, key, number, "three")));
    }
    for (number, text) in [(0, "one"), (1, "two"), (2, "b2"), (6, "b6")] {
        let remove = move |edit: &mut Edit<'_>| edit.remove_keyslot(slot(number)).unwrap();
        cases.push(Case::new(format!("remove {number}"), remove).without(text, number as u8));
    }
    for number in [3, 7] {
        cases.push(Case::new(format!("bind {number}"), move |edit| {
            add(edit, key, number, "three");
            edit.save_meta(Some(slot(number)), CLEVIS, b"three").unwrap();
        }));
    }
    for (number, text) in [(2, "b2"), (6, "b6")] {
        let unbind = move |edit: &mut Edit<'_>| {
            edit.remove_keyslot(slot(number)).unwrap();
            edit.wipe_meta(slot(number)).unwrap();
        };
        cases.push(Case::new(format!("unbind {number}"), unbind).without(text, number as u8));
    }
    cases.push(Case::new("save", |edit| drop(edit.save_meta(None, CLEVIS, &[7; 5000]))));
    cases.push(Case::new("save for a person's slot", |edit| drop(edit.save_meta(Some(slot(0)), CLEVIS, b"one"))));
    let same_again = |edit: &mut Edit<'_>| {
        edit.wipe_meta(slot(2)).unwrap();
        edit.save_meta(Some(slot(2)), CLEVIS, b"b2").unwrap();
    };
    cases.push(Case::new("replace data", same_again));
    let mut wipe = Case::new("wipe", |edit| edit.wipe_meta(slot(6)).unwrap());
    wipe.promise.bound.pop();
    cases.push(wipe);
    let mut nuke = Case::new("nuke", |edit| edit.nuke_meta().unwrap());
    nuke.promise.bound.clear();
    cases.push(nuke);
    let again = |edit: &mut Edit<'_>| {
        edit.nuke_meta().unwrap();
        edit.init_meta().unwrap();
        edit.save_meta(Some(slot(0)), CLEVIS, b"one").unwrap();
    };
    let mut again = Case::new("nuke and begin again", again);
    again.promise.bound.clear();
    cases.push(again);
    let turn = move |edit: &mut Edit<'_>| {
        add(edit, key, 7, "three");
        edit.save_meta(Some(slot(7)), CLEVIS, b"three").unwrap();
        edit.remove_keyslot(slot(6)).unwrap();
        edit.wipe_meta(slot(6)).unwrap();
        edit.remove_keyslot(slot(1)).unwrap();
    };
    let mut turn = Case::new("bind 7, unbind 6, remove 1", turn).without("b6", 6).without("two", 1);
    // What comes is there before anything goes.
    turn.promise.either.push(["b6", "three"]);
    turn.promise.bound.push(["b6", "three"]);
    cases.push(turn);
    let mut opener = Opener::default();
    cases.iter().for_each(|case| check(&mut opener, &disk, case));
    assert!(opener.states > 5000, "{} states", opener.states);
}

/// Slot 6 is free here: its entry lies in two sectors. And there is no LUKSMeta yet.
#[test]
fn the_slot_in_two_sectors_comes() {
    let Volume { disk, key } = small_volume();
    let key = &key;
    let mut opener = Opener::default();
    let promise = Promise { open: vec!["one"], ..Promise::default() };
    let mut check_on = |disk: &MemoryDisk, name: &str, make: &dyn Fn(&mut Edit<'_>)| {
        let case = Case { name: name.into(), make: Box::new(make), promise: promise.clone() };
        check(&mut opener, disk, &case);
    };
    check_on(&disk, "init", &|edit| edit.init_meta().unwrap());
    check_on(&disk, "init, bind 6", &|edit| {
        edit.init_meta().unwrap();
        add(edit, key, 6, "b6");
        edit.save_meta(Some(slot(6)), CLEVIS, b"b6").unwrap();
    });
    check_on(&disk, "add 6 and 7 and 5, remove none", &|edit| {
        [(6, "p6"), (7, "p7"), (5, "two")].into_iter().for_each(|(n, text)| add(edit, key, n, text));
    });
    edit(&disk, |edit| (1..6).for_each(|n| add(edit, key, n, "two")));
    check_on(&disk, "add 6", &|edit| add(edit, key, 6, "p6"));
}

#[test]
fn a_passphrase_gives_way_to_another() {
    let Volume { disk, key } = volume_with_bindings();
    let key = &key;
    let mut opener = Opener::default();
    let replace = |number: u64| {
        move |edit: &mut Edit<'_>| edit.replace_keyslot(slot(number), &new(key, &passphrase("new"), None)).unwrap()
    };
    let rebind = |number: u64| {
        move |edit: &mut Edit<'_>| {
            replace(number)(edit);
            edit.wipe_meta(slot(number)).unwrap();
            edit.save_meta(Some(slot(number)), CLEVIS, b"new").unwrap();
        }
    };
    for (number, text) in [(0, "one"), (1, "two"), (2, "b2"), (6, "b6")] {
        let mut case = Case::new(format!("replace {number}"), replace(number)).replacing(text, "new");
        // Its data is of the old passphrase.
        case.promise.bound.retain(|bound| bound[0] != text);
        check(&mut opener, &disk, &case);
    }
    for (number, text) in [(2, "b2"), (6, "b6")] {
        let case =
            Case::new(format!("bind {number} anew"), rebind(number)).replacing(text, "new").rebinding(text, "new");
        check(&mut opener, &disk, &case);
    }
    // Slot 6 is the only one that can hold the key for another.
    let Volume { disk, key: other } = small_volume();
    edit(&disk, |edit| {
        (1..6).for_each(|n| add(edit, &other, n, "two"));
        add(edit, &other, 7, "p7");
    });
    let promise = Promise { open: vec!["one", "two"], either: vec![["p7", "new"]], ..Promise::default() };
    let by_6 = |edit: &mut Edit<'_>| edit.replace_keyslot(slot(7), &new(&other, &passphrase("new"), None)).unwrap();
    check(&mut opener, &disk, &Case { name: "replace 7 by way of 6".into(), make: Box::new(by_6), promise });
    let changed = edit(&disk, by_6);
    assert!(!changed.header.as_luks1().unwrap().slots[6].active);
    assert_eq!(opens(&disk, "new"), Some(7));
    let file = TestFile::new(&disk.to_vec());
    assert!(they_open(&file, 7, "new") && they_open(&file, 0, "one"));
}

/// With all slots in use it is refused, and who insists has been told.
#[test]
fn a_passphrase_with_no_slot_to_spare() {
    let Volume { disk, key } = small_volume();
    let all = ["two", "three", "four", "p4", "p5", "p6", "p7"];
    edit(&disk, |edit| all.iter().zip(1..).for_each(|(text, n)| add(edit, &key, n, text)));
    let header = accepted(&disk);
    let with = passphrase("new");
    let mut attempt = Edit::new(&header, &SystemRandom).unwrap();
    let refused = attempt.replace_keyslot(slot(6), &new(&key, &with, None)).unwrap_err();
    assert_eq!(refused.to_string(), "all slots are in use, so slot 6 could only be overwritten where it is");
    assert!(attempt.steps().is_empty());
    // A slot that is removed in the same edit is still needed.
    attempt.remove_keyslot(slot(1)).unwrap();
    let refused = attempt.replace_keyslot(slot(6), &new(&key, &with, None));
    assert!(matches!(refused, Err(EditError::NoSlotToSpare { .. })));
    let mut opener = Opener::default();
    for (number, text) in [(0u8, "one"), (6, "p6"), (7, "p7")] {
        let in_place = |edit: &mut Edit<'_>| {
            edit.replace_keyslot_in_place(slot(number.into()), &new(&key, &passphrase("new"), None)).unwrap();
        };
        let open = std::iter::once("one").chain(all).filter(|open| *open != text).collect();
        let promise = Promise { open, ..Promise::default() };
        check(&mut opener, &disk, &Case { name: format!("overwrite {number}"), make: Box::new(in_place), promise });
    }
    edit(&disk, |edit| {
        edit.replace_keyslot_in_place(slot(6), &new(&key, &passphrase("new"), None)).unwrap();
    });
    assert_eq!((opens(&disk, "new"), opens(&disk, "p6")), (Some(6), None));
}

/// A repair that is interrupted can be made again.
#[test]
fn a_repair_is_a_change_too() {
    let Volume { disk, key } = volume_with_bindings();
    let mut opener = Opener::default();
    let promise = Case::new("", |_| ()).promise;
    edit(&disk, |edit| {
        edit.save_meta(Some(slot(3)), CLEVIS, b"left over").unwrap();
        add(edit, &key, 7, "p7");
    });
    for areas in [UnusedAreas::LeftOver, UnusedAreas::All] {
        let recorder = Recorder::new(MemoryDisk::from(disk.to_vec()));
        RepairPlan::new(&recorder, areas, &SystemRandom).unwrap().apply(&recorder, Force::No).unwrap();
        let after = cut_everywhere(&mut opener, "repair", &disk.to_vec(), &recorder.epochs(), &promise);
        assert!(after == recorder.disk.to_vec());
    }
    // Both sectors of the header are broken.
    let good = disk.to_vec();
    let mut broken = good.clone();
    for (at, piece) in
        [(0, &[0; 8][..]), (208 + 48 * 6, b"junk"), (208 + 48 * 5 + 40, b"junk"), (208 + 48 * 7, b"junk")]
    {
        put(&mut broken, at, piece);
    }
    let recorder = Recorder::new(MemoryDisk::from(broken.clone()));
    RepairPlan::new(&recorder, UnusedAreas::All, &SystemRandom).unwrap().apply(&recorder, Force::No).unwrap();
    let epochs: Vec<Epoch> = recorder.epochs().into_iter().filter(|epoch| !epoch.is_empty()).collect();
    assert_eq!(epochs.len(), 2);
    let expected = MemoryDisk::from(good);
    RepairPlan::new(&expected, UnusedAreas::LeftOver, &SystemRandom).unwrap().apply(&expected, Force::No).unwrap();
    let mut state = broken;
    for epoch in std::iter::once(Epoch::new()).chain(epochs) {
        epoch.iter().for_each(|(at, bytes)| put(&mut state, *at, bytes));
        let cut = MemoryDisk::from(state.clone());
        RepairPlan::new(&cut, UnusedAreas::LeftOver, &SystemRandom).unwrap().apply(&cut, Force::No).unwrap();
        let again = RepairPlan::new(&cut, UnusedAreas::LeftOver, &SystemRandom).unwrap();
        again.apply(&cut, Force::No).unwrap();
        assert!(cut.to_vec() == expected.to_vec());
    }
}

/// With one copy of the header there is no way back in the middle of these two; they can be made again from wherever they
/// were left.
#[test]
fn restoring_and_erasing_can_be_made_again() {
    let Volume { disk, key } = volume_with_bindings();
    let backup = Backup::read(&disk).unwrap();
    let restored = MemoryDisk::from(disk.to_vec());
    // The header differs in both sectors, the key material of slots 1 to 7.
    edit(&disk, |edit| {
        [3, 4, 5, 7].into_iter().for_each(|n| add(edit, &key, n, "three"));
        [1, 2, 6].into_iter().for_each(|n| edit.remove_keyslot(slot(n)).unwrap());
    });
    let again = |disk: &MemoryDisk| {
        let plan = RestorePlan::new(&backup, disk, &SystemRandom).unwrap();
        plan.apply(disk, Force::Yes).unwrap_or_else(|e| panic!("{}", chain(&e)));
        assert!(disk.to_vec() == restored.to_vec());
    };
    let recorder = Recorder::new(MemoryDisk::from(disk.to_vec()));
    RestorePlan::new(&backup, &recorder, &SystemRandom).unwrap().apply(&recorder, Force::Yes).unwrap();
    every_sector(&disk.to_vec(), &recorder.epochs(), 40, &mut |state| again(&MemoryDisk::from(state.to_vec())));

    let recorder = Recorder::new(MemoryDisk::from(disk.to_vec()));
    ErasePlan::new(&recorder, &SystemRandom).unwrap().apply(&recorder, &SystemRandom).unwrap();
    every_sector(&disk.to_vec(), &recorder.epochs(), 40, &mut |state| {
        let disk = MemoryDisk::from(state.to_vec());
        let erased = ErasePlan::new(&disk, &SystemRandom).unwrap().apply(&disk, &SystemRandom).unwrap();
        let header = luks1_of(&disk);
        assert!(header.slots.iter().all(|entry| !entry.active) && erased.areas.len() == 1);
        let bytes = disk.to_vec();
        for start in header.slots.iter().map(|entry| usize::try_from(entry.material.0).unwrap()) {
            let same = (start..start + 64_000).filter(|i| bytes[*i] == state[*i]).count();
            assert!(same < 64_000 / 128, "{same} bytes of the key material at {start} are as they were");
        }
        assert!(bytes[SMALL_PAYLOAD..] == state[SMALL_PAYLOAD..]);
    });
}

/// Every state of these writes in their order, but of long writes only each `nth` sector, the first and the last.
fn every_sector(before: &[u8], epochs: &[Epoch], nth: usize, judge: &mut dyn FnMut(&[u8])) {
    let mut state = before.to_vec();
    judge(&state);
    for write in epochs.iter().flatten() {
        let pieces = sectors(write);
        for (k, (at, piece)) in pieces.iter().enumerate() {
            put(&mut state, *at, piece);
            if k % nth == 0 || k + 1 == pieces.len() {
                judge(&state);
            }
        }
    }
}
