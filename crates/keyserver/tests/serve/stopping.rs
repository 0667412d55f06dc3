//! A clean stop: nobody new, everybody who has begun.

use crate::answers::good_body;
use crate::client::request;
use crate::server::Server;
use keyserver::Limits;
use std::net::TcpStream;
use std::time::{Duration, Instant};

#[test]
fn a_request_that_has_begun_is_answered_and_nobody_new_is_let_in() {
    let mut server = Server::start();
    let mut client = server.connect();
    assert_eq!(client.status("GET", "/adv", ""), 200);
    let whole = request("POST", &format!("/rec/{}", server.keys.exchange), &good_body());
    let (head, rest) = whole.split_at(whole.len() - 20);
    client.send(head);
    let mut idle = server.connect();
    assert_eq!(idle.status("GET", "/adv", ""), 200);

    server.stop.stop();
    assert!(idle.is_closed(), "nothing was under way there");
    while TcpStream::connect(server.address).is_ok() {} // ends with the listener; nobody is answered meanwhile
    client.send(rest);
    assert_eq!(client.answer().status, 200);
    assert!(client.is_closed());
    server.wait();
}

#[test]
fn a_request_sent_before_the_stop_is_answered() {
    for _ in 0..20 {
        let mut server = Server::start();
        let mut clients: Vec<_> = (0..20).map(|_| server.connect()).collect();
        for client in &mut clients {
            client.send(request("GET", "/adv", ""));
        }
        server.stop.stop(); // before most of them have even been accepted
        assert!(clients.iter_mut().all(|client| client.answer().status == 200));
        server.wait();
    }
}

#[test]
fn a_stop_does_not_wait_for_ever() {
    let mut server = Server::with(Limits { grace: Duration::from_millis(300), ..Limits::default() });
    let mut client = server.connect();
    assert_eq!(client.status("GET", "/adv", ""), 200);
    client.send("POST /rec/x HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n123");
    let mut other = server.connect();
    assert_eq!(other.status("GET", "/adv", ""), 200); // by now the half request has been read
    let begun = Instant::now();
    server.stop.stop();
    server.wait();
    assert!(begun.elapsed() < Limits::default().grace, "{:?}", begun.elapsed());
    assert!(client.is_closed());
    assert!(server.log.text().contains("stopped with 1 requests unfinished"), "{}", server.log.text());
}

#[test]
fn a_stop_before_the_start_is_a_stop() {
    let mut server = Server::start();
    server.stop.stop();
    server.stop.stop();
    server.wait();
}

#[test]
fn a_handle_that_is_gone_stops_nothing() {
    let keys = crate::server::Keys::new();
    let listener = keyserver::Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.address().unwrap();
    let options = crate::server::options(keys.path(), Limits::default(), &crate::server::Kept::default());
    let (handle, stop) = keyserver::Stop::new();
    let kept = handle.clone();
    let thread = std::thread::spawn(move || keyserver::run(vec![listener], options, stop));
    drop(handle);
    let mut client = crate::client::Client::new(TcpStream::connect(address).unwrap());
    assert_eq!(client.status("GET", "/adv", ""), 200);
    kept.stop();
    thread.join().unwrap().unwrap();
}
