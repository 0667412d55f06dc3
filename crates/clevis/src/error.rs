//! Why a pin gave nothing, who can do something about it, and what.

use crate::config::ConfigError;
pub use crate::outside::{Name, Url};
use crate::ports::{NetError, PersonError};
use crypto::{PrimeError, RandomFailed};
use jose::b64::B64Error;
use jose::{JweError, JwkError};
use json::FieldError;
use std::error::Error;
use std::fmt;
use std::io;
use tang::TangError;
use tpm2::{DictionaryAttack, PcrSelection, TpmError, TransportError};

/// Why a pin gave no secret, or did not take one.
#[derive(Debug)]
pub enum PinError {
    /// Nobody answered. The same attempt may work later.
    Unreachable {
        /// Who was asked.
        server: Url,
        /// Why there is no answer.
        source: NetError,
    },
    /// The server answered, and the answer is no.
    Refused {
        /// Who was asked.
        server: Url,
        /// For what.
        asked: Asked,
        /// The HTTP status.
        status: u16,
    },
    /// The server answered, and none of its keys has the thumbprint that the configuration names.
    OtherKeys {
        /// Who was asked.
        server: Url,
        /// The thumbprint.
        thp: String,
    },
    /// The server's keys are not accepted: not signed as they must be, or not those that were asked for.
    BadAdvertisement {
        /// Whose keys, whether they were fetched or given.
        server: Url,
        /// What is wrong with them.
        source: TangError,
    },
    /// What came back from a recovery is no answer of a key server.
    BadAnswer {
        /// Who was asked.
        server: Url,
        /// What is wrong with the answer.
        source: TangError,
    },
    /// A recovery brought a point, but not the one that opens the JWE. From here that may be another server, somebody in
    /// between, or a binding that was changed.
    WrongPoint {
        /// Who was asked.
        server: Url,
        /// What the decryption says.
        source: JweError,
    },
    /// The server's keys are not those that the binding has of it, no key of those vouches for them, and nobody could be asked.
    NotVouched {
        /// Whose keys.
        server: Url,
        /// SHA-256 thumbprints of its signing keys.
        found: Vec<String>,
    },
    /// A person looked at the server's keys and said no.
    Declined {
        /// Whose keys.
        server: Url,
    },
    /// A person has to say yes to the server's keys, and nobody could be asked.
    CannotAsk {
        /// Why not.
        source: PersonError,
    },
    /// The configuration cannot be followed.
    Config(ConfigError),
    /// A file that the configuration names cannot be read.
    File {
        /// Its path.
        path: String,
        /// Why not.
        source: io::Error,
    },
    /// The JWE cannot be read.
    NotAJwe {
        /// What is wrong with it.
        source: JweError,
    },
    /// The JWE was made by a pin that is not here.
    UnknownPin {
        /// Its name.
        name: Name,
        /// The pins that are.
        known: Vec<&'static str>,
    },
    /// The JWE's header does not say what its pin needs.
    BadBinding {
        /// The pin.
        pin: &'static str,
        /// What is wrong.
        source: BindingError,
    },
    /// The key that was found does not open the JWE: it was changed, or the key is another's.
    WrongKey {
        /// The pin that found it.
        pin: &'static str,
        /// What the decryption says.
        source: JweError,
    },
    /// Too many shares of a threshold are missing.
    TooFew {
        /// How many are needed.
        needed: usize,
        /// How many there are in all.
        shares: usize,
        /// Why each of the missing ones is missing, most telling first.
        failures: Vec<Failure>,
    },
    /// Enough shares of a threshold answered, and no combination of as many as are needed opens the JWE.
    NoSubset {
        /// How many are needed.
        needed: usize,
        /// The shares that answered: at least one of them is wrong, or the JWE is damaged.
        answered: Vec<ShareName>,
        /// How many combinations were tried.
        tried: usize,
        /// Why each of the others is missing, most telling first.
        failures: Vec<Failure>,
    },
    /// A share of a threshold could not be tied to its pin.
    Share {
        /// Which pin.
        pin: Name,
        /// Where its configuration stands.
        place: String,
        /// Why not.
        source: Box<PinError>,
    },
    /// This machine has nothing that could be a TPM.
    NoTpm,
    /// The TPM did not do its part.
    Tpm {
        /// What it did instead.
        source: TpmError,
        /// If it is locked out: how far, and for how long.
        protection: Option<DictionaryAttack>,
    },
    /// The PCRs do not hold what they held when the secret was sealed: something else was booted.
    PcrMismatch {
        /// The PCRs that the policy is about.
        selection: PcrSelection,
        /// What the TPM says.
        source: TpmError,
    },
    /// A `null` pin that was told to fail.
    ToldToFail,
    /// Encryption failed.
    Seal {
        /// Of which pin.
        pin: &'static str,
        /// Why.
        source: JweError,
    },
    /// The JWE was not made to say something beside its policy.
    Annotate {
        /// Why.
        source: JweError,
    },
    /// No prime for a threshold.
    Prime(PrimeError),
    /// No random numbers.
    Random(RandomFailed),
    /// The system gives no thread.
    Thread(io::Error),
    /// Somebody else answered first, or the person gave up.
    Cancelled,
}

