//! How long a keyslot takes, before anybody waits for it.

use luks::{Accepted, KdfCost, Slot};
use std::time::Duration;

/// A binding whose keyslot takes longer is tried when all others have failed: no program gives a random passphrase so slow a derivation.
pub(crate) const LONG: Duration = Duration::from_secs(5);

/// About how long the derivation of a keyslot takes on a machine of today, to the order of magnitude: half a microsecond for an iteration
/// of PBKDF2, one for a KiB of Argon2 in each pass.
pub(crate) fn estimate(header: &Accepted, slot: Slot) -> Duration {
    Duration::from_micros(match header.kdf(slot) {
        None => 0,
        Some(KdfCost::Pbkdf2 { iterations, .. }) => u64::from(iterations.get()) / 2,
        Some(KdfCost::Argon2 { cost, .. }) => u64::from(cost.memory_kib).saturating_mul(cost.passes.into()),
    })
}
