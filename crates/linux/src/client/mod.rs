//! The HTTP client: `clevis::Net` on `ureq`.
//!
//! `ureq` writes the requests and reads the answers; below it stand a resolver ([`dial`]), a transport ([`socket`]) and TLS
//! ([`tls`]) of our own, all of which wait in one place ([`patience`]) where a deadline and a cancel are seen within 50 ms.
//! `ureq`'s own time limits are not used. Answers of old servers are borne: HTTP/1.0, lines that end in a bare LF, a body
//! without a length that ends with the connection, and pieces of any size.
//!
//! One agent of `ureq` serves one origin and one exchange at a time, with one connection that is kept for the next. So the
//! transport knows whose limits it works under, and forty disks bound to one server share a handshake.

mod address;
mod clock;
mod dial;
mod patience;
mod pem_file;
mod pinned;
mod proxy;
mod roots;
mod socket;
mod socks;
mod tls;
mod trust;
mod verifier;

use address::{Address, Scheme};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clevis::{
    Cancel, Deadline, HttpRequest, HttpResponse, LONGEST_ANSWER, Method, Net, NetError, ServerPin, TlsSettings, Unseal,
};
use dial::{Dial, Names};
use patience::Patience;
use pinned::Seen;
use proxy::{Proxies, Route};
use rustls::ClientConfig;
use socket::{BUFFER, INPUT_BUFFER, LONGEST_HEAD, RequestForm};
use std::io::Read;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tls::Secure;
use trust::Trust;
use ureq::unversioned::transport::{ConnectProxyConnector, Connector};
use ureq::{Agent, Body, Error, http};

/// Limit of a whole exchange whose caller sets none.
pub const TOTAL_LIMIT: Duration = Duration::from_secs(30);

/// Most connections that are kept for later.
const MOST_KEPT: usize = 16;

/// Name and version, as every request tells them.
const USER_AGENT: &str = concat!("cotter/", env!("CARGO_PKG_VERSION"));

/// The client. It is shared by all threads of a process.
#[derive(Debug)]
pub struct Client {
    proxies: Proxies,
    trust: Trust,
    kept: Mutex<Vec<Line>>,
    names: Mutex<Option<crate::Names>>,
}

/// An agent and its connection to one origin.
#[derive(Debug)]
struct Line {
    origin: Origin,
    agent: Agent,
    patience: Patience,
    /// For a proxy that is sent plain requests.
    proxy_login: Option<String>,
    /// The variable that names the proxy of a tunnel.
    tunnel_from: &'static str,
}

/// What two exchanges must have in common to use one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Origin {
    scheme: Scheme,
    place: address::Place,
    tls: TlsSettings,
}

impl Client {
    /// A client that uses the proxies set in the environment of this process.
    pub fn from_environment() -> Client {
        Client::with_variables(|name| std::env::var(name).ok())
    }

    /// A client that finds its proxy settings by `variable`, such as `http_proxy`.
    pub fn with_variables(variable: impl Fn(&str) -> Option<String>) -> Client {
        Client {
            proxies: Proxies::read(variable),
            trust: Trust::default(),
            kept: Mutex::default(),
            names: Mutex::default(),
        }
    }

    /// The same, which lets the authorities in the file at `path` sign servers' certificates where a policy names none, or a file that
    /// is not here; and none of the system's. The file is read when the first server of that kind is asked.
    #[must_use]
    pub fn trusting(self, path: String) -> Client {
        Client { trust: Trust { authorities: Some(path), ..self.trust }, ..self }
    }

    /// The same with another clock for certificates, and another file that says when the image was built (`/etc/cotter/built`: Unix
    /// seconds, decimal), before which they are never judged.
    #[must_use]
    pub fn with_clock(self, now: fn() -> SystemTime, built: PathBuf) -> Client {
        Client { trust: Trust { now, built, ..self.trust }, ..self }
    }

    /// Looks names up by what is known here, from the next connection on; until then by the system's files and servers.
    pub fn resolve_with(&self, names: crate::Names) {
        *self.names.lock().unwrap_or_else(PoisonError::into_inner) = Some(names);
    }

