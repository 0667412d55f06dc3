//! What the shares of a threshold tell of their policies.

use super::binding::Binding;
use super::children::Child;
use crate::error::{Name, PinError};
use crate::pin::{self, HEADER, MayCount, Pin, Ports};
use crate::stored::{BoundCounter, BoundParent, BoundServer, Lost, SignedPolicy};
use jose::Jwe;
use json::{Object, Value};

/// A share whose pin is here.
struct Share<'a> {
    pin: &'a dyn Pin,
    header: Value,
}

impl Share<'_> {
    fn stored(&self, pins: &[&dyn Pin], lost: &mut Vec<Lost>) -> Result<Value, PinError> {
        self.pin.stored(&self.header.field(HEADER), pins, lost)
    }
}

/// A share as far as it can be read: its pin's name, and the rest.
fn read<'a>(text: &str, pins: &[&'a dyn Pin]) -> (Option<Name>, Result<Share<'a>, PinError>) {
    match Jwe::parse_compact(text.as_bytes()) {
        Err(source) => (None, Err(PinError::NotAJwe { source })),
        Ok(jwe) => {
            let pin = pin::pin_of(&jwe, pins);
            (pin::pin_name(&jwe).ok(), pin.map(|pin| Share { pin, header: pin::header(&jwe) }))
        }
    }
}

/// The shares that can be read.
fn readable<'a>(binding: &Binding, pins: &[&'a dyn Pin]) -> impl Iterator<Item = Share<'a>> {
    binding.shares.iter().filter_map(|text| read(text, pins).1.ok())
}

/// The configuration: the threshold, and under the name of each pin an array of what its shares tell.
pub(super) fn configuration(binding: &Binding, pins: &[&dyn Pin], lost: &mut Vec<Lost>) -> Value {
    let mut listed = Object::new();
    for (index, text) in binding.shares.iter().enumerate() {
        let place = format!("share {}", index + 1);
        let (name, share) = read(text, pins);
        let mut inside = Vec::new();
        match share.and_then(|share| Ok((share.pin.name(), share.stored(pins, &mut inside)?))) {
            Ok((pin, config)) => append(&mut listed, pin, config),
            Err(error) => lost.push(Lost::Share { place: place.clone(), pin: name, error }),
        }
        lost.extend(inside.into_iter().map(|lost| lost.inside(&place)));
    }
    let threshold = u64::try_from(binding.threshold).unwrap_or(u64::MAX);
    Object::new().with("t", threshold).with("pins", listed).into()
}

/// Whether each of the wanted policies is that of a share of its own, in any order.
pub(super) fn all_met(wanted: &[Child], binding: &Binding, pins: &[&dyn Pin]) -> bool {
    let mut left: Vec<Share<'_>> = readable(binding, pins).collect();
    wanted.len() == binding.shares.len()
        && wanted.iter().all(|child| {
            let meets = |share: &Share<'_>| {
                share.pin.name() == child.pin.as_str()
                    && share.pin.meets(&child.config, &share.header.field(HEADER), pins).unwrap_or(false)
            };
            left.iter().position(meets).map(|index| left.swap_remove(index)).is_some()
        })
}

/// The servers of all shares that can be read.
pub(super) fn servers(binding: &Binding, pins: &[&dyn Pin]) -> Vec<BoundServer> {
    let of = |share: Share<'_>| share.pin.servers(&share.header.field(HEADER), pins).unwrap_or_default();
    readable(binding, pins).flat_map(of).collect()
}

/// The keys in a TPM of all shares that can be read.
pub(super) fn parents(binding: &Binding, pins: &[&dyn Pin]) -> Vec<BoundParent> {
    let of = |share: Share<'_>| share.pin.parents(&share.header.field(HEADER), pins).unwrap_or_default();
    readable(binding, pins).flat_map(of).collect()
}

/// What must be approved, of all shares that can be read.
pub(super) fn signed(binding: &Binding, pins: &[&dyn Pin]) -> Vec<SignedPolicy> {
    let of = |share: Share<'_>| share.pin.signed(&share.header.field(HEADER), pins).unwrap_or_default();
    readable(binding, pins).flat_map(of).collect()
}

/// The counters of all shares that can be read.
pub(super) fn counters(binding: &Binding, pins: &[&dyn Pin]) -> Vec<BoundCounter> {
    let of = |share: Share<'_>| share.pin.counters(&share.header.field(HEADER), pins).unwrap_or_default();
    readable(binding, pins).flat_map(of).collect()
}

/// Settles all shares that can be read, also those behind one that fails; the first failure is told.
pub(super) fn settle(binding: &Binding, may: &mut MayCount<'_>, ports: &Ports<'_>) -> Result<(), PinError> {
    let each = |share: Share<'_>| share.pin.settle(&share.header.field(HEADER), may, ports);
    readable(binding, ports.pins).map(each).fold(Ok(()), Result::and)
}

/// Puts a configuration under the name of its pin, after those that are there.
pub(super) fn append(listed: &mut Object, pin: &str, config: Value) {
    match listed.get_mut(pin) {
        Some(Value::Array(configs)) => configs.push(config),
        _ => listed.insert(pin, vec![config]),
    }
}
