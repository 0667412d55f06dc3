//! `luks add`, `passwd`, `kill` and `config`: each side changes what the other has made, and both open it afterwards.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test stops where it stands")]

use compliance::disk::Cipher;
use compliance::disk::PASSPHRASE;
use compliance::version::CHEAP;
use compliance::{Disk, Maker, Program, Screen, Table, Version};
use serde_json::Value;
use std::fs;

/// The versions whose headers can be changed.
const VERSIONS: &[Version] = &Version::BOTH;

/// Every change by each side to a disk of each side.
fn change_by_everyone(name: &'static str, versions: &[Version], change: impl Fn(Maker, &Disk)) {
    let mut table = Table::new(name);
    for &version in versions {
        for formatting in Maker::BOTH {
            for changing in Maker::BOTH {
                let names = (changing.editor_name(), formatting.format_name());
                table.row(format!("{} changes a {version} of {}", names.0, names.1), || {
                    change(changing, &Disk::of(formatting, version));
                });
            }
        }
    }
    table.finish();
}

#[test]
fn each_side_adds_a_passphrase() {
    change_by_everyone("luks add", VERSIONS, |maker, disk| {
        disk.add(maker, "second", &[]);
        disk.add(maker, "fifth", &["--key-slot", "5"]);
        disk.assert_opens(&[PASSPHRASE, "second", "fifth"], &["wrong"]);
    });
}

#[test]
fn each_side_changes_a_passphrase() {
    change_by_everyone("luks passwd", VERSIONS, |maker, disk| {
        disk.add(Maker::Theirs, "second", &[]);
        disk.change(maker, PASSPHRASE, "changed");
        disk.assert_opens(&["changed", "second"], &[PASSPHRASE]);
        disk.change(maker, "second", "changed too");
        disk.assert_opens(&["changed", "changed too"], &[PASSPHRASE, "second"]);
    });
}

#[test]
fn each_side_removes_a_keyslot() {
    change_by_everyone("luks kill", VERSIONS, |maker, disk| {
        disk.add(Maker::Ours, "second", &[]);
        disk.add(Maker::Theirs, "third", &[]);
        disk.kill(maker, "1");
        disk.assert_opens(&[PASSPHRASE, "third"], &["second"]);
        disk.kill(maker, "0");
        disk.assert_opens(&["third"], &[PASSPHRASE, "second"]);
    });
}

/// A slot that is tried only when it is named is not opened without, by either side; a label and flags are read alike.
#[test]
fn each_side_sets_priorities_labels_and_flags() {
    change_by_everyone("luks config", &[Version::Luks2], |maker, disk| {
        disk.add(Maker::Theirs, "second", &[]);
        match maker {
            Maker::Ours => {
                let settings = ["--priority", "ignore", "-s", "1", "--label", "L x", "--subsystem", "S"];
                disk.cotter(["config"]).args(settings).succeed();
            }
            Maker::Theirs => {
                disk.cryptsetup(["config", "--priority", "ignore", "--key-slot", "1"]).succeed();
                disk.cryptsetup(["config", "--label", "L x", "--subsystem", "S"]).succeed();
            }
        }
        disk.assert_opens(&[PASSPHRASE], &["second"]);
        let named = |maker: Maker| match maker {
            Maker::Ours => disk.cotter(["unlock", "--print-key", "-k", "-", "-s", "1"]),
            Maker::Theirs => disk.cryptsetup(["open", "--test-passphrase", "--key-slot", "1", "--key-file", "-"]),
        };
        Maker::BOTH.into_iter().for_each(|reader| drop(named(reader).input("second").succeed()));
        let (ours, theirs) = (disk.cotter(["dump"]).succeed().text(), disk.dump());
        for (ours_says, theirs_says) in
            [("L x", "L x"), ("Subsystem:        S", "Subsystem:     \tS"), ("ignore", "ignored")]
        {
            assert!(ours.contains(ours_says) && theirs.contains(theirs_says), "{ours}\n{theirs}");
        }
    });
}

