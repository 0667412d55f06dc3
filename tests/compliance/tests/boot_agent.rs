//! `cotter boot agent` beside systemd's own question directory, with `systemd-ask-password` as the one who asks.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test stops where it stands")]

use compliance::front::{Authority, Front, LOOPBACK};
use compliance::program::{Ended, Running};
use compliance::server::free_port;
use compliance::{Curve, Disk, KeyDirectory, Maker, Program, Server, Version};
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const QUESTIONS: &str = "/run/systemd/ask-password";
/// The directory is the machine's, and an agent answers whoever asks in it.
static ALONE: Mutex<()> = Mutex::new(());
const SOON: Duration = Duration::from_secs(30);

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A test may not be the first one that asks on this machine.
fn ask(disk: &Disk, patience: &str) -> Running {
    fs::create_dir_all(QUESTIONS).unwrap();
    let id = format!("--id=cryptsetup:{}", disk.path().display());
    Program::new("systemd-ask-password")
        .args(["--no-tty", patience, &id, "Please enter passphrase for disk x:"])
        .start()
}

/// The file of the question for this disk, once it is there.
fn question(disk: &Disk) -> PathBuf {
    let id = format!("Id=cryptsetup:{}\n", disk.path().display());
    let start = Instant::now();
    loop {
        let files = fs::read_dir(QUESTIONS).unwrap().map(|entry| entry.unwrap().path());
        let mut asks = files.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("ask."));
        if let Some(path) = asks.find(|path| fs::read_to_string(path).is_ok_and(|text| text.contains(&id))) {
            return path;
        }
        assert!(start.elapsed() < SOON, "nobody asks");
        std::thread::yield_now();
    }
}

/// The agent, on a machine that was started with these words.
fn agent(disk: &Disk, command_line: &str) -> Program {
    let file = disk.beside("cmdline");
    fs::write(&file, command_line).unwrap();
    let run = disk.beside("run");
    let settings = disk.beside("boot.json");
    let program = Program::cotter().args(["boot", "agent", "--timeout", "30", "--command-line"]).arg(file);
    program.arg("--run").arg(run).arg("--settings").arg(settings)
}

/// The end of it, as a script of an initramfs asks for it.
fn end(disk: &Disk) -> Ended {
    let program = Program::cotter().args(["boot", "end", "--run"]).arg(disk.beside("run"));
    program.arg("--command-line").arg(disk.beside("cmdline")).run().succeeded()
}

fn answered(asker: Running) -> Vec<u8> {
    let mut answer = asker.wait().succeeded().stdout;
    assert_eq!(answer.pop(), Some(b'\n'));
    answer
}

fn said(agent: Running) -> String {
    agent.terminate();
    agent.wait().succeeded().said()
}

fn bound(version: Version, config: &str) -> Disk {
    let disk = Disk::of(Maker::Theirs, version);
    disk.bind(Maker::Theirs, "tang", config);
    disk
}

#[test]
fn volumes_are_answered_by_what_the_original_has_bound() {
    let _alone = alone();
    let keys = KeyDirectory::new(Maker::Ours, Curve::P521);
    let server = Server::start(Maker::Theirs, &keys);
    let disks = Version::BOTH.map(|version| bound(version, &server.config()));
    let askers = [ask(&disks[0], "--timeout=30"), ask(&disks[1], "--timeout=30")];
    disks.iter().for_each(|disk| drop(question(disk)));
    let agent = agent(&disks[0], "root=/dev/x quiet").start();
    for (asker, disk) in askers.into_iter().zip(&disks) {
        assert!(disk.opens_with(&answered(asker)));
    }
    let said = said(agent);
    for disk in &disks {
        let about = |text: &str| said.contains(&format!("{}: {text}", disk.path().display()));
        assert!(about("keyslot 1 opens it") && about("answered systemd (ask."), "{said}");
    }
}

#[test]
fn a_server_that_is_late_is_waited_for() {
    let _alone = alone();
    let keys = KeyDirectory::new(Maker::Ours, Curve::P521);
    let port = free_port();
    let disk = bound(Version::Luks2, &Server::start_on(Maker::Ours, &keys, port).config());
    let asker = ask(&disk, "--timeout=30");
    question(&disk);
    let agent = agent(&disk, "").start();
    // Tries fail meanwhile, or the server is there for the first: both are to end well.
    std::thread::sleep(Duration::from_secs(1));
    let _server = Server::start_on(Maker::Ours, &keys, port);
    assert!(disk.opens_with(&answered(asker)));
    let said = said(agent);
    assert!(said.contains("not yet: ") && said.contains("opens it"), "{said}");
}

#[test]
fn a_person_who_is_faster_ends_the_search() {
    let _alone = alone();
    let keys = KeyDirectory::new(Maker::Ours, Curve::P521);
    let disk = bound(Version::Luks2, &Server::start(Maker::Ours, &keys).config());
    let asker = ask(&disk, "--timeout=30");
    let text = fs::read_to_string(question(&disk)).unwrap();
    let socket = text.lines().find_map(|line| line.strip_prefix("Socket=")).unwrap();
    let agent = agent(&disk, "").start();
    std::thread::sleep(Duration::from_millis(500));
    UnixDatagram::unbound().unwrap().send_to(b"+typed", Path::new(socket)).unwrap();
    assert_eq!(answered(asker), b"typed");
    let start = Instant::now();
    // The question goes with its asker; the agent sees it a moment later.
    std::thread::sleep(Duration::from_millis(500));
    let said = said(agent);
    assert!(said.contains("nobody asks any more"), "{said}");
    assert!(start.elapsed() < SOON);
}

