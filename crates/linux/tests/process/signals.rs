use crate::child::{again, part, said, say};
use linux::on_stop_signal;
use rustix::process::{Pid, Signal, getpid, kill_process};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdout, ExitStatus, Stdio};
use std::sync::mpsc;

/// In a child: waits for the first signal, says its name, and waits for the second for ever.
fn wait_for_signals() {
    let (sender, receiver) = mpsc::channel();
    on_stop_signal(move |signal| sender.send(signal).unwrap()).unwrap();
    assert!(on_stop_signal(|_| ()).is_err(), "a second handler");
    say("ready");
    say(receiver.recv().unwrap());
    let (_kept, never) = mpsc::channel::<()>();
    let _ = never.recv();
}

struct Waiting {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Waiting {
    fn start(before: &str) -> Waiting {
        let mut child = again("wait", before).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
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

    fn end(mut self) -> ExitStatus {
        self.lines.read_to_end(&mut Vec::new()).unwrap();
        self.child.wait().unwrap()
    }
}

#[test]
fn the_first_signal_is_told_and_the_second_ends() {
    if part().is_some() {
        return wait_for_signals();
    }
    for (signal, name) in [(Signal::TERM, "SIGTERM"), (Signal::INT, "SIGINT"), (Signal::HUP, "SIGHUP")] {
        let mut waiting = Waiting::start("");
        waiting.send(signal);
        assert_eq!(waiting.next(), name);
        waiting.send(Signal::TERM);
        assert_eq!(waiting.end().signal(), Some(Signal::TERM.as_raw()), "after {name}");
    }
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
    waiting.send(Signal::KILL);
    waiting.end();
}

#[test]
fn exit_codes_are_the_shells() {
    if part().is_some() {
        on_stop_signal(|signal| std::process::exit(signal.exit_code().into())).unwrap();
        kill_process(getpid(), Signal::INT).unwrap();
        let (_kept, never) = mpsc::channel::<()>();
        let _ = never.recv();
    }
    assert_eq!(again("exit", "").output().unwrap().status.code(), Some(130));
}
