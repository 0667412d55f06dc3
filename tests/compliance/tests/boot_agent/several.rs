//! Several volumes at once, over one connection to a server; secrets that are there before anybody asks; what is not expected stays closed.

use crate::{SOON, agent, alone, answered, ask, bound, question, said};
use compliance::{Curve, Disk, KeyDirectory, Maker, Program, Server, Version};
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

/// What the agent leaves for the next stage.
fn handed_over(disk: &Disk) -> serde_json::Value {
    serde_json::from_slice(&fs::read(disk.beside("run").join("boot.json")).unwrap()).unwrap()
}

/// Passes connections on, and counts them.
fn counting(to: u16) -> (u16, std::sync::Arc<std::sync::atomic::AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let count = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = count.clone();
    std::thread::spawn(move || {
        for near in listener.incoming() {
            let Ok(near) = near else { return };
            counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let far = TcpStream::connect(("127.0.0.1", to)).unwrap();
            for (mut from, mut to) in [(near.try_clone().unwrap(), far.try_clone().unwrap()), (far, near)] {
                std::thread::spawn(move || drop(std::io::copy(&mut from, &mut to)));
            }
        }
    });
    (port, count)
}

#[test]
fn many_volumes_share_a_connection_and_each_is_told_with_what_opened_it() {
    let _alone = alone();
    let keys = KeyDirectory::new(Maker::Ours, Curve::P521);
    let server = Server::start(Maker::Ours, &keys);
    let (port, count) = counting(server.port());
    let config = format!(r#"{{"url":"http://127.0.0.1:{port}","adv":"{}"}}"#, adv(&server));
    let disks: Vec<Disk> = (0..4).map(|_| bound(Version::Luks2, &config)).collect();
    let before = count.load(std::sync::atomic::Ordering::SeqCst);
    let askers: Vec<_> = disks.iter().map(|disk| ask(disk, "--timeout=30")).collect();
    disks.iter().for_each(|disk| drop(question(disk)));
    let agent = agent(&disks[0], "").start();
    for (asker, disk) in askers.into_iter().zip(&disks) {
        assert!(disk.opens_with(&answered(asker)));
    }
    let start = Instant::now();
    while handed_over(&disks[0])["opened"].as_array().unwrap().len() < disks.len() {
        assert!(start.elapsed() < SOON, "not all are written down");
        std::thread::sleep(Duration::from_millis(20));
    }
    let said = said(agent);
    assert_eq!(count.load(std::sync::atomic::Ordering::SeqCst) - before, 1, "one connection: {said}");
    for disk in &disks {
        let line = format!("opened: {} by tang http://127.0.0.1:{port} (keyslot 1) ", disk.path().display());
        assert!(said.contains(&line) && said.contains("s after the start of the machine"), "{said}");
    }
    let text = fs::read_to_string(disks[0].beside("run").join("boot.json")).unwrap();
    let secret = String::from_utf8(disks[0].pass(Maker::Theirs, "1")).unwrap();
    assert!(text.contains(&disks[0].uuid()) && !text.contains(secret.trim()), "{text}");
}

/// The keys of a server in a file, so that a binding may name another way to it.
fn adv(server: &Server) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), server.fetch("/adv")).unwrap();
    file.into_temp_path().keep().unwrap().display().to_string()
}

#[test]
fn what_the_table_names_is_fetched_before_anybody_asks_and_key_scripts_are_left_alone() {
    let _alone = alone();
    let keys = KeyDirectory::new(Maker::Ours, Curve::P521);
    let server = Server::start(Maker::Ours, &keys);
    let (ours, scripted) = (bound(Version::Luks2, &server.config()), bound(Version::Luks1, &server.config()));
    let table = ours.beside("crypttab");
    let line = |name: &str, disk: &Disk, rest: &str| format!("{name} {} none luks{rest}\n", disk.path().display());
    let text = format!("{}broken\n{}", line("a", &ours, ",discard"), line("b", &scripted, ",keyscript=/bin/x"));
    fs::write(&table, text).unwrap();
    let mut running = agent(&ours, "").arg("--crypttab").arg(&table).start();
    let start = Instant::now();
    while server.log().matches("/rec/").count() == 0 {
        assert!(running.is_alive() && start.elapsed() < SOON);
        std::thread::sleep(Duration::from_millis(20));
    }
    let asker = ask(&ours, "--timeout=30");
    assert!(ours.opens_with(&answered(asker)));
    let said = said(running);
    assert!(said.contains("line 2: ") && said.contains("the line is passed over"), "{said}");
    assert!(!said.contains(&scripted.path().display().to_string()), "{said}");
}

