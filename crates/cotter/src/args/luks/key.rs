//! Where passphrases come from.

use clap::Args;
use std::path::PathBuf;

/// Where a person's passphrase comes from.
#[derive(Clone, Debug, Args)]
pub struct KeySource {
    /// Read the passphrase from a file, all of it; `-` reads the first line of standard input. Without this it is asked for on
    /// a terminal, and read from standard input elsewhere
    #[arg(short = 'k', long = "key-file", value_name = "FILE|-")]
    pub key_file: Option<PathBuf>,
}

/// A person's passphrase in place of the bindings.
#[derive(Clone, Debug, Args)]
pub struct KeyInstead {
    /// Open with this passphrase instead of by the bindings: all of a file, or with `-` the first line of standard input, asked
    /// for on a terminal
    #[arg(short = 'k', long = "key-file", value_name = "FILE|-")]
    pub key_file: Option<PathBuf>,
}

impl KeyInstead {
    /// The source of the passphrase, if there is to be one.
    pub fn source(&self) -> Option<KeySource> {
        self.key_file.clone().map(|file| KeySource { key_file: Some(file) })
    }
}

/// What opens a volume so that it can be changed: a passphrase, unless a binding is named.
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

/// Where a new passphrase comes from.
#[derive(Clone, Debug, Args)]
pub struct NewKey {
    /// Read the new passphrase from a file, all of it; `-` reads a line of standard input, the second one if the first is the
    /// old passphrase. Without this it is asked for twice on a terminal, and read from standard input elsewhere
    #[arg(long, value_name = "FILE|-")]
    pub new_key_file: Option<PathBuf>,
    /// Make a recovery key instead, and print it: 64 letters in eight groups, to be written down, read aloud and typed on any
    /// keyboard, with or without the hyphens
    #[arg(long, conflicts_with = "new_key_file")]
    pub generate: bool,
}
