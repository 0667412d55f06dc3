//! TLS over a connection: which certificates are accepted, which one is shown, and the stream that `ureq` sees.
//!
//! `ureq` has a connector of its own, but it panics when a private key does not fit its certificate, and both come from a
//! policy; rustls is used directly instead.

use super::address::Place;
use super::socket::{BUFFER, INPUT_BUFFER};
use super::verifier::OrItself;
use crate::files::read_file;
use clevis::{NetError, TlsFiles};
use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::fmt;
use std::io::{self, Read, Write};
use std::sync::{Arc, OnceLock};
use ureq::Error;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport, TransportAdapter,
};

/// The certificates that sign servers' where the policy names none: the system's, read when the first `https` needs them.
#[derive(Debug, Default)]
pub(super) struct SystemRoots(OnceLock<Arc<RootCertStore>>);

impl SystemRoots {
    fn get(&self) -> Arc<RootCertStore> {
        self.0.get_or_init(|| Arc::new(system_roots())).clone()
    }
}

/// The system's certificates, or Mozilla's as compiled in where there are none, as in an initramfs.
fn system_roots() -> RootCertStore {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if store.is_empty() {
        store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    store
}

/// What TLS needs to know for the servers of one policy. Reads the files that the policy names.
pub(super) fn configure(files: &TlsFiles, system: &SystemRoots) -> Result<Arc<ClientConfig>, NetError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone());
    let builder = builder.with_safe_default_protocol_versions().map_err(|e| NetError::Tls { source: e.into() })?;
    let builder = match &files.cacert {
        None => builder.with_root_certificates(system.get()),
        Some(path) => {
            let certificates = certificates_in(path)?;
            let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots(path, &certificates)?), provider);
            let verifier = OrItself::new(verifier.build().map_err(|e| bad_file(path, e))?, certificates);
            // Called dangerous because it may be anything; this one only adds what `OrItself` says.
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
        }
    };
    let Some(path) = &files.cert else { return Ok(Arc::new(builder.with_no_client_auth())) };
    let chain = certificates_in(path)?;
    // Like curl: a file with both is named once.
    let key_path = files.key.as_ref().unwrap_or(path);
    let key = read(key_path)?;
    let key = PrivateKeyDer::from_pem_slice(&key).map_err(|e| bad_file(key_path, e))?;
    builder.with_client_auth_cert(chain, key).map(Arc::new).map_err(|e| bad_file(key_path, e))
}

fn roots(path: &str, certificates: &[CertificateDer<'static>]) -> Result<RootCertStore, NetError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates {
        store.add(certificate.clone()).map_err(|e| bad_file(path, e))?;
    }
    Ok(store)
}

fn certificates_in(path: &str) -> Result<Vec<CertificateDer<'static>>, NetError> {
    let text = read(path)?;
    let found: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&text).collect();
    let found = found.map_err(|e| bad_file(path, e))?;
    if found.is_empty() { Err(bad_file(path, pem::Error::NoItemsFound)) } else { Ok(found) }
}

fn read(path: &str) -> Result<zeroize::Zeroizing<Vec<u8>>, NetError> {
    let read = read_file(path).map(zeroize::Zeroizing::new);
    read.map_err(|source| NetError::TlsFile { path: path.to_owned(), source })
}

fn bad_file(path: &str, why: impl std::error::Error + Send + Sync + 'static) -> NetError {
    NetError::TlsFile { path: path.to_owned(), source: io::Error::new(io::ErrorKind::InvalidData, why) }
}

/// Puts TLS over connections to `https` servers.
#[derive(Debug)]
pub(super) struct Secure {
    /// Absent for `http`.
    pub(super) config: Option<Arc<ClientConfig>>,
}

impl<In: Transport> Connector<In> for Secure {
    type Out = Either<In, SecureSocket<In>>;

    fn connect(&self, details: &ConnectionDetails<'_>, chained: Option<In>) -> Result<Option<Self::Out>, Error> {
        let Some(transport) = chained else { return Ok(None) };
        let config = match &self.config {
            Some(config) if details.needs_tls() => config.clone(),
            _ => return Ok(Some(Either::A(transport))),
        };
        let host = Place::of(details.uri).map_err(|e| Error::Other(e.into()))?.host;
        let name = ServerName::try_from(host).map_err(|_| not_a_name())?;
        let mut connection = ClientConnection::new(config, name)?;
        let mut below = TransportAdapter::new(transport, details.current_time.clone());
        connection.complete_io(&mut below)?;
        let stream = StreamOwned::new(connection, below);
        Ok(Some(Either::B(SecureSocket { stream, buffers: LazyBuffers::new(INPUT_BUFFER, BUFFER) })))
    }
}

fn not_a_name() -> Error {
    Error::Other(NetError::BadUrl { why: "no certificate can be for that host name" }.into())
}

/// TLS over another transport.
pub(super) struct SecureSocket<In: Transport> {
    stream: StreamOwned<ClientConnection, TransportAdapter<In>>,
    buffers: LazyBuffers,
}

impl<In: Transport> Transport for SecureSocket<In> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), Error> {
        let (output, _) = self.buffers.output().split_at_checked(amount).ok_or(Error::ConnectionFailed)?;
        self.stream.write_all(output)?;
        Ok(self.stream.flush()?)
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, Error> {
        let amount = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.sock.get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

impl<In: Transport> fmt::Debug for SecureSocket<In> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecureSocket").finish_non_exhaustive()
    }
}
