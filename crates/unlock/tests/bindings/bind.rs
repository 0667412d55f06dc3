//! Binding and unbinding.

use crate::scripted::{
    NullButFor, OneServer, TANG, Then, accepted, bind, closed, config, formatted, free, no_limit, passphrase, ports,
    put_token, request, spoiler, volume,
};
use block::{BlockError, BlockRead, BlockWrite, Bytes, MemoryDisk};
use clevis::{Cancel, Pin as _, PinError, Ports};
use crypto::{Secret, SystemRandom};
use json::Object;
use luks::{Edit, KdfCost, Slot, TokenId, open_any, open_keyslot};
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use unlock::{AttemptError, BindError, BindRequest, CommitError, Event, LastHumanSlot, Proof, TimeLeft};

#[test]
fn a_bound_disk_opens_while_its_server_answers_and_only_then() {
    let (disk, key) = formatted();
    let net = OneServer::new();
    let bound = bind(&disk, &key, &net, "tang", TANG);
    assert_eq!((bound.slot.number(), bound.token.unwrap().number(), bound.unproved.is_none()), (1, 0, true));

    let cancel = Cancel::new();
    let header = accepted(&disk);
    let open = || {
        unlock::run(
            unlock::plan(unlock::bindings(header.header()), None),
            &closed(&disk, &header),
            &ports(&net, &cancel),
            &no_limit,
            &mut |_| (),
        )
    };
    let unlocked = open().unwrap();
    assert_eq!((unlocked.slot, unlocked.pin.as_str()), (bound.slot, "tang"));
    assert!(unlocked.key.secret().ct_eq(key.expose()));
    assert_eq!(unlocked.passphrase.expose().len(), 54);
    assert!(open_any(&disk, &header, &passphrase("typed")).is_ok(), "the typed passphrase still opens");

    net.unplug();
    let failed = open().unwrap_err();
    assert_eq!(failed.tried.len(), 1);
    assert!(failed.hint().contains("cotter keys show"), "{}", failed.hint());
}

#[test]
fn an_unbound_disk_says_so() {
    let (disk, _) = formatted();
    let header = accepted(&disk);
    let (net, cancel) = (OneServer::new(), Cancel::new());
    let failed =
        unlock::run(vec![], &closed(&disk, &header), &ports(&net, &cancel), &no_limit, &mut |_| ()).unwrap_err();
    assert!(failed.tried.is_empty() && failed.hint().contains("luks bind"));
    assert_eq!(failed.to_string(), "no keyslot of this volume is bound");
}

#[test]
fn the_first_that_opens_wins_and_the_rest_is_cancelled() {
    let (disk, key) = formatted();
    let net = OneServer::new();
    // Bound with the advertisement given, so that nobody has to answer; the server of this one never will.
    let silent = format!(r#"{{"url":"http://silent","adv":{}}}"#, net.advertisement());
    let (cancel, silent) = (Cancel::new(), config(&silent));
    cancel.cancel();
    let never = unlock::prepare(&request("tang", &silent), &ports(&net, &cancel));
    assert!(matches!(never, Err(BindError::NotProved(_))), "given up is not the same as not there");
    let jwe = clevis::encrypt("tang", &silent, passphrase("lost").secret(), &ports(&net, &Cancel::new())).unwrap();
    put_token(&disk, &key, &passphrase("lost"), &jwe);
    let second = bind(&disk, &key, &net, "tang", TANG);

    let header = accepted(&disk);
    let plan = unlock::plan(unlock::bindings(header.header()), None);
    assert_eq!(plan.len(), 2);
    let mut told = Vec::new();
    let mut tell = |event: Event<'_>| {
        told.push(match event {
            Event::Trying(attempt) => format!("try {}", attempt.slot),
            Event::Failed(attempt, _) => format!("failed {}", attempt.slot),
            Event::WrongShares(..) | Event::Remarks(..) => return,
            Event::Opened(attempt) => format!("opened {}", attempt.slot),
        });
    };
    let cancel = Cancel::new();
    let unlocked = unlock::run(plan, &closed(&disk, &header), &ports(&net, &cancel), &no_limit, &mut tell).unwrap();
    assert_eq!(unlocked.slot, second.slot);
    assert_eq!(told, ["try 1", "try 2", "opened 2"]);
    assert!(!cancel.is_cancelled(), "the caller's own flag is not touched");
}

