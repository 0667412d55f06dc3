//! Why there is no network.

use earlynet::LinkName;
use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

/// Why there is no network. `Display` is one line that says what to do next.
#[derive(Debug)]
pub enum NetworkError {
    /// `ip=none` or `ip=off`, and nobody else has configured anything.
    Off,
    /// No card is there, or none of those that are meant.
    NoCard {
        /// What is meant: names or hardware addresses; empty is any.
        meant: Vec<String>,
        /// How long was waited for one.
        after: Duration,
    },
    /// Cards are there, and each has its reason.
    NotUp {
        /// What is wrong with each.
        links: Vec<(LinkName, Standing)>,
        /// How long it took.
        after: Duration,
    },
    /// The system lets nobody see or change its network.
    System {
        /// What was to be done.
        what: &'static str,
        /// What it says.
        source: io::Error,
    },
    /// Nobody waits any more.
    Cancelled,
}

/// How far an interface has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// udev has not named it yet.
    Unnamed,
    /// What it stands on is not there.
    NothingBelow(LinkName),
    /// The system refuses to change it; what was to be done, and what it says.
    Refused(String),
    /// Nobody is at the other end.
    NoCarrier,
    /// No server of DHCPv4 has answered.
    NoDhcp {
        /// How often one was asked.
        asked: u32,
    },
    /// A server of DHCPv4 answers, and gives nothing.
    DhcpRefuses(Option<String>),
    /// No router has answered.
    NoRouter,
    /// No server of DHCPv6 has given an address.
    NoDhcp6,
    /// Another machine has its address.
    Duplicate,
    /// It has an address, and no way to where it should lead.
    NoWay,
    /// Nothing is to be done with it but to switch it on.
    Bare,
}

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NetworkError::Off => f.write_str(
                "the kernel command line says ip=none or ip=off, and nobody else has configured the network; write ip=dhcp to have it",
            ),
            NetworkError::NoCard { meant, after } if meant.is_empty() => write!(
                f,
                "no network card is there after {}; see whether its driver is in the initramfs",
                seconds(*after)
            ),
            NetworkError::NoCard { meant, after } => write!(
                f,
                "no network card {} is there after {}; see `ip link` for the names there are, and whether its driver is in the initramfs",
                meant.join(" or "),
                seconds(*after)
            ),
            NetworkError::NotUp { links, after } => {
                write!(f, "no network after {}: ", seconds(*after))?;
                for (n, (link, standing)) in links.iter().enumerate() {
                    let comma = if n == 0 { "" } else { "; " };
                    write!(f, "{comma}{link}: {standing}")?;
                }
                Ok(())
            }
            NetworkError::System { what, source } => write!(f, "{what}: {source}; this needs root"),
            NetworkError::Cancelled => f.write_str("cancelled"),
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Standing::Unnamed => f.write_str("udev has not named it, see `udevadm info` for it"),
            Standing::NothingBelow(link) => write!(f, "{link}, which it stands on, is not there"),
            Standing::Refused(what) => f.write_str(what),
            Standing::NoCarrier => f.write_str("no carrier, see the cable and the switch"),
            Standing::NoDhcp { asked } => write!(
                f,
                "no DHCP server answers (asked {asked} times), see the server or write ip=ADDRESS::GATEWAY:NETMASK::INTERFACE:none"
            ),
            Standing::DhcpRefuses(None) => f.write_str("the DHCP server refuses, see its log"),
            Standing::DhcpRefuses(Some(message)) => write!(f, "the DHCP server refuses ({message}), see its log"),
            Standing::NoRouter => {
                f.write_str("no router advertises a network, see the router or write an address in ip=")
            }
            Standing::NoDhcp6 => f.write_str("no DHCPv6 server gives an address, see the server"),
            Standing::Duplicate => f.write_str("another machine has its address, see which or write another in ip="),
            Standing::NoWay => {
                f.write_str("it has an address and no route to the server, see the gateway in ip= or in DHCP")
            }
            Standing::Bare => f.write_str("ip= gives it no address, write one or dhcp"),
        }
    }
}

impl Error for NetworkError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            NetworkError::System { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// The system shows nothing of its network.
pub(super) fn seen(source: io::Error) -> NetworkError {
    NetworkError::System { what: "the network cannot be seen", source }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
