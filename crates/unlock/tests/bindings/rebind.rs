//! Bindings made anew in their place, and passphrases replaced by bindings.

use crate::scripted::{
    OneServer, TANG, accepted, asking, bind, binding, config, formatted, free, open, passphrase, ports, put_token,
    request, volume,
};
use block::MemoryDisk;
use clevis::{Cancel, PinError};
use crypto::{SystemRandom, VolumeKey};
use json::Object;
use luks::{Edit, Slot, TokenId, open_any, open_keyslot};
use unlock::{BindError, Binding, CommitError, LastHumanSlot, Prepared, Proof};

/// A volume with one binding, in slot 1.
fn bound(net: &OneServer, text: &str) -> (MemoryDisk, VolumeKey, Binding) {
    let (disk, key) = formatted();
    let slot = bind(&disk, &key, net, "tang", text).slot;
    let binding = binding(&disk, slot);
    (disk, key, binding)
}

fn commit(disk: &MemoryDisk, key: &VolumeKey, prepared: Prepared) -> Result<unlock::Bound, CommitError> {
    unlock::bind(&volume(disk, &free, &Cancel::new()), key, prepared)
}

fn config_of(binding: &Binding) -> String {
    let stored = clevis::configuration(&binding.jwe, clevis::pins::ALL).unwrap();
    stored.config.field().value().to_compact().to_string()
}

