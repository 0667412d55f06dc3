//! Proxies named by the environment.

use crate::get;
use crate::server::{request, serve};
use crate::tls::{Peer, accept};
use clevis::{NetError, TlsSettings};
use linux::Client;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

/// A client with one proxy variable.
fn through(variable: &'static str, value: String) -> Client {
    Client::with_variables(move |name| (name == variable).then(|| value.clone()))
}

/// A proxy that answers for the servers itself, and tells what it was asked.
fn proxy(answer: &'static [u8]) -> (SocketAddr, Receiver<String>) {
    let (seen, requests) = mpsc::channel();
    let (address, _) = serve(move |mut stream, _| {
        while let Some(bytes) = request(&mut stream) {
            seen.send(String::from_utf8(bytes).unwrap()).unwrap();
            stream.write_all(answer).unwrap();
        }
    });
    (address, requests)
}

fn next(requests: &Receiver<String>) -> String {
    requests.recv_timeout(Duration::from_secs(5)).unwrap()
}

#[test]
fn a_plain_request_goes_to_the_proxy_whole() {
    let (address, requests) = proxy(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
    let client = through("http_proxy", format!("http://me:secret@{address}"));
    // The name is for the proxy to resolve.
    for _ in 0..2 {
        assert_eq!(get(&client, "http://tang.invalid/adv/").unwrap().body, b"{}");
        let request = next(&requests);
        assert!(request.starts_with("GET http://tang.invalid:80/adv/ HTTP/1.1\r\n"), "{request}");
        assert!(request.contains("Basic bWU6c2VjcmV0\r\n"), "{request}");
        assert!(request.to_ascii_lowercase().contains("\r\nhost: tang.invalid\r\n"), "{request}");
    }
}

#[test]
fn tls_goes_through_a_tunnel() {
    let peer = Peer::new();
    let (settings, behind) = (peer.server_settings(None), peer.files());
    let (seen, requests) = mpsc::channel();
    let (address, _) = serve(move |mut stream, _| {
        seen.send(String::from_utf8(request(&mut stream).unwrap()).unwrap()).unwrap();
        stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").unwrap();
        accept(stream, &settings);
    });
    let client = through("https_proxy", address.to_string());
    let tls = TlsSettings { cacert: Some(behind), ..TlsSettings::default() };
    assert_eq!(crate::get_with(&client, "https://localhost:4433/adv/", &tls).unwrap().body, b"{}");
    assert!(next(&requests).starts_with("CONNECT localhost:4433 HTTP/1.1\r\n"));
}

#[test]
fn socks_carries_both() {
    let servers = Peer::new();
    let tls = servers.server_settings(None);
    let (address, _) = serve(move |mut stream, number| {
        let mut greeting = [0; 3];
        stream.read_exact(&mut greeting).unwrap();
        stream.write_all(&[5, 0]).unwrap();
        // Version, command, reserved, a name of 9 characters, a port.
        let mut asked = [0; 4 + 1 + 9 + 2];
        stream.read_exact(&mut asked).unwrap();
        assert_eq!(&asked[5..14], b"localhost");
        stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
        if number > 0 {
            return accept(stream, &tls);
        }
        let request = String::from_utf8(request(&mut stream).unwrap()).unwrap();
        assert!(request.starts_with("GET /adv/ HTTP/1.1\r\n"), "{request}");
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").unwrap();
    });
    let client = through("all_proxy", format!("socks5h://{address}"));
    assert_eq!(get(&client, "http://localhost:9/adv/").unwrap().body, b"{}");
    let files = TlsSettings { cacert: Some(servers.files()), ..TlsSettings::default() };
    assert_eq!(crate::get_with(&client, "https://localhost:9/adv/", &files).unwrap().body, b"{}");
}

#[test]
fn a_proxy_that_refuses_is_the_reason() {
    let (address, _requests) = proxy(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    let error = get(&through("HTTPS_PROXY", address.to_string()), "https://tang.invalid/adv/").unwrap_err();
    assert!(matches!(&error, NetError::Proxy { variable: "HTTPS_PROXY", .. }), "{error:?}");
    assert_eq!(get(&through("http_proxy", address.to_string()), "http://tang.invalid/adv/").unwrap().status, 403);
}
