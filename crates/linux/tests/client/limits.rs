//! Deadlines and cancels, at every stage of an exchange.

use crate::server::{request, serve};
use crate::{AMPLE, client, post};
use clevis::{Cancel, HttpRequest, HttpResponse, Method, Net, NetError, TlsSettings};
use linux::deadline_after;
use rustix::net::{AddressFamily, SocketType, bind, listen, socket};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

const SHORT: Duration = Duration::from_millis(150);

/// Far more than a wait may last after its end, far less than any other limit here.
const GENEROUS: Duration = Duration::from_secs(5);

fn exchange(url: &str, body: &[u8], limit: Duration, cancel: &Cancel) -> Result<HttpResponse, NetError> {
    let tls = TlsSettings::default();
    let request = HttpRequest { method: Method::Post, url, content_type: None, body, tls: &tls, unseal: None };
    client().exchange(&request, deadline_after(limit), cancel)
}

/// The exchange ends at its deadline, and ends at a cancel, wherever it is then.
fn check(url: &str, body: &[u8]) {
    let start = Instant::now();
    let error = exchange(url, body, SHORT, &Cancel::new()).unwrap_err();
    assert!(matches!(error, NetError::TimedOut { .. }), "{error:?}");
    assert!(start.elapsed() >= SHORT && start.elapsed() < SHORT + GENEROUS, "{:?}", start.elapsed());

    let cancel = Cancel::new();
    let (from_above, url, body) = (cancel.child(), url.to_owned(), body.to_vec());
    let waiting = thread::spawn(move || exchange(&url, &body, AMPLE, &from_above).map_err(|e| (e, Instant::now())));
    thread::sleep(SHORT);
    let start = Instant::now();
    cancel.cancel();
    let (error, end) = waiting.join().unwrap().unwrap_err();
    assert!(matches!(error, NetError::Cancelled), "{error:?}");
    assert!(end - start < GENEROUS, "{:?}", end - start);
}

/// A listener whose queue is full: connections to it get no answer at all, as from a host that is not there.
fn black_hole() -> (SocketAddr, Vec<TcpStream>, TcpListener) {
    let queue = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&queue, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    listen(&queue, 0).unwrap();
    let listener = TcpListener::from(queue);
    let address = listener.local_addr().unwrap();
    let mut filling = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, SHORT) {
        filling.push(stream);
    }
    (address, filling, listener)
}

#[test]
fn a_black_hole() {
    let (address, _filling, _listener) = black_hole();
    check(&format!("http://{address}/rec/x"), b"{}");
}

#[test]
fn a_silent_server() {
    let (address, _) = serve(|mut stream, _| while request(&mut stream).is_some() {});
    check(&format!("http://{address}/rec/x"), b"{}");
}

#[test]
fn a_silent_server_that_should_speak_tls() {
    let (address, _) = serve(|mut stream, _| while request(&mut stream).is_some() {});
    check(&format!("https://{address}/rec/x"), b"{}");
}

#[test]
fn a_server_that_does_not_read() {
    let (hold, held) = mpsc::channel::<()>();
    let held = std::sync::Mutex::new(held);
    let (address, _) = serve(move |_stream, _| assert!(held.lock().unwrap().recv().is_err()));
    check(&format!("http://{address}/rec/x"), &vec![b'x'; 32 << 20]);
    drop(hold);
}

#[test]
fn a_slow_drip() {
    let dripping = |head: &'static [u8], drop: &'static [u8]| {
        serve(move |mut stream, _| {
            request(&mut stream);
            let mut alive = stream.write_all(head).is_ok();
            while alive {
                thread::sleep(Duration::from_millis(5));
                alive = stream.write_all(drop).is_ok();
            }
        })
        .0
    };
    check(&format!("http://{}/rec/x", dripping(b"HTTP/1.1 200 ", b"O")), b"{}");
    check(&format!("http://{}/rec/x", dripping(b"HTTP/1.1 200 OK\r\n", b"x: y\r\n")), b"{}");
    check(&format!("http://{}/rec/x", dripping(b"HTTP/1.1 200 OK\r\n\r\n", b"{")), b"{}");
    check(&format!("http://{}/rec/x", dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n")), b"{}");
}

#[test]
fn a_cancel_before_the_start_asks_nobody() {
    let (address, connections) = serve(|_, _| {});
    let cancel = Cancel::new();
    cancel.cancel();
    let error = exchange(&format!("http://{address}/"), b"", AMPLE, &cancel).unwrap_err();
    assert!(matches!(error, NetError::Cancelled), "{error:?}");
    assert_eq!(connections.load(std::sync::atomic::Ordering::SeqCst), 0);
}

#[test]
fn limits_are_those_of_the_exchange_and_not_of_the_connection() {
    let (address, _) = serve(|mut stream, _| {
        while request(&mut stream).is_some() {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").unwrap();
        }
    });
    let (client, url, tls) = (client(), format!("http://{address}/"), TlsSettings::default());
    let request =
        HttpRequest { method: Method::Get, url: &url, content_type: None, body: &[], tls: &tls, unseal: None };
    let cancel = Cancel::new();
    client.exchange(&request, deadline_after(SHORT), &cancel).unwrap();
    cancel.cancel();
    thread::sleep(SHORT);
    post(&client, &url, b"{}").unwrap();
}
