//! swtpm, a TPM made of software, on two ports as tpm2-tools want it; and somebody on the line to it.

use crate::program::{Ended, Program, end_group, need};
use crate::server::free_port;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What tells a program where its TPM is.
pub const TCTI: &str = "TPM2TOOLS_TCTI";
/// What swtpm keeps of a TPM that is switched off.
pub const STATE: &str = "tpm2-00.permall";
/// How long a TPM of software may take to come up.
const START_LIMIT: Duration = Duration::from_secs(30);

/// A TPM with a state of its own; it ends with its test.
pub struct Swtpm {
    port: u16,
    child: Child,
    state: TempDir,
}

impl Swtpm {
    /// A fresh TPM that has been started up. Its PCRs are as after a reset: nothing was booted.
    pub fn start() -> Swtpm {
        Swtpm::start_in(tempfile::tempdir().unwrap())
    }

    /// A TPM as another one was left behind, switched on again.
    pub fn with_state(left: &[u8]) -> Swtpm {
        let state = tempfile::tempdir().unwrap();
        fs::write(state.path().join(STATE), left).unwrap();
        Swtpm::start_in(state)
    }

    fn start_in(state: TempDir) -> Swtpm {
        let start = Instant::now();
        loop {
            assert!(start.elapsed() < START_LIMIT, "swtpm does not come up");
            // Somebody may take one of the ports in the meantime.
            if let Some((port, child)) = Some(free_port()).and_then(|port| Some((port, spawn(port, state.path())?))) {
                return Swtpm { port, child, state };
            }
        }
    }

    /// The machine is switched off in order and on again: the PCRs are as after a reset, what was sealed is still known.
    pub fn restart(&mut self) {
        self.tool("tpm2_shutdown").arg("-c").succeed();
        end_group(&mut self.child);
        let start = Instant::now();
        self.child = loop {
            assert!(start.elapsed() < START_LIMIT, "swtpm does not come up again");
            if let Some(child) = spawn(self.port, self.state.path()) {
                break child;
            }
        };
    }

    /// It is switched off in order: what it leaves behind, for [`Swtpm::with_state`] and for a guest.
    pub fn switched_off(self) -> Vec<u8> {
        self.tool("tpm2_shutdown").arg("-c").succeed();
        fs::read(self.state.path().join(STATE)).unwrap()
    }

    /// Where it is, for [`TCTI`].
    pub fn place(&self) -> String {
        place(self.port)
    }

    /// The program, with this TPM.
    pub fn give(&self, program: Program) -> Program {
        program.env(TCTI, self.place())
    }

    /// One of tpm2-tools.
    pub fn tool(&self, name: &str) -> Program {
        self.give(Program::new(name))
    }

    /// Extends a PCR of the bank of SHA-256 with a digest that is one byte 32 times.
    pub fn extend(&self, pcr: u8, byte: u8) {
        let digest = format!("{byte:02x}").repeat(32);
        self.tool("tpm2_pcrextend").arg(format!("{pcr}:sha256={digest}")).succeed();
    }

    /// It locks at this many failures, and forgets one every 100 s.
    pub fn locks_at(&self, failures: &str) {
        self.tool("tpm2_dictionarylockout").args(["-s", "-n", failures, "-t", "100", "-l", "100"]).succeed();
    }

    /// Counts one failure: a key is used with a password that is not its own.
    pub fn fail(&self) {
        let folder = tempfile::tempdir().unwrap();
        let (parent, child) = (folder.path().join("parent"), folder.path().join("child"));
        self.tool("tpm2_createprimary").args(["-Q", "-C", "o", "-p", "word", "-c"]).arg(&parent).succeed();
        let wrong = self.tool("tpm2_create").args(["-Q", "-P", "wrong", "-C"]).arg(&parent).arg("-u").arg(&child);
        assert!(!wrong.run().status.success());
        self.tool("tpm2_flushcontext").arg("-t").succeed();
    }

    /// Locks at three failures, step by step, while something under a counted parent is opened by `open`: nothing is said of none, two are
    /// told while it still opens, and at three it does not, and says why. Ends the test otherwise.
    #[track_caller]
    pub fn locks_and_it_is_told(&self, open: &dyn Fn() -> Ended) {
        self.locks_at("3");
        assert!(!open().succeeded().said().contains("failures"));
        self.fail();
        self.fail();
        let said = open().succeeded().said();
        let near = "the TPM counts 2 failures, power cuts among them, and locks this binding at 3";
        assert!(said.contains(near), "{said}");
        self.fail();
        let said = open().failed_with(1).said();
        assert!(said.contains("TPM_RC_LOCKOUT (0x921)") && said.contains("3 of 3 failures count"), "{said}");
    }

