//! What this machine takes for true of servers, beside what a policy says: who may sign for them, and what time it is.

use super::clock::{Clock, Now};
use super::pem_file::certificates_in;
use super::roots::SystemRoots;
use clevis::{NetError, TlsSettings};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

/// Where an image says when it was built; no other system has the file.
const BUILT: &str = "/etc/cotter/built";

/// See the module.
#[derive(Debug)]
pub(super) struct Trust {
    pub(super) system: SystemRoots,
    /// A file of authorities that stands for the system's, and for one that a policy names and that is not here.
    pub(super) authorities: Option<String>,
    /// The system's clock.
    pub(super) now: Now,
    /// The file that says when the image was built.
    pub(super) built: PathBuf,
}

impl Default for Trust {
    fn default() -> Trust {
        Trust {
            system: SystemRoots::default(),
            authorities: None,
            now: std::time::SystemTime::now,
            built: BUILT.into(),
        }
    }
}

/// The path of a file, and the certificates in it.
type Authorities = (String, Vec<CertificateDer<'static>>);

impl Trust {
    /// The authorities that a file gives: the one of the policy, or that of this machine's setup.
    ///
    /// # Errors
    /// [`NetError::TlsFile`]. The file of a policy that is not there is none where the setup names another: not every image has it.
    pub(super) fn authorities(&self, cacert: Option<&str>) -> Result<Option<Authorities>, NetError> {
        let given = |path: &str| certificates_in(path).map(|certificates| Some((path.to_owned(), certificates)));
        match (cacert, self.authorities.as_deref()) {
            (None, None) => Ok(None),
            (Some(path), None) | (None, Some(path)) => given(path),
            (Some(path), Some(instead)) => match given(path) {
                Err(NetError::TlsFile { source, .. }) if source.kind() == ErrorKind::NotFound => given(instead),
                found => found,
            },
        }
    }

    /// Those of the system.
    pub(super) fn system_roots(&self) -> Result<Arc<RootCertStore>, NetError> {
        self.system.get()
    }

    /// The clock by which certificates are judged. Where keys are pinned nobody looks at it, nor for the file of the image.
    pub(super) fn clock(&self, settings: &TlsSettings) -> Result<Clock, NetError> {
        if settings.pins.is_empty() { Clock::not_before_build(self.now, &self.built) } else { Ok(Clock::system()) }
    }
}
