//! `cotter luks format`: a new volume.

mod options;

pub use options::hash;

use crate::args::FormatArgs;
use crate::command::luks::{change, kdf};
use crate::error::CommandError;
use crate::host::Host;
use crate::output;
use crate::passphrase;
use crate::progress::Progress;
use crate::volume;
use ::luks::{FormatError, FormatOptions, FormatPlan, KdfCost, PreparedFormat};
use block::{BlockRead, Bytes, signature};
use crypto::{Passphrase, SystemRandom};
use json::Object;
use linux::{Access, Claim, DiskError, FileDisk, LockMode, Terminal};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Makes a new volume.
pub fn run(args: &FormatArgs) -> Result<(), CommandError> {
    let hash = hash(&args.hash)?;
    let version = options::version(args);
    kdf::check(&args.kdf, version)?;
    let place = Place::open(args)?;
    let found = place.found(args)?;
    // The plan shows what is wrong with the rest before anybody types or waits for a measurement.
    let unmeasured = place.options(args, KdfCost::random_passphrase(hash))?;
    place.plan(&unmeasured)?;
    let host = Host::new(Duration::ZERO);
    let passphrase = if args.dry_run { None } else { Some(agreed_passphrase(args, found, &host)?) };
    let cost = kdf::cost(&args.kdf, version, hash, usize::try_from(unmeasured.key_len).unwrap_or(usize::MAX))?;
    let plan = place.plan(&place.options(args, cost)?)?;
    let Some(passphrase) = passphrase else { return change::print_plan(args.format, &plan) };
    let prepared = prepare(&plan, &passphrase, args)?;
    // What follows is written to its end, which is soon.
    if host.cancel().is_cancelled() {
        return Err(CommandError::plain("interrupted; nothing was written"));
    }
    let (disk, claim) = place.into_disk(&unmeasured)?;
    let written = write(args, &disk, prepared);
    drop(claim);
    written
}

/// The passphrase, from who agrees. From here on a signal is noticed and told of; only where a pipe is read before, it ends the
/// process.
fn agreed_passphrase(args: &FormatArgs, found: Option<&str>, host: &Host) -> Result<Passphrase, CommandError> {
    if Terminal::types_stdin() {
        host.cancel_on_signal()?;
    }
    agree(args, found, host)?;
    let passphrase = passphrase::new(&args.key, host.person())?;
    host.cancel_on_signal()?;
    Ok(passphrase)
}

fn write(args: &FormatArgs, disk: &FileDisk, prepared: PreparedFormat) -> Result<(), CommandError> {
    let held = volume::lock(disk, LockMode::Exclusive)?;
    // Meanwhile somebody else may have put something there.
    refuse_known(args, disk)?;
    let formatted = prepared.write(disk, &SystemRandom, &mut |_| ()).map_err(|source| cannot_format(args, source))?;
    drop(held);
    let uuid = formatted.header.uuid().to_string();
    output::say(&format!("formatted; to let it open unattended: cotter luks bind {} PIN CFG", args.device));
    output::record(args.format, Object::new().with("uuid", uuid.as_str()), || uuid.clone())
}

/// Opens the disk that is to be formatted; an image is made by another program.
fn open_disk(path: &Path, access: Access) -> Result<FileDisk, CommandError> {
    let opened = volume::open_disk(path, access);
    if path.starts_with("/dev") || path.exists() {
        return opened;
    }
    let name = path.display();
    opened.map_err(|error| {
        error.hint(format!("make an image first: `truncate -s 64M {name}`; `lsblk` lists the devices"))
    })
}

/// Where the header will be.
enum Place {
    /// In front of the data.
    Device { disk: FileDisk, claim: Option<Claim> },
    /// On a disk or in a file of its own.
    Apart { disk: FileDisk, claim: Option<Claim>, data: FileDisk },
    /// In a file that is not there yet.
    New { path: PathBuf, data: FileDisk },
}

impl Place {
    fn open(args: &FormatArgs) -> Result<Place, CommandError> {
        let access = if args.dry_run { Access::Read } else { Access::Alone };
        let claimed = |disk: FileDisk| -> Result<(FileDisk, Option<Claim>), CommandError> {
            let claim = if args.dry_run { None } else { Some(volume::claim(&disk)?) };
            Ok((disk, claim))
        };
        let Some(path) = &args.device.detached_header else {
            let (disk, claim) = claimed(open_disk(&args.device.path, access)?)?;
            return Ok(Place::Device { disk, claim });
        };
        let data = open_disk(&args.device.path, Access::Read)?;
        match FileDisk::open(path, access) {
            Err(DiskError::NotFound { .. }) => Ok(Place::New { path: path.clone(), data }),
            _ => {
                let (disk, claim) = claimed(volume::open_disk(path, access)?)?;
                Ok(Place::Apart { disk, claim, data })
            }
        }
    }

