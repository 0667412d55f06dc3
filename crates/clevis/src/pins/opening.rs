//! Pins that open and do not bind, for programs that are small because they make no bindings.
//!
//! A table of pins refers to all that each of them can do, used or not; through this one, only what opens is in the program.

use crate::config::Config;
use crate::error::PinError;
use crate::pin::{Opened, Pin, Ports, Shown};
use crate::stored::{BoundCounter, BoundParent, BoundServer, Lost, SignedPolicy};
use crypto::Secret;
use jose::Jwe;
use json::{Field, Object, Value};

/// The pin, as far as it opens; whatever would bind is [`PinError::OnlyOpens`].
#[derive(Clone, Copy, Debug)]
pub struct Opening<P>(pub P);

impl<P: Pin> Opening<P> {
    fn refused<T>(&self) -> Result<T, PinError> {
        Err(PinError::OnlyOpens { pin: self.name() })
    }
}

impl<P: Pin> Pin for Opening<P> {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn check(&self, _: &Config, _: &[&dyn Pin]) -> Result<(), PinError> {
        self.refused()
    }

    fn encrypt(&self, _: &Config, _: &Secret, _: &Object, _: &Ports<'_>) -> Result<Jwe, PinError> {
        self.refused()
    }

    fn open(&self, jwe: &Jwe, ports: &Ports<'_>) -> Result<Opened, PinError> {
        self.0.open(jwe, ports)
    }

    fn describe(&self, header: &Field<'_>, pins: &[&dyn Pin]) -> Result<Shown, PinError> {
        self.0.describe(header, pins)
    }

    fn stored(&self, header: &Field<'_>, pins: &[&dyn Pin], lost: &mut Vec<Lost>) -> Result<Value, PinError> {
        self.0.stored(header, pins, lost)
    }

    fn meets(&self, _: &Config, _: &Field<'_>, _: &[&dyn Pin]) -> Result<bool, PinError> {
        self.refused()
    }

    fn servers(&self, header: &Field<'_>, pins: &[&dyn Pin]) -> Result<Vec<BoundServer>, PinError> {
        self.0.servers(header, pins)
    }

    fn parents(&self, header: &Field<'_>, pins: &[&dyn Pin]) -> Result<Vec<BoundParent>, PinError> {
        self.0.parents(header, pins)
    }

    fn signed(&self, header: &Field<'_>, pins: &[&dyn Pin]) -> Result<Vec<SignedPolicy>, PinError> {
        self.0.signed(header, pins)
    }

    fn counters(&self, header: &Field<'_>, pins: &[&dyn Pin]) -> Result<Vec<BoundCounter>, PinError> {
        self.0.counters(header, pins)
    }

    fn is_at_hand(&self, header: &Field<'_>) -> bool {
        self.0.is_at_hand(header)
    }
}
