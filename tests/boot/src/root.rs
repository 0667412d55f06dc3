//! Roots of Debian that `cargo xtask setup` has bootstrapped: a kernel, an initramfs, and the tree they were made in.
//!
//! Each says on the console where it stands (`roots/recipe.sh`), and each is there twice: plain, and with the original installed. A third
//! kind has cotter in it, and is made by whoever wants it first.

mod with_cotter;

use crate::place;
use compliance::Program;
use std::fmt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// What makes and drives the initramfs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framework {
    /// initramfs-tools with cryptsetup-initramfs: shell scripts and a pipe for the passphrase.
    InitramfsTools,
    /// dracut with systemd in the initramfs.
    Dracut,
}

impl Framework {
    /// Both.
    pub const BOTH: [Framework; 2] = [Framework::InitramfsTools, Framework::Dracut];

    /// What it writes when it wants the passphrase of this volume.
    pub fn prompt(self, volume: &str) -> String {
        match self {
            Framework::InitramfsTools => format!("unlock disk {volume}: "),
            Framework::Dracut => format!("passphrase for disk {volume}: "),
        }
    }

    /// The first mark of its initramfs.
    pub fn first_mark(self) -> &'static str {
        match self {
            Framework::InitramfsTools => "init-top",
            Framework::Dracut => "cmdline",
        }
    }
}

impl fmt::Display for Framework {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Framework::InitramfsTools => "initramfs-tools",
            Framework::Dracut => "dracut",
        })
    }
}

/// One root.
#[derive(Debug, Clone)]
pub struct Root {
    framework: Framework,
    directory: PathBuf,
    initramfs: &'static str,
}

impl Root {
    /// Without anything that opens disks unattended.
    pub fn plain(framework: Framework) -> Root {
        Root::named(framework, &framework.to_string())
    }

    /// With the original's packages: clevis-initramfs or clevis-dracut, and clevis-tpm2.
    pub fn with_original(framework: Framework) -> Root {
        Root::named(framework, &format!("{framework}-clevis"))
    }

    /// With the files of `integration` and the program that was built for it; made now if it is not there.
    pub fn with_cotter(framework: Framework) -> Root {
        with_cotter::provide(&framework.to_string(), "");
        Root::named(framework, &format!("{framework}-cotter"))
    }

    /// The same beside the original and others who want the network, the disks or the console as early.
    pub fn with_cotter_in_a_crowd(framework: Framework) -> Root {
        let crowd = Root::named(framework, &format!("{framework}-crowd"));
        with_cotter::provide(&framework.to_string(), "-crowd");
        Root::named(crowd.framework, &format!("{framework}-crowd-cotter"))
    }

    /// The same root with the other initramfs of dracut, which has no systemd in it.
    pub fn without_systemd(mut self) -> Root {
        self.initramfs = "initrd-without-systemd";
        self
    }

    fn named(framework: Framework, name: &str) -> Root {
        let directory = place::provided(place::ROOTS).join(name);
        // It is written when all else is there.
        assert!(directory.join("recipe").is_file(), "the root `{name}` is not whole; this makes it: cargo xtask setup");
        Root { framework, directory, initramfs: "initrd" }
    }

    /// What made its initramfs.
    pub fn framework(&self) -> Framework {
        self.framework
    }

    /// Its kernel, in the form that keeps a TPM (a plain ELF image loses QEMU's tables).
    pub fn kernel(&self) -> PathBuf {
        self.directory.join("kernel")
    }

    /// Its initramfs.
    pub fn initramfs(&self) -> PathBuf {
        self.directory.join(self.initramfs)
    }

    /// The tree of a plain root; another one is a layer above that.
    pub fn tree(&self) -> PathBuf {
        self.directory.join("tree")
    }

    /// The files of its initramfs whose paths match these patterns of a shell, or all.
    pub fn unpacked(&self, patterns: &[&str]) -> TempDir {
        let folder = tempfile::tempdir().expect("no temporary directory");
        let line = "zstd -dcq \"$0\" | busybox cpio -id --quiet \"$@\"";
        let unpack = Program::new("sh").args(["-euc", line]).arg(self.initramfs()).args(patterns);
        unpack.directory(folder.path()).succeed();
        folder
    }

    /// How many bytes a boot loader has to read for its initramfs.
    pub fn initramfs_bytes(&self) -> u64 {
        size(&self.initramfs())
    }
}

fn size(file: &Path) -> u64 {
    file.metadata().map(|facts| facts.len()).unwrap_or_else(|why| panic!("`{}`: {why}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shell_in_the_roots_is_clean() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let files = ["roots/recipe.sh", "roots/initramfs-tools/mark", "roots/dracut/module-setup.sh", "src/stub.sh"];
        Program::new("shellcheck").args(files.map(|file| here.join(file))).succeed();
    }
}
