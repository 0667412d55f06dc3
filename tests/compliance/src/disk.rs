//! LUKS2 disks in plain files, made by either side, and what cryptsetup says about them.

use crate::maker::Maker;
use crate::program::{Ended, Program};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A LUKS2 header of 16 MiB and a little data behind it; the file is sparse.
const DISK_BYTES: u64 = 20 << 20;

/// What opens every disk here.
pub const PASSPHRASE: &str = "correct horse battery staple";

/// How a disk is encrypted.
#[derive(Debug, Clone, Copy)]
pub struct Cipher {
    /// As cryptsetup spells it.
    pub name: &'static str,
    /// Of the volume key; XTS uses two halves.
    pub key_bits: u32,
    /// What is encrypted as one piece.
    pub sector_bytes: u32,
}

impl Cipher {
    /// What cryptsetup chooses when nobody says.
    pub const USUAL: Cipher = Cipher { name: "aes-xts-plain64", key_bits: 512, sector_bytes: 512 };

    /// Every cipher that we accept, with small and large sectors.
    pub const ACCEPTED: [Cipher; 8] = [
        Cipher { name: "aes-xts-plain64", key_bits: 512, sector_bytes: 512 },
        Cipher { name: "aes-xts-plain64", key_bits: 512, sector_bytes: 4096 },
        Cipher { name: "aes-xts-plain64", key_bits: 256, sector_bytes: 512 },
        Cipher { name: "aes-xts-plain64", key_bits: 256, sector_bytes: 4096 },
        Cipher { name: "aes-cbc-essiv:sha256", key_bits: 256, sector_bytes: 512 },
        Cipher { name: "aes-cbc-essiv:sha256", key_bits: 256, sector_bytes: 4096 },
        Cipher { name: "aes-cbc-essiv:sha256", key_bits: 128, sector_bytes: 512 },
        Cipher { name: "aes-cbc-essiv:sha256", key_bits: 128, sector_bytes: 2048 },
    ];

    /// The words of `cryptsetup` and of `cotter luks format` for it.
    pub fn words(self) -> [String; 6] {
        let (name, bits, sector) = (self.name.to_owned(), self.key_bits.to_string(), self.sector_bytes.to_string());
        ["--cipher".into(), name, "--key-size".into(), bits, "--sector-size".into(), sector]
    }
}

/// A disk with one passphrase; removed in the end.
pub struct Disk {
    directory: TempDir,
}

impl Disk {
    /// An empty file beside the file of its passphrase.
    pub fn blank(bytes: u64) -> Disk {
        let disk = Disk { directory: tempfile::tempdir().unwrap() };
        File::create(disk.path()).unwrap().set_len(bytes).unwrap();
        fs::write(disk.passphrase_file(), PASSPHRASE).unwrap();
        disk
    }

    /// Its UUID, as cryptsetup has it.
    pub fn uuid(&self) -> String {
        let told = Program::new("cryptsetup").arg("luksUUID").arg(self.path()).succeed().text();
        told.trim_end().to_owned()
    }

    /// Formatted with the usual cipher and the cheapest legal derivation, which is what a test wants.
    pub fn formatted(maker: Maker) -> Disk {
        Disk::formatted_with(maker, Cipher::USUAL, &["--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1001"])
    }

    /// Formatted with these words of cryptsetup, which cotter keeps.
    pub fn formatted_with(maker: Maker, cipher: Cipher, kdf: &[&str]) -> Disk {
        let disk = Disk::blank(DISK_BYTES);
        let program = match maker {
            Maker::Ours => Program::cotter().args(["luks", "format", "-q", "--type", "luks2"]),
            Maker::Theirs => Program::new("cryptsetup").args(["luksFormat", "-q", "--type", "luks2"]),
        };
        let program = program.args(cipher.words()).args(kdf);
        let program = match maker {
            Maker::Ours => program.arg("-k").arg(disk.passphrase_file()).arg("-d").arg(disk.path()),
            Maker::Theirs => program.arg("--key-file").arg(disk.passphrase_file()).arg(disk.path()),
        };
        program.succeed();
        disk
    }

    /// Made from `content` by cryptsetup, without root: reencryption works on files. The plaintext begins with
    /// `content`; zeros follow it.
    pub fn encrypted(content: &[u8], cipher: Cipher) -> Disk {
        let disk = Disk::blank(0);
        fs::write(disk.path(), content).unwrap();
        disk.encrypt(cipher, &["--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1001"]);
        disk
    }

    /// Encrypts what is in the file, with these words of cryptsetup for the derivation; the file grows by the room of a header.
    pub fn encrypt(&self, cipher: Cipher, kdf: &[&str]) {
        const ROOM_FOR_HEADER: u64 = 32 << 20;
        let file = File::options().write(true).open(self.path()).unwrap();
        file.set_len(file.metadata().unwrap().len() + ROOM_FOR_HEADER).unwrap();
        let program = Program::new("cryptsetup").args(["reencrypt", "--encrypt", "-q", "--type", "luks2"]);
        let program = program.args(kdf).args(cipher.words());
        let program = program.args(["--reduce-device-size", "32M", "--key-file"]).arg(self.passphrase_file());
        program.arg(self.path()).succeed();
    }

