//! Secrets that are wiped and never printed, and the one door to the cryptographic library.
//!
//! AWS-LC does curves, AEAD, signatures, RSA-OAEP, random, AES-256-XTS, AES-CBC and AES-CFB; the RustCrypto crates do the hashes
//! it lacks, and key derivation, where they are faster. Nothing here knows JSON, files or a protocol. `unsafe` stands in `ffi` alone,
//! because the safe binding has no points with both coordinates and no disk ciphers.

#![deny(unsafe_code)]

pub mod aead;
pub mod cfb;
mod curve;
pub mod ec;
#[allow(unsafe_code)]
mod ffi;
mod hash;
pub mod kdf;
mod mac;
mod md5;
pub mod oaep;
mod prime;
mod random;
mod secret;
pub mod sector;

pub use hash::{Digest, Hash};
pub use mac::hmac;
pub use md5::md5;
pub use prime::{PrimeError, safe_prime_256};
pub use random::{Random, RandomFailed, SystemRandom};
pub use secret::{Passphrase, Secret, Share, VolumeKey};
