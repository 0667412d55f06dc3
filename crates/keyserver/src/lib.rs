//! The key server: sockets, limits and a log around [`tang::server`], which decides every answer.
//!
//! [`run`] serves listening sockets until it is asked to stop; [`serve_one`] serves one connection, as inetd wants it. Both
//! only read the key directory: no key is ever made by serving. Both block the calling thread; asynchronous code stays
//! inside. What HTTP means on the wire is hyper's; every difference to the original's stands in `docs/compatibility.md`.
//!
//! Left out on purpose: TLS and who may ask. They stand between [`Listener`] and the exchange when they come.

#![forbid(unsafe_code)]

mod accept;
mod connection;
mod crew;
mod error;
mod exchange;
mod keys;
mod listener;
mod log;
mod options;
mod pace;
mod stop;
mod watch;

pub use error::ServeError;
pub use keys::KeysUnusable;
pub use listener::{Connection, Listener, Peer};
pub use options::{Limits, Options};
pub use stop::{Stop, StopHandle};

use connection::Host;
use keys::Keys;
use log::Log;
use std::path::Path;
use std::sync::Arc;

/// Serves `listeners` until a stop is asked for, with a thread per processor.
///
/// Errors come only at the beginning. A stop closes the listeners, answers the requests that have begun (for at most
/// [`Limits::grace`]) and returns.
pub fn run(listeners: Vec<Listener>, options: Options, stop: Stop) -> Result<(), ServeError> {
    if listeners.is_empty() {
        return Err(ServeError::NoListener);
    }
    let host = host(options, stop)?;
    let crew = crew::Crew::start(&host)?;
    crew::event_loop()?
        .block_on(accept::until_stopped(listeners, host, crew))
        .map_err(|source| ServeError::Start { what: "listening", source })
}

/// Serves one connection until the peer closes it, keeping it between requests as long as the peer likes (and
/// [`Limits::idle`] allows). `peer` is what the log calls the other end; [`Connection::peer`] knows it for TCP.
///
/// Where standard error is the connection itself, as under inetd, `options.log` has to be something else.
pub fn serve_one(connection: Connection, peer: Peer, options: Options, stop: Stop) -> Result<(), ServeError> {
    let host = host(options, stop)?;
    crew::event_loop()?
        .block_on(host.serve(connection, peer))
        .map_err(|source| ServeError::Start { what: "serving the connection", source })
}

/// Whether there are keys to serve, before anybody is told where.
///
/// # Errors
/// [`ServeError::Keys`].
pub fn check(keys: &Path) -> Result<(), ServeError> {
    let opened = Keys::open(keys.to_owned());
    opened.map(drop).map_err(|source| ServeError::Keys { directory: keys.to_owned(), source })
}

fn host(options: Options, stop: Stop) -> Result<Host, ServeError> {
    let Options { keys, limits, log } = options;
    let keys = Keys::open(keys.clone()).map_err(|source| ServeError::Keys { directory: keys, source })?;
    let log = Log::start(log).map_err(|source| ServeError::Start { what: "the log", source })?;
    Ok(Host { keys: Arc::new(keys), log: Arc::new(log), limits, stop })
}
