use crate::child::{again, part, said, say};
use linux::on_stop_signal;
use rustix::process::{Pid, Signal, getpid, kill_process};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdout, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// A later signal counts after about this long.
const GRACE: Duration = Duration::from_secs(1);

/// In a child: waits for the first signal, says its name, and hangs.
fn wait_for_signals() {
    let (sender, receiver) = mpsc::channel();
    on_stop_signal(move |signal| sender.send(signal).unwrap()).unwrap();
    assert!(on_stop_signal(|_| ()).is_err(), "a second handler");
    say("ready");
    say(receiver.recv().unwrap());
    hang();
}

fn hang() -> ! {
    loop {
        std::thread::park();
    }
}

struct Waiting {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Waiting {
    fn start(before: &str) -> Waiting {
        let mut child =
            again("wait", before).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let mut waiting = Waiting { child, lines };
        assert_eq!(waiting.next(), "ready");
        waiting
    }

    /// The next line that the child says.
    fn next(&mut self) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            assert_ne!(self.lines.read_line(&mut line).unwrap(), 0, "the child has ended");
            if let [said] = said(line.as_bytes()).as_slice() {
                return said.clone();
            }
        }
    }

    fn send(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Sends `signal` again and again until the child has ended, however long that takes.
    fn insist(&mut self, signal: Signal) -> ExitStatus {
        loop {
            self.send(signal);
            std::thread::sleep(Duration::from_millis(20));
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
        }
    }

    fn end(mut self) -> ExitStatus {
        self.lines.read_to_end(&mut Vec::new()).unwrap();
        self.child.wait().unwrap()
    }
}

#[test]
fn a_later_signal_ends_what_hangs() {
    if part().is_some() {
        return wait_for_signals();
    }
    for (signal, name) in [(Signal::TERM, "SIGTERM"), (Signal::INT, "SIGINT"), (Signal::HUP, "SIGHUP")] {
        let mut waiting = Waiting::start("");
        let begun = Instant::now();
        waiting.send(signal);
        assert_eq!(waiting.next(), name);
        assert_eq!(waiting.insist(Signal::TERM).signal(), Some(Signal::TERM.as_raw()), "after {name}");
        assert!(begun.elapsed() >= GRACE, "after {:?}", begun.elapsed());
    }
}

#[test]
fn a_later_signal_ends_a_program_whose_own_stop_hangs() {
    if part().is_some() {
        on_stop_signal(|_| hang()).unwrap();
        say("ready");
        hang();
    }
    let mut waiting = Waiting::start("");
    assert_eq!(waiting.insist(Signal::TERM).signal(), Some(Signal::TERM.as_raw()));
}

/// As timeout(1) sends it, and systemd with `SendSIGHUP=yes`.
#[test]
fn a_request_that_comes_twice_leaves_time_to_clean_up() {
    if part().is_some() {
        let (sender, receiver) = mpsc::channel();
        on_stop_signal(move |signal| sender.send(signal).unwrap()).unwrap();
        say("ready");
        say(receiver.recv().unwrap());
        // The end of input says that all signals were sent.
        std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
        return say("clean");
    }
    let mut waiting = Waiting::start("");
    waiting.send(Signal::TERM);
    waiting.send(Signal::TERM);
    assert_eq!(waiting.next(), "SIGTERM");
    waiting.send(Signal::HUP);
    waiting.send(Signal::TERM);
    drop(waiting.child.stdin.take());
    assert_eq!(waiting.next(), "clean");
    assert!(waiting.end().success());
}

#[test]
fn an_ignored_signal_stays_ignored() {
    if part().is_some() {
        return wait_for_signals();
    }
    let mut waiting = Waiting::start("trap '' HUP");
    waiting.send(Signal::HUP);
    waiting.send(Signal::TERM);
    assert_eq!(waiting.next(), "SIGTERM");
    // It is not made deadly either when the others become so: INT is what ends it.
    let begun = Instant::now();
    while begun.elapsed() < GRACE * 2 {
        waiting.send(Signal::HUP);
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(waiting.insist(Signal::INT).signal(), Some(Signal::INT.as_raw()));
}

#[test]
fn exit_codes_are_the_shells() {
    if part().is_some() {
        on_stop_signal(|signal| std::process::exit(signal.exit_code().into())).unwrap();
        kill_process(getpid(), Signal::INT).unwrap();
        hang();
    }
    assert_eq!(again("exit", "").output().unwrap().status.code(), Some(130));
}
