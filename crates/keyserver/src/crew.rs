//! The threads that serve: one per processor, each with an event loop of its own.
//!
//! Nine tenths of a recovery are one multiplication, done where the request was read: nothing is handed between threads
//! while a connection lives. So the one moment to spread the load is when a connection comes, and it goes to the thread
//! that has the fewest.

use crate::connection::Host;
use crate::error::ServeError;
use crate::listener::{Connection, Peer};
use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use tokio::runtime::{Builder, LocalOptions, LocalRuntime};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// All serving threads. When dropped, they end, and with them the connections that are still open.
pub(crate) struct Crew(Vec<Worker>);

struct Worker {
    /// `None` once it shall end.
    door: Option<UnboundedSender<Job>>,
    thread: Option<JoinHandle<()>>,
    open: Arc<AtomicUsize>,
}

/// A connection on its way to a worker, with its place among the permitted number.
struct Job {
    connection: Connection,
    peer: Peer,
    seat: Seat,
}

/// Counts a connection for as long as it lives.
struct Seat {
    open: Arc<AtomicUsize>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An event loop for the thread that calls this.
pub(crate) fn event_loop() -> Result<LocalRuntime, ServeError> {
    Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())
        .map_err(|source| ServeError::Start { what: "an event loop", source })
}

impl Crew {
    /// Starts a thread per processor this process may use.
    pub(crate) fn start(host: &Host) -> Result<Crew, ServeError> {
        let processors = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let mut crew = Crew(Vec::with_capacity(processors));
        for _ in 0..processors {
            crew.0.push(Worker::start(host.clone())?);
        }
        Ok(crew)
    }

    /// Gives a connection to the thread with the fewest.
    pub(crate) fn take(&self, connection: Connection, peer: Peer, permit: OwnedSemaphorePermit) {
        let Some(worker) = self.0.iter().min_by_key(|worker| worker.open.load(Ordering::Relaxed)) else { return };
        worker.open.fetch_add(1, Ordering::Relaxed);
        let seat = Seat { open: Arc::clone(&worker.open), _permit: permit };
        if let Some(door) = &worker.door {
            let _ = door.send(Job { connection, peer, seat }); // fails only when the thread is gone, at the very end
        }
    }
}

impl Worker {
    fn start(host: Host) -> Result<Worker, ServeError> {
        let (door, jobs) = unbounded_channel();
        let (report, started) = std::sync::mpsc::channel();
        let thread = thread::Builder::new()
            .name("serve".into())
            .spawn(move || match event_loop() {
                Ok(event_loop) => {
                    let _ = report.send(Ok(()));
                    event_loop.block_on(serve_all(host, jobs));
                }
                Err(error) => {
                    let _ = report.send(Err(error));
                }
            })
            .map_err(|source| ServeError::Start { what: "a thread", source })?;
        let gone = |_| Err(ServeError::Start { what: "a thread", source: io::Error::other("it ended at once") });
        started.recv().unwrap_or_else(gone)?;
        Ok(Worker { door: Some(door), thread: Some(thread), open: Arc::default() })
    }
}

async fn serve_all(host: Host, mut jobs: UnboundedReceiver<Job>) {
    while let Some(Job { connection, peer, seat }) = jobs.recv().await {
        let host = host.clone();
        tokio::task::spawn_local(async move {
            if let Err(error) = host.serve(connection, peer).await {
                host.log.line(format_args!("a connection could not be served: {error}"));
            }
            drop(seat);
        });
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        for worker in &mut self.0 {
            worker.door = None;
        }
        for worker in &mut self.0 {
            if let Some(thread) = worker.thread.take() {
                let _ = thread.join();
            }
        }
    }
}
