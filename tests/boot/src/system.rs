//! Debian itself under QEMU: a root of [`crate::root`] with its own kernel and initramfs, the disks it has to open, a network card, a TPM,
//! and somebody at the console.
//!
//! Everything is emulated: no use is made of `/dev/kvm`, which may be there and yet run no kernel of a distribution. What a guest writes
//! to its disks is lost, and what it says is kept in `boot-logs` below Cargo's target directory, with the time of each line. A machine
//! is ended when it has come as far as the test wants, and in any case after fifteen minutes.

mod console;
mod wire;

pub use console::Mark;
pub use wire::Frame;

use crate::binding;
use crate::disk::{DataDisk, RootDisk, Wanted};
use crate::names::Names;
use crate::place;
use crate::qemu::Tpm;
use crate::qemu::archive::Archive;
use crate::root::{Framework, Root};
use compliance::Program;
use compliance::program::Running;
use console::{Console, cpu_of};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use wire::Frames;

/// From power on to whatever is waited for; a boot takes 20 to 60 s on an idle machine.
pub const LIMIT: Duration = Duration::from_secs(300);
/// Ends a machine that nobody is left to end, in seconds.
const BACKSTOP_S: u64 = 900;
const START_LIMIT: Duration = Duration::from_secs(30);
const GLANCE: Duration = Duration::from_millis(5);
/// Below Cargo's target directory.
const LOGS: &str = "boot-logs";
/// Marks are errors to the kernel, so that they alone are on the console; it must not drop some of many.
const COMMAND_LINE: &str =
    "console=ttyS0 loglevel=4 printk.devkmsg=on panic=-1 mitigations=off nokaslr tsc=reliable audit=0 ro";
/// Runs QEMU where `/etc/resolv.conf` is another file.
const WITH_NAMES: &str = r#"mount --bind "$0" /etc/resolv.conf && exec "$@""#;

/// What the guest's network card is connected to.
#[derive(Clone, Copy)]
pub enum Network<'t> {
    /// There is no card.
    None,
    /// QEMU's own: DHCP gives 10.0.2.15, 10.0.2.2 is the host's loopback, 10.0.2.3 answers names as the host does.
    User,
    /// The same, with our own name server behind 10.0.2.3.
    UserWithNames(&'t Names),
    /// To a wire on which nobody is: there is a carrier, and no answer to anything.
    Silent,
    /// To nothing: there is no carrier.
    NoCarrier,
}

/// A system that is about to be started.
pub struct System<'t> {
    root: &'t Root,
    disks: Vec<PathBuf>,
    wanted: Vec<Wanted>,
    command_line: String,
    files: Archive,
    network: Network<'t>,
    tpm: Option<&'t Tpm>,
    clock: Option<&'static str>,
}

