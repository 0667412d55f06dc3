//! The power fails at every moment of every change of a LUKS2 volume, and what should open opens; then `repair` brings the other
//! copy of the header back, so that we and cryptsetup see two good ones.
//!
//! A disk writes down what is written and flushed. Then every state is made in which a disk could be that lost power: after
//! each write, inside each write at each sector, and, between two flushes, with any of the writes and of their sectors done
//! and the others not. A sector of the header may be torn too: its first or its last bytes are new, or it is rubbish.

use crate::recorder::*;
use crate::support::*;
use block::{BlockWrite, Bytes, MemoryDisk};
use crypto::{Hash, Secret, SystemRandom, VolumeKey};
use json::{Limits, Object};
use luks::*;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hasher as _};
use std::rc::Rc;

/// Two copies of 16 KiB.
const HEADERS: usize = 32768;
/// The key material of a key of 16 bytes.
const AREA: usize = 65536;
/// Room for eight slots.
const DATA: usize = HEADERS + 8 * AREA;
/// All passphrases that there ever are.
const KNOWN: [&str; 7] = ["one", "two", "b2", "three", "four", "new", "other"];

/// What must hold at every moment of a change.
#[derive(Clone, Default)]
struct Promise {
    /// These passphrases open.
    open: Vec<&'static str>,
    /// Of each pair at least one opens.
    either: Vec<[&'static str; 2]>,
    /// These slots may be in use and opened by nothing, because they are being removed on purpose, or hold another key.
    dead: Vec<u8>,
    /// These tokens are there, as they were but for their lists of slots.
    tokens: Vec<u8>,
    /// Whether the header is sealed all the time, as it should be.
    sealed: bool,
}

/// Makes a change, and gives the way back if there is one.
type Run<'c> = Box<dyn Fn(&Recorder) -> Option<Undo> + 'c>;

/// One kind of change.
struct Case<'c> {
    name: String,
    run: Run<'c>,
    promise: Promise,
}

impl<'c> Case<'c> {
    /// Everything opens that did, and the tokens stay.
    fn new(name: &str, run: impl Fn(&Recorder) -> Option<Undo> + 'c) -> Case<'c> {
        let promise = Promise { open: vec!["one", "two", "b2"], tokens: vec![0, 1], ..Promise::default() };
        Case { name: name.to_owned(), run: Box::new(run), promise }
    }

    fn edit(name: &str, make: impl Fn(&mut Edit<'_>) + 'c) -> Case<'c> {
        Case::new(name, move |disk| {
            let header = accepted(disk);
            let mut edit = Edit::new(&header, &SystemRandom).unwrap();
            make(&mut edit);
            Some(edit.apply(disk).unwrap().undo)
        })
    }

    /// But this slot goes.
    fn without(mut self, text: &str, number: u8) -> Case<'c> {
        self.promise.open.retain(|open| *open != text);
        self.promise.dead.push(number);
        self
    }

    /// But this passphrase gives way to `new`.
    fn replacing(mut self, text: &'static str, new: &'static str) -> Case<'c> {
        self.promise.open.retain(|open| *open != text);
        self.promise.either.push([text, new]);
        self
    }

    fn without_token(mut self, number: u8) -> Case<'c> {
        self.promise.tokens.retain(|token| *token != number);
        self
    }

    /// This slot holds another key than that of the data.
    fn unbound(mut self, number: u8) -> Case<'c> {
        self.promise.dead.push(number);
        self
    }

    fn sealed(mut self) -> Case<'c> {
        self.promise.sealed = true;
        self
    }
}

/// Tokens without their lists of slots.
type Tokens = BTreeMap<TokenId, String>;

/// A salt, and the bytes on the disk.
type Material = (Vec<u8>, Vec<u8>);