#[test]
fn what_no_binding_opens_is_left_to_a_person() {
    let _alone = alone();
    let disk = Disk::of(Maker::Theirs, Version::Luks2);
    let asker = ask(&disk, "--timeout=2");
    question(&disk);
    let ended = agent(&disk, "").arg("--while-asked").limit(SOON).run().succeeded();
    assert!(ended.said().contains("stays closed: no keyslot is bound"), "{}", ended.said());
    // Nobody has answered.
    asker.wait().failed_with(1);
}

/// `ca` in the settings stands for the machine's own authorities, and for a file that an image does not have.
#[test]
fn a_server_of_a_private_authority_is_known_by_the_settings() {
    let _alone = alone();
    let keys = KeyDirectory::new(Maker::Ours, Curve::P521);
    let server = Server::start(Maker::Ours, &keys);
    let authority = Authority::new();
    let front = Front::start(&server, &authority.signs("keys", LOOPBACK, [2020, 2120]), None);
    let disk = Disk::of(Maker::Theirs, Version::Luks2);
    let copy = disk.beside("ca-of-the-machine.pem");
    fs::copy(authority.certificate(), &copy).unwrap();
    let config = format!(r#"{{"url":"{}","cacert":"{}"}}"#, front.url(), copy.display());
    disk.bind(Maker::Ours, "tang", &config);
    fs::remove_file(copy).unwrap();
    let agent = |authority: &Authority| {
        let settings = disk.beside("boot.json");
        fs::write(&settings, format!(r#"{{"ca":"{}"}}"#, authority.certificate().display())).unwrap();
        agent(&disk, "").arg("--settings").arg(settings)
    };
    let asker = ask(&disk, "--timeout=30");
    question(&disk);
    let running = agent(&authority).start();
    assert!(disk.opens_with(&answered(asker)));
    drop(said(running));
    let asker = ask(&disk, "--timeout=2");
    question(&disk);
    let ended = agent(&Authority::new()).arg("--while-asked").limit(SOON).run().succeeded();
    assert!(ended.said().contains("invalid peer certificate"), "{}", ended.said());
    asker.wait().failed_with(1);
}

#[test]
fn where_somebody_may_reach_a_shell_nothing_is_given() {
    let _alone = alone();
    let disk = Disk::of(Maker::Theirs, Version::Luks2);
    disk.bind(Maker::Ours, "null", "{}");
    let refused = |line: &str| -> Ended {
        let asker = ask(&disk, "--timeout=1");
        question(&disk);
        let ended = agent(&disk, line).limit(SOON).run().succeeded();
        asker.wait().failed_with(1);
        ended
    };
    for line in ["init=/bin/sh", "quiet rescue", "rd.break", "systemd.unit=emergency.target"] {
        let said = refused(line).said();
        assert!(said.contains("nothing is opened without a person") && !said.contains("answered"), "{line}: {said}");
    }
}

#[test]
fn in_the_background_it_serves_until_its_end_is_asked_for() {
    let _alone = alone();
    let disk = Disk::of(Maker::Theirs, Version::Luks2);
    disk.bind(Maker::Ours, "null", "{}");
    let pid = disk.beside("run").join("agent.pid");
    let start = Instant::now();
    // What it says goes where the words of the program go that has started it, and so that is waited for at the end.
    let started = agent(&disk, "").arg("--daemon").start();
    while !fs::read_to_string(&pid).is_ok_and(|text| text.ends_with('\n')) {
        assert!(start.elapsed() < SOON, "it does not serve");
        std::thread::yield_now();
    }
    let process = PathBuf::from(format!("/proc/{}", fs::read_to_string(&pid).unwrap().trim()));
    assert!(process.exists());
    assert!(agent(&disk, "").run().succeeded().said().contains("another agent serves already"));
    let asker = ask(&disk, "--timeout=30");
    assert!(disk.opens_with(&answered(asker)));
    assert_eq!(end(&disk).said(), "");
    assert!(!pid.exists());
    while process.exists() {
        assert!(start.elapsed() < SOON, "it is still there");
        std::thread::yield_now();
    }
    assert_eq!(end(&disk).said(), "", "there is none any more");
    assert!(started.wait().succeeded().said().contains("answered systemd"));
}

#[test]
fn settings_that_are_not_understood_leave_all_to_a_person() {
    let _alone = alone();
    let disk = Disk::of(Maker::Theirs, Version::Luks2);
    disk.bind(Maker::Ours, "null", "{}");
    fs::write(disk.beside("boot.json"), r#"{"netwrok":"never"}"#).unwrap();
    let asker = ask(&disk, "--timeout=1");
    question(&disk);
    let said = agent(&disk, "").limit(SOON).run().succeeded().said();
    assert!(said.contains("nothing is opened without a person") && said.contains("\"netwrok\" is not known"), "{said}");
    asker.wait().failed_with(1);
}
