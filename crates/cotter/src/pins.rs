//! The pins of this program: all, of which the boot build only opens with each.

#[cfg(feature = "full")]
pub use clevis::pins::ALL;
#[cfg(not(feature = "full"))]
pub use clevis::pins::OPENING as ALL;
