//! The kernel that a guest of the tests runs: Debian's, unpacked below Cargo's target directory. It is not installed, because
//! installing a kernel changes what the machine boots.

use crate::failure::Failure;
use crate::program;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where `tests/boot` looks for it, below the target directory.
const DIRECTORY: &str = "guest-kernel";
/// A package without files that depends on the newest kernel.
const NEWEST: &str = "linux-image-amd64";
/// What is unpacked: the kernel, and the directories of the modules that a guest loads; a tenth of the package.
const FILES: &[&str] = &[
    "./boot/vmlinuz-*",
    "./lib/modules/*/kernel/crypto/*",
    "./lib/modules/*/kernel/drivers/block/*",
    "./lib/modules/*/kernel/drivers/md/*",
    "./lib/modules/*/kernel/drivers/virtio/*",
    "./lib/modules/*/kernel/fs/ext4/*",
    "./lib/modules/*/kernel/fs/jbd2/*",
    "./lib/modules/*/kernel/fs/mbcache.ko",
    "./lib/modules/*/kernel/lib/*",
];

/// Whether it was unpacked before, in whatever version.
pub(super) fn is_there(target: &Path) -> bool {
    target.join(DIRECTORY).is_dir()
}

/// Downloads and unpacks it.
pub(super) fn provide(target: &Path) -> Result<(), Failure> {
    let place = target.join(DIRECTORY);
    let package = newest()?;
    eprintln!("unpacking: {package}");
    // Under another name until it is whole.
    let unfinished = target.join(format!("{DIRECTORY}.{}", std::process::id()));
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| Failure::File { path, source }
    };
    fs::create_dir_all(&unfinished).map_err(failed(&unfinished))?;
    let archive = download(&package, &unfinished)?;
    unpack(&archive, &unfinished)?;
    fs::remove_file(&archive).map_err(failed(&archive))?;
    fs::rename(&unfinished, &place).map_err(failed(&place))
}

/// The name of the package that the newest kernel is in.
fn newest() -> Result<String, Failure> {
    let told = program::output(Command::new("apt-cache").args(["depends", "--no-recommends", NEWEST]))?;
    first_dependency(&told).ok_or_else(|| Failure::Answer { program: "apt-cache", what: format!("no {NEWEST}") })
}

fn first_dependency(told: &str) -> Option<String> {
    told.lines().find_map(|line| line.trim().strip_prefix("Depends: ")).map(str::to_owned)
}

/// Downloads a package into a directory, and says which file it is.
fn download(package: &str, directory: &Path) -> Result<PathBuf, Failure> {
    // Without this apt warns that its own unprivileged user cannot write there.
    let user = ["-o", "APT::Sandbox::User=root"];
    program::run(Command::new("apt-get").current_dir(directory).args(user).args(["-q", "download", package]))?;
    let failed = |source| Failure::File { path: directory.to_owned(), source };
    let mut files = fs::read_dir(directory).map_err(failed)?.filter_map(|entry| Some(entry.ok()?.path()));
    let archive = files.find(|file| file.extension().is_some_and(|ending| ending == "deb"));
    archive.ok_or_else(|| Failure::Answer { program: "apt-get", what: format!("no file of {package}") })
}

fn unpack(archive: &Path, directory: &Path) -> Result<(), Failure> {
    let mut command = Command::new("dpkg-deb");
    command.arg("--fsys-tarfile").arg(archive).stdout(Stdio::piped());
    let start_failed = |source| Failure::Start { program: "dpkg-deb".into(), source };
    let mut files = command.spawn().map_err(start_failed)?;
    let mut tar = Command::new("tar");
    tar.args(["--extract", "--no-same-owner", "--wildcards"]).arg("--directory").arg(directory).args(FILES);
    let unpacked = program::run(tar.stdin(files.stdout.take().map_or_else(Stdio::null, Stdio::from)));
    let status = files.wait().map_err(start_failed)?;
    unpacked?;
    if status.success() { Ok(()) } else { Err(Failure::Program { command: "dpkg-deb".into(), status }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_the_first_dependency() {
        let told = "linux-image-amd64\n  Depends: linux-image-6.1.0-56-amd64\n";
        assert_eq!(first_dependency(told).as_deref(), Some("linux-image-6.1.0-56-amd64"));
        assert_eq!(first_dependency("linux-image-amd64\n"), None);
    }
}
