//! The good disks that the faults are put into, made once in a test program by the originals.

use crate::image::{BOTH, Image};
use compliance::Program;
use compliance::disk::PASSPHRASE;
use std::path::Path;
use std::sync::OnceLock;
use tempfile::TempDir;

/// The cheapest derivation that is legal.
const KDF: [&str; 4] = ["--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"];

/// What opens slot 1 where there is one.
pub const OTHER: &str = "another passphrase";

/// A good disk. [`PASSPHRASE`] opens its slot 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// Two slots of PBKDF2 (another passphrase opens the second), a token of type `luks2-keyring`, 1 MiB in front of the data.
    Luks2,
    /// One slot of Argon2id.
    Argon2,
    /// Header copies of 4 MiB.
    Large,
    /// LUKS1 as hypervisors make it: `-s 512 -h sha512`; another passphrase opens slot 1.
    Luks1,
    /// LUKS1 with LUKSMeta: slot 1 is bound to `null`, slot 2 has data of somebody else.
    LuksMeta,
    /// A reencryption that was begun, as cryptsetup begins one: its own keyslot, three segments, the requirement.
    Reencrypting,
}

impl Base {
    /// The disk, without any fault.
    pub fn image(self) -> &'static Image {
        static LUKS2: OnceLock<Image> = OnceLock::new();
        static ARGON2: OnceLock<Image> = OnceLock::new();
        static LARGE: OnceLock<Image> = OnceLock::new();
        static LUKSMETA: OnceLock<Image> = OnceLock::new();
        static LUKS1: OnceLock<Image> = OnceLock::new();
        static REENCRYPTING: OnceLock<Image> = OnceLock::new();
        match self {
            Base::Luks2 => LUKS2.get_or_init(luks2),
            Base::Argon2 => ARGON2.get_or_init(argon2),
            Base::Large => LARGE.get_or_init(large),
            Base::LuksMeta => LUKSMETA.get_or_init(luksmeta),
            Base::Luks1 => LUKS1.get_or_init(luks1),
            Base::Reencrypting => REENCRYPTING.get_or_init(reencrypting),
        }
    }
}

/// A directory with a disk in it, while it is made.
struct Workshop(TempDir);

impl Workshop {
    fn new(bytes: u64) -> Workshop {
        let workshop = Workshop(tempfile::tempdir().unwrap());
        std::fs::File::create(workshop.disk()).unwrap().set_len(bytes).unwrap();
        std::fs::write(workshop.file("passphrase"), PASSPHRASE).unwrap();
        std::fs::write(workshop.file("other"), OTHER).unwrap();
        workshop
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn disk(&self) -> std::path::PathBuf {
        self.file("disk.img")
    }

    /// `cryptsetup WORDS --key-file FILE DISK MORE`
    fn cryptsetup(&self, words: &[&str], more: &[&Path]) {
        let program = Program::new("cryptsetup").arg("-q").args(words).arg("--key-file").arg(self.file("passphrase"));
        program.arg(self.disk()).args(more).succeed();
    }

    fn format2(&self, words: &[&str]) {
        self.cryptsetup(
            &[&["luksFormat", "--type", "luks2", "--key-size", "256", "--sector-size", "512"], words].concat(),
            &[],
        );
    }

    /// What was made. Its JSON is written anew, so that a case differs from it in its fault alone.
    fn finished2(&self) -> Image {
        let mut image = Image::of_luks2(&self.disk());
        image.edit(&BOTH, |_| {});
        image
    }
}

fn luks1() -> Image {
    let workshop = Workshop::new((2 << 20) + (64 << 10));
    let words = ["luksFormat", "--type", "luks1", "--key-size", "512", "--hash", "sha512"];
    workshop.cryptsetup(&[&words[..], &KDF].concat(), &[]);
    workshop.cryptsetup(&[&["luksAddKey"][..], &KDF].concat(), &[&workshop.file("other")]);
    Image::of_luks1(&workshop.disk())
}

/// The UUID under which Clevis keeps its data, and one of nobody.
pub const CLEVIS: &str = "cb6e8904-81ff-40da-a84a-07ab9ab5715e";
const NOBODY: &str = "12345678-1234-4321-8765-123456789abc";

fn luksmeta() -> Image {
    let workshop = Workshop::new((2 << 20) + (64 << 10));
    let words = ["luksFormat", "--type", "luks1", "--key-size", "512", "--hash", "sha512"];
    workshop.cryptsetup(&[&words[..], &KDF].concat(), &[]);
    workshop.cryptsetup(&[&["luksAddKey"][..], &KDF].concat(), &[&workshop.file("other")]);
    let jwe = Program::cotter().args(["encrypt", "null", "{}"]).input(OTHER).succeed().stdout;
    let luksmeta = |words: &[&str]| Program::new("luksmeta").args(words).arg("-d").arg(workshop.disk());
    luksmeta(&["init", "-f"]).succeed();
    luksmeta(&["save", "-s", "1", "-u", CLEVIS]).input(jwe).succeed();
    luksmeta(&["save", "-s", "2", "-u", NOBODY]).input("what somebody else keeps here").succeed();
    Image::of_luks1(&workshop.disk())
}

/// 1 MiB in front of the data, and 64 KiB of data.
const SMALL: [&str; 6] = ["--luks2-metadata-size", "16k", "--luks2-keyslots-size", "768k", "--offset", "2048"];
const SMALL_BYTES: u64 = 1088 << 10;

fn luks2() -> Image {
    let workshop = Workshop::new(SMALL_BYTES);
    workshop.format2(&[&SMALL[..], &KDF].concat());
    workshop.cryptsetup(&[&["luksAddKey"][..], &KDF].concat(), &[&workshop.file("other")]);
    let token = ["token", "add", "--key-description", "corpus", "--key-slot", "0"];
    Program::new("cryptsetup").args(token).arg(workshop.disk()).succeed();
    workshop.finished2()
}

fn argon2() -> Image {
    let workshop = Workshop::new(SMALL_BYTES);
    let kdf = ["--pbkdf", "argon2id", "--pbkdf-memory", "64", "--pbkdf-force-iterations", "4", "--pbkdf-parallel", "2"];
    workshop.format2(&[&SMALL[..], &kdf].concat());
    workshop.finished2()
}

fn large() -> Image {
    let workshop = Workshop::new((9 << 20) + (64 << 10));
    let sizes = ["--luks2-metadata-size", "4m", "--luks2-keyslots-size", "512k", "--offset", "18432"];
    workshop.format2(&[&sizes[..], &KDF].concat());
    workshop.finished2()
}

fn reencrypting() -> Image {
    let workshop = Workshop::new(SMALL_BYTES);
    workshop.format2(&[&SMALL[..], &KDF].concat());
    workshop.cryptsetup(&[&["reencrypt", "--init-only", "--resilience", "journal"][..], &KDF].concat(), &[]);
    Image::of_luks2(&workshop.disk())
}
