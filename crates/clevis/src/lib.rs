//! Pins and policies: how a secret is tied to what must be present to bring it back.

#![forbid(unsafe_code)]

mod ports;

pub use ports::{
    Cancel, Deadline, Files, HttpRequest, HttpResponse, LONGEST_ANSWER, Method, Net, NetError, Person, PersonError,
    TlsFiles,
};