#[test]
fn a_stale_binding_is_told_before_a_dead_network() {
    let (disk, key) = formatted();
    let net = OneServer::new();
    bind(&disk, &key, &net, "tang", TANG);
    let stale =
        clevis::encrypt("null", &config("{}"), passphrase("another").secret(), &ports(&net, &Cancel::new())).unwrap();
    put_token(&disk, &key, &passphrase("what it was"), &stale);
    net.unplug();
    let header = accepted(&disk);
    let plan = unlock::plan(unlock::bindings(header.header()), None);
    let failed =
        unlock::run(plan, &closed(&disk, &header), &ports(&net, &Cancel::new()), &no_limit, &mut |_| ()).unwrap_err();
    assert_eq!(failed.tried.iter().map(|(a, _)| a.slot.number()).collect::<Vec<_>>(), [2, 1]);
    assert!(failed.hint().contains("unbind"), "{}", failed.hint());
}

#[test]
fn a_policy_that_cannot_be_met_is_not_bound() {
    let net = OneServer::new();
    let cancel = Cancel::new();
    let fails = config(r#"{"fail":true}"#);
    let error = unlock::prepare(&request("null", &fails), &ports(&net, &cancel)).unwrap_err();
    assert!(matches!(error, BindError::NotProved(_)), "{error}");

    let given = config(&format!(r#"{{"url":"http://s","adv":{}}}"#, net.advertisement()));
    net.unplug();
    let fetched = config(TANG);
    assert!(matches!(unlock::prepare(&request("tang", &fetched), &ports(&net, &cancel)), Err(BindError::Encrypt(_))));
    let strict = BindRequest { proof: Proof::Required, ..request("tang", &given) };
    assert!(matches!(unlock::prepare(&strict, &ports(&net, &cancel)), Err(BindError::NotProved(_))));
    // The keys were given and merely nobody answers: bound, and said.
    let (disk, key) = formatted();
    let prepared = unlock::prepare(&request("tang", &given), &ports(&net, &cancel)).unwrap();
    let bound = unlock::bind(&volume(&disk, &free, &cancel), &key, prepared).unwrap();
    assert!(bound.unproved.is_some());
}

#[test]
fn named_slots_and_tokens_are_used_and_stale_tokens_cleared() {
    let (disk, key) = formatted();
    let net = OneServer::new();
    let header = accepted(&disk);
    let mut edit = Edit::new(&header, &SystemRandom).unwrap();
    let none: Vec<String> = vec![];
    edit.add_token(None, Object::new().with("type", "clevis").with("keyslots", none).with("jwe", Object::new()))
        .unwrap();
    edit.add_token(None, Object::new().with("type", "theirs").with("keyslots", vec!["0"])).unwrap();
    edit.apply(&disk).unwrap();
    let (cancel, config) = (Cancel::new(), config(TANG));
    let wanted = BindRequest { slot: Slot::new(7), token: TokenId::new(9), ..request("tang", &config) };
    let prepared = unlock::prepare(&wanted, &ports(&net, &cancel)).unwrap();
    let bound = unlock::bind(&volume(&disk, &free, &cancel), &key, prepared).unwrap();
    assert_eq!((bound.slot.number(), bound.token.unwrap().number()), (7, 9));
    let kinds: Vec<(u8, String)> = accepted(&disk)
        .header()
        .as_luks2()
        .unwrap()
        .metadata()
        .tokens
        .iter()
        .map(|(id, t)| (id.number(), t.kind.clone()))
        .collect();
    assert_eq!(kinds, [(1, "theirs".to_owned()), (9, "clevis".to_owned())]);
}

#[test]
fn unbinding_takes_the_slot_and_its_token_and_nothing_else() {
    let (disk, key) = formatted();
    let net = OneServer::new();
    let (first, second) = (bind(&disk, &key, &net, "tang", TANG), bind(&disk, &key, &net, "null", "{}"));
    let header = accepted(&disk);
    let binding = unlock::bindings(header.header()).remove(0);
    assert_eq!(binding.slot, first.slot);
    unlock::unbind(&volume(&disk, &free, &Cancel::new()), &binding, LastHumanSlot::Keep).unwrap();
    let header = accepted(&disk);
    let left: Vec<Slot> = unlock::bindings(header.header()).iter().map(|b| b.slot).collect();
    assert_eq!(left, [second.slot]);
    assert_eq!(header.slots().collect::<Vec<_>>(), [Slot::new(0).unwrap(), second.slot]);
}

#[test]
fn the_last_keyslot_and_somebody_elses_are_not_unbound() {
    let (disk, key) = formatted();
    let net = OneServer::new();
    bind(&disk, &key, &net, "null", "{}");
    let binding = unlock::bindings(accepted(&disk).header()).remove(0);
    let unbind = || unlock::unbind(&volume(&disk, &free, &Cancel::new()), &binding, LastHumanSlot::Keep);
    // While the person was asked, somebody else took the passphrase's slot away.
    let remove = |slot: u64| {
        let header = accepted(&disk);
        let mut edit = Edit::new(&header, &SystemRandom).unwrap();
        edit.remove_keyslot(Slot::new(slot).unwrap()).unwrap();
        edit.apply(&disk).unwrap();
    };
    remove(0);
    assert!(matches!(unbind(), Err(CommitError::LastSlot { .. })));
    // Or bound the slot anew: slot 0 keeps the volume, slot 1 and token 0 are another binding than was agreed to.
    bind(&disk, &key, &net, "null", "{}");
    remove(1);
    let anew = bind(&disk, &key, &net, "null", "{}");
    assert_eq!(anew.slot, binding.slot);
    assert!(matches!(unbind(), Err(CommitError::NotBound { .. })));
}

#[test]
fn unbinding_one_keyslot_of_a_shared_token_keeps_the_other() {
    let (disk, key) = formatted();
    let (first, second) = (passphrase("shared"), passphrase("shared"));
    let jwe =
        clevis::encrypt("null", &config("{}"), first.secret(), &ports(&OneServer::new(), &Cancel::new())).unwrap();
    let header = accepted(&disk);
    let mut edit = Edit::new(&header, &SystemRandom).unwrap();
    let kdf = KdfCost::random_passphrase(crypto::Hash::Sha256);
    for opens in [&first, &second] {
        let new = luks::NewKeyslot { key: &key, passphrase: opens, slot: None, kdf, af_hash: crypto::Hash::Sha256 };
        edit.add_keyslot(&new).unwrap();
    }
    let members = Object::new().with("type", "clevis").with("keyslots", vec!["2", "1"]).with("jwe", jwe.to_flattened());
    edit.add_token(None, members).unwrap();
    edit.apply(&disk).unwrap();
    let found = unlock::bindings(accepted(&disk).header());
    assert_eq!(found.iter().map(|b| b.slot.number()).collect::<Vec<_>>(), [1, 2]);
    unlock::unbind(&volume(&disk, &free, &Cancel::new()), &found[0], LastHumanSlot::Keep).unwrap();
    let left = unlock::bindings(accepted(&disk).header());
    assert_eq!(left.iter().map(|b| b.slot.number()).collect::<Vec<_>>(), [2]);
}

#[test]
fn a_token_that_lists_a_keyslot_many_times_is_one_attempt() {
    let (disk, key) = formatted();
    let net = OneServer::new();
    let opens = passphrase("once");
    let jwe = clevis::encrypt("null", &config("{}"), opens.secret(), &ports(&net, &Cancel::new())).unwrap();
    put_token(&disk, &key, &opens, &jwe);
    let header = accepted(&disk);
    let mut edit = Edit::new(&header, &SystemRandom).unwrap();
    let members =
        Object::new().with("type", "clevis").with("keyslots", vec!["1"; 1000]).with("jwe", jwe.to_flattened());
    if edit.replace_token(TokenId::new(0).unwrap(), members).is_ok() {
        edit.apply(&disk).unwrap();
    }
    assert_eq!(unlock::plan(unlock::bindings(accepted(&disk).header()), None).len(), 1);
}

#[test]
fn a_lock_that_is_not_given_twice_is_said_as_what_it_means() {
    let (disk, key) = formatted();
    let net = OneServer::new();
    let prepared = unlock::prepare(&request("tang", &config(TANG)), &ports(&net, &Cancel::new())).unwrap();
    let cancel = Cancel::new();
    let given = AtomicBool::new(false);
    let once = || {
        if given.swap(true, Ordering::SeqCst) {
            return Err("held by somebody else".into());
        }
        free()
    };
    struct Raise(Cancel);
    impl Drop for Raise {
        fn drop(&mut self) {
            self.0.cancel();
        }
    }
    let exclusive = || once().map(|_| Box::new(Raise(cancel.clone())) as Box<dyn Send>);
    let error = unlock::bind(&volume(&disk, &exclusive, &cancel), &key, prepared).unwrap_err();
    assert!(matches!(error, CommitError::NotReverted { .. }), "{error}");
    assert!(error.to_string().contains("on the disk"), "{error}");
    assert_eq!(unlock::bindings(accepted(&disk).header()).len(), 1);
}

#[test]
fn a_policy_that_gives_back_something_else_is_not_bound() {
    let (net, cancel) = (OneServer::new(), Cancel::new());
    let forgetful = NullButFor(|jwe: &jose::Jwe, ports: &Ports<'_>| {
        let opened = clevis::pins::Null.open(jwe, ports)?;
        Ok(clevis::Opened { secret: Secret::copied_from(b"something else"), ..opened })
    });
    let pins: [&dyn clevis::Pin; 1] = [&forgetful];
    let ports = Ports { pins: &pins, ..ports(&net, &cancel) };
    let error = unlock::prepare(&request("null", &config("{}")), &ports).unwrap_err();
    assert!(matches!(error, BindError::WrongSecret), "{error}");
}

#[test]
fn a_binding_that_does_not_open_after_writing_is_taken_back() {
    let (disk, key) = formatted();
    let disk = std::sync::Arc::new(disk);
    let (net, before) = (OneServer::new(), disk.to_vec());
    let prepared = unlock::prepare(&request("tang", &config(TANG)), &ports(&net, &Cancel::new())).unwrap();
    let spoil = spoiler(&disk, Slot::new(1).unwrap());
    let once = Mutex::new(Some(spoil));
    let exclusive = || Ok(Box::new(Then(once.lock().unwrap().take())) as Box<dyn Send>);
    let error = unlock::bind(&volume(&disk, &exclusive, &Cancel::new()), &key, prepared).unwrap_err();
    assert!(matches!(error, CommitError::NotOpened(_)), "{error}");
    assert!(disk.to_vec() == before);
}

#[test]
fn a_binding_that_is_gone_after_writing_is_not_called_bound() {
    let (disk, key) = formatted();
    let disk = std::sync::Arc::new(disk);
    let net = OneServer::new();
    let prepared = unlock::prepare(&request("tang", &config(TANG)), &ports(&net, &Cancel::new())).unwrap();
    let other = disk.clone();
    let remove = move || {
        let header = accepted(&other);
        let mut edit = Edit::new(&header, &SystemRandom).unwrap();
        edit.remove_token(TokenId::new(0).unwrap()).unwrap();
        edit.apply(&other).unwrap();
    };
    let once = Mutex::new(Some(remove));
    let exclusive = || Ok(Box::new(Then(once.lock().unwrap().take())) as Box<dyn Send>);
    let error = unlock::bind(&volume(&disk, &exclusive, &Cancel::new()), &key, prepared).unwrap_err();
    // The other's change is not undone with ours.
    let CommitError::NotReverted { because, .. } = &error else { panic!("{error}") };
    assert!(matches!(**because, CommitError::NotReadBack), "{error}");
}

#[test]
fn a_plan_has_an_end() {
    let jwe =
        clevis::encrypt("null", &config("{}"), passphrase("x").secret(), &ports(&OneServer::new(), &Cancel::new()));
    let jwe = jwe.unwrap();
    let all = Slot::all().flat_map(|slot| TokenId::all().map(move |token| (slot, token)));
    let many = all.map(|(slot, token)| unlock::Binding { slot, token: Some(token), jwe: jwe.clone() }).collect();
    assert_eq!(unlock::plan(many, None).len(), unlock::MOST_ATTEMPTS);
}

/// A disk that stores something else than it is given, from the `bad`-th write on, once.
struct Liar<'a> {
    disk: &'a MemoryDisk,
    lies_about: Mutex<Option<usize>>,
}

impl BlockRead for Liar<'_> {
    fn len(&self) -> Bytes {
        self.disk.len()
    }
    fn read_at(&self, offset: Bytes, into: &mut [u8]) -> Result<(), BlockError> {
        self.disk.read_at(offset, into)
    }
}

