//! What `luks bind`, `list`, `regen`, `edit`, `report` and `seal` do in both versions, with the originals looking on.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test stops where it stands")]

use compliance::disk::PASSPHRASE;
use compliance::version::CHEAP;
use compliance::{Curve, Disk, KeyDirectory, Maker, Program, Server, Table, Version};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// A server of the originals with its keys.
struct Site {
    keys: KeyDirectory,
    server: Server,
}

impl Site {
    fn new() -> Site {
        let keys = KeyDirectory::new(Maker::Theirs, Curve::P521);
        let server = Server::start(Maker::Theirs, &keys);
        Site { keys, server }
    }
}

fn bound(site: &Site, maker: Maker, version: Version) -> Disk {
    let disk = Disk::of(Maker::Theirs, version);
    disk.bind(maker, "tang", &site.server.config());
    disk
}

fn records(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Opened by its policy and not mapped, and nothing is printed: words and exit codes of the original.
/// cryptsetup, given the secret while a machine starts, does not first derive a key from it for the keyslot of a person.
#[test]
fn cryptsetup_tries_the_keyslot_of_a_binding_first() {
    let site = Site::new();
    let preferred = |maker| bound(&site, maker, Version::Luks2).dump().matches("Priority:   preferred").count();
    assert_eq!((preferred(Maker::Ours), preferred(Maker::Theirs)), (1, 0));
}

#[test]
fn a_binding_is_tried_without_unlocking() {
    let mut table = Table::new("luks unlock -t");
    let site = Site::new();
    for version in Version::BOTH {
        let disk = bound(&site, Maker::Ours, version);
        for maker in Maker::BOTH {
            table.row(format!("{} tries a binding of {version}", maker.client_name()), || {
                let test = |slot| maker.client().args(["luks", "unlock", "-t", slot, "-d"]).arg(disk.path()).run();
                assert_eq!(test("1").succeeded().text(), "");
                test("0").failed_with(1);
                test("7").failed_with(1);
            });
        }
        table.row(format!("cotter tries passphrases of {version}"), || {
            let test =
                |words: &[&str], input| disk.cotter(["unlock", "--test-passphrase"]).args(words).input(input).run();
            assert_eq!(test(&["-k", "-"], PASSPHRASE).succeeded().text(), "");
            test(&["-k", "-", "-S", "1"], PASSPHRASE).failed_with(1);
            test(&["-k", "-"], "wrong").failed_with(1);
            test(&[], "").succeeded();
        });
    }
    table.finish();
}

/// With all eight keyslots of LUKS1 in use a binding is made anew over the only copy, if that is said.
#[test]
fn a_full_luks1_is_bound_anew_only_in_place() {
    let site = Site::new();
    let disk = bound(&site, Maker::Theirs, Version::Luks1);
    for slot in 2..8 {
        disk.add(Maker::Theirs, &format!("number {slot}"), &[]);
    }
    let (before, passphrase) = (disk.bytes(), disk.pass(Maker::Theirs, "1"));
    let config = json!({ "url": site.server.url() }).to_string();
    for command in [&["regen", "-q"][..], &["edit", "-f", "-c", &config]] {
        let anew = |words: &[&str]| disk.cotter(command.iter().copied()).args(["-s", "1", "-y"]).args(words).run();
        let said = anew(&[]).failed_with(1).said();
        assert!(said.contains("--in-place"), "{said}");
        let plan = anew(&["--in-place", "--dry-run"]).succeeded().text();
        assert!(plan.contains("rewrite keyslot 1") && plan.contains("power failure"), "{plan}");
    }
    assert!(disk.bytes() == before, "a refusal or a plan changed the disk");
    disk.cotter(["regen", "-q", "--in-place", "-s", "1"]).succeed();
    let anew = disk.pass(Maker::Theirs, "1");
    assert!(anew != passphrase && disk.opens_with(&anew) && !disk.opens_with(&passphrase));
    disk.assert_opens(&[PASSPHRASE, "number 2", "number 7"], &[]);
}

/// The preset passphrase of an image gives way to a binding, and only then.
#[test]
fn a_preset_passphrase_is_replaced() {
    let mut table = Table::new("luks bind --replace");
    let site = Site::new();
    for version in Version::BOTH {
        table.row(format!("the only passphrase of a {version}"), || {
            let disk = Disk::of(Maker::Theirs, version);
            let replace = |words: &[&str]| {
                let program = disk.cotter(["bind", "-y", "--replace"]);
                let program = program.arg("-k").arg(disk.passphrase_file()).args(words);
                program.args(["tang", &site.server.config()])
            };
            let before = disk.bytes();
            let said = replace(&[]).run().failed_with(1).said();
            assert!(said.contains("--last-passphrase"), "{said}");
            let plan = replace(&["--last-passphrase", "--dry-run"]).succeed().text();
            assert!(plan.contains("add keyslot 1") && plan.contains("remove keyslot 0"), "{plan}");
            assert!(disk.bytes() == before, "a refusal or a plan changed the disk");
            replace(&["--last-passphrase"]).succeed();
            assert!(!disk.opens_with(PASSPHRASE.as_bytes()));
            let passphrase = disk.pass(Maker::Theirs, "1");
            assert!(disk.opens_with(&passphrase) && disk.unlock().succeeded().stdout == passphrase);
        });
        table.row(format!("one of two passphrases of a {version}"), || {
            let disk = Disk::of(Maker::Theirs, version);
            disk.add(Maker::Theirs, "mine", &[]);
            let program = disk.cotter(["bind", "-y", "--replace"]).arg("-k").arg(disk.passphrase_file());
            program.args(["tang", &site.server.config()]).succeed();
            disk.assert_opens(&["mine"], &[PASSPHRASE]);
            let passphrase = disk.pass(Maker::Theirs, "2");
            assert!(disk.opens_with(&passphrase));
            // What was named to be replaced opens nothing now: another binding is not taken in its place.
            let before = disk.bytes();
            let program =
                disk.cotter(["bind", "-y", "--replace", "--last-passphrase"]).arg("-k").arg(disk.passphrase_file());
            program.args(["null", "{}"]).run().failed_with(1);
            assert!(disk.bytes() == before && disk.opens_with(&passphrase));
        });
    }
    table.finish();
}

/// A volume of which nobody knows a passphrase is bound once more by the binding that it has.
#[test]
fn a_binding_opens_the_volume_for_another() {
    let site = Site::new();
    for version in Version::BOTH {
        let disk = bound(&site, Maker::Theirs, version);
        disk.cotter(["bind", "-y", "-b"]).args(["null", "{}"]).succeed();
        disk.cotter(["add", "-b"]).arg("--new-key-file").arg(disk.file("new", "new")).args(CHEAP).succeed();
        disk.assert_opens(&[PASSPHRASE, "new"], &["wrong"]);
        if version == Version::Luks2 {
            disk.cotter(["bind", "-y", "-e", "0"]).args(["null", "{}"]).succeed();
            let said = disk.cotter(["bind", "-y", "-e", "9"]).args(["null", "{}"]).run().failed_with(1).said();
            assert!(said.contains("token 9"), "{said}");
            disk.cotter(["bind", "-y", "-t", "0"]).args(["null", "{}"]).input(PASSPHRASE).run().failed_with(1);
        } else {
            disk.cotter(["bind", "-y", "-t", "0"]).args(["null", "{}"]).input(PASSPHRASE).run().failed_with(2);
        }
        assert_eq!(disk.list(Maker::Ours).lines().next(), disk.list(Maker::Theirs).lines().next());
    }
}

/// LUKSMeta is not made over anything behind anybody's back.
#[test]
fn a_luks1_with_something_else_in_its_gap_is_bound_only_if_that_is_said() {
    let disk = Disk::of(Maker::Theirs, Version::Luks1);
    let file = fs::File::options().write(true).open(disk.path()).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"x", (2 << 20) - 1).unwrap();
    let before = disk.bytes();
    let bind = |words: &[&str]| disk.cotter(["bind"]).args(words).args(["null", "{}"]).input(PASSPHRASE).run();
    let said = bind(&[]).failed_with(1).said();
    assert!(said.contains("LUKSMeta") && disk.bytes() == before, "{said}");
    bind(&["-f"]).succeeded();
    assert_eq!(disk.list(Maker::Ours), "1: null '{}'");
}

