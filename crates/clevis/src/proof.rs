//! Shares of a threshold that nobody has needed yet, tried at once: which of them open what they were made for is better known when a
//! policy is bound to than on the day when one of the others is away.

use crate::error::{Name, PinError};
use crate::pin::{HEADER, Ports, header, pin_of};
use crate::pins::sss;
use jose::Jwe;

/// Opens each share of a threshold, at any depth, for which this machine alone is needed: no server and no person. Returns a
/// [`PinError::Share`] for each that does not open. A policy that is no threshold has none.
///
/// # Errors
/// [`PinError::UnknownPin`], [`PinError::BadBinding`] and [`PinError::NotAJwe`]: it is not known what the shares are.
pub fn unproved_shares(jwe: &Jwe, ports: &Ports<'_>) -> Result<Vec<PinError>, PinError> {
    let mut failed = Vec::new();
    prove(jwe, "", ports, &mut failed)?;
    Ok(failed)
}

fn prove(jwe: &Jwe, place: &str, ports: &Ports<'_>, failed: &mut Vec<PinError>) -> Result<(), PinError> {
    let (pin, header) = (pin_of(jwe, ports.pins)?, header(jwe));
    let header = header.field(HEADER);
    if pin.name() == sss::NAME {
        for (number, share) in sss::shares(&header)?.iter().enumerate() {
            let lead = if place.is_empty() { String::new() } else { format!("{place}, ") };
            let share = Jwe::parse_compact(share.as_bytes()).map_err(|source| PinError::NotAJwe { source })?;
            prove(&share, &format!("{lead}share {}", number + 1), ports, failed)?;
        }
    } else if !place.is_empty()
        && pin.is_at_hand(&header)
        && let Err(source) = pin.open(jwe, ports)
    {
        let (pin, place) = (Name::new(pin.name()), place.to_owned());
        failed.push(PinError::Share { pin, place, source: Box::new(source) });
    }
    Ok(())
}
