//! Key servers behind TLS: known by the pins of their keys, by authorities, and asking for certificates themselves.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test stops where it stands")]

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use compliance::front::{Authority, Certified, Front, LOOPBACK};
use compliance::server::{free_port, wait_for};
use compliance::{Curve, Disk, KeyDirectory, Maker, Program, Server, Swtpm, Version};
use serde_json::Value;
use std::fs;
use std::path::Path;

const PLAINTEXT: &[u8] = b"a plaintext";
const EC: [&str; 4] = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];

/// The pin of the key in a file, by OpenSSL alone.
fn by_openssl(key: &Path) -> String {
    let public = Program::new("openssl").args(["pkey", "-pubout", "-outform", "DER", "-in"]).arg(key).succeed().stdout;
    let digest = Program::new("openssl").args(["dgst", "-sha256", "-binary"]).input(public).succeed().stdout;
    format!("sha256//{}", STANDARD.encode(digest))
}

fn keys_pin(source: impl AsRef<std::ffi::OsStr>) -> String {
    Program::cotter().args(["keys", "pin"]).arg(source).succeed().text()
}

fn tangd() -> (KeyDirectory, Server) {
    let keys = KeyDirectory::new(Maker::Theirs, Curve::P521);
    let server = Server::start(Maker::Theirs, &keys);
    (keys, server)
}

/// A front that no authority vouches for: another name, and a time that is past.
fn worthless(server: &Server, authority: &Authority, name: &str) -> (Front, String) {
    let key = authority.key(name, &EC);
    let front = Front::start(server, &authority.worthless(name, &key), None);
    (front, by_openssl(&key))
}

