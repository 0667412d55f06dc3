//! `luks bind`, `list`, `pass`, `unlock` and `unbind`: each side's disks, clients and servers with the other's.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test stops where it stands")]

use compliance::disk::{Cipher, PASSPHRASE};
use compliance::{Curve, Disk, KeyDirectory, Maker, Program, Server, Table};
use serde_json::Value;

/// The first free slot of a fresh disk.
const SLOT: &str = "1";

fn bind_and_unlock(table: &mut Table, makers: &[Maker]) {
    for &serving in makers {
        for curve in Curve::PAIRED {
            let keys = KeyDirectory::new(serving, curve);
            let server = Server::start(serving, &keys);
            for &formatting in makers {
                for &binding in makers {
                    let names = (binding.client_name(), formatting.format_name(), serving.server_name());
                    table.row(format!("{} binds, disk of {}, {}, {curve}", names.0, names.1, names.2), || {
                        let disk = Disk::formatted(formatting);
                        disk.bind(binding, "tang", &server.config());
                        assert_readable(&disk, &server, makers);
                    });
                }
            }
        }
    }
}

/// Everyone sees the binding, gets the same passphrase out of it, and cryptsetup opens the disk with that.
fn assert_readable(disk: &Disk, server: &Server, readers: &[Maker]) {
    let passphrase = disk.pass(readers[0], SLOT);
    for reader in readers {
        let list = disk.list(*reader);
        assert!(list.starts_with("1: tang ") && list.contains(&server.url()), "{reader} lists: {list}");
        assert_eq!(disk.pass(*reader, SLOT), passphrase, "{reader}");
    }
    assert!(passphrase.len() >= 40 && !passphrase.ends_with(b"\n"), "{} bytes", passphrase.len());
    assert!(disk.opens_with(&passphrase), "cryptsetup does not open it with the bound passphrase");
    assert!(disk.opens_with(PASSPHRASE.as_bytes()), "cryptsetup does not open it with the person's passphrase");
    assert!(!disk.opens_with(b"wrong"));
    // Clevis's own test of a slot, as its boot integration does it.
    Program::new("clevis").args(["luks", "unlock", "-t", SLOT, "-d"]).arg(disk.path()).succeed();
    if readers.contains(&Maker::Ours) {
        assert_eq!(disk.unlock().succeeded().stdout, passphrase);
    }
    assert_token_is_clevis_own(disk);
}

/// Exactly the three members that clevis writes, and the five strings that desktop unlockers ask for.
fn assert_token_is_clevis_own(disk: &Disk) {
    let program = Program::new("cryptsetup").args(["token", "export", "--token-id", "0"]).arg(disk.path());
    let token: Value = serde_json::from_slice(&program.succeed().stdout).unwrap();
    let members = |value: &Value| value.as_object().map(|object| object.keys().cloned().collect::<Vec<_>>());
    let sorted = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    assert_eq!(members(&token), sorted(&["jwe", "keyslots", "type"]));
    assert_eq!(members(&token["jwe"]), sorted(&["ciphertext", "encrypted_key", "iv", "protected", "tag"]));
    assert_eq!((&token["type"], &token["keyslots"]), (&"clevis".into(), &serde_json::json!([SLOT])));
    let dump = disk.dump();
    assert!(dump.contains("0: clevis") && dump.contains("1: luks2"), "{dump}");
}

#[test]
fn every_client_binds_for_every_other() {
    let mut table = Table::new("luks bind and unlock");
    bind_and_unlock(&mut table, &Maker::BOTH);
    table.finish();
}

/// If this fails, the harness or the machine is at fault and not our program.
#[test]
fn the_originals_bind_for_each_other() {
    let mut table = Table::new("control: the originals bind and unlock");
    bind_and_unlock(&mut table, &[Maker::Theirs]);
    table.finish();
}

/// Two bindings, by both clients, and each removes the other's: slot, token and passphrase are gone, the rest stays.
#[test]
fn every_client_unbinds_for_every_other() {
    let mut table = Table::new("luks unbind");
    let keys = KeyDirectory::new(Maker::Theirs, Curve::P521);
    let server = Server::start(Maker::Theirs, &keys);
    for binding in Maker::BOTH {
        for unbinding in Maker::BOTH {
            table.row(format!("{} binds twice, {} unbinds", binding.client_name(), unbinding.client_name()), || {
                let disk = Disk::formatted(Maker::Theirs);
                disk.bind(binding, "tang", &server.config());
                disk.bind(unbinding, "tang", &server.config());
                let (gone, kept) = (disk.pass(Maker::Theirs, "1"), disk.pass(Maker::Theirs, "2"));
                disk.unbind(unbinding, "1");
                assert!(!disk.opens_with(&gone) && disk.opens_with(&kept) && disk.opens_with(PASSPHRASE.as_bytes()));
                for reader in Maker::BOTH {
                    let list = disk.list(reader);
                    assert!(list.starts_with("2: tang ") && list.lines().count() == 1, "{reader} lists: {list}");
                }
                let dump = disk.dump();
                assert!(
                    !dump.contains("0: clevis") && dump.contains("1: clevis") && !dump.contains("1: luks2"),
                    "{dump}"
                );
            });
        }
    }
    table.finish();
}

