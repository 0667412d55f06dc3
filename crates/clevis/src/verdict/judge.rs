//! How well a policy stands each threat: what each part of it gives the attacker, counted against the thresholds.
//!
//! A part is closed to him, open, or depends. A threshold is open if as many parts are as it needs, and closed if, with all that
//! depend, there are still too few. Where one key server is at stake, the worst one to lose is taken.

use super::policy::{Asks, Policy, TokenPin};
use super::reason::Reason;
use super::threat::{Answer, Threat};
use super::tpm::{Loader, SecureBoot, Tpm};
use ::tpm2::TpmKind;
use std::net::IpAddr;

/// What is known of the machine that a policy is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// What kind of machine it is.
    pub machine: Machine,
    /// Whose signatures it boots.
    pub secure_boot: SecureBoot,
    /// What loads its kernel.
    pub loader: Loader,
}

/// What kind of machine it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Machine {
    /// It is not known.
    #[default]
    Unknown,
    /// One of its own.
    Physical,
    /// A guest, whose TPM, if it has one, is its host's.
    Virtual,
}

impl Surroundings {
    /// The same, with what the TPM says of itself. One of software is kept by somebody who reads and copies it, as the host of a guest does;
    /// that the processor speaks of no host only means that he is not to be seen from here.
    #[must_use]
    pub fn with_tpm(self, kind: TpmKind) -> Surroundings {
        let machine = if kind == TpmKind::Software { Machine::Virtual } else { self.machine };
        Surroundings { machine, ..self }
    }
}

/// An answer and what it comes from.
pub(super) type Judged = (Answer, Vec<Reason>);

/// How well `policy` stands `threat`.
pub(super) fn judge(policy: &Policy, threat: Threat, around: &Surroundings) -> Judged {
    match threat {
        Threat::Host => match around.machine {
            Machine::Physical => (Answer::Yes, vec![Reason::NoHost]),
            Machine::Unknown => (Answer::Partly, vec![Reason::PerhapsAHost]),
            Machine::Virtual => (Answer::No, vec![Reason::HostReadsMemory]),
        },
        Threat::Header | Threat::KeyServer => {
            let hosts = policy.leaves().into_iter().filter_map(host).map(Some).chain([None]);
            let judged = hosts.map(|near| tree(policy, &Attack { threat, near, around }));
            judged.reduce(worse).unwrap_or((Answer::No, Vec::new()))
        }
        Threat::Disk | Threat::Machine | Threat::Boot => tree(policy, &Attack { threat, near: None, around }),
    }
}

/// The first of the worst.
fn worse(one: Judged, other: Judged) -> Judged {
    if other.0 > one.0 { other } else { one }
}

fn host(policy: &Policy) -> Option<&str> {
    if let Policy::Server { host, .. } = policy { Some(host) } else { None }
}

/// What happens, and which key server the attacker reaches or has stolen.
struct Attack<'a> {
    threat: Threat,
    near: Option<&'a str>,
    around: &'a Surroundings,
}

fn tree(policy: &Policy, attack: &Attack<'_>) -> Judged {
    match policy {
        Policy::Threshold { needed, of } => threshold(*needed, of.iter().map(|part| tree(part, attack)).collect()),
        leaf => judge_leaf(leaf, attack),
    }
}

