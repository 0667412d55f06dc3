//! What others have configured, and who is at work on it.
//!
//! | who | that he is at work | what he has learnt of names |
//! | --- | --- | --- |
//! | systemd-networkd | an interface of `/run/systemd/netif/links` whose `ADMIN_STATE` is `pending`, `initialized` or `configuring`; or its process, before it has written any | those files, `/run/systemd/netif/state` |
//! | NetworkManager | its process | `/run/NetworkManager/no-stub-resolv.conf`, `…/resolv.conf` |
//! | dracut's own scripts | `/tmp/net.ifaces`, and no `/tmp/net.*.did-setup` | `/tmp/net.*.resolv.conf` |
//! | klibc's ipconfig, dhclient, dhcpcd, udhcpc, connman, wicked | its process | `/run/net-*.conf` |
//! | the kernel (`CONFIG_IP_PNP`) | - | `/proc/net/pnp` |
//! | anybody | - | `/run/systemd/resolve/resolv.conf`, `/etc/resolv.conf` |
//!
//! A process counts if it lives in this very network (its namespace). Files are read to a bound, and what makes no sense is passed over.

use super::plan::{NetworkPlan, Places};
use crate::Names;
use crate::link::{Links, View};
use earlynet::LinkName;
use earlynet::configured::{LONGEST_FILE, NameServer, net_conf, networkd, resolv_conf};
use std::fs;
use std::io::Read;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// As many files of a directory are looked at, and as many processes.
const MOST: usize = 4096;

/// Who configures networks, as `/proc/PID/comm` calls it (15 bytes), and as people do.
const WORKERS: &[(&str, &str)] = &[
    ("systemd-network", "systemd-networkd"),
    ("NetworkManager", "NetworkManager"),
    ("nm-initrd-gener", "NetworkManager"),
    ("ipconfig", "ipconfig"),
    ("dhclient", "dhclient"),
    ("dhcpcd", "dhcpcd"),
    ("udhcpc", "udhcpc"),
    ("connmand", "connman"),
    ("wickedd", "wicked"),
];

/// The interface by which the network can be used as it is: it has a carrier and an address that means something beyond its link, and one of
/// the addresses that are to be reached has a way over it; if none is named, there is a way to everywhere and a server of names.
pub(super) fn usable(links: &mut Links, view: &View, plan: &NetworkPlan, names: &Names) -> Option<u32> {
    let is_ready = |index: u32| {
        view.link(index).is_some_and(|link| link.has_carrier)
            && view.addresses_of(index).any(|address| address.is_usable && address.is_global)
    };
    if !plan.reach.is_empty() {
        return plan.reach.iter().filter_map(|address| links.way_to(*address)).find(|index| is_ready(*index));
    }
    let has_way = |index: u32| {
        let addresses = view.addresses_of(index).filter(|address| address.is_usable && address.is_global);
        addresses.map(|address| address.subnet.address()).any(|address| view.has_default(index, address))
    };
    let found = view.links.iter().map(|link| link.index).find(|index| is_ready(*index) && has_way(*index));
    found.filter(|_| !names.servers().is_empty())
}

/// Who is at work on the network, if anybody is.
pub(super) fn at_work(places: &Places) -> Option<&'static str> {
    let links = files(&places.run.join("systemd/netif/links"), &|_| true);
    if links.iter().any(|path| networkd(&content(path)).is_under_way) {
        return Some("systemd-networkd");
    }
    let is_set_up = |name: &str| name.starts_with("net.") && name.ends_with(".did-setup");
    if places.tmp.join("net.ifaces").exists() && files(&places.tmp, &is_set_up).is_empty() {
        return Some("dracut");
    }
    let found = workers(&places.proc);
    // A networkd that has written of its interfaces and is at work on none leaves them to others.
    found.into_iter().find(|who| *who != "systemd-networkd" || links.is_empty())
}

/// The processes of [`WORKERS`] in this network.
fn workers(proc: &Path) -> Vec<&'static str> {
    let network = |process: &Path| fs::read_link(process.join("ns/net")).ok();
    let own = network(&proc.join("thread-self"));
    let is_number = |name: &str| name.bytes().all(|byte| byte.is_ascii_digit());
    let name_of = |process: &PathBuf| {
        let comm = content(&process.join("comm"));
        let comm = String::from_utf8_lossy(&comm);
        let (_, name) = WORKERS.iter().find(|(known, _)| *known == comm.trim_end())?;
        Some(*name).filter(|_| network(process) == own)
    };
    files(proc, &is_number).iter().filter_map(name_of).collect()
}

