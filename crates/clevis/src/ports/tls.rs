//! What a policy says of TLS to one server: files, and the pins of the server's keys.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crypto::{Hash, Secret};
use std::error::Error;
use std::fmt;

/// What TLS needs to know to reach one server. Paths are of PEM files, which the port reads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TlsSettings {
    /// Certificates that may sign the server's; if named, no others may.
    pub cacert: Option<String>,
    /// The certificate (and chain) to show to the server.
    pub cert: Option<String>,
    /// The private key of `cert`, as it is or sealed (see [`Unseal`]).
    pub key: Option<String>,
    /// If there are any, the server is who holds one of these keys: who signed its certificate, when and for what name is not asked.
    pub pins: Vec<ServerPin>,
}

/// Which public key a server has: SHA-256 of its SubjectPublicKeyInfo in DER (RFC 7469, section 2.4). A new certificate for the same
/// key has the same pin.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerPin([u8; 32]);

/// What stands before the base64 of a pin, as `curl --pinnedpubkey` has it.
const HASH: &str = "sha256//";

impl ServerPin {
    /// The pin of the key in this SubjectPublicKeyInfo (DER).
    pub fn of_key(info: &[u8]) -> ServerPin {
        let digest = Hash::Sha256.digest(&[info]);
        let mut pin = [0; 32];
        pin.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
        ServerPin(pin)
    }

    /// Reads `sha256//` and base64 with its padding, as it is written.
    pub fn parse(text: &str) -> Option<ServerPin> {
        STANDARD.decode(text.strip_prefix(HASH)?).ok()?.try_into().ok().map(ServerPin)
    }
}

impl fmt::Display for ServerPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{HASH}{}", STANDARD.encode(self.0))
    }
}

impl fmt::Debug for ServerPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Opens what a key file holds that is no key in PEM.
pub trait Unseal: Sync + fmt::Debug {
    /// The PEM text that is sealed in `sealed`, the content of the file. Called only when a connection needs it; the caller keeps
    /// nothing of it beyond that connection, and writes it nowhere.
    fn unseal(&self, sealed: &[u8]) -> Result<Secret, Box<dyn Error + Send + Sync>>;
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// By `printf key | openssl dgst -sha256 -binary | base64`.
    const OF_KEY: &str = "sha256//LHDhK3oGRvkiefQnx7OOczTY5Tic/xZ6HcMOc/gmtoM=";

    #[test]
    fn a_pin_is_written_as_curl_has_it() {
        let pin = ServerPin::of_key(b"key");
        assert_eq!(pin.to_string(), OF_KEY);
        assert_eq!(ServerPin::parse(OF_KEY), Some(pin));
    }

    #[test]
    fn what_is_not_written_so_is_none() {
        let bare = OF_KEY.strip_prefix(HASH).unwrap();
        for bad in [
            "",
            HASH,
            bare,
            &format!("sha256:{bare}"),
            &format!("SHA256//{bare}"),
            &format!("sha1//{bare}"),
            &format!(" {OF_KEY}"),
            &format!("{OF_KEY}\n"),
            &format!("{OF_KEY};{OF_KEY}"),
            OF_KEY.trim_end_matches('='),
            // Another last letter for the same bytes.
            &OF_KEY.replace("toM=", "toN="),
            &OF_KEY.replace("/gmt", "_gmt"),
            "sha256//AAAA",
            "?",
        ] {
            assert_eq!(ServerPin::parse(bad), None, "{bad}");
        }
    }
}
