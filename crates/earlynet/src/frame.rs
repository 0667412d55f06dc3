//! IPv4 packets with UDP in them, for the time before there is an address: they go through a packet socket, below the kernel's own IP.

use crate::bytes::{Reader, checksum};
use std::net::{Ipv4Addr, SocketAddrV4};

/// The protocol number of UDP.
const UDP: u8 = 17;
const HEADER: usize = 20;
const UDP_HEADER: usize = 8;
/// The largest that a packet can say of itself.
pub const LONGEST_PAYLOAD: usize = 65535 - HEADER - UDP_HEADER;

/// Whether the sum in a packet that was received is to be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// It is complete, and a packet with a wrong one is none.
    Complete,
    /// The sender's kernel left it to its card (`TP_STATUS_CSUMNOTREADY` in a packet's auxiliary data): between virtual machines and
    /// namespaces of one host the packet arrives without it.
    LeftOut,
}

/// What was in a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// Who sent it.
    pub source: SocketAddrV4,
    /// To whom.
    pub destination: SocketAddrV4,
    /// What.
    pub payload: &'a [u8],
}

/// The whole IPv4 packet (RFC 791, RFC 768) with both its sums; what stands below it, the socket adds. `None` if it would be too long.
pub fn udp4(datagram: &Datagram<'_>) -> Option<Vec<u8>> {
    let payload = datagram.payload;
    let udp_length = u16::try_from(payload.len().checked_add(UDP_HEADER)?).ok()?;
    let total = u16::try_from(payload.len().checked_add(HEADER + UDP_HEADER)?).ok()?;
    let (source, destination) = (datagram.source.ip().octets(), datagram.destination.ip().octets());
    // Version 4, five words; no fragments; a time to live of 64.
    let mut header = vec![0x45, 0];
    header.extend(total.to_be_bytes());
    header.extend([0, 0, 0x40, 0, 64, UDP, 0, 0]);
    header.extend(source);
    header.extend(destination);
    let sum = checksum(&[&header]);
    if let Some(place) = header.get_mut(10..12) {
        place.copy_from_slice(&sum.to_be_bytes());
    }

    let ports = [datagram.source.port().to_be_bytes(), datagram.destination.port().to_be_bytes()].concat();
    let pseudo = [&source[..], &destination, &[0, UDP], &udp_length.to_be_bytes()].concat();
    let sum = match checksum(&[&pseudo, &ports, &udp_length.to_be_bytes(), payload]) {
        // Zero would say that there is none.
        0 => 0xffff,
        sum => sum,
    };
    Some([&header[..], &ports, &udp_length.to_be_bytes(), &sum.to_be_bytes(), payload].concat())
}

/// Takes an IPv4 packet apart. `None` if it is not whole, no UDP, a fragment, or if a sum is wrong. Bytes behind its end are the card's.
pub fn read_udp4(packet: &[u8], sum: Checksum) -> Option<Datagram<'_>> {
    let mut reader = Reader::new(packet);
    let [first, _, total_high, total_low, _, _, fragment_high, fragment_low, _, protocol, _, _] =
        reader.array("header").ok()?;
    let header_length = usize::from(first & 0x0f) * 4;
    let fragment = u16::from_be_bytes([fragment_high, fragment_low]) & 0x3fff;
    if first >> 4 != 4 || header_length < HEADER || fragment != 0 || protocol != UDP {
        return None;
    }
    let (source, destination) = (reader.v4("source").ok()?, reader.v4("destination").ok()?);
    let whole = packet.get(..u16::from_be_bytes([total_high, total_low]).into())?;
    let (header, rest) = whole.split_at_checked(header_length)?;
    if checksum(&[header]) != 0 {
        return None;
    }
    let mut reader = Reader::new(rest);
    let (from, to) = (reader.u16("source port").ok()?, reader.u16("destination port").ok()?);
    let (length, stated) = (reader.u16("length").ok()?, reader.u16("checksum").ok()?);
    let segment = rest.get(..length.into())?;
    if sum == Checksum::Complete && stated != 0 && !is_right(source, destination, length, segment) {
        return None;
    }
    let payload = segment.get(UDP_HEADER..)?;
    Some(Datagram { source: SocketAddrV4::new(source, from), destination: SocketAddrV4::new(destination, to), payload })
}

fn is_right(source: Ipv4Addr, destination: Ipv4Addr, length: u16, segment: &[u8]) -> bool {
    let pseudo = [&source.octets()[..], &destination.octets(), &[0, UDP], &length.to_be_bytes()].concat();
    checksum(&[&pseudo, segment]) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn datagram(payload: &[u8]) -> Datagram<'_> {
        Datagram {
            source: SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 68),
            destination: SocketAddrV4::new(Ipv4Addr::BROADCAST, 67),
            payload,
        }
    }

    /// Sent by dnsmasq 2.90 over a pair of virtual cards, which fill in no sum.
    #[test]
    fn a_captured_packet_reads_with_its_sum_left_out() {
        let packet = crate::vectors::bytes(include_str!("../vectors/dhcp4_ack_dnsmasq_packet.hex"));
        assert_eq!(read_udp4(&packet, Checksum::Complete), None);
        let datagram = read_udp4(&packet, Checksum::LeftOut).unwrap();
        assert_eq!((datagram.source.to_string().as_str(), datagram.destination.port()), ("192.0.2.1:67", 68));
        assert_eq!(datagram.payload.len(), 345);
    }

    #[test]
    fn each_flipped_bit_is_noticed_or_changes_nothing_of_note() {
        let packet = udp4(&datagram(b"payload")).unwrap();
        for at in 0..packet.len() {
            for bit in 0..8 {
                let mut changed = packet.clone();
                changed[at] ^= 1 << bit;
                assert_eq!(read_udp4(&changed, Checksum::Complete), None, "byte {at}, bit {bit}");
            }
        }
    }

    /// RFC 768: a sum of zero would say that there is none.
    #[test]
    fn a_sum_is_never_zero() {
        let sum = |payload: u16| {
            let packet = udp4(&datagram(&payload.to_be_bytes())).unwrap();
            assert!(read_udp4(&packet, Checksum::Complete).is_some());
            u16::from_be_bytes([packet[26], packet[27]])
        };
        let sums: std::collections::BTreeSet<u16> = (0..=u16::MAX).map(sum).collect();
        assert!(!sums.contains(&0) && sums.contains(&0xffff));
    }

    #[test]
    fn what_is_no_datagram() {
        let packet = udp4(&datagram(b"payload")).unwrap();
        for length in 0..packet.len() {
            assert_eq!(read_udp4(&packet[..length], Checksum::LeftOut), None, "{length}");
        }
        // A first fragment, with the sum made right.
        let mut fragment = packet.clone();
        fragment[6] = 0x20;
        fragment[10..12].fill(0);
        let sum = checksum(&[&fragment[..20]]);
        fragment[10..12].copy_from_slice(&sum.to_be_bytes());
        assert_eq!(read_udp4(&fragment, Checksum::Complete), None);
        assert_eq!(udp4(&datagram(&[0; 65508])), None);
        assert!(udp4(&datagram(&[0; LONGEST_PAYLOAD])).is_some());
    }

    proptest! {
        #[test]
        fn what_was_written_reads_back(payload in proptest::collection::vec(any::<u8>(), 0..600), padding in 0_usize..40) {
            let expected = datagram(&payload);
            let packet = [udp4(&expected).unwrap(), vec![0; padding]].concat();
            prop_assert_eq!(read_udp4(&packet, Checksum::Complete), Some(expected));
        }
    }
}
