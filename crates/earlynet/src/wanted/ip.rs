//! `ip=` in the forms of the kernel, of klibc and of dracut.
//!
//! | form | whose |
//! | --- | --- |
//! | `ip=`, `ip=METHOD` | all |
//! | `ip=CLIENT:SERVER:GATEWAY:NETMASK:HOSTNAME:INTERFACE:METHOD:DNS0:DNS1:NTP` | the kernel, klibc (which has only the first seven) |
//! | `ip=CLIENT:PEER:GATEWAY:NETMASK:HOSTNAME:INTERFACE:METHOD[:[MTU][:MAC]]`, `…[:[DNS1][:DNS2]]` | dracut |
//! | `ip=INTERFACE:METHOD[:[MTU][:MAC]]` | dracut |
//! | `ip=ADDRESS` with `gateway=`, `netmask=`, `hostname=`, `ksdevice=`, `mtu=` beside it | dracut, after Anaconda |
//!
//! Where they differ, this is done:
//!
//! | | kernel, klibc | dracut | here |
//! | --- | --- | --- | --- |
//! | second field | server of a network boot | peer of a line | as the dialect says |
//! | netmask 255.255.255.255 | its class (klibc) | as it stands | as it stands |
//! | address without netmask | its class | refused | its class; IPv6 refused |
//! | address and `dhcp` | static (kernel), asks for it (klibc) | refused | static |
//! | IPv4 address and `auto6` or `dhcp6` | refused | the address is lost | both |
//! | neither address nor method | any | dhcp | any |
//! | no address and `none` | nothing | refused | the interface is brought up, no more |
//! | interface `all` | all (klibc) | a name | all |

use super::fault::{Part, WordError};
use super::fields::{address, link, mac, mtu, part, split, wrong};
use super::method::{ClientId, Method, is_method, methods};
use crate::command_line::CommandLine;
use crate::link_name::LinkName;
use crate::mac::Mac;
use crate::name::Name;
use crate::subnet::{Subnet, length_of, parse_address};
use std::net::IpAddr;

/// Seven, a size, and a hardware address in six.
const MOST_FIELDS: usize = 14;

/// Whose reading counts where two words are spelled alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// The kernel's and klibc's, with which initramfs-tools and mkinitcpio work.
    Kernel,
    /// dracut's.
    Dracut,
}

/// Which interface a rule is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// All that have a link; those that answer first count.
    Any,
    /// The one of this name.
    Named(LinkName),
    /// The one with this hardware address.
    Address(Mac),
}

/// What is wanted of an interface, or of all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkRule {
    /// Which interface.
    pub which: Which,
    /// Ways to get an address, besides the one that stands here.
    pub methods: Vec<Method>,
    /// The address to have, with its network.
    pub address: Option<Subnet>,
    /// The other end, if the interface is a line with two ends. Its length may be shorter than that of one address.
    pub peer: Option<Subnet>,
    /// The server of a network boot, which nothing here needs.
    pub boot_server: Option<IpAddr>,
    /// The way to everywhere else.
    pub gateway: Option<IpAddr>,
    /// The machine's own name; DHCP tells it to the server.
    pub host_name: Option<String>,
    /// The largest packet, 68 to 65535 bytes.
    pub mtu: Option<u32>,
    /// The hardware address that the interface is given.
    pub mac: Option<Mac>,
    /// Servers of names, the first to be preferred.
    pub name_servers: Vec<IpAddr>,
    /// A server of the time.
    pub time_server: Option<IpAddr>,
    /// The identifier for DHCP; without it the hardware address is.
    pub client_id: Option<ClientId>,
}

impl LinkRule {
    /// An interface that is brought up, and no more.
    pub fn bare(which: Which) -> LinkRule {
        LinkRule {
            which,
            methods: Vec::new(),
            address: None,
            peer: None,
            boot_server: None,
            gateway: None,
            host_name: None,
            mtu: None,
            mac: None,
            name_servers: Vec::new(),
            time_server: None,
            client_id: None,
        }
    }

