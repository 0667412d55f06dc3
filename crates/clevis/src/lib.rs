//! Pins and policies: how a secret is tied to what must be present to bring it back.
//!
//! A [`Pin`] encrypts a secret into a JWE and decrypts it again; the JWE's header names the pin (`clevis.pin`) and holds what
//! it needs to know. [`encrypt`], [`decrypt`] and [`describe`] find the pin in the table that the caller hands in with the
//! other [`Ports`]: there is no global registry. The formats are those of Clevis, byte for byte.
//!
//! LUKS and disks are absent on purpose, and so is the machine: network, files, the person and the clock are ports.

#![forbid(unsafe_code)]

mod annotation;
mod approval;
mod config;
mod error;
pub mod measured;
mod outside;
mod pcr_state;
mod pin;
pub mod pins;
mod policy;
mod ports;
mod proof;
mod remark;
mod stored;
pub mod systemd;
mod tpm_pin;
pub mod verdict;

pub use annotation::{annotate, annotation, remembered, remembered_whole};
pub use approval::{Approval, ApprovalError, Counter};
pub use config::{Config, ConfigError};
pub use error::{
    Asked, BindingError, Failure, Name, NextStep, PinError, ShareFault, ShareName, SignedPolicyError, Skipped,
    Unopened, Url, WhySkipped, WrongShare,
};
pub use pcr_state::PcrState;
pub use pin::{
    Description, MayCount, Opened, Pin, Ports, Shown, TrustPolicy, check, decrypt, describe, encrypt, encrypt_with,
    open, pin_name, settle,
};
pub use policy::{ServerReport, configuration, counters, meets, parents, renew, report, servers, signed};
pub use ports::{
    Cancel, Deadline, Files, HttpRequest, HttpResponse, LONGEST_ANSWER, Made, Method, Moment, Net, NetError, Person,
    PersonError, ServerPin, TlsSettings, Unseal,
};
pub use proof::unproved_shares;
pub use remark::Remark;
pub use stored::{BoundCounter, BoundParent, BoundServer, Lost, Renewal, Renewed, SignedPolicy, Stored, Wanted};
