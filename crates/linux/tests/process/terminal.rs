use crate::child::{again, part, said, say};
use clevis::{Cancel, Person, PersonError};
use linux::{Terminal, on_stop_signal};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::{ioctl_fionread, read, write};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::stdio::stdin;
use rustix::termios::{LocalModes, tcgetattr};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Stdio};

/// Longer than any answer takes; a test that waits for it has failed.
const ENOUGH: Timespec = Timespec { tv_sec: 60, tv_nsec: 0 };

fn echoes(tty: impl AsFd) -> bool {
    tcgetattr(tty).unwrap().local_modes.contains(LocalModes::ECHO)
}

/// A child on a terminal of its own, and our hands on the keyboard.
struct Screen {
    keyboard: OwnedFd,
    child: Child,
    shown: Vec<u8>,
}

impl Screen {
    fn start(part: &str) -> Screen {
        let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&keyboard).unwrap();
        unlockpt(&keyboard).unwrap();
        let name = ptsname(&keyboard, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let tty = openat(CWD, name.as_c_str(), flags, Mode::empty()).unwrap();
        // A session of its own, whose terminal is standard input.
        let mut command = again(part, "exec setsid --ctty \"$0\" --exact \"$1\" --nocapture --test-threads=1");
        let child = command.stdin(tty).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        Screen { keyboard, child, shown: Vec::new() }
    }

    /// Waits until `text` is on the screen.
    fn shows(&mut self, text: &str) {
        while !self.text().contains(text) {
            let ready = poll(&mut [PollFd::new(&self.keyboard, PollFlags::IN)], Some(&ENOUGH)).unwrap();
            assert_ne!(ready, 0, "{text:?} does not come, only {:?}", self.text());
            let mut buffer = [0; 256];
            let count = read(&self.keyboard, &mut buffer).unwrap();
            self.shown.extend(&buffer[..count]);
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.shown).into_owned()
    }

    fn types(&self, keys: &[u8]) {
        assert_eq!(write(&self.keyboard, keys).unwrap(), keys.len());
    }

    /// What the child said, once it has ended.
    fn said(self) -> Vec<String> {
        said(&self.child.wait_with_output().unwrap().stdout)
    }
}

/// In a child: what is raised by SIGTERM.
fn until_terminated() -> Cancel {
    let cancel = Cancel::new();
    let raised = cancel.clone();
    on_stop_signal(move |_| raised.cancel()).unwrap();
    cancel
}

/// In a child: how a question ended, and in what state the terminal is.
fn tell<T>(result: Result<T, PersonError>) {
    match result {
        Err(PersonError::Terminal { source }) => say(format_args!("{:?}: {source}", source.kind())),
        Err(PersonError::NoTerminal) => say("no terminal"),
        Ok(_) => say("answered"),
    }
    say(format_args!("echo {}, {} bytes left", echoes(stdin()), ioctl_fionread(stdin()).unwrap()));
}

#[test]
fn a_passphrase_is_hidden_before_it_is_asked_for() {
    if part().is_some() {
        let typed = Terminal::default().passphrase("Passphrase: ").unwrap();
        say(String::from_utf8_lossy(typed.expose()));
        return say(echoes(stdin()));
    }
    let mut screen = Screen::start("passphrase");
    screen.shows("Passphrase: ");
    assert!(!echoes(&screen.keyboard), "at the moment the prompt is seen");
    screen.types(b"planted\n");
    screen.shows("Passphrase: \r\n");
    assert!(!screen.text().contains("planted"));
    assert_eq!(screen.said(), ["planted", "true"]);
}

#[test]
fn a_cancel_ends_the_wait_and_puts_the_terminal_back() {
    if let Some(part) = part() {
        let cancel = until_terminated();
        let terminal = Terminal::until(cancel.clone());
        return match part.as_str() {
            "passphrase" => tell(terminal.passphrase("Which? ")),
            "line" => tell(terminal.line("Which? ")),
            // Another attempt was faster; the terminal itself waits on.
            "pin" => tell(Terminal::default().pin("Which? ", &cancel)),
            _ => tell(terminal.confirm("Which?")),
        };
    }
    for part in ["passphrase", "line", "confirm", "pin"] {
        let mut screen = Screen::start(part);
        screen.shows("Which? ");
        if matches!(part, "passphrase" | "pin") {
            screen.types(b"half a passphrase");
        }
        kill_process(Pid::from_child(&screen.child), Signal::TERM).unwrap();
        assert_eq!(screen.said(), ["Interrupted: given up", "echo true, 0 bytes left"], "{part}");
    }
}

#[test]
fn an_unclear_answer_is_asked_for_again() {
    if part().is_some() {
        return say(Terminal::default().confirm("Go on?").unwrap());
    }
    const END_OF_INPUT: &[u8] = b"\x04";
    for (last, expected) in [(&b"YES\n"[..], "true"), (b"no\n", "false"), (b"\n", "false"), (END_OF_INPUT, "false")] {
        let mut screen = Screen::start("confirm");
        screen.shows("Go on? [y/N] ");
        screen.types(b"perhaps\n");
        screen.shows("answer y or n: ");
        screen.types(last);
        assert_eq!(screen.said(), [expected]);
    }
}

#[test]
fn without_a_terminal_nobody_is_asked() {
    if part().is_some() {
        return say(matches!(Terminal::default().passphrase("Which? "), Err(PersonError::NoTerminal)));
    }
    let alone = "exec setsid \"$0\" --exact \"$1\" --nocapture --test-threads=1";
    assert_eq!(said(&again("none", alone).output().unwrap().stdout), ["true"]);
}