#[test]
fn flags_are_those_of_cryptsetup() {
    let disk = Disk::of(Maker::Theirs, Version::Luks2);
    let flags =
        ["allow-discards", "same-cpu-crypt", "submit-from-crypt-cpus", "no-read-workqueue", "no-write-workqueue"];
    let words = flags.iter().flat_map(|flag| ["--flag", flag]);
    disk.cotter(["config"]).args(words).succeed();
    let said =
        |dump: String| dump.lines().find_map(|line| Some(line.strip_prefix("Flags:")?.trim().to_owned())).unwrap();
    assert_eq!(said(disk.dump()), flags.join(" "));
    disk.cotter(["config", "--no-flag", "same-cpu-crypt", "--flag", "allow-discards"]).succeed();
    assert_eq!(said(disk.dump()), "allow-discards submit-from-crypt-cpus no-read-workqueue no-write-workqueue");
    disk.cotter(["config", "--label", "x"]).succeed();
    assert_eq!(said(disk.dump()).split(' ').count(), 4, "another setting leaves the flags alone");
}

/// Letters in groups, as they were printed; ours also takes them without the hyphens, and finds a slip.
#[test]
fn a_recovery_key_opens_as_it_is_printed() {
    let mut table = Table::new("luks passwd --generate");
    for &version in VERSIONS {
        for (command, kept) in [("add", true), ("passwd", false)] {
            table.row(format!("{command} on {version}"), || {
                let disk = Disk::of(Maker::Theirs, version);
                let program = disk.cotter([command, "--generate"]).arg("-k").arg(disk.passphrase_file()).args(CHEAP);
                let key = program.succeed().text();
                assert_eq!((key.len(), key.split('-').count()), (71, 8), "{key}");
                disk.assert_opens(&[&key], &["wrong"]);
                assert_eq!(disk.opens_with(PASSPHRASE.as_bytes()), kept);
                let typed = key.replace('-', "").to_uppercase();
                let unlock = disk.cotter(["unlock", "--print-key", "-k", "-"]).input(typed.as_str()).succeed();
                assert_eq!(unlock.text(), key, "what opened it is printed, not what was typed");
                Program::cotter()
                    .args(["luks", "fingerprint", "-k", "-", "-d"])
                    .arg(disk.path())
                    .input(typed.as_str())
                    .succeed();
                disk.cotter(["add"])
                    .arg("--new-key-file")
                    .arg(disk.file("other", "other"))
                    .args(CHEAP)
                    .input(typed)
                    .succeed();
                let mut slip = key.clone().into_bytes();
                slip[9] = if slip[9] == b'c' { b'v' } else { b'c' };
                let refused = disk.cotter(["add", "-k", "-"]).args(CHEAP).input([&slip[..], b"\nx\n"].concat()).run();
                let said = refused.failed_with(1).said();
                assert!(said.contains("slip in group 2"), "{said}");
                let other = "uvbikkhd-nlvtnkgg-bkrkdtlk-gctkvnhl-ugtlcnbe-eltuvuhh-lkbbuljl-tvgegtce\nx\n";
                let said = disk.cotter(["add", "-k", "-"]).args(CHEAP).input(other).run().failed_with(1).said();
                assert!(said.contains("recovery key") && !said.contains("slip"), "{said}");
            });
        }
    }
    table.finish();
}

