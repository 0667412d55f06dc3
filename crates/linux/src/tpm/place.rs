//! Where a TPM is, in the words of tpm2-tools (`NAME:SETTINGS`, the TCTI).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// Where a TPM is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Wherever this machine has it.
    Default,
    /// A character device.
    Device(PathBuf),
    /// swtpm on a port.
    Tcp(SocketAddr),
    /// swtpm on a UNIX socket.
    Unix(PathBuf),
}

/// The port of swtpm where none is named.
const DEFAULT_PORT: u16 = 2321;

impl Place {
    /// `device`, `device:/dev/tpmrm0`, `swtpm:host=127.0.0.1,port=2321`, `swtpm:path=/run/socket`. The error says what is wrong.
    pub(super) fn parse(text: &str) -> Result<Place, &'static str> {
        let (name, settings) = text.split_once(':').unwrap_or((text, ""));
        match name {
            "device" if settings.is_empty() => Ok(Place::Default),
            "device" => Ok(Place::Device(settings.into())),
            "swtpm" => swtpm(settings),
            "tabrmd" | "mssim" | "cmd" | "libtpms" | "pcap" | "tbs" => {
                Err("this program talks to `device` and `swtpm`, and needs no resource manager beside the kernel's")
            }
            _ if text.starts_with('/') => Ok(Place::Device(text.into())),
            _ => Err("there is no such way to a TPM"),
        }
    }
}

fn swtpm(settings: &str) -> Result<Place, &'static str> {
    let (mut host, mut port, mut path) = (IpAddr::V4(Ipv4Addr::LOCALHOST), DEFAULT_PORT, None);
    for setting in settings.split(',').filter(|setting| !setting.is_empty()) {
        match setting.split_once('=') {
            Some(("host", "localhost")) => host = Ipv4Addr::LOCALHOST.into(),
            Some(("host", text)) => host = text.parse().map_err(|_| "the host is an IP address, or localhost")?,
            Some(("port", text)) => port = text.parse().map_err(|_| "the port is a number up to 65535")?,
            Some(("path", text)) => path = Some(PathBuf::from(text)),
            _ => return Err("swtpm has the settings host, port and path"),
        }
    }
    Ok(path.map_or(Place::Tcp(SocketAddr::new(host, port)), Place::Unix))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_words_of_tpm2_tools_are_understood() {
        let tcp = |text: &str| Ok(Place::Tcp(text.parse().unwrap()));
        for (text, expected) in [
            ("device", Ok(Place::Default)),
            ("device:/dev/tpmrm1", Ok(Place::Device("/dev/tpmrm1".into()))),
            ("/dev/tpm0", Ok(Place::Device("/dev/tpm0".into()))),
            ("swtpm", tcp("127.0.0.1:2321")),
            ("swtpm:", tcp("127.0.0.1:2321")),
            ("swtpm:port=99", tcp("127.0.0.1:99")),
            ("swtpm:host=localhost,port=99", tcp("127.0.0.1:99")),
            ("swtpm:port=99,host=::1", tcp("[::1]:99")),
            ("swtpm:path=/run/a socket", Ok(Place::Unix("/run/a socket".into()))),
        ] {
            assert_eq!(Place::parse(text), expected, "{text}");
        }
        for text in
            ["", "tabrmd", "mssim:host=h", "swtpm:port=70000", "swtpm:host=a.example", "swtpm:hots=1", "swtpm:port"]
        {
            assert!(Place::parse(text).is_err(), "{text}");
        }
    }
}