/// What a key server was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Its keys.
    Advertisement,
    /// Its half of an exchange.
    Recovery,
}

/// One missing share.
#[derive(Debug)]
pub struct Failure {
    /// Which share, counted from 0 as the JWE lists them.
    pub share: usize,
    /// The pin that holds it, if its JWE could be read that far.
    pub pin: Option<Name>,
    /// Why it is missing.
    pub error: PinError,
}

/// Which share of a threshold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareName {
    /// Its number, counted from 0 as the JWE lists them.
    pub share: usize,
    /// The pin that holds it, if its JWE could be read that far.
    pub pin: Option<Name>,
}

/// A share that answered and is wrong, while enough others were right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongShare {
    /// Which one: `share 2`, or `share 3, share 2` of a threshold inside, each with its pin.
    pub place: String,
    /// What is wrong with it.
    pub fault: ShareFault,
}

/// What is wrong with a share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShareFault {
    /// It has another length, or lies outside the field.
    Odd,
    /// It differs from the check value that the header has of it.
    Unchecked,
    /// It does not lie on the polynomial of those that opened the JWE.
    Stray,
}

/// What is wrong with the header of a JWE.
#[derive(Debug)]
pub enum BindingError {
    /// A member is missing, of the wrong kind, or means nothing.
    Field(FieldError),
    /// A member is not base64url.
    Base64 {
        /// Where it is.
        place: String,
        /// What is wrong with it.
        source: B64Error,
    },
    /// A key cannot be read.
    Key(JwkError),
    /// The server's keys in it do not serve.
    Tang(TangError),
    /// What the TPM sealed is not in it.
    Sealed(TpmError),
    /// More of something than is allowed.
    TooMuch {
        /// Of what.
        what: &'static str,
        /// How much is allowed.
        limit: usize,
    },
    /// A share is not one of this threshold.
    Share(ShareFault),
}

/// What to do after a failure: three answers and no fourth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextStep {
    /// Wait; the same attempt may work later.
    RetryLater,
    /// This one will not work: try the next.
    TryAnother,
    /// Nothing will work until a person has changed something.
    Stop,
}

