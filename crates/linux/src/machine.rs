//! What this machine has to spend on a key derivation.

use std::num::NonZero;
use std::thread::available_parallelism;

/// Physical memory in KiB.
pub fn memory_kib() -> u64 {
    let info = rustix::system::sysinfo();
    u64::from(info.mem_unit).saturating_mul(info.totalram) / 1024
}

/// Threads that run at once: cores, less what a control group takes away.
pub fn threads() -> u32 {
    available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(u32::MAX)).max(NonZero::<u32>::MIN.get())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_something_to_spend() {
        assert!(memory_kib() > 64 << 10);
        assert!(threads() >= 1);
    }
}
