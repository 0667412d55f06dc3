//! From the start of the initramfs to the root volume open, in the same guest with the same disk: by a person who types at once, and by the
//! original. The machine is emulated: figures are for comparing within one run.

use crate::table::{Asked, Limit, markdown, median};
use boot::binding;
use boot::disk::{Layout, RootDisk};
use boot::qemu::Tpm;
use boot::root::{Framework, Root};
use boot::system::{Boot, Frame, Network, Seen, System};
use compliance::disk::PASSPHRASE;
use compliance::{Curve, KeyDirectory, Maker, Server};

/// Each is most of a minute.
const ROUNDS: usize = 3;
const OPEN: &str = "open root";
const STATIC: &str = "net.ifnames=0 ip=10.0.2.15::10.0.2.2:255.255.255.0:guest:eth0:none";
const DHCP: &str = "net.ifnames=0 ip=::::guest:eth0:dhcp";

/// What opens the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    Typed,
    TangStatic,
    TangDhcp,
    Tpm,
}

impl Case {
    const ALL: [Case; 4] = [Case::Typed, Case::TangStatic, Case::TangDhcp, Case::Tpm];

    fn name(self) -> &'static str {
        match self {
            Case::Typed => "a passphrase typed at once",
            Case::TangStatic => "tang, static address",
            Case::TangDhcp => "tang, DHCP",
            Case::Tpm => "tpm2",
        }
    }
}

/// One boot, in seconds from the start of the initramfs; CPU is the emulator's.
struct Figures {
    open: f64,
    cpu: f64,
    /// The first connection to the server.
    asked: Option<f64>,
}

pub(crate) fn run() -> Vec<Asked> {
    let asked = Framework::BOTH.into_iter().flat_map(one).collect();
    println!("{}", sizes());
    asked
}

fn one(framework: Framework) -> Vec<Asked> {
    let mut figures: Vec<Vec<Figures>> = Case::ALL.iter().map(|_| Vec::new()).collect();
    let keys = KeyDirectory::new(Maker::Theirs, Curve::P521);
    let server = Server::start(Maker::Theirs, &keys);
    let scenes: Vec<Scene> = Case::ALL.iter().map(|case| Scene::new(framework, *case, &server)).collect();
    for round in 1..=ROUNDS {
        for (scene, figures) in scenes.iter().zip(&mut figures) {
            eprintln!("  {framework}, {}: round {round} of {ROUNDS}", scene.case.name());
            figures.push(scene.boot(round));
        }
    }
    println!("{}", table(framework, &figures));
    let open = |figures: &[Figures]| median(figures.iter().map(|figures| figures.open));
    let typed = figures.first().map(|figures| open(figures)).unwrap_or(f64::NAN);
    let others = Case::ALL.iter().zip(&figures).skip(1);
    let told =
        |case: &Case| format!("{framework}: the original's seconds to the root open, {}, of the typed", case.name());
    others.map(|(case, figures)| Asked::new(told(case), Limit::Reported, open(figures) / typed)).collect()
}

/// A disk that was bound once; each boot begins with the same bytes.
struct Scene {
    case: Case,
    root: Root,
    disk: RootDisk,
    tpm: Option<Vec<u8>>,
}

impl Scene {
    fn new(framework: Framework, case: Case, server: &Server) -> Scene {
        let disk = RootDisk::new(Layout::Plain);
        let mut tpm = None;
        match case {
            Case::Typed => {}
            Case::TangStatic | Case::TangDhcp => binding::to_server(&disk.luks, Maker::Theirs, server),
            Case::Tpm => tpm = Some(binding::to_tpm(&disk.luks, Maker::Theirs, "{}")),
        }
        let root = if case == Case::Typed { Root::plain(framework) } else { Root::with_original(framework) };
        Scene { case, root, disk, tpm }
    }

    fn boot(&self, round: usize) -> Figures {
        let log = format!("bench-{}-{:?}-{round}", self.root.framework(), self.case);
        let tpm = self.tpm.as_deref().map(Tpm::with_state);
        let system = System::new(&self.root, &self.disk);
        let system = match &tpm {
            Some(tpm) => system.tpm(tpm),
            None => system,
        };
        // systemd's network in the initramfs begins when it is told to.
        let needed = if self.root.framework() == Framework::Dracut { " rd.neednet=1" } else { "" };
        let on = |system: System<'_>, words: &str| {
            system.network(Network::User).words(&format!("{words}{needed}")).start(&log)
        };
        let seen = match self.case {
            Case::Typed => typed(system.start(&log)),
            Case::TangStatic => opened(on(system, STATIC)),
            Case::TangDhcp => opened(on(system, DHCP)),
            Case::Tpm => opened(system.start(&log)),
        };
        let (open, cpu) = seen.until(OPEN);
        Figures { open, cpu, asked: seen.until_frame(|frame| matches!(frame, Frame::Connects(_))) }
    }
}

fn typed(boot: Boot) -> Seen {
    boot.answer("root", PASSPHRASE);
    opened(boot)
}

fn opened(boot: Boot) -> Seen {
    boot.until(OPEN);
    boot.end()
}

fn table(framework: Framework, figures: &[Vec<Figures>]) -> String {
    let columns = ["root opened by", "server asked", "root open", "CPU", "cotter: root open", "CPU", "of the original"];
    let seconds = |value: f64| if value.is_nan() { "-".to_owned() } else { format!("{value:.1} s") };
    let row = |(case, figures): (&Case, &Vec<Figures>)| {
        let middle = |of: fn(&Figures) -> Option<f64>| seconds(median(figures.iter().filter_map(of)));
        let theirs = [middle(|it| it.asked), middle(|it| Some(it.open)), middle(|it| Some(it.cpu))];
        let ours = ["-", "-", "-"].map(str::to_owned);
        [case.name().to_owned()].into_iter().chain(theirs).chain(ours).collect()
    };
    let rows: Vec<Vec<String>> = Case::ALL.iter().zip(figures).map(row).collect();
    markdown(&format!("From the start of the initramfs: {framework}"), &columns, &rows)
}

fn sizes() -> String {
    let row = |framework: Framework| {
        let [plain, with] = [Root::plain(framework), Root::with_original(framework)].map(|root| root.initramfs_bytes());
        let added = i64::try_from(with).unwrap() - i64::try_from(plain).unwrap();
        vec![framework.to_string(), plain.to_string(), with.to_string(), added.to_string(), "-".into()]
    };
    let columns = ["initramfs of", "bytes", "with the original", "it adds", "cotter adds"];
    markdown("The compressed initramfs", &columns, &Framework::BOTH.map(row))
}
