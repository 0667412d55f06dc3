//! Bindings of LUKS1 volumes, in LUKSMeta: each side's with the other's clients and with `luksmeta`.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test stops where it stands")]

use compliance::disk::PASSPHRASE;
use compliance::{Curve, Disk, KeyDirectory, Maker, Program, Server, Table};

const SLOT: &str = "1";
/// What the original marks its data by.
const UUID: &str = "cb6e8904-81ff-40da-a84a-07ab9ab5715e";
/// Where the data of a volume with a key of 512 bits begins.
const PAYLOAD: usize = 2 << 20;
/// Where LUKSMeta begins there.
const GAP: usize = PAYLOAD - 28_672;

/// A LUKS1 volume as XCP-ng makes it, but for the time that its derivation takes; its data are not zeros.
fn luks1() -> Disk {
    let disk = Disk::blank(4 << 20);
    std::fs::write(disk.path(), vec![0x5a; 4 << 20]).unwrap();
    let program = Program::new("cryptsetup").args(["luksFormat", "-q", "--type", "luks1", "-s", "512", "-h", "sha512"]);
    let program = program.args(["--pbkdf-force-iterations", "1001", "--key-file"]).arg(disk.passphrase_file());
    program.arg(disk.path()).succeed();
    disk
}

fn luksmeta(verb: &str, disk: &Disk) -> Program {
    Program::new("luksmeta").args([verb, "-d"]).arg(disk.path())
}

fn payload(disk: &Disk) -> Vec<u8> {
    disk.bytes().split_off(PAYLOAD)
}

/// Either client binds, both list, open and test it, and either takes it off again.
#[test]
fn every_client_binds_a_luks1_volume_for_every_other() {
    let mut table = Table::new("luks bind and unbind, LUKS1");
    let keys = KeyDirectory::new(Maker::Theirs, Curve::P521);
    let server = Server::start(Maker::Theirs, &keys);
    for binding in Maker::BOTH {
        for unbinding in Maker::BOTH {
            table.row(format!("{} binds, {} unbinds", binding.client_name(), unbinding.client_name()), || {
                let disk = luks1();
                let data = payload(&disk);
                disk.bind(binding, "tang", &server.config());
                let passphrase = disk.pass(Maker::Theirs, SLOT);
                assert!(disk.opens_with(&passphrase) && disk.opens_with(PASSPHRASE.as_bytes()));
                for reading in Maker::BOTH {
                    assert_eq!(disk.pass(reading, SLOT), passphrase, "{reading}");
                    assert_eq!(disk.list(reading), format!("1: tang '{}'", server.config()), "{reading}");
                }
                Program::new("clevis").args(["luks", "unlock", "-t", SLOT, "-d"]).arg(disk.path()).succeed();
                assert_eq!(luksmeta("show", &disk).args(["-s", SLOT]).succeed().text(), UUID);
                let jwe = luksmeta("load", &disk).args(["-s", SLOT, "-u", UUID]).succeed().stdout;
                assert!(!jwe.ends_with(b"\n"), "no newline, as the original has it");
                assert_eq!(Maker::Theirs.decrypt(&jwe), passphrase);

                disk.unbind(unbinding, SLOT);
                assert!(!disk.opens_with(&passphrase) && disk.opens_with(PASSPHRASE.as_bytes()));
                assert_eq!(luksmeta("show", &disk).args(["-s", SLOT]).succeed().text(), "");
                assert!(payload(&disk) == data);
            });
        }
    }
    table.finish();
}

/// `clevis luks regen` rewrites a binding of ours in its place.
#[test]
fn the_original_regenerates_a_luks1_binding_of_ours() {
    let keys = KeyDirectory::new(Maker::Ours, Curve::P256);
    let server = Server::start(Maker::Ours, &keys);
    let disk = luks1();
    disk.bind(Maker::Ours, "tang", &server.config());
    let before = disk.pass(Maker::Theirs, SLOT);
    Program::new("clevis").args(["luks", "regen", "-q", "-d"]).arg(disk.path()).args(["-s", SLOT]).succeed();
    let after = disk.pass(Maker::Ours, SLOT);
    assert!(after != before && disk.opens_with(&after) && !disk.opens_with(&before));
}

