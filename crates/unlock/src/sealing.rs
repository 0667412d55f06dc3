//! Sealing a header, and having its bindings say so.

use crate::binding::{Binding, bindings};
use crate::commit_error::CommitError;
use crate::estimate::TimeLeft;
use crate::identity::Closed;
use crate::plan::plan;
use crate::run::{AttemptError, Event, open_all};
use crate::seal::{Mark, check_seal};
use crate::store;
use crate::volume::Volume;
use clevis::Ports;
use crypto::{Random, Secret, VolumeKey};
use json::Object;
use luks::{Accepted, Edit, Slot, Version};
use std::collections::BTreeSet;

/// The bindings of a header that is to be sealed, as far as they open.
#[derive(Debug)]
pub struct PreparedSeal {
    opened: Vec<(Binding, Secret)>,
    /// The bindings that did not open, and why: they will say nothing of this seal, nor notice if it is taken away.
    pub unreached: Vec<(Binding, AttemptError)>,
}

/// A seal that has been computed.
#[derive(Debug)]
pub struct SealPlan<'a> {
    /// What it changes.
    pub edit: Edit<'a>,
    /// How often the volume has been sealed.
    pub epoch: u64,
    /// The bindings that say so, as they will be.
    pub bindings: Vec<Binding>,
}

/// A seal that is on the disk.
#[derive(Debug)]
pub struct Sealed {
    /// How often the volume has been sealed.
    pub epoch: u64,
    /// The keyslots whose bindings say so.
    pub slots: Vec<Slot>,
}

/// Opens every binding, because only what has been opened can be made to say anything. Whatever seal there is does not count.
pub fn prepare_seal(
    closed: &Closed<'_>,
    ports: &Ports<'_>,
    left: &TimeLeft<'_>,
    on_event: &mut dyn FnMut(Event<'_>),
) -> PreparedSeal {
    let (mut opened, mut unreached) = (Vec::new(), Vec::new());
    for (binding, result) in open_all(plan(bindings(closed.header.header()), None), closed, ports, left, on_event) {
        match result {
            Ok(content_key) => opened.push((binding, content_key)),
            Err(error) => unreached.push((binding, error)),
        }
    }
    PreparedSeal { opened, unreached }
}

/// The change that seals this header as it is, whatever its seal said before.
///
/// # Errors
/// [`CommitError::NotBound`] if a binding has changed since it was opened; [`CommitError::NothingToSeal`] on LUKS1 without a binding that
/// opens; [`CommitError::SealFault`] if one that did not open says of a seal what makes no sense; [`CommitError::Edit`].
pub fn seal_edit<'a>(
    header: &'a Accepted,
    key: &VolumeKey,
    prepared: &PreparedSeal,
    random: &'a dyn Random,
) -> Result<SealPlan<'a>, CommitError> {
    if header.header().version() == Version::Luks1 && prepared.opened.is_empty() {
        return Err(CommitError::NothingToSeal);
    }
    let mut edit = Edit::new(header, random).map_err(CommitError::Edit)?;
    let found = bindings(header.header());
    let is_opened = |binding: &Binding| prepared.opened.iter().any(|(opened, _)| opened.is_same(binding));
    let others: Vec<Binding> = found.iter().filter(|binding| !is_opened(binding)).cloned().collect();
    let (mark, epoch) = Mark::seal(&mut edit, header, key, &others)?;
    let (mut sealed, mut written) = (Vec::new(), BTreeSet::new());
    for (binding, content_key) in &prepared.opened {
        if !found.iter().any(|found| found.is_same(binding)) {
            return Err(CommitError::NotBound { slot: binding.slot });
        }
        // A token that serves several keyslots is one JWE.
        if binding.token.is_some_and(|token| !written.insert(token)) {
            continue;
        }
        let jwe = mark.put(&binding.jwe, Object::new(), content_key, random).map_err(CommitError::Annotate)?;
        store::rewrite(&mut edit, header.header(), binding, &jwe)?;
        let same = |other: &&Binding| match binding.token {
            Some(_) => other.token == binding.token,
            None => other.slot == binding.slot,
        };
        sealed.extend(found.iter().filter(same).map(|other| Binding { jwe: jwe.clone(), ..other.clone() }));
    }
    Ok(SealPlan { edit, epoch, bindings: sealed })
}

/// Seals, and proves that the seal on the disk is right and that its bindings know of it.
///
/// # Errors
/// [`CommitError`]; the disk is then as it was.
pub fn seal(volume: &Volume<'_>, key: &VolumeKey, prepared: &PreparedSeal) -> Result<Sealed, CommitError> {
    let (epoch, made) = volume.write_proved(
        |header, random| seal_edit(header, key, prepared, random).map(|plan| (plan.edit, (plan.epoch, plan.bindings))),
        |header, (_, made)| {
            let found = bindings(header.header());
            let written = made.iter().all(|binding| found.iter().any(|found| found.is_same(binding)));
            let clean = check_seal(header, key).is_ok_and(|state| state.is_clean());
            if written && clean { Ok(()) } else { Err(CommitError::NotReadBack) }
        },
    )?;
    Ok(Sealed { epoch, slots: made.into_iter().map(|binding| binding.slot).collect() })
}
