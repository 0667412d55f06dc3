//! Making a volume in three steps: a plan, then what is slow and needs no disk, then the writing.
//!
//! The second and the third are apart so that nobody holds a lock over a key derivation. What differs between the versions
//! is where things lie and what the header says: `luks1::format`, `luks2::format`.

use crate::accept::Accepted;
use crate::allowed::{Allowed, DataPlace};
use crate::cipher::SectorSize;
use crate::edit::Edit;
use crate::format_error::FormatError;
use crate::format_options::{Fill, FormatOptions, Images, Wipe};
use crate::header::{Header, Version};
use crate::luks1::format::Luks1Layout;
use crate::luks2::format::Luks2Layout;
use crate::luks2::old_copies;
use crate::material::NewKeyslot;
use crate::slot::Slot;
use crate::undo::Ready;
use block::{BlockWrite, Bytes};
use crypto::{Passphrase, Random, Secret, VolumeKey};
use std::fmt;

/// How much is wiped with one write.
const WIPE: usize = 1 << 20;

/// A volume that could be made. It can be printed.
#[derive(Clone, Debug)]
pub struct FormatPlan {
    options: FormatOptions,
    layout: Layout,
    disk: Bytes,
}

/// What lies where.
#[derive(Clone, Debug)]
enum Layout {
    Luks1(Luks1Layout),
    Luks2(Luks2Layout),
}

/// A volume with a random key and one slot of which only the writing is left.
pub struct PreparedFormat {
    plan: FormatPlan,
    key: VolumeKey,
    images: Images,
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

impl FormatPlan {
    /// Plans a volume on a disk of this length.
    ///
    /// # Errors
    /// [`FormatError`], as far as it can be known without writing.
    pub fn new(disk: Bytes, options: FormatOptions) -> Result<FormatPlan, FormatError> {
        let FormatOptions { cipher, key_len, .. } = options;
        if !cipher.key_lengths().contains(&key_len) {
            return Err(FormatError::KeyLength { cipher, found: key_len });
        }
        let layout = match options.version {
            Version::Luks1 => Layout::Luks1(Luks1Layout::new(disk, &options)?),
            Version::Luks2 => Layout::Luks2(Luks2Layout::new(disk, &options)?),
        };
        Ok(FormatPlan { options, layout, disk })
    }

    /// Nothing from here on is touched.
    pub fn wiped(&self) -> Bytes {
        self.wipes().iter().map(|wipe| wipe.area.end()).max().unwrap_or_default()
    }

    fn wipes(&self) -> Vec<Wipe> {
        match &self.layout {
            Layout::Luks1(layout) => layout.wipes(),
            Layout::Luks2(layout) => layout.wipes(&self.options),
        }
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
        let (images, empty) = match &self.layout {
            Layout::Luks1(layout) => layout.empty_header(&self.options, self.disk, &key, random)?,
            Layout::Luks2(layout) => layout.empty_header(&self.options, self.disk, &key, random)?,
        };
        let allowed = Allowed { data: self.options.data, ..Allowed::default() };
        let empty = empty.accept(&allowed).map_err(|source| FormatError::Refused { source })?;
        let slot = self.first_slot(&empty, &key, passphrase, random)?;
        Ok(PreparedFormat { plan: self.clone(), key, images, empty, slot })
    }

    fn first_slot(
        &self,
        empty: &Accepted,
        key: &VolumeKey,
        passphrase: &Passphrase,
        random: &dyn Random,
    ) -> Result<Ready, FormatError> {
        let failed = |source| FormatError::Keyslot { source };
        let mut edit = Edit::new(empty, random).map_err(failed)?;
        let (kdf, af_hash) = (self.options.kdf, self.options.hash);
        edit.add_keyslot(&NewKeyslot { key, passphrase, slot: Slot::new(0), kdf, af_hash }).map_err(failed)?;
        edit.ready().map_err(|source| FormatError::Apply { source })
    }

    fn check_disk(&self, disk: &dyn BlockWrite) -> Result<(), FormatError> {
        if disk.len() == self.disk { Ok(()) } else { Err(FormatError::OtherDisk) }
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
        wipe(disk, &self.plan.wipes(), random, on_event)?;
        old_copies::remove(disk, self.plan.wiped()).map_err(|source| FormatError::Disk { source })?;
        on_event(FormatEvent::Writing);
        let written = self.images.iter().try_for_each(|(offset, bytes)| disk.write_at(*offset, bytes));
        written.and_then(|()| disk.flush()).map_err(|source| FormatError::Disk { source })?;
        let applied = self.slot.apply(disk, self.empty.header()).map_err(|source| FormatError::Apply { source })?;
        Ok(Formatted { header: applied.header, key: self.key })
    }
}

fn wipe(
    disk: &dyn BlockWrite,
    wipes: &[Wipe],
    random: &dyn Random,
    on_event: &mut dyn FnMut(FormatEvent),
) -> Result<(), FormatError> {
    let total = Bytes(wipes.iter().map(|wipe| wipe.area.size().0).sum());
    let mut done = Bytes(0);
    let mut buffer = vec![0; WIPE];
    for Wipe { area, fill } in wipes {
        let mut at = area.offset();
        while at < area.end() {
            on_event(FormatEvent::Wiping { done, total });
            let len = usize::try_from(area.end().0 - at.0).unwrap_or(usize::MAX).min(WIPE);
            let piece = buffer.get_mut(..len).unwrap_or_default();
            match fill {
                Fill::Zeros => piece.fill(0),
                Fill::Random => random.fill(piece).map_err(|source| FormatError::Random { source })?,
            }
            disk.write_at(at, piece).map_err(|source| FormatError::Disk { source })?;
            at = Bytes(at.0 + Bytes::from(len).0);
            done = Bytes(done.0 + Bytes::from(len).0);
        }
    }
    disk.flush().map_err(|source| FormatError::Disk { source })
}

/// Its key is a secret.
impl fmt::Debug for PreparedFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PreparedFormat").field("plan", &self.plan).finish_non_exhaustive()
    }
}

impl fmt::Display for FormatPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FormatOptions { cipher, key_len, kdf, hash, data_offset, .. } = &self.options;
        writeln!(f, "overwrite the first {} of {}", self.wiped(), self.disk)?;
        let sector_size = match &self.layout {
            Layout::Luks1(_) => {
                writeln!(f, "write a LUKS1 header, with room for 8 slots")?;
                SectorSize::SMALLEST
            }
            Layout::Luks2(layout) => {
                layout.describe(&self.options, f)?;
                layout.sector_size
            }
        };
        writeln!(f, "add keyslot 0 ({}, {})", kdf.name(), hash.luks_name())?;
        let (bits, sector) = (key_len * 8, sector_size.bytes());
        let disk = if self.options.data == DataPlace::OtherDisk { " of another disk" } else { "" };
        write!(f, "data from {data_offset}{disk} on: {cipher} with a key of {bits} bits, sectors of {sector} bytes")
    }
}
