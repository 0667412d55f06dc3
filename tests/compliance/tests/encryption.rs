//! `encrypt` and `decrypt`: every client with every client, over every server, on both curves.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test stops where it stands")]

use compliance::server::Parrot;
use compliance::{Curve, KeyDirectory, Maker, Program, Server, Table};
use std::time::Duration;

/// Not text, and with a zero in it: the originals carry it, so ours must.
const PLAINTEXT: &[u8] = b"a plaintext\0with \xff bytes\n";

fn encrypt_and_decrypt(table: &mut Table, clients: &[Maker], servers: &[Maker]) {
    for &serving in servers {
        for curve in Curve::PAIRED {
            let keys = KeyDirectory::new(serving, curve);
            let server = Server::start(serving, &keys);
            for &encrypting in clients {
                for &decrypting in clients {
                    let (one, other) = (encrypting.client_name(), decrypting.client_name());
                    table.row(format!("{one} encrypts, {other} decrypts, {}, {curve}", serving.server_name()), || {
                        let jwe = encrypting.encrypt("tang", &server.config(), PLAINTEXT);
                        assert_eq!(jwe.iter().filter(|byte| **byte == b'.').count(), 4, "not a compact JWE");
                        assert_eq!(decrypting.decrypt(&jwe), PLAINTEXT);
                    });
                }
            }
        }
    }
}

#[test]
fn every_client_reads_every_other() {
    let mut table = Table::new("encrypt and decrypt");
    encrypt_and_decrypt(&mut table, &Maker::BOTH, &Maker::BOTH);
    table.finish();
}

/// If this fails, the harness or the machine is at fault and not our program.
#[test]
fn the_originals_read_each_other() {
    let mut table = Table::new("control: the originals alone");
    encrypt_and_decrypt(&mut table, &[Maker::Theirs], &[Maker::Theirs]);
    table.finish();
}

