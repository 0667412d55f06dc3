//! The benches, one file for each thing that is compared.

pub(crate) mod bind;
pub(crate) mod binding;
pub(crate) mod boot;
pub(crate) mod client;
pub(crate) mod image;
pub(crate) mod multiplication;
pub(crate) mod plain;
pub(crate) mod server;
pub(crate) mod slot;
pub(crate) mod threshold;
pub(crate) mod tpm;
