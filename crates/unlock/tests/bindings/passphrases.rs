//! Passphrases of people: added, changed, removed, and the last one kept.

use crate::scripted::{
    OneServer, TANG, Then, accepted, bind, binding, cheap, closed, formatted, free, open, passphrase, spoiler, volume,
};
use block::MemoryDisk;
use clevis::Cancel;
use crypto::{Passphrase, SystemRandom, VolumeKey};
use luks::{Edit, KdfCost, Slot, open_any, open_keyslot};
use std::sync::{Arc, Mutex};
use unlock::{CommitError, Holder, LastHumanSlot, NewPassphrase, Orphans, Purpose, human_slots};

fn slot(number: u64) -> Slot {
    Slot::new(number).unwrap()
}

fn new(passphrase: &Passphrase) -> NewPassphrase<'_> {
    NewPassphrase { passphrase, kdf: cheap(), purpose: Purpose::Memory }
}

fn add(disk: &MemoryDisk, key: &VolumeKey, text: &str) -> Slot {
    unlock::add(&volume(disk, &free, &Cancel::new()), key, &new(&passphrase(text)), None).unwrap()
}

fn kill(disk: &MemoryDisk, slot: Slot, last: LastHumanSlot) -> Result<(), CommitError> {
    unlock::kill(&volume(disk, &free, &Cancel::new()), slot, last)
}

#[test]
fn a_passphrase_is_added_changed_and_removed() {
    let (disk, key) = formatted();
    let added = add(&disk, &key, "second");
    let opens = |text: &str| open_any(&disk, &accepted(&disk), &passphrase(text)).ok().map(|(slot, _)| slot);
    assert_eq!((opens("typed"), opens("second")), (Some(slot(0)), Some(added)));
    let changed = passphrase("third");
    unlock::change(&volume(&disk, &free, &Cancel::new()), &key, &new(&changed), added).unwrap();
    assert_eq!((opens("second"), opens("third")), (None, Some(added)));
    kill(&disk, slot(0), LastHumanSlot::Keep).unwrap();
    assert_eq!((opens("typed"), opens("third")), (None, Some(added)));
}

#[test]
fn a_plan_is_printed_and_writes_nothing() {
    let (disk, key) = formatted();
    let (header, before) = (accepted(&disk), disk.to_vec());
    let (edit, at) = unlock::add_edit(&header, &key, &new(&passphrase("x")), Some(slot(5)), &SystemRandom).unwrap();
    assert!(at == slot(5) && edit.to_string().starts_with("add keyslot 5 (argon2id)"), "{edit}");
    let edit = unlock::change_edit(&header, &key, &new(&passphrase("x")), slot(0), &SystemRandom).unwrap();
    assert!(edit.to_string().starts_with("replace keyslot 0"), "{edit}");
    drop(edit);
    add(&disk, &key, "second");
    let header = accepted(&disk);
    let edit = unlock::kill_edit(&header, slot(0), LastHumanSlot::Keep, &SystemRandom).unwrap();
    assert!(edit.to_string().starts_with("remove keyslot 0"), "{edit}");
    assert!(disk.to_vec() != before);
}

#[test]
fn the_last_keyslot_of_a_person_goes_only_by_name() {
    let (disk, key) = formatted();
    let net = OneServer::new();
    assert!(
        matches!(kill(&disk, slot(0), LastHumanSlot::Remove), Err(CommitError::LastSlot { .. })),
        "the last of all"
    );
    let bound = bind(&disk, &key, &net, "tang", TANG).slot;
    assert_eq!(human_slots(&accepted(&disk)), [slot(0)]);
    let error = kill(&disk, slot(0), LastHumanSlot::Keep).unwrap_err();
    assert!(matches!(error, CommitError::LastHumanSlot { slot, .. } if slot == self::slot(0)), "{error}");
    assert!(error.hint().contains("luks add"));
    // One that is bound is no person's, and goes with its token.
    kill(&disk, bound, LastHumanSlot::Keep).unwrap();
    assert!(unlock::bindings(accepted(&disk).header()).is_empty());
    bind(&disk, &key, &net, "tang", TANG);
    kill(&disk, slot(0), LastHumanSlot::Remove).unwrap();
    assert!(human_slots(&accepted(&disk)).is_empty());
    assert!(matches!(kill(&disk, slot(9), LastHumanSlot::Keep), Err(CommitError::Edit(_))));
}

