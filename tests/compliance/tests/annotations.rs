//! Bindings of ours that say more than the original's: the original opens, lists, tests and regenerates them all the same.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test stops where it stands")]

use compliance::disk::PASSPHRASE;
use compliance::{Curve, Disk, KeyDirectory, Maker, Program, Server, Table};
use serde_json::Value;

/// The first free slot of a fresh disk.
const SLOT: &str = "1";

/// A policy whose header loses something of its configuration.
struct Policy {
    name: &'static str,
    pin: &'static str,
    config: String,
    /// As the original's list shows it.
    listed: String,
}

fn policies(server: &Server, disk: &Disk) -> Vec<Policy> {
    let url = server.url();
    let plain = server.config();
    let thp = Program::new("tang-show-keys").arg(server.port().to_string()).succeed().text();
    let adv = String::from_utf8(server.fetch("/adv")).unwrap();
    let file = disk.beside("adv.jws");
    std::fs::write(&file, &adv).unwrap();
    let named = format!(r#"{{"url":"{url}","thp":"{thp}"}}"#);
    let sss = |inner: &str| format!(r#"{{"t":1,"pins":{{"tang":[{inner}]}}}}"#);
    let nested = |inner: &str| format!(r#"{{"t":2,"pins":{{"sss":{},"tang":[{inner}]}}}}"#, sss(inner));
    let policy = |name, pin, config, listed: &str| Policy { name, pin, config, listed: listed.to_owned() };
    vec![
        policy("thp", "tang", named.clone(), &plain),
        policy("adv as an object", "tang", format!(r#"{{"url":"{url}","adv":{adv}}}"#), &plain),
        policy("adv as a file", "tang", format!(r#"{{"url":"{url}","adv":"{}"}}"#, file.display()), &plain),
        policy("thp inside sss", "sss", sss(&named), &sss(&plain)),
        policy(
            "thp inside nested sss",
            "sss",
            nested(&named),
            &format!(r#"{{"t":2,"pins":{{"tang":[{plain}],"sss":{}}}}}"#, sss(&plain)),
        ),
    ]
}

/// The JWE of token 0, compact as the original's programs take it, and its protected header.
fn jwe(disk: &Disk) -> (Vec<u8>, Value) {
    let program = Program::new("cryptsetup").args(["token", "export", "--token-id", "0"]).arg(disk.path());
    let token: Value = serde_json::from_slice(&program.succeed().stdout).unwrap();
    // As an argument `jose jwe fmt` would write it twice.
    let compact =
        Program::new("jose").args(["jwe", "fmt", "-i-", "-c"]).input(token["jwe"].to_string()).succeed().stdout;
    let protected = token["jwe"]["protected"].as_str().unwrap();
    let header = Program::new("jose").args(["b64", "dec", "-i-"]).input(protected).succeed().stdout;
    (compact, serde_json::from_slice(&header).unwrap())
}

/// What the original says of slot 1, as values: `1: PIN 'CONFIG'`.
fn listed(disk: &Disk, maker: Maker) -> (String, Value) {
    let line = disk.list(maker);
    let (pin, config) = line.strip_prefix("1: ").unwrap().split_once(" '").unwrap();
    (pin.to_owned(), serde_json::from_str(config.trim_end_matches('\'')).unwrap())
}

fn clevis_luks(verb: &str, disk: &Disk) -> Program {
    Program::new("clevis").args(["luks", verb, "-d"]).arg(disk.path()).args(["-s", SLOT])
}

#[test]
fn the_original_uses_bindings_that_say_more() {
    let mut table = Table::new("bindings with an annotation: cotter binds, clevis uses them");
    for serving in Maker::BOTH {
        let keys = KeyDirectory::new(serving, Curve::P521);
        let server = Server::start(serving, &keys);
        let names = Disk::blank(0);
        for Policy { name, pin, config, listed: expected } in policies(&server, &names) {
            table.row(format!("{name}, {}", serving.server_name()), || {
                let disk = Disk::formatted(Maker::Theirs);
                disk.bind(Maker::Ours, pin, &config);
                let (compact, header) = jwe(&disk);
                let config: Value = serde_json::from_str(&config).unwrap();
                assert_eq!(header["cotter"]["config"], config);
                assert_eq!(header["cotter"]["volume"]["uuid"], disk.uuid());
                // A threshold has its check values there, too.
                assert_eq!(header["cotter"].get("check").is_some(), pin == "sss");
                let passphrase = disk.pass(Maker::Theirs, SLOT);
                assert_eq!(Maker::Theirs.decrypt(&compact), passphrase);
                assert!(disk.opens_with(&passphrase) && disk.opens_with(PASSPHRASE.as_bytes()));
                let expected: Value = serde_json::from_str(&expected).unwrap();
                assert_eq!(listed(&disk, Maker::Theirs), (pin.to_owned(), expected));
                Program::new("clevis").args(["luks", "unlock", "-t", SLOT, "-d"]).arg(disk.path()).succeed();
                clevis_luks("report", &disk).arg("-q").succeed();

                clevis_luks("regen", &disk).arg("-q").succeed();
                let again = disk.pass(Maker::Theirs, SLOT);
                assert!(again != passphrase && disk.opens_with(&again) && !disk.opens_with(&passphrase));
                assert_eq!(disk.pass(Maker::Ours, SLOT), again);
                // The original makes its own binding of what it lists.
                assert!(jwe(&disk).1.get("cotter").is_none());
                disk.unbind(Maker::Theirs, SLOT);
            });
        }
    }
    table.finish();
}

/// Where the original's members say everything, ours says nothing more but for which volume it was made.
#[test]
fn a_binding_that_loses_nothing_is_the_originals_but_for_its_volume() {
    let keys = KeyDirectory::new(Maker::Theirs, Curve::P521);
    let server = Server::start(Maker::Theirs, &keys);
    let members = |maker| {
        let disk = Disk::formatted(Maker::Theirs);
        disk.bind(maker, "tang", &server.config());
        let mut header = jwe(&disk).1;
        let said = header.as_object_mut().unwrap().remove("cotter");
        let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(said.map(|said| names(&said)), (maker == Maker::Ours).then(|| vec!["volume".to_owned()]));
        [names(&header), names(&header["clevis"]), names(&header["clevis"]["tang"])]
    };
    assert_eq!(members(Maker::Ours), members(Maker::Theirs));
}
