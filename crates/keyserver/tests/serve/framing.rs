//! What a request may look like on the wire, and what it may not.

use crate::answers::good_body;
use crate::client::request;
use crate::server::Server;
use rustix::net::sockopt::set_socket_send_buffer_size;
use std::net::Shutdown;

#[test]
fn a_connection_is_kept_whatever_the_status() {
    let server = Server::start();
    let mut client = server.connect();
    for (method, target, expected) in
        [("GET", "/adv", 200), ("POST", "/adv", 405), ("GET", "/x", 404), ("GET", "/adv", 200)]
    {
        assert_eq!(client.status(method, target, ""), expected);
    }
}

#[test]
fn requests_in_one_packet_are_answered_in_order() {
    let server = Server::start();
    let mut client = server.connect();
    let recover = format!("/rec/{}", server.keys.exchange);
    client
        .send([request("GET", "/adv", ""), request("POST", &recover, &good_body()), request("GET", "/x", "")].concat());
    assert_eq!([client.answer().status, client.answer().status, client.answer().status], [200, 200, 404]);
}

#[test]
fn a_request_in_single_bytes_is_answered() {
    let server = Server::start();
    let mut client = server.connect();
    for byte in request("POST", &format!("/rec/{}", server.keys.exchange), &good_body()).as_bytes() {
        client.send([*byte]);
    }
    assert_eq!(client.answer().status, 200);
}

#[test]
fn connection_close_is_obeyed() {
    let server = Server::start();
    let mut client = server.connect();
    client.send("GET /adv HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    assert_eq!(client.answer().status, 200);
    assert!(client.is_closed());
}

#[test]
fn http_1_0_gets_one_answer() {
    let server = Server::start();
    let mut client = server.connect();
    client.send("GET /adv HTTP/1.0\r\n\r\n");
    assert_eq!(client.answer().status, 200);
    assert!(client.is_closed());
}

#[test]
fn a_client_that_closes_its_sending_side_still_gets_the_answer() {
    let server = Server::start();
    let mut client = server.connect();
    client.send(request("POST", &format!("/rec/{}", server.keys.exchange), &good_body()));
    client.0.get_ref().shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.answer().status, 200);
    assert!(client.is_closed());
}

#[test]
fn a_chunked_body_is_a_body() {
    let server = Server::start();
    let mut client = server.connect();
    let body = good_body();
    let (one, two) = body.split_at(10);
    let chunks = format!("{:x}\r\n{one}\r\n{:x}\r\n{two}\r\n0\r\n\r\n", one.len(), two.len());
    let head =
        format!("POST /rec/{} HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n", server.keys.exchange);
    client.send(head + &chunks);
    assert_eq!(client.answer().status, 200);
    assert_eq!(client.status("GET", "/adv", ""), 200);
}

#[test]
fn a_client_that_asks_for_leave_gets_it() {
    let server = Server::start();
    let mut client = server.connect();
    let body = good_body();
    let target = &server.keys.exchange;
    let length = body.len();
    client.send(format!(
        "POST /rec/{target} HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n"
    ));
    assert_eq!(client.answer().status, 100);
    client.send(body);
    assert_eq!(client.answer().status, 200);
}

#[test]
fn targets_of_4096_bytes_are_414() {
    let server = Server::start();
    let mut client = server.connect();
    let target = |length: usize| format!("/adv/{}", "x".repeat(length - 5));
    assert_eq!(client.status("GET", &target(4095), ""), 404);
    assert_eq!(client.status("GET", &target(4096), ""), 414);
    assert_eq!(client.status("GET", &target(10_000), ""), 414);
    assert_eq!(client.status("GET", "/adv", ""), 200);
}

