//! Conversations with servers that behave and that do not.

use super::super::message::tests::reply;
use super::*;
use proptest::prelude::*;

const MAC: Mac = Mac([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
const OFFER: u8 = 2;
const ACK: u8 = 5;
const NAK: u8 = 6;

/// A client, what it would draw from its source of numbers, and the clock.
struct Scene {
    client: Client,
    drawn: u64,
    now: Duration,
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn identity() -> Identity {
    Identity { mac: MAC, client_id: None, host_name: None, address: None }
}

impl Scene {
    fn new() -> Scene {
        Scene { client: Client::new(identity(), Patience::RFC_2131, seconds(0)), drawn: 0, now: seconds(0) }
    }

    /// Goes to the time when something is due, and does it.
    fn next(&mut self) -> Outgoing {
        self.now = self.client.due();
        let drawn = &mut self.drawn;
        let mut random = || {
            *drawn += 1;
            0x7000_0000 + *drawn
        };
        let outgoing = self.client.poll(self.now, &mut random).unwrap();
        assert!(self.client.due() > self.now, "what was done is due again at once");
        outgoing
    }

    fn receive(&mut self, payload: &[u8]) -> Heard {
        self.client.receive(self.now, payload, &mut || 0)
    }

    /// An answer to `outgoing` by the server 192.0.2.1, for an hour.
    fn answer(&mut self, outgoing: &Outgoing, kind: u8, address: &str) -> Heard {
        self.answer_of([192, 0, 2, 1], outgoing, kind, address)
    }

    fn answer_of(&mut self, server: [u8; 4], outgoing: &Outgoing, kind: u8, address: &str) -> Heard {
        let options = [&[53, 1, kind, 54, 4][..], &server, &[51, 4, 0, 0, 0x0e, 0x10, 56, 2, b'n', b'o', 255]].concat();
        let payload = reply(transaction(outgoing), address, MAC, &options);
        self.receive(&payload)
    }

    fn bound() -> Scene {
        let mut scene = Scene::new();
        let discover = scene.next();
        assert!(matches!(scene.answer(&discover, OFFER, "192.0.2.57"), Heard::Offer(_)));
        let request = scene.next();
        assert!(matches!(scene.answer(&request, ACK, "192.0.2.57"), Heard::Lease(_)));
        scene
    }
}

fn transaction(outgoing: &Outgoing) -> u32 {
    u32::from_be_bytes(outgoing.payload[4..8].try_into().unwrap())
}

fn option(outgoing: &Outgoing, wanted: u8) -> Option<Vec<u8>> {
    let mut rest = &outgoing.payload[240..];
    while rest[0] != 255 {
        let length = usize::from(rest[1]);
        if rest[0] == wanted {
            return Some(rest[2..2 + length].to_vec());
        }
        rest = &rest[2 + length..];
    }
    None
}

#[test]
fn the_first_message() {
    let mut scene = Scene::new();
    scene.client.identity.client_id = Some(ClientId { kind: 0, value: b"id".to_vec() });
    scene.client.identity.host_name = Some("host".into());
    scene.client.identity.address = Some(Ipv4Addr::new(192, 0, 2, 7));
    let discover = scene.next();
    assert_eq!((discover.kind, discover.payload.len()), (Kind::Discover, 300));
    assert_eq!(discover.payload[..4], [1, 1, 6, 0]);
    assert_eq!(discover.payload[10..12], [0x80, 0], "the answer is to be broadcast");
    assert_eq!(discover.payload[28..34], MAC.0);
    assert_eq!(option(&discover, 53), Some(vec![1]));
    assert_eq!(option(&discover, 50), Some(vec![192, 0, 2, 7]));
    assert_eq!(option(&discover, 61), Some(b"\0id".to_vec()));
    assert_eq!(option(&discover, 12), Some(b"host".to_vec()));
    assert_eq!(option(&discover, 57), Some(vec![5, 0xc0]));
    let wanted = option(&discover, 55).unwrap();
    for code in [1, 3, 6, 12, 15, 26, 33, 42, 51, 58, 59, 119, 121] {
        assert!(wanted.contains(&code), "{code}");
    }
    assert!(wanted.iter().position(|code| *code == 121) < wanted.iter().position(|code| *code == 3));
    let packet = discover.packet();
    let datagram = crate::frame::read_udp4(&packet, crate::frame::Checksum::Complete).unwrap();
    assert_eq!(datagram.payload, discover.payload);
    assert_eq!(
        (datagram.source.to_string(), datagram.destination.to_string()),
        ("0.0.0.0:68".into(), "255.255.255.255:67".into())
    );
}

#[test]
fn an_address_is_asked_for_and_given() {
    let mut scene = Scene::new();
    let discover = scene.next();
    assert!(matches!(scene.answer(&discover, OFFER, "192.0.2.57"), Heard::Offer(_)));
    assert_eq!(scene.client.due(), scene.now, "an offer is taken at once");
    assert_eq!(scene.client.lease(scene.now), None);
    let request = scene.next();
    assert_eq!((request.kind, transaction(&request)), (Kind::Request, transaction(&discover)));
    assert_eq!(option(&request, 50), Some(vec![192, 0, 2, 57]));
    assert_eq!(option(&request, 54), Some(vec![192, 0, 2, 1]));
    assert!(matches!(scene.answer(&request, ACK, "192.0.2.57"), Heard::Lease(_)));
    assert_eq!(scene.client.lease(scene.now).unwrap().address.to_string(), "192.0.2.57/24");
    assert_eq!(scene.client.due(), scene.now + seconds(1800));
}

/// RFC 2131, section 4.1: 4, 8, 16, 32, 64 seconds, each a second more or less.
#[test]
fn silence_is_asked_again() {
    let mut scene = Scene::new();
    let mut before = scene.next();
    for expected in [4, 8, 16, 32, 64, 64] {
        let since = scene.now;
        let again = scene.next();
        let waited = scene.now - since;
        assert!(waited >= seconds(expected - 1) && waited <= seconds(expected + 1), "{waited:?}");
        assert_eq!((again.kind, transaction(&again)), (Kind::Discover, transaction(&before)));
        let told = u16::from_be_bytes([again.payload[8], again.payload[9]]);
        assert_eq!(u64::from(told), scene.now.as_secs());
        before = again;
    }
    assert_eq!(scene.client.poll(scene.now, &mut || 0), None, "nothing is due");
}

#[test]
fn a_request_without_an_answer_begins_anew() {
    let mut scene = Scene::new();
    let discover = scene.next();
    scene.answer(&discover, OFFER, "192.0.2.57");
    for _ in 0..REQUESTS {
        assert_eq!(scene.next().kind, Kind::Request);
    }
    let anew = scene.next();
    assert_eq!(anew.kind, Kind::Discover);
    assert_ne!(transaction(&anew), transaction(&discover));
}

#[test]
fn a_server_that_offers_and_refuses_is_not_asked_without_end() {
    let mut scene = Scene::new();
    let mut last = Duration::ZERO;
    for _ in 0..4 {
        let discover = scene.next();
        scene.answer(&discover, OFFER, "192.0.2.57");
        let request = scene.next();
        let heard = scene.answer(&request, NAK, "0.0.0.0");
        assert_eq!(heard, Heard::Refused { server: Some([192, 0, 2, 1].into()), message: Some("no".into()) });
        let wait = scene.client.due() - scene.now;
        assert!(wait > last, "{wait:?}");
        last = wait;
    }
}

#[test]
fn answers_that_are_not_for_us() {
    let mut scene = Scene::new();
    let discover = scene.next();
    let mut other = discover.clone();
    other.payload[7] ^= 1;
    assert_eq!(scene.answer(&other, OFFER, "192.0.2.57"), Heard::Nothing, "another transaction");
    let foreign =
        reply(transaction(&discover), "192.0.2.57", Mac([2; 6]), &[53, 1, OFFER, 54, 4, 1, 1, 1, 1, 51, 4, 0, 0, 0, 9]);
    assert_eq!(scene.receive(&foreign), Heard::Nothing, "another card");
    assert_eq!(scene.answer(&discover, ACK, "192.0.2.57"), Heard::Nothing, "agreement to what was not asked");
    assert_eq!(scene.answer(&discover, NAK, "0.0.0.0"), Heard::Nothing, "refusal of what was not asked");
    assert!(matches!(scene.receive(b"junk"), Heard::Malformed(_)));
    assert!(matches!(scene.answer(&discover, OFFER, "127.0.0.1"), Heard::Malformed(Malformed::Address { .. })));
    scene.answer(&discover, OFFER, "192.0.2.57");
    assert_eq!(scene.answer(&discover, ACK, "192.0.2.57"), Heard::Nothing, "agreement before the request");
    let request = scene.next();
    assert_eq!(scene.answer(&request, ACK, "192.0.2.58"), Heard::Nothing, "another address");
    assert_eq!(scene.answer_of([192, 0, 2, 2], &request, ACK, "192.0.2.57"), Heard::Nothing, "another server");
    assert_eq!(scene.answer_of([192, 0, 2, 2], &request, NAK, "0.0.0.0"), Heard::Nothing, "another server's refusal");
    assert_eq!(scene.answer(&request, OFFER, "192.0.2.57"), Heard::Nothing, "a late offer");
    assert!(matches!(scene.answer(&request, ACK, "192.0.2.57"), Heard::Lease(_)));
    assert_eq!(scene.answer(&request, NAK, "0.0.0.0"), Heard::Nothing, "refusal of what is held");
}

/// RFC 2131, section 4.4.5.
#[test]
fn a_lease_is_kept() {
    let mut scene = Scene::bound();
    let renewal = scene.next();
    assert_eq!((scene.now, renewal.kind), (seconds(1800), Kind::Request));
    assert_eq!(
        (renewal.source.ip().to_string(), renewal.destination.ip().to_string()),
        ("192.0.2.57".into(), "192.0.2.1".into())
    );
    assert_eq!(renewal.payload[12..16], [192, 0, 2, 57]);
    assert_eq!(renewal.payload[10..12], [0, 0]);
    assert_eq!((option(&renewal, 50), option(&renewal, 54)), (None, None));
    assert!(matches!(scene.answer(&renewal, ACK, "192.0.2.57"), Heard::Lease(_)));
    assert_eq!(scene.client.due(), seconds(3600));
}

#[test]
fn a_lease_that_nobody_renews_ends() {
    let mut scene = Scene::bound();
    let mut renewals = Vec::new();
    loop {
        let outgoing = scene.next();
        if outgoing.kind == Kind::Discover {
            break;
        }
        assert!(scene.client.lease(scene.now).is_some());
        renewals.push((scene.now.as_secs(), outgoing.destination.ip().is_broadcast()));
    }
    // Half of 1350 seconds, half of the rest and so on, 60 at least; from 3150 on to everybody.
    assert_eq!(
        renewals.iter().filter(|(_, broadcast)| !broadcast).map(|(at, _)| *at).collect::<Vec<_>>(),
        [1800, 2475, 2812, 2981, 3065, 3125]
    );
    assert_eq!(renewals.iter().find(|(_, broadcast)| *broadcast).map(|(at, _)| *at), Some(3150));
    assert_eq!(scene.now, seconds(3600));
    assert_eq!(scene.client.lease(scene.now), None);
}

#[test]
fn a_lease_for_ever_is_never_asked_for_again() {
    let mut scene = Scene::new();
    for kind in [OFFER, ACK] {
        let sent = scene.next();
        let options = [53, 1, kind, 54, 4, 192, 0, 2, 1, 51, 4, 255, 255, 255, 255, 255];
        scene.receive(&reply(transaction(&sent), "192.0.2.57", MAC, &options));
    }
    assert_eq!(scene.client.due(), Duration::MAX);
    assert_eq!(scene.client.poll(Duration::MAX, &mut || 0), None);
    assert!(scene.client.lease(Duration::MAX).is_some());
}

#[test]
fn a_refused_renewal_begins_anew() {
    let mut scene = Scene::bound();
    let renewal = scene.next();
    assert!(matches!(scene.answer(&renewal, NAK, "0.0.0.0"), Heard::Refused { .. }));
    assert_eq!(scene.client.lease(scene.now), None);
    assert_eq!(scene.next().kind, Kind::Discover);
}

/// Each flipped byte of a captured answer is refused, passed over, or a lease all the same.
#[test]
fn a_flipped_byte_is_no_other_address() {
    let captured = crate::vectors::bytes(include_str!("../../../vectors/dhcp4_offer_dnsmasq.hex"));
    for at in 0..captured.len() {
        let mut scene = Scene::new();
        scene.client.poll(scene.now, &mut || 0x178c_d415);
        let mut bytes = captured.clone();
        bytes[at] ^= 0xff;
        if let Heard::Offer(lease) = scene.receive(&bytes) {
            let in_address = (16..20).contains(&at);
            assert_eq!(lease.address.address().to_string() == "192.0.2.57", !in_address, "{at}");
        }
    }
}

proptest! {
    #[test]
    fn any_options_end(options in proptest::collection::vec(any::<u8>(), 0..400), kind in 0_u8..9) {
        let mut scene = Scene::new();
        let discover = scene.next();
        let options = [&[53, 1, kind][..], &options].concat();
        let heard = scene.receive(&reply(transaction(&discover), "192.0.2.57", MAC, &options));
        let offered = matches!(heard, Heard::Offer(_));
        prop_assert_eq!(scene.next().kind == Kind::Request, offered);
    }
}
