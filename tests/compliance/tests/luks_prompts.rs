//! What a person at a terminal is asked, and what becomes of the answers.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test stops where it stands")]

use compliance::disk::PASSPHRASE;
use compliance::version::CHEAP;
use compliance::{Disk, Maker, Screen, Version};

const EXISTING: &str = "Enter existing LUKS password: ";
const NEW: &str = "Enter new passphrase: ";
const AGAIN: &str = "Enter it again: ";

fn screen(disk: &Disk, words: &[&str]) -> Screen {
    Screen::start(disk.cotter(words.iter().copied()))
}

/// Old first, new twice, nothing of it on the screen.
#[test]
fn a_passphrase_is_asked_for_and_never_shown() {
    for version in Version::BOTH {
        let disk = Disk::of(Maker::Theirs, version);
        for (command, old, new) in [("add", PASSPHRASE, "typed anew"), ("passwd", "typed anew", "typed again")] {
            let mut screen = Screen::start(disk.cotter([command]).args(CHEAP));
            screen.answers(EXISTING, old);
            screen.answers(NEW, new);
            screen.answers(AGAIN, new);
            screen.shows("\n");
            let shown = screen.text();
            screen.ended().succeeded();
            assert!(!shown.contains(old) && !shown.contains(new), "{shown}");
        }
        disk.assert_opens(&[PASSPHRASE, "typed again"], &["typed anew"]);
    }
}

#[test]
fn two_that_differ_and_a_wrong_one_change_nothing() {
    let disk = Disk::of(Maker::Theirs, Version::Luks2);
    let before = disk.bytes();
    let mut differs = Screen::start(disk.cotter(["add"]).args(CHEAP));
    differs.answers(EXISTING, PASSPHRASE);
    differs.answers(NEW, "one");
    differs.answers(AGAIN, "another");
    assert!(differs.ended().failed_with(1).said().contains("not the same"));
    // Who mistypes the old one is not asked for a new one.
    let mut wrong = Screen::start(disk.cotter(["passwd"]).args(CHEAP));
    wrong.answers(EXISTING, "wrong");
    let said = wrong.ended().failed_with(1).said();
    assert!(said.contains("opens none of 1 slots"), "{said}");
    assert!(disk.bytes() == before, "the disk was changed");
}

/// What cannot be undone is asked for, and only a clear yes counts.
#[test]
fn what_cannot_be_undone_is_asked_for() {
    for version in Version::BOTH {
        let disk = Disk::of(Maker::Theirs, version);
        disk.add(Maker::Theirs, "second", &[]);
        let backup = disk.beside("backup");
        disk.cotter(["backup"]).arg(&backup).succeed();
        let backup = backup.to_str().unwrap();
        let before = disk.bytes();
        let questions: [&[&str]; 4] =
            [&["kill", "-s", "1"], &["erase"], &["restore", backup], &["format", "--force", "-k", "/dev/null"]];
        for words in questions {
            let mut screen = screen(&disk, words);
            screen.answers("[y/N] ", "perhaps");
            screen.answers("answer y or n: ", "n");
            let said = screen.ended().failed_with(1).said();
            assert!(said.contains("nothing was changed"), "{words:?}: {said}");
        }
        assert!(disk.bytes() == before, "the disk was changed by a no");
        let mut kill = screen(&disk, &["kill", "-s", "1"]);
        kill.answers("[y/N] ", "y");
        kill.ended().succeeded();
        disk.assert_opens(&[PASSPHRASE], &["second"]);
        let mut erase = screen(&disk, &["erase"]);
        erase.answers("[y/N] ", "yes");
        let certificate = erase.ended().succeeded().text();
        assert!(certificate.contains("Certificate of erasure"), "{certificate}");
        disk.assert_opens(&[], &[PASSPHRASE]);
    }
}

