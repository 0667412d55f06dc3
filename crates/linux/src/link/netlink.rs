//! The conversation with the kernel about its network (netlink(7), rtnetlink(7)).

use super::message::{Message, flag, kind, messages, u32_at};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recvfrom, send, socket_with};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// What the kernel puts into one datagram at most; an interface with many virtual functions takes more than a page.
const LONGEST: usize = 128 << 10;
/// How often a list is asked for anew that changed while it was told.
const ATTEMPTS: usize = 8;
/// `RTMGRP_LINK`, `RTMGRP_IPV4_IFADDR`, `RTMGRP_IPV4_ROUTE`, `RTMGRP_IPV6_IFADDR`, `RTMGRP_IPV6_ROUTE`.
const NEWS: u32 = 1 | 0x10 | 0x40 | 0x100 | 0x400;

/// The kinds and bodies of messages.
type Answers = Vec<(u16, Vec<u8>)>;

/// A socket for questions and orders. The kernel answers within the call that asks, so none of them waits.
#[derive(Debug)]
pub(super) struct Netlink {
    socket: OwnedFd,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Netlink {
    pub(super) fn open() -> io::Result<Netlink> {
        Ok(Netlink { socket: socket(0, SocketFlags::empty())?, sequence: 0, buffer: vec![0; LONGEST] })
    }

    /// Has an order carried out.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn order(&mut self, message: &Message) -> io::Result<()> {
        let message = Message { flags: message.flags | flag::ACK, ..message.clone() };
        self.ask(&message).map(drop)
    }

    /// Asks, and takes the bodies of all answers with their kinds; with the flag `DUMP` a whole list.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn ask(&mut self, message: &Message) -> io::Result<Answers> {
        for _ in 0..ATTEMPTS {
            self.sequence = self.sequence.wrapping_add(1);
            send(&self.socket, &message.to_bytes(self.sequence), SendFlags::empty())?;
            if let Some(answers) = self.answers(message.flags)? {
                return Ok(answers);
            }
        }
        Err(io::Error::new(io::ErrorKind::Interrupted, "the network does not stop changing"))
    }

    /// `None` if the list has changed meanwhile.
    fn answers(&mut self, asked: u16) -> io::Result<Option<Answers>> {
        let (mut answers, mut interrupted) = (Vec::new(), false);
        loop {
            let length = receive(&self.socket, &mut self.buffer)?;
            for heard in messages(self.buffer.get(..length).unwrap_or_default()) {
                if heard.sequence != self.sequence {
                    continue;
                }
                interrupted |= heard.flags & flag::INTERRUPTED != 0;
                match heard.kind {
                    kind::DONE => return Ok((!interrupted).then_some(answers)),
                    kind::ERROR => {
                        refused(heard.body)?;
                        return Ok(Some(answers));
                    }
                    other => answers.push((other, heard.body.to_vec())),
                }
            }
            let single = asked & flag::DUMP == 0 && asked & flag::ACK == 0;
            if single && !answers.is_empty() {
                return Ok(Some(answers));
            }
        }
    }
}

/// What the kernel says of an order: zero, or the negative number of an error.
fn refused(body: &[u8]) -> io::Result<()> {
    let code = u32_at(body, 0).unwrap_or(0).cast_signed();
    if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(code.wrapping_neg())) }
}

/// Tells that interfaces, addresses or routes have changed; what exactly, their lists say.
#[derive(Debug)]
pub struct News {
    socket: OwnedFd,
}

impl News {
    /// Listens from now on.
    ///
    /// # Errors
    /// What the system says.
    pub fn listen() -> io::Result<News> {
        Ok(News { socket: socket(NEWS, SocketFlags::NONBLOCK)? })
    }

    /// Whether there are any; they are forgotten.
    pub(crate) fn take(&self) -> bool {
        let (mut buffer, mut any) = ([0; 4096], false);
        // Too many at once are an error of their own, and news as well. Others end it: nothing is left, or nothing comes any more.
        while let Ok(_) | Err(rustix::io::Errno::NOBUFS) = recvfrom(&self.socket, &mut buffer, RecvFlags::empty()) {
            any = true;
        }
        any
    }

    /// Waits for some, and no longer than `limit`. Whether there were any; they are forgotten.
    pub fn wait(&self, limit: Duration) -> bool {
        let seconds = i64::try_from(limit.as_secs()).unwrap_or(i64::MAX);
        let limit = Timespec { tv_sec: seconds, tv_nsec: limit.subsec_nanos().into() };
        // What interrupts it is no news.
        let _ = poll(&mut [PollFd::new(&self.socket, PollFlags::IN)], Some(&limit));
        self.take()
    }
}

impl AsFd for News {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn socket(groups: u32, more: SocketFlags) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | more;
    // No protocol is `NETLINK_ROUTE`.
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
    bind(&socket, &SocketAddrNetlink::new(0, groups))?;
    Ok(socket)
}

/// One datagram of the kernel's; those of other processes, which may send to this socket, are dropped.
fn receive(socket: &OwnedFd, into: &mut [u8]) -> io::Result<usize> {
    loop {
        let (_, length, from) = recvfrom(socket, &mut *into, RecvFlags::TRUNC)?;
        let sender = from.and_then(|from| SocketAddrNetlink::try_from(from).ok());
        if sender.is_none_or(|sender| sender.pid() != 0) {
            continue;
        }
        if length > into.len() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the kernel says more than there is room for"));
        }
        return Ok(length);
    }
}
