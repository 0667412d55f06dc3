//! Names, with dnsmasq and nsd, and with servers that do their worst.

use crate::site::{AMPLE, Site};
use clevis::{Cancel, HttpRequest, Method, Net, TlsSettings};
use earlynet::configured::{Hosts, NameServer};
use linux::{Client, Names, deadline_after};
use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, TcpListener, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

/// A site whose machine has 192.0.2.7 and 2001:db8::7, with these on the other side.
fn site(addresses: &[&str]) -> Site {
    let site = Site::new(1);
    addresses.iter().for_each(|address| site.address(0, address));
    site.here(&["ip", "link", "set", "eth0", "up"]);
    site.here(&["ip", "address", "add", "192.0.2.7/24", "dev", "eth0"]);
    site.here(&["ip", "address", "add", "2001:db8::7/64", "dev", "eth0", "nodad"]);
    site
}

fn names(servers: &[&str]) -> Names {
    let names = Names::new(Hosts::parse(b"192.0.2.99 static.example\n"));
    names.add_servers(&servers.iter().map(|server| NameServer::parse(server).unwrap()).collect::<Vec<_>>());
    names.add_search(&[earlynet::Name::parse("search.example").unwrap()]);
    names
}

/// What the machine finds, and how long that takes.
fn look_up(site: &Site, names: &Names, name: &str, limit: Duration) -> (Result<Vec<String>, String>, Duration) {
    let start = Instant::now();
    let found = site.inside(|| names.look_up(name, deadline_after(limit), &Cancel::new()));
    let texts = |addresses: Vec<IpAddr>| addresses.iter().map(ToString::to_string).collect();
    (found.map(texts).map_err(|error| error.to_string()), start.elapsed())
}

#[test]
fn dnsmasq_and_hosts_are_asked() {
    let mut site = site(&["192.0.2.1/24", "2001:db8::1/64"]);
    site.dnsmasq(
        0,
        &["--host-record=tang.example,192.0.2.80,2001:db8::80", "--address=/short.search.example/192.0.2.81"],
    );
    for servers in [&["192.0.2.1"][..], &["2001:db8::1"]] {
        let names = names(servers);
        let find = |name: &str| look_up(&site, &names, name, AMPLE).0;
        assert_eq!(find("tang.example"), Ok(vec!["2001:db8::80".to_owned(), "192.0.2.80".to_owned()]));
        assert_eq!(find("short"), Ok(vec!["192.0.2.81".to_owned()]));
        assert_eq!(find("static.example"), Ok(vec!["192.0.2.99".to_owned()]));
        assert_eq!(find("192.0.2.5"), Ok(vec!["192.0.2.5".to_owned()]));
        assert_eq!(find("no.such.invalid").unwrap_err().lines().count(), 1);
        assert!(find("a b").unwrap_err().contains("cannot stand in a host name"));
    }
}

/// Whoever has no network learns it at once, and can bring it up; a server without a way beside one that answers costs nothing.
#[test]
fn without_a_way_to_any_server_there_is_no_waiting() {
    let mut site = site(&["192.0.2.1/24"]);
    site.dnsmasq(0, &["--host-record=tang.example,192.0.2.80"]);
    let (found, took) = look_up(&site, &names(&["198.51.100.1", "203.0.113.1"]), "tang.example", AMPLE);
    assert_eq!(found.unwrap_err(), "no way to the servers of names (198.51.100.1, 203.0.113.1)");
    assert!(took < Duration::from_millis(500), "{took:?}");
    let both = names(&["198.51.100.1", "192.0.2.1"]);
    assert_eq!(look_up(&site, &both, "tang.example", AMPLE).0, Ok(vec!["192.0.2.80".to_owned()]));
}

#[test]
fn a_server_on_the_link_is_asked_behind_its_interface() {
    let mut site = site(&["fe80::53/64", "2001:db8::1/64"]);
    site.dnsmasq(0, &["--host-record=tang.example,192.0.2.80"]);
    let found = look_up(&site, &names(&["fe80::53%eth0"]), "tang.example", AMPLE).0;
    assert_eq!(found, Ok(vec!["192.0.2.80".to_owned()]));
}

/// nsd sends what does not fit in a datagram by a connection alone.
#[test]
fn a_long_answer_comes_by_a_connection() {
    let mut site = site(&["192.0.2.1/24"]);
    let directory = site.directory("nsd");
    let addresses: String = (0..200).map(|n| format!("long 60 IN A 198.51.100.{n}\n")).collect();
    let zone = format!("$ORIGIN example.\n@ 60 IN SOA a b 1 2 3 4 5\n@ 60 IN NS a\na 60 IN A 192.0.2.1\n{addresses}");
    fs::write(directory.join("zone"), zone).unwrap();
    let place = directory.display();
    let configuration = format!(
        "server:\n ip-address: 192.0.2.1\n username: \"\"\n zonesdir: {place}\n database: \"\"\n pidfile: \"\"\n xfrdfile: {place}/xfrd\n zonelistfile: {place}/list\n xfrdir: {place}\n verbosity: 1\nremote-control:\n control-enable: no\nzone:\n name: example\n zonefile: zone\n"
    );
    fs::write(directory.join("nsd.conf"), configuration).unwrap();
    let file = directory.join("nsd.conf").display().to_string();
    site.serve("nsd", &["-d", "-c", &file], "nsd started");
    let (found, _) = look_up(&site, &names(&["192.0.2.1"]), "long.example", AMPLE);
    // `earlynet` keeps no more of an answer than is of use.
    assert!(found.as_ref().is_ok_and(|found| found.len() >= 8), "{found:?}");
}

