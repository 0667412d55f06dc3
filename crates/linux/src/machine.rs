//! What this machine has to spend on a key derivation.

use rustix::process::{Resource, getrlimit};
use std::fs;
use std::num::NonZero;
use std::path::Path;
use std::thread::available_parallelism;

/// Physical memory in KiB.
pub fn memory_kib() -> u64 {
    let info = rustix::system::sysinfo();
    u64::from(info.mem_unit).saturating_mul(info.totalram) / 1024
}

/// Whether this process may read whatever it wants to.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether this is an initramfs, by what its root is: a file system in memory, or one with `/etc/initrd-release`.
pub fn is_initramfs() -> bool {
    /// `statfs(2)`: ramfs and tmpfs.
    const IN_MEMORY: [u64; 2] = [0x8584_58f6, 0x0102_1994];
    let kind = rustix::fs::statfs("/").map(|about| u64::try_from(about.f_type).unwrap_or(0));
    kind.is_ok_and(|kind| IN_MEMORY.contains(&kind)) || Path::new("/etc/initrd-release").exists()
}

/// How much memory this process could still take before the system has none left and ends something, in KiB: what the kernel
/// calls available, and swap, within what a control group and the limit on address space leave. `None` if nothing says.
pub fn free_memory_kib() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| available(&text));
    machine.into_iter().chain(left_of_group()).chain(left_of_address_space()).min()
}

/// From the lines of `/proc/meminfo` (proc(5)). Kernels before 3.14 have no `MemAvailable`.
fn available(meminfo: &str) -> Option<u64> {
    Some(kib_of(meminfo, "MemAvailable:")?.saturating_add(kib_of(meminfo, "SwapFree:").unwrap_or(0)))
}

/// The number of a line such as `VmSize:     1234 kB`.
fn kib_of(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// What the control groups of this process leave it, the tightest of them (cgroups(7), version 2: one line `0::/path`). Swap is
/// not counted: a group that is limited in memory mostly has none.
fn left_of_group() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let own = Path::new("/sys/fs/cgroup").join(own);
    own.ancestors().take_while(|group| group.starts_with("/sys/fs/cgroup")).filter_map(left_of).min()
}

/// `memory.max` less `memory.current`, both in bytes; the former may be the word `max`.
fn left_of(group: &Path) -> Option<u64> {
    let number = |name: &str| fs::read_to_string(group.join(name)).ok()?.trim().parse::<u64>().ok();
    // Pages of files are given back when memory is needed, and count as used until then.
    let reclaimable = fs::read_to_string(group.join("memory.stat"))
        .ok()
        .and_then(|text| text.lines().find_map(|line| line.strip_prefix("inactive_file "))?.trim().parse::<u64>().ok());
    let used = number("memory.current")?.saturating_sub(reclaimable.unwrap_or(0));
    Some(number("memory.max")?.saturating_sub(used) / 1024)
}

/// What `ulimit -v` leaves.
fn left_of_address_space() -> Option<u64> {
    let limit = getrlimit(Resource::As).current? / 1024;
    let used = fs::read_to_string("/proc/self/status").ok().and_then(|text| kib_of(&text, "VmSize:")).unwrap_or(0);
    Some(limit.saturating_sub(used))
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
        let free = free_memory_kib().unwrap();
        assert!(free > 1 << 10 && free < 1 << 40, "{free}");
    }

    #[test]
    fn available_memory_is_what_the_kernel_says_and_swap() {
        let text = "MemTotal:  16000 kB\nMemFree:  10 kB\nMemAvailable:    9000 kB\nSwapFree:  500 kB\n";
        assert_eq!(available(text), Some(9500));
        assert_eq!(available("MemAvailable: 9000 kB"), Some(9000));
        for bad in ["", "MemFree: 1 kB", "MemAvailable: x kB", "MemAvailable: 9000"] {
            assert_eq!(available(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_group_leaves_its_limit_less_what_is_used_and_cannot_be_given_back() {
        let group = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(group.path().join(name), text).unwrap();
        write("memory.current", "5242880\n");
        assert_eq!(left_of(group.path()), None);
        write("memory.max", "max\n");
        assert_eq!(left_of(group.path()), None);
        write("memory.max", "10485760\n");
        assert_eq!(left_of(group.path()), Some(5120));
        write("memory.stat", "anon 5\ninactive_file 1048576\n");
        assert_eq!(left_of(group.path()), Some(6144));
        write("memory.current", "20971520\n");
        assert_eq!(left_of(group.path()), Some(0));
    }
}
