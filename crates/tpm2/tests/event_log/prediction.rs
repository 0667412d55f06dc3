//! What the next boot will measure, against one that was recorded after the change.

use crate::{log, pcr, pcrs, vector};
use crypto::Hash;
use tpm2::event_log::{
    Booted, Component, End, Event, EventKind, EventLog, Exchange, Image, Prediction, SECURITY_DATABASE, Unpredictable,
    Variable, predict,
};

const ALL: [u8; 7] = [0, 4, 7, 8, 9, 11, 14];

/// Of the boot that was recorded, these PCRs after these exchanges.
fn after(name: &str, wanted: &[u8], exchanges: &[Exchange<'_>]) -> Prediction {
    let log = log(name);
    let held: Vec<_> = pcrs(name, Hash::Sha256).into_iter().filter(|(pcr, _)| wanted.contains(pcr)).collect();
    predict(&Booted { log: &log, bank: Hash::Sha256, pcrs: &held, phases: &[] }, exchanges)
}

fn value(prediction: &Prediction, pcr: u8) -> Vec<u8> {
    let found = prediction.values.iter().find(|(number, _)| *number == pcr);
    found.unwrap_or_else(|| panic!("PCR {pcr}: {prediction:?}")).1.clone()
}

/// A PCR by hand: what every event extends, unless another digest is given for it.
pub(crate) fn replayed(name: &str, number: u8, other: &dyn Fn(&Event) -> Option<Vec<u8>>) -> Vec<u8> {
    let log = log(name);
    let measured = log.events.iter().filter(|event| event.pcr == number.into() && event.kind != EventKind::NO_ACTION);
    measured.fold(vec![0; 32], |value, event| {
        let own = || event.digests.iter().find(|(bank, _)| *bank == Hash::Sha256).unwrap().1.clone();
        Hash::Sha256.digest(&[&value, &other(event).unwrap_or_else(own)]).as_ref().to_vec()
    })
}

pub(crate) fn sha256(content: &[u8]) -> Vec<u8> {
    Hash::Sha256.digest(&[content]).as_ref().to_vec()
}

pub(crate) fn has(event: &Event, needle: &[u8]) -> bool {
    event.data.windows(needle.len()).any(|at| at == needle)
}

pub(crate) fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// The replay by hand is right: without another digest it gives what the TPM held.
#[test]
fn by_hand_the_recorded_values_come_again() {
    for (name, number) in
        [("ovmf_grub", 4), ("ovmf_grub", 9), ("ovmf_unified", 4), ("ovmf_unified", 7), ("ovmf_unified", 9)]
    {
        assert_eq!(replayed(name, number, &|_| None), pcr(name, number), "{name}: {number}");
    }
}

#[test]
fn without_a_change_all_stays_as_it_is() {
    for name in ["ovmf_grub", "ovmf_unified"] {
        let prediction = after(name, &ALL, &[]);
        assert!(prediction.unpredictable.is_empty());
        ALL.iter().for_each(|number| assert_eq!(value(&prediction, *number), pcr(name, *number), "{name}: {number}"));
    }
    let of_the_kernel = after("ovmf_grub", &[10], &[]);
    assert_eq!(of_the_kernel.unpredictable, [(10, Unpredictable::NotExplained)]);
}

/// The second boot had one line more in its script.
#[test]
fn a_file_of_grub_is_exchanged() {
    let content = vector("grub_other_script.cfg");
    let script = Exchange::File { path: "/grub.cfg", next: "/grub.cfg", content: &content };
    let prediction = after("ovmf_grub", &ALL, &[script]);
    assert_eq!(value(&prediction, 9), pcr("ovmf_grub_other_script", 9));
    assert_ne!(pcr("ovmf_grub", 9), pcr("ovmf_grub_other_script", 9));
    assert_eq!(value(&prediction, 4), pcr("ovmf_grub_other_script", 4));
    assert_eq!(prediction.unpredictable, [(8, Unpredictable::OtherWords)], "its commands may be others");
    let same = Exchange::File { path: "/vmlinuz", next: "/vmlinuz", content: b"another kernel" };
    assert!(after("ovmf_grub", &ALL, &[same]).unpredictable.is_empty());
    let named = Exchange::File { path: "/vmlinuz", next: "/vmlinuz-2", content: b"another kernel" };
    assert_eq!(after("ovmf_grub", &ALL, &[named]).unpredictable, [(8, Unpredictable::OtherWords)]);
}

/// The second boot had another command line in its image.
#[test]
fn a_section_of_a_unified_image_is_exchanged() {
    let content = vector("unified_other_line.txt");
    let line = Exchange::Section { name: ".cmdline", content: &content };
    let prediction = after("ovmf_unified", &[7, 11], &[line]);
    assert_eq!(value(&prediction, 11), pcr("ovmf_unified_other_line", 11));
    assert_eq!(value(&prediction, 7), pcr("ovmf_unified_other_line", 7));
    assert_ne!(pcr("ovmf_unified", 11), pcr("ovmf_unified_other_line", 11));
    // The kernel measures the line too, in a form of its own; and the image around it is another.
    let line = Exchange::Section { name: ".cmdline", content: &content };
    let others = after("ovmf_unified", &[4, 9], &[line]).unpredictable;
    assert_eq!(others, [(4, Unpredictable::OtherWords), (9, Unpredictable::OtherWords)]);
    assert_ne!(pcr("ovmf_unified", 9), pcr("ovmf_unified_other_line", 9));
    let initramfs = Exchange::Section { name: ".initrd", content: b"another initramfs" };
    assert_ne!(value(&after("ovmf_unified", &[9], &[initramfs]), 9), pcr("ovmf_unified", 9));
}

#[test]
fn what_is_not_in_the_log_is_not_predicted() {
    let check = |pcr: u8, exchange: Exchange<'_>| {
        let prediction = after("ovmf_grub", &[pcr], &[exchange]);
        assert!(matches!(prediction.unpredictable[..], [(_, Unpredictable::NotInLog { .. })]), "{prediction:?}");
    };
    let program = program();
    let image = Image::read(&program).unwrap();
    check(4, Exchange::Program { file: "\\EFI\\debian\\shimx64.efi", image: &image });
    check(9, Exchange::File { path: "/other", next: "/other", content: b"" });
    check(11, Exchange::Section { name: ".cmdline", content: b"" });
    check(11, Exchange::UnifiedImage { file: "\\EFI\\BOOT\\BOOTX64.EFI", image: &image });
    let nobody = Variable { guid: [0; 16], name: "db".into(), data: Vec::new() };
    check(7, Exchange::Variable(&nobody));
    let absent = EventLog::read(&[]);
    let cut = EventLog::read(&vector("ovmf_grub.log")[..3000]);
    for log in [&absent, &cut] {
        let held = [(4, pcr("ovmf_grub", 4))];
        let prediction = predict(&Booted { log, bank: Hash::Sha256, pcrs: &held, phases: &[] }, &[]);
        assert_eq!(prediction.unpredictable, [(4, Unpredictable::LogEnds(log.end))]);
        assert_ne!(log.end, End::Complete);
    }
}

