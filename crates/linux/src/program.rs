//! Programs of the machine that are run for a while: within a time, with bounded output, ended together with all that they have started.

use clevis::Cancel;
use rustix::process::{Pid, Signal, kill_process_group};
use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How soon an end is noticed.
const GLANCE: Duration = Duration::from_millis(20);
/// How much of what it says in the end is kept.
const LAST_WORDS: usize = 2048;
/// How many lines of it.
const MOST_LINES: usize = 3;
/// Where programs are.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What a program reads.
pub enum Input<'a> {
    /// Nothing.
    Nothing,
    /// These bytes.
    Bytes(&'a [u8]),
}

/// Where its output goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// To who called, up to so many bytes; a program that has more is ended.
    Kept(usize),
    /// To standard error, with what it says there itself: for people to follow.
    Shown,
}

/// How a program is run.
pub struct Run<'a> {
    /// The program, by its path or by a name that is looked for in the usual directories.
    pub program: &'a str,
    /// Its arguments. None of them is a secret.
    pub arguments: &'a [&'a str],
    /// What it reads.
    pub input: Input<'a>,
    /// Where its output goes.
    pub output: Output,
    /// How long it may take.
    pub limit: Duration,
    /// What ends it sooner.
    pub cancel: &'a Cancel,
    /// What it finds in its environment beside `PATH`.
    pub environment: &'a [(&'a str, &'a OsStr)],
}

/// Why a program has not done its work.
#[derive(Debug)]
pub enum ProgramError {
    /// It could not be started.
    NotStarted {
        /// Its name.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// It failed.
    Failed {
        /// Its name.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// The last that it said.
        said: String,
    },
    /// It took longer than it may.
    TooSlow {
        /// Its name.
        program: String,
        /// How long it had.
        limit: Duration,
    },
    /// It has more output than it may.
    TooMuch {
        /// Its name.
        program: String,
        /// The most.
        bytes: usize,
    },
    /// Nobody wants it any more.
    Cancelled,
}

/// What a program has left.
#[derive(Debug)]
pub struct Ran {
    /// How it ended.
    pub status: ExitStatus,
    /// Its output, where that is kept.
    pub output: Vec<u8>,
    /// The last that it said on standard error, where its output is kept.
    pub said: String,
}

impl Run<'_> {
    /// Runs it to its end, which has to be a good one.
    ///
    /// # Errors
    /// [`ProgramError`].
    pub fn succeed(&self) -> Result<Vec<u8>, ProgramError> {
        let Ran { status, output, said } = self.end()?;
        let program = self.program.to_owned();
        if status.success() { Ok(output) } else { Err(ProgramError::Failed { program, status, said }) }
    }

    /// Runs it to its end, whatever that is.
    ///
    /// # Errors
    /// [`ProgramError`], but none for how it ended.
    pub fn end(&self) -> Result<Ran, ProgramError> {
        let not_started = |source| ProgramError::NotStarted { program: self.program.to_owned(), source };
        let mut command = Command::new(self.program);
        command.args(self.arguments).env_clear().env("PATH", PATH).process_group(0);
        command.envs(self.environment.iter().copied());
        command.stdin(if matches!(self.input, Input::Bytes(_)) { Stdio::piped() } else { Stdio::null() });
        match self.output {
            Output::Kept(_) => command.stdout(Stdio::piped()).stderr(Stdio::piped()),
            Output::Shown => {
                let talk = rustix::io::dup(rustix::stdio::stderr()).map_err(|error| not_started(error.into()))?;
                command.stdout(File::from(talk)).stderr(Stdio::inherit())
            }
        };
        let mut child = command.spawn().map_err(not_started)?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let longest = if let Output::Kept(bytes) = self.output { bytes } else { 0 };
        thread::scope(|scope| {
            if let (Some(mut stdin), Input::Bytes(bytes)) = (stdin, &self.input) {
                // Who reads no further has its reasons: how it ends tells.
                scope.spawn(move || drop(stdin.write_all(bytes)));
            }
            let output = stdout.map(|stdout| scope.spawn(move || read_up_to(stdout, longest)));
            let said = stderr.map(|stderr| scope.spawn(move || last_words(stderr)));
            // A program that has more is stopped by nobody who reads, and then by the pipe.
            let ended = self.wait(&mut child);
            let output = output.and_then(|thread| thread.join().ok()).unwrap_or_default();
            let said = said.and_then(|thread| thread.join().ok()).unwrap_or_default();
            if output.len() > longest {
                return Err(ProgramError::TooMuch { program: self.program.to_owned(), bytes: longest });
            }
            Ok(Ran { status: ended?, output, said })
        })
    }

