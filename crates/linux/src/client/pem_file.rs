//! PEM files that a policy or the setup of a machine names.

use crate::files::read_file;
use clevis::NetError;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use std::io;

/// The authorities in the file at `path`, which were read already.
pub(super) fn roots(path: &str, certificates: &[CertificateDer<'static>]) -> Result<RootCertStore, NetError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates {
        store.add(certificate.clone()).map_err(|e| bad_file(path, e))?;
    }
    Ok(store)
}

/// The certificates in the file at `path`, at least one.
pub(super) fn certificates_in(path: &str) -> Result<Vec<CertificateDer<'static>>, NetError> {
    let text = read(path)?;
    let found: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&text).collect();
    let found = found.map_err(|e| bad_file(path, e))?;
    if found.is_empty() { Err(bad_file(path, pem::Error::NoItemsFound)) } else { Ok(found) }
}

/// All of the file at `path`.
pub(super) fn read(path: &str) -> Result<zeroize::Zeroizing<Vec<u8>>, NetError> {
    let read = read_file(path).map(zeroize::Zeroizing::new);
    read.map_err(|source| NetError::TlsFile { path: path.to_owned(), source })
}

/// What is in the file at `path` is not what it should be.
pub(super) fn bad_file(path: &str, why: impl std::error::Error + Send + Sync + 'static) -> NetError {
    NetError::TlsFile { path: path.to_owned(), source: io::Error::new(io::ErrorKind::InvalidData, why) }
}
