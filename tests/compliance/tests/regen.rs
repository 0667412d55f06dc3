//! `luks regen`, `edit`, `report` and `seal`: servers that rotate their keys, and what the originals make of the result.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test stops where it stands")]

use compliance::disk::PASSPHRASE;
use compliance::keys::Visible;
use compliance::{Curve, Disk, Ended, KeyDirectory, Maker, Program, Server, Table};
use serde_json::Value;
use std::fs;

const SLOT: &str = "1";

/// One of our commands on slot 1, without a terminal: who has to be asked cannot be.
fn luks(verb: &str, disk: &Disk) -> Program {
    Program::cotter().args(["luks", verb, "-d"]).arg(disk.path()).args(["-s", SLOT])
}

fn regen(disk: &Disk) -> Ended {
    luks("regen", disk).arg("-q").run()
}

/// The one signing key that a server advertises.
fn thp(server: &Server) -> String {
    Program::new("tang-show-keys").arg(server.port().to_string()).succeed().text()
}

/// What our list says of slot 1, in JSON.
fn listed(disk: &Disk) -> Value {
    let text = Program::cotter().args(["luks", "list", "--json", "-d"]).arg(disk.path()).succeed().text();
    serde_json::from_str(text.lines().next().unwrap()).unwrap()
}

/// A LUKS1 volume of the original's.
fn luks1() -> Disk {
    let disk = Disk::blank(4 << 20);
    let program = Program::new("cryptsetup").args(["luksFormat", "-q", "--type", "luks1"]);
    let program = program.args(["--pbkdf-force-iterations", "1001", "--key-file"]).arg(disk.passphrase_file());
    program.arg(disk.path()).succeed();
    disk
}

/// Throws the hidden keys away.
fn forget_rotated(keys: &KeyDirectory) {
    keys.files(Visible::No).iter().for_each(|file| fs::remove_file(file).unwrap());
}

/// `tangd-rotate-keys`, then our regen: no question, because the old key vouches for the new one; then the old keys may go.
#[test]
fn a_rotated_server_is_bound_anew_without_a_question() {
    let mut table = Table::new("luks regen after a rotation");
    for serving in Maker::BOTH {
        for (name, make) in [("LUKS2", (|| Disk::formatted(Maker::Theirs)) as fn() -> Disk), ("LUKS1", luks1)] {
            for binding in Maker::BOTH {
                table.row(format!("{}, {name}, bound by {}", serving.server_name(), binding.client_name()), || {
                    let keys = KeyDirectory::new(serving, Curve::P521);
                    let server = Server::start(serving, &keys);
                    let disk = make();
                    disk.bind(binding, "tang", &server.config());
                    let before = disk.pass(Maker::Theirs, SLOT);
                    keys.rotate(serving);
                    luks("report", &disk).arg("-q").run().failed_with(1);
                    regen(&disk).succeeded();
                    forget_rotated(&keys);
                    for client in Maker::BOTH {
                        let after = disk.pass(client, SLOT);
                        assert!(after != before && disk.opens_with(&after) && !disk.opens_with(&before));
                        assert_eq!(disk.list(client), format!("1: tang '{}'", server.config()));
                    }
                    luks("report", &disk).arg("-q").succeed();
                    Program::new("clevis")
                        .args(["luks", "report", "-q", "-d"])
                        .arg(disk.path())
                        .args(["-s", SLOT])
                        .succeed();
                    assert!(disk.opens_with(PASSPHRASE.as_bytes()));
                });
            }
        }
    }
    table.finish();
}

/// The original regenerates from what it lists; ours from the binding itself.
#[test]
fn nothing_of_a_configuration_is_lost() {
    let keys = KeyDirectory::new(Maker::Theirs, Curve::P521);
    let server = Server::start(Maker::Theirs, &keys);
    let config = |thp: &str| {
        format!(
            r#"{{"t":2,"pins":{{"null":{{}},"sss":[{{"t":1,"pins":{{"tang":[{{"url":"{0}","thp":"{thp}"}}]}}}},{{"t":1,"pins":{{"null":[{{}}]}}}}]}}}}"#,
            server.url()
        )
    };
    let disk = Disk::formatted(Maker::Theirs);
    disk.bind(Maker::Ours, "sss", &config(&thp(&server)));
    keys.rotate(Maker::Theirs);
    regen(&disk).succeeded();
    let expected: Value = serde_json::from_str(&config(&thp(&server))).unwrap();
    let found = listed(&disk);
    assert_eq!((&found["config"], &found["complete"]), (&expected, &true.into()));
    assert!(disk.opens_with(&disk.pass(Maker::Theirs, SLOT)));
}

