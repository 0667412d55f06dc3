//! What a partition table says, whichever scheme it is written in.

use crate::disk::BlockError;
use crate::unit::Bytes;
use std::fmt;
use uuid::Uuid;

/// A partition table that was read and checked.
#[derive(Debug)]
pub struct Table {
    /// How it is written on the disk.
    pub scheme: Scheme,
    /// In the order of their numbers; none of them overlap and all lie inside the disk.
    pub partitions: Vec<Partition>,
}

impl Table {
    /// The partition that Linux gives `number`.
    pub fn partition(&self, number: u32) -> Option<&Partition> {
        self.partitions.iter().find(|partition| partition.number == number)
    }
}

/// How a table is written on the disk.
#[derive(Debug)]
pub enum Scheme {
    /// The PC's master boot record, in sectors of 512 bytes.
    Mbr {
        /// The number by which Windows and Linux's PARTUUID tell disks apart.
        disk_id: u32,
    },
    /// The GUID partition table.
    Gpt {
        /// The disk's own identity.
        disk_uuid: Uuid,
        /// The unit in which the table counts.
        sector_size: SectorSize,
        /// Set when only one of the two copies is good; a person should repair the other.
        damage: Option<Damage>,
    },
}

/// The unit in which a GPT counts: the logical sector of the device it was made on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SectorSize {
    /// 512 bytes: almost every disk and image.
    B512,
    /// 4096 bytes: "4Kn" devices.
    B4096,
}

impl SectorSize {
    /// The size itself.
    pub fn bytes(self) -> Bytes {
        match self {
            SectorSize::B512 => Bytes(512),
            SectorSize::B4096 => Bytes(4096),
        }
    }
}

/// Which copy of a GPT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copies {
    /// At the start of the disk.
    Primary,
    /// At its end.
    Backup,
}

/// The copy of a GPT that could not be used although the other one could.
#[derive(Debug)]
pub struct Damage {
    /// The bad one.
    pub copy: Copies,
    /// What is wrong with it.
    pub fault: HeaderFault,
}

/// A run of a disk with a purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Counted from 1, as in `/dev/sda1`; logical MBR partitions start at 5.
    pub number: u32,
    /// Where it begins.
    pub start: Bytes,
    /// How long it is; never zero.
    pub length: Bytes,
    /// What it is said to hold.
    pub kind: Kind,
    /// Its label, empty on MBR. Control characters are replaced, so it may be shown on a terminal.
    pub name: String,
    /// Its own identity; none on MBR.
    pub uuid: Option<Uuid>,
}

impl Partition {
    /// The first byte behind it. It cannot overflow in a [`Table`], whose partitions lie inside the disk.
    pub fn end(&self) -> Bytes {
        Bytes(self.start.0.saturating_add(self.length.0))
    }
}

/// What a partition is said to hold. Only a hint: look at its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The type byte of an MBR partition, such as 0x83.
    Mbr(u8),
    /// The type GUID of a GPT partition.
    Gpt(Uuid),
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Mbr(byte) => write!(f, "0x{byte:02x}"),
            Kind::Gpt(uuid) => write!(f, "{uuid}"),
        }
    }
}

/// Refuses partitions that share bytes, naming the two.
pub(super) fn check_apart(partitions: &[Partition]) -> Result<(), PartitionError> {
    let mut by_start: Vec<&Partition> = partitions.iter().collect();
    by_start.sort_by_key(|partition| partition.start);
    for (one, next) in by_start.iter().zip(by_start.iter().skip(1)) {
        if one.end() > next.start {
            return Err(PartitionError::Overlap {
                first: one.number.min(next.number),
                second: one.number.max(next.number),
            });
        }
    }
    Ok(())
}

/// Why a partition table cannot be used.
#[derive(Debug)]
pub enum PartitionError {
    /// The disk could not be read.
    Disk(BlockError),
    /// The MBR announces a GPT, and neither copy of it is good.
    NoGoodGpt {
        /// What is wrong with the copy at the start.
        primary: HeaderFault,
        /// What is wrong with the copy at the end.
        backup: HeaderFault,
    },
    /// A partition begins or ends where no partition may.
    OutOfRange {
        /// Which.
        number: u32,
        /// Its first byte; 2^64 - 1 for everything beyond.
        start: Bytes,
        /// The first byte behind it, likewise.
        end: Bytes,
        /// The first byte a partition may use.
        lowest: Bytes,
        /// The first byte it may not.
        highest: Bytes,
    },
    /// Two partitions share bytes.
    Overlap {
        /// The lower number.
        first: u32,
        /// The higher number.
        second: u32,
    },
    /// The MBR has more than one extended partition, so the logical ones have no certain numbers.
    SeveralExtended,
    /// The chain of logical partitions is broken.
    Chain {
        /// Where the link stands that is wrong.
        at: Bytes,
        /// How.
        fault: ChainFault,
    },
}

