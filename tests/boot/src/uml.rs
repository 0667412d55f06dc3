//! A guest under user-mode-linux whose root is the tree of the host: an ordinary program that is a Linux kernel with device
//! mapper, ext4 and keyrings, without udev, and there in two seconds.
//!
//! Every program of the host is in the guest, also the ones that Cargo has just built. The guest cannot change the host's
//! files: its root is mounted read-only, and only one directory, its own, is mounted again to be written.

use compliance::Program;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// Its kernel, and the directory of its modules.
const KERNEL: &str = "linux.uml";
const MODULES_NEEDED: &[&str] = &["loop", "xts", "cbc", "ecb", "sha512_generic", "dm-mod", "dm-crypt"];
/// Where its own directory is, as it sees it.
const WORK: &str = "/run/work";
/// A guest takes three seconds and its work some more, and ten times that beside other work.
const LIMIT: Duration = Duration::from_secs(240);

/// A guest that has not started yet.
pub struct Guest {
    directory: TempDir,
    disks: Vec<PathBuf>,
    modules: Vec<&'static str>,
    limit: Duration,
}

/// What a guest leaves behind.
pub struct Left {
    directory: TempDir,
    /// The exit code of its program; none if it never came to that.
    pub code: Option<i32>,
    /// What its program wrote.
    pub output: String,
    /// What its kernel said.
    pub console: String,
}

impl Default for Guest {
    fn default() -> Guest {
        Guest::new()
    }
}

impl Guest {
    /// A guest with an empty directory of its own.
    pub fn new() -> Guest {
        Guest {
            directory: tempfile::tempdir().unwrap(),
            disks: Vec::new(),
            modules: MODULES_NEEDED.into(),
            limit: LIMIT,
        }
    }

    /// Ends it after this long.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Guest {
        self.limit = limit;
        self
    }

    /// Loads one more module of its kernel.
    #[must_use]
    pub fn module(mut self, name: &'static str) -> Guest {
        self.modules.push(name);
        self
    }

    /// Its own directory, as the host sees it; in the guest it is [`Guest::work`].
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Its own directory, as it sees it.
    pub fn work() -> &'static Path {
        Path::new(WORK)
    }

    /// Adds a disk: the first is `/dev/ubda`, then `/dev/ubdb`.
    #[must_use]
    pub fn disk(mut self, file: &Path) -> Guest {
        self.disks.push(file.to_owned());
        self
    }

    /// Boots, runs the commands by a shell in the guest's directory, and waits until it has halted; past its limit it is ended,
    /// and the test with it.
    pub fn run(self, commands: &str) -> Left {
        let file = |name: &str| self.directory.path().join(name);
        let script = file("init");
        fs::write(&script, self.script(commands)).unwrap();
        fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let mut kernel = Program::new(KERNEL)
            .args(["mem=256M", "root=/dev/root", "rootfstype=hostfs", "hostfs=/", "ro", "quiet", "panic=-1"])
            .args(["con0=fd:0,fd:1", "con=null"])
            // Its sockets for control, which would be in the home directory otherwise.
            .arg(format!("uml_dir={}", file("control").display()))
            .arg(format!("init={}", script.display()))
            .env("TMPDIR", self.directory.path())
            .limit(self.limit);
        for (letter, disk) in ('a'..='z').zip(&self.disks) {
            kernel = kernel.arg(format!("ubd{letter}={}", disk.display()));
        }
        let ended = kernel.run();
        let read = |name: &str| fs::read(file(name)).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let output = read("output").unwrap_or_default();
        let code = read("code").ok().and_then(|code| code.trim().parse().ok());
        Left { code, output, console: format!("{}{}", ended.text(), ended.said()), directory: self.directory }
    }

    /// What the guest does from its first process to its end.
    fn script(&self, commands: &str) -> String {
        let directory = self.directory.path().display();
        let modules = self.modules.join(" ");
        format!(
            r#"#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/run TMPDIR=/run
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs run /run
mkdir {WORK} /dev/shm
mount -t tmpfs shm /dev/shm
mount -t hostfs -o {directory} work {WORK}
cd {WORK}
exec </dev/null >output 2>&1
modules=/usr/lib/uml/modules/$(uname -r)
load() {{
    # A module that is not listed is a part of the kernel. The last of the files on its line is to be loaded first.
    files=$(sed -n "s|^\(.*/$1\.ko\):|\1|p" "$modules/modules.dep")
    reversed=
    for file in $files; do reversed="$file $reversed"; done
    for file in $reversed; do
        name=$(basename "$file" .ko | tr - _)
        test -d "/sys/module/$name" || insmod "$modules/$file" || echo "cannot load $name"
    done
}}
for module in {modules}; do load $module; done
(
{commands}
)
echo $? >code
sync
echo o >/proc/sysrq-trigger
while :; do sleep 1; done
"#
        )
    }
}

impl Left {
    /// The guest's own directory, as the host sees it.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Ends the test unless the guest's program exited with 0.
    #[track_caller]
    pub fn succeeded(self) -> Left {
        let said = if self.code.is_none() { &self.console } else { &self.output };
        assert_eq!(self.code, Some(0), "the guest says:\n{said}");
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_has_the_device_mapper_and_leaves_what_it_was_told_to() {
        let guest = Guest::new();
        let disk = guest.directory().join("disk");
        fs::write(&disk, vec![b'x'; 4096]).unwrap();
        let left =
            guest.disk(&disk).run("dmsetup targets; head -c 3 /dev/ubda >copy; echo said; ls; touch /etc/x; exit 7");
        assert_eq!((left.code, fs::read(left.directory().join("copy")).unwrap()), (Some(7), b"xxx".to_vec()));
        for part in ["crypt ", "said", "Read-only file system"] {
            assert!(left.output.contains(part), "{}", left.output);
        }
        assert!(!Path::new("/etc/x").exists());
    }

    #[test]
    #[should_panic(expected = "has not ended after")]
    fn a_guest_that_hangs_is_ended() {
        Guest::new().limit(Duration::from_secs(4)).run("sleep 100");
    }
}
