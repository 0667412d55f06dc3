//! The Tang exchange, both halves, as pure functions: requests and responses are values.
//!
//! A Tang server holds an exchange key S = s·G and helps whoever reaches it to find a point again that was bound to that key,
//! without learning the point (the McCallum-Relyea exchange, `jose::ecmr`). It advertises its public keys in a signed set.
//! The client half is [`Advertisement`] and [`Recovery`], the server half is [`server`].
//!
//! Sockets, directories and the question who may ask are absent on purpose. There is no specification: the reference is the
//! original server, whose observable behaviour each module states and `tests/compliance` checks.

#![forbid(unsafe_code)]

mod advertisement;
mod error;
mod exchange_key;
mod recovery;
pub mod server;

pub use advertisement::{Advertisement, Trust};
pub use error::TangError;
pub use exchange_key::ExchangeKey;
pub use recovery::Recovery;

/// One request that the client half wants sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// How.
    pub method: Method,
    /// What follows the server's URL: `/adv/THUMBPRINT` or `/rec/THUMBPRINT`.
    pub path: String,
    /// The media type of the body, if there is one.
    pub content_type: Option<&'static str>,
    /// The body, empty for `GET`.
    pub body: Vec<u8>,
}

/// The two methods that Tang uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Method {
    Get,
    Post,
}

impl Request {
    /// Asks for the advertisement; `signed_by` asks for one more signature, by that key, and may be empty.
    pub fn advertisement(signed_by: &str) -> Request {
        Request { method: Method::Get, path: format!("/adv/{signed_by}"), content_type: None, body: Vec::new() }
    }
}
