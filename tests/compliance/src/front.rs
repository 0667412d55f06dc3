//! TLS in front of a key server, with certificates that OpenSSL makes.

use crate::program::Program;
use crate::server::Server;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tempfile::TempDir;

/// The name in certificates of a server on the loopback.
pub const LOOPBACK: &str = "IP:127.0.0.1";

/// How long a connection may be silent: longer than any test needs, and no thread stays for ever.
const SILENCE: Duration = Duration::from_secs(60);

/// An authority with a directory for what it signs, all of it made by OpenSSL.
pub struct Authority(TempDir);

/// A certificate and its key, as PEM files.
#[derive(Clone)]
pub struct Certified {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

impl Authority {
    /// A new one.
    pub fn new() -> Authority {
        let authority = Authority(tempfile::tempdir().unwrap());
        let words = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"];
        let words = Program::new("openssl").args(words).args(["-subj", "/CN=test authority", "-keyout"]);
        words.arg(authority.at("ca.key")).arg("-out").arg(authority.certificate()).succeed();
        authority
    }

    /// Its certificate.
    pub fn certificate(&self) -> PathBuf {
        self.at("ca.pem")
    }

    /// A file in its directory.
    pub fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A key of this algorithm, by its file's name: words of `openssl genpkey`.
    pub fn key(&self, name: &str, words: &[&str]) -> PathBuf {
        let key = self.at(&format!("{name}.key"));
        Program::new("openssl").arg("genpkey").args(words).arg("-out").arg(&key).succeed();
        key
    }

    /// A certificate signed by it, for this alternative name, that is good from the beginning of one year to that of another.
    pub fn signs(&self, name: &str, alternative: &str, years: [u16; 2]) -> Certified {
        let key = self.key(name, &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]);
        let signing = ["-keyfile".into(), self.at("ca.key"), "-cert".into(), self.certificate()];
        self.make(name, &key, &format!("subjectAltName={alternative}"), years, &signing)
    }

    /// A certificate of version 1 that this key has signed itself, for a name that no server here has; it has run out.
    pub fn worthless(&self, name: &str, key: &Path) -> Certified {
        self.make(name, key, "", [2019, 2020], &["-selfsign".into(), "-keyfile".into(), key.to_owned()])
    }

    fn make(&self, name: &str, key: &Path, extension: &str, years: [u16; 2], signing: &[PathBuf]) -> Certified {
        let [request, certificate, settings] = ["csr", "pem", "cnf"].map(|end| self.at(&format!("{name}.{end}")));
        let subject = format!("/CN={name}.invalid");
        let words = Program::new("openssl").args(["req", "-new", "-subj", &subject, "-key"]).arg(key);
        words.arg("-out").arg(&request).succeed();
        fs::write(self.at(&format!("{name}.index")), "").unwrap();
        let extensions = if extension.is_empty() { "" } else { "x509_extensions=x\n" };
        let text = format!(
            "[ca]\ndefault_ca=a\n[a]\ndatabase={name}.index\nnew_certs_dir=.\nrand_serial=yes\ndefault_md=default\npolicy=p\n\
             {extensions}[p]\ncommonName=supplied\n[x]\n{extension}\n"
        );
        fs::write(&settings, text).unwrap();
        let [from, until] = years.map(|year| format!("{year}0101000000Z"));
        let words = Program::new("openssl").directory(self.0.path()).args(["ca", "-batch", "-notext", "-config"]);
        let words = words.arg(&settings).args(["-startdate", &from, "-enddate", &until]).args(signing);
        words.arg("-in").arg(&request).arg("-out").arg(&certificate).succeed();
        Certified { certificate, key: key.to_owned() }
    }
}

impl Default for Authority {
    fn default() -> Authority {
        Authority::new()
    }
}

/// TLS before a server; it ends with its test.
pub struct Front {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl Front {
    /// Shows this certificate; asks clients for one by `clients`, if given.
    pub fn start(server: &Server, shown: &Certified, clients: Option<&Authority>) -> Front {
        let settings = settings(shown, clients);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, behind) = (Arc::clone(&stop), server.port());
        let accepting = std::thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                if stopped.load(Ordering::SeqCst) {
                    break;
                }
                let settings = Arc::clone(&settings);
                std::thread::spawn(move || carry(socket, settings, behind));
            }
        });
        Front { address, stop, accepting: Some(accepting) }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the loop, which waits in `accept`.
        let _ = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

fn settings(shown: &Certified, clients: Option<&Authority>) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(clients) => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_file(clients.certificate()).unwrap()).unwrap();
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        }
    };
    let chain = CertificateDer::pem_file_iter(&shown.certificate).unwrap().map(Result::unwrap).collect();
    let key = provider.key_provider.load_private_key(PrivateKeyDer::from_pem_file(&shown.key).unwrap()).unwrap();
    // Not compared with the certificate, which may be of version 1.
    Arc::new(builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(CertifiedKey::new(chain, key)))))
}

/// Request by request: what the client sends is passed on, and what comes back.
fn carry(socket: TcpStream, settings: Arc<ServerConfig>, behind: u16) {
    let _ = socket.set_read_timeout(Some(SILENCE));
    let mut client = StreamOwned::new(ServerConnection::new(settings).unwrap(), socket);
    let Ok(mut server) = TcpStream::connect((Ipv4Addr::LOCALHOST, behind)) else { return };
    while let Some(request) = message(&mut client) {
        if server.write_all(&request).is_err() {
            return;
        }
        let Some(answer) = message(&mut server) else { return };
        if client.write_all(&answer).is_err() {
            return;
        }
    }
}

/// One message of HTTP with its body; `None` when there is no more.
fn message(from: &mut impl Read) -> Option<Vec<u8>> {
    let (mut bytes, mut byte) = (Vec::new(), [0]);
    while !bytes.ends_with(b"\r\n\r\n") {
        from.read_exact(&mut byte).ok()?;
        bytes.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    from.read_exact(&mut body).ok()?;
    bytes.extend(body);
    Some(bytes)
}