#[test]
fn a_second_persons_slot_makes_the_first_free_to_go() {
    let (disk, key) = formatted();
    let second = add(&disk, &key, "second");
    assert_eq!(human_slots(&accepted(&disk)), [slot(0), second]);
    kill(&disk, second, LastHumanSlot::Keep).unwrap();
    assert_eq!(human_slots(&accepted(&disk)), [slot(0)]);
}

#[test]
fn whoever_types_in_a_persons_place_is_no_person() {
    let (disk, key) = formatted();
    let header = accepted(&disk);
    let mut edit = Edit::new(&header, &SystemRandom).unwrap();
    let token = json::Object::new().with("type", "systemd-tpm2").with("keyslots", vec!["0"]);
    edit.add_token(None, token).unwrap();
    edit.apply(&disk).unwrap();
    assert!(human_slots(&accepted(&disk)).is_empty());
    let refused =
        unlock::change(&volume(&disk, &free, &Cancel::new()), &key, &new(&passphrase("x")), slot(0)).unwrap_err();
    assert!(matches!(refused, CommitError::Served { .. }) && !refused.hint().contains("regen"), "{refused}");
    // A recovery key is a person's.
    let recovery = unlock::recovery_key(&SystemRandom).unwrap();
    let kdf = KdfCost::random_passphrase(crypto::Hash::Sha256);
    let new = NewPassphrase { passphrase: &recovery, kdf, purpose: Purpose::Recovery };
    let added = unlock::add(&volume(&disk, &free, &Cancel::new()), &key, &new, None).unwrap();
    let header = accepted(&disk);
    assert_eq!(human_slots(&header), [added]);
    let tokens = &header.header().as_luks2().unwrap().metadata().tokens;
    assert!(tokens.values().any(|token| token.kind == "systemd-recovery" && token.keyslots == [added]));
    assert!(open_keyslot(&disk, &header, added, &recovery).is_ok());
}

/// What cannot be told from a keyslot whose binding is gone never makes a person's keyslot one too many.
#[test]
fn a_keyslot_that_lost_its_token_is_no_persons() {
    let (disk, key) = formatted();
    let net = OneServer::new();
    let bound = bind(&disk, &key, &net, "null", "{}");
    let header = accepted(&disk);
    let mut edit = Edit::new(&header, &SystemRandom).unwrap();
    edit.remove_token(bound.token.unwrap()).unwrap();
    let orphans = unlock::orphans_of_tokens(&header, &edit);
    assert_eq!(orphans, [bound.slot]);
    let refused = unlock::spare_orphans(orphans.clone(), Orphans::Refuse).unwrap_err();
    assert!(matches!(&refused, CommitError::Orphans { slots } if *slots == orphans), "{refused}");
    assert!(refused.hint().contains("--orphan") && unlock::spare_orphans(orphans, Orphans::Leave).is_ok());
    edit.apply(&disk).unwrap();

    assert_eq!(unlock::holder(accepted(&disk).header(), bound.slot), Holder::Unknown);
    let error = kill(&disk, slot(0), LastHumanSlot::Keep).unwrap_err();
    assert!(matches!(&error, CommitError::LastHumanSlot { lost, .. } if *lost == [bound.slot]), "{error}");
    // A passphrase that is shown to open it proves the contrary; of a slot that is not there it proves nothing.
    assert!(kill(&disk, slot(0), LastHumanSlot::Shown(slot(7))).is_err());
    assert!(kill(&disk, slot(0), LastHumanSlot::Shown(slot(0))).is_err());
    kill(&disk, slot(0), LastHumanSlot::Shown(bound.slot)).unwrap();
}

#[test]
fn the_last_binding_beside_keyslots_that_may_be_lost_goes_only_by_name() {
    let (disk, key) = formatted();
    let net = OneServer::new();
    let [lost, kept] = ["null", "null"].map(|pin| bind(&disk, &key, &net, pin, "{}"));
    let header = accepted(&disk);
    let mut edit = Edit::new(&header, &SystemRandom).unwrap();
    edit.remove_token(lost.token.unwrap()).unwrap();
    edit.apply(&disk).unwrap();
    kill(&disk, slot(0), LastHumanSlot::Remove).unwrap();
    let kept = binding(&disk, kept.slot);
    let unbind = |last| unlock::unbind(&volume(&disk, &free, &Cancel::new()), &kept, last);
    let error = unbind(LastHumanSlot::Keep).unwrap_err();
    assert!(matches!(&error, CommitError::LastBinding { lost: left, .. } if *left == [lost.slot]), "{error}");
    unbind(LastHumanSlot::Remove).unwrap();
}

