//! A policy read back out of its JWE: its configuration, its servers, whether it is the wanted one, and the same with new keys.

use crate::annotation::kept_config;
use crate::config::Config;
use crate::error::{Asked, PinError, Url};
use crate::pin::{HEADER, Pin, Ports, find, header, pin_of};
use crate::pins::tang;
use crate::stored::{BoundCounter, BoundParent, BoundServer, Lost, Renewal, Renewed, SignedPolicy, Stored};
use ::tang::{Advertisement, Request, Trust};
use jose::{Jwe, Jwk, Thumbprint, ThumbprintHash};
use std::panic::resume_unwind;
use std::thread;

/// What one server of a binding says about the keys that the binding has of it.
#[derive(Debug)]
pub struct ServerReport {
    /// The server.
    pub server: Url,
    /// The SHA-256 thumbprints of the binding's keys that it does not advertise any more, in the order of the binding; or why it was not
    /// found out.
    pub rotated: Result<Vec<Thumbprint>, PinError>,
}

/// The whole configuration of `jwe`, whoever made it: as it was given, if the header keeps that and it is this policy's; else as the
/// policy itself tells it, thresholds with all that is inside them. Nobody is asked.
///
/// # Errors
/// [`PinError::UnknownPin`] and [`PinError::BadBinding`].
pub fn configuration(jwe: &Jwe, pins: &[&dyn Pin]) -> Result<Stored, PinError> {
    let pin = pin_of(jwe, pins)?;
    let header = header(jwe);
    let mut lost = Vec::new();
    let told = pin.stored(&header.field(HEADER), pins, &mut lost)?;
    let told = Config::from_field(&told.field("configuration")).map_err(PinError::Config)?;
    let config = match kept_config(jwe) {
        None => told,
        Some(Ok(kept)) if is_of(pin, &kept, jwe, pins) => {
            lost.clear();
            kept
        }
        Some(_) => {
            lost.push(Lost::Kept);
            told
        }
    };
    Ok(Stored { pin: pin.name(), config, lost })
}

/// Whether a kept configuration is that of this policy, apart from what the policy does not tell.
fn is_of(pin: &dyn Pin, kept: &Config, jwe: &Jwe, pins: &[&dyn Pin]) -> bool {
    let Ok(bare) = pin.bare(kept, pins) else { return false };
    let Ok(bare) = Config::from_field(&bare.field("kept")) else { return false };
    pin.meets(&bare, &header(jwe).field(HEADER), pins).unwrap_or(false)
}

/// Whether `jwe` is what binding by this pin and configuration makes: the same pins, servers and thresholds; a thumbprint that is named is
/// that of a signing key which the JWE has of its server, an advertisement that is given has the key that the JWE is bound to. An
/// advertisement in a file is not looked at.
///
/// # Errors
/// [`PinError::UnknownPin`] if there is no such pin, [`PinError::Config`] if the configuration is none, and [`PinError::BadBinding`].
pub fn meets(pin_name: &str, config: &Config, jwe: &Jwe, pins: &[&dyn Pin]) -> Result<bool, PinError> {
    let wanted = find(pin_name, pins)?;
    wanted.bare(config, pins).map_err(PinError::Config)?;
    let found = pin_of(jwe, pins)?;
    Ok(found.name() == wanted.name() && wanted.meets(config, &header(jwe).field(HEADER), pins)?)
}

/// The servers that `jwe` is bound to, at any depth of a threshold, in the order of the configuration.
///
/// # Errors
/// [`PinError::UnknownPin`] and [`PinError::BadBinding`].
pub fn servers(jwe: &Jwe, pins: &[&dyn Pin]) -> Result<Vec<BoundServer>, PinError> {
    pin_of(jwe, pins)?.servers(&header(jwe).field(HEADER), pins)
}

/// The keys in a TPM that `jwe` names, at any depth of a threshold, in the order of the configuration.
///
/// # Errors
/// [`PinError::UnknownPin`] and [`PinError::BadBinding`].
pub fn parents(jwe: &Jwe, pins: &[&dyn Pin]) -> Result<Vec<BoundParent>, PinError> {
    pin_of(jwe, pins)?.parents(&header(jwe).field(HEADER), pins)
}

/// The policies in `jwe` that open for what somebody has approved, at any depth of a threshold, in the order of the configuration.
///
/// # Errors
/// [`PinError::UnknownPin`] and [`PinError::BadBinding`].
pub fn signed(jwe: &Jwe, pins: &[&dyn Pin]) -> Result<Vec<SignedPolicy>, PinError> {
    pin_of(jwe, pins)?.signed(&header(jwe).field(HEADER), pins)
}

/// The counters of the TPM that the policies in `jwe` name, at any depth of a threshold.
///
/// # Errors
/// [`PinError::UnknownPin`] and [`PinError::BadBinding`].
pub fn counters(jwe: &Jwe, pins: &[&dyn Pin]) -> Result<Vec<BoundCounter>, PinError> {
    pin_of(jwe, pins)?.counters(&header(jwe).field(HEADER), pins)
}

/// The configuration with today's keys of every server in it: trusted because a key that is known from before vouches for them, because a
/// person says so, or by `-y`.
///
/// # Errors
/// [`PinError`]: a server that cannot be reached, or whose keys nobody vouches for.
pub fn renew(pin_name: &str, config: &Config, renewal: &Renewal<'_>, ports: &Ports<'_>) -> Result<Renewed, PinError> {
    find(pin_name, ports.pins)?.renew(config, renewal, ports)
}

/// Asks all servers of `jwe` at once for their keys, and says which of the binding's are not among them any more. What a server answers is
/// checked for its own signatures; nothing else vouches for it.
///
/// # Errors
/// [`PinError::UnknownPin`] and [`PinError::BadBinding`].
pub fn report(jwe: &Jwe, ports: &Ports<'_>) -> Result<Vec<ServerReport>, PinError> {
    let servers = servers(jwe, ports.pins)?;
    let ask = |server: &BoundServer| ServerReport { server: Url::new(&server.url), rotated: rotated(server, ports) };
    let (ask, servers) = (&ask, &servers);
    Ok(thread::scope(|scope| {
        let running: Vec<_> =
            servers.iter().map(|server| thread::Builder::new().spawn_scoped(scope, move || ask(server))).collect();
        let answers = running.into_iter().zip(servers).map(|(thread, server)| match thread.map(|t| t.join()) {
            Ok(Ok(report)) => report,
            Ok(Err(panic)) => resume_unwind(panic),
            Err(error) => ServerReport { server: Url::new(&server.url), rotated: Err(PinError::Thread(error)) },
        });
        answers.collect()
    }))
}

fn rotated(server: &BoundServer, ports: &Ports<'_>) -> Result<Vec<Thumbprint>, PinError> {
    let request = Request::advertisement("");
    let answer = tang::ask(&server.url, &server.tls, &request, Asked::Advertisement, ports)?;
    let refused = |source| PinError::BadAdvertisement { server: Url::new(&server.url), source };
    let advertisement = Advertisement::verify(&answer, &Trust::Anyone).map_err(refused)?;
    let set = json::Value::Object(advertisement.set_json().clone());
    let advertised: Vec<Thumbprint> = BoundServer::keys_of(&set.field("set")).iter().map(s256).collect();
    Ok(server.keys.iter().map(s256).filter(|thumbprint| !advertised.contains(thumbprint)).collect())
}

fn s256(key: &Jwk) -> Thumbprint {
    key.thumbprint(ThumbprintHash::S256)
}
