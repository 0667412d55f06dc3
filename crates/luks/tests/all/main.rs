//! LUKS seen from outside: cryptsetup 2.6.1 is the judge.
//!
//! All volumes are plain files or memory; no root and no device mapper is needed. The costs of the key derivations are tiny.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::cast_possible_truncation)]
#![allow(missing_docs, unreachable_pub)]

mod accept;
mod backup;
mod cryptsetup;
mod edit;
mod erase;
mod failures;
mod format;
mod golden;
mod hostile;
mod luks1;
mod luks1_power;
mod luks1_repair;
mod luks1_support;
mod luks2_power;
mod luksmeta;
mod plain;
mod recorder;
mod repair;
mod rescue;
mod seal;
mod settings;
mod shapes;
mod support;