impl BlockWrite for Liar<'_> {
    fn write_at(&self, offset: Bytes, from: &[u8]) -> Result<(), BlockError> {
        let mut left = self.lies_about.lock().unwrap();
        match left.as_mut() {
            Some(0) => {
                *left = None;
                let source = io::Error::from(io::ErrorKind::StorageFull);
                Err(BlockError::Failed { doing: "write", offset, source })
            }
            Some(n) => {
                *n -= 1;
                self.disk.write_at(offset, from)
            }
            None => self.disk.write_at(offset, from),
        }
    }
    fn flush(&self) -> Result<(), BlockError> {
        self.disk.flush()
    }
}

#[test]
fn a_write_that_fails_leaves_the_disk_as_it_was() {
    let (disk, key) = formatted();
    let net = OneServer::new();
    let before = disk.to_vec();
    for nth in 0..3 {
        let liar = Liar { disk: &disk, lies_about: Mutex::new(Some(nth)) };
        let (cancel, config) = (Cancel::new(), config(TANG));
        let prepared = unlock::prepare(&request("tang", &config), &ports(&net, &cancel)).unwrap();
        let error = unlock::bind(&volume(&liar, &free, &cancel), &key, prepared).unwrap_err();
        assert!(matches!(error, CommitError::Apply(_)), "{error}");
        assert!(disk.to_vec() == before, "write {nth}");
    }
}

