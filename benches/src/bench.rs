//! The benches, one file for each thing that is compared.

pub(crate) mod client;
pub(crate) mod multiplication;
pub(crate) mod plain;
pub(crate) mod server;
pub(crate) mod slot;
