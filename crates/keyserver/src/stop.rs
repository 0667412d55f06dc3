//! Stopping a server from outside: a signal, a test, the end of a demonstration.

use std::future;
use std::sync::Arc;
use tokio::sync::watch;

/// Asks a server to stop. Any thread may; asking twice is the same as asking once, dropping it asks nothing.
#[derive(Clone, Debug)]
pub struct StopHandle(Arc<watch::Sender<bool>>);

/// The server's end of a [`StopHandle`].
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

impl StopHandle {
    /// Asks for a clean stop: new connections are refused, requests that have begun are answered.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// A handle and the end to give to the server.
    pub fn new() -> (StopHandle, Stop) {
        let (sender, receiver) = watch::channel(false);
        (StopHandle(Arc::new(sender)), Stop(receiver))
    }

    /// Returns when a stop was asked for. Nobody left who could ask: never.
    pub(crate) async fn asked(mut self) {
        if self.0.wait_for(|asked| *asked).await.is_err() {
            future::pending().await
        }
    }
}
