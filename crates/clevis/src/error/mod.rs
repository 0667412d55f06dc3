//! Why a pin gave nothing, who can do something about it, and what.

mod advice;
mod binding;
mod pin;
mod share;
mod signed;
mod text;
mod unopened;

pub use crate::outside::{Name, Url};
pub use advice::NextStep;
pub use binding::BindingError;
pub use pin::{Asked, Failure, PinError, Skipped, WhySkipped};
pub use share::{ShareFault, ShareName, WrongShare};
pub use signed::SignedPolicyError;
pub use unopened::Unopened;
