//! Servers of DHCP for IPv6.

use crate::Reached;
use crate::conversation::{messages, put};
use crate::header::say;
use earlynet::dhcp6::{Client, Duid, Heard, Lease, Purpose};
use std::time::Duration;

/// What dhclient called itself in the conversations that the seeds are.
const FOR_ADDRESS: &[u8] = &[0, 1, 0, 1, 0x32, 0x96, 0x01, 0xaa, 0x52, 0x54, 0, 0x12, 0x34, 0x56];
const FOR_INFORMATION: &[u8] = &[0, 3, 0, 1, 0x52, 0x54, 0, 0x12, 0x34, 0x56];
const ASSOCIATION: u32 = 0x0012_3456;

/// Takes the bytes as what servers say in turn; the first one says what the client asks for. A server that listens knows the transaction,
/// so the input need not.
pub fn dhcp6(bytes: &[u8]) -> Reached {
    let Some((first, rest)) = bytes.split_first() else { return Reached::Nothing };
    let (purpose, duid) = match first & 1 {
        0 => (Purpose::Address, FOR_ADDRESS),
        _ => (Purpose::Information, FOR_INFORMATION),
    };
    let mut client =
        Client::new(Duid::from_bytes(duid).unwrap(), ASSOCIATION, purpose, Duration::from_secs(16), Duration::ZERO);
    let (mut now, mut drawn, mut reached) = (Duration::ZERO, 0, Reached::Nothing);
    for mut message in messages(rest) {
        if client.due() == Duration::MAX {
            break;
        }
        now = now.max(client.due());
        let sent = client.poll(now, &mut || {
            drawn += 1;
            drawn << 8
        });
        let sent = sent.expect("what is due is not sent");
        assert!(client.due() > now);
        put(&mut message, 1, &sent[1..4]);
        reached = reached.max(hear(client.receive(now, &message)));
    }
    reached
}

fn hear(heard: Heard) -> Reached {
    match heard {
        Heard::Malformed(error) => {
            say(&error);
            Reached::Nothing
        }
        Heard::Nothing => Reached::Nothing,
        Heard::Refused { status, message } => {
            assert!(status != 0 && !message.is_some_and(|message| message.contains(char::is_control)));
            Reached::Read
        }
        Heard::Offer(lease) => {
            assert!(!lease.addresses.is_empty());
            check(&lease);
            Reached::Read
        }
        Heard::Lease(lease) => {
            check(&lease);
            Reached::Accepted
        }
    }
}

fn check(lease: &Lease) {
    for leased in &lease.addresses {
        assert!(!leased.address.is_multicast() && !leased.address.is_unspecified());
        assert!(leased.valid != Some(Duration::ZERO));
        assert!(leased.valid.is_none_or(|valid| leased.preferred.is_some_and(|preferred| preferred <= valid)));
    }
    assert!(lease.name_servers.iter().all(|server| !server.is_multicast() && !server.is_unspecified()));
}
