//! A TPM behind a device node: one write is a command, one read its answer.
//!
//! The kernel may hold a caller for as long as the TPM takes, in `write`, in `read` and in `close`, and older kernels know no other way. So
//! a thread of its own talks to the device, and is left behind when nobody waits any more. When the TPM is done it flushes what the command has
//! made and what it was told to, and closes the device: behind `/dev/tpm0` nobody else does. If the program ends before, nothing is flushed.

use super::waiting::Waiting;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use tpm2::{LONGEST_ANSWER, TransportError};
use zeroize::Zeroizing;

/// An open device.
#[derive(Debug)]
pub(super) struct Device {
    commands: Option<SyncSender<Zeroizing<Vec<u8>>>>,
    answers: Receiver<io::Result<Vec<u8>>>,
    worker: Option<JoinHandle<()>>,
    /// A command was given up: the TPM may still be at it, and its answer is the worker's.
    left: Arc<Mutex<bool>>,
}

/// Commands that wait for the worker: one, or what is to be flushed after the one that was given up.
const MOST_WAITING: usize = 8;

impl Device {
    /// Opens it. `/dev/tpm0` takes one program at a time.
    pub(super) fn open(path: &Path) -> Result<Device, TransportError> {
        let place = path.display().to_string();
        let failed = |source| TransportError::Open { place: place.clone(), source };
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(failed)?;
        let (commands, to_do) = mpsc::sync_channel::<Zeroizing<Vec<u8>>>(MOST_WAITING);
        let (done, answers) = mpsc::sync_channel(1);
        let left = Arc::new(Mutex::new(false));
        let told = Arc::clone(&left);
        let work = move || {
            let mut file = file;
            for command in to_do {
                let answer = converse(&mut file, &command);
                let left = lock(&told);
                if !*left {
                    if done.send(answer).is_err() {
                        break;
                    }
                    continue;
                }
                drop(left);
                let made = answer.ok().and_then(|answer| tpm2::flush_behind(&command, &answer));
                // Nobody hears what becomes of it.
                made.into_iter().for_each(|flush| drop(converse(&mut file, &flush)));
            }
        };
        let worker = thread::Builder::new().name("tpm".into()).spawn(work).map_err(failed)?;
        Ok(Device { commands: Some(commands), answers, worker: Some(worker), left })
    }

    pub(super) fn exchange(&mut self, command: &[u8], waiting: &Waiting<'_>) -> Result<Vec<u8>, TransportError> {
        if *lock(&self.left) {
            return Err(TransportError::Broken { source: io::ErrorKind::ResourceBusy.into() });
        }
        let gone = || TransportError::Broken { source: io::ErrorKind::BrokenPipe.into() };
        let command = Zeroizing::new(command.to_vec());
        self.commands.as_ref().and_then(|commands| commands.send(command).ok()).ok_or_else(gone)?;
        loop {
            let slice = match waiting.left() {
                Ok(slice) => slice,
                Err(why) => return self.leave(why),
            };
            match self.answers.recv_timeout(slice) {
                Ok(answer) => return answer.map_err(broken),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(gone()),
            }
        }
    }

    /// Leaves the worker to it, unless its answer came in this moment.
    fn leave(&self, why: TransportError) -> Result<Vec<u8>, TransportError> {
        let mut left = lock(&self.left);
        if let Ok(answer) = self.answers.try_recv() {
            return answer.map_err(broken);
        }
        *left = true;
        Err(why)
    }

    /// Has the worker say it after the command that was given up. Whether there is such a one, and room.
    pub(super) fn say_later(&self, command: &[u8]) -> bool {
        let room = |commands: &SyncSender<_>| commands.try_send(Zeroizing::new(command.to_vec())).is_ok();
        *lock(&self.left) && self.commands.as_ref().is_some_and(room)
    }
}

fn lock(left: &Mutex<bool>) -> MutexGuard<'_, bool> {
    left.lock().unwrap_or_else(PoisonError::into_inner)
}

fn broken(source: io::Error) -> TransportError {
    TransportError::Broken { source }
}

