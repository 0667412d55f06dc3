//! Both versions of LUKS, and what a person does to keyslots with either program.

use crate::disk::Disk;
use crate::maker::Maker;
use crate::program::Program;
use std::fmt;
use std::fs;
use std::path::PathBuf;

/// A version of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// LUKS1, with room for the metadata of Clevis in its gap.
    Luks1,
    /// LUKS2.
    Luks2,
}

/// The cheapest legal derivation, in words that both programs take.
pub const CHEAP: [&str; 4] = ["--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1001"];

impl Version {
    /// Both, in the order of the tables.
    pub const BOTH: [Version; 2] = [Version::Luks1, Version::Luks2];

    /// The word behind `--type`.
    pub fn word(self) -> &'static str {
        match self {
            Version::Luks1 => "luks1",
            Version::Luks2 => "luks2",
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Version::Luks1 => "LUKS1",
            Version::Luks2 => "LUKS2",
        })
    }
}

impl Disk {
    /// A disk of 20 MiB in this version, with [`crate::disk::PASSPHRASE`] in keyslot 0.
    pub fn of(maker: Maker, version: Version) -> Disk {
        let disk = Disk::blank(20 << 20);
        let program = match maker {
            Maker::Ours => Program::cotter().args(["luks", "format", "-q", "-k"]),
            Maker::Theirs => Program::new("cryptsetup").args(["luksFormat", "-q", "--key-file"]),
        };
        let program = program.arg(disk.passphrase_file()).args(["--type", version.word()]).args(CHEAP);
        let program = if maker == Maker::Ours { program.arg("-d") } else { program };
        program.arg(disk.path()).succeed();
        disk
    }

    /// A file in the same directory with this content.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.beside(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// `cotter luks COMMAND… -d DISK`.
    pub fn cotter<'w>(&self, command: impl IntoIterator<Item = &'w str>) -> Program {
        Program::cotter().arg("luks").args(command).arg("-d").arg(self.path())
    }

    /// `cryptsetup COMMAND… DISK`.
    pub fn cryptsetup<'w>(&self, command: impl IntoIterator<Item = &'w str>) -> Program {
        Program::new("cryptsetup").args(command).arg(self.path())
    }

    /// Whether our program opens the disk with this passphrase.
    pub fn opens_for_us(&self, passphrase: &[u8]) -> bool {
        self.cotter(["unlock", "--print-key", "-k", "-"]).input(passphrase).run().status.success()
    }

    /// Ends the test unless both programs open the disk with exactly these passphrases, out of those named.
    #[track_caller]
    pub fn assert_opens(&self, good: &[&str], bad: &[&str]) {
        for (passphrases, expected) in [(good, true), (bad, false)] {
            for passphrase in passphrases {
                let theirs = self.opens_with(passphrase.as_bytes());
                let ours = self.opens_for_us(passphrase.as_bytes());
                assert_eq!((theirs, ours), (expected, expected), "cryptsetup and cotter open it with {passphrase:?}");
            }
        }
    }

    /// Adds a passphrase by [`crate::disk::PASSPHRASE`], with further words that both programs take.
    pub fn add(&self, maker: Maker, new: &str, words: &[&str]) {
        let (old, new) = (self.passphrase_file(), self.file("new-passphrase", new));
        let program = match maker {
            Maker::Ours => self.cotter(["add"]).arg("-k").arg(old).arg("--new-key-file").arg(new),
            Maker::Theirs => {
                Program::new("cryptsetup").args(["luksAddKey", "-q", "--key-file"]).arg(old).arg(self.path()).arg(new)
            }
        };
        program.args(CHEAP).args(words).succeed();
    }

    /// Puts another passphrase in the place of `old`.
    pub fn change(&self, maker: Maker, old: &str, new: &str) {
        let (old, new) = (self.file("old-passphrase", old), self.file("new-passphrase", new));
        let program = match maker {
            Maker::Ours => self.cotter(["passwd"]).arg("-k").arg(old).arg("--new-key-file").arg(new),
            Maker::Theirs => Program::new("cryptsetup")
                .args(["luksChangeKey", "-q", "--key-file"])
                .arg(old)
                .arg(self.path())
                .arg(new),
        };
        program.args(CHEAP).succeed();
    }

    /// Removes a keyslot, asking nothing.
    pub fn kill(&self, maker: Maker, slot: &str) {
        match maker {
            Maker::Ours => self.cotter(["kill", "-q", "-s", slot]).succeed(),
            Maker::Theirs => self.cryptsetup(["luksKillSlot", "-q"]).arg(slot).succeed(),
        };
    }
}
