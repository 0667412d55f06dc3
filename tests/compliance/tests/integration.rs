//! The files in `integration/`, run as a package manager would, against a system below a directory of its own.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test stops where it stands")]

use compliance::swtpm::TCTI;
use compliance::{Disk, Ended, Maker, Program, Swtpm};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const HOOKS: [&str; 2] = ["kernel-install/95-cotter.install", "initramfs-tools/zz-cotter"];

fn workspace(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

fn vector(name: &str) -> PathBuf {
    workspace("crates/tpm2/vectors/event_log").join(name)
}

fn file(name: &str) -> PathBuf {
    workspace("integration").join(name)
}

/// A system that was booted by GRUB, and whose script is another one since.
struct System {
    root: TempDir,
    tpm: Swtpm,
    disk: Disk,
}

impl System {
    /// With this binding of its only volume.
    fn bound(pin: &str, config: &dyn Fn(&System) -> String) -> System {
        let system =
            System { root: tempfile::tempdir().unwrap(), tpm: Swtpm::start(), disk: Disk::formatted(Maker::Ours) };
        for folder in ["etc/cotter", "boot", "bin"] {
            fs::create_dir_all(system.at(folder)).unwrap();
        }
        fs::copy(vector("grub_other_script.cfg"), system.at("boot/grub.cfg")).unwrap();
        fs::write(system.at("boot/vmlinuz-9.9"), "a kernel").unwrap();
        fs::write(system.at("boot/initrd.img-9.9"), "its initramfs").unwrap();
        // The real program, told where this system is.
        let wrapper = format!(
            "#!/bin/sh\nexec '{}' \"$@\" --root '{}' --log '{}'\n",
            compliance::program::cotter().display(),
            system.root.path().display(),
            vector("ovmf_grub.log").display()
        );
        fs::write(system.at("bin/cotter"), wrapper).unwrap();
        fs::set_permissions(system.at("bin/cotter"), fs::Permissions::from_mode(0o755)).unwrap();
        system.boot("ovmf_grub.log");
        let words = ["luks", "bind", "-y", "-s", "1", "-k"];
        let program = system.tpm.give(Program::cotter().args(words)).arg(system.disk.passphrase_file());
        program.arg("-d").arg(system.disk.path()).args([pin, &config(&system)]).succeed();
        fs::rename(system.disk.path(), system.at("disk.img")).unwrap();
        fs::write(system.at("etc/crypttab"), "root /disk.img none luks\nother UUID=no-such none\n").unwrap();
        system
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    fn key(&self) -> PathBuf {
        self.at("etc/cotter/reseal.jwk")
    }

    fn boot(&self, log: &str) {
        let status =
            self.tpm.give(Program::cotter().args(["tpm", "status", "--json", "--log"])).arg(vector(log)).succeed();
        let status: Value = serde_json::from_slice(&status.stdout).unwrap();
        let pcrs = status["pcrs"].as_array().unwrap().iter();
        let events = pcrs.flat_map(|pcr| pcr["events"].as_array().unwrap().iter().map(move |event| (pcr, event)));
        let word =
            |(pcr, event): (&Value, &Value)| format!("{}:sha256={}", pcr["pcr"], event["digest"].as_str().unwrap());
        self.tpm.tool("tpm2_pcrextend").args(events.map(word)).succeed();
    }

    /// A person approves the boot that runs, and says nothing of the next.
    fn approve(&self) -> String {
        let words = ["luks", "reseal", "--log"];
        let program = self.tpm.give(Program::cotter().args(words)).arg(vector("ovmf_grub.log"));
        program.arg("--sign").arg(self.key()).arg("-d").arg(self.at("disk.img")).succeed().said()
    }

    /// As the caller of the hook has it: the program on the path, and nobody to answer.
    fn run(&self, program: Program) -> Ended {
        let path = format!("{}:/usr/bin:/bin", self.at("bin").display());
        self.tpm.give(program).env("PATH", path).run().succeeded()
    }

    fn opens(&self) -> bool {
        let pass = self.tpm.give(Program::cotter().args(["luks", "pass", "-s", "1", "-d"]));
        pass.arg(self.at("disk.img")).run().status.success()
    }
}

fn signed(system: &System) -> String {
    let public = Program::cotter().args(["tpm", "keygen"]).arg(system.key()).succeed().text();
    format!(r#"{{"pcr_ids":"4,7,9","signed":{{"key":{public}}}}}"#)
}

/// What apt itself makes of its file, and of no other.
fn apt_runs() -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let (nothing, nowhere) = (folder.path().join("apt.conf"), folder.path().join("nowhere"));
    let nowhere = nowhere.display();
    fs::write(&nothing, format!("Dir::Etc::parts \"{nowhere}\"; Dir::Etc::main \"{nowhere}\";\n")).unwrap();
    let program = Program::new("apt-config").env("APT_CONFIG", nothing.as_os_str()).arg("-c").arg(file("apt/90cotter"));
    let text = program.args(["dump", "--format", "%f=%v%n", "DPkg::Post-Invoke"]).succeed().text();
    text.lines().filter_map(|line| line.strip_prefix("DPkg::Post-Invoke::=")).map(str::to_owned).collect()
}

/// A character that apt would not take is seen here, and so is one that it would take for something else.
#[test]
fn apt_runs_the_line_that_is_in_its_file() {
    let line = "command -v cotter >/dev/null && cotter luks reseal --hook </dev/null || true";
    assert_eq!(apt_runs(), [line]);
}

/// The lines that the package managers would run.
fn commands() -> Vec<(String, Program)> {
    let shell = |line: &str| Program::new("sh").args(["-c", line]);
    let [apt] = <[String; 1]>::try_from(apt_runs()).unwrap();
    let dnf = |name: &str, colons: usize| {
        let text = fs::read_to_string(file(name)).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        let command = |line: &str| line.splitn(colons + 1, ':').last().unwrap().replace("/usr/bin/", "");
        lines.map(command).collect::<Vec<String>>()
    };
    let mut all = vec![("apt".to_owned(), shell(&apt))];
    all.extend(dnf("dnf/cotter.action", 2).iter().map(|line| ("dnf 4".to_owned(), shell(line))));
    all.extend(dnf("dnf/cotter.actions", 4).iter().map(|line| ("dnf 5".to_owned(), shell(line))));
    all.push(("kernel-install".into(), Program::new("sh").arg(file(HOOKS[0])).args(["add", "8.8", "/boot", "/k"])));
    all.push(("initramfs-tools".into(), Program::new("sh").arg(file(HOOKS[1])).args(["8.8", "/boot/initrd.img-8.8"])));
    all
}

#[test]
fn the_shell_in_the_hooks_is_clean() {
    Program::new("shellcheck").args(HOOKS.map(file)).succeed();
    for name in HOOKS {
        assert_eq!(file(name).metadata().unwrap().permissions().mode() & 0o777, 0o755, "{name}");
    }
}

/// Each of them approves what the next boot will measure.
#[test]
fn every_hook_reseals_signed_bindings() {
    let mut system = System::bound("cotter-tpm2", &signed);
    system.approve();
    let clean = fs::read(system.at("disk.img")).unwrap();
    for (name, program) in commands() {
        fs::write(system.at("disk.img"), &clean).unwrap();
        let ended = system.run(program);
        assert!(ended.said().contains("1 approved"), "{name}: {}", ended.said());
        assert!(ended.text().is_empty(), "{name}: {}", ended.text());
    }
    assert!(system.opens());
    system.tpm.restart();
    system.boot("ovmf_grub_other_script.log");
    assert!(system.opens(), "the boot with the other script");
}

/// Nobody looks when a package manager runs: what a person has not approved is not, and neither is what the log does not explain.
#[test]
fn a_boot_that_nobody_approved_signs_nothing_for_itself() {
    let mut system = System::bound("cotter-tpm2", &signed);
    let refused = |system: &System, why: &str| {
        let before = fs::read(system.at("disk.img")).unwrap();
        let said = system.run(Program::new("sh").arg(file(HOOKS[1])).arg("8.8")).said();
        assert!(said.contains(why) && !said.contains(" approved, "), "{said}");
        assert!(before == fs::read(system.at("disk.img")).unwrap(), "{why}");
        assert!(!system.opens(), "{why}");
    };
    refused(&system, "this boot was not approved; nothing was approved");
    system.approve();
    assert!(system.opens());
    system.tpm.extend(9, 1);
    refused(&system, "PCR 9 cannot be predicted");
    // Nor if a person did approve it.
    let ended = system.approve();
    assert!(ended.contains("this boot was not approved until now") && ended.contains("not explained"), "{ended}");
    assert!(system.opens());
    fs::remove_file(system.at("boot/grub.cfg")).unwrap();
    let said = system.run(Program::new("sh").arg(file(HOOKS[1])).arg("8.8")).said();
    assert!(said.contains("PCR 9 of this boot is not explained") && said.contains("look into it"), "{said}");
    system.tpm.restart();
    system.boot("ovmf_grub_other_script.log");
    refused(&system, "PCR 9 of this boot is not explained");
}

/// A log may name anything, and is from a boot that may have been anybody's.
#[test]
fn what_is_no_file_of_the_loader_is_not_opened() {
    let system = System::bound("cotter-tpm2", &signed);
    system.approve();
    fs::remove_file(system.at("boot/grub.cfg")).unwrap();
    Program::new("mkfifo").arg(system.at("boot/grub.cfg")).succeed();
    let hook = || Program::new("timeout").args(["60", "sh"]).arg(file(HOOKS[1])).arg("8.8");
    let said = system.run(hook()).said();
    assert!(said.contains("0 approved"), "{said}");
    // Beside the folders of the loader nothing is looked for.
    fs::remove_file(system.at("boot/grub.cfg")).unwrap();
    fs::copy(vector("grub_other_script.cfg"), system.at("grub.cfg")).unwrap();
    let said = system.run(hook()).said();
    assert!(said.contains("0 approved"), "{said}");
    fs::copy(vector("grub_other_script.cfg"), system.at("efi-grub.cfg")).unwrap();
    fs::create_dir_all(system.at("efi")).unwrap();
    fs::rename(system.at("efi-grub.cfg"), system.at("efi/grub.cfg")).unwrap();
    let said = system.run(hook()).said();
    assert!(said.contains("1 approved"), "{said}");
}

/// Whoever reads the key says what may boot.
#[test]
fn a_key_that_others_may_read_signs_nothing_here() {
    let system = System::bound("cotter-tpm2", &signed);
    system.approve();
    fs::set_permissions(system.key(), fs::Permissions::from_mode(0o640)).unwrap();
    let before = fs::read(system.at("disk.img")).unwrap();
    let said = system.run(Program::new("sh").arg(file(HOOKS[1])).arg("8.8")).said();
    assert!(said.contains("others may read or write it"), "{said}");
    assert!(before == fs::read(system.at("disk.img")).unwrap());
}

/// With the version of a kernel its files are in the prediction.
#[test]
fn the_kernel_of_a_version_is_looked_for() {
    let system = System::bound("cotter-tpm2", &|system| signed(system).replace("4,7,9", "8,9"));
    let hook = |version: &str| system.run(Program::new("sh").arg(file(HOOKS[1])).arg(version)).said();
    assert!(hook("9.9").contains("PCR 8 cannot be predicted"), "its name is in a command of GRUB");
    let removed = system.run(Program::new("sh").arg(file(HOOKS[0])).args(["remove", "9.9"]));
    assert_eq!(removed.said(), "");
}

/// Nobody is there to give a passphrase: what will happen is said, and the update goes on.
#[test]
fn other_bindings_are_told_about_and_nothing_stops_an_update() {
    for (pin, expected) in [("cotter-tpm2", "cotter luks reseal -d"), ("tpm2", "cotter luks regen -d")] {
        let system = System::bound(pin, &|_| r#"{"pcr_bank":"sha256","pcr_ids":"4,7,9"}"#.into());
        let before = fs::read(system.at("disk.img")).unwrap();
        let hook = || Program::new("sh").arg(file(HOOKS[1])).arg("9.9");
        let said = system.run(hook()).said();
        assert!(said.contains("keyslot 1") && said.contains(expected), "{said}");
        assert!(before == fs::read(system.at("disk.img")).unwrap());
        let gone = system.run(hook().env(TCTI, "swtpm:host=127.0.0.1,port=1"));
        assert!(!gone.said().contains("panicked"), "{}", gone.said());
        fs::write(system.at("etc/crypttab"), "root /no-such none\n").unwrap();
        assert_eq!(system.run(hook()).said(), "");
        let elsewhere =
            Program::cotter().args(["luks", "reseal", "--hook", "--root", "/no-such-root"]).succeed().said();
        assert!(
            elsewhere.contains("there is no directory /no-such-root") && elsewhere.lines().count() == 1,
            "{elsewhere}"
        );
        fs::remove_file(system.at("bin/cotter")).unwrap();
        assert_eq!(system.run(hook()).said(), "");
    }
}