#[test]
fn giving_up_leaves_the_disk_as_it_was_at_any_moment() {
    let (disk, key) = formatted();
    let net = OneServer::new();
    let before = disk.to_vec();
    let prepared = || unlock::prepare(&request("tang", &config(TANG)), &ports(&net, &Cancel::new())).unwrap();
    // Before the lock is taken; and, by the lock itself, after the header was written.
    let early = Cancel::new();
    early.cancel();
    let error = unlock::bind(&volume(&disk, &free, &early), &key, prepared()).unwrap_err();
    assert!(matches!(error, CommitError::Cancelled) && disk.to_vec() == before);

    struct Raise(Cancel);
    impl Drop for Raise {
        fn drop(&mut self) {
            self.0.cancel();
        }
    }
    let late = Cancel::new();
    let raising = || Ok(Box::new(Raise(late.clone())) as Box<dyn Send>);
    let error = unlock::bind(&volume(&disk, &raising, &late), &key, prepared()).unwrap_err();
    assert!(matches!(error, CommitError::Cancelled) && disk.to_vec() == before);
}

#[test]
fn a_header_that_somebody_else_changes_meanwhile_is_computed_anew_and_not_for_ever() {
    let (disk, key) = formatted();
    let net = OneServer::new();
    let prepared = || unlock::prepare(&request("tang", &config(TANG)), &ports(&net, &Cancel::new())).unwrap();
    let meddle = |times: usize| {
        let left = Mutex::new(times);
        let disk = &disk;
        move || {
            let mut left = left.lock().unwrap();
            if *left > 0 {
                *left -= 1;
                let header = accepted(disk);
                let mut edit = Edit::new(&header, &SystemRandom).unwrap();
                edit.set_label(&format!("theirs {left}")).unwrap();
                edit.apply(disk).unwrap();
            }
            free()
        }
    };
    unlock::bind(&volume(&disk, &meddle(2), &Cancel::new()), &key, prepared()).unwrap();
    assert_eq!(accepted(&disk).header().as_luks2().unwrap().label(), "theirs 0", "the changes of the other stay");
    let error = unlock::bind(&volume(&disk, &meddle(1000), &Cancel::new()), &key, prepared()).unwrap_err();
    assert!(matches!(error, CommitError::Busy), "{error}");
}

