//! The demonstration's key server: the real one, in a thread, on loopback.

use crate::error::CommandError;
use keyserver::{Limits, Listener, Options, ServeError, Stop, StopHandle};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::thread::{self, JoinHandle};

/// A server that runs until it is stopped or dropped.
pub struct DemoServer {
    address: SocketAddr,
    stop: StopHandle,
    thread: Option<JoinHandle<Result<(), ServeError>>>,
}

impl DemoServer {
    /// Starts it on a free port, or where it was before.
    pub fn start(keys: &Path, address: Option<SocketAddr>) -> Result<DemoServer, CommandError> {
        let wanted = address.unwrap_or_else(|| (Ipv4Addr::LOCALHOST, 0).into());
        let listener =
            Listener::bind(wanted).map_err(|source| CommandError::failed("cannot start the server", source))?;
        let address = listener.address().unwrap_or(wanted);
        let (handle, stop) = Stop::new();
        let options = Options { keys: keys.to_owned(), limits: Limits::default(), log: Box::new(io::sink()) };
        let thread = thread::spawn(move || keyserver::run(vec![listener], options, stop));
        Ok(DemoServer { address, stop: handle, thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops it, and says where it was.
    pub fn stop(mut self) -> Result<SocketAddr, CommandError> {
        self.stop.stop();
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(Err(source))) => Err(CommandError::failed("the server failed", source)),
            Some(Err(_)) => Err(CommandError::plain("the server's thread failed")),
            Some(Ok(Ok(()))) | None => Ok(self.address),
        }
    }
}

impl Drop for DemoServer {
    fn drop(&mut self) {
        self.stop.stop();
        // Whatever ended the demonstration is what is reported.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
