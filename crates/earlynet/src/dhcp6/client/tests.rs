//! Conversations with servers that behave and that do not.

use super::super::message::{Options, option};
use super::*;
use crate::mac::Mac;
use proptest::prelude::*;

const MAC: Mac = Mac([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
const ID: u32 = 0x0012_3456;

struct Scene {
    client: Client,
    now: Duration,
    drawn: u64,
    half: bool,
}

impl Scene {
    fn new(purpose: Purpose) -> Scene {
        let client = Client::new(Duid::of_card(MAC), ID, purpose, Duration::from_secs(3600), Duration::ZERO);
        Scene { client, now: Duration::ZERO, drawn: 0, half: true }
    }

    fn next(&mut self) -> Vec<u8> {
        self.now = self.client.due();
        let (drawn, half) = (&mut self.drawn, self.half);
        let mut random = || {
            *drawn += 1;
            // In the middle of what is drawn from, whichever way it is used.
            (*drawn << 16) | if half { 0x8000 } else { 0 }
        };
        self.client.poll(self.now, &mut random).unwrap()
    }

    fn answer(&mut self, to: &[u8], kind: Kind, more: &[(u16, Vec<u8>)]) -> Heard {
        let mut options = vec![(code::CLIENT, Duid::of_card(MAC).into_bytes()), (code::SERVER, b"server".to_vec())];
        options.extend_from_slice(more);
        self.client.receive(self.now, &to_bytes(kind, transaction(to), &options))
    }
}

impl Duid {
    fn into_bytes(self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }
}

fn transaction(message: &[u8]) -> u32 {
    u32::from_be_bytes(message[..4].try_into().unwrap()) & 0x00ff_ffff
}

fn addresses(last: u8) -> (u16, Vec<u8>) {
    let mut address = vec![0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];
    address.extend([0, 0, 0, 10, 0, 0, 0, 20]);
    (code::ASSOCIATION, [[ID, 5, 8].map(u32::to_be_bytes).concat(), option(code::ADDRESS, &address)].concat())
}

fn option_of(message: &[u8], code: u16) -> Option<Vec<u8>> {
    Options::parse(&message[4..]).unwrap().first(code).map(<[u8]>::to_vec)
}

#[test]
fn an_address_is_asked_for_and_given() {
    let mut scene = Scene::new(Purpose::Address);
    let solicit = scene.next();
    assert_eq!(solicit[0], 1);
    assert_eq!(option_of(&solicit, code::CLIENT), Some(vec![0, 3, 0, 1, 0x52, 0x54, 0, 0x12, 0x34, 0x56]));
    assert_eq!(option_of(&solicit, code::WANTED), Some(vec![0, 23, 0, 24, 0, 82, 0, 83]));
    assert_eq!(option_of(&solicit, code::ASSOCIATION), Some(vec![0, 0x12, 0x34, 0x56, 0, 0, 0, 0, 0, 0, 0, 0]));
    assert_eq!(
        (option_of(&solicit, code::ELAPSED), option_of(&solicit, code::RAPID)),
        (Some(vec![0, 0]), Some(vec![]))
    );
    assert!(matches!(scene.answer(&solicit, Kind::Advertise, &[addresses(1)]), Heard::Offer(_)));
    let request = scene.next();
    assert_eq!((request[0], scene.now), (3, Duration::ZERO));
    assert_eq!(option_of(&request, code::SERVER), Some(b"server".to_vec()));
    assert_eq!(option_of(&request, code::ASSOCIATION).unwrap().len(), 12 + 4 + 24);
    assert_eq!(option_of(&request, code::RAPID), None);
    assert_ne!(transaction(&request), transaction(&solicit));
    let Heard::Lease(lease) = scene.answer(&request, Kind::Reply, &[addresses(1)]) else { panic!() };
    assert_eq!(lease.addresses[0].address.to_string(), "2001:db8::1");
    assert_eq!(scene.client.due(), Duration::MAX);
    assert_eq!(scene.client.poll(Duration::MAX, &mut || 0), None);
}

#[test]
fn the_short_form() {
    let mut scene = Scene::new(Purpose::Address);
    let solicit = scene.next();
    assert_eq!(
        scene.answer(&solicit, Kind::Reply, &[addresses(1)]),
        Heard::Nothing,
        "it does not say that it is the short form"
    );
    assert!(matches!(scene.answer(&solicit, Kind::Reply, &[addresses(1), (code::RAPID, Vec::new())]), Heard::Lease(_)));
}

#[test]
fn the_rest() {
    let mut scene = Scene::new(Purpose::Information);
    let request = scene.next();
    assert_eq!((request[0], option_of(&request, code::ASSOCIATION)), (11, None));
    assert_eq!(scene.answer(&request, Kind::Advertise, &[]), Heard::Nothing);
    let refused = scene.answer(&request, Kind::Reply, &[(code::STATUS, vec![0, 1])]);
    assert_eq!(refused, Heard::Refused { status: 1, message: None });
    let Heard::Lease(lease) = scene.answer(&request, Kind::Reply, &[(code::NAME_SERVERS, vec![1; 16])]) else {
        panic!()
    };
    assert_eq!((lease.addresses.len(), lease.name_servers.len()), (0, 1));
}

/// Section 15: about 1, 2, 4, 8 seconds, up to the longest.
#[test]
fn silence_is_asked_again() {
    let mut scene = Scene::new(Purpose::Address);
    scene.client.longest_wait = Duration::from_secs(10);
    let first = scene.next();
    let mut waits = Vec::new();
    for _ in 0..6 {
        let since = scene.now;
        let again = scene.next();
        assert_eq!(transaction(&again), transaction(&first));
        waits.push((scene.now - since).as_millis());
    }
    assert_eq!(waits, [1050, 2100, 4200, 8400, 10000, 10000]);
    assert_eq!(
        option_of(&scene.next(), code::ELAPSED),
        Some(u16::try_from(scene.now.as_millis() / 10).unwrap().to_be_bytes().to_vec())
    );
    let mut least = Scene { half: false, ..Scene::new(Purpose::Address) };
    least.next();
    assert_eq!(least.client.due(), Duration::from_secs(1), "the first wait is never less than a second");
}

#[test]
fn a_request_without_an_answer_begins_anew() {
    let mut scene = Scene::new(Purpose::Address);
    let solicit = scene.next();
    scene.answer(&solicit, Kind::Advertise, &[addresses(1)]);
    for _ in 0..REQUESTS {
        assert_eq!(scene.next()[0], 3);
    }
    assert_eq!(scene.next()[0], 1);
}

#[test]
fn a_server_that_offers_and_refuses_is_not_asked_without_end() {
    let mut scene = Scene::new(Purpose::Address);
    let solicit = scene.next();
    scene.answer(&solicit, Kind::Advertise, &[addresses(1)]);
    let request = scene.next();
    let refused = scene.answer(&request, Kind::Reply, &[(code::STATUS, b"\0\x04no".to_vec())]);
    assert_eq!(refused, Heard::Refused { status: 4, message: Some("no".into()) });
    assert!(scene.client.due() >= scene.now + Duration::from_millis(900));
    assert_eq!(scene.next()[0], 1);
}

#[test]
fn answers_that_are_not_for_us() {
    let mut scene = Scene::new(Purpose::Address);
    assert_eq!(scene.answer(&[1, 0, 0, 0], Kind::Advertise, &[addresses(1)]), Heard::Nothing, "nothing was asked");
    let solicit = scene.next();
    let mut other = solicit.clone();
    other[3] ^= 1;
    assert_eq!(scene.answer(&other, Kind::Advertise, &[addresses(1)]), Heard::Nothing, "another transaction");
    let foreign = to_bytes(Kind::Advertise, transaction(&solicit), &[(code::SERVER, b"server".to_vec()), addresses(1)]);
    assert_eq!(scene.client.receive(scene.now, &foreign), Heard::Nothing, "without our name");
    let unnamed = to_bytes(
        Kind::Advertise,
        transaction(&solicit),
        &[(code::CLIENT, Duid::of_card(MAC).into_bytes()), addresses(1)],
    );
    assert_eq!(
        scene.client.receive(scene.now, &unnamed),
        Heard::Malformed(Malformed::Missing { option: code::SERVER })
    );
    assert!(matches!(scene.client.receive(scene.now, b"junk"), Heard::Malformed(_)));
    assert_eq!(scene.answer(&solicit, Kind::Advertise, &[]), Heard::Refused { status: 2, message: None });
    scene.answer(&solicit, Kind::Advertise, &[addresses(1)]);
    let request = scene.next();
    let elsewhere =
        [(code::CLIENT, Duid::of_card(MAC).into_bytes()), (code::SERVER, b"another".to_vec()), addresses(1)];
    let elsewhere = to_bytes(Kind::Reply, transaction(&request), &elsewhere);
    assert_eq!(scene.client.receive(scene.now, &elsewhere), Heard::Nothing, "a server that was not asked");
    assert_eq!(scene.answer(&request, Kind::Advertise, &[addresses(1)]), Heard::Nothing, "a late offer");
    assert!(matches!(scene.answer(&request, Kind::Reply, &[addresses(1)]), Heard::Lease(_)));
}

#[test]
fn a_server_may_not_make_us_wait_longer() {
    let mut scene = Scene::new(Purpose::Address);
    scene.client.longest_wait = Duration::from_secs(100);
    let solicit = scene.next();
    let mut longest = |seconds: u32| {
        scene.answer(&solicit, Kind::Advertise, &[(code::LONGEST_SOLICIT_WAIT, seconds.to_be_bytes().to_vec())]);
        scene.client.longest_wait.as_secs()
    };
    assert_eq!([longest(86400), longest(59), longest(60), longest(80)], [100, 100, 60, 60]);
}

/// Each flipped byte of a captured answer is refused, passed over, or an answer all the same.
#[test]
fn a_flipped_byte_ends() {
    let captured = crate::vectors::bytes(include_str!("../../../vectors/dhcp6_advertise_dnsmasq.hex"));
    let duid = Duid::from_bytes(Options::parse(&captured[4..]).unwrap().first(code::CLIENT).unwrap()).unwrap();
    let offers = |bytes: &[u8]| {
        let mut client = Client::new(duid.clone(), ID, Purpose::Address, Duration::from_secs(9), Duration::ZERO);
        client.poll(Duration::ZERO, &mut || transaction(&captured).into());
        matches!(client.receive(Duration::ZERO, bytes), Heard::Offer(_))
    };
    assert!(offers(&captured));
    for at in 0..captured.len() {
        let mut bytes = captured.clone();
        bytes[at] ^= 0xff;
        assert!(!offers(&bytes) || at > 22, "{at}: the header or our own name");
    }
}

proptest! {
    #[test]
    fn any_options_end(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut scene = Scene::new(Purpose::Address);
        let solicit = scene.next();
        let mut payload = to_bytes(Kind::Advertise, transaction(&solicit), &[(code::CLIENT, Duid::of_card(MAC).into_bytes())]);
        payload.extend(&bytes);
        let offered = matches!(scene.client.receive(scene.now, &payload), Heard::Offer(_));
        prop_assert_eq!(scene.next()[0] == 3, offered);
    }
}
