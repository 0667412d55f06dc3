//! What a peer may use up: time, connections.

use crate::client::request;
use crate::server::Server;
use keyserver::Limits;
use std::io::Write;
use std::time::Duration;

/// Long enough that an answer comes first even on a busy machine, short enough to wait for.
const SHORT: Duration = Duration::from_millis(500);

#[test]
fn a_connection_on_which_nothing_comes_is_closed() {
    let server = Server::with(Limits { head: SHORT, ..Limits::default() });
    assert!(server.connect().is_closed());
    assert_eq!(server.finish(), "", "and it is not worth a line");
}

#[test]
fn a_head_that_does_not_end_is_closed() {
    let server = Server::with(Limits { head: SHORT, ..Limits::default() });
    let mut client = server.connect();
    client.send("GET /adv HT");
    assert!(client.is_closed());
    let mut client = server.connect();
    assert_eq!(client.status("GET", "/adv", ""), 200);
    client.send("GET"); // the second request of a connection has no more time than the first
    assert!(client.is_closed());
    let log = server.finish();
    assert_eq!(log.matches("127.0.0.1 => closed (the head took longer than 0.5 s)").count(), 2, "{log}");
}

#[test]
fn a_head_is_not_kept_alive_by_single_bytes() {
    let server = Server::with(Limits { head: SHORT, ..Limits::default() });
    let mut client = server.connect();
    client.send("GET /adv HTTP/1.1\r\nX: ");
    // One byte whenever the server has not closed within a short while; this ends because the server ends it.
    client.0.get_ref().set_read_timeout(Some(SHORT / 10)).unwrap();
    let closed = || client.0.get_ref().peek(&mut [0]).is_ok_and(|read| read == 0);
    let mut sent = 0;
    while !closed() && client.0.get_ref().write_all(b"x").is_ok() {
        sent += 1;
        assert!(sent < 1000, "still open");
    }
}

#[test]
fn a_body_that_does_not_end_is_closed() {
    let server = Server::with(Limits { body: SHORT, ..Limits::default() });
    let mut client = server.connect();
    client.send("POST /rec/x HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n12345");
    assert!(client.is_closed());
    let log = server.finish();
    assert!(log.contains("closed (the body took longer than 0.5 s)"), "{log}");
}

#[test]
fn a_body_that_is_thrown_away_has_no_more_time_than_another() {
    let server = Server::with(Limits { body: SHORT, ..Limits::default() });
    let mut client = server.connect();
    client.send("POST /rec/x HTTP/1.1\r\nHost: test\r\nContent-Length: 70000\r\n\r\n12345");
    assert!(client.is_closed());
}

#[test]
fn an_idle_connection_is_closed() {
    let server = Server::with(Limits { idle: SHORT, ..Limits::default() });
    let mut client = server.connect();
    assert_eq!(client.status("GET", "/adv", ""), 200);
    assert!(client.is_closed());
    assert_eq!(server.finish().lines().count(), 1);
}

#[test]
fn a_client_that_does_not_read_is_closed() {
    let server = Server::with(Limits { answer: SHORT, ..Limits::default() });
    let mut client = server.connect();
    let many = request("GET", "/adv", "").repeat(1000);
    // Answers pile up in the network's buffers, then the server stops reading, then it loses patience.
    while client.0.get_mut().write_all(many.as_bytes()).is_ok() {}
    let log = server.finish();
    assert!(log.contains("closed (the reader of the answer took longer than 0.5 s)"), "{:.300}", log);
}

#[test]
fn the_connection_beyond_the_limit_waits_its_turn() {
    let server = Server::with(Limits { connections: 2, ..Limits::default() });
    let (mut one, mut two) = (server.connect(), server.connect());
    assert_eq!((one.status("GET", "/adv", ""), two.status("GET", "/adv", "")), (200, 200));
    let mut three = server.connect();
    three.send(request("GET", "/adv", ""));
    three.0.get_ref().set_read_timeout(Some(SHORT)).unwrap();
    assert!(three.0.get_ref().peek(&mut [0]).is_err(), "answered though two are open");
    three.0.get_ref().set_read_timeout(None).unwrap();
    drop(one);
    assert_eq!(three.answer().status, 200);
    let log = server.finish();
    assert!(log.contains("2 connections are open, as many as are permitted: the next ones wait"), "{log}");
}

#[test]
fn many_connections_at_once_are_all_answered() {
    let server = Server::start();
    let mut clients: Vec<_> = (0..200).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send(request("GET", "/adv", ""));
    }
    assert!(clients.iter_mut().all(|client| client.answer().status == 200));
}