    /// What is done where nobody said anything: whatever the network has to offer.
    pub fn automatic(which: Which) -> LinkRule {
        LinkRule { methods: vec![Method::Dhcp4, Method::Auto6], ..LinkRule::bare(which) }
    }
}

/// Reads the value of one `ip=`; `line` has the words that may stand beside it. `None` is `ip=none` and `ip=off`: the network is not
/// ours to touch.
pub(super) fn read(value: &str, line: &CommandLine, dialect: Dialect) -> Result<Option<LinkRule>, WordError> {
    let fields = split(value);
    match fields.as_slice() {
        [] | [""] => Ok(Some(LinkRule::automatic(Which::Any))),
        ["none" | "off"] => Ok(None),
        [alone] if is_method(alone) => {
            let methods = methods(alone)?;
            Ok(Some(LinkRule { methods: methods.list, client_id: methods.client_id, ..LinkRule::bare(Which::Any) }))
        }
        [alone] => lone_address(alone, line).map(Some),
        [device, method, rest @ ..] if is_method(method) => of_device(which(device, line)?, method, rest).map(Some),
        [a, b, c, d, e, f, method, rest @ ..]
            if is_method(method) && [a, b, c, d, e, f].iter().all(|part| part.len() == 2) =>
        {
            let device = mac(&[a, b, c, d, e, f])?.ok_or(WordError::Missing(Part::Mac))?;
            of_device(Which::Address(device), method, rest).map(Some)
        }
        fields => full(fields, line, dialect).map(Some),
    }
}

/// `INTERFACE:METHOD[:[MTU][:MAC]]`.
fn of_device(which: Which, method: &str, rest: &[&str]) -> Result<LinkRule, WordError> {
    let methods = methods(method)?;
    let mut rule = LinkRule { methods: methods.list, client_id: methods.client_id, ..LinkRule::bare(which) };
    rule.mtu = part(rest, 0).map(mtu).transpose()?;
    rule.mac = mac(written(rest.get(1..).unwrap_or_default()))?;
    Ok(rule)
}

/// `ADDRESS`, the rest in words of its own.
fn lone_address(text: &str, line: &CommandLine) -> Result<LinkRule, WordError> {
    let whole = address(text, Part::MethodOrAddress)?;
    let mut rule = LinkRule::bare(Which::Any);
    rule.address = Some(subnet(whole, line.last("netmask"))?);
    rule.gateway = line.last("gateway").map(|text| address(text, Part::Gateway)).transpose()?;
    rule.host_name = line.last("hostname").map(host_name).transpose()?;
    rule.mtu = line.last("mtu").map(mtu).transpose()?;
    rule.which = match line.last("ksdevice") {
        None | Some("" | "link" | "ibft") => Which::Any,
        Some("bootif") => which("BOOTIF", line)?,
        Some(device) => which(device, line)?,
    };
    same_family(&rule)?;
    Ok(rule)
}

/// The form with the client's address in front.
fn full(fields: &[&str], line: &CommandLine, dialect: Dialect) -> Result<LinkRule, WordError> {
    if fields.len() > MOST_FIELDS {
        return Err(WordError::TooManyParts { most: MOST_FIELDS });
    }
    let device = part(fields, 5).filter(|device| *device != "all");
    let mut rule = LinkRule::bare(device.map_or(Ok(Which::Any), |device| which(device, line))?);
    rule.address = part(fields, 0).map(|client| client_address(client, part(fields, 3))).transpose()?;
    match (part(fields, 1), dialect) {
        (Some(server), Dialect::Kernel) => rule.boot_server = Some(address(server, Part::BootServer)?),
        (Some(peer), Dialect::Dracut) => rule.peer = Some(Subnet::parse(peer).ok_or_else(|| wrong(Part::Peer, peer))?),
        (None, _) => {}
    }
    rule.gateway = part(fields, 2)
        .map(|text| address(text, Part::Gateway))
        .transpose()?
        .filter(|gateway| !gateway.is_unspecified());
    rule.host_name = part(fields, 4).map(host_name).transpose()?;
    match (part(fields, 6), rule.address) {
        (Some(method), address) => {
            let methods = methods(method)?;
            rule.client_id = methods.client_id;
            rule.methods = methods.list.into_iter().filter(|method| !is_for(*method, address)).collect();
        }
        (None, None) => rule.methods = LinkRule::automatic(Which::Any).methods,
        (None, Some(_)) => {}
    }
    behind_the_method(&mut rule, fields.get(7..).unwrap_or_default())?;
    same_family(&rule)?;
    Ok(rule)
}

