//! The seal of a header and what its bindings say: stripped, rolled back, tampered with, and made anew.

use crate::scripted::{
    OneServer, TANG, accepted, asking, bind, binding, cheap, cheap_luks1, closed, config, formatted, formatted_luks1,
    free, no_limit, passphrase, ports, put_token, request, volume,
};
use block::{BlockRead, BlockWrite, Bytes, MemoryDisk};
use clevis::Cancel;
use crypto::{Hash, SystemRandom, VolumeKey};
use jose::Jwe;
use json::{Object, Value};
use luks::{Difference, Edit, EditError, Flag, SealBroken, SealState, Slot, TokenId};
use unlock::{
    AttemptError, BindRequest, CommitError, Failed, LastHumanSlot, NewPassphrase, NotOpened, Proof, Purpose, SealFault,
    Sealed, Unlocked, check_seal,
};

fn slot(number: u64) -> Slot {
    Slot::new(number).unwrap()
}

fn seal(disk: &MemoryDisk, key: &VolumeKey, net: &OneServer) -> Result<Sealed, CommitError> {
    let cancel = Cancel::new();
    let prepared = unlock::prepare_seal(&closed(disk, &accepted(disk)), &ports(net, &cancel), &no_limit, &mut |_| ());
    unlock::seal(&volume(disk, &free, &cancel), key, &prepared)
}

fn open(disk: &MemoryDisk, net: &OneServer) -> Result<Unlocked, Failed> {
    let header = accepted(disk);
    let plan = unlock::plan(unlock::bindings(header.header()), None);
    unlock::run(plan, &closed(disk, &header), &ports(net, &Cancel::new()), &no_limit, &mut |_| ())
}

/// The fault for which the volume stays closed.
fn fault(disk: &MemoryDisk, net: &OneServer) -> SealFault {
    let failed = open(disk, net).unwrap_err();
    match &failed.tried[0].1 {
        AttemptError::Seal(fault) => {
            assert!(failed.hint().contains("luks seal"), "{}", failed.hint());
            fault.clone()
        }
        other => panic!("{other:?}"),
    }
}