impl PinError {
    /// Wait and retry, try the next attempt, or stop everything.
    pub fn next_step(&self) -> NextStep {
        match self {
            PinError::Unreachable { source, .. } => after_net_error(source),
            // 5xx: the server has a problem of its own, which its keeper may solve. Anything else is its considered answer.
            PinError::Refused { status: 500.., .. } | PinError::Thread(_) => NextStep::RetryLater,
            PinError::Tpm { source, .. } => after_tpm_error(source),
            PinError::TooFew { needed, shares, failures } => after_threshold(*needed, *shares, failures),
            // One more share may make a set that opens.
            PinError::NoSubset { failures, .. } => {
                let waits = failures.iter().any(|failure| failure.error.next_step() == NextStep::RetryLater);
                if waits { NextStep::RetryLater } else { NextStep::TryAnother }
            }
            PinError::Share { source, .. } => source.next_step(),
            // A wrong point is not waited for: a bind that meets one must not take the server for absent.
            PinError::Refused { .. }
            | PinError::OtherKeys { .. }
            | PinError::BadAnswer { .. }
            | PinError::WrongPoint { .. }
            | PinError::NotAJwe { .. }
            | PinError::UnknownPin { .. }
            | PinError::BadBinding { .. }
            | PinError::WrongKey { .. }
            | PinError::NoTpm
            | PinError::PcrMismatch { .. }
            | PinError::ToldToFail
            | PinError::Cancelled => NextStep::TryAnother,
            PinError::BadAdvertisement { .. }
            | PinError::NotVouched { .. }
            | PinError::Declined { .. }
            | PinError::CannotAsk { .. }
            | PinError::Config(_)
            | PinError::File { .. }
            | PinError::Seal { .. }
            | PinError::Annotate { .. }
            | PinError::Prime(_)
            | PinError::Random(_) => NextStep::Stop,
        }
    }

    /// One command or one place to look, for the person reading the console.
    pub fn hint(&self) -> String {
        match self {
            PinError::Unreachable { server, source } => network_hint(server, source),
            PinError::OtherKeys { server, .. } | PinError::NotVouched { server, .. } => {
                format!(
                    "compare with `cotter keys show {server}`; if they differ, it may be another server: do not trust it"
                )
            }
            PinError::Refused { server, asked: Asked::Recovery, status: 404 } => {
                format!("the key of this binding is gone from {server}: put its file back there, or bind again")
            }
            PinError::Refused { server, status: 500.., .. } => format!("look at the log of the key server at {server}"),
            PinError::BadAdvertisement { source: TangError::UntrustedKeys { .. }, .. } => {
                "compare with `cotter keys show DIR` on the server; the keys may have been rotated".into()
            }
            PinError::Refused { server, .. }
            | PinError::BadAdvertisement { server, .. }
            | PinError::BadAnswer { server, .. } => {
                format!("check that {server} is a key server: `cotter keys show {server}`")
            }
            PinError::WrongPoint { server, .. } => format!(
                "check first that {server} is the server of this binding: `cotter keys show {server}`; if it is, restore the \
                 binding from a backup of the header, or bind again"
            ),
            PinError::Declined { .. } => "give the right server's thumbprint as `thp`".into(),
            PinError::CannotAsk { .. } => "give a thumbprint as `thp`, an advertisement as `adv`, or `-y`".into(),
            PinError::Config(ConfigError::Option(
                FieldError::WrongValue { place, .. } | FieldError::WrongKind { place, .. },
            )) if place.ends_with("thp") => "`cotter keys show URL` prints the thumbprint of a server".into(),
            PinError::Config(_) => "see `cotter encrypt --help` for the options of each pin".into(),
            PinError::File { path, .. } => format!("check the file {}", path.escape_debug()),
            PinError::NotAJwe { .. } | PinError::BadBinding { .. } | PinError::WrongKey { .. } => {
                "the binding is damaged: restore it from a backup of the header, or bind again".into()
            }
            PinError::UnknownPin { known, .. } => format!("this program knows {}", known.join(", ")),
            PinError::TooFew { failures, .. } => match failures.first() {
                Some(first) => first.error.hint(),
                None => "bind again with as many shares as the threshold needs".into(),
            },
            PinError::NoSubset { .. } => {
                "one of these answers is wrong, or the binding is damaged: check what answers, restore the header from a backup, or \
                 bind again"
                    .into()
            }
            PinError::Share { source, .. } => source.hint(),
            PinError::NoTpm => "switch the TPM on in the firmware's settings, or name one in TPM2TOOLS_TCTI".into(),
            PinError::Tpm { source, .. } => source.hint().into(),
            PinError::PcrMismatch { .. } => {
                "if the change was meant, open the volume with a passphrase and bind again; if it was not, look into it first".into()
            }
            PinError::ToldToFail => "this pin is for tests; bind to another".into(),
            PinError::Thread(_) => "see `ulimit -u` and the memory that is free".into(),
            PinError::Seal { .. } | PinError::Annotate { .. } | PinError::Prime(_) | PinError::Random(_) => {
                "this should not happen; please report it with the whole message".into()
            }
            PinError::Cancelled => "nothing to do: another attempt was faster, or somebody gave up".into(),
        }
    }

