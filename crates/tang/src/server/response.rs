//! Answers as values.

use crypto::ec::Point;
use jose::Jwk;
use json::Value;
use std::borrow::Cow;
use std::sync::Arc;

/// What is sent back.
#[derive(Debug)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The media type of the body, if there is one.
    pub content_type: Option<&'static str>,
    /// The body; empty for every status but 200.
    pub body: Body,
    /// For the log: why this status.
    pub why: Cow<'static, str>,
}

/// A body that was prepared once, or made for this answer.
#[derive(Debug)]
pub enum Body {
    /// Shared by all answers.
    Shared(Arc<[u8]>),
    /// This answer's own.
    Owned(Vec<u8>),
}

impl AsRef<[u8]> for Body {
    fn as_ref(&self) -> &[u8] {
        match self {
            Body::Shared(bytes) => bytes,
            Body::Owned(bytes) => bytes,
        }
    }
}

impl Response {
    /// A status without a body.
    pub fn refusal(status: u16, why: impl Into<Cow<'static, str>>) -> Response {
        Response { status, content_type: None, body: Body::Owned(Vec::new()), why: why.into() }
    }

    pub(super) fn advertisement(body: Arc<[u8]>) -> Response {
        let body = Body::Shared(body);
        Response { status: 200, content_type: Some("application/jose+json"), body, why: "advertised".into() }
    }

    pub(super) fn recovery(point: &Point) -> Response {
        let key = Value::Object(Jwk::ecmr_public(point).public_json());
        let body = Body::Owned(key.to_compact().as_bytes().to_vec());
        Response { status: 200, content_type: Some("application/jwk+json"), body, why: "recovered".into() }
    }
}
