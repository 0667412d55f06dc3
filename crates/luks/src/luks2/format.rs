//! Making a LUKS2 volume in three steps: a plan, then what is slow and needs no disk, then the writing.
//!
//! The second and the third are apart so that nobody holds a lock over a key derivation.

use crate::accept::Accepted;
use crate::af;
use crate::allowed::Allowed;
use crate::area::ALIGNMENT;
use crate::cipher::{Cipher, SectorSize};
use crate::edit_error::EditError;
use crate::header::Header;
use crate::kdf::KdfCost;
use crate::luks2::binary_header::{BinaryHeader, HeaderSize, Identity};
use crate::luks2::digest::Pbkdf2Digest;
use crate::luks2::edit::{Luks2Edit, SealedHeader, random_salt};
use crate::luks2::header::Luks2;
use crate::luks2::json::{Metadata, MetadataError};
use crate::material::{NewKeyslot, random_bytes};
use crate::refused::Refused;
use crate::slot::Slot;
use crate::undo::{ApplyError, Ready};
use block::{BlockError, BlockWrite, Bytes};
use crypto::{Hash, Passphrase, Random, RandomFailed, Secret, VolumeKey};
use json::{Object, Value};
use std::fmt;
use uuid::Uuid;

/// What a new volume shall be like. [`FormatOptions::new`] gives what cryptsetup would.
#[derive(Clone, Debug)]
pub struct FormatOptions {
    /// The cipher of the data and of the key areas.
    pub cipher: Cipher,
    /// Length of the volume key, in bytes.
    pub key_len: u32,
    /// How much is encrypted as one; `None`: 4096 bytes if the data is a multiple of that, else 512.
    pub sector_size: Option<SectorSize>,
    /// How slow the passphrase is made.
    pub kdf: KdfCost,
    /// The hash of the header's checksum, the splitter and the digest.
    pub hash: Hash,
    /// The label; empty: none. At most 47 bytes.
    pub label: String,
    /// The subsystem label; empty: none. At most 47 bytes.
    pub subsystem: String,
    /// The UUID; `None`: a random one.
    pub uuid: Option<Uuid>,
    /// Size of one copy of the header.
    pub header_size: HeaderSize,
    /// Where the data begins: a multiple of 4096. The key material may take what lies before it, up to 128 MiB.
    pub data_offset: Bytes,
}

/// Most that a keyslots area may be.
const LARGEST_KEYSLOTS_AREA: u64 = 128 << 20;
/// How much is wiped with one write.
const WIPE: usize = 1 << 20;

impl FormatOptions {
    /// AES-256-XTS, SHA-256, header copies of 16 KiB, data from 16 MiB on.
    pub fn new(kdf: KdfCost) -> FormatOptions {
        FormatOptions {
            cipher: Cipher::AesXtsPlain64,
            key_len: 64,
            sector_size: None,
            kdf,
            hash: Hash::Sha256,
            label: String::new(),
            subsystem: String::new(),
            uuid: None,
            header_size: HeaderSize::SMALLEST,
            data_offset: Bytes(16 << 20),
        }
    }
}

/// A volume that could be made. It can be printed.
#[derive(Clone, Debug)]
pub struct FormatPlan {
    options: FormatOptions,
    sector_size: SectorSize,
    keyslots_size: Bytes,
    disk: Bytes,
}

/// A volume with a random key and one slot of which only the writing is left.
pub struct PreparedFormat {
    plan: FormatPlan,
    key: VolumeKey,
    /// The header without slots: both copies' places and bytes.
    images: [(Bytes, Vec<u8>); 2],
    empty: Accepted,
    /// The change that adds the slot.
    slot: Ready,
}

/// How far making a volume has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormatEvent {
    /// The passphrase is being stretched, which may take seconds. Only [`FormatPlan::apply`] says so.
    Stretching,
    /// The place of the header and the key material is being overwritten.
    Wiping {
        /// How much has been.
        done: Bytes,
        /// Of how much.
        total: Bytes,
    },
    /// The header is being written.
    Writing,
}

/// A volume that has been made.
#[derive(Debug)]
pub struct Formatted {
    /// Its header.
    pub header: Header,
    /// Its key.
    pub key: VolumeKey,
}

