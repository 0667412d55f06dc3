//! The key socket of crypttab: a caller has an answer in any case.

use crate::{alone, bound};
use compliance::program::cotter;
use compliance::{Curve, Disk, KeyDirectory, Maker, Server, Version};
use std::fs;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// As systemd-cryptsetup calls: bound to an address of its own that names the volume.
fn connected(listener: &SocketAddr, from: &[u8]) -> UnixStream {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, socket_with};
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
    if !from.is_empty() {
        bind(&socket, &SocketAddrUnix::new_abstract_name(from).unwrap()).unwrap();
    }
    let name = listener.as_abstract_name().unwrap();
    connect(&socket, &SocketAddrUnix::new_abstract_name(name).unwrap()).unwrap();
    UnixStream::from(socket)
}

/// What the caller gets, what is said, and how long it takes.
fn key_for(disk: &Disk, number: &str, volume: &str, words: &str) -> (Vec<u8>, String, Duration) {
    let (table, line) = (disk.beside("crypttab"), disk.beside("cmdline"));
    fs::write(&table, format!("data {} /run/cotter/key.sock luks\n", disk.path().display())).unwrap();
    fs::write(&line, words).unwrap();
    let address = SocketAddr::from_abstract_name(format!("cotter-test-{}-{number}", std::process::id())).unwrap();
    let listener = UnixListener::bind_addr(&address).unwrap();
    let mut caller = connected(&address, format!("{number}/cryptsetup/{volume}").as_bytes());
    let (served, _) = listener.accept().unwrap();
    let start = Instant::now();
    let mut command = Command::new(cotter());
    command.args(["boot", "key", "--timeout", "3", "--settings"]).arg(disk.beside("boot.json"));
    command.arg("--crypttab").arg(&table).arg("--command-line").arg(&line).stderr(Stdio::piped());
    let output: OwnedFd = served.try_clone().unwrap().into();
    let child = command.stdin(OwnedFd::from(served)).stdout(output).spawn().unwrap();
    drop(command);
    let mut key = Vec::new();
    caller.read_to_end(&mut key).unwrap();
    let took = start.elapsed();
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success());
    (key, String::from_utf8(ended.stderr).unwrap(), took)
}

#[test]
fn the_caller_has_the_key_of_the_volume_that_his_address_names() {
    let _alone = alone();
    let keys = KeyDirectory::new(Maker::Ours, Curve::P521);
    let server = Server::start(Maker::Theirs, &keys);
    for (version, number) in Version::BOTH.into_iter().zip(["00000000000000a1", "00000000000000a2"]) {
        let disk = bound(version, &server.config());
        let (key, said, _) = key_for(&disk, number, "data", "quiet");
        assert!(disk.opens_with(&key), "{said}");
        assert!(said.contains("opened: data by tang"), "{said}");
    }
}

#[test]
fn where_there_is_no_key_a_wrong_one_is_given_in_time() {
    let _alone = alone();
    let keys = KeyDirectory::new(Maker::Ours, Curve::P521);
    let server = Server::start(Maker::Theirs, &keys);
    let disk = bound(Version::Luks2, &server.config());
    let unbound = Disk::of(Maker::Theirs, Version::Luks2);
    drop(server);
    let mut seen = Vec::new();
    for (disk, number, volume, words) in [
        (&disk, "00000000000000b1", "data", ""),
        (&disk, "00000000000000b2", "other", ""),
        (&disk, "00000000000000b3", "data", "init=/bin/sh"),
        (&disk, "b4", "data", ""),
        (&unbound, "00000000000000b5", "data", ""),
    ] {
        let (key, said, took) = key_for(disk, number, volume, words);
        assert_eq!(key.len(), 32, "{number}: {said}");
        assert!(said.contains("a wrong key is given") && took < Duration::from_secs(15), "{number} {took:?}: {said}");
        assert!(!disk.opens_with(&key) && !seen.contains(&key));
        seen.push(key);
    }
}