#[test]
fn a_rotated_server_is_bound_anew_without_a_question() {
    let net = OneServer::new();
    let named = format!(r#"{{"thp":"{}","url":"http://s"}}"#, net.thp());
    let (disk, key, old) = bound(&net, &named);
    let before = open(&disk, &old, &net).unwrap();
    net.rotate();
    let prepared = unlock::regen(&old, Some(&before), Proof::Required, &asking(&net, &Cancel::new())).unwrap();
    assert!(net.questions.lock().unwrap().is_empty());
    let made = commit(&disk, &key, prepared).unwrap();
    assert_eq!((made.slot, made.token), (old.slot, old.token), "the numbers stay");

    let new = binding(&disk, old.slot);
    assert!(clevis::servers(&new.jwe, clevis::pins::ALL).unwrap()[0].signs_as(&net.thp()));
    assert_eq!(config_of(&new), format!(r#"{{"thp":"{}","url":"http://s"}}"#, net.thp()));
    // The server may throw its old keys away now.
    net.forget_rotated();
    let after = open(&disk, &new, &net).unwrap();
    assert!(after.key.secret().ct_eq(key.expose()));
    let header = accepted(&disk);
    assert!(open_keyslot(&disk, &header, old.slot, &before.passphrase).is_err(), "the old passphrase is gone");
    assert!(open_any(&disk, &header, &passphrase("typed")).is_ok());
    assert_eq!(header.slots().count(), 2);
}

#[test]
fn an_impostor_is_refused_and_the_binding_stays() {
    let net = OneServer::new();
    let (disk, _, old) = bound(&net, TANG);
    let opened = open(&disk, &old, &net).unwrap();
    let before = disk.to_vec();
    net.swap();
    let error = unlock::regen(&old, Some(&opened), Proof::Required, &asking(&net, &Cancel::new())).unwrap_err();
    assert!(matches!(&error, BindError::Renew(PinError::NotVouched { .. })), "{error:?}");
    *net.answer.lock().unwrap() = Some(true);
    assert!(unlock::regen(&old, Some(&opened), Proof::Required, &asking(&net, &Cancel::new())).is_ok());
    assert!(net.questions.lock().unwrap()[0].contains("no key that is known of it vouches"));
    assert!(disk.to_vec() == before);
}

/// Whoever can write to the disk can write keys there too: they vouch for something only once the binding was opened.
#[test]
fn keys_of_a_binding_that_was_not_opened_vouch_for_nothing() {
    let net = OneServer::new();
    let (disk, key, old) = bound(&net, TANG);
    let others = [bind(&disk, &key, &net, "null", "{}").slot, bind(&disk, &key, &net, "tang", TANG).slot];
    let others = others.map(|slot| open(&disk, &binding(&disk, slot), &net).unwrap());
    for opened in [None, Some(&others[0]), Some(&others[1])] {
        let error = unlock::regen(&old, opened, Proof::Required, &asking(&net, &Cancel::new())).unwrap_err();
        assert!(matches!(error, BindError::Renew(PinError::CannotAsk { .. })), "{error:?}");
    }
    // With the person's yes, a key that was found otherwise is enough: the server has lost its old keys.
    net.swap();
    *net.answer.lock().unwrap() = Some(true);
    let prepared = unlock::regen(&old, None, Proof::Required, &asking(&net, &Cancel::new())).unwrap();
    commit(&disk, &key, prepared).unwrap();
    assert!(open(&disk, &binding(&disk, old.slot), &net).is_some());
}

#[test]
fn a_binding_that_tells_not_everything_is_not_made_anew_but_can_be_edited() {
    let net = OneServer::new();
    let (disk, key) = formatted();
    let null = clevis::encrypt("null", &config("{}"), passphrase("x").secret(), &ports(&net, &Cancel::new())).unwrap();
    let shares = vec![null.to_compact().unwrap(), "rubbish".to_owned()];
    let sss = Object::new().with("jwe", shares).with("p", jose::b64::encode(&[0xff; 32])).with("t", 1_u64);
    let header = Object::new().with("clevis", Object::new().with("pin", "sss").with("sss", sss));
    let zeros = crypto::Secret::new(vec![0; 32]);
    let jwe = jose::Jwe::encrypt_dir(&header, &zeros, passphrase("x").secret(), &SystemRandom).unwrap();
    put_token(&disk, &key, &passphrase("x"), &jwe);
    let old = unlock::bindings(accepted(&disk).header()).remove(0);
    let error = unlock::regen(&old, None, Proof::Required, &ports(&net, &Cancel::new())).unwrap_err();
    assert!(matches!(&error, BindError::Incomplete { lost } if lost.len() == 1), "{error:?}");
    assert!(error.to_string().contains("share 2") && error.hint().contains("edit"), "{error}");

    let prepared =
        unlock::edit(&old, None, ("tang", &config(TANG)), Proof::Required, &ports(&net, &Cancel::new())).unwrap();
    let made = commit(&disk, &key, prepared).unwrap();
    assert_eq!((made.slot, made.token), (old.slot, old.token));
    assert_eq!(config_of(&binding(&disk, old.slot)), TANG);
}

#[test]
fn an_edit_keeps_trust_in_the_servers_it_keeps() {
    let net = OneServer::new();
    let (disk, key, old) = bound(&net, TANG);
    let opened = open(&disk, &old, &net).unwrap();
    net.rotate();
    let wanted = r#"{"pins":{"null":[{}],"tang":[{"url":"http://s"}]},"t":2}"#;
    let prepared =
        unlock::edit(&old, Some(&opened), ("sss", &config(wanted)), Proof::Required, &asking(&net, &Cancel::new()))
            .unwrap();
    commit(&disk, &key, prepared).unwrap();
    let new = binding(&disk, old.slot);
    assert!(clevis::meets("sss", &config(wanted), &new.jwe, clevis::pins::ALL).unwrap());
    assert!(open(&disk, &new, &net).is_some() && net.questions.lock().unwrap().is_empty());
}

#[test]
fn what_is_not_proved_does_not_take_the_place_of_what_works() {
    let net = OneServer::new();
    let (disk, _, old) = bound(&net, TANG);
    let opened = open(&disk, &old, &net).unwrap();
    let given = format!(r#"{{"url":"http://away","adv":{}}}"#, net.advertisement());
    let error =
        unlock::edit(&old, Some(&opened), ("tang", &config(&given)), Proof::Required, &ports(&net, &Cancel::new()))
            .unwrap_err();
    assert!(matches!(error, BindError::NotProved(_)), "{error:?}");
    let fails =
        unlock::edit(&old, None, ("null", &config(r#"{"fail":true}"#)), Proof::Required, &ports(&net, &Cancel::new()));
    assert!(matches!(fails, Err(BindError::NotProved(_))));
}

#[test]
fn a_binding_that_somebody_else_has_changed_meanwhile_is_left_alone() {
    let net = OneServer::new();
    let (disk, key, old) = bound(&net, TANG);
    let prepare = || unlock::regen(&old, None, Proof::Required, &ports(&net, &Cancel::new())).unwrap();
    let (first, second) = (prepare(), prepare());
    commit(&disk, &key, first).unwrap();
    let before = disk.to_vec();
    assert!(matches!(commit(&disk, &key, second), Err(CommitError::NotBound { .. })));
    assert!(disk.to_vec() == before);
}

#[test]
fn giving_up_in_a_regen_puts_the_old_binding_back() {
    let net = OneServer::new();
    let (disk, key, old) = bound(&net, TANG);
    let before = disk.to_vec();
    let prepared = unlock::regen(&old, None, Proof::Required, &ports(&net, &Cancel::new())).unwrap();
    struct Raise(Cancel);
    impl Drop for Raise {
        fn drop(&mut self) {
            self.0.cancel();
        }
    }
    let late = Cancel::new();
    let raising = || Ok(Box::new(Raise(late.clone())) as Box<dyn Send>);
    let error = unlock::bind(&volume(&disk, &raising, &late), &key, prepared).unwrap_err();
    assert!(matches!(error, CommitError::Cancelled) && disk.to_vec() == before, "{error}");
}

#[test]
fn a_token_of_several_keyslots_keeps_the_others() {
    let net = OneServer::new();
    let (disk, key) = formatted();
    let shared = passphrase("shared");
    let jwe = clevis::encrypt("null", &config("{}"), shared.secret(), &ports(&net, &Cancel::new())).unwrap();
    put_token(&disk, &key, &shared, &jwe);
    put_token(&disk, &key, &shared, &jwe);
    let header = accepted(&disk);
    let mut edit = Edit::new(&header, &SystemRandom).unwrap();
    edit.remove_token(TokenId::new(1).unwrap()).unwrap();
    let both = Object::new().with("type", "clevis").with("keyslots", vec!["1", "2"]).with("jwe", jwe.to_flattened());
    edit.replace_token(TokenId::new(0).unwrap(), both).unwrap();
    edit.apply(&disk).unwrap();
    let old = binding(&disk, Slot::new(1).unwrap());
    let prepared = unlock::regen(&old, None, Proof::Required, &ports(&net, &Cancel::new())).unwrap();
    let made = commit(&disk, &key, prepared).unwrap();
    assert_eq!((made.slot, made.token), (old.slot, TokenId::new(1)));
    let (first, second) = (binding(&disk, old.slot), binding(&disk, Slot::new(2).unwrap()));
    assert_eq!(second.token, TokenId::new(0));
    assert!(open(&disk, &first, &net).is_some() && open(&disk, &second, &net).is_some());
}

#[test]
fn a_preset_passphrase_goes_once_the_binding_is_proved_and_not_before() {
    let net = OneServer::new();
    let (disk, key) = formatted();
    let zero = Slot::new(0).unwrap();
    let prepare = |text: &str| unlock::prepare(&request("tang", &config(text)), &ports(&net, &Cancel::new())).unwrap();
    let replace =
        |prepared, last| unlock::bind_instead(&volume(&disk, &free, &Cancel::new()), &key, prepared, zero, last);
    let before = disk.to_vec();
    // Nobody could open it afterwards but the policy.
    let error = replace(prepare(TANG), LastHumanSlot::Keep).unwrap_err();
    assert!(matches!(error, CommitError::LastHumanSlot { slot, .. } if slot == zero), "{error}");
    net.unplug();
    let away = format!(r#"{{"url":"http://s","adv":{}}}"#, net.advertisement());
    assert!(matches!(replace(prepare(&away), LastHumanSlot::Remove), Err(CommitError::Unproved)));
    assert!(disk.to_vec() == before);

    net.plug_in();
    let header = accepted(&disk);
    let plan =
        unlock::replace_edit(&header, &key, &prepare(TANG), (zero, LastHumanSlot::Remove), &SystemRandom).unwrap();
    let lines: Vec<String> = plan.to_string().lines().map(|line| line[..18].to_owned()).collect();
    assert_eq!(lines, ["add keyslot 1 (pbk", "set the priority o", "add token 0 (\"clev", "remove keyslot 0, "]);
    assert!(disk.to_vec() == before);
    let made = replace(prepare(TANG), LastHumanSlot::Remove).unwrap();
    let header = accepted(&disk);
    assert_eq!(header.slots().collect::<Vec<_>>(), [made.slot]);
    assert!(open(&disk, &binding(&disk, made.slot), &net).is_some());
    assert!(open_any(&disk, &header, &passphrase("typed")).is_err());
}
