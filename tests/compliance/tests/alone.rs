//! The program on its own: as the one file in an empty root, and showing itself in `cotter demo`.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test stops where it stands")]

use compliance::program::cotter;
use compliance::secret::{Trace, files_below};
use compliance::{Curve, Disk, KeyDirectory, Maker, Program, Server, Version};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

const PLAINTEXT: &[u8] = b"a plaintext";

/// A static program, as `cargo xtask release` makes it; `cargo xtask test` names the files.
#[derive(Clone, Copy)]
enum Static {
    Full,
    Boot,
}

impl Static {
    fn file(self) -> PathBuf {
        let (variable, profile, makes) = match self {
            Static::Full => ("COTTER_STATIC", "release", "cargo xtask release"),
            Static::Boot => ("COTTER_BOOT", "boot", "cargo xtask release --boot"),
        };
        if let Some(file) = std::env::var_os(variable) {
            return file.into();
        }
        let test = std::env::current_exe().unwrap();
        let target = test.ancestors().nth(3).unwrap();
        let file = target.join(format!("{}-unknown-linux-gnu/{profile}/cotter", std::env::consts::ARCH));
        assert!(file.is_file(), "{} is not there; this makes it: {makes}", file.display());
        file
    }
}

/// A directory that holds a static program and nothing else, to be the root of a process.
struct EmptyRoot(tempfile::TempDir);

