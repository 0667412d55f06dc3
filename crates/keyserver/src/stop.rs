//! Stopping a server from outside: a signal, a test, the end of a demonstration.

use std::future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;

/// Enough for one turn of an event loop; it takes longer where there is more to do.
const TURN: Duration = Duration::from_millis(1);

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

    /// Returns when a stop was asked for and the event loop has looked at its sockets since: what peers had sent by then
    /// has begun, and who had come has come. Nobody left who could ask: never.
    pub(crate) async fn asked(mut self) {
        if self.0.wait_for(|asked| *asked).await.is_err() {
            future::pending().await
        }
        // Timers end only where the event loop has asked the kernel for news. Yielding is not enough: it ends with the next
        // wake-up, which may come from elsewhere.
        sleep(TURN).await;
    }
}
