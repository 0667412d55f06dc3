//! Answers of servers, good, old and broken.

use crate::server::{After, answering, request, serve};
use crate::{client, get, post};
use clevis::NetError;
use std::io::Write;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// The answer to a `GET` comes back with this status and body.
fn check(answer: &'static [u8], after: After, status: u16, body: &str) {
    let (address, _) = answering(answer, after);
    let found = get(&client(), &format!("http://{address}/adv/")).unwrap();
    assert_eq!((found.status, String::from_utf8(found.body).unwrap().as_str()), (status, body));
}

fn refused(answer: &'static [u8], after: After) -> NetError {
    let (address, _) = answering(answer, after);
    get(&client(), &format!("http://{address}/adv/")).unwrap_err()
}

#[test]
fn an_answer_of_any_status_is_an_answer() {
    check(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/jose+json\r\nContent-Length: 2\r\n\r\n{}",
        After::Keep,
        200,
        "{}",
    );
    check(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", After::Keep, 404, "");
    check(b"HTTP/1.1 500 No\r\nContent-Length: 4\r\n\r\noops", After::Keep, 500, "oops");
    check(b"HTTP/1.1 204 \r\n\r\n", After::Keep, 204, "");
    check(b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n{}", After::Keep, 204, "");
    check(b"HTTP/1.1 304 Not Modified\r\n\r\n", After::Close, 304, "");
    check(b"HTTP/1.1 101 Switching Protocols\r\n\r\n", After::Close, 101, "");
    check(b"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", After::Keep, 200, "{}");
}

#[test]
fn redirects_are_not_followed() {
    let (elsewhere, asked) = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", After::Keep);
    let answer = format!("HTTP/1.1 302 Found\r\nLocation: http://{elsewhere}/adv/\r\nContent-Length: 0\r\n\r\n");
    check(answer.leak().as_bytes(), After::Keep, 302, "");
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

#[test]
fn old_servers_are_borne() {
    check(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}", After::Close, 200, "{}");
    check(b"HTTP/1.0 200 OK\r\n\r\n{}", After::Close, 200, "{}");
    check(b"HTTP/1.0 200 OK\n\n{}", After::Close, 200, "{}");
    check(b"HTTP/1.1 200 OK\nContent-Type: x\nContent-Length: 2\n\n{}", After::Keep, 200, "{}");
    check(b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\n{}", After::Keep, 200, "{}");
    check(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}", After::Close, 200, "{}");
    check(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
        After::Keep,
        200,
        "{}",
    );
}

#[test]
fn an_answer_may_come_in_pieces() {
    let (address, _) = serve(|mut stream, _| {
        request(&mut stream).unwrap();
        for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}" {
            stream.write_all(&[*byte]).unwrap();
            stream.set_nodelay(true).unwrap();
            thread::yield_now();
        }
    });
    assert_eq!(get(&client(), &format!("http://{address}/adv/")).unwrap().body, b"{}");
}

#[test]
fn rubbish_is_refused() {
    for rubbish in [
        &b"SSH-2.0-OpenSSH_9.2p1 Debian\r\n\r\n\r\n"[..],
        b"\x15\x03\x01\x00\x02\x02\x16",
        b"{}",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/1.1 099 Odd\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
        b"",
    ] {
        let error = refused(rubbish, After::Close);
        assert!(matches!(error, NetError::Broken { .. }), "{:?}: {error:?}", String::from_utf8_lossy(rubbish));
    }
}

#[test]
fn too_long_an_answer_is_refused() {
    let sending = |length: usize| {
        serve(move |mut stream, _| {
            request(&mut stream).unwrap();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
            // The client hangs up when it has seen enough.
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&vec![b'x'; length]));
        })
        .0
    };
    let longest = get(&client(), &format!("http://{}/", sending(clevis::LONGEST_ANSWER))).unwrap();
    assert_eq!(longest.body.len(), clevis::LONGEST_ANSWER);
    let error = get(&client(), &format!("http://{}/", sending(clevis::LONGEST_ANSWER + 1))).unwrap_err();
    assert!(matches!(error, NetError::TooLong), "{error:?}");
    let (endless, _) = serve(|mut stream, _| {
        request(&mut stream).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\n").unwrap();
        while stream.write_all(b"x: y\r\n").is_ok() {}
    });
    let error = get(&client(), &format!("http://{endless}/")).unwrap_err();
    assert!(matches!(error, NetError::Broken { .. }), "{error:?}");
}

