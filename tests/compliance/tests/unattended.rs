//! What `cotter luks reseal --hook` signs while nobody looks, and what it does not; and what a person is asked before he signs.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test stops where it stands")]

use compliance::boot_log::{Event, IPL, program, sha256};
use compliance::system::{other_script, script};
use compliance::{Disk, Maker, Program, Screen, System};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

/// A system that was started by GRUB, looked through and approved; its script is the one that was measured.
fn approved() -> System {
    let system = started();
    system.at_start().succeeded();
    system.approve();
    assert!(system.opens());
    system
}

fn started() -> System {
    let system = System::signed("ovmf_grub", "4,7,9");
    for folder in ["boot/efi", "efi"] {
        fs::create_dir(system.at(folder)).unwrap();
    }
    system.put("boot/grub.cfg", &script());
    system
}

/// The hook says why, and the volume is the same afterwards.
fn refused(system: &System, words: &[&str], why: &str) {
    let before = system.volume();
    let said = system.hook(words);
    assert!(said.contains(why) && !said.contains(" approved, "), "{why}: {said}");
    assert!(before == system.volume(), "{why}");
}

/// What a person has not approved is not, and neither is what the log does not explain.
#[test]
fn a_boot_that_nobody_approved_signs_nothing_for_itself() {
    let mut system = started();
    system.at_start().succeeded();
    system.put("boot/grub.cfg", &other_script());
    refused(&system, &[], "this boot was not approved; nothing was approved");
    assert!(!system.opens());
    system.approve();
    assert!(system.opens());
    system.tpm.extend(9, 1);
    refused(&system, &[], "PCR 9 cannot be predicted");
    // Nor if a person did approve it.
    let ended = system.approve();
    assert!(ended.contains("this boot was not approved until now") && ended.contains("not explained"), "{ended}");
    assert!(system.opens());
    system.put("boot/grub.cfg", &script());
    refused(&system, &[], "PCR 9 of this boot is not explained");
    system.restart(&|event| (event.pcr == 9).then(|| vec![7; 32]));
    refused(&system, &[], "PCR 9 of this boot is not explained");
    assert!(!system.opens());
}

/// Without the record of this start, or with that of another, nobody knows whether the files on the disk are those that were started.
#[test]
fn without_the_record_of_this_start_nothing_is_signed() {
    let system = started();
    system.approve();
    system.put("boot/grub.cfg", &other_script());
    refused(&system, &[], "cotter-boot-files.service makes it at the start");
    // Started from elsewhere, with copies of the genuine files: those of the disk are others already.
    let said = system.at_start().failed_with(1).said();
    assert!(said.contains("/grub.cfg is not the file that this boot measured"), "{said}");
    refused(&system, &[], "run/cotter/boot-files is not there");
    system.put("boot/grub.cfg", &script());
    system.at_start().succeeded();
    let record = fs::read_to_string(system.at("run/cotter/boot-files")).unwrap();
    assert_eq!(fs::metadata(system.at("run/cotter/boot-files")).unwrap().permissions().mode() & 0o777, 0o600);
    system.put("boot/grub.cfg", &other_script());
    assert!(system.hook(&[]).contains("1 approved"));
    // The record stands for the whole of this boot, whatever is changed in it.
    assert!(system.at_start().succeeded().said().contains("is there already"));
    let log = record.split("\"log\":\"").nth(1).unwrap();
    for (change, why) in [
        (record.replace(&log[..64], &"0".repeat(64)), "it is of another start"),
        (record.replace("\"boot\":\"", "\"boot\":\"1"), "boot is not on the file system that it was on at the start"),
        (record.replace('[', ""), "run/cotter/boot-files is not used"),
    ] {
        assert_ne!(change, record);
        system.put("run/cotter/boot-files", change.as_bytes());
        refused(&system, &[], why);
    }
    system.put("run/cotter/boot-files", record.as_bytes());
    fs::set_permissions(system.at("run/cotter/boot-files"), fs::Permissions::from_mode(0o644)).unwrap();
    refused(&system, &[], "others may read or write it");
}

/// A file that stands before the genuine one is not taken for an update of it.
#[test]
fn a_file_in_the_shadow_of_another_is_not_signed() {
    let system = approved();
    system.put("boot/efi/grub.cfg", &other_script());
    refused(&system, &[], "are both there and differ");
    system.put("boot/grub.cfg", &other_script());
    let said = system.hook(&[]);
    assert!(said.contains("1 approved"), "{said}");
    let fresh = started();
    fresh.put("efi/grub.cfg", &other_script());
    assert!(fresh.at_start().failed_with(1).said().contains("are both there and differ"));
}

