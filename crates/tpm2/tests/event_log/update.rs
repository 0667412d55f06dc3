//! The parts of an update, found in recorded logs by the names of their files; and what an old value says of this boot.

use crate::prediction::{has, program, replayed, sha256};
use crate::{log, pcr, pcrs, vector};
use crypto::Hash;
use tpm2::event_log::{
    Booted, Component, Event, Exchange, ImageError, NewFile, NotLocated, Part, Prediction, Unpredictable, Variable,
    is_signature_lists, predict,
};

fn after(name: &str, wanted: &[u8], parts: &[Part<'_>]) -> Prediction {
    let log = log(name);
    let held: Vec<_> = pcrs(name, Hash::Sha256).into_iter().filter(|(pcr, _)| wanted.contains(pcr)).collect();
    let located: Vec<_> = parts.iter().map(|part| log.locate(part).unwrap()).collect();
    let exchanges: Vec<Exchange<'_>> = located.iter().map(|located| located.exchange()).collect();
    predict(&Booted { log: &log, bank: Hash::Sha256, pcrs: &held, phases: &[] }, &exchanges)
}

fn numbers(prediction: &Prediction) -> (Vec<u8>, Vec<u8>) {
    let known = prediction.values.iter().map(|(pcr, _)| *pcr).collect();
    (known, prediction.unpredictable.iter().map(|(pcr, _)| *pcr).collect())
}

#[test]
fn kernels_and_initramfs_are_found_by_their_names() {
    let same = [
        Part::Kernel(NewFile { name: "vmlinuz", content: b"kernel" }),
        Part::Initramfs(NewFile { name: "initrd.img", content: b"initramfs" }),
    ];
    assert_eq!(numbers(&after("ovmf_grub", &[4, 7, 8, 9], &same)), (vec![4, 7, 8, 9], vec![]));
    let by_hand = |event: &Event| match () {
        () if has(event, b"/vmlinuz") => Some(sha256(b"kernel")),
        () if has(event, b"/initrd.img") => Some(sha256(b"initramfs")),
        () => None,
    };
    assert_eq!(after("ovmf_grub", &[9], &same).values, [(9, replayed("ovmf_grub", 9, &by_hand))]);
    assert_ne!(after("ovmf_grub", &[9], &same).values, [(9, pcr("ovmf_grub", 9))]);
    let next = [Part::Kernel(NewFile { name: "vmlinuz-6.1.0-30-amd64", content: b"kernel" })];
    assert_eq!(numbers(&after("ovmf_grub", &[4, 7, 8, 9], &next)), (vec![4, 7, 9], vec![8]), "the command names it");
    let of_the_image = [Part::Initramfs(NewFile { name: "initrd.img", content: b"initramfs" })];
    assert_ne!(after("ovmf_unified", &[9], &of_the_image).values, [(9, pcr("ovmf_unified", 9))]);
}

/// Shim is not asked about a text, so nobody knows what will be in PCR 4.
#[test]
fn a_kernel_that_is_no_program_is_not_predicted() {
    let text = [Part::Kernel(NewFile { name: "vmlinuz-2", content: b"a text" })];
    let found = after("ovmf_shim", &[4, 7, 9], &text);
    assert_eq!(numbers(&found), (vec![7, 9], vec![4]));
    assert_eq!(found.unpredictable, [(4, Unpredictable::NotAProgram { what: "/vmlinuz-2".into() })]);
    let image = program();
    let kernel = [Part::Kernel(NewFile { name: "vmlinuz-2", content: &image })];
    assert_eq!(numbers(&after("ovmf_shim", &[4, 7, 9], &kernel)), (vec![4, 7, 9], vec![]));
}

#[test]
fn lists_of_signatures_are_told_from_anything_else() {
    let list = |header: &[u8], each: usize, count: usize| {
        let all = 28 + header.len() + each * count;
        let sizes = [all, header.len(), each].map(|size| u32::try_from(size).unwrap().to_le_bytes());
        [&[7; 16][..], &sizes.concat(), header, &vec![1; each * count]].concat()
    };
    let good = [list(b"", 48, 2), list(b"header", 100, 1)].concat();
    assert!(is_signature_lists(&good) && is_signature_lists(&list(b"", 17, 1)));
    for bad in [&b""[..], b"a text that is longer than the head of a list", &good[1..], &good[..good.len() - 1]] {
        assert!(!is_signature_lists(bad), "{bad:?}");
    }
    for bad in [list(b"", 48, 0), list(b"", 16, 1), [good.as_slice(), b"x"].concat()] {
        assert!(!is_signature_lists(&bad), "{bad:?}");
    }
    let recorded = log("ovmf_shim");
    let variables = recorded.of_pcr(7).filter_map(|event| match event.component() {
        Component::Variable(variable) if ["db", "dbx"].contains(&variable.name.as_str()) => Some(variable.data),
        _ => None,
    });
    assert!(variables.filter(|data| !data.is_empty()).all(|data| is_signature_lists(&data)));
}

/// The script of the second boot, by its place.
#[test]
fn any_file_is_found_by_its_place() {
    let content = vector("grub_other_script.cfg");
    for place in ["/grub.cfg", "\\EFI\\BOOT\\BOOTX64.EFI"] {
        let part = Part::At { place, content: &content };
        let found = log("ovmf_grub").locate(&part).map(|located| located.place().to_owned());
        let not_a_program = NotLocated::Image { what: place.into(), source: ImageError::NotAProgram };
        assert_eq!(found, if place == "/grub.cfg" { Ok(place.to_owned()) } else { Err(not_a_program) });
    }
    let script = [Part::At { place: "/grub.cfg", content: &content }];
    assert_eq!(after("ovmf_grub", &[9], &script).values, [(9, pcr("ovmf_grub_other_script", 9))]);
}

/// Whoever names the file of a unified image by its place changes its sections too.
#[test]
fn a_unified_image_is_one_by_its_place_too() {
    let image = program();
    let by_place = [Part::At { place: "\\EFI\\BOOT\\BOOTX64.EFI", content: &image }];
    let by_name = [Part::Unified(NewFile { name: "BOOTX64.EFI", content: &image })];
    let [place, name] = [by_place, by_name].map(|parts| after("ovmf_unified", &[4, 7, 9, 11], &parts));
    assert_eq!((&place.values, &place.unpredictable), (&name.values, &name.unpredictable));
    assert!(!place.values.contains(&(11, pcr("ovmf_unified", 11))));
}

#[test]
fn what_is_not_there_is_named() {
    let missing = |name: &str, part: Part<'_>| {
        let found = log(name).locate(&part).map(|_| ());
        assert!(matches!(found, Err(NotLocated::NotInLog { .. })), "{found:?}");
    };
    missing("ovmf_grub", Part::Unified(NewFile { name: "debian.efi", content: b"" }));
    missing("ovmf_unified", Part::Kernel(NewFile { name: "vmlinuz", content: b"" }));
    for name in ["ovmf_grub", "ovmf_unified"] {
        let place = "/no/such/place";
        let found = log(name).locate(&Part::At { place, content: &program() }).map(|_| ());
        assert_eq!(found, Err(NotLocated::NoSuchPlace { place: place.into() }));
    }
    let empty = tpm2::event_log::EventLog::read(&[]);
    assert!(empty.locate(&Part::Initramfs(NewFile { name: "initrd.img", content: b"" })).is_err());
    let db = Variable { guid: [0; 16], name: "db".into(), data: Vec::new() };
    assert_eq!(empty.locate(&Part::Variable(db)).unwrap().place(), "db");
}

