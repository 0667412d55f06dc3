//! Lookups with servers that answer, are silent, lie and fail.

use super::*;
use crate::link_name::LinkName;
use proptest::prelude::*;

const ALIAS: u16 = 5;

/// A lookup, a clock, and a source of numbers.
struct Scene {
    lookup: Lookup,
    now: Duration,
    drawn: u64,
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn resolving(servers: usize, families: Families) -> Resolving {
    let server = |n: usize| NameServer {
        address: IpAddr::from([192, 0, 2, u8::try_from(n).unwrap()]),
        link: LinkName::new("eth0"),
    };
    Resolving {
        servers: (0..servers).map(server).collect(),
        search: vec![name("one.example"), name("two.example")],
        ndots: 1,
        families,
        patience: Patience::EARLY,
        attempts: 3,
    }
}

impl Scene {
    fn new(text: &str, resolving: Resolving) -> Scene {
        let lookup =
            Lookup::new(text, &Hosts::parse(b"192.0.2.99 known\n2001:db8::99 six"), resolving, Duration::ZERO).unwrap();
        Scene { lookup, now: Duration::ZERO, drawn: 0 }
    }

    fn poll(&mut self) -> Vec<Outgoing> {
        let drawn = &mut self.drawn;
        self.lookup.poll(self.now, &mut || {
            *drawn += 1;
            0x8000 + *drawn
        })
    }

    /// Goes to when something is due.
    fn next(&mut self) -> Vec<Outgoing> {
        assert_ne!(self.lookup.due(), Duration::MAX, "nothing is due any more");
        self.now = self.lookup.due();
        self.poll()
    }

    fn answer(&mut self, to: &Outgoing, message: &[u8]) {
        self.lookup.receive(self.now, to.server, to.transport, message);
    }

    fn found(&self) -> Vec<String> {
        let addresses = self.lookup.outcome().unwrap().as_ref().unwrap();
        addresses.iter().map(IpAddr::to_string).collect()
    }

