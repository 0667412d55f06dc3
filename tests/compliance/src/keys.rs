//! Directories of server keys.

use crate::maker::Maker;
use crate::program::Program;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A curve that tang knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Curve {
    /// secp256r1.
    P256,
    /// secp384r1.
    P384,
    /// secp521r1.
    P521,
}

impl Curve {
    /// The two that every pairing runs with: the smallest, and tang's own choice.
    pub const PAIRED: [Curve; 2] = [Curve::P521, Curve::P256];

    fn signature(self) -> &'static str {
        match self {
            Curve::P256 => "ES256",
            Curve::P384 => "ES384",
            Curve::P521 => "ES512",
        }
    }
}

impl fmt::Display for Curve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Curve::P256 => "P-256",
            Curve::P384 => "P-384",
            Curve::P521 => "P-521",
        })
    }
}

/// A directory with a signing and an exchange key; removed in the end.
pub struct KeyDirectory {
    directory: TempDir,
}

impl KeyDirectory {
    /// Fresh keys. `tangd-keygen` knows P-521 only; for another curve `jose` makes the same two files, as an
    /// administrator of tang would.
    pub fn new(maker: Maker, curve: Curve) -> KeyDirectory {
        let directory = tempfile::tempdir().unwrap();
        let keys = KeyDirectory { directory };
        match (maker, curve) {
            (Maker::Ours, _) => drop(keys.our("init").args(["--curve", &curve.to_string()]).arg(keys.path()).succeed()),
            (Maker::Theirs, Curve::P521) => drop(Program::new("tangd-keygen").arg(keys.path()).succeed()),
            (Maker::Theirs, _) => {
                keys.generate("signing", &format!(r#"{{"alg":"{}"}}"#, curve.signature()));
                keys.generate("exchange", &format!(r#"{{"alg":"ECMR","crv":"{curve}"}}"#));
            }
        }
        keys
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Hides the visible keys and makes new ones, each maker in its own way.
    pub fn rotate(&self, maker: Maker) {
        match maker {
            Maker::Ours => drop(self.our("rotate").arg(self.path()).succeed()),
            Maker::Theirs => drop(Program::new("tangd-rotate-keys").arg("-d").arg(self.path()).succeed()),
        }
    }

    /// The key files: those that are advertised, or those that are hidden.
    pub fn files(&self, visible: Visible) -> Vec<PathBuf> {
        let names = fs::read_dir(self.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let wanted = names.filter(|name| name.ends_with(".jwk") && name.starts_with('.') == (visible == Visible::No));
        wanted.map(|name| self.path().join(name)).collect()
    }

    /// Every private number in the directory, as bytes.
    pub fn private_parts(&self) -> Vec<Vec<u8>> {
        let files = [self.files(Visible::Yes), self.files(Visible::No)].concat();
        let keys = files.iter().map(|file| serde_json::from_slice(&fs::read(file).unwrap()).unwrap());
        let texts = keys.filter_map(|key: serde_json::Value| Some(key.get("d")?.as_str()?.to_owned()));
        texts.map(|text| Program::new("jose").args(["b64", "dec", "-i-"]).input(text).succeed().stdout).collect()
    }

    fn our(&self, verb: &str) -> Program {
        Program::cotter().args(["keys", verb])
    }

    fn generate(&self, name: &str, template: &str) {
        let file = self.path().join(format!("{name}.jwk"));
        Program::new("jose").args(["jwk", "gen", "-i", template, "-o"]).arg(file).succeed();
    }
}

/// Whether a key is advertised; a name that begins with a dot hides it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visible {
    /// Advertised.
    Yes,
    /// Rotated: it still recovers.
    No,
}
