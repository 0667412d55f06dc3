//! Another disk in the place of one that is expected: with its UUID, bound by whoever put it there to the same servers or the same TPM.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test stops where it stands")]

use compliance::program::Ended;
use compliance::swtpm::{Eavesdropper, Swtpm, TCTI};
use compliance::{Curve, Disk, KeyDirectory, Maker, Program, Server, Table, Version};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The volume is not the one that it should be.
const ALARM: i32 = 3;

/// A disk with this UUID, made and bound by somebody else.
fn foreign(version: Version, uuid: &str) -> Disk {
    let disk = Disk::of(Maker::Theirs, version);
    Program::new("cryptsetup").args(["luksUUID", "-q", "--uuid", uuid]).arg(disk.path()).succeed();
    disk
}

/// The list with this disk in it.
fn listed(disk: &Disk) -> PathBuf {
    let list = disk.beside("volumes.json");
    let program = Program::cotter().args(["luks", "identity", "--name", "root", "-d"]).arg(disk.path()).arg("--add");
    program.arg(&list).arg("-k").arg(disk.passphrase_file()).succeed();
    list
}

/// Each command that gives out what a policy opens.
fn commands(disk: &Disk, list: &PathBuf) -> [Program; 4] {
    let luks = |words: &[&str]| Program::cotter().arg("luks").args(words).arg("-d").arg(disk.path());
    let all = [
        luks(&["unlock", "--print-key"]),
        luks(&["pass", "-s", "1"]),
        luks(&["unlock", "--print-key"]).arg("-k").arg(disk.passphrase_file()),
        Program::cotter().args(["image", "cat"]).arg(disk.path()),
    ];
    all.map(|program| program.arg("--expect").arg(list))
}

fn alarmed(ended: Ended, what: &str) {
    let ended = ended.failed_with(ALARM);
    assert!(ended.stdout.is_empty(), "{}", ended.said());
    assert!(ended.said().contains("ALARM") && ended.said().contains(what), "{}", ended.said());
}

/// How many secrets the server was asked for until now. Its log may lag behind; what is asked last comes last.
fn asked(server: &Server) -> usize {
    let mark = || server.log().lines().filter(|line| line.contains("GET /adv")).count();
    let before = mark();
    server.fetch("/adv");
    let start = Instant::now();
    while mark() <= before {
        assert!(start.elapsed() < Duration::from_secs(30), "{}", server.log());
        std::thread::yield_now();
    }
    server.log().lines().filter(|line| line.contains("/rec/")).count()
}

