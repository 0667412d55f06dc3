//! JOSE: keys, thumbprints, signatures and encryption as Tang and Clevis use them, and the McCallum-Relyea operation.
//!
//! RFC 7515 (JWS), 7516 (JWE), 7517 (JWK), 7518 (algorithms) and 7638 (thumbprints), as far as network-bound disk encryption
//! needs them: EC keys on P-256, P-384 and P-521 with ES256, ES384, ES512, `ECDH-ES` and `ECMR`; `oct` keys with `dir`;
//! `A256GCM` alone; RSA public keys for their thumbprints. What is left out is refused by name: `zip`, `crit`, key wrapping;
//! signatures by HMAC and RSA are read and verified by no key. URLs, time and any knowledge of Tang or Clevis are absent on purpose.
//!
//! Base64url is strict everywhere and numbers have their full width, so a key or a signature has exactly one text.

#![forbid(unsafe_code)]

pub mod b64;
mod concat_kdf;
pub mod ecmr;
pub mod jwe;
mod jwk;
pub mod jws;
mod operation;
mod sorted;
mod thumbprint;
mod unknown;

pub use concat_kdf::concat_kdf;
pub use jwe::{Jwe, JweError};
pub use jwk::{Jwk, JwkError};
pub use jws::{Jws, JwsError};
pub use operation::{KeyOperation, Required};
pub use thumbprint::{Thumbprint, ThumbprintHash};
pub use unknown::Unknown;
