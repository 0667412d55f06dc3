//! `luks meta`: each command of luksmeta, with its exit codes, on what the other side has made.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test stops where it stands")]

use compliance::{Curve, Disk, Ended, KeyDirectory, Maker, Program, Server, Table, Version};

/// What Clevis stores there.
const CLEVIS: &str = "cb6e8904-81ff-40da-a84a-07ab9ab5715e";
const OTHER: &str = "11111111-2222-3333-4444-555555555555";

/// One command of either side. The originals ask without end when nothing answers, so there is always a no.
fn meta(maker: Maker, disk: &Disk, command: &str, words: &[&str], input: &[u8]) -> Ended {
    let program = match maker {
        Maker::Ours => Program::cotter().args(["luks", "meta", command]),
        Maker::Theirs => Program::new("luksmeta").arg(command),
    };
    program.arg("-d").arg(disk.path()).args(words).input(input).run()
}

fn name(maker: Maker) -> &'static str {
    match maker {
        Maker::Ours => "cotter luks meta",
        Maker::Theirs => "luksmeta",
    }
}

fn initialised(maker: Maker) -> Disk {
    let disk = Disk::of(Maker::Theirs, Version::Luks1);
    meta(maker, &disk, "init", &["-f"], b"").succeeded();
    disk
}

#[test]
fn each_side_reads_what_the_other_has_stored() {
    let mut table = Table::new("luks meta");
    for initialising in Maker::BOTH {
        for saving in Maker::BOTH {
            for wiping in Maker::BOTH {
                let names = (name(initialising), name(saving), name(wiping));
                table.row(format!("{} makes it, {} saves, {} wipes", names.0, names.1, names.2), || {
                    let disk = initialised(initialising);
                    let long: Vec<u8> = (0..=255).cycle().take(5000).collect();
                    let number = meta(saving, &disk, "save", &["-u", CLEVIS], b"one\n").succeeded().text();
                    assert_eq!(number, "1", "the first that is free");
                    assert_eq!(meta(saving, &disk, "save", &["-s", "0", "-u", OTHER], &long).succeeded().text(), "");
                    meta(wiping, &disk, "save", &["-s", "7", "-u", CLEVIS], b"seven").succeeded();
                    assert_alike(&disk);
                    for (slot, data) in [("1", &b"one\n"[..]), ("0", &long), ("7", b"seven")] {
                        for loading in Maker::BOTH {
                            assert_eq!(meta(loading, &disk, "load", &["-s", slot], b"").succeeded().stdout, data);
                        }
                    }
                    meta(wiping, &disk, "wipe", &["-f", "-s", "1", "-u", CLEVIS], b"").succeeded();
                    assert_alike(&disk);
                    meta(wiping, &disk, "nuke", &["-f"], b"").succeeded();
                    assert_alike(&disk);
                    assert!(disk.opens_with(compliance::disk::PASSPHRASE.as_bytes()));
                });
            }
        }
    }
    table.finish();
}

/// Both say the same of a disk, in words and in exit codes.
fn assert_alike(disk: &Disk) {
    for words in [vec![], vec!["-s", "0"], vec!["-s", "1"], vec!["-s", "7"]] {
        let [ours, theirs] = Maker::BOTH.map(|maker| meta(maker, disk, "show", &words, b""));
        assert_eq!((ours.text(), ours.status.code()), (theirs.text(), theirs.status.code()), "show {words:?}");
    }
    let [ours, theirs] = Maker::BOTH.map(|maker| meta(maker, disk, "test", &[], b""));
    assert_eq!(ours.status.code(), theirs.status.code());
    assert!(ours.stdout.is_empty() && ours.stderr.is_empty(), "test prints nothing: {}", ours.said());
}

