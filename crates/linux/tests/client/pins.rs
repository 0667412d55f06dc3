//! Servers known by their keys, and the clock by which certificates are judged.

use crate::server::serve;
use crate::tls::{Peer, accept, settings};
use crate::{AMPLE, client, get_with};
use clevis::{Cancel, Moment, NetError, ServerPin, TlsSettings};
use linux::{Client, deadline_after};
use rcgen::{CertificateParams, KeyPair, PublicKeyData};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, SupportedProtocolVersion, version};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

fn pin(key: &KeyPair) -> ServerPin {
    ServerPin::of_key(&key.subject_public_key_info())
}

fn by(pins: &[ServerPin]) -> TlsSettings {
    TlsSettings { pins: pins.to_vec(), ..TlsSettings::default() }
}

/// A server that signed its certificate itself, for this name and these years; and where it is.
fn signed_by_itself(key: &KeyPair, name: &str, [from, until]: [i32; 2]) -> String {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    (params.not_before, params.not_after) = (rcgen::date_time_ymd(from, 1, 1), rcgen::date_time_ymd(until, 1, 1));
    let settings = settings(None, &params.self_signed(key).unwrap(), key);
    let (address, _) = serve(move |stream, _| accept(stream, &settings));
    format!("https://localhost:{}/adv/", address.port())
}