/// Why a volume cannot be made, or was not.
#[derive(Debug)]
pub enum FormatError {
    /// The cipher does not take a key of that length.
    KeyLength {
        /// The cipher.
        cipher: Cipher,
        /// The length, in bytes.
        found: u32,
    },
    /// The data's beginning is not a multiple of 4096.
    Misaligned {
        /// What was asked for.
        offset: Bytes,
    },
    /// There is no room for a slot between the header and the data.
    OffsetTooSmall {
        /// What was asked for.
        offset: Bytes,
        /// The least that would do.
        least: Bytes,
    },
    /// The disk ends before the first sector of data does.
    DiskTooSmall {
        /// How long the disk is.
        disk: Bytes,
        /// How long it would have to be.
        least: Bytes,
    },
    /// A label is longer than 47 bytes, or holds a NUL.
    Label,
    /// The disk is not the one that the plan is for.
    OtherDisk,
    /// There were no random bytes.
    Random {
        /// What went wrong.
        source: RandomFailed,
    },
    /// The cost of the passphrase or the like is not allowed.
    Refused {
        /// What is not.
        source: Refused,
    },
    /// The header would be wrong.
    Metadata {
        /// What would be.
        source: MetadataError,
    },
    /// The slot could not be made.
    Keyslot {
        /// Why not.
        source: EditError,
    },
    /// The disk failed while its beginning was wiped. What was there is lost.
    Disk {
        /// What went wrong.
        source: BlockError,
    },
    /// The header could not be written. What was there is lost.
    Apply {
        /// What went wrong.
        source: ApplyError,
    },
}

impl FormatPlan {
    /// Plans a volume on a disk of this length.
    ///
    /// # Errors
    /// [`FormatError`], as far as it can be known without writing.
    pub fn new(disk: Bytes, options: FormatOptions) -> Result<FormatPlan, FormatError> {
        let FormatOptions { cipher, key_len, data_offset, header_size, .. } = options;
        if !cipher.key_lengths().contains(&key_len) {
            return Err(FormatError::KeyLength { cipher, found: key_len });
        }
        if !data_offset.is_multiple_of(ALIGNMENT) {
            return Err(FormatError::Misaligned { offset: data_offset });
        }
        let slot = (u64::from(key_len) * u64::from(af::STRIPES)).next_multiple_of(ALIGNMENT);
        let least = Bytes(header_size.both().0 + slot);
        let room = data_offset.checked_sub(header_size.both()).filter(|room| room.0 >= slot);
        let room = room.ok_or(FormatError::OffsetTooSmall { offset: data_offset, least })?;
        let sector_size = options.sector_size.unwrap_or_else(|| fitting_sector_size(disk, data_offset));
        let least = data_offset.checked_add(Bytes(sector_size.bytes().into())).unwrap_or(Bytes(u64::MAX));
        if disk < least {
            return Err(FormatError::DiskTooSmall { disk, least });
        }
        if [&options.label, &options.subsystem].iter().any(|l| l.len() > 47 || l.contains('\0')) {
            return Err(FormatError::Label);
        }
        Ok(FormatPlan { sector_size, keyslots_size: Bytes(room.0.min(LARGEST_KEYSLOTS_AREA)), disk, options })
    }

    /// Everything before this is overwritten. The data behind it is not touched.
    pub fn wiped(&self) -> Bytes {
        Bytes(self.options.header_size.both().0 + self.keyslots_size.0)
    }

    /// Makes the volume, with a random key and one slot for `passphrase`: [`FormatPlan::prepare`], then
    /// [`PreparedFormat::write`].
    ///
    /// # Errors
    /// [`FormatError`].
    pub fn apply(
        &self,
        disk: &dyn BlockWrite,
        passphrase: &Passphrase,
        random: &dyn Random,
        on_event: &mut dyn FnMut(FormatEvent),
    ) -> Result<Formatted, FormatError> {
        self.check_disk(disk)?;
        on_event(FormatEvent::Stretching);
        self.prepare(passphrase, random)?.write(disk, random, on_event)
    }

