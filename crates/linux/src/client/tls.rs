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
use rustls_native_certs::{CertificateResult, ErrorKind};
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
    fn get(&self) -> Result<Arc<RootCertStore>, NetError> {
        if let Some(roots) = self.0.get() {
            return Ok(roots.clone());
        }
        let named = NAMING_ROOTS.iter().find_map(|name| std::env::var(name).ok());
        let roots = system_roots(rustls_native_certs::load_native_certs(), named.as_deref())?;
        Ok(self.0.get_or_init(|| Arc::new(roots)).clone())
    }
}

/// OpenSSL's variables for a file and for directories of certificates, which are looked for there and nowhere else.
const NAMING_ROOTS: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// The certificates that were `found`, or Mozilla's as compiled in where the system has none, as in an initramfs.
///
/// Those of Mozilla may be far more than somebody meant to trust. So where certificates were `named`, or are there and
/// cannot be used, having none of them is an error. Only some of them being of no use is none: fewer are trusted then.
fn system_roots(found: CertificateResult, named: Option<&str>) -> Result<RootCertStore, NetError> {
    let mut store = RootCertStore::empty();
    let (_, ignored) = store.add_parsable_certificates(found.certs);
    if !store.is_empty() {
        return Ok(store);
    }
    if let Some(error) = found.errors.into_iter().next() {
        return Err(bad_roots(error, named));
    }
    if named.is_some() || ignored > 0 {
        return Err(bad_file(named.unwrap_or(SYSTEM_ROOTS), pem::Error::NoItemsFound));
    }
    store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    Ok(store)
}

/// What stands for a file where the system does not say which one it was.
const SYSTEM_ROOTS: &str = "with the system's certificates";

fn bad_roots(error: rustls_native_certs::Error, named: Option<&str>) -> NetError {
    match error.kind {
        ErrorKind::Io { inner, path } => NetError::TlsFile { path: path.to_string_lossy().into_owned(), source: inner },
        _ => bad_file(named.unwrap_or(SYSTEM_ROOTS), error),
    }
}

/// What TLS needs to know for the servers of one policy. Reads the files that the policy names.
pub(super) fn configure(files: &TlsFiles, system: &SystemRoots) -> Result<Arc<ClientConfig>, NetError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone());
    let builder = builder.with_safe_default_protocol_versions().map_err(|e| NetError::Tls { source: e.into() })?;
    let builder = match &files.cacert {
        None => builder.with_root_certificates(system.get()?),
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use rustls_native_certs::load_certs_from_paths;
    use std::path::Path;
    use tempfile::TempDir;

    /// How many certificates are trusted where these are named, or the path that is complained of.
    fn named(file: Option<&Path>, directory: Option<&Path>) -> Result<usize, String> {
        let named = file.or(directory).and_then(Path::to_str);
        match system_roots(load_certs_from_paths(file, directory), named) {
            Ok(roots) => Ok(roots.len()),
            Err(NetError::TlsFile { path, .. }) => Err(path),
            Err(other) => Err(format!("{other:?}")),
        }
    }

    #[test]
    fn only_where_nothing_is_named_and_nothing_there_the_compiled_in_ones_are_trusted() {
        let dir = TempDir::new().unwrap();
        let file = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let key = rcgen::KeyPair::generate().unwrap();
        let good = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap().pem();
        let good = file("good.pem", &good);
        let nonsense = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert_eq!(named(None, None), Ok(webpki_roots::TLS_SERVER_ROOTS.len()));
        assert_eq!(named(Some(&good), None), Ok(1));
        assert_eq!(named(Some(&good), Some(&dir.path().join("none"))), Ok(1), "fewer, and none of Mozilla's");
        for bad in
            [file("empty", ""), file("nonsense", nonsense), file("broken", "-----BEGIN"), dir.path().join("none")]
        {
            let path = bad.to_str().unwrap().to_owned();
            assert_eq!(named(Some(&bad), None), Err(path), "{bad:?}");
        }
        let nothing = dir.path().join("directory");
        std::fs::create_dir(&nothing).unwrap();
        for bad in [nothing, dir.path().join("none")] {
            assert_eq!(named(None, Some(&bad)), Err(bad.to_str().unwrap().to_owned()), "{bad:?}");
        }
    }

    #[test]
    fn unusable_certificates_of_the_system_are_not_replaced_by_others() {
        let mut found = CertificateResult::default();
        found.certs.push(CertificateDer::from(vec![0]));
        assert!(matches!(system_roots(found, None), Err(NetError::TlsFile { path, .. }) if path == SYSTEM_ROOTS));
    }
}