/// A log may name anything, and is from a boot that may have been anybody's.
#[test]
fn what_is_no_file_of_the_loader_is_not_opened() {
    let system = approved();
    fs::remove_file(system.at("boot/grub.cfg")).unwrap();
    Program::new("mkfifo").arg(system.at("boot/grub.cfg")).succeed();
    refused(&system, &[], "not a regular file");
    // Beside the folders of the loader nothing is looked for.
    fs::remove_file(system.at("boot/grub.cfg")).unwrap();
    system.put("grub.cfg", &other_script());
    refused(&system, &[], "/grub.cfg was measured and is not on the disk");
    system.put("boot/grub.cfg", &other_script());
    assert!(system.hook(&[]).contains("1 approved"));
}

/// Who had the disk can put links on the open /boot, and modes, by which any account changes there later what root alone should.
#[test]
fn a_file_that_others_may_change_is_not_signed() {
    let system = approved();
    system.put("home/g.cfg", &other_script());
    fs::remove_file(system.at("boot/grub.cfg")).unwrap();
    symlink(system.at("home/g.cfg"), system.at("boot/grub.cfg")).unwrap();
    refused(&system, &[], "boot/grub.cfg: it leads out of the folder");
    let fresh = started();
    fresh.put("home/g.cfg", &script());
    fs::rename(fresh.at("boot/grub.cfg"), fresh.at("boot/genuine.cfg")).unwrap();
    symlink(fresh.at("home/g.cfg"), fresh.at("boot/grub.cfg")).unwrap();
    assert!(fresh.at_start().failed_with(1).said().contains("it leads out of the folder"));
    fs::remove_file(fresh.at("boot/grub.cfg")).unwrap();
    symlink("genuine.cfg", fresh.at("boot/grub.cfg")).unwrap();
    fs::set_permissions(fresh.at("boot/genuine.cfg"), fs::Permissions::from_mode(0o666)).unwrap();
    assert!(fresh.at_start().failed_with(1).said().contains("others than root may change it"));
    fs::set_permissions(fresh.at("boot/genuine.cfg"), fs::Permissions::from_mode(0o644)).unwrap();
    fresh.at_start().succeeded();
}

/// What is not found may be another one now: on a disk that is mounted elsewhere, or in a folder by another name.
#[test]
fn a_measured_file_that_is_not_found_is_not_the_same() {
    for (path, said) in [("boot/grub.cfg", "/grub.cfg"), ("boot/EFI/BOOT/BOOTX64.EFI", "BOOTX64.EFI")] {
        let system = approved();
        fs::remove_file(system.at(path)).unwrap();
        refused(&system, &[], &format!("{said} was measured and is not on the disk"));
        // Nor if it appears later.
        let system = started();
        fs::rename(system.at(path), system.at("away")).unwrap();
        let ended = system.at_start().succeeded().said();
        assert!(ended.contains("measured, and not found on the disk") && ended.contains(said), "{ended}");
        system.approve();
        fs::rename(system.at("away"), system.at(path)).unwrap();
        refused(&system, &[], &format!("{said} was measured and was not on the disk when the machine was started"));
    }
    let system = started();
    fs::remove_dir_all(system.at("boot")).unwrap();
    let ended = system.at_start().failed_with(1).said();
    assert!(ended.contains("no file that this boot measured is on the disk"), "{ended}");
    assert!(!system.at("run/cotter/boot-files").exists());
}

/// GRUB's own program brings files along, which are on no disk and change with it.
#[test]
fn what_is_inside_of_the_loader_is_the_same_as_long_as_the_loader_is() {
    let mut system = started();
    let data = b"(memdisk)/grub.cfg\0".to_vec();
    system.measure(Event { pcr: 9, kind: IPL, sha256: sha256(&[b"inside"]), data });
    system.at_start().succeeded();
    system.approve();
    system.put("boot/grub.cfg", &other_script());
    assert!(system.hook(&[]).contains("1 approved"));
    system.put("boot/EFI/BOOT/BOOTX64.EFI", &program(&[(".text", b"another loader")]).0);
    refused(&system, &[], "(memdisk)/grub.cfg is a part of the loader, which is another one now");
}

/// What lay there at the start is not vouched for by having been measured as something else: systemd-boot measures all of its configuration
/// into PCR 5, as it finds it.
#[test]
fn an_image_that_was_measured_and_not_started_is_not_signed() {
    let mut system = System::signed("ovmf_unified", "4,7,9,11");
    let (image, _) = program(&[(".linux", b"a kernel"), (".initrd", b"evil")]);
    let path = "boot/EFI/Linux/id-9.9.efi";
    system.put(path, &image);
    system.put("usr/lib/modules/9.9/vmlinuz", b"a kernel");
    system.measure(Event { pcr: 5, kind: IPL, sha256: sha256(&[&image]), data: b"loader.conf\0".to_vec() });
    system.at_start().succeeded();
    system.approve();
    let path = system.at(path);
    refused(&system, &["9.9", "--uki", path.to_str().unwrap()], "lay on the disk when the machine was started");
}