    /// What is on the disks, of which all is refused that is not to be overwritten.
    fn found(&self, args: &FormatArgs) -> Result<Option<&'static str>, CommandError> {
        match self {
            Place::Device { disk, .. } => refuse_known(args, disk),
            Place::New { data, .. } => refuse_known(args, data),
            Place::Apart { disk, data, .. } => Ok(refuse_known(args, disk)?.or(refuse_known(args, data)?)),
        }
    }

    fn options(&self, args: &FormatArgs, kdf: KdfCost) -> Result<FormatOptions, CommandError> {
        match self {
            Place::Device { .. } => options::of(args, kdf, None),
            Place::Apart { data, .. } | Place::New { data, .. } => options::of(args, kdf, Some(data.len())),
        }
    }

    fn plan(&self, options: &FormatOptions) -> Result<FormatPlan, CommandError> {
        let (path, length) = match self {
            Place::Device { disk, .. } | Place::Apart { disk, .. } => (disk.path(), disk.len()),
            Place::New { path, .. } => (path.as_path(), options.detached_len()),
        };
        plan(path, length, options)
    }

    /// The disk of the header, made if it is not there yet, and nobody else's meanwhile.
    fn into_disk(self, options: &FormatOptions) -> Result<(FileDisk, Option<Claim>), CommandError> {
        let path = match self {
            Place::Device { disk, claim } | Place::Apart { disk, claim, .. } => return Ok((disk, claim)),
            Place::New { path, .. } => path,
        };
        let made = FileDisk::create(&path, options.detached_len()).map_err(|source| {
            let hint = source.hint();
            CommandError::failed("cannot make the file of the header", source).hint(hint)
        })?;
        let claim = volume::claim(&made)?;
        Ok((made, Some(claim)))
    }
}

/// The slow part, before the lock is taken: nothing waits for a key derivation.
fn prepare(plan: &FormatPlan, passphrase: &Passphrase, args: &FormatArgs) -> Result<PreparedFormat, CommandError> {
    let _progress = Progress::spinner("stretching the passphrase");
    plan.prepare(passphrase, &SystemRandom).map_err(|source| cannot_format(args, source))
}

fn cannot_format(args: &FormatArgs, source: FormatError) -> CommandError {
    CommandError::failed(format!("cannot format {}", args.device.path.display()), source)
}

/// A disk that holds something is somebody's until they say otherwise.
fn refuse_known(args: &FormatArgs, disk: &FileDisk) -> Result<Option<&'static str>, CommandError> {
    let found = signature::find(disk).map_err(|source| CommandError::failed("cannot read the disk", source))?;
    match found {
        Some(what) if !args.force => {
            let error = CommandError::plain(format!("{} holds something: {what}", disk.path().display()));
            Err(error.hint("--force overwrites it; there is no way back"))
        }
        _ => Ok(found),
    }
}

/// Asks a person who is there; a script has said what it wants.
fn agree(args: &FormatArgs, found: Option<&str>, host: &Host) -> Result<(), CommandError> {
    if args.quiet || !Terminal::types_stdin() {
        return Ok(());
    }
    let what = found.map_or_else(|| "all data".to_owned(), |what| format!("all data, a {what} among it,"));
    let question = format!("This makes {what} on {} unreadable for ever. Go on?", args.device.path.display());
    let agreed = change::agreed(host, &question, "-q asks nothing")?;
    if agreed { Ok(()) } else { Err(CommandError::plain("nothing was changed")) }
}

fn plan(path: &Path, length: Bytes, options: &FormatOptions) -> Result<FormatPlan, CommandError> {
    FormatPlan::new(length, options.clone()).map_err(|source| {
        let (asked, hint) = match &source {
            FormatError::DiskTooSmall { .. } => {
                (false, "make it larger: truncate -s 64M FILE, for an image".to_owned())
            }
            FormatError::KeyLength { cipher, .. } => (true, options::key_sizes(*cipher)),
            _ => (true, String::new()),
        };
        let error = CommandError::failed(format!("cannot format {}", path.display()), source).hint(hint);
        if asked { error.into_usage() } else { error }
    })
}
