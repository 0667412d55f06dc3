//! What DHCP and routers are talked to with, each bound to one interface.

use crate::sys::{self, bind_to_link};
use earlynet::{Checksum, dhcp4, dhcp6, read_udp4, router};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// No message of these protocols is longer than a packet of Ethernet with the largest frames there are.
const LONGEST: usize = 16 << 10;

/// DHCPv4 below the kernel's own IP, for as long as there is no address.
#[derive(Debug)]
pub(crate) struct Dhcp4Socket {
    index: u32,
    packets: OwnedFd,
    /// For a lease that is kept.
    own: Option<(Ipv4Addr, UdpSocket)>,
}

impl Dhcp4Socket {
    pub(crate) fn open(index: u32) -> io::Result<Dhcp4Socket> {
        Ok(Dhcp4Socket { index, packets: sys::dhcp_socket(index)?, own: None })
    }

    /// Sends a message: as a packet to all, or to a server from the address that it gave.
    pub(crate) fn send(&mut self, message: &dhcp4::Outgoing) -> io::Result<()> {
        if message.destination.ip().is_broadcast() {
            return sys::send_to_all(self.packets.as_fd(), self.index, &message.packet());
        }
        let own = *message.source.ip();
        let socket = match &self.own {
            Some((address, socket)) if *address == own => socket,
            // Answers come by the packet socket as well; the kernel has to see that somebody is there for them.
            _ => {
                let socket = UdpSocket::bind(SocketAddrV4::new(own, dhcp4::CLIENT_PORT))?;
                socket.set_nonblocking(true)?;
                bind_to_link(&socket, self.index)?;
                &self.own.insert((own, socket)).1
            }
        };
        socket.send_to(&message.payload, message.destination).map(drop)
    }

    /// The payload of the next datagram for port 68.
    ///
    /// # Errors
    /// What the system says; [`WouldBlock`](io::ErrorKind::WouldBlock) if there is none.
    pub(crate) fn receive(&self) -> io::Result<Vec<u8>> {
        let mut buffer = vec![0; LONGEST];
        loop {
            let (length, left_out) = sys::receive_packet(self.packets.as_fd(), &mut buffer)?;
            let sum = if left_out { Checksum::LeftOut } else { Checksum::Complete };
            let packet = buffer.get(..length).unwrap_or_default();
            if let Some(datagram) = read_udp4(packet, sum) {
                return Ok(datagram.payload.to_vec());
            }
        }
    }
}

impl AsFd for Dhcp4Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.packets.as_fd()
    }
}

/// DHCPv6.
#[derive(Debug)]
pub(crate) struct Dhcp6Socket {
    index: u32,
    socket: UdpSocket,
}

impl Dhcp6Socket {
    pub(crate) fn open(index: u32) -> io::Result<Dhcp6Socket> {
        // Not on the link-local address: it may not be there yet, and the kernel chooses it for what is sent.
        let socket = UdpSocket::bind(SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, dhcp6::CLIENT_PORT, 0, 0))?;
        socket.set_nonblocking(true)?;
        bind_to_link(&socket, index)?;
        Ok(Dhcp6Socket { index, socket })
    }

    /// Sends to all servers on the link.
    ///
    /// # Errors
    /// What the system says: `EADDRNOTAVAIL` as long as there is no link-local address.
    pub(crate) fn send(&self, message: &[u8]) -> io::Result<()> {
        let to = SocketAddrV6::new(dhcp6::ALL_SERVERS, dhcp6::SERVER_PORT, 0, self.index);
        self.socket.send_to(message, to).map(drop)
    }

    /// The next datagram.
    ///
    /// # Errors
    /// What the system says; [`WouldBlock`](io::ErrorKind::WouldBlock) if there is none.
    pub(crate) fn receive(&self) -> io::Result<Vec<u8>> {
        let mut buffer = vec![0; LONGEST];
        let length = self.socket.recv(&mut buffer)?;
        buffer.truncate(length);
        Ok(buffer)
    }
}

impl AsFd for Dhcp6Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// What routers advertise.
#[derive(Debug)]
pub(crate) struct RouterSocket {
    index: u32,
    socket: OwnedFd,
}

impl RouterSocket {
    pub(crate) fn open(index: u32) -> io::Result<RouterSocket> {
        Ok(RouterSocket { index, socket: sys::router_socket(index)? })
    }

    /// Asks all routers on the link. The kernel fills in the sum and the source.
    ///
    /// # Errors
    /// What the system says: `EADDRNOTAVAIL` as long as there is no link-local address.
    pub(crate) fn solicit(&self) -> io::Result<()> {
        let to = SocketAddrV6::new(router::Solicitor::ALL_ROUTERS, 0, 0, self.index);
        let message = router::solicitation(None);
        rustix::net::sendto(&self.socket, &message, rustix::net::SendFlags::empty(), &to)?;
        Ok(())
    }

    /// The next advertisement; one that is not to be obeyed is passed over.
    ///
    /// # Errors
    /// What the system says; [`WouldBlock`](io::ErrorKind::WouldBlock) if there is none.
    pub(crate) fn receive(&self) -> io::Result<router::Advertisement> {
        let mut buffer = vec![0; LONGEST];
        loop {
            let (length, from, hops) = sys::receive_advertisement(self.socket.as_fd(), &mut buffer)?;
            let message = buffer.get(..length).unwrap_or_default();
            if let Ok(advertisement) = router::Advertisement::parse(message, from, hops) {
                return Ok(advertisement);
            }
        }
    }
}

impl AsFd for RouterSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
