//! The edge wired to the core: the ports of this machine, with one deadline for the whole command.

use crate::error::CommandError;
use clevis::{Cancel, Deadline, HttpRequest, Method, Net, Ports, TlsFiles, TrustPolicy};
use crypto::SystemRandom;
use linux::{Client, HostFiles, Terminal, deadline_after};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// This machine, as pins see it.
pub struct Host {
    net: Client,
    files: HostFiles,
    person: Terminal,
    random: SystemRandom,
    until: Deadline,
    cancel: Cancel,
    watches: AtomicBool,
}

impl Host {
    /// Everything must be done within `limit` from now.
    pub fn new(limit: Duration) -> Host {
        let cancel = Cancel::new();
        Host {
            net: Client::from_environment(),
            files: HostFiles,
            person: Terminal::until(cancel.clone()),
            random: SystemRandom,
            until: deadline_after(limit),
            cancel,
            watches: AtomicBool::new(false),
        }
    }

    /// The ports to hand to a pin.
    pub fn ports(&self, trust: TrustPolicy) -> Ports<'_> {
        Ports {
            pins: clevis::pins::ALL,
            net: &self.net,
            files: &self.files,
            person: &self.person,
            random: &self.random,
            trust,
            until: self.until,
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
        &self.person
    }

    /// What ends all waiting.
    pub fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    /// What the server at `url` answers to a request for its keys; nothing in it is checked.
    pub fn advertisement(&self, url: &str) -> Result<Vec<u8>, CommandError> {
        let address = format!("{}/adv", url.trim_end_matches('/'));
        let tls = TlsFiles::default();
        let request = HttpRequest { method: Method::Get, url: &address, content_type: None, body: b"", tls: &tls };
        let what = || format!("cannot ask {url} for its keys");
        let answer = self.net.exchange(&request, self.until, &self.cancel);
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
