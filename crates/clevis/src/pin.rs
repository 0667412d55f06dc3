//! The joint: what a pin does, what it is given, and how a JWE finds its pin.

use crate::approval::{Approval, Counter};
use crate::config::{Config, ConfigError};
use crate::error::{BindingError, Name, PinError, WrongShare};
use crate::ports::{Cancel, Deadline, Files, Made, Net, Person};
use crate::remark::Remark;
use crate::stored::{BoundCounter, BoundParent, BoundServer, Lost, Renewal, Renewed, SignedPolicy};
use crypto::{Random, Secret};
use jose::Jwe;
use json::{Field, Object, Value};

/// Whether a counter may be counted up to this number.
pub type MayCount<'a> = dyn FnMut(&Counter) -> bool + 'a;

/// A way to tie a secret to what must be present to bring it back.
pub trait Pin: Sync {
    /// Name in the JWE header, `clevis.pin`.
    fn name(&self) -> &'static str;

    /// Refuses a configuration that [`Pin::encrypt`] refuses whatever the machine and its servers say.
    fn check(&self, config: &Config, pins: &[&dyn Pin]) -> Result<(), PinError>;

    /// Encrypts `secret` so that only a machine meeting `config` can bring it back. `beside` holds further members of the protected
    /// header, which mean nothing to the pin.
    fn encrypt(&self, config: &Config, secret: &Secret, beside: &Object, ports: &Ports<'_>) -> Result<Jwe, PinError>;

    /// Brings the secret back, or says why not and what to do next.
    fn open(&self, jwe: &Jwe, ports: &Ports<'_>) -> Result<Opened, PinError>;

    /// The configuration as `clevis luks list` shows it; `header` is that of a JWE of this pin.
    fn describe(&self, header: &Field<'_>, pins: &[&dyn Pin]) -> Result<Shown, PinError>;

    /// The configuration as the header tells it. What is inside and cannot be read goes into `lost`.
    fn stored(&self, header: &Field<'_>, pins: &[&dyn Pin], lost: &mut Vec<Lost>) -> Result<Value, PinError>;

    /// Whether the header is one that binding by `config` makes.
    fn meets(&self, config: &Config, header: &Field<'_>, pins: &[&dyn Pin]) -> Result<bool, PinError>;

    /// `config` without the options that a header does not keep.
    fn bare(&self, config: &Config, _pins: &[&dyn Pin]) -> Result<Value, ConfigError> {
        Ok(config.field().value().clone())
    }

    /// The key servers that the header names.
    fn servers(&self, _header: &Field<'_>, _pins: &[&dyn Pin]) -> Result<Vec<BoundServer>, PinError> {
        Ok(Vec::new())
    }

    /// The keys in a TPM that the header names.
    fn parents(&self, _header: &Field<'_>, _pins: &[&dyn Pin]) -> Result<Vec<BoundParent>, PinError> {
        Ok(Vec::new())
    }

    /// The policies in it that open for what somebody has approved.
    fn signed(&self, _header: &Field<'_>, _pins: &[&dyn Pin]) -> Result<Vec<SignedPolicy>, PinError> {
        Ok(Vec::new())
    }

    /// The counters of the TPM that are part of it.
    fn counters(&self, _header: &Field<'_>, _pins: &[&dyn Pin]) -> Result<Vec<BoundCounter>, PinError> {
        Ok(Vec::new())
    }

    /// Whether this machine alone opens a JWE with this header: no server is asked, nor a person.
    fn is_at_hand(&self, _header: &Field<'_>) -> bool {
        false
    }

    /// Called when a JWE with this header has taken the place of an older one for good: what is older may die now. `may` says of each
    /// counter, with the number that it is about to reach, whether it is counted up.
    fn settle(&self, _header: &Field<'_>, _may: &mut MayCount<'_>, _ports: &Ports<'_>) -> Result<(), PinError> {
        Ok(())
    }

    /// `config` with the keys of today.
    fn renew(&self, config: &Config, _renewal: &Renewal<'_>, _ports: &Ports<'_>) -> Result<Renewed, PinError> {
        Ok(Renewed::unchanged(config))
    }
}

/// What opening a JWE gives.
#[derive(Debug)]
pub struct Opened {
    /// What was encrypted.
    pub secret: Secret,
    /// The content encryption key, with which the same policy can be made to say something else beside.
    pub key: Secret,
    /// Shares of a threshold that answered and are wrong, although enough others were right.
    pub wrong: Vec<WrongShare>,
    /// What else is to be said.
    pub remarks: Vec<Remark>,
}

impl Opened {
    /// What a pin brought back with nothing to remark.
    pub fn new(secret: Secret, key: Secret) -> Opened {
        Opened { secret, key, wrong: Vec::new(), remarks: Vec::new() }
    }
}

/// Everything that a pin may reach outside itself.
#[derive(Clone, Copy)]
pub struct Ports<'a> {
    /// The pins that exist, for those that hold others.
    pub pins: &'a [&'a dyn Pin],
    /// The network.
    pub net: &'a dyn Net,
    /// The TPM, where the machine may have one.
    pub tpm: Option<&'a dyn tpm2::Transport>,
    /// What was approved for policies that want that.
    pub approvals: &'a [Approval],
    /// The keys of the TPM that are known from before: another one of the same kind is told nothing when something is sealed.
    pub parents: &'a [BoundParent],
    /// Whether what is sealed takes an older binding's place: of a counter that both have, the older one is to die.
    pub replaces: bool,
    /// What was made beside JWEs.
    pub made: &'a Made,
    /// Files that a configuration names.
    pub files: &'a dyn Files,
    /// The person at the terminal.
    pub person: &'a dyn Person,
    /// Random numbers.
    pub random: &'a dyn Random,
    /// Whether that person has to say yes to keys that nothing else vouches for.
    pub trust: TrustPolicy,
    /// When to give up.
    pub until: Deadline,
    /// When to stop before that.
    pub cancel: &'a Cancel,
}

/// What happens with a server's keys at encryption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrustPolicy {
    /// The configuration vouches for them, or a person is asked.
    Ask,
    /// `-y`: any keys will do, even against a `thp`, as the original has it.
    Yes,
}

/// A binding in the words of a configuration.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The configuration.
    pub config: Value,
    /// Whether the binding holds more than these words say, so that binding anew by them would make another policy.
    pub lossy: bool,
}

/// A line of `clevis luks list`.
#[derive(Clone, Debug)]
pub struct Description {
    /// The pin.
    pub pin: &'static str,
    /// Its configuration.
    pub shown: Shown,
}

/// Whether binding by this pin and configuration is refused whatever the machine and its servers say. Nobody is asked.
///
/// # Errors
/// [`PinError::UnknownPin`] and [`PinError::Config`], of shares inside [`PinError::Share`].
pub fn check(pin_name: &str, config: &Config, pins: &[&dyn Pin]) -> Result<(), PinError> {
    find(pin_name, pins)?.check(config, pins)
}

/// Encrypts `secret` by the pin called `pin_name`.
///
/// # Errors
/// [`PinError::UnknownPin`], and those of the pin.
pub fn encrypt(pin_name: &str, config: &Config, secret: &Secret, ports: &Ports<'_>) -> Result<Jwe, PinError> {
    encrypt_with(pin_name, config, secret, &Object::new(), ports)
}

/// As [`encrypt`]; the JWE says these members beside its policy, see [`crate::annotation`].
///
/// # Errors
/// As [`encrypt`].
pub fn encrypt_with(
    pin_name: &str,
    config: &Config,
    secret: &Secret,
    annotation: &Object,
    ports: &Ports<'_>,
) -> Result<Jwe, PinError> {
    let pin = find(pin_name, ports.pins)?;
    let none = annotation.is_empty();
    let beside = if none { Object::new() } else { Object::new().with(ANNOTATION, annotation.clone()) };
    pin.encrypt(config, secret, &beside, ports)
}

/// Decrypts `jwe` by the pin that its header names.
///
/// # Errors
/// [`PinError::UnknownPin`], [`PinError::BadBinding`], and those of the pin.
pub fn decrypt(jwe: &Jwe, ports: &Ports<'_>) -> Result<Secret, PinError> {
    open(jwe, ports).map(|opened| opened.secret)
}

/// As [`decrypt`], with the key that the content is encrypted under.
///
/// # Errors
/// As [`decrypt`].
pub fn open(jwe: &Jwe, ports: &Ports<'_>) -> Result<Opened, PinError> {
    pin_of(jwe, ports.pins)?.open(jwe, ports)
}

/// What is to be done when `jwe` has taken the place of an older one for good: counters of its policy are counted up, so that what is older
/// opens nothing any more. That is so of everything on such a counter that was not made for the number which it reaches, so `may` is asked
/// first; it is not if there is nothing to count.
///
/// # Errors
/// [`PinError::UnknownPin`], [`PinError::BadBinding`], and those of the pin.
pub fn settle(jwe: &Jwe, may: &mut MayCount<'_>, ports: &Ports<'_>) -> Result<(), PinError> {
    pin_of(jwe, ports.pins)?.settle(&header(jwe).field(HEADER), may, ports)
}

/// Says how `jwe` is bound, without asking anybody.
///
/// # Errors
/// [`PinError::UnknownPin`] and [`PinError::BadBinding`].
pub fn describe(jwe: &Jwe, pins: &[&dyn Pin]) -> Result<Description, PinError> {
    let pin = pin_of(jwe, pins)?;
    let shown = pin.describe(&header(jwe).field(HEADER), pins)?;
    Ok(Description { pin: pin.name(), shown })
}

/// The name of the pin in the header, `clevis.pin`.
///
/// # Errors
/// [`PinError::BadBinding`] if there is none.
pub fn pin_name(jwe: &Jwe) -> Result<Name, PinError> {
    let header = header(jwe);
    let name = (|| Ok(Name::new(header.field(HEADER).member("clevis")?.member("pin")?.text()?)))();
    name.map_err(|source| PinError::BadBinding { pin: "clevis", source: BindingError::Field(source) })
}

/// The member of the outer protected header that is ours.
pub(crate) const ANNOTATION: &str = "cotter";

/// What errors call the header.
pub(crate) const HEADER: &str = "header";

/// The protected header, to be walked.
pub(crate) fn header(jwe: &Jwe) -> Value {
    jwe.header().clone().into()
}

/// The pin that the header names.
pub(crate) fn pin_of<'a>(jwe: &Jwe, pins: &[&'a dyn Pin]) -> Result<&'a dyn Pin, PinError> {
    find(pin_name(jwe)?.as_str(), pins)
}

/// The pin of this name.
pub(crate) fn find<'a>(name: &str, pins: &[&'a dyn Pin]) -> Result<&'a dyn Pin, PinError> {
    let unknown = || PinError::UnknownPin { name: Name::new(name), known: pins.iter().map(|pin| pin.name()).collect() };
    pins.iter().copied().find(|pin| pin.name() == name).ok_or_else(unknown)
}
