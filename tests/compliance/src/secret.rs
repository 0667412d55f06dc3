//! Looking for a planted secret in everything a program lets out.
//!
//! `strace` writes down each call that carries bytes out of a process, with every byte in hexadecimal; what is searched
//! for is the secret itself and the forms in which a careless program would write it.

use crate::program::{Ended, Program, Running};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

/// The calls that let bytes out, or give them to another program.
const CALLS: &str = "trace=execve,execveat,write,writev,pwrite64,pwritev,pwritev2,sendto,sendmsg,sendmmsg,symlink,symlinkat,\
                     open,openat,creat,rename,renameat,renameat2,mkdir,mkdirat,setxattr,add_key,prctl,memfd_create,bind,connect";

/// What was called while a program ran.
pub struct Trace {
    calls: Vec<String>,
    /// How it ended.
    pub ended: Ended,
}

/// A program under `strace` that has not ended yet.
struct Started {
    running: Running,
    file: PathBuf,
}

impl Started {
    fn finish(self, end: impl FnOnce(Running) -> Ended) -> Trace {
        let ended = end(self.running);
        let calls = fs::read_to_string(&self.file).expect("strace left no trace").lines().map(str::to_owned).collect();
        fs::remove_file(self.file).unwrap();
        Trace { calls, ended }
    }
}

impl Trace {
    /// Runs a program, and all it starts, under `strace`; `scratch` takes the trace.
    pub fn of(program: Program, scratch: &Path) -> Trace {
        Trace::start(program, scratch).finish(Running::wait)
    }

    /// Starts a program that does not end by itself, does `work` while it runs, and interrupts it.
    pub fn of_server(program: Program, scratch: &Path, work: impl FnOnce()) -> Trace {
        let started = Trace::start(program, scratch);
        work();
        started.finish(|running| {
            // To the group: strace itself blocks it when it writes to a file.
            running.interrupt();
            running.wait()
        })
    }

    fn start(program: Program, scratch: &Path) -> Started {
        let file = scratch.join("trace");
        let words = ["-f", "-qq", "-v", "-xx", "-s", "100000000", "-e", CALLS, "-o"].map(OsStr::new);
        let words = [words.as_slice(), &[file.as_os_str()]].concat();
        Started { running: program.under("strace", &words).start(), file }
    }

    /// The calls that carry `secret` in any form, apart from writes to standard output.
    pub fn leaks(&self, secret: &Planted) -> Vec<String> {
        let outward = self.calls.iter().filter(|call| !is_write_to_stdout(call));
        let carrying = outward.filter_map(|call| {
            let form = secret.forms.iter().find(|form| call.contains(&form.traced))?;
            Some(format!("{} in: {}", form.name, call.chars().take(100).collect::<String>()))
        });
        carrying.collect()
    }

    /// Whether the program wrote the secret anywhere at all: the proof that the search can find it.
    pub fn shows(&self, secret: &Planted) -> bool {
        secret.forms.iter().any(|form| self.calls.iter().any(|call| call.contains(&form.traced)))
    }

    /// How often a call was made; `name` ends in its parenthesis.
    pub fn count(&self, name: &str) -> usize {
        self.calls.iter().filter(|call| call.contains(&format!(" {name}"))).count()
    }

    /// Connections to another machine. A UNIX socket is none.
    pub fn connections_beyond_loopback(&self) -> Vec<String> {
        let connects = self.calls.iter().filter(|call| call.contains(" connect(") && call.contains("AF_INET"));
        let loopback = [traced(b"127.0.0.1"), "127.0.0.1".to_owned(), traced(b"::1"), "\"::1\"".to_owned()];
        connects.filter(|call| !loopback.iter().any(|address| call.contains(address))).cloned().collect()
    }

    /// How many calls were written down.
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    /// Whether nothing was written down, which would prove nothing.
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }
}

/// `PID write(1, …`: `decrypt` and `luks pass` give the secret there, because they were asked to.
fn is_write_to_stdout(call: &str) -> bool {
    call.split_once(' ').is_some_and(|(_, call)| call.trim_start().starts_with("write(1, "))
}

/// A secret, and the forms in which it may turn up.
pub struct Planted {
    /// What it is, for messages.
    pub name: &'static str,
    forms: Vec<Form>,
}

struct Form {
    name: &'static str,
    bytes: Vec<u8>,
    /// As `strace -xx` spells it.
    traced: String,
}

