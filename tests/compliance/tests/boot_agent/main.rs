//! `cotter boot agent` beside systemd's own question directory, with `systemd-ask-password` as the one who asks.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test stops where it stands")]

mod answers;
mod askpass;
mod background;
mod bad_input;
mod key_socket;
mod several;

use compliance::program::{Ended, Running};
use compliance::{Disk, Maker, Program, Version};
use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub(crate) const QUESTIONS: &str = "/run/systemd/ask-password";
/// The directory is the machine's, and an agent answers whoever asks in it.
static ALONE: Mutex<()> = Mutex::new(());
pub(crate) const SOON: Duration = Duration::from_secs(30);

pub(crate) fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A test may not be the first one that asks on this machine.
pub(crate) fn ask(disk: &Disk, patience: &str) -> Running {
    fs::create_dir_all(QUESTIONS).unwrap();
    let id = format!("--id=cryptsetup:{}", disk.path().display());
    Program::new("systemd-ask-password")
        .args(["--no-tty", patience, &id, "Please enter passphrase for disk x:"])
        .start()
}

/// The file of the question for this disk, once it is there.
pub(crate) fn question(disk: &Disk) -> PathBuf {
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
pub(crate) fn agent(disk: &Disk, command_line: &str) -> Program {
    agent_for(disk, command_line, "30")
}

/// The same for so many seconds.
pub(crate) fn agent_for(disk: &Disk, command_line: &str, seconds: &str) -> Program {
    let file = disk.beside("cmdline");
    fs::write(&file, command_line).unwrap();
    let run = disk.beside("run");
    let settings = disk.beside("boot.json");
    // Whatever this machine takes itself for: its network is its own.
    if !settings.exists() {
        fs::write(&settings, r#"{"network":"never"}"#).unwrap();
    }
    let program = Program::cotter().args(["boot", "agent", "--timeout", seconds, "--command-line"]).arg(file);
    program.arg("--run").arg(run).arg("--settings").arg(settings)
}

/// The end of it, as a script of an initramfs asks for it.
pub(crate) fn end(disk: &Disk) -> Ended {
    let program = Program::cotter().args(["boot", "end", "--run"]).arg(disk.beside("run"));
    program.arg("--command-line").arg(disk.beside("cmdline")).run().succeeded()
}

pub(crate) fn answered(asker: Running) -> Vec<u8> {
    let mut answer = asker.wait().succeeded().stdout;
    assert_eq!(answer.pop(), Some(b'\n'));
    answer
}

pub(crate) fn said(agent: Running) -> String {
    agent.terminate();
    agent.wait().succeeded().said()
}

pub(crate) fn bound(version: Version, config: &str) -> Disk {
    let disk = Disk::of(Maker::Theirs, version);
    disk.bind(Maker::Theirs, "tang", config);
    disk
}
