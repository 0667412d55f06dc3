//! The system that is to start by itself: this machine, or the root of one that is being built.

use crate::error::CommandError;
use clevis::Cancel;
use linux::{Input, Output, Run, apart};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

/// Links that are followed for one path.
const MOST_LINKS: usize = 40;
/// Longest file of a machine's settings that is read.
const LONGEST: u64 = 1 << 20;
/// What of this machine a program in another root sees.
const SHARED: [&str; 3] = ["/dev", "/proc", "/sys"];
/// Of the environment, what is handed on: where to find the TPM of a test, and when an image was made.
const HANDED_ON: [&str; 3] = ["TPM2TOOLS_TCTI", "TCTI", "SOURCE_DATE_EPOCH"];

/// The root of the system.
#[derive(Clone, Debug)]
pub struct Target {
    root: PathBuf,
}

impl Target {
    /// The system whose root is there; this machine where none is named.
    pub fn new(root: Option<&Path>) -> Result<Target, CommandError> {
        let named = root.unwrap_or(Path::new("/"));
        let root = fs::canonicalize(named)
            .map_err(|source| CommandError::failed(format!("there is no root at {}", named.display()), source))?;
        if !root.join("etc").is_dir() {
            let error = CommandError::plain(format!("{} is no root of a system: it has no etc", root.display()));
            return Err(error.hint("name its root: --root DIR"));
        }
        Ok(Target { root })
    }

    /// Whether it is the machine that this program runs on.
    pub fn is_live(&self) -> bool {
        self.root == Path::new("/")
    }

    /// Where the file is, for this program; links of the system are followed within its root, all but the last one.
    pub fn at(&self, path: &str) -> PathBuf {
        let path = Path::new(path);
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return self.root.clone() };
        self.resolved(parent).join(name)
    }

    /// The same with the last link followed.
    pub fn behind(&self, path: &str) -> PathBuf {
        self.resolved(Path::new(path))
    }

    /// The content of a regular file; `None` if there is none.
    pub fn read(&self, path: &str) -> Result<Option<Vec<u8>>, CommandError> {
        match linux::read_regular_file(&self.behind(path), LONGEST) {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(CommandError::failed(format!("cannot read {}", self.shown(path)), source)),
        }
    }

    /// Whether something is there.
    pub fn has(&self, path: &str) -> bool {
        self.behind(path).exists()
    }

    /// The names in a directory, in their order; none if there is no such directory.
    pub fn names(&self, directory: &str) -> Vec<String> {
        let entries = fs::read_dir(self.behind(directory)).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        names
    }

    /// The path as people find it.
    pub fn shown(&self, path: &str) -> String {
        self.root.join(path.trim_start_matches('/')).display().to_string()
    }

    /// Runs a program of the system, in its root.
    pub fn run(&self, words: &[&str], how: &How<'_>) -> Result<Vec<u8>, CommandError> {
        let Some((program, arguments)) = words.split_first() else { return Ok(Vec::new()) };
        let environment: Vec<(&str, OsString)> =
            HANDED_ON.iter().filter_map(|name| Some((*name, std::env::var_os(name)?))).collect();
        let environment: Vec<(&str, &OsStr)> =
            environment.iter().map(|(name, value)| (*name, value.as_os_str())).collect();
        let input = if how.input.is_empty() { Input::Nothing } else { Input::Bytes(how.input) };
        let run = Run {
            program,
            arguments,
            input,
            output: how.output,
            limit: how.limit,
            cancel: how.cancel,
            environment: &environment,
        };
        let failed = |source| CommandError::failed(format!("`{}` has not done its work", words.join(" ")), source);
        if self.is_live() {
            return run.succeed().map_err(failed);
        }
        let not_entered =
            |source| CommandError::failed(format!("cannot run programs in {}", self.root.display()), source);
        let ran = apart(|apart| {
            for place in SHARED.map(Path::new) {
                let inside = self.root.join(place.strip_prefix("/").unwrap_or(place));
                if inside.is_dir() {
                    apart.bind(place, &inside)?;
                }
            }
            apart.enter(&self.root)?;
            Ok::<_, io::Error>(run.succeed())
        });
        ran.and_then(|ran| ran).map_err(not_entered)?.map_err(failed)
    }

    /// A link that leads out of the root leads to its top.
    fn resolved(&self, path: &Path) -> PathBuf {
        let mut left: Vec<OsString> = reversed(path);
        let (mut inside, mut links) = (PathBuf::new(), 0);
        while let Some(word) = left.pop() {
            if word == ".." {
                inside.pop();
                continue;
            }
            let link = fs::read_link(self.root.join(&inside).join(&word)).ok().filter(|_| links < MOST_LINKS);
            match link {
                Some(to) => {
                    links += 1;
                    if to.is_absolute() {
                        inside = PathBuf::new();
                    }
                    left.extend(reversed(&to));
                }
                None => inside.push(word),
            }
        }
        self.root.join(inside)
    }
}

/// Whether this machine's systemd runs (sd_booted(3)).
pub fn systemd_runs() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

fn reversed(path: &Path) -> Vec<OsString> {
    let words = path.components().filter_map(|component| match component {
        Component::Normal(word) => Some(word.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    });
    let mut words: Vec<OsString> = words.collect();
    words.reverse();
    words
}

/// How a program is run.
pub struct How<'a> {
    /// What it reads.
    pub input: &'a [u8],
    /// Where its output goes.
    pub output: Output,
    /// How long it may take.
    pub limit: Duration,
    /// What ends it sooner.
    pub cancel: &'a Cancel,
}

impl<'a> How<'a> {
    /// For a short answer.
    pub fn asked(cancel: &'a Cancel) -> How<'a> {
        How { input: &[], output: Output::Kept(1 << 20), limit: Duration::from_secs(30), cancel }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_stay_in_the_root() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        for made in ["etc/conf", "usr/lib"] {
            fs::create_dir_all(root.join(made)).unwrap();
        }
        for (link, to) in
            [("lib", "usr/lib"), ("etc/out", "/usr/../../../lib"), ("etc/up", "../../../etc/conf"), ("a", "a")]
        {
            symlink(to, root.join(link)).unwrap();
        }
        fs::write(root.join("usr/lib/file"), b"x").unwrap();
        let target = Target::new(Some(&root)).unwrap();
        assert!(!target.is_live() && Target::new(None).unwrap().is_live());
        assert_eq!(target.at("/lib/file"), root.join("usr/lib/file"));
        assert_eq!(target.read("/etc/out/file").unwrap().as_deref(), Some(b"x".as_slice()));
        assert_eq!(target.at("/etc/up/x"), root.join("etc/conf/x"));
        assert_eq!(target.at("/lib"), root.join("lib"), "the last one is not followed");
        assert_eq!(target.behind("/lib"), root.join("usr/lib"));
        assert_eq!(target.read("/none").unwrap(), None);
        assert!(target.has("/lib/file") && !target.has("/a"));
        assert_eq!(target.names("/etc"), ["conf", "out", "up"]);
        let error = Target::new(Some(&root.join("usr"))).unwrap_err().to_string();
        assert!(error.contains("has no etc") && error.contains("--root DIR"), "{error}");
    }
}
