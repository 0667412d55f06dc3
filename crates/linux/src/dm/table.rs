//! The table of an encrypted mapping: one line of text that says what its sectors are
//! (`Documentation/admin-guide/device-mapper/dm-crypt.rst` of the kernel).

use super::number::DeviceNumber;
use block::Sectors;
use crypto::VolumeKey;
use std::fmt;
use zeroize::Zeroizing;

/// Name of the target.
pub(super) const CRYPT: &str = "crypt";
/// Longest cipher text and key description that are believed, in bytes.
const LONGEST_WORD: usize = 255;

/// What an encrypted mapping is made of.
#[derive(Clone, Copy, Debug)]
pub struct CryptTable<'a> {
    /// How long the mapping is.
    pub length: Sectors,
    /// The cipher in the kernel's words, such as `aes-xts-plain64`.
    pub cipher: &'a str,
    /// The key of the sectors.
    pub key: Key<'a>,
    /// What is added to the number of a 512-byte sector to give its IV.
    pub iv_offset: u64,
    /// The device with the encrypted sectors.
    pub device: DeviceNumber,
    /// Where on it they begin.
    pub offset: Sectors,
    /// How requests are treated.
    pub flags: CryptFlags,
    /// How much is encrypted as one, in bytes: 512, 1024, 2048 or 4096.
    pub sector_size: u32,
}

/// How the kernel learns the key.
#[derive(Clone, Copy, Debug)]
pub enum Key<'a> {
    /// In the table itself.
    Inline(&'a VolumeKey),
    /// Through this thread's keyring, where it is for as long as the table is loaded; in the table itself where the kernel
    /// knows no better.
    Keyring {
        /// The key.
        key: &'a VolumeKey,
        /// What it is called in the keyring.
        description: &'a str,
    },
}

impl<'a> Key<'a> {
    /// The key, whichever way it goes.
    pub(super) fn volume_key(self) -> &'a VolumeKey {
        match self {
            Key::Inline(key) | Key::Keyring { key, .. } => key,
        }
    }
}

/// How requests are treated, if the kernel knows how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CryptFlags {
    /// Pass on which sectors are no longer used. It tells whoever sees the disk which ones those are.
    pub allow_discards: bool,
    /// Encrypt on the processor that asked.
    pub same_cpu_crypt: bool,
    /// Let the threads that encrypt send the writes on, unsorted.
    pub submit_from_crypt_cpus: bool,
    /// Decrypt without a queue.
    pub no_read_workqueue: bool,
    /// Encrypt without a queue.
    pub no_write_workqueue: bool,
}

/// One of [`CryptFlags`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CryptFlag {
    /// [`CryptFlags::allow_discards`].
    AllowDiscards,
    /// [`CryptFlags::same_cpu_crypt`].
    SameCpuCrypt,
    /// [`CryptFlags::submit_from_crypt_cpus`].
    SubmitFromCryptCpus,
    /// [`CryptFlags::no_read_workqueue`].
    NoReadWorkqueue,
    /// [`CryptFlags::no_write_workqueue`].
    NoWriteWorkqueue,
}

impl CryptFlags {
    /// Those that are set, in the order in which tables have them.
    pub fn set(&self) -> impl Iterator<Item = CryptFlag> {
        let all = [
            (self.allow_discards, CryptFlag::AllowDiscards),
            (self.same_cpu_crypt, CryptFlag::SameCpuCrypt),
            (self.submit_from_crypt_cpus, CryptFlag::SubmitFromCryptCpus),
            (self.no_read_workqueue, CryptFlag::NoReadWorkqueue),
            (self.no_write_workqueue, CryptFlag::NoWriteWorkqueue),
        ];
        all.into_iter().filter_map(|(set, flag)| set.then_some(flag))
    }
}

impl CryptFlag {
    /// The first version of the target that knows it.
    fn since(self) -> TargetVersion {
        match self {
            CryptFlag::AllowDiscards => TargetVersion(1, 11, 0),
            CryptFlag::SameCpuCrypt | CryptFlag::SubmitFromCryptCpus => TargetVersion(1, 14, 0),
            CryptFlag::NoReadWorkqueue | CryptFlag::NoWriteWorkqueue => TargetVersion(1, 22, 0),
        }
    }
}