#[test]
fn a_program_is_found_by_its_file_in_any_letters() {
    let program = program();
    let image = Image::read(&program).unwrap();
    for file in ["\\EFI\\BOOT\\BOOTX64.EFI", "/efi/boot/bootx64.efi", "EFI\\Boot\\BOOTX64.efi"] {
        let prediction = after("ovmf_unified", &[4, 7], &[Exchange::Program { file, image: &image }]);
        let by_hand = |event: &Event| {
            let its = has(event, &wide("BOOTX64.EFI"));
            its.then(|| sha256(&[&program[..0x98], &program[0x9c..0xe8], &program[0xf0..]].concat()))
        };
        assert_eq!(value(&prediction, 4), replayed("ovmf_unified", 4, &by_hand));
        assert_ne!(value(&prediction, 4), pcr("ovmf_unified", 4));
        assert_eq!(value(&prediction, 7), pcr("ovmf_unified", 7));
    }
}

/// The variable as the log has it, and changed.
#[test]
fn the_database_of_secure_boot_is_exchanged_while_the_signer_is_in_it() {
    let log = log("ovmf_unified");
    let is_db = |component: Component| match component {
        Component::Variable(variable) if variable.guid == SECURITY_DATABASE && variable.name == "db" => Some(variable),
        _ => None,
    };
    let mut db = log.of_pcr(7).find_map(|event| is_db(event.component())).unwrap();
    let same = after("ovmf_unified", &[7], &[Exchange::Variable(&db)]);
    assert_eq!(value(&same, 7), pcr("ovmf_unified", 7), "the content that is there gives the value that is there");
    db.data.extend(b"one more signer");
    let more = after("ovmf_unified", &[4, 7], &[Exchange::Variable(&db)]);
    // UEFI_VARIABLE_DATA: a GUID, the letters of the name, the bytes of the content, and both; all of it is measured.
    let by_hand = |event: &Event| {
        let its = event.kind == EventKind::VARIABLE_DRIVER_CONFIG
            && event.data.get(16..24) == Some(&2u64.to_le_bytes()[..])
            && event.data.get(32..36) == Some(&wide("db")[..]);
        let longer = u64::from_le_bytes(event.data.get(24..32)?.try_into().unwrap()) + 15;
        its.then(|| sha256(&[&event.data[..24], &longer.to_le_bytes(), &event.data[32..], b"one more signer"].concat()))
    };
    assert_eq!(value(&more, 7), replayed("ovmf_unified", 7, &by_hand));
    assert_ne!(value(&more, 7), pcr("ovmf_unified", 7));
    assert_eq!(value(&more, 4), pcr("ovmf_unified", 4));
    db.data.clear();
    let gone = after("ovmf_unified", &[7], &[Exchange::Variable(&db)]);
    assert_eq!(gone.unpredictable, [(7, Unpredictable::SignerGone)]);
}

