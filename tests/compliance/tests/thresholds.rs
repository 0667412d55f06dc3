//! The pin `sss`: several servers, of which some number must answer.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test stops where it stands")]

use compliance::quiet::{BlackHole, Silent};
use compliance::{Curve, Disk, KeyDirectory, Maker, Program, Server, Swtpm, Table};
use std::time::Duration;

const PLAINTEXT: &[u8] = b"a shared plaintext";

/// An answer that waited for a silent server would take its whole time limit, which is many times this.
const AT_ONCE: Duration = Duration::from_secs(5);

fn config(threshold: usize, children: &[String]) -> String {
    format!(r#"{{"t":{threshold},"pins":{{"tang":[{}]}}}}"#, children.join(","))
}

/// Any one of three servers, two of ours and one of theirs, may be away; with two away there is no answer.
#[test]
fn two_of_three_across_both_servers() {
    let mut table = Table::new("sss 2 of 3: tangd and two of cotter serve");
    for encrypting in Maker::BOTH {
        for decrypting in Maker::BOTH {
            let (one, other) = (encrypting.client_name(), decrypting.client_name());
            let makers = [Maker::Ours, Maker::Theirs, Maker::Ours];
            let keys = makers.map(|maker| KeyDirectory::new(maker, Curve::P521));
            let start = || [0, 1, 2].map(|at| Server::start(makers[at], &keys[at]));
            let mut servers = start().map(Some);
            let children: Vec<String> = servers.iter().flatten().map(Server::config).collect();
            let jwe = encrypting.encrypt("sss", &config(2, &children), PLAINTEXT);
            table.row(format!("{one} encrypts, {other} decrypts, all there"), || {
                assert_eq!(decrypting.decrypt(&jwe), PLAINTEXT);
            });
            for away in 0..3 {
                let port = servers[away].take().map(|server| server.port()).unwrap();
                table.row(format!("{one} encrypts, {other} decrypts, server {} away", away + 1), || {
                    assert_eq!(decrypting.decrypt(&jwe), PLAINTEXT);
                });
                servers[away] = Some(Server::start_on(makers[away], &keys[away], port));
            }
            servers[0] = None;
            servers[1] = None;
            table.row(format!("{one} encrypts, {other} refuses, two away"), || {
                let ended = decrypting.client().arg("decrypt").input(jwe.clone()).run();
                assert!(!ended.status.success() && ended.stdout.is_empty());
            });
        }
    }
    table.finish();
}

/// A threshold in a threshold, made by one client and read by the other.
#[test]
fn a_threshold_in_a_threshold() {
    let mut table = Table::new("sss in sss");
    let keys = KeyDirectory::new(Maker::Theirs, Curve::P256);
    let server = Server::start(Maker::Theirs, &keys);
    let inner = config(1, &[server.config()]);
    let outer = format!(r#"{{"t":2,"pins":{{"tang":{},"sss":{inner}}}}}"#, server.config());
    for encrypting in Maker::BOTH {
        for decrypting in Maker::BOTH {
            let (one, other) = (encrypting.client_name(), decrypting.client_name());
            table.row(format!("{one} encrypts, {other} decrypts"), || {
                let jwe = encrypting.encrypt("sss", &outer, PLAINTEXT);
                assert_eq!(checks(&jwe), if encrypting == Maker::Ours { 2 } else { 0 });
                assert_eq!(decrypting.decrypt(&jwe), PLAINTEXT);
            });
        }
    }
    table.finish();
}

/// How many check values stand beside the policy: the original writes none, and reads ours as if they were not there.
fn checks(jwe: &[u8]) -> usize {
    let header = jwe.split(|byte| *byte == b'.').next().unwrap().to_vec();
    let header = Program::new("jose").args(["b64", "dec", "-i-"]).input(header).succeed().stdout;
    let header: serde_json::Value = serde_json::from_slice(&header).unwrap();
    header["cotter"]["check"].as_array().map_or(0, Vec::len)
}

/// One of three is enough, and the other two never say anything: one takes the connection, one does not even do that.
#[test]
fn one_of_three_answers_while_the_others_are_silent() {
    let (silent, hole) = (Silent::start(), BlackHole::start());
    for serving in Maker::BOTH {
        let keys = KeyDirectory::new(serving, Curve::P521);
        let server = Server::start(serving, &keys);
        let advertisement = String::from_utf8(server.fetch("/adv")).unwrap();
        // With the advertisement given, nobody has to be there when it is encrypted.
        let child = |url: String| format!(r#"{{"url":"{url}","adv":{advertisement}}}"#);
        let config = config(1, &[child(silent.url()), child(hole.url()), child(server.url())]);
        for encrypting in Maker::BOTH {
            let jwe = encrypting.encrypt("sss", &config, PLAINTEXT);
            let ended = Maker::Ours.client().arg("decrypt").input(jwe).succeed();
            assert_eq!(ended.stdout, PLAINTEXT);
            assert!(ended.took < AT_ONCE, "it took {:?}", ended.took);
        }
    }
}

/// A share that nobody needs when the policy is bound to is tried all the same: here the TPM's, for the values of another boot.
#[test]
fn a_share_that_was_not_needed_is_tried_by_bind() {
    let (keys, tpm) = (KeyDirectory::new(Maker::Ours, Curve::P521), Swtpm::start());
    let server = Server::start(Maker::Ours, &keys);
    let sealed = |tpm2: &str| format!(r#"{{"t":1,"pins":{{"tang":{},"tpm2":{tpm2}}}}}"#, server.config());
    // SHA-256 of one PCR, as base64url: 32 bytes of another value than the TPM has.
    let other_boot =
        sealed(&format!(r#"{{"pcr_bank":"sha256","pcr_ids":"7","pcr_digest":"{}"}}"#, "AAAA".repeat(10) + "AAE"));
    let disk = Disk::formatted(Maker::Theirs);
    let bind = |config: &str| tpm.give(disk.bind_program(Maker::Ours, "sss", config));
    let told = bind(&other_boot).succeed();
    assert!(told.said().contains("not proved: no share for the pin tpm2 at share 2"), "{}", told.said());
    let refused =
        Program::cotter().args(["luks", "bind", "-y", "--require-proof", "-k"]).arg(disk.passphrase_file()).arg("-d");
    let refused = tpm.give(refused.arg(disk.path()).args(["sss", &other_boot])).run().failed_with(1);
    assert!(refused.said().contains("share 2"), "{}", refused.said());
    let told = bind(&sealed(r#"{"pcr_bank":"sha256","pcr_ids":"7"}"#)).succeed();
    assert!(!told.said().contains("not proved"), "{}", told.said());
}

/// Nobody answers: the total limit of the exchange ends it, and every server is named.
#[test]
fn silence_ends_at_the_limit_and_names_every_server() {
    let (silent, hole) = (Silent::start(), BlackHole::start());
    let keys = KeyDirectory::new(Maker::Theirs, Curve::P521);
    let server = Server::start(Maker::Theirs, &keys);
    let advertisement = String::from_utf8(server.fetch("/adv")).unwrap();
    let child = |url: String| format!(r#"{{"url":"{url}","adv":{advertisement}}}"#);
    let jwe = Maker::Theirs.encrypt("sss", &config(1, &[child(silent.url()), child(hole.url())]), PLAINTEXT);
    let program = Maker::Ours.client().args(["decrypt", "--timeout", "2"]).input(jwe).limit(Duration::from_secs(20));
    let ended = program.run().failed_with(1);
    assert!(ended.took < Duration::from_secs(8), "it took {:?}", ended.took);
    for url in [silent.url(), hole.url()] {
        assert!(ended.said().contains(&url), "{url} is not named: {}", ended.said());
    }
}
