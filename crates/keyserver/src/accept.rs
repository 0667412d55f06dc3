//! Taking connections, as many as are permitted, until a stop is asked for.

use crate::connection::Host;
use crate::crew::Crew;
use crate::listener::{Connection, Listener, Peer};
use rustix::process::{Resource, getrlimit};
use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{coop::unconstrained, spawn_local};
use tokio::time::{Instant, sleep, timeout};

/// File descriptors that are not connections: listeners, event loops, key files, the log.
const OTHER_FILES: usize = 64;
/// The pause after an accept that failed for want of memory or descriptors.
const BREATH: Duration = Duration::from_millis(100);
/// How often the log says that connections wait.
const COMPLAIN_EVERY: Duration = Duration::from_secs(10);

/// Accepts on all listeners and hands over to the crew.
struct Reception {
    host: Host,
    crew: Crew,
    seats: Arc<Semaphore>,
    number_of_seats: u32,
    in_hand: usize,
    complained: Cell<Option<Instant>>,
}

/// A listener in the event loop.
enum Door {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// Serves until a stop is asked for and what was in flight is finished, or the time for that is over.
pub(crate) async fn until_stopped(listeners: Vec<Listener>, host: Host, crew: Crew) -> io::Result<()> {
    // Each listener holds a seat ready for whoever comes next; one of them is counted in the permitted number already.
    let in_hand = listeners.len().saturating_sub(1);
    let number_of_seats = seats(host.limits.connections.saturating_add(in_hand));
    let seats = Arc::new(Semaphore::new(number_of_seats as usize));
    let stop = host.stop.clone();
    let reception = Rc::new(Reception { host, crew, seats, number_of_seats, in_hand, complained: Cell::new(None) });
    let doors = listeners.into_iter().map(Door::open).collect::<io::Result<Vec<_>>>()?;
    let accepting: Vec<_> =
        doors.iter().map(|door| spawn_local(Rc::clone(&reception).accept_at(Rc::clone(door)))).collect();
    stop.asked().await;
    for task in accepting {
        task.abort();
        let _ = task.await;
    }
    reception.take_those_waiting(doors).await;
    reception.finish().await;
    Ok(())
}

impl Reception {
    async fn accept_at(self: Rc<Reception>, door: Rc<Door>) {
        loop {
            // The seat comes first: without one, connections wait in the kernel's queue rather than being shut out.
            let Some(seat) = self.seat().await else { return };
            match door.next().await {
                Ok((connection, peer)) => self.crew.take(connection, peer, seat),
                Err(error) if concerns_one_connection(&error) => {}
                Err(error) => {
                    self.host.log.line(format_args!("a connection could not be accepted: {error}"));
                    sleep(BREATH).await;
                }
            }
        }
    }

    async fn seat(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(seat) = Arc::clone(&self.seats).try_acquire_owned() {
            return Some(seat);
        }
        self.complain();
        Arc::clone(&self.seats).acquire_owned().await.ok()
    }

    fn complain(&self) {
        let now = Instant::now();
        if self.complained.get().is_none_or(|last| now.duration_since(last) >= COMPLAIN_EVERY) {
            self.complained.set(Some(now));
            let number = (self.number_of_seats as usize).saturating_sub(self.in_hand);
            self.host
                .log
                .line(format_args!("{number} connections are open, as many as are permitted: the next ones wait"));
        }
    }

    /// Takes those who were there before the stop, as far as there are seats, and closes the doors: whoever comes now is
    /// refused by the kernel.
    async fn take_those_waiting(&self, doors: Vec<Rc<Door>>) {
        for door in doors {
            while let Ok(seat) = Arc::clone(&self.seats).try_acquire_owned()
                && let Some(Ok((connection, peer))) = at_once(door.next()).await
            {
                self.crew.take(connection, peer, seat);
            }
        }
    }

    /// Waits until every connection has given its seat back. Each has been asked to stop by itself.
    async fn finish(&self) {
        let all_seats = self.seats.acquire_many(self.number_of_seats);
        if timeout(self.host.limits.grace, all_seats).await.is_err() {
            let open = self.number_of_seats as usize - self.seats.available_permits();
            self.host.log.line(format_args!("stopped with {open} requests unfinished"));
        }
    }
}

/// As many connections as are permitted and as the process may have files for.
fn seats(permitted: usize) -> u32 {
    let files = getrlimit(Resource::Nofile).current.and_then(|files| usize::try_from(files).ok());
    let possible = files.map_or(usize::MAX, |files| files.saturating_sub(OTHER_FILES));
    u32::try_from(permitted.min(possible).clamp(1, Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX)
}

impl Door {
    fn open(listener: Listener) -> io::Result<Rc<Door>> {
        let door = match listener {
            Listener::Tcp(listener) => Door::Tcp(TcpListener::from_std(listener)?),
            Listener::Unix(listener) => Door::Unix(UnixListener::from_std(listener)?),
        };
        Ok(Rc::new(door))
    }

    /// The next connection, taken out of this event loop again: it will live in another.
    async fn next(&self) -> io::Result<(Connection, Peer)> {
        match self {
            Door::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                Ok((Connection::Tcp(stream.into_std()?), Peer::at(address)))
            }
            Door::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok((Connection::Unix(stream.into_std()?), Peer::unknown()))
            }
        }
    }
}

/// What `future` gives without waiting, if anything.
async fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(unconstrained(future));
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// Whether an accept failed because the one who came has gone again, or lives behind a broken network (accept(2)).
fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::ConnectionAborted
            | Kind::ConnectionReset
            | Kind::Interrupted
            | Kind::HostUnreachable
            | Kind::NetworkUnreachable
            | Kind::NetworkDown
            | Kind::TimedOut
    )
}
