//! A failure in words, with its causes.

use super::pin::{Asked, Failure, PinError, Skipped, WhySkipped};
use super::share::ShareName;
use super::signed::SignedPolicyError;
use std::error::Error;
use std::fmt;
use tpm2::DictionaryAttack;

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
            PinError::KeyFile { path, .. } => write!(f, "the key file {} does not serve", path.escape_debug()),
            PinError::OnlyOpens { pin } => {
                write!(f, "this program opens what the pin {pin} has bound, and binds nothing")
            }
            PinError::OnlyClevis { pin, .. } => write!(f, "the pin {pin} is not used here"),
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
                source.fmt(f)?;
                let DictionaryAttack { failures, most_failures, forgets_after_s, .. } = protection;
                if let (Some(failures), Some(most)) = (failures, most_failures) {
                    write!(f, "; {failures} of {most} failures count")?;
                }
                forgets_after_s.map_or(Ok(()), |seconds| write!(f, "; it forgets one every {seconds} s"))
            }
            PinError::PcrMismatch { selection, .. } => {
                write!(f, "the PCRs {selection} are not what they were when this was sealed: something else was booted")
            }
            PinError::Latched { pcr } => {
                write!(f, "the latch is shut: PCR {pcr} was extended since the machine started")
            }
            PinError::CounterPassed { index, .. } => {
                write!(f, "the TPM's counter {index} has passed this: it was replaced by something newer")
            }
            PinError::NotACounter { index } => write!(f, "{index} is no counter that was made for this"),
            PinError::NotApproved { pcrs, skipped } => {
                let pcrs = pcrs.map_or(String::new(), |pcrs| format!(" {pcrs}"));
                write!(f, "nobody has approved what the PCRs{pcrs} hold now")?;
                skipped.iter().take(MOST_SKIPPED).try_for_each(|skipped| write!(f, "; {skipped}"))?;
                match skipped.len().saturating_sub(MOST_SKIPPED) {
                    0 if skipped.is_empty() => f.write_str("; there is no approval at all"),
                    0 => Ok(()),
                    more => write!(f, "; and {more} more"),
                }
            }
            PinError::WrongPin { left: Some(0) } => f.write_str("the PIN is wrong, and the TPM is locked now"),
            PinError::WrongPin { left: Some(left) } => write!(f, "the PIN is wrong; the TPM takes {left} more"),
            PinError::WrongPin { left: None } => f.write_str("the PIN is wrong"),
            PinError::NobodyForPin { .. } => f.write_str("nobody can be asked for the PIN"),
            PinError::PinNotSet { why } => write!(f, "this is no PIN: {why}"),
            PinError::NotSigned { pcrs, path } => {
                write!(f, "no signature in {} is for what the PCRs {pcrs} hold now", path.escape_debug())
            }
            PinError::Unopened(why) => why.fmt(f),
            PinError::SignedPolicy { path, source: SignedPolicyError::NoneFits { .. } } => {
                write!(f, "no signed policy in {} opens this", path.escape_debug())
            }
            PinError::SignedPolicy { path, .. } => write!(f, "{} does not serve", path.escape_debug()),
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

/// How many approvals are told.
const MOST_SKIPPED: usize = 8;

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "approval {}: ", self.number + 1)?;
        match &self.why {
            WhySkipped::OtherKey => f.write_str("of another key"),
            WhySkipped::OtherPurpose => f.write_str("for another purpose"),
            WhySkipped::BadSignature => f.write_str("its signature is wrong"),
            WhySkipped::OtherCounter => f.write_str("of another counter"),
            WhySkipped::OtherPcrs => f.write_str("of other PCRs"),
            WhySkipped::OtherValues(pcrs) => {
                let pcrs: Vec<String> = pcrs.iter().map(u8::to_string).collect();
                write!(f, "PCR {} holds something else", pcrs.join(", "))
            }
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
            PinError::File { source, .. } | PinError::KeyFile { source, .. } => Some(source),
            PinError::SignedPolicy { source, .. } => Some(source),
            PinError::NotAJwe { source } => Some(source),
            PinError::BadBinding { source, .. } => Some(source),
            PinError::WrongPoint { source, .. }
            | PinError::WrongKey { source, .. }
            | PinError::Seal { source, .. }
            | PinError::Annotate { source } => Some(source),
            // Shown as it is.
            PinError::Tpm { source, .. } => source.source(),
            PinError::PcrMismatch { source, .. } | PinError::CounterPassed { source, .. } => Some(source),
            PinError::NobodyForPin { source } => Some(source),
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
            | PinError::Latched { .. }
            | PinError::NotACounter { .. }
            | PinError::NotApproved { .. }
            | PinError::WrongPin { .. }
            | PinError::PinNotSet { .. }
            | PinError::NotSigned { .. }
            | PinError::Unopened(_)
            | PinError::OnlyClevis { .. }
            | PinError::OnlyOpens { .. }
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
