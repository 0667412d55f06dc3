//! `luks dump`: the facts of both versions as cryptsetup and luksmeta have them, and what a person needs beside.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test stops where it stands")]

use compliance::disk::PASSPHRASE;
use compliance::version::CHEAP;
use compliance::{Disk, Maker, Program, Table, Version};
use serde_json::{Value, json};

fn json_of(disk: &Disk) -> Value {
    serde_json::from_slice(&disk.cotter(["dump", "--json"]).succeed().stdout).unwrap()
}

fn text_of(disk: &Disk) -> String {
    disk.cotter(["dump"]).succeed().text()
}

/// The value of the first line of cryptsetup's dump that begins so, from `from` on.
fn said<'d>(dump: &'d str, from: &str, name: &str) -> &'d str {
    let rest = &dump[dump.find(from).unwrap()..];
    let line = rest.lines().find_map(|line| line.trim().strip_prefix(name)).unwrap();
    line.trim_start_matches(':').trim()
}

#[test]
fn the_facts_of_luks1_are_those_of_cryptsetup() {
    let mut table = Table::new("luks dump, LUKS1");
    for maker in Maker::BOTH {
        table.row(maker.format_name(), || {
            let disk = Disk::of(maker, Version::Luks1);
            disk.add(Maker::Theirs, "fourth", &["--key-slot", "4"]);
            let (theirs, ours) = (disk.dump(), json_of(&disk));
            assert_eq!(ours["version"], 1);
            assert_eq!(ours["uuid"], said(&theirs, "UUID", "UUID"));
            let mode = format!("aes-{}", said(&theirs, "Cipher", "Cipher mode"));
            assert_eq!(ours["cipher"], mode);
            assert_eq!(ours["hash"], said(&theirs, "Hash", "Hash spec"));
            assert_eq!(ours["key_bits"].to_string(), said(&theirs, "MK bits", "MK bits"));
            let payload: u64 = said(&theirs, "Payload", "Payload offset").parse().unwrap();
            assert_eq!(ours["payload_offset"], payload * 512);
            assert_eq!(ours["digest_iterations"].to_string(), said(&theirs, "MK iterations", "MK iterations"));
            for slot in 0..8 {
                let entry = &ours["keyslots"][slot];
                let heading = format!("Key Slot {slot}: ");
                let enabled = theirs.contains(&format!("{heading}ENABLED"));
                assert_eq!(entry["active"], enabled, "slot {slot}");
                if enabled {
                    let place: u64 = said(&theirs, &heading, "Key material offset").parse().unwrap();
                    assert_eq!(entry["material_offset"], place * 512);
                    assert_eq!(entry["iterations"].to_string(), said(&theirs, &heading, "Iterations"));
                }
            }
            let text = text_of(&disk);
            assert!(text.contains("Free keyslots 1 2 3 5 6 7") && text.contains("LUKSMeta: not initialised"), "{text}");
        });
    }
    table.finish();
}

#[test]
fn the_facts_of_luks2_are_those_of_cryptsetup() {
    let mut table = Table::new("luks dump, LUKS2");
    for maker in Maker::BOTH {
        table.row(maker.format_name(), || {
            let disk = Disk::of(maker, Version::Luks2);
            disk.add(Maker::Theirs, "fourth", &["--key-slot", "4"]);
            let (theirs, ours) = (disk.dump(), json_of(&disk));
            let program = Program::new("cryptsetup").args(["luksDump", "--dump-json-metadata"]).arg(disk.path());
            let metadata: Value = serde_json::from_slice(&program.succeed().stdout).unwrap();
            assert_eq!(ours["metadata"], metadata);
            assert_eq!(ours["uuid"], said(&theirs, "UUID", "UUID"));
            assert_eq!(ours["sequence"].to_string(), said(&theirs, "Epoch", "Epoch"));
            assert_eq!(ours["copies"], json!(["good", "good"]));
        });
    }
    table.finish();
}

