//! How long a keyslot takes, before anybody waits for it.

use luks::{Accepted, KdfCost, Slot};
use std::num::NonZeroU32;
use std::time::Duration;

/// How much time is left to open the volume: the clock belongs to the edge. A derivation that has begun is not broken off, so none begins
/// that would take longer.
pub type TimeLeft<'a> = dyn Fn() -> Duration + 'a;

/// A binding whose keyslot takes longer waits a while for others: no program gives a random passphrase so slow a derivation today.
pub(crate) const LONG: Duration = Duration::from_secs(5);

/// About how long it takes on a machine of today to open a keyslot and to see that its key is the right one, to the order of magnitude:
/// half a microsecond for an iteration of PBKDF2, one for a KiB of Argon2 in each pass.
pub(crate) fn estimate(header: &Accepted, slot: Slot) -> Duration {
    let keyslot = match header.kdf(slot) {
        None => Duration::ZERO,
        Some(KdfCost::Pbkdf2 { iterations, .. }) => of_pbkdf2(*iterations),
        Some(KdfCost::Argon2 { cost, .. }) => {
            Duration::from_micros(u64::from(cost.memory_kib).saturating_mul(cost.passes.into()))
        }
    };
    keyslot.saturating_add(of_pbkdf2(header.digest_iterations()))
}

fn of_pbkdf2(iterations: NonZeroU32) -> Duration {
    Duration::from_micros(u64::from(iterations.get()) / 2)
}
