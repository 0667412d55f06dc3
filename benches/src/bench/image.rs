//! The content of a LUKS1 image, read through an export: ours, the `luks` filter of nbdkit, the `luks` driver of QEMU.
//!
//! All three serve the same file in memory to the same client, `nbdcopy`, which throws away what it gets. `cotter image
//! cat` writes the same content into a pipe. CPU is that of the process which decrypts; reading what it sends costs the
//! same whoever sent it, and is in the wall time alone.

use crate::clock::{self, Cost};
use crate::table::{Asked, Limit, in_turn, markdown, median_cost};
use compliance::disk::PASSPHRASE;
use compliance::program::end_group;
use compliance::{Program, need, program};
use std::fs;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Where files are memory.
const MEMORY: &str = "/dev/shm";
/// Of the whole image.
const LENGTH: usize = 512 << 20;
/// How long a server may take until its socket is there.
const START_LIMIT: Duration = Duration::from_secs(20);
/// How often it is looked for.
const GLANCE: Duration = Duration::from_millis(5);

pub(crate) fn run() -> Vec<Asked> {
    let image = Image::new();
    let [ours, nbdkit, qemu] = SERVERS.map(|server| Export::start(&image, &server));
    let content = image.cat();
    for export in [&ours, &nbdkit, &qemu] {
        assert!(export.content(&image) == content, "{} reads something else", export.name);
    }
    drop(content);
    let samples =
        in_turn(&mut [&mut || image.cat_cost(), &mut || ours.copy_cost(), &mut || nbdkit.copy_cost(), &mut || {
            qemu.copy_cost()
        }]);
    let costs: Vec<Cost> = samples.iter().map(|samples| median_cost(samples)).collect();
    let [cat, our, kit, driver] = costs.try_into().expect("four sides were measured");
    let rows = [("cotter image cat, to a pipe", cat), (ours.name, our), (nbdkit.name, kit), (qemu.name, driver)];
    let rows: Vec<Vec<String>> = rows.map(|(name, cost)| row(name, cost)).into();
    let columns = ["what", "MB per CPU second", "MB per second of wall"];
    println!("{}", markdown("Reading a LUKS1 image of 512 MiB, aes-xts-plain64, 512-bit key", &columns, &rows));
    let mut asked = Vec::new();
    for (theirs, cost) in [("nbdkit's luks filter", kit), ("qemu-nbd's luks driver", driver)] {
        for (what, us) in [("`image cat`", cat), ("the NBD export", our)] {
            let line = |of: &str| format!("speed of {what}, of {theirs} ({of})");
            asked.push(Asked::new(line("CPU"), Limit::AtLeast(1.5), cost.cpu / us.cpu));
            asked.push(Asked::new(line("wall"), Limit::AtLeast(1.5), cost.wall / us.wall));
        }
    }
    asked
}

fn row(name: &str, cost: Cost) -> Vec<String> {
    let speed = |seconds: f64| format!("{:.0}", LENGTH as f64 / 1e6 / seconds);
    vec![name.to_owned(), speed(cost.cpu), speed(cost.wall)]
}

/// A program that serves an image.
struct Server {
    name: &'static str,
    socket: &'static str,
    command: fn(&Image, &Path) -> Command,
}

const SERVERS: [Server; 3] = [
    Server { name: "cotter image serve", socket: "ours", command: ours },
    Server { name: "nbdkit --filter=luks file", socket: "nbdkit", command: nbdkit },
    Server { name: "qemu-nbd, driver=luks", socket: "qemu", command: qemu },
];

/// A LUKS1 volume as large platforms make it, full of bytes that are no hole.
struct Image {
    directory: TempDir,
}