/// A binding longer than the gap: the original's bound can be stepped over, and then the data of the volume are overwritten
/// (CVE-2025-11568). Ours is refused in words that name both lengths, and nothing is written.
#[test]
fn a_binding_that_does_not_fit_leaves_the_data_alone() {
    let keys = KeyDirectory::new(Maker::Ours, Curve::P521);
    let server = Server::start(Maker::Ours, &keys);
    let children = vec![server.config(); 20].join(",");
    let config = format!(r#"{{"t":1,"pins":{{"tang":[{children}]}}}}"#);
    for taken in [false, true] {
        let disk = luks1();
        if taken {
            // Data of slot 0 is where the correction of the original's bound goes wrong.
            luksmeta("init", &disk).arg("-f").succeed();
            let program = luksmeta("save", &disk).args(["-s", "0", "-u", "01234567-89ab-cdef-0123-456789abcdef"]);
            program.input("small").succeed();
        }
        let before = disk.bytes();
        let ended = disk.try_bind(Maker::Ours, "sss", &config).failed_with(1);
        let room = if taken { "20480" } else { "24576" };
        assert!(ended.said().contains(&format!("has room for {room}")), "{}", ended.said());
        assert!(ended.said().contains("LUKS2"), "what to do is said: {}", ended.said());
        assert!(disk.bytes() == before);
    }
}

/// What a killed keyslot leaves in LUKSMeta is cleared by the next bind, as the original does it.
#[test]
fn data_of_a_keyslot_that_is_gone_are_cleared() {
    let keys = KeyDirectory::new(Maker::Ours, Curve::P256);
    let server = Server::start(Maker::Ours, &keys);
    let disk = luks1();
    disk.bind(Maker::Theirs, "tang", &server.config());
    disk.bind(Maker::Theirs, "tang", &server.config());
    let program = Program::new("cryptsetup").args(["luksKillSlot", "-q"]).arg(disk.path()).arg(SLOT);
    program.arg("--key-file").arg(disk.passphrase_file()).succeed();
    assert_eq!(luksmeta("show", &disk).args(["-s", SLOT]).succeed().text(), UUID, "cryptsetup knows nothing of it");
    assert!(disk.list(Maker::Ours).starts_with("2: tang "), "a slot that is gone is not bound");
    disk.bind(Maker::Ours, "tang", &server.config());
    let passphrase = disk.pass(Maker::Theirs, SLOT);
    assert!(disk.opens_with(&passphrase));
}

/// No backup of a header has LUKSMeta, so nothing sends to one when it is damaged; what is said to do instead leads on.
#[test]
fn damaged_luksmeta_is_given_up_and_bound_anew() {
    let disk = luks1();
    disk.bind(Maker::Ours, "null", "{}");
    let mut bytes = disk.bytes();
    bytes[GAP + 20] ^= 0xff;
    std::fs::write(disk.path(), bytes).unwrap();
    let bind = || disk.cotter(["bind"]).arg("-k").arg(disk.passphrase_file()).args(["null", "{}"]);
    let failing = [
        disk.cotter(["list"]),
        bind(),
        disk.cotter(["unlock", "--print-key"]),
        disk.cotter(["unlock", "--test", SLOT]),
    ];
    for program in failing {
        let said = program.run().failed_with(1).said();
        assert!(said.contains("the LUKSMeta with the bindings cannot be used: the table of LUKSMeta"), "{said}");
        assert!(said.contains("`cotter luks meta nuke`") && said.contains("`cotter luks bind`"), "{said}");
        assert!(!said.contains("restore"), "{said}");
    }
    disk.cotter(["meta", "nuke", "-f"]).succeed();
    bind().succeed();
    disk.unlock().succeeded();
}

/// A backup ends where LUKSMeta begins. Both commands say what that means, and what they say to do brings the binding back.
#[test]
fn a_backup_leaves_bindings_out_and_says_so() {
    let disk = luks1();
    let file = disk.beside("backup");
    let early = disk.beside("early");
    let silent = disk.cotter(["backup"]).arg(&early).succeed().said();
    assert!(!silent.contains("binding"), "there is none: {silent}");
    disk.bind(Maker::Theirs, "null", "{}");
    let told = disk.cotter(["backup", "--json"]).arg(&file).succeed();
    assert!(told.said().contains("the bindings are not in it (keyslot 1)"), "{}", told.said());
    assert!(told.text().contains(r#""bindings_left_out":[1]"#), "{}", told.text());
    let plan = disk.cotter(["backup", "--dry-run", "--json"]).arg(disk.beside("plan")).succeed();
    assert!(plan.said().contains("the bindings are not in it (keyslot 1)"), "{}", plan.said());
    assert!(
        plan.text().contains(r#""would":"#) && plan.text().contains(r#""bindings_left_out":[1]"#),
        "{}",
        plan.text()
    );
    let data = disk.cotter(["meta", "load", "-s", SLOT]).succeed().stdout;

    // Nothing was removed since: the binding fits, and only the passphrase's keyslot has none.
    let same = disk.cotter(["restore", "-q", "--json"]).arg(&file).succeed().text();
    assert!(same.contains(r#""without_binding":[0]"#), "{same}");
    disk.unlock().succeeded();

    disk.unbind(Maker::Theirs, SLOT);
    let told = disk.cotter(["restore", "-q"]).arg(&file).succeed().said();
    assert!(told.contains("without a binding now: keyslot 0, 1") && told.contains("cotter luks meta save"), "{told}");
    disk.unlock().failed_with(1);
    disk.cotter(["meta", "save", "-s", SLOT, "-u", UUID]).input(data).succeed();
    disk.unlock().succeeded();

    // Another binding in the same keyslot is not the one that the backup's keyslot had.
    disk.unbind(Maker::Ours, SLOT);
    disk.bind(Maker::Theirs, "null", "{}");
    let told = disk.cotter(["restore", "-q"]).arg(&file).succeed().said();
    assert!(told.contains("without a binding now: keyslot 0, 1"), "{told}");
    disk.unlock().failed_with(1);
}

/// A gap of zeros holds nothing that could be lost: LUKSMeta is made there without a question, byte for byte as luksmeta makes it.
#[test]
fn luksmeta_is_made_in_a_blank_gap_and_in_no_other() {
    let disk = luks1();
    let key = disk.passphrase_file();
    let theirs = disk.file("theirs", disk.bytes());
    let bind = |disk: &Disk| disk.cotter(["bind"]).arg("-k").arg(&key).args(["null", "{}"]).run();
    bind(&disk).succeeded();
    let jwe = luksmeta("load", &disk).args(["-s", SLOT, "-u", UUID]).succeed().stdout;
    Program::new("luksmeta").args(["init", "-f", "-d"]).arg(&theirs).succeed();
    let save = Program::new("luksmeta").args(["save", "-s", SLOT, "-u", UUID, "-d"]).arg(&theirs);
    save.input(jwe).succeed();
    let theirs = std::fs::read(&theirs).unwrap();
    assert!(disk.bytes()[GAP..PAYLOAD] == theirs[GAP..PAYLOAD]);
    assert_eq!(&theirs[GAP..GAP + 8], b"LUKSMETA");

    for at in [GAP + 300, PAYLOAD - 1] {
        let disk = luks1();
        let file = std::fs::File::options().write(true).open(disk.path()).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, b"x", at as u64).unwrap();
        let before = disk.bytes();
        let refused = bind(&disk).failed_with(1);
        assert!(refused.said().contains("-f makes it"), "{}", refused.said());
        assert!(disk.bytes() == before);
    }
}
