//! A machine under QEMU, emulated, with udev in it.
//!
//! The kernel is Debian's, unpacked by `cargo xtask setup` and never installed. The initramfs is made here of the host's own
//! programs: a shell, udev with the rules of the device mapper, `dmsetup`, `cryptsetup`, and our program. It is the whole
//! system: its first process runs a story and ends the machine. There is no network and no use of `/dev/kvm`, which may be
//! there and yet run no kernel of a distribution.
//!
//! A story is shell commands, each under a name: `step NAME COMMAND...`. What a step wrote and how it ended comes back through
//! a serial port of its own, so that no message of the kernel stands in between.

pub(crate) mod archive;
mod firmware;
mod kernel;
pub(crate) mod programs;
mod report;
mod tpm;

pub use firmware::Firmware;
pub use report::{Report, Step};
pub use tpm::Tpm;

use archive::Archive;
use compliance::Program;
use compliance::program::Running;
use kernel::Kernel;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// From power on to off; a story of half a minute on a machine that is busy with other things.
const LIMIT: Duration = Duration::from_secs(300);
/// Longer than any wait here, so that the machine's end is noticed and told here and not by whoever started it.
const BACKSTOP: Duration = Duration::from_secs(600);
const GLANCE: Duration = Duration::from_millis(20);
/// Loaded in this order, each after what it needs: a disk, the mapper, the ciphers of a LUKS disk and their door to user
/// space (which `cryptsetup` opens keyslots through), a file system. Not `essiv`: a mapping with it fails in its last step.
const MODULES: &[&str] =
    &["virtio_pci", "virtio_blk", "ecb", "xts", "dm-crypt", "algif_skcipher", "crc32c_generic", "ext4"];
/// The kernel's own speed under emulation: nothing to measure or to protect here. A panic ends the machine.
const COMMAND_LINE: &str = "console=ttyS0 loglevel=4 panic=-1 mitigations=off nokaslr tsc=reliable audit=0";

/// A machine that is about to be started.
pub struct Machine<'t> {
    kernel: Kernel,
    archive: Archive,
    disks: Vec<PathBuf>,
    firmware: Firmware,
    tpm: Option<&'t Tpm>,
}

impl Default for Machine<'_> {
    fn default() -> Self {
        Machine::new()
    }
}

impl<'t> Machine<'t> {
    /// A machine with no disk, and everything in its initramfs that a story needs.
    pub fn new() -> Machine<'t> {
        let kernel = Kernel::find();
        let mut archive = Archive::new();
        programs::add(&mut archive);
        let mut order = String::new();
        for (name, bytes) in kernel.modules(MODULES) {
            archive.file(&format!("modules/{name}"), 0o644, bytes);
            order.push_str(&format!("{name}\n"));
        }
        archive.file("modules/order", 0o644, order);
        archive.file("init", 0o755, include_str!("qemu/init.sh"));
        Machine { kernel, archive, disks: Vec::new(), firmware: Firmware::Bios, tpm: None }
    }

    /// Puts a file into its initramfs, at an absolute path.
    pub fn file(mut self, path: &str, mode: u32, bytes: impl Into<Vec<u8>>) -> Self {
        self.archive.file(path.trim_start_matches('/'), mode, bytes);
        self
    }

    /// Gives it a disk with the content of this file: `/dev/vda` is the first one. What the story writes is lost.
    pub fn disk(mut self, image: &Path) -> Self {
        self.disks.push(image.to_owned());
        self
    }

    /// Starts it with another firmware than SeaBIOS.
    pub fn firmware(mut self, firmware: Firmware) -> Self {
        self.firmware = firmware;
        self
    }

    /// Gives it this TPM.
    pub fn tpm(mut self, tpm: &'t Tpm) -> Self {
        self.tpm = Some(tpm);
        self
    }

    /// Runs the story in it. Ends the test if the machine does not end by itself.
    pub fn run(mut self, story: &str) -> Report {
        self.archive.file("story", 0o644, story);
        let here = tempfile::tempdir().expect("no temporary directory");
        let [initramfs, console, answers] = ["initramfs", "console", "answers"].map(|name| here.path().join(name));
        std::fs::write(&initramfs, self.archive.to_bytes()).expect("cannot write the initramfs");
        let read = |file| String::from_utf8_lossy(&std::fs::read(file).unwrap_or_default()).into_owned();

        let firmware = self.firmware.words(here.path());
        let tpm = self.tpm.map(Tpm::power);
        let mut machine = self.command(&initramfs, &console, &answers).args(firmware).start();
        let start = Instant::now();
        while machine.is_alive() && start.elapsed() < LIMIT {
            std::thread::sleep(GLANCE);
        }
        let ended = (!machine.is_alive()).then(|| machine.wait().succeeded());
        // It ends when its machine does; only then its state is whole.
        if ended.is_some() {
            tpm.map(Running::wait);
        }
        let report = Report::read(&read(&answers), &read(&console), start.elapsed());
        assert!(ended.is_some(), "the machine has not ended after {LIMIT:?}; {report}");
        report
    }

    fn command(&self, initramfs: &Path, console: &Path, answers: &Path) -> Program {
        let serial = |path: &Path| format!("file:{}", path.display());
        let drive = |path: &Path| format!("file={},format=raw,if=virtio,cache=unsafe,snapshot=on", path.display());
        let machine = Program::new("qemu-system-x86_64")
            .args(["-accel", "tcg", "-cpu", "max,la57=off", "-smp", "2", "-m", "1024"])
            .args(["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-nic", "none"])
            .arg("-kernel")
            .arg(self.kernel.image())
            .args(["-append", COMMAND_LINE, "-initrd"])
            .arg(initramfs)
            .args(["-serial", &serial(console), "-serial", &serial(answers)])
            .limit(BACKSTOP);
        let tpm = self.tpm.map(Tpm::words).into_iter().flatten();
        self.disks.iter().fold(machine.args(tpm), |machine, disk| machine.args(["-drive", &drive(disk)]))
    }
}
