//! Debian's own `askpass` at its pipe and on a terminal, from the root that `cargo xtask setup` makes, in a directory of its own.

use crate::{agent, alone, bound, said};
use compliance::{Curve, Disk, KeyDirectory, Maker, Program, Server, Version};
use rustix::fs::{CWD, Mode, mkfifoat};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::fs::{self, File};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

const ASKPASS: &str = "lib/cryptsetup/askpass";

/// A root with nothing but the program, its pipe, and what it is linked with.
fn jail(disk: &Disk) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let place = "guest-roots/initramfs-tools/tree/usr/lib/cryptsetup/askpass";
    let found = test.ancestors().map(|above| above.join(place)).find(|file| file.is_file());
    let found = found.unwrap_or_else(|| panic!("there is no {place}; this makes it: cargo xtask setup"));
    let root = disk.beside("jail");
    let copy = |from: &Path, to: &str| {
        fs::create_dir_all(root.join(to).parent().unwrap()).unwrap();
        fs::copy(from, root.join(to)).unwrap();
    };
    copy(&found, ASKPASS);
    for library in ["lib64/ld-linux-x86-64.so.2", "lib/x86_64-linux-gnu/libc.so.6"] {
        copy(&Path::new("/").join(library), library);
    }
    mkfifoat(CWD, root.join("lib/cryptsetup/passfifo"), Mode::RUSR | Mode::WUSR).unwrap();
    root
}

/// A terminal: its keyboard, and the end that a program has.
fn terminal() -> (File, OwnedFd) {
    let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&keyboard).unwrap();
    unlockpt(&keyboard).unwrap();
    let name = ptsname(&keyboard, Vec::new()).unwrap();
    let screen = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    (keyboard.into(), screen.into())
}

fn askpass(root: &Path, disk: &Disk) -> Program {
    let program = Program::new("chroot").arg(root).args([&format!("/{ASKPASS}"), "Please unlock disk root: "]);
    program.env("CRYPTTAB_NAME", "root").env("CRYPTTAB_SOURCE", disk.path()).env("CRYPTTAB_TRIED", "0")
}

#[test]
fn askpass_is_answered_at_its_pipe_unless_somebody_types() {
    let _alone = alone();
    let keys = KeyDirectory::new(Maker::Ours, Curve::P521);
    let server = Server::start(Maker::Theirs, &keys);
    let disk = bound(Version::Luks2, &server.config());
    let root = jail(&disk);
    let agent = |disk: &Disk| agent(disk, "").arg("--pipe").arg(root.join("lib/cryptsetup/passfifo"));
    let running = agent(&disk).start();
    let (_keyboard, screen) = terminal();
    let answer = askpass(&root, &disk).start_on(screen).wait().succeeded().stdout;
    assert!(disk.opens_with(&answer), "{}", said(running));
    std::thread::sleep(Duration::from_millis(500));
    let words = said(running);
    assert!(words.contains("answered askpass (") && words.contains("opened: "), "{words}");
    // A person is faster than a server that is not there.
    drop(server);
    let running = agent(&disk).start();
    let (mut keyboard, screen) = terminal();
    let asker = askpass(&root, &disk).start_on(screen);
    std::thread::sleep(Duration::from_secs(1));
    keyboard.write_all(b"typed\n").unwrap();
    assert_eq!(asker.wait().succeeded().stdout, b"typed");
    std::thread::sleep(Duration::from_millis(500));
    let words = said(running);
    assert!(words.contains("not yet: ") && words.contains("nobody asks any more"), "{words}");
}