/// Every refusal has the exit code of the original, and changes nothing.
#[test]
fn the_exit_codes_are_those_of_luksmeta() {
    let mut table = Table::new("luks meta: exit codes");
    let huge = vec![b'x'; 40_000];
    let blank = || Disk::of(Maker::Theirs, Version::Luks1);
    let with_one = || {
        let disk = initialised(Maker::Theirs);
        meta(Maker::Theirs, &disk, "save", &["-s", "3", "-u", CLEVIS], b"three").succeeded();
        disk
    };
    let luks2 = || Disk::of(Maker::Theirs, Version::Luks2);
    let rubbish = || Disk::blank(1 << 20);
    /// What is special, a disk like that, command, words, input, exit code.
    type Case<'a> = (&'a str, &'a dyn Fn() -> Disk, &'a str, &'a [&'a str], &'a [u8], i32);
    let cases: [Case<'_>; 30] = [
        ("not initialised", &blank, "test", &[], b"", 72),
        ("not initialised", &blank, "show", &[], b"", 72),
        ("not initialised", &blank, "load", &["-s", "1"], b"", 72),
        ("not initialised", &blank, "save", &["-u", CLEVIS], b"x", 72),
        ("not initialised", &blank, "wipe", &["-f", "-s", "1"], b"", 72),
        ("asked", &blank, "init", &[], b"n\n", 77),
        ("asked", &blank, "nuke", &[], b"n\n", 77),
        ("asked", &with_one, "wipe", &["-s", "3"], b"n\n", 77),
        ("agreed", &blank, "init", &[], b"what\ny\n", 0),
        ("agreed", &with_one, "wipe", &["-s", "3"], b"Y\n", 0),
        ("LUKS2", &luks2, "test", &[], b"", 72),
        ("LUKS2", &luks2, "init", &["-f"], b"", 72),
        ("LUKS2", &luks2, "show", &[], b"", 72),
        ("no LUKS", &rubbish, "test", &[], b"", 74),
        ("no LUKS", &rubbish, "nuke", &["-f"], b"", 74),
        ("in use", &with_one, "save", &["-s", "3", "-u", CLEVIS], b"x", 69),
        ("empty", &with_one, "load", &["-s", "4"], b"", 69),
        ("empty", &with_one, "wipe", &["-f", "-s", "4"], b"", 0),
        ("another UUID", &with_one, "load", &["-s", "3", "-u", OTHER], b"", 65),
        ("another UUID", &with_one, "wipe", &["-f", "-s", "3", "-u", OTHER], b"", 65),
        ("too much", &with_one, "save", &["-s", "5", "-u", CLEVIS], &huge, 73),
        ("nothing", &with_one, "save", &["-s", "5", "-u", CLEVIS], b"", 66),
        ("no UUID", &with_one, "save", &["-s", "5"], b"x", 64),
        ("bad UUID", &with_one, "save", &["-s", "5", "-u", "x"], b"x", 64),
        ("UUID of zeros", &with_one, "save", &["-u", "00000000-0000-0000-0000-000000000000"], b"x", 64),
        ("bad slot", &with_one, "load", &["-s", "8"], b"", 64),
        ("bad slot", &with_one, "show", &["-s", "9"], b"", 64),
        ("no slot", &with_one, "load", &[], b"", 64),
        ("no slot", &with_one, "wipe", &["-f"], b"", 64),
        ("no command", &with_one, "frobnicate", &[], b"", 64),
    ];
    for (what, make, command, words, input, code) in cases {
        table.row(format!("{what}: {command} {}", words.join(" ")).trim_end().to_owned(), || {
            for maker in Maker::BOTH {
                let disk = make();
                let before = disk.bytes();
                let ended = meta(maker, &disk, command, words, input);
                assert_eq!(ended.status.code(), Some(code), "{}: {}", name(maker), ended.said());
                assert!(code == 0 || disk.bytes() == before, "{} changed the disk", name(maker));
            }
        });
    }
    table.finish();
    let nowhere = Program::cotter().args(["luks", "meta", "test", "-d", "/nonexistent/disk"]).run();
    assert_eq!(nowhere.status.code(), Some(74));
    assert_eq!(Program::cotter().args(["luks", "meta", "test"]).run().status.code(), Some(64));
}