fn threshold(needed: usize, parts: Vec<Judged>) -> Judged {
    let at_least = |least: Answer| parts.iter().filter(|(answer, _)| *answer >= least).count();
    let answer = match needed {
        needed if at_least(Answer::No) >= needed => Answer::No,
        needed if at_least(Answer::Partly) >= needed => Answer::Partly,
        _ => Answer::Yes,
    };
    // The parts that stand on the side of the whole are why; each reason once.
    let mut reasons = Vec::new();
    for reason in parts.into_iter().filter(|(part, _)| *part == answer).flat_map(|(_, reasons)| reasons) {
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    (answer, reasons)
}

fn judge_leaf(leaf: &Policy, attack: &Attack<'_>) -> Judged {
    let (answer, reason) = match leaf {
        Policy::Tpm(tpm) => return judge_tpm(tpm, attack),
        Policy::Server { host, asks } => judge_server(host, *asks, attack),
        Policy::File => judge_file(attack.threat),
        Policy::Token { pin } => judge_token(*pin, attack.threat),
        Policy::Nothing => (Answer::No, Reason::KeyBeside),
        Policy::Never => (Answer::Yes, Reason::NeverOpens),
        Policy::Unread { pin } => (Answer::No, Reason::Unread { pin: pin.clone() }),
        Policy::Threshold { .. } => return tree(leaf, attack),
    };
    (answer, vec![reason])
}

fn judge_tpm(tpm: &Tpm, attack: &Attack<'_>) -> Judged {
    let Surroundings { machine, secure_boot, loader } = *attack.around;
    let is_virtual = machine == Machine::Virtual;
    let one = |answer, reason| (answer, vec![reason]);
    match attack.threat {
        Threat::Disk if is_virtual => one(Answer::Partly, Reason::TpmIsAFile),
        Threat::Disk => one(Answer::Yes, Reason::TpmStays),
        Threat::Machine if tpm.pin && is_virtual => one(Answer::Partly, Reason::PinOnCopies),
        Threat::Machine if tpm.pin => one(Answer::Yes, Reason::TpmPin),
        Threat::Machine => match tpm.notices(secure_boot, loader) {
            (Answer::Yes, _) => one(Answer::Partly, Reason::StandsAtLogin),
            weaker => weaker,
        },
        Threat::Boot => match tpm.notices(secure_boot, loader) {
            (Answer::No, _) if tpm.pin => one(Answer::No, Reason::PinPhished),
            judged => judged,
        },
        Threat::Header | Threat::Host => one(Answer::Yes, Reason::TpmNeeded),
        Threat::KeyServer => one(Answer::Yes, Reason::NoServer),
    }
}

fn judge_server(host: &str, asks: Asks, attack: &Attack<'_>) -> (Answer, Reason) {
    let host_name = host.to_owned();
    let is_near = attack.near == Some(host);
    match attack.threat {
        Threat::Disk if is_loopback(host) => (Answer::Partly, Reason::ServerIsHere),
        Threat::Machine | Threat::Boot if is_loopback(host) => (Answer::No, Reason::ServerIsHere),
        Threat::Disk | Threat::Machine | Threat::Host => (Answer::Yes, Reason::ServerOutOfReach { host: host_name }),
        Threat::Boot => (Answer::No, Reason::ServerAnswersAnybody { host: host_name }),
        Threat::Header if !is_near => (Answer::Partly, Reason::OtherSite { host: host_name }),
        Threat::Header if asks == Asks::Certificate => (Answer::Partly, Reason::ClientCertificate { host: host_name }),
        Threat::Header => (Answer::No, Reason::HeaderAndNetwork { host: host_name }),
        Threat::KeyServer if is_near => (Answer::Partly, Reason::ServerKeysAndHeader { host: host_name }),
        Threat::KeyServer => (Answer::Yes, Reason::ServerStillThere { host: host_name }),
    }
}

/// Whether an address is that of whoever asks.
fn is_loopback(host: &str) -> bool {
    let named = host == "localhost" || host.ends_with(".localhost");
    named || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn judge_file(threat: Threat) -> (Answer, Reason) {
    match threat {
        Threat::Disk => (Answer::Partly, Reason::FileElsewhere),
        Threat::Machine | Threat::Boot => (Answer::No, Reason::FileGoesAlong),
        Threat::Header | Threat::Host => (Answer::Yes, Reason::FileNotInHeader),
        Threat::KeyServer => (Answer::Yes, Reason::NoServer),
    }
}

fn judge_token(pin: TokenPin, threat: Threat) -> (Answer, Reason) {
    match (threat, pin) {
        (Threat::Disk, _) => (Answer::Yes, Reason::TokenStays),
        (Threat::Machine | Threat::Boot, TokenPin::Binding) => (Answer::No, Reason::TokenPinStored),
        (Threat::Machine, TokenPin::Person) => (Answer::Yes, Reason::TokenPin),
        (Threat::Boot, TokenPin::Person) => (Answer::No, Reason::PinPhished),
        (Threat::Header | Threat::Host, _) => (Answer::Yes, Reason::TokenNeeded),
        (Threat::KeyServer, _) => (Answer::Yes, Reason::NoServer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_on_the_machine_itself_goes_along() {
        for host in ["localhost", "a.localhost", "127.0.0.1", "127.9.0.1", "::1"] {
            let server = Policy::Server { host: host.into(), asks: Asks::Nobody };
            let answer = |threat| judge(&server, threat, &Surroundings::default()).0;
            assert_eq!((answer(Threat::Disk), answer(Threat::Machine)), (Answer::Partly, Answer::No), "{host}");
        }
        let server = Policy::Server { host: "128.0.0.1".into(), asks: Asks::Nobody };
        assert_eq!(judge(&server, Threat::Machine, &Surroundings::default()).0, Answer::Yes);
    }

    /// Where the processor speaks of no host, the TPM's maker does; other makers take nothing back.
    #[test]
    fn a_tpm_of_software_is_that_of_a_guest() {
        let pin = Policy::Tpm(Tpm { pin: true, ..Tpm::default() });
        for machine in [Machine::Unknown, Machine::Physical, Machine::Virtual] {
            let around = Surroundings { machine, ..Surroundings::default() };
            let soft = around.with_tpm(TpmKind::Software);
            let answer = |threat| judge(&pin, threat, &soft).0;
            assert_eq!(
                [Threat::Disk, Threat::Machine, Threat::Host].map(answer),
                [Answer::Partly, Answer::Partly, Answer::No]
            );
            for kind in [TpmKind::Firmware, TpmKind::Other] {
                assert_eq!(around.with_tpm(kind), around);
            }
        }
    }

    /// The reasons are those of the parts that decide.
    #[test]
    fn a_threshold_counts_what_is_open_and_what_depends() {
        use Answer::{No, Partly, Yes};
        let count = |needed, parts: &[Answer]| {
            threshold(needed, parts.iter().map(|answer| (*answer, vec![Reason::NoServer])).collect()).0
        };
        for (needed, parts, expected) in [
            (1, &[Yes, Yes][..], Yes),
            (1, &[Yes, No], No),
            (2, &[Yes, No], Yes),
            (2, &[No, No, Yes], No),
            (2, &[Partly, No, Yes], Partly),
            (2, &[Partly, Partly, Yes], Partly),
            (3, &[Partly, No, Yes], Yes),
        ] {
            assert_eq!(count(needed, parts), expected, "{needed} of {parts:?}");
        }
        let parts = vec![(No, vec![Reason::KeyBeside]), (Yes, vec![Reason::TpmStays]), (No, vec![Reason::KeyBeside])];
        assert_eq!(threshold(2, parts), (No, vec![Reason::KeyBeside]), "each once");
    }
}
