//! Making a mapping: a device without a table, the table with its key, the table put to use, the name in `/dev/mapper`.

use super::control::Control;
use super::error::DmError;
use super::message::{self, Command, Malformed, Message, Whom};
use super::name::{MappingName, MappingUuid};
use super::node::{self, DIRECTORY};
use super::number::DeviceNumber;
use super::table::{CRYPT, CryptFlag, CryptTable, Key, KeyPlace, TargetVersion};
use super::udev::{Cookie, Udev};
use super::users::users_of;
use super::wait::Wait;
use crate::clock::deadline_after;
use crate::keyring::{KeyringError, ThreadKey};
use clevis::Cancel;
use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};
use rustix::io::Errno;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long udev's look at a new device may keep us from taking it away again.
const CLEAN_UP: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(20);
/// How long others may take to make their mappings.
const TURN: Duration = Duration::from_secs(30);

/// A mapping to be made.
#[derive(Clone, Copy, Debug)]
pub struct NewMapping<'a> {
    /// Its name.
    pub name: &'a MappingName,
    /// What it is and whose.
    pub uuid: &'a MappingUuid,
    /// What it is made of.
    pub table: &'a CryptTable<'a>,
    /// What it may be used for.
    pub access: MappingAccess,
    /// Who makes its name.
    pub udev: Udev,
}

/// What a mapping may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MappingAccess {
    /// Reading only; the device below may be read-only.
    Read,
    /// Reading and writing.
    Write,
}

/// A mapping that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// Its name.
    pub name: MappingName,
    /// Its number.
    pub device: DeviceNumber,
    /// Where it is to be had.
    pub node: PathBuf,
    /// How the kernel came by the key.
    pub key: KeyPlace,
    /// What was asked for and does not hold, because this kernel does not know it.
    pub left_out: Vec<CryptFlag>,
    /// udev has not said in time that it is done: links of its making may come later, or never.
    pub udev_is_late: bool,
}

impl Control {
    /// Makes a mapping, and nothing if any of it fails. `wait` is for udev, which is waited for at most half a minute; a mapping
    /// is as good without.
    ///
    /// The key is in this thread's keyring only while the table is loaded ([`Key::Keyring`]), and in no buffer afterwards.
    ///
    /// # Errors
    /// [`DmError`], each but those about removing.
    pub fn create(&self, new: &NewMapping<'_>, wait: &Wait<'_>) -> Result<Mapping, DmError> {
        // Better known before there is a mapping than after.
        node::check_free(new.name).map_err(|source| DmError::Node { path: node::path(new.name), source })?;
        let turn = Turn::take(wait)?;
        let device = self.create_empty(new)?;
        let made = self.fill(new, device, turn, wait);
        made.map_err(|why| match self.take_back(new.name, device) {
            TakenBack::Gone => why,
            TakenBack::Later => DmError::LeftBehind { name: new.name.clone(), why: Box::new(why), goes: true },
            TakenBack::No => DmError::LeftBehind { name: new.name.clone(), why: Box::new(why), goes: false },
        })
    }

    /// The kernel keeps mounts and mappings apart, but lets any number of mappings share a device, and two of one volume would
    /// ruin what is in it.
    fn check_unused(&self, device: DeviceNumber) -> Result<(), DmError> {
        if self.on_device(device)?.is_empty() {
            return Ok(());
        }
        Err(DmError::DeviceInUse { device, users: users_of(device) })
    }

    /// Whether a mapping of that name and UUID, on that device if one is named, would meet none that is there: to be asked before
    /// anything long is done for it. [`Control::create`] finds out for itself.
    ///
    /// # Errors
    /// [`DmError::NameInUse`], [`DmError::UuidInUse`], [`DmError::DeviceInUse`].
    pub fn check_free(
        &self,
        name: &MappingName,
        uuid: &MappingUuid,
        device: Option<DeviceNumber>,
    ) -> Result<(), DmError> {
        if let Some(taken) = self.who_has_it(name, uuid)? {
            return Err(taken);
        }
        device.map_or(Ok(()), |device| self.check_unused(device))
    }

    /// A device of that name without a table, which nobody can use yet.
    fn create_empty(&self, new: &NewMapping<'_>) -> Result<DeviceNumber, DmError> {
        let doing = "make a mapping";
        let request = Message::new(Whom::New(new.name, new.uuid), 0);
        match self.ask(doing, Command::Create, request) {
            Ok(answer) => answer.device().map_err(|Malformed| DmError::Malformed { doing }),
            Err(DmError::Failed { source, .. }) if Errno::from_io_error(&source) == Some(Errno::BUSY) => {
                Err(self.who_has_it(new.name, new.uuid)?.unwrap_or(DmError::Failed { doing, source }))
            }
            Err(error) => Err(error),
        }
    }