    /// Does all that needs no disk: a random key, the header, and the stretching of the passphrase, which may take seconds.
    ///
    /// # Errors
    /// [`FormatError`].
    pub fn prepare(&self, passphrase: &Passphrase, random: &dyn Random) -> Result<PreparedFormat, FormatError> {
        let key_len = usize::try_from(self.options.key_len).unwrap_or(usize::MAX);
        let key = Secret::try_filled_by(key_len, |into| random.fill(into));
        let key = VolumeKey::new(key.map_err(|source| FormatError::Random { source })?);
        let empty = self.empty_header(&key, random)?;
        let images = [(Bytes(0), empty.primary_bytes), (empty.secondary.offset, empty.secondary_bytes)];
        let empty = Luks2::of_both(empty.primary, empty.secondary, empty.metadata, self.disk);
        let empty = Header::Luks2(Box::new(empty))
            .accept(&Allowed::default())
            .map_err(|source| FormatError::Refused { source })?;

        let failed = |source| FormatError::Keyslot { source };
        let header = empty.header().as_luks2().ok_or(FormatError::OtherDisk)?;
        let mut edit = Luks2Edit::new(&empty, header, random).map_err(failed)?;
        let (kdf, af_hash) = (self.options.kdf, self.options.hash);
        let new = NewKeyslot { key: &key, passphrase, slot: Slot::new(0), kdf, af_hash };
        edit.add_keyslot(&new).map_err(failed)?;
        let slot = edit.ready().ok_or_else(|| self.metadata_full())?;
        Ok(PreparedFormat { plan: self.clone(), key, images, empty, slot })
    }

    fn check_disk(&self, disk: &dyn BlockWrite) -> Result<(), FormatError> {
        if disk.len() == self.disk { Ok(()) } else { Err(FormatError::OtherDisk) }
    }

    fn metadata_full(&self) -> FormatError {
        let size = Bytes::from(self.options.header_size.json_len());
        FormatError::Keyslot { source: EditError::MetadataFull { size } }
    }

    /// The header without slots.
    fn empty_header(&self, key: &VolumeKey, random: &dyn Random) -> Result<SealedHeader, FormatError> {
        let failed = |source| FormatError::Random { source };
        let options = &self.options;
        let metadata = Metadata::from_document(self.document(key, random)?, options.header_size);
        let metadata = metadata.map_err(|source| FormatError::Metadata { source })?;
        let uuid = match options.uuid {
            Some(uuid) => uuid,
            None => uuid::Builder::from_random_bytes(random_bytes(random).map_err(failed)?).into_uuid(),
        };
        let FormatOptions { label, subsystem, hash, .. } = options;
        let identity = Identity { uuid, label, subsystem, checksum_hash: *hash };
        let primary = BinaryHeader::primary(options.header_size, &identity, random_salt(random).map_err(failed)?);
        let primary = primary.ok_or(FormatError::Label)?;
        let secondary = primary.other(random_salt(random).map_err(failed)?);
        SealedHeader::new(primary, secondary, metadata).ok_or_else(|| self.metadata_full())
    }

    fn document(&self, key: &VolumeKey, random: &dyn Random) -> Result<Value, FormatError> {
        let segment = Object::new()
            .with("type", "crypt")
            .with("offset", self.options.data_offset.0.to_string())
            .with("size", "dynamic")
            .with("iv_tweak", "0")
            .with("encryption", self.options.cipher.name())
            .with("sector_size", self.sector_size.bytes());
        let config = Object::new()
            .with("json_size", self.options.header_size.json_len().to_string())
            .with("keyslots_size", self.keyslots_size.0.to_string());
        let digest =
            Pbkdf2Digest::of(key, self.options.hash, random).map_err(|source| FormatError::Random { source })?;
        Ok(Object::new()
            .with("keyslots", Object::new())
            .with("tokens", Object::new())
            .with("segments", Object::new().with("0", segment))
            .with("digests", Object::new().with("0", digest.to_json(&[], &["0"])))
            .with("config", config)
            .into())
    }
}

impl PreparedFormat {
    /// Writes it: the place of the header becomes zeros and that of the key material random bytes, as cryptsetup does it;
    /// then comes the header. The caller holds the disk's write lock.
    ///
    /// # Errors
    /// [`FormatError`]; with [`FormatError::OtherDisk`] nothing was written.
    pub fn write(
        self,
        disk: &dyn BlockWrite,
        random: &dyn Random,
        on_event: &mut dyn FnMut(FormatEvent),
    ) -> Result<Formatted, FormatError> {
        self.plan.check_disk(disk)?;
        self.wipe(disk, random, on_event)?;
        on_event(FormatEvent::Writing);
        let written = self.images.iter().try_for_each(|(offset, bytes)| disk.write_at(*offset, bytes));
        written.and_then(|()| disk.flush()).map_err(|source| FormatError::Disk { source })?;
        let applied = self.slot.apply(disk, self.empty.header()).map_err(|source| FormatError::Apply { source })?;
        Ok(Formatted { header: applied.header, key: self.key })
    }