#[test]
fn a_long_head_is_borne_and_a_longer_one_is_named() {
    let with_head = |length: usize, lines: usize| {
        let mut head = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n".to_owned();
        let each = (length - head.len() - 2) / lines;
        (1..lines).for_each(|_| head.push_str(&format!("x: {}\r\n", "y".repeat(each - 5))));
        let rest = length - head.len() - "x: \r\n\r\n".len();
        let head = format!("{head}x: {}\r\n\r\n{{}}", "y".repeat(rest));
        assert_eq!(head.len(), length + 2);
        let (address, _) = answering(head.leak().as_bytes(), After::Keep);
        get(&client(), &format!("http://{address}/adv/"))
    };
    for (length, lines) in [(20_000, 1), (20_000, 100), (64 << 10, 4)] {
        assert_eq!(with_head(length, lines).unwrap().body, b"{}", "{length} {lines}");
    }
    for length in [(64 << 10) + 1, 100_000, 1_000_000] {
        let error = with_head(length, 4).unwrap_err();
        assert!(matches!(error, NetError::HeadTooLong { limit: 65_536 }), "{length}: {error:?}");
    }
    let error = with_head(6_000, 300).unwrap_err();
    assert!(
        matches!(&error, NetError::Broken { source } if source.to_string().contains("too many headers")),
        "{error:?}"
    );
}

/// One connection more than are kept: the last one is among those.
#[test]
fn the_oldest_kept_connection_makes_room() {
    let servers: Vec<_> =
        (0..17).map(|_| answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", After::Keep)).collect();
    let client = client();
    let ask = |number: usize| {
        let (address, connections) = &servers[number];
        get(&client, &format!("http://{address}/adv/")).unwrap();
        connections.load(Ordering::SeqCst)
    };
    (0..17).for_each(|number| assert_eq!(ask(number), 1));
    assert_eq!(ask(16), 1, "the newest is kept");
    assert_eq!(ask(1), 1, "and the others");
    assert_eq!(ask(0), 2, "but for the oldest");
}

#[test]
fn requests_are_what_a_key_server_expects() {
    let (seen, requests) = mpsc::channel();
    let (address, connections) = serve(move |mut stream, _| {
        while let Some(bytes) = request(&mut stream) {
            seen.send(String::from_utf8(bytes).unwrap()).unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").unwrap();
        }
    });
    let client = client();
    get(&client, &format!("{address}/adv/")).unwrap();
    let request = requests.recv_timeout(Duration::from_secs(5)).unwrap();
    assert!(request.starts_with("GET /adv/ HTTP/1.1\r\n"), "{request}");
    assert!(request.to_ascii_lowercase().contains(&format!("\r\nhost: {address}\r\n")), "{request}");
    post(&client, &format!("http://user:p%40ss@{address}//rec/x"), b"{\"kty\":\"EC\"}").unwrap();
    let request = requests.recv_timeout(Duration::from_secs(5)).unwrap();
    assert!(request.starts_with("POST //rec/x HTTP/1.1\r\n"), "{request}");
    assert!(request.ends_with("\r\n\r\n{\"kty\":\"EC\"}"), "{request}");
    let head = request.to_ascii_lowercase();
    assert!(head.contains("\r\ncontent-type: application/jwk+json\r\n"), "{request}");
    assert!(head.contains("\r\ncontent-length: 12\r\n") && !head.contains("expect:"), "{request}");
    assert!(request.contains(": Basic dXNlcjpwQHNz\r\n"), "{request}");
    assert_eq!(connections.load(Ordering::SeqCst), 1, "the connection is used again");
}

#[test]
fn a_kept_connection_that_ended_is_replaced() {
    let (address, connections) = serve(|mut stream, number| {
        request(&mut stream).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").unwrap();
        if number == 0 {
            // The second request arrives, and the connection ends without an answer.
            request(&mut stream).unwrap();
        }
    });
    let (client, url) = (client(), format!("http://{address}/rec/x"));
    post(&client, &url, b"{}").unwrap();
    post(&client, &url, b"{}").unwrap();
    assert_eq!(connections.load(Ordering::SeqCst), 2);
}

#[test]
fn nobody_there_is_said_so() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = get(&client(), &format!("http://{free}/adv/")).unwrap_err();
    assert!(matches!(&error, NetError::Connect { address, .. } if *address == free.to_string()), "{error:?}");
    // A label may have 63 characters: the resolver refuses this name without asking anybody.
    let error = get(&client(), &format!("http://{}.invalid/adv/", "x".repeat(64))).unwrap_err();
    assert!(matches!(error, NetError::Resolve { .. }), "{error:?}");
    assert!(matches!(get(&client(), "ftp://127.0.0.1/").unwrap_err(), NetError::BadUrl { .. }));
}