/// Who gives up at a question or a prompt is told that nothing was written.
#[test]
fn an_interrupted_format_says_what_it_has_done() {
    let disk = Disk::blank(20 << 20);
    let before = disk.bytes();
    let mut question = screen(&disk, &["format"]);
    question.answers("[y/N] ", "\x03");
    assert!(question.ended().failed_with(1).said().contains("nothing was changed"));
    let mut prompt = screen(&disk, &["format", "-q"]);
    prompt.answers(NEW, "\x03");
    assert!(prompt.ended().failed_with(1).said().contains("nothing was changed"));
    assert!(disk.bytes() == before);
}

/// Who is about to put another volume's header over this one is told both names.
#[test]
fn the_header_of_another_volume_is_asked_for_by_both_names() {
    let (disk, stranger) = (Disk::of(Maker::Theirs, Version::Luks2), Disk::of(Maker::Theirs, Version::Luks2));
    let backup = stranger.beside("backup");
    stranger.cotter(["backup"]).arg(&backup).succeed();
    let uuid = |disk: &Disk| disk.cryptsetup(["luksUUID"]).succeed().text();
    let before = disk.bytes();
    let mut screen = screen(&disk, &["restore", "--force", backup.to_str().unwrap()]);
    screen.answers("[y/N] ", "n");
    let shown = screen.text();
    screen.ended().failed_with(1);
    assert!(shown.contains(&uuid(&disk)) && shown.contains(&uuid(&stranger)), "{shown}");
    assert!(disk.bytes() == before);
}

/// Where LUKSMeta would go, something may be of another program until somebody says so; a no leaves it alone.
#[test]
fn luksmeta_is_asked_for() {
    let disk = Disk::of(Maker::Theirs, Version::Luks1);
    let file = std::fs::File::options().write(true).open(disk.path()).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"x", (2 << 20) - 1).unwrap();
    let before = disk.bytes();
    let key = disk.passphrase_file();
    let bind = || Screen::start(disk.cotter(["bind"]).arg("-k").arg(&key).args(["null", "{}"]));
    let mut no = bind();
    no.answers("[y/N] ", "n");
    no.ended().failed_with(1);
    assert!(disk.bytes() == before);
    let mut yes = bind();
    yes.answers("[y/N] ", "y");
    yes.ended().succeeded();
    assert_eq!(disk.list(Maker::Ours), "1: null '{}'");
    let mut unbind = screen(&disk, &["unbind", "-s", "1"]);
    unbind.answers("[y/N] ", "n");
    unbind.ended().succeeded();
    assert_eq!(disk.list(Maker::Ours), "1: null '{}'");
}

/// A binding is made anew, or given another configuration, only by who agrees.
#[test]
fn a_binding_is_made_anew_only_by_who_agrees() {
    let disk = Disk::of(Maker::Theirs, Version::Luks2);
    disk.bind(Maker::Theirs, "null", "{}");
    let before = disk.pass(Maker::Ours, "1");
    let mut regen = screen(&disk, &["regen", "-s", "1"]);
    regen.answers("Make the binding of keyslot 1 anew: null '{}'? [y/N] ", "n");
    assert!(regen.ended().succeeded().said().contains("nothing was changed"));
    assert_eq!(disk.pass(Maker::Ours, "1"), before);
    let mut regen = screen(&disk, &["regen", "-s", "1"]);
    regen.answers("[y/N] ", "y");
    regen.ended().succeeded();
    assert_ne!(disk.pass(Maker::Ours, "1"), before);
    // An editor that leaves rubbish first and a configuration then.
    let editor = disk.file("editor", "#!/bin/sh\nif [ -e \"$0.once\" ]; then echo '{\"fail\":false}' > \"$1\"; else touch \"$0.once\"; echo '{' > \"$1\"; fi\n");
    std::fs::set_permissions(&editor, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let mut edit = Screen::start(disk.cotter(["edit", "-s", "1"]).env("EDITOR", &editor).env("VISUAL", ""));
    edit.answers("Edit it again? [y/N] ", "y");
    edit.answers("Bind keyslot 1 to null '{\"fail\":false}'? [y/N] ", "y");
    edit.ended().succeeded();
    disk.unlock().succeeded();
}
