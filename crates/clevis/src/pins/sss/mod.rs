//! The pin `sss`: a secret comes back when t of n other pins give their shares (nbde-formats 3.2).
//!
//! The shares are tied one after the other, because some pins ask a person. To bring the secret back all children start at
//! once, in threads; the first t good shares decide, the others are cancelled, and nobody waits for a silent server longer
//! than its port takes to notice that. A child that gives something odd has failed, as any other that fails: the original
//! stops there. A child that gives a wrong share spoils nothing either: other sets of shares are tried, and it is named.

mod binding;
mod check;
mod children;
mod field;
mod gather;
mod renew;
mod subsets;
mod tally;
mod told;
mod tree;

use crate::config::{Config, ConfigError};
use crate::error::PinError;
use crate::pin::{self, ANNOTATION, HEADER, MayCount, Opened, Pin, Ports, Shown, header};
use crate::stored::{BoundCounter, BoundParent, BoundServer, Lost, Renewal, Renewed, SignedPolicy};
pub(crate) use binding::NAME;
use binding::{Binding, bad_binding};
use check::{CHECK, Check};
use children::read_config;
use crypto::Secret;
use field::{Modulus, Polynomial};
use jose::{Jwe, b64};
use json::{Field, Object, Value};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Sss;

impl Pin for Sss {
    fn name(&self) -> &'static str {
        NAME
    }

    fn check(&self, config: &Config, pins: &[&dyn Pin]) -> Result<(), PinError> {
        tree::check_config(config)?;
        read_config(config)?.1.iter().try_for_each(|child| child.check(pins))
    }

    fn encrypt(&self, config: &Config, secret: &Secret, beside: &Object, ports: &Ports<'_>) -> Result<Jwe, PinError> {
        tree::check_config(config)?;
        let (threshold, children) = read_config(config)?;
        let modulus = Modulus::fresh().map_err(PinError::Prime)?;
        let polynomial = Polynomial::draw(modulus.clone(), threshold, ports.random).map_err(PinError::Random)?;
        let tied = children.iter().enumerate().map(|(number, child)| child.encrypt(number, &polynomial, ports));
        let (jwes, checks): (Vec<Value>, Vec<Check>) = tied.collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
        let inner = Object::new()
            .with("jwe", jwes)
            .with("p", b64::encode(&modulus.to_bytes()))
            .with("t", u64::try_from(threshold).unwrap_or(u64::MAX));
        let header = with_checks(beside, &checks).with("clevis", Object::new().with("pin", NAME).with(NAME, inner));
        Jwe::encrypt_dir(&header, &polynomial.secret(), secret, ports.random)
            .map_err(|source| PinError::Seal { pin: NAME, source })
    }

    fn open(&self, jwe: &Jwe, ports: &Ports<'_>) -> Result<Opened, PinError> {
        let binding = read(&header(jwe).field(HEADER))?;
        gather::gather(&binding, jwe, ports)
    }

    fn describe(&self, header: &Field<'_>, pins: &[&dyn Pin]) -> Result<Shown, PinError> {
        Ok(describe(&read(header)?, pins))
    }

    fn stored(&self, header: &Field<'_>, pins: &[&dyn Pin], lost: &mut Vec<Lost>) -> Result<Value, PinError> {
        Ok(told::configuration(&read(header)?, pins, lost))
    }

    fn meets(&self, config: &Config, header: &Field<'_>, pins: &[&dyn Pin]) -> Result<bool, PinError> {
        tree::check_config(config)?;
        let (threshold, children) = read_config(config)?;
        let binding = read(header)?;
        Ok(threshold == binding.threshold && told::all_met(&children, &binding, pins))
    }

    fn bare(&self, config: &Config, pins: &[&dyn Pin]) -> Result<Value, ConfigError> {
        tree::check_config(config)?;
        renew::bare(config, pins)
    }

    fn servers(&self, header: &Field<'_>, pins: &[&dyn Pin]) -> Result<Vec<BoundServer>, PinError> {
        Ok(told::servers(&read(header)?, pins))
    }

    fn parents(&self, header: &Field<'_>, pins: &[&dyn Pin]) -> Result<Vec<BoundParent>, PinError> {
        Ok(told::parents(&read(header)?, pins))
    }

    fn signed(&self, header: &Field<'_>, pins: &[&dyn Pin]) -> Result<Vec<SignedPolicy>, PinError> {
        Ok(told::signed(&read(header)?, pins))
    }

    fn counters(&self, header: &Field<'_>, pins: &[&dyn Pin]) -> Result<Vec<BoundCounter>, PinError> {
        Ok(told::counters(&read(header)?, pins))
    }

    fn settle(&self, header: &Field<'_>, may: &mut MayCount<'_>, ports: &Ports<'_>) -> Result<(), PinError> {
        told::settle(&read(header)?, may, ports)
    }

    fn renew(&self, config: &Config, renewal: &Renewal<'_>, ports: &Ports<'_>) -> Result<Renewed, PinError> {
        tree::check_config(config)?;
        renew::renew(config, renewal, ports)
    }
}

/// What is said beside the policy, and the check values with it.
fn with_checks(beside: &Object, checks: &[Check]) -> Object {
    let said = beside.get(ANNOTATION).and_then(Value::as_object).cloned().unwrap_or_default();
    let checks: Vec<Value> = checks.iter().map(Check::to_json).collect();
    beside.clone().with(ANNOTATION, said.with(CHECK, checks))
}

/// The threshold in a header, whose size has been checked.
fn read(header: &Field<'_>) -> Result<Binding, PinError> {
    let binding = Binding::read(header).map_err(bad_binding)?;
    tree::check_shares(&binding.shares).map_err(bad_binding)?;
    Ok(binding)
}

/// The shares in a header, whose size has been checked: compact JWEs, of which nothing is known yet.
pub(crate) fn shares(header: &Field<'_>) -> Result<Vec<String>, PinError> {
    read(header).map(|binding| binding.shares)
}

/// The text of the original, which drops `null` and what it does not know, and all but the last of several nested thresholds.
fn describe(binding: &Binding, pins: &[&dyn Pin]) -> Shown {
    let (mut listed, mut nested, mut lossy) = (Object::new(), None, false);
    for share in &binding.shares {
        let description = Jwe::parse_compact(share.as_bytes()).ok().and_then(|jwe| pin::describe(&jwe, pins).ok());
        match description {
            Some(inner) if inner.pin == NAME => {
                lossy |= inner.shown.lossy || nested.is_some();
                nested = Some(inner.shown.config);
            }
            Some(inner) if inner.pin != "null" => {
                lossy |= inner.shown.lossy;
                told::append(&mut listed, inner.pin, inner.shown.config);
            }
            _ => lossy = true,
        }
    }
    if let Some(nested) = nested {
        listed.insert(NAME, nested);
    }
    let threshold = u64::try_from(binding.threshold).unwrap_or(u64::MAX);
    Shown { config: Object::new().with("t", threshold).with("pins", listed).into(), lossy }
}
