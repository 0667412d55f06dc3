//! How long a peer may take: a byte stream that knows where in a request it stands.
//!
//! HTTP's framing is hyper's; this stands between it and the socket, sees when bytes come and go, and is told by the
//! request's handler what they mean. The connection compares the phase with the clock.

use crate::options::Limits;
use hyper::rt::{Read, ReadBufCursor, Write};
use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
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
    /// Its answer is going out.
    Answer,
    /// Between an answer and the next request.
    Idle,
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
            Phase::Answer => limits.answer,
            Phase::Idle => limits.idle,
        }
    }
}

/// A byte stream that moves a [`Pace`] on.
pub(crate) struct Paced<S> {
    stream: S,
    pace: Pace,
}

impl<S> Paced<S> {
    /// Puts `pace` on a stream.
    pub(crate) fn new(stream: S, pace: Pace) -> Paced<S> {
        Paced { stream, pace }
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

impl<S: Write + Unpin> Write for Paced<S> {
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
        Pin::new(&mut self.stream).poll_shutdown(cx)
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
