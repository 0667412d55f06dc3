//! A TPM behind a device node: one write is a command, one read its answer.
//!
//! The kernel may hold a caller for as long as the TPM takes, in `write`, in `read` and in `close`, and older kernels know no other way. So
//! a thread of its own talks to the device, and is left behind when nobody waits any more; it closes the device when the TPM is done.

use super::waiting::Waiting;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread::{self, JoinHandle};
use tpm2::{LONGEST_ANSWER, TransportError};
use zeroize::Zeroizing;

/// An open device.
#[derive(Debug)]
pub(super) struct Device {
    commands: Option<SyncSender<Zeroizing<Vec<u8>>>>,
    answers: Receiver<io::Result<Vec<u8>>>,
    worker: Option<JoinHandle<()>>,
    /// A command was given up, and the TPM may still be at it.
    is_left: bool,
}

impl Device {
    /// Opens it. `/dev/tpm0` takes one program at a time.
    pub(super) fn open(path: &Path) -> Result<Device, TransportError> {
        let place = path.display().to_string();
        let failed = |source| TransportError::Open { place: place.clone(), source };
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(failed)?;
        let (commands, to_do) = mpsc::sync_channel::<Zeroizing<Vec<u8>>>(1);
        let (done, answers) = mpsc::sync_channel(1);
        let work = move || {
            let mut file = file;
            for command in to_do {
                if done.send(converse(&mut file, &command)).is_err() {
                    break;
                }
            }
        };
        let worker = thread::Builder::new().name("tpm".into()).spawn(work).map_err(failed)?;
        Ok(Device { commands: Some(commands), answers, worker: Some(worker), is_left: false })
    }

    pub(super) fn exchange(&mut self, command: &[u8], waiting: &Waiting<'_>) -> Result<Vec<u8>, TransportError> {
        if self.is_left {
            return Err(TransportError::Broken { source: io::ErrorKind::ResourceBusy.into() });
        }
        let gone = || TransportError::Broken { source: io::ErrorKind::BrokenPipe.into() };
        let command = Zeroizing::new(command.to_vec());
        self.commands.as_ref().and_then(|commands| commands.send(command).ok()).ok_or_else(gone)?;
        self.is_left = true;
        loop {
            match self.answers.recv_timeout(waiting.left()?) {
                Ok(answer) => {
                    self.is_left = false;
                    return answer.map_err(|source| TransportError::Broken { source });
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(gone()),
            }
        }
    }
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
        if let Some(worker) = self.worker.take().filter(|_| !self.is_left) {
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

    #[test]
    fn a_device_that_is_not_there_is_named() {
        let error = Device::open(Path::new("/no/such/tpm")).unwrap_err();
        assert_eq!(error.to_string(), "the TPM at /no/such/tpm cannot be used");
    }
}