/// Slots that open no data, slots that are passed over, tokens by what they are for, LUKSMeta by its owner.
#[test]
fn what_is_special_is_told() {
    let disk = Disk::of(Maker::Theirs, Version::Luks2);
    let program =
        Program::new("cryptsetup").args(["luksAddKey", "-q", "--unbound", "--key-size", "256", "--key-slot", "9"]);
    let program = program.args(CHEAP).args(["--key-file"]).arg(disk.passphrase_file());
    program.arg(disk.path()).arg(disk.file("unbound", "unbound")).succeed();
    disk.add(Maker::Theirs, "ignored", &["--key-slot", "3"]);
    disk.cryptsetup(["config", "--priority", "ignore", "--key-slot", "3"]).succeed();
    for token in [
        r#"{"type":"luks2-keyring","keyslots":["0"],"key_description":"mine"}"#,
        r#"{"type":"systemd-recovery","keyslots":["3"]}"#,
        r#"{"type":"who-knows","keyslots":[]}"#,
    ] {
        disk.cryptsetup(["token", "import"]).input(token).succeed();
    }
    disk.bind(Maker::Theirs, "null", "{}");
    let text = text_of(&disk);
    let expected =
        ["Keyslot 9", "(unbound)", "ignore", "keyring as \"mine\"", "recovery key", "who-knows: unknown", "null {}"];
    for word in expected {
        assert!(text.contains(word), "{word} is missing: {text}");
    }
    let ours = json_of(&disk);
    let slots = ours["keyslots"].as_array().unwrap();
    let of = |number: u64| slots.iter().find(|slot| slot["slot"] == number).unwrap();
    assert_eq!((&of(9)["bound_to_data"], &of(0)["bound_to_data"]), (&json!(false), &json!(true)));
    assert_eq!(of(3)["priority"], "ignore");
    let luks1 = Disk::of(Maker::Theirs, Version::Luks1);
    luks1.bind(Maker::Theirs, "null", "{}");
    let ours = json_of(&luks1);
    assert_eq!((&ours["luksmeta"]["state"], &ours["luksmeta"]["slots"][0]["slot"]), (&json!("present"), &json!(1)));
    assert_eq!(ours["keyslots"][1]["opened_by"], "null {}");
    assert!(text_of(&luks1).contains("cb6e8904-81ff-40da-a84a-07ab9ab5715e"));
}

/// A slot that takes more memory than there is: dump says so, opening refuses before it tries, and a slot that takes little
/// still opens.
#[test]
fn memory_is_told_and_looked_at_before_a_slot_is_tried() {
    let disk = Disk::blank(20 << 20);
    let kdf =
        ["--pbkdf", "argon2id", "--pbkdf-memory", "600000", "--pbkdf-force-iterations", "4", "--pbkdf-parallel", "1"];
    let program = Program::new("cryptsetup").args(["luksFormat", "-q", "--key-file"]).arg(disk.passphrase_file());
    program.args(kdf).arg(disk.path()).succeed();
    let limited = |words: &[&str]| {
        let script = "ulimit -v 450000; exec \"$0\" \"$@\"";
        let program = Program::new("sh").args(["-c", script]).arg(compliance::program::cotter());
        program.arg("luks").args(words).arg("-d").arg(disk.path()).input(PASSPHRASE).run()
    };
    assert!(text_of(&disk).contains("586.1 MiB"), "{}", text_of(&disk));
    let dump = limited(&["dump"]).succeeded().text();
    assert!(dump.contains("more than the") && dump.contains("free here"), "{dump}");
    let refused = limited(&["unlock", "--print-key", "-k", "-"]).failed_with(1);
    assert!(refused.said().contains("KiB are free") && refused.said().contains("luks dump"), "{}", refused.said());
    // Who names a ceiling is taken at their word, and the machine's no is told.
    let tried = limited(&["unlock", "--print-key", "-k", "-", "--max-memory", "1000000"]).failed_with(1);
    assert!(tried.said().contains("cannot be had"), "{}", tried.said());
    let ceiling = disk.cotter(["unlock", "--print-key", "-k", "-", "--max-memory", "1000"]).input(PASSPHRASE).run();
    assert!(ceiling.failed_with(1).said().contains("--max-memory"));
    disk.cotter(["bind", "-y"]).args(["null", "{}"]).input(PASSPHRASE).succeed();
    assert!(limited(&["unlock", "--print-key"]).succeeded().text().len() > 40);
}
