//! The files in `integration/`, run as a package manager would, against a system below a directory of its own.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test stops where it stands")]

use compliance::boot_log::{APPLICATION, Event, program, sha256};
use compliance::swtpm::TCTI;
use compliance::system::{other_script, script, workspace};
use compliance::{Program, System};
use std::cell::RefCell;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

const HOOKS: [&str; 2] = ["kernel-install/95-cotter.install", "initramfs-tools/zz-cotter"];
const UNIT: &str = "systemd/cotter-boot-files.service";

fn file(name: &str) -> PathBuf {
    workspace("integration").join(name)
}

fn script_of(name: &str, words: &[&str]) -> Program {
    Program::new("sh").arg(file(name)).args(words)
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

/// The lines that the package managers would run without the version of a kernel.
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
    all
}

/// Every file below this one.
fn files_below(directory: PathBuf) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(path) } else { vec![path] }).collect()
}

#[test]
fn the_shell_in_the_hooks_is_clean() {
    let scripts = files_below(workspace("integration")).into_iter();
    let scripts: Vec<PathBuf> = scripts.filter(|file| fs::read(file).unwrap().starts_with(b"#!")).collect();
    assert!(HOOKS.iter().all(|name| scripts.contains(&file(name))), "{scripts:?}");
    Program::new("shellcheck").args(&scripts).succeed();
    for script in scripts {
        assert_eq!(script.metadata().unwrap().permissions().mode() & 0o777, 0o755, "{}", script.display());
    }
}

/// dracut sources it, with functions of its own; a directory stands for the devices, and a word for the program.
#[test]
fn dracut_names_each_volume_that_is_there_once() {
    let devices = tempfile::tempdir().unwrap();
    ["1-a", "2-b", "3-c"].iter().for_each(|uuid| fs::write(devices.path().join(uuid), "").unwrap());
    let directory = devices.path().display().to_string();
    let hook = fs::read_to_string(file("dracut/cotter-map.sh")).unwrap();
    let hook = hook.replace("/dev/disk/by-uuid", &format!("{directory}/by-uuid")).replace("/usr/bin/cotter", "echo");
    std::os::unix::fs::symlink(devices.path(), devices.path().join("by-uuid")).unwrap();
    let words = "getargs() { case $1 in rd.luks.name) echo 1-a=root 9-z=gone ;; rd.luks.uuid) echo luks-1-a luks-2-b 3-c ;; esac; }";
    let named = |words: &str| Program::new("sh").args(["-euc", &format!("{words}\n{hook}")]).succeed().text();
    let expected = [("root", "1-a"), ("luks-2-b", "2-b"), ("luks-3-c", "3-c")];
    let expected = expected.map(|(name, uuid)| format!(" --name {name} --device {directory}/by-uuid/{uuid}")).concat();
    assert_eq!(named(words), format!("boot map{expected}"));
    assert_eq!(named("getargs() { return 1; }"), "boot map");
}

/// What `systemd-analyze` says of the unit, wanted by what enables it; nothing if all is well.
fn verified(unit: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let name = "cotter-boot-files.service";
    fs::write(folder.path().join(name), unit.replace("/usr/bin/cotter", "/bin/true")).unwrap();
    let wanted = unit.lines().find_map(|line| line.strip_prefix("WantedBy=")).unwrap();
    for target in wanted.split(' ') {
        let wants = folder.path().join(format!("{target}.wants"));
        fs::create_dir(&wants).unwrap();
        std::os::unix::fs::symlink(folder.path().join(name), wants.join(name)).unwrap();
    }
    // What stands behind the colon is the system's own.
    let program = Program::new("systemd-analyze").env("SYSTEMD_UNIT_PATH", format!("{}:", folder.path().display()));
    program.arg("verify").arg(folder.path().join(name)).args(wanted.split(' ')).run().said()
}

/// It stands in no circle, and systemd 219 has all of its directives.
#[test]
fn the_unit_is_one_for_every_systemd() {
    let unit = fs::read_to_string(file(UNIT)).unwrap();
    assert_eq!(verified(&unit), "");
    let circle = unit.replace("After=local-fs.target", "After=multi-user.target");
    assert!(verified(&circle).contains("cycle"), "{}", verified(&circle));
    let old = "Description ConditionPathExists RequiresMountsFor After Before Type RemainAfterExit ExecStart WantedBy";
    let directives = unit.lines().filter(|line| !line.starts_with(['#', '['])).filter_map(|line| line.split_once('='));
    for (directive, _) in directives {
        assert!(old.split(' ').any(|old| old == directive), "{directive}");
    }
    let words = unit.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/bin/cotter ")).unwrap();
    let system = System::signed("ovmf_grub", "4,7,9");
    system.run(Program::at(&system.at("bin/cotter")).args(words.split(' '))).succeeded();
}