/// Adds what the files of all say of names; `links` are the interfaces that there are.
pub(super) fn learn_names(names: &Names, places: &Places, links: &View) {
    let mut servers: Vec<NameServer> = Vec::new();
    let run = &places.run;
    for path in files(run, &|name| name.starts_with("net-") && name.ends_with(".conf")) {
        let conf = net_conf(&content(&path));
        servers.extend(conf.servers);
        names.add_search(&conf.search);
    }
    let state = run.join("systemd/netif/state");
    for path in links.links.iter().map(|link| run.join(format!("systemd/netif/links/{}", link.index))).chain([state]) {
        let known = networkd(&content(&path));
        servers.extend(known.servers);
        names.add_search(&known.search);
    }
    let of_dracut = files(&places.tmp, &|name| name.starts_with("net.") && name.ends_with(".resolv.conf"));
    let others = [
        run.join("systemd/resolve/resolv.conf"),
        run.join("NetworkManager/no-stub-resolv.conf"),
        run.join("NetworkManager/resolv.conf"),
        places.etc.join("resolv.conf"),
        places.proc.join("net/pnp"),
    ];
    for path in of_dracut.into_iter().chain(others).filter(|path| path.exists()) {
        let conf = resolv_conf(&content(&path));
        servers.extend(conf.servers);
        names.add_search(&conf.search);
        if conf.ndots != 1 {
            names.set_ndots(conf.ndots);
        }
    }
    // This machine's own resolver is another process, which may not be there: it comes last.
    servers.sort_by_key(|server| server.address.is_loopback());
    names.add_servers(&servers);
}

/// A server of names with the interface that a link-local address needs.
pub(super) fn behind(address: IpAddr, link: &LinkName) -> NameServer {
    let needs_link = matches!(address, IpAddr::V6(address) if address.is_unicast_link_local());
    NameServer { address, link: needs_link.then(|| link.clone()) }
}

/// Paths of what a directory holds, by name.
fn files(directory: &Path, wanted: &dyn Fn(&str) -> bool) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let named = |entry: &fs::DirEntry| entry.file_name().to_str().is_some_and(wanted);
    let mut found: Vec<PathBuf> =
        entries.take(MOST).filter_map(Result::ok).filter(named).map(|entry| entry.path()).collect();
    found.sort();
    found
}

/// As much of a file as anybody reads of it; nothing of one that cannot be read.
fn content(path: &Path) -> Vec<u8> {
    let mut content = Vec::new();
    let most = u64::try_from(LONGEST_FILE).unwrap_or(u64::MAX);
    let read = fs::File::open(path).and_then(|file| file.take(most).read_to_end(&mut content));
    read.map_or(Vec::new(), |_| content)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tempfile::TempDir;

    fn places() -> (TempDir, Places) {
        let root = tempfile::tempdir().unwrap();
        let place = |name: &str| root.path().join(name);
        let (run, etc, tmp, proc) = (place("run"), place("etc"), place("tmp"), place("proc"));
        (root, Places { run, etc, tmp, proc, leave_net_conf: false, expects_udev: false })
    }

    fn write(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn process(places: &Places, pid: &str, comm: &str, network: &str) {
        let directory = places.proc.join(pid);
        write(&directory.join("comm"), &format!("{comm}\n"));
        fs::create_dir_all(directory.join("ns")).unwrap();
        std::os::unix::fs::symlink(network, directory.join("ns/net")).unwrap();
    }

    #[test]
    fn who_is_at_work() {
        let (_root, places) = places();
        assert_eq!(at_work(&places), None);
        process(&places, "thread-self", "cotter", "net:[1]");
        process(&places, "7", "dhclient", "net:[2]");
        process(&places, "8", "sh", "net:[1]");
        assert_eq!(at_work(&places), None, "in another network");
        process(&places, "9", "ipconfig", "net:[1]");
        assert_eq!(at_work(&places), Some("ipconfig"));
    }

    #[test]
    fn a_networkd_that_is_done_is_not_waited_for() {
        let (_root, places) = places();
        process(&places, "thread-self", "cotter", "net:[1]");
        process(&places, "7", "systemd-network", "net:[1]");
        assert_eq!(at_work(&places), Some("systemd-networkd"), "it has written nothing yet");
        let link = places.run.join("systemd/netif/links/2");
        write(&link, "ADMIN_STATE=configuring\n");
        assert_eq!(at_work(&places), Some("systemd-networkd"));
        write(&link, "ADMIN_STATE=unmanaged\n");
        assert_eq!(at_work(&places), None);
    }

    #[test]
    fn dracut_is_done_when_an_interface_is() {
        let (_root, places) = places();
        write(&places.tmp.join("net.ifaces"), "eth0\n");
        assert_eq!(at_work(&places), Some("dracut"));
        write(&places.tmp.join("net.eth0.did-setup"), "");
        assert_eq!(at_work(&places), None);
    }

    #[test]
    fn names_are_learnt_of_all_files() {
        let (_root, places) = places();
        write(&places.run.join("net-eth0.conf"), "DEVICE='eth0'\nIPV4DNS0='192.0.2.1'\nDNSDOMAIN='a.example'\n");
        write(&places.run.join("systemd/netif/state"), "DNS=192.0.2.2\n");
        write(&places.tmp.join("net.eth0.resolv.conf"), "nameserver 192.0.2.3\n");
        write(&places.run.join("systemd/resolve/resolv.conf"), "nameserver 192.0.2.4\n");
        write(&places.etc.join("resolv.conf"), "nameserver 127.0.0.53\nnameserver 192.0.2.5\noptions ndots:2\n");
        write(&places.proc.join("net/pnp"), "#PROTO: DHCP\ndomain b.example\nnameserver 192.0.2.6\n");
        let names = Names::default();
        learn_names(&names, &places, &View::default());
        let servers: Vec<String> = names.servers().iter().map(NameServer::to_string).collect();
        let expected = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5", "192.0.2.6", "127.0.0.53"];
        assert_eq!(servers, expected);
        assert_eq!(names.search().len(), 2);
    }
}