/// Judges states, and remembers how it went: most differ in places that do not matter.
struct Judge<'j> {
    key: &'j VolumeKey,
    /// The last headers that were read, by their bytes.
    header: Option<(Vec<u8>, Rc<Accepted>)>,
    /// The tokens of the headers that a case began with, by their bytes.
    tokens: Option<(Vec<u8>, Rc<Tokens>)>,
    /// What each slot's key material was last.
    last: HashMap<Slot, (Material, Option<&'static str>)>,
    opened: HashMap<Material, Option<&'static str>>,
    mended: HashSet<u64>,
    shown: HashSet<(String, String)>,
    states: usize,
}

fn members(token: &Token) -> String {
    let mut members = token.members.clone();
    members.remove("keyslots");
    json::Value::from(members).to_compact().to_string()
}

impl Judge<'_> {
    fn new(key: &VolumeKey) -> Judge<'_> {
        Judge {
            key,
            header: None,
            tokens: None,
            last: HashMap::new(),
            opened: HashMap::new(),
            mended: HashSet::new(),
            shown: HashSet::new(),
            states: 0,
        }
    }

    /// The passphrase that opens this slot, of all there are.
    fn who_opens(&mut self, bytes: &[u8], header: &Accepted, slot: Slot) -> Option<&'static str> {
        let keyslot = &header.header().as_luks2().unwrap().metadata().keyslots[&slot];
        let KdfMember::Pbkdf2 { salt, .. } = &keyslot.as_luks2().unwrap().kdf else { panic!("another kind") };
        let material = &bytes[keyslot.area.offset().0 as usize..keyslot.area.end().0 as usize];
        if let Some(((last_salt, last), text)) = self.last.get(&slot)
            && last == material
            && last_salt == salt
        {
            return *text;
        }
        let material = (salt.clone(), material.to_vec());
        let disk = Image(bytes);
        let find = || KNOWN.into_iter().find(|text| open_keyslot(&disk, header, slot, &passphrase(text)).is_ok());
        let text = *self.opened.entry(material.clone()).or_insert_with(find);
        self.last.insert(slot, (material, text));
        text
    }

    /// Reads the header, unless it is the last one once more.
    fn accept(&mut self, bytes: &[u8], when: &dyn Fn() -> String) -> Rc<Accepted> {
        if let Some((last, header)) = &self.header
            && *last == bytes[..HEADERS]
        {
            return header.clone();
        }
        let header = Header::read(&Image(bytes)).unwrap_or_else(|e| panic!("{}: {}", when(), chain(&e)));
        let header = Rc::new(header.accept(&Allowed::default()).unwrap_or_else(|e| panic!("{}: {e}", when())));
        self.header = Some((bytes[..HEADERS].to_vec(), header.clone()));
        header
    }

    /// The header opens what it should, and has the tokens that it should.
    fn keeps(&mut self, bytes: &[u8], before: &[u8], promise: &Promise, when: &dyn Fn() -> String) -> Rc<Accepted> {
        let header = self.accept(bytes, when);
        let mut texts = HashSet::new();
        let slots: Vec<Slot> = header.slots().collect();
        for slot in slots.into_iter().filter(|slot| !promise.dead.contains(&slot.number())) {
            let text = self.who_opens(bytes, &header, slot);
            texts.insert(text.unwrap_or_else(|| panic!("{}: nothing opens slot {slot}", when())));
        }
        for text in &promise.open {
            assert!(texts.contains(text), "{}: {text} does not open", when());
        }
        for pair in &promise.either {
            assert!(pair.iter().any(|text| texts.contains(text)), "{}: none of {pair:?} opens", when());
        }
        let old = if promise.tokens.is_empty() { None } else { Some(self.tokens_of(before)) };
        for id in promise.tokens.iter().map(|id| token(u64::from(*id))) {
            let found = header.header().as_luks2().unwrap().metadata().tokens.get(&id);
            let found = found.unwrap_or_else(|| panic!("{}: token {id} is gone", when()));
            assert_eq!(members(found), old.as_ref().unwrap()[&id], "{}: token {id}", when());
        }
        let state = header.seal_state(self.key);
        assert!(state.is_clean() || (!promise.sealed && state == SealState::Unsealed), "{}: {state}", when());
        assert!(bytes[DATA..] == before[DATA..], "{}: the data of the volume has changed", when());
        header
    }

    /// What the tokens were in the beginning.
    fn tokens_of(&mut self, before: &[u8]) -> Rc<Tokens> {
        if let Some((last, tokens)) = &self.tokens
            && *last == before[..HEADERS]
        {
            return tokens.clone();
        }
        let header = Luks2::read(&Image(before)).unwrap();
        let tokens: Tokens = header.metadata().tokens.iter().map(|(id, token)| (*id, members(token))).collect();
        let tokens = Rc::new(tokens);
        self.tokens = Some((before[..HEADERS].to_vec(), tokens.clone()));
        tokens
    }

    /// Judges one state.
    fn check(&mut self, bytes: &[u8], before: &[u8], case: &Case<'_>, when: &dyn Fn() -> String) {
        self.states += 1;
        let header = self.keeps(bytes, before, &case.promise, when);
        let mut hasher = DefaultHasher::new();
        hasher.write(&bytes[..HEADERS]);
        if self.mended.insert(hasher.finish()) {
            self.mend(bytes, before, &header, case, when);
        }
    }

    /// What `repair` makes of it keeps the same promise, under the same header.
    fn mend(&mut self, bytes: &[u8], before: &[u8], header: &Accepted, case: &Case<'_>, when: &dyn Fn() -> String) {
        let disk = MemoryDisk::from(bytes.to_vec());
        let plan = RepairPlan::new(&disk, UnusedAreas::LeftOver, &SystemRandom).unwrap();
        plan.apply(&disk, Force::No).unwrap_or_else(|e| panic!("{}: {}", when(), chain(&e)));
        let repaired = disk.to_vec();
        let after = self.keeps(&repaired, before, &case.promise, &|| format!("{}, repaired", when()));
        let (old, new) = (header.header().as_luks2().unwrap(), after.header().as_luks2().unwrap());
        assert!(new.copies().iter().all(|c| matches!(c, CopyState::Good)), "{}: {:?}", when(), new.copies());
        assert_eq!(new.sequence(), old.sequence(), "{}", when());
        assert!(new.metadata().document() == old.metadata().document(), "{}", when());
        assert_eq!((new.label(), new.subsystem()), (old.label(), old.subsystem()), "{}", when());
        // A process takes its time: one look for each way in which the copies of a case can be.
        if self.shown.insert((case.name.clone(), format!("{:?}", old.copies()))) {
            let said = self.they_see(&repaired, when);
            assert!(!said.contains("recovery"), "{}: they find more to mend: {said}", when());
            let text = case.promise.open.first().into_iter().chain(case.promise.either.iter().flatten());
            let file = TestFile::new(bytes);
            let test = ["open", "--test-passphrase", "--key-file=-", file.name()];
            let mut texts = text.peekable();
            let opens = texts.peek().is_none() || texts.any(|text| cryptsetup(&test, text).is_ok());
            assert!(opens, "{}: nothing opens with cryptsetup", when());
        }
    }

    fn they_see(&self, bytes: &[u8], when: &dyn Fn() -> String) -> String {
        let file = TestFile::new(bytes);
        cryptsetup(&["luksDump", "--debug", file.name()], "").unwrap_or_else(|e| panic!("{}: {e}", when()))
    }

    /// Judges every state between `before` and the end of these writes.
    fn cut_everywhere(&mut self, name: &str, before: &[u8], epochs: &[Epoch], case: &Case<'_>) -> Vec<u8> {
        let mut start = before.to_vec();
        self.check(&start, before, case, &|| format!("{name}: at the beginning"));
        for (n, epoch) in epochs.iter().enumerate() {
            assert!(epoch.len() <= 6, "{name}: {} writes between two flushes", epoch.len());
            // Any of the writes.
            for subset in 0..1u32 << epoch.len() {
                let mut state = start.clone();
                let chosen = epoch.iter().enumerate().filter(|(i, _)| subset >> i & 1 == 1);
                chosen.for_each(|(_, (at, bytes))| put(&mut state, *at, bytes));
                self.check(&state, before, case, &|| format!("{name}: epoch {n}, writes {subset:b}"));
            }
            // Each write up to each of its sectors, with nothing or all of the others, and the last of them torn.
            for (i, write) in epoch.iter().enumerate() {
                for others in [false, true].into_iter().take(epoch.len().min(2)) {
                    let mut state = start.clone();
                    let rest = epoch.iter().enumerate().filter(|(j, _)| others && *j != i);
                    rest.for_each(|(_, (at, bytes))| put(&mut state, *at, bytes));
                    for (k, (at, piece)) in sectors(write).into_iter().enumerate() {
                        let when = || format!("{name}: epoch {n}, write {i} cut after sector {k}, others: {others}");
                        if at < HEADERS {
                            self.tear(&mut state, (at, piece), before, case, &when);
                        }
                        put(&mut state, at, piece);
                        self.check(&state, before, case, &when);
                    }
                }
            }
            // Any of all their sectors.
            for seed in 1..9 {
                let mut state = start.clone();
                let pieces =
                    epoch.iter().flat_map(sectors).zip(masks(seed * 0x9E37_79B9 + n)).filter(|(_, done)| *done);
                pieces.for_each(|((at, piece), _)| put(&mut state, at, piece));
                self.check(&state, before, case, &|| format!("{name}: epoch {n}, some sectors, {seed}"));
            }
            epoch.iter().for_each(|(at, bytes)| put(&mut start, *at, bytes));
        }
        start
    }

    /// One sector has only its first or its last bytes, or is rubbish.
    fn tear(
        &mut self,
        state: &mut [u8],
        (at, piece): (usize, &[u8]),
        before: &[u8],
        case: &Case<'_>,
        when: &dyn Fn() -> String,
    ) {
        let old = state[at..at + piece.len()].to_vec();
        if old == piece {
            return;
        }
        for kept in [1, 23, 256, 500].into_iter().filter(|kept| *kept < piece.len()) {
            put(state, at, &piece[..kept]);
            self.check(state, before, case, &|| format!("{}, the next one torn after {kept} bytes", when()));
            put(state, at, &piece[..piece.len()]);
            put(state, at, &old[..kept]);
            self.check(state, before, case, &|| format!("{}, of the next one {kept} bytes missing", when()));
            put(state, at, &old);
        }
        put(state, at, &vec![0x5a; piece.len()]);
        self.check(state, before, case, &|| format!("{}, the next one rubbish", when()));
        put(state, at, &old);
    }

    /// Makes the change and takes it back, if it can be; judges every state on both ways.
    fn judge(&mut self, before: &MemoryDisk, case: &Case<'_>) {
        let recorder = Recorder::new(MemoryDisk::from(before.to_vec()));
        let undo = (case.run)(&recorder);
        let after = self.cut_everywhere(&case.name, &before.to_vec(), &recorder.epochs(), case);
        assert!(after == recorder.disk.to_vec(), "{}", case.name);
        if let Some(undo) = undo {
            undo.revert(&recorder).unwrap();
            let name = format!("{}, undone", case.name);
            let back = self.cut_everywhere(&name, &after, &recorder.epochs(), case);
            assert!(back == before.to_vec(), "{}", case.name);
        }
    }
}

