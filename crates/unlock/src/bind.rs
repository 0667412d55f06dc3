//! A new binding before any disk is touched: a fresh passphrase, encrypted to a policy and, if that can be, brought back again.

use crate::binding::Binding;
use clevis::{Config, Lost, NetError, NextStep, PinError, Ports, Remark};
use crypto::{Passphrase, RandomFailed, Secret};
use jose::Jwe;
use json::{Object, Value};
use luks::{Slot, TokenId};
use std::fmt;

/// What is to be bound.
#[derive(Debug)]
pub struct BindRequest<'a> {
    /// The pin.
    pub pin: &'a str,
    /// Its configuration.
    pub config: &'a Config,
    /// The keyslot; `None`: the lowest that is free.
    pub slot: Option<Slot>,
    /// The token; `None`: the lowest that is free.
    pub token: Option<TokenId>,
    /// Whether an unproved binding is good enough.
    pub proof: Proof,
    /// Whether LUKSMeta may be made on a LUKS1 volume that has none.
    pub new_meta: NewMeta,
}

/// Whether LUKSMeta may be made on a LUKS1 volume that has none: whatever else is in the gap behind the key material is overwritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewMeta {
    /// Nobody has said yes.
    Refuse,
    /// It may.
    Make,
}

/// Whether a policy must be met once before it is relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// It must.
    Required,
    /// It need not, if the keys were given in the configuration and merely nobody answers, if the values of PCRs were, if nothing is
    /// approved yet, or if the latch is shut.
    IfReachable,
}

/// A passphrase and the policy it is encrypted to.
#[derive(Debug)]
pub struct Prepared {
    pub(crate) passphrase: Passphrase,
    pub(crate) jwe: Jwe,
    /// What the JWE's content is encrypted under, if the policy gave it back.
    pub(crate) content_key: Option<Secret>,
    pub(crate) place: Place,
    pub(crate) unproved: Option<PinError>,
    /// What the policy said when it was tried.
    pub(crate) remarks: Vec<Remark>,
    /// Whether it opens for what somebody approves, which is kept beside it.
    pub(crate) signed: bool,
    pub(crate) keys: Keys,
    pub(crate) parents: Parents,
    pub(crate) room: Room,
    pub(crate) recovery: Option<Passphrase>,
}

/// Where the new key material of a binding goes that takes another's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// Beside the old: a power failure loses neither.
    Beside,
    /// Over the old if there is no room beside it (LUKS1 with all keyslots in use); a power failure meanwhile loses the keyslot.
    InPlace,
}

/// Whether a binding that takes another's place is made to the same keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// To the very keys that the other had of its servers.
    Unchanged,
    /// To others, to none, or there is nothing to compare them with.
    Other,
}

/// Whether the keys in a TPM that a binding names are known from before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parents {
    /// All of them are, or there are none.
    Known,
    /// What the TPM said when this was sealed is believed, as it is the first time.
    Believed,
}

impl Prepared {
    /// The same with its key material there.
    #[must_use]
    pub fn with_room(self, room: Room) -> Prepared {
        Prepared { room, ..self }
    }

    /// The same with a recovery key: it gets a keyslot in the same change, so that there are both or neither.
    #[must_use]
    pub fn with_recovery(self, key: Passphrase) -> Prepared {
        Prepared { recovery: Some(key), ..self }
    }

    /// The recovery key that comes with it.
    pub fn recovery(&self) -> Option<&Passphrase> {
        self.recovery.as_ref()
    }

    /// Why the policy could not be tried, if it could not.
    pub fn unproved(&self) -> Option<&PinError> {
        self.unproved.as_ref()
    }

    /// What is to be said of the policy, which was tried.
    pub fn remarks(&self) -> &[Remark] {
        &self.remarks
    }

    /// Whether it is made to the keys that the binding before it had.
    pub fn keys(&self) -> Keys {
        self.keys
    }

    /// Whether the keys in a TPM that it is sealed under are those of before.
    pub fn parents(&self) -> Parents {
        self.parents
    }
}

/// Where a binding goes.
#[derive(Debug)]
pub(crate) enum Place {
    /// Beside the others.
    New { slot: Option<Slot>, token: Option<TokenId>, meta: NewMeta },
    /// In the place of this one.
    Instead(Box<Binding>),
}

/// Why there is nothing to bind.
#[derive(Debug)]
pub enum BindError {
    /// There were no random bytes.
    Random(RandomFailed),
    /// The pin did not encrypt.
    Encrypt(PinError),
    /// The policy was not met when it was tried, so it would not be met at the next start either.
    NotProved(PinError),
    /// The policy gave back another passphrase than went in. This must not happen.
    WrongSecret,
    /// The binding does not tell what it was made by.
    Unreadable(PinError),
    /// The binding does not tell all of what it was made by, and what it tells would make another policy.
    Incomplete {
        /// What it does not tell.
        lost: Vec<Lost>,
    },
    /// The servers' keys of today are not trusted, or were not found out.
    Renew(PinError),
}

/// Random bytes of a new passphrase; it is their base64url, as the original makes it since version 20.
const PASSPHRASE_BYTES: usize = 40;

