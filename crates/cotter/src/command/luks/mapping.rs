//! What a volume's mapping will be, before anything is done for it: a value made of the header and the arguments.

use crate::args::Requests;
use crate::error::CommandError;
use crate::output;
use ::luks::{Accepted, Data, Difference, Flag, SealState, Version};
use block::{Bytes, SECTOR, Sectors};
use crypto::VolumeKey;
use json::Object;
use linux::dm::{CryptFlags, CryptTable, DeviceNumber, Key, MappingName, MappingUuid};

/// A mapping that is to be made, by the names and numbers that libcryptsetup gives it.
#[derive(Debug)]
pub struct Plan {
    pub name: MappingName,
    pub uuid: MappingUuid,
    version: Version,
    data: Data,
    length: Sectors,
    pub flags: CryptFlags,
    /// What is asked for here; the rest of the flags stands in the header.
    asked: CryptFlags,
    /// What the key is called in the kernel's keyring; with LUKS1 it does not go there.
    description: Option<String>,
}

impl Plan {
    /// The mapping of the volume with this header, whose data is on a disk so long.
    pub fn new(name: Option<&str>, requests: Requests, header: &Accepted, disk: Bytes) -> Result<Plan, CommandError> {
        let volume = header.header().uuid_text();
        let name = name.map_or_else(|| format!("luks-{volume}"), str::to_owned);
        let name = MappingName::new(&name).map_err(|source| {
            let hint = source.hint();
            CommandError::failed("there is no such mapping", source).hint(hint).into_usage()
        })?;
        let version = header.header().version();
        let digest = digest(header);
        Ok(Plan {
            uuid: MappingUuid::of_crypt(&version.to_string(), &volume, &name),
            name,
            version,
            data: *header.data(),
            length: length(header.data(), disk)?,
            flags: with_kept(asked(requests), header),
            asked: asked(requests),
            description: digest.map(|digest| format!("cryptsetup:{volume}-d{digest}")),
        })
    }

    /// Leaves out the flags of the header if they are not those that were sealed.
    pub fn heed(&mut self, seal: &SealState) {
        let SealState::Sealed { differences, .. } = seal else { return };
        if differences.contains(&Difference::FlagsChanged) {
            self.flags = self.asked;
            output::say("the flags in the header are not those that were sealed, and do not count");
        }
    }

    /// The table, with its key, of data on this device.
    pub fn table<'a>(&'a self, key: &'a VolumeKey, device: DeviceNumber) -> CryptTable<'a> {
        CryptTable {
            length: self.length,
            cipher: self.data.cipher.name(),
            key: match &self.description {
                Some(description) => Key::Keyring { key, description },
                None => Key::Inline(key),
            },
            iv_offset: self.data.iv_tweak,
            device,
            offset: Sectors(self.data.offset.0 / SECTOR),
            flags: self.flags,
            sector_size: self.data.sector_size.bytes(),
        }
    }

    /// For a program that reads it.
    pub fn record(&self) -> Object {
        Object::new()
            .with("name", self.name.as_str())
            .with("uuid", self.uuid.as_str())
            .with("version", self.version.to_string())
            .with("cipher", self.data.cipher.name())
            .with("sector_size", u64::from(self.data.sector_size.bytes()))
            .with("offset", self.data.offset.0)
            .with("length", self.length.0.saturating_mul(SECTOR))
            .with("flags", self.flags.set().map(|flag| flag.to_string()).collect::<Vec<_>>())
    }
}

/// The digest of the data's key, by its name; there is exactly one in an accepted header.
fn digest(header: &Accepted) -> Option<String> {
    let metadata = header.header().as_luks2()?.metadata();
    let segment = metadata.segments.keys().next()?;
    let (name, _) = metadata.digests.iter().find(|(_, digest)| digest.segments.contains(segment))?;
    Some(name.clone())
}

/// How long the data is: as the header says, or to the last whole sector of the disk.
fn length(data: &Data, disk: Bytes) -> Result<Sectors, CommandError> {
    let sector = u64::from(data.sector_size.bytes());
    let room = disk.checked_sub(data.offset).map_or(0, |room| room.0 - room.0 % sector);
    match data.size {
        _ if room == 0 => Err(CommandError::plain(format!("the disk ends before the data begins, at {}", data.offset))),
        Some(size) if size.0 > room => {
            Err(CommandError::plain(format!("the disk is too short: {size} of data begin at {}", data.offset)))
        }
        Some(size) => Ok(Sectors(size.0 / SECTOR)),
        None => Ok(Sectors(room / SECTOR)),
    }
}

/// What is asked for here.
fn asked(asked: Requests) -> CryptFlags {
    CryptFlags {
        allow_discards: asked.allow_discards,
        same_cpu_crypt: asked.perf_same_cpu_crypt,
        submit_from_crypt_cpus: asked.perf_submit_from_crypt_cpus,
        no_read_workqueue: asked.perf_no_read_workqueue,
        no_write_workqueue: asked.perf_no_write_workqueue,
    }
}

/// The same with what is asked for in the header.
fn with_kept(mut flags: CryptFlags, header: &Accepted) -> CryptFlags {
    let kept = header.header().as_luks2().map(|header| header.metadata().config.flags.as_slice());
    for name in kept.unwrap_or_default() {
        match Flag::from_name(name) {
            Some(Flag::AllowDiscards) => flags.allow_discards = true,
            Some(Flag::SameCpuCrypt) => flags.same_cpu_crypt = true,
            Some(Flag::SubmitFromCryptCpus) => flags.submit_from_crypt_cpus = true,
            Some(Flag::NoReadWorkqueue) => flags.no_read_workqueue = true,
            Some(Flag::NoWriteWorkqueue) => flags.no_write_workqueue = true,
            None => output::say(&format!("the header's flag {name:?} is not known and does not count")),
        }
    }
    flags
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::luks::{Cipher, SectorSize};

    #[test]
    fn data_ends_with_its_last_whole_sector() {
        let data = |size, sector| Data {
            offset: Bytes(4096),
            size,
            cipher: Cipher::AesXtsPlain64,
            sector_size: SectorSize::new(sector).unwrap(),
            iv_tweak: 0,
        };
        let check = |size: Option<u64>, sector, disk, expected: Option<u64>| {
            let found = length(&data(size.map(Bytes), sector), Bytes(disk));
            assert_eq!(found.ok().map(|length| length.0), expected, "{size:?} {sector} {disk}");
        };
        check(None, 512, 4096 + 1023, Some(1));
        check(None, 4096, 4096 + 8191, Some(8));
        check(None, 4096, 4096 + 4095, None);
        check(None, 512, 100, None);
        check(Some(512), 512, 4096 + 1024, Some(1));
        check(Some(1536), 512, 4096 + 1024, None);
    }
}
