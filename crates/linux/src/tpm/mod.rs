//! The TPM of this machine, or swtpm's: where it is, and one conversation with it at a time.

mod device;
mod node;
mod place;
mod socket;
mod waiting;

use device::Device;
pub use node::{ShownPcrs, TpmNode};
use place::Place;
use socket::Socket;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, TryLockError};
use std::time::Duration;
use tpm2::{Conversation, Patience, Transport, TransportError};
use waiting::{GLANCE, Waiting};

/// The TPM that the environment names, or the machine's own. Nothing is opened before somebody talks to it.
#[derive(Debug)]
pub struct TpmDevice {
    place: Result<Place, Setting>,
    variable: Option<&'static str>,
    in_use: Mutex<()>,
}

/// A setting that cannot be followed: it is reported when somebody wants the TPM, and harms nobody else.
#[derive(Clone, Debug)]
struct Setting {
    variable: &'static str,
    value: String,
    why: &'static str,
}

/// Why this TPM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// A variable of the environment names it.
    Variable(&'static str),
    /// The caller does.
    Given,
    /// The first with a resource manager.
    Managed,
    /// There is none with a resource manager.
    Bare,
}

/// The variables that name a TPM, in the order in which they count: the original's pin, and its replacement's.
const VARIABLES: [&str; 2] = ["TPM2TOOLS_TCTI", "TCTI"];

impl TpmDevice {
    /// As the original finds it: `TPM2TOOLS_TCTI` or `TCTI` in the environment, else the first `/dev/tpmrm*`. Where there is none,
    /// `/dev/tpm0`, which has no resource manager: whatever another program leaves in it takes room from ours.
    pub fn from_environment() -> TpmDevice {
        let said =
            |variable| std::env::var_os(variable).filter(|value| !value.is_empty()).map(|value| (variable, value));
        let said = VARIABLES.into_iter().find_map(said);
        let variable = said.as_ref().map(|(variable, _)| *variable);
        let place = match said {
            None => Ok(Place::Default),
            Some((variable, value)) => {
                let value = value.to_string_lossy().into_owned();
                Place::parse(&value).map_err(|why| Setting { variable, value, why })
            }
        };
        TpmDevice { place, variable, in_use: Mutex::new(()) }
    }

    /// The TPM that this text names, as `TPM2TOOLS_TCTI` would.
    ///
    /// # Errors
    /// [`TransportError::Setting`].
    pub fn at(text: &str) -> Result<TpmDevice, TransportError> {
        let wrong = |why| TransportError::Setting { variable: VARIABLES[0], value: text.to_owned(), why };
        Ok(TpmDevice { place: Ok(Place::parse(text).map_err(wrong)?), variable: None, in_use: Mutex::new(()) })
    }

    /// Which TPM is meant, and why.
    ///
    /// # Errors
    /// [`TransportError::Setting`], [`TransportError::NoDevice`].
    pub fn chosen(&self) -> Result<(String, Why), TransportError> {
        let place = self.place()?;
        let why = self.variable.map_or(Why::Given, Why::Variable);
        Ok(match place {
            Place::Default => {
                let path = found_device(Path::new("/dev"))?;
                let managed = path.to_string_lossy().contains("tpmrm");
                (path.display().to_string(), if managed { Why::Managed } else { Why::Bare })
            }
            Place::Device(path) => (path.display().to_string(), why),
            Place::Tcp(address) => (format!("swtpm on {address}"), why),
            Place::Unix(path) => (format!("swtpm on {}", path.display()), why),
        })
    }

    fn place(&self) -> Result<&Place, TransportError> {
        self.place.as_ref().map_err(|setting| {
            let Setting { variable, value, why } = setting.clone();
            TransportError::Setting { variable, value, why }
        })
    }

