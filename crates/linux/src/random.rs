//! Random numbers for protocols: identifiers that nobody can foresee, no keys.

use rustix::rand::{GetRandomFlags, getrandom};
use std::fs::File;
use std::io::Read;

/// 64 bits of the kernel's, without waiting: early in a boot its pool may not be filled, and a machine that waits for it does not start.
pub(crate) fn random() -> u64 {
    let mut bytes = [0; 8];
    let full = |flags| {
        let mut bytes = [0; 8];
        getrandom(&mut bytes, flags).ok().filter(|length| *length == bytes.len()).map(|_| bytes)
    };
    match full(GetRandomFlags::NONBLOCK).or_else(|| full(GetRandomFlags::INSECURE)) {
        Some(found) => bytes = found,
        // Linux before 3.17 has no such call, and before 5.6 none that does not wait.
        None => drop(File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes))),
    }
    u64::from_ne_bytes(bytes)
}