/// What is wrong with one copy of a GPT.
#[derive(Debug)]
pub enum HeaderFault {
    /// It could not be read, or would lie outside the disk.
    Unreadable(BlockError),
    /// There is no `EFI PART` where it should be.
    NoSignature,
    /// `HeaderSize` is below 92 or above the sector.
    HeaderSize(u32),
    /// `HeaderCRC32` does not match.
    HeaderChecksum,
    /// The revision is not 1.0.
    Revision(u32),
    /// `MyLBA` names another place: a copy of another disk's end, or a disk that was cut or grown.
    WrongPlace {
        /// The sector it says it is in.
        says: u64,
        /// The sector it is in.
        is: u64,
    },
    /// `SizeOfPartitionEntry` is not 128, 256, ... 4096.
    EntrySize(u32),
    /// `NumberOfPartitionEntries` is beyond [`super::gpt::MOST_ENTRIES`], or the array beyond its limit.
    EntryCount(u32),
    /// The usable sectors are none, or reach into the headers or behind the end.
    UsableRange {
        /// `FirstUsableLBA`.
        first: u64,
        /// `LastUsableLBA`.
        last: u64,
    },
    /// The array of entries lies where partitions may lie, or outside the disk.
    EntriesPlace(u64),
    /// `PartitionEntryArrayCRC32` does not match.
    EntriesChecksum,
    /// It is good and says something else than the primary copy.
    Differs,
}

/// What is wrong with a link of the chain of logical partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainFault {
    /// No boot record stands there.
    NoSignature,
    /// The link leads out of the extended partition.
    Outside,
    /// There are more than 128 links: a loop, or nonsense.
    TooLong,
}

impl PartitionError {
    /// What a person can do.
    pub fn hint(&self) -> &'static str {
        match self {
            PartitionError::Disk(_) => "check the cable and `dmesg`; is the image complete?",
            PartitionError::NoGoodGpt { .. } => "is the image complete? `sgdisk --verify FILE` shows what can be saved",
            PartitionError::OutOfRange { .. } => "is the image complete? compare its length with the disk it came from",
            PartitionError::Overlap { .. } | PartitionError::SeveralExtended | PartitionError::Chain { .. } => {
                "look at the table with `sfdisk --dump FILE` and `sfdisk --verify FILE`"
            }
        }
    }
}

impl fmt::Display for PartitionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PartitionError::Disk(_) => write!(f, "cannot read the partition table"),
            PartitionError::NoGoodGpt { primary, backup } => {
                write!(f, "both copies of the GPT are bad: the first because {primary}, the second because {backup}")
            }
            PartitionError::OutOfRange { number, start, end, lowest, highest } => write!(
                f,
                "partition {number} covers bytes {} to {}, but only {} to {} may be used",
                start.0, end.0, lowest.0, highest.0
            ),
            PartitionError::Overlap { first, second } => write!(f, "partitions {first} and {second} overlap"),
            PartitionError::SeveralExtended => write!(f, "the MBR has more than one extended partition"),
            PartitionError::Chain { at, fault } => write!(f, "logical partitions: the link at byte {} {fault}", at.0),
        }
    }
}

impl std::error::Error for PartitionError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            PartitionError::Disk(source) => Some(source),
            _ => None,
        }
    }
}

/// Each fits after "because".
impl fmt::Display for HeaderFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HeaderFault::Unreadable(source) => write!(f, "{source}"),
            HeaderFault::NoSignature => write!(f, "it has no EFI PART signature"),
            HeaderFault::HeaderSize(size) => write!(f, "its header size {size} is not between 92 and the sector size"),
            HeaderFault::HeaderChecksum => write!(f, "its header checksum is wrong"),
            HeaderFault::Revision(revision) => write!(f, "its revision {revision:#010x} is not 1.0"),
            HeaderFault::WrongPlace { says, is } => write!(f, "it says it is in sector {says} and is in {is}"),
            HeaderFault::EntrySize(size) => write!(f, "its entry size {size} is not 128 to 4096 by powers of two"),
            HeaderFault::EntryCount(count) => write!(f, "its {count} entries are too many"),
            HeaderFault::UsableRange { first, last } => {
                write!(f, "its usable sectors {first} to {last} do not lie between its copies")
            }
            HeaderFault::EntriesPlace(sector) => write!(f, "its entries in sector {sector} lie where they must not"),
            HeaderFault::EntriesChecksum => write!(f, "the checksum of its entries is wrong"),
            HeaderFault::Differs => write!(f, "it differs from the first"),
        }
    }
}

/// Each fits after "the link".
impl fmt::Display for ChainFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ChainFault::NoSignature => "has no boot record signature",
            ChainFault::Outside => "leads out of the extended partition",
            ChainFault::TooLong => "is one of more than 128: the chain probably runs in a circle",
        })
    }
}
