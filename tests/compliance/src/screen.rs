//! A program on a terminal of its own, and hands on its keyboard.

use crate::program::{Ended, Program, Running};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::{read, write};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::os::fd::OwnedFd;

/// Longer than any answer takes; a test that waits for it has failed.
const ENOUGH: Timespec = Timespec { tv_sec: 60, tv_nsec: 0 };

/// A running program whose standard input is a terminal, which is also the one it asks its questions on.
pub struct Screen {
    keyboard: OwnedFd,
    running: Running,
    shown: Vec<u8>,
}

impl Screen {
    /// Starts `program` in a session of its own.
    pub fn start(program: Program) -> Screen {
        let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&keyboard).unwrap();
        unlockpt(&keyboard).unwrap();
        let name = ptsname(&keyboard, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let tty = openat(CWD, name.as_c_str(), flags, Mode::empty()).unwrap();
        let running = program.under("setsid", &["--ctty".as_ref(), "--wait".as_ref()]).start_on(tty);
        Screen { keyboard, running, shown: Vec::new() }
    }

    /// Waits until `text` is on the screen.
    #[track_caller]
    pub fn shows(&mut self, text: &str) {
        while !self.text().contains(text) {
            let ready = poll(&mut [PollFd::new(&self.keyboard, PollFlags::IN)], Some(&ENOUGH)).unwrap();
            assert_ne!(ready, 0, "{text:?} does not come, only {:?}", self.text());
            let mut buffer = [0; 256];
            // When the program has ended, the terminal has nobody on its other side.
            let count = read(&self.keyboard, &mut buffer).unwrap_or(0);
            assert_ne!(count, 0, "it ended before {text:?} came, with {:?}", self.text());
            self.shown.extend(&buffer[..count]);
        }
    }

    /// What is on the screen.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.shown).into_owned()
    }

    /// Waits for a question and answers it with a line.
    #[track_caller]
    pub fn answers(&mut self, question: &str, line: &str) {
        self.shows(question);
        let keys = format!("{line}\n");
        assert_eq!(write(&self.keyboard, keys.as_bytes()).unwrap(), keys.len());
    }

    /// Waits for its end.
    pub fn ended(self) -> Ended {
        self.running.wait()
    }
}
