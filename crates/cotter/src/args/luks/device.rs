//! What nearly every command takes: the volume, and what it may cost to open it.

use clap::Args;
use std::fmt::{self, Display, Write as _};
use std::path::{Path, PathBuf};

// The volume that a command works on.
#[derive(Clone, Debug, Args)]
pub struct Device {
    /// A block device or a plain file
    #[arg(short = 'd', long = "device", value_name = "DEV")]
    pub path: PathBuf,
    /// The header is in this file or on this device, apart from the data of DEV
    #[arg(long, visible_alias = "header", value_name = "FILE")]
    pub detached_header: Option<PathBuf>,
}

impl Device {
    /// The file or device that the header is on.
    pub fn header(&self) -> &Path {
        self.detached_header.as_deref().unwrap_or(&self.path)
    }
}

/// The words that name it, for a command line that is told.
impl Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "-d {}", Quoted(&self.path))?;
        match &self.detached_header {
            Some(header) => write!(f, " --detached-header {}", Quoted(header)),
            None => Ok(()),
        }
    }
}

/// A path as one word of a shell.
pub struct Quoted<'a>(pub &'a Path);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string_lossy();
        let is_plain = |c: char| c.is_alphanumeric() || "/._-+:@%,=".contains(c);
        if !text.is_empty() && text.chars().all(is_plain) {
            return f.write_str(&text);
        }
        f.write_char('\'')?;
        f.write_str(&text.replace('\'', r"'\''"))?;
        f.write_char('\'')
    }
}

// The most that a keyslot may cost. A header is no more to be trusted than whoever can write to the disk.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct Ceilings {
    /// Refuse a header with a keyslot that wants more memory [default: 4 GiB; a keyslot that wants more than is free is not
    /// tried, unless this is given]
    #[arg(long, value_name = "KIB")]
    pub max_memory: Option<u32>,
    /// Refuse a header with more iterations of PBKDF2 [default: 200 million, some minutes of SHA-256]
    #[arg(long, value_name = "N")]
    pub max_iterations: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_of_a_shell() {
        for (path, word) in [
            ("/dev/sda1", "/dev/sda1"),
            ("/mnt/old disk", "'/mnt/old disk'"),
            ("it's;$(x)", r"'it'\''s;$(x)'"),
            ("~", "'~'"),
        ] {
            assert_eq!(Quoted(Path::new(path)).to_string(), word);
        }
        let device = Device { path: "a b".into(), detached_header: Some("c&d".into()) };
        assert_eq!(device.to_string(), "-d 'a b' --detached-header 'c&d'");
    }
}
