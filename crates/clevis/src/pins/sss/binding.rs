//! What the header of a threshold says: `{"jwe":[…],"p":…,"t":…}` under `clevis.sss`, and a check value for each share in our
//! annotation if it is ours.

use super::check::{CHECK, Check};
use super::field::Modulus;
use crate::error::{BindingError, PinError};
use crate::pin::ANNOTATION;
use jose::b64;
use json::Field;

/// The pin's name.
pub(crate) const NAME: &str = "sss";

/// A threshold and its shares.
pub(super) struct Binding {
    /// How many shares are needed: at least one, and at most all.
    pub(super) threshold: usize,
    /// The field.
    pub(super) modulus: Modulus,
    /// Compact JWEs, in the order of the configuration. Nothing is known of them yet.
    pub(super) shares: Vec<String>,
    /// What each share must be like; the original's headers do not say it.
    pub(super) checks: Option<Vec<Check>>,
}

impl Binding {
    /// Reads the header of a JWE.
    pub(super) fn read(header: &Field<'_>) -> Result<Binding, BindingError> {
        let inner = header.member("clevis")?.member(NAME)?;
        let shares: Vec<String> =
            inner.member("jwe")?.items()?.map(|jwe| jwe.text().map(str::to_owned)).collect::<Result<_, _>>()?;
        let t = inner.member("t")?;
        let threshold = usize::try_from(t.integer()?).ok().filter(|t| (1..=shares.len()).contains(t));
        let threshold = threshold.ok_or_else(|| t.wrong_value("a number from 1 to that of the shares"))?;
        let p = inner.member("p")?;
        let bytes =
            b64::decode(p.text()?).map_err(|source| BindingError::Base64 { place: p.place().to_owned(), source })?;
        let modulus = Modulus::read(&bytes).ok_or_else(|| p.wrong_value("an odd number of 32 bytes"))?;
        let checks = header.optional(ANNOTATION)?.map_or(Ok(None), |ours| ours.optional(CHECK))?;
        let checks = checks.map(|list| Check::read_all(&list, shares.len())).transpose()?;
        Ok(Binding { threshold, modulus, shares, checks })
    }
}

/// An error of this pin's header.
pub(super) fn bad_binding(source: BindingError) -> PinError {
    PinError::BadBinding { pin: NAME, source }
}
