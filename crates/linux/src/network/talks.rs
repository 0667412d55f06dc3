//! The conversations of one interface: what `earlynet` says is sent, what arrives is heard.

use super::event::Milestone;
use crate::link::sockets::{Dhcp4Socket, Dhcp6Socket, RouterSocket};
use crate::random::random;
use earlynet::dhcp6::{Duid, Purpose};
use earlynet::router::{Advertisement, Solicitor};
use earlynet::{LinkRule, Mac, Patience, dhcp4, dhcp6};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

/// A whole machine waits, and a switch that has just seen a carrier swallows the first packets: the second message follows soon.
const PATIENCE: Patience = Patience { first: Duration::from_millis(500), most: Duration::from_secs(8) };
/// The longest wait of DHCPv6, which begins with a second.
const LONGEST_WAIT: Duration = Duration::from_secs(8);
/// When what could not be sent is tried again, if no news come before.
const SOON: Duration = Duration::from_millis(250);

/// DHCPv4 on one interface.
#[derive(Debug)]
pub(super) struct Dhcp4 {
    socket: Dhcp4Socket,
    client: dhcp4::Client,
    /// How often of late the same was asked.
    asked: (Option<dhcp4::Kind>, u32),
    /// Messages in all.
    pub(super) sent: u32,
    pub(super) lease: Option<dhcp4::Lease>,
    pub(super) refused: Option<Option<String>>,
}

impl Dhcp4 {
    pub(super) fn begin(index: u32, mac: Mac, rule: &LinkRule, now: Duration) -> io::Result<Dhcp4> {
        let identity = dhcp4::Identity {
            mac,
            client_id: rule.client_id.clone(),
            host_name: rule.host_name.clone(),
            address: None,
        };
        Ok(Dhcp4 {
            socket: Dhcp4Socket::open(index)?,
            client: dhcp4::Client::new(identity, PATIENCE, now),
            asked: (None, 0),
            sent: 0,
            lease: None,
            refused: None,
        })
    }

    pub(super) fn due(&self) -> Duration {
        self.client.due()
    }

    /// Sends what is due.
    pub(super) fn send(&mut self, now: Duration) -> Option<Milestone> {
        let message = self.client.poll(now, &mut random)?;
        // What is lost here is sent again, like what is lost on the way.
        self.socket.send(&message).unwrap_or_default();
        let time = if self.asked.0 == Some(message.kind) { self.asked.1 + 1 } else { 1 };
        self.asked = (Some(message.kind), time);
        self.sent += 1;
        Some(Milestone::Asked { kind: message.kind, time })
    }

    /// Hears what has arrived; `Leased` says that there is another lease.
    pub(super) fn hear(&mut self, now: Duration) -> Vec<Milestone> {
        let mut milestones = Vec::new();
        while let Ok(payload) = self.socket.receive() {
            match self.client.receive(now, &payload, &mut random) {
                dhcp4::Heard::Offer(lease) => milestones.push(Milestone::Offered(lease)),
                dhcp4::Heard::Lease(lease) => {
                    (self.lease, self.refused, self.asked) = (Some(lease.clone()), None, (None, 0));
                    milestones.push(Milestone::Leased(lease));
                }
                dhcp4::Heard::Refused { server, message } => {
                    self.refused = Some(message.clone());
                    milestones.push(Milestone::Refused { server, message });
                }
                dhcp4::Heard::Nothing | dhcp4::Heard::Malformed(_) => {}
            }
        }
        milestones
    }
}

impl AsFd for Dhcp4 {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Routers on one interface. The kernel obeys what they say of addresses and routes; here it is read for what it leaves to others.
#[derive(Debug)]
pub(super) struct Routers {
    socket: RouterSocket,
    solicitor: Solicitor,
    retry: Option<Duration>,
    pub(super) begun: Duration,
    pub(super) heard: Option<Advertisement>,
}

impl Routers {
    pub(super) fn begin(index: u32, now: Duration) -> io::Result<Routers> {
        let socket = RouterSocket::open(index)?;
        Ok(Routers { socket, solicitor: Solicitor::new(PATIENCE, now), retry: None, begun: now, heard: None })
    }