/// The slot and the token that a person names are the ones that are used, by either client.
#[test]
fn a_named_slot_and_token_are_used() {
    let mut table = Table::new("luks bind -s 5 -t 7");
    let keys = KeyDirectory::new(Maker::Theirs, Curve::P521);
    let server = Server::start(Maker::Theirs, &keys);
    for binding in Maker::BOTH {
        table.row(binding.client_name(), || {
            let disk = Disk::formatted(Maker::Theirs);
            let program = binding.client().args(["luks", "bind", "-y", "-s", "5", "-t", "7", "-k"]);
            let program = program.arg(disk.passphrase_file()).arg("-d").arg(disk.path());
            program.args(["tang", &server.config()]).succeed();
            let dump = disk.dump();
            assert!(dump.contains("5: luks2") && dump.contains("7: clevis"), "{dump}");
            assert_eq!(disk.pass(Maker::Ours, "5"), disk.pass(Maker::Theirs, "5"));
        });
    }
    table.finish();
}

/// A passphrase on standard input, as scripts give it, ends at its line.
#[test]
fn a_passphrase_comes_on_standard_input() {
    let mut table = Table::new("luks bind -k -");
    let keys = KeyDirectory::new(Maker::Theirs, Curve::P521);
    let server = Server::start(Maker::Theirs, &keys);
    for binding in Maker::BOTH {
        table.row(binding.client_name(), || {
            let disk = Disk::formatted(Maker::Theirs);
            let program = binding.client().args(["luks", "bind", "-y", "-k", "-", "-d"]).arg(disk.path());
            program.args(["tang", &server.config()]).input(format!("{PASSPHRASE}\n")).succeed();
            assert!(disk.opens_with(&disk.pass(Maker::Theirs, SLOT)));
        });
    }
    table.finish();
}

/// `sss` over both servers in a disk's token.
#[test]
fn a_threshold_binds_a_disk() {
    let mut table = Table::new("luks bind with sss 2 of 2 across both servers");
    let keys = Maker::BOTH.map(|maker| KeyDirectory::new(maker, Curve::P521));
    let servers = [0, 1].map(|at| Server::start(Maker::BOTH[at], &keys[at]));
    let config = format!(r#"{{"t":2,"pins":{{"tang":[{},{}]}}}}"#, servers[0].config(), servers[1].config());
    for binding in Maker::BOTH {
        for reading in Maker::BOTH {
            table.row(format!("{} binds, {} reads", binding.client_name(), reading.client_name()), || {
                let disk = Disk::formatted(Maker::Ours);
                disk.bind(binding, "sss", &config);
                assert!(disk.list(reading).starts_with("1: sss "));
                assert!(disk.opens_with(&disk.pass(reading, SLOT)));
            });
        }
    }
    table.finish();
}

/// Every derivation and hash that a slot may have: one side formats, the other opens with the passphrase.
#[test]
fn each_side_opens_what_the_other_formats() {
    let argon = |kind: &'static str| vec!["--pbkdf", kind, "--pbkdf-memory", "64", "--pbkdf-force-iterations", "4"];
    let pbkdf2 = |hash: &'static str| vec!["--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1001", "--hash", hash];
    let mut table = Table::new("luks format");
    for maker in Maker::BOTH {
        let hashes = ["sha1", "sha256", "sha512", "sha3-256", "ripemd160", "whirlpool", "blake2b-512", "blake2s-256"];
        let kdfs = [argon("argon2id"), argon("argon2i")].into_iter().chain(hashes.map(pbkdf2));
        for kdf in kdfs {
            table.row(format!("{} {}", maker.format_name(), kdf.join(" ")), || {
                opens_for_everyone(&Disk::formatted_with(maker, Cipher::USUAL, &kdf));
            });
        }
        for cipher in Cipher::ACCEPTED {
            table.row(format!("{} {}", maker.format_name(), cipher.words().join(" ")), || {
                let disk = Disk::formatted_with(maker, cipher, &pbkdf2("sha256"));
                opens_for_everyone(&disk);
                let dump = disk.dump();
                assert!(
                    dump.contains(cipher.name) && dump.contains(&format!("sector: {}", cipher.sector_bytes)),
                    "{dump}"
                );
            });
        }
    }
    table.finish();
}

fn opens_for_everyone(disk: &Disk) {
    assert!(disk.opens_with(PASSPHRASE.as_bytes()) && !disk.opens_with(b"wrong"));
    let unlock = |passphrase: &str| {
        let program = Program::cotter().args(["luks", "unlock", "--print-key", "-k", "-", "-d"]).arg(disk.path());
        program.input(passphrase).run()
    };
    assert_eq!(unlock(PASSPHRASE).succeeded().stdout, PASSPHRASE.as_bytes());
    unlock("wrong").failed_with(1);
}