#[test]
fn a_binding_is_named_by_its_slot_or_by_its_token() {
    let site = Site::new();
    let disk = Disk::of(Maker::Theirs, Version::Luks2);
    let program = disk.cotter(["bind", "-y", "-s", "5", "-t", "3"]).arg("-k").arg(disk.passphrase_file());
    program.args(["tang", &site.server.config()]).succeed();
    let by = |words: &[&str]| disk.cotter(["pass"]).args(words).run();
    assert_eq!(by(&["-s", "5"]).succeeded().stdout, by(&["-t", "3"]).succeeded().stdout);
    assert!(by(&["-s", "3"]).failed_with(1).said().contains("luks list"));
    assert!(by(&["-t", "5"]).failed_with(1).said().contains("token 5"));
    assert_eq!(disk.cotter(["list", "-t", "3"]).succeed().text(), disk.cotter(["list", "-s", "5"]).succeed().text());
    disk.cotter(["unbind", "-f", "-t", "3"]).succeed();
    assert_eq!(disk.list(Maker::Theirs), "");
    disk.assert_opens(&[PASSPHRASE], &[]);
}

/// Who takes something away without the key of the volume is told what the seal makes of it.
#[test]
fn unbinding_says_that_the_seal_is_to_be_made_anew() {
    let site = Site::new();
    for version in Version::BOTH {
        let disk = bound(&site, Maker::Ours, version);
        disk.bind(Maker::Ours, "tang", &site.server.config());
        disk.cotter(["seal"]).arg("-k").arg(disk.passphrase_file()).succeed();
        assert!(disk.cotter(["unbind", "-f", "-s", "2"]).succeed().said().contains("luks seal"), "{version}");
    }
    // LUKS1 keeps its seal in the bindings: it goes with the last one, and that is said too.
    let disk = bound(&site, Maker::Ours, Version::Luks1);
    disk.cotter(["seal"]).arg("-k").arg(disk.passphrase_file()).succeed();
    let said = disk.cotter(["unbind", "-f", "-s", "1"]).succeed().said();
    assert!(said.contains("no longer sealed") && said.contains("luks seal"), "{said}");
    let unsealed = bound(&site, Maker::Ours, Version::Luks2);
    assert!(!unsealed.cotter(["unbind", "-f", "-s", "1"]).succeed().said().contains("luks seal"));
}

