//! The keys of today for a binding of yesterday.
//!
//! A server whose keys were rotated still signs its advertisement by an old key when it is asked for that one (`/adv/THUMBPRINT`). So the
//! keys of the old binding vouch for the new ones, and nobody is asked, as long as the server has not thrown the old ones away. Where no
//! known key vouches, the question is the same as at the first binding, and says so.
//!
//! What the old key vouches for must also be what the server shows everybody (`/adv`). Whoever has stolen an old signing key and stands in
//! the server's place answers both alike, and is believed: who fears that has a person asked whatever vouches (`cotter luks regen --ask`).

use super::settings::{Given, Settings};
use crate::config::Config;
use crate::error::{Asked, PinError, Url};
use crate::pin::{Ports, TrustPolicy};
use crate::stored::{Renewal, Renewed, Wanted, signs_as};
use jose::{Jwk, Jws, ThumbprintHash};
use json::Value;
use tang::{Advertisement, Request, TangError, Trust};

/// How many known keys are asked for, one after the other: a server has one or two, and each is a request.
const MOST_ASKED_FOR: usize = 8;

/// A server's keys of today, and the JWS that they came in.
struct Current {
    advertisement: Advertisement,
    jws: Vec<u8>,
}

/// See [`crate::renew`].
pub(super) fn renew(config: &Config, renewal: &Renewal<'_>, ports: &Ports<'_>) -> Result<Renewed, PinError> {
    let settings = Settings::read(config)?;
    let same_server = renewal.known.iter().filter(|server| server.url == settings.server.url);
    let known: Vec<&Jwk> = same_server.flat_map(|server| server.signing_keys()).take(MOST_ASKED_FOR).collect();
    // A thumbprint that a person names now must sign itself: no other key vouches in its place.
    let speaks_for_itself = settings.given.is_some() || settings.thp.is_some();
    if renewal.wanted == Wanted::New && speaks_for_itself {
        return Ok(Renewed::unchanged(config));
    }
    let current = match vouched_for(&settings, &known, ports)? {
        Some(current) => current,
        None => agreed_to(&settings, &known, ports)?,
    };
    renewed(config, &settings, &current)
}

/// The advertisement that one of the known keys signs too.
fn vouched_for(settings: &Settings, known: &[&Jwk], ports: &Ports<'_>) -> Result<Option<Current>, PinError> {
    for key in known {
        let thumbprint = key.thumbprint(ThumbprintHash::S256);
        let request = Request::advertisement(thumbprint.as_str());
        let jws = match settings.server.ask(&request, Asked::Advertisement, ports) {
            Ok(jws) => jws,
            // The server has no such key any more, or none that it can use.
            Err(PinError::Refused { .. }) => continue,
            Err(error) => return Err(error),
        };
        if let Ok(advertisement) = Advertisement::verify_successor(&jws, known) {
            return Ok(is_shown(settings, &advertisement, ports)?.then_some(Current { advertisement, jws }));
        }
    }
    Ok(None)
}

/// Whether the server shows everybody the same keys.
fn is_shown(settings: &Settings, found: &Advertisement, ports: &Ports<'_>) -> Result<bool, PinError> {
    let jws = match settings.server.ask(&Request::advertisement(""), Asked::Advertisement, ports) {
        Ok(jws) => jws,
        Err(PinError::Refused { .. }) => return Ok(false),
        Err(error) => return Err(error),
    };
    let shown = Advertisement::verify(&jws, &Trust::Anyone);
    let text = |set: &json::Object| Value::from(set.clone()).to_compact();
    Ok(shown.is_ok_and(|shown| text(shown.set_json()).as_str() == text(found.set_json()).as_str()))
}

/// The advertisement that nobody vouches for but a person, or whoever said `-y`.
fn agreed_to(settings: &Settings, known: &[&Jwk], ports: &Ports<'_>) -> Result<Current, PinError> {
    let server = || Url::new(&settings.server.url);
    let jws = settings.server.ask(&Request::advertisement(""), Asked::Advertisement, ports)?;
    let refused = |source| PinError::BadAdvertisement { server: server(), source };
    let advertisement = Advertisement::verify(&jws, &Trust::Anyone).map_err(refused)?;
    if ports.trust == TrustPolicy::Ask {
        let but = if known.is_empty() { "" } else { ", for which no key that is known of it vouches" };
        settings.ask_person(but, &advertisement, ports).map_err(|error| match error {
            PinError::CannotAsk { .. } if !known.is_empty() => {
                let found = advertisement.signing_thumbprints().iter().map(ToString::to_string).collect();
                PinError::NotVouched { server: server(), found }
            }
            error => error,
        })?;
    }
    Ok(Current { advertisement, jws })
}

/// The configuration with the advertisement in it, and as it is kept.
fn renewed(config: &Config, settings: &Settings, current: &Current) -> Result<Renewed, PinError> {
    let bad = |source| PinError::BadAdvertisement { server: Url::new(&settings.server.url), source };
    let jws = Jws::parse(&current.jws).map_err(|source| bad(TangError::NotSigned { source }))?;
    let mut kept = config.field().object().cloned().unwrap_or_default();
    let signing = current.advertisement.signing_thumbprints();
    if let (Some(thp), Some(first)) = (&settings.thp, signing.first()) {
        let set = Value::Object(current.advertisement.set_json().clone());
        let keys = crate::stored::BoundServer::keys_of(&set.field("set"));
        if !names(thp, &keys.iter().collect::<Vec<_>>()) {
            kept.insert("thp", first.as_str());
        }
    }
    if let Some(Given::Value(_)) = settings.given {
        kept.insert("adv", jws.to_json());
    }
    let given = settings.server.to_json().with("adv", jws.to_json());
    Ok(Renewed { given: given.into(), kept: kept.into() })
}

fn names(thumbprint: &str, keys: &[&Jwk]) -> bool {
    signs_as(keys.iter().copied(), thumbprint)
}
