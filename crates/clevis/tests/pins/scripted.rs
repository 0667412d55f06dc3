//! Ports whose other side is a script.

use clevis::{
    Cancel, Deadline, Files, HttpRequest, HttpResponse, Made, Method, Net, NetError, Person, PersonError, Ports,
    TlsSettings, TrustPolicy, pins,
};
use crypto::{Random, RandomFailed, Secret, SystemRandom};
use std::collections::HashMap;
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tang::server::{KeySet, ServerRequest};

/// What stands behind a host name.
pub(crate) enum Host {
    /// A key server.
    Keys(KeySet),
    /// A key server that answers so to who names no key.
    Shows(KeySet, u16, Vec<u8>),
    /// The same answer to everything.
    Says(u16, Vec<u8>),
    /// A refused connection.
    Down,
    /// No answer, ever.
    Silent,
}

/// Everything outside, scripted.
pub(crate) struct World {
    pub(crate) hosts: HashMap<&'static str, Host>,
    pub(crate) files: HashMap<&'static str, Vec<u8>>,
    /// Keys that were made.
    pub(crate) made: Mutex<HashMap<String, Vec<u8>>>,
    pub(crate) person: Answer,
    pub(crate) trust: TrustPolicy,
    pub(crate) cancel: Cancel,
    /// Exchanges that run at this moment.
    pub(crate) waiting: AtomicUsize,
    /// Every request so far: method and URL.
    pub(crate) asked: Mutex<Vec<String>>,
    /// What each of them said of TLS.
    pub(crate) tls: Mutex<Vec<TlsSettings>>,
    /// What the file of a client's key holds, which is opened before a request is made.
    pub(crate) key_file: Mutex<Option<Vec<u8>>>,
    pub(crate) questions: Mutex<Vec<String>>,
    pub(crate) random: Draws,
}

/// The system's random numbers, for so many draws. All are below 2^255 and so below any modulus of a threshold: none is drawn
/// again, and a policy needs the same number of draws each time.
pub(crate) struct Draws(AtomicUsize);

impl Draws {
    /// Fails from the draw after these on.
    pub(crate) fn only(draws: usize) -> Draws {
        Draws(AtomicUsize::new(draws))
    }
}

impl Random for Draws {
    fn fill(&self, into: &mut [u8]) -> Result<(), RandomFailed> {
        let left = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        left.map_err(|_| RandomFailed).and_then(|_| SystemRandom.fill(into))?;
        into.first_mut().into_iter().for_each(|top| *top &= 0x7f);
        Ok(())
    }
}

/// The person's answer.
#[derive(Clone, Copy)]
pub(crate) enum Answer {
    Yes,
    No,
    Nobody,
}

/// Far longer than any test: a child that is never cancelled makes its test fail, and not hang.
const PATIENCE: Duration = Duration::from_secs(20);

impl World {
    pub(crate) fn new() -> World {
        World {
            hosts: HashMap::new(),
            files: HashMap::new(),
            made: Mutex::default(),
            person: Answer::Nobody,
            trust: TrustPolicy::Yes,
            cancel: Cancel::new(),
            waiting: AtomicUsize::new(0),
            asked: Mutex::default(),
            tls: Mutex::default(),
            key_file: Mutex::default(),
            questions: Mutex::default(),
            random: Draws::only(usize::MAX),
        }
    }

    pub(crate) fn with(mut self, name: &'static str, host: Host) -> World {
        self.hosts.insert(name, host);
        self
    }

    /// A world with two servers, `http://a.test` on P-521 and `http://b.test` on P-256.
    pub(crate) fn with_two_servers() -> World {
        World::new().with("a.test", Host::Keys(keys("keys"))).with("b.test", Host::Keys(keys("p256")))
    }