/// The seal in the bindings of LUKS1 is not made anew by who holds the volume key alone, and that is said; LUKS2's is made anew.
#[test]
fn who_holds_the_key_is_told_what_the_seal_makes_of_a_change() {
    let site = Site::new();
    let add = [&["add"][..], &CHEAP].concat();
    let passwd = [&["passwd", "-s", "0"][..], &CHEAP].concat();
    let kill = vec!["kill", "-q", "-s", "2", "-k", "-"];
    let both = format!("{PASSPHRASE}\nanother\n");
    for (version, told) in [(Version::Luks1, true), (Version::Luks2, false)] {
        for (words, input, then) in
            [(&add, both.as_str(), PASSPHRASE), (&passwd, &both, "another"), (&kill, PASSPHRASE, PASSPHRASE)]
        {
            let disk = bound(&site, Maker::Ours, version);
            disk.add(Maker::Ours, "third", &[]);
            let key = disk.file("then", then);
            disk.cotter(["seal"]).arg("-k").arg(disk.passphrase_file()).succeed();
            let said = disk.cotter(words.iter().copied()).input(input).succeed().said();
            assert_eq!(said.contains("luks seal"), told, "{words:?} on {version}: {said}");
            let check = disk.cotter(["seal", "--check"]).arg("-k").arg(key).run();
            assert_eq!(check.status.success(), !told, "{words:?} on {version}: {}", check.text());
        }
    }
}

/// For a tool that wants the passphrase of a volume and nothing else in between: an open file descriptor, never one of our own.
#[test]
fn the_passphrase_goes_where_it_is_wanted() {
    let site = Site::new();
    let disk = bound(&site, Maker::Theirs, Version::Luks2);
    let shell = |redirection: &str| {
        let script = format!("exec \"$0\" luks unlock --print-key-fd 3 -d \"$1\" {redirection}");
        Program::new("sh").arg("-c").arg(script).arg(compliance::cotter()).arg(disk.path())
    };
    let before = disk.bytes();
    assert_eq!(shell("3>&1").succeed().stdout, disk.pass(Maker::Theirs, "1"));
    assert!(shell("3>&-").run().failed_with(1).said().contains("file descriptor 3 is not open"));
    assert!(shell("3</dev/null").run().failed_with(1).said().contains("for reading alone"));
    assert!(disk.bytes() == before, "nothing is written to what is opened in its place");
}