    fn take_kept(&self, origin: &Origin) -> Option<Line> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().position(|line| line.origin == *origin)?;
        Some(kept.remove(at))
    }

    /// The one unused longest makes room: it may be dead by now, and nobody would ever find out.
    fn keep(&self, line: Line) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST_KEPT {
            kept.remove(0);
        }
        kept.push(line);
    }

    /// What TLS needs for a server of `origin`, if it is one of https.
    fn secured(&self, origin: &Origin, unseal: Option<&dyn Unseal>) -> Result<Option<Arc<ClientConfig>>, NetError> {
        match origin.scheme {
            Scheme::Http if !origin.tls.pins.is_empty() => {
                Err(NetError::BadUrl { why: "only https:// shows the key that is pinned" })
            }
            Scheme::Http => Ok(None),
            Scheme::Https => tls::configure(&origin.tls, unseal, &self.trust).map(Some),
        }
    }

    fn new_line(
        &self,
        address: &Address,
        origin: Origin,
        tls: Option<Arc<ClientConfig>>,
        patience: Patience,
    ) -> Result<Line, NetError> {
        let (mut form, mut place, mut proxy_login) = (RequestForm::Origin, address.place.clone(), None);
        let (mut tunnel, mut tunnel_from, mut told) = (None, "", None);
        match self.proxies.route(address)? {
            Route::Direct => {}
            Route::Through { proxy, credentials } => {
                form = RequestForm::Absolute(format!("http://{}", address.place));
                place = proxy;
                proxy_login = credentials.as_deref().map(basic);
            }
            Route::Socks { proxy, socks } => (place, told) = (proxy, Some(socks)),
            Route::Tunnel { proxy, connect, variable } => {
                (place, tunnel, tunnel_from) = (proxy, Some(connect), variable);
            }
        }
        let own = self.names.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let connector =
            ().chain(ConnectProxyConnector::default())
                .chain(Dial { patience: patience.clone(), form, socks: told, own: own.clone() })
                .chain(Secure { config: tls });
        let agent =
            Agent::with_parts(agent_config(tunnel), connector, Names { patience: patience.clone(), place, own });
        Ok(Line { origin, agent, patience, proxy_login, tunnel_from })
    }
}

fn agent_config(tunnel: Option<ureq::Proxy>) -> ureq::config::Config {
    Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(tunnel)
        .user_agent(USER_AGENT)
        .max_response_header_size(LONGEST_HEAD)
        .input_buffer_size(INPUT_BUFFER)
        .output_buffer_size(BUFFER)
        .max_idle_connections(1)
        .max_idle_connections_per_host(1)
        .build()
}

impl Net for Client {
    fn exchange(&self, request: &HttpRequest<'_>, until: Deadline, cancel: &Cancel) -> Result<HttpResponse, NetError> {
        let since = Instant::now();
        let until = until.instant().unwrap_or(since + TOTAL_LIMIT);
        let address = Address::parse(request.url)?;
        let origin = Origin { scheme: address.scheme, place: address.place.clone(), tls: request.tls.clone() };
        if let Some(line) = self.take_kept(&origin) {
            line.patience.renew(since, until, cancel);
            match line.exchange(request, &address) {
                // The server may close a kept connection at any moment; both requests may be sent twice.
                Err(NetError::Broken { .. }) => {}
                answer => return self.finish(line, answer),
            }
        }
        let tls = self.secured(&origin, request.unseal)?;
        let line = self.new_line(&address, origin, tls, Patience::new(since, until, cancel))?;
        let answer = line.exchange(request, &address);
        self.finish(line, answer)
    }
}