fn object(text: &str) -> Object {
    json::parse(text.as_bytes(), &Limits::SMALL).unwrap().as_object().unwrap().clone()
}

fn new<'a>(key: &'a VolumeKey, passphrase: &'a crypto::Passphrase) -> NewKeyslot<'a> {
    NewKeyslot { key, passphrase, slot: None, kdf: pbkdf2(), af_hash: Hash::Sha256 }
}

fn add(edit: &mut Edit<'_>, key: &VolumeKey, text: &str) -> Slot {
    edit.add_keyslot(&new(key, &passphrase(text))).unwrap()
}

fn replace(edit: &mut Edit<'_>, key: &VolumeKey, number: u64, text: &str) {
    edit.replace_keyslot(slot(number), &new(key, &passphrase(text))).unwrap();
}

fn change(disk: &dyn BlockWrite, make: impl FnOnce(&mut Edit<'_>)) {
    let header = accepted(&disk);
    let mut edit = Edit::new(&header, &SystemRandom).unwrap();
    make(&mut edit);
    edit.apply(disk).unwrap();
}

/// Slot 0: `one`; 1: `two`; 2: `b2`, with token 0; token 1 is somebody's.
fn small() -> Volume {
    let options = FormatOptions {
        cipher: Cipher::AesCbcEssivSha256,
        key_len: 16,
        data_offset: Bytes::from(DATA),
        ..FormatOptions::new(pbkdf2())
    };
    let volume = volume(options);
    change(&volume.disk, |edit| {
        add(edit, &volume.key, "two");
        add(edit, &volume.key, "b2");
        edit.add_token(None, object(r#"{"type":"clevis","keyslots":["2"],"jwe":{"protected":"e30"}}"#)).unwrap();
        edit.add_token(None, object(r#"{"type":"x","keyslots":["0","1"],"y":[null]}"#)).unwrap();
    });
    volume
}

#[test]
fn slots_come_and_go() {
    let Volume { disk, key } = small();
    let key = &key;
    let other = VolumeKey::new(Secret::copied_from(&[7; 16]));
    let other = &other;
    let mut judge = Judge::new(key);
    let remove = |number| move |edit: &mut Edit<'_>| edit.remove_keyslot(slot(number)).unwrap();
    let rebind = move |edit: &mut Edit<'_>| {
        replace(edit, key, 2, "new");
        edit.replace_token(token(0), object(r#"{"type":"clevis","keyslots":["2"],"jwe":{"protected":"fQ"}}"#)).unwrap();
    };
    let turn = move |edit: &mut Edit<'_>| {
        add(edit, key, "three");
        edit.add_token(None, object(r#"{"type":"clevis","keyslots":["3"],"jwe":{}}"#)).unwrap();
        edit.remove_keyslot(slot(2)).unwrap();
        edit.remove_token(token(0)).unwrap();
        edit.set_label("turned").unwrap();
    };
    let cases = [
        Case::edit("add", move |edit| drop_slot(add(edit, key, "three"))),
        Case::edit("remove 0", remove(0)).without("one", 0),
        Case::edit("remove 2", remove(2)).without("b2", 2),
        Case::edit("replace 0", move |edit| replace(edit, key, 0, "new")).replacing("one", "new"),
        Case::edit("replace 1", move |edit| replace(edit, key, 1, "new")).replacing("two", "new"),
        Case::edit("bind 2 anew", rebind).replacing("b2", "new").without_token(0),
        // What comes is there before anything goes.
        Case::edit("bind 3, unbind 2", turn).replacing("b2", "three").without_token(0),
        Case::edit("add a slot of another key", move |edit| {
            edit.add_unbound_keyslot(&new(other, &passphrase("other"))).unwrap();
        })
        .unbound(3),
    ];
    cases.iter().for_each(|case| judge.judge(&disk, case));
    change(&disk, |edit| {
        edit.add_unbound_keyslot(&new(other, &passphrase("other"))).unwrap();
    });
    judge.judge(&disk, &Case::edit("remove a slot of another key", remove(3)).unbound(3));
    assert!(judge.states > 5000, "{} states", judge.states);
}

fn drop_slot(_: Slot) {}

#[test]
fn what_a_header_says_changes() {
    let Volume { disk, key } = small();
    let key = &key;
    let mut judge = Judge::new(key);
    let a_token = || object(r#"{"type":"z","keyslots":["1"]}"#);
    let cases = [
        Case::edit("add a token", move |edit| drop(edit.add_token(None, a_token()))),
        Case::edit("replace a token", move |edit| edit.replace_token(token(1), a_token()).unwrap()).without_token(1),
        Case::edit("remove a token", |edit| edit.remove_token(token(0)).unwrap()).without_token(0),
        Case::edit("label", |edit| edit.set_label("a label of some length, up to forty-seven").unwrap()),
        Case::edit("subsystem", |edit| edit.set_subsystem("a rack").unwrap()),
        Case::edit("priority", |edit| edit.set_priority(slot(1), Priority::Prefer).unwrap()),
        Case::edit("flags", |edit| edit.set_flags(&Flag::ALL).unwrap()),
        Case::edit("seal", move |edit| assert_eq!(edit.seal(key).unwrap(), 1)),
    ];
    cases.iter().for_each(|case| judge.judge(&disk, case));
    change(&disk, |edit| assert_eq!(edit.seal(key).unwrap(), 1));
    let cases = [
        Case::edit("seal again", move |edit| assert_eq!(edit.seal(key).unwrap(), 2)).sealed(),
        Case::edit("add to a sealed one", move |edit| drop_slot(add(edit, key, "three"))).sealed(),
        Case::edit("replace in a sealed one", move |edit| replace(edit, key, 0, "new"))
            .replacing("one", "new")
            .sealed(),
    ];
    cases.iter().for_each(|case| judge.judge(&disk, case));
    assert!(judge.states > 3000, "{} states", judge.states);
}

/// One copy is bad or older before the change begins.
fn bad_copies(disk: &MemoryDisk) -> Vec<(&'static str, MemoryDisk)> {
    let old = disk.to_vec();
    change(disk, |edit| edit.set_label("newer").unwrap());
    let good = disk.to_vec();
    let with = |place: std::ops::Range<usize>, from: &[u8]| {
        let mut bytes = good.clone();
        bytes[place.clone()].copy_from_slice(&from[place]);
        MemoryDisk::from(bytes)
    };
    let flipped: Vec<u8> = good.iter().map(|b| b ^ 1).collect();
    vec![
        ("first damaged", with(4500..4501, &flipped)),
        ("second damaged", with(20884..20885, &flipped)),
        ("second gone", with(16384..20480, &vec![0; 20480])),
        ("first older", with(0..16384, &old)),
        ("second older", with(16384..32768, &old)),
    ]
}

#[test]
fn changes_of_a_header_with_one_bad_copy() {
    let Volume { disk, key } = small();
    let key = &key;
    let mut judge = Judge::new(key);
    for (state, disk) in bad_copies(&disk) {
        let name = |what: &str| format!("{state}: {what}");
        let cases = [
            Case::edit(&name("replace 0"), move |edit| replace(edit, key, 0, "new")).replacing("one", "new"),
            Case::edit(&name("remove 1"), |edit| edit.remove_keyslot(slot(1)).unwrap()).without("two", 1),
            Case::edit(&name("remove a token"), |edit| edit.remove_token(token(0)).unwrap()).without_token(0),
        ];
        cases.iter().for_each(|case| judge.judge(&disk, case));
    }
    assert!(judge.states > 5000, "{} states", judge.states);
}

#[test]
fn repairs() {
    let Volume { disk, key } = small();
    let mut judge = Judge::new(&key);
    let mut states = bad_copies(&disk);
    let gone = MemoryDisk::from(disk.to_vec());
    gone.write_at(Bytes(0), &[0; 8192]).unwrap();
    states.push(("first gone", gone));
    // A passphrase was changed, and the second copy was not written any more.
    let interrupted = MemoryDisk::from(disk.to_vec());
    change(&interrupted, |edit| replace(edit, &key, 1, "new"));
    let before = disk.to_vec();
    interrupted.write_at(Bytes(16384), &before[16384..32768]).unwrap();
    interrupted.write_at(Bytes::from(HEADERS + AREA), &before[HEADERS + AREA..HEADERS + 2 * AREA]).unwrap();
    for (state, disk) in states {
        for areas in [UnusedAreas::LeftOver, UnusedAreas::All] {
            let case = Case::new(&format!("{state}: repair {areas:?}"), move |disk| {
                let plan = RepairPlan::new(disk, areas, &SystemRandom).unwrap();
                Some(plan.apply(disk, Force::No).unwrap().undo)
            });
            judge.judge(&disk, &case);
        }
    }
    let case = Case::new("interrupted: repair", |disk| {
        let plan = RepairPlan::new(disk, UnusedAreas::LeftOver, &SystemRandom).unwrap();
        assert_eq!(plan.steps().len(), 2, "{plan}");
        Some(plan.apply(disk, Force::No).unwrap().undo)
    });
    judge.judge(&interrupted, &case.replacing("two", "new"));
    assert!(judge.states > 2000, "{} states", judge.states);
}

#[test]
fn restores() {
    let Volume { disk, key } = small();
    let key = &key;
    let backup = Backup::read(&disk).unwrap();
    let backup = &backup;
    let mut judge = Judge::new(key);
    let restore = |disk: &Recorder| {
        let plan = RestorePlan::new(backup, disk, &SystemRandom).unwrap();
        assert!(plan.is_interruptible(), "{plan}");
        Some(plan.apply(disk, Force::No).unwrap().undo)
    };
    let after = |make: &dyn Fn(&MemoryDisk)| {
        let changed = MemoryDisk::from(disk.to_vec());
        make(&changed);
        changed
    };
    let same = after(&|_| {});
    judge.judge(&same, &Case::new("restore what is there", restore));
    let more = after(&|disk| change(disk, |edit| drop_slot(add(edit, key, "three"))));
    judge.judge(&more, &Case::new("restore with a slot less", restore));
    let fewer = after(&|disk| change(disk, |edit| edit.remove_keyslot(slot(1)).unwrap()));
    let mut case = Case::new("restore with a slot more", restore);
    case.promise.open.retain(|text| *text != "two");
    judge.judge(&fewer, &case);
    let replaced = after(&|disk| change(disk, |edit| replace(edit, key, 1, "new")));
    judge.judge(&replaced, &Case::new("restore another passphrase", restore).replacing("two", "new"));
    // Slots 0 and 1 have other key material in the places that they have in the backup.
    let in_the_way = after(&|disk| {
        for text in ["three", "new"] {
            change(disk, |edit| replace(edit, key, 1, text));
        }
        for text in ["three", "four"] {
            change(disk, |edit| replace(edit, key, 0, text));
        }
    });
    let areas = |disk: &MemoryDisk| {
        let header = Luks2::read(disk).unwrap();
        [0, 1, 2].map(|n| header.metadata().keyslots[&slot(n)].area.offset().0)
    };
    assert_eq!(areas(&in_the_way), areas(&disk), "they are in the way");
    let case = Case::new("restore with detours", restore).replacing("two", "new").replacing("one", "four");
    judge.judge(&in_the_way, &case);
    let bad =
        bad_copies(&in_the_way).into_iter().filter(|(state, _)| ["first damaged", "second older"].contains(state));
    for (state, disk) in bad {
        let name = format!("{state}: restore with detours");
        judge.judge(&disk, &Case::new(&name, restore).replacing("two", "new").replacing("one", "four"));
    }
    assert!(judge.states > 5000, "{} states", judge.states);
}

/// Nothing that goes has to open. But the header is whole at every moment, and it can be tried again.
#[test]
fn an_erasure() {
    let Volume { disk, key } = small();
    let mut judge = Judge::new(&key);
    let erase = |disk: &Recorder| {
        let erased = ErasePlan::new(disk, &SystemRandom).unwrap().apply(disk, &SystemRandom).unwrap();
        assert_eq!(erased.slots.len(), 3);
        None
    };
    let case = Case::new("erase", erase).without("one", 0).without("two", 1).without("b2", 2);
    judge.judge(&disk, &case);
    let after = Recorder::new(MemoryDisk::from(disk.to_vec()));
    (case.run)(&after);
    let mut cut = disk.to_vec();
    for (at, bytes) in after.epochs().iter().flatten() {
        put(&mut cut, *at, bytes);
        let again = MemoryDisk::from(cut.clone());
        ErasePlan::new(&again, &SystemRandom).unwrap().apply(&again, &SystemRandom).unwrap();
        assert_eq!(accepted(&again).slots().count(), 0);
    }
    assert!(judge.states > 1000, "{} states", judge.states);
}
