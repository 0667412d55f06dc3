//! The root file system of a boot that ends when it is reached, and what its disk is made with.

use crate::qemu::programs::libraries;
use compliance::Program;
use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use tempfile::TempDir;

/// The passphrase's own keyslot: what cryptsetup would choose, cut down to what an emulated processor does in three seconds.
pub(super) const PERSON: &[&str] = &["--pbkdf", "argon2id", "--pbkdf-memory", "65536", "--pbkdf-force-iterations", "4"];
/// The same for LUKS1, which has one derivation.
pub(super) const PERSON_LUKS1: &[&str] = &["--pbkdf-force-iterations", "100000"];
/// Of the file system, before the 32 MiB that a header is given.
pub(super) const ROOT_BYTES: u64 = 32 << 20;
/// Its first process.
pub(super) const FIRST_PROCESS: &str = include_str!("../stub.sh");

/// Makes the small root in a file, as large as the file is.
pub(super) fn make_root(file: &Path) {
    let tree = stub();
    Program::new("mkfs.ext4").args(["-q", "-F", "-d"]).arg(tree.path()).arg(file).succeed();
}

/// The tree of the small root: what switching to a root looks for, and a first process that ends the machine.
fn stub() -> TempDir {
    let tree = tempfile::tempdir().unwrap();
    let at = |path: &str| tree.path().join(path);
    for directory in ["bin", "sbin", "etc", "usr/lib", "proc", "sys", "dev", "run", "tmp", "var", "root", "mnt"] {
        fs::create_dir_all(at(directory)).unwrap();
    }
    let shell = compliance::need("busybox");
    fs::copy(&shell, at("bin/busybox")).unwrap();
    // None if it is the static one.
    for library in libraries(&shell) {
        let copy = at(library.trim_start_matches('/'));
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::copy(&library, copy).unwrap();
    }
    symlink("busybox", at("bin/sh")).unwrap();
    fs::write(at("etc/os-release"), "ID=stub\nNAME=Stub\n").unwrap();
    fs::write(at("sbin/init"), FIRST_PROCESS).unwrap();
    fs::set_permissions(at("sbin/init"), fs::Permissions::from_mode(0o755)).unwrap();
    tree
}

/// An empty file of this size.
pub(super) fn blank(file: &Path, bytes: u64) {
    File::create(file).unwrap().set_len(bytes).unwrap();
}
