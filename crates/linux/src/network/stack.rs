//! Interfaces that are made before they are used: names for cards, bonds, VLANs.

use super::error::Standing;
use super::event::{Milestone, NetworkEvent};
use super::shared::Shared;
use crate::link::{Link, LinkKind, View};
use earlynet::{Bond, Layer, LinkName, Vlan};
use std::collections::BTreeMap;
use std::io;

/// Makes everything that can be made now; whether anything has changed. What cannot be made for another reason than that something is not
/// there yet is not tried again.
pub(super) fn build(
    shared: &mut Shared,
    view: &View,
    is_named: &dyn Fn(&Link) -> bool,
    unmade: &mut BTreeMap<LinkName, Standing>,
) -> bool {
    let mut changed = rename(shared, view, is_named, unmade);
    if changed {
        // By their new names the rest is found in the next round.
        return true;
    }
    let wanted = shared.plan.wanted.clone();
    let is_refused =
        |unmade: &BTreeMap<LinkName, Standing>, name| matches!(unmade.get(name), Some(Standing::Refused(_)));
    for bond in &wanted.bonds {
        if !has_members(view, bond) && !is_refused(unmade, &bond.name) {
            changed |= note(unmade, &bond.name, make_bond(shared, view, is_named, bond));
        }
    }
    for vlan in &wanted.vlans {
        if view.named(&vlan.name).is_none() && !is_refused(unmade, &vlan.name) {
            changed |= note(unmade, &vlan.name, make_vlan(shared, view, is_named, vlan));
        }
    }
    changed
}

/// What an interface that is to be there is called.
pub(super) fn name_of(layer: Layer<'_>) -> &LinkName {
    match layer {
        Layer::Card(name) => name,
        Layer::Bond(bond) => &bond.name,
        Layer::Vlan(vlan) => &vlan.name,
    }
}

fn note(unmade: &mut BTreeMap<LinkName, Standing>, name: &LinkName, made: Result<(), Standing>) -> bool {
    match made {
        Ok(()) => {
            unmade.remove(name);
            true
        }
        Err(standing) => {
            unmade.insert(name.clone(), standing);
            false
        }
    }
}

/// Whether a bond is there and at work; a bond without cards is one that nobody has made yet.
fn has_members(view: &View, bond: &Bond) -> bool {
    view.named(&bond.name).is_some_and(|link| view.links.iter().any(|member| member.master == Some(link.index)))
}

fn rename(
    shared: &mut Shared,
    view: &View,
    is_named: &dyn Fn(&Link) -> bool,
    unmade: &mut BTreeMap<LinkName, Standing>,
) -> bool {
    let mut changed = false;
    for rename in shared.plan.wanted.renames.clone() {
        let is_meant = |link: &&Link| link.kind == LinkKind::Card && link.mac == Some(rename.mac) && is_named(link);
        let Some(link) = view.links.iter().find(is_meant).filter(|link| link.name != rename.name) else { continue };
        if unmade.contains_key(&rename.name) {
            continue;
        }
        match shared.links.rename(link, &rename.name) {
            Ok(()) => {
                let milestone = Milestone::Renamed(link.name.clone());
                shared.tell(&Link { name: rename.name.clone(), ..link.clone() }, milestone);
                changed = true;
            }
            Err(error) => {
                let why = format!("{} cannot be renamed: {error}", link.name);
                unmade.insert(rename.name.clone(), Standing::Refused(why));
            }
        }
    }
    changed
}

fn make_bond(shared: &mut Shared, view: &View, is_named: &dyn Fn(&Link) -> bool, bond: &Bond) -> Result<(), Standing> {
    // All of them: one that is missing would stay out of the bond for good.
    let members = bond.members.iter().map(|name| {
        let member = view.named(name).filter(|link| is_named(link));
        member.ok_or_else(|| Standing::NothingBelow(name.clone()))
    });
    let members = members.collect::<Result<Vec<_>, _>>()?;
    shared.links.make_bond(bond, &members).map_err(|error| refused("the bond", &error))?;
    made(shared, &bond.name, LinkKind::Bond);
    if let (Some(mtu), Ok(view)) = (bond.mtu, shared.links.view())
        && let Some(link) = view.named(&bond.name)
    {
        shared.links.set_mtu(link, mtu).map_err(|error| refused("its MTU", &error))?;
    }
    Ok(())
}

fn make_vlan(shared: &mut Shared, view: &View, is_named: &dyn Fn(&Link) -> bool, vlan: &Vlan) -> Result<(), Standing> {
    let on = view.named(&vlan.on).filter(|link| is_named(link));
    let on = on.ok_or_else(|| Standing::NothingBelow(vlan.on.clone()))?;
    shared.links.make_vlan(vlan, on).map_err(|error| refused("the VLAN", &error))?;
    made(shared, &vlan.name, LinkKind::Vlan);
    Ok(())
}

fn made(shared: &Shared, name: &LinkName, kind: LinkKind) {
    (shared.tell)(&NetworkEvent::Link(name.clone(), Milestone::Made(kind)));
}

fn refused(what: &str, error: &io::Error) -> Standing {
    let missing = error.raw_os_error() == Some(libc::EOPNOTSUPP);
    let hint = if missing { " (is its module, bonding or 8021q, in the initramfs?)" } else { "" };
    Standing::Refused(format!("{what} cannot be made: {error}{hint}"))
}
