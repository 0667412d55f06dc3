//! HTTPS with a private authority, and client certificates.

use crate::server::{request, serve};
use crate::{client, get_with};
use clevis::{NetError, TlsSettings};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use tempfile::TempDir;

/// An authority, a server certificate for `localhost` by it, and the files that a policy would name.
pub(crate) struct Peer {
    authority: CertifiedIssuer<'static, KeyPair>,
    dir: TempDir,
}

impl Peer {
    pub(crate) fn new() -> Peer {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "test authority");
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let peer = Peer { authority, dir: TempDir::new().unwrap() };
        peer.write("ca.pem", &peer.authority.pem());
        peer
    }

    /// The authority's certificate as a file.
    pub(crate) fn files(&self) -> String {
        self.path("ca.pem")
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, text: &str) -> String {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    /// A certificate for `name`, and its key.
    pub(crate) fn issue(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        self.issue_for(name, [1975, 4096])
    }

    /// The same, good from the beginning of one year to that of another.
    pub(crate) fn issue_for(&self, name: &str, [from, until]: [i32; 2]) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let issuer: &Issuer<'_, KeyPair> = &self.authority;
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.not_before, params.not_after) = (rcgen::date_time_ymd(from, 1, 1), rcgen::date_time_ymd(until, 1, 1));
        (params.signed_by(&key, issuer).unwrap(), key)
    }

    /// Settings of a server for `localhost`, which asks for certificates by `clients` if given.
    pub(crate) fn server_settings(&self, clients: Option<&Peer>) -> Arc<ServerConfig> {
        let (certificate, key) = self.issue("localhost");
        settings(clients, &certificate, &key)
    }

    fn serve(&self, clients: Option<&Peer>) -> SocketAddr {
        let settings = self.server_settings(clients);
        serve(move |stream, _| accept(stream, &settings)).0
    }
}

pub(crate) fn settings(clients: Option<&Peer>, certificate: &rcgen::Certificate, key: &KeyPair) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(clients) => {
            let mut roots = RootCertStore::empty();
            roots.add(clients.authority.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        }
    };
    let chain: Vec<CertificateDer<'static>> = vec![certificate.der().clone()];
    Arc::new(builder.with_single_cert(chain, PrivateKeyDer::Pkcs8(key.serialize_der().into())).unwrap())
}

/// Speaks TLS on `stream` and answers requests; what the client refuses is the client's test to see.
pub(crate) fn accept(stream: TcpStream, settings: &Arc<ServerConfig>) {
    let mut tls = StreamOwned::new(ServerConnection::new(settings.clone()).unwrap(), stream);
    while request(&mut tls).is_some() {
        if tls.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").is_err() {
            return;
        }
    }
}

fn ca(path: String) -> TlsSettings {
    TlsSettings { cacert: Some(path), ..TlsSettings::default() }
}

#[test]
fn a_private_authority_is_the_only_one() {
    let (ours, other) = (Peer::new(), Peer::new());
    let url = format!("https://localhost:{}/adv/", ours.serve(None).port());
    let client = client();
    for _ in 0..2 {
        assert_eq!(get_with(&client, &url, &ca(ours.files())).unwrap().body, b"{}");
    }
    for files in [ca(other.files()), TlsSettings::default()] {
        let error = get_with(&client, &url, &files).unwrap_err();
        assert!(matches!(error, NetError::Tls { .. }), "{error:?}");
    }
}

#[test]
fn the_name_must_be_the_servers() {
    let peer = Peer::new();
    let address = peer.serve(None);
    let error = get_with(&client(), &format!("https://{address}/adv/"), &ca(peer.files())).unwrap_err();
    assert!(matches!(error, NetError::Tls { .. }), "{error:?}");
}

/// What `openssl req -x509` makes: it signs itself and calls itself an authority.
#[test]
fn a_server_may_show_the_given_certificate_itself() {
    let files = Peer::new();
    let listening = |name: &str, not_after: i32| {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_after = rcgen::date_time_ymd(not_after, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let settings = settings(None, &certificate, &key);
        let path = files.write(&format!("{name}{not_after}.pem"), &certificate.pem());
        (serve(move |stream, _| accept(stream, &settings)).0, path)
    };
    let ask = |address: SocketAddr, path: &str| {
        get_with(&client(), &format!("https://localhost:{}/adv/", address.port()), &ca(path.to_owned()))
    };
    let (address, itself) = listening("localhost", 4000);
    assert_eq!(ask(address, &itself).unwrap().body, b"{}");
    let (_, another) = listening("localhost", 4001);
    let (elsewhere, other_name) = listening("elsewhere", 4000);
    let (late, expired) = listening("localhost", 2000);
    for (address, path) in [(address, &another), (elsewhere, &other_name), (late, &expired)] {
        let error = ask(address, path).unwrap_err();
        assert!(matches!(error, NetError::Tls { .. } | NetError::Expired { .. }), "{path}: {error:?}");
    }
}

#[test]
fn a_client_certificate_is_shown() {
    let (servers, clients) = (Peer::new(), Peer::new());
    let url = format!("https://localhost:{}/adv/", servers.serve(Some(&clients)).port());
    let (certificate, key) = clients.issue("host1");
    let (cert_path, key_path) =
        (clients.write("cert.pem", &certificate.pem()), clients.write("key.pem", &key.serialize_pem()));
    let both_path = clients.write("both.pem", &format!("{}{}", certificate.pem(), key.serialize_pem()));
    let client = client();
    let mut files = ca(servers.files());
    let error = get_with(&client, &url, &files).unwrap_err();
    assert!(matches!(error, NetError::Tls { .. }), "without one: {error:?}");
    files.cert = Some(cert_path);
    files.key = Some(key_path);
    assert_eq!(get_with(&client, &url, &files).unwrap().body, b"{}");
    files.cert = Some(both_path);
    files.key = None;
    assert_eq!(get_with(&client, &url, &files).unwrap().body, b"{}");
}

#[test]
fn files_that_cannot_be_used_fail_before_the_request() {
    let peer = Peer::new();
    let (address, connections) = serve(|_, _| {});
    let url = format!("https://{address}/adv/");
    let (certificate, _) = peer.issue("host1");
    let (_, other_key) = peer.issue("host1");
    let certificate = peer.write("cert.pem", &certificate.pem());
    let key = peer.write("key.pem", &other_key.serialize_pem());
    let rubbish = peer.write("rubbish.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let empty = peer.write("empty.pem", "");
    let check = |files: TlsSettings, path: &str| {
        let error = get_with(&client(), &url, &files).unwrap_err();
        assert!(matches!(&error, NetError::TlsFile { path: p, .. } if p == path), "{path}: {error:?}");
    };
    for bad in [peer.path("none.pem"), rubbish, empty.clone(), "/dev/zero".to_owned()] {
        check(ca(bad.clone()), &bad);
    }
    let with = |cert: &str, key: Option<&str>| TlsSettings {
        cacert: Some(peer.files()),
        cert: Some(cert.to_owned()),
        key: key.map(str::to_owned),
        ..TlsSettings::default()
    };
    check(with(&empty, None), &empty);
    check(with(&certificate, None), &certificate);
    check(with(&certificate, Some(&key)), &key);
    assert_eq!(connections.load(std::sync::atomic::Ordering::SeqCst), 0);
}
