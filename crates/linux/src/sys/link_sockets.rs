//! Sockets below and beside the kernel's own IP (packet(7), raw(7), ipv6(7)), whose addresses and control messages have no safe binding.

use rustix::net::netdevice::index_to_name;
use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto, socket_with};
use std::ffi::{c_int, c_void};
use std::io;
use std::mem::{size_of, size_of_val, zeroed};
use std::net::Ipv6Addr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// Room for the control messages that are asked for here: one of twenty bytes, one of four.
const CONTROL: usize = 128;
/// `TP_STATUS_CSUMNOTREADY` of `linux/if_packet.h`.
const SUM_NOT_READY: u32 = 1 << 3;
/// Of `linux/icmpv6.h`: the option, and the one type that is let through.
const ICMP6_FILTER: c_int = 1;
const ADVERTISEMENT: u8 = 134;
const BROADCAST: [u8; 8] = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0];

/// UDP in IPv4 for port 68, no fragment but the first: what is left of an Ethernet frame behind its header is looked at.
const DHCP_ALONE: [libc::sock_filter; 9] = [
    filter(libc::BPF_LD | libc::BPF_B | libc::BPF_ABS, 9, 0, 0),
    filter(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 17, 0, 6),
    filter(libc::BPF_LD | libc::BPF_H | libc::BPF_ABS, 6, 0, 0),
    filter(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K, 0x1fff, 4, 0),
    filter(libc::BPF_LDX | libc::BPF_B | libc::BPF_MSH, 0, 0, 0),
    filter(libc::BPF_LD | libc::BPF_H | libc::BPF_IND, 2, 0, 0),
    filter(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 68, 0, 1),
    filter(libc::BPF_RET | libc::BPF_K, 0x40000, 0, 0),
    filter(libc::BPF_RET | libc::BPF_K, 0, 0, 0),
];

#[allow(clippy::cast_possible_truncation, reason = "codes of filters have 16 bits")]
const fn filter(code: u32, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt, jf, k }
}

/// A socket that takes IPv4 packets for UDP port 68 of the interface `index`, whoever they are for, and does not block.
///
/// # Errors
/// What the system says: without the right to do so, `EPERM`.
pub(crate) fn dhcp_socket(index: u32) -> io::Result<OwnedFd> {
    // Without a protocol nothing arrives before the filter is there.
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::PACKET, SocketType::DGRAM, flags, None)?;
    let mut filters = DHCP_ALONE;
    let program = libc::sock_fprog { len: 9, filter: filters.as_mut_ptr() };
    set(&socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)?;
    set(&socket, libc::SOL_PACKET, libc::PACKET_AUXDATA, &1_i32)?;
    let place = link_address(index);
    // SAFETY: the address is as long as is said, and outlives the call.
    let bound = unsafe { libc::bind(socket.as_raw_fd(), (&raw const place).cast(), length_of(&place)) };
    if bound == 0 { Ok(socket) } else { Err(io::Error::last_os_error()) }
}

/// Sends an IPv4 packet to all machines on the interface `index`.
///
/// # Errors
/// What the system says: `ENETDOWN` while the interface is down.
pub(crate) fn send_to_all(socket: BorrowedFd<'_>, index: u32, packet: &[u8]) -> io::Result<()> {
    let place = link_address(index);
    // SAFETY: packet and address are as long as is said, and outlive the call.
    let sent = unsafe {
        let (bytes, address) = (packet.as_ptr().cast::<c_void>(), (&raw const place).cast());
        libc::sendto(socket.as_raw_fd(), bytes, packet.len(), 0, address, length_of(&place))
    };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Takes a packet: how long it is, and whether its sum was left to the card of who sent it.
///
/// # Errors
/// What the system says; [`WouldBlock`](io::ErrorKind::WouldBlock) if there is none.
pub(crate) fn receive_packet(socket: BorrowedFd<'_>, into: &mut [u8]) -> io::Result<(usize, bool)> {
    // SAFETY: all zero bytes are a valid address of any family.
    let mut from: libc::sockaddr_ll = unsafe { zeroed() };
    let mut status = 0_u32;
    let length = receive(socket, into, &mut from, libc::SOL_PACKET, libc::PACKET_AUXDATA, &mut status)?;
    Ok((length, status & SUM_NOT_READY != 0))
}

/// A socket for what routers of the interface `index` advertise; what it sends has a hop limit of 255. It does not block.
///
/// # Errors
/// What the system says: without the right to do so, `EPERM`; without IPv6, `EAFNOSUPPORT`.
pub(crate) fn router_socket(index: u32) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::INET6, SocketType::RAW, flags, Some(ipproto::ICMPV6))?;
    // A bit that is set keeps its type away.
    let mut blocked = [u32::MAX; 8];
    blocked
        .iter_mut()
        .skip(usize::from(ADVERTISEMENT / 32))
        .take(1)
        .for_each(|word| *word &= !(1 << (ADVERTISEMENT % 32)));
    set(&socket, libc::IPPROTO_ICMPV6, ICMP6_FILTER, &blocked)?;
    set(&socket, libc::IPPROTO_IPV6, libc::IPV6_RECVHOPLIMIT, &1_i32)?;
    rustix::net::sockopt::set_ipv6_multicast_hops(&socket, 255)?;
    let index = c_int::try_from(index).map_err(io::Error::other)?;
    set(&socket, libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_IF, &index)?;
    bind_to_index(&socket, index)?;
    Ok(socket)
}