/// A rehearsal leaves everything as it is.
#[test]
fn a_rehearsal_takes_no_record_away() {
    let system = approved();
    system.put("boot/grub.cfg", &other_script());
    system.put("run/cotter/boot-files", b"of another start");
    let at_start = |words: &[&str]| {
        let program = Program::at(&system.at("bin/cotter")).args(["luks", "reseal", "--at-start"]).args(words);
        fs::set_permissions(system.at("run/cotter/boot-files"), fs::Permissions::from_mode(0o600)).unwrap();
        let said = system.run(program).failed_with(1).said();
        assert!(said.contains("/grub.cfg is not the file that this boot measured"), "{said}");
        system.at("run/cotter/boot-files").exists()
    };
    assert!(at_start(&["--dry-run"]));
    assert!(!at_start(&[]));
}

/// Whoever writes a header can spoil a binding in it; what the hook has to say is said all the same.
#[test]
fn a_binding_that_cannot_be_read_hides_nothing() {
    let system = approved();
    let text = r#"{"alg":"dir","enc":"A256GCM","clevis":{"pin":"cotter-tpm2","cotter-tpm2":{"sealed":"no"}}}"#;
    let encode = Program::new("basenc").args(["--base64url", "-w0"]).input(text).succeed().text();
    let protected = encode.trim_end_matches('=');
    let token = format!(
        r#"{{"type":"clevis","keyslots":["0"],"jwe":{{"protected":"{protected}","encrypted_key":"","iv":"AAAAAAAAAAAAAAAA","ciphertext":"AA","tag":"AAAAAAAAAAAAAAAAAAAAAA"}}}}"#
    );
    let import = Program::new("cryptsetup").args(["token", "import"]).arg(system.at("disk.img"));
    import.input(token.as_str()).succeed();
    fs::remove_file(system.at("run/cotter/boot-files")).unwrap();
    let said = system.hook(&[]);
    assert!(said.contains("the binding of keyslot 0 cannot be read"), "{said}");
    assert!(said.contains("nothing was approved: ") && said.contains("boot-files is not there"), "{said}");
}

/// Whoever reads the key says what may boot.
#[test]
fn a_key_that_others_may_read_signs_nothing_here() {
    let system = approved();
    fs::set_permissions(system.key(), fs::Permissions::from_mode(0o640)).unwrap();
    refused(&system, &[], "others may read or write it");
}

/// What lay on the open /boot while the machine was off is the kernel of its version, says the encrypted root, or nobody.
#[test]
fn a_kernel_that_nobody_vouches_for_is_not_signed() {
    let system = System::signed("ovmf_shim", "4,7,9");
    let (kernel, _) = program(&[(".text", b"another kernel")]);
    let (evil, _) = program(&[(".text", b"evil")]);
    system.put("boot/initrd.img-7.7", b"of before the start");
    system.at_start().succeeded();
    system.approve();
    refused(&system, &["9.9"], "there is no boot/vmlinuz-9.9");
    system.put("boot/vmlinuz-9.9", &kernel);
    refused(&system, &["9.9"], "there is no boot/initrd.img-9.9 or boot/initramfs-9.9.img");
    system.put("boot/initramfs-9.9.img", b"an initramfs");
    refused(&system, &["9.9"], "nobody vouches for the kernel 9.9");
    system.put("lib/modules/9.9/vmlinuz", &evil);
    refused(&system, &["9.9"], "the kernel is not the one in");
    fs::remove_file(system.at("lib/modules/9.9/vmlinuz")).unwrap();
    let md5 = Program::new("md5sum").arg(system.at("boot/vmlinuz-9.9")).succeed().text();
    let list = format!("{}  boot/vmlinuz-9.9\n", &md5[..32]);
    system.put("var/lib/dpkg/info/linux-image-9.9.md5sums", list.as_bytes());
    let before = system.volume();
    assert!(system.hook(&["9.9"]).contains("1 approved"));
    system.put("disk.img", &before);
    system.put("boot/vmlinuz-9.9", &evil);
    refused(&system, &["9.9"], "is not the boot/vmlinuz-9.9 of its package");
    system.put("boot/vmlinuz-9.9", &kernel);
    system.put("boot/initramfs-9.9.img", b"of before the start");
    refused(&system, &["9.9"], "lay on the disk when the machine was started");
    fs::remove_file(system.at("boot/initramfs-9.9.img")).unwrap();
    symlink(system.at("elsewhere"), system.at("boot/initramfs-9.9.img")).unwrap();
    system.put("elsewhere", b"an initramfs");
    refused(&system, &["9.9"], "is not where boot files are looked for");
    system.put("boot/initrd.img-9.9", b"another");
    refused(&system, &["9.9"], "is started is not known");
    fs::remove_file(system.at("boot/initramfs-9.9.img")).unwrap();
    assert!(system.hook(&["9.9"]).contains("1 approved"));
    refused(&system, &["../9.9"], "../9.9 is no version of a kernel");
    let named = system.at("boot/vmlinuz-9.9");
    refused(&system, &["--kernel", named.to_str().unwrap()], "without its version nobody vouches for a kernel");
    let place = format!("/initrd.img={}", named.display());
    refused(&system, &["--file", &place], "nobody vouches for --file");
}

