//! Who may sign servers' certificates where the policy does not say.

use super::pem_file::bad_file;
use clevis::NetError;
use rustls::RootCertStore;
use rustls::pki_types::pem;
use rustls_native_certs::{CertificateResult, ErrorKind};
use std::sync::{Arc, OnceLock};

/// The certificates that sign servers' where the policy names none: the system's, read when the first `https` needs them.
#[derive(Debug, Default)]
pub(super) struct SystemRoots(OnceLock<Arc<RootCertStore>>);

impl SystemRoots {
    /// All of them.
    pub(super) fn get(&self) -> Result<Arc<RootCertStore>, NetError> {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use rustls::pki_types::CertificateDer;
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