/// `bind --recovery`: one change with two keyslots, and nothing of it when it fails.
#[test]
fn a_binding_brings_a_recovery_key_along() {
    let mut table = Table::new("luks bind --recovery");
    for &version in VERSIONS {
        table.row(format!("both or neither, {version}"), || {
            let disk = Disk::of(Maker::Theirs, version);
            let before = disk.bytes();
            let bind = |words: &[&str]| {
                let program =
                    disk.cotter(["bind", "-f", "--recovery"]).arg("-k").arg(disk.passphrase_file()).args(words);
                program.args(["null", "{}"])
            };
            let plan = bind(&["--dry-run"]).succeed().text();
            assert_eq!(plan.matches("would add keyslot").count(), 2, "{plan}");
            assert!(plan.lines().all(|line| line.starts_with("would ")), "no key is shown that is not made: {plan}");
            let refused = disk.cotter(["bind", "-f", "--recovery"]).arg("-k").arg(disk.passphrase_file());
            let refused = refused.args(["null", r#"{"no":"such"}"#]).run().failed_with(1);
            assert!(refused.text().is_empty(), "a key that opens nothing is not printed");
            for output in [">/dev/null", ">/dev/full"] {
                let script = format!("exec \"$0\" \"$@\" {output}");
                bind(&[]).under("sh", &["-c".as_ref(), script.as_ref()]).run().failed_with(1);
            }
            assert!(disk.bytes() == before);

            let ended = bind(&[]).succeed();
            let key = ended.text();
            assert_eq!((key.trim_end().len(), key.split('-').count()), (71, 8), "{key}");
            assert!(ended.said().contains("keyslot 2 has the recovery key"), "{}", ended.said());
            disk.assert_opens(&[PASSPHRASE, key.trim_end()], &["wrong"]);
            disk.cotter(["pass", "-s", "1"]).succeed();
            disk.cotter(["pass", "-s", "2"]).run().failed_with(1);
        });
        table.row(format!("in the place of a preset passphrase, {version}"), || {
            let disk = Disk::of(Maker::Theirs, version);
            let program = disk.cotter(["bind", "-f", "--recovery", "--replace", "--json"]).arg("-k");
            let program = program.arg(disk.passphrase_file()).args(["null", "{}"]);
            let text = program.succeed().text();
            let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            assert_eq!((&lines[1]["slot"], &lines[1]["recovery"]), (&1.into(), &2.into()), "{text}");
            disk.assert_opens(&[lines[0]["recovery_key"].as_str().unwrap()], &[PASSPHRASE]);
        });
    }
    table.finish();
}

/// Scripts give the old and the new passphrase as two lines.
#[test]
fn both_passphrases_come_on_standard_input() {
    for &version in VERSIONS {
        let disk = Disk::of(Maker::Theirs, version);
        let lines = format!("{PASSPHRASE}\nsecond\n");
        disk.cotter(["add", "-k", "-", "--new-key-file", "-"]).args(CHEAP).input(lines).succeed();
        disk.cotter(["passwd"]).args(CHEAP).input("second\nthird\nrest\n").succeed();
        disk.assert_opens(&[PASSPHRASE, "third"], &["second", "rest"]);
        let empty = disk.cotter(["add"]).args(CHEAP).input(format!("{PASSPHRASE}\n\n")).run().failed_with(1);
        assert!(empty.said().contains("empty"), "{}", empty.said());
    }
}

#[test]
fn the_last_keyslot_of_people_goes_only_by_name() {
    for &version in VERSIONS {
        let disk = Disk::of(Maker::Theirs, version);
        disk.bind(Maker::Ours, "null", "{}");
        let before = disk.bytes();
        let kill = |words: &[&str]| disk.cotter(["kill", "-q"]).args(words).run();
        let refusals =
            [(&["-s", "0"][..], "--last-passphrase"), (&["-s", "1"], "luks unbind"), (&["-s", "2"], "not in use")];
        for (words, hint) in refusals {
            let said = kill(words).failed_with(1).said();
            assert!(said.contains(hint), "{words:?}: {said}");
        }
        assert!(disk.bytes() == before, "a refusal changed the disk");
        kill(&["-s", "0", "--last-passphrase"]).succeeded();
        disk.assert_opens(&[], &[PASSPHRASE]);
        disk.unlock().succeeded();
    }
}

/// With a passphrase that is named, a slot goes only if that one still opens another.
#[test]
fn what_remains_is_shown_to_open() {
    for &version in VERSIONS {
        let disk = Disk::of(Maker::Theirs, version);
        disk.add(Maker::Theirs, "second", &[]);
        let kill = |key: &str| disk.cotter(["kill", "-q", "-s", "1", "-k", "-"]).input(key).run();
        let before = disk.bytes();
        for key in ["second", "wrong"] {
            kill(key).failed_with(1);
        }
        assert!(disk.bytes() == before, "a refusal changed the disk");
        kill(PASSPHRASE).succeeded();
        disk.assert_opens(&[PASSPHRASE], &["second"]);
    }
}

/// Keyslots of 1000 iterations may be those of bindings that were lost: then a passphrase that opens one lets the last binding go.
#[test]
fn the_last_binding_goes_once_a_passphrase_was_shown() {
    let weak = ["--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"];
    let costly = ["--pbkdf", "argon2id", "--pbkdf-force-iterations", "4", "--pbkdf-memory", "32768"];
    for (kdf, needs) in [(&weak[..], true), (&costly[..], false)] {
        let disk = Disk::formatted_with(Maker::Ours, Cipher::USUAL, kdf);
        let bind = || disk.bind(Maker::Ours, "null", "{}");
        let unbind = || disk.cotter(["unbind"]).args(["-f", "-s", "1"]);
        bind();
        if needs {
            let refused = unbind().run().failed_with(1).said();
            assert!(
                refused.contains("may belong to bindings that were lost") && refused.contains("-k FILE"),
                "{refused}"
            );
            fs::write(disk.beside("wrong"), "wrong").unwrap();
            let wrong = unbind().arg("-k").arg(disk.beside("wrong")).run().failed_with(1).said();
            assert!(wrong.contains("opens no keyslot but 1"), "{wrong}");
            unbind().arg("-k").arg(disk.passphrase_file()).succeed();
            bind();
            let mut screen = Screen::start(disk.cotter(["unbind"]).args(["-s", "1"]));
            screen.answers("existing LUKS password", PASSPHRASE);
            screen.answers("[y/N]", "y");
            screen.ended().succeeded();
            bind();
            unbind().arg("--last-binding").succeed();
        } else {
            unbind().succeed();
        }
        assert!(disk.opens_with(PASSPHRASE.as_bytes()));
    }
}

#[test]
fn a_dry_run_changes_no_byte() {
    for &version in VERSIONS {
        let disk = Disk::of(Maker::Theirs, version);
        disk.add(Maker::Theirs, "second", &[]);
        let before = disk.bytes();
        // A disk that may only be read is enough.
        let mut permissions = fs::metadata(disk.path()).unwrap().permissions();
        permissions.set_readonly(true);
        fs::set_permissions(disk.path(), permissions).unwrap();
        let new = disk.file("new", "third");
        let add =
            disk.cotter(["add"]).arg("-k").arg(disk.passphrase_file()).arg("--new-key-file").arg(&new).args(CHEAP);
        let passwd =
            disk.cotter(["passwd"]).arg("-k").arg(disk.passphrase_file()).arg("--new-key-file").arg(&new).args(CHEAP);
        let mut plans =
            vec![(add, "add keyslot 2"), (passwd, "keyslot 0"), (disk.cotter(["kill", "-s", "1"]), "remove keyslot 1")];
        if version == Version::Luks2 {
            plans.push((disk.cotter(["config", "--label", "x"]), "set the label"));
        }
        for (program, expected) in plans {
            let plan = program.arg("--dry-run").succeed().text();
            assert!(plan.starts_with("would ") && plan.contains(expected), "{plan}");
        }
        assert!(disk.bytes() == before, "a dry run changed the disk");
    }
}

/// What LUKS2 alone has is refused by name on LUKS1.
#[test]
fn luks1_has_no_labels_and_no_argon2() {
    let disk = Disk::of(Maker::Theirs, Version::Luks1);
    let before = disk.bytes();
    let refused = |program: Program, code: i32, expected: &str| {
        let said = program.run().failed_with(code).said();
        assert!(said.contains(expected), "{said}");
    };
    refused(disk.cotter(["add", "--pbkdf", "argon2id"]), 2, "PBKDF2 alone");
    refused(disk.cotter(["config", "--label", "x"]), 1, "LUKS1");
    refused(disk.cotter(["token", "export", "--token-id", "0"]), 1, "LUKS1 has no tokens");
    assert!(disk.bytes() == before);
}

/// Each slot of LUKS1 has one place: with all eight in use there is none for a second copy, and only who says so writes over it.
#[test]
fn a_full_luks1_changes_a_passphrase_only_in_place() {
    let disk = Disk::of(Maker::Theirs, Version::Luks1);
    for slot in 1..8 {
        disk.add(Maker::Theirs, &format!("number {slot}"), &[]);
    }
    let before = disk.bytes();
    let passwd = |words: &[&str]| disk.cotter(["passwd"]).args(words).args(CHEAP).input("number 6\nchanged\n").run();
    let said = passwd(&[]).failed_with(1).said();
    assert!(said.contains("--in-place"), "{said}");
    let plan = passwd(&["--in-place", "--dry-run"]).succeeded().text();
    assert!(plan.starts_with("would "), "{plan}");
    assert!(disk.bytes() == before, "a refusal or a plan changed the disk");
    passwd(&["--in-place"]).succeeded();
    disk.assert_opens(&[PASSPHRASE, "number 1", "number 7", "changed"], &["number 6"]);
    disk.cotter(["add"]).args(CHEAP).input(format!("{PASSPHRASE}\nninth\n")).run().failed_with(1);
}

/// A passphrase in the middle of a file: both take the same part of it, and the same words.
#[test]
fn a_part_of_a_key_file_is_taken_alike() {
    let disk = Disk::of(Maker::Theirs, Version::Luks2);
    let size = PASSPHRASE.len().to_string();
    let file = disk.file("keys", format!("old {PASSPHRASE} new"));
    for (offset, size, opens) in
        [("4", size.as_str(), true), ("3", &size, false), ("4", "400", false), ("0", "1", false)]
    {
        for maker in Maker::BOTH {
            let program = match maker {
                Maker::Ours => disk.cotter(["unlock", "--test-passphrase"]).arg("-k"),
                Maker::Theirs => disk.cryptsetup(["open", "--test-passphrase"]).arg("--key-file"),
            };
            let part = ["--keyfile-offset", offset, "-l", size];
            assert_eq!(program.arg(&file).args(part).run().status.success(), opens, "{maker}: {part:?}");
        }
    }
    let key = disk.passphrase_file();
    let add = disk.cotter(["add"]).arg("-k").arg(key).args(CHEAP).arg("--new-keyfile").arg(&file);
    add.args(["--new-keyfile-offset", "1", "--new-keyfile-size", "2"]).succeed();
    disk.assert_opens(&[PASSPHRASE, "ld"], &["l", "ld "]);
    disk.cotter(["unlock", "--test-passphrase", "-k", "-", "-l", "4"]).input(PASSPHRASE).run().failed_with(2);
}

/// What is asked for and cannot be is said in the words it was asked for with.
#[test]
fn a_derivation_that_would_be_refused_names_its_option() {
    let disk = Disk::of(Maker::Theirs, Version::Luks2);
    let add = |words: &[&str]| {
        let words = disk.cotter(["add"]).arg("-k").arg(disk.passphrase_file()).args(words);
        words.arg("--new-key-file").arg(disk.file("new", "new")).run().failed_with(1).said()
    };
    let said = add(&["--pbkdf-memory", "1024", "--pbkdf-force-iterations", "2000"]);
    assert!(said.contains("--pbkdf pbkdf2"), "{said}");
    let said = add(&["--pbkdf", "pbkdf2", "--iter-time", "4294967295"]);
    assert!(said.contains("a shorter --iter-time"), "{said}");
}

/// The only copy of a recovery key is the one that is printed: with nobody there no keyslot gets it.
#[test]
fn a_recovery_key_is_not_made_for_nobody() {
    let disk = Disk::of(Maker::Theirs, Version::Luks2);
    let before = disk.bytes();
    for command in ["passwd", "add"] {
        for (output, told) in [(">&-", "it was closed"), (">/dev/null", "/dev/null"), (">/dev/full", "cannot write")] {
            let program = disk.cotter([command, "--generate"]).args(CHEAP).input(PASSPHRASE);
            let script = format!("exec \"$0\" \"$@\" {output}");
            let said = program.under("sh", &["-c".as_ref(), script.as_ref()]).run().failed_with(1).said();
            assert!(said.contains(told), "{command} {output}: {said}");
        }
    }
    assert!(disk.bytes() == before);
}

/// One keyslot is free, and two are wanted: the key that somebody would write down is not shown.
#[test]
fn a_recovery_key_is_not_shown_that_finds_no_room() {
    let disk = Disk::of(Maker::Theirs, Version::Luks1);
    for _ in 1..7 {
        disk.cotter(["bind", "-f"]).arg("-k").arg(disk.passphrase_file()).args(["null", "{}"]).succeed();
    }
    let before = disk.bytes();
    let bind = || {
        let program = disk.cotter(["bind", "-f", "--recovery"]).arg("-k").arg(disk.passphrase_file());
        program.args(["null", "{}"])
    };
    let refused = bind().run().failed_with(1);
    assert!(refused.text().is_empty(), "{}", refused.text());
    assert!(disk.bytes() == before);
    disk.cotter(["unbind", "-f", "-s", "6"]).succeed();
    assert_eq!(bind().succeed().text().trim_end().len(), 71);
}

/// A passphrase can be had again: printed to nowhere it is a trial, whoever opened the null device and how.
#[test]
fn a_passphrase_may_be_printed_to_nowhere() {
    let disk = Disk::of(Maker::Theirs, Version::Luks2);
    disk.bind(Maker::Ours, "null", "{}");
    for words in [&["pass", "-s", "1"][..], &["unlock", "--print-key"], &["unlock", "--print-key-fd", "1"]] {
        for output in [">/dev/null", "1<>/dev/null"] {
            let script = format!("exec \"$0\" \"$@\" {output}");
            disk.cotter(words.iter().copied()).under("sh", &["-c".as_ref(), script.as_ref()]).succeed();
        }
    }
}

/// The label is not under the seal: what the seal would not tell is not said.
#[test]
fn a_change_that_the_seal_does_not_cover_is_no_matter_of_the_seal() {
    let disk = Disk::of(Maker::Theirs, Version::Luks2);
    let seal = |words: &[&str]| disk.cotter(["seal"]).arg("-k").arg(disk.passphrase_file()).args(words).run();
    seal(&[]).succeeded();
    let said = disk.cotter(["config", "--label", "x"]).succeed().said();
    assert!(!said.contains("seal"), "{said}");
    seal(&["--check"]).succeeded();
    let said = disk.cotter(["config", "--flag", "allow-discards"]).succeed().said();
    assert!(said.contains("luks seal"), "{said}");
    assert_eq!(seal(&["--check"]).status.code(), Some(1));
}

/// A slot that goes while its seal is there leaves the seal good if the key is known, and is told otherwise.
#[test]
fn a_seal_is_made_anew_by_who_holds_the_key() {
    let disk = Disk::of(Maker::Theirs, Version::Luks2);
    let seal = |words: &[&str]| disk.cotter(["seal"]).arg("-k").arg(disk.passphrase_file()).args(words).run();
    disk.add(Maker::Theirs, "second", &[]);
    disk.add(Maker::Theirs, "third", &[]);
    seal(&[]).succeeded();
    disk.cotter(["add"]).args(CHEAP).input(format!("{PASSPHRASE}\nfourth\n")).succeed();
    disk.cotter(["passwd"]).args(CHEAP).input("fourth\nfifth\n").succeed();
    disk.cotter(["kill", "-q", "-s", "1", "-k", "-"]).input(PASSPHRASE).succeed();
    seal(&["--check"]).succeeded();
    let told = disk.cotter(["kill", "-q", "-s", "2"]).succeed().said();
    assert!(told.contains("luks seal"), "{told}");
    let checked = seal(&["--check"]);
    assert_eq!(checked.status.code(), Some(1));
    assert!(checked.text().contains("keyslot 2 was removed"), "{}", checked.text());
    disk.assert_opens(&[PASSPHRASE, "fifth"], &["second", "third", "fourth"]);
}
