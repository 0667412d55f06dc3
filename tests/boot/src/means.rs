//! What opens a volume with nobody there: every way that is booted, and the servers and the TPM that they need.

use crate::binding::HOST;
use crate::names::Names;
use crate::qemu::Tpm;
use crate::system::{Network, System};
use compliance::front::{Authority, Front};
use compliance::{Curve, Disk, KeyDirectory, Maker, Program, Server, Swtpm};
use std::fs;

/// What klibc and dracut both understand, on QEMU's own network: an address, and a name server.
pub const STATIC: &str = "net.ifnames=0 ip=10.0.2.15::10.0.2.2:255.255.255.0:guest:eth0:none:10.0.2.3";
/// The name that our name server knows.
pub const NAME: &str = "keys.test";
/// Of an image: where the certificate of an authority is, and settings that name it.
const AUTHORITY: &str = "/etc/cotter/ca.pem";
const SETTINGS: &str = r#"{"ca":"/etc/cotter/ca.pem"}"#;

/// One way to open a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// A server by its address, from an address that the command line gives.
    Static,
    /// A server by its address, from one that DHCP gives.
    Dhcp,
    /// A server by its name.
    Name,
    /// A server behind TLS, with a certificate of our own authority.
    Authority,
    /// A server behind TLS, known by its key alone: its certificate is worth nothing.
    ServerKey,
    /// The TPM.
    Tpm,
    /// A server and the TPM, both.
    Both,
}

impl Way {
    /// All of them.
    pub const ALL: [Way; 7] = [Way::Static, Way::Dhcp, Way::Name, Way::Authority, Way::ServerKey, Way::Tpm, Way::Both];
}

/// The original's server, plain and behind TLS, and a TPM, on the host. They end with their test.
pub struct Means {
    server: Server,
    authority: Authority,
    by_authority: Front,
    by_key: Front,
    pin: String,
    names: Names,
    tpm: Option<Swtpm>,
    _keys: KeyDirectory,
}

impl Default for Means {
    fn default() -> Means {
        Means::new()
    }
}

impl Means {
    /// With new keys and a new TPM.
    pub fn new() -> Means {
        let keys = KeyDirectory::new(Maker::Theirs, Curve::P521);
        let server = Server::start(Maker::Theirs, &keys);
        let authority = Authority::new();
        let good = authority.signs("good", &format!("IP:{HOST}"), [2020, 2040]);
        let key = authority.key("worthless", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]);
        let worthless = authority.worthless("worthless", &key);
        let pin = Program::cotter().args(["keys", "pin"]).arg(&worthless.certificate).succeed().text();
        Means {
            by_authority: Front::start(&server, &good, None),
            by_key: Front::start(&server, &worthless, None),
            names: Names::serve(&[(NAME, HOST)]),
            tpm: Some(Swtpm::start()),
            pin: pin.trim_end().to_owned(),
            authority,
            server,
            _keys: keys,
        }
    }

    /// The plain server.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Binds the disk so that this way opens it in a guest.
    pub fn bind(&self, disk: &Disk, way: Way) {
        let (pin, config) = self.config(disk, way);
        let tpm = self.tpm.as_ref().expect("the TPM is a guest's already");
        tpm.give(disk.bind_program(Maker::Ours, pin, &config)).succeed();
    }

    /// A pin and its configuration. The advertisement comes from a file: the host cannot reach the guest's address.
    pub fn config(&self, disk: &Disk, way: Way) -> (&'static str, String) {
        let advertisement = disk.beside("advertisement");
        fs::write(&advertisement, self.server.fetch("/adv")).expect("cannot write the advertisement");
        let tang = |url: &str, more: &str| format!(r#"{{"url":"{url}","adv":"{}"{more}}}"#, advertisement.display());
        let here = |url: String| url.replace("127.0.0.1", HOST);
        let plain = tang(&here(self.server.url()), "");
        let config = match way {
            Way::Static | Way::Dhcp => plain,
            Way::Name => tang(&format!("http://{NAME}:{}", self.server.port()), ""),
            Way::Authority => tang(&here(self.by_authority.url()), ""),
            Way::ServerKey => tang(&here(self.by_key.url()), &format!(r#","pin":"{}""#, self.pin)),
            Way::Tpm => return ("tpm2", "{}".into()),
            Way::Both => return ("sss", format!(r#"{{"t":2,"pins":{{"tang":{plain},"tpm2":{{}}}}}}"#)),
        };
        ("tang", config)
    }

    /// Whatever these ways need beside the disks: the network, its words, and files in the initramfs. The volumes are those that are expected.
    pub fn system<'t>(&'t self, system: System<'t>, ways: &[Way], volumes: &[&Disk]) -> System<'t> {
        let words = if ways.contains(&Way::Static) {
            STATIC
        } else if ways.contains(&Way::Dhcp) {
            "net.ifnames=0 ip=::::guest:eth0:dhcp"
        } else {
            ""
        };
        let needs_it = ways.iter().any(|way| *way != Way::Tpm);
        let system = if needs_it { system.network(Network::UserWithNames(&self.names)) } else { system };
        let certificate = fs::read(self.authority.certificate()).expect("no certificate of the authority");
        system.words(words).settings(SETTINGS, volumes).file(AUTHORITY, 0o644, certificate)
    }

    /// Switches the TPM off, for a guest: nothing more can be bound to it.
    pub fn tpm(&mut self) -> Tpm {
        let tpm = self.tpm.take().expect("the TPM is a guest's already");
        Tpm::with_state(&tpm.switched_off())
    }
}
