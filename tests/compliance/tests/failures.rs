//! A bind that fails leaves the disk byte for byte as it was, whatever made it fail and whenever.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test stops where it stands")]

use compliance::quiet::Silent;
use compliance::{Curve, Disk, KeyDirectory, Maker, Program, Server};
use std::time::Duration;

/// Runs one bind that must fail with `code`, and compares every byte.
#[track_caller]
fn assert_untouched(disk: &Disk, program: Program, code: i32) -> String {
    let before = disk.bytes();
    let ended = program.run().failed_with(code);
    assert!(disk.bytes() == before, "a failed bind changed the disk; it said: {}", ended.said());
    ended.said()
}

fn bind(disk: &Disk, pin: &str, config: &str) -> Program {
    disk.bind_program(Maker::Ours, pin, config)
}

#[test]
fn a_dead_server_changes_nothing() {
    let disk = Disk::formatted(Maker::Theirs);
    let keys = KeyDirectory::new(Maker::Theirs, Curve::P521);
    let server = Server::start(Maker::Theirs, &keys);
    let config = server.config();
    let url = server.url();
    drop(server);
    let said = assert_untouched(&disk, bind(&disk, "tang", &config), 1);
    assert!(said.contains(&url), "the server is not named: {said}");
}

#[test]
fn a_wrong_passphrase_changes_nothing() {
    let disk = Disk::formatted(Maker::Theirs);
    let keys = KeyDirectory::new(Maker::Theirs, Curve::P521);
    let server = Server::start(Maker::Theirs, &keys);
    std::fs::write(disk.passphrase_file(), "wrong").unwrap();
    assert_untouched(&disk, bind(&disk, "tang", &server.config()), 1);
}

#[test]
fn a_bad_configuration_changes_nothing() {
    let disk = Disk::formatted(Maker::Theirs);
    let url = r#""url":"http://127.0.0.1:1""#;
    let configs = [
        ("tang", "{".to_owned()),
        ("tang", "[]".to_owned()),
        ("tang", "{}".to_owned()),
        ("tang", r#"{"url":1}"#.to_owned()),
        ("tang", format!("{{{url},{url}}}")),
        ("tang", format!(r#"{{{url},"thumbprint":"a misspelt member"}}"#)),
        ("tang", format!(r#"{{{url},"adv":{{"payload":"e30"}}}}"#)),
        ("sss", r#"{"t":2,"pins":{"tang":[{"url":"http://127.0.0.1:1"}]}}"#.to_owned()),
        ("sss", r#"{"t":"1","pins":{}}"#.to_owned()),
        ("no-such-pin", "{}".to_owned()),
    ];
    for (pin, config) in configs {
        let before = disk.bytes();
        let ended = bind(&disk, pin, &config).run();
        assert!(matches!(ended.status.code(), Some(1 | 2)), "{pin} {config}: {}", ended.status);
        assert!(!ended.said().is_empty() && !ended.said().contains("panicked"), "{pin} {config}: {}", ended.said());
        assert!(disk.bytes() == before, "{pin} {config} changed the disk");
    }
}

#[test]
fn a_slot_in_use_changes_nothing() {
    let disk = Disk::formatted(Maker::Theirs);
    let keys = KeyDirectory::new(Maker::Theirs, Curve::P521);
    let server = Server::start(Maker::Theirs, &keys);
    assert_untouched(&disk, bind(&disk, "tang", &server.config()).args(["-s", "0"]), 1);
}

#[test]
fn something_that_is_no_luks_changes_nothing() {
    let disk = Disk::blank(1 << 20);
    assert_untouched(&disk, bind(&disk, "null", "{}"), 1);
    let cut = Disk::formatted(Maker::Theirs);
    std::fs::File::options().write(true).open(cut.path()).unwrap().set_len(5000).unwrap();
    assert_untouched(&cut, bind(&cut, "null", "{}"), 1);
}

/// The plan can be looked at without being carried out.
#[test]
fn a_dry_run_changes_nothing() {
    let disk = Disk::formatted(Maker::Theirs);
    let keys = KeyDirectory::new(Maker::Theirs, Curve::P521);
    let server = Server::start(Maker::Theirs, &keys);
    let before = disk.bytes();
    let plan = bind(&disk, "tang", &server.config()).arg("--dry-run").succeed();
    let told = plan.text() + &plan.said();
    assert!(
        told.contains("keyslot 1") && told.contains("token 0"),
        "a plan that does not say what it would do: {told}"
    );
    assert!(disk.bytes() == before, "a dry run changed the disk");
}

/// Ctrl-C while the server is waited for.
#[test]
fn an_interrupt_while_waiting_changes_nothing() {
    let disk = Disk::formatted(Maker::Theirs);
    let silent = Silent::start();
    let before = disk.bytes();
    let running = bind(&disk, "tang", &format!(r#"{{"url":"{}"}}"#, silent.url())).start();
    std::thread::sleep(Duration::from_millis(700));
    running.interrupt();
    let ended = running.wait();
    assert!(!ended.status.success());
    assert!(ended.took < Duration::from_secs(10), "an interrupt was not noticed for {:?}", ended.took);
    assert!(disk.bytes() == before, "an interrupted bind changed the disk");
}

/// Ctrl-C at any moment: the disk is as it was, or bound and whole; never anything between.
#[test]
fn an_interrupt_at_any_moment_leaves_a_whole_disk() {
    let keys = KeyDirectory::new(Maker::Theirs, Curve::P521);
    let server = Server::start(Maker::Theirs, &keys);
    let mut interrupted = 0;
    for wait_ms in [1, 5, 10, 20, 30, 40, 50, 65, 80, 100, 130, 170, 220, 300] {
        let disk = Disk::formatted(Maker::Theirs);
        let before = disk.bytes();
        let running = bind(&disk, "tang", &server.config()).start();
        std::thread::sleep(Duration::from_millis(wait_ms));
        running.interrupt();
        let ended = running.wait();
        if ended.status.success() {
            assert!(disk.opens_with(&disk.pass(Maker::Theirs, "1")), "bound after {wait_ms} ms, but it does not open");
        } else {
            interrupted += 1;
            assert!(disk.bytes() == before, "interrupted after {wait_ms} ms: changed; it said: {}", ended.said());
        }
    }
    assert!(interrupted > 0, "no interrupt came in time to prove anything");
}

/// A server that answers the binding but cannot give the secret back must not end up in a header.
#[test]
fn a_server_that_cannot_recover_is_not_bound_to() {
    let disk = Disk::formatted(Maker::Theirs);
    let keys = KeyDirectory::new(Maker::Theirs, Curve::P521);
    let server = Server::start(Maker::Theirs, &keys);
    let advertisement = server.fetch("/adv");
    let mut answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", advertisement.len()).into_bytes();
    answer.extend(advertisement);
    // It gives the true advertisement to every question, also to the one for the secret.
    let parrot = compliance::server::Parrot::start(answer);
    assert_untouched(&disk, bind(&disk, "tang", &format!(r#"{{"url":"{}"}}"#, parrot.url())), 1);
}
