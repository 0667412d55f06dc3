//! Programs: found or asked for, fed, watched against a clock, ended with everything they started.

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::ffi::OsStr;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// More than any command here needs, on a busy machine too; a test of a time limit sets its own.
const LIMIT: Duration = Duration::from_secs(60);
/// How often a running program is looked at.
const GLANCE: Duration = Duration::from_millis(2);
/// Where Debian keeps programs that an unprivileged path may leave out.
const EXTRA_PATH: &[&str] = &["/usr/sbin", "/sbin", "/usr/libexec"];

/// The file of an original, or the end of the test with the line that installs it.
pub fn need(program: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut directories = std::env::split_paths(&path).chain(EXTRA_PATH.iter().map(PathBuf::from));
    let found = directories.find_map(|directory| Some(directory.join(program)).filter(|file| file.is_file()));
    found.unwrap_or_else(|| panic!("`{program}` is not installed; this provides it: cargo xtask setup"))
}

/// The separate replacement of the original's pin `tpm2`, which setup builds below the target directory, whichever that is.
pub fn replacement() -> PathBuf {
    let test = std::env::current_exe().expect("no path of this program");
    let found =
        test.ancestors().map(|above| above.join("clevis-pin-tpm2/bin/clevis-pin-tpm2")).find(|file| file.is_file());
    found.unwrap_or_else(|| panic!("`clevis-pin-tpm2` was not built; this builds it: cargo xtask setup"))
}

/// Our program, built from this checkout once per test program, by the Cargo that runs the test.
///
/// `COTTER` in the environment names another file to test.
pub fn cotter() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| std::env::var_os("COTTER").map_or_else(build_cotter, PathBuf::from))
}

/// `--workspace` and a test beside the program, so that dependencies have the features they were built with for the tests
/// and are not built again: without the test, Cargo leaves those of dev-dependencies out.
fn build_cotter() -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    command.args(["build", "--workspace", "--bin=cotter", "--test=alone", "--message-format=json-render-diagnostics"]);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    let output = command.stderr(Stdio::inherit()).output().expect("cannot start cargo");
    assert!(output.status.success(), "`cargo build --bin cotter` failed; its reasons stand above");
    let messages = output.stdout.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
    let program = |message: serde_json::Value| {
        let is_ours = message.get("target")?.get("name")? == "cotter";
        Some(PathBuf::from(message.get("executable")?.as_str()?)).filter(|_| is_ours)
    };
    messages.into_iter().find_map(program).expect("cargo named no program file")
}

/// A program that is about to be started.
pub struct Program {
    command: Command,
    input: Vec<u8>,
    limit: Duration,
}

impl Program {
    /// An original, by name.
    pub fn new(name: &str) -> Program {
        Program::at(&need(name))
    }

    /// Our own program.
    pub fn cotter() -> Program {
        Program::at(cotter())
    }

    /// The program in this file.
    pub fn at(file: &Path) -> Program {
        let mut command = Command::new(file);
        // `cryptsetup` is in /sbin, and clevis calls it by name.
        let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
        command.env("PATH", path);
        // Its own group, so that what it starts can be ended with it.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Program { command, input: Vec::new(), limit: LIMIT }
    }

    /// Adds one word.
    pub fn arg(mut self, word: impl AsRef<OsStr>) -> Program {
        self.command.arg(word);
        self
    }

    /// Adds several words.
    pub fn args<W: AsRef<OsStr>>(mut self, words: impl IntoIterator<Item = W>) -> Program {
        self.command.args(words);
        self
    }

    /// Sets one variable of its environment.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Program {
        self.command.env(name, value);
        self
    }

    /// Starts it there.
    pub fn directory(mut self, directory: &Path) -> Program {
        self.command.current_dir(directory);
        self
    }

    /// What it reads on standard input; nothing unless told.
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Program {
        self.input = bytes.into();
        self
    }

    /// Ends it, and the test, after this long.
    pub fn limit(mut self, limit: Duration) -> Program {
        self.limit = limit;
        self
    }

    /// The same command under another program, such as `strace`, whose words come first.
    pub fn under(self, outer: &str, words: &[&OsStr]) -> Program {
        let mut program = Program::new(outer).args(words).arg(self.command.get_program()).args(self.command.get_args());
        for (name, value) in self.command.get_envs() {
            program.command.env(name, value.unwrap_or_default());
        }
        program.input = self.input;
        program.limit = self.limit;
        program
    }

    /// Starts it and does not wait.
    pub fn start(mut self) -> Running {
        let words: Vec<_> = std::iter::once(self.command.get_program()).chain(self.command.get_args()).collect();
        let words = words.join(OsStr::new(" ")).to_string_lossy().into_owned();
        let mut child = self.command.spawn().unwrap_or_else(|why| panic!("cannot start `{words}`: {why}"));
        if let Some(mut stdin) = child.stdin.take() {
            // In a thread, because a program may answer before it has read everything; it may also not read at all.
            std::thread::spawn(move || drop(stdin.write_all(&self.input)));
        }
        let stdout = collect(child.stdout.take().expect("stdout is a pipe"));
        let stderr = collect(child.stderr.take().expect("stderr is a pipe"));
        let child = Group { child, ended: false };
        Running { child, words, stdout, stderr, start: Instant::now(), limit: self.limit }
    }

    /// Starts it with `stdin` as its standard input.
    pub fn start_on(mut self, stdin: OwnedFd) -> Running {
        self.command.stdin(stdin);
        self.start()
    }

    /// Runs it to its end, whatever that is.
    pub fn run(self) -> Ended {
        self.start().wait()
    }

    /// Runs it, and ends the test unless it exits with 0.
    pub fn succeed(self) -> Ended {
        self.run().succeeded()
    }
}

