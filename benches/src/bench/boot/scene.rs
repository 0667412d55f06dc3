//! One case and one side: a disk that was bound once, and boots that all begin with the same bytes.

use super::case::Case;
use boot::binding::{self, HOST};
use boot::disk::{DataDisk, Layout, RootDisk, Version};
use boot::qemu::Tpm;
use boot::root::{Framework, Root};
use boot::system::{Boot, Frame, Network, Seen, System};
use compliance::disk::PASSPHRASE;
use compliance::quiet::BlackHole;
use compliance::{Maker, Server};

const OPEN: &str = "open root";
const OPEN_DATA: &str = "open data1";
const STATIC: &str = "net.ifnames=0 ip=10.0.2.15::10.0.2.2:255.255.255.0:guest:eth0:none";
const DHCP: &str = "net.ifnames=0 ip=::::guest:eth0:dhcp";

/// Who is on the network.
pub(super) struct Servers {
    pub(super) live: Server,
    pub(super) dead: BlackHole,
}

/// One boot, in seconds from the start of the initramfs; CPU is the emulator's.
pub(super) struct Figures {
    pub(super) open: f64,
    pub(super) cpu: f64,
    /// The first connection to the server.
    pub(super) asked: Option<f64>,
}

pub(super) struct Scene {
    case: Case,
    maker: Maker,
    root: Root,
    disk: RootDisk,
    data: Option<DataDisk>,
    tpm: Option<Vec<u8>>,
    port: u16,
}

impl Scene {
    pub(super) fn new(framework: Framework, case: Case, maker: Maker, servers: &Servers) -> Scene {
        let disk = RootDisk::new(Layout::Plain);
        let (mut tpm, mut data) = (None, None);
        match case {
            Case::Typed => {}
            Case::TangStatic | Case::TangDhcp => binding::to_server(&disk.luks, maker, &servers.live),
            Case::Tpm => tpm = Some(binding::to_tpm(&disk.luks, maker, "{}")),
            Case::SecondVolume => {
                let second = DataDisk::new(Version::Two, 1);
                for luks in [&disk.luks, &second.luks] {
                    binding::to_server(luks, maker, &servers.live);
                }
                data = Some(second);
            }
            Case::DeadServer => {
                let dead = servers.dead.url().replace("127.0.0.1", HOST);
                binding::to_server_as(&disk.luks, maker, &servers.live, &dead);
                binding::to_server(&disk.luks, maker, &servers.live);
            }
        }
        let root = match (maker, case) {
            (Maker::Theirs, Case::Typed) => Root::plain(framework),
            (Maker::Theirs, _) => Root::with_original(framework),
            (Maker::Ours, _) => Root::with_cotter(framework),
        };
        Scene { case, maker, root, disk, data, tpm, port: servers.live.port() }
    }

    pub(super) fn boot(&self, round: usize) -> Figures {
        let framework = self.root.framework();
        let log = format!("bench-{framework}-{:?}-{:?}-{round}", self.case, self.maker);
        let tpm = self.tpm.as_deref().map(Tpm::with_state);
        let volumes: Vec<_> = [&self.disk.luks].into_iter().chain(self.data.iter().map(|data| &data.luks)).collect();
        let system = System::new(&self.root, &self.disk);
        let system = self.data.iter().fold(system, |system, data| system.data(data));
        let system = tpm.iter().fold(system, |system, tpm| system.tpm(tpm));
        let system = if self.maker == Maker::Ours { system.settings("{}", &volumes) } else { system };
        // systemd's network in the initramfs begins when it is told to, which the original needs.
        let told = framework == Framework::Dracut && self.maker == Maker::Theirs;
        let needed = if told { " rd.neednet=1" } else { "" };
        let on = |system: System<'_>, words: &str| {
            system.network(Network::User).words(&format!("{words}{needed}")).start(&log)
        };
        let seen = match self.case {
            Case::Typed => typed(system.start(&log)),
            Case::TangStatic | Case::DeadServer => opened(on(system, STATIC), &[OPEN]),
            Case::SecondVolume => opened(on(system, STATIC), &[OPEN, OPEN_DATA]),
            Case::TangDhcp => opened(on(system, DHCP), &[OPEN]),
            Case::Tpm => opened(system.start(&log), &[OPEN]),
        };
        // Whichever volume comes last.
        let (first, second) = (seen.until(OPEN), self.data.as_ref().map(|_| seen.until(OPEN_DATA)));
        let (open, cpu) = second.filter(|second| second.0 > first.0).unwrap_or(first);
        Figures { open, cpu, asked: seen.until_frame(|frame| frame == Frame::Connects(self.port)) }
    }
}

fn typed(boot: Boot) -> Seen {
    boot.answer("root", PASSPHRASE);
    opened(boot, &[OPEN])
}

fn opened(boot: Boot, marks: &[&str]) -> Seen {
    marks.iter().for_each(|mark| drop(boot.until(mark)));
    boot.end()
}