/// An old value without the last events, and without one in the middle.
#[test]
fn an_old_value_names_the_events_that_have_come() {
    let log = log("ovmf_grub");
    let bank = Hash::Sha256;
    let now = pcr("ovmf_grub", 9);
    let all = log.cause(bank, 9, |value| value == now).unwrap();
    assert!(all.events.is_empty());
    let count = log.of_pcr(9).count();
    for cut in 0..count {
        let mut old = log.clone();
        old.events.retain({
            let mut seen = 0;
            move |event| {
                seen += usize::from(event.pcr == 9);
                event.pcr != 9 || seen != cut + 1
            }
        });
        let replayed = old.replay(bank).pcrs.into_iter().find(|(pcr, _)| *pcr == 9);
        let Some((_, value)) = replayed else { continue };
        let cause = log.cause(bank, 9, |held| held == value).unwrap();
        // GRUB measures a file under two names, and the digest is the same.
        let digests = |event: &Event| event.digests.clone();
        let missing: Vec<_> = cause.events.iter().map(|event| digests(event)).collect();
        assert_eq!(missing, [digests(log.of_pcr(9).nth(cut).unwrap())]);
    }
    assert_eq!(log.cause(bank, 9, |value| value == [0; 3]), None);
}

#[test]
fn the_words_of_systemd_are_known() {
    let log = log("ovmf_unified");
    let bank = Hash::Sha256;
    let mut value = pcr("ovmf_unified", 11);
    for (count, phase) in ["enter-initrd", "leave-initrd", "sysinit", "ready", "shutdown", "final"].iter().enumerate() {
        assert_eq!(log.phases(bank, &value).map(<[_]>::len), Some(count));
        let word = bank.digest(&[phase.as_bytes()]);
        value = bank.digest(&[&value, word.as_ref()]).as_ref().to_vec();
    }
    assert_eq!(log.phases(bank, &value).map(<[_]>::len), Some(6));
    assert_eq!(log.phases(bank, &[0; 32]), None);
}