/// Each of them approves what the next boot will measure.
#[test]
fn every_hook_reseals_signed_bindings() {
    let mut system = System::signed("ovmf_grub", "4,7,9");
    system.put("boot/grub.cfg", &script());
    let said = system.at_start().succeeded().said();
    assert!(said.contains("are the same: 5"), "{said}");
    system.approve();
    system.put("boot/grub.cfg", &other_script());
    let clean = system.volume();
    for (name, program) in commands() {
        system.put("disk.img", &clean);
        let ended = system.run(program).succeeded();
        assert!(ended.said().contains("1 approved"), "{name}: {}", ended.said());
        assert!(ended.text().is_empty(), "{name}: {}", ended.text());
    }
    assert!(system.opens());
    system.restart(&|event| event.has(b"/grub.cfg").then(|| sha256(&[&other_script()])).filter(|_| event.pcr == 9));
    assert!(system.opens(), "the boot with the other script");
}

/// A kernel that shim lets run, its digest as a program, and an initramfs.
fn kernel() -> (Vec<u8>, Vec<u8>) {
    program(&[(".text", b"another kernel")])
}
const INITRAMFS: &[u8] = b"another initramfs";

/// GRUB measures both as files, and shim, asked twice, the kernel as a program without a name.
fn with_the_new_kernel(event: &Event) -> Option<Vec<u8>> {
    let (kernel, authenticode) = kernel();
    match event.pcr {
        4 if event.kind == APPLICATION && event.data.len() == 32 => Some(authenticode),
        9 if event.has(b"/vmlinuz") => Some(sha256(&[&kernel])),
        9 if event.has(b"/initrd.img") => Some(sha256(&[INITRAMFS])),
        _ => None,
    }
}

/// A machine started by shim and GRUB, approved and looked through; then the kernel 9.9 comes, and its package with it.
fn before_a_kernel() -> System {
    let system = System::signed("ovmf_shim", "4,7,9");
    system.at_start().succeeded();
    system.approve();
    assert!(system.opens());
    system.put("lib/modules/9.9/vmlinuz", &kernel().0);
    system
}

/// The whole of an update: the hook, the restart with these files, and the volume opens.
#[test]
fn a_new_kernel_is_approved_by_every_script_and_opens() {
    type Case<'a> = (&'a str, &'a str, &'a [&'a str], [&'a str; 2]);
    let cases: [Case<'_>; 3] = [
        (HOOKS[1], "", &["9.9", "ENTRY"], ["boot/vmlinuz-9.9", "boot/initrd.img-9.9"]),
        (HOOKS[0], "other", &["add", "9.9", "ENTRY", "/k"], ["boot/vmlinuz-9.9", "boot/initramfs-9.9.img"]),
        (HOOKS[0], "bls", &["add", "9.9", "ENTRY", "/k"], ["boot/id/9.9/linux", "boot/id/9.9/initrd"]),
    ];
    for (name, layout, words, files) in cases {
        let mut system = before_a_kernel();
        system.put(files[0], &kernel().0);
        system.put(files[1], INITRAMFS);
        let entry = system.at("boot/id/9.9");
        let words: Vec<&str> =
            words.iter().map(|word| if *word == "ENTRY" { entry.to_str().unwrap() } else { word }).collect();
        let said = system.run(script_of(name, &words).env("KERNEL_INSTALL_LAYOUT", layout)).succeeded().said();
        assert!(said.contains("1 approved"), "{name} {layout}: {said}");
        assert!(system.opens(), "{name} {layout}: what runs now");
        system.restart(&with_the_new_kernel);
        assert!(system.opens(), "{name} {layout}: the boot with the new kernel");
        system.restart(&|event| with_the_new_kernel(event).filter(|_| event.pcr == 4));
        assert!(!system.opens(), "{name} {layout}: the kernel with the old initramfs");
    }
}