#[test]
fn a_silent_server_costs_nothing_beside_one_that_answers() {
    let mut site = site(&["192.0.2.1/24", "192.0.2.2/24"]);
    site.dnsmasq(0, &["--listen-address=192.0.2.2", "--host-record=tang.example,192.0.2.80"]);
    // The first is a hole: nobody has that address, and nobody says so.
    site.there(&["ip", "route", "add", "blackhole", "198.51.100.0/24"]);
    site.here(&["ip", "route", "add", "default", "via", "192.0.2.1"]);
    let (found, took) = look_up(&site, &names(&["198.51.100.1", "192.0.2.2"]), "tang.example", AMPLE);
    assert_eq!(found, Ok(vec!["192.0.2.80".to_owned()]));
    assert!(took < Duration::from_millis(600), "it was asked a second time before the answer: {took:?}");
}

#[test]
fn dead_servers_are_named_in_one_line_within_the_limit() {
    let site = site(&["192.0.2.1/24"]);
    let (found, took) = look_up(&site, &names(&["192.0.2.1"]), "tang.example", AMPLE);
    assert_eq!(found, Err("no server of names gave an answer: 192.0.2.1 (unreachable)".to_owned()));
    assert!(took < Duration::from_secs(20), "{took:?}");
    let short = Duration::from_millis(300);
    let (found, took) = look_up(&site, &names(&["192.0.2.1"]), "tang.example", short);
    assert_eq!(found, Err("no answer in time from the servers of names (192.0.2.1)".to_owned()));
    assert!(took < short + Duration::from_secs(2), "{took:?}");
    let (found, _) = look_up(&site, &names(&[]), "tang.example", AMPLE);
    assert!(found.unwrap_err().contains("no server of names is known; write nameserver="));
}

/// Servers in the machine's own network: loopback serves for whoever says nonsense.
#[test]
fn garbage_is_no_answer() {
    let site = Site::new(0);
    let socket = site.inside(|| {
        let socket = UdpSocket::bind("127.0.0.53:53").unwrap();
        socket.set_read_timeout(Some(AMPLE)).unwrap();
        socket
    });
    let answer = |query: &[u8], n: u32| match n % 4 {
        0 => vec![0; 40],
        1 => b"HTTP/1.1 200 OK\r\n\r\n".to_vec(),
        2 => query.to_vec(),
        _ => [query, &[0xff; 900]].concat(),
    };
    thread::spawn(move || {
        let mut query = [0; 1500];
        for n in 0_u32.. {
            let Ok((length, from)) = socket.recv_from(&mut query) else { return };
            socket.send_to(&answer(&query[..length], n), from).unwrap_or_default();
        }
    });
    let limit = Duration::from_secs(2);
    let (found, took) = look_up(&site, &names(&["127.0.0.53"]), "tang.example", limit);
    let line = found.unwrap_err();
    assert!(line.contains("127.0.0.53") && !line.contains('\n'), "{line}");
    assert!(took < limit + Duration::from_secs(2), "{took:?}");
}

#[test]
fn a_cancel_ends_a_lookup() {
    let site = site(&["192.0.2.1/24"]);
    site.there(&["ip", "route", "add", "blackhole", "198.51.100.0/24"]);
    site.here(&["ip", "route", "add", "default", "via", "192.0.2.1"]);
    let (names, cancel) = (names(&["198.51.100.1"]), Cancel::new());
    cancel.cancel();
    let found = site.inside(|| names.look_up("tang.example", deadline_after(AMPLE), &cancel));
    assert_eq!(found.unwrap_err().to_string(), "cancelled");
}

#[test]
fn the_client_asks_the_names_it_was_given() {
    let mut site = site(&["192.0.2.1/24"]);
    site.dnsmasq(0, &["--host-record=tang.example,127.0.0.1"]);
    let listener = site.inside(|| TcpListener::bind("127.0.0.1:0").unwrap());
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 1024];
            let _ = stream.read(&mut request);
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi").unwrap();
        }
    });
    let client = Client::with_variables(|_| None);
    let url = format!("http://tang.example:{port}/adv");
    let exchange = |limit: Duration| {
        let request = HttpRequest {
            method: Method::Get,
            url: &url,
            content_type: None,
            body: &[],
            tls: &TlsSettings::default(),
            unseal: None,
        };
        client.exchange(&request, deadline_after(limit), &Cancel::new())
    };
    client.resolve_with(names(&["192.0.2.1"]));
    assert_eq!(site.inside(|| exchange(AMPLE)).unwrap().body, b"hi");
    client.resolve_with(names(&["192.0.2.2"]));
    let url = format!("http://other.example:{port}/adv");
    let request = HttpRequest {
        method: Method::Get,
        url: &url,
        content_type: None,
        body: &[],
        tls: &TlsSettings::default(),
        unseal: None,
    };
    let error = site.inside(|| client.exchange(&request, deadline_after(Duration::from_millis(500)), &Cancel::new()));
    let error = error.unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("192.0.2.2"), "{error}: {source}");
}
