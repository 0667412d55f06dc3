//! What the figures were measured on: without it they mean nothing.

use std::fs;
use std::process::Command;

/// Packages whose versions belong beside their figures.
const ORIGINALS: &[&str] =
    &["tang-common", "clevis", "jose", "cryptsetup-bin", "nbdkit", "qemu-utils", "libnbd-bin", "systemd"];

/// A paragraph: processor, kernel, originals.
pub(crate) fn describe() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown");
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    format!(
        "{threads} threads of {}; Linux {}; load before the run {}.  \nOriginals, as Debian packages: {}.\n",
        model.trim_start_matches([' ', '\t', ':']),
        kernel.trim(),
        load.split(' ').next().unwrap_or("unknown"),
        ORIGINALS.iter().map(|name| format!("{name} {}", version(name))).collect::<Vec<_>>().join(", ")
    )
}

fn version(package: &str) -> String {
    let output = Command::new("dpkg-query").args(["-W", "-f=${Version}", package]).output();
    let version = output.ok().filter(|output| output.status.success()).map(|output| output.stdout);
    version.map_or_else(|| "of unknown version".to_owned(), |version| String::from_utf8_lossy(&version).into_owned())
}
