//! The key directory: read again when it changes, never written, and without keys there is no service.

use crate::answers::good_body;
use crate::client::Client;
use crate::server::{Kept, Keys, Server, options, write_key};
use crypto::SystemRandom;
use crypto::ec::Curve;
use jose::Jwk;
use keyserver::{Limits, Listener, ServeError, Stop};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use std::collections::BTreeSet;
use std::error::Error;
use std::mem::MaybeUninit;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::{fs, iter};

fn exchange_key() -> Jwk {
    Jwk::exchange(Curve::P256, &SystemRandom).unwrap()
}

fn names(directory: &Path) -> BTreeSet<String> {
    fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Asks on two kept connections, which live in different threads where there are two.
fn check(clients: &mut [Client<TcpStream>; 2], thumbprint: &str, expected: u16, when: &str) {
    for client in clients {
        assert_eq!(client.status("POST", &format!("/rec/{thumbprint}"), &good_body()), expected, "{when}");
    }
}

#[test]
fn a_key_is_known_as_soon_as_its_rename_has_returned() {
    let server = Server::start();
    let mut clients = [server.connect(), server.connect()];
    let elsewhere = tempfile::tempdir().unwrap();
    let key = write_key(elsewhere.path(), exchange_key());
    let (outside, inside) = (elsewhere.path().join(format!("{key}.jwk")), server.keys.file(&key));
    for round in 0..50 {
        check(&mut clients, &key, 404, &format!("before round {round}"));
        fs::rename(&outside, &inside).unwrap();
        check(&mut clients, &key, 200, &format!("renamed in, round {round}"));
        fs::rename(&inside, &outside).unwrap();
    }
}

#[test]
fn a_rotated_key_is_served_but_not_advertised() {
    let server = Server::start();
    let mut client = server.connect();
    let before = client.ask("GET", "/adv", "").body;
    let (old, new) = (server.keys.exchange.clone(), write_key(server.keys.path(), exchange_key()));
    fs::rename(server.keys.file(&old), server.keys.path().join(format!(".{old}.jwk"))).unwrap();
    let after = client.ask("GET", "/adv", "").body;
    assert_ne!(before, after);
    let trust = tang::Trust::Thumbprint(server.keys.signing.clone());
    let advertised = tang::Advertisement::verify(&after, &trust).unwrap();
    assert_eq!(advertised.exchange_key().thumbprint().to_string(), new);
    for key in [old, new] {
        assert_eq!(client.status("POST", &format!("/rec/{key}"), &good_body()), 200);
    }
}

#[test]
fn a_directory_put_in_the_place_of_the_first_is_seen() {
    let mut keys = Keys::new();
    let (inner, aside) = (keys.path().join("keys"), keys.path().join("aside"));
    fs::create_dir(&inner).unwrap();
    for name in [keys.file(&keys.signing), keys.file(&keys.exchange)] {
        fs::rename(&name, inner.join(name.file_name().unwrap())).unwrap();
    }
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.address().unwrap();
    let (stop, stopped) = Stop::new();
    let options = options(&inner, Limits::default(), &Kept::default());
    let thread = std::thread::spawn(move || keyserver::run(vec![listener], options, stopped));
    let mut clients = [0, 1].map(|_| Client::new(TcpStream::connect(address).unwrap()));
    check(&mut clients, &keys.exchange, 200, "at first");

    fs::rename(&inner, &aside).unwrap();
    check(&mut clients, &keys.exchange, 500, "without a directory");
    fs::create_dir(&inner).unwrap();
    check(&mut clients, &keys.exchange, 500, "with an empty one");
    write_key(&inner, Jwk::signing(Curve::P256, &SystemRandom).unwrap());
    let new = write_key(&inner, exchange_key());
    check(&mut clients, &keys.exchange, 404, "with new keys");
    check(&mut clients, &new, 200, "with new keys");
    fs::remove_dir_all(&inner).unwrap();
    fs::rename(&aside, &inner).unwrap();
    check(&mut clients, &keys.exchange, 200, "with the first one back");

    stop.stop();
    thread.join().unwrap().unwrap();
    keys.exchange.clear();
}

/// While it is not: 500 for what needs keys, the same answer as ever for what does not, and a line that names the file.
#[test]
fn an_unreadable_key_stops_the_service_until_it_is_readable() {
    let server = Server::start();
    let mut client = server.connect();
    let recover = format!("/rec/{}", server.keys.exchange);
    fs::write(server.keys.path().join("new.jwk"), "{\"kty\":").unwrap();
    assert_eq!(client.status("GET", "/adv", ""), 500);
    assert_eq!(client.status("POST", &recover, &good_body()), 500);
    assert_eq!(client.status("POST", &recover, "no JSON"), 400);
    assert_eq!(client.status("GET", "/x", ""), 404);
    fs::write(server.keys.path().join("new.jwk"), exchange_key().private_json().as_bytes()).unwrap();
    assert_eq!(client.status("GET", "/adv", ""), 200);

    fs::create_dir(server.keys.path().join("dir.jwk")).unwrap();
    assert_eq!(client.status("GET", "/adv", ""), 500);
    fs::remove_dir(server.keys.path().join("dir.jwk")).unwrap();
    fs::write(server.keys.path().join("long.jwk"), vec![b' '; 70_000]).unwrap();
    assert_eq!(client.status("GET", "/adv", ""), 500);
    fs::remove_file(server.keys.path().join("long.jwk")).unwrap();
    fs::write(server.keys.path().join("not-a-key.txt"), "anything").unwrap();
    assert_eq!(client.status("GET", "/adv", ""), 200);

    let log = server.finish();
    let refused: Vec<&str> = log.lines().filter(|line| line.contains(" => 500 (")).collect();
    assert_eq!(refused.len(), 4, "{log}");
    for (line, name) in refused.iter().zip(["new.jwk", "new.jwk", "dir.jwk", "long.jwk"]) {
        assert!(line.contains(name), "{line}");
    }
}

/// Everything that opens or reads `directory` or a file in it, from now on.
struct Reads(OwnedFd);

impl Reads {
    fn of(directory: &Path) -> Reads {
        let events = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).unwrap();
        inotify::add_watch(&events, directory, WatchFlags::OPEN | WatchFlags::ACCESS).unwrap();
        Reads(events)
    }

    /// How many there were since this was last asked.
    fn count(&self) -> usize {
        let mut room = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(&self.0, &mut room);
        iter::from_fn(|| events.next().map(|_| ()).ok()).count()
    }
}

