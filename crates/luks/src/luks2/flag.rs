//! Flags that a header keeps for the mapping (LUKS2 on-disk format, section 3.6: `config.flags`).

use std::fmt;

/// A flag that a volume is mapped with, as `cryptsetup open --persistent` leaves it in the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flag {
    /// `allow-discards`: what the file system frees is told to the disk, and so to whoever can see the disk.
    AllowDiscards,
    /// `same-cpu-crypt`: a request is encrypted by the processor that made it.
    SameCpuCrypt,
    /// `submit-from-crypt-cpus`: what has been encrypted is written by the processor that did it.
    SubmitFromCryptCpus,
    /// `no-read-workqueue`: decrypted without a queue between.
    NoReadWorkqueue,
    /// `no-write-workqueue`: encrypted without a queue between.
    NoWriteWorkqueue,
}

impl Flag {
    /// All there are, in the order in which cryptsetup writes them.
    pub const ALL: [Flag; 5] = [
        Flag::AllowDiscards,
        Flag::SameCpuCrypt,
        Flag::SubmitFromCryptCpus,
        Flag::NoReadWorkqueue,
        Flag::NoWriteWorkqueue,
    ];

    /// Its name in the header.
    pub fn name(self) -> &'static str {
        match self {
            Flag::AllowDiscards => "allow-discards",
            Flag::SameCpuCrypt => "same-cpu-crypt",
            Flag::SubmitFromCryptCpus => "submit-from-crypt-cpus",
            Flag::NoReadWorkqueue => "no-read-workqueue",
            Flag::NoWriteWorkqueue => "no-write-workqueue",
        }
    }

    /// The flag of exactly this name.
    pub fn from_name(name: &str) -> Option<Flag> {
        Flag::ALL.into_iter().find(|flag| flag.name() == name)
    }
}

impl fmt::Display for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
