//! The HTTP client against servers that behave, that are old, and that do their worst. All of them are on loopback.
//!
//! A test of a cancel or a limit bounds the time from above generously: it shows that the wait ends, not how fast.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod answers;
mod limits;
mod pins;
mod proxies;
mod server;
mod tls;

use clevis::{Cancel, HttpRequest, HttpResponse, Method, Net, NetError, TlsSettings};
use linux::{Client, deadline_after};
use std::time::Duration;

/// A limit that a passing test never meets.
const AMPLE: Duration = Duration::from_secs(20);

/// A client that sees no proxy settings.
fn client() -> Client {
    Client::with_variables(|_| None)
}

fn get(client: &Client, url: &str) -> Result<HttpResponse, NetError> {
    get_with(client, url, &TlsSettings::default())
}

fn get_with(client: &Client, url: &str, tls: &TlsSettings) -> Result<HttpResponse, NetError> {
    let request = HttpRequest { method: Method::Get, url, content_type: None, body: &[], tls, unseal: None };
    client.exchange(&request, deadline_after(AMPLE), &Cancel::new())
}

fn post(client: &Client, url: &str, body: &[u8]) -> Result<HttpResponse, NetError> {
    let request = HttpRequest {
        method: Method::Post,
        url,
        content_type: Some("application/jwk+json"),
        body,
        tls: &TlsSettings::default(),
        unseal: None,
    };
    client.exchange(&request, deadline_after(AMPLE), &Cancel::new())
}
