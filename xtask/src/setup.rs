//! `cargo xtask setup`: the originals that the tests run against, as Debian packages them.

mod guest_kernel;
mod replacement;
mod roots;

use crate::failure::Failure;
use crate::program;
use crate::workspace::Workspace;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program that a test starts, and the Debian package that provides it.
struct Needed {
    program: &'static str,
    package: &'static str,
}

const fn needed(program: &'static str, package: &'static str) -> Needed {
    Needed { program, package }
}

/// Everything the tests and benches start. A program with a slash is a file, any other is looked for on the path.
const NEEDED: &[Needed] = &[
    // Not the package `tang`: that one opens port 80 on the machine it is installed on.
    needed("/usr/libexec/tangd", "tang-common"),
    needed("/usr/libexec/tangd-keygen", "tang-common"),
    needed("/usr/libexec/tangd-rotate-keys", "tang-common"),
    needed("tang-show-keys", "tang-common"),
    needed("clevis", "clevis"),
    needed("clevis-luks-bind", "clevis-luks"),
    needed("clevis-encrypt-tpm2", "clevis-tpm2"),
    needed("swtpm", "swtpm"),
    needed("tpm2_createprimary", "tpm2-tools"),
    needed("jose", "jose"),
    needed("luksmeta", "luksmeta"),
    needed("cryptsetup", "cryptsetup-bin"),
    needed("dmsetup", "dmsetup"),
    needed("linux.uml", "user-mode-linux"),
    needed("insmod", "kmod"),
    needed("mkfs.ext4", "e2fsprogs"),
    needed("nbdkit", "nbdkit"),
    needed("nbdcopy", "libnbd-bin"),
    needed("nbdinfo", "libnbd-bin"),
    needed("qemu-img", "qemu-utils"),
    needed("sfdisk", "fdisk"),
    needed("curl", "curl"),
    needed("openssl", "openssl"),
    needed("strace", "strace"),
    needed("prlimit", "util-linux"),
    needed("systemd-socket-activate", "systemd"),
    needed("systemd-cryptenroll", "systemd"),
    needed("/lib/systemd/systemd-measure", "systemd"),
    // Guests with udev, made of the host's own programs.
    needed("qemu-system-x86_64", "qemu-system-x86"),
    needed("/usr/share/OVMF/OVMF_CODE_4M.fd", "ovmf"),
    needed("/lib/systemd/systemd-udevd", "udev"),
    needed("busybox", "busybox-static"),
    needed("strip", "binutils"),
    needed("shellcheck", "shellcheck"),
    needed("zstd", "zstd"),
    // Roots of Debian that are booted whole, and what is around them.
    needed("mmdebstrap", "mmdebstrap"),
    needed("zstd", "zstd"),
    needed("dnsmasq", "dnsmasq-base"),
    // Networks that tests make, and who serves in them.
    needed("ip", "iproute2"),
    needed("nsd", "nsd"),
    needed("/usr/lib/klibc/bin/sh", "klibc-utils"),
    needed("unshare", "util-linux"),
    // What clevis-pin-tpm2 is built with, which no package provides.
    needed("/usr/include/tss2/tss2_esys.h", "libtss2-dev"),
    needed("/usr/include/openssl/ssl.h", "libssl-dev"),
    needed("pkg-config", "pkg-config"),
];

/// Where a program may be although an unprivileged path leaves it out.
const EXTRA_PATH: &[&str] = &["/usr/sbin", "/sbin"];

/// Installs what is missing if we may, and otherwise fails with the line that does; unpacks the kernel of the guests.
pub(crate) fn run() -> Result<(), Failure> {
    install()?;
    let workspace = Workspace::load()?;
    let target = &workspace.target;
    if !replacement::is_there(target) {
        eprintln!("building: clevis-pin-tpm2");
        replacement::provide(target)?;
    }
    if !guest_kernel::is_there(target) {
        if is_root() {
            // Where nothing was missing the lists of packages may be old, or gone.
            program::run(apt_get().arg("update"))?;
        }
        guest_kernel::provide(target)?;
    }
    if is_root() {
        return roots::provide(&workspace);
    }
    eprintln!("the roots that whole machines boot are made by root alone; without them the tests of whole boots fail");
    Ok(())
}

fn install() -> Result<(), Failure> {
    let missing = missing();
    if missing.is_empty() {
        eprintln!("all {} programs are here", NEEDED.len());
        return Ok(());
    }
    if !is_root() || find("apt-get").is_none() {
        return Err(refusal(&missing));
    }
    eprintln!("installing: {}", packages(&missing).join(" "));
    program::run(apt_get().arg("update"))?;
    program::run(apt_get().args(["install", "-y", "--no-install-recommends"]).args(packages(&missing)))?;
    let still = self::missing();
    if still.is_empty() { Ok(()) } else { Err(refusal(&still)) }
}

/// Each package with its version, as far as this machine's package manager knows them; for documents.
pub(crate) fn versions() -> String {
    let mut command = Command::new("dpkg-query");
    command.args(["-W", "-f=${Package} ${Version}\\n"]).args(packages(&NEEDED.iter().collect::<Vec<_>>()));
    let text = command.output().map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().collect::<Vec<_>>().join(", ")
}

fn missing() -> Vec<&'static Needed> {
    NEEDED.iter().filter(|needed| find(needed.program).is_none()).collect()
}

fn refusal(missing: &[&'static Needed]) -> Failure {
    let remedy = format!("apt-get install --no-install-recommends {}", packages(missing).join(" "));
    Failure::Missing { programs: missing.iter().map(|needed| needed.program).collect(), remedy }
}

/// The packages of `missing`, each once, in the order of the table.
fn packages(missing: &[&'static Needed]) -> Vec<&'static str> {
    let mut packages: Vec<&str> = missing.iter().map(|needed| needed.package).collect();
    packages.dedup();
    packages
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive").arg("-q");
    command
}

/// The file of a program: as it is named if that has a slash, otherwise somewhere on the path.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    if program.contains('/') {
        return Some(PathBuf::from(program)).filter(|file| file.is_file());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path).chain(EXTRA_PATH.iter().map(PathBuf::from));
    directories.map(|directory| directory.join(program)).find(|file| file.is_file())
}

/// Without a C library call: the owner of our own directory in `/proc` is who we are.
fn is_root() -> bool {
    Path::new("/proc/self").metadata().is_ok_and(|us| us.uid() == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remedy_names_each_package_once() {
        let missing: Vec<&Needed> = NEEDED.iter().filter(|needed| needed.package == "libnbd-bin").collect();
        assert!(missing.len() > 1);
        let text = refusal(&missing).to_string();
        assert!(text.contains("apt-get install --no-install-recommends libnbd-bin\n"), "{text}");
        assert!(text.contains("nbdcopy, nbdinfo"), "{text}");
    }

    #[test]
    fn a_program_that_is_nowhere_is_not_found() {
        assert!(find("sh").is_some());
        assert!(find("/bin/sh").is_some());
        assert!(find("no-such-program-anywhere").is_none());
        assert!(find("/usr/no-such-program").is_none());
    }
}