#[test]
fn who_holds_the_key_is_the_server_whatever_its_certificate_says() {
    let (key, spare, other) =
        (KeyPair::generate().unwrap(), KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    for (name, years) in [
        ("localhost", [2020, 4000]),
        ("elsewhere", [2020, 4000]),
        ("localhost", [1990, 2000]),
        ("localhost", [3000, 4000]),
    ] {
        let url = signed_by_itself(&key, name, years);
        for pins in [vec![pin(&key)], vec![pin(&spare), pin(&key)]] {
            assert_eq!(get_with(&client(), &url, &by(&pins)).unwrap().body, b"{}", "{name} {years:?}");
        }
        let wanted = [pin(&spare), pin(&other)];
        match get_with(&client(), &url, &by(&wanted)).unwrap_err() {
            NetError::OtherKey { shown, wanted: named } => assert_eq!((shown, named), (pin(&key), wanted.to_vec())),
            error => panic!("{error:?}"),
        }
        let error = get_with(&client(), &url, &TlsSettings::default()).unwrap_err();
        let judged = matches!(error, NetError::Tls { .. } | NetError::Expired { .. } | NetError::NotYetGood { .. });
        assert!(judged, "without a pin: {error:?}");
    }
}

/// A connection that was made for one pin is not used for another.
#[test]
fn a_kept_connection_knows_its_pins() {
    let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let (url, client) = (signed_by_itself(&key, "localhost", [2020, 4000]), client());
    get_with(&client, &url, &by(&[pin(&key)])).unwrap();
    assert!(matches!(get_with(&client, &url, &by(&[pin(&other)])), Err(NetError::OtherKey { .. })));
}

#[test]
fn the_error_names_both_keys() {
    let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let url = signed_by_itself(&key, "localhost", [2020, 4000]);
    let said = get_with(&client(), &url, &by(&[pin(&other), pin(&other)])).unwrap_err().to_string();
    let expected = format!("shows {}, and {other} or {other} is wanted", pin(&key), other = pin(&other));
    assert!(said.ends_with(&expected), "{said}");
}

/// Whoever has a copy of the certificate but not its key.
#[derive(Debug)]
struct Impostor(Arc<CertifiedKey>);

impl ResolvesServerCert for Impostor {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

/// A server that shows the certificate of `key` and signs by `by`, and where it is.
fn signing(key: &KeyPair, by: &KeyPair, version: &'static SupportedProtocolVersion) -> String {
    let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(key).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let signing = provider.key_provider.load_private_key(PrivatePkcs8KeyDer::from(by.serialize_der()).into()).unwrap();
    let shown = Arc::new(CertifiedKey::new(vec![certificate.der().clone()], signing));
    let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
    let settings = Arc::new(builder.with_no_client_auth().with_cert_resolver(Arc::new(Impostor(shown))));
    let (address, _) = serve(move |stream, _| accept(stream, &settings));
    format!("https://localhost:{}/adv/", address.port())
}

#[test]
fn who_shows_the_certificate_without_its_key_is_refused() {
    let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    for version in [&version::TLS12, &version::TLS13] {
        let honest = signing(&key, &key, version);
        assert_eq!(get_with(&client(), &honest, &by(&[pin(&key)])).unwrap().body, b"{}");
        let (until, cancel) = (deadline_after(AMPLE), Cancel::new());
        assert_eq!(client().server_pin(&honest, until, &cancel).unwrap(), pin(&key));
        let impostor = signing(&key, &other, version);
        let error = get_with(&client(), &impostor, &by(&[pin(&key)])).unwrap_err();
        assert!(matches!(error, NetError::Tls { .. }), "{version:?}: {error:?}");
        let error = client().server_pin(&impostor, until, &cancel).unwrap_err();
        assert!(matches!(error, NetError::Tls { .. }), "{version:?}: {error:?}");
    }
}

#[test]
fn without_tls_no_key_is_shown() {
    let (address, connections) = serve(|_, _| {});
    let url = format!("http://{address}/");
    let pinned = get_with(&client(), &url, &by(&[pin(&KeyPair::generate().unwrap())]));
    assert!(matches!(pinned, Err(NetError::BadUrl { .. })), "{pinned:?}");
    let shown = client().server_pin(&url, deadline_after(AMPLE), &Cancel::new());
    assert!(matches!(shown, Err(NetError::BadUrl { .. })), "{shown:?}");
    assert_eq!(connections.load(std::sync::atomic::Ordering::SeqCst), 0);
}

/// A server that asks for certificates shows its key all the same.
#[test]
fn the_key_is_seen_where_a_client_certificate_is_wanted() {
    let (servers, clients) = (Peer::new(), Peer::new());
    let (certificate, key) = servers.issue("localhost");
    let settings = settings(Some(&clients), &certificate, &key);
    let (address, _) = serve(move |stream, _| accept(stream, &settings));
    let url = format!("https://{address}");
    assert_eq!(client().server_pin(&url, deadline_after(AMPLE), &Cancel::new()).unwrap(), pin(&key));
}

fn at_1970() -> SystemTime {
    SystemTime::UNIX_EPOCH
}

/// 2100-01-01, and when an image was built: 2026-11-22.
fn at_2100() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(4_102_444_800)
}
const BUILT: u64 = 1_795_387_201;

/// Files of an image that was built, and of one that does not say so.
struct Image(TempDir);

impl Image {
    fn new() -> Image {
        let image = Image(TempDir::new().unwrap());
        std::fs::write(image.built(), format!("{BUILT}\n")).unwrap();
        image
    }

    fn built(&self) -> PathBuf {
        self.0.path().join("built")
    }

    fn none(&self) -> PathBuf {
        self.0.path().join("none")
    }
}

/// A server by `peer`, whose certificate is good in these years.
fn signed_by(peer: &Peer, years: [i32; 2]) -> String {
    let (certificate, key) = peer.issue_for("localhost", years);
    let settings = settings(None, &certificate, &key);
    let (address, _) = serve(move |stream, _| accept(stream, &settings));
    format!("https://localhost:{}/adv/", address.port())
}

#[test]
fn a_clock_that_stands_at_1970_is_at_least_at_the_build() {
    let (peer, image) = (Peer::new(), Image::new());
    let url = signed_by(&peer, [2026, 2027]);
    let files = TlsSettings { cacert: Some(peer.files()), ..TlsSettings::default() };
    let ask = |now, built| get_with(&client().with_clock(now, built), &url, &files);
    assert_eq!(ask(at_1970, image.built()).unwrap().body, b"{}");
    let error = ask(at_1970, image.none()).unwrap_err();
    assert!(matches!(error, NetError::NotYetGood { now: Moment(0), from: Moment(1_767_225_600) }), "{error:?}");
    let said = "the server's certificate is good from 2026-01-01 00:00:00 UTC on, and the clock of this machine says 1970-01-01 00:00:00 UTC";
    assert_eq!(error.to_string(), said);
    // The clock is right, and the certificate is not good any more; the build says nothing against that.
    for built in [image.built(), image.none()] {
        let error = ask(at_2100, built).unwrap_err();
        assert!(
            matches!(error, NetError::Expired { now: Moment(4_102_444_800), until: Moment(1_798_761_600) }),
            "{error:?}"
        );
    }
    std::fs::write(image.built(), "soon").unwrap();
    let error = ask(at_1970, image.built()).unwrap_err();
    assert!(matches!(&error, NetError::TlsFile { path, .. } if image.built().to_str() == Some(path)), "{error:?}");
    let pinned = TlsSettings { pins: vec![pin(&KeyPair::generate().unwrap())], ..TlsSettings::default() };
    let error = get_with(&client().with_clock(at_1970, image.built()), &url, &pinned).unwrap_err();
    assert!(matches!(error, NetError::OtherKey { .. }), "the file is of no matter: {error:?}");
}

#[test]
fn a_certificate_that_had_run_out_when_the_image_was_built_is_refused() {
    let (peer, image) = (Peer::new(), Image::new());
    let files = TlsSettings { cacert: Some(peer.files()), ..TlsSettings::default() };
    let url = signed_by(&peer, [2024, 2025]);
    let error = get_with(&client().with_clock(at_1970, image.built()), &url, &files).unwrap_err();
    assert!(matches!(error, NetError::Expired { now: Moment(BUILT), .. }), "{error:?}");
}

#[test]
fn authorities_of_the_setup_stand_for_the_systems_and_for_a_file_that_is_not_here() {
    let (ours, other, image) = (Peer::new(), Peer::new(), Image::new());
    let url = signed_by(&ours, [2020, 4000]);
    let file = |path: Option<String>| TlsSettings { cacert: path, ..TlsSettings::default() };
    let gone = image.none().to_str().unwrap().to_owned();
    let ask = |client: Client, path: Option<&str>| get_with(&client, &url, &file(path.map(str::to_owned)));
    let set_up = || client().trusting(ours.files());
    assert_eq!(ask(set_up(), None).unwrap().body, b"{}");
    assert_eq!(ask(set_up(), Some(&gone)).unwrap().body, b"{}");
    assert_eq!(
        ask(client().trusting(other.files()), Some(&ours.files())).unwrap().body,
        b"{}",
        "that of the policy wins"
    );
    assert!(matches!(ask(set_up(), Some(&other.files())), Err(NetError::Tls { .. })), "and alone");
    assert!(matches!(ask(client().trusting(other.files()), None), Err(NetError::Tls { .. })));
    for client in [client(), client().trusting(gone.clone())] {
        let error = ask(client, Some(&gone)).unwrap_err();
        assert!(matches!(&error, NetError::TlsFile { path, .. } if *path == gone), "{error:?}");
    }
    // What is there and cannot be used is not replaced.
    let rubbish = image.built().to_str().unwrap().to_owned();
    let error = ask(set_up(), Some(&rubbish)).unwrap_err();
    assert!(matches!(&error, NetError::TlsFile { path, .. } if *path == rubbish), "{error:?}");
}