/// As tables spell it.
impl fmt::Display for CryptFlag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CryptFlag::AllowDiscards => "allow_discards",
            CryptFlag::SameCpuCrypt => "same_cpu_crypt",
            CryptFlag::SubmitFromCryptCpus => "submit_from_crypt_cpus",
            CryptFlag::NoReadWorkqueue => "no_read_workqueue",
            CryptFlag::NoWriteWorkqueue => "no_write_workqueue",
        })
    }
}

/// Version of a target of the kernel's: major, minor, patch level. A kernel of a distribution may have parts of a later one,
/// so this is what to go by, and not the kernel's own version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TargetVersion(pub u32, pub u32, pub u32);

impl TargetVersion {
    /// Whether a key can come through a keyring. It could from 1.15 on, and did so wrongly before 1.18.1, which is where
    /// libcryptsetup begins.
    pub(super) fn knows_keyring(self) -> bool {
        self >= TargetVersion(1, 18, 1)
    }

    fn knows_sector_size(self) -> bool {
        self >= TargetVersion(1, 17, 0)
    }
}

impl fmt::Display for TargetVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// Where the kernel finds the key, once that is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyPlace {
    /// In the table.
    Table,
    /// In a keyring, by the time the table is loaded.
    Keyring,
}

/// A table in the kernel's words. It may hold the key.
pub(super) struct Line {
    /// The parameters of the target.
    pub(super) text: Zeroizing<Vec<u8>>,
    /// What was asked for and is not in it, because the kernel would refuse it.
    pub(super) left_out: Vec<CryptFlag>,
}

/// Why there is no such table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableError {
    /// A text that would be read as several words, or is longer than any.
    Word {
        /// Which one.
        what: &'static str,
    },
    /// A key of no length.
    NoKey,
    /// No such sector size, or one that this kernel does not know.
    SectorSize {
        /// Its bytes.
        bytes: u32,
        /// The version of the kernel's target.
        version: TargetVersion,
    },
    /// A mapping of no sectors, of a part of one, or beyond the end of all disks.
    Length {
        /// How long it was to be.
        length: Sectors,
    },
}

impl CryptTable<'_> {
    /// The table as a kernel with this version of the target understands it.
    ///
    /// # Errors
    /// [`TableError`].
    pub(super) fn line(&self, version: TargetVersion, place: KeyPlace) -> Result<Line, TableError> {
        self.check(version)?;
        let (known, left_out): (Vec<_>, Vec<_>) = self.flags.set().partition(|flag| version >= flag.since());
        let mut options: Vec<String> = known.iter().map(ToString::to_string).collect();
        if self.sector_size != 512 {
            options.push(format!("sector_size:{}", self.sector_size));
        }
        let key = self.key.volume_key().expose();
        let mut rest = format!(" {} {} {}", self.iv_offset, self.device, self.offset.0);
        if !options.is_empty() {
            rest += &format!(" {} {}", options.len(), options.join(" "));
        }
        // Room for all of it, so that no copy is left behind by a buffer that had to grow.
        let room = self.cipher.len() + 2 * key.len() + LONGEST_WORD + 64 + rest.len();
        let mut text = Zeroizing::new(Vec::with_capacity(room));
        text.extend_from_slice(self.cipher.as_bytes());
        text.push(b' ');
        match (place, self.key) {
            (KeyPlace::Keyring, Key::Keyring { description, .. }) => {
                text.extend_from_slice(format!(":{}:logon:{description}", key.len()).as_bytes());
            }
            _ => key.iter().for_each(|byte| text.extend([digit(byte >> 4), digit(byte & 15)])),
        }
        text.extend_from_slice(rest.as_bytes());
        debug_assert!(text.len() <= room);
        Ok(Line { text, left_out })
    }

    fn check(&self, version: TargetVersion) -> Result<(), TableError> {
        if !is_word(self.cipher) {
            return Err(TableError::Word { what: "cipher" });
        }
        if let Key::Keyring { description, .. } = self.key
            && !is_word(description)
        {
            return Err(TableError::Word { what: "key description" });
        }
        if self.key.volume_key().expose().is_empty() {
            return Err(TableError::NoKey);
        }
        let known = self.sector_size == 512 || version.knows_sector_size();
        if !matches!(self.sector_size, 512 | 1024 | 2048 | 4096) || !known {
            return Err(TableError::SectorSize { bytes: self.sector_size, version });
        }
        let whole = self.length.0.is_multiple_of(u64::from(self.sector_size / 512));
        let fits = self.length.0.checked_add(self.offset.0).and_then(|end| Sectors(end).checked_bytes());
        if self.length.0 == 0 || !whole || fits.is_none() {
            return Err(TableError::Length { length: self.length });
        }
        Ok(())
    }
}

