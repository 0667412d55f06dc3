//! The device mapper's control node: opened, asked, answered.

use super::error::DmError;
use super::message::{self, Command, Malformed, Message, Target, Whom};
use super::name::{MappingName, MappingUuid};
use super::node::DIRECTORY;
use super::number::DeviceNumber;
use super::table::{CRYPT, TargetVersion};
use crate::sys::device_mapper;
use rustix::fs::{CWD, FileType, Mode, OFlags, makedev, mkdir, mknodat, open};
use rustix::io::Errno;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// The device mapper's own number among the devices of the major number 10, if it is not loaded yet: opening it loads it.
const MINOR: u32 = 236;
const MAJOR: u32 = 10;
/// What libdevmapper gives the kernel to answer in; enough for any question here about one mapping.
const ROOM: usize = 16 << 10;
/// The kernel itself takes no more.
const MOST_ROOM: usize = 1 << 20;

/// The kernel's device mapper.
#[derive(Debug)]
pub struct Control {
    node: OwnedFd,
}

/// What is known about a mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Its name.
    pub name: MappingName,
    /// What it is and whose.
    pub uuid: Option<MappingUuid>,
    /// Its own number.
    pub device: DeviceNumber,
    /// How many have it open, mounts among them.
    pub open_count: u32,
    /// It cannot be written.
    pub read_only: bool,
    /// Its requests wait.
    pub suspended: bool,
    /// It goes when its last user has left.
    pub deferred: bool,
    /// What it is made of; empty without a table.
    pub targets: Vec<Target>,
    /// The devices it is on.
    pub on: Vec<DeviceNumber>,
}

impl Status {
    /// Whether it is an encrypted volume that one mapping is all of, as libcryptsetup and we make them: LUKS, or one without a
    /// header. What cryptsetup makes for other formats, or as a part of a volume, is not.
    pub fn is_crypt(&self) -> bool {
        let format = self.uuid.as_ref().and_then(MappingUuid::crypt_format);
        matches!(format, Some("LUKS1" | "LUKS2" | "PLAIN"))
    }
}

impl Control {
    /// Opens `/dev/mapper/control`, and makes it first where nobody does, as in an initramfs without udev.
    ///
    /// # Errors
    /// [`DmError::NoDeviceMapper`], [`DmError::Denied`], [`DmError::Interface`], [`DmError::Failed`].
    pub fn open() -> Result<Control, DmError> {
        let path = Path::new(DIRECTORY).join("control");
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        let opened = match open(&path, flags, Mode::empty()) {
            Err(Errno::NOENT) => {
                make_control(&path)?;
                // One that leads nowhere is not left behind.
                open(&path, flags, Mode::empty()).inspect_err(|_| unmake_control(&path))
            }
            opened => opened,
        };
        let control = Control { node: opened.map_err(not_opened)? };
        match control.ask("speak with the device mapper", Command::Version, Message::new(Whom::Nobody, 0))?.version() {
            Ok([4, ..]) => Ok(control),
            Ok(version) => Err(DmError::Interface { version }),
            Err(Malformed) => Err(DmError::Malformed { doing: "speak with the device mapper" }),
        }
    }

    /// What is known about the mapping of this name; `None` if there is none.
    ///
    /// # Errors
    /// [`DmError::Malformed`], [`DmError::Failed`].
    pub fn find(&self, name: &MappingName) -> Result<Option<Status>, DmError> {
        self.status(Whom::Name(name))
    }

    /// The mapping of this UUID.
    ///
    /// # Errors
    /// As for [`Control::find`].
    pub fn find_by_uuid(&self, uuid: &MappingUuid) -> Result<Option<Status>, DmError> {
        self.status(Whom::Uuid(uuid))
    }

    /// The mappings that are directly on a device.
    ///
    /// # Errors
    /// As for [`Control::find`].
    pub fn on_device(&self, device: DeviceNumber) -> Result<Vec<Status>, DmError> {
        let mut found = Vec::new();
        for (_, number) in self.list()? {
            if self.below(number)?.is_some_and(|below| below.contains(&device)) {
                found.extend(self.status(Whom::Number(number))?);
            }
        }
        Ok(found)
    }

    /// The devices that a mapping is on.
    fn below(&self, mapping: DeviceNumber) -> Result<Option<Vec<DeviceNumber>>, DmError> {
        let doing = "ask what a mapping is on";
        let question = Message::new(Whom::Number(mapping), ROOM);
        let answer = found(self.ask(doing, Command::TableDependencies, question))?;
        answer.map(|answer| answer.dependencies().map_err(|Malformed| DmError::Malformed { doing })).transpose()
    }

    /// All mappings.
    ///
    /// # Errors
    /// As for [`Control::find`].
    pub fn list(&self) -> Result<Vec<(MappingName, DeviceNumber)>, DmError> {
        let doing = "list the mappings";
        let answer = self.ask(doing, Command::ListDevices, Message::new(Whom::Nobody, ROOM))?;
        answer.devices().map_err(|Malformed| DmError::Malformed { doing })
    }

