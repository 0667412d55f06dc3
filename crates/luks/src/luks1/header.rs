//! The header of a LUKS1 volume: 592 bytes, of which there is one copy (LUKS1 on-disk format 1.2.3, figure 1).
//!
//! Everything is big endian; offsets are in sectors of 512 bytes. There is no checksum and no sequence number: whether a
//! header has changed is told by comparing it.

use crate::area::Area;
use crate::luks1::meta::{self, BLOCK, MetaState, TableBytes};
use crate::slot::Slot;
use block::{BlockError, BlockRead, Bytes, SECTOR};
use std::fmt;
use uuid::Uuid;

/// The two sectors that the header lies in. What stands behind its 592 bytes means nothing and is kept.
pub(crate) const HEADER_LEN: usize = 1024;
/// Length of every salt.
pub(crate) const SALT_LEN: usize = 32;
/// Length of the digest of the volume key.
pub(crate) const DIGEST_LEN: usize = 20;
/// Where the entries of the slots begin.
pub(crate) const ENTRIES: usize = 208;
/// Length of each.
pub(crate) const ENTRY_LEN: usize = 48;
/// What an entry in use begins with.
pub(crate) const ACTIVE: u32 = 0x00AC_71F3;
/// What any other begins with.
pub(crate) const INACTIVE: u32 = 0x0000_DEAD;

/// The header of a LUKS1 volume as it was read, once. Nothing in it has been judged: see [`crate::Allowed`].
#[derive(Clone, Debug)]
pub struct Luks1 {
    pub(crate) bytes: Box<[u8; HEADER_LEN]>,
    /// Name and mode of the cipher as dm-crypt writes them: `aes-xts-plain64`.
    pub cipher: String,
    /// The hash of the digest, of the splitter and of every slot's key derivation.
    pub hash: String,
    /// Where the data begins; 0 when the header is kept apart from it.
    pub payload: Bytes,
    /// Length of the volume key, in bytes.
    pub key_bytes: u32,
    /// PBKDF2 of the volume key, cut off at 20 bytes.
    pub(crate) digest: [u8; DIGEST_LEN],
    pub(crate) digest_salt: [u8; SALT_LEN],
    /// How many rounds the digest takes.
    pub digest_iterations: u32,
    pub(crate) uuid: Uuid,
    pub(crate) uuid_text: String,
    /// The eight slots.
    pub slots: [Luks1Slot; Slot::LUKS1],
    pub(crate) meta: MetaState,
    /// The place of the table of LUKSMeta, whatever is there.
    pub(crate) table: Option<Box<TableBytes>>,
    pub(crate) disk: Bytes,
}

/// The entry of one slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Luks1Slot {
    /// Whether it is in use.
    pub active: bool,
    /// Rounds of PBKDF2.
    pub iterations: u32,
    /// Its salt.
    pub salt: [u8; SALT_LEN],
    /// Where its key material begins.
    pub material: Bytes,
    /// How many stripes the key is split into.
    pub stripes: u32,
}

/// Why the bytes at the beginning of a disk are not a LUKS1 header.
#[derive(Debug)]
pub enum Luks1Error {
    /// The disk could not be read, or ends in the header.
    Disk {
        /// What happened.
        source: BlockError,
    },
    /// A text has no NUL at its end, or is not printable ASCII.
    Text {
        /// Which, as the specification spells it.
        field: &'static str,
    },
    /// The UUID is none.
    WrongUuid,
    /// A slot is neither active nor inactive.
    SlotState {
        /// Which slot.
        slot: u8,
        /// What it says.
        found: u32,
    },
    /// The block is cut off.
    CutOff,
}

impl Luks1 {
    /// Takes `bytes`, which stood at the beginning of `disk` and have magic and version, and reads what is in the gap.
    pub(crate) fn read(bytes: Box<[u8; HEADER_LEN]>, disk: &dyn BlockRead) -> Result<Luks1, Luks1Error> {
        let header = Luks1::parse(bytes, disk.len())?;
        let (meta, table) = meta::read(disk, header.gap());
        Ok(Luks1 { meta, table, ..header })
    }

    /// Reads the two sectors; magic and version are not looked at, nor is the gap.
    pub(crate) fn parse(bytes: Box<[u8; HEADER_LEN]>, disk: Bytes) -> Result<Luks1, Luks1Error> {
        let mut r = Reader(bytes.as_slice());
        r.array::<8>()?; // magic and version
        let (name, mode) = (r.text::<32>("cipher-name")?, r.text::<32>("cipher-mode")?);
        let hash = r.text::<32>("hash-spec")?;
        let payload = r.sectors()?;
        let key_bytes = r.u32()?;
        let (digest, digest_salt, digest_iterations) = (r.array()?, r.array()?, r.u32()?);
        let uuid_text = r.text::<40>("uuid")?;
        let uuid = Uuid::try_parse(&uuid_text).map_err(|_| Luks1Error::WrongUuid)?;
        let mut slots = Vec::with_capacity(Slot::LUKS1);
        for slot in 0..8 {
            slots.push(Luks1Slot::parse(&mut r, slot)?);
        }
        let slots = slots.try_into().map_err(|_| Luks1Error::CutOff)?;
        let cipher = format!("{name}-{mode}");
        let (meta, table) = (MetaState::NoGap, None);
        Ok(Luks1 {
            cipher,
            hash,
            payload,
            key_bytes,
            digest,
            digest_salt,
            digest_iterations,
            uuid,
            uuid_text,
            slots,
            meta,
            table,
            disk,
            bytes,
        })
    }

