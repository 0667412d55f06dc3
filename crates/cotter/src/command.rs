//! One chapter a command: arguments in, requests to the core, text or JSON out.

pub mod boot;
pub mod decrypt;
#[cfg(feature = "full")]
pub mod demo;
#[cfg(feature = "full")]
pub mod encrypt;
#[cfg(feature = "full")]
pub mod image;
#[cfg(feature = "full")]
pub mod keys;
pub mod luks;
#[cfg(feature = "full")]
pub mod manual;
#[cfg(feature = "full")]
pub mod policy;
#[cfg(feature = "full")]
pub mod serve;
pub mod tpm;
