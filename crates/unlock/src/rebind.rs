//! A binding made anew in its own place: with the keys of today, or by another configuration.
//!
//! Both work from the binding itself, never from a printed form of it, so nothing of a configuration is lost on the way.

use crate::bind::{BindError, Keys, Place, Prepared, Proof, encrypt, names};
use crate::binding::Binding;
use crate::parts::without_sets;
use crate::run::Unlocked;
use clevis::{BoundServer, Config, PinError, Ports, Renewal, Wanted};
use jose::{Jwe, ThumbprintHash};
use std::collections::BTreeSet;

/// Prepares the same policy with the keys of today and a new passphrase, in the place of `binding`.
///
/// `opened` is what opening this very binding gave, if it still opens. Then the keys that it has of its servers vouch for those after
/// them, and nobody is asked, and no other parent key in a TPM is told anything than the one that it names. Else a person is asked, because
/// anybody could have written what stands on the disk, and the parent key is believed: the TPM may be a new one.
///
/// A signed policy that nobody has approved yet, or whose latch is shut, is taken unproved if `proof` allows for it: whoever does that knows
/// another way in.
///
/// # Errors
/// [`BindError::Incomplete`] if the binding does not tell its whole configuration, [`BindError::Renew`] if the keys of today are not
/// trusted; nothing has been changed anywhere.
pub fn regen(
    binding: &Binding,
    opened: Option<&Unlocked>,
    proof: Proof,
    ports: &Ports<'_>,
) -> Result<Prepared, BindError> {
    let stored = clevis::configuration(&binding.jwe, ports.pins).map_err(BindError::Unreadable)?;
    if !stored.is_complete() {
        return Err(BindError::Incomplete { lost: stored.lost });
    }
    rebind(binding, opened, (stored.pin, &stored.config), (Wanted::Same, Met::of(proof)), ports)
}

/// Prepares another policy in the place of `binding`. What the configuration says of keys stands; servers of which it says nothing are
/// trusted as [`regen`] trusts them, and `proof` is as there.
///
/// # Errors
/// As [`regen`], without [`BindError::Incomplete`].
pub fn edit(
    binding: &Binding,
    opened: Option<&Unlocked>,
    (pin, config): (&str, &Config),
    proof: Proof,
    ports: &Ports<'_>,
) -> Result<Prepared, BindError> {
    rebind(binding, opened, (pin, config), (Wanted::New, Met::of(proof)), ports)
}

/// As [`edit`]; the values of PCRs in it may be those of another boot.
pub(crate) fn ahead(
    binding: &Binding,
    opened: Option<&Unlocked>,
    pin: &str,
    config: &Config,
    ports: &Ports<'_>,
) -> Result<Prepared, BindError> {
    rebind(binding, opened, (pin, config), (Wanted::New, Met::Later), ports)
}

/// When the new policy must be met.
#[derive(Clone, Copy, PartialEq)]
enum Met {
    /// It is tried.
    Now,
    /// It is tried, and a signed one may wait for who approves it.
    Approved,
    /// It is tried, and may be one for what the PCRs will hold.
    Later,
}

impl Met {
    fn of(proof: Proof) -> Met {
        if proof == Proof::IfReachable { Met::Approved } else { Met::Now }
    }
}

fn rebind(
    binding: &Binding,
    opened: Option<&Unlocked>,
    (pin, config): (&str, &Config),
    (wanted, met): (Wanted, Met),
    ports: &Ports<'_>,
) -> Result<Prepared, BindError> {
    let known = named(binding, opened, |jwe| clevis::servers(jwe, ports.pins)).map_err(BindError::Unreadable)?;
    let parents = named(binding, opened, |jwe| clevis::parents(jwe, ports.pins)).map_err(BindError::Unreadable)?;
    let ports = &Ports { parents: &parents, replaces: true, ..*ports };
    let mut renewed =
        clevis::renew(pin, config, &Renewal { known: &known, wanted }, ports).map_err(BindError::Renew)?;
    if met == Met::Later {
        renewed.kept = without_sets(pin, renewed.kept);
    }
    let read = |value: &json::Value| Config::from_field(&value.field("configuration"));
    let read = |value| read(value).map_err(|source| BindError::Encrypt(PinError::Config(source)));
    let (given, kept) = (read(&renewed.given)?, read(&renewed.kept)?);
    let said = match met {
        Met::Later => clevis::remembered_whole(&kept),
        Met::Now | Met::Approved => clevis::remembered(pin, &kept, ports.pins).map_err(BindError::Encrypt)?,
    };
    // The old binding goes, so the new one must have been seen to work, unless it is for another boot or for who approves it.
    let signed = names("signed", config.field().value());
    let later = |error: &PinError| match (met, error) {
        (Met::Later, PinError::PcrMismatch { .. } | PinError::Latched { .. }) => true,
        (Met::Approved, PinError::NotApproved { .. } | PinError::Latched { .. }) => signed,
        _ => false,
    };
    let may_wait = |error: &PinError| error.waits_for(&later);
    let prepared = encrypt(pin, &given, &said, Place::Instead(Box::new(binding.clone())), &may_wait, ports)?;
    let made = clevis::servers(&prepared.jwe, ports.pins).map_err(BindError::Unreadable)?;
    let keys = if !made.is_empty() && key_sets(&made) == key_sets(&known) { Keys::Unchanged } else { Keys::Other };
    Ok(Prepared { keys, ..prepared })
}

/// The servers with the thumbprints of their signing keys, whatever their order.
fn key_sets(servers: &[BoundServer]) -> BTreeSet<(&str, BTreeSet<String>)> {
    let thumbprints = |server: &BoundServer| {
        server.signing_keys().map(|key| key.thumbprint(ThumbprintHash::S256).to_string()).collect()
    };
    servers.iter().map(|server| (server.url.as_str(), thumbprints(server))).collect()
}

/// What an opened binding names: its servers, or keys in a TPM; nothing if it was not opened.
fn named<T>(
    binding: &Binding,
    opened: Option<&Unlocked>,
    by: impl FnOnce(&Jwe) -> Result<Vec<T>, PinError>,
) -> Result<Vec<T>, PinError> {
    match opened.and_then(|opened| opened.proved.as_ref()).filter(|proved| proved.binding.is_same(binding)) {
        Some(proved) => by(&proved.binding.jwe),
        None => Ok(Vec::new()),
    }
}