#[test]
fn a_keyslot_that_is_tried_only_by_name_counts_where_there_is_no_other() {
    let (disk, key) = formatted();
    let named = add(&disk, &key, "second");
    let header = accepted(&disk);
    let mut edit = Edit::new(&header, &SystemRandom).unwrap();
    edit.set_priority(named, luks::Priority::Ignore).unwrap();
    edit.apply(&disk).unwrap();
    assert_eq!(human_slots(&accepted(&disk)), [slot(0)]);
    let error = kill(&disk, slot(0), LastHumanSlot::Keep).unwrap_err();
    assert!(matches!(&error, CommitError::LastHumanSlot { ignored, .. } if *ignored == [named]), "{error}");
    assert!(error.to_string().contains("only when they are named (1)"), "{error}");
    kill(&disk, slot(0), LastHumanSlot::Remove).unwrap();
    assert_eq!(human_slots(&accepted(&disk)), [named]);
}

#[test]
fn a_bound_keyslot_does_not_change_its_passphrase() {
    let (disk, key) = formatted();
    let net = OneServer::new();
    let bound = bind(&disk, &key, &net, "tang", TANG).slot;
    let change = |slot| unlock::change(&volume(&disk, &free, &Cancel::new()), &key, &new(&passphrase("x")), slot);
    let error = change(bound).unwrap_err();
    assert!(matches!(error, CommitError::Bound { slot } if slot == bound) && error.hint().contains("regen"), "{error}");
    assert!(matches!(change(slot(7)), Err(CommitError::Edit(_))), "there is none");
    assert!(open(&disk, &binding(&disk, bound), &net).is_some());
}

#[test]
fn a_passphrase_that_does_not_open_after_writing_is_taken_back() {
    for (at, is_change) in [(slot(1), false), (slot(0), true)] {
        let (disk, key) = formatted();
        let before = disk.to_vec();
        let disk = Arc::new(disk);
        let once = Mutex::new(Some(spoiler(&disk, at)));
        let exclusive = || Ok(Box::new(Then(once.lock().unwrap().take())) as Box<dyn Send>);
        let (cancel, passphrase) = (Cancel::new(), passphrase("new"));
        let volume = volume(&disk, &exclusive, &cancel);
        let result = if is_change {
            unlock::change(&volume, &key, &new(&passphrase), at)
        } else {
            unlock::add(&volume, &key, &new(&passphrase), None).map(|_| ())
        };
        assert!(matches!(result, Err(CommitError::NotOpened(_))), "{result:?}");
        assert!(disk.to_vec() == before, "{at}");
    }
}

/// However it was typed, and whatever it replaces: the tokens say what a keyslot is for.
#[test]
fn a_recovery_key_opens_as_it_is_typed_and_is_told_as_one() {
    let (disk, key) = formatted();
    let recovery = unlock::recovery_key(&SystemRandom).unwrap();
    let change = |passphrase: &Passphrase, purpose| {
        let new = NewPassphrase { passphrase, kdf: cheap(), purpose };
        unlock::change(&volume(&disk, &free, &Cancel::new()), &key, &new, slot(0)).unwrap();
    };
    let recovery_tokens = || {
        let header = accepted(&disk);
        let tokens = header.header().as_luks2().unwrap().metadata().tokens.values();
        tokens.filter(|token| token.kind == "systemd-recovery" && token.keyslots == [slot(0)]).count()
    };
    for _ in 0..2 {
        change(&recovery, Purpose::Recovery);
        assert_eq!(recovery_tokens(), 1);
    }
    let typed = String::from_utf8(recovery.expose().to_vec()).unwrap().replace('-', "").to_uppercase();
    let opened = unlock::open_by_passphrase(&closed(&disk, &accepted(&disk)), &passphrase(&typed), None).unwrap();
    assert!(opened.meant.unwrap().secret().ct_eq(recovery.expose()));
    change(&passphrase("remembered"), Purpose::Memory);
    assert_eq!(recovery_tokens(), 0);
}
