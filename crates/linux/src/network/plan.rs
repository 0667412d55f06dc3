//! What is wanted of the network, before anything was looked at.

use earlynet::configured::{Hosts, NameServer};
use earlynet::{CommandLine, Dialect, TooLong, Wanted};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// What is wanted, and what the caller knows.
#[derive(Clone, Debug)]
pub struct NetworkPlan {
    /// What the kernel's command line says.
    pub wanted: Wanted,
    /// Servers of names that the machine's owner has named elsewhere; they are asked besides those of the command line.
    pub name_servers: Vec<NameServer>,
    /// Names that need no server.
    pub hosts: Hosts,
    /// Addresses that the caller will talk to, as far as it knows them. The network is there when one of them has a route; if there are none
    /// here, when there is a way to everywhere.
    pub reach: Vec<IpAddr>,
    /// Where others leave what they know.
    pub places: Places,
}

/// Directories and files of others.
#[derive(Clone, Debug)]
pub struct Places {
    /// `/run`: klibc's `net-*.conf`, systemd's and NetworkManager's state, udev's database.
    pub run: PathBuf,
    /// `/etc`: `resolv.conf`, `hosts`.
    pub etc: PathBuf,
    /// `/tmp`: dracut's state of the network.
    pub tmp: PathBuf,
    /// `/proc`: who is at work, what the kernel's own `ip=` has learnt.
    pub proc: PathBuf,
    /// Whether to leave `net-*.conf` for others, as klibc's ipconfig does. The scripts of initramfs-tools read it.
    pub leave_net_conf: bool,
    /// Whether udev is going to run, though it may not do so yet: cards are left alone until it has named them.
    pub expects_udev: bool,
}

impl Default for Places {
    /// The machine's own.
    fn default() -> Places {
        Places {
            run: "/run".into(),
            etc: "/etc".into(),
            tmp: "/tmp".into(),
            proc: "/proc".into(),
            leave_net_conf: is_of_initramfs_tools(),
            expects_udev: expects_udev(),
        }
    }
}

impl NetworkPlan {
    /// By the kernel's command line (the bytes of `/proc/cmdline`). `otherwise` stands for it where it has no `ip=`: words of the same form.
    /// The second field of `ip=` is read as whoever made this initramfs reads it.
    ///
    /// # Errors
    /// The command line is longer than any kernel's.
    pub fn of(command_line: &[u8], otherwise: Option<&str>) -> Result<NetworkPlan, TooLong> {
        let dialect = if is_of_dracut() { Dialect::Dracut } else { Dialect::Kernel };
        let words = CommandLine::parse(command_line)?;
        let says_how = words.words().iter().any(|word| matches!(word.key.as_str(), "ip" | "nfsaddrs"));
        let wanted = match otherwise.filter(|_| !says_how) {
            None => Wanted::read(&words, dialect),
            // In front, so that where one value counts the kernel's does.
            Some(more) => Wanted::read(&CommandLine::parse(&[more.as_bytes(), b" ", command_line].concat())?, dialect),
        };
        Ok(NetworkPlan {
            wanted,
            name_servers: Vec::new(),
            hosts: Hosts::default(),
            reach: Vec::new(),
            places: Places::default(),
        })
    }
}

fn is_of_initramfs_tools() -> bool {
    Path::new("/conf/initramfs.conf").exists()
}

/// An initramfs has it for no other reason; who starts first of all is there before it. Elsewhere it runs, or nobody wants it.
fn expects_udev() -> bool {
    let is_initramfs = is_of_initramfs_tools() || Path::new("/etc/initrd-release").exists();
    let programs = ["/usr/lib/systemd/systemd-udevd", "/lib/systemd/systemd-udevd", "/sbin/udevd", "/usr/sbin/udevd"];
    is_initramfs && programs.iter().any(|program| Path::new(program).exists())
}

fn is_of_dracut() -> bool {
    !is_of_initramfs_tools()
        && ["/usr/lib/dracut-lib.sh", "/lib/dracut-lib.sh"].iter().any(|file| Path::new(file).exists())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn rules(command_line: &str, otherwise: Option<&str>) -> (usize, bool, usize) {
        let wanted = NetworkPlan::of(command_line.as_bytes(), otherwise).unwrap().wanted;
        (wanted.rules.len(), wanted.off, wanted.name_servers.len())
    }

    #[test]
    fn what_the_kernel_says_counts() {
        let otherwise = Some("ip=192.0.2.7::192.0.2.1:24::eth0:none nameserver=192.0.2.53");
        assert_eq!(rules("quiet", None), (0, false, 0));
        assert_eq!(rules("quiet", otherwise), (1, false, 1));
        assert_eq!(rules("ip=eth0:dhcp", otherwise), (1, false, 0));
        assert_eq!(rules("ip=off", otherwise), (0, true, 0));
        assert_eq!(rules("nameserver=192.0.2.54", otherwise), (1, false, 2));
    }
}