#[test]
fn names_are_resolved() {
    let (address, _) = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", After::Keep);
    assert_eq!(get(&client(), &format!("localhost:{}/adv/", address.port())).unwrap().status, 200);
}

#[test]
fn an_address_may_name_its_interface() {
    let listener = std::net::TcpListener::bind("[::1]:0");
    let listener = listener.unwrap_or_else(|error| panic!("IPv6 on loopback is needed (`ip link set lo up`): {error}"));
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let head = String::from_utf8(request(&mut stream).unwrap()).unwrap().to_ascii_lowercase();
            assert!(
                head.contains(&format!("\r\nhost: [::1]:{port}\r\n")),
                "the zone is nobody else's business: {head}"
            );
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
        }
    });
    for zone in ["", "%25lo", "%lo", "%1", "%251"] {
        let answer = get(&client(), &format!("http://[::1{zone}]:{port}/adv/"));
        assert_eq!(answer.unwrap().status, 204, "{zone}");
    }
    let error = get(&client(), &format!("http://[::1%25no-such]:{port}/adv/")).unwrap_err();
    assert!(matches!(&error, NetError::Connect { address, .. } if address.contains("%no-such")), "{error:?}");
}

/// Answers with some of their bytes changed end in an answer or an error; a panic would end this test.
#[test]
fn no_answer_ends_in_a_panic() {
    const SEEDS: [&[u8]; 4] = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\nConnection: keep-alive\r\n\r\n{\"keys\":[1,2,3,4,5]}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\n12345\r\n0\r\nA: b\r\n\r\n",
        b"HTTP/1.0 302 Found\nLocation: /elsewhere\n\nbody",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n",
    ];
    let (address, _) = serve(|mut stream, number| {
        if request(&mut stream).is_some() {
            // A client that refuses the head does not wait for the rest.
            let _ = stream.write_all(&changed(SEEDS[number % SEEDS.len()], number));
        }
    });
    let client = client();
    let answers = (0..400).filter(|_| get(&client, &format!("http://{address}/adv/")).is_ok()).count();
    assert!((1..400).contains(&answers), "{answers} of 400 were answers");
}

/// `seed` with up to three bytes overwritten and perhaps cut short, as `number` has it.
fn changed(seed: &[u8], number: usize) -> Vec<u8> {
    // A linear congruential generator (Knuth, MMIX): the same bytes in every run.
    let mut state = u64::try_from(number).unwrap();
    let mut next = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    let mut bytes = seed.to_vec();
    for _ in 0..next(4) {
        let at = next(bytes.len());
        bytes[at] = b"\r\n :;0159fF\x00\xff-+GHT/"[next(21)];
    }
    if next(4) == 0 {
        bytes.truncate(next(seed.len()));
    }
    bytes
}
