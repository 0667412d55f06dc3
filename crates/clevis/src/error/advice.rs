//! What to do about a failure: what comes next, one hint, and how much it says.

use super::pin::{Asked, Failure, PinError};
use super::signed::SignedPolicyError;
use crate::config::ConfigError;
use crate::outside::Url;
use crate::ports::NetError;
use json::FieldError;
use std::io;
use tang::TangError;
use tpm2::{Meaning, TpmError, TransportError};

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
            // What it lies on may yet be plugged in.
            PinError::KeyFile { source, .. } if source.kind() == io::ErrorKind::NotFound => NextStep::RetryLater,
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
            | PinError::KeyFile { .. }
            | PinError::OnlyClevis { .. }
            | PinError::OnlyOpens { .. }
            | PinError::NotAJwe { .. }
            | PinError::UnknownPin { .. }
            | PinError::BadBinding { .. }
            | PinError::WrongKey { .. }
            | PinError::NoTpm
            | PinError::PcrMismatch { .. }
            | PinError::SignedPolicy { .. }
            | PinError::Latched { .. }
            | PinError::CounterPassed { .. }
            | PinError::NotApproved { .. }
            | PinError::WrongPin { .. }
            | PinError::NobodyForPin { .. }
            | PinError::NotSigned { .. }
            | PinError::Unopened(_)
            | PinError::ToldToFail
            | PinError::Cancelled => NextStep::TryAnother,
            PinError::BadAdvertisement { .. }
            | PinError::NotVouched { .. }
            | PinError::NotACounter { .. }
            | PinError::PinNotSet { .. }
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
                format!(
                    "the key of this binding is gone from {server}: put its file back there, or use a passphrase, then \
                     `cotter luks regen -d DEVICE -s SLOT`"
                )
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
                 binding from a backup of the header, or use a passphrase, then `cotter luks regen -d DEVICE -s SLOT`"
            ),
            PinError::Declined { .. } => "give the right server's thumbprint as `thp`".into(),
            PinError::CannotAsk { .. } => "give a thumbprint as `thp`, an advertisement as `adv`, or `-y`".into(),
            PinError::Config(ConfigError::Option(
                FieldError::WrongValue { place, .. } | FieldError::WrongKind { place, .. },
            )) if place.ends_with("thp") => "`cotter keys show URL` prints the thumbprint of a server".into(),
            PinError::Config(ConfigError::Unknown { place, .. }) if is_of_cotter_tpm2(place) => {
                "pin, latch, accept, signed and counter are options of the pin cotter-tpm2".into()
            }
            PinError::Config(_) => "see `cotter encrypt --help` for the options of each pin".into(),
            PinError::File { path, .. } => format!("check the file {}", path.escape_debug()),
            PinError::KeyFile { source, .. } => match source.kind() {
                io::ErrorKind::NotFound => "plug in what it lies on, or bring it back from its backup".into(),
                io::ErrorKind::AlreadyExists => "name a file that does not exist: it will be made".into(),
                _ => "it must be a regular file of yours or root's, no link, and nobody else's to read: `ls -l`, `chmod 0400`".into(),
            },
            PinError::OnlyOpens { .. } => "bind with the whole program, once the system has started".into(),
            PinError::OnlyClevis { command, .. } => format!("this does: {command}"),
            PinError::NotAJwe { .. } | PinError::BadBinding { .. } | PinError::WrongKey { .. } => {
                "the binding is damaged: restore it from a backup of the header, or remove it, `cotter luks unbind -d DEVICE -s SLOT`, and \
                 bind anew"
                    .into()
            }
            PinError::UnknownPin { known, .. } => format!("this program knows {}", known.join(", ")),
            PinError::TooFew { failures, .. } => match failures.first() {
                Some(first) => first.error.hint(),
                None => "give it as many shares as the threshold needs: `cotter luks edit -d DEVICE -s SLOT`".into(),
            },
            PinError::NoSubset { .. } => {
                "one of these answers is wrong, or the binding is damaged: check what answers, restore the header from a backup, or \
                 use a passphrase, then `cotter luks regen -d DEVICE -s SLOT`"
                    .into()
            }
            PinError::Share { source, .. } => source.hint(),
            PinError::NoTpm => "switch the TPM on in the firmware's settings, or name one in TPM2TOOLS_TCTI".into(),
            PinError::Tpm { source, .. } => source.hint().into(),
            PinError::PcrMismatch { .. } => {
                "if the change was meant, open the volume with a passphrase, then `cotter luks regen -d DEVICE -s SLOT`; if it was not, \
                 look into it first"
                    .into()
            }
            PinError::Latched { .. } => {
                "a passphrase opens the volume; restart the machine to use the TPM again (kexec and soft-reboot are no restart)".into()
            }
            PinError::CounterPassed { .. } => {
                "if this is an old copy of the header, use the present one; else open the volume with a passphrase, then \
                 `cotter luks regen -d DEVICE -s SLOT`"
                    .into()
            }
            PinError::NotACounter { index } => {
                format!("give true for a new one; see `tpm2_nvreadpublic {index}`")
            }
            PinError::NotApproved { .. } => {
                "if the change was meant, open the volume with a passphrase and have it approved: `cotter luks reseal -d DEV --sign FILE`; if it \
                 was not, look into it first"
                    .into()
            }
            PinError::WrongPin { left: Some(0) } => {
                "the TPM is locked now: use a passphrase; left switched on it forgets, see `cotter tpm status`".into()
            }
            PinError::WrongPin { .. } => "try again, or use a passphrase: nothing about that has changed".into(),
            PinError::NobodyForPin { .. } => "open the volume at a terminal, or use a passphrase".into(),
            PinError::PinNotSet { .. } => "choose a PIN and type it twice".into(),
            PinError::NotSigned { .. } => {
                "if the change was meant, a passphrase opens the volume, and `systemd-measure sign` vouches for it; if it was not, look into \
                 it first"
                    .into()
            }
            PinError::Unopened(why) => why.hint(),
            PinError::SignedPolicy { path, source: SignedPolicyError::NoneFits { .. } } => format!(
                "if the change was meant, let the holder of the key sign it and put that into {}, or open the volume with a passphrase",
                path.escape_debug()
            ),
            PinError::SignedPolicy { path, .. } => format!("check the file {}", path.escape_debug()),
            PinError::ToldToFail => "this pin is for tests; bind to another".into(),
            PinError::Thread(_) => "see `ulimit -u` and the memory that is free".into(),
            PinError::Seal { .. } | PinError::Annotate { .. } | PinError::Prime(_) | PinError::Random(_) => {
                "this should not happen; please report it with the whole message".into()
            }
            PinError::Cancelled => "nothing to do: another attempt was faster, or somebody gave up".into(),
        }
    }

    /// The same for who is about to bind or to encrypt: nothing is there yet that could be opened or made anew.
    pub fn making_hint(&self) -> String {
        match self {
            PinError::Share { source, .. } => source.making_hint(),
            PinError::Tpm { source, .. } if source.meaning() == Some(Meaning::NoIndex) => {
                "there is no counter of this number in this TPM, which may have been cleared: correct it, `tpm2_getcap handles-nv-index` lists \
                 them, or give \"counter\":true for a new one; of a binding that is there by `cotter luks edit -d DEVICE -s SLOT`"
                    .into()
            }
            PinError::NobodyForPin { .. } => "do it at a terminal, where the PIN can be typed".into(),
            other => other.hint(),
        }
    }

    /// The same where there is no volume, but a JWE alone.
    pub fn lone_hint(&self) -> String {
        match self {
            PinError::Share { source, .. } => source.lone_hint(),
            PinError::NobodyForPin { .. } => "do it at a terminal, where the PIN can be typed".into(),
            PinError::PcrMismatch { .. } => {
                "if the change was meant, make the JWE anew from what it holds, `cotter encrypt PIN CFG`; if it was not, look into it first".into()
            }
            other => other.hint(),
        }
    }

    /// Whether it stays so until what the TPM seals is sealed anew: something else was booted, it is another TPM, or the binding is damaged.
    pub fn is_stale(&self) -> bool {
        match self {
            PinError::PcrMismatch { .. } | PinError::BadBinding { .. } => true,
            PinError::Tpm { source, .. } => {
                matches!(source, TpmError::OtherParent)
                    || matches!(source.meaning(), Some(Meaning::PolicyFailed | Meaning::NotOurs))
            }
            _ => false,
        }
    }

    /// Whether it would open if everything came true that `later` says of one failure that it is yet to come: of enough missing shares, for a
    /// threshold, at any depth. Never if there is no such failure.
    pub fn waits_for(&self, later: &dyn Fn(&PinError) -> bool) -> bool {
        match self {
            PinError::Share { source, .. } => source.waits_for(later),
            PinError::TooFew { needed, shares, failures } => {
                // One that was cancelled gave no answer at all.
                let answered = failures.iter().filter(|failure| failure.error.weight() > 0);
                let (waiting, lost): (Vec<_>, Vec<_>) = answered.partition(|failure| failure.error.waits_for(later));
                !waiting.is_empty() && shares.saturating_sub(lost.len()) >= *needed
            }
            other => later(other),
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
            PinError::Unopened(_) | PinError::OnlyClevis { .. } | PinError::OnlyOpens { .. } => 1,
            PinError::KeyFile { .. } => 4,
            PinError::NotSigned { .. } => 7,
            PinError::NoTpm => 2,
            PinError::Tpm { source, .. } => tpm_weight(source),
            PinError::PcrMismatch { .. }
            | PinError::SignedPolicy { .. }
            | PinError::CounterPassed { .. }
            | PinError::NotApproved { .. } => 7,
            PinError::Latched { .. } | PinError::WrongPin { .. } => 7,
            PinError::NobodyForPin { .. } => 5,
            PinError::NotACounter { .. } | PinError::PinNotSet { .. } => 6,
            PinError::Unreachable { source: NetError::OtherKey { .. } | NetError::ClientKey { .. }, .. } => 7,
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
        NetError::ClientKey { source, .. } => of_client_key(source.as_ref(), PinError::next_step, NextStep::TryAnother),
        // Another may answer in the server's place for a while, and the clock may be set yet.
        NetError::OtherKey { .. } | NetError::NotYetGood { .. } | NetError::Expired { .. } => NextStep::RetryLater,
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
        TpmError::Refused { .. } | TpmError::LockedOut | TpmError::NoSuchPcr => 6,
        TpmError::Malformed { .. } | TpmError::Forged { .. } | TpmError::WrongName { .. } | TpmError::OtherParent => 7,
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
        NetError::ClientKey { path, .. } => format!(
            "if this machine or what it boots was changed, seal the key again: `cotter encrypt tpm2 CFG < KEY.pem > {}`",
            path.escape_debug()
        ),
        NetError::OtherKey { .. } => format!(
            "if the server was given another key, `cotter keys pin {server}` shows it, to be compared there, and `cotter luks edit -d DEVICE \
             -s SLOT` puts it into the binding; if it was not, another answers in its place: do not trust it"
        ),
        NetError::NotYetGood { .. } => {
            format!("set the clock; or pin the server's key, which needs no clock: `cotter keys pin {server}`")
        }
        NetError::Expired { .. } => {
            format!(
                "renew the certificate on the server; or pin its key, which does not expire: `cotter keys pin {server}`"
            )
        }
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

/// What the pin that seals a client's key says to this.
fn of_client_key<T>(error: &(dyn std::error::Error + 'static), of: fn(&PinError) -> T, otherwise: T) -> T {
    error.downcast_ref::<PinError>().map_or(otherwise, of)
}

/// Whether an option that a pin does not have is one of those that only ours has.
fn is_of_cotter_tpm2(place: &str) -> bool {
    let option = place.rsplit('.').next().unwrap_or_default();
    ["pin", "latch", "accept", "signed", "counter"].contains(&option)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outside::Name;
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
    fn a_threshold_waits_if_enough_of_its_shares_do() {
        let latched = || PinError::Latched { pcr: 15 };
        let later = |error: &PinError| matches!(error, PinError::Latched { .. });
        let check = |error: PinError, waits: bool| assert_eq!(error.waits_for(&later), waits, "{error}");
        let share =
            |source| PinError::Share { pin: Name::new("sss"), place: "share 1".into(), source: Box::new(source) };
        check(latched(), true);
        check(refused(404), false);
        check(share(latched()), true);
        check(share(too_few(1, 1, vec![latched()])), true);
        check(too_few(1, 2, vec![latched(), refused(404)]), true);
        check(too_few(2, 2, vec![latched(), refused(404)]), false);
        check(too_few(2, 3, vec![PinError::Cancelled, share(latched()), refused(404)]), true);
        check(too_few(2, 2, vec![latched(), too_few(1, 2, vec![refused(404), latched()])]), true);
        // Nothing that is yet to come: no failure, none that says anything, none of this kind.
        check(too_few(1, 1, Vec::new()), false);
        check(too_few(1, 2, vec![PinError::Cancelled, PinError::Cancelled]), false);
        check(too_few(1, 2, vec![refused(404)]), false);
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
