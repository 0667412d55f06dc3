//! Servers of names.

use crate::Reached;
use crate::conversation::{messages, put};
use crate::header::say;
use earlynet::configured::{Hosts, NameServer};
use earlynet::dns::{Answer, Families, Kind, Lookup, Query, Resolving, Transport};
use earlynet::{Name, Patience};
use std::net::IpAddr;
use std::time::Duration;

/// What the seeds are answers to.
const NAMES: &[&str] = &[
    "tang.example.",
    "alias.example.",
    "only4.example.",
    "none.example.",
    "many.example.",
    "four.example.",
    "away.example.",
    "tang.other.",
];

/// Takes the first byte as what is asked, and the rest as what two servers say in turn. A server knows the identifier and the letters that
/// were sent, so the input need not.
pub fn dns_answer(bytes: &[u8]) -> Reached {
    let Some((first, rest)) = bytes.split_first() else { return Reached::Nothing };
    let name = NAMES[usize::from(first & 7)];
    let kind = if first & 8 == 0 { Kind::A } else { Kind::Aaaa };
    let messages = messages(rest);
    let mut reached = Reached::Nothing;
    for message in &messages {
        reached = reached.max(read(message, name, kind));
    }
    look_up(name, kind, *first, &messages);
    reached
}

fn read(message: &[u8], name: &str, kind: Kind) -> Reached {
    let query = Query::new(&Name::parse(name).unwrap(), kind, &mut || 0);
    let mut message = message.to_vec();
    put(&mut message, 0, &[0, 0]);
    match Answer::read(&message, &query, Transport::Tcp) {
        Ok(Answer::Addresses(addresses)) => {
            assert!(!addresses.is_empty() && addresses.len() <= 16);
            assert!(addresses.iter().all(|address| address.is_ipv4() == (kind == Kind::A)));
            Reached::Accepted
        }
        Ok(_) => Reached::Read,
        Err(error) => {
            say(&error);
            Reached::Nothing
        }
    }
}

fn look_up(name: &str, kind: Kind, how: u8, messages: &[Vec<u8>]) {
    let server = |n: u8| NameServer::from(IpAddr::from([192, 0, 2, n]));
    let resolving = Resolving {
        servers: vec![server(1), server(2)],
        search: Vec::new(),
        ndots: 1,
        families: if how & 16 == 0 { Families::Both } else { Families::V4 },
        patience: Patience::EARLY,
        attempts: 3,
    };
    let mut lookup = Lookup::new(name, &Hosts::default(), resolving, Duration::ZERO).unwrap();
    let (mut now, mut sends) = (Duration::ZERO, Vec::new());
    for message in messages {
        sends.extend(lookup.poll(now, &mut || 0));
        let right_kind =
            |send: &&earlynet::dns::Outgoing| send.message.windows(4).any(|four| four == [0, kind as u8, 0, 1]);
        let Some(send) = sends.iter().rev().find(right_kind) else { break };
        let mut message = message.clone();
        put(&mut message, 0, &send.message[..2]);
        lookup.receive(now, send.server, send.transport, &message);
    }
    for turn in 0.. {
        assert!(turn < 200, "the lookup does not end");
        if let Some(outcome) = lookup.outcome() {
            assert!(
                outcome.as_ref().map_or_else(|error| !error.to_string().is_empty(), |addresses| !addresses.is_empty())
            );
            break;
        }
        now = now.max(lookup.due());
        lookup.poll(now, &mut || 0);
    }
    assert!(now < Duration::from_secs(200));
}
