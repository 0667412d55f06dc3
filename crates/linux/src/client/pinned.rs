//! A server known by its key.
//!
//! Who signed the certificate, from when until when it is good and for what name says nothing more about a server that proves to hold the
//! key that was pinned, and each of these has kept machines from starting. So nothing but the key is looked at; that the server holds it, it
//! proves by a signature over this very handshake, which is verified as ever. Only the server's own certificate counts: a pin of an
//! authority would trust everything that it signs.

use crate::certificates::certificate_key;
use clevis::ServerPin;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, SignatureScheme};
use std::fmt;
use std::sync::{Arc, OnceLock};
use webpki::RawPublicKeyEntity;

/// The key of a server that has proved to hold it.
pub(super) type Seen = OnceLock<ServerPin>;

/// See the module.
#[derive(Debug)]
pub(super) struct ByKey {
    wanted: Wanted,
    algorithms: WebPkiSupportedAlgorithms,
}

#[derive(Debug)]
enum Wanted {
    /// One of these.
    OneOf(Vec<ServerPin>),
    /// Any; it is only looked at.
    Any(Arc<Seen>),
}

/// The server showed another key.
#[derive(Debug)]
pub(super) struct OtherKey {
    pub(super) shown: ServerPin,
    pub(super) wanted: Vec<ServerPin>,
}

impl fmt::Display for OtherKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the server's key is none of the pinned ones")
    }
}

impl std::error::Error for OtherKey {}

impl ByKey {
    /// The server must hold one of these keys.
    pub(super) fn wanted(pins: Vec<ServerPin>, provider: &CryptoProvider) -> ByKey {
        ByKey { wanted: Wanted::OneOf(pins), algorithms: provider.signature_verification_algorithms }
    }

    /// It may be any server: `seen` has its key once it has proved to hold it. For nothing but to show it.
    pub(super) fn watching(seen: Arc<Seen>, provider: &CryptoProvider) -> ByKey {
        ByKey { wanted: Wanted::Any(seen), algorithms: provider.signature_verification_algorithms }
    }

    /// Once the server has signed the handshake with this key.
    fn proved(&self, key: &[u8]) -> HandshakeSignatureValid {
        if let Wanted::Any(seen) = &self.wanted {
            // A connection has one handshake; what was seen first stays.
            let _ = seen.set(ServerPin::of_key(key));
        }
        HandshakeSignatureValid::assertion()
    }
}

/// The key of a certificate, of which nothing else need make sense.
fn key_of<'a>(certificate: &'a CertificateDer<'_>) -> Result<&'a [u8], Error> {
    certificate_key(certificate).map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))
}

impl ServerCertVerifier for ByKey {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let shown = ServerPin::of_key(key_of(end_entity)?);
        match &self.wanted {
            Wanted::OneOf(wanted) if !wanted.contains(&shown) => {
                let other = OtherKey { shown, wanted: wanted.clone() };
                Err(Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(other)))))
            }
            _ => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = key_of(certificate)?;
        let scheme = self.algorithms.mapping.iter().find(|(scheme, _)| *scheme == signed.scheme);
        let info = SubjectPublicKeyInfoDer::from(key);
        let raw = RawPublicKeyEntity::try_from(&info).map_err(|e| Error::General(format!("the server's key: {e}")))?;
        // Before TLS 1.3 a scheme does not say of which curve it is.
        let verifies = |algorithm: &&_| raw.verify_signature(*algorithm, message, signed.signature()).is_ok();
        match scheme.and_then(|(_, algorithms)| algorithms.iter().find(|algorithm| verifies(algorithm))) {
            Some(_) => Ok(self.proved(key)),
            None => Err(Error::InvalidCertificate(CertificateError::BadSignature)),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = key_of(certificate)?;
        verify_tls13_signature_with_raw_key(message, &SubjectPublicKeyInfoDer::from(key), signed, &self.algorithms)?;
        Ok(self.proved(key))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
