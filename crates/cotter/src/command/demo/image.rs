//! The demonstration's disk: an image file with a GPT partition that holds LUKS2.

use super::tar;
use crate::error::CommandError;
use crate::volume::{self, Seal};
use block::partition::gpt::{self, NewPartition};
use block::partition::{SectorSize, UuidBuilder};
use block::{BlockWrite, Bytes, Window};
use crypto::kdf::Argon2Cost;
use crypto::{Passphrase, Random, Secret, SystemRandom, VolumeKey};
use linux::FileDisk;
use luks::{Accepted, Allowed, FormatOptions, FormatPlan, KdfCost, Plain};
use std::path::Path;
use std::sync::Arc;
use unlock::identity::{Closed, Expectation};

/// The file on the disk.
pub const FILE_NAME: &str = "secret.txt";
/// What it says.
pub const FILE_TEXT: &str = "Whoever finds this drive finds noise.\n";

/// The passphrase of slot 0. It protects a throw-away image in a throw-away directory.
const PASSPHRASE: &str = "correct horse battery staple";
/// Length of the image; it is sparse.
const LENGTH: Bytes = Bytes(64 << 20);
/// The GPT type of a Linux file system, as most encrypted partitions have.
const LINUX: u128 = 0x0fc6_3daf_8483_4772_8e79_3d69_d847_7de4;

/// The image, open.
pub struct DemoDisk {
    file: Arc<FileDisk>,
    volume: Window<Arc<FileDisk>>,
    expected: Expectation,
}

/// The content of the volume: a tar archive, because every system can read one.
pub fn archive() -> Vec<u8> {
    tar::one_file(FILE_NAME, FILE_TEXT.as_bytes())
}

impl DemoDisk {
    /// Makes the image: partition table, LUKS2 with a passphrase, the file.
    pub fn make(path: &Path) -> Result<DemoDisk, CommandError> {
        let file =
            FileDisk::create(path, LENGTH).map_err(|source| CommandError::failed("cannot make the image", source))?;
        let file = Arc::new(file);
        let volume = partition(&file)?;
        let formatted = format(&volume)?;
        let header = volume::accept(formatted.header, path, &Allowed::default())?;
        let plain = Plain::new(&volume, &header, &formatted.key);
        let plain = plain.map_err(|source| CommandError::failed("cannot open the new volume", source))?;
        let written = plain.write_at(Bytes(0), &archive()).and_then(|()| plain.flush());
        written.map_err(|source| CommandError::failed("cannot write to the image", source))?;
        Ok(DemoDisk { file, volume, expected: Expectation::default() })
    }

    /// The image file.
    pub fn file(&self) -> &FileDisk {
        &self.file
    }

    /// Its encrypted partition.
    pub fn volume(&self) -> &Window<Arc<FileDisk>> {
        &self.volume
    }

    /// The header as it stands now.
    pub fn header(&self) -> Result<Accepted, CommandError> {
        volume::accept(volume::header_of(&self.volume, self.file.path())?, self.file.path(), &Allowed::default())
    }

    /// The volume to be opened, of which this machine expects nothing.
    pub fn closed<'a>(&'a self, header: &'a Accepted) -> Closed<'a> {
        Closed { disk: &self.volume, header, expected: &self.expected }
    }

    /// The volume key, by the passphrase.
    pub fn key_by_passphrase(&self) -> Result<VolumeKey, CommandError> {
        let opened = volume::open_by_passphrase(&self.closed(&self.header()?), &passphrase(), None, Seal::Counts);
        opened.map(|opened| opened.key).map_err(|source| CommandError::failed("cannot open the volume", source))
    }
}

fn passphrase() -> Passphrase {
    Passphrase::new(Secret::copied_from(PASSPHRASE.as_bytes()))
}

fn partition(file: &Arc<FileDisk>) -> Result<Window<Arc<FileDisk>>, CommandError> {
    let failed = |source| CommandError::failed("cannot partition the image", source);
    let mut random = [0; 32];
    SystemRandom.fill(&mut random).map_err(|source| CommandError::failed("no random numbers", source))?;
    let [disk_uuid, uuid] = halves(random).map(|half| UuidBuilder::from_random_bytes(half).into_uuid());
    let (start, length) = (Bytes(1 << 20), Bytes(LENGTH.0 - (2 << 20)));
    let kind = block::partition::Uuid::from_u128(LINUX);
    let new = NewPartition { start, length, kind, uuid, name: "data".into() };
    gpt::write(file, SectorSize::B512, disk_uuid, &[new]).map_err(failed)?;
    Window::new(file.clone(), start, length).map_err(|source| CommandError::failed("cannot use the image", source))
}

fn halves(bytes: [u8; 32]) -> [[u8; 16]; 2] {
    let mut halves = [[0; 16]; 2];
    halves.as_flattened_mut().copy_from_slice(&bytes);
    halves
}

/// A derivation that takes a tenth of what `luks format` would choose: this is a demonstration.
fn format(volume: &Window<Arc<FileDisk>>) -> Result<luks::Formatted, CommandError> {
    let kdf = KdfCost::argon2id(Argon2Cost { memory_kib: 64 << 10, passes: 4, lanes: 2 });
    let failed = |source| CommandError::failed("cannot format the image", source);
    let plan = FormatPlan::new(block::BlockRead::len(volume), FormatOptions::new(kdf)).map_err(failed)?;
    plan.apply(volume, &passphrase(), &SystemRandom, &mut |_| ()).map_err(failed)
}
