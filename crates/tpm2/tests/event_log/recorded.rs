//! Logs that firmware, loaders and a kernel have written.

use crate::{log, pcrs};
use crypto::Hash;
use tpm2::event_log::{End, EventKind, Explained, Trace};

const NAMES: [&str; 5] =
    ["ovmf_grub", "ovmf_grub_other_script", "ovmf_shim", "ovmf_unified", "ovmf_unified_other_line"];

/// PCR 10 is the kernel's own, and extended later.
#[test]
fn a_log_leads_to_what_the_tpm_held() {
    for name in NAMES {
        let log = log(name);
        assert_eq!((log.end, log.banks.len()), (End::Complete, 4), "{name}");
        for bank in [Hash::Sha1, Hash::Sha256] {
            let held = pcrs(name, bank);
            assert_eq!(held.len(), 24);
            for (pcr, value) in &held {
                let expected = if *pcr == 10 { Explained::No } else { log.explains(bank, *pcr, value) };
                assert_ne!(expected == Explained::No, *pcr != 10, "{name}: PCR {pcr}");
            }
            for (pcr, value) in log.replay(bank).pcrs {
                assert!(held.contains(&(pcr, value)), "{name}: PCR {pcr}");
            }
        }
    }
}

fn components(name: &str, pcr: u8) -> Vec<String> {
    log(name).of_pcr(pcr).map(|event| event.component().to_string()).collect()
}

#[test]
fn each_event_has_its_name() {
    let check = |name: &str, pcr, expected: &[&str]| assert_eq!(components(name, pcr), expected, "{name}: PCR {pcr}");
    let program = "the program \\EFI\\BOOT\\BOOTX64.EFI";
    let calling = "what the firmware did: Calling EFI Application from Boot Option";
    let end = "the end of the firmware's part";
    check("ovmf_unified", 4, &[calling, end, program]);
    check(
        "ovmf_unified",
        7,
        &[
            "the variable SecureBoot",
            "the variable PK",
            "the variable KEK",
            "the variable db",
            "the variable dbx",
            end,
            "a signer in db",
        ],
    );
    let section = |name: &str| format!("the section {name} of the unified image");
    let sections: Vec<String> =
        [".linux", ".osrel", ".cmdline", ".initrd"].iter().flat_map(|name| [section(name), section(name)]).collect();
    assert_eq!(components("ovmf_unified", 11), sections);
    check("ovmf_unified", 9, &["the kernel command line", "the initramfs"]);
    check("ovmf_grub", 4, &[calling, end, program]);
    let menu = "linuxefi /vmlinuz console=ttyS0 quiet root=none";
    let entry =
        format!("the GRUB command `menuentry cotter {{\u{fffd}  {menu}\u{fffd}  initrdefi /initrd.img\u{fffd}}}`");
    check(
        "ovmf_grub",
        8,
        &[
            "the GRUB command `set timeout=0`",
            &entry,
            "the GRUB command `setparams cotter`",
            &format!("the GRUB command `{menu}`"),
            "the kernel command line `/vmlinuz console=ttyS0 quiet root=none`",
            "the GRUB command `initrdefi /initrd.img`",
        ],
    );
    let files = ["the file (hd0,msdos1)/grub.cfg", "the file /grub.cfg", "the file /vmlinuz", "the file /initrd.img"];
    check("ovmf_grub", 9, &files);
    check(
        "ovmf_unified",
        1,
        &[
            "the variable BootOrder",
            "the boot entry Boot0000 (UiApp)",
            "the boot entry Boot0001 (UEFI QEMU HARDDISK QM00011 )",
            "the boot entry Boot0002 (EFI Internal Shell)",
            end,
        ],
    );
    let grub = "the program \\EFI\\BOOT\\grubx64.efi";
    let kernel = "a program without a file, such as a kernel that shim let run";
    check("ovmf_shim", 4, &[calling, end, program, grub, kernel, kernel]);
    check("ovmf_shim", 14, &["shim's MokList", "shim's MokListX", "shim's MokListTrusted"]);
    assert_eq!(
        components("ovmf_shim", 7).split_off(6),
        ["a signer in db", "a signer in SbatLevel", "a signer in MokListRT"]
    );
    let names: Vec<String> = log("ovmf_unified").of_pcr(7).map(|event| event.kind.to_string()).collect();
    assert_eq!(names.last().unwrap(), "EV_EFI_VARIABLE_AUTHORITY");
    assert_eq!(EventKind(0x1234).to_string(), "event type 0x1234");
}

/// The second boot of each pair had one thing changed.
#[test]
fn what_moved_is_named() {
    let check = |before: &str, after: &str, pcr, count, expected: &[&str]| {
        let (before, after) = (log(before).trace(Hash::Sha256, pcr).unwrap(), log(after));
        let before = Trace::read(&before.to_bytes()).unwrap();
        let moved = after.moved(Hash::Sha256, pcr, &before);
        let named: Vec<String> = moved.events.iter().map(|event| event.component().to_string()).collect();
        let named: Vec<&str> = named.iter().map(String::as_str).collect();
        assert_eq!((moved.before, named.as_slice()), (count, expected), "PCR {pcr}");
    };
    let script = ["the file (hd0,msdos1)/grub.cfg", "the file /grub.cfg"];
    check("ovmf_grub", "ovmf_grub_other_script", 9, 2, &script);
    check("ovmf_grub", "ovmf_grub_other_script", 8, 0, &[]);
    check("ovmf_unified", "ovmf_unified_other_line", 4, 1, &["the program \\EFI\\BOOT\\BOOTX64.EFI"]);
    let section = ["the section .cmdline of the unified image"];
    check("ovmf_unified", "ovmf_unified_other_line", 11, 1, &section);
    check("ovmf_unified", "ovmf_unified_other_line", 9, 1, &["the kernel command line"]);
    check("ovmf_unified", "ovmf_unified", 7, 0, &[]);
    // Secure Boot was off for the one, and had its variables and a signer for the other.
    let on = log("ovmf_unified");
    let moved = on.moved(Hash::Sha256, 7, &log("ovmf_grub").trace(Hash::Sha256, 7).unwrap()).events.len();
    assert!(moved > 3, "{moved}");
    assert_eq!(on.moved(Hash::Sha256, 11, &Trace::default()).events.len(), 8);
    assert_eq!(Trace::read(&[1, 2, 3]), None);
}
