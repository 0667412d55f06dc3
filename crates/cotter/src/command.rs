//! One chapter a command: arguments in, requests to the core, text or JSON out.

pub mod boot;
pub mod clevis;
pub mod demo;
pub mod image;
pub mod keys;
pub mod luks;
pub mod manual;
pub mod policy;
pub mod serve;
pub mod tpm;
