//! Where a server is, and one request to it.

use crate::error::{Asked, PinError, Url};
use crate::pin::Ports;
use crate::ports::{HttpRequest, Method, NetError, TlsFiles};
use json::{Field, FieldError, Object};
use tang::Request;

/// Where the server is, and what TLS needs to reach it.
pub(super) struct Server {
    pub(super) url: String,
    pub(super) tls: TlsFiles,
}

impl Server {
    /// Asks it.
    pub(super) fn ask(&self, request: &Request, asked: Asked, ports: &Ports<'_>) -> Result<Vec<u8>, PinError> {
        ask(&self.url, &self.tls, request, asked, ports)
    }

    pub(super) fn read(field: &Field<'_>) -> Result<Server, FieldError> {
        let tls = TlsFiles {
            cacert: optional_text(field, "cacert")?,
            cert: optional_text(field, "cert")?,
            key: optional_text(field, "key")?,
        };
        Ok(Server { url: field.member("url")?.text()?.to_owned(), tls })
    }

    pub(super) fn to_json(&self) -> Object {
        let mut json = Object::new().with("url", self.url.as_str());
        for (name, path) in [("cacert", &self.tls.cacert), ("cert", &self.tls.cert), ("key", &self.tls.key)] {
            if let Some(path) = path {
                json.insert(name, path.as_str());
            }
        }
        json
    }
}

/// Sends `request` to the server at `url` and brings the body of a good answer.
pub(crate) fn ask(
    url: &str,
    tls: &TlsFiles,
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
    };
    let server = || Url::new(url);
    match ports.net.exchange(&http, ports.until, ports.cancel) {
        Ok(answer) if (200..300).contains(&answer.status) => Ok(answer.body),
        Ok(answer) => Err(PinError::Refused { server: server(), asked, status: answer.status }),
        Err(NetError::Cancelled) => Err(PinError::Cancelled),
        Err(source) => Err(PinError::Unreachable { server: server(), source }),
    }
}

fn optional_text(field: &Field<'_>, name: &str) -> Result<Option<String>, FieldError> {
    field.optional(name)?.map(|text| text.text().map(str::to_owned)).transpose()
}