/// Whoever knows no key must not be able to keep the disk busy.
#[test]
fn what_needs_no_keys_reads_none_however_bad_they_are() {
    let server = Server::start();
    let mut client = server.connect();
    let reads = Reads::of(server.keys.path());
    fs::create_dir(server.keys.path().join("zz.jwk")).unwrap();
    for (method, target, expected) in [("GET", "/nothing", 404), ("POST", "/adv", 405), ("GET", "/rec/x", 405)] {
        assert_eq!(client.status(method, target, ""), expected);
        assert_eq!(reads.count(), 0, "{method} {target}");
    }
    assert_eq!(client.status("GET", "/adv", ""), 500);
    assert_ne!(reads.count(), 0, "a reading is counted");
}

#[test]
fn serving_makes_no_key() {
    let server = Server::start();
    let mut client = server.connect();
    let (signing, exchange) = (server.keys.file(&server.keys.signing), server.keys.file(&server.keys.exchange));
    fs::remove_file(signing).unwrap();
    fs::remove_file(exchange).unwrap();
    assert_eq!(client.status("GET", "/adv", ""), 500);
    assert_eq!(client.status("POST", "/rec/x", &good_body()), 500);
    assert_eq!(names(server.keys.path()), BTreeSet::new());
}

/// Starts a server on `directory`, which must fail; nothing is made there.
fn refusal(directory: &Path) -> ServeError {
    let before = directory.is_dir().then(|| names(directory));
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let options = options(directory, Limits::default(), &Kept::default());
    let error = keyserver::run(vec![listener], options, Stop::new().1).unwrap_err();
    assert_eq!(directory.is_dir().then(|| names(directory)), before);
    error
}

#[test]
fn without_a_visible_pair_there_is_no_server() {
    let check = |directory: &Path| {
        let error = refusal(directory);
        assert!(error.hint().contains(&format!("`cotter keys init {}`", directory.display())), "{}", error.hint());
    };
    let room = tempfile::tempdir().unwrap();
    check(&room.path().join("missing"));
    check(room.path());
    write_key(room.path(), exchange_key());
    check(room.path());
    let keys = Keys::new();
    fs::rename(keys.file(&keys.exchange), keys.path().join(".hidden.jwk")).unwrap();
    check(keys.path());
}

#[test]
fn with_an_unreadable_key_there_is_no_server_and_the_file_is_named() {
    let keys = Keys::new();
    fs::write(keys.path().join(".old.jwk"), "").unwrap();
    let error = refusal(keys.path());
    assert!(error.source().unwrap().to_string().contains(".old.jwk"), "{error:?}");
    assert!(error.hint().contains(".old.jwk"), "{}", error.hint());
}

#[test]
fn without_a_listener_there_is_no_server() {
    let keys = Keys::new();
    let options = options(keys.path(), Limits::default(), &Kept::default());
    assert!(matches!(keyserver::run(Vec::new(), options, Stop::new().1), Err(ServeError::NoListener)));
}
