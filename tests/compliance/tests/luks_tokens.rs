//! `luks token`: tokens in the very bytes of `cryptsetup token`.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test stops where it stands")]

use compliance::{Curve, Disk, KeyDirectory, Maker, Program, Server, Table, Version};
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// Tokens as people and programs write them: other types, odd members, slashes, letters beyond ASCII, white space.
const TOKENS: [&str; 4] = [
    r#"{"type":"clevis","keyslots":["0"],"jwe":{"ciphertext":"QQ","encrypted_key":"","iv":"QQ","protected":"e30","tag":"QQ"}}"#,
    r#" { "type" : "a/b", "keyslots" : [ ] , "é\u00e9\u0007" : [ null , true , -1 , "x/y\\" ] }"#,
    r#"{"type":"systemd-recovery","keyslots":["0"],"pcrs":[7],"pin":false}"#,
    r#"{"keyslots":["0"],"type":"luks2-keyring","key_description":"cotter:test"}"#,
];

fn export(maker: Maker, disk: &Disk, token: &str) -> Vec<u8> {
    match maker {
        Maker::Ours => disk.cotter(["token", "export", "--token-id", token]).succeed().stdout,
        Maker::Theirs => disk.cryptsetup(["token", "export", "--token-id", token]).succeed().stdout,
    }
}

fn import(maker: Maker, disk: &Disk, token: &str) -> Program {
    let program = match maker {
        Maker::Ours => disk.cotter(["token", "import"]),
        Maker::Theirs => disk.cryptsetup(["token", "import"]),
    };
    program.input(token)
}

fn remove(maker: Maker, disk: &Disk, token: &str) {
    match maker {
        Maker::Ours => disk.cotter(["token", "remove", "--token-id", token]).succeed(),
        Maker::Theirs => disk.cryptsetup(["token", "remove", "--token-id", token]).succeed(),
    };
}

#[test]
fn tokens_are_exported_imported_and_removed_alike() {
    let mut table = Table::new("luks token");
    for importing in Maker::BOTH {
        for removing in Maker::BOTH {
            let names = (importing.editor_name(), removing.editor_name());
            table.row(format!("{} imports, both export, {} removes", names.0, names.1), || {
                let disk = Disk::of(Maker::Theirs, Version::Luks2);
                for token in TOKENS {
                    import(importing, &disk, token).succeed();
                }
                for number in ["0", "1", "2", "3"] {
                    assert_eq!(export(Maker::Ours, &disk, number), export(Maker::Theirs, &disk, number));
                }
                remove(removing, &disk, "1");
                for gone in [
                    disk.cotter(["token", "export", "--token-id", "1"]),
                    disk.cryptsetup(["token", "export", "--token-id", "1"]),
                ] {
                    gone.run().failed_with(1);
                }
                // What is exported can be imported elsewhere, and is the same there.
                let other = Disk::of(Maker::Ours, Version::Luks2);
                let exported = String::from_utf8(export(removing, &disk, "2")).unwrap();
                import(importing, &other, &exported).args(["--token-id", "7"]).succeed();
                assert_eq!(export(Maker::Theirs, &other, "7"), exported.as_bytes());
            });
        }
    }
    table.finish();
}

