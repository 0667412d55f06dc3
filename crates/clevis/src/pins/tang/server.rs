//! Where a server is, and one request to it.

use super::client_key::SealedKey;
use crate::error::{Asked, PinError, Url};
use crate::pin::Ports;

use crate::ports::{HttpRequest, Method, NetError, ServerPin, TlsSettings};
use json::{Field, FieldError, Object, Value};
use std::collections::BTreeSet;
use tang::Request;

/// Where the server is, and what TLS needs to reach it.
pub(super) struct Server {
    pub(super) url: String,
    pub(super) tls: TlsSettings,
}

impl Server {
    /// Asks it.
    pub(super) fn ask(&self, request: &Request, asked: Asked, ports: &Ports<'_>) -> Result<Vec<u8>, PinError> {
        ask(&self.url, &self.tls, request, asked, ports)
    }

    pub(super) fn read(field: &Field<'_>) -> Result<Server, FieldError> {
        let tls = TlsSettings {
            cacert: optional_text(field, "cacert")?,
            cert: optional_text(field, "cert")?,
            key: optional_text(field, "key")?,
            pins: field.optional("pin")?.map_or(Ok(Vec::new()), |pins| read_pins(&pins))?,
        };
        let url = field.member("url")?;
        let is_https = url.text()?.to_ascii_lowercase().starts_with("https://");
        if !tls.pins.is_empty() && !is_https {
            return Err(url.wrong_value("an https:// address, which alone shows the key that pin names"));
        }
        Ok(Server { url: url.text()?.to_owned(), tls })
    }

    /// Whether it is the same, however its pins are ordered.
    pub(super) fn is(&self, other: &Server) -> bool {
        let pins = |server: &Server| server.tls.pins.iter().copied().collect::<BTreeSet<_>>();
        let rest = |server: &Server| TlsSettings { pins: Vec::new(), ..server.tls.clone() };
        self.url == other.url && pins(self) == pins(other) && rest(self) == rest(other)
    }

    pub(super) fn to_json(&self) -> Object {
        let mut json = Object::new().with("url", self.url.as_str());
        for (name, path) in [("cacert", &self.tls.cacert), ("cert", &self.tls.cert), ("key", &self.tls.key)] {
            if let Some(path) = path {
                json.insert(name, path.as_str());
            }
        }
        match self.tls.pins.as_slice() {
            [] => {}
            [one] => json.insert("pin", one.to_string()),
            several => json.insert("pin", several.iter().map(|pin| Value::from(pin.to_string())).collect::<Vec<_>>()),
        }
        json
    }
}

/// Sends `request` to the server at `url` and brings the body of a good answer.
pub(crate) fn ask(
    url: &str,
    tls: &TlsSettings,
    request: &Request,
    asked: Asked,
    ports: &Ports<'_>,
) -> Result<Vec<u8>, PinError> {
    let http = HttpRequest {
        method: match request.method {
            tang::Method::Get => Method::Get,
            tang::Method::Post => Method::Post,
        },
        url: &format!("{url}{}", request.path),
        content_type: request.content_type,
        body: &request.body,
        tls,
        unseal: Some(&SealedKey(ports)),
    };
    let server = || Url::new(url);
    match ports.net.exchange(&http, ports.until, ports.cancel) {
        Ok(answer) if (200..300).contains(&answer.status) => Ok(answer.body),
        Ok(answer) => Err(PinError::Refused { server: server(), asked, status: answer.status }),
        Err(NetError::Cancelled) => Err(PinError::Cancelled),
        Err(source) => Err(PinError::Unreachable { server: server(), source }),
    }
}

/// Most keys that a server may have: the one that it uses, the next, and the same of a second machine.
const MOST_PINS: usize = 4;

/// One pin, or some in an array.
fn read_pins(field: &Field<'_>) -> Result<Vec<ServerPin>, FieldError> {
    let fields = match field.value() {
        Value::Array(_) => field.items()?.collect(),
        _ => vec![field.clone()],
    };
    if !(1..=MOST_PINS).contains(&fields.len()) {
        return Err(field.wrong_value("one to four pins of the server's keys"));
    }
    let mut pins = Vec::with_capacity(fields.len());
    for field in fields {
        let wrong = || field.wrong_value("sha256// and 44 characters of base64: `cotter keys pin URL` prints it");
        let pin = ServerPin::parse(field.text()?).ok_or_else(wrong)?;
        if pins.contains(&pin) {
            return Err(field.wrong_value("another key than those before it"));
        }
        pins.push(pin);
    }
    Ok(pins)
}

fn optional_text(field: &Field<'_>, name: &str) -> Result<Option<String>, FieldError> {
    field.optional(name)?.map(|text| text.text().map(str::to_owned)).transpose()
}