#[test]
fn a_token_that_makes_no_sense_is_named_and_passed_over() {
    let (disk, key) = formatted();
    let net = OneServer::new();
    let header = accepted(&disk);
    let mut edit = Edit::new(&header, &SystemRandom).unwrap();
    edit.add_token(None, Object::new().with("type", "clevis").with("keyslots", vec!["0"]).with("jwe", "rubbish"))
        .unwrap();
    edit.apply(&disk).unwrap();
    bind(&disk, &key, &net, "null", "{}");
    let header = accepted(&disk);
    assert_eq!(unlock::unreadable(header.header()).iter().map(|t| t.place()).collect::<Vec<_>>(), ["token 0"]);
    assert_eq!(unlock::bindings(header.header()).len(), 1);
    let slot = Slot::new(0).unwrap();
    assert!(open_keyslot(&disk, &header, slot, &passphrase("typed")).is_ok());
}

/// How long a keyslot takes is a guess: the first that opens may overrun the time that is left, and no other may. Nobody else suffers.
#[test]
fn one_keyslot_is_tried_when_time_is_up() {
    let (disk, key) = formatted();
    let net = OneServer::new();
    bind(&disk, &key, &net, "null", "{}");
    bind(&disk, &key, &net, "null", "{}");
    let (cancel, header) = (Cancel::new(), accepted(&disk));
    let run = |left: &TimeLeft<'_>| {
        let plan = unlock::plan(unlock::bindings(header.header()), None);
        unlock::run(plan, &closed(&disk, &header), &ports(&net, &cancel), left, &mut |_| ())
    };
    let unreached = |left: &TimeLeft<'_>| {
        unlock::prepare_seal(&closed(&disk, &header), &ports(&net, &cancel), left, &mut |_| ()).unreached
    };
    let takes = Duration::from_micros(500 + u64::from(header.digest_iterations().get()) / 2);
    assert!(run(&|| Duration::ZERO).is_ok());
    assert!(unreached(&|| takes).is_empty(), "1000 iterations");
    let late = unreached(&|| takes - Duration::from_micros(1));
    assert!(matches!(late[..], [(_, AttemptError::NoTime(needed))] if needed == takes));
    cancel.cancel();
    assert!(matches!(run(&no_limit).unwrap_err().tried[0].1, AttemptError::Pin(PinError::Cancelled)));
}