    /// How much this says about what to do. Where several attempts failed, the one that says most is shown first: damage and
    /// tampering before refusals, refusals before an unreachable server, and what was only cancelled last.
    pub fn weight(&self) -> u8 {
        match self {
            PinError::Cancelled | PinError::Unreachable { source: NetError::Cancelled, .. } => 0,
            PinError::Unreachable { source: NetError::TimedOut { .. }, .. } => 1,
            PinError::Unreachable { source: NetError::Resolve { .. } | NetError::Connect { .. }, .. } => 2,
            PinError::ToldToFail => 2,
            PinError::NoTpm => 2,
            PinError::Tpm { source, .. } => tpm_weight(source),
            PinError::PcrMismatch { .. } => 7,
            PinError::Unreachable { .. } | PinError::Thread(_) => 3,
            PinError::Refused { .. } => 4,
            PinError::OtherKeys { .. } | PinError::NotVouched { .. } => 7,
            PinError::UnknownPin { .. } | PinError::Declined { .. } | PinError::CannotAsk { .. } => 5,
            PinError::NotAJwe { .. } | PinError::BadBinding { .. } | PinError::Config(_) | PinError::File { .. } => 6,
            PinError::BadAdvertisement { .. }
            | PinError::BadAnswer { .. }
            | PinError::WrongPoint { .. }
            | PinError::WrongKey { .. }
            | PinError::NoSubset { .. } => 7,
            PinError::Seal { .. } | PinError::Annotate { .. } | PinError::Prime(_) | PinError::Random(_) => 8,
            PinError::TooFew { failures, .. } => failures.iter().map(|f| f.error.weight()).max().unwrap_or(6),
            PinError::Share { source, .. } => source.weight(),
        }
    }
}

fn after_net_error(error: &NetError) -> NextStep {
    match error {
        NetError::BadUrl { .. }
        | NetError::TlsFile { .. }
        | NetError::Proxy { .. }
        | NetError::TooLong
        | NetError::HeadTooLong { .. } => NextStep::TryAnother,
        NetError::Cancelled => NextStep::TryAnother,
        NetError::Resolve { .. }
        | NetError::Connect { .. }
        | NetError::Tls { .. }
        | NetError::Broken { .. }
        | NetError::TimedOut { .. } => NextStep::RetryLater,
    }
}

fn after_tpm_error(error: &TpmError) -> NextStep {
    match error {
        TpmError::Transport(TransportError::Setting { .. }) | TpmError::Random(_) => NextStep::Stop,
        error if error.may_pass() => NextStep::RetryLater,
        _ => NextStep::TryAnother,
    }
}

/// Somebody on the line and what a TPM has judged say most, a TPM that is not there says least.
fn tpm_weight(error: &TpmError) -> u8 {
    match error {
        TpmError::Transport(TransportError::Cancelled) => 0,
        TpmError::Transport(TransportError::TimedOut { .. }) => 1,
        TpmError::Transport(TransportError::NoDevice) => 2,
        TpmError::Transport(TransportError::Setting { .. }) => 6,
        TpmError::Transport(_) => 3,
        TpmError::Refused { .. } | TpmError::NoSuchPcr => 6,
        TpmError::Malformed { .. } | TpmError::Forged { .. } | TpmError::WrongName { .. } => 7,
        TpmError::Unsayable { .. } => 6,
        TpmError::Random(_) => 8,
    }
}