/// Every volume that is passed over has its line, and the others get what they need.
#[test]
fn what_is_left_out_is_told() {
    let system = approved();
    system.put("boot/grub.cfg", &other_script());
    let disk = system.volume();
    let other = Disk::formatted(Maker::Ours);
    fs::copy(other.path(), system.at("plain.img")).unwrap();
    system.put("crypttab.sh", b"");
    let lines = "root /data.img none luks,header=/disk.img\n\
                 nowhere UUID=no-such none luks\n\
                 broken\n\
                 text /crypttab.sh none luks\n\
                 stick /data.img none luks,header=/h:LABEL=stick\n\
                 unbound /plain.img none luks\n\
                 swap /no-such /dev/urandom swap,plain\n";
    system.put("etc/crypttab", lines.as_bytes());
    system.put("data.img", &[0; 4096]);
    let said = system.hook(&[]);
    assert!(said.contains("1 approved") && disk != system.volume(), "{said}");
    let told: Vec<&str> = said.lines().filter(|line| line.contains("left out")).collect();
    let expected = ["line 3", "nowhere is left out", "text is left out", "stick is left out"];
    assert_eq!(told.len(), expected.len(), "{said}");
    assert!(expected.iter().all(|which| told.iter().any(|line| line.contains(which))), "{said}");
    fs::remove_file(system.at("etc/crypttab")).unwrap();
    assert_eq!(system.hook(&[]), "");
    fs::create_dir(system.at("etc/crypttab")).unwrap();
    assert!(system.hook(&[]).contains("etc/crypttab"));
}

/// A boot that nobody has approved is approved by who says so, and not along with the next one.
#[test]
fn a_person_is_asked_before_an_unapproved_boot_is_signed() {
    let mut system = started();
    let before = system.volume();
    let ended = system.sign(&[]).run().failed_with(1).said();
    assert!(ended.contains("is it one that you trust?") && ended.contains("-y approves it"), "{ended}");
    let values: Vec<&str> = ended.lines().filter(|line| line.starts_with("keyslot 1: sha256:")).collect();
    assert!(values.len() == 3 && !ended.contains("approved last"), "nothing was approved before: {ended}");
    assert!(before == system.volume());
    let mut screen = Screen::start(system.sign(&[]));
    screen.answers("approve what runs now?", "n");
    assert!(screen.ended().failed_with(1).said().contains("nothing was approved") && before == system.volume());
    let file = format!("/grub.cfg={}", system.at("boot/grub.cfg").display());
    system.put("boot/grub.cfg", &other_script());
    assert!(system.sign(&["--file", &file]).run().failed_with(1).said().contains("-y approves it"));
    assert!(before == system.volume());
    let mut screen = Screen::start(system.sign(&["--file", &file]));
    screen.answers("approve the next boot", "y");
    screen.ended().succeeded();
    assert!(!system.opens(), "what runs now was not meant");
    let other = sha256(&[&other_script()]);
    let next = |event: &Event| event.has(b"/grub.cfg").then(|| other.clone());
    system.restart(&|event| next(event).filter(|_| event.pcr == 9));
    assert!(system.opens());
    // What is approved already needs no question, and stays.
    system.restart(&|_| None);
    let said = system.approve();
    let told = |pcr: &str, word: &str| {
        said.lines().any(|line| line.starts_with(&format!("keyslot 1: sha256:{pcr} ")) && line.ends_with(word))
    };
    assert!(told("9", "  not as approved last") && told("4", "  as approved last"), "{said}");
    assert!(system.sign(&["--file", &file]).succeed().said().contains("0 approved"));
    assert!(system.opens());
}