impl EmptyRoot {
    fn new(which: Static) -> EmptyRoot {
        let root = tempfile::tempdir().unwrap();
        fs::copy(which.file(), root.path().join("cotter")).unwrap();
        EmptyRoot(root)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// `/cotter` with that root. Only root may change its root; everyone else becomes root of a namespace first. The
    /// network stays the machine's.
    fn cotter(&self) -> Program {
        let privileged = fs::metadata("/proc/self").unwrap().uid() == 0;
        let program = Program::new(if privileged { "chroot" } else { "unshare" });
        let program = if privileged { program } else { program.args(["-r", "chroot"]) };
        program.arg(self.path()).arg("/cotter")
    }
}

/// Encrypt, decrypt, bind, unlock and read, with no file in the root but the program and the disk.
#[test]
fn the_static_program_needs_no_other_file() {
    let root = EmptyRoot::new(Static::Full);
    let keys = KeyDirectory::new(Maker::Theirs, Curve::P521);
    let server = Server::start(Maker::Theirs, &keys);
    let encrypt = root.cotter().args(["encrypt", "tang", &server.config(), "-y"]).input(PLAINTEXT);
    let jwe = encrypt.succeed().stdout;
    assert_eq!(root.cotter().arg("decrypt").input(jwe.clone()).succeed().stdout, PLAINTEXT);
    assert_eq!(Maker::Theirs.decrypt(&jwe), PLAINTEXT);

    let disk = Disk::formatted(Maker::Theirs);
    disk.bind(Maker::Theirs, "tang", &server.config());
    fs::copy(disk.path(), root.path().join("disk.img")).unwrap();
    let unlock = root.cotter().args(["luks", "unlock", "--print-key", "-d", "/disk.img"]);
    assert_eq!(unlock.succeed().stdout, disk.pass(Maker::Theirs, "1"));
    assert!(root.cotter().args(["luks", "list", "-d", "/disk.img"]).succeed().text().contains(&server.url()));
    let names: BTreeSet<_> = fs::read_dir(root.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, BTreeSet::from(["cotter".into(), "disk.img".into()]), "something was left in the root");
}

/// A name is resolved without the C library's plug-ins: from our own reading of `/etc/hosts`, and failing with words.
#[test]
fn the_static_program_resolves_names() {
    let root = EmptyRoot::new(Static::Full);
    let keys = KeyDirectory::new(Maker::Theirs, Curve::P521);
    let server = Server::start(Maker::Theirs, &keys);
    fs::create_dir(root.path().join("etc")).unwrap();
    fs::write(root.path().join("etc/hosts"), "127.0.0.1 keys.example\n").unwrap();
    let config = format!(r#"{{"url":"http://keys.example:{}"}}"#, server.port());
    let jwe = root.cotter().args(["encrypt", "tang", &config, "-y"]).input(PLAINTEXT).succeed().stdout;
    assert_eq!(root.cotter().arg("decrypt").input(jwe.clone()).succeed().stdout, PLAINTEXT);
    // The boot build has a resolver of its own.
    fs::copy(Static::Boot.file(), root.path().join("cotter")).unwrap();
    assert_eq!(root.cotter().arg("decrypt").input(jwe).succeed().stdout, PLAINTEXT);
}

/// The boot build opens what Clevis has bound, over the network and by a typed passphrase, of both versions.
#[test]
fn the_boot_build_opens_volumes_in_an_empty_root() {
    let root = EmptyRoot::new(Static::Boot);
    let keys = KeyDirectory::new(Maker::Theirs, Curve::P521);
    let server = Server::start(Maker::Theirs, &keys);
    let jwe = Maker::Theirs.encrypt("tang", &server.config(), PLAINTEXT);
    assert_eq!(root.cotter().arg("decrypt").input(jwe).succeed().stdout, PLAINTEXT);
    for disk in Version::BOTH.map(|version| Disk::of(Maker::Theirs, version)) {
        disk.bind(Maker::Theirs, "tang", &server.config());
        fs::copy(disk.path(), root.path().join("disk.img")).unwrap();
        let unlock = root.cotter().args(["luks", "unlock", "--print-key", "-d", "/disk.img"]);
        assert_eq!(unlock.succeed().stdout, disk.pass(Maker::Theirs, "1"));
    }
    let names: BTreeSet<_> = fs::read_dir(root.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, BTreeSet::from(["cotter".into(), "disk.img".into()]), "something was left in the root");
}

/// It lists what it has, and who asks for more is told where that is.
#[test]
fn the_boot_build_knows_what_it_is() {
    let root = EmptyRoot::new(Static::Boot);
    let commands = |words: &[&str]| -> BTreeSet<String> {
        let help = root.cotter().args(words).arg("--help").succeed().text();
        let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
        listed.filter_map(|line| Some(line.split_whitespace().next()?.to_owned())).collect()
    };
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(commands(&[]), set(&["decrypt", "luks", "tpm", "boot", "help"]));
    assert_eq!(commands(&["luks"]), set(&["pass", "unlock", "lock", "help"]));
    assert_eq!(commands(&["tpm"]), set(&["latch", "help"]));
    assert!(!commands(&["boot"]).contains("install"));
    assert!(root.cotter().args(["boot", "agent", "--help"]).succeed().text().contains("--questions"));
    for left_out in [&["serve", "--keys", "/k"][..], &["luks", "format", "-d", "/f"], &["tpm", "predict"], &["manual"]]
    {
        let ended = root.cotter().args(left_out).run();
        assert_eq!(ended.status.code(), Some(2), "{left_out:?}");
        assert!(ended.said().contains("This is the boot build of cotter"), "{left_out:?}: {}", ended.said());
    }
    assert!(!Program::cotter().arg("frobnicate").run().said().contains("boot build"));
}

/// One demo at a time, because each looks for what the others might leave.
static ONE_DEMO: Mutex<()> = Mutex::new(());

fn demo(scratch: &Path) -> Program {
    let places = ["HOME", "TMPDIR", "XDG_RUNTIME_DIR"];
    places.into_iter().fold(Program::cotter().arg("demo"), |program, name| program.env(name, scratch))
}

/// Names with our name in them in every directory that programs use for passing things.
fn traces_of_ours() -> BTreeSet<PathBuf> {
    let directories = ["/dev/shm", "/tmp", "/var/tmp", "/run", "/run/lock", "/run/cryptsetup"];
    let entries = directories.iter().flat_map(|directory| fs::read_dir(directory).into_iter().flatten().flatten());
    entries.map(|entry| entry.path()).filter(|path| path.to_string_lossy().to_lowercase().contains("cotter")).collect()
}

#[track_caller]
fn assert_nothing_left(scratch: &Path, before: &BTreeSet<PathBuf>) {
    assert_eq!(files_below(scratch), Vec::<PathBuf>::new());
    assert_eq!(fs::read_dir(scratch).unwrap().count(), 0, "an empty directory was left behind");
    assert_eq!(&traces_of_ours(), before);
}

#[test]
fn the_demo_works_and_leaves_nothing() {
    let _one = ONE_DEMO.lock();
    let scratch = tempfile::tempdir().unwrap();
    let before = traces_of_ours();
    let ended = demo(scratch.path()).succeed();
    assert!(ended.text().lines().count() > 5, "a reader learns nothing from: {}", ended.text());
    assert_nothing_left(scratch.path(), &before);
}

/// Ctrl-C at several moments: it ends soon, and it has cleaned up.
#[test]
fn an_interrupted_demo_leaves_nothing() {
    let _one = ONE_DEMO.lock();
    let mut at_work = 0;
    for wait_ms in [20, 100, 200, 400, 800] {
        let scratch = tempfile::tempdir().unwrap();
        let before = traces_of_ours();
        let running = demo(scratch.path()).start();
        std::thread::sleep(Duration::from_millis(wait_ms));
        at_work += usize::from(traces_of_ours() != before || !files_below(scratch.path()).is_empty());
        running.interrupt();
        let ended = running.wait();
        let limit = Duration::from_millis(wait_ms) + Duration::from_secs(10);
        assert!(ended.took < limit, "an interrupt after {wait_ms} ms was not noticed for {:?}", ended.took);
        assert_nothing_left(scratch.path(), &before);
    }
    assert!(at_work > 0, "no interrupt met a demo that had something to clean up");
}

/// No other program is started, and nothing but the loopback is spoken to.
#[test]
fn the_demo_needs_nobody() {
    let _one = ONE_DEMO.lock();
    let (scratch, trace_goes_to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let trace = Trace::of(demo(scratch.path()), trace_goes_to.path());
    assert!(trace.ended.status.success(), "{}", trace.ended.said());
    assert_eq!(trace.count("execve("), 1, "another program than {} was started", cotter().display());
    assert!(trace.count("connect(") > 0, "no connection was seen");
    assert_eq!(trace.connections_beyond_loopback(), Vec::<String>::new());
}