/// Waiting helps if enough of the missing shares may come back. One that was cancelled gave no answer at all.
fn after_threshold(needed: usize, shares: usize, failures: &[Failure]) -> NextStep {
    let lost = failures.iter().filter(|f| f.error.weight() > 0 && f.error.next_step() != NextStep::RetryLater).count();
    if shares.saturating_sub(lost) >= needed { NextStep::RetryLater } else { NextStep::TryAnother }
}

fn network_hint(server: &Url, error: &NetError) -> String {
    match error {
        NetError::BadUrl { .. } => "correct `url`; it is `http://HOST:PORT` or `https://HOST:PORT`".into(),
        NetError::TlsFile { path, .. } => format!("check the file {}", path.escape_debug()),
        NetError::Proxy { variable, .. } => format!("correct {variable}, or name {server} in no_proxy"),
        NetError::Resolve { .. } => format!("check the name and the name server, then `cotter keys show {server}`"),
        NetError::Tls { .. } => format!("check the clock, and the certificates: `cotter keys show {server}`"),
        NetError::Connect { .. } | NetError::TimedOut { .. } => {
            format!("check the network and that the server runs, then `cotter keys show {server}`")
        }
        NetError::Broken { .. } | NetError::TooLong | NetError::HeadTooLong { .. } => {
            format!("check that {server} is a key server: `cotter keys show {server}`")
        }
        NetError::Cancelled => PinError::Cancelled.hint(),
    }
}

impl fmt::Display for PinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PinError::Unreachable { server, .. } => write!(f, "{TALKING} {server}"),
            PinError::Refused { server, asked: Asked::Recovery, status: 404 } => {
                write!(f, "{TALKING} {server}: it does not have the key of this binding (404)")
            }
            PinError::Refused { server, asked: Asked::Recovery, status } => {
                write!(f, "{TALKING} {server}: it answers a recovery with {status}")
            }
            PinError::Refused { server, asked: Asked::Advertisement, status } => {
                write!(f, "{TALKING} {server}: it answers a request for its keys with {status}")
            }
            PinError::BadAdvertisement { server, .. } => write!(f, "the keys of {server} are not accepted"),
            PinError::OtherKeys { server, thp } => write!(f, "{server} has no key with the thumbprint {thp}"),
            PinError::NotVouched { server, found } => {
                let found = found.join(", ");
                write!(f, "{server} signs by {found}, which no key that the binding knows of it vouches for")
            }
            PinError::BadAnswer { server, .. } => write!(f, "the answer of {server} is not accepted"),
            PinError::WrongPoint { server, .. } => write!(
                f,
                "the answer of {server} does not open the JWE: this is another server, somebody is in between, or the binding \
                 is damaged"
            ),
            PinError::Declined { server } => write!(f, "the keys of {server} were declined"),
            PinError::CannotAsk { .. } => f.write_str("nobody can be asked to trust the server's keys"),
            PinError::Config(source) => source.fmt(f),
            PinError::File { path, .. } => write!(f, "{} cannot be read", path.escape_debug()),
            PinError::NotAJwe { .. } => f.write_str("the JWE cannot be read"),
            PinError::UnknownPin { name, .. } => write!(f, "there is no pin {name}"),
            PinError::BadBinding { pin, .. } => write!(f, "the JWE is not one that the pin {pin} made"),
            PinError::WrongKey { pin, .. } => write!(f, "the key that the pin {pin} found does not open the JWE"),
            PinError::TooFew { needed, shares, failures } => {
                // What was cancelled because the threshold could no longer be met says nothing about its server.
                let telling = || failures.iter().filter(|failure| failure.error.weight() > 0);
                write!(f, "{needed} of {shares} shares are needed, and {} failed", telling().count())?;
                telling().try_for_each(|failure| write!(f, "; {failure}"))
            }
            PinError::NoSubset { needed, answered, tried, failures } => {
                let tried = format!("{tried} combination{}", if *tried == 1 { "" } else { "s" });
                write!(f, "{} shares answered, and no {needed} of them open the JWE ({tried} tried)", answered.len())?;
                answered.iter().try_for_each(|share| write!(f, "; {share}"))?;
                failures
                    .iter()
                    .filter(|failure| failure.error.weight() > 0)
                    .try_for_each(|failure| write!(f, "; {failure}"))
            }
            PinError::Share { pin, place, .. } => write!(f, "no share for the pin {pin} at {}", place.escape_debug()),
            PinError::NoTpm => f.write_str("this machine has no TPM"),
            PinError::Tpm { source, protection: None } => source.fmt(f),
            PinError::Tpm { source, protection: Some(protection) } => {
                let DictionaryAttack { failures, most_failures, forgets_after_s, .. } = protection;
                write!(
                    f,
                    "{source}; {failures} of {most_failures} failures count, and it forgets one every {forgets_after_s} s"
                )
            }
            PinError::PcrMismatch { selection, .. } => {
                write!(f, "the PCRs {selection} are not what they were when this was sealed: something else was booted")
            }
            PinError::ToldToFail => f.write_str("the pin null was told to fail"),
            PinError::Seal { pin, .. } => write!(f, "the pin {pin} could not encrypt"),
            PinError::Annotate { .. } => f.write_str("the JWE could not be made to say anything beside its policy"),
            PinError::Prime(_) => f.write_str("no threshold could be set up"),
            PinError::Random(_) => f.write_str("no random numbers"),
            PinError::Thread(_) => f.write_str("no thread for a share"),
            PinError::Cancelled => f.write_str("cancelled"),
        }
    }
}

