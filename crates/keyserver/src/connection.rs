//! One connection from its first byte to its last: hyper's framing, our limits of time, a stop from outside.

use crate::exchange::Exchange;
use crate::keys::Keys;
use crate::listener::{Connection, Peer};
use crate::log::Log;
use crate::options::Limits;
use crate::pace::{Pace, Paced, Phase};
use crate::stop::Stop;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::unix::pipe;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, sleep};

/// What all connections of a server share.
#[derive(Clone)]
pub(crate) struct Host {
    pub(crate) keys: Arc<Keys>,
    pub(crate) log: Arc<Log>,
    pub(crate) limits: Limits,
    pub(crate) stop: Stop,
}

/// How a connection ended.
enum End {
    /// By itself: by the peer's wish, by a stop, or by a broken request.
    Finished(hyper::Result<()>),
    /// The peer took too long in this phase.
    TooSlow(Phase),
}

impl Host {
    /// Serves one connection until it ends. Must run inside an event loop.
    pub(crate) async fn serve(&self, connection: Connection, peer: Peer) -> io::Result<()> {
        match connection {
            Connection::Tcp(stream) => self.serve_stream(TcpStream::from_std(stream)?, peer).await,
            Connection::Unix(stream) => self.serve_stream(UnixStream::from_std(stream)?, peer).await,
            Connection::Pipes(input, output) => {
                let (input, output) = (pipe::Receiver::from_file(input)?, pipe::Sender::from_file(output)?);
                self.serve_stream(tokio::io::join(input, output), peer).await;
            }
        }
        Ok(())
    }

    async fn serve_stream(&self, stream: impl AsyncRead + AsyncWrite + Unpin + 'static, peer: Peer) {
        let pace = Pace::new();
        let (keys, log) = (Arc::clone(&self.keys), Arc::clone(&self.log));
        let exchange = Rc::new(Exchange { keys, log, peer, pace: pace.clone() });
        let service = {
            let exchange = Rc::clone(&exchange);
            service_fn(move |request| {
                let exchange = Rc::clone(&exchange);
                async move { exchange.answer(request).await }
            })
        };
        let stream = Paced::new(TokioIo::new(stream), pace.clone());
        let connection = self.framing().serve_connection(stream, service);
        if let Some(why) = self.watch_over(connection, &pace).await.complaint(&self.limits) {
            self.log.line(format_args!("{} => {why}", exchange.peer));
        }
    }

    fn framing(&self) -> http1::Builder {
        let mut http = http1::Builder::new();
        http.auto_date_header(false)
            .title_case_headers(true) // names are spelled as the original spells them
            .half_close(true) // a client may close its sending side and still wait for the answer
            .header_read_timeout(None) // `Pace` has the clocks
            .max_buf_size(self.limits.head_bytes.max(8192));
        http
    }

    /// Drives `connection` while watching the clock of its phase and the wish to stop.
    async fn watch_over<S, B>(&self, connection: http1::Connection<Paced<TokioIo<S>>, B>, pace: &Pace) -> End
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
        B: hyper::service::HttpService<hyper::body::Incoming>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
        B::ResBody: 'static,
        <B::ResBody as hyper::body::Body>::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let mut connection = pin!(connection);
        let mut asked_to_stop = pin!(self.stop.clone().asked());
        let mut stopping = false;
        let (mut phase, mut change) = pace.now();
        let mut alarm = pin!(sleep(phase.limit(&self.limits)));
        poll_fn(|cx| {
            let mut progress = connection.as_mut().poll(cx);
            if progress.is_pending() && !stopping && asked_to_stop.as_mut().poll(cx).is_ready() {
                stopping = true;
                connection.as_mut().graceful_shutdown();
                progress = connection.as_mut().poll(cx);
            }
            if let Poll::Ready(result) = progress {
                return Poll::Ready(End::Finished(result));
            }
            if pace.now() != (phase, change) {
                (phase, change) = pace.now();
                alarm.as_mut().reset(Instant::now() + phase.limit(&self.limits));
            }
            alarm.as_mut().poll(cx).map(|()| End::TooSlow(phase))
        })
        .await
    }
}

impl End {
    /// What to log about it; `None` for what is every day's business or has been logged.
    fn complaint(&self, limits: &Limits) -> Option<String> {
        match self {
            End::Finished(Err(error)) if error.is_parse_too_large() => Some(format!("431 ({error})")),
            End::Finished(Err(error)) if error.is_parse() => Some(format!("400 ({error})")),
            End::Finished(_) | End::TooSlow(Phase::New | Phase::Idle) => None,
            End::TooSlow(phase) => {
                let what = match phase {
                    Phase::Body => "the body",
                    Phase::Keys => "reading the keys",
                    Phase::Answer | Phase::LastAnswer => "the reader of the answer",
                    Phase::Farewell => "the rest of a refused request",
                    _ => "the head",
                };
                Some(format!("closed ({what} took longer than {} s)", phase.limit(limits).as_secs_f32()))
            }
        }
    }
}
