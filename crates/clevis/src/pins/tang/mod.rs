//! The pin `tang`: a secret comes back where a key server can be reached (nbde-formats 3.1).
//!
//! At encryption the server's advertisement is fetched or given, its signatures are checked, and it has to be trusted: by a
//! thumbprint, because it was given, by a person, or by `-y`. Nobody is asked for help with the encryption itself.

mod client_key;
mod renew;
mod server;
mod settings;

use crate::config::{Config, ConfigError};
use crate::error::{Asked, BindingError, PinError, Url};
use crate::pin::{HEADER, Opened, Pin, Ports, Shown, header};
use crate::stored::{BoundServer, Lost, Renewal, Renewed};
use crypto::Secret;
use crypto::ec::{EcError, Scalar};
use jose::Jwe;
use json::{Field, FieldError, Object, Value};
use server::Server;
use settings::Settings;
use tang::{ExchangeKey, Recovery, TangError};

pub(crate) use server::ask;

const NAME: &str = "tang";

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Tang;

impl Pin for Tang {
    fn name(&self) -> &'static str {
        NAME
    }

    fn check(&self, config: &Config, _: &[&dyn Pin]) -> Result<(), PinError> {
        Settings::read(config)?;
        Ok(())
    }

    fn encrypt(&self, config: &Config, secret: &Secret, beside: &Object, ports: &Ports<'_>) -> Result<Jwe, PinError> {
        let settings = Settings::read(config)?;
        let advertisement = settings.advertisement(ports)?;
        let key = advertisement.exchange_key();
        let binding = settings.server.to_json().with("adv", advertisement.set_json().clone());
        let header = beside
            .clone()
            .with("kid", key.thumbprint().as_str())
            .with("clevis", Object::new().with("pin", NAME).with(NAME, binding));
        let sealed = Jwe::encrypt_to_point(&header, key.point(), secret, ports.random);
        sealed.map_err(|source| PinError::Seal { pin: NAME, source })
    }

    fn open(&self, jwe: &Jwe, ports: &Ports<'_>) -> Result<Opened, PinError> {
        let header = header(jwe);
        let bad_binding = |source| PinError::BadBinding { pin: NAME, source };
        let (server, key) = read_binding(&header.field(HEADER)).map_err(bad_binding)?;
        let no_epk = || BindingError::Field(FieldError::Missing { place: format!("{HEADER}.epk") });
        let bound = jwe.ephemeral().ok_or_else(no_epk).map_err(bad_binding)?;
        let blind = Scalar::random(key.curve(), ports.random).map_err(no_scalar)?;
        let (recovery, request) =
            Recovery::start(bound, &key, blind).map_err(|e| bad_binding(BindingError::Tang(e)))?;
        let answer = server.ask(&request, Asked::Recovery, ports)?;
        let asked = || Url::new(&server.url);
        let point = recovery.finish(&answer).map_err(|source| PinError::BadAnswer { server: asked(), source })?;
        let opened = jwe.content_key(&point).and_then(|key| Ok(Opened::new(jwe.decrypt(&key)?, key)));
        opened.map_err(|source| PinError::WrongPoint { server: asked(), source })
    }

    fn describe(&self, header: &Field<'_>, _: &[&dyn Pin]) -> Result<Shown, PinError> {
        let (server, _) = read_binding(header).map_err(|source| PinError::BadBinding { pin: NAME, source })?;
        Ok(Shown { config: server.to_json().into(), lossy: false })
    }

    /// How the keys came to be trusted at the time is not told, and not missed: they stand in the header themselves.
    fn stored(&self, header: &Field<'_>, _: &[&dyn Pin], _: &mut Vec<Lost>) -> Result<Value, PinError> {
        let (server, _) = read_binding(header).map_err(|source| PinError::BadBinding { pin: NAME, source })?;
        Ok(server.to_json().into())
    }

    fn meets(&self, config: &Config, header: &Field<'_>, _: &[&dyn Pin]) -> Result<bool, PinError> {
        let settings = Settings::read(config)?;
        let (server, key) = read_binding(header).map_err(|source| PinError::BadBinding { pin: NAME, source })?;
        let bound = bound_server(header).map_err(|source| PinError::BadBinding { pin: NAME, source })?;
        let same_server = settings.server.is(&server);
        let signs = settings.thp.as_ref().is_none_or(|thp| bound.signs_as(thp));
        Ok(same_server && signs && settings.gives(&key))
    }

    fn bare(&self, config: &Config, _: &[&dyn Pin]) -> Result<Value, ConfigError> {
        Settings::read(config).map(|settings| settings.server.to_json().into())
    }

    fn servers(&self, header: &Field<'_>, _: &[&dyn Pin]) -> Result<Vec<BoundServer>, PinError> {
        let server = bound_server(header).map_err(|source| PinError::BadBinding { pin: NAME, source });
        server.map(|server| vec![server])
    }

    fn renew(&self, config: &Config, renewal: &Renewal<'_>, ports: &Ports<'_>) -> Result<Renewed, PinError> {
        renew::renew(config, renewal, ports)
    }
}

fn no_scalar(error: EcError) -> PinError {
    match error {
        EcError::Random(source) => PinError::Random(source),
        source => PinError::BadBinding { pin: NAME, source: BindingError::Tang(TangError::Arithmetic { source }) },
    }
}

/// The server of a binding, and the key of it that the binding names.
fn read_binding(header: &Field<'_>) -> Result<(Server, ExchangeKey), BindingError> {
    let binding = header.member("clevis")?.member(NAME)?;
    let server = Server::read(&binding)?;
    let kid = header.member("kid")?;
    let key = ExchangeKey::find(&binding.member("adv")?, kid.text()?).map_err(BindingError::Tang)?;
    Ok((server, key))
}

/// The server of a binding, and the keys that it advertised then.
fn bound_server(header: &Field<'_>) -> Result<BoundServer, BindingError> {
    let binding = header.member("clevis")?.member(NAME)?;
    let Server { url, tls } = Server::read(&binding)?;
    Ok(BoundServer { url, tls, keys: BoundServer::keys_of(&binding.member("adv")?) })
}
