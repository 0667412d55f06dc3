//! TLS over a connection: which certificates are accepted, which one is shown, and the stream that `ureq` sees.
//!
//! `ureq` has a connector of its own, but it panics when a private key does not fit its certificate, and both come from a
//! policy; rustls is used directly instead.

use super::address::Place;
use super::clock::Clock;
use super::pem_file::{bad_file, certificates_in, read, roots};
use super::pinned::{ByKey, OtherKey, Seen};
use super::socket::{BUFFER, INPUT_BUFFER};
use super::trust::Trust;
use super::verifier::OrItself;
use clevis::{Moment, NetError, TlsSettings, Unseal};
use rustls::client::danger::ServerCertVerifier;
use rustls::client::{WantsClientCert, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, ClientConnection, ConfigBuilder, StreamOwned};
use std::fmt;
use std::io::{Read, Write};
use std::sync::Arc;
use ureq::Error;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport, TransportAdapter,
};

/// What TLS needs to know for the servers of one policy. Reads the files that the policy names; `unseal` opens a client's key.
pub(super) fn configure(
    settings: &TlsSettings,
    unseal: Option<&dyn Unseal>,
    trust: &Trust,
) -> Result<Arc<ClientConfig>, NetError> {
    let verifier = verifier(settings, trust)?;
    let builder = builder(verifier, trust.clock(settings)?)?;
    let Some(path) = &settings.cert else { return Ok(Arc::new(builder.with_no_client_auth())) };
    let chain = certificates_in(path)?;
    // Like curl: a file with both is named once.
    let key_path = settings.key.as_ref().unwrap_or(path);
    let key = client_key(key_path, unseal)?;
    builder.with_client_auth_cert(chain, key).map(Arc::new).map_err(|e| bad_file(key_path, e))
}

/// For a server of which nothing is asked but its key, which `seen` has afterwards.
pub(super) fn watching(seen: Arc<Seen>) -> Result<Arc<ClientConfig>, NetError> {
    let builder = builder(Arc::new(ByKey::watching(seen, &provider())), Clock::system())?;
    Ok(Arc::new(builder.with_no_client_auth()))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn builder(
    verifier: Arc<dyn ServerCertVerifier>,
    clock: Clock,
) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, NetError> {
    let builder = ClientConfig::builder_with_details(provider(), Arc::new(clock));
    let builder = builder.with_safe_default_protocol_versions().map_err(|e| NetError::Tls { source: e.into() })?;
    // Called dangerous because it may be anything: each of ours says what it accepts.
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier))
}

/// Who the server must be: by its key, by an authority that the policy or the machine's setup names, or by one of the system's.
fn verifier(settings: &TlsSettings, trust: &Trust) -> Result<Arc<dyn ServerCertVerifier>, NetError> {
    if !settings.pins.is_empty() {
        return Ok(Arc::new(ByKey::wanted(settings.pins.clone(), &provider())));
    }
    match trust.authorities(settings.cacert.as_deref())? {
        None => {
            let verifier = WebPkiServerVerifier::builder_with_provider(trust.system_roots()?, provider()).build();
            Ok(verifier.map_err(|e| NetError::Tls { source: e.into() })?)
        }
        Some((path, certificates)) => {
            let roots = Arc::new(roots(&path, &certificates)?);
            let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider()).build();
            Ok(Arc::new(OrItself::new(verifier.map_err(|e| bad_file(&path, e))?, certificates)))
        }
    }
}

/// The key in the file at `path`: PEM, or something sealed that holds PEM.
fn client_key(path: &str, unseal: Option<&dyn Unseal>) -> Result<PrivateKeyDer<'static>, NetError> {
    let text = read(path)?;
    let parse = |pem: &[u8]| PrivateKeyDer::from_pem_slice(pem).map_err(|e| bad_file(path, e));
    match unseal {
        Some(unseal) if !text.windows(PEM.len()).any(|part| part == PEM) => {
            let failed = |source| NetError::ClientKey { path: path.to_owned(), source };
            parse(unseal.unseal(&text).map_err(failed)?.expose())
        }
        _ => parse(&text),
    }
}

/// What every section of a PEM file begins with (RFC 7468, section 2).
const PEM: &[u8] = b"-----BEGIN ";

/// What rustls says, in the words of the port.
pub(super) fn reason(error: rustls::Error) -> NetError {
    let moment = |time: UnixTime| Moment(time.as_secs());
    match &error {
        rustls::Error::InvalidCertificate(CertificateError::NotValidYetContext { time, not_before }) => {
            NetError::NotYetGood { now: moment(*time), from: moment(*not_before) }
        }
        rustls::Error::InvalidCertificate(CertificateError::ExpiredContext { time, not_after }) => {
            NetError::Expired { now: moment(*time), until: moment(*not_after) }
        }
        rustls::Error::InvalidCertificate(CertificateError::Other(other)) => match other.0.downcast_ref() {
            Some(OtherKey { shown, wanted }) => NetError::OtherKey { shown: *shown, wanted: wanted.clone() },
            None => NetError::Tls { source: error.into() },
        },
        _ => NetError::Tls { source: error.into() },
    }
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