    /// Extends the PCRs as the boot that wrote this log has. The TPM was just started.
    pub fn boot(&self, log: &Path) {
        let status = self.give(Program::cotter().args(["tpm", "status", "--json", "--log"])).arg(log).succeed();
        let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
        let mut words: Vec<String> = Vec::new();
        for pcr in status["pcrs"].as_array().unwrap() {
            for event in pcr["events"].as_array().unwrap() {
                words.push(format!("{}:sha256={}", pcr["pcr"], event["digest"].as_str().unwrap()));
            }
        }
        self.tool("tpm2_pcrextend").args(&words).succeed();
    }

    /// What is sealed in a JWE of the pin `tpm2` without PCRs, taken out with the original's tools.
    pub fn sealed_text(&self, jwe: &[u8]) -> Vec<u8> {
        let decoded = |text: &[u8]| Program::new("jose").args(["b64", "dec", "-i-"]).input(text).succeed().stdout;
        let first = jwe.split(|byte| *byte == b'.').next().unwrap();
        let header: serde_json::Value = serde_json::from_slice(&decoded(first)).unwrap();
        let binding = &header["clevis"]["tpm2"];
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        for half in ["jwk_pub", "jwk_priv"] {
            fs::write(file(half), decoded(binding[half].as_str().unwrap().as_bytes())).unwrap();
        }
        let word = |name: &str| binding[name].as_str().unwrap();
        let parent =
            self.tool("tpm2_createprimary").args(["-Q", "-C", "o", "-g", word("hash"), "-G", word("key"), "-c"]);
        parent.arg(file("parent")).succeed();
        self.tool("tpm2_flushcontext").arg("-t").succeed();
        let load = self.tool("tpm2_load").args(["-Q", "-C"]).arg(file("parent")).arg("-c").arg(file("object"));
        load.arg("-u").arg(file("jwk_pub")).arg("-r").arg(file("jwk_priv")).succeed();
        self.tool("tpm2_flushcontext").arg("-t").succeed();
        let text = self.tool("tpm2_unseal").arg("-c").arg(file("object")).succeed().stdout;
        self.tool("tpm2_flushcontext").arg("-t").succeed();
        text
    }

    /// Objects and sessions that lie in the TPM.
    pub fn left_behind(&self) -> String {
        let handles = |kind| self.tool("tpm2_getcap").arg(kind).succeed().text();
        ["handles-transient", "handles-loaded-session", "handles-saved-session"].map(handles).concat()
    }
}

impl Drop for Swtpm {
    fn drop(&mut self) {
        end_group(&mut self.child);
    }
}