    /// Which mapping has the name, or the UUID, that a new one was to have.
    fn who_has_it(&self, name: &MappingName, uuid: &MappingUuid) -> Result<Option<DmError>, DmError> {
        if let Some(status) = self.find(name)? {
            let uuid = status.uuid.map(|uuid| uuid.as_str().to_owned());
            return Ok(Some(DmError::NameInUse { name: status.name, uuid, on: status.on }));
        }
        let other = self.find_by_uuid(uuid)?;
        Ok(other.map(|status| DmError::UuidInUse { name: status.name }))
    }

    fn fill(
        &self,
        new: &NewMapping<'_>,
        device: DeviceNumber,
        turn: Turn,
        wait: &Wait<'_>,
    ) -> Result<Mapping, DmError> {
        self.check_unused(new.table.device)?;
        // Not every kernel looks; writing would fail later, one request at a time.
        if new.access == MappingAccess::Write && new.table.device.is_read_only() {
            return Err(DmError::ReadOnlyDevice { device: new.table.device });
        }
        let version = self.crypt_version_for(device)?;
        let (key, left_out) = self.load(new, device, version)?;
        read_ahead(new.table.device, device);
        let cookie = Cookie::new(new.udev);
        let resume = Message::new(Whom::Number(device), 0).event(cookie.event());
        let answer = self.ask("put the table to use", Command::Suspend, resume)?;
        // From here on the others can see that the device is taken.
        drop(turn);
        let told = !answer.has(message::UEVENT) || cookie.wait(wait);
        let path = node::path(new.name);
        node::ensure(new.name, device, new.udev).map_err(|source| DmError::Node { path: path.clone(), source })?;
        Ok(Mapping { name: new.name.clone(), device, node: path, key, left_out, udev_is_late: !told })
    }

    /// The version of the crypt target. A kernel that only lists what it has loaded is made to load it: it does when a table
    /// names it, even one that it then refuses.
    fn crypt_version_for(&self, device: DeviceNumber) -> Result<TargetVersion, DmError> {
        if let Some(version) = self.crypt_version()? {
            return Ok(version);
        }
        let mut nudge = Message::with_table(Whom::Number(device), block::Sectors(1), CRYPT, b"");
        let _ = self.send(Command::TableLoad, &mut nudge);
        self.crypt_version()?.ok_or(DmError::NoCryptTarget)
    }

    /// Loads the table, with the key in the keyring or in the table itself.
    fn load(
        &self,
        new: &NewMapping<'_>,
        device: DeviceNumber,
        version: TargetVersion,
    ) -> Result<(KeyPlace, Vec<CryptFlag>), DmError> {
        let held = key_in_keyring(new.table.key, version)?;
        let place = if held.is_some() { KeyPlace::Keyring } else { KeyPlace::Table };
        let line = new.table.line(version, place).map_err(DmError::Table)?;
        let access = match new.access {
            MappingAccess::Read => message::READ_ONLY,
            MappingAccess::Write => 0,
        };
        let mut request = Message::with_table(Whom::Number(device), new.table.length, CRYPT, &line.text)
            .flags(message::SECRET | access);
        let loaded = self.send(Command::TableLoad, &mut request);
        drop(held);
        loaded.map_err(|source| not_loaded(new.table, version, source))?;
        Ok((place, line.left_out))
    }

    /// Takes a mapping away that did not come to be; if it is in use all the time, the kernel is to do it later.
    fn take_back(&self, name: &MappingName, device: DeviceNumber) -> TakenBack {
        // Whoever does not want to wait any longer wants the key left behind even less.
        let cancel = Cancel::new();
        let wait = Wait { until: deadline_after(CLEAN_UP), cancel: &cancel };
        let is_busy = |error: &io::Error| Errno::from_io_error(error) == Some(Errno::BUSY);
        let removed = loop {
            match self.send_remove(device, 0) {
                Err(error) if is_busy(&error) && wait.pause(PAUSE) => {}
                Err(error) if is_busy(&error) => break self.send_remove(device, message::DEFERRED),
                removed => break removed,
            }
        };
        match removed {
            Ok(answer) if answer.has(message::DEFERRED) && !answer.has(message::UEVENT) => return TakenBack::Later,
            Err(error) if Errno::from_io_error(&error) != Some(Errno::NXIO) => return TakenBack::No,
            Ok(_) | Err(_) => {}
        }
        node::remove(name, device);
        TakenBack::Gone
    }

    /// The answer to it.
    fn send_remove(&self, device: DeviceNumber, flags: u32) -> io::Result<Message> {
        let mut request = Message::new(Whom::Number(device), 0).flags(flags).event(Cookie::new(Udev::Absent).event());
        self.send(Command::Remove, &mut request).map(|()| request)
    }
}

/// What became of a mapping that was taken back.
enum TakenBack {
    Gone,
    /// It goes when its last user leaves.
    Later,
    No,
}

/// The right to look for a mapping and to make one: two that look at once would find none, and both would map the volume. It is
/// `flock` on the device mapper's own node, which every maker of mappings has; nobody else is known to lock it.
struct Turn {
    _locked: OwnedFd,
}