#[test]
fn options_may_come_before_the_command() {
    let disk = initialised(Maker::Ours);
    Program::cotter().args(["luks", "meta", "-d"]).arg(disk.path()).arg("test").succeed();
    Program::new("luksmeta").arg("-d").arg(disk.path()).arg("test").succeed();
}

#[test]
fn init_over_a_damaged_one_takes_nuke() {
    let disk = initialised(Maker::Theirs);
    let mut bytes = disk.bytes();
    bytes[2_068_480 + 20] ^= 1;
    std::fs::write(disk.path(), bytes).unwrap();
    assert_eq!(meta(Maker::Ours, &disk, "test", &[], b"").status.code(), Some(72));
    let listed = disk.cotter(["list"]).run().failed_with(1).said();
    assert!(listed.contains("LUKSMeta") && !listed.contains("no keyslot is bound"), "{listed}");
    let expected = disk.cotter(["list", "-s", "0", "--expect", "null", "{}"]).run();
    assert!(expected.status.code() == Some(5) && expected.text().contains("cannot be read"), "{expected:?}");
    let said = meta(Maker::Ours, &disk, "init", &["-f"], b"").failed_with(72).said();
    assert!(said.contains("LUKSMeta"), "{said}");
    meta(Maker::Ours, &disk, "init", &["-f", "-n"], b"").succeeded();
    assert_alike(&disk);
}

/// What Clevis binds is there for `luks meta`, and the other way round.
#[test]
fn a_binding_of_luks1_is_data_of_luksmeta() {
    let keys = KeyDirectory::new(Maker::Theirs, Curve::P521);
    let server = Server::start(Maker::Theirs, &keys);
    let disk = Disk::of(Maker::Ours, Version::Luks1);
    disk.bind(Maker::Theirs, "tang", &server.config());
    let passphrase = disk.pass(Maker::Theirs, "1");
    let jwe = meta(Maker::Ours, &disk, "load", &["-s", "1", "-u", CLEVIS], b"").succeeded().stdout;
    let before = disk.bytes();
    for (command, words) in [("wipe", &["-f", "-s", "1"][..]), ("nuke", &["-f"]), ("init", &["-f", "-n"])] {
        let said = meta(Maker::Ours, &disk, command, words, b"").failed_with(71).said();
        assert!(said.contains("--orphan") && disk.bytes() == before, "{command}: {said}");
    }
    meta(Maker::Ours, &disk, "wipe", &["-f", "-s", "1", "--orphan"], b"").succeeded();
    meta(Maker::Ours, &disk, "save", &["-s", "1", "-u", CLEVIS], &jwe).succeeded();
    assert_eq!(disk.pass(Maker::Theirs, "1"), passphrase);
    assert_eq!(disk.pass(Maker::Ours, "1"), passphrase);
}

#[test]
fn a_dry_run_writes_nothing_and_asks_nothing() {
    let disk = initialised(Maker::Theirs);
    meta(Maker::Theirs, &disk, "save", &["-s", "3", "-u", CLEVIS], b"three").succeeded();
    let before = disk.bytes();
    for (command, words, input) in [
        ("nuke", &[][..], &b""[..]),
        ("init", &["-n"], b""),
        ("save", &["-u", OTHER], b"x"),
        ("wipe", &["-s", "3"], b""),
    ] {
        let plan = meta(Maker::Ours, &disk, command, &[words, &["--dry-run"]].concat(), input).succeeded().text();
        assert!(plan.starts_with("would "), "{command}: {plan}");
    }
    assert!(disk.bytes() == before);
}

#[test]
fn json_has_a_line_for_each_slot() {
    let disk = initialised(Maker::Theirs);
    meta(Maker::Theirs, &disk, "save", &["-s", "3", "-u", CLEVIS], b"three").succeeded();
    let shown = meta(Maker::Ours, &disk, "show", &["--json"], b"").succeeded().text();
    let lines: Vec<serde_json::Value> = shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 8);
    assert_eq!(lines[3], serde_json::json!({"slot": 3, "uuid": CLEVIS, "length": 5, "active": false}));
    assert_eq!(lines[0], serde_json::json!({"slot": 0, "uuid": null, "length": null, "active": true}));
}