/// Another server at the same address: refused without a terminal, taken with `-y`.
#[test]
fn an_impostor_is_refused() {
    let (keys, others) = (KeyDirectory::new(Maker::Theirs, Curve::P521), KeyDirectory::new(Maker::Theirs, Curve::P521));
    let server = Server::start(Maker::Theirs, &keys);
    let disk = Disk::formatted(Maker::Theirs);
    disk.bind(Maker::Ours, "tang", &server.config());
    let port = server.port();
    drop(server);
    // It has the exchange key that recovers, so that the binding opens, and another signing key.
    for file in others.files(Visible::Yes) {
        fs::copy(&file, keys.path().join(file.file_name().unwrap())).unwrap();
    }
    for file in keys.files(Visible::Yes) {
        let key: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        let original = !others.path().join(file.file_name().unwrap()).exists();
        match key["alg"].as_str() {
            Some("ES512") if original => fs::remove_file(&file).unwrap(),
            Some("ECMR") if original => {
                let hidden = format!(".{}", file.file_name().unwrap().to_str().unwrap());
                fs::rename(&file, keys.path().join(hidden)).unwrap();
            }
            _ => {}
        }
    }
    let _impostor = Server::start_on(Maker::Theirs, &keys, port);
    assert!(disk.opens_with(&disk.pass(Maker::Ours, SLOT)));
    let before = disk.bytes();
    let said = regen(&disk).failed_with(1).said();
    assert!(said.contains("no key that the binding knows"), "{said}");
    assert!(disk.bytes() == before);
    luks("regen", &disk).args(["-q", "-y"]).succeed();
    assert!(disk.opens_with(&disk.pass(Maker::Theirs, SLOT)));
}

/// A plan is printed and nothing is written.
#[test]
fn a_dry_run_writes_nothing() {
    let keys = KeyDirectory::new(Maker::Ours, Curve::P256);
    let server = Server::start(Maker::Ours, &keys);
    let disk = Disk::formatted(Maker::Theirs);
    disk.bind(Maker::Ours, "tang", &server.config());
    let before = disk.bytes();
    let planned = luks("regen", &disk).args(["-q", "--dry-run"]).succeed().text();
    assert!(planned.contains("would replace keyslot 1") && planned.contains("token 0"), "{planned}");
    assert!(disk.bytes() == before);
}

