//! What a binding tells of the policy it was made by, and what a policy becomes when it is made anew.

use crate::approval::{Approval, Counter, Signer};
use crate::config::Config;
use crate::error::{Name, PinError, WhySkipped};
use crate::ports::TlsSettings;
use crypto::ec::Point;
use jose::{Jwk, KeyOperation, Required, ThumbprintHash};
use json::{Field, Value};
use std::fmt;
use tpm2::{NvIndex, ParentKey, PcrSelection};

/// The configuration of a JWE, as its maker gave it or as its header tells it.
#[derive(Debug)]
pub struct Stored {
    /// The pin.
    pub pin: &'static str,
    /// Its configuration: binding by it makes the same policy again, unless something is lost.
    pub config: Config,
    /// What the JWE does not tell.
    pub lost: Vec<Lost>,
}

/// A part of a policy that its JWE does not tell.
#[derive(Debug)]
pub enum Lost {
    /// A share of a threshold cannot be read: it is of a pin that is not here, or damaged.
    Share {
        /// Which one: `share 2`, or `share 2, share 1` of a threshold inside.
        place: String,
        /// Its pin, if it could be read that far.
        pin: Option<Name>,
        /// Why it cannot be read.
        error: PinError,
    },
    /// What was asked for and is not in what a pin tells.
    Unsaid {
        /// As of [`Lost::Share`]; empty if it is not of a share.
        place: String,
        /// What it is.
        what: &'static str,
    },
    /// The configuration that is kept beside the policy speaks of another one, and is not believed.
    Kept,
}

/// A key server that a binding is tied to.
#[derive(Debug)]
pub struct BoundServer {
    /// Its address, as the configuration had it.
    pub url: String,
    /// What TLS needs to reach it.
    pub tls: TlsSettings,
    /// The keys that it advertised when the binding was made; those that cannot be read are left out.
    pub keys: Vec<Jwk>,
}

/// A policy that opens for whatever values of PCRs somebody has approved.
#[derive(Clone, Debug)]
pub struct SignedPolicy {
    /// Whose approvals count: a key on P-256.
    pub key: Point,
    /// What he must call their purpose.
    pub reference: String,
    /// The PCRs whose values are approved.
    pub selection: PcrSelection,
    /// The counter that approvals are to name, and where it stood when the policy was made.
    pub counter: Option<Counter>,
}

impl SignedPolicy {
    /// Whether an approval is one for this policy: by its key, for its purpose, of its PCRs and its counter.
    pub fn is_meant_by(&self, approval: &Approval) -> bool {
        self.why_not(approval).is_none()
    }

    /// Why it is not.
    pub(crate) fn why_not(&self, approval: &Approval) -> Option<WhySkipped> {
        let name = |counter: &Counter| counter.name.clone();
        if Signer::of(&self.key).is_none_or(|signer| signer.name != approval.key_name()) {
            Some(WhySkipped::OtherKey)
        } else if approval.reference() != self.reference {
            Some(WhySkipped::OtherPurpose)
        } else if !approval.is_signed_by(&self.key) {
            Some(WhySkipped::BadSignature)
        } else if !approval.values().is_of(&self.selection) {
            Some(WhySkipped::OtherPcrs)
        } else if approval.counter().map(name) != self.counter.as_ref().map(name) {
            Some(WhySkipped::OtherCounter)
        } else {
            None
        }
    }
}

/// A counter of the TPM that is part of a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BoundCounter {
    /// Where it is.
    pub index: NvIndex,
    /// The highest number at which the binding opens; `None` if that stands in its approvals.
    pub until: Option<u64>,
}

/// A key in a TPM that a binding names and is sealed under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundParent {
    /// Its kind: of each a TPM has one.
    pub key: ParentKey,
    /// Its name.
    pub name: Vec<u8>,
}

/// What a policy is made anew for.
#[derive(Clone, Copy, Debug)]
pub struct Renewal<'a> {
    /// The servers of the binding before it. Only those of a binding that was opened: anybody may have written the others.
    pub known: &'a [BoundServer],
    /// Whether the configuration is that of the binding before it.
    pub wanted: Wanted,
}

/// The configuration of a policy that takes another one's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The same: what it says about keys is about the old ones.
    Same,
    /// Another: what it says about keys, somebody says now.
    New,
}

/// A configuration with the keys of today.
#[derive(Debug)]
pub struct Renewed {
    /// To encrypt by: trusted advertisements stand in it, so nobody is asked once more.
    pub given: Value,
    /// To be kept: what was wanted, with the old keys that it names replaced.
    pub kept: Value,
}

impl Stored {
    /// Whether binding by the configuration makes this policy again.
    pub fn is_complete(&self) -> bool {
        self.lost.is_empty()
    }
}

impl Lost {
    /// The same, seen from outside of the share at `place`.
    pub(crate) fn inside(self, outer: &str) -> Lost {
        match self {
            Lost::Share { place, pin, error } => Lost::Share { place: format!("{outer}, {place}"), pin, error },
            Lost::Unsaid { place, what } if place.is_empty() => Lost::Unsaid { place: outer.to_owned(), what },
            Lost::Unsaid { place, what } => Lost::Unsaid { place: format!("{outer}, {place}"), what },
            Lost::Kept => Lost::Kept,
        }
    }
}

impl BoundServer {
    /// The keys that say they may sign, which vouch for those after them.
    pub fn signing_keys(&self) -> impl Iterator<Item = &Jwk> {
        self.keys.iter().filter(|key| key.permits(KeyOperation::Verify, Required::Explicit))
    }

    /// Whether one of the signing keys has this thumbprint, SHA-256 or SHA-1.
    pub fn signs_as(&self, thumbprint: &str) -> bool {
        signs_as(self.signing_keys(), thumbprint)
    }

    /// The readable keys of a set: `{"keys":[…]}` or a key alone.
    pub(crate) fn keys_of(set: &Field<'_>) -> Vec<Jwk> {
        let fields = match set.optional("keys").ok().flatten().and_then(|keys| Some(keys.items().ok()?.collect())) {
            Some(keys) => keys,
            None => vec![set.clone()],
        };
        fields.iter().filter_map(|key| Jwk::public_from_field(key).ok()).collect()
    }
}

/// Whether one of `keys` has this thumbprint, by one of the hashes that a configuration may use.
pub(crate) fn signs_as<'a>(mut keys: impl Iterator<Item = &'a Jwk>, thumbprint: &str) -> bool {
    keys.any(|key| key.has_thumbprint(thumbprint, &[ThumbprintHash::S256, ThumbprintHash::S1]))
}

impl Renewed {
    /// A configuration that names no keys.
    pub fn unchanged(config: &Config) -> Renewed {
        let value = config.field().value();
        Renewed { given: value.clone(), kept: value.clone() }
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lost::Share { place, pin: Some(pin), error } => write!(f, "{place} ({pin}): {error}"),
            Lost::Share { place, pin: None, error } => write!(f, "{place}: {error}"),
            Lost::Unsaid { place, what } if place.is_empty() => f.write_str(what),
            Lost::Unsaid { place, what } => write!(f, "{place}: {what}"),
            Lost::Kept => f.write_str("the configuration kept in the header is that of another policy"),
        }
    }
}