/// The original's words: its desktop agent looks for them in the journal (nbde-formats 6.4).
const TALKING: &str = "Error communicating with server";

impl Error for PinError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            PinError::Unreachable { source, .. } => Some(source),
            PinError::BadAdvertisement { source, .. } | PinError::BadAnswer { source, .. } => Some(source),
            PinError::CannotAsk { source } => Some(source),
            PinError::Config(source) => source.source(),
            PinError::File { source, .. } => Some(source),
            PinError::NotAJwe { source } => Some(source),
            PinError::BadBinding { source, .. } => Some(source),
            PinError::WrongPoint { source, .. }
            | PinError::WrongKey { source, .. }
            | PinError::Seal { source, .. }
            | PinError::Annotate { source } => Some(source),
            // Shown as it is.
            PinError::Tpm { source, .. } => source.source(),
            PinError::PcrMismatch { source, .. } => Some(source),
            PinError::Share { source, .. } => Some(source.as_ref()),
            PinError::Prime(source) => Some(source),
            PinError::Random(source) => Some(source),
            PinError::Thread(source) => Some(source),
            // All of a threshold's reasons are in its own text.
            PinError::TooFew { .. }
            | PinError::NoSubset { .. }
            | PinError::Refused { .. }
            | PinError::OtherKeys { .. }
            | PinError::NotVouched { .. }
            | PinError::Declined { .. }
            | PinError::UnknownPin { .. }
            | PinError::NoTpm
            | PinError::ToldToFail
            | PinError::Cancelled => None,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = ShareName { share: self.share, pin: self.pin.clone() };
        write!(f, "{name}: {}", self.error)?;
        let mut cause = self.error.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl fmt::Display for ShareName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "share {}", self.share + 1)?;
        self.pin.iter().try_for_each(|pin| write!(f, " ({pin})"))
    }
}

impl WrongShare {
    /// The same, seen from outside of the share called `outer`.
    pub(crate) fn inside(self, outer: &ShareName) -> WrongShare {
        WrongShare { place: format!("{outer}, {}", self.place), ..self }
    }
}

