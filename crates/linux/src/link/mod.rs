//! The machine's network interfaces: which there are, news of them, and changes that can be taken back.
//!
//! Everything goes by rtnetlink(7), but for what a bond knows by files alone. Interfaces that are not Ethernet (loopback, tunnels, lines) are
//! not seen here. `sockets` has what goes below the kernel's own IP.

mod change;
mod interface;
mod message;
mod netlink;
mod orders;
pub(crate) mod sockets;

pub(crate) use change::{Change, What};
pub(crate) use interface::View;
pub use interface::{Link, LinkKind};
pub use netlink::News;
pub(crate) use orders::NewAddress;

use earlynet::{Bond, LinkName, Mac, Route, Vlan};
use netlink::Netlink;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// How often the link between the cards of a bond is looked at if nothing else is said, in milliseconds: the kernel's driver would never look,
/// and a bond would have a carrier whatever is plugged in.
const BOND_WATCH: &str = "100";

/// The interfaces with the list of what was changed; each change is on the list when it is done.
#[derive(Debug)]
pub(crate) struct Links {
    netlink: Netlink,
    changes: Arc<Mutex<Vec<Change>>>,
}

impl Links {
    /// With an empty list.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn open() -> io::Result<Links> {
        Ok(Links { netlink: Netlink::open()?, changes: Arc::default() })
    }

    /// The list, for whoever hands it on.
    pub(crate) fn changes(&self) -> Arc<Mutex<Vec<Change>>> {
        Arc::clone(&self.changes)
    }

    /// What is there now.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn view(&mut self) -> io::Result<View> {
        View::of(&mut self.netlink)
    }

    /// Over which interface the kernel would send to an address, this machine's own included.
    pub(crate) fn way_to(&mut self, address: IpAddr) -> Option<u32> {
        interface::way_to(&mut self.netlink, address)
    }

    fn done(&self, link: &Link, what: What) {
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        changes.push(Change { index: link.index, name: link.name.clone(), what });
    }

    /// Switches it on.
    pub(crate) fn bring_up(&mut self, link: &Link) -> io::Result<()> {
        if !link.is_up {
            self.netlink.set_up(link.index, true)?;
            self.done(link, What::Up);
        }
        Ok(())
    }

    /// Gives it another name; it has to be off.
    pub(crate) fn rename(&mut self, link: &Link, name: &LinkName) -> io::Result<()> {
        self.netlink.rename(link.index, name)?;
        self.done(&Link { name: name.clone(), ..link.clone() }, What::Renamed(link.name.clone()));
        Ok(())
    }

    /// Gives it another hardware address; it has to be off.
    pub(crate) fn set_mac(&mut self, link: &Link, mac: Mac) -> io::Result<()> {
        let before = link.mac.filter(|before| *before != mac);
        if link.mac != Some(mac) {
            self.netlink.set_mac(link.index, mac)?;
        }
        before.into_iter().for_each(|before| self.done(link, What::Mac(before)));
        Ok(())
    }

    /// Sets the largest packet.
    pub(crate) fn set_mtu(&mut self, link: &Link, mtu: u32) -> io::Result<()> {
        if link.mtu != mtu {
            self.netlink.set_mtu(link.index, mtu)?;
            self.done(link, What::Mtu(link.mtu));
        }
        Ok(())
    }

    /// Makes the interface of a VLAN.
    pub(crate) fn make_vlan(&mut self, vlan: &Vlan, on: &Link) -> io::Result<()> {
        self.netlink.make_vlan(&vlan.name, vlan.id, on.index)?;
        self.made(&vlan.name)
    }

    /// Makes a bond of these members, which are switched off for it. Those that are members of another are refused by the kernel.
    pub(crate) fn make_bond(&mut self, bond: &Bond, members: &[&Link]) -> io::Result<()> {
        match self.netlink.make_bond(&bond.name, bond.mode) {
            Ok(()) => self.made(&bond.name)?,
            // The driver makes itself a `bond0` when it is loaded, which this call may have been the reason for.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => self.take_over(bond)?,
            Err(error) => return Err(error),
        }
        let option = |name: &str, value: &str| bond_option(&bond.name, name, value);
        let late = |name: &str| matches!(name, "primary" | "active_slave");
        let is_watched = bond.options.iter().any(|(name, _)| matches!(*name, "miimon" | "arp_interval"));
        if !is_watched {
            option("miimon", BOND_WATCH)?;
        }
        for (name, value) in bond.options.iter().filter(|(name, _)| !late(name)) {
            option(name, &if name.ends_with("_target") { format!("+{value}") } else { value.clone() })?;
        }
        let master = self.view()?.named(&bond.name).map(|link| link.index).ok_or(io::ErrorKind::NotFound)?;
        for member in members {
            if member.is_up {
                self.netlink.set_up(member.index, false)?;
                self.done(member, What::Down);
            }
            self.netlink.set_master(member.index, master)?;
            self.done(member, What::Joined);
        }
        bond.options.iter().filter(|(name, _)| late(name)).try_for_each(|(name, value)| option(name, value))
    }

    /// A bond that is there, if nobody uses it.
    fn take_over(&mut self, bond: &Bond) -> io::Result<()> {
        let view = self.view()?;
        let free = |link: &&Link| {
            link.kind == LinkKind::Bond
                && !link.is_up
                && view.links.iter().all(|other| other.master != Some(link.index))
        };
        view.named(&bond.name).filter(free).ok_or(io::ErrorKind::AlreadyExists)?;
        bond_option(&bond.name, "mode", &(bond.mode as u8).to_string())
    }

    fn made(&mut self, name: &LinkName) -> io::Result<()> {
        let link = self.view()?.named(name).cloned().ok_or(io::ErrorKind::NotFound)?;
        self.done(&link, What::Made);
        Ok(())
    }

    /// Adds an address; one that is there is not ours and stays as it is, unless it was added here: then it gets the new times.
    pub(crate) fn add_address(&mut self, link: &Link, address: &NewAddress) -> io::Result<()> {
        let what = What::Address(address.subnet, address.peer);
        if self.has_done(link.index, &what) {
            return self.netlink.renew_address(link.index, address);
        }
        if unless_there(self.netlink.add_address(link.index, address))? {
            self.done(link, what);
        }
        Ok(())
    }

    fn has_done(&self, index: u32, what: &What) -> bool {
        let changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        changes.iter().any(|change| change.index == index && change.what == *what)
    }

    /// Adds a route; one that is there stays as it is, and is not ours.
    pub(crate) fn add_route(&mut self, link: &Link, route: &Route) -> io::Result<()> {
        if unless_there(self.netlink.add_route(link.index, route))? {
            self.done(link, What::Route(Route { link: None, ..route.clone() }));
        }
        Ok(())
    }

    /// Switches a setting for IPv6 on where it is off; without it, or without IPv6, things take longer or do not come, and are told then.
    pub(crate) fn switch_on(&mut self, link: &Link, name: &str) {
        let Some(setting) = change::SETTINGS.iter().find(|known| **known == name) else { return };
        let path = setting_path(&link.name, setting);
        let is_off = std::fs::read_to_string(&path).is_ok_and(|text| text.trim() == "0");
        if is_off && std::fs::write(&path, "1").is_ok() {
            self.done(link, What::Setting(setting, 0));
        }
    }

    /// Notes that a file was written for it.
    pub(crate) fn wrote(&self, link: &Link, path: &Path) {
        self.done(link, What::File(path.to_owned()));
    }

    /// Takes back what was changed, last first, and of it what `which` says; each failure is a line.
    pub(crate) fn take_back(&mut self, which: &dyn Fn(&Change) -> bool) -> Vec<String> {
        let going: Vec<Change> = {
            let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
            let (going, staying) = changes.drain(..).partition(which);
            *changes = staying;
            going
        };
        undo(&mut self.netlink, &going)
    }
}

