//! A system below a directory of its own, with a TPM that was booted as a recorded log says, and one encrypted volume.

use crate::boot_log::{Event, NO_ACTION, events, program, sha256, vector, written};
use crate::{Disk, Ended, Maker, Program, Swtpm};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The PCR, words of the event, the path, the content, and what is measured of it.
type BootFile<'a> = (u32, &'a [u8], &'a str, &'a [u8], Vec<u8>);

/// See the module.
pub struct System {
    /// Its files.
    pub root: TempDir,
    /// Its TPM.
    pub tpm: Swtpm,
    /// What was measured.
    events: Vec<Event>,
    /// Its volume, until it lies below the root.
    disk: Disk,
}

impl System {
    /// Booted as this log says, with the volume bound by what `bind` makes of it, once there is a place for keys.
    pub fn booted(log: &'static str, bind: impl FnOnce(&System) -> [String; 2]) -> System {
        let (root, tpm) = (tempfile::tempdir().unwrap(), Swtpm::start());
        let mut system = System { root, tpm, events: events(log), disk: Disk::formatted(Maker::Ours) };
        system.put_boot_files();
        system.write_log();
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
        self.at("boot.log")
    }

    /// Makes the files that the log names, and measures them. The script of the boot `ovmf_grub` is that of the recording.
    fn put_boot_files(&mut self) {
        let (start, authenticode) = program(&[(".text", b"what the firmware starts")]);
        let (grub, started_by_shim) = program(&[(".text", b"what shim starts")]);
        let wide = |name: &str| name.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        let kernel = b"the kernel that runs";
        let files: [BootFile<'_>; 6] = [
            (4, &wide("BOOTX64.EFI"), "boot/EFI/BOOT/BOOTX64.EFI", &start, authenticode),
            (4, &wide("grubx64.efi"), "boot/EFI/BOOT/grubx64.efi", &grub, started_by_shim),
            (9, b"debian/grub.cfg", "boot/EFI/debian/grub.cfg", b"a script", sha256(&[b"a script"])),
            (9, b"/grub.cfg", "boot/grub.cfg", &script(), sha256(&[&script()])),
            (9, b"/vmlinuz", "boot/vmlinuz", kernel, sha256(&[kernel])),
            (9, b"/initrd.img", "boot/initrd.img", b"its initramfs", sha256(&[b"its initramfs"])),
        ];
        let mut made = Vec::new();
        for event in &mut self.events {
            let is_it = |file: &&BootFile<'_>| event.pcr == file.0 && event.has(file.1);
            if let Some((_, _, path, content, digest)) = files.iter().find(is_it) {
                event.sha256.clone_from(digest);
                made.push((*path, content.to_vec()));
            }
        }
        made.iter().for_each(|(path, content)| self.put(path, content));
    }

    fn write_log(&self) {
        fs::write(self.log(), written(&self.events)).unwrap();
    }

    /// Something more was measured in this boot, in the end.
    pub fn measure(&mut self, event: Event) {
        self.events.push(event);
        self.write_log();
        self.restart(&|_| None);
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
        let words = self.events.iter().filter(|event| event.kind != NO_ACTION).map(|event| {
            let digest = other(event).unwrap_or_else(|| event.sha256.clone());
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
