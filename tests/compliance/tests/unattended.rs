//! What `cotter luks reseal --hook` signs while nobody looks, and what it does not; and what a person is asked before he signs.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test stops where it stands")]

use compliance::boot_log::program;
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
    assert!(system.hook(&[]).contains("0 approved"));
    system.put("boot/grub.cfg", &other_script());
    assert!(system.hook(&[]).contains("1 approved"));
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
    let other = compliance::boot_log::sha256(&[&other_script()]);
    let next = |event: &compliance::boot_log::Event| event.has(b"/grub.cfg").then(|| other.clone());
    system.restart(&|event| next(event).filter(|_| event.pcr == 9));
    assert!(system.opens());
    // What is approved already needs no question, and stays.
    system.restart(&|_| None);
    system.approve();
    assert!(system.sign(&["--file", &file]).succeed().said().contains("0 approved"));
    assert!(system.opens());
}