    /// Gives it this UUID.
    pub fn name(&self, uuid: &str) {
        Program::new("cryptsetup").args(["luksUUID", "-q", "--uuid", uuid]).arg(self.path()).succeed();
    }

    /// The whole plaintext as cryptsetup reads it: it decrypts a copy in place and moves the header aside.
    pub fn decrypted(&self) -> Vec<u8> {
        let (copy, header) = (self.beside("copy"), self.beside("header"));
        fs::copy(self.path(), &copy).unwrap();
        let program = Program::new("cryptsetup").args(["reencrypt", "--decrypt", "-q", "--force-offline-reencrypt"]);
        let program = program.arg("--header").arg(&header).arg("--key-file").arg(self.passphrase_file());
        program.arg(&copy).succeed();
        let bytes = fs::read(&copy).unwrap();
        fs::remove_file(copy).unwrap();
        fs::remove_file(header).unwrap();
        bytes
    }

    /// The disk's file.
    pub fn path(&self) -> PathBuf {
        self.beside("disk.img")
    }

    /// The file that holds [`PASSPHRASE`].
    pub fn passphrase_file(&self) -> PathBuf {
        self.beside("passphrase")
    }

    /// A file in the same directory.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The directory of it all.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Binds with the passphrase, trusting whoever answers, and ends however it ends.
    pub fn try_bind(&self, maker: Maker, pin: &str, config: &str) -> Ended {
        self.bind_program(maker, pin, config).run()
    }

    /// The command that binds.
    pub fn bind_program(&self, maker: Maker, pin: &str, config: &str) -> Program {
        let program = maker.client().args(["luks", "bind", "-y", "-k"]).arg(self.passphrase_file());
        program.arg("-d").arg(self.path()).args([pin, config])
    }

    /// Binds, or ends the test.
    pub fn bind(&self, maker: Maker, pin: &str, config: &str) {
        self.try_bind(maker, pin, config).succeeded();
    }

    /// `luks list`, as text.
    pub fn list(&self, maker: Maker) -> String {
        maker.client().args(["luks", "list", "-d"]).arg(self.path()).succeed().text()
    }

    /// `luks pass`: the passphrase of a bound slot, every byte of standard output.
    pub fn pass(&self, maker: Maker, slot: &str) -> Vec<u8> {
        maker.client().args(["luks", "pass", "-d"]).arg(self.path()).args(["-s", slot]).succeed().stdout
    }

    /// `luks unbind`, without a question.
    pub fn unbind(&self, maker: Maker, slot: &str) {
        maker.client().args(["luks", "unbind", "-f", "-d"]).arg(self.path()).args(["-s", slot]).succeed();
    }

    /// `cotter luks unlock --print-key`: what opens the disk with nothing typed.
    pub fn unlock(&self) -> Ended {
        Program::cotter().args(["luks", "unlock", "--print-key", "-d"]).arg(self.path()).run()
    }

    /// Whether cryptsetup opens the disk with this passphrase; it activates nothing, so no root is needed.
    pub fn opens_with(&self, passphrase: &[u8]) -> bool {
        let program = Program::new("cryptsetup").args(["open", "--test-passphrase", "--key-file", "-"]);
        program.arg(self.path()).input(passphrase).run().status.success()
    }

    /// What `cryptsetup luksDump` says.
    pub fn dump(&self) -> String {
        Program::new("cryptsetup").arg("luksDump").arg(self.path()).succeed().text()
    }

    /// The volume key, as cryptsetup gives it out.
    pub fn volume_key(&self) -> Vec<u8> {
        let file = self.beside("volume-key");
        let program = Program::new("cryptsetup").args(["luksDump", "-q", "--dump-volume-key", "--volume-key-file"]);
        program.arg(&file).arg("--key-file").arg(self.passphrase_file()).arg(self.path()).succeed();
        let key = fs::read(&file).unwrap();
        fs::remove_file(file).unwrap();
        key
    }

    /// Every byte of the file.
    pub fn bytes(&self) -> Vec<u8> {
        fs::read(self.path()).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the tests of `cotter image` take cryptsetup's word for.
    #[test]
    fn cryptsetup_encrypts_and_decrypts_files_without_root() {
        let content: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
        for cipher in Cipher::ACCEPTED {
            let disk = Disk::encrypted(&content, cipher);
            let dump = disk.dump();
            let sector = format!("sector: {}", cipher.sector_bytes);
            assert!(dump.contains(cipher.name) && dump.contains(&sector), "{dump}");
            assert!(disk.opens_with(PASSPHRASE.as_bytes()) && !disk.opens_with(b"wrong"));
            assert!(disk.decrypted().starts_with(&content));
            assert_eq!(disk.volume_key().len() * 8, cipher.key_bits as usize);
            assert!(!disk.bytes().windows(4096).any(|window| window == &content[..4096]));
        }
    }
}