    /// The UUID of the volume.
    pub fn uuid(&self) -> Uuid {
        self.uuid
    }

    /// The UUID as it is written in the header.
    pub(crate) fn uuid_text(&self) -> &str {
        &self.uuid_text
    }

    /// What is in the gap between the key material and the data.
    pub fn meta(&self) -> &MetaState {
        &self.meta
    }

    /// The gap, if there is one.
    pub fn gap(&self) -> Option<Area> {
        let areas = self.slots.iter().map(|slot| slot.area(self.key_bytes));
        meta::gap(&areas.collect::<Option<Vec<_>>>()?, self.payload)
    }

    /// The blocks of the gap that the disk has. A header that is kept apart from the data, or a disk that is cut off, may end
    /// before the gap does.
    pub(crate) fn gap_on_disk(&self) -> Option<Area> {
        let there = self.gap()?.before(self.disk)?;
        Area::new(there.offset(), Bytes(there.size().0 - there.size().0 % BLOCK))
    }

    /// How long the disk was from which it was read.
    pub(crate) fn disk_len(&self) -> Bytes {
        self.disk
    }

    /// The two sectors with other entries for these slots.
    pub(crate) fn with_slots<'s>(
        &self,
        slots: impl IntoIterator<Item = (Slot, &'s Luks1Slot)>,
    ) -> Box<[u8; HEADER_LEN]> {
        let mut bytes = self.bytes.clone();
        for (slot, entry) in slots {
            let place = bytes.iter_mut().skip(ENTRIES + usize::from(slot.number()) * ENTRY_LEN);
            place.zip(entry.to_bytes()).for_each(|(to, from)| *to = from);
        }
        bytes
    }
}

impl Luks1Slot {
    fn parse(r: &mut Reader<'_>, slot: u8) -> Result<Luks1Slot, Luks1Error> {
        let active = match r.u32()? {
            ACTIVE => true,
            INACTIVE => false,
            found => return Err(Luks1Error::SlotState { slot, found }),
        };
        Ok(Luks1Slot { active, iterations: r.u32()?, salt: r.array()?, material: r.sectors()?, stripes: r.u32()? })
    }

    /// The entry as it stands on the disk.
    pub(crate) fn to_bytes(&self) -> [u8; ENTRY_LEN] {
        let state = if self.active { ACTIVE } else { INACTIVE };
        // It was read from 32 bits, or made of as many.
        let material = u32::try_from(self.material.0 / SECTOR).unwrap_or(u32::MAX);
        let mut bytes = Vec::with_capacity(ENTRY_LEN);
        bytes.extend([state, self.iterations].map(u32::to_be_bytes).concat());
        bytes.extend(self.salt);
        bytes.extend([material, self.stripes].map(u32::to_be_bytes).concat());
        let mut entry = [0; ENTRY_LEN];
        entry.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
        entry
    }
}

/// Takes fields off the front of the header.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Luks1Error> {
        let (field, rest) = self.0.split_first_chunk().ok_or(Luks1Error::CutOff)?;
        self.0 = rest;
        Ok(*field)
    }

    fn u32(&mut self) -> Result<u32, Luks1Error> {
        self.array().map(u32::from_be_bytes)
    }

    fn sectors(&mut self) -> Result<Bytes, Luks1Error> {
        // At most 2^32 times 512: no overflow.
        self.u32().map(|sectors| Bytes(u64::from(sectors) * SECTOR))
    }

    fn text<const N: usize>(&mut self, field: &'static str) -> Result<String, Luks1Error> {
        let bytes = self.array::<N>()?;
        let text = bytes.split(|b| *b == 0).next().unwrap_or_default();
        let good = text.len() < N && text.iter().all(u8::is_ascii_graphic);
        if good { Ok(String::from_utf8_lossy(text).into_owned()) } else { Err(Luks1Error::Text { field }) }
    }
}

impl fmt::Display for Luks1Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Luks1Error::Disk { .. } => f.write_str("it cannot be read"),
            Luks1Error::Text { field } => write!(f, "{field} is not a text that ends with a NUL"),
            Luks1Error::WrongUuid => f.write_str("uuid is not a UUID"),
            Luks1Error::SlotState { slot, found } => {
                write!(f, "key-slot {slot} is neither active nor inactive ({found:#010x})")
            }
            Luks1Error::CutOff => f.write_str("it is cut off"),
        }
    }
}

impl std::error::Error for Luks1Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        if let Luks1Error::Disk { source } = self { Some(source) } else { None }
    }
}
