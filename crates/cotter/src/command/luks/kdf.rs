//! How slow a new passphrase is made: as it was asked for, or measured on this machine.

use crate::args::{KdfArgs, Pbkdf};
use crate::error::CommandError;
use crate::progress::Progress;
use ::luks::{KdfCost, LEAST_ITERATIONS, Measured, Version, scaled_argon2};
use crypto::Hash;
use crypto::kdf::{Argon2Cost, Argon2Variant, argon2, pbkdf2};
use linux::{machine, thread_time};
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

/// Most memory that is taken unless another number is asked for: 1 GiB, and never more than half of the machine's.
const MOST_MEMORY_KIB: u64 = 1 << 20;
/// Most threads that are taken unless another number is asked for, as cryptsetup has it.
const MOST_THREADS: u32 = 4;

/// Refuses what this version of the format does not have, before anybody types or waits.
pub fn check(args: &KdfArgs, version: Version) -> Result<(), CommandError> {
    let argon2 = matches!(args.pbkdf, Some(Pbkdf::Argon2i | Pbkdf::Argon2id));
    let of_argon2 = argon2 || args.pbkdf_memory.is_some() || args.pbkdf_parallel.is_some();
    if version == Version::Luks1 && of_argon2 {
        return Err(CommandError::usage("LUKS1 has PBKDF2 alone, which takes no memory and no threads"));
    }
    match args.pbkdf_force_iterations {
        Some(wanted) if kind(args, version).is_none() && wanted < LEAST_ITERATIONS.get() => {
            Err(CommandError::usage(format!("{wanted} iterations are fewer than {LEAST_ITERATIONS}")))
        }
        _ => Ok(()),
    }
}

/// The kind of Argon2; `None`: PBKDF2.
fn kind(args: &KdfArgs, version: Version) -> Option<Argon2Variant> {
    match (version, args.pbkdf) {
        (Version::Luks1, _) | (_, Some(Pbkdf::Pbkdf2)) => None,
        (Version::Luks2, Some(Pbkdf::Argon2i)) => Some(Argon2Variant::Argon2i),
        (Version::Luks2, Some(Pbkdf::Argon2id) | None) => Some(Argon2Variant::Argon2id),
    }
}

/// The cost that was asked for. Measures for a moment unless the iterations are given. `hash` is that of PBKDF2, and what is
/// derived has `key_len` bytes: with PBKDF2 that costs time for each length of the hash.
pub fn cost(args: &KdfArgs, version: Version, hash: Hash, key_len: usize) -> Result<KdfCost, CommandError> {
    check(args, version)?;
    let Some(variant) = kind(args, version) else {
        let forced = args.pbkdf_force_iterations.and_then(NonZeroU32::new);
        return Ok(KdfCost::Pbkdf2 {
            hash,
            iterations: forced.unwrap_or_else(|| measured_pbkdf2(args, hash, key_len)),
        });
    };
    let memory_kib = args.pbkdf_memory.unwrap_or_else(usual_memory);
    let lanes = args.pbkdf_parallel.unwrap_or_else(|| machine::threads().min(MOST_THREADS));
    let cost = match args.pbkdf_force_iterations {
        Some(passes) => Argon2Cost { memory_kib, passes, lanes },
        None => scaled_argon2(measure_argon2(variant, memory_kib, lanes)?, target(args), memory_kib),
    };
    Ok(KdfCost::Argon2 { variant, cost })
}

/// Half of the machine's, at most 1 GiB, and never more than half of what is free: then it could not be opened here again.
fn usual_memory() -> u32 {
    let half = machine::memory_kib() / 2;
    let free = machine::free_memory_kib().map_or(half, |free| free / 2);
    u32::try_from(half.min(free).min(MOST_MEMORY_KIB)).unwrap_or(u32::MAX)
}

fn target(args: &KdfArgs) -> Duration {
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

/// Rounds of one measurement, which takes some tenths of a second.
const MEASURED_ROUNDS: NonZeroU32 = NonZeroU32::new(500_000).unwrap();

fn measured_pbkdf2(args: &KdfArgs, hash: Hash, key_len: usize) -> NonZeroU32 {
    let _progress = Progress::spinner("measuring the key derivation");
    let mut key = vec![0; key_len];
    // The time of the processor: a machine that is busy while a disk is formatted must not make the disk weaker.
    let begin = thread_time();
    pbkdf2(hash, b"measurement", &[0; 32], MEASURED_ROUNDS, &mut key);
    let micros = thread_time().saturating_sub(begin).as_micros().max(1);
    let rounds = u128::from(MEASURED_ROUNDS.get()) * target(args).as_micros() / micros;
    let rounds = NonZeroU32::new(u32::try_from(rounds).unwrap_or(u32::MAX)).unwrap_or(LEAST_ITERATIONS);
    rounds.max(LEAST_ITERATIONS)
}