/// Starts it on this port and the next, which is its control channel: there tpm2-tools look for it. Nothing if it ends at once, as it does if
/// somebody has one of the ports.
fn spawn(port: u16, state: &Path) -> Option<Child> {
    let control = port.checked_add(1)?;
    let mut child = Command::new(need("swtpm"))
        .args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear", "--tpmstate"])
        .arg(format!("dir={}", state.display()))
        .args(["--server", &format!("type=tcp,port={port}"), "--ctrl", &format!("type=tcp,port={control}")])
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() && start.elapsed() < START_LIMIT {
        if TcpStream::connect((Ipv4Addr::LOCALHOST, control)).is_ok() {
            return Some(child);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    end_group(&mut child);
    None
}

fn place(port: u16) -> String {
    format!("swtpm:host=127.0.0.1,port={port}")
}

/// The code of `TPM2_CreatePrimary`.
const CREATE_PRIMARY: [u8; 4] = [0, 0, 1, 0x31];

/// What is done to the n-th answer, counted from 0: nothing to send ends the connection.
pub type Change = dyn Fn(usize, Vec<u8>) -> Vec<u8> + Send + Sync;

/// Somebody between a program and a TPM who hears everything and answers as he likes.
pub struct Eavesdropper {
    port: u16,
    heard: Arc<Mutex<Vec<u8>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Eavesdropper {
    /// Listens, and hands everything on as it is.
    pub fn listening(tpm: &Swtpm) -> Eavesdropper {
        Eavesdropper::changing(tpm, Box::new(|_, answer| answer))
    }

    /// Changes answers.
    pub fn changing(tpm: &Swtpm, change: Box<Change>) -> Eavesdropper {
        Eavesdropper::between([tpm.port; 2], change)
    }

    /// The first who makes a parent key speaks with one TPM, all that come after him with another.
    pub fn swapping(first: &Swtpm, then: &Swtpm) -> Eavesdropper {
        Eavesdropper::between([first.port, then.port], Box::new(|_, answer| answer))
    }

    fn between(ports: [u16; 2], change: Box<Change>) -> Eavesdropper {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (heard, stop) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let (log, stopped) = (Arc::clone(&heard), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let (count, mut parents) = (AtomicUsize::new(0), 0);
            for mut socket in listener.incoming().map_while(Result::ok) {
                if stopped.load(Ordering::SeqCst) {
                    break;
                }
                let Some(first) = message(&mut socket) else { continue };
                parents += usize::from(first[6..10] == CREATE_PRIMARY);
                let to = ports[usize::from(parents > 1)];
                hand_on((socket, first), to, &log, &|answer| change(count.fetch_add(1, Ordering::SeqCst), answer));
            }
        });
        Eavesdropper { port, heard, stop, thread: Some(thread) }
    }

    /// Where he is, for [`TCTI`].
    pub fn place(&self) -> String {
        place(self.port)
    }

    /// Every byte that went over the line, both ways.
    pub fn heard(&self) -> Vec<u8> {
        self.heard.lock().unwrap().clone()
    }

    /// The codes of the commands that went over it; between them are the answers.
    pub fn commands(&self) -> Vec<u32> {
        let (mut codes, heard) = (Vec::new(), self.heard());
        let mut rest = heard.as_slice();
        let word = |bytes: &[u8], at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
        while !rest.is_empty() {
            codes.push(word(rest, 6));
            rest = &rest[word(rest, 2) as usize..];
            rest = &rest[word(rest, 2) as usize..];
        }
        codes
    }
}

/// One connection: as many commands as come, each with its answer.
fn hand_on(
    (mut near, first): (TcpStream, Vec<u8>),
    to: u16,
    log: &Mutex<Vec<u8>>,
    change: &dyn Fn(Vec<u8>) -> Vec<u8>,
) {
    let Ok(mut far) = TcpStream::connect((Ipv4Addr::LOCALHOST, to)) else { return };
    let mut next = Some(first);
    while let Some(command) = next.take().or_else(|| message(&mut near)) {
        log.lock().unwrap().extend(&command);
        if far.write_all(&command).is_err() {
            return;
        }
        let Some(answer) = message(&mut far) else { return };
        log.lock().unwrap().extend(&answer);
        let changed = change(answer);
        if changed.is_empty() || near.write_all(&changed).is_err() {
            return;
        }
    }
}

/// A command or an answer: both have their length behind the tag.
fn message(from: &mut TcpStream) -> Option<Vec<u8>> {
    let mut head = [0; 6];
    from.read_exact(&mut head).ok()?;
    let len = u32::from_be_bytes([head[2], head[3], head[4], head[5]]) as usize;
    let mut message = head.to_vec();
    message.resize(len.clamp(head.len(), 8192), 0);
    from.read_exact(&mut message[head.len()..]).ok()?;
    Some(message)
}

impl Drop for Eavesdropper {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The line is heard, and a change arrives.
    #[test]
    fn somebody_on_the_line_hears_and_changes() {
        let tpm = Swtpm::start();
        assert!(tpm.tool("tpm2_getrandom").args(["--hex", "8"]).succeed().text().len() >= 16);
        let line = Eavesdropper::changing(
            &tpm,
            Box::new(|_, mut answer| {
                *answer.last_mut().unwrap() ^= 0xff;
                answer
            }),
        );
        let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, line.port)).unwrap();
        let get_random = b"\x80\x01\0\0\0\x0c\0\0\x01\x7b\0\x04";
        socket.write_all(get_random).unwrap();
        let answer = message(&mut socket).unwrap();
        let heard = line.heard();
        assert_eq!(heard[..12], *get_random);
        assert_eq!(heard.len(), 12 + answer.len());
        assert_eq!(heard.last().unwrap() ^ 0xff, *answer.last().unwrap());
    }
}
