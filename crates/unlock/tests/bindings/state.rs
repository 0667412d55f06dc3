//! What a keyslot is bound to, and whether its keys still stand.

use crate::scripted::{OneServer, TANG, accepted, asking, bind, binding, config, formatted};
use clevis::{Cancel, PinError};
use crypto::SystemRandom;
use json::Object;
use luks::{Edit, Slot};
use unlock::{SlotState, Verdict, WhyUnreadable};

#[test]
fn a_keyslot_is_unbound_as_wanted_otherwise_or_unreadable() {
    let (disk, key) = formatted();
    let net = OneServer::new();
    let slot = bind(&disk, &key, &net, "tang", TANG).slot;
    let zero = Slot::new(0).unwrap();
    let state =
        |slot, pin, text: &str| unlock::state(accepted(&disk).header(), slot, pin, &config(text), clevis::pins::ALL);
    assert!(matches!(state(zero, "tang", TANG), Ok(SlotState::Unbound)));
    assert!(matches!(state(Slot::new(9).unwrap(), "tang", TANG), Ok(SlotState::Unbound)));
    assert!(matches!(state(slot, "tang", TANG), Ok(SlotState::AsWanted(found)) if found.slot == slot));
    let named = format!(r#"{{"url":"http://s","thp":"{}"}}"#, net.thp());
    assert!(matches!(state(slot, "tang", &named), Ok(SlotState::AsWanted(_))));
    for (pin, text) in [("tang", r#"{"url":"http://t"}"#), ("null", "{}")] {
        let Ok(SlotState::Otherwise(_, stored)) = state(slot, pin, text) else { panic!("{pin} {text}") };
        assert_eq!((stored.pin, stored.config.field().value().to_compact().as_str()), ("tang", TANG));
    }
    assert!(matches!(state(slot, "tang", "{}"), Err(PinError::Config(_))), "what is wanted is no policy");
    assert!(matches!(state(slot, "tmp2", "{}"), Err(PinError::UnknownPin { .. })));

    let header = accepted(&disk);
    let mut edit = Edit::new(&header, &SystemRandom).unwrap();
    let token = |slot: &str| Object::new().with("type", "clevis").with("keyslots", vec![slot]).with("jwe", "rubbish");
    edit.add_token(None, token("0")).unwrap();
    edit.apply(&disk).unwrap();
    assert!(matches!(state(zero, "tang", TANG), Ok(SlotState::Unreadable(WhyUnreadable::Token(_)))));
}

#[test]
fn a_report_comes_to_a_verdict() {
    let (disk, key) = formatted();
    let net = OneServer::new();
    let slot = bind(&disk, &key, &net, "tang", TANG).slot;
    let report = || unlock::report(&binding(&disk, slot), &asking(&net, &Cancel::new())).unwrap();
    assert_eq!(report().verdict(), Verdict::Current);
    net.rotate();
    let rotated = report();
    assert_eq!(rotated.verdict(), Verdict::Rotated);
    assert_eq!(rotated.servers[0].rotated.as_ref().unwrap().len(), 2, "both keys of the pair");
    net.unplug();
    assert_eq!(report().verdict(), Verdict::Unknown);
    assert!(net.questions.lock().unwrap().is_empty());
    let null = bind(&disk, &key, &net, "null", "{}").slot;
    let none = unlock::report(&binding(&disk, null), &asking(&net, &Cancel::new())).unwrap();
    assert!(none.servers.is_empty() && none.verdict() == Verdict::Current);
}