impl Turn {
    /// Waits for the others, who need no more than the time of a few calls.
    fn take(wait: &Wait<'_>) -> Result<Turn, DmError> {
        let wait = wait.at_most(TURN);
        // A descriptor of its own: such a lock belongs to one.
        let node = open(Path::new(DIRECTORY).join("control"), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        let failed = |error: Errno| DmError::Failed { doing: "lock the device mapper", source: error.into() };
        let node = node.map_err(failed)?;
        loop {
            match flock(&node, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Turn { _locked: node }),
                Err(Errno::WOULDBLOCK) if wait.pause(PAUSE) => {}
                Err(Errno::WOULDBLOCK) => return Err(DmError::NotOurTurn),
                Err(error) => return Err(failed(error)),
            }
        }
    }
}

/// The key in the keyring, if it is to be there and this kernel can have it from there.
fn key_in_keyring(key: Key<'_>, version: TargetVersion) -> Result<Option<ThreadKey>, DmError> {
    match key {
        Key::Keyring { key, description } if version.knows_keyring() => match ThreadKey::add(description, key) {
            Ok(held) => Ok(Some(held)),
            Err(KeyringError::Unknown) => Ok(None),
            Err(error) => Err(DmError::Keyring(error)),
        },
        Key::Keyring { .. } | Key::Inline(_) => Ok(None),
    }
}

fn not_loaded(table: &CryptTable<'_>, version: TargetVersion, source: io::Error) -> DmError {
    let device = table.device;
    match Errno::from_io_error(&source) {
        Some(Errno::BUSY) => DmError::DeviceInUse { device, users: users_of(device) },
        Some(Errno::ROFS | Errno::ACCESS) => DmError::ReadOnlyDevice { device },
        Some(Errno::NXIO | Errno::NODEV) => DmError::DeviceGone { device },
        Some(Errno::NOENT) => {
            let key_bits = table.key.volume_key().expose().len().saturating_mul(8);
            DmError::Cipher { cipher: table.cipher.to_owned(), key_bits }
        }
        _ => DmError::Refused { version, source },
    }
}

/// Lets the mapping read ahead as far as the device below it does, as libcryptsetup asks for; the kernel gives a new one its
/// own default. Nothing depends on it.
fn read_ahead(below: DeviceNumber, mapping: DeviceNumber) {
    let path = |device: DeviceNumber, above: &str| {
        Path::new("/sys/dev/block").join(device.to_string()).join(above).join("bdi/read_ahead_kb")
    };
    let read = |path: PathBuf| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    // A partition has that of the disk it is on.
    let (below, ours) = (read(path(below, "")).or_else(|| read(path(below, ".."))), read(path(mapping, "")));
    if let (Some(below), Some(ours)) = (below, ours)
        && below > ours
    {
        let _ = fs::write(path(mapping, ""), below.to_string());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::table::CryptFlags;
    use super::*;
    use block::Sectors;
    use crypto::{Secret, VolumeKey};

    #[test]
    fn what_the_kernel_says_of_a_table_keeps_its_meaning() {
        let key = VolumeKey::new(Secret::copied_from(&[1; 32]));
        let device = DeviceNumber { major: 250, minor: 999_999 };
        let (length, offset, flags) = (Sectors(8), Sectors(0), CryptFlags::default());
        let key = Key::Inline(&key);
        let table =
            CryptTable { length, cipher: "aes-lrw-benbi", key, iv_offset: 0, device, offset, flags, sector_size: 512 };
        let version = TargetVersion(1, 24, 0);
        let error = |errno: Errno| not_loaded(&table, version, errno.into());
        assert!(matches!(error(Errno::BUSY), DmError::DeviceInUse { users, .. } if users.is_empty()));
        let read_only = error(Errno::ROFS);
        assert!(matches!(read_only, DmError::ReadOnlyDevice { .. }) && read_only.hint().contains("--read-only"));
        assert!(matches!(error(Errno::NXIO), DmError::DeviceGone { .. }));
        let cipher = error(Errno::NOENT);
        assert_eq!(cipher.to_string(), "the kernel does not have the cipher aes-lrw-benbi with a key of 256 bits");
        assert!(matches!(error(Errno::INVAL), DmError::Refused { .. }));
    }

    #[test]
    fn an_old_kernel_gets_the_key_in_the_table() {
        let key = VolumeKey::new(Secret::copied_from(&[1; 32]));
        let description = "cotter-test:old-kernel";
        let wanted = Key::Keyring { key: &key, description };
        assert!(key_in_keyring(wanted, TargetVersion(1, 18, 0)).unwrap().is_none());
        assert!(key_in_keyring(Key::Inline(&key), TargetVersion(1, 24, 0)).unwrap().is_none());
        assert!(key_in_keyring(wanted, TargetVersion(1, 18, 1)).unwrap().is_some());
    }
}