#[test]
fn bodies_of_65536_bytes_are_413() {
    let server = Server::start();
    let mut client = server.connect();
    assert_eq!(client.status("POST", "/rec/x", &"x".repeat(65_535)), 400);
    assert_eq!(client.status("POST", "/rec/x", &"x".repeat(65_536)), 413);
    assert_eq!(client.status("POST", "/rec/x", &"x".repeat(500_000)), 413);
    assert_eq!(client.status("GET", "/adv", ""), 200, "the connection is still good");
}

#[test]
fn a_chunked_body_of_65536_bytes_is_413() {
    let server = Server::start();
    let mut client = server.connect();
    let chunk = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
    for (chunks, expected) in [(15, 400), (16, 413), (40, 413)] {
        let body = format!("{}0\r\n\r\n", chunk.repeat(chunks));
        client.send(format!("POST /rec/x HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n{body}"));
        assert_eq!(client.answer().status, expected, "{chunks} chunks");
    }
    assert_eq!(client.status("GET", "/adv", ""), 200);
}

#[test]
fn a_declared_body_that_is_too_long_gets_no_leave() {
    let server = Server::start();
    let mut client = server.connect();
    client.send("POST /rec/x HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 65536\r\n\r\n");
    assert_eq!(client.answer().status, 413, "and not 100");
}

#[test]
fn broken_requests_end_the_connection() {
    let server = Server::start();
    let check = |bytes: &[u8], expected: Option<u16>| {
        let mut client = server.connect();
        client.send(bytes);
        let shown = String::from_utf8_lossy(bytes).chars().take(60).collect::<String>();
        assert_eq!(client.try_answer().map(|answer| answer.status), expected, "{shown}");
        if expected.is_some() {
            assert!(client.is_closed(), "{shown}");
        }
    };
    check(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", Some(400)); // a TLS client
    check(b"GET\r\n\r\n", Some(400));
    check(b"GET /adv\r\n\r\n", Some(400));
    check(b"GET /adv HTTP/1.1\r\nno colon\r\n\r\n", Some(400));
    check(b"GET /\xff HTTP/1.1\r\n\r\n", Some(400));
    check(b"POST /rec/x HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", Some(400));
    check(b"POST /rec/x HTTP/1.1\r\nContent-Length: -1\r\n\r\n", Some(400));
    check(b"POST /rec/x HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", Some(400));
    check(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", None);
    check(b"POST /rec/x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nno number\r\n", None);
    check(format!("GET /adv HTTP/1.1\r\nX: {}", "x".repeat(16 * 1024)).as_bytes(), Some(431));
    check(format!("GET /adv HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(200)).as_bytes(), Some(431));
}

#[test]
fn a_refusal_reaches_a_client_that_is_still_sending() {
    let server = Server::start();
    let refused = |bytes: &str| {
        let mut client = server.connect();
        // So that most of it is still to be sent when the server has seen enough.
        set_socket_send_buffer_size(client.0.get_ref(), 4096).unwrap();
        client.send(bytes);
        let status = client.answer().status;
        assert!(client.is_closed());
        status
    };
    for _ in 0..5 {
        assert_eq!(refused(&format!("GET /adv HTTP/1.1\r\nX: {}", "x".repeat(500_000))), 431);
        let length = 1_500_000;
        let head = format!("POST /rec/x HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\n\r\n");
        assert_eq!(refused(&(head + &"x".repeat(length))), 413);
    }
}

#[test]
fn a_body_that_breaks_off_gets_no_answer() {
    let server = Server::start();
    let mut client = server.connect();
    client.send("POST /rec/x HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n12345");
    client.0.get_ref().shutdown(Shutdown::Write).unwrap();
    assert!(client.is_closed());
    let log = server.finish();
    assert!(log.starts_with("127.0.0.1 POST /rec/x => closed ("), "{log}");
}

#[test]
fn a_connection_without_a_request_leaves_no_line() {
    let server = Server::start();
    drop(server.connect());
    assert_eq!(server.connect().status("GET", "/adv", ""), 200);
    assert_eq!(server.finish().lines().count(), 1);
}