    pub(super) fn due(&self) -> Duration {
        if self.heard.is_some() { Duration::MAX } else { self.retry.unwrap_or(self.solicitor.due()) }
    }

    /// Asks if it is time. As long as there is no link-local address nothing can be sent: that is tried again soon.
    pub(super) fn send(&mut self, now: Duration) -> Option<Milestone> {
        if now < self.due() {
            return None;
        }
        if self.socket.solicit().is_err() {
            self.retry = Some(now.saturating_add(SOON));
            return None;
        }
        let is_first = self.retry.take().is_some() || now == self.begun;
        self.solicitor.poll(now, &mut random);
        is_first.then_some(Milestone::Solicited)
    }

    /// Addresses have changed: what could not be sent may be.
    pub(super) fn nudge(&mut self, now: Duration) {
        self.retry.iter_mut().for_each(|due| *due = now);
    }

    /// The first advertisement of a router; others change nothing here.
    pub(super) fn hear(&mut self) -> Option<Advertisement> {
        let mut first = None;
        while let Ok(advertisement) = self.socket.receive() {
            if self.heard.is_none() {
                self.heard = Some(advertisement.clone());
                first = Some(advertisement);
            }
        }
        first
    }
}

impl AsFd for Routers {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// DHCPv6 on one interface.
#[derive(Debug)]
pub(super) struct Dhcp6 {
    socket: Dhcp6Socket,
    client: dhcp6::Client,
    retry: Option<(Duration, Vec<u8>)>,
    is_first: bool,
    pub(super) purpose: Purpose,
    pub(super) lease: Option<dhcp6::Lease>,
}

impl Dhcp6 {
    pub(super) fn begin(index: u32, mac: Mac, purpose: Purpose, now: Duration) -> io::Result<Dhcp6> {
        let client = dhcp6::Client::new(Duid::of_card(mac), index, purpose, LONGEST_WAIT, now);
        Ok(Dhcp6 { socket: Dhcp6Socket::open(index)?, client, retry: None, is_first: true, purpose, lease: None })
    }

    pub(super) fn due(&self) -> Duration {
        let retry = self.retry.as_ref().map_or(Duration::MAX, |(due, _)| *due);
        self.client.due().min(retry)
    }

    /// Sends what is due, or what could not be sent for want of a link-local address.
    pub(super) fn send(&mut self, now: Duration) -> Option<Milestone> {
        let message = match self.client.poll(now, &mut random) {
            Some(message) => message,
            None => self.retry.take_if(|(due, _)| now >= *due)?.1,
        };
        self.retry = None;
        if self.socket.send(&message).is_err() {
            self.retry = Some((now.saturating_add(SOON), message));
            return None;
        }
        std::mem::take(&mut self.is_first).then_some(Milestone::Asked6)
    }

    /// Addresses have changed: what could not be sent may be.
    pub(super) fn nudge(&mut self, now: Duration) {
        self.retry.iter_mut().for_each(|(due, _)| *due = now);
    }

    /// Hears what has arrived; `Leased6` says that there is a lease.
    pub(super) fn hear(&mut self, now: Duration) -> Vec<Milestone> {
        let mut milestones = Vec::new();
        while let Ok(payload) = self.socket.receive() {
            match self.client.receive(now, &payload) {
                dhcp6::Heard::Lease(lease) => {
                    milestones.push(Milestone::Leased6(lease.to_string()));
                    self.lease = Some(lease);
                }
                dhcp6::Heard::Refused { status, message } => milestones.push(Milestone::Refused6 { status, message }),
                dhcp6::Heard::Nothing | dhcp6::Heard::Malformed(_) | dhcp6::Heard::Offer(_) => {}
            }
        }
        milestones
    }
}

impl AsFd for Dhcp6 {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
