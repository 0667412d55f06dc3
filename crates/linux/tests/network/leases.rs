//! Leases that run out, given by a server of our own: dnsmasq gives none for less than two minutes.

use crate::site::{AMPLE, Site, soon};
use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

const DISCOVER: u8 = 1;
const OFFER: u8 = 2;
const REQUEST: u8 = 3;
const ACK: u8 = 5;
const NAK: u8 = 6;

/// What is asked again for an address that is held: from where, and which.
type Kept = (SocketAddr, [u8; 4]);

/// The value of an option of one byte.
fn kind(message: &[u8]) -> u8 {
    let mut options = &message[240..];
    while let [code, length, rest @ ..] = options {
        if *code == 53 {
            return rest[0];
        }
        options = &rest[usize::from(*length)..];
    }
    0
}

/// Answers with 192.0.2.`last`, for `seconds`, to be asked for again after `renew` of them.
fn answer(asked: &[u8], kind: u8, last: u8, seconds: u32, renew: u32) -> Vec<u8> {
    let mut message = asked[..240].to_vec();
    message[0] = 2;
    message[16..20].copy_from_slice(&[192, 0, 2, last]);
    let mut option = |code: u8, value: &[u8]| {
        message.extend([code, u8::try_from(value.len()).unwrap()]);
        message.extend(value);
    };
    option(53, &[kind]);
    option(54, &[192, 0, 2, 1]);
    if kind != NAK {
        option(1, &[255, 255, 255, 0]);
        option(3, &[192, 0, 2, 1]);
        option(6, &[192, 0, 2, 1]);
        option(51, &seconds.to_be_bytes());
        option(58, &renew.to_be_bytes());
    }
    message.push(255);
    message
}

/// Serves on the other side: a short lease of 192.0.2.50 first. Who asks for it again gets a long one, or is refused and then gets 192.0.2.51.
fn serve(site: &Site, refuses: bool) -> Receiver<Kept> {
    let socket = site.over_there(|| UdpSocket::bind("0.0.0.0:67").unwrap());
    socket.set_broadcast(true).unwrap();
    let (kept, told) = channel();
    thread::spawn(move || {
        let (mut buffer, mut asked_again) = ([0; 1500], false);
        // Ends with the socket's last use, when the test is over.
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let asked = &buffer[..length];
            let held: [u8; 4] = asked[12..16].try_into().unwrap();
            let last = if asked_again && refuses { 51 } else { 50 };
            let reply = match (kind(asked), held) {
                (DISCOVER, _) => answer(asked, OFFER, last, 40, 1),
                (REQUEST, [0, 0, 0, 0]) if asked_again => answer(asked, ACK, last, 3600, 1800),
                (REQUEST, [0, 0, 0, 0]) => answer(asked, ACK, last, 40, 1),
                (REQUEST, held) => {
                    asked_again = true;
                    if kept.send((from, held)).is_err() {
                        return;
                    }
                    answer(asked, if refuses { NAK } else { ACK }, 50, 3600, 1800)
                }
                _ => continue,
            };
            socket.send_to(&reply, "192.0.2.255:68").unwrap();
        }
    });
    told
}

/// Says nonsense to whoever asks.
fn serve_nonsense(site: &Site) {
    let socket = site.over_there(|| UdpSocket::bind("0.0.0.0:67").unwrap());
    socket.set_broadcast(true).unwrap();
    thread::spawn(move || {
        let mut buffer = [0; 1500];
        while let Ok((length, _)) = socket.recv_from(&mut buffer) {
            let asked = &buffer[..length];
            let offer = answer(asked, OFFER, 50, 40, 1);
            let mut other = offer.clone();
            other[4] ^= 1;
            let nobodys = answer(asked, OFFER, 255, 0, 0);
            let cut = |at: usize| offer[..at].to_vec();
            for said in [
                b"HTTP/1.1 200 OK\r\n\r\n<html>".to_vec(),
                vec![0xff; 1400],
                cut(100),
                cut(244),
                other,
                nobodys,
                asked.to_vec(),
            ] {
                socket.send_to(&said, "192.0.2.255:68").unwrap();
            }
        }
    });
}

#[test]
fn nonsense_is_no_lease() {
    let site = Site::new(1);
    site.address(0, "192.0.2.1/24");
    serve_nonsense(&site);
    let outcome = site.bring_up(&site.plan("ip=dhcp"), Duration::from_millis(1500));
    assert!(!outcome.told("OFFER"), "{:?}", outcome.events());
    let line = outcome.error();
    assert!(line.contains("eth0: no DHCP server answers (asked") && !line.contains('\n'), "{line}");
}

fn addresses(site: &Site) -> String {
    site.here(&["ip", "-4", "address", "show", "dev", "eth0"])
}

#[test]
fn a_lease_is_kept_by_asking_its_server() {
    let site = Site::new(1);
    site.address(0, "192.0.2.1/24");
    let told = serve(&site, false);
    let mut plan = site.plan("ip=dhcp");
    plan.places.leave_net_conf = false;
    let (network, _) = site.bring_up(&plan, AMPLE).up();
    let first = addresses(&site);
    assert!(first.contains("192.0.2.50/24") && !first.contains("valid_lft forever"), "{first}");
    let (from, held) = told.recv_timeout(AMPLE).unwrap();
    assert_eq!((from.to_string().as_str(), held), ("192.0.2.50:68", [192, 0, 2, 50]));
    soon(|| addresses(&site).contains("valid_lft 3"));
    assert!(site.here(&["ip", "route"]).contains("default via 192.0.2.1"));
    drop(network);
}

#[test]
fn another_lease_takes_the_place_of_one_that_is_taken_back() {
    let site = Site::new(1);
    site.address(0, "192.0.2.1/24");
    let told = serve(&site, true);
    let (network, _) = site.bring_up(&site.plan("ip=dhcp"), AMPLE).up();
    told.recv_timeout(AMPLE).unwrap();
    soon(|| addresses(&site).contains("192.0.2.51/24"));
    assert!(!addresses(&site).contains("192.0.2.50/24"));
    soon(|| site.here(&["ip", "route"]).contains("default via 192.0.2.1"));
    soon(|| network.changes().iter().filter(|change| change.contains("address")).count() == 1);
    let conf = site.directory("run").join("net-eth0.conf");
    soon(|| std::fs::read_to_string(&conf).is_ok_and(|text| text.contains("IPV4ADDR='192.0.2.51'")));
}
