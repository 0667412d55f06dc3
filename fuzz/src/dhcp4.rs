//! Servers of DHCP for IPv4.

use crate::Reached;
use crate::conversation::{is_nobody, messages, put};
use crate::header::say;
use earlynet::dhcp4::{Client, Heard, Identity, Lease};
use earlynet::{Checksum, Patience, read_udp4, udp4};
use std::net::IpAddr;
use std::time::Duration;

const MAC: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x56];

/// Takes the bytes as what servers say in turn, and once as a packet. A server that listens knows the transaction and the card, so the
/// input need not.
pub fn dhcp4(bytes: &[u8]) -> Reached {
    for checksum in [Checksum::Complete, Checksum::LeftOut] {
        if let Some(datagram) = read_udp4(bytes, checksum) {
            let again = udp4(&datagram).expect("a packet that was read cannot be written");
            assert_eq!(read_udp4(&again, Checksum::Complete), Some(datagram));
        }
    }
    let identity = Identity { mac: earlynet::Mac(MAC), client_id: None, host_name: None, address: None };
    let mut client = Client::new(identity, Patience::EARLY, Duration::ZERO);
    let (mut now, mut drawn, mut reached) = (Duration::ZERO, 0, Reached::Nothing);
    for mut message in messages(bytes) {
        if client.due() == Duration::MAX {
            break;
        }
        now = now.max(client.due());
        let sent = client.poll(now, &mut || {
            drawn += 1;
            drawn << 8
        });
        let sent = sent.expect("what is due is not sent");
        assert!(client.due() > now && sent.payload.len() >= 300);
        let packet = sent.packet();
        let read = read_udp4(&packet, Checksum::Complete).expect("our own packet cannot be read");
        assert_eq!(read.payload, sent.payload);
        put(&mut message, 4, &sent.payload[4..8]);
        put(&mut message, 28, &MAC);
        reached = reached.max(hear(client.receive(now, &message, &mut || 7)));
        assert!(client.lease(now).is_none_or(|lease| lease.valid != Some(Duration::ZERO)));
    }
    reached
}

fn hear(heard: Heard) -> Reached {
    match heard {
        Heard::Malformed(error) => {
            say(&error);
            Reached::Nothing
        }
        Heard::Nothing => Reached::Read,
        Heard::Refused { message, .. } => {
            assert!(!message.is_some_and(|message| message.contains(char::is_control)));
            Reached::Read
        }
        Heard::Offer(lease) => {
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
    let IpAddr::V4(address) = lease.address.address() else { panic!("an address of IPv6") };
    assert!(!is_nobody(address) && lease.address.length() > 0);
    assert!(lease.valid != Some(Duration::ZERO));
    assert!(lease.renew_after <= lease.rebind_after && lease.rebind_after <= lease.valid);
    assert!(lease.mtu.is_none_or(|mtu| mtu >= 68));
    for route in &lease.routes {
        assert_eq!(route.to, route.to.network());
        assert!(!matches!(route.gateway, Some(IpAddr::V4(gateway)) if is_nobody(gateway)));
    }
}