impl<'t> System<'t> {
    /// With its root disk as it is now, without network and TPM.
    pub fn new(root: &'t Root, disk: &RootDisk) -> System<'t> {
        let command_line = format!("{COMMAND_LINE} {}", disk.command_line());
        let (disks, wanted, files) = (disk.files(), vec![disk.wanted()], Archive::empty());
        System { root, disks, wanted, command_line, files, network: Network::None, tpm: None, clock: None }
    }

    /// One more disk, which the initramfs is to open as well.
    pub fn data(mut self, disk: &DataDisk) -> Self {
        self.disks.extend(disk.files());
        self.wanted.push(disk.wanted());
        if let Some(mirror) = disk.mirror() {
            self.command_line.push_str(&format!(" rd.md.uuid={mirror}"));
        }
        self
    }

    /// Adds words to the kernel's command line.
    pub fn words(mut self, words: &str) -> Self {
        self.command_line = format!("{} {words}", self.command_line);
        self
    }

    /// Puts a file into the initramfs, over one that is there.
    pub fn file(mut self, path: &str, mode: u32, bytes: impl Into<Vec<u8>>) -> Self {
        self.files.file(path.trim_start_matches('/'), mode, bytes);
        self
    }

    /// Puts these settings of cotter into the initramfs, and what is expected of these volumes.
    pub fn settings(self, settings: &str, volumes: &[&compliance::Disk]) -> Self {
        let expected = binding::expected(volumes);
        self.file("etc/cotter/boot.json", 0o644, settings).file("etc/cotter/volumes.json", 0o644, expected)
    }

    /// Sets its clock to this day when it is switched on: `YYYY-MM-DD`.
    pub fn clock(mut self, day: &'static str) -> Self {
        self.clock = Some(day);
        self
    }

    /// Gives it a network card.
    pub fn network(mut self, network: Network<'t>) -> Self {
        self.network = network;
        self
    }

    /// Gives it this TPM.
    pub fn tpm(mut self, tpm: &'t Tpm) -> Self {
        self.tpm = Some(tpm);
        self
    }

    /// Switches it on, when no other system of this test program is running. `case` is the name of its log.
    pub fn start(mut self, case: &str) -> Boot {
        static ONE: Mutex<()> = Mutex::new(());
        let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        self.list_what_is_wanted();
        let here = tempfile::tempdir().unwrap();
        let initramfs = self.initramfs();
        fs::write(here.path().join("initramfs"), initramfs).expect("cannot write the initramfs");
        let log = place::beside(place::ROOTS, LOGS).join(format!("{case}.log"));
        let tpm = self.tpm.map(Tpm::power);
        let listener = UnixListener::bind(here.path().join("console")).unwrap();
        let start = Instant::now();
        let frames = self.watched().then(|| {
            Program::new("mkfifo").arg(here.path().join("wire")).succeed();
            wire::read(&here.path().join("wire"), start)
        });
        let mut machine = self.command(here.path()).start();
        let line = connected(&listener, &mut machine);
        let outer = machine.pid();
        let console = Console::read(line, start, &log, move || cpu_of(child_of(outer)));
        let framework = self.root.framework();
        let (frames, answered) = (frames.unwrap_or_default(), RefCell::default());
        Boot { machine, console, frames, framework, log, answered, _here: here, _tpm: tpm, _one: one }
    }

    /// Tells the initramfs which volumes are its own, each framework in its own way.
    fn list_what_is_wanted(&mut self) {
        match self.root.framework() {
            Framework::InitramfsTools => {
                let line = |Wanted { name, uuid }: &Wanted| format!("{name} UUID={uuid} none luks,initramfs\n");
                let lines: String = self.wanted.iter().map(line).collect();
                self.files.file("cryptroot/crypttab", 0o644, lines);
            }
            Framework::Dracut => {
                for Wanted { name, uuid } in &self.wanted {
                    self.command_line.push_str(&format!(" rd.luks.name={uuid}={name}"));
                }
                // A failure ends the machine instead of asking for a shell.
                self.command_line.push_str(" rd.shell=0 rd.emergency=poweroff");
            }
        }
    }

    /// The root's own, and behind it what this boot adds.
    fn initramfs(&self) -> Vec<u8> {
        let mut bytes = fs::read(self.root.initramfs()).expect("cannot read the initramfs of a root");
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes.extend(self.files.to_bytes());
        bytes
    }

    fn watched(&self) -> bool {
        matches!(self.network, Network::User | Network::UserWithNames(_))
    }

    fn command(&self, here: &Path) -> Program {
        let at = |name: &str| here.join(name).display().to_string();
        let program = Program::new("timeout").args(["--kill-after=5".to_owned(), BACKSTOP_S.to_string()]);
        let program = match self.network {
            Network::UserWithNames(names) => {
                program.args(["unshare", "--mount", "sh", "-c", WITH_NAMES]).arg(names.configuration())
            }
            _ => program,
        };
        let machine = program
            .args([
                "qemu-system-x86_64",
                "-accel",
                "tcg,thread=multi",
                "-cpu",
                "max,la57=off",
                "-smp",
                "2",
                "-m",
                "1024",
            ])
            .args(["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"])
            .arg("-kernel")
            .arg(self.root.kernel())
            .args(["-append", &self.command_line, "-initrd", &at("initramfs")])
            .args(["-chardev", &format!("socket,id=line,path={}", at("console")), "-serial", "chardev:line"])
            .args(self.card(&at("wire")))
            .args(self.tpm.map(Tpm::words).into_iter().flatten())
            .args(self.clock.iter().flat_map(|day| ["-rtc".to_owned(), format!("base={day}")]))
            .limit(Duration::from_secs(2 * BACKSTOP_S));
        // The plug is pulled before the guest begins to look.
        let machine = match self.network {
            Network::NoCarrier => machine.args(["-monitor", "stdio"]).input("set_link net off\n"),
            _ => machine,
        };
        let drive = |path: &Path| format!("file={},format=raw,if=virtio,cache=unsafe,snapshot=on", path.display());
        self.disks.iter().fold(machine, |machine, disk| machine.args(["-drive", &drive(disk)]))
    }

    /// The network card; the frames go into the pipe `wire`.
    fn card(&self, wire: &str) -> Vec<String> {
        let card = ["-device", "virtio-net-pci,netdev=net,romfile="];
        let words = match self.network {
            Network::None => vec!["-nic", "none"],
            Network::Silent | Network::NoCarrier => [["-netdev", "hubport,id=net,hubid=0"], card].concat(),
            Network::User | Network::UserWithNames(_) => [["-netdev", "user,id=net"], card].concat(),
        };
        let words = words.into_iter().map(str::to_owned);
        let dump = self.watched().then(|| ["-object".into(), format!("filter-dump,id=wire,netdev=net,file={wire}")]);
        words.chain(dump.into_iter().flatten()).collect()
    }
}

/// QEMU, when it has called.
fn connected(listener: &UnixListener, machine: &mut Running) -> UnixStream {
    listener.set_nonblocking(true).unwrap();
    let start = Instant::now();
    loop {
        match listener.accept() {
            Ok((line, _)) => {
                line.set_nonblocking(false).unwrap();
                return line;
            }
            Err(why) if why.kind() == ErrorKind::WouldBlock => std::thread::sleep(GLANCE),
            Err(why) => panic!("cannot take the guest's line: {why}"),
        }
        assert!(machine.is_alive() && start.elapsed() < START_LIMIT, "the emulator does not come up");
    }
}

/// The only child of a process that starts one.
fn child_of(pid: u32) -> Option<u32> {
    fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?.split_whitespace().next()?.parse().ok()
}

/// A system that runs. Dropping it switches it off.
pub struct Boot {
    machine: Running,
    console: Console,
    frames: Frames,
    framework: Framework,
    log: PathBuf,
    /// For each volume: how often a passphrase was typed before the last time.
    answered: RefCell<BTreeMap<String, usize>>,
    _here: TempDir,
    _tpm: Option<Running>,
    _one: MutexGuard<'static, ()>,
}

impl Boot {
    /// Waits for a mark: `open NAME` for a mapping, `switch-root` for the end of the initramfs. Ends the test if it does not come.
    #[track_caller]
    pub fn until(&self, name: &str) -> Mark {
        let mark = self.within(name, LIMIT);
        mark.unwrap_or_else(|| panic!("no mark `{name}` within {LIMIT:?}; {}", self.last()))
    }