/// `list -p`, and the question whether a slot is bound as it should be: four answers by exit code and as a record.
#[test]
fn the_state_of_a_slot_is_told() {
    let mut table = Table::new("luks list --expect");
    let (site, other) = (Site::new(), Site::new());
    for version in Version::BOTH {
        for maker in Maker::BOTH {
            table.row(format!("a {version} bound by {}", maker.client_name()), || {
                let disk = bound(&site, maker, version);
                let ask = |slot: &str, config: &str| {
                    disk.cotter(["list", "--json", "-s", slot]).args(["--expect", "tang", config]).run()
                };
                let url = format!(r#"{{"url":"{}"}}"#, site.server.url());
                let elsewhere = format!(r#"{{"url":"{}"}}"#, other.server.url());
                for (slot, config, code, state) in
                    [("1", &url, 0, "as wanted"), ("2", &url, 3, "unbound"), ("1", &elsewhere, 4, "otherwise")]
                {
                    let ended = ask(slot, config);
                    assert_eq!(ended.status.code(), Some(code), "{}", ended.said());
                    assert_eq!(records(&ended.text())[0]["state"], state);
                }
                let said = ask("1", &elsewhere).text();
                assert_eq!(records(&said)[0]["config"]["url"], site.server.url().as_str());
                assert_eq!(ask("1", "{").status.code(), Some(2));
                if version == Version::Luks2 {
                    let token = r#"{"type":"clevis","keyslots":["0"],"jwe":{"ciphertext":1}}"#;
                    disk.cotter(["token", "import"]).input(token).succeed();
                    assert_eq!(ask("0", &url).status.code(), Some(5));
                }
            });
        }
    }
    table.finish();
}

#[test]
fn the_pins_of_a_disk_are_listed_once() {
    let site = Site::new();
    let disk = bound(&site, Maker::Theirs, Version::Luks2);
    let tang = site.server.config();
    disk.bind(
        Maker::Theirs,
        "sss",
        &format!(r#"{{"t":1,"pins":{{"tang":[{tang},{tang}],"sss":{{"t":1,"pins":{{"tang":{tang}}}}}}}}}"#),
    );
    disk.bind(Maker::Ours, "null", "{}");
    assert_eq!(disk.cotter(["list", "-p"]).succeed().text(), "null\nsss\ntang");
    assert_eq!(disk.cotter(["list", "-p", "-s", "1"]).succeed().text(), "tang");
    let listed = records(&disk.cotter(["list", "--json", "-s", "2"]).succeed().text());
    assert_eq!((&listed[0]["complete"], &listed[0]["config"]["pins"]["sss"][0]["t"]), (&json!(true), &json!(1)));
}

/// After a rotation: the report says so, a new binding has the new keys, and the next report says nothing.
#[test]
fn a_rotation_is_reported_and_followed() {
    let mut table = Table::new("luks report, luks regen");
    for version in Version::BOTH {
        for maker in Maker::BOTH {
            table.row(format!("a {version} bound by {}", maker.client_name()), || {
                let site = Site::new();
                let disk = bound(&site, maker, version);
                let report = |maker: Maker, words: &[&str]| match maker {
                    Maker::Ours => disk.cotter(["report", "-q", "-s", "1"]).args(words).run(),
                    Maker::Theirs => {
                        Program::new("clevis").args(["luks", "report", "-q", "-s", "1", "-d"]).arg(disk.path()).run()
                    }
                };
                for maker in Maker::BOTH {
                    assert_eq!(report(maker, &[]).succeeded().text(), "");
                }
                site.keys.rotate(Maker::Theirs);
                let (ours, theirs) = (report(Maker::Ours, &[]).failed_with(1), report(Maker::Theirs, &[]));
                assert_eq!(theirs.status.code(), Some(1));
                let thumbprints: Vec<String> =
                    ours.text().lines().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
                assert!(!thumbprints.is_empty() && thumbprints.iter().all(|thp| theirs.text().contains(thp.as_str())));
                let old = disk.pass(Maker::Theirs, "1");
                let plan = disk.cotter(["regen", "-q", "-s", "1", "--dry-run"]).succeed().text();
                assert!(plan.starts_with("would "), "{plan}");
                assert_eq!(disk.pass(Maker::Theirs, "1"), old);
                report(Maker::Ours, &["-r"]).succeeded();
                for maker in Maker::BOTH {
                    report(maker, &[]).succeeded();
                }
                let new = disk.pass(Maker::Theirs, "1");
                assert!(new != old && disk.opens_with(&new) && !disk.opens_with(&old));
                assert_eq!(disk.unlock().succeeded().stdout, new);
                disk.assert_opens(&[PASSPHRASE], &[]);
            });
        }
    }
    table.finish();
}

#[test]
fn a_configuration_is_edited_from_the_command_line_and_in_an_editor() {
    let mut table = Table::new("luks edit");
    let (site, other) = (Site::new(), Site::new());
    for version in Version::BOTH {
        for maker in Maker::BOTH {
            table.row(format!("a {version} bound by {}", maker.client_name()), || {
                let disk = bound(&site, maker, version);
                let old = disk.pass(Maker::Theirs, "1");
                let url = |site: &Site| format!(r#"{{"url":"{}"}}"#, site.server.url());
                let edit = |config: &str, words: &[&str]| {
                    disk.cotter(["edit", "-s", "1", "-y"]).args(words).arg("-c").arg(config).run()
                };
                let before = disk.bytes();
                edit("{", &[]).failed_with(1);
                assert!(edit(r#"{"url":"http://127.0.0.1:1"}"#, &[]).failed_with(1).said().contains("127.0.0.1:1"));
                assert!(disk.bytes() == before, "an edit that failed changed the disk");
                edit(&url(&other), &[]).succeeded();
                assert!(disk.list(Maker::Theirs).contains(&other.server.url()));
                let new = disk.pass(Maker::Theirs, "1");
                assert!(new != old && disk.opens_with(&new) && !disk.opens_with(&old));
                let threshold = format!(r#"{{"t":1,"pins":{{"tang":[{},{}]}}}}"#, url(&site), url(&other));
                edit(&threshold, &["--pin", "sss"]).succeeded();
                assert!(disk.list(Maker::Theirs).starts_with("1: sss "));
                assert!(disk.opens_with(&disk.pass(Maker::Theirs, "1")));
            });
        }
    }
    table.finish();
    // The editor sees the configuration in a file that is nobody else's; what it leaves unchanged changes nothing.
    let disk = bound(&site, Maker::Ours, Version::Luks2);
    let seen = disk.beside("seen");
    let script =
        disk.file("editor", format!("#!/bin/sh\nstat -c %a \"$1\" > {0}\ncat \"$1\" >> {0}\n", seen.display()));
    fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).unwrap();
    let said = disk.cotter(["edit", "-s", "1"]).env("EDITOR", &script).env("VISUAL", "").run().failed_with(1).said();
    assert!(said.contains("nothing has changed"), "{said}");
    let seen = fs::read_to_string(seen).unwrap();
    assert!(seen.starts_with("600\n{\n") && seen.contains(&site.server.url()), "{seen}");
}

/// A seal tells of what another program does to keyslots and tokens, and its absence is noticed by the binding.
#[test]
fn a_seal_tells_of_changes() {
    let mut table = Table::new("luks seal");
    let site = Site::new();
    for version in Version::BOTH {
        table.row(format!("a {version}"), || {
            let disk = bound(&site, Maker::Ours, version);
            let check = |words: &[&str]| {
                disk.cotter(["seal", "--check", "--json"]).arg("-k").arg(disk.passphrase_file()).args(words).run()
            };
            let state = |ended: &compliance::Ended| records(&ended.text())[0]["seal"].as_str().unwrap().to_owned();
            let seal = || disk.cotter(["seal"]).arg("-k").arg(disk.passphrase_file());
            assert_eq!(state(&check(&[])), "none");
            let before = disk.bytes();
            assert!(seal().arg("--dry-run").succeed().text().starts_with("would "));
            assert!(disk.bytes() == before);
            seal().succeed();
            assert_eq!(state(&check(&[]).succeeded()), "good");
            // The originals use the disk as before.
            let passphrase = disk.pass(Maker::Theirs, "1");
            assert!(disk.opens_with(&passphrase));
            disk.add(Maker::Theirs, "theirs", &[]);
            let changed = check(&[]);
            assert_eq!((state(&changed), changed.status.code()), ("different".to_owned(), Some(1)));
            let unlocked = disk.unlock().succeeded();
            assert!(unlocked.said().contains("keyslot 2 was added"), "{}", unlocked.said());
            seal().succeed();
            assert_eq!(state(&check(&[]).succeeded()), "good");
            if version == Version::Luks2 {
                let tokens = String::from_utf8(disk.cotter(["dump", "--json"]).succeed().stdout).unwrap();
                let tokens = records(&tokens)[0]["tokens"].as_array().unwrap().clone();
                let seal_token =
                    tokens.iter().find(|token| token["type"] == "cotter-seal").unwrap()["token"].to_string();
                disk.cotter(["token", "remove", "--token-id", &seal_token]).succeed();
                let said = disk.unlock().failed_with(1).said();
                assert!(said.contains("taken away"), "{said}");
                let typed = disk.cotter(["unlock", "--print-key", "-k", "-"]).input(PASSPHRASE).run().failed_with(1);
                assert!(typed.said().contains("luks seal"), "{}", typed.said());
                seal().succeed();
                disk.unlock().succeeded();
            }
        });
    }
    table.finish();
}