/// Reads to the end in a thread: a full pipe would stop the program.
fn collect(mut stream: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        bytes
    })
}

/// A child that leads a group of its own; it does not outlive a test that stops in the middle.
struct Group {
    child: Child,
    ended: bool,
}

impl Group {
    /// Its status, once it has one.
    fn status(&mut self) -> Option<ExitStatus> {
        let status = self.child.try_wait().expect("cannot ask for a child");
        self.ended = status.is_some();
        status
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // The number of a child that was waited for may be another's by now.
        if !self.ended {
            end_group(&mut self.child);
        }
    }
}

/// A program that runs.
pub struct Running {
    child: Group,
    words: String,
    stdout: JoinHandle<Vec<u8>>,
    stderr: JoinHandle<Vec<u8>>,
    start: Instant,
    limit: Duration,
}

impl Running {
    /// Its process number.
    pub fn pid(&self) -> u32 {
        self.child.child.id()
    }

    /// As Ctrl-C on a terminal does: to the whole group.
    pub fn interrupt(&self) {
        let _ = kill_process_group(pid(&self.child.child), Signal::INT);
    }

    /// Asks it alone to end.
    pub fn terminate(&self) {
        let _ = kill_process(pid(&self.child.child), Signal::TERM);
    }

    /// Whether it has not ended yet.
    pub fn is_alive(&mut self) -> bool {
        self.child.status().is_none()
    }

    /// Waits for its end; past the limit it is ended, and the test with it.
    pub fn wait(mut self) -> Ended {
        let status = loop {
            if let Some(status) = self.child.status() {
                break status;
            }
            if self.start.elapsed() > self.limit {
                drop(self.child);
                let (words, limit) = (&self.words, self.limit);
                panic!("`{words}` has not ended after {limit:?}; it said: {}", text(&self.stderr.join().unwrap()));
            }
            std::thread::sleep(GLANCE);
        };
        let took = self.start.elapsed();
        let (stdout, stderr) = (self.stdout.join().unwrap(), self.stderr.join().unwrap());
        Ended { words: self.words, status, stdout, stderr, took }
    }
}

/// Ends a child and all that it started, and takes its status.
pub fn end_group(child: &mut Child) {
    let _ = kill_process_group(pid(child), Signal::KILL);
    let _ = child.wait();
}

/// The number of a child of ours that has not been waited for.
pub fn pid(child: &Child) -> Pid {
    Pid::from_child(child)
}

/// A program that has ended, and all it wrote.
#[derive(Debug)]
pub struct Ended {
    words: String,
    /// Its exit code or signal.
    pub status: ExitStatus,
    /// Every byte of its standard output.
    pub stdout: Vec<u8>,
    /// Every byte of its standard error.
    pub stderr: Vec<u8>,
    /// From start to end.
    pub took: Duration,
}

impl Ended {
    /// Ends the test unless the program exited with 0.
    #[track_caller]
    pub fn succeeded(self) -> Ended {
        assert!(self.status.success(), "`{}`: {}; it said: {}", self.words, self.status, text(&self.stderr));
        self
    }

    /// Ends the test unless the program exited with `code` and said why.
    #[track_caller]
    pub fn failed_with(self, code: i32) -> Ended {
        let said = text(&self.stderr);
        assert_eq!(self.status.code(), Some(code), "`{}`: {}; it said: {said}", self.words, self.status);
        assert!(!said.trim().is_empty(), "`{}` failed without a word", self.words);
        assert!(!said.contains("panicked at"), "`{}` panicked: {said}", self.words);
        self
    }

    /// Standard output as text, without white space around it.
    pub fn text(&self) -> String {
        text(&self.stdout).trim().to_owned()
    }

    /// Standard error as text.
    pub fn said(&self) -> String {
        text(&self.stderr)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_reads_writes_and_ends() {
        let ended = Program::new("sh").args(["-c", "cat; echo late >&2; exit 3"]).input("in").run();
        assert_eq!((ended.text().as_str(), ended.said().as_str()), ("in", "late\n"));
        ended.failed_with(3);
    }

    #[test]
    #[should_panic(expected = "has not ended after")]
    fn a_program_past_its_limit_ends_the_test() {
        Program::new("sleep").arg("30").limit(Duration::from_millis(50)).run();
    }

    #[test]
    #[should_panic(expected = "cargo xtask setup")]
    fn a_missing_program_names_its_remedy() {
        need("no-such-program-anywhere");
    }

    #[test]
    fn a_program_does_not_outlive_its_test() {
        let running = Program::new("sleep").arg("30").start();
        let process = PathBuf::from(format!("/proc/{}", running.pid()));
        assert!(process.exists());
        drop(running);
        assert!(!process.exists());
    }

    #[test]
    fn an_interrupt_reaches_what_the_program_started() {
        let running = Program::new("sh").args(["-c", "sleep 30; true"]).start();
        // Between its making and its own program a child has the shell's handlers, which drop the signal.
        let children = format!("/proc/{0}/task/{0}/children", running.pid());
        let is_sleep =
            |child: &str| std::fs::read_to_string(format!("/proc/{child}/comm")).is_ok_and(|name| name == "sleep\n");
        let start = Instant::now();
        while !std::fs::read_to_string(&children).unwrap().split_whitespace().any(is_sleep) {
            assert!(start.elapsed() < LIMIT, "it starts nothing");
            std::thread::sleep(GLANCE);
        }
        running.interrupt();
        assert!(running.wait().took < Duration::from_secs(10));
    }
}