    /// The mark, if it comes within this time from now.
    pub fn within(&self, name: &str, limit: Duration) -> Option<Mark> {
        let named = |marks: &[Mark]| marks.iter().find(|mark| mark.name == name).cloned();
        self.console.wait(Instant::now() + limit, |_, _, marks| named(marks))
    }

    /// Waits until this stands on the console. Ends the test if it does not come.
    #[track_caller]
    pub fn until_said(&self, text: &str) {
        let said = self.console.wait(Instant::now() + LIMIT, |lines, open, _| {
            (open.contains(text) || lines.iter().any(|line| line.text.contains(text))).then_some(())
        });
        assert!(said.is_some(), "nothing said `{text}` within {LIMIT:?}; {}", self.last());
    }

    /// A person: waits until the passphrase of this volume is asked for, once more than at the last answer, and types this at once.
    #[track_caller]
    pub fn answer(&self, volume: &str, passphrase: &str) {
        let prompt = self.framework.prompt(volume);
        let answered =
            *self.answered.borrow_mut().entry(volume.to_owned()).and_modify(|count| *count += 1).or_insert(0);
        let asked = self.console.wait(Instant::now() + LIMIT, |lines, open, _| {
            let before = lines.iter().filter(|line| line.text.contains(&prompt)).count();
            (before + usize::from(open.contains(&prompt)) > answered).then_some(())
        });
        assert!(asked.is_some(), "nobody asked for a passphrase of `{volume}` within {LIMIT:?}; {}", self.last());
        self.type_line(passphrase);
    }

    /// Types a line, whatever the guest does.
    pub fn type_line(&self, text: &str) {
        self.console.type_line(text);
    }

    /// Switches it off, and tells what was seen.
    pub fn end(self) -> Seen {
        let Boot { machine, mut console, frames, framework, log, .. } = self;
        drop(machine);
        console.finish();
        let frames = frames.lock().unwrap().clone();
        Seen { marks: console.marks(), text: console.text(), frames, framework, log }
    }

    fn last(&self) -> String {
        format!("its console is in {}:\n{}", self.log.display(), self.console)
    }
}

/// What was seen of a boot that has ended.
pub struct Seen {
    /// In the order in which they came.
    pub marks: Vec<Mark>,
    /// The console.
    pub text: String,
    /// What went over its network card, with the time since power on.
    pub frames: Vec<(Duration, Frame)>,
    framework: Framework,
    log: PathBuf,
}

impl Seen {
    /// The first mark of this name. Ends the test if the boot has not come there.
    #[track_caller]
    pub fn mark(&self, name: &str) -> &Mark {
        let mark = self.marks.iter().find(|mark| mark.name == name);
        mark.unwrap_or_else(|| panic!("no mark `{name}`; the console is in {}", self.log.display()))
    }

    /// From the start of the initramfs to this mark: wall time, and what the emulator has used of a processor, in seconds.
    #[track_caller]
    pub fn until(&self, name: &str) -> (f64, f64) {
        let (start, end) = (self.mark(self.framework.first_mark()), self.mark(name));
        (end.at.saturating_sub(start.at).as_secs_f64(), end.cpu - start.cpu)
    }

    /// From the start of the initramfs to the first frame that `is` knows, in seconds.
    pub fn until_frame(&self, is: impl Fn(Frame) -> bool) -> Option<f64> {
        let start = self.mark(self.framework.first_mark()).at;
        let frame = self.frames.iter().find(|(_, frame)| is(*frame));
        frame.map(|(at, _)| at.saturating_sub(start).as_secs_f64())
    }
}