/// A thumbprint or an advertisement in the configuration is trusted without a question, and a wrong one is refused.
#[test]
fn trust_is_given_in_the_same_ways() {
    let mut table = Table::new("ways to trust a server");
    for serving in Maker::BOTH {
        let keys = KeyDirectory::new(serving, Curve::P521);
        let server = Server::start(serving, &keys);
        let advertisement = String::from_utf8(server.fetch("/adv")).unwrap();
        let file = keys.path().join("advertisement.jws");
        std::fs::write(&file, &advertisement).unwrap();
        let thumbprint = Program::new("tang-show-keys").arg(server.port().to_string()).succeed().text();
        let url = server.url();
        for client in Maker::BOTH {
            let row = |way: &str| format!("{} trusts {} by {way}", client.client_name(), serving.server_name());
            let encrypt = |config: String| client.client().args(["encrypt", "tang", &config]).input(PLAINTEXT).run();
            let works =
                |config: String| assert_eq!(Maker::Theirs.decrypt(&encrypt(config).succeeded().stdout), PLAINTEXT);
            table.row(row("thumbprint"), || works(format!(r#"{{"url":"{url}","thp":"{thumbprint}"}}"#)));
            table.row(row("advertisement"), || works(format!(r#"{{"url":"{url}","adv":{advertisement}}}"#)));
            table.row(row("file"), || works(format!(r#"{{"url":"{url}","adv":"{}"}}"#, file.display())));
            table.row(row("no wrong thumbprint"), || {
                let wrong: String = thumbprint.chars().rev().collect();
                drop(encrypt(format!(r#"{{"url":"{url}","thp":"{wrong}"}}"#)).failed_with(1));
            });
        }
    }
    table.finish();
}

/// One machine is exchanged for the other, with the same key files behind the same address.
#[test]
fn one_server_takes_over_from_the_other() {
    let mut table = Table::new("a server is replaced");
    for before in Maker::BOTH {
        for after in Maker::BOTH {
            for client in Maker::BOTH {
                let names = (client.client_name(), before.server_name(), after.server_name());
                table.row(format!("{} bound at {}, {} takes over", names.0, names.1, names.2), || {
                    let keys = KeyDirectory::new(before, Curve::P521);
                    let server = Server::start(before, &keys);
                    let jwe = client.encrypt("tang", &server.config(), PLAINTEXT);
                    let port = server.port();
                    drop(server);
                    let _server = Server::start_on(after, &keys, port);
                    assert_eq!(client.decrypt(&jwe), PLAINTEXT);
                });
            }
        }
    }
    table.finish();
}

/// A key that was rotated away, by either tool, still opens what was bound to it, and nothing new is bound to it.
#[test]
fn a_rotated_key_still_recovers() {
    let mut table = Table::new("rotated keys");
    for serving in Maker::BOTH {
        for rotating in Maker::BOTH {
            for client in Maker::BOTH {
                let how = if rotating == Maker::Ours { "cotter keys rotate" } else { "tangd-rotate-keys" };
                table.row(format!("{}, {}, {how}", client.client_name(), serving.server_name()), || {
                    let keys = KeyDirectory::new(serving, Curve::P521);
                    let server = Server::start(serving, &keys);
                    let (jwe, old) = (client.encrypt("tang", &server.config(), PLAINTEXT), server.fetch("/adv"));
                    keys.rotate(rotating);
                    assert_ne!(server.fetch("/adv"), old, "the old keys are still advertised");
                    assert_eq!(client.decrypt(&jwe), PLAINTEXT);
                });
            }
        }
    }
    table.finish();
}

/// White space around a JWE comes from `echo` and from editors. Clevis prints the plaintext and exits 1; ours ignores it.
#[test]
fn white_space_around_a_jwe_is_ignored() {
    let keys = KeyDirectory::new(Maker::Theirs, Curve::P521);
    let server = Server::start(Maker::Theirs, &keys);
    let jwe = Maker::Ours.encrypt("tang", &server.config(), PLAINTEXT);
    let spaced = [b"\n ", jwe.as_slice(), b"\r\n\n"].concat();
    assert_eq!(Maker::Ours.decrypt(&spaced), PLAINTEXT);
}

/// The originals write plaintext before they have checked the tag; ours may not.
#[test]
fn a_changed_jwe_gives_no_byte_of_plaintext() {
    let keys = KeyDirectory::new(Maker::Ours, Curve::P521);
    let server = Server::start(Maker::Ours, &keys);
    let jwe = Maker::Ours.encrypt("tang", &server.config(), PLAINTEXT);
    let dots: Vec<usize> = (0..jwe.len()).filter(|at| jwe[*at] == b'.').collect();
    for at in [10, dots[1] + 2, dots[2] + 2, dots[3] + 2] {
        let mut changed = jwe.clone();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let ended = Maker::Ours.client().arg("decrypt").input(changed).run().failed_with(1);
        assert!(ended.stdout.is_empty(), "plaintext was written although byte {at} was changed");
    }
}

/// Whatever a server answers, the client ends by itself with an error that names the server.
#[test]
fn rubbish_from_a_server_is_an_error_that_names_it() {
    let ok = |body: &str| format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let answers = [
        String::new(),
        "rubbish\r\n\r\n".into(),
        "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n".into(),
        "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/adv\r\nContent-Length: 0\r\n\r\n".into(),
        ok(""),
        ok("[]"),
        ok("{"),
        ok(&"[".repeat(100_000)),
        ok(r#"{"payload":"e30","protected":"e30","signature":""}"#),
        ok(&format!(r#"{{"payload":"{}"}}"#, "A".repeat(4 << 20))),
        "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n{}".into(),
        "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{}".into(),
    ];
    for answer in answers {
        let parrot = Parrot::start(answer.clone());
        let config = format!(r#"{{"url":"{}"}}"#, parrot.url());
        let program = Maker::Ours.client().args(["encrypt", "tang", &config, "-y"]).input("x");
        let ended = program.limit(Duration::from_secs(45)).run().failed_with(1);
        let shown: String = answer.chars().take(60).collect();
        assert!(ended.said().contains(&parrot.url()), "{shown:?} gave an error without the address: {}", ended.said());
        assert!(ended.stdout.is_empty());
    }
}