#[test]
fn a_token_that_was_taken_off_and_put_back_opens_the_disk_again() {
    let keys = KeyDirectory::new(Maker::Theirs, Curve::P521);
    let server = Server::start(Maker::Theirs, &keys);
    let disk = Disk::of(Maker::Theirs, Version::Luks2);
    disk.bind(Maker::Theirs, "tang", &server.config());
    let (file, passphrase) = (disk.beside("token.json"), disk.pass(Maker::Theirs, "1"));
    disk.cotter(["token", "export", "--slot", "1"]).arg("--json-file").arg(&file).succeed();
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    disk.cotter(["token", "export", "--slot", "1"]).arg("--json-file").arg(&file).run().failed_with(1);
    let before = disk.bytes();
    let said = disk.cotter(["token", "remove", "--slot", "1"]).run().failed_with(1).said();
    assert!(said.contains("--orphan") && disk.bytes() == before, "{said}");
    disk.cotter(["token", "remove", "--slot", "1", "--orphan"]).succeed();
    assert!(disk.cotter(["dump"]).succeed().text().contains("a passphrase, or a binding that was lost"));
    // The keyslot that nobody can open is no reason to remove the one that somebody can.
    disk.cotter(["kill", "-q", "-s", "0"]).run().failed_with(1);
    disk.unlock().failed_with(1);
    disk.cotter(["token", "import"]).arg("--json-file").arg(&file).succeed();
    assert_eq!(disk.unlock().succeeded().stdout, passphrase);
    assert_eq!(disk.pass(Maker::Theirs, "1"), passphrase);
}

/// A token is exported into a file that is new, or only said to be.
#[test]
fn an_export_into_a_file_can_be_planned() {
    let disk = Disk::formatted(Maker::Theirs);
    disk.bind(Maker::Ours, "null", "{}");
    let file = disk.beside("token.json");
    let export = |words: &[&str]| disk.cotter(["token", "export", "--token-id", "0"]).args(words);
    let plan = export(&["--dry-run", "--json-file"]).arg(&file).succeed().text();
    assert!(plan.starts_with("would write ") && !file.exists(), "{plan}");
    let record = export(&["--json", "--json-file"]).arg(&file).succeed().text();
    assert!(record.starts_with("{\"token\":0"), "{record}");
    assert_eq!(fs::read(&file).unwrap(), export(&[]).succeed().stdout);
    assert_eq!(export(&["--json"]).succeed().stdout, [fs::read(&file).unwrap(), b"\n".to_vec()].concat());
}

#[test]
fn a_number_is_taken_only_if_it_is_to_be_replaced() {
    let disk = Disk::of(Maker::Ours, Version::Luks2);
    for maker in Maker::BOTH {
        import(maker, &disk, TOKENS[1]).args(["--token-id", "4", "--token-replace"]).succeed();
        import(maker, &disk, TOKENS[2]).args(["--token-id", "4"]).run().failed_with(1);
        import(maker, &disk, TOKENS[2]).args(["--token-id", "4", "--token-replace"]).succeed();
        assert!(export(Maker::Theirs, &disk, "4").starts_with(br#"{"type":"systemd-recovery""#));
    }
    import(Maker::Ours, &disk, TOKENS[1]).args(["--key-slot", "0"]).succeed();
    let token: serde_json::Value = serde_json::from_slice(&export(Maker::Theirs, &disk, "0")).unwrap();
    assert_eq!(token["keyslots"], serde_json::json!(["0"]));
}

#[test]
fn what_is_no_token_changes_nothing() {
    let disk = Disk::of(Maker::Theirs, Version::Luks2);
    let before = disk.bytes();
    for bad in [
        "",
        "{",
        "[]",
        "1",
        "{}",
        r#"{"type":"x"}"#,
        r#"{"keyslots":[]}"#,
        r#"{"type":1,"keyslots":[]}"#,
        r#"{"type":"x","keyslots":["9"]}"#,
        r#"{"type":"x","keyslots":[0]}"#,
        r#"{"type":"x","type":"y","keyslots":[]}"#,
    ] {
        import(Maker::Ours, &disk, bad).run().failed_with(1);
    }
    let huge = format!(r#"{{"type":"x","keyslots":[],"y":"{}"}}"#, "z".repeat(16 << 10));
    for maker in Maker::BOTH {
        import(maker, &disk, &huge).run().failed_with(1);
    }
    let plan = import(Maker::Ours, &disk, TOKENS[0]).arg("--dry-run").succeed().text();
    assert!(plan.starts_with("would add token 0"), "{plan}");
    assert!(disk.bytes() == before);
}