    fn wait(&self, child: &mut Child) -> Result<ExitStatus, ProgramError> {
        let until = Instant::now() + self.limit;
        let failed = |source| ProgramError::NotStarted { program: self.program.to_owned(), source };
        loop {
            if let Some(status) = child.try_wait().map_err(failed)? {
                return Ok(status);
            }
            let why = match () {
                () if self.cancel.is_cancelled() => ProgramError::Cancelled,
                () if Instant::now() >= until => {
                    ProgramError::TooSlow { program: self.program.to_owned(), limit: self.limit }
                }
                () => {
                    thread::sleep(GLANCE);
                    continue;
                }
            };
            end(child);
            return Err(why);
        }
    }
}

/// Ends it with all that it has started and that has not left its group.
fn end(child: &mut Child) {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // Gone already is gone.
        let _ = kill_process_group(group, Signal::KILL);
    }
    let _ = child.wait();
}

/// At most one byte more than `longest`.
fn read_up_to(from: impl Read, longest: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let most = u64::try_from(longest).unwrap_or(u64::MAX).saturating_add(1);
    // What cannot be read any more is not there.
    let _ = from.take(most).read_to_end(&mut bytes);
    bytes
}

fn last_words(mut from: impl Read) -> String {
    let (mut kept, mut buffer) = (Vec::new(), [0; 1024]);
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        kept.extend_from_slice(buffer.get(..count).unwrap_or_default());
        let over = kept.len().saturating_sub(LAST_WORDS);
        kept.drain(..over);
    }
    let text = String::from_utf8_lossy(&kept);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.get(lines.len().saturating_sub(MOST_LINES)..).unwrap_or_default().join("; ")
}

impl fmt::Display for ProgramError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProgramError::NotStarted { program, .. } => write!(f, "{program} could not be run"),
            ProgramError::Failed { program, status, said } => {
                write!(f, "{program} failed ({status})")?;
                if said.is_empty() { Ok(()) } else { write!(f, ": {said}") }
            }
            ProgramError::TooSlow { program, limit } => {
                write!(f, "{program} was ended: it had not finished after {} s", limit.as_secs())
            }
            ProgramError::TooMuch { program, bytes } => {
                write!(f, "{program} was ended: its output is longer than {} MiB", bytes >> 20)
            }
            ProgramError::Cancelled => f.write_str("given up"),
        }
    }
}

impl std::error::Error for ProgramError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ProgramError::NotStarted { source, .. } => Some(source),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn run<'a>(arguments: &'a [&'a str], cancel: &'a Cancel) -> Run<'a> {
        let (input, output) = (Input::Nothing, Output::Kept(1 << 20));
        let limit = Duration::from_secs(60);
        Run { program: "sh", arguments, input, output, limit, cancel, environment: &[] }
    }

    #[test]
    fn it_reads_what_it_is_given_and_finds_no_more_than_that() {
        let cancel = Cancel::new();
        let long = vec![b'x'; 300_000];
        let cat = Run { program: "cat", input: Input::Bytes(&long), ..run(&[], &cancel) };
        assert_eq!(cat.succeed().unwrap(), long);
        let env = Run { program: "env", environment: &[("ONE", OsStr::new("1"))], ..run(&[], &cancel) };
        let text = String::from_utf8(env.succeed().unwrap()).unwrap();
        let mut names: Vec<&str> = text.lines().filter_map(|line| line.split('=').next()).collect();
        names.sort_unstable();
        assert_eq!(names, ["ONE", "PATH"]);
    }

    #[test]
    fn a_bad_end_is_told_with_the_last_words() {
        let cancel = Cancel::new();
        let error = run(&["-c", "echo out; printf 'a\nb\nc\n\n  why  \n' >&2; exit 3"], &cancel).succeed().unwrap_err();
        assert_eq!(error.to_string(), "sh failed (exit status: 3): b; c; why");
        let missing = Run { program: "no-such-program", ..run(&[], &cancel) };
        assert!(matches!(missing.succeed(), Err(ProgramError::NotStarted { .. })));
    }

    #[test]
    fn what_takes_too_long_is_ended_with_its_children() {
        let (cancel, started) = (Cancel::new(), Instant::now());
        let slow = Run { limit: Duration::from_millis(200), ..run(&["-c", "sleep 50 & sleep 50; true"], &cancel) };
        assert!(matches!(slow.succeed(), Err(ProgramError::TooSlow { .. })));
        let flood = Run {
            output: Output::Kept(1000),
            ..run(&["-c", "while :; do echo yyyyyyyyyyyyyyyyyyyyyyyyy; done"], &cancel)
        };
        assert!(matches!(flood.succeed(), Err(ProgramError::TooMuch { bytes: 1000, .. })));
        cancel.cancel();
        assert!(matches!(run(&["-c", "sleep 50"], &cancel).succeed(), Err(ProgramError::Cancelled)));
        assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    }
}