/// One command and its answer, which the kernel hands over whole.
fn converse(file: &mut File, command: &[u8]) -> io::Result<Vec<u8>> {
    file.write_all(command)?;
    let mut answer = vec![0; LONGEST_ANSWER];
    let len = file.read(&mut answer)?;
    answer.truncate(len);
    Ok(answer)
}

impl Drop for Device {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(worker) = self.worker.take().filter(|_| !*lock(&self.left)) {
            // It closes the device at once: the next conversation finds it closed.
            let _ = worker.join();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
    use std::os::unix::ffi::OsStrExt;
    use std::time::{Duration, Instant};
    use tpm2::Patience;

    /// A character device whose other end is ours.
    fn device() -> (File, std::path::PathBuf) {
        let end = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&end).unwrap();
        unlockpt(&end).unwrap();
        let mut raw = tcgetattr(&end).unwrap();
        raw.make_raw();
        tcsetattr(&end, OptionalActions::Now, &raw).unwrap();
        let name = ptsname(&end, Vec::new()).unwrap();
        (File::from(end), std::ffi::OsStr::from_bytes(name.to_bytes()).into())
    }

    #[test]
    fn a_command_goes_in_and_an_answer_comes_out() {
        let (mut far, path) = device();
        let mut device = Device::open(&path).unwrap();
        let patience = Patience { until: None, at_most: Some(Duration::from_secs(60)), cancelled: &|| false };
        for text in [b"one", b"two"] {
            let there = thread::spawn(move || {
                let mut command = [0; 3];
                far.read_exact(&mut command).unwrap();
                far.write_all(&command).unwrap();
                far
            });
            assert_eq!(device.exchange(text, &Waiting::new(&patience)).unwrap(), text);
            far = there.join().unwrap();
        }
    }

    #[test]
    fn a_device_that_never_answers_holds_nobody() {
        let (_far, path) = device();
        let mut device = Device::open(&path).unwrap();
        let patience = Patience { until: None, at_most: Some(Duration::from_millis(30)), cancelled: &|| false };
        let start = Instant::now();
        let late = device.exchange(b"command", &Waiting::new(&patience)).unwrap_err();
        assert!(matches!(late, TransportError::TimedOut { .. }), "{late}");
        let again = device.exchange(b"command", &Waiting::new(&patience)).unwrap_err();
        assert!(matches!(again, TransportError::Broken { .. }), "{again}");
        drop(device);
        assert!(start.elapsed() < Duration::from_secs(30), "it was waited for");
    }

    /// What a command makes after nobody waits for it any more goes out of the TPM again, and what was there before.
    #[test]
    fn what_a_late_answer_brings_is_flushed_before_the_device_is_closed() {
        let (mut far, path) = device();
        let mut device = Device::open(&path).unwrap();
        let patience = Patience { until: None, at_most: Some(Duration::from_millis(30)), cancelled: &|| false };
        let create_primary = b"\x80\x01\0\0\0\x0a\0\0\x01\x31";
        assert!(!device.say_later(b"flush"), "nothing was given up");
        device.exchange(create_primary, &Waiting::new(&patience)).unwrap_err();
        let flush = |handle: u32| [&b"\x80\x01\0\0\0\x0e\0\0\x01\x65"[..], &handle.to_be_bytes()].concat();
        assert!(device.say_later(&flush(0x0200_0001)));
        drop(device);
        let mut hears = |expected: &[u8], answer: &[u8]| {
            let mut command = vec![0; expected.len()];
            far.read_exact(&mut command).unwrap();
            assert_eq!(command, expected);
            far.write_all(answer).unwrap();
        };
        hears(create_primary, b"\x80\x01\0\0\0\x0e\0\0\0\0\x80\0\0\x07");
        hears(&flush(0x8000_0007), b"\x80\x01\0\0\0\x0a\0\0\0\0");
        hears(&flush(0x0200_0001), b"\x80\x01\0\0\0\x0a\0\0\0\0");
        // The other end is closed.
        assert!(far.read_exact(&mut [0]).is_err());
    }

    #[test]
    fn a_device_that_is_not_there_is_named() {
        let error = Device::open(Path::new("/no/such/tpm")).unwrap_err();
        assert_eq!(error.to_string(), "the TPM at /no/such/tpm cannot be used");
    }
}
