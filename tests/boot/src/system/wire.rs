//! What goes over the network card of a guest: QEMU writes every frame down, in the format of pcap, while the guest runs.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// More frames than a boot has; who sends for ever fills no memory.
const MOST: usize = 20_000;
/// Larger than any frame here.
const LONGEST_FRAME: usize = 1 << 17;
const FILE_HEADER: usize = 24;
const FRAME_HEADER: usize = 16;

/// A frame, as far as a boot is judged by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame {
    /// DHCP of IPv4, from the guest.
    DhcpAsked,
    /// DHCP of IPv4, to the guest.
    DhcpTold,
    /// A question to a name server.
    NameAsked,
    /// The guest opens a connection to this port.
    Connects(u16),
    /// Anything else.
    Other,
}

/// Frames with the time since power on.
pub(super) type Frames = Arc<Mutex<Vec<(Duration, Frame)>>>;

/// Reads a pipe that QEMU writes into, in a thread that ends with QEMU.
pub(super) fn read(pipe: &Path, start: Instant) -> Frames {
    let frames = Frames::default();
    let (pipe, seen) = (pipe.to_owned(), Arc::clone(&frames));
    std::thread::spawn(move || follow(File::open(pipe).ok()?, start, &seen));
    frames
}

fn follow(mut from: impl Read, start: Instant, seen: &Mutex<Vec<(Duration, Frame)>>) -> Option<()> {
    from.read_exact(&mut [0; FILE_HEADER]).ok()?;
    loop {
        let mut header = [0; FRAME_HEADER];
        from.read_exact(&mut header).ok()?;
        // The length that was kept, in the order of the machine that writes, which is ours.
        let length = u32::from_ne_bytes(header[8..12].try_into().ok()?);
        let mut frame = vec![0; usize::try_from(length).ok().filter(|length| *length <= LONGEST_FRAME)?];
        from.read_exact(&mut frame).ok()?;
        let mut seen = seen.lock().unwrap();
        if seen.len() < MOST {
            seen.push((start.elapsed(), told(&frame)));
        }
    }
}

/// What a frame is: Ethernet, IPv4, UDP or TCP.
fn told(frame: &[u8]) -> Frame {
    let Some([8, 0, packet @ ..]) = frame.get(12..) else { return Frame::Other };
    let words = usize::from(packet.first().copied().unwrap_or_default() & 0xf);
    let (Some(protocol), Some(segment)) = (packet.get(9), packet.get(words * 4..)) else { return Frame::Other };
    let &[_, _, high, low, ..] = segment else { return Frame::Other };
    const SYN_AND_ACK: u8 = 0x12;
    match (protocol, u16::from_be_bytes([high, low])) {
        (17, 67) => Frame::DhcpAsked,
        (17, 68) => Frame::DhcpTold,
        (17, 53) => Frame::NameAsked,
        (6, port) if segment.get(13).is_some_and(|flags| flags & SYN_AND_ACK == 2) => Frame::Connects(port),
        _ => Frame::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(protocol: u8, port: u16, flags: u8) -> Vec<u8> {
        let mut bytes = vec![0; 12];
        bytes.extend([8, 0, 0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0, 10, 0, 2, 15, 10, 0, 2, 2, 0x80, 0]);
        bytes.extend(port.to_be_bytes());
        bytes.extend([0, 0, 0, 0, 0, 0, 0, 0, 0x50, flags]);
        bytes
    }

    #[test]
    fn frames_are_told_apart() {
        let check = |bytes: &[u8], expected| assert_eq!(told(bytes), expected);
        check(&frame(6, 7777, 0x02), Frame::Connects(7777));
        check(&frame(6, 7777, 0x12), Frame::Other);
        check(&frame(17, 67, 0), Frame::DhcpAsked);
        check(&frame(17, 68, 0), Frame::DhcpTold);
        check(&frame(17, 53, 0), Frame::NameAsked);
        check(&[], Frame::Other);
        check(&frame(6, 7777, 2)[..20], Frame::Other);
    }

    #[test]
    fn a_stream_of_frames_is_read_to_its_end() {
        let mut bytes = vec![0; FILE_HEADER];
        for frame in [frame(17, 67, 0), frame(6, 80, 2)] {
            let mut header = [0; FRAME_HEADER];
            header[8..12].copy_from_slice(&u32::try_from(frame.len()).unwrap().to_ne_bytes());
            bytes.extend(header);
            bytes.extend(frame);
        }
        let seen = Mutex::default();
        follow(&bytes[..], Instant::now(), &seen);
        let seen: Vec<Frame> = seen.into_inner().unwrap().into_iter().map(|(_, frame)| frame).collect();
        assert_eq!(seen, [Frame::DhcpAsked, Frame::Connects(80)]);
    }
}
