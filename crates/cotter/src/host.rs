//! The edge wired to the core: the ports of this machine. Each phase of network has the whole of the time; none of it runs out while a
//! person types or thinks.

use crate::args::Expect;
use crate::error::CommandError;
use crate::expected;
use block::BlockRead;
use clevis::{
    Cancel, Deadline, HttpRequest, HttpResponse, Made, Method, Net, NetError, Person, PersonError, Ports, ServerPin,
    TlsSettings, TrustPolicy,
};
use crypto::{Secret, SystemRandom};
use linux::{Client, HostFiles, Names, Terminal, TpmDevice, WhyThisTpm, deadline_after};
use luks::Accepted;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tpm2::{Conversation, Patience, Transport, TransportError};
use unlock::identity::{Closed, Expectation};

/// The deadline of the phase of network that is under way.
#[derive(Clone)]
struct Phase {
    limit: Duration,
    until: Arc<Mutex<Deadline>>,
}

impl Phase {
    fn begin(&self) -> Deadline {
        let until = deadline_after(self.limit);
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = until;
        until
    }

    fn until(&self) -> Deadline {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The clock stood so long.
    fn put_off(&self, by: Duration) {
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        *until = until.instant().and_then(|until| until.checked_add(by)).map_or(Deadline::NEVER, Deadline::at);
    }
}

/// The network, with the deadline of the phase.
struct PhasedNet {
    client: Client,
    phase: Phase,
}

impl Net for PhasedNet {
    /// What was handed out with the ports does not know of the time that a person has taken since.
    fn exchange(&self, request: &HttpRequest<'_>, _: Deadline, cancel: &Cancel) -> Result<HttpResponse, NetError> {
        self.client.exchange(request, self.phase.until(), cancel)
    }
}

/// The TPM, with the deadline of the phase.
struct PhasedTpm {
    device: TpmDevice,
    phase: Phase,
}

impl PhasedTpm {
    /// What was handed out with the ports does not know of the time that a person has taken since. What has no deadline keeps none.
    fn now<'a>(&self, patience: &Patience<'a>) -> Patience<'a> {
        Patience { until: patience.until.and(self.phase.until().instant()), ..*patience }
    }
}

impl Transport for PhasedTpm {
    fn begin<'a>(&'a self, patience: &Patience<'_>) -> Result<Box<dyn Conversation + 'a>, TransportError> {
        Ok(Box::new(PhasedTalk { talk: self.device.begin(&self.now(patience))?, tpm: self }))
    }
}

struct PhasedTalk<'a> {
    talk: Box<dyn Conversation + 'a>,
    tpm: &'a PhasedTpm,
}

impl Conversation for PhasedTalk<'_> {
    fn exchange(&mut self, command: &[u8], patience: &Patience<'_>) -> Result<Vec<u8>, TransportError> {
        self.talk.exchange(command, &self.tpm.now(patience))
    }

    fn pause(&mut self, time: Duration, patience: &Patience<'_>) -> Result<(), TransportError> {
        self.talk.pause(time, &self.tpm.now(patience))
    }
}

/// A person, whose time does not count.
struct PhasedPerson {
    terminal: Terminal,
    phase: Phase,
}

impl PhasedPerson {
    /// The clock stands while `ask` runs.
    fn unhurried<T>(&self, ask: impl FnOnce(&Terminal) -> T) -> T {
        let since = Instant::now();
        let answer = ask(&self.terminal);
        self.phase.put_off(since.elapsed());
        answer
    }
}

impl Person for PhasedPerson {
    fn confirm(&self, question: &str) -> Result<bool, PersonError> {
        self.unhurried(|terminal| terminal.confirm(question))
    }

    fn pin(&self, question: &str, cancel: &Cancel) -> Result<Secret, PersonError> {
        self.unhurried(|terminal| terminal.pin(question, cancel))
    }
}

/// This machine, as pins see it.
pub struct Host {
    net: PhasedNet,
    tpm: PhasedTpm,
    files: HostFiles,
    person: PhasedPerson,
    random: SystemRandom,
    phase: Phase,
    cancel: Cancel,
    watches: AtomicBool,
    tpm2_signatures: Option<String>,
    expected: OnceLock<Expectation>,
    made: Made,
}

impl Host {
    /// Each phase of network must be done within `limit` from its start.
    pub fn new(limit: Duration) -> Host {
        let cancel = Cancel::new();
        let phase = Phase { limit, until: Arc::new(Mutex::new(Deadline::NEVER)) };
        Host {
            net: PhasedNet { client: Client::from_environment(), phase: phase.clone() },
            tpm: PhasedTpm { device: TpmDevice::from_environment(), phase: phase.clone() },
            files: HostFiles,
            person: PhasedPerson { terminal: Terminal::until(cancel.clone()), phase: phase.clone() },
            random: SystemRandom,
            phase,
            cancel,
            watches: AtomicBool::new(false),
            tpm2_signatures: None,
            expected: OnceLock::new(),
            made: Made::new(),
        }
    }

    /// The signatures that systemd's policies want are in this file.
    #[must_use]
    pub fn with_tpm2_signatures(self, path: Option<String>) -> Host {
        Host { tpm2_signatures: path, ..self }
    }