/// Takes an ICMPv6 message whose sum the kernel has found right: its length, who sent it, and the hop limit that it arrived with.
///
/// # Errors
/// What the system says; [`WouldBlock`](io::ErrorKind::WouldBlock) if there is none.
pub(crate) fn receive_advertisement(socket: BorrowedFd<'_>, into: &mut [u8]) -> io::Result<(usize, Ipv6Addr, u8)> {
    // SAFETY: all zero bytes are a valid address of any family.
    let mut from: libc::sockaddr_in6 = unsafe { zeroed() };
    let mut hops: c_int = 0;
    let length = receive(socket, into, &mut from, libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT, &mut hops)?;
    Ok((length, Ipv6Addr::from(from.sin6_addr.s6_addr), u8::try_from(hops).unwrap_or(0)))
}

/// Nothing but the interface `index` is used by this socket from now on.
///
/// # Errors
/// What the system says.
pub(crate) fn bind_to_link(socket: &(impl AsRawFd + AsFd), index: u32) -> io::Result<()> {
    bind_to_index(socket, c_int::try_from(index).map_err(io::Error::other)?)
}

/// Linux before 5.1 wants the name.
fn bind_to_index(socket: &(impl AsRawFd + AsFd), index: c_int) -> io::Result<()> {
    match set(socket, libc::SOL_SOCKET, libc::SO_BINDTOIFINDEX, &index) {
        Err(error) if error.raw_os_error() == Some(libc::ENOPROTOOPT) => bind_to_name(socket, index),
        done => done,
    }
}

fn bind_to_name(socket: &(impl AsRawFd + AsFd), index: c_int) -> io::Result<()> {
    let found = index_to_name(socket, u32::try_from(index).map_err(io::Error::other)?)?;
    let mut name = [0_u8; libc::IFNAMSIZ];
    name.iter_mut().zip(found.bytes()).for_each(|(place, byte)| *place = byte);
    set(socket, libc::SOL_SOCKET, libc::SO_BINDTODEVICE, &name)
}

fn link_address(index: u32) -> libc::sockaddr_ll {
    libc::sockaddr_ll {
        sll_family: family(libc::AF_PACKET),
        sll_protocol: u16::try_from(libc::ETH_P_IP).unwrap_or(0).to_be(),
        sll_ifindex: c_int::try_from(index).unwrap_or(0),
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 6,
        sll_addr: BROADCAST,
    }
}

fn family(family: c_int) -> u16 {
    u16::try_from(family).unwrap_or(0)
}

fn length_of<T>(value: &T) -> libc::socklen_t {
    libc::socklen_t::try_from(size_of_val(value)).unwrap_or(0)
}

fn set<T>(socket: &impl AsRawFd, level: c_int, name: c_int, value: &T) -> io::Result<()> {
    // SAFETY: the kernel reads as many bytes as is said of a value that outlives the call.
    let done =
        unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const *value).cast(), length_of(value)) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Takes a message, who sent it, and the first four bytes of one control message. `A` is an address of the socket's family.
fn receive<A, C: Copy>(
    socket: BorrowedFd<'_>,
    into: &mut [u8],
    from: &mut A,
    level: c_int,
    kind: c_int,
    value: &mut C,
) -> io::Result<usize> {
    // The kernel writes structures with fields of eight bytes here.
    let mut control = [0_u64; CONTROL / 8];
    let mut piece = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
    // SAFETY: all zero bytes are a valid msghdr; every place that it names is as long as is said and outlives the call; the macros
    // below walk over no more than what the kernel says it has written of the control messages.
    unsafe {
        let mut message: libc::msghdr = zeroed();
        message.msg_name = (&raw mut *from).cast();
        message.msg_namelen = length_of(from);
        message.msg_iov = &raw mut piece;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = CONTROL as _;
        let length = libc::recvmsg(socket.as_raw_fd(), &raw mut message, 0);
        let Ok(length) = usize::try_from(length) else { return Err(io::Error::last_os_error()) };
        let mut header = libc::CMSG_FIRSTHDR(&raw const message);
        while let Some(found) = header.as_ref() {
            let whole = found.cmsg_len >= libc::CMSG_LEN(0) as usize + size_of::<C>();
            if found.cmsg_level == level && found.cmsg_type == kind && whole {
                *value = libc::CMSG_DATA(header).cast::<C>().read_unaligned();
            }
            header = libc::CMSG_NXTHDR(&raw const message, header);
        }
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Loopback is the first interface of every network.
    #[test]
    fn older_kernels_are_told_the_name() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        bind_to_name(&socket, 1).unwrap();
        let mut name = [0_u8; libc::IFNAMSIZ];
        let mut length = length_of(&name);
        // SAFETY: the kernel writes at most as many bytes as is said, into memory that outlives the call.
        let done = unsafe {
            let (place, level) = (name.as_mut_ptr().cast(), libc::SOL_SOCKET);
            libc::getsockopt(socket.as_raw_fd(), level, libc::SO_BINDTODEVICE, place, &raw mut length)
        };
        assert_eq!((done, &name[..3]), (0, b"lo\0".as_slice()));
        assert!(bind_to_name(&socket, 0x7fff_fff0).is_err());
    }
}
