//! The commands of a TPM 2.0 that sealing a secret needs (Trusted Platform Module Library, parts 1 to 3, version 1.59).
//!
//! [`Tpm`] is one conversation over a [`Transport`] that the caller hands in: a command goes out, an answer comes back. Every command that
//! carries an authorisation is authenticated in a session salted with the parent key, and so is its answer; whatever is secret is
//! encrypted in that session, both ways. What a command leaves in the TPM is a guard value that flushes it when dropped, on failure too. When a
//! command was given up that is the transport's to do, as far as it can: in haste, or when the TPM is done ([`Conversation::say_later`]).
//!
//! The structures on the wire are those of the crate `tpm2-protocol`; headers, sessions, policies and everything that holds a secret are
//! written here, because that crate keeps data in buffers that are copied, shown in `Debug` and never wiped.
//!
//! Some of it waits for its user: [`Tpm::nv_define`] and [`Tpm::nv_write`] for an epoch of seals that the TPM keeps, [`Tpm::ecdh_zgen`] for keys of
//! clients that stay in it.
//!
//! [`event_log`] reads what the firmware wrote about the measurements, and replays it.
//!
//! Device nodes, sockets, JSON and what a policy is for are absent on purpose.

#![forbid(unsafe_code)]

mod agreement;
mod algorithm;
mod authorisation;
mod capability;
mod conversation;
mod error;
pub mod event_log;
mod extend;
mod handle;
mod kdf;
mod maker;
mod nv;
mod object;
mod pcr;
mod play;
pub mod policy;
mod public;
mod response_code;
mod seal;
mod session;
mod signature;
mod template;
mod transport;
mod verifying_key;
mod wire;

pub use capability::{DictionaryAttack, Identity};
pub use conversation::{Tpm, flush_behind};
pub use error::TpmError;
pub use maker::Kind as TpmKind;
pub use nv::{NvIndex, NvPublic};
pub use object::Object;
pub use pcr::{Bank, PcrSelection, PcrSet, PcrValues, SelectionError};
pub use play::{Approval, Means};
pub use public::Public;
pub use response_code::{Meaning, ResponseCode};
pub use seal::Sealed;
pub use session::{Purpose, Session};
pub use signature::Ticket;
pub use template::{ParentKey, ParentTemplate, Protection, SealedTemplate};
pub use transport::{Conversation, LONGEST_ANSWER, Patience, Transport, TransportError};
pub use verifying_key::{RsaScheme, VerifyingKey};
