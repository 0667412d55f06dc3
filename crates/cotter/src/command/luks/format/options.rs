//! The words of the command line as what a new volume shall be like.

use crate::args::{FormatArgs, LuksType};
use crate::error::CommandError;
use ::luks::{Cipher, DataPlace, FormatOptions, HeaderSize, KdfCost, SectorSize, Version};
use block::{Bytes, SECTOR, partition};
use crypto::Hash;

/// The version that is wanted.
pub fn version(args: &FormatArgs) -> Version {
    match args.luks_type {
        LuksType::Luks1 => Version::Luks1,
        LuksType::Luks2 => Version::Luks2,
    }
}

/// What is wanted; `data` is the length of the disk of the data if the header is apart from it.
pub fn of(args: &FormatArgs, kdf: KdfCost, data: Option<Bytes>) -> Result<FormatOptions, CommandError> {
    let cipher = cipher(&args.cipher)?;
    let largest = cipher.key_lengths().iter().copied().max().unwrap_or(0);
    let key_len = args.key_size.map_or(Ok(largest), |bits| key_len(bits, cipher))?;
    let usual = match version(args) {
        Version::Luks1 => FormatOptions::luks1(kdf, key_len),
        Version::Luks2 => FormatOptions::new(kdf),
    };
    let options = FormatOptions {
        cipher,
        key_len,
        data: if data.is_some() { DataPlace::OtherDisk } else { DataPlace::BehindHeader },
        sector_size: args.sector_size.map(sector_size).transpose()?,
        hash: hash(&args.hash)?,
        label: args.label.clone(),
        subsystem: args.subsystem.clone(),
        uuid: args.uuid.as_deref().map(uuid).transpose()?,
        header_size: args.luks2_metadata_size.map_or(Ok(usual.header_size), header_size)?,
        keyslots_size: args.luks2_keyslots_size.map(Bytes),
        ..usual
    };
    let placed = placed(args, options)?;
    match data {
        Some(data) => apart(placed, data),
        None => Ok(placed),
    }
}

/// With the beginning of the data.
fn placed(args: &FormatArgs, options: FormatOptions) -> Result<FormatOptions, CommandError> {
    let bytes = |sectors: u64| {
        let far = || CommandError::usage(format!("{sectors} sectors are more than there can be"));
        sectors.checked_mul(SECTOR).map(Bytes).ok_or_else(far)
    };
    match (args.offset, args.align_payload) {
        (Some(sectors), _) => Ok(FormatOptions { data_offset: bytes(sectors)?, ..options }),
        (None, Some(0)) => Err(CommandError::usage("data cannot be aligned to 0 sectors")),
        (None, Some(sectors)) => Ok(options.aligned(bytes(sectors)?)),
        (None, None) if options.data == DataPlace::OtherDisk => Ok(FormatOptions { data_offset: Bytes(0), ..options }),
        (None, None) if options.keyslots_size.is_some() => Ok(options.aligned(Bytes(1 << 20))),
        (None, None) => Ok(options),
    }
}

/// With sectors that suit the other disk, if it is long enough.
fn apart(options: FormatOptions, data: Bytes) -> Result<FormatOptions, CommandError> {
    let room = data.checked_sub(options.data_offset).filter(|room| room.0 >= SECTOR);
    let room = room.ok_or_else(|| {
        CommandError::usage(format!("the data cannot begin at byte {} of {} bytes", options.data_offset.0, data.0))
    })?;
    let pages = options.version == Version::Luks2 && room.is_multiple_of(SectorSize::LARGEST.bytes().into());
    let fitting = if pages { SectorSize::LARGEST } else { SectorSize::SMALLEST };
    Ok(FormatOptions { sector_size: Some(options.sector_size.unwrap_or(fitting)), ..options })
}

fn cipher(name: &str) -> Result<Cipher, CommandError> {
    Cipher::from_name(name).ok_or_else(|| {
        let error = CommandError::usage(format!("the cipher {} is not one that is used", name.escape_debug()));
        error.hint(format!("one of: {}", Cipher::ALL.map(Cipher::name).join(", ")))
    })
}

/// The hash of this name.
pub fn hash(name: &str) -> Result<Hash, CommandError> {
    Hash::from_luks_name(name).ok_or_else(|| {
        let error = CommandError::usage(format!("the hash {} is not one that is used", name.escape_debug()));
        error.hint(format!("one of: {}", Hash::ALL.map(Hash::luks_name).join(", ")))
    })
}

fn key_len(bits: u32, cipher: Cipher) -> Result<u32, CommandError> {
    let error = || CommandError::usage(format!("{bits} bits are not whole bytes")).hint(key_sizes(cipher));
    if bits.is_multiple_of(8) { Ok(bits / 8) } else { Err(error()) }
}

/// The sizes of key that a cipher takes, as a hint.
pub fn key_sizes(cipher: Cipher) -> String {
    let sizes: Vec<String> = cipher.key_lengths().iter().map(|bytes| format!("-s {}", bytes * 8)).collect();
    format!("{cipher} takes {}", sizes.join(" or "))
}

fn sector_size(bytes: u32) -> Result<SectorSize, CommandError> {
    let wrong = || CommandError::usage(format!("a sector has 512, 1024, 2048 or 4096 bytes, not {bytes}"));
    SectorSize::new(bytes.into()).ok_or_else(wrong)
}

fn header_size(bytes: u64) -> Result<HeaderSize, CommandError> {
    let wrong = || CommandError::usage(format!("a header copy has 16k, 32k, 64k … 4M bytes, not {bytes}"));
    HeaderSize::new(Bytes(bytes)).ok_or_else(wrong)
}

fn uuid(text: &str) -> Result<partition::Uuid, CommandError> {
    let what = || format!("{} is not a UUID", text.escape_debug());
    text.parse().map_err(|source| CommandError::failed(what(), source).into_usage())
}
