//! How long a keyslot takes, before anybody waits for it.

use luks::{Accepted, KdfCost, Slot};
use std::cell::Cell;
use std::num::NonZeroU32;
use std::time::Duration;

/// How much time is left to open the volume: the clock belongs to the edge.
pub type TimeLeft<'a> = dyn Fn() -> Duration + 'a;

/// Which derivations begin. One that has begun is not broken off, and how long it takes is only guessed; so one may overrun the time that
/// is left, when nothing better came, and all others must fit.
pub(crate) struct Budget<'a> {
    left: &'a TimeLeft<'a>,
    overran: Cell<bool>,
}

/// What takes longer than this by the guess does not begin late: some minutes are the longest that anybody waits for a boot.
const LONGEST: Duration = Duration::from_secs(120);

impl<'a> Budget<'a> {
    pub(crate) fn new(left: &'a TimeLeft<'a>) -> Budget<'a> {
        Budget { left, overran: Cell::new(false) }
    }

    /// Whether a derivation that takes about so long may begin.
    pub(crate) fn allows(&self, takes: Duration) -> bool {
        takes <= (self.left)() || (takes <= LONGEST && !self.overran.replace(true))
    }

    /// How long one may wait for something better and still be done in time, half as much again as it takes; `None`: it cannot be done in
    /// time however soon it begins.
    pub(crate) fn may_wait(&self, takes: Duration) -> Option<Duration> {
        (self.left)().checked_sub(takes.saturating_add(takes / 2))
    }
}

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