    fn error(&self) -> LookupError {
        self.lookup.outcome().unwrap().clone().unwrap_err()
    }
}

/// What a send asks for: the name and the type.
fn asked(send: &Outgoing) -> (String, u16) {
    let (name, at) = Name::read(&send.message, 12, crate::name::Compression::Refused).unwrap();
    (name.to_string(), u16::from_be_bytes(send.message[at..at + 2].try_into().unwrap()))
}

/// The answer to a send: its own question, a code, and records of the name that was asked for.
fn reply(send: &Outgoing, code: u8, records: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let (_, at) = Name::read(&send.message, 12, crate::name::Compression::Refused).unwrap();
    let mut bytes = send.message[..at + 4].to_vec();
    bytes[2..12].copy_from_slice(&[0x80, code, 0, 1, 0, u8::try_from(records.len()).unwrap(), 0, 0, 0, 0]);
    for (kind, data) in records {
        bytes.extend([
            0xc0,
            12,
            0,
            u8::try_from(*kind).unwrap(),
            0,
            1,
            0,
            0,
            0,
            60,
            0,
            u8::try_from(data.len()).unwrap(),
        ]);
        bytes.extend(data);
    }
    bytes
}

fn address(send: &Outgoing) -> Vec<u8> {
    match asked(send).1 {
        1 => reply(send, 0, &[(1, vec![192, 0, 2, 7])]),
        _ => reply(send, 0, &[(28, vec![0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7])]),
    }
}

#[test]
fn nothing_is_sent_for_what_is_known() {
    for (text, families, expected) in [
        ("192.0.2.1", Families::Both, "192.0.2.1"),
        ("[2001:db8::1]", Families::V4, "2001:db8::1"),
        ("Known", Families::Both, "192.0.2.99"),
        ("known.", Families::V4, "192.0.2.99"),
        ("localhost", Families::V6, "::1"),
    ] {
        let mut scene = Scene::new(text, resolving(1, families));
        assert_eq!((scene.poll(), scene.found()), (Vec::new(), vec![expected.to_owned()]));
        assert_eq!(scene.lookup.due(), Duration::MAX);
    }
    assert_eq!(Scene::new("six", resolving(1, Families::V4)).lookup.outcome(), None, "an address of no use");
    assert_eq!(Scene::new("tang", resolving(0, Families::V4)).error(), LookupError::NoServers);
    assert!(Lookup::new("a b", &Hosts::default(), resolving(1, Families::V4), Duration::ZERO).is_err());
}

#[test]
fn all_servers_and_both_families_are_asked_at_once() {
    let mut scene = Scene::new("tang.example", resolving(2, Families::Both));
    let sends = scene.poll();
    let asked: Vec<(usize, u16)> = sends.iter().map(|send| (send.server, asked(send).1)).collect();
    assert_eq!(asked, [(0, 28), (1, 28), (0, 1), (1, 1)]);
    assert_eq!(sends[1].to.to_string(), "192.0.2.1%eth0");
    let ids: std::collections::BTreeSet<_> = sends.iter().map(|send| send.message[..2].to_vec()).collect();
    assert_eq!(ids.len(), 4, "each question has an identifier of its own");
    scene.answer(&sends[3], &address(&sends[3]));
    assert_eq!(scene.lookup.outcome(), None, "the other family has a moment");
    scene.answer(&sends[0], &address(&sends[0]));
    assert_eq!(scene.found(), ["2001:db8::7", "192.0.2.7"]);
    scene.answer(&sends[1], &reply(&sends[1], 3, &[]));
    assert_eq!(scene.found().len(), 2, "what comes later changes nothing");
}

#[test]
fn one_family_does_not_wait_for_the_other() {
    let mut scene = Scene::new("tang.example", resolving(1, Families::Both));
    let sends = scene.poll();
    scene.answer(&sends[1], &address(&sends[1]));
    assert_eq!(scene.lookup.due(), OTHER_FAMILY);
    assert_eq!(scene.next(), []);
    assert_eq!(scene.found(), ["192.0.2.7"]);
    let mut scene = Scene::new("tang.example", resolving(1, Families::Both));
    let sends = scene.poll();
    scene.answer(&sends[1], &address(&sends[1]));
    scene.answer(&sends[0], &reply(&sends[0], 0, &[]));
    assert_eq!(scene.found(), ["192.0.2.7"], "at once, if the other has none");
    let mut scene = Scene::new("tang.example", resolving(1, Families::Both));
    let sends = scene.poll();
    scene.answer(&sends[0], &reply(&sends[0], 3, &[]));
    scene.answer(&sends[1], &address(&sends[1]));
    assert_eq!(
        scene.found(),
        ["192.0.2.7"],
        "dnsmasq denies a name for the one family that has addresses of the other"
    );
}

#[test]
fn silence_is_asked_again_and_ends() {
    let mut scene = Scene::new("tang.example.", resolving(1, Families::V4));
    let first = scene.poll();
    let mut times = Vec::new();
    while scene.lookup.outcome().is_none() {
        for again in scene.next() {
            assert_eq!(again, first[0], "the same question, so that a late answer fits");
            times.push(scene.now.as_secs());
        }
    }
    assert_eq!((times, scene.now.as_secs()), (vec![1, 3], 7));
    let error = scene.error();
    assert!(matches!(&error, LookupError::Servers(servers) if servers[0].1 == ServerFailure::Silent));
    assert_eq!(error.to_string(), "no server of names gave an answer: 192.0.2.0%eth0 (silent)");
}

#[test]
fn a_dead_server_holds_nobody_up() {
    let mut scene = Scene::new("tang.example", resolving(2, Families::V4));
    let sends = scene.poll();
    scene.answer(&sends[1], &address(&sends[1]));
    assert_eq!((scene.now, scene.found()), (Duration::ZERO, vec!["192.0.2.7".to_owned()]));
}

#[test]
fn a_no_waits_for_a_yes() {
    let mut scene = Scene::new("tang.example.", resolving(2, Families::V4));
    let sends = scene.poll();
    scene.answer(&sends[0], &reply(&sends[0], 3, &[]));
    assert_eq!((scene.lookup.outcome(), scene.lookup.due()), (None, GRACE));
    scene.answer(&sends[1], &address(&sends[1]));
    assert_eq!(scene.found(), ["192.0.2.7"]);
    let mut late = Scene::new("tang.example.", resolving(2, Families::V4));
    let sends = late.poll();
    late.answer(&sends[0], &reply(&sends[0], 3, &[]));
    late.next();
    assert_eq!(late.error(), LookupError::NoName);
}

#[test]
fn domains_are_searched() {
    let order = |text: &str, ndots| {
        let mut scene = Scene::new(text, Resolving { ndots, ..resolving(1, Families::V4) });
        let mut names = Vec::new();
        let mut sends = scene.poll();
        while let Some(send) = sends.first().cloned() {
            names.push(asked(&send).0);
            scene.answer(&send, &reply(&send, 3, &[]));
            sends = scene.poll();
        }
        assert_eq!(scene.error(), LookupError::NoName);
        names
    };
    assert_eq!(order("tang", 1), ["tang.one.example", "tang.two.example", "tang"]);
    assert_eq!(order("tang.example", 1), ["tang.example", "tang.example.one.example", "tang.example.two.example"]);
    assert_eq!(order("tang.example", 2), ["tang.example.one.example", "tang.example.two.example", "tang.example"]);
    assert_eq!(order("tang.", 1), ["tang"]);
    let long = ["a".repeat(60), "b".repeat(60), "c".repeat(60), "d".repeat(60)].join(".");
    assert_eq!(order(&long, 1), [long], "no name is too long");
}

#[test]
fn a_name_without_addresses_is_searched_on_and_said_so() {
    let mut scene = Scene::new("tang.example", Resolving { search: vec![name("x")], ..resolving(1, Families::V4) });
    let sends = scene.poll();
    scene.answer(&sends[0], &reply(&sends[0], 0, &[]));
    let sends = scene.poll();
    scene.answer(&sends[0], &reply(&sends[0], 3, &[]));
    assert_eq!(scene.error(), LookupError::NoAddress);
}

#[test]
fn what_does_not_fit_comes_over_tcp() {
    let mut scene = Scene::new("tang.example", resolving(1, Families::V4));
    let udp = scene.poll();
    let mut cut = reply(&udp[0], 0, &[]);
    cut[2] |= 2;
    scene.answer(&udp[0], &cut);
    let tcp = scene.poll();
    assert_eq!((tcp.len(), tcp[0].transport, &tcp[0].message), (1, Transport::Tcp, &udp[0].message));
    scene.answer(&udp[0], &address(&udp[0]));
    assert_eq!(scene.lookup.outcome(), None, "a datagram is too late now");
    scene.answer(&tcp[0], &address(&tcp[0]));
    assert_eq!(scene.found(), ["192.0.2.7"]);
}

#[test]
fn a_server_that_changes_letters_is_asked_over_tcp() {
    let mut scene = Scene::new("tang.example", resolving(1, Families::V4));
    let udp = scene.poll();
    let mut small = address(&udp[0]);
    small[12..26].make_ascii_lowercase();
    assert_ne!(small, address(&udp[0]));
    scene.answer(&udp[0], &small);
    let tcp = scene.poll();
    assert_eq!(tcp[0].transport, Transport::Tcp);
    scene.answer(&tcp[0], &small);
    assert_eq!(scene.found(), ["192.0.2.7"]);
}

#[test]
fn a_connection_has_one_chance() {
    for fails in [true, false] {
        let mut scene = Scene::new("tang.example.", resolving(1, Families::V4));
        let udp = scene.poll();
        scene.lookup.unreachable(scene.now, 0, Transport::Udp);
        assert_eq!(scene.lookup.outcome(), None, "a datagram may get through the next time");
        let mut cut = reply(&udp[0], 0, &[]);
        cut[2] |= 2;
        scene.answer(&udp[0], &cut);
        let tcp = scene.poll();
        match fails {
            true => scene.lookup.unreachable(scene.now, 0, Transport::Tcp),
            false => scene.answer(&tcp[0], &cut),
        }
        assert!(matches!(scene.error(), LookupError::Servers(_)));
    }
    let mut scene = Scene::new("tang.example.", resolving(1, Families::V4));
    let udp = scene.poll();
    let mut cut = reply(&udp[0], 0, &[]);
    cut[2] |= 2;
    scene.answer(&udp[0], &cut);
    scene.poll();
    assert_eq!(scene.next(), []);
    assert_eq!(scene.now, CONNECTION);
    assert!(matches!(scene.error(), LookupError::Servers(_)));
}

#[test]
fn a_server_without_edns_is_asked_without() {
    let mut scene = Scene::new("tang.example", Resolving { attempts: 1, ..resolving(1, Families::V4) });
    let sends = scene.poll();
    scene.answer(&sends[0], &reply(&sends[0], 1, &[]));
    let bare = scene.poll();
    assert_eq!(bare[0].message.len() + 11, sends[0].message.len());
    scene.answer(&bare[0], &address(&bare[0]));
    assert_eq!(scene.found(), ["192.0.2.7"]);
}

#[test]
fn failures_are_named() {
    let mut scene = Scene::new("tang.example.", resolving(3, Families::V4));
    let sends = scene.poll();
    scene.answer(&sends[0], &reply(&sends[0], 2, &[]));
    scene.answer(&sends[1], &reply(&sends[1], 5, &[]));
    let mut broken = address(&sends[2]);
    broken.truncate(broken.len() - 1);
    scene.answer(&sends[2], &broken);
    while scene.lookup.outcome().is_none() {
        scene.next();
    }
    assert_eq!(
        scene.error().to_string(),
        "no server of names gave an answer: 192.0.2.0%eth0 (the server fails (SERVFAIL)), 192.0.2.1%eth0 (the server refuses \
         (REFUSED)), 192.0.2.2%eth0 (the message ends within a record)"
    );
}

#[test]
fn aliases_are_followed() {
    let mut scene = Scene::new("tang.example.", resolving(2, Families::V4));
    let sends = scene.poll();
    scene.answer(&sends[0], &reply(&sends[0], 0, &[(ALIAS, name("tang.other").to_wire())]));
    let next = scene.poll();
    assert_eq!(next.iter().map(asked).collect::<Vec<_>>(), [("tang.other".into(), 1), ("tang.other".into(), 1)]);
    scene.answer(&next[1], &address(&next[1]));
    assert_eq!(scene.found(), ["192.0.2.7"]);
}

#[test]
fn aliases_without_end_end() {
    let mut scene = Scene::new("a.example.", resolving(1, Families::V4));
    for n in 0..=MOST_ALIASES {
        let sends = scene.poll();
        scene.answer(&sends[0], &reply(&sends[0], 0, &[(ALIAS, name(&format!("n{n}.x")).to_wire())]));
    }
    assert!(
        matches!(scene.error(), LookupError::Servers(failures) if failures[0].1 == ServerFailure::Unusable(Unusable::Circle))
    );
}

#[test]
fn forged_answers_are_passed_over() {
    let mut scene = Scene::new("tang.example", resolving(2, Families::V4));
    let sends = scene.poll();
    let mut forged = address(&sends[0]);
    forged[1] ^= 1;
    scene.answer(&sends[0], &forged);
    scene.lookup.receive(scene.now, 1, Transport::Udp, &address(&sends[0]));
    scene.lookup.receive(scene.now, 7, Transport::Udp, &address(&sends[0]));
    assert_eq!((scene.poll(), scene.lookup.outcome()), (Vec::new(), None));
    scene.answer(&sends[0], &address(&sends[0]));
    assert_eq!(scene.found(), ["192.0.2.7"]);
}

proptest! {
    /// Whatever servers say and whenever, a lookup ends, and not later than its own waits have it.
    #[test]
    fn every_lookup_ends(says in proptest::collection::vec((0_u8..9, 0_usize..3, 0_u64..900), 0..80)) {
        let mut scene = Scene::new("tang", resolving(3, Families::Both));
        let mut sends = scene.poll();
        for (what, server, later) in says {
            let Some(send) = sends.iter().rev().find(|send| send.server == server).cloned() else { continue };
            let message = match what {
                0 => reply(&send, 3, &[]),
                1 => reply(&send, 0, &[]),
                2 => reply(&send, 2, &[]),
                3 => reply(&send, 1, &[]),
                4 => reply(&send, 0, &[(ALIAS, name("b.x").to_wire())]),
                5 => { let mut cut = reply(&send, 0, &[]); cut[2] |= 2; cut }
                6 => b"junk".to_vec(),
                7 => { scene.lookup.unreachable(scene.now, server, send.transport); continue }
                _ => { scene.now += Duration::from_millis(later); sends.extend(scene.poll()); continue }
            };
            scene.answer(&send, &message);
            sends.extend(scene.poll());
        }
        let mut turns = 0;
        while scene.lookup.outcome().is_none() {
            let before = scene.now;
            scene.now = scene.lookup.due().max(before);
            scene.poll();
            turns += 1;
            prop_assert!(turns < 500, "it does not end");
        }
        prop_assert!(scene.now < Duration::from_secs(300), "{:?}", scene.now);
    }
}