/// `report` tells a rotated key from a server that does not answer.
#[test]
fn a_report_tells_rotated_from_away() {
    let keys = KeyDirectory::new(Maker::Theirs, Curve::P521);
    let server = Server::start(Maker::Theirs, &keys);
    let disk = Disk::formatted(Maker::Theirs);
    disk.bind(Maker::Ours, "sss", &format!(r#"{{"t":1,"pins":{{"tang":[{}],"null":{{}}}}}}"#, server.config()));
    luks("report", &disk).arg("-q").succeed();
    let bound: Vec<String> =
        keys.files(Visible::Yes).iter().map(|file| file.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    keys.rotate(Maker::Theirs);
    let ended = luks("report", &disk).arg("-q").run();
    assert_eq!(ended.status.code(), Some(1));
    let told = ended.text() + &ended.said();
    assert!(bound.iter().all(|thumbprint| told.contains(thumbprint)), "{told}");
    drop(server);
    let said = luks("report", &disk).arg("-q").run().failed_with(1).said();
    assert!(!bound.iter().any(|thumbprint| said.contains(thumbprint)), "not reached is not rotated: {said}");
}

/// Another policy in the same place, which the original reads.
#[test]
fn an_edited_binding_is_read_by_the_original() {
    let keys = KeyDirectory::new(Maker::Theirs, Curve::P521);
    let (first, second) = (Server::start(Maker::Theirs, &keys), Server::start(Maker::Ours, &keys));
    for make in [(|| Disk::formatted(Maker::Theirs)) as fn() -> Disk, luks1] {
        let disk = make();
        disk.bind(Maker::Theirs, "tang", &first.config());
        let before = disk.pass(Maker::Theirs, SLOT);
        // The keys of another address are nobody's until somebody says so.
        luks("edit", &disk).args(["-c", &second.config()]).run().failed_with(1);
        luks("edit", &disk).args(["-y", "-c", &second.config()]).succeed();
        assert_eq!(disk.list(Maker::Theirs), format!("1: tang '{}'", second.config()));
        let after = disk.pass(Maker::Theirs, SLOT);
        assert!(disk.opens_with(&after) && !disk.opens_with(&before));
    }
}

/// A sealed header: the original still uses its bindings, and what it changes is told.
#[test]
fn the_original_works_on_a_sealed_header() {
    let keys = KeyDirectory::new(Maker::Theirs, Curve::P521);
    let server = Server::start(Maker::Theirs, &keys);
    for make in [(|| Disk::formatted(Maker::Theirs)) as fn() -> Disk, luks1] {
        let disk = make();
        disk.bind(Maker::Ours, "tang", &server.config());
        disk.bind(Maker::Theirs, "tang", &server.config());
        let seal = || {
            let program = Program::cotter().args(["luks", "seal", "-k"]).arg(disk.passphrase_file());
            program.arg("-d").arg(disk.path()).succeed()
        };
        seal();
        let passphrase = disk.pass(Maker::Theirs, SLOT);
        assert_eq!(disk.pass(Maker::Ours, SLOT), passphrase);
        for slot in [SLOT, "2"] {
            Program::new("clevis").args(["luks", "unlock", "-t", slot, "-d"]).arg(disk.path()).succeed();
        }
        assert_eq!(disk.list(Maker::Theirs), format!("1: tang '{0}'\n2: tang '{0}'", server.config()));
        // Slots that somebody else adds are told, and the volume opens.
        let program = Program::new("cryptsetup").args(["luksAddKey", "-q", "--pbkdf-force-iterations", "1001"]);
        let new = disk.beside("new");
        fs::write(&new, "another passphrase").unwrap();
        let program =
            if disk.dump().contains("Version:       \t1") { program } else { program.args(["--pbkdf", "pbkdf2"]) };
        program.arg("--key-file").arg(disk.passphrase_file()).arg(disk.path()).arg(&new).succeed();
        let opened = disk.unlock().succeeded();
        assert!(opened.said().contains("keyslot 3 was added"), "{}", opened.said());
        seal();
        assert!(!disk.unlock().succeeded().said().contains("changed since"));
    }
}

/// A seal that somebody takes away is missed, whatever opens the volume.
#[test]
fn a_seal_that_cryptsetup_removes_is_missed() {
    let keys = KeyDirectory::new(Maker::Theirs, Curve::P521);
    let server = Server::start(Maker::Theirs, &keys);
    let disk = Disk::formatted(Maker::Theirs);
    disk.bind(Maker::Ours, "tang", &server.config());
    let program = Program::cotter().args(["luks", "seal", "-k"]).arg(disk.passphrase_file());
    program.arg("-d").arg(disk.path()).succeed();
    Program::new("cryptsetup").args(["token", "remove", "--token-id", "1"]).arg(disk.path()).succeed();
    let said = disk.unlock().failed_with(1).said();
    assert!(said.contains("seal") && said.contains("taken away"), "{said}");
    let program = Program::cotter().args(["luks", "unlock", "--print-key", "-k"]).arg(disk.passphrase_file());
    let said = program.arg("-d").arg(disk.path()).run().failed_with(1).said();
    assert!(said.contains("taken away"), "{said}");
}

/// The preset passphrase of an image goes once the binding is proved.
#[test]
fn a_binding_takes_the_place_of_a_preset_passphrase() {
    let keys = KeyDirectory::new(Maker::Theirs, Curve::P521);
    let server = Server::start(Maker::Theirs, &keys);
    for make in [(|| Disk::formatted(Maker::Theirs)) as fn() -> Disk, luks1] {
        let disk = make();
        let before = disk.bytes();
        let replace = |words: &[&str]| {
            let program = Program::cotter().args(["luks", "bind", "-y", "--replace"]).args(words).arg("-k");
            program.arg(disk.passphrase_file()).arg("-d").arg(disk.path()).args(["tang", &server.config()]).run()
        };
        let said = replace(&[]).failed_with(1).said();
        assert!(said.contains("last one that a person can use") && disk.bytes() == before, "{said}");
        replace(&["--last-passphrase"]).succeeded();
        assert!(!disk.opens_with(PASSPHRASE.as_bytes()));
        assert!(disk.opens_with(&disk.pass(Maker::Theirs, SLOT)));
    }
}