/// One word of a table: the kernel divides at white space, and a backslash would hide some.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.len() <= LONGEST_WORD && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
}

/// A hexadecimal digit; which branch is taken does not depend on more than whether it is above nine.
fn digit(nibble: u8) -> u8 {
    if nibble < 10 { b'0' + nibble } else { b'a' + (nibble - 10) }
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TableError::Word { what } => write!(f, "the {what} is not a word of a table"),
            TableError::NoKey => f.write_str("the key is empty"),
            TableError::SectorSize { bytes, version } => {
                write!(f, "the kernel's crypt target, version {version}, has no sectors of {bytes} bytes")
            }
            TableError::Length { length } => write!(f, "a mapping cannot be {} sectors long", length.0),
        }
    }
}

impl std::error::Error for TableError {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crypto::Secret;

    const NEW: TargetVersion = TargetVersion(1, 24, 0);
    const OF_4_19: TargetVersion = TargetVersion(1, 18, 1);
    const ALL: CryptFlags = CryptFlags {
        allow_discards: true,
        same_cpu_crypt: true,
        submit_from_crypt_cpus: true,
        no_read_workqueue: true,
        no_write_workqueue: true,
    };

    fn key(len: u8) -> VolumeKey {
        VolumeKey::new(Secret::new((0..len).map(|i| i.wrapping_mul(37)).collect()))
    }