/// No signer is looked for among those that are forbidden.
#[test]
fn what_secure_boot_forbids_is_exchanged() {
    let list = [&[7; 16][..], &76u32.to_le_bytes(), &[0; 4], &48u32.to_le_bytes(), &[1; 48]].concat();
    for name in ["ovmf_unified", "ovmf_shim"] {
        let dbx = Variable { guid: SECURITY_DATABASE, name: "dbx".into(), data: list.clone() };
        let found = after(name, &[4, 7], &[Exchange::Variable(&dbx)]);
        let by_hand = |event: &Event| {
            let its = event.kind == EventKind::VARIABLE_DRIVER_CONFIG && has(event, &wide("dbx"));
            let lengths = [3u64, 76].map(u64::to_le_bytes).concat();
            its.then(|| sha256(&[&SECURITY_DATABASE[..], &lengths, &wide("dbx"), &list].concat()))
        };
        assert_eq!(value(&found, 7), replayed(name, 7, &by_hand), "{name}");
        assert_ne!(value(&found, 7), pcr(name, 7), "{name}");
        assert_eq!(value(&found, 4), pcr(name, 4), "{name}");
    }
}

/// The stub measures its name and then its content; the kernel that takes it, the content once more.
#[test]
fn the_initramfs_in_a_unified_image_is_exchanged() {
    let content = b"another initramfs";
    let initramfs = Exchange::Section { name: ".initrd", content };
    let found = after("ovmf_unified", &[7, 9, 11], &[initramfs]);
    assert!(found.unpredictable.is_empty(), "{found:?}");
    let seen = std::cell::Cell::new(0);
    let second = |event: &Event| {
        seen.set(seen.get() + usize::from(has(event, &wide(".initrd"))));
        (has(event, &wide(".initrd")) && seen.get() == 2).then(|| sha256(content))
    };
    assert_eq!(value(&found, 11), replayed("ovmf_unified", 11, &second));
    assert_eq!(seen.get(), 2);
    let taken = |event: &Event| has(event, b"Linux initrd").then(|| sha256(content));
    assert_eq!(value(&found, 9), replayed("ovmf_unified", 9, &taken));
    [9, 11].iter().for_each(|number| assert_ne!(value(&found, *number), pcr("ovmf_unified", *number), "{number}"));
    assert_eq!(value(&found, 7), pcr("ovmf_unified", 7));
}