    /// Waits until no other thread talks to the TPM.
    fn take(&self, patience: &Patience<'_>) -> Result<MutexGuard<'_, ()>, TransportError> {
        let waiting = Waiting::new(patience);
        loop {
            match self.in_use.try_lock() {
                Ok(taken) => return Ok(taken),
                Err(TryLockError::Poisoned(taken)) => return Ok(taken.into_inner()),
                Err(TryLockError::WouldBlock) => std::thread::sleep(waiting.left()?.min(GLANCE)),
            }
        }
    }
}

impl Transport for TpmDevice {
    fn begin<'a>(&'a self, patience: &Patience<'_>) -> Result<Box<dyn Conversation + 'a>, TransportError> {
        let place = self.place()?;
        let taken = self.take(patience)?;
        let line = match place {
            Place::Default => Line::Device(Device::open(&found_device(Path::new("/dev"))?)?),
            Place::Device(path) => Line::Device(Device::open(path)?),
            Place::Tcp(address) => Line::Socket(Socket::Tcp(*address)),
            Place::Unix(path) => Line::Socket(Socket::Unix(path.clone())),
        };
        Ok(Box::new(Talk { line, _taken: taken }))
    }
}

/// The first device with a resource manager, or the bare one.
fn found_device(folder: &Path) -> Result<PathBuf, TransportError> {
    let names = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let managed = names.filter(|name| name.to_string_lossy().starts_with("tpmrm")).min();
    let bare = || Some("tpm0".into()).filter(|name| folder.join(name).exists());
    managed.or_else(bare).map(|name| folder.join(name)).ok_or(TransportError::NoDevice)
}

#[derive(Debug)]
enum Line {
    Device(Device),
    Socket(Socket),
}

/// A conversation: nobody else of this process has one.
struct Talk<'a> {
    line: Line,
    _taken: MutexGuard<'a, ()>,
}

impl Conversation for Talk<'_> {
    fn exchange(&mut self, command: &[u8], patience: &Patience<'_>) -> Result<Vec<u8>, TransportError> {
        let waiting = Waiting::new(patience);
        waiting.left()?;
        match &mut self.line {
            Line::Device(device) => device.exchange(command, &waiting),
            Line::Socket(socket) => socket.exchange(command, &waiting),
        }
    }

    fn say_later(&mut self, command: &[u8]) -> bool {
        matches!(&self.line, Line::Device(device) if device.say_later(command))
    }

    fn pause(&mut self, time: Duration, patience: &Patience<'_>) -> Result<(), TransportError> {
        let waiting = Waiting::new(patience);
        let mut left = time;
        while !left.is_zero() {
            let slice = left.min(waiting.left()?);
            std::thread::sleep(slice);
            left = left.saturating_sub(slice);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const CALM: Patience<'_> = Patience { until: None, at_most: None, cancelled: &|| false };

    #[test]
    fn the_first_managed_device_is_taken_then_the_bare_one() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(found_device(folder.path()), Err(TransportError::NoDevice)));
        for (name, expected) in
            [("tpm1", None), ("tpm0", Some("tpm0")), ("tpmrm1", Some("tpmrm1")), ("tpmrm0", Some("tpmrm0"))]
        {
            std::fs::write(folder.path().join(name), "").unwrap();
            let found = found_device(folder.path()).ok();
            assert_eq!(found, expected.map(|name| folder.path().join(name)), "with {name}");
        }
    }

    #[test]
    fn one_thread_talks_at_a_time() {
        let tpm = TpmDevice::at("swtpm:host=127.0.0.1,port=1").unwrap();
        let talk = tpm.begin(&CALM).unwrap();
        let hurry = Patience { at_most: Some(Duration::from_millis(5)), ..CALM };
        assert!(matches!(tpm.begin(&hurry).err(), Some(TransportError::TimedOut { .. })));
        assert!(matches!(tpm.begin(&Patience { cancelled: &|| true, ..CALM }).err(), Some(TransportError::Cancelled)));
        drop(talk);
        assert!(tpm.begin(&CALM).is_ok());
    }

    #[test]
    fn a_setting_that_cannot_be_followed_is_named() {
        let wrong = TpmDevice::at("tabrmd:").unwrap_err().to_string();
        assert!(wrong.starts_with("TPM2TOOLS_TCTI=tabrmd:: "), "{wrong}");
    }
}
