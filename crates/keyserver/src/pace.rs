//! How long a peer may take: a byte stream that knows where in a request it stands.
//!
//! HTTP's framing is hyper's; this stands between it and the socket, sees when bytes come and go, and is told by the
//! request's handler what they mean. The connection compares the phase with the clock.

use crate::options::Limits;
use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};
use std::cell::Cell;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// Where a connection stands. Each phase has its own limit of time, counted from its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Opened, and no byte has come.
    New,
    /// The head of a request is coming.
    Head,
    /// Its body is coming.
    Body,
    /// It is complete, and waits for the keys to be read.
    Keys,
    /// Its answer is going out.
    Answer,
    /// Between an answer and the next request.
    Idle,
    /// The last answer is going out while the peer is still sending the request it belongs to.
    LastAnswer,
    /// That answer is out; what still comes is thrown away.
    Farewell,
}

/// The phase of one connection, shared between its stream, its handler and its clock.
#[derive(Clone)]
pub(crate) struct Pace(Rc<Cell<(Phase, u32)>>);

impl Pace {
    /// A connection that has just been opened.
    pub(crate) fn new() -> Pace {
        Pace(Rc::new(Cell::new((Phase::New, 0))))
    }

    /// The phase, with a number that differs after every change.
    pub(crate) fn now(&self) -> (Phase, u32) {
        self.0.get()
    }

    /// Begins a phase.
    pub(crate) fn enter(&self, phase: Phase) {
        let (_, changes) = self.0.get();
        self.0.set((phase, changes.wrapping_add(1)));
    }
}

impl Phase {
    /// How long it may last.
    pub(crate) fn limit(self, limits: &Limits) -> Duration {
        match self {
            Phase::New | Phase::Head => limits.head,
            Phase::Body => limits.body,
            Phase::Keys | Phase::Answer | Phase::LastAnswer | Phase::Farewell => limits.answer,
            Phase::Idle => limits.idle,
        }
    }
}

/// A byte stream that moves a [`Pace`] on.
pub(crate) struct Paced<S> {
    stream: S,
    pace: Pace,
    thrown_away: usize,
}

/// How much is thrown away after the last answer.
const LONGEST_FAREWELL: usize = 1024 * 1024;

impl<S> Paced<S> {
    /// Puts `pace` on a stream.
    pub(crate) fn new(stream: S, pace: Pace) -> Paced<S> {
        Paced { stream, pace, thrown_away: 0 }
    }
}

impl<S: Read + Unpin> Paced<S> {
    /// Reads and throws away until the peer closes or the limit is reached.
    ///
    /// A socket that is closed with unread bytes in it tells the peer so, and the peer then throws away the answer that it
    /// has not read yet (RFC 9112 section 9.6).
    fn poll_throw_away(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut room = [MaybeUninit::uninit(); 4096];
        while self.thrown_away < LONGEST_FAREWELL {
            let mut read = ReadBuf::uninit(&mut room);
            ready!(Pin::new(&mut self.stream).poll_read(cx, read.unfilled()))?;
            match read.filled().len() {
                0 => break,
                some => self.thrown_away += some,
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: Read + Unpin> Read for Paced<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_read(cx, into);
        let between_requests = matches!(self.pace.now().0, Phase::New | Phase::Idle);
        if between_requests && matches!(polled, Poll::Ready(Ok(()))) {
            self.pace.enter(Phase::Head); // or the peer's end, after which no clock matters
        }
        polled
    }
}

impl<S: Read + Write + Unpin> Write for Paced<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, from)
    }

    /// Comes when everything buffered has been written.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(cx);
        if self.pace.now().0 == Phase::Answer && matches!(polled, Poll::Ready(Ok(()))) {
            self.pace.enter(Phase::Idle);
        }
        polled
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let phase = self.pace.now().0;
        if phase != Phase::Farewell {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        }
        match phase {
            // The two first: a head or a body that hyper has refused by itself.
            Phase::Head | Phase::Body | Phase::LastAnswer => self.pace.enter(Phase::Farewell),
            Phase::Farewell => {}
            Phase::New | Phase::Keys | Phase::Answer | Phase::Idle => return Poll::Ready(Ok(())),
        }
        self.poll_throw_away(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, from)
    }
}