/// A whole image, of which each section is measured with its name, in the stub's order and not in that of the file.
#[test]
fn the_sections_of_another_unified_image_are_measured_anew() {
    let mut program = program();
    // The initramfs stands first.
    program[0x148..0x150].copy_from_slice(b".initrd\0");
    program[0x170..0x178].copy_from_slice(b".linux\0\0");
    let image = Image::read(&program).unwrap();
    let file = "\\EFI\\BOOT\\BOOTX64.EFI";
    let found = after("ovmf_unified", &[11], &[Exchange::UnifiedImage { file, image: &image }]);
    let parts: [&[u8]; 4] = [b".linux\0", b"an initramfs\0\0\0\0", b".initrd\0", b"a kernel\0\0\0\0\0\0\0\0"];
    let by_hand = parts.iter().fold(vec![0; 32], |value, part| sha256(&[value, sha256(part)].concat()));
    assert_eq!(value(&found, 11), by_hand);
}

/// Without a command line of its own it takes the loader's, and without an initramfs the kernel measures none.
#[test]
fn what_a_unified_image_no_longer_brings_is_not_predicted() {
    let log = log("ovmf_unified");
    let line = log.of_pcr(11).filter(|event| has(event, &wide(".cmdline"))).nth(1).unwrap();
    assert_eq!(line.digests[1].1, sha256(b"console=ttyS0 quiet root=none"));
    for (one, other) in [(b".initrd\0", b".osrel\0\0"), (b".cmdline", b".osrel\0\0"), (b".cmdline", b".initrd\0")] {
        let mut program = program();
        // As it was booted, so that a section that is there is no reason.
        program[0x148 + 8..0x148 + 12].copy_from_slice(&29u32.to_le_bytes());
        program[0x200..0x200 + 29].copy_from_slice(b"console=ttyS0 quiet root=none");
        program[0x148..0x150].copy_from_slice(one);
        program[0x170..0x178].copy_from_slice(other);
        let image = Image::read(&program).unwrap();
        let file = "\\EFI\\BOOT\\BOOTX64.EFI";
        let found = after("ovmf_unified", &[9], &[Exchange::UnifiedImage { file, image: &image }]);
        let has_both = (one, other) == (b".cmdline", b".initrd\0");
        let expected = if has_both { vec![] } else { vec![(9, Unpredictable::OtherWords)] };
        assert_eq!(found.unpredictable, expected);
    }
}

/// systemd extends PCR 11 as the boot goes on, after the log's end.
#[test]
fn the_phases_of_systemd_come_behind() {
    let log = log("ovmf_unified");
    let phases = ["enter-initrd", "leave-initrd"];
    let later = |value: Vec<u8>| {
        phases.iter().fold(value, |value, phase| {
            let word = Hash::Sha256.digest(&[phase.as_bytes()]);
            Hash::Sha256.digest(&[&value, word.as_ref()]).as_ref().to_vec()
        })
    };
    let held = [(11, later(pcr("ovmf_unified", 11)))];
    let content = vector("unified_other_line.txt");
    let line = [Exchange::Section { name: ".cmdline", content: &content }];
    let booted = Booted { log: &log, bank: Hash::Sha256, pcrs: &held, phases: &phases };
    assert_eq!(value(&predict(&booted, &line), 11), later(pcr("ovmf_unified_other_line", 11)));
    let unknown = predict(&Booted { phases: &[], ..booted }, &line);
    assert_eq!(unknown.unpredictable, [(11, Unpredictable::NotExplained)]);
}

/// Shim's own signers and revocations are measured too.
#[test]
fn another_shim_is_not_predicted_beyond_its_program() {
    let mut program = program();
    program[0x170..0x178].copy_from_slice(b".sbat\0\0\0");
    program[0x400..0x410].copy_from_slice(b"sbat,1\nshim,4,x\n");
    let image = Image::read(&program).unwrap();
    let exchange = [Exchange::Program { file: "\\EFI\\BOOT\\BOOTX64.EFI", image: &image }];
    let prediction = after("ovmf_shim", &[4, 7, 14], &exchange);
    assert_ne!(value(&prediction, 4), pcr("ovmf_shim", 4));
    assert_eq!(prediction.unpredictable, [(7, Unpredictable::OtherWords), (14, Unpredictable::OtherWords)]);
}