/// A unified image of a new kernel, with boot counting and without.
#[test]
fn a_new_unified_image_is_approved_and_opens() {
    let parts: [(&str, &[u8]); 4] = [
        (".linux", b"a kernel"),
        (".osrel", b"ID=cotter\n"),
        (".cmdline", b"console=ttyS0 quiet root=none"),
        (".initrd", INITRAMFS),
    ];
    let (image, authenticode) = program(&parts);
    let wide: Vec<u8> = "BOOTX64.EFI".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for name in ["id-9.9.efi", "id-9.9+3.efi"] {
        let mut system = System::signed("ovmf_unified", "4,7,9,11");
        fs::create_dir(system.at("efi")).unwrap();
        system.at_start().succeeded();
        system.approve();
        system.put(&format!("efi/EFI/Linux/{name}"), &image);
        let hook = || {
            let hook = script_of(HOOKS[0], &["add", "9.9", "/none", "/k"]).env("KERNEL_INSTALL_LAYOUT", "uki");
            let hook = hook.env("KERNEL_INSTALL_BOOT_ROOT", system.at("efi")).env("KERNEL_INSTALL_ENTRY_TOKEN", "id");
            system.run(hook).succeeded().said()
        };
        assert!(hook().contains("nobody vouches for the kernel 9.9"), "{}", hook());
        system.put("usr/lib/modules/9.9/vmlinuz", b"a kernel");
        let said = hook();
        assert!(said.contains("1 approved"), "{said}");
        let sections: Vec<Vec<u8>> =
            parts.iter().flat_map(|(name, content)| [sha256(&[name.as_bytes(), b"\0"]), sha256(&[content])]).collect();
        let sections = RefCell::new(sections.into_iter());
        system.restart(&|event| match event.pcr {
            4 if event.has(&wide) => Some(authenticode.clone()),
            9 if event.has(b"Linux initrd") => Some(sha256(&[INITRAMFS])),
            11 => sections.borrow_mut().next(),
            _ => None,
        });
        assert!(sections.borrow_mut().next().is_none() && system.opens(), "{name}");
    }
}

/// One of two is somebody else's, whichever the loader takes.
#[test]
fn of_two_images_of_a_kernel_none_is_approved() {
    let system = System::signed("ovmf_unified", "4,7,9,11");
    fs::create_dir(system.at("efi")).unwrap();
    system.at_start().succeeded();
    system.approve();
    let (image, _) = program(&[(".linux", b"a kernel"), (".initrd", INITRAMFS)]);
    for name in ["id-9.9.efi", "id-9.9+3.efi"] {
        system.put(&format!("efi/EFI/Linux/{name}"), &image);
    }
    system.put("usr/lib/modules/9.9/vmlinuz", b"a kernel");
    let before = system.volume();
    let hook = script_of(HOOKS[0], &["add", "9.9", "/none", "/k"]).env("KERNEL_INSTALL_LAYOUT", "uki");
    let hook = hook.env("KERNEL_INSTALL_BOOT_ROOT", system.at("efi")).env("KERNEL_INSTALL_ENTRY_TOKEN", "id");
    let said = system.run(hook).succeeded().said();
    assert!(said.contains("none is approved") && said.contains("there is no boot/vmlinuz-9.9"), "{said}");
    assert!(before == system.volume());
}

/// An entry of which a part is missing is none.
#[test]
fn half_a_kernel_is_not_approved() {
    let system = before_a_kernel();
    system.put("boot/id/9.9/linux", &kernel().0);
    let entry = system.at("boot/id/9.9");
    let hook = script_of(HOOKS[0], &["add", "9.9", entry.to_str().unwrap(), "/k"]);
    let said = system.run(hook.env("KERNEL_INSTALL_LAYOUT", "bls")).succeeded().said();
    assert!(said.contains("9.9/initrd") && said.contains("stay as they are"), "{said}");
}

#[test]
fn what_was_removed_is_not_asked_for() {
    let removed = before_a_kernel().run(script_of(HOOKS[0], &["remove", "9.9"])).succeeded();
    assert_eq!(removed.said(), "");
}

/// Nobody is there to give a passphrase: what will happen is said, and the update goes on.
#[test]
fn other_bindings_are_told_about_and_nothing_stops_an_update() {
    for (pin, expected) in [("cotter-tpm2", "cotter luks reseal -d"), ("tpm2", "cotter luks regen -d")] {
        let config = r#"{"pcr_bank":"sha256","pcr_ids":"4,7,9"}"#;
        let system = System::booted("ovmf_grub", |_| [pin.into(), config.into()]);
        system.put("boot/grub.cfg", &other_script());
        let before = system.volume();
        let hook = || script_of(HOOKS[1], &["9.9"]);
        let said = system.run(hook()).succeeded().said();
        assert!(said.contains("keyslot 1") && said.contains(expected), "{said}");
        assert!(before == system.volume());
        let gone = system.run(hook().env(TCTI, "swtpm:host=127.0.0.1,port=1")).succeeded();
        assert!(!gone.said().contains("panicked"), "{}", gone.said());
        let elsewhere =
            Program::cotter().args(["luks", "reseal", "--hook", "--root", "/no-such-root"]).succeed().said();
        assert!(
            elsewhere.contains("there is no directory /no-such-root") && elsewhere.lines().count() == 1,
            "{elsewhere}"
        );
        fs::remove_file(system.at("bin/cotter")).unwrap();
        assert_eq!(system.run(hook()).succeeded().said(), "");
    }
}