/// The fields from the eighth: servers of names and of the time, or a size and a hardware address.
fn behind_the_method(rule: &mut LinkRule, fields: &[&str]) -> Result<(), WordError> {
    let is_address = |at| part(fields, at).is_some_and(|text| parse_address(text).is_some());
    if is_address(0) || (part(fields, 0).is_none() && (is_address(1) || is_address(2))) {
        if fields.len() > 3 {
            return Err(WordError::TooManyParts { most: 10 });
        }
        for at in [0, 1] {
            let server = part(fields, at).map(|text| address(text, Part::NameServer)).transpose()?;
            // klibc writes 0.0.0.0 where there is none, and people copy it.
            rule.name_servers.extend(server.filter(|server| !server.is_unspecified()));
        }
        rule.time_server = part(fields, 2).map(|text| address(text, Part::TimeServer)).transpose()?;
    } else {
        rule.mtu = part(fields, 0).map(mtu).transpose()?;
        rule.mac = mac(written(fields.get(1..).unwrap_or_default()))?;
    }
    Ok(())
}

/// Without the empty parts at the end.
fn written<'a, 'b>(fields: &'a [&'b str]) -> &'a [&'b str] {
    let kept = fields.iter().rposition(|part| !part.is_empty()).map_or(0, |last| last + 1);
    fields.get(..kept).unwrap_or_default()
}

/// Whether the method would get an address of a family that has one already.
fn is_for(method: Method, address: Option<Subnet>) -> bool {
    address.is_some_and(|address| address.address().is_ipv4() == (method == Method::Dhcp4))
}

fn client_address(client: &str, netmask: Option<&str>) -> Result<Subnet, WordError> {
    if client.contains('/') {
        return Subnet::parse(client).ok_or_else(|| wrong(Part::Client, client));
    }
    subnet(address(client, Part::Client)?, netmask)
}

fn subnet(address: IpAddr, netmask: Option<&str>) -> Result<Subnet, WordError> {
    match (netmask, address) {
        (Some(mask), _) => {
            let subnet = length_of(mask, address).and_then(|length| Subnet::new(address, length));
            subnet.ok_or_else(|| wrong(Part::Netmask, mask))
        }
        (None, IpAddr::V4(v4)) => Subnet::of_class(v4).ok_or_else(|| wrong(Part::Client, &v4.to_string())),
        (None, IpAddr::V6(_)) => Err(WordError::Missing(Part::Netmask)),
    }
}

fn host_name(text: &str) -> Result<String, WordError> {
    let known = Name::parse(text).is_ok() && text.len() <= 64;
    if known { Ok(text.to_owned()) } else { Err(wrong(Part::HostName, text)) }
}

/// A name, a hardware address with dashes, or `BOOTIF` for the one that the boot loader named.
fn which(text: &str, line: &CommandLine) -> Result<Which, WordError> {
    if text.is_empty() {
        return Ok(Which::Any);
    }
    if text == "BOOTIF" {
        let loader = line.last("BOOTIF").ok_or(WordError::Missing(Part::Mac))?;
        return Mac::from_bootif(loader).map(Which::Address).map_err(|_| wrong(Part::Mac, loader));
    }
    match text.parse() {
        Ok(mac) => Ok(Which::Address(mac)),
        Err(_) => link(text).map(Which::Named),
    }
}

fn same_family(rule: &LinkRule) -> Result<(), WordError> {
    let Some(address) = rule.address.map(|subnet| subnet.address()) else { return Ok(()) };
    let others = rule.gateway.into_iter().chain(rule.peer.map(|peer| peer.address()));
    match others.into_iter().find(|other| other.is_ipv4() != address.is_ipv4()) {
        Some(other) => Err(WordError::Families { address, other }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