    fn table<'a>(key: Key<'a>) -> CryptTable<'a> {
        let device = DeviceNumber { major: 98, minor: 0 };
        let (length, offset, flags) = (Sectors(32768), Sectors(32768), CryptFlags::default());
        CryptTable { length, cipher: "aes-xts-plain64", key, iv_offset: 0, device, offset, flags, sector_size: 512 }
    }

    fn line(table: &CryptTable<'_>, version: TargetVersion, place: KeyPlace) -> String {
        String::from_utf8(table.line(version, place).unwrap().text.to_vec()).unwrap()
    }

    /// What `dmsetup table` of 1.02.185 printed of a mapping that cryptsetup 2.6.1 had made.
    #[test]
    fn a_luks2_line_is_that_of_cryptsetup() {
        let key = key(64);
        let description = "cryptsetup:40f0136c-be52-483b-9f66-b2e9d62f6e14-d0";
        let table = CryptTable { sector_size: 4096, ..table(Key::Keyring { key: &key, description }) };
        assert_eq!(
            line(&table, NEW, KeyPlace::Keyring),
            "aes-xts-plain64 :64:logon:cryptsetup:40f0136c-be52-483b-9f66-b2e9d62f6e14-d0 0 98:0 32768 1 sector_size:4096"
        );
    }

    /// As above, of LUKS1 with `--allow-discards` (`dmsetup table --showkeys`).
    #[test]
    fn a_luks1_line_is_that_of_cryptsetup() {
        let bytes = [0x4e, 0x9e, 0xa0, 0xc1, 0x29, 0xcf, 0xaf, 0xf3, 0x00, 0x0f, 0xf0, 0xff, 0x10, 0x01, 0x9a, 0xa9];
        let key = VolumeKey::new(Secret::copied_from(&bytes));
        let flags = CryptFlags { allow_discards: true, ..CryptFlags::default() };
        let device = DeviceNumber { major: 98, minor: 16 };
        let table = CryptTable { flags, device, offset: Sectors(4096), iv_offset: 7, ..table(Key::Inline(&key)) };
        let expected = "aes-xts-plain64 4e9ea0c129cfaff3000ff0ff10019aa9 7 98:16 4096 1 allow_discards";
        assert_eq!(line(&table, NEW, KeyPlace::Table), expected);
        assert_eq!(line(&table, NEW, KeyPlace::Keyring), expected, "there is no description to find it by");
    }

    #[test]
    fn without_options_there_is_no_count_of_them() {
        let key = key(2);
        assert_eq!(line(&table(Key::Inline(&key)), NEW, KeyPlace::Table), "aes-xts-plain64 0025 0 98:0 32768");
        let keyring = Key::Keyring { key: &key, description: "x" };
        assert_eq!(line(&table(keyring), NEW, KeyPlace::Table), "aes-xts-plain64 0025 0 98:0 32768");
    }

    #[test]
    fn flags_are_left_out_where_the_kernel_does_not_know_them() {
        let key = key(1);
        let table = CryptTable { flags: ALL, ..table(Key::Inline(&key)) };
        let check = |version, expected: &str, left_out: &[CryptFlag]| {
            let found = table.line(version, KeyPlace::Table).unwrap();
            let text = String::from_utf8(found.text.to_vec()).unwrap();
            assert_eq!(
                (text.strip_prefix("aes-xts-plain64 00 0 98:0 32768").unwrap(), found.left_out.as_slice()),
                (expected, left_out)
            );
        };
        let newest = " 5 allow_discards same_cpu_crypt submit_from_crypt_cpus no_read_workqueue no_write_workqueue";
        check(NEW, newest, &[]);
        let queues = [CryptFlag::NoReadWorkqueue, CryptFlag::NoWriteWorkqueue];
        check(OF_4_19, " 3 allow_discards same_cpu_crypt submit_from_crypt_cpus", &queues);
        check(TargetVersion(1, 10, 0), "", &ALL.set().collect::<Vec<_>>());
        assert_eq!(table.line(TargetVersion(1, 22, 0), KeyPlace::Table).unwrap().left_out, []);
    }

    #[test]
    fn a_table_that_cannot_be_is_refused() {
        let (key, none) = (key(1), VolumeKey::new(Secret::new(Vec::new())));
        let good = table(Key::Inline(&key));
        let check = |table: CryptTable<'_>, version, expected| {
            assert_eq!(table.line(version, KeyPlace::Table).err(), Some(expected));
        };
        for cipher in ["", "aes xts", "aes\n", "aes\\ xts", "a\u{e4}s"] {
            check(CryptTable { cipher, ..good }, NEW, TableError::Word { what: "cipher" });
        }
        let spaced = Key::Keyring { key: &key, description: "a b" };
        check(CryptTable { key: spaced, ..good }, NEW, TableError::Word { what: "key description" });
        check(CryptTable { key: Key::Inline(&none), ..good }, NEW, TableError::NoKey);
        for (bytes, version) in [(0, NEW), (8192, NEW), (4096, TargetVersion(1, 16, 9))] {
            check(CryptTable { sector_size: bytes, ..good }, version, TableError::SectorSize { bytes, version });
        }
        for length in [0, u64::MAX, 1 << 60].map(Sectors) {
            check(CryptTable { length, ..good }, NEW, TableError::Length { length });
        }
        check(
            CryptTable { sector_size: 4096, length: Sectors(9), ..good },
            NEW,
            TableError::Length { length: Sectors(9) },
        );
    }

    #[test]
    fn a_line_never_outgrows_its_buffer() {
        let (key, word) = (key(200), "w".repeat(LONGEST_WORD));
        let keyring = Key::Keyring { key: &key, description: &word };
        let device = DeviceNumber { major: u32::MAX, minor: u32::MAX };
        let offset = Sectors(u64::MAX >> 10);
        let table = CryptTable { cipher: &word, flags: ALL, device, offset, iv_offset: u64::MAX, ..table(keyring) };
        for place in [KeyPlace::Table, KeyPlace::Keyring] {
            let text = table.line(NEW, place).unwrap().text;
            assert!(text.capacity() >= text.len() && text.capacity() < 2048);
        }
    }
}