impl fmt::Display for WrongShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.fault)
    }
}

impl fmt::Display for ShareFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ShareFault::Odd => "a share is not one of this threshold",
            ShareFault::Unchecked => "the share is not the one that was dealt: it differs from its check value",
            ShareFault::Stray => "the share is not the one that was dealt: it does not fit those that opened the JWE",
        })
    }
}

impl fmt::Display for BindingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BindingError::Field(source) => source.fmt(f),
            BindingError::Base64 { place, .. } => write!(f, "{place} is not base64url"),
            BindingError::Key(_) => f.write_str("the key in it cannot be read"),
            BindingError::Tang(_) => f.write_str("the server's keys in it do not serve"),
            BindingError::Sealed(_) => f.write_str("what the TPM sealed is not in it"),
            BindingError::TooMuch { what, limit } => write!(f, "it has more than {limit} {what}"),
            BindingError::Share(fault) => fault.fmt(f),
        }
    }
}

impl Error for BindingError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            BindingError::Base64 { source, .. } => Some(source),
            BindingError::Key(source) => Some(source),
            BindingError::Tang(source) => Some(source),
            BindingError::Sealed(source) => Some(source),
            // A field error is shown as it is.
            BindingError::Field(_) | BindingError::TooMuch { .. } | BindingError::Share(_) => None,
        }
    }
}

impl From<ConfigError> for PinError {
    fn from(source: ConfigError) -> PinError {
        PinError::Config(source)
    }
}

impl From<FieldError> for BindingError {
    fn from(source: FieldError) -> BindingError {
        BindingError::Field(source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn unreachable() -> PinError {
        let source = NetError::TimedOut { after: Duration::from_secs(30) };
        PinError::Unreachable { server: Url::new("http://s"), source }
    }

    fn too_few(needed: usize, shares: usize, errors: Vec<PinError>) -> PinError {
        let failure = |(share, error)| Failure { share, pin: Some(Name::new("tang")), error };
        PinError::TooFew { needed, shares, failures: errors.into_iter().enumerate().map(failure).collect() }
    }

    fn refused(status: u16) -> PinError {
        PinError::Refused { server: Url::new("http://s"), asked: Asked::Recovery, status }
    }

    #[test]
    fn the_original_agents_words_are_kept() {
        assert!(unreachable().to_string().contains("Error communicating with server http://s"));
        assert!(refused(404).to_string().contains("Error communicating with server http://s"));
    }

    #[test]
    fn waiting_is_for_what_may_change_by_itself() {
        assert_eq!(unreachable().next_step(), NextStep::RetryLater);
        assert_eq!(refused(503).next_step(), NextStep::RetryLater);
        assert_eq!(refused(404).next_step(), NextStep::TryAnother);
        assert_eq!(too_few(1, 2, vec![unreachable(), refused(404)]).next_step(), NextStep::RetryLater);
        assert_eq!(too_few(2, 2, vec![unreachable(), refused(404)]).next_step(), NextStep::TryAnother);
        assert_eq!(too_few(1, 2, vec![PinError::Cancelled, refused(404)]).next_step(), NextStep::RetryLater);
        assert_eq!(PinError::Declined { server: Url::new("s") }.next_step(), NextStep::Stop);
    }

    #[test]
    fn a_threshold_tells_every_reason() {
        let error = too_few(2, 3, vec![refused(404), unreachable()]).to_string();
        assert!(error.contains("2 of 3 shares") && error.contains("share 1 (tang): Error") && error.contains("(404)"));
        assert!(error.contains("share 2") && error.contains("no answer within 30.0 s"), "{error}");
    }

    #[test]
    fn the_more_telling_error_weighs_more() {
        assert!(refused(404).weight() > unreachable().weight());
        assert!(unreachable().weight() > PinError::Cancelled.weight());
        assert_eq!(too_few(2, 2, vec![unreachable(), refused(404)]).weight(), refused(404).weight());
    }
}