impl Planted {
    /// At least 12 bytes, or it might turn up by chance.
    pub fn new(name: &'static str, secret: &[u8]) -> Planted {
        assert!(secret.len() >= 12, "{name} is too short to be looked for");
        let hex = |format: fn(&u8) -> String| secret.iter().map(format).collect::<String>().into_bytes();
        let forms = [
            ("as it is", secret.to_vec()),
            ("in hexadecimal", hex(|byte| format!("{byte:02x}"))),
            ("in HEXADECIMAL", hex(|byte| format!("{byte:02X}"))),
            ("in base64", base64(secret, b'+', b'/')),
            ("in base64url", base64(secret, b'-', b'_')),
        ];
        let form = |(name, bytes): (&'static str, Vec<u8>)| Form { name, traced: traced(&bytes), bytes };
        Planted { name, forms: forms.into_iter().map(form).collect() }
    }

    /// The forms that stand in `bytes`.
    pub fn found_in(&self, bytes: &[u8]) -> Vec<&'static str> {
        let here = |form: &&Form| bytes.windows(form.bytes.len()).any(|window| window == form.bytes);
        self.forms.iter().filter(here).map(|form| form.name).collect()
    }

    /// The files below `directory` that hold it, apart from those that were meant to.
    pub fn files_with(&self, directory: &Path, meant: &[PathBuf]) -> Vec<PathBuf> {
        let files = files_below(directory).into_iter().filter(|file| !meant.contains(file));
        files.filter(|file| fs::read(file).is_ok_and(|bytes| !self.found_in(&bytes).is_empty())).collect()
    }
}

/// Every plain file below `directory`.
pub fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().map_while(Result::ok) {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => files.extend(files_below(&entry.path())),
            Ok(kind) if kind.is_file() => files.push(entry.path()),
            _ => {}
        }
    }
    files
}

fn traced(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect()
}

/// Whole groups of three bytes only, so that what follows the secret does not matter.
fn base64(secret: &[u8], sign_62: u8, sign_63: u8) -> Vec<u8> {
    let signs: Vec<u8> = (b'A'..=b'Z').chain(b'a'..=b'z').chain(b'0'..=b'9').chain([sign_62, sign_63]).collect();
    let groups = secret.as_chunks::<3>().0.iter();
    let sixes = groups.flat_map(|[a, b, c]| [a >> 2, a << 4 & 48 | b >> 4, b << 2 & 60 | c >> 6, c & 63]);
    sixes.map(|six| signs[usize::from(six)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_in_each_form() {
        let planted = Planted::new("test", b"a planted secret");
        assert_eq!(planted.found_in(b"it is YSBwbGFudGVkIHNlY3Jl!"), ["in base64", "in base64url"]);
        assert_eq!(planted.found_in(b"a planted secret."), ["as it is"]);
        assert_eq!(planted.found_in(b"6120706c616e74656420736563726574"), ["in hexadecimal"]);
        assert!(planted.found_in(b"a planted secre").is_empty());
        assert_eq!(base64(b"\xfb\xff\xfe", b'-', b'_'), b"-__-");
    }

    #[test]
    fn a_leak_is_seen_wherever_it_goes() {
        let scratch = tempfile::tempdir().unwrap();
        let planted = Planted::new("test", b"a planted secret");
        let leaks = |script: &str| {
            let trace = Trace::of(Program::new("bash").args(["-c", script]).input("a planted secret"), scratch.path());
            assert!(!trace.is_empty());
            trace.leaks(&planted).len()
        };
        // Given away on standard output is not a leak; on standard error, in words or in the environment it is.
        assert_eq!(leaks("read x; echo $x"), 0);
        assert_eq!(leaks("tee /dev/stderr"), 1);
        assert_eq!(leaks("read x; /bin/true \"$x\"; true"), 1);
        assert_eq!(leaks("read x; y=$x /bin/true; true"), 1);
        assert_eq!(leaks("od -An -v -w99 -tx1 | tr -d ' ' | tee /dev/stderr"), 1);
    }

    #[test]
    fn a_file_with_the_secret_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let planted = Planted::new("test", b"a planted secret");
        let (meant, other) = (directory.path().join("key"), directory.path().join("temporary"));
        fs::write(&meant, "a planted secret").unwrap();
        fs::write(&other, "so: a planted secret").unwrap();
        assert_eq!(planted.files_with(directory.path(), &[meant]), [other]);
    }
}