fn change(disk: &MemoryDisk, change: impl FnOnce(&mut Edit<'_>) -> Result<(), EditError>) {
    let header = accepted(disk);
    let mut edit = Edit::new(&header, &SystemRandom).unwrap();
    change(&mut edit).unwrap();
    edit.apply(disk).unwrap();
}

fn seal_token(disk: &MemoryDisk) -> TokenId {
    let header = accepted(disk);
    let tokens = &header.header().as_luks2().unwrap().metadata().tokens;
    *tokens.iter().find(|(_, token)| token.kind == "cotter-seal").unwrap().0
}

/// As somebody would who writes the header's JSON himself: an edit of ours changes no seal. Both copies, with their checksums.
fn forge(disk: &MemoryDisk, from: &str, to: &str) {
    const COPY: usize = 16384;
    let mut bytes = disk.to_vec();
    for copy in bytes[..2 * COPY].chunks_mut(COPY) {
        let at = copy.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
        copy[at..at + to.len()].copy_from_slice(to.as_bytes());
        copy[448..512].fill(0);
        let checksum = Hash::Sha256.digest(&[copy]);
        copy[448..480].copy_from_slice(checksum.as_ref());
    }
    restore(disk, &bytes);
}

fn restore(disk: &MemoryDisk, bytes: &[u8]) {
    disk.write_at(Bytes(0), bytes).unwrap();
}

fn sealed(epoch: u64, differences: Vec<Difference>) -> SealState {
    SealState::Sealed { epoch, differences }
}

#[test]
fn a_header_without_a_seal_opens_and_says_so() {
    let net = OneServer::new();
    for (disk, key) in [formatted(), formatted_luks1()] {
        bind(&disk, &key, &net, "tang", TANG);
        assert_eq!(open(&disk, &net).unwrap().seal, SealState::Unsealed);
        assert_eq!(check_seal(&accepted(&disk), &key), Ok(SealState::Unsealed));
    }
}

#[test]
fn a_sealed_header_opens_clean_and_its_bindings_say_the_epoch() {
    let net = OneServer::new();
    for (disk, key) in [formatted(), formatted_luks1()] {
        bind(&disk, &key, &net, "tang", TANG);
        bind(&disk, &key, &net, "sss", r#"{"t":1,"pins":{"tang":[{"url":"http://s"},{"url":"http://s"}]}}"#);
        let before = unlock::bindings(accepted(&disk).header());
        for epoch in [1, 2] {
            let made = seal(&disk, &key, &net).unwrap();
            assert_eq!((made.epoch, made.slots), (epoch, vec![slot(1), slot(2)]));
            assert_eq!(open(&disk, &net).unwrap().seal, sealed(epoch, vec![]));
        }
        // The policies are the same to the byte, and so are the passphrases.
        for (before, after) in before.iter().zip(unlock::bindings(accepted(&disk).header())) {
            let bare = |jwe: &Jwe| {
                let mut header = jwe.header().clone();
                (header.remove("cotter"), header)
            };
            let (said, header) = bare(&after.jwe);
            assert!(said.is_some() && header == bare(&before.jwe).1);
            assert_eq!((after.slot, after.token), (before.slot, before.token));
        }
    }
}

#[test]
fn a_plan_to_seal_is_printed_and_writes_nothing() {
    let (disk, key) = formatted();
    let net = OneServer::new();
    bind(&disk, &key, &net, "tang", TANG);
    let (header, before) = (accepted(&disk), disk.to_vec());
    let prepared = unlock::prepare_seal(&closed(&disk, &header), &ports(&net, &Cancel::new()), &no_limit, &mut |_| ());
    let plan = unlock::seal_edit(&header, &key, &prepared, &SystemRandom).unwrap();
    assert_eq!((plan.epoch, plan.bindings.len(), plan.edit.steps().len()), (1, 1, 2), "{}", plan.edit);
    assert!(disk.to_vec() == before);
}

#[test]
fn a_seal_that_was_taken_away_is_missed() {
    let (disk, key) = formatted();
    let net = OneServer::new();
    bind(&disk, &key, &net, "tang", TANG);
    seal(&disk, &key, &net).unwrap();
    let token = seal_token(&disk);
    change(&disk, |edit| edit.remove_token(token));
    assert_eq!(fault(&disk, &net), SealFault::Stripped { slot: slot(1), epoch: 1 });
    assert_eq!(
        check_seal(&accepted(&disk), &key),
        Err(SealFault::Stripped { slot: slot(1), epoch: 1 }),
        "with a passphrase too"
    );
    // Nor does a binding help that was never told of a seal.
    let cancel = Cancel::new();
    let jwe = clevis::encrypt("null", &config("{}"), passphrase("x").secret(), &ports(&net, &cancel)).unwrap();
    put_token(&disk, &key, &passphrase("x"), &jwe);
    assert_eq!(fault(&disk, &net), SealFault::Stripped { slot: slot(1), epoch: 1 });
    // Who knows that the header is right seals it anew.
    let header = accepted(&disk);
    let plan = unlock::plan(unlock::bindings(header.header()), None);
    let opened =
        unlock::run_unsealed(plan, &closed(&disk, &header), &ports(&net, &cancel), &no_limit, &mut |_| ()).unwrap();
    seal(&disk, &opened.key, &net).unwrap();
    assert!(open(&disk, &net).unwrap().seal.is_clean());
}

#[test]
fn an_older_header_under_newer_bindings_is_found_out() {
    let (disk, key) = formatted();
    let net = OneServer::new();
    bind(&disk, &key, &net, "tang", TANG);
    seal(&disk, &key, &net).unwrap();
    let old = disk.to_vec();
    seal(&disk, &key, &net).unwrap();
    let newer = binding(&disk, slot(1));
    restore(&disk, &old);
    let token = Object::new().with("type", "clevis").with("keyslots", vec!["1"]).with("jwe", newer.jwe.to_flattened());
    change(&disk, |edit| edit.replace_token(newer.token.unwrap(), token));
    assert_eq!(fault(&disk, &net), SealFault::RolledBack { slot: slot(1), epoch: 2, found: 1 });
}

/// What no seal can tell: header and bindings of one moment, put back together.
#[test]
fn a_whole_older_header_is_not_found_out_without_an_epoch_held_elsewhere() {
    let (disk, key) = formatted();
    let net = OneServer::new();
    bind(&disk, &key, &net, "tang", TANG);
    seal(&disk, &key, &net).unwrap();
    let old = disk.to_vec();
    seal(&disk, &key, &net).unwrap();
    restore(&disk, &old);
    assert_eq!(open(&disk, &net).unwrap().seal, sealed(1, vec![]), "the epoch is there to be compared");
}

#[test]
fn changes_of_slots_and_tokens_are_told_and_sealing_clears_them() {
    let (disk, key) = formatted();
    let net = OneServer::new();
    bind(&disk, &key, &net, "tang", TANG);
    seal(&disk, &key, &net).unwrap();
    // As cryptsetup or systemd-cryptenroll would, without a thought of seals.
    change(&disk, |edit| {
        let token = Object::new().with("type", "systemd-tpm2").with("keyslots", vec!["0"]);
        edit.add_token(TokenId::new(9), token)?;
        edit.remove_keyslot(slot(0))
    });
    let state = open(&disk, &net).unwrap().seal;
    let found = [Difference::SlotRemoved(slot(0)), Difference::TokenAdded(TokenId::new(9).unwrap())];
    assert_eq!(state, sealed(1, found.to_vec()));
    seal(&disk, &key, &net).unwrap();
    assert_eq!(open(&disk, &net).unwrap().seal, sealed(2, vec![]));
    change(&disk, |edit| edit.set_flags(&[Flag::AllowDiscards]));
    assert_eq!(open(&disk, &net).unwrap().seal, sealed(2, vec![Difference::FlagsChanged]));
}

#[test]
fn a_change_of_what_decides_how_data_is_read_closes_the_volume() {
    let net = OneServer::new();
    let (disk, key) = formatted_luks1();
    bind(&disk, &key, &net, "tang", TANG);
    seal(&disk, &key, &net).unwrap();
    let mut payload = [0; 4];
    disk.read_at(Bytes(104), &mut payload).unwrap();
    disk.write_at(Bytes(104), &(u32::from_be_bytes(payload) + 8).to_be_bytes()).unwrap();
    assert_eq!(fault(&disk, &net), SealFault::Broken(SealBroken::Header));

    let (disk, key) = formatted();
    bind(&disk, &key, &net, "tang", TANG);
    seal(&disk, &key, &net).unwrap();
    forge(&disk, r#""epoch":"1""#, r#""epoch":"9""#);
    assert_eq!(fault(&disk, &net), SealFault::Broken(SealBroken::Forged));
    // Nothing is added to a header that nobody vouches for.
    let error = unlock::add(
        &volume(&disk, &free, &Cancel::new()),
        &key,
        &NewPassphrase { passphrase: &passphrase("x"), kdf: cheap(), purpose: Purpose::Memory },
        None,
    );
    assert!(matches!(error, Err(CommitError::Edit(EditError::SealBroken { .. }))), "{error:?}");
}

#[test]
fn our_own_changes_keep_the_seal_clean() {
    let (disk, key) = formatted();
    let net = OneServer::new();
    bind(&disk, &key, &net, "tang", TANG);
    seal(&disk, &key, &net).unwrap();
    // What takes something away or replaces it begins an epoch.
    let clean = |epoch| assert_eq!(open(&disk, &net).unwrap().seal, sealed(epoch, vec![]));
    let cancel = Cancel::new();
    let volume = volume(&disk, &free, &cancel);
    let (second, third) = (passphrase("second"), passphrase("third"));
    let new = |passphrase| NewPassphrase { passphrase, kdf: cheap(), purpose: Purpose::Memory };
    let added = unlock::add(&volume, &key, &new(&second), None).unwrap();
    clean(1);
    unlock::change(&volume, &key, &new(&third), added).unwrap();
    clean(2);
    let bound = bind(&disk, &key, &net, "null", "{}").slot;
    clean(2);
    let said = clevis::annotation(&binding(&disk, bound).jwe)
        .unwrap()
        .get("sealed")
        .and_then(Value::as_str)
        .map(str::to_owned);
    assert_eq!(said.as_deref(), Some("2"), "a new binding knows of the seal too");
    net.rotate();
    let old = binding(&disk, slot(1));
    let opened = open(&disk, &net).unwrap();
    let prepared = unlock::regen(&old, Some(&opened), Proof::Required, &ports(&net, &cancel)).unwrap();
    unlock::bind(&volume, &key, prepared).unwrap();
    clean(3);
    let tang = config(TANG);
    let prepared = unlock::prepare(&request("tang", &tang), &asking_yes(&net, &cancel)).unwrap();
    unlock::bind_instead(&volume, &key, prepared, added, LastHumanSlot::Keep).unwrap();
    clean(4);
    // Removing needs no key, and is told.
    unlock::kill(&volume, bound, LastHumanSlot::Keep).unwrap();
    let SealState::Sealed { differences, .. } = open(&disk, &net).unwrap().seal else { panic!() };
    assert_eq!(differences[0], Difference::SlotRemoved(bound));
}

fn asking_yes<'a>(net: &'a OneServer, cancel: &'a Cancel) -> clevis::Ports<'a> {
    *net.answer.lock().unwrap() = Some(true);
    asking(net, cancel)
}

/// A token that serves other keyslots too stays when one of them is bound anew. What somebody else put there, its JWE perhaps,
/// is not ours for that.
#[test]
fn a_token_that_is_carried_over_is_not_vouched_for() {
    let net = OneServer::new();
    let shared = passphrase("shared");
    let jwe = clevis::encrypt("tang", &config(TANG), shared.secret(), &asking_yes(&net, &Cancel::new())).unwrap();
    let members = Object::new().with("type", "clevis").with("jwe", jwe.to_flattened());
    let both = members.clone().with("keyslots", vec!["1", "2"]);
    let first = TokenId::new(0).unwrap();
    for (meanwhile, expected) in
        [(None, vec![]), (Some(both.clone().with("evil", 1_u64)), vec![Difference::TokenChanged(first)])]
    {
        let (disk, key) = formatted();
        put_token(&disk, &key, &shared, &jwe);
        put_token(&disk, &key, &shared, &jwe);
        change(&disk, |edit| {
            edit.remove_token(TokenId::new(1).unwrap())?;
            edit.replace_token(first, both.clone())
        });
        seal(&disk, &key, &net).unwrap();
        let opened = open(&disk, &net).unwrap();
        if let Some(evil) = meanwhile {
            let sealed = binding(&disk, slot(1)).jwe.to_flattened();
            change(&disk, |edit| edit.replace_token(first, evil.with("jwe", sealed)));
        }
        let cancel = Cancel::new();
        let prepared =
            unlock::regen(&binding(&disk, slot(1)), Some(&opened), Proof::Required, &ports(&net, &cancel)).unwrap();
        unlock::bind(&volume(&disk, &free, &cancel), &key, prepared).unwrap();
        let SealState::Sealed { differences, .. } = open(&disk, &net).unwrap().seal else { panic!() };
        assert_eq!(differences, expected);
    }
}

/// What somebody else changed must not be hidden by one of ours.
#[test]
fn our_own_changes_do_not_hide_those_of_others() {
    let net = OneServer::new();
    for ((disk, key), kdf) in [(formatted(), cheap()), (formatted_luks1(), cheap_luks1())] {
        bind(&disk, &key, &net, "tang", TANG);
        seal(&disk, &key, &net).unwrap();
        change(&disk, |edit| edit.remove_keyslot(slot(0)));
        let cancel = Cancel::new();
        let volume = volume(&disk, &free, &cancel);
        let new = NewPassphrase { passphrase: &passphrase("x"), kdf, purpose: Purpose::Memory };
        unlock::add(&volume, &key, &new, Some(slot(5))).unwrap();
        let null = config("{}");
        let wanted = BindRequest { slot: Some(slot(6)), ..request("null", &null) };
        unlock::bind(&volume, &key, unlock::prepare(&wanted, &ports(&net, &cancel)).unwrap()).unwrap();
        let SealState::Sealed { differences, .. } = open(&disk, &net).unwrap().seal else { panic!() };
        assert!(differences.contains(&Difference::SlotRemoved(slot(0))), "{differences:?}");
        // Nor is the seal lost when the only binding that holds it is made anew.
        unlock::unbind(&volume, &binding(&disk, slot(6)), LastHumanSlot::Keep).unwrap();
        let opened = open(&disk, &net).unwrap();
        let prepared = unlock::regen(
            &opened.proved.as_ref().unwrap().binding,
            Some(&opened),
            Proof::Required,
            &ports(&net, &cancel),
        )
        .unwrap();
        unlock::bind(&volume, &key, prepared).unwrap();
        let SealState::Sealed { differences, .. } = open(&disk, &net).unwrap().seal else { panic!() };
        assert!(differences.contains(&Difference::SlotRemoved(slot(0))), "{differences:?}");
    }
}

#[test]
fn a_luks1_volume_keeps_its_seal_in_its_bindings() {
    let (disk, key) = formatted_luks1();
    let net = OneServer::new();
    let error = seal(&disk, &key, &net).unwrap_err();
    assert!(matches!(error, CommitError::NothingToSeal) && error.hint().contains("bind"), "{error}");
    bind(&disk, &key, &net, "tang", TANG);
    seal(&disk, &key, &net).unwrap();
    // A new binding knows the seal as well, and its own slot is in it.
    let second = bind(&disk, &key, &net, "null", "{}").slot;
    let values = |at| clevis::annotation(&binding(&disk, at).jwe).unwrap().get("sealed").cloned().unwrap();
    assert!(values(second).as_object().unwrap().get("slots").unwrap().as_object().unwrap().get("2").is_some());
    // With a passphrase, too, the seal is found: in any binding that the volume key vouches for.
    assert!(matches!(check_seal(&accepted(&disk), &key), Ok(SealState::Sealed { epoch: 1, .. })));
    assert_eq!(seal(&disk, &key, &net).unwrap().epoch, 2);
    assert_eq!(check_seal(&accepted(&disk), &key), Ok(sealed(2, vec![])));
    change(&disk, |edit| edit.remove_keyslot(slot(0)));
    assert_eq!(check_seal(&accepted(&disk), &key), Ok(sealed(2, vec![Difference::SlotRemoved(slot(0))])));
}

#[test]
fn a_binding_that_was_not_reached_stays_at_its_epoch() {
    let (disk, key) = formatted();
    let net = OneServer::new();
    let (first, second) = (bind(&disk, &key, &net, "tang", TANG).slot, bind(&disk, &key, &net, "null", "{}").slot);
    net.unplug();
    let cancel = Cancel::new();
    let prepared =
        unlock::prepare_seal(&closed(&disk, &accepted(&disk)), &ports(&net, &cancel), &no_limit, &mut |_| ());
    assert_eq!(prepared.unreached.iter().map(|(b, _)| b.slot).collect::<Vec<_>>(), [first]);
    let made = unlock::seal(&volume(&disk, &free, &cancel), &key, &prepared).unwrap();
    assert_eq!(made.slots, [second]);
    assert!(clevis::annotation(&binding(&disk, first).jwe).unwrap().get("sealed").is_none());
    net.plug_in();
    assert!(open(&disk, &net).unwrap().seal.is_clean());
}

#[test]
fn what_makes_no_sense_closes_the_volume() {
    let (disk, key) = formatted();
    let net = OneServer::new();
    bind(&disk, &key, &net, "tang", TANG);
    let opened = open(&disk, &net).unwrap().proved.unwrap();
    for said in ["seven".into(), Value::from(7_u64), Object::new().into()] {
        let said = Object::new().with("sealed", said);
        let jwe = clevis::annotate(&opened.binding.jwe, &said, &opened.content_key, &SystemRandom).unwrap();
        let token = Object::new().with("type", "clevis").with("keyslots", vec!["1"]).with("jwe", jwe.to_flattened());
        change(&disk, |edit| edit.replace_token(opened.binding.token.unwrap(), token));
        assert_eq!(fault(&disk, &net), SealFault::Malformed { slot: slot(1) });
        // Sealing makes it right where the binding opens, and says which one does not.
        net.unplug();
        let error = seal(&disk, &key, &net).unwrap_err();
        assert!(matches!(error, CommitError::SealFault(SealFault::Malformed { .. })), "{error}");
        net.plug_in();
        seal(&disk, &key, &net).unwrap();
        assert!(open(&disk, &net).unwrap().seal.is_clean());
    }
}

/// A binding that cannot be told of the new seal must not take it for an old one.
#[test]
fn a_new_seal_comes_after_all_that_unreached_bindings_know_of() {
    let (disk, key) = formatted();
    let net = OneServer::new();
    let (first, second) = (bind(&disk, &key, &net, "tang", TANG).slot, bind(&disk, &key, &net, "null", "{}").slot);
    seal(&disk, &key, &net).unwrap();
    seal(&disk, &key, &net).unwrap();
    let token = seal_token(&disk);
    change(&disk, |edit| edit.remove_token(token));
    net.unplug();
    let made = seal(&disk, &key, &net).unwrap();
    assert_eq!((made.epoch, made.slots), (3, vec![second]));
    net.plug_in();
    assert!(open(&disk, &net).unwrap().seal.is_clean());
    unlock::unbind(&volume(&disk, &free, &Cancel::new()), &binding(&disk, second), LastHumanSlot::Keep).unwrap();
    assert!(matches!(open(&disk, &net).unwrap(), Unlocked { slot, .. } if slot == first));
}

/// A person's passphrase opens no more than a policy does.
#[test]
fn a_passphrase_does_not_open_what_is_not_as_it_was_sealed() {
    let net = OneServer::new();
    let (disk, key) = formatted();
    bind(&disk, &key, &net, "tang", TANG);
    seal(&disk, &key, &net).unwrap();
    let open = |typed: &str| unlock::open_by_passphrase(&closed(&disk, &accepted(&disk)), &passphrase(typed), None);
    assert_eq!(open("typed").unwrap().seal, sealed(1, vec![]));
    change(&disk, |edit| edit.set_flags(&[Flag::AllowDiscards]));
    assert_eq!(open("typed").unwrap().seal, sealed(1, vec![Difference::FlagsChanged]));
    let id = seal_token(&disk);
    change(&disk, |edit| edit.remove_token(id));
    let refused = open("typed").unwrap_err();
    assert!(matches!(refused, NotOpened::Seal(SealFault::Stripped { .. })) && !refused.is_wrong_passphrase());
    assert!(open("wrong").unwrap_err().is_wrong_passphrase());
    let unsealed =
        unlock::open_by_passphrase_unsealed(&closed(&disk, &accepted(&disk)), &passphrase("typed"), Some(slot(0)));
    assert!(unsealed.is_ok(), "who seals anew gets in");
}

/// A binding that was opened is not put silently into a header whose seal is gone.
#[test]
fn nothing_is_bound_into_a_header_whose_seal_was_taken_away() {
    let net = OneServer::new();
    let (disk, key) = formatted();
    bind(&disk, &key, &net, "tang", TANG);
    seal(&disk, &key, &net).unwrap();
    let id = seal_token(&disk);
    change(&disk, |edit| edit.remove_token(id));
    let (cancel, null) = (Cancel::new(), config("{}"));
    let prepared = unlock::prepare(&request("null", &null), &ports(&net, &cancel)).unwrap();
    let error = unlock::bind(&volume(&disk, &free, &cancel), &key, prepared).unwrap_err();
    assert!(matches!(error, CommitError::SealFault(SealFault::Stripped { .. })), "{error}");
}
