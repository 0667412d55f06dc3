//! What a configuration says, and the advertisement that follows from it.

use super::server::Server;
use crate::config::{Config, ConfigError};
use crate::error::{Asked, PinError, Url};
use crate::pin::{Ports, TrustPolicy};
use crate::ports::{PersonError, TlsSettings};
use crypto::{Hash, Secret};
use jose::b64;
use json::{Field, FieldError, Value};
use std::io::ErrorKind;
use tang::{Advertisement, ExchangeKey, Request, Trust};

/// What a configuration says.
pub(super) struct Settings {
    pub(super) server: Server,
    pub(super) thp: Option<String>,
    pub(super) given: Option<Given>,
}

/// An advertisement that need not be fetched.
pub(super) enum Given {
    Value(Value),
    File(String),
}

impl Settings {
    /// Reads it; an option that there is not is an error.
    pub(super) fn read(config: &Config) -> Result<Settings, ConfigError> {
        config.only(&["url", "thp", "adv", "cacert", "cert", "key", "pin"])?;
        let field = config.field();
        let server = Server::read(&field)?;
        if server.tls != TlsSettings::default() && !server.url.to_ascii_lowercase().starts_with("https://") {
            let url = field.member("url")?;
            return Err(url.wrong_value("an https:// address, which cacert, cert and key are for").into());
        }
        if let (None, Some(key)) = (&server.tls.cert, field.optional("key")?) {
            return Err(key.wrong_value("of use without cert").into());
        }
        if let (false, Some(cacert)) = (server.tls.pins.is_empty(), field.optional("cacert")?) {
            return Err(cacert
                .wrong_value("of use beside pin, by which the server is known whoever signed its certificate")
                .into());
        }
        let thp = read_thumbprint(&field)?;
        let given = field.optional("adv")?.map(|adv| Given::read(&adv)).transpose()?;
        Ok(Settings { server, thp, given })
    }

    /// Whether the advertisement that it gives has `key` for new bindings; one in a file is not looked at.
    pub(super) fn gives(&self, key: &ExchangeKey) -> bool {
        let Some(Given::Value(value)) = &self.given else { return true };
        let given = Advertisement::verify(value.to_compact().as_bytes(), &Trust::Given);
        given.is_ok_and(|given| given.exchange_key() == key)
    }

    /// The advertisement, checked and trusted.
    pub(super) fn advertisement(&self, ports: &Ports<'_>) -> Result<Advertisement, PinError> {
        let jws = match &self.given {
            Some(given) => given.bytes(ports)?,
            None => {
                let request = Request::advertisement(self.thp.as_deref().unwrap_or_default());
                let answer = self.server.ask(&request, Asked::Advertisement, ports);
                Secret::new(answer.map_err(|error| self.other_keys(error))?)
            }
        };
        let trust = match (ports.trust, &self.thp, &self.given) {
            (TrustPolicy::Ask, Some(thp), _) => Trust::Thumbprint(thp.clone()),
            (TrustPolicy::Ask, None, Some(_)) => Trust::Given,
            (TrustPolicy::Ask, None, None) | (TrustPolicy::Yes, _, _) => Trust::Anyone,
        };
        let refused = |source| PinError::BadAdvertisement { server: Url::new(&self.server.url), source };
        let checked = Advertisement::verify(jws.expose(), &trust).map_err(refused)?;
        if trust == Trust::Anyone && ports.trust == TrustPolicy::Ask {
            self.ask_person("", &checked, ports)?;
        }
        Ok(checked)
    }

    /// A server that has no key of the thumbprint that was asked for says only that there is nothing.
    fn other_keys(&self, error: PinError) -> PinError {
        match (error, &self.thp) {
            (PinError::Refused { server, status: 404, .. }, Some(thp)) => {
                PinError::OtherKeys { server, thp: thp.clone() }
            }
            (error, _) => error,
        }
    }

    /// Asks whether these keys are the server's; `but` says what speaks against it.
    pub(super) fn ask_person(
        &self,
        but: &str,
        advertisement: &Advertisement,
        ports: &Ports<'_>,
    ) -> Result<(), PinError> {
        let server = Url::new(&self.server.url);
        let mut question = format!("The key server {server} shows these signing keys{but}:\n\n");
        for thumbprint in advertisement.signing_thumbprints() {
            question.push_str(&format!("  {thumbprint}\n"));
        }
        question.push_str("\nTrust them, and tie the secret to this server?");
        match ports.person.confirm(&question) {
            Ok(true) => Ok(()),
            Ok(false) => Err(PinError::Declined { server }),
            Err(PersonError::Terminal { source }) if source.kind() == ErrorKind::Interrupted => {
                Err(PinError::Cancelled)
            }
            Err(source) => Err(PinError::CannotAsk { source }),
        }
    }
}

impl Given {
    fn read(adv: &Field<'_>) -> Result<Given, FieldError> {
        match adv.value() {
            Value::Object(_) => Ok(Given::Value(adv.value().clone())),
            Value::Text(path) => Ok(Given::File(path.as_str().to_owned())),
            _ => Err(adv.wrong_value("an advertisement or the name of a file that holds one")),
        }
    }

    fn bytes(&self, ports: &Ports<'_>) -> Result<Secret, PinError> {
        match self {
            Given::Value(value) => Ok(Secret::copied_from(value.to_compact().as_bytes())),
            Given::File(path) => ports.files.read(path).map_err(|source| PinError::File { path: path.clone(), source }),
        }
    }
}

/// The thumbprint to trust. An empty one is none, as the original has it. It goes into a URL, and only what can be compared
/// with a key's is worth the question: SHA-256, or SHA-1 as of old.
fn read_thumbprint(field: &Field<'_>) -> Result<Option<String>, FieldError> {
    let Some(thp) = field.optional("thp")?.filter(|thp| thp.value().as_str() != Some("")) else { return Ok(None) };
    match b64::decode(thp.text()?) {
        Ok(digest) if [Hash::Sha1, Hash::Sha256].iter().any(|hash| hash.len() == digest.len()) => {
            Ok(Some(thp.text()?.to_owned()))
        }
        // As long as one, so a letter is wrong: not every last letter can be.
        Err(_) if [43, 27].contains(&thp.text()?.len()) => {
            Err(thp.wrong_value("a thumbprint: a letter of it is wrong"))
        }
        _ => Err(thp.wrong_value("a thumbprint of 43 (SHA-256) or 27 (SHA-1) characters of base64url")),
    }
}