/// Shim is asked whether the kernel may run, and measures it.
#[test]
fn a_kernel_that_shim_lets_run_is_in_two_pcrs() {
    let program = program();
    let kernel = [Exchange::File { path: "/vmlinuz", next: "/vmlinuz", content: &program }];
    let prediction = after("ovmf_shim", &[4, 7, 8, 9, 14], &kernel);
    assert!(prediction.unpredictable.is_empty(), "{prediction:?}");
    for (number, moves) in [(4, true), (7, false), (8, false), (9, true), (14, false)] {
        assert_eq!(value(&prediction, number) != pcr("ovmf_shim", number), moves, "PCR {number}");
    }
    // Without shim nobody is asked.
    assert_eq!(value(&after("ovmf_grub", &[4], &kernel), 4), pcr("ovmf_grub", 4));
    let initramfs = [Exchange::File { path: "/initrd.img", next: "/initrd.img", content: b"an initramfs" }];
    assert_eq!(value(&after("ovmf_shim", &[4], &initramfs), 4), pcr("ovmf_shim", 4));
}

/// A PE32+ program with two sections, which nobody would run.
pub(crate) fn program() -> Vec<u8> {
    let mut bytes = vec![0; 0x600];
    let mut put = |at: usize, part: &[u8]| bytes[at..at + part.len()].copy_from_slice(part);
    put(0, b"MZ");
    put(0x3c, &0x40u32.to_le_bytes());
    put(0x40, b"PE\0\0\x64\x86\x02\0");
    put(0x54, &240u16.to_le_bytes());
    put(0x58, &0x20bu16.to_le_bytes());
    put(0x58 + 60, &0x200u32.to_le_bytes());
    put(0x58 + 108, &16u32.to_le_bytes());
    let section = |name: &[u8], at: u32| {
        let numbers = [0x10u32, 0x1000, 0x200, at].map(u32::to_le_bytes).concat();
        [name, &numbers, &[0; 16]].concat()
    };
    put(0x148, &section(b".linux\0\0", 0x200));
    put(0x170, &section(b".initrd\0", 0x400));
    put(0x200, b"a kernel");
    put(0x400, b"an initramfs");
    bytes
}

#[test]
fn signatures_and_the_checksum_are_not_in_the_digest_and_all_else_is() {
    let digest = |bytes: &[u8]| Image::read(bytes).unwrap().authenticode(Hash::Sha256);
    let plain = program();
    // By hand: all of it but four bytes of checksum and eight of the directory.
    let by_hand = [&plain[..0x98], &plain[0x9c..0xe8], &plain[0xf0..]].concat();
    assert_eq!(digest(&plain), Hash::Sha256.digest(&[&by_hand]).as_ref());
    let mut signed = [plain.clone(), vec![5; 64]].concat();
    signed[0x98] = 9;
    signed[0xe8..0xec].copy_from_slice(&0x600u32.to_le_bytes());
    signed[0xec..0xf0].copy_from_slice(&64u32.to_le_bytes());
    assert_eq!(digest(&signed), digest(&plain));
    for at in [0x44, 0x210, 0x5ff] {
        let mut changed = plain.clone();
        changed[at] ^= 1;
        assert!(Image::read(&changed).is_ok_and(|image| image.authenticode(Hash::Sha256) != digest(&plain)), "{at:#x}");
    }
    let image = Image::read(&plain).unwrap();
    assert_eq!(image.section(".linux").unwrap(), *b"a kernel\0\0\0\0\0\0\0\0");
    assert_eq!(image.section(".none"), None);
}

#[test]
fn an_odd_program_is_refused() {
    let plain = program();
    for len in 0..plain.len() {
        assert!(Image::read(&plain[..len]).is_err(), "{len}");
    }
    let odd = |at: usize, value: u32| {
        let mut bytes = plain.clone();
        bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        Image::read(&bytes).is_err()
    };
    for (at, what) in [
        (0x3c, "e_lfanew"),
        (0x58 + 60, "SizeOfHeaders"),
        (0xec, "the certificates' size"),
        (0x148 + 8, "VirtualSize"),
        (0x148 + 16, "SizeOfRawData"),
        (0x148 + 20, "PointerToRawData"),
    ] {
        assert!(odd(at, u32::MAX), "{what}");
    }
    assert!(odd(0x46, 0xffff) && odd(0x58, 0) && odd(0x58 + 108, 4));
}