/// Takes changes back, last first. Each failure is a line, and keeps no other from being taken back; what is gone already is none.
pub(crate) fn take_back(changes: &[Change]) -> io::Result<Vec<String>> {
    Ok(undo(&mut Netlink::open()?, changes))
}

fn undo(netlink: &mut Netlink, changes: &[Change]) -> Vec<String> {
    let failed = |change: &Change| match undo_one(netlink, change) {
        Ok(()) => None,
        Err(error) if is_gone(&error) => None,
        Err(error) => Some(format!("{}: {change} cannot be taken back: {error}", change.name)),
    };
    changes.iter().rev().filter_map(failed).collect()
}

fn undo_one(netlink: &mut Netlink, change: &Change) -> io::Result<()> {
    let index = change.index;
    match &change.what {
        What::Up => netlink.set_up(index, false),
        What::Down => netlink.set_up(index, true),
        What::Made => netlink.remove_link(index),
        What::Joined => netlink.set_master(index, 0),
        What::Renamed(from) => netlink.rename(index, from),
        What::Mac(from) => netlink.set_mac(index, *from),
        What::Mtu(from) => netlink.set_mtu(index, *from),
        What::Address(own, peer) => netlink.remove_address(index, &What::address(*own, *peer)),
        What::Route(route) => netlink.remove_route(index, route),
        What::Setting(name, from) => std::fs::write(setting_path(&change.name, name), from.to_string()),
        What::File(path) => std::fs::remove_file(path),
    }
}

fn is_gone(error: &io::Error) -> bool {
    let gone = [libc::ENODEV, libc::ENOENT, libc::ESRCH, libc::EADDRNOTAVAIL];
    error.raw_os_error().is_some_and(|number| gone.contains(&number))
}

/// Whether it was added; that it is there already is no failure.
fn unless_there(added: io::Result<()>) -> io::Result<bool> {
    match added {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

fn setting_path(link: &LinkName, name: &str) -> PathBuf {
    Path::new("/proc/sys/net/ipv6/conf").join(link.as_str()).join(name)
}

/// A name that is a part of a path is none with a slash, and not `..`: [`LinkName`] sees to it.
fn bond_option(bond: &LinkName, name: &str, value: &str) -> io::Result<()> {
    let path = Path::new("/sys/class/net").join(bond.as_str()).join("bonding").join(name);
    std::fs::write(path, value).map_err(|error| io::Error::new(error.kind(), format!("{name}={value}: {error}")))
}
