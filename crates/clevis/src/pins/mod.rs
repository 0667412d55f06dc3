//! The pins, one file each.

pub(crate) mod cotter_tpm2;
mod file;
mod null;
mod opening;
mod pkcs11;
pub(crate) mod sss;
pub(crate) mod tang;
pub(crate) mod tpm2;
pub(crate) mod tpm2plus;

use crate::pin::Pin;

pub use cotter_tpm2::{CotterTpm2, LATCH_EVENT, LATCH_PCR, shut_latch};
pub use file::File;
pub use null::Null;
pub use opening::Opening;
pub use pkcs11::Pkcs11;
pub use sss::Sss;
pub use tang::Tang;
pub use tpm2::Tpm2;
pub use tpm2plus::Tpm2Plus;

/// Every pin of this crate: the table that a caller hands in as `Ports::pins`.
pub const ALL: &[&dyn Pin] = &[&Tang, &Tpm2, &Tpm2Plus, &CotterTpm2, &Sss, &File, &Pkcs11, &Null];

/// The same pins, for a program that only opens.
pub const OPENING: &[&dyn Pin] = &[
    &Opening(Tang),
    &Opening(Tpm2),
    &Opening(Tpm2Plus),
    &Opening(CotterTpm2),
    &Opening(Sss),
    &Opening(File),
    &Opening(Pkcs11),
    &Opening(Null),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pins_that_open_are_all_pins() {
        let names = |pins: &[&dyn Pin]| pins.iter().map(|pin| pin.name()).collect::<Vec<_>>();
        assert_eq!(names(ALL), names(OPENING));
    }
}
