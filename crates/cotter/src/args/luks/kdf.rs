//! How slow a passphrase is made.

use clap::{Args, ValueEnum};

/// Key derivations of a person's passphrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Pbkdf {
    Argon2id,
    Argon2i,
    Pbkdf2,
}

// How slow a passphrase is made.
#[derive(Clone, Copy, Debug, Args)]
pub struct KdfArgs {
    /// How long the key derivation may take, in milliseconds
    #[arg(short = 'i', long, value_name = "MS", default_value_t = 2000)]
    pub iter_time: u32,
    /// Key derivation of the passphrase [default: argon2id; LUKS1 has pbkdf2 alone]
    #[arg(long, value_enum)]
    pub pbkdf: Option<Pbkdf>,
    /// Memory of the key derivation in KiB [default: half of the machine's or of what is free, at most 1 GiB]
    #[arg(long, value_name = "KIB")]
    pub pbkdf_memory: Option<u32>,
    /// Threads of the key derivation [default: the machine's, at most 4]
    #[arg(long, value_name = "N")]
    pub pbkdf_parallel: Option<u32>,
    /// Iterations of the key derivation, instead of measuring them
    #[arg(long, value_name = "N")]
    pub pbkdf_force_iterations: Option<u32>,
}