    fn wipe(
        &self,
        disk: &dyn BlockWrite,
        random: &dyn Random,
        on_event: &mut dyn FnMut(FormatEvent),
    ) -> Result<(), FormatError> {
        let headers = self.plan.options.header_size.both();
        let total = self.plan.wiped();
        let mut done = Bytes(0);
        let mut buffer = vec![0; WIPE];
        while done < total {
            on_event(FormatEvent::Wiping { done, total });
            let end = if done < headers { headers } else { total };
            let len = usize::try_from(end.0 - done.0).unwrap_or(usize::MAX).min(WIPE);
            let chunk = buffer.get_mut(..len).unwrap_or_default();
            if done >= headers {
                random.fill(chunk).map_err(|source| FormatError::Random { source })?;
            }
            disk.write_at(done, chunk).map_err(|source| FormatError::Disk { source })?;
            done = Bytes(done.0 + Bytes::from(len).0);
        }
        disk.flush().map_err(|source| FormatError::Disk { source })
    }
}

/// As cryptsetup chooses: whole pages where the data is made of them.
fn fitting_sector_size(disk: Bytes, data_offset: Bytes) -> SectorSize {
    match disk.checked_sub(data_offset) {
        Some(data) if data.is_multiple_of(SectorSize::LARGEST.bytes().into()) => SectorSize::LARGEST,
        _ => SectorSize::SMALLEST,
    }
}

/// Its key is a secret.
impl fmt::Debug for PreparedFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PreparedFormat").field("plan", &self.plan).finish_non_exhaustive()
    }
}

impl fmt::Display for FormatPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FormatOptions { cipher, key_len, kdf, hash, header_size, data_offset, .. } = &self.options;
        writeln!(f, "overwrite the first {} of {}", self.wiped(), self.disk)?;
        writeln!(
            f,
            "write a LUKS2 header: two copies of {}, {} for key material",
            header_size.bytes(),
            self.keyslots_size
        )?;
        writeln!(f, "add keyslot 0 ({}, {})", kdf.name(), hash.luks_name())?;
        let sector = self.sector_size.bytes();
        write!(f, "data from {data_offset} on: {cipher} with a key of {} bits, sectors of {sector} bytes", key_len * 8)
    }
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FormatError::KeyLength { cipher, found } => write!(f, "{cipher} does not take a key of {found} bytes"),
            FormatError::Misaligned { offset } => {
                write!(f, "the data cannot begin at {}: not a multiple of 4096", offset.0)
            }
            FormatError::OffsetTooSmall { offset, least } => {
                write!(f, "the data cannot begin at {}: header and one slot take {} bytes", offset.0, least.0)
            }
            FormatError::DiskTooSmall { disk, least } => {
                write!(f, "the disk has {} bytes, and {} are the least", disk.0, least.0)
            }
            FormatError::Label => f.write_str("a label has at most 47 bytes, and no NUL"),
            FormatError::OtherDisk => f.write_str("the disk has another length than the one the plan was made for"),
            FormatError::Random { .. } => f.write_str("there are no random bytes"),
            FormatError::Refused { .. } => f.write_str("such a volume would not be accepted"),
            FormatError::Metadata { .. } => f.write_str("the header would not be right"),
            FormatError::Keyslot { .. } => f.write_str("the slot could not be made; nothing was written"),
            FormatError::Disk { .. } => {
                f.write_str("the beginning of the disk could not be overwritten; what was there is lost")
            }
            FormatError::Apply { .. } => f.write_str("the header could not be written; what was there is lost"),
        }
    }
}

impl std::error::Error for FormatError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            FormatError::Random { source } => Some(source),
            FormatError::Refused { source } => Some(source),
            FormatError::Metadata { source } => Some(source),
            FormatError::Keyslot { source } => Some(source),
            FormatError::Disk { source } => Some(source),
            FormatError::Apply { source } => Some(source),
            _ => None,
        }
    }
}
