//! Roots of Debian that `cargo xtask setup` has bootstrapped: a kernel, an initramfs, and the tree they were made in.
//!
//! Each says on the console where it stands (`roots/recipe.sh`), and each is there twice: plain, and with the original installed.

use crate::place;
use std::fmt;
use std::path::{Path, PathBuf};

/// Below Cargo's target directory.
pub(crate) const DIRECTORY: &str = "guest-roots";

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

    fn named(framework: Framework, name: &str) -> Root {
        let directory = place::provided(&format!("{DIRECTORY}/{name}"));
        // It is written when all else is there.
        assert!(directory.join("recipe").is_file(), "the root `{name}` is not whole; this makes it: cargo xtask setup");
        Root { framework, directory }
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
        self.directory.join("initrd")
    }

    /// The tree of a plain root; another one is a layer above that.
    pub fn tree(&self) -> PathBuf {
        self.directory.join("tree")
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
    use compliance::Program;

    #[test]
    fn the_shell_in_the_roots_is_clean() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let files = ["roots/recipe.sh", "roots/initramfs-tools/mark", "roots/dracut/module-setup.sh", "src/stub.sh"];
        Program::new("shellcheck").args(files.map(|file| here.join(file))).succeed();
    }
}
