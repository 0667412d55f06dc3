//! Bindings of LUKS1, which are kept in LUKSMeta.

use crate::scripted::{
    OneServer, TANG, accepted, asking, bind, binding, cheap_luks1, config, formatted_luks1, free, open, passphrase,
    ports, request, volume,
};
use block::{BlockRead, Bytes, MemoryDisk};
use clevis::Cancel;
use crypto::{SystemRandom, VolumeKey};
use luks::{Edit, EditError, MetaState, Slot, open_any, open_keyslot};
use unlock::{
    BindRequest, CLEVIS_UUID, CommitError, Holder, LastHumanSlot, NewMeta, NewPassphrase, Prepared, Proof, Purpose,
    human_slots,
};
use uuid::Uuid;

const THEIRS: Uuid = Uuid::from_u128(0x1234);

fn slot(number: u64) -> Slot {
    Slot::new(number).unwrap()
}

fn prepare(net: &OneServer, pin: &str, text: &str) -> Prepared {
    unlock::prepare(&request(pin, &config(text)), &ports(net, &Cancel::new())).unwrap()
}

fn commit(disk: &MemoryDisk, key: &VolumeKey, prepared: Prepared) -> Result<unlock::Bound, CommitError> {
    unlock::bind(&volume(disk, &free, &Cancel::new()), key, prepared)
}

/// The data behind the header is as it was made.
fn data_is_untouched(disk: &MemoryDisk) -> bool {
    let mut data = vec![0; 1 << 20];
    disk.read_at(Bytes(2 << 20), &mut data).unwrap();
    data.iter().all(|byte| *byte == 7)
}

fn change(disk: &MemoryDisk, change: impl FnOnce(&mut Edit<'_>) -> Result<(), EditError>) {
    let header = accepted(disk);
    let mut edit = Edit::new(&header, &SystemRandom).unwrap();
    change(&mut edit).unwrap();
    edit.apply(disk).unwrap();
}

fn meta_slots(disk: &MemoryDisk) -> Vec<(Slot, Uuid)> {
    let header = accepted(disk);
    let meta = header.header().as_luks1().unwrap().meta();
    meta.present().unwrap().slots().map(|(slot, entry)| (slot, entry.uuid)).collect()
}

#[test]
fn a_binding_goes_into_luksmeta_and_opens() {
    let (disk, key) = formatted_luks1();
    let net = OneServer::new();
    let made = bind(&disk, &key, &net, "tang", TANG);
    assert_eq!((made.slot, made.token), (slot(1), None));
    assert_eq!(meta_slots(&disk), [(slot(1), CLEVIS_UUID)]);
    let found = binding(&disk, slot(1));
    assert!(open(&disk, &found, &net).unwrap().key.secret().ct_eq(key.expose()));
    let header = accepted(&disk);
    let meta = header.header().as_luks1().unwrap().meta().present().unwrap();
    assert_eq!(meta.data(slot(1)).unwrap().unwrap(), found.jwe.to_compact().unwrap().as_bytes());
    assert!(open_any(&disk, &header, &passphrase("typed")).is_ok() && data_is_untouched(&disk));
    assert_eq!(human_slots(&header), [slot(0)]);
    // What the rest asks of a header has the same answers.
    let state = unlock::state(header.header(), slot(1), "tang", &config(TANG), clevis::pins::ALL).unwrap();
    assert!(matches!(state, unlock::SlotState::AsWanted(_)));
}

#[test]
fn luksmeta_is_not_made_without_a_yes() {
    let (disk, key) = formatted_luks1();
    let net = OneServer::new();
    let before = disk.to_vec();
    let tang = config(TANG);
    let wanted = BindRequest { new_meta: NewMeta::Refuse, ..request("tang", &tang) };
    let prepared = || unlock::prepare(&wanted, &ports(&net, &Cancel::new())).unwrap();
    let error = commit(&disk, &key, prepared()).unwrap_err();
    assert!(matches!(error, CommitError::NoMeta) && disk.to_vec() == before, "{error}");
    // Once it is there, there is nothing to agree to.
    change(&disk, |edit| edit.init_meta());
    commit(&disk, &key, prepared()).unwrap();
}

#[test]
fn a_plan_says_what_happens_to_luksmeta() {
    let (disk, key) = formatted_luks1();
    let (net, header, before) = (OneServer::new(), accepted(&disk), disk.to_vec());
    let plan = unlock::bind_edit(&header, &key, &prepare(&net, "tang", TANG), &SystemRandom).unwrap();
    let lines: Vec<String> = plan.edit.to_string().lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].starts_with("add keyslot 1 (pbkdf2)"), "{lines:?}");
    assert!(disk.to_vec() == before && plan.binding.token.is_none());
}

#[test]
fn a_token_is_nothing_that_luks1_has() {
    let (disk, key) = formatted_luks1();
    let net = OneServer::new();
    let tang = config(TANG);
    let wanted = BindRequest { token: luks::TokenId::new(3), ..request("tang", &tang) };
    let prepared = unlock::prepare(&wanted, &ports(&net, &Cancel::new())).unwrap();
    let error = commit(&disk, &key, prepared).unwrap_err();
    assert!(matches!(error, CommitError::Edit(EditError::NotInThisVersion { .. })), "{error}");
}

