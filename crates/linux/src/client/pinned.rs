//! A server known by its key.
//!
//! Who signed the certificate, from when until when it is good and for what name says nothing more about a server that proves to hold the
//! key that was pinned, and each of these has kept machines from starting. So nothing but the key is looked at; that the server holds it, it
//! proves by a signature over this very handshake, which is verified as ever. Only the server's own certificate counts: a pin of an
//! authority would trust everything that it signs.

use clevis::ServerPin;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, SignatureScheme};
use std::fmt;
use std::sync::{Arc, OnceLock};

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

    fn proved(&self, certificate: &CertificateDer<'_>) -> Result<(), Error> {
        if let Wanted::Any(seen) = &self.wanted {
            // A connection has one handshake; what was seen first stays.
            let _ = seen.set(pin_of(certificate)?);
        }
        Ok(())
    }
}

/// The pin of a certificate's key.
pub(super) fn pin_of(certificate: &CertificateDer<'_>) -> Result<ServerPin, Error> {
    Ok(ServerPin::of_key(&ParsedCertificate::try_from(certificate)?.subject_public_key_info()))
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
        let shown = pin_of(end_entity)?;
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
        let valid = verify_tls12_signature(message, certificate, signed, &self.algorithms)?;
        self.proved(certificate).map(|()| valid)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let valid = verify_tls13_signature(message, certificate, signed, &self.algorithms)?;
        self.proved(certificate).map(|()| valid)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