#[test]
fn a_silent_first_server_costs_no_more_than_the_other_takes() {
    let _alone = alone();
    let keys = KeyDirectory::new(Maker::Ours, Curve::P521);
    let server = Server::start(Maker::Ours, &keys);
    // Its queue is never emptied, and nothing is ever answered.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let adv = adv(&server);
    let config = format!(
        r#"{{"t":1,"pins":{{"tang":[{{"url":"http://127.0.0.1:{port}","adv":"{adv}"}},{{"url":"{}","adv":"{adv}"}}]}}}}"#,
        server.url()
    );
    let disk = Disk::of(Maker::Theirs, Version::Luks2);
    disk.bind(Maker::Theirs, "sss", &config);
    let asker = ask(&disk, "--timeout=30");
    question(&disk);
    let start = Instant::now();
    let agent = agent(&disk, "").start();
    assert!(disk.opens_with(&answered(asker)));
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}: {}", start.elapsed(), said(agent));
}

#[test]
fn a_volume_that_is_not_expected_is_left_to_a_person() {
    let _alone = alone();
    let (expected, other) = (Disk::of(Maker::Theirs, Version::Luks2), Disk::of(Maker::Theirs, Version::Luks2));
    for disk in [&expected, &other] {
        disk.bind(Maker::Ours, "null", "{}");
    }
    let list = expected.beside("volumes.json");
    let program = Program::cotter().args(["luks", "identity", "--add"]).arg(&list).arg("-d").arg(expected.path());
    program.arg("-k").arg(expected.passphrase_file()).run().succeeded();
    let agent = |disk: &Disk| agent(disk, "").arg("--expect").arg(&list).arg("--while-asked").limit(SOON);
    let asker = ask(&other, "--timeout=2");
    question(&other);
    let words = agent(&other).run().succeeded().said();
    assert!(words.contains("stays closed") && words.contains("none of those that are expected"), "{words}");
    asker.wait().failed_with(1);
    let asker = ask(&expected, "--timeout=30");
    question(&expected);
    let running = agent(&expected).start();
    assert!(expected.opens_with(&answered(asker)));
    running.wait().succeeded();
}

/// Answers that systemd has cached are tried by it on the next volume first; a wrong one is followed by another question, which is answered.
#[test]
fn a_cached_answer_of_another_volume_does_not_keep_one_from_its_own() {
    let _alone = alone();
    let disks = Version::BOTH.map(|version| {
        let disk = Disk::of(Maker::Theirs, version);
        disk.bind(Maker::Ours, "null", "{}");
        disk
    });
    let running = agent(&disks[0], "").start();
    let cached = |disk: &Disk, more: &[&str]| {
        let id = format!("--id=cryptsetup:{}", disk.path().display());
        let keyname = format!("--keyname=cotter-test-{}", std::process::id());
        let program = Program::new("systemd-ask-password").args(["--no-tty", "--timeout=30", &keyname, &id]);
        program.args(more).arg("Please enter passphrase for disk x:").start()
    };
    fs::create_dir_all(Path::new(crate::QUESTIONS)).unwrap();
    let first = answered(cached(&disks[0], &[]));
    assert!(disks[0].opens_with(&first));
    // As systemd-cryptsetup does: cached answers first, and without them once they were wrong.
    let mut second = answered(cached(&disks[1], &["--accept-cached"]));
    if !disks[1].opens_with(&second) {
        second = answered(cached(&disks[1], &[]));
    }
    assert!(disks[1].opens_with(&second), "{}", said(running));
}