    pub(crate) fn ports(&self) -> Ports<'_> {
        static MADE: Made = Made::new();
        Ports {
            pins: pins::ALL,
            net: self,
            tpm: None,
            approvals: &[],
            parents: &[],
            replaces: false,
            made: &MADE,
            files: self,
            person: self,
            random: &self.random,
            trust: self.trust,
            until: Deadline::NEVER,
            cancel: &self.cancel,
        }
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    fn answer(&self, request: &HttpRequest<'_>, until: Deadline, cancel: &Cancel) -> Result<HttpResponse, NetError> {
        let method = match request.method {
            Method::Get => "GET",
            Method::Post => "POST",
        };
        let rest = request.url.strip_prefix("http://").or_else(|| request.url.strip_prefix("https://"));
        let Some((rest, at)) = rest.and_then(|rest| Some((rest, rest.find('/')?))) else {
            return Err(NetError::BadUrl { why: "not in this world" });
        };
        let (name, path) = rest.split_at(at);
        if let Some(sealed) = &*self.key_file.lock().unwrap() {
            crate::server_pins::opened(request.unseal, sealed)?;
        }
        self.tls.lock().unwrap().push(request.tls.clone());
        self.asked.lock().unwrap().push(format!("{method} {}", request.url));
        match self.hosts.get(name) {
            Some(Host::Shows(_, status, body)) if path == "/adv/" => {
                Ok(HttpResponse { status: *status, body: body.clone() })
            }
            Some(Host::Keys(keys) | Host::Shows(keys, ..)) => {
                let answer = keys.answer(&ServerRequest { method, target: path, body: request.body });
                Ok(HttpResponse { status: answer.status, body: answer.body.as_ref().to_vec() })
            }
            Some(Host::Says(status, body)) => Ok(HttpResponse { status: *status, body: body.clone() }),
            Some(Host::Silent) => wait(until, cancel),
            Some(Host::Down) => {
                Err(NetError::Connect { address: name.into(), source: io::ErrorKind::ConnectionRefused.into() })
            }
            None => Err(NetError::Resolve { host: name.into(), source: io::ErrorKind::NotFound.into() }),
        }
    }
}

fn wait(until: Deadline, cancel: &Cancel) -> Result<HttpResponse, NetError> {
    let start = Instant::now();
    while until.instant().is_none_or(|until| Instant::now() < until) && start.elapsed() < PATIENCE {
        if cancel.is_cancelled() {
            return Err(NetError::Cancelled);
        }
        thread::sleep(Duration::from_millis(1));
    }
    Err(NetError::TimedOut { after: PATIENCE })
}

impl Net for World {
    fn exchange(&self, request: &HttpRequest<'_>, until: Deadline, cancel: &Cancel) -> Result<HttpResponse, NetError> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let answer = self.answer(request, until, cancel);
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        answer
    }
}

impl Files for World {
    fn read(&self, path: &str) -> Result<Secret, io::Error> {
        self.files.get(path).map(|bytes| Secret::copied_from(bytes)).ok_or(io::ErrorKind::NotFound.into())
    }

    fn read_key(&self, path: &str) -> Result<Secret, io::Error> {
        let made = self.made.lock().unwrap().get(path).map(|bytes| Secret::copied_from(bytes));
        made.map_or_else(|| self.read(path), Ok)
    }

    fn make_key(&self, path: &str, content: &Secret) -> Result<(), io::Error> {
        if self.read_key(path).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.made.lock().unwrap().insert(path.to_owned(), content.expose().to_vec());
        Ok(())
    }
}

impl Person for World {
    fn confirm(&self, question: &str) -> Result<bool, PersonError> {
        self.questions.lock().unwrap().push(question.to_owned());
        match self.person {
            Answer::Yes => Ok(true),
            Answer::No => Ok(false),
            Answer::Nobody => Err(PersonError::NoTerminal),
        }
    }

    fn pin(&self, question: &str, _: &Cancel) -> Result<Secret, PersonError> {
        self.questions.lock().unwrap().push(question.to_owned());
        Err(PersonError::NoTerminal)
    }
}

/// The keys of a directory of `vectors/`.
pub(crate) fn keys(directory: &str) -> KeySet {
    let directory = format!("{}/vectors/{directory}", env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        files.push((entry.file_name().into_string().unwrap(), Secret::new(std::fs::read(entry.path()).unwrap())));
    }
    KeySet::load(files).unwrap()
}
