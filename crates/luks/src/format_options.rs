//! What a new volume shall be like, and what of the disk it overwrites.

use crate::allowed::DataPlace;
use crate::area::Area;
use crate::cipher::{Cipher, SectorSize};
use crate::format_error::FormatError;
use crate::header::Version;
use crate::kdf::KdfCost;
use crate::luks1::places::{default_data_offset, keyslots_end};
use crate::luks2::binary_header::HeaderSize;
use crate::material::random_bytes;
use block::Bytes;
use crypto::{Hash, Random};
use uuid::Uuid;

/// Where a LUKS2 header and its key material end unless something else is said.
const USUAL_END: Bytes = Bytes(16 << 20);

/// What a new volume shall be like. [`FormatOptions::new`] and [`FormatOptions::luks1`] give what cryptsetup would.
#[derive(Clone, Debug)]
pub struct FormatOptions {
    /// The version of the format.
    pub version: Version,
    /// Where the data is. With [`DataPlace::OtherDisk`] the disk that is formatted is that of the header alone.
    pub data: DataPlace,
    /// The cipher of the data and of the key areas.
    pub cipher: Cipher,
    /// Length of the volume key, in bytes.
    pub key_len: u32,
    /// How much is encrypted as one; `None`: 4096 bytes if the data is a multiple of that, else 512. LUKS1 knows 512 alone.
    pub sector_size: Option<SectorSize>,
    /// How slow the passphrase is made. LUKS1 knows PBKDF2 alone, with the hash below.
    pub kdf: KdfCost,
    /// The hash of the header's checksum, the splitter and the digest.
    pub hash: Hash,
    /// The label; empty: none. At most 47 bytes. LUKS2 alone.
    pub label: String,
    /// The subsystem label; empty: none. At most 47 bytes. LUKS2 alone.
    pub subsystem: String,
    /// The UUID; `None`: a random one.
    pub uuid: Option<Uuid>,
    /// Size of one copy of the header. LUKS2 alone.
    pub header_size: HeaderSize,
    /// Size of the area for key material, a multiple of 4096; `None`: all there is before the data, at most 128 MiB, or what
    /// makes a detached header one of 16 MiB. LUKS2 alone.
    pub keyslots_size: Option<Bytes>,
    /// Where the data begins: a multiple of 4096. The key material may take what lies before it, with LUKS2 up to 128 MiB. It
    /// may be 0 if the header is on another disk than the data.
    pub data_offset: Bytes,
}

impl FormatOptions {
    /// LUKS2: AES-256-XTS, SHA-256, header copies of 16 KiB, data from 16 MiB on.
    pub fn new(kdf: KdfCost) -> FormatOptions {
        FormatOptions {
            version: Version::Luks2,
            data: DataPlace::BehindHeader,
            cipher: Cipher::AesXtsPlain64,
            key_len: 64,
            sector_size: None,
            kdf,
            hash: Hash::Sha256,
            label: String::new(),
            subsystem: String::new(),
            uuid: None,
            header_size: HeaderSize::SMALLEST,
            keyslots_size: None,
            data_offset: USUAL_END,
        }
    }

    /// The same, with data from the first multiple of `alignment` (not 0) on that leaves room for what comes before; on a disk
    /// of its own, from `alignment` on.
    #[must_use]
    pub fn aligned(self, alignment: Bytes) -> FormatOptions {
        let end = match (self.data, self.version) {
            (DataPlace::OtherDisk, _) => Bytes(1),
            (DataPlace::BehindHeader, Version::Luks1) => keyslots_end(self.key_len),
            (DataPlace::BehindHeader, Version::Luks2) => self.usual_end(),
        };
        let data_offset = Bytes(end.0.checked_next_multiple_of(alignment.0.max(1)).unwrap_or(u64::MAX));
        // What the alignment adds is not for key material.
        let keyslots_size = match (self.data, self.version) {
            (DataPlace::BehindHeader, Version::Luks2) => end.checked_sub(self.header_size.both()),
            _ => self.keyslots_size,
        };
        FormatOptions { data_offset, keyslots_size, ..self }
    }

    /// How long a disk must be for a header that is detached, with all that may be kept beside it.
    pub fn detached_len(&self) -> Bytes {
        match self.version {
            Version::Luks1 => keyslots_end(self.key_len).max(self.data_offset.min(USUAL_END)),
            // As with cryptsetup, what lies before the data is all for key material, wherever the data is.
            Version::Luks2 if self.keyslots_size.is_none() && self.data_offset > Bytes(0) => self.data_offset,
            Version::Luks2 => self.usual_end(),
        }
    }

    /// Where a LUKS2 header and its key material end, as far as that does not depend on the data.
    pub(crate) fn usual_end(&self) -> Bytes {
        self.keyslots_size.map_or(USUAL_END, |size| Bytes(self.header_size.both().0.saturating_add(size.0)))
    }

    /// LUKS1: AES-XTS with a key of this length, the hash of the key derivation for everything, data from the first whole MiB
    /// behind the key material on, which is 2 MiB with a key of 64 bytes.
    pub fn luks1(kdf: KdfCost, key_len: u32) -> FormatOptions {
        let hash = if let KdfCost::Pbkdf2 { hash, .. } = kdf { hash } else { Hash::Sha256 };
        let data_offset = default_data_offset(key_len);
        FormatOptions { version: Version::Luks1, key_len, hash, data_offset, ..FormatOptions::new(kdf) }
    }

    /// The UUID that is wanted, or a random one.
    pub(crate) fn uuid(&self, random: &dyn Random) -> Result<Uuid, FormatError> {
        if let Some(uuid) = self.uuid {
            return Ok(uuid);
        }
        let bytes = random_bytes(random).map_err(|source| FormatError::Random { source })?;
        Ok(uuid::Builder::from_random_bytes(bytes).into_uuid())
    }
}

/// Places and bytes of a header without slots: all its copies.
pub(crate) type Images = Vec<(Bytes, Vec<u8>)>;

/// A place that is overwritten before there is a volume.
pub(crate) struct Wipe {
    pub(crate) area: Area,
    pub(crate) fill: Fill,
}

/// What it is overwritten with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fill {
    Zeros,
    Random,
}
