//! Why a pin gave no secret, or did not take one.

use super::binding::BindingError;
use super::share::ShareName;
use super::signed::SignedPolicyError;
use super::unopened::Unopened;
use crate::config::ConfigError;
use crate::outside::{Name, Url};
use crate::ports::{NetError, PersonError};
use crypto::{PrimeError, RandomFailed};
use jose::JweError;
use std::io;
use tang::TangError;
use tpm2::{DictionaryAttack, NvIndex, PcrSelection, TpmError};

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
    /// A file that is to hold a key, or to become one, does not.
    KeyFile {
        /// Its path.
        path: String,
        /// Why not.
        source: io::Error,
    },
    /// The program was given pins that open alone, [`crate::pins::Opening`].
    OnlyOpens {
        /// The pin.
        pin: &'static str,
    },
    /// A pin whose bindings are read here and not used.
    OnlyClevis {
        /// Which.
        pin: &'static str,
        /// What does what was wanted.
        command: String,
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
    /// The PCR of the latch was extended since the machine started.
    Latched {
        /// Which.
        pcr: u8,
    },
    /// The counter of the TPM has passed the number that this was sealed for: it was replaced, and is kept from being used again.
    CounterPassed {
        /// Where the counter is.
        index: NvIndex,
        /// What the TPM says.
        source: TpmError,
    },
    /// What is named as a counter is none that this program made.
    NotACounter {
        /// What is named.
        index: NvIndex,
    },
    /// Nobody has approved what the PCRs hold now.
    NotApproved {
        /// Which PCRs.
        pcrs: Option<PcrSelection>,
        /// The approvals that there are, each with what is wrong with it.
        skipped: Vec<Skipped>,
    },
    /// The PIN is wrong.
    WrongPin {
        /// How many more the TPM takes before it locks, if it says so.
        left: Option<u32>,
    },
    /// A PIN is wanted, and nobody could be asked.
    NobodyForPin {
        /// Why not.
        source: PersonError,
    },
    /// The person chose no PIN that can be one.
    PinNotSet {
        /// What is wrong with it.
        why: &'static str,
    },
    /// No signature is for what the PCRs hold now: something else was booted, or what was booted is not signed.
    NotSigned {
        /// The PCRs that have to be signed.
        pcrs: PcrSelection,
        /// The file where the signatures are.
        path: String,
    },
    /// systemd has enrolled what it alone opens.
    Unopened(Unopened),
    /// A file that says who signs policies, or which are signed, does not serve.
    SignedPolicy {
        /// Its path.
        path: String,
        /// Why not.
        source: SignedPolicyError,
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

/// An approval that does not help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Which one, counted from 0 as they were handed in.
    pub number: usize,
    /// What is wrong with it.
    pub why: WhySkipped,
}

/// Why an approval does not help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WhySkipped {
    /// It is of somebody else's key.
    OtherKey,
    /// It is for something else.
    OtherPurpose,
    /// It was not signed by the key that it names.
    BadSignature,
    /// It is about other PCRs.
    OtherPcrs,
    /// It names another counter of the TPM.
    OtherCounter,
    /// These of its PCRs hold something else now.
    OtherValues(Vec<u8>),
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

impl From<ConfigError> for PinError {
    fn from(source: ConfigError) -> PinError {
        PinError::Config(source)
    }
}
