//! `/run/net-INTERFACE.conf`, as klibc's ipconfig leaves it: the scripts of initramfs-tools find by it that a network is there and which
//! servers of names it has, and cloud-init what it was.

use crate::Names;
use earlynet::{LinkName, LinkRule, Subnet, dhcp4};
use std::fmt::Write;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

/// What is known of one interface.
#[derive(Debug)]
pub(super) struct NetConf<'a> {
    pub(super) link: &'a LinkName,
    pub(super) origin: Origin<'a>,
    pub(super) subnet: Subnet,
    pub(super) gateway: Option<IpAddr>,
    pub(super) names: &'a Names,
}

/// Where an address comes from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Origin<'a> {
    ByHand(&'a LinkRule),
    Dhcp(&'a dhcp4::Lease),
}

impl NetConf<'_> {
    /// Writes it below `run`. `None` if there is one already, which is somebody else's or says the same.
    pub(super) fn write(&self, run: &Path) -> io::Result<Option<PathBuf>> {
        let path = run.join(format!("net-{}.conf", self.link));
        if path.exists() {
            return Ok(None);
        }
        // Whoever looks for it while it is written shall not read half of it.
        let half = run.join(format!(".net-{}.conf.new", self.link));
        fs::write(&half, self.text())?;
        fs::rename(&half, &path)?;
        Ok(Some(path))
    }

    fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: &str| {
            // Nothing of a value may end it: it is read by a shell.
            let plain: String =
                value.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').filter(|c| *c != '\'').collect();
            writeln!(text, "{name}='{plain}'").unwrap_or_default();
        };
        let (protocol, host_name, lease) = match self.origin {
            Origin::ByHand(rule) => ("none", rule.host_name.clone(), None),
            Origin::Dhcp(lease) => ("dhcp", lease.host_name.clone(), Some(lease)),
        };
        let mine = if self.subnet.address().is_ipv4() { "IPV4" } else { "IPV6" };
        line("DEVICE", self.link.as_str());
        line(if mine == "IPV4" { "PROTO" } else { "IPV6PROTO" }, protocol);
        line(&format!("{mine}ADDR"), &self.subnet.address().to_string());
        if let IpAddr::V4(own) = self.subnet.address() {
            let mask = u32::MAX.checked_shl(32 - u32::from(self.subnet.length())).unwrap_or(0);
            line("IPV4BROADCAST", &(own | Ipv4Addr::from(!mask)).to_string());
            line("IPV4NETMASK", &Ipv4Addr::from(mask).to_string());
        } else {
            line("IPV6NETMASK", &self.subnet.length().to_string());
        }
        let none = if mine == "IPV4" { "0.0.0.0" } else { "" };
        line(&format!("{mine}GATEWAY"), &self.gateway.map_or(none.to_owned(), |gateway| gateway.to_string()));
        let servers = self.names.servers();
        let family = |v4: bool| servers.iter().filter(move |server| server.address.is_ipv4() == v4);
        for n in 0..2 {
            line(&format!("IPV4DNS{n}"), &family(true).nth(n).map_or("0.0.0.0".to_owned(), ToString::to_string));
        }
        for (n, server) in family(false).take(2).enumerate() {
            line(&format!("IPV6DNS{n}"), &server.to_string());
        }
        let search: Vec<String> = self.names.search().iter().map(ToString::to_string).collect();
        line("HOSTNAME", &host_name.unwrap_or_default());
        line("DNSDOMAIN", search.first().map_or("", String::as_str));
        line("NISDOMAIN", "");
        line("ROOTSERVER", &lease.map_or("0.0.0.0".to_owned(), |lease| lease.server.to_string()));
        line("ROOTPATH", "");
        line("filename", "");
        line("UPTIME", &crate::since_start().as_secs().to_string());
        let seconds = lease.map(|lease| lease.valid.map_or(u64::from(u32::MAX), |valid| valid.as_secs()));
        line("DHCPLEASETIME", &seconds.unwrap_or(0).to_string());
        line("DOMAINSEARCH", &search.join(" "));
        text
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use earlynet::Which;
    use earlynet::configured::{NameServer, net_conf};

    #[test]
    fn what_is_written_reads_back() {
        let run = tempfile::tempdir().unwrap();
        let link = LinkName::new("eth0").unwrap();
        let names = Names::default();
        names.add_servers(&["192.0.2.53", "2001:db8::53"].map(|text| NameServer::parse(text).unwrap()));
        names.add_search(&[earlynet::Name::parse("a.example").unwrap()]);
        let rule = LinkRule { host_name: Some("it's".into()), ..LinkRule::bare(Which::Any) };
        let conf = |subnet: &str, gateway: &str| NetConf {
            link: &link,
            origin: Origin::ByHand(&rule),
            subnet: Subnet::parse(subnet).unwrap(),
            gateway: gateway.parse().ok(),
            names: &names,
        };
        let path = conf("192.0.2.7/25", "192.0.2.1").write(run.path()).unwrap().unwrap();
        assert!(conf("192.0.2.8/25", "").write(run.path()).unwrap().is_none(), "there is one");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("IPV4BROADCAST='192.0.2.127'\nIPV4NETMASK='255.255.255.128'\n"), "{text}");
        assert!(text.contains("HOSTNAME='its'\n"), "{text}");
        let read = net_conf(text.as_bytes());
        let texts: Vec<String> = read.addresses.iter().map(ToString::to_string).collect();
        assert_eq!(
            (texts, read.method.as_str(), read.servers.len(), read.search.len()),
            (vec!["192.0.2.7/25".into()], "none", 2, 1)
        );
        assert_eq!(read.routes.len(), 1);
        assert_eq!(fs::read_dir(run.path()).unwrap().count(), 1);
    }
}
