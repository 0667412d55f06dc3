//! A system below a directory of its own, with a TPM that was booted as a recorded log says, and one encrypted volume.

use crate::boot_log::{Event, NO_ACTION, events, vector};
use crate::{Disk, Ended, Maker, Program, Swtpm};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// See the module.
pub struct System {
    /// Its files.
    pub root: TempDir,
    /// Its TPM.
    pub tpm: Swtpm,
    /// The name of the log.
    log: &'static str,
    /// Its volume, until it lies below the root.
    disk: Disk,
}

impl System {
    /// Booted as this log says, with the volume bound by what `bind` makes of it, once there is a place for keys.
    pub fn booted(log: &'static str, bind: impl FnOnce(&System) -> [String; 2]) -> System {
        let (root, tpm) = (tempfile::tempdir().unwrap(), Swtpm::start());
        let system = System { root, tpm, log, disk: Disk::formatted(Maker::Ours) };
        // The real program, told where this system is.
        let wrapper = format!(
            "#!/bin/sh\nexec '{}' \"$@\" --root '{}' --log '{}'\n",
            crate::cotter().display(),
            system.root.path().display(),
            system.log().display()
        );
        system.put("bin/cotter", wrapper.as_bytes());
        fs::set_permissions(system.at("bin/cotter"), fs::Permissions::from_mode(0o755)).unwrap();
        for folder in ["etc/cotter", "boot"] {
            fs::create_dir_all(system.at(folder)).unwrap();
        }
        system.replay(&|_| None);
        let words = ["luks", "bind", "-y", "-s", "1", "-k"];
        let program = system.tpm.give(Program::cotter().args(words)).arg(system.disk.passphrase_file());
        program.arg("-d").arg(system.disk.path()).args(bind(&system)).succeed();
        fs::rename(system.disk.path(), system.at("disk.img")).unwrap();
        system.put("etc/crypttab", b"root /disk.img none luks\n");
        system
    }

    /// The same, by values of these PCRs that a key of this system signs.
    pub fn signed(log: &'static str, pcrs: &str) -> System {
        System::booted(log, |system| {
            let public = Program::cotter().args(["tpm", "keygen"]).arg(system.key()).succeed().text();
            ["cotter-tpm2".into(), format!(r#"{{"pcr_ids":"{pcrs}","signed":{{"key":{public}}}}}"#)]
        })
    }

    /// The log of its boot.
    pub fn log(&self) -> PathBuf {
        vector(&format!("{}.log", self.log))
    }

    /// A path below its root.
    pub fn at(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    /// Makes a file, and its folders.
    pub fn put(&self, path: &str, content: &[u8]) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// The key that signs.
    pub fn key(&self) -> PathBuf {
        self.at("etc/cotter/reseal.jwk")
    }

    /// All of the volume.
    pub fn volume(&self) -> Vec<u8> {
        fs::read(self.at("disk.img")).unwrap()
    }

    fn replay(&self, other: &dyn Fn(&Event) -> Option<Vec<u8>>) {
        let words = events(self.log).into_iter().filter(|event| event.kind != NO_ACTION).map(|event| {
            let digest = other(&event).unwrap_or(event.sha256);
            let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{}:sha256={digest}", event.pcr)
        });
        self.tpm.tool("tpm2_pcrextend").args(words).succeed();
    }

    /// It is started again, with other digests for some events; the log that programs are shown stays the old one.
    pub fn restart(&mut self, other: &dyn Fn(&Event) -> Option<Vec<u8>>) {
        self.tpm.restart();
        self.replay(other);
    }

    /// What is done after each start: the files are compared with the log.
    pub fn at_start(&self) -> Ended {
        self.run(Program::at(&self.at("bin/cotter")).args(["luks", "reseal", "--at-start"]))
    }

    /// The hook, with these words behind it.
    pub fn hook(&self, words: &[&str]) -> String {
        self.run(Program::at(&self.at("bin/cotter")).args(["luks", "reseal", "--hook"]).args(words)).succeeded().said()
    }

    /// A person says yes to what runs; nothing is said of the next boot.
    pub fn approve(&self) -> String {
        self.sign(&["-y"]).succeed().said()
    }

    /// A person signs, with these words.
    pub fn sign(&self, words: &[&str]) -> Program {
        let program = self.tpm.give(Program::cotter().args(["luks", "reseal", "--log"])).arg(self.log());
        program.arg("--sign").arg(self.key()).arg("-d").arg(self.at("disk.img")).args(words)
    }

    /// As the caller of the hook has it: the program on the path, and nobody to answer.
    pub fn run(&self, program: Program) -> Ended {
        let path = format!("{}:/usr/bin:/bin", self.at("bin").display());
        self.tpm.give(program).env("PATH", path).run()
    }

    /// Whether the volume opens by itself.
    pub fn opens(&self) -> bool {
        let pass = self.tpm.give(Program::cotter().args(["luks", "pass", "-s", "1", "-d"]));
        pass.arg(self.at("disk.img")).run().status.success()
    }
}

/// The script that the recorded boot of GRUB has read.
pub fn script() -> Vec<u8> {
    let other = other_script();
    let last = other.trim_ascii_end().iter().rposition(|byte| *byte == b'\n').unwrap();
    other[..=last].to_vec()
}

/// The same with one line more, which the recorded boot `ovmf_grub_other_script` has read.
pub fn other_script() -> Vec<u8> {
    fs::read(vector("grub_other_script.cfg")).unwrap()
}

/// A file of the workspace.
pub fn workspace(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}
