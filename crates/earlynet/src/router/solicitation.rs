//! Asking for an advertisement (RFC 4861, section 4.1; again and again as RFC 7559 has it).

use crate::icmp6::sum;
use crate::mac::Mac;
use crate::patience::{Patience, Random};
use std::net::Ipv6Addr;
use std::time::Duration;

const KIND: u8 = 133;
const SOURCE: u8 = 1;

/// To whom a solicitation goes: all routers, with a hop limit of 255.
const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

/// An ICMPv6 message with its sum. `source` is the link-local address it is sent from with the card's own; `None` is for the time before
/// there is one: the packet then comes from `::`.
pub fn solicitation(source: Option<(Ipv6Addr, Mac)>) -> Vec<u8> {
    let mut message = vec![KIND, 0, 0, 0, 0, 0, 0, 0];
    if let Some((_, mac)) = source {
        message.extend([SOURCE, 1]);
        message.extend(mac.0);
    }
    let from = source.map_or(Ipv6Addr::UNSPECIFIED, |(address, _)| address);
    let sum = sum(&message, from, ALL_ROUTERS);
    if let Some(place) = message.get_mut(2..4) {
        place.copy_from_slice(&sum.to_be_bytes());
    }
    message
}

/// When to ask.
#[derive(Clone, Copy, Debug)]
pub struct Solicitor {
    patience: Patience,
    attempt: u32,
    due: Duration,
}

impl Solicitor {
    /// Where the destination of each message is.
    pub const ALL_ROUTERS: Ipv6Addr = ALL_ROUTERS;

    /// Asks at `begin`, and further on until nobody calls [`Solicitor::poll`] any more. RFC 4861 has a random wait of up to a second before
    /// the first time, and 4 seconds between the first three; RFC 7559 doubles them.
    pub fn new(patience: Patience, begin: Duration) -> Solicitor {
        Solicitor { patience, attempt: 0, due: begin }
    }

    /// When [`Solicitor::poll`] has something to do.
    pub fn due(&self) -> Duration {
        self.due
    }

    /// Whether to send a [`solicitation`] now.
    pub fn poll(&mut self, now: Duration, random: &mut Random<'_>) -> bool {
        let is_due = now >= self.due;
        if is_due {
            self.due = now.saturating_add(self.patience.wait(self.attempt, random()));
            self.attempt = self.attempt.saturating_add(1);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kernel's own, seen in a capture: fe80::5054:ff:fe12:3456 asks with the sum 71b5.
    #[test]
    fn a_message_is_the_kernels() {
        let mac: Mac = "52:54:00:12:34:56".parse().unwrap();
        let message = solicitation(Some(("fe80::5054:ff:fe12:3456".parse().unwrap(), mac)));
        assert_eq!(message, [133, 0, 0x71, 0xb5, 0, 0, 0, 0, 1, 1, 0x52, 0x54, 0, 0x12, 0x34, 0x56]);
        let bare = solicitation(None);
        assert_eq!(bare.len(), 8);
        assert!(crate::icmp6::is_right(&bare, Ipv6Addr::UNSPECIFIED, ALL_ROUTERS));
    }

    #[test]
    fn it_asks_again() {
        let mut solicitor = Solicitor::new(Patience::EARLY, Duration::from_secs(3));
        assert!(!solicitor.poll(Duration::from_secs(2), &mut || 0));
        let mut times = Vec::new();
        for _ in 0..6 {
            let now = solicitor.due();
            assert!(solicitor.poll(now, &mut || 1 << 15) && !solicitor.poll(now, &mut || 0));
            times.push(now.as_secs());
        }
        assert_eq!(times, [3, 4, 6, 10, 18, 34]);
    }
}