    /// The same, which believes the authorities in this file, if there is one, where a policy names none, or a file that is not here; and
    /// none of the system's.
    #[must_use]
    pub fn trusting(self, authorities: Option<&Path>) -> Host {
        let Some(path) = authorities else { return self };
        let PhasedNet { client, phase } = self.net;
        Host { net: PhasedNet { client: client.trusting(path.to_string_lossy().into_owned()), phase }, ..self }
    }

    /// What asks servers, for who has limits of his own.
    pub fn client(&self) -> &Client {
        &self.net.client
    }

    /// The same, which looks names up by what is known here.
    #[must_use]
    pub fn resolving(self, names: Option<Names>) -> Host {
        names.into_iter().for_each(|names| self.net.client.resolve_with(names));
        self
    }

    /// Where the signatures are that systemd's policies want, if it was said.
    pub fn tpm2_signatures(&self) -> Option<&str> {
        self.tpm2_signatures.as_deref()
    }

    /// The same with a list of expected volumes that the arguments name.
    pub fn expecting(self, args: &Expect) -> Result<Host, CommandError> {
        Ok(Host { expected: OnceLock::from(expected::read(args)?), ..self })
    }

    /// What is expected of volumes: the usual list, if none was named.
    pub fn expected(&self) -> Result<&Expectation, CommandError> {
        if let Some(expected) = self.expected.get() {
            return Ok(expected);
        }
        let usual = expected::usual()?;
        Ok(self.expected.get_or_init(|| usual))
    }

    /// A volume that is to be opened, with what is expected of it.
    pub fn closed<'a>(&'a self, disk: &'a dyn BlockRead, header: &'a Accepted) -> Result<Closed<'a>, CommandError> {
        Ok(Closed { disk, header, expected: self.expected()? })
    }

    /// The ports to hand to a pin. A phase of network begins.
    pub fn ports(&self, trust: TrustPolicy) -> Ports<'_> {
        Ports {
            pins: crate::pins::ALL,
            net: &self.net,
            tpm: Some(&self.tpm),
            approvals: &[],
            parents: &[],
            replaces: false,
            made: &self.made,
            files: &self.files,
            person: &self.person,
            random: &self.random,
            trust,
            until: self.phase.begin(),
            cancel: &self.cancel,
        }
    }

    /// From here on Ctrl-C and its kin end all waiting instead of the process; one that comes more than a second later ends that
    /// too.
    pub fn cancel_on_signal(&self) -> Result<(), CommandError> {
        if self.watches.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        let cancel = self.cancel.clone();
        let watched = linux::on_stop_signal(move |_| cancel.cancel());
        watched.map_err(|source| CommandError::failed("cannot watch for signals", source))
    }

    /// The person at the terminal; a signal that ends all waiting ends this too.
    pub fn person(&self) -> &Terminal {
        &self.person.terminal
    }

    /// Which TPM is meant, and why.
    pub fn which_tpm(&self) -> Result<(String, WhyThisTpm), TransportError> {
        self.tpm.device.chosen()
    }

    /// What sealing has made beside JWEs.
    pub fn made(&self) -> &Made {
        &self.made
    }

    /// How much of the phase that is under way is left.
    pub fn time_left(&self) -> Duration {
        let until = self.phase.until().instant();
        until.map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()))
    }

    /// What ends all waiting.
    pub fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    /// The key that the server at `url` holds; nothing of it is trusted.
    pub fn server_pin(&self, url: &str) -> Result<ServerPin, CommandError> {
        self.net.client.server_pin(url, self.phase.begin(), &self.cancel).map_err(|source| {
            let error = CommandError::failed(format!("cannot see the key of {url}"), source);
            error.hint("check the address, https://HOST:PORT, the network, and that the server runs")
        })
    }

    /// What the server at `url` answers to a request for its keys; nothing in it is checked.
    pub fn advertisement(&self, url: &str) -> Result<Vec<u8>, CommandError> {
        let address = format!("{}/adv", url.trim_end_matches('/'));
        let tls = TlsSettings::default();
        let request =
            HttpRequest { method: Method::Get, url: &address, content_type: None, body: b"", tls: &tls, unseal: None };
        let what = || format!("cannot ask {url} for its keys");
        let answer = self.net.exchange(&request, self.phase.begin(), &self.cancel);
        let answer = answer.map_err(|source| {
            CommandError::failed(what(), source)
                .hint("check the address, the network, and that the server runs: `cotter serve`")
        })?;
        match answer.status {
            200 => Ok(answer.body),
            status => Err(CommandError::plain(format!("{}: it answers {status}", what())).hint("is it a key server?")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn the_clock_begins_with_the_network_and_stands_while_a_person_thinks() {
        let host = Host::new(HOUR);
        assert_eq!(host.time_left(), Duration::MAX, "nobody waits for a server yet");
        let first = host.ports(TrustPolicy::Ask).until;
        host.phase.put_off(HOUR);
        assert_eq!(host.phase.until().instant(), first.instant().map(|until| until + HOUR));
        assert!(host.time_left() > HOUR);
        let handed_out = Patience { until: first.instant(), at_most: None, cancelled: &|| false };
        assert_eq!(host.tpm.now(&handed_out).until, host.phase.until().instant(), "the TPM has that time too");
        assert_eq!(host.tpm.now(&Patience { until: None, ..handed_out }).until, None);
        host.ports(TrustPolicy::Ask);
        assert!(host.time_left() <= HOUR, "the next phase has no more than the whole");
    }
}