/// Makes a passphrase of 54 characters, encrypts it, and decrypts it again. The JWE keeps the configuration whole.
///
/// # Errors
/// [`BindError`]; nothing has been changed anywhere.
pub fn prepare(request: &BindRequest<'_>, ports: &Ports<'_>) -> Result<Prepared, BindError> {
    let said = clevis::remembered(request.pin, request.config, ports.pins).map_err(BindError::Encrypt)?;
    let place = Place::New { slot: request.slot, token: request.token, meta: request.new_meta };
    let given = |what| names(what, request.config.field().value());
    let (keys, values) = (given("adv"), given("pcr_digest"));
    // The keys were given, so that a server that is not there yet is no surprise, and that it is not there is all that went wrong. So were
    // the values of PCRs, which are those of another boot. And nobody may have approved anything yet, or the latch was shut.
    let later = |error: &PinError| match error {
        PinError::NotApproved { .. } | PinError::Latched { .. } => true,
        PinError::PcrMismatch { .. } => values,
        // A server was there, and it was not the one that is meant.
        PinError::Unreachable { source: NetError::OtherKey { .. }, .. } => false,
        other => keys && other.next_step() == NextStep::RetryLater,
    };
    let may_wait = |error: &PinError| request.proof == Proof::IfReachable && error.waits_for(&later);
    encrypt(request.pin, request.config, &said, place, &may_wait, ports)
}

/// Encrypts a fresh passphrase and tries the policy; `may_wait` says which failure does not matter.
pub(crate) fn encrypt(
    pin: &str,
    config: &Config,
    said: &Object,
    place: Place,
    may_wait: &dyn Fn(&PinError) -> bool,
    ports: &Ports<'_>,
) -> Result<Prepared, BindError> {
    let passphrase = random_passphrase(ports)?;
    let said = clevis::measured::record(said.clone(), config, ports);
    let jwe = clevis::encrypt_with(pin, config, passphrase.secret(), &said, ports).map_err(BindError::Encrypt)?;
    let (content_key, unproved, remarks) = match clevis::open(&jwe, ports) {
        Ok(back) if back.secret.ct_eq(passphrase.expose()) => (Some(back.key), None, back.remarks),
        Ok(_) => return Err(BindError::WrongSecret),
        Err(error) if may_wait(&error) => (None, Some(error), Vec::new()),
        Err(error) => return Err(BindError::NotProved(error)),
    };
    // The others may have sufficed.
    let mut shares = clevis::unproved_shares(&jwe, ports).map_err(BindError::NotProved)?;
    if let Some(refused) = shares.iter().position(|error| !may_wait(error)) {
        return Err(BindError::NotProved(shares.swap_remove(refused)));
    }
    let unproved = unproved.or_else(|| shares.pop());
    let signed = clevis::signed(&jwe, ports.pins).is_ok_and(|policies| !policies.is_empty());
    let known = clevis::parents(&jwe, ports.pins).is_ok_and(|all| all.iter().all(|one| ports.parents.contains(one)));
    let parents = if known { Parents::Known } else { Parents::Believed };
    let (keys, room) = (Keys::Other, Room::Beside);
    let recovery = None;
    Ok(Prepared { passphrase, jwe, content_key, place, unproved, remarks, signed, keys, parents, room, recovery })
}

/// Whether a configuration gives this, at any depth of a threshold: a server's keys, the values of PCRs.
pub fn names(what: &str, config: &Value) -> bool {
    match config {
        Value::Object(members) => members.iter().any(|(name, value)| name == what || names(what, value)),
        Value::Array(items) => items.iter().any(|item| names(what, item)),
        _ => false,
    }
}

fn random_passphrase(ports: &Ports<'_>) -> Result<Passphrase, BindError> {
    let bytes = Secret::try_filled_by(PASSPHRASE_BYTES, |into| ports.random.fill(into)).map_err(BindError::Random)?;
    let text = jose::b64::encode_secret(bytes.expose());
    Ok(Passphrase::new(Secret::copied_from(text.as_bytes())))
}

impl BindError {
    /// One thing to do about it.
    pub fn hint(&self) -> String {
        match self {
            BindError::NotProved(error) if error.waits_for(&|one| matches!(one, PinError::PcrMismatch { .. })) => {
                "the configuration gives values (`pcr_digest`) that the PCRs do not hold now: `cotter luks edit -d DEVICE -s SLOT` without \
                 it; of a cotter-tpm2, `cotter luks reseal -d DEVICE -s SLOT -k -`"
                    .into()
            }
            BindError::Encrypt(error) => error.making_hint(),
            BindError::NotProved(error)
            | BindError::Unreadable(error)
            | BindError::Renew(error) => error.hint(),
            BindError::Incomplete { .. } => "say what it shall be: `cotter luks edit`".into(),
            BindError::Random(_) => String::new(),
            BindError::WrongSecret => "this is a bug: please report it".into(),
        }
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BindError::Unreadable(_) => "the binding does not tell what it was made by",
            BindError::Incomplete { lost } => {
                f.write_str("the binding does not tell all of what it was made by")?;
                return lost.iter().try_for_each(|lost| write!(f, "; {lost}"));
            }
            BindError::Renew(_) => "the servers' keys of today are not used",
            BindError::Random(_) => "no passphrase could be made",
            BindError::Encrypt(_) => "the policy was not applied",
            BindError::NotProved(_) => "the new binding did not give its passphrase back, so nothing was bound",
            BindError::WrongSecret => "the new binding gave back another passphrase than went in",
        })
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            BindError::Random(source) => Some(source),
            BindError::Encrypt(source)
            | BindError::NotProved(source)
            | BindError::Unreadable(source)
            | BindError::Renew(source) => Some(source),
            BindError::WrongSecret | BindError::Incomplete { .. } => None,
        }
    }
}