impl Image {
    fn new() -> Image {
        let image = Image { directory: tempfile::tempdir_in(MEMORY).expect("no file system in memory") };
        fs::write(image.passphrase(), PASSPHRASE).unwrap();
        fs::write(image.path(), vec![0x5a; LENGTH]).unwrap();
        let format = Program::new("cryptsetup").args(["luksFormat", "-q", "--type=luks1", "--key-size=512"]);
        let format = format.args(["--hash=sha512", "--pbkdf-force-iterations=1000", "--key-file"]);
        format.arg(image.passphrase()).arg(image.path()).succeed();
        image
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("disk.img")
    }

    fn passphrase(&self) -> PathBuf {
        self.directory.path().join("passphrase")
    }

    fn cat_command(&self) -> Command {
        let mut cat = Command::new(program::cotter());
        cat.args(["image", "cat", "-k"]).arg(self.passphrase()).arg(self.path()).stdout(Stdio::piped());
        cat
    }

    fn cat(&self) -> Vec<u8> {
        let output = self.cat_command().output().unwrap();
        assert!(output.status.success() && !output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    fn cat_cost(&self) -> Cost {
        clock::of_children(|| {
            let mut cat = self.cat_command().spawn().unwrap();
            drain(&mut cat.stdout.take().unwrap());
            assert!(cat.wait().unwrap().success());
        })
    }
}

/// Reads as much at once as a pipe holds.
fn drain(pipe: &mut impl Read) {
    let mut piece = vec![0; 64 << 10];
    while pipe.read(&mut piece).unwrap() > 0 {}
}

fn ours(image: &Image, socket: &Path) -> Command {
    let mut command = Command::new(program::cotter());
    command.args(["image", "serve", "-k"]).arg(image.passphrase()).arg(image.path()).arg("--socket").arg(socket);
    command
}

fn nbdkit(image: &Image, socket: &Path) -> Command {
    let mut command = Command::new(need("nbdkit"));
    command.args(["-f", "-r", "--filter=luks", "-U"]).arg(socket).arg("file").arg(image.path());
    command.arg(format!("passphrase=+{}", image.passphrase().display()));
    command
}

fn qemu(image: &Image, socket: &Path) -> Command {
    let mut command = Command::new(need("qemu-nbd"));
    command.args(["--persistent", "--read-only", "--shared=8", "-k"]).arg(socket).arg("--object");
    command.arg(format!("secret,id=key,file={}", image.passphrase().display()));
    command.arg("--image-opts").arg(format!("driver=luks,key-secret=key,file.filename={}", image.path().display()));
    command
}

/// A server that runs until it is dropped.
struct Export {
    name: &'static str,
    server: Child,
    socket: PathBuf,
}

impl Export {
    fn start(image: &Image, server: &Server) -> Export {
        let (name, socket) = (server.name, image.directory.path().join(server.socket));
        let mut command = (server.command)(image, &socket);
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let export = Export { name, server: command.spawn().unwrap(), socket };
        let start = Instant::now();
        while !export.socket.exists() {
            assert!(start.elapsed() < START_LIMIT, "{name} does not come up");
            std::thread::sleep(GLANCE);
        }
        export
    }

    fn copy_to(&self, target: impl AsRef<std::ffi::OsStr>) {
        let copy = Program::new("nbdcopy").arg(format!("nbd+unix:///?socket={}", self.socket.display()));
        copy.arg(target).succeed();
    }

    /// What the client gets.
    fn content(&self, image: &Image) -> Vec<u8> {
        let copy = image.directory.path().join("copy");
        self.copy_to(&copy);
        let content = fs::read(&copy).unwrap();
        fs::remove_file(copy).unwrap();
        content
    }

    /// CPU of the server alone.
    fn copy_cost(&self) -> Cost {
        let before = clock::of_process(self.server.id());
        let wall = clock::of_children(|| self.copy_to("null:")).wall;
        Cost { cpu: clock::of_process(self.server.id()) - before, wall }
    }
}

impl Drop for Export {
    fn drop(&mut self) {
        end_group(&mut self.server);
    }
}
