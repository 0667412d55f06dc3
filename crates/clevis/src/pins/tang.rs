//! The pin `tang`: a secret comes back where a key server can be reached (nbde-formats 3.1).
//!
//! At encryption the server's advertisement is fetched or given, its signatures are checked, and it has to be trusted: by a
//! thumbprint, because it was given, by a person, or by `-y`. Nobody is asked for help with the encryption itself.

use crate::config::{Config, ConfigError};
use crate::error::{Asked, BindingError, PinError, Url};
use crate::pin::{HEADER, Pin, Ports, Shown, TrustPolicy, header};
use crate::ports::{HttpRequest, Method, NetError, PersonError, TlsFiles};
use crypto::ec::{EcError, Scalar};
use crypto::{Hash, Secret};
use jose::{Jwe, b64};
use json::{Field, FieldError, Object, Value};
use std::io::ErrorKind;
use tang::{Advertisement, ExchangeKey, Recovery, Request, TangError, Trust};

const NAME: &str = "tang";

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Tang;

impl Pin for Tang {
    fn name(&self) -> &'static str {
        NAME
    }

    fn encrypt(&self, config: &Config, secret: &Secret, ports: &Ports<'_>) -> Result<Jwe, PinError> {
        config.only(&["url", "thp", "adv", "cacert", "cert", "key"])?;
        let settings = Settings::read(config)?;
        let advertisement = settings.advertisement(ports)?;
        let key = advertisement.exchange_key();
        let binding = settings.server.to_json().with("adv", advertisement.set_json().clone());
        let header = Object::new()
            .with("kid", key.thumbprint().as_str())
            .with("clevis", Object::new().with("pin", NAME).with(NAME, binding));
        let sealed = Jwe::encrypt_to_point(&header, key.point(), secret, ports.random);
        sealed.map_err(|source| PinError::Seal { pin: NAME, source })
    }

    fn decrypt(&self, jwe: &Jwe, ports: &Ports<'_>) -> Result<Secret, PinError> {
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
        jwe.decrypt_with_shared(&point).map_err(|source| PinError::WrongPoint { server: asked(), source })
    }

    fn describe(&self, header: &Field<'_>, _: &[&dyn Pin]) -> Result<Shown, PinError> {
        let (server, _) = read_binding(header).map_err(|source| PinError::BadBinding { pin: NAME, source })?;
        Ok(Shown { config: server.to_json().into(), lossy: false })
    }
}

fn no_scalar(error: EcError) -> PinError {
    match error {
        EcError::Random(source) => PinError::Random(source),
        source => PinError::BadBinding { pin: NAME, source: BindingError::Tang(TangError::Arithmetic { source }) },
    }
}

/// Where the server is, and what TLS needs to reach it.
struct Server {
    url: String,
    tls: TlsFiles,
}

/// What a configuration says.
struct Settings {
    server: Server,
    thp: Option<String>,
    given: Option<Given>,
}

/// An advertisement that need not be fetched.
enum Given {
    Value(Value),
    File(String),
}

impl Settings {
    fn read(config: &Config) -> Result<Settings, ConfigError> {
        let field = config.field();
        let server = Server::read(&field)?;
        if server.tls != TlsFiles::default() && !server.url.to_ascii_lowercase().starts_with("https://") {
            let url = field.member("url")?;
            return Err(url.wrong_value("an https:// address, which cacert, cert and key are for").into());
        }
        if let (None, Some(key)) = (&server.tls.cert, field.optional("key")?) {
            return Err(key.wrong_value("of use without cert").into());
        }
        let thp = read_thumbprint(&field)?;
        let given = field.optional("adv")?.map(|adv| Given::read(&adv)).transpose()?;
        Ok(Settings { server, thp, given })
    }

    /// The advertisement, checked and trusted.
    fn advertisement(&self, ports: &Ports<'_>) -> Result<Advertisement, PinError> {
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
            self.ask_person(&checked, ports)?;
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

    fn ask_person(&self, advertisement: &Advertisement, ports: &Ports<'_>) -> Result<(), PinError> {
        let server = Url::new(&self.server.url);
        let mut question = format!("The key server {server} shows these signing keys:\n\n");
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

impl Server {
    fn read(field: &Field<'_>) -> Result<Server, FieldError> {
        let tls = TlsFiles {
            cacert: optional_text(field, "cacert")?,
            cert: optional_text(field, "cert")?,
            key: optional_text(field, "key")?,
        };
        Ok(Server { url: field.member("url")?.text()?.to_owned(), tls })
    }

    fn to_json(&self) -> Object {
        let mut json = Object::new().with("url", self.url.as_str());
        for (name, path) in [("cacert", &self.tls.cacert), ("cert", &self.tls.cert), ("key", &self.tls.key)] {
            if let Some(path) = path {
                json.insert(name, path.as_str());
            }
        }
        json
    }

    /// Sends `request` and brings the body of a good answer.
    fn ask(&self, request: &Request, asked: Asked, ports: &Ports<'_>) -> Result<Vec<u8>, PinError> {
        let url = format!("{}{}", self.url, request.path);
        let http = HttpRequest {
            method: match request.method {
                tang::Method::Get => Method::Get,
                tang::Method::Post => Method::Post,
            },
            url: &url,
            content_type: request.content_type,
            body: &request.body,
            tls: &self.tls,
        };
        let server = || Url::new(&self.url);
        match ports.net.exchange(&http, ports.until, ports.cancel) {
            Ok(answer) if (200..300).contains(&answer.status) => Ok(answer.body),
            Ok(answer) => Err(PinError::Refused { server: server(), asked, status: answer.status }),
            Err(NetError::Cancelled) => Err(PinError::Cancelled),
            Err(source) => Err(PinError::Unreachable { server: server(), source }),
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
        _ => Err(thp.wrong_value("a thumbprint of 43 (SHA-256) or 27 (SHA-1) characters of base64url")),
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

fn optional_text(field: &Field<'_>, name: &str) -> Result<Option<String>, FieldError> {
    field.optional(name)?.map(|text| text.text().map(str::to_owned)).transpose()
}
