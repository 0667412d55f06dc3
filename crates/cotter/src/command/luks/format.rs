//! `cotter luks format`.

use crate::args::{Format, FormatArgs, LuksType, Pbkdf};
use crate::error::CommandError;
use crate::output;
use crate::passphrase;
use crate::progress::Progress;
use crate::volume;
use ::luks::{
    Cipher, FormatError, FormatOptions, FormatPlan, KdfCost, LEAST_ITERATIONS, Measured, PreparedFormat, SectorSize,
    scaled_argon2,
};
use block::{BlockRead, partition, signature};
use crypto::kdf::{Argon2Cost, Argon2Variant, argon2, pbkdf2};
use crypto::{Hash, SystemRandom};
use json::Object;
use linux::{Access, FileDisk, LockMode, Terminal, machine};
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

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
        return print_plan(args.format, &plan);
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

fn print_plan(format: Format, plan: &FormatPlan) -> Result<(), CommandError> {
    for step in plan.to_string().lines() {
        output::record(format, Object::new().with("would", step), || format!("would {step}"))?;
    }
    Ok(())
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

fn hash(name: &str) -> Result<Hash, CommandError> {
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

/// Most memory that is taken unless another number is asked for: 1 GiB, and never more than half of the machine's.
const MOST_MEMORY_KIB: u64 = 1 << 20;
/// Most threads that are taken unless another number is asked for, as cryptsetup has it.
const MOST_THREADS: u32 = 4;

fn kdf_cost(args: &FormatArgs, hash: Hash) -> Result<KdfCost, CommandError> {
    let variant = match args.pbkdf {
        Pbkdf::Pbkdf2 => return pbkdf2_cost(args, hash),
        Pbkdf::Argon2i => Argon2Variant::Argon2i,
        Pbkdf::Argon2id => Argon2Variant::Argon2id,
    };
    let half = u32::try_from((machine::memory_kib() / 2).min(MOST_MEMORY_KIB)).unwrap_or(u32::MAX);
    let memory_kib = args.pbkdf_memory.unwrap_or(half);
    let lanes = args.pbkdf_parallel.unwrap_or_else(|| machine::threads().min(MOST_THREADS));
    let cost = match args.pbkdf_force_iterations {
        Some(passes) => Argon2Cost { memory_kib, passes, lanes },
        None => scaled_argon2(measure_argon2(variant, memory_kib, lanes)?, target(args), memory_kib),
    };
    Ok(KdfCost::Argon2 { variant, cost })
}

fn target(args: &FormatArgs) -> Duration {
    Duration::from_millis(args.iter_time.into())
}

/// One run that is long enough to be timed and short beside what it decides.
fn measure_argon2(variant: Argon2Variant, most_kib: u32, lanes: u32) -> Result<Measured, CommandError> {
    let _progress = Progress::spinner("measuring the key derivation");
    let cost = Argon2Cost { memory_kib: most_kib.min(256 << 10), passes: 1, lanes };
    let mut key = [0; 32];
    let begin = Instant::now();
    argon2(variant, b"measurement", &[0; 32], cost, &mut key)
        .map_err(|source| CommandError::failed("the key derivation cannot be used so", source))?;
    Ok(Measured { cost, took: begin.elapsed() })
}

/// Rounds of one measurement.
const MEASURED_ROUNDS: NonZeroU32 = NonZeroU32::new(200_000).unwrap();

fn pbkdf2_cost(args: &FormatArgs, hash: Hash) -> Result<KdfCost, CommandError> {
    if let Some(wanted) = args.pbkdf_force_iterations {
        let iterations = NonZeroU32::new(wanted).filter(|n| *n >= LEAST_ITERATIONS);
        let few = || CommandError::usage(format!("{wanted} iterations are fewer than {LEAST_ITERATIONS}"));
        return iterations.map(|iterations| KdfCost::Pbkdf2 { hash, iterations }).ok_or_else(few);
    }
    let _progress = Progress::spinner("measuring the key derivation");
    let mut key = [0; 32];
    let begin = Instant::now();
    pbkdf2(hash, b"measurement", &[0; 32], MEASURED_ROUNDS, &mut key);
    let micros = begin.elapsed().as_micros().max(1);
    let rounds = u128::from(MEASURED_ROUNDS.get()) * target(args).as_micros() / micros;
    let rounds = NonZeroU32::new(u32::try_from(rounds).unwrap_or(u32::MAX)).unwrap_or(LEAST_ITERATIONS);
    Ok(KdfCost::Pbkdf2 { hash, iterations: rounds.max(LEAST_ITERATIONS) })
}
