//! One connection at a time, as inetd starts a server; and listeners that somebody else opened.

use crate::answers::good_body;
use crate::client::{Client, request};
use crate::server::{Kept, Keys, options};
use keyserver::{Connection, Limits, Listener, Peer, Stop, StopHandle};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread::{self, JoinHandle};

struct One {
    keys: Keys,
    log: Kept,
    stop: StopHandle,
    thread: JoinHandle<()>,
}

fn serve_one(socket: impl Into<OwnedFd>, peer: Option<&str>) -> One {
    serve(Connection::from_fd(socket.into()).unwrap(), peer)
}

fn serve(connection: Connection, peer: Option<&str>) -> One {
    let keys = Keys::new();
    let log = Kept::default();
    let options = options(keys.path(), Limits::default(), &log);
    let peer = peer.map_or_else(|| connection.peer(), Peer::named);
    let (stop, stopped) = Stop::new();
    let thread = thread::spawn(move || keyserver::serve_one(connection, peer, options, stopped).unwrap());
    One { keys, log, stop, thread }
}

#[test]
fn one_tcp_connection_is_served_until_the_peer_closes_it() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = Client::new(TcpStream::connect(listener.local_addr().unwrap()).unwrap());
    let one = serve_one(listener.accept().unwrap().0, None);
    for _ in 0..3 {
        assert_eq!(client.status("GET", "/adv", ""), 200);
        assert_eq!(client.status("POST", &format!("/rec/{}", one.keys.exchange), &good_body()), 200);
    }
    drop(client);
    one.thread.join().unwrap();
    let log = one.log.text();
    assert_eq!(log.lines().count(), 6);
    assert!(log.lines().all(|line| line.starts_with("127.0.0.1 ")), "{log}");
}

#[test]
fn one_unix_connection_is_served_under_the_name_it_is_given() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let one = serve_one(theirs, Some("2001:db8::1"));
    let mut client = Client::new(ours);
    client.send(request("GET", "/adv", "").repeat(2));
    assert_eq!((client.answer().status, client.answer().status), (200, 200));
    drop(client);
    one.thread.join().unwrap();
    assert!(one.log.text().starts_with("2001:db8::1 GET /adv => 200 ("), "{}", one.log.text());
}

#[test]
fn a_pair_of_pipes_is_a_connection() {
    let ((input, mut to_server), (mut from_server, output)) = (std::io::pipe().unwrap(), std::io::pipe().unwrap());
    let one = serve(Connection::from_pipes(input.into(), output.into()), None);
    to_server.write_all(request("GET", "/adv", "").repeat(2).as_bytes()).unwrap();
    drop(to_server);
    let mut answers = String::new();
    from_server.read_to_string(&mut answers).unwrap();
    one.thread.join().unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200 OK\r\n").count(), 2, "{answers}");
    assert_eq!(one.log.text().lines().filter(|line| line.starts_with("<unknown> GET /adv => 200 (")).count(), 2);
}

#[test]
fn a_stop_ends_the_one_connection_too() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let one = serve_one(theirs, None);
    let mut client = Client::new(ours);
    assert_eq!(client.status("GET", "/adv", ""), 200);
    one.stop.stop();
    assert!(client.is_closed());
    one.thread.join().unwrap();
}

#[test]
fn inherited_listeners_are_served_together() {
    let keys = Keys::new();
    let room = tempfile::tempdir().unwrap();
    let path = room.path().join("socket");
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = tcp.local_addr().unwrap();
    let sockets: [OwnedFd; 2] = [tcp.into(), UnixListener::bind(&path).unwrap().into()];
    let listeners = sockets.map(|socket| Listener::from_fd(socket).unwrap()).into();
    let (stop, stopped) = Stop::new();
    let log = Kept::default();
    let limits = Limits { connections: 1, ..Limits::default() }; // a listener that waits takes nothing from another
    let options = options(keys.path(), limits, &log);
    let thread = thread::spawn(move || keyserver::run(listeners, options, stopped).unwrap());
    assert_eq!(Client::new(TcpStream::connect(address).unwrap()).status("GET", "/adv", ""), 200);
    assert_eq!(Client::new(UnixStream::connect(&path).unwrap()).status("GET", "/adv", ""), 200);
    stop.stop();
    thread.join().unwrap();
    let text = log.text();
    for expected in ["127.0.0.1 GET /adv => 200 (", "<unknown> GET /adv => 200 ("] {
        assert!(text.lines().any(|line| line.starts_with(expected)), "{text}");
    }
}