/// OpenSSL's own server and its own computation; and curl takes the very text.
#[test]
fn a_pin_is_that_of_openssl_and_of_curl() {
    let authority = Authority::new();
    let rsa = ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"];
    for (name, words) in [("ec", &EC[..]), ("rsa", &rsa), ("ed25519", &["-algorithm", "ed25519"])] {
        let key = authority.key(name, words);
        let Certified { certificate, .. } = authority.worthless(name, &key);
        let expected = by_openssl(&key);
        assert_eq!(keys_pin(&certificate).trim_end(), expected, "{name}");
        let public = authority.at("public.pem");
        Program::new("openssl").args(["pkey", "-pubout", "-in"]).arg(&key).arg("-out").arg(&public).succeed();
        assert_eq!(keys_pin(&public).trim_end(), expected, "{name}");
        let port = free_port();
        let words =
            Program::new("openssl").args(["s_server", "-quiet", "-www", "-accept", &format!("127.0.0.1:{port}")]);
        let server = words.arg("-cert").arg(&certificate).arg("-key").arg(&key).start();
        wait_for(port);
        let url = format!("https://127.0.0.1:{port}/");
        assert_eq!(keys_pin(&url).trim_end(), expected, "{name}");
        let json = Program::cotter().args(["keys", "pin", "--json", &url]).succeed().text();
        assert_eq!(json.trim_end(), format!(r#"{{"pin":"{expected}"}}"#));
        let curl = |pin: &str| Program::new("curl").args(["-sSk", "--noproxy", "*", "--pinnedpubkey", pin, &url]).run();
        curl(&expected).succeeded();
        curl(&format!("sha256//{}", STANDARD.encode([0; 32]))).failed_with(90);
        server.terminate();
        drop(server.wait());
    }
}

#[test]
fn what_shows_no_key_is_refused() {
    let (_keys, server) = tangd();
    let refused = |source: &str, why: &str| {
        let said = Program::cotter().args(["keys", "pin", source]).run().failed_with(1).said();
        assert!(said.contains(why) && said.contains("try: "), "{source}: {said}");
    };
    refused(&server.url(), "only a server of https:// shows a key");
    refused(&format!("https://127.0.0.1:{}", server.port()), "cannot see the key of");
    refused("/dev/null", "cannot read /dev/null");
    let authority = Authority::new();
    refused(authority.key("bare", &EC).to_str().unwrap(), "there is no certificate in it");
}

#[test]
fn a_volume_opens_by_the_key_alone() {
    let authority = Authority::new();
    let (_keys, server) = tangd();
    let (front, pin) = worthless(&server, &authority, "front");
    let spare = by_openssl(&authority.key("spare", &EC));
    for version in Version::BOTH {
        let disk = Disk::of(Maker::Theirs, version);
        for (slot, pins) in [("1", format!("\"{pin}\"")), ("2", format!("[\"{spare}\",\"{pin}\"]"))] {
            let config = format!(r#"{{"url":"{}","pin":{pins}}}"#, front.url());
            disk.bind(Maker::Ours, "tang", &config);
            assert!(disk.list(Maker::Ours).contains(&format!("{slot}: tang '{config}'")), "{}", disk.list(Maker::Ours));
            assert!(disk.opens_with(&disk.pass(Maker::Ours, slot)));
        }
    }
}

#[test]
fn another_key_opens_nothing_and_is_named() {
    let authority = Authority::new();
    let (_keys, server) = tangd();
    let (front, pin) = worthless(&server, &authority, "front");
    let (other, other_pin) = worthless(&server, &authority, "other");
    let disk = Disk::of(Maker::Theirs, Version::Luks2);
    let config = format!(r#"{{"url":"{}","pin":"{other_pin}"}}"#, front.url());
    let named = format!("it shows {pin}, and {other_pin} is wanted");
    let before = disk.bytes();
    let said = disk.try_bind(Maker::Ours, "tang", &config).failed_with(1).said();
    assert!(said.contains(&named) && said.contains(&format!("`cotter keys pin {}`", front.url())), "{said}");
    // An advertisement is given, so that an absent server were no matter. This one is there.
    let adv = String::from_utf8(server.fetch("/adv")).unwrap();
    let given = format!(r#"{{"url":"{}","pin":"{other_pin}","adv":{adv}}}"#, front.url());
    let said = disk.try_bind(Maker::Ours, "tang", &given).failed_with(1).said();
    assert!(said.contains(&named), "{said}");
    assert!(disk.bytes() == before);
    // The server gets another key after the binding was made.
    disk.bind(Maker::Ours, "tang", &format!(r#"{{"url":"{}","pin":"{other_pin}"}}"#, other.url()));
    let edit = |config: &str| {
        Program::cotter()
            .args(["luks", "edit", "-f", "-y", "-s", "1", "-c", config, "-k"])
            .arg(disk.passphrase_file())
            .arg("-d")
            .arg(disk.path())
            .run()
    };
    let moved = format!(r#"{{"url":"{}","pin":"{other_pin}"}}"#, front.url());
    assert!(edit(&moved).failed_with(1).said().contains(&named));
    edit(&moved.replace(&other_pin, &pin)).succeeded();
    assert!(disk.opens_with(&disk.pass(Maker::Ours, "1")));
    let regen =
        Program::cotter().args(["luks", "regen", "-q", "-y", "-s", "1", "-d"]).arg(disk.path()).run().succeeded();
    assert!(disk.list(Maker::Ours).contains(&format!(r#""pin":"{pin}""#)), "{}", regen.said());
    assert!(disk.opens_with(&disk.pass(Maker::Ours, "1")));
}

#[test]
fn options_that_mean_nothing_are_refused_everywhere() {
    let pin = format!("sha256//{}", STANDARD.encode([7; 32]));
    let four = (0..4).map(|at| format!("\"sha256//{}\"", STANDARD.encode([at; 32]))).collect::<Vec<_>>().join(",");
    let disk = Disk::of(Maker::Theirs, Version::Luks2);
    for (config, why) in [
        (format!(r#"{{"url":"http://127.0.0.1:1","pin":"{pin}"}}"#), "url is not an https:// address"),
        (format!(r#"{{"url":"https://127.0.0.1:1","pin":[{four},"{pin}"]}}"#), "pin is not one to four pins"),
        (format!(r#"{{"url":"https://127.0.0.1:1","pin":"{pin}","cacert":"/ca"}}"#), "cacert is not of use beside pin"),
        (r#"{"url":"https://127.0.0.1:1","pin":"?"}"#.into(), "pin is not sha256//"),
    ] {
        let said = disk.try_bind(Maker::Ours, "tang", &config).failed_with(1).said();
        assert!(said.contains(why), "{config}: {said}");
        let sss = format!(r#"{{"t":1,"pins":{{"tang":[{config}]}}}}"#);
        for words in [["encrypt", "sss", &sss], ["encrypt", "tang", &config]] {
            let said = Program::cotter().args(words).arg("-y").input(PLAINTEXT).run().failed_with(1).said();
            assert!(said.contains(why), "{config}: {said}");
        }
    }
}

/// The original passes over the pins and trusts by its own rules: an authority that curl is told of, over TLS, and nobody in the clear.
#[test]
fn the_original_opens_what_has_a_pin() {
    let authority = Authority::new();
    let (_keys, server) = tangd();
    let good = authority.signs("good", LOOPBACK, [2020, 2120]);
    let front = Front::start(&server, &good, None);
    let pin = by_openssl(&good.key);
    let config = format!(r#"{{"url":"{}","pin":"{pin}"}}"#, front.url());
    let both = format!(r#"{{"t":2,"pins":{{"tang":[{config},{}]}}}}"#, server.config());
    for (name, config) in [("tang", &config), ("sss", &both)] {
        let jwe = Maker::Ours.encrypt(name, config, PLAINTEXT);
        assert_eq!(Maker::Ours.decrypt(&jwe), PLAINTEXT);
        let theirs =
            Program::new("clevis").arg("decrypt").env("CURL_CA_BUNDLE", authority.certificate()).input(jwe).succeed();
        assert_eq!(theirs.stdout, PLAINTEXT);
    }
    let disk = Disk::of(Maker::Theirs, Version::Luks2);
    disk.bind(Maker::Ours, "tang", &config);
    let theirs = Program::new("clevis").args(["luks", "pass", "-s", "1", "-d"]).arg(disk.path());
    let passphrase = theirs.env("CURL_CA_BUNDLE", authority.certificate()).succeed().stdout;
    assert!(disk.opens_with(&passphrase));
    // In the clear a pin means nothing: ours refuses it, theirs does not see it.
    let jwe = in_the_clear(&server, &pin);
    assert_eq!(Maker::Theirs.decrypt(&jwe), PLAINTEXT);
    let said = Program::cotter().arg("decrypt").input(jwe).run().failed_with(1).said();
    assert!(said.contains("url is not an https:// address"), "{said}");
}

/// What the original makes for a server, with a pin beside the address; sealed by its own tool.
fn in_the_clear(server: &Server, pin: &str) -> Vec<u8> {
    let jwe = String::from_utf8(Maker::Theirs.encrypt("tang", &server.config(), b"")).unwrap();
    let header = URL_SAFE_NO_PAD.decode(jwe.split('.').next().unwrap()).unwrap();
    let mut header: Value = serde_json::from_slice(&header).unwrap();
    header.as_object_mut().unwrap().remove("epk");
    header["clevis"]["tang"]["pin"] = pin.into();
    let keys = header["clevis"]["tang"]["adv"]["keys"].as_array().unwrap();
    let mut key = keys.iter().find(|key| key["alg"] == "ECMR").unwrap().clone();
    ["alg", "key_ops"].iter().for_each(|name| drop(key.as_object_mut().unwrap().remove(*name)));
    let dir = tempfile::tempdir().unwrap();
    let (template, key_file) = (dir.path().join("template"), dir.path().join("key"));
    fs::write(&template, serde_json::json!({ "protected": header }).to_string()).unwrap();
    fs::write(&key_file, key.to_string()).unwrap();
    let jose = Program::new("jose").args(["jwe", "enc", "-c", "-I", "-", "-i"]).arg(&template).arg("-k").arg(&key_file);
    jose.input(PLAINTEXT).succeed().stdout
}

#[test]
fn an_authority_wants_name_and_dates() {
    let authority = Authority::new();
    let (_keys, server) = tangd();
    let ca = authority.certificate();
    let ask = |certified: &Certified| {
        let front = Front::start(&server, certified, None);
        let config = format!(r#"{{"url":"{}","cacert":"{}"}}"#, front.url(), ca.display());
        Program::cotter().args(["encrypt", "tang", &config, "-y"]).input(PLAINTEXT).run()
    };
    ask(&authority.signs("good", LOOPBACK, [2020, 2120])).succeeded();
    let said = ask(&authority.signs("late", LOOPBACK, [2019, 2020])).failed_with(1).said();
    assert!(
        said.contains("the server's certificate was good until 2020-01-01 00:00:00 UTC")
            && said.contains("`cotter keys pin"),
        "{said}"
    );
    let said = ask(&authority.signs("elsewhere", "DNS:elsewhere", [2020, 2120])).failed_with(1).said();
    assert!(said.contains("not valid for name"), "{said}");
}

/// The key of the client is a file that this TPM alone opens.
#[test]
fn a_clients_key_may_be_sealed_to_the_tpm() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let (_keys, server) = tangd();
    let shown = authority.signs("good", LOOPBACK, [2020, 2120]);
    let front = Front::start(&server, &shown, Some(&clients));
    let Certified { certificate, key } = clients.signs("client", "DNS:client", [2020, 2120]);
    let (mut tpm, other) = (Swtpm::start(), Swtpm::start());
    let sealed = clients.at("client.jwe");
    let config = |key: &Path| {
        let pin = by_openssl(&shown.key);
        format!(
            r#"{{"url":"{}","pin":"{pin}","cert":"{}","key":"{}"}}"#,
            front.url(),
            certificate.display(),
            key.display()
        )
    };
    let encrypt = |tpm: &Swtpm, key: &Path| {
        tpm.give(Program::cotter()).args(["encrypt", "tang", &config(key), "-y"]).input(PLAINTEXT).run()
    };
    for pin in ["tpm2", "cotter-tpm2"] {
        let seal =
            tpm.give(Program::cotter()).args(["encrypt", pin, r#"{"pcr_ids":"7"}"#]).input(fs::read(&key).unwrap());
        fs::write(&sealed, seal.succeed().stdout).unwrap();
        let jwe = encrypt(&tpm, &sealed).succeeded().stdout;
        let decrypt = tpm.give(Program::cotter()).arg("decrypt").input(jwe.clone()).succeed();
        assert_eq!(decrypt.stdout, PLAINTEXT);
        let said = encrypt(&other, &sealed).failed_with(1).said();
        assert!(said.contains("the client's key does not come out of"), "{pin}: {said}");
        assert!(said.contains("`cotter encrypt tpm2 CFG < KEY.pem > "), "{pin}: {said}");
        let said = other.give(Program::cotter()).arg("decrypt").input(jwe).run().failed_with(1).said();
        assert!(said.contains("the client's key does not come out of"), "{pin}: {said}");
    }
    // The key itself works as ever, and what is neither is named.
    encrypt(&tpm, &key).succeeded();
    fs::write(&sealed, "nothing of the kind").unwrap();
    assert!(encrypt(&tpm, &sealed).failed_with(1).said().contains("it is neither PEM nor a JWE"));
    let null = Program::cotter().args(["encrypt", "null", "{}"]).input(fs::read(&key).unwrap()).succeed().stdout;
    fs::write(&sealed, null).unwrap();
    assert!(encrypt(&tpm, &sealed).failed_with(1).said().contains("it is not sealed to a TPM"));
    // Another system was started.
    let seal =
        tpm.give(Program::cotter()).args(["encrypt", "tpm2", r#"{"pcr_ids":"7"}"#]).input(fs::read(&key).unwrap());
    fs::write(&sealed, seal.succeed().stdout).unwrap();
    tpm.extend(7, 1);
    assert!(encrypt(&tpm, &sealed).failed_with(1).said().contains("the client's key does not come out of"));
    tpm.restart();
    encrypt(&tpm, &sealed).succeeded();
}