    fn status(&self, whom: Whom<'_>) -> Result<Option<Status>, DmError> {
        let doing = "ask about a mapping";
        let question = Message::new(whom, ROOM).flags(message::NO_FLUSH);
        let Some(status) = found(self.ask(doing, Command::TableStatus, question))? else { return Ok(None) };
        let malformed = |Malformed| DmError::Malformed { doing };
        let device = status.device().map_err(malformed)?;
        let Some(on) = self.below(device)? else { return Ok(None) };
        Ok(Some(Status {
            name: status.name().map_err(malformed)?,
            uuid: status.uuid().map_err(malformed)?,
            device,
            open_count: status.open_count().map_err(malformed)?,
            read_only: status.has(message::READ_ONLY),
            suspended: status.has(message::SUSPENDED),
            deferred: status.has(message::DEFERRED),
            targets: status.targets().map_err(malformed)?,
            on,
        }))
    }

    /// The version of the kernel's crypt target; asking makes the kernel load it. `None` if the kernel does not have it, or is
    /// so old (before 5.5) that it only lists what it has loaded.
    pub(super) fn crypt_version(&self) -> Result<Option<TargetVersion>, DmError> {
        let doing = "ask for the version of the crypt target";
        let mut question = Message::about_target(CRYPT, ROOM);
        let answer = match self.send(Command::TargetVersion, &mut question) {
            Ok(()) => question,
            Err(_) => self.ask(doing, Command::ListVersions, Message::new(Whom::Nobody, ROOM))?,
        };
        answer.target_version(CRYPT).map_err(|Malformed| DmError::Malformed { doing })
    }

    /// Sends a request and returns the answer.
    ///
    /// # Errors
    /// [`DmError::Failed`].
    pub(super) fn ask(&self, doing: &'static str, command: Command, request: Message) -> Result<Message, DmError> {
        let failed = |source| DmError::Failed { doing, source };
        let mut message = request.longer_by(0);
        self.send(command, &mut message).map_err(failed)?;
        let mut room = ROOM;
        while message.has(message::BUFFER_FULL) && room < MOST_ROOM {
            room *= 2;
            message = request.longer_by(room);
            self.send(command, &mut message).map_err(failed)?;
        }
        Ok(message)
    }

    /// Sends a request, which the answer takes the place of.
    pub(super) fn send(&self, command: Command, message: &mut Message) -> io::Result<()> {
        device_mapper(self.node.as_fd(), command.number(), message.bytes_mut())
    }
}

/// `None` for a mapping that is not there.
pub(super) fn found<T>(answer: Result<T, DmError>) -> Result<Option<T>, DmError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(DmError::Failed { source, .. }) if Errno::from_io_error(&source) == Some(Errno::NXIO) => Ok(None),
        Err(error) => Err(error),
    }
}

fn not_opened(error: Errno) -> DmError {
    match error {
        Errno::ACCESS | Errno::PERM => DmError::Denied,
        Errno::NODEV | Errno::NXIO | Errno::NOENT => DmError::NoDeviceMapper { source: error.into() },
        _ => DmError::Failed { doing: "open the device mapper's control node", source: error.into() },
    }
}

/// Makes the control node, by the number under which the kernel lists it; if it does not, by the one that loads it.
fn make_control(path: &Path) -> Result<(), DmError> {
    match mkdir(DIRECTORY, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(not_opened(error)),
    }
    let minor = fs::read_to_string("/proc/misc").ok().and_then(|table| minor_in(&table)).unwrap_or(MINOR);
    match mknodat(CWD, path, FileType::CharacterDevice, Mode::RUSR | Mode::WUSR, makedev(MAJOR, minor)) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(not_opened(error)),
    }
}

fn unmake_control(path: &Path) {
    let _ = fs::remove_file(path);
    let _ = fs::remove_dir(DIRECTORY); // stays if there is anything in it
}

/// The device mapper's number in a table like `/proc/misc`.
fn minor_in(table: &str) -> Option<u32> {
    let mut lines = table.lines().map(str::split_whitespace);
    lines.find_map(|mut line| {
        let minor = line.next()?;
        line.next().filter(|name| *name == "device-mapper").and_then(|_| minor.parse().ok())
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_control_nodes_number_is_that_of_the_kernels_table() {
        let table = "236 device-mapper\n237 loop-control\n\n";
        assert_eq!((minor_in(table), minor_in("237 loop-control\n58 \n"), minor_in("")), (Some(236), None, None));
    }

    #[test]
    fn why_it_cannot_be_opened_is_said_with_a_way_out() {
        assert!(matches!(not_opened(Errno::ACCESS), DmError::Denied));
        let none = not_opened(Errno::NODEV);
        assert!(matches!(none, DmError::NoDeviceMapper { .. }) && none.hint().contains("modprobe dm-mod"), "{none}");
        assert!(matches!(not_opened(Errno::MFILE), DmError::Failed { .. }));
    }

    #[test]
    fn a_mapping_that_is_not_there_is_no_error() {
        let failed = |errno: Errno| DmError::Failed { doing: "ask", source: errno.into() };
        assert!(matches!(found::<()>(Err(failed(Errno::NXIO))), Ok(None)));
        assert!(found::<()>(Err(failed(Errno::NOMEM))).is_err());
        assert!(matches!(found(Ok(1)), Ok(Some(1))));
    }
}