#[test]
fn a_foreign_disk_with_the_uuid_of_yours_gets_nothing() {
    let mut table = Table::new("a foreign disk with the UUID of an expected one");
    let tpm = Swtpm::start();
    let (ours, theirs) = (KeyDirectory::new(Maker::Ours, Curve::P521), KeyDirectory::new(Maker::Theirs, Curve::P521));
    let servers = [Server::start(Maker::Ours, &ours), Server::start(Maker::Theirs, &theirs)];
    let two = format!(r#"{{"t":1,"pins":{{"tang":[{},{}]}}}}"#, servers[0].config(), servers[1].config());
    let policies = [
        (Version::Luks2, "tang", servers[0].config()),
        (Version::Luks2, "tang", servers[1].config()),
        (Version::Luks2, "sss", two),
        (Version::Luks2, "tpm2", "{}".to_owned()),
        (Version::Luks2, "cotter-tpm2", r#"{"pcr_ids":"7"}"#.to_owned()),
        (Version::Luks2, "null", "{}".to_owned()),
        (Version::Luks1, "tang", servers[0].config()),
        (Version::Luks1, "cotter-tpm2", r#"{"pcr_ids":"7"}"#.to_owned()),
    ];
    for (version, pin, config) in policies {
        table.row(format!("{version}, {pin} {config}"), || {
            let yours = Disk::of(Maker::Theirs, version);
            let (list, other) = (listed(&yours), foreign(version, &yours.uuid()));
            for disk in [&yours, &other] {
                disk.bind_program(Maker::Ours, pin, &config).env(TCTI, tpm.place()).succeed();
            }
            let run = |disk: &Disk| commands(disk, &list).map(|program| program.env(TCTI, tpm.place()).run());
            for opened in run(&yours) {
                assert!(!opened.succeeded().stdout.is_empty());
            }
            for refused in run(&other) {
                alarmed(refused, "a foreign one with its UUID");
            }
            let json =
                Program::cotter().args(["luks", "unlock", "--dry-run", "--json", "--expect"]).arg(&list).arg("-d");
            let json = json.arg(other.path()).env(TCTI, tpm.place()).run().failed_with(ALARM);
            let record: Value = serde_json::from_slice(&json.stdout).unwrap();
            assert_eq!((&record["alarm"], &record["uuid"]), (&"other key".into(), &yours.uuid().into()));
            // Who asks nothing learns nothing: it opens, and that is the attack.
            let unguarded = Program::cotter().args(["luks", "unlock", "--print-key", "-d"]).arg(other.path());
            unguarded.env(TCTI, tpm.place()).succeed();
        });
    }
    table.finish();
}

/// Where no others are opened, nobody is asked on behalf of one: not a server, and not after the refusal.
#[test]
fn a_disk_that_is_not_listed_costs_no_request() {
    let keys = KeyDirectory::new(Maker::Ours, Curve::P521);
    let server = Server::start(Maker::Ours, &keys);
    let (listed_disk, other) = (Disk::formatted(Maker::Theirs), Disk::formatted(Maker::Theirs));
    let list = listed(&listed_disk);
    other.bind(Maker::Ours, "tang", &server.config());
    let unlock = || Program::cotter().args(["luks", "unlock", "--print-key", "-d"]).arg(other.path());
    let told = unlock().arg("--expect").arg(&list).succeed();
    assert!(told.said().contains("none of those that are expected"), "{}", told.said());
    // The proof of the binding, and the opening.
    assert_eq!(asked(&server), 2);
    let refused = unlock().args(["--only-expected", "--expect"]).arg(&list).run().failed_with(ALARM);
    assert!(refused.stdout.is_empty());
    let strict = fs::read_to_string(&list).unwrap().replace("\n]}", "\n],\"others\":\"refuse\"}");
    fs::write(&list, strict).unwrap();
    assert!(unlock().arg("--expect").arg(&list).run().failed_with(ALARM).stdout.is_empty());
    assert_eq!(asked(&server), 2);
    // The list is kept as strict as it was.
    let add = Program::cotter().args(["luks", "identity", "-d"]).arg(other.path()).arg("--add").arg(&list);
    add.arg("-k").arg(other.passphrase_file()).succeed();
    unlock().arg("--expect").arg(&list).succeed();
    assert!(fs::read_to_string(&list).unwrap().contains("refuse"));
}

/// The name of the TPM's key stands in a header that whoever has the disk can write. With his own name in it, and the bus, he would hear enough
/// to try PINs; the list holds the names that are yours.
#[test]
fn a_binding_to_another_tpm_is_told_nothing() {
    let (tpm, his) = (Swtpm::start(), Swtpm::start());
    let mut table = Table::new("a binding under a TPM's key that is not expected");
    let inner = r#"{"t":2,"pins":{"null":{},"cotter-tpm2":{"pcr_ids":"7"}}}"#;
    for (version, pin, config) in [
        (Version::Luks2, "cotter-tpm2", r#"{"pcr_ids":"7"}"#),
        (Version::Luks2, "sss", inner),
        (Version::Luks1, "cotter-tpm2", r#"{"latch":true}"#),
    ] {
        table.row(format!("{version}, {pin} {config}"), || {
            let disk = Disk::of(Maker::Theirs, version);
            tpm.give(disk.bind_program(Maker::Ours, pin, config)).succeed();
            let list = listed(&disk);
            let text = fs::read_to_string(&list).unwrap();
            let written: Value = serde_json::from_str(&text).unwrap();
            let parents = written["volumes"][0]["parents"].as_array().unwrap().clone();
            assert!(parents.len() == 1 && parents[0].as_str().unwrap().len() == 68, "{text}");
            for program in commands(&disk, &list) {
                assert!(!program.env(TCTI, tpm.place()).succeed().stdout.is_empty());
            }
            // The same volume, and his name in the place of yours.
            his.give(disk.bind_program(Maker::Ours, pin, config)).succeed();
            disk.cotter(["unbind", "-f", "-s", "1"]).succeed();
            let line = Eavesdropper::listening(&his);
            let unlock = |list: &PathBuf| {
                disk.cotter(["unlock", "--print-key"]).arg("--expect").arg(list).env(TCTI, line.place())
            };
            alarmed(unlock(&list).run(), "as its key in the TPM");
            let record =
                disk.cotter(["unlock", "--dry-run", "--json"]).arg("--expect").arg(&list).env(TCTI, line.place());
            let record = record.run().failed_with(ALARM);
            let record: Value = serde_json::from_slice(&record.stdout).unwrap();
            assert_eq!((&record["alarm"], &record["slot"]), (&"other parent".into(), &2.into()));
            assert!(line.commands().is_empty(), "the TPM was asked");
            // A list from before these names says nothing of them; neither does none.
            let older = disk.beside("older.json");
            let start = text.find(",\"parents\"").unwrap();
            fs::write(&older, format!("{}}}\n]}}\n", &text[..start])).unwrap();
            unlock(&older).succeed();
            assert!(!line.commands().is_empty());
            // Only who says so has his name taken into the list.
            let add = || {
                let program =
                    Program::cotter().args(["luks", "identity", "-d"]).arg(disk.path()).arg("--add").arg(&list);
                program.arg("-k").arg(disk.passphrase_file())
            };
            alarmed(add().run(), "as its key in the TPM");
            assert_eq!(fs::read_to_string(&list).unwrap(), text);
            // Something else opens it as before, and the alarm is told.
            disk.bind(Maker::Ours, "null", "{}");
            let said = unlock(&list).succeed().said();
            assert!(said.contains("ALARM"), "{said}");
            add().arg("--replace").succeed();
            assert!(!unlock(&list).succeed().said().contains("ALARM"));
        });
    }
    table.finish();
}

/// A keyslot of systemd's that asks for a PIN and names no key, as up to 253: the list that shuts it says so.
#[test]
fn a_list_that_shuts_a_keyslot_names_it() {
    let tpm = Swtpm::start();
    let disk = Disk::of(Maker::Theirs, Version::Luks2);
    tpm.give(disk.bind_program(Maker::Ours, "cotter-tpm2", r#"{"pcr_ids":"7"}"#)).succeed();
    let add = |words: &[&str]| {
        let program = Program::cotter().args(["luks", "identity", "-d"]).arg(disk.path()).args(words);
        program.arg("-k").arg(disk.passphrase_file()).succeed().said()
    };
    let list = disk.beside("volumes.json");
    let list = list.to_str().unwrap();
    assert!(!add(&["--add", list]).contains("is refused"));
    let token = include_str!("../../../crates/clevis/vectors/systemd/252.json");
    let mut token: Value = serde_json::from_str(token).unwrap();
    (token["keyslots"], token["tpm2-pin"]) = (vec!["0"].into(), true.into());
    let import = Program::new("cryptsetup").args(["token", "import", "--token-id", "9"]).arg(disk.path());
    import.input(token.to_string()).succeed();
    for words in [&["--add", list, "--replace"][..], &[]] {
        let said = add(words);
        assert!(said.contains("keyslot 0 asks for a PIN and does not name its key in the TPM"), "{said}");
        assert!(said.contains("systemd-cryptenroll") && !said.contains("keyslot 1"), "{said}");
    }
}

#[test]
fn a_plain_file_system_in_the_place_of_a_volume_is_an_alarm() {
    let yours = Disk::formatted(Maker::Theirs);
    let (list, plain) = (listed(&yours), Disk::blank(20 << 20));
    Program::new("mkfs.ext4").args(["-q", "-U", &yours.uuid()]).arg(plain.path()).succeed();
    let [unlock, pass, by_passphrase, cat] = commands(&plain, &list);
    for program in [unlock, pass, by_passphrase, cat] {
        alarmed(program.run(), "this is none: ext file system");
    }
    let unguarded = Program::cotter().args(["luks", "unlock", "--print-key", "-d"]).arg(plain.path());
    unguarded.run().failed_with(1);
}

#[test]
fn a_clone_with_another_uuid_is_told() {
    let keys = KeyDirectory::new(Maker::Theirs, Curve::P521);
    let server = Server::start(Maker::Theirs, &keys);
    let disk = Disk::formatted(Maker::Theirs);
    disk.bind(Maker::Ours, "tang", &server.config());
    let first = disk.uuid();
    let run = |words: &[&str]| Program::cotter().arg("luks").args(words).arg("-d").arg(disk.path()).succeed();
    assert!(!run(&["list", "-v"]).said().contains("clone"));
    let new = "5e5a3c52-3c1f-4b1e-8d8e-0a2b1c3d4e5f";
    Program::new("cryptsetup").args(["luksUUID", "-q", "--uuid", new]).arg(disk.path()).succeed();
    for words in [&["unlock", "--print-key"][..], &["list", "-v"], &["report", "-q", "-s", "1"]] {
        let said = run(words).said();
        assert!(said.contains(&first) && said.contains(new) && said.contains("clone"), "{said}");
    }
    let record: Value = serde_json::from_slice(&run(&["list", "-v", "--json"]).stdout).unwrap();
    assert_eq!(record["clone_of"], first.as_str());
    // Made anew, it belongs here.
    run(&["regen", "-q", "-s", "1"]);
    assert!(!run(&["list", "-v"]).said().contains("clone"));
    assert_eq!(disk.pass(Maker::Theirs, "1"), disk.pass(Maker::Ours, "1"));
}

/// What would not fit into a list that can be read is not written into one.
#[test]
fn a_list_stays_one_that_can_be_read() {
    let (disk, other) = (Disk::of(Maker::Theirs, Version::Luks2), Disk::of(Maker::Theirs, Version::Luks2));
    let list = listed(&disk);
    let before = fs::read(&list).unwrap();
    let long = "x".repeat(70_000);
    let add = Program::cotter().args(["luks", "identity", "--name", &long, "-d"]).arg(other.path()).arg("--add");
    let said = add.arg(&list).arg("-k").arg(other.passphrase_file()).run().failed_with(1).said();
    assert!(said.contains("could not be read") && said.contains("--name"), "{said}");
    assert_eq!(fs::read(&list).unwrap(), before);
}
