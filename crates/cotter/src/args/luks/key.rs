//! Where passphrases come from.

use clap::Args;
use std::path::PathBuf;

// Which part of a key file is the passphrase.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct KeyFilePart {
    /// Take so many bytes of the key file, not all
    #[arg(short = 'l', long, value_name = "BYTES", requires = "key_file")]
    pub keyfile_size: Option<u64>,
    /// Leave out so many bytes at the beginning of the key file
    #[arg(long, value_name = "BYTES", requires = "key_file")]
    pub keyfile_offset: Option<u64>,
}

impl KeyFilePart {
    /// Whether it is not the whole.
    pub fn is_some(self) -> bool {
        self.keyfile_size.is_some() || self.keyfile_offset.is_some()
    }
}

// Where a person's passphrase comes from.
#[derive(Clone, Debug, Default, Args)]
pub struct KeySource {
    /// Read the passphrase from a file, all of it; `-` reads the first line of standard input. Without this it is asked for on
    /// a terminal, and read from standard input elsewhere
    #[arg(short = 'k', long = "key-file", value_name = "FILE|-")]
    pub key_file: Option<PathBuf>,
    #[command(flatten)]
    pub part: KeyFilePart,
}

// A person's passphrase in place of the bindings.
#[derive(Clone, Debug, Args)]
pub struct KeyInstead {
    /// Open with this passphrase instead of by the bindings: all of a file, or with `-` the first line of standard input, asked
    /// for on a terminal
    #[arg(short = 'k', long = "key-file", value_name = "FILE|-")]
    pub key_file: Option<PathBuf>,
    #[command(flatten)]
    pub part: KeyFilePart,
}

impl KeyInstead {
    /// The source of the passphrase, if there is to be one.
    pub fn source(&self) -> Option<KeySource> {
        self.key_file.clone().map(|file| KeySource { key_file: Some(file), part: self.part })
    }
}

// A passphrase that is to open the volume still when a keyslot is gone.
#[derive(Clone, Debug, Args)]
pub struct RemainingKey {
    /// First show that this passphrase opens another keyslot: all of a file, or with `-` the first line of standard input
    #[arg(short = 'k', long, value_name = "FILE|-")]
    pub key_file: Option<PathBuf>,
    #[command(flatten)]
    pub part: KeyFilePart,
}

impl RemainingKey {
    /// The source of the passphrase, if one is named.
    pub fn source(&self) -> Option<KeySource> {
        self.key_file.clone().map(|file| KeySource { key_file: Some(file), part: self.part })
    }
}

// What opens a volume so that it can be changed: a passphrase, unless a binding is named.
#[derive(Clone, Debug, Args)]
pub struct Opener {
    #[command(flatten)]
    pub key: KeySource,
    /// Open the volume by its bindings instead of by a passphrase
    #[arg(short = 'b', long, conflicts_with = "key_file")]
    pub by_binding: bool,
    /// Open the volume by the binding in this token instead of by a passphrase
    #[arg(short = 'e', long, value_name = "TOKEN", conflicts_with_all = ["key_file", "by_binding"])]
    #[arg(value_parser = clap::value_parser!(u32).range(0..32))]
    pub existing_token_id: Option<u32>,
}

// Where a new passphrase comes from.
#[derive(Clone, Debug, Args)]
pub struct NewKey {
    /// Read the new passphrase from a file, all of it; `-` reads a line of standard input, the second one if the first is the
    /// old passphrase. Without this it is asked for twice on a terminal, and read from standard input elsewhere
    #[arg(long, alias = "new-keyfile", value_name = "FILE|-")]
    pub new_key_file: Option<PathBuf>,
    /// Take so many bytes of the new key file, not all
    #[arg(long, value_name = "BYTES", requires = "new_key_file")]
    pub new_keyfile_size: Option<u64>,
    /// Leave out so many bytes at the beginning of the new key file
    #[arg(long, value_name = "BYTES", requires = "new_key_file")]
    pub new_keyfile_offset: Option<u64>,
    /// Make a recovery key instead, and print it: 64 letters in eight groups, to be written down, read aloud and typed on any
    /// keyboard, with or without the hyphens
    #[arg(long, visible_alias = "recovery", conflicts_with = "new_key_file")]
    pub generate: bool,
}
