//! `cotter luks format`.

use crate::args::{FormatArgs, LuksType};
use crate::command::luks::{change, kdf};
use crate::error::CommandError;
use crate::output;
use crate::passphrase;
use crate::progress::Progress;
use crate::volume;
use ::luks::{Cipher, FormatError, FormatOptions, FormatPlan, KdfCost, PreparedFormat, SectorSize, Version};
use block::{BlockRead, partition, signature};
use crypto::{Hash, SystemRandom};
use json::Object;
use linux::{Access, FileDisk, LockMode, Terminal};

/// Makes a new volume.
pub fn run(args: &FormatArgs) -> Result<(), CommandError> {
    if args.luks_type == LuksType::Luks1 {
        return Err(CommandError::plain("LUKS1 is not there yet").hint("cryptsetup luksFormat --type luks1"));
    }
    if args.device.detached_header.is_some() {
        return Err(CommandError::plain("a volume with its header apart is not made yet"));
    }
    let access = if args.dry_run { Access::Read } else { Access::Alone };
    let disk = volume::open_disk(&args.device.path, access)?;
    let claim = if args.dry_run { None } else { Some(volume::claim(&disk)?) };
    let found = signature::find(&disk).map_err(|source| CommandError::failed("cannot read the disk", source))?;
    refuse_known(args, found)?;
    let hash = hash(&args.hash)?;
    // The plan shows what is wrong with the rest before anybody types or waits for a measurement.
    let unmeasured = options(args, hash, KdfCost::random_passphrase(hash))?;
    plan(&disk, unmeasured)?;
    if args.dry_run {
        let plan = plan(&disk, options(args, hash, kdf_cost(args, hash)?)?)?;
        return change::print_plan(args.format, &plan);
    }
    let person = Terminal::default();
    agree(args, found, &person)?;
    let passphrase = passphrase::new(&args.key, &person)?;
    let plan = plan(&disk, options(args, hash, kdf_cost(args, hash)?)?)?;
    let prepared = prepare(&plan, &disk, &passphrase)?;
    let held = volume::lock(&disk, LockMode::Exclusive)?;
    // Meanwhile somebody else may have put something there.
    refuse_known(args, signature::find(&disk).map_err(|source| CommandError::failed("cannot read the disk", source))?)?;
    let formatted = prepared.write(&disk, &SystemRandom, &mut |_| ()).map_err(|source| cannot_format(&disk, source))?;
    drop((held, claim));
    let uuid = formatted.header.uuid().to_string();
    output::say(&format!(
        "formatted; to let it open unattended: cotter luks bind -d {} PIN CFG",
        disk.path().display()
    ));
    output::record(args.format, Object::new().with("uuid", uuid.as_str()), || uuid.clone())
}

/// The slow part, before the lock is taken: nothing waits for a key derivation.
fn prepare(
    plan: &FormatPlan,
    disk: &FileDisk,
    passphrase: &crypto::Passphrase,
) -> Result<PreparedFormat, CommandError> {
    let _progress = Progress::spinner("stretching the passphrase");
    plan.prepare(passphrase, &SystemRandom).map_err(|source| cannot_format(disk, source))
}

fn cannot_format(disk: &FileDisk, source: FormatError) -> CommandError {
    CommandError::failed(format!("cannot format {}", disk.path().display()), source)
}

/// A disk that holds something is somebody's until they say otherwise.
fn refuse_known(args: &FormatArgs, found: Option<&'static str>) -> Result<(), CommandError> {
    match found {
        Some(what) if !args.force => {
            let error = CommandError::plain(format!("{} holds something: {what}", args.device.path.display()));
            Err(error.hint("--force overwrites it; there is no way back"))
        }
        _ => Ok(()),
    }
}

/// Asks a person who is there; a script has said what it wants.
fn agree(args: &FormatArgs, found: Option<&'static str>, person: &Terminal) -> Result<(), CommandError> {
    if args.quiet || !Terminal::types_stdin() {
        return Ok(());
    }
    let what = found.map_or_else(|| "all data".to_owned(), |what| format!("all data, a {what} among it,"));
    let question = format!("This makes {what} on {} unreadable for ever. Go on?", args.device.path.display());
    match clevis::Person::confirm(person, &question) {
        Ok(true) => Ok(()),
        Ok(false) => Err(CommandError::plain("nothing was changed")),
        Err(source) => Err(CommandError::failed("cannot ask whether to go on", source).hint("-q asks nothing")),
    }
}

fn plan(disk: &FileDisk, options: FormatOptions) -> Result<FormatPlan, CommandError> {
    FormatPlan::new(disk.len(), options).map_err(|source| {
        let asked = !matches!(source, FormatError::DiskTooSmall { .. });
        let error = CommandError::failed(format!("cannot format {}", disk.path().display()), source);
        if asked { error.into_usage() } else { error.hint("make it larger: truncate -s 64M FILE, for an image") }
    })
}

fn options(args: &FormatArgs, hash: Hash, kdf: KdfCost) -> Result<FormatOptions, CommandError> {
    let cipher = cipher(&args.cipher)?;
    let largest = cipher.key_lengths().iter().copied().max().unwrap_or(0);
    Ok(FormatOptions {
        cipher,
        key_len: args.key_size.map_or(Ok(largest), key_len)?,
        sector_size: args.sector_size.map(sector_size).transpose()?,
        hash,
        label: args.label.clone(),
        uuid: args.uuid.as_deref().map(uuid).transpose()?,
        ..FormatOptions::new(kdf)
    })
}

fn cipher(name: &str) -> Result<Cipher, CommandError> {
    Cipher::from_name(name).ok_or_else(|| {
        let error = CommandError::usage(format!("the cipher {} is not one that is used", name.escape_debug()));
        error.hint(format!("one of: {}", Cipher::ALL.map(Cipher::name).join(", ")))
    })
}

pub fn hash(name: &str) -> Result<Hash, CommandError> {
    Hash::from_luks_name(name).ok_or_else(|| {
        let error = CommandError::usage(format!("the hash {} is not one that is used", name.escape_debug()));
        error.hint(format!("one of: {}", Hash::ALL.map(Hash::luks_name).join(", ")))
    })
}

fn key_len(bits: u32) -> Result<u32, CommandError> {
    let whole = bits.is_multiple_of(8);
    if whole { Ok(bits / 8) } else { Err(CommandError::usage(format!("{bits} bits are not whole bytes"))) }
}

fn sector_size(bytes: u32) -> Result<SectorSize, CommandError> {
    let wrong = || CommandError::usage(format!("a sector has 512, 1024, 2048 or 4096 bytes, not {bytes}"));
    SectorSize::new(bytes.into()).ok_or_else(wrong)
}

fn uuid(text: &str) -> Result<partition::Uuid, CommandError> {
    let what = || format!("{} is not a UUID", text.escape_debug());
    text.parse().map_err(|source| CommandError::failed(what(), source).into_usage())
}

fn kdf_cost(args: &FormatArgs, hash: Hash) -> Result<KdfCost, CommandError> {
    let key_len = options(args, hash, KdfCost::random_passphrase(hash))?.key_len;
    kdf::cost(&args.kdf, Version::Luks2, hash, usize::try_from(key_len).unwrap_or(usize::MAX))
}
