//! Shares of a threshold that were not needed when it was bound to.

use crate::scripted::{OneServer, config, ports, request};
use clevis::pins::{Null, Sss, Tang};
use clevis::{Cancel, Config, Lost, Opened, Pin, PinError, Ports, Shown};
use crypto::{Secret, SystemRandom};
use jose::Jwe;
use json::{Field, Object, Value};
use std::sync::atomic::{AtomicUsize, Ordering};
use unlock::{BindError, BindRequest, Proof};

/// A pin of this machine that makes bindings which it cannot open, with `{"well":true}` ones which it can.
#[derive(Default)]
struct Local {
    opened: AtomicUsize,
}

const KEY: [u8; 32] = [0; 32];

impl Pin for Local {
    fn name(&self) -> &'static str {
        "local"
    }

    fn check(&self, _: &Config, _: &[&dyn Pin]) -> Result<(), PinError> {
        Ok(())
    }

    fn encrypt(&self, config: &Config, secret: &Secret, beside: &Object, _: &Ports<'_>) -> Result<Jwe, PinError> {
        let inner = Object::new().with("pin", "local").with("local", config.field().value().clone());
        let header = beside.clone().with("clevis", inner);
        Ok(Jwe::encrypt_dir(&header, &Secret::copied_from(&KEY), secret, &SystemRandom).unwrap())
    }

    fn open(&self, jwe: &Jwe, _: &Ports<'_>) -> Result<Opened, PinError> {
        self.opened.fetch_add(1, Ordering::SeqCst);
        let header = Value::Object(jwe.header().clone());
        let local = header.field("h").member("clevis").unwrap().member("local").unwrap();
        if local.optional("well").unwrap().is_none() {
            return Err(PinError::ToldToFail);
        }
        Ok(Opened::new(jwe.decrypt(&Secret::copied_from(&KEY)).unwrap(), Secret::copied_from(&KEY)))
    }

    fn is_at_hand(&self, _: &Field<'_>) -> bool {
        true
    }

    fn describe(&self, _: &Field<'_>, _: &[&dyn Pin]) -> Result<Shown, PinError> {
        Err(PinError::ToldToFail)
    }

    fn stored(&self, _: &Field<'_>, _: &[&dyn Pin], _: &mut Vec<Lost>) -> Result<Value, PinError> {
        Err(PinError::ToldToFail)
    }

    fn meets(&self, _: &Config, _: &Field<'_>, _: &[&dyn Pin]) -> Result<bool, PinError> {
        Err(PinError::ToldToFail)
    }
}

/// How often the server was asked.
fn prepare(text: &str, local: &Local) -> Result<usize, BindError> {
    let (net, cancel, config) = (OneServer::new(), Cancel::new(), config(text));
    let pins: [&dyn Pin; 4] = [&Tang, &Sss, &Null, local];
    let request = BindRequest { proof: Proof::IfReachable, ..request("sss", &config) };
    unlock::prepare(&request, &Ports { pins: &pins, ..ports(&net, &cancel) })?;
    Ok(net.asked.load(Ordering::SeqCst))
}

#[test]
fn a_share_of_this_machine_that_does_not_open_is_not_bound_to() {
    for (text, place) in [
        (r#"{"t":1,"pins":{"null":{},"local":{}}}"#, "share 2"),
        (r#"{"t":1,"pins":{"null":{},"local":[{"well":true},{}]}}"#, "share 3"),
        (r#"{"t":1,"pins":{"null":{},"sss":{"t":1,"pins":{"null":{},"local":{}}}}}"#, "share 2, share 2"),
    ] {
        match prepare(text, &Local::default()).unwrap_err() {
            BindError::NotProved(PinError::Share { place: told, .. }) => assert_eq!(told, place),
            other => panic!("{other:?}"),
        }
    }
    let local = Local::default();
    assert!(prepare(r#"{"t":1,"pins":{"null":{},"local":[{"well":true},{"well":true}]}}"#, &local).is_ok());
    assert!(local.opened.load(Ordering::SeqCst) >= 2, "each was tried");
}

/// Whoever needs a server or a person is tried with the policy, and not once more.
#[test]
fn a_share_of_others_is_not_asked_again() {
    let text = r#"{"t":2,"pins":{"null":[{},{"fail":true}],"tang":{"url":"http://s"}}}"#;
    assert_eq!(prepare(text, &Local::default()).unwrap(), 2, "for its keys, and for the proof");
}
