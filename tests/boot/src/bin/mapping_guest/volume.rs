//! A volume as cryptsetup describes it, and the words in which the tests speak about mappings.

use block::Sectors;
use clevis::{Cancel, Deadline};
use compliance::Program;
use compliance::disk::PASSPHRASE;
use crypto::{Secret, VolumeKey};
use linux::dm::{
    Control, CryptFlags, CryptTable, DeviceNumber, DmError, Key, Mapping, MappingAccess, MappingName, MappingUuid,
    NewMapping, Removal, Removed, Udev, User, Wait, WhileInUse,
};
use std::path::Path;
use std::time::{Duration, Instant};

/// An encrypted disk, known from `cryptsetup luksDump` alone.
pub(crate) struct Volume {
    pub(crate) device: String,
    /// Where its header is, if that is elsewhere.
    pub(crate) header: Option<String>,
    pub(crate) format: &'static str,
    pub(crate) uuid: String,
    pub(crate) cipher: String,
    pub(crate) offset: u64,
    pub(crate) length: u64,
    pub(crate) sector_size: u32,
    pub(crate) key: VolumeKey,
}

impl Volume {
    pub(crate) fn read(device: &str, header: Option<&str>) -> Volume {
        let described = header.unwrap_or(device);
        let dump = Program::new("cryptsetup").args(["luksDump", described]).succeed().text();
        let after = |label: &str| dump.split_once(label).map(|(_, rest)| rest.split_whitespace().next().unwrap());
        let number = |label: &str| after(label).unwrap().parse::<u64>().unwrap();
        let (format, cipher, offset, sector_size) = match number("Version:") {
            1 => {
                let cipher = format!("{}-{}", after("Cipher name:").unwrap(), after("Cipher mode:").unwrap());
                ("LUKS1", cipher, number("Payload offset:"), 512)
            }
            _ => ("LUKS2", after("cipher:").unwrap().into(), number("offset:") / 512, number("sector:")),
        };
        let sectors: u64 = Program::new("blockdev").args(["--getsz", device]).succeed().text().parse().unwrap();
        let key_file = format!("/run/key-{}", std::process::id());
        let _ = std::fs::remove_file(&key_file);
        let dump_key = ["luksDump", "-q", "--dump-volume-key", "--volume-key-file", &key_file, "--key-file", "-"];
        Program::new("cryptsetup").args(dump_key).arg(described).input(PASSPHRASE).succeed();
        Volume {
            device: device.to_owned(),
            header: header.map(str::to_owned),
            format,
            uuid: after("UUID:").unwrap().to_owned(),
            cipher,
            offset,
            length: sectors - offset,
            sector_size: u32::try_from(sector_size).unwrap(),
            key: VolumeKey::new(Secret::new(std::fs::read(&key_file).unwrap())),
        }
    }

    pub(crate) fn number(&self) -> DeviceNumber {
        DeviceNumber::of(Path::new(&self.device)).unwrap()
    }

    /// What the key is called in the keyring.
    pub(crate) fn description(&self) -> String {
        format!("cryptsetup:{}-d0", self.uuid)
    }

    /// Makes a mapping as `cotter luks unlock` would.
    pub(crate) fn map(&self, name: &str) -> Result<Mapping, DmError> {
        self.map_with(name, CryptFlags::default(), MappingAccess::Write, |table| table)
    }

    /// Makes one with something else about it.
    pub(crate) fn map_with(
        &self,
        name: &str,
        flags: CryptFlags,
        access: MappingAccess,
        change: impl for<'a> FnOnce(CryptTable<'a>) -> CryptTable<'a>,
    ) -> Result<Mapping, DmError> {
        let description = self.description();
        let key = match self.format {
            "LUKS1" => Key::Inline(&self.key),
            _ => Key::Keyring { key: &self.key, description: &description },
        };
        let table = change(CryptTable {
            length: Sectors(self.length),
            cipher: &self.cipher,
            key,
            iv_offset: 0,
            device: self.number(),
            offset: Sectors(self.offset),
            flags,
            sector_size: self.sector_size,
        });
        let name = MappingName::new(name).map_err(DmError::Name)?;
        let uuid = MappingUuid::of_crypt(self.format, &self.uuid, &name);
        let new = NewMapping { name: &name, uuid: &uuid, table: &table, access, udev: Udev::found() };
        let cancel = Cancel::new();
        Control::open()?.create(&new, &Wait { until: Deadline::NEVER, cancel: &cancel })
    }

    /// `cryptsetup open`.
    pub(crate) fn open_by_cryptsetup(&self, name: &str, words: &[&str]) {
        let mut words = [words, &["open", "--key-file", "-", &self.device, name]].concat();
        if let Some(header) = &self.header {
            words.extend(["--header", header]);
        }
        Program::new("cryptsetup").args(words).input(PASSPHRASE).succeed();
    }
}

/// Removes a mapping that nobody uses.
pub(crate) fn lock(name: &str) -> Removed {
    lock_within(name, Duration::from_secs(10), WhileInUse::Wait, &mut |_| ()).unwrap()
}

pub(crate) fn lock_within(
    name: &str,
    limit: Duration,
    in_use: WhileInUse,
    tell: &mut dyn FnMut(&[User]),
) -> Result<Removed, DmError> {
    let cancel = Cancel::new();
    let wait = Wait { until: Deadline::at(Instant::now() + limit), cancel: &cancel };
    let how = Removal { in_use, udev: Udev::found() };
    let (control, name) = (Control::open()?, MappingName::new(name).unwrap());
    let found = control.find(&name)?.ok_or(DmError::NotFound { name })?;
    control.remove(&found, how, &wait, tell)
}

pub(crate) fn cryptsetup(words: &[&str]) -> String {
    Program::new("cryptsetup").args(words).input(PASSPHRASE).succeed().text()
}

pub(crate) fn dmsetup(words: &[&str]) -> String {
    Program::new("dmsetup").args(words).succeed().text()
}

/// Runs a line of the shell, which must succeed.
pub(crate) fn shell(line: &str) -> String {
    Program::new("sh").args(["-ec", line]).succeed().text()
}

/// How many keys whose description begins so are in the kernel, after the time that it takes to clear up.
pub(crate) fn keys(description: &str) -> usize {
    let count = || std::fs::read_to_string("/proc/keys").unwrap().matches(&format!(" {description}")).count();
    for _ in 0..500 {
        if count() == 0 {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    count()
}

/// Asserts that `text` has every part.
#[track_caller]
pub(crate) fn has(text: &str, parts: &[&str]) {
    for part in parts {
        let squeezed = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(squeezed.contains(part), "no {part:?} in: {text}");
    }
}