/// The original overwrites the volume's data with such a binding (CVE-2025-11568).
#[test]
fn a_binding_that_does_not_fit_into_the_gap_is_refused_and_the_data_stays() {
    let (disk, key) = formatted_luks1();
    let net = OneServer::new();
    let before = disk.to_vec();
    let many = |n: usize| format!(r#"{{"t":1,"pins":{{"null":[{}]}}}}"#, vec!["{}"; n].join(","));
    let error = commit(&disk, &key, prepare(&net, "sss", &many(60))).unwrap_err();
    let CommitError::NoRoomInMeta { needed, there } = &error else { panic!("{error}") };
    assert!(needed.0 > 24576 && *there == Bytes(24576), "{error}");
    let words = [format!("takes {} bytes", needed.0), "has room for 24576".into(), "nothing was written".into()];
    assert!(words.iter().all(|words| error.to_string().contains(words)), "{error}");
    assert!(error.hint().contains("LUKS2") && disk.to_vec() == before);
    // Slot 0's data is where the original's bound goes wrong.
    change(&disk, |edit| {
        edit.init_meta()?;
        edit.save_meta(Some(slot(0)), THEIRS, b"small").map(|_| ())
    });
    let error = commit(&disk, &key, prepare(&net, "sss", &many(50))).unwrap_err();
    assert!(matches!(error, CommitError::NoRoomInMeta { there: Bytes(20480), .. }), "{error}");
    assert!(data_is_untouched(&disk));
    // What fits is taken.
    commit(&disk, &key, prepare(&net, "sss", &many(20))).unwrap();
    assert!(data_is_untouched(&disk));
}

#[test]
fn a_rotated_server_is_bound_anew_in_its_place() {
    let (disk, key) = formatted_luks1();
    let net = OneServer::new();
    bind(&disk, &key, &net, "tang", TANG);
    let old = binding(&disk, slot(1));
    let opened = open(&disk, &old, &net).unwrap();
    net.rotate();
    let prepared = unlock::regen(&old, Some(&opened), Proof::Required, &asking(&net, &Cancel::new())).unwrap();
    let made = commit(&disk, &key, prepared).unwrap();
    assert_eq!((made.slot, made.token), (slot(1), None));
    net.forget_rotated();
    let header = accepted(&disk);
    assert!(open(&disk, &binding(&disk, slot(1)), &net).is_some());
    assert!(open_keyslot(&disk, &header, slot(1), &opened.passphrase).is_err());
    assert_eq!(header.slots().collect::<Vec<_>>(), [slot(0), slot(1)], "the slot that helped is free again");
    assert_eq!(meta_slots(&disk), [(slot(1), CLEVIS_UUID)]);
    assert!(data_is_untouched(&disk));
}

#[test]
fn unbinding_takes_slot_and_data_and_nothing_else() {
    let (disk, key) = formatted_luks1();
    let net = OneServer::new();
    bind(&disk, &key, &net, "tang", TANG);
    bind(&disk, &key, &net, "null", "{}");
    change(&disk, |edit| edit.save_meta(Some(slot(5)), THEIRS, b"theirs").map(|_| ()));
    unlock::unbind(&volume(&disk, &free, &Cancel::new()), &binding(&disk, slot(1)), LastHumanSlot::Keep).unwrap();
    assert_eq!(accepted(&disk).slots().collect::<Vec<_>>(), [slot(0), slot(2)]);
    assert_eq!(meta_slots(&disk), [(slot(2), CLEVIS_UUID), (slot(5), THEIRS)]);
    assert!(data_is_untouched(&disk));
}

#[test]
fn bindings_whose_keyslots_are_gone_make_room() {
    let (disk, key) = formatted_luks1();
    let net = OneServer::new();
    let kdf = cheap_luks1();
    let big = |n: usize| format!(r#"{{"t":1,"pins":{{"null":[{}]}}}}"#, vec!["{}"; n].join(","));
    let stale = commit(&disk, &key, prepare(&net, "sss", &big(35))).unwrap().slot;
    // `cryptsetup luksKillSlot` knows nothing of LUKSMeta.
    change(&disk, |edit| edit.remove_keyslot(stale));
    assert!(unlock::bindings(accepted(&disk).header()).is_empty(), "a slot that is gone is not bound");
    let made = commit(&disk, &key, prepare(&net, "sss", &big(35))).unwrap();
    assert_eq!((made.slot, meta_slots(&disk)), (stale, vec![(stale, CLEVIS_UUID)]));
    // A passphrase in a slot that was bound once is nobody's but the person's.
    change(&disk, |edit| edit.remove_keyslot(made.slot));
    let opens = passphrase("second");
    let new = NewPassphrase { passphrase: &opens, kdf, purpose: Purpose::Recovery };
    let added = unlock::add(&volume(&disk, &free, &Cancel::new()), &key, &new, None).unwrap();
    assert_eq!((added, meta_slots(&disk)), (stale, vec![]));
    assert_eq!(human_slots(&accepted(&disk)), [slot(0), added]);
}

#[test]
fn data_of_others_are_neither_taken_for_a_binding_nor_overwritten() {
    let (disk, key) = formatted_luks1();
    let net = OneServer::new();
    change(&disk, |edit| {
        edit.init_meta()?;
        edit.save_meta(Some(slot(1)), THEIRS, b"theirs").map(|_| ())
    });
    assert_eq!(bind(&disk, &key, &net, "null", "{}").slot, slot(2), "slot 1 would seem to be theirs");
    let null = config("{}");
    let wanted = BindRequest { slot: Some(slot(1)), ..request("null", &null) };
    let prepared = unlock::prepare(&wanted, &ports(&net, &Cancel::new())).unwrap();
    let error = commit(&disk, &key, prepared).unwrap_err();
    assert!(matches!(error, CommitError::Edit(EditError::MetaInUse { .. })), "{error}");
    change(&disk, |edit| edit.save_meta(Some(slot(0)), CLEVIS_UUID, b"no JWE").map(|_| ()));
    let header = accepted(&disk);
    let broken = unlock::unreadable(header.header());
    assert_eq!(broken.iter().map(|found| found.place()).collect::<Vec<_>>(), ["LUKSMeta of keyslot 0"]);
}

#[test]
fn passphrases_are_added_changed_and_removed() {
    let (disk, key) = formatted_luks1();
    let (second, third) = (passphrase("second"), passphrase("third"));
    let new = |passphrase| NewPassphrase { passphrase, kdf: cheap_luks1(), purpose: Purpose::Memory };
    let cancel = Cancel::new();
    let volume = volume(&disk, &free, &cancel);
    let added = unlock::add(&volume, &key, &new(&second), None).unwrap();
    unlock::change(&volume, &key, &new(&third), added).unwrap();
    let opens = |text: &str| open_any(&disk, &accepted(&disk), &passphrase(text)).ok().map(|(slot, _)| slot);
    assert_eq!((opens("second"), opens("third")), (None, Some(added)));
    unlock::kill(&volume, slot(0), LastHumanSlot::Keep).unwrap();
    assert_eq!((opens("typed"), opens("third")), (None, Some(added)));
    assert!(matches!(unlock::kill(&volume, added, LastHumanSlot::Remove), Err(CommitError::LastSlot { .. })));
}

#[test]
fn giving_up_leaves_header_and_gap_as_they_were() {
    let (disk, key) = formatted_luks1();
    let net = OneServer::new();
    bind(&disk, &key, &net, "tang", TANG);
    let before = disk.to_vec();
    struct Raise(Cancel);
    impl Drop for Raise {
        fn drop(&mut self) {
            self.0.cancel();
        }
    }
    let old = binding(&disk, slot(1));
    for prepared in
        [prepare(&net, "tang", TANG), unlock::regen(&old, None, Proof::Required, &ports(&net, &Cancel::new())).unwrap()]
    {
        let late = Cancel::new();
        let raising = || Ok(Box::new(Raise(late.clone())) as Box<dyn Send>);
        let error = unlock::bind(&volume(&disk, &raising, &late), &key, prepared).unwrap_err();
        assert!(matches!(error, CommitError::Cancelled) && disk.to_vec() == before, "{error}");
    }
}

#[test]
fn a_volume_without_a_gap_says_so() {
    let (disk, key) = formatted_luks1();
    assert!(matches!(accepted(&disk).header().as_luks1().unwrap().meta(), MetaState::Absent));
    // The payload begins right behind the key material: what some formatters do.
    let mut bytes = disk.to_vec();
    bytes[104..108].copy_from_slice(&4040_u32.to_be_bytes());
    let tight = MemoryDisk::zeroed(bytes.len());
    block::BlockWrite::write_at(&tight, Bytes(0), &bytes).unwrap();
    let net = OneServer::new();
    let error = commit(&tight, &key, prepare(&net, "tang", TANG)).unwrap_err();
    assert!(matches!(error, CommitError::Edit(EditError::NoGap)), "{error}");
}

/// Wiping the data of a keyslot that stays leaves it to nobody.
#[test]
fn a_keyslot_without_its_luksmeta_is_no_persons() {
    let (disk, key) = formatted_luks1();
    let net = OneServer::new();
    let bound = bind(&disk, &key, &net, "null", "{}").slot;
    assert_eq!(unlock::orphans_of_meta(&accepted(&disk), None), [bound]);
    assert_eq!(unlock::orphans_of_meta(&accepted(&disk), Some(slot(0))), []);
    change(&disk, |edit| edit.wipe_meta(bound));
    assert_eq!(unlock::holder(accepted(&disk).header(), bound), Holder::Unknown);
    assert_eq!(human_slots(&accepted(&disk)), [slot(0)]);
    let error = unlock::kill(&volume(&disk, &free, &Cancel::new()), slot(0), LastHumanSlot::Keep).unwrap_err();
    assert!(matches!(&error, CommitError::LastHumanSlot { lost, .. } if *lost == [bound]), "{error}");
}