impl Client {
    /// The key that the server at `url` proves to hold. Nothing is trusted, and nothing but that is asked: what it answers beyond the
    /// handshake does not matter.
    ///
    /// # Errors
    /// [`NetError`]; [`NetError::BadUrl`] for an address without TLS.
    pub fn server_pin(&self, url: &str, until: Deadline, cancel: &Cancel) -> Result<ServerPin, NetError> {
        let since = Instant::now();
        let until = until.instant().unwrap_or(since + TOTAL_LIMIT);
        let address = Address::parse(url)?;
        if address.scheme == Scheme::Http {
            return Err(NetError::BadUrl { why: "only a server of https:// shows a key" });
        }
        let seen = Arc::new(Seen::new());
        let tls = TlsSettings::default();
        let origin = Origin { scheme: address.scheme, place: address.place.clone(), tls: tls.clone() };
        let config = tls::watching(seen.clone())?;
        let line = self.new_line(&address, origin, Some(config), Patience::new(since, until, cancel))?;
        let request = HttpRequest { method: Method::Get, url, content_type: None, body: &[], tls: &tls, unseal: None };
        let answer = line.exchange(&request, &address);
        match (seen.get(), answer) {
            (Some(pin), _) => Ok(*pin),
            (None, Err(error)) => Err(error),
            (None, Ok(_)) => Err(NetError::BadUrl { why: "only a server of https:// shows a key" }),
        }
    }

    fn finish(&self, line: Line, answer: Result<HttpResponse, NetError>) -> Result<HttpResponse, NetError> {
        if answer.is_ok() {
            self.keep(line);
        }
        answer
    }
}

impl Line {
    fn exchange(&self, request: &HttpRequest<'_>, address: &Address) -> Result<HttpResponse, NetError> {
        self.patience.left()?;
        let answer = self.ask(request, address).and_then(|answer| read_body(answer, LONGEST_ANSWER));
        // Whatever the layers in between made of the end of our patience, that is the reason; a name that nobody told an address of in time says
        // more.
        answer.map_err(|error| match (self.reason(error), self.patience.left()) {
            (reason @ NetError::Resolve { .. }, _) | (reason, Ok(_)) => reason,
            (_, Err(over)) => over,
        })
    }

    fn ask(&self, request: &HttpRequest<'_>, address: &Address) -> Result<http::Response<Body>, Error> {
        let mut head = http::Request::builder().uri(&address.uri);
        if let Some(login) = &address.credentials {
            head = head.header(http::header::AUTHORIZATION, basic(login));
        }
        if let Some(login) = &self.proxy_login {
            head = head.header(http::header::PROXY_AUTHORIZATION, login);
        }
        match request.method {
            Method::Get => self.agent.run(head.method(http::Method::GET).body(())?),
            Method::Post => {
                if let Some(content_type) = request.content_type {
                    head = head.header(http::header::CONTENT_TYPE, content_type);
                }
                self.agent.run(head.method(http::Method::POST).body(request.body)?)
            }
        }
    }

    /// Why there is no answer, in the words of the port.
    fn reason(&self, error: Error) -> NetError {
        match error {
            Error::Other(inner) => match inner.downcast::<NetError>() {
                Ok(ours) => *ours,
                Err(source) => NetError::Broken { source },
            },
            Error::Rustls(source) => tls::reason(source),
            Error::Io(source) => match source.downcast::<rustls::Error>() {
                Ok(source) => tls::reason(source),
                Err(source) => NetError::Broken { source: source.into() },
            },
            Error::ConnectProxyFailed(why) => NetError::Proxy { variable: self.tunnel_from, why },
            Error::LargeResponseHeader(_, limit) => NetError::HeadTooLong { limit },
            Error::BadUri(_) | Error::Http(_) => NetError::BadUrl { why: "it cannot be put into a request" },
            other => NetError::Broken { source: other.into() },
        }
    }
}

/// A name and password as HTTP sends them (RFC 7617).
fn basic(login: impl AsRef<[u8]>) -> String {
    format!("Basic {}", STANDARD.encode(login))
}

fn read_body(answer: http::Response<Body>, limit: usize) -> Result<HttpResponse, Error> {
    let status = answer.status().as_u16();
    let mut body = Vec::new();
    let one_more = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    answer.into_body().into_reader().take(one_more).read_to_end(&mut body)?;
    if body.len() > limit { Err(Error::Other(NetError::TooLong.into())) } else { Ok(HttpResponse { status, body }) }
}
