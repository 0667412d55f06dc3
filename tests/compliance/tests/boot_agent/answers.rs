//! Who asks is answered, by what opens; a person who is faster wins.

use crate::{SOON, agent, alone, answered, ask, bound, question, said};
use compliance::front::{Authority, Front, LOOPBACK};
use compliance::program::Ended;
use compliance::server::free_port;
use compliance::{Curve, Disk, KeyDirectory, Maker, Server, Version};
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::{Duration, Instant};

#[test]
fn volumes_are_answered_by_what_the_original_has_bound() {
    let _alone = alone();
    let keys = KeyDirectory::new(Maker::Ours, Curve::P521);
    let server = Server::start(Maker::Theirs, &keys);
    let disks = Version::BOTH.map(|version| bound(version, &server.config()));
    let askers = [ask(&disks[0], "--timeout=30"), ask(&disks[1], "--timeout=30")];
    disks.iter().for_each(|disk| drop(question(disk)));
    let agent = agent(&disks[0], "root=/dev/x quiet").start();
    for (asker, disk) in askers.into_iter().zip(&disks) {
        assert!(disk.opens_with(&answered(asker)));
    }
    let said = said(agent);
    for disk in &disks {
        let about = |text: &str| said.contains(&format!("{}: {text}", disk.path().display()));
        assert!(about("keyslot 1 opens it") && about("answered systemd (ask."), "{said}");
    }
}

#[test]
fn a_server_that_is_late_is_waited_for() {
    let _alone = alone();
    let keys = KeyDirectory::new(Maker::Ours, Curve::P521);
    let port = free_port();
    let disk = bound(Version::Luks2, &Server::start_on(Maker::Ours, &keys, port).config());
    let asker = ask(&disk, "--timeout=30");
    question(&disk);
    let agent = agent(&disk, "").start();
    // Tries fail meanwhile, or the server is there for the first: both are to end well.
    std::thread::sleep(Duration::from_secs(1));
    let _server = Server::start_on(Maker::Ours, &keys, port);
    assert!(disk.opens_with(&answered(asker)));
    let said = said(agent);
    assert!(said.contains("not yet: ") && said.contains("opens it"), "{said}");
}

#[test]
fn a_person_who_is_faster_ends_the_search() {
    let _alone = alone();
    let keys = KeyDirectory::new(Maker::Ours, Curve::P521);
    let disk = bound(Version::Luks2, &Server::start(Maker::Ours, &keys).config());
    let asker = ask(&disk, "--timeout=30");
    let text = fs::read_to_string(question(&disk)).unwrap();
    let socket = text.lines().find_map(|line| line.strip_prefix("Socket=")).unwrap();
    let agent = agent(&disk, "").start();
    std::thread::sleep(Duration::from_millis(500));
    UnixDatagram::unbound().unwrap().send_to(b"+typed", Path::new(socket)).unwrap();
    assert_eq!(answered(asker), b"typed");
    let start = Instant::now();
    // The question goes with its asker; the agent sees it a moment later.
    std::thread::sleep(Duration::from_millis(500));
    let said = said(agent);
    assert!(said.contains("nobody asks any more"), "{said}");
    assert!(start.elapsed() < SOON);
}

#[test]
fn what_no_binding_opens_is_left_to_a_person() {
    let _alone = alone();
    let disk = Disk::of(Maker::Theirs, Version::Luks2);
    let asker = ask(&disk, "--timeout=2");
    question(&disk);
    let ended = agent(&disk, "").arg("--while-asked").limit(SOON).run().succeeded();
    assert!(ended.said().contains("stays closed: no keyslot is bound"), "{}", ended.said());
    // Nobody has answered.
    asker.wait().failed_with(1);
}

/// `ca` in the settings stands for the machine's own authorities, and for a file that an image does not have.
#[test]
fn a_server_of_a_private_authority_is_known_by_the_settings() {
    let _alone = alone();
    let keys = KeyDirectory::new(Maker::Ours, Curve::P521);
    let server = Server::start(Maker::Ours, &keys);
    let authority = Authority::new();
    let front = Front::start(&server, &authority.signs("keys", LOOPBACK, [2020, 2120]), None);
    let disk = Disk::of(Maker::Theirs, Version::Luks2);
    let copy = disk.beside("ca-of-the-machine.pem");
    fs::copy(authority.certificate(), &copy).unwrap();
    let config = format!(r#"{{"url":"{}","cacert":"{}"}}"#, front.url(), copy.display());
    disk.bind(Maker::Ours, "tang", &config);
    fs::remove_file(copy).unwrap();
    let agent = |authority: &Authority| {
        let settings = format!(r#"{{"network":"never","ca":"{}"}}"#, authority.certificate().display());
        fs::write(disk.beside("boot.json"), settings).unwrap();
        agent(&disk, "")
    };
    let asker = ask(&disk, "--timeout=30");
    question(&disk);
    let running = agent(&authority).start();
    assert!(disk.opens_with(&answered(asker)));
    drop(said(running));
    let asker = ask(&disk, "--timeout=2");
    question(&disk);
    let ended = agent(&Authority::new()).arg("--while-asked").limit(SOON).run().succeeded();
    assert!(ended.said().contains("invalid peer certificate"), "{}", ended.said());
    asker.wait().failed_with(1);
}

#[test]
fn where_somebody_may_reach_a_shell_nothing_is_given() {
    let _alone = alone();
    let disk = Disk::of(Maker::Theirs, Version::Luks2);
    disk.bind(Maker::Ours, "null", "{}");
    let refused = |line: &str| -> Ended {
        let asker = ask(&disk, "--timeout=1");
        question(&disk);
        let ended = agent(&disk, line).limit(SOON).run().succeeded();
        asker.wait().failed_with(1);
        ended
    };
    for line in ["init=/bin/sh", "quiet rescue", "rd.break", "systemd.unit=emergency.target"] {
        let said = refused(line).said();
        assert!(said.contains("nothing is opened without a person") && !said.contains("answered"), "{line}: {said}");
    }
}
