//! Every status of the protocol (nbde-formats 1.1 and 1.4), through HTTP.

use crate::server::Server;
use crypto::SystemRandom;
use crypto::ec::{Curve, Point, Scalar};
use jose::Jwk;
use tang::{Advertisement, Recovery, Trust};

pub fn some_point() -> (Scalar, Point) {
    let scalar = Scalar::random(Curve::P256, &SystemRandom).unwrap();
    let point = Point::base_times(&scalar).unwrap();
    (scalar, point)
}

/// A body that every exchange key on P-256 answers.
pub fn good_body() -> String {
    json::Value::Object(Jwk::ecmr_public(&some_point().1).public_json()).to_compact().to_string()
}

#[test]
fn a_client_recovers_what_it_bound() {
    let server = Server::start();
    let mut client = server.connect();
    let answer = client.ask("GET", "/adv", "");
    let trust = Trust::Thumbprint(server.keys.signing.clone());
    let advertisement = Advertisement::verify(&answer.body, &trust).unwrap();
    let key = advertisement.exchange_key();

    // Binding: C = c·G is kept, K = c·S is the secret. Recovery: the server never sees either.
    let (c, bound) = some_point();
    let secret = key.point().multiply(&c).unwrap();
    let (recovery, request) = Recovery::start(&bound, key, some_point().0).unwrap();
    let answer = client.ask("POST", &request.path, std::str::from_utf8(&request.body).unwrap());
    assert_eq!(answer.status, 200);
    assert_eq!(recovery.finish(&answer.body).unwrap(), secret);
}

#[test]
fn heads_are_the_originals_byte_for_byte() {
    let server = Server::start();
    let mut client = server.connect();
    let check = |answer: crate::client::Answer, expected: &str| {
        assert_eq!(answer.head, expected.replace("LENGTH", &answer.body.len().to_string()));
    };
    let with_body = |kind| format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: LENGTH\r\n\r\n");
    check(client.ask("GET", "/adv", ""), &with_body("application/jose+json"));
    let target = format!("/adv/{}", server.keys.signing);
    check(client.ask("GET", &target, ""), &with_body("application/jose+json"));
    let target = format!("/rec/{}", server.keys.exchange);
    check(client.ask("POST", &target, &good_body()), &with_body("application/jwk+json"));
    check(client.ask("POST", &target, "{"), "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    check(client.ask("GET", "/", ""), "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    check(client.ask("PUT", "/adv", ""), "HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n");
}

#[test]
fn every_status_of_the_protocol() {
    let server = Server::start();
    let mut client = server.connect();
    let good = good_body();
    let with = |more: &str| good.replacen('{', &format!("{{{more},"), 1).replace("\"key_ops\":[\"deriveKey\"],", "");
    let (recover, other) = (format!("/rec/{}", server.keys.exchange), format!("/rec/{}", server.keys.signing));
    let not_a_point = r#"{"alg":"ECMR","crv":"P-256","kty":"EC","x":"AA","y":"AA"}"#;
    let mut check = |method: &str, target: &str, body: &str, expected: u16| {
        assert_eq!(client.status(method, target, body), expected, "{method} {target} {body}");
    };
    for target in ["/adv", "/adv/", "//adv///"] {
        check("GET", target, "", 200);
        check("HEAD", target, "", 405);
        check("POST", target, "x", 405);
    }
    for target in ["/", "/adv?x=1", "/rec", "/rec/", "/rec/x/", "*", "http://test/adv", "/adv%2f"] {
        check("GET", target, "", 404);
    }
    check("GET", "/adv/unknown", "", 404);
    check("GET", &format!("/adv/{}", server.keys.signing), "", 200);
    check("GET", &format!("/adv/{}", server.keys.exchange), "", 404);
    check("GET", &recover, "", 405);
    check("POST", "/rec/unknown", &good, 404);
    check("POST", "/rec/unknown", "no JSON", 400); // the body is looked at before the key
    check("POST", &recover, "", 400);
    check("POST", &recover, "[]", 400);
    check("POST", &recover, r#"{"kty":"oct","k":"AA"}"#, 400);
    check("POST", &recover, not_a_point, 400);
    check("POST", &recover, &with(r#""key_ops":["sign"]"#), 403);
    check("POST", &other, &good, 403);
    check("POST", &recover, &good, 200);
}

#[test]
fn each_request_leaves_one_line() {
    let server = Server::start();
    let mut client = server.connect();
    let recover = format!("/rec/{}", server.keys.exchange);
    client.ask("GET", "/adv", "");
    client.ask("POST", &recover, &good_body());
    client.ask("GET", "/what\\is%0athis", "");
    client.ask("GET", &format!("/{}", "x".repeat(5000)), "");
    let log = server.finish();
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines.len(), 4, "{log}");
    assert!(lines[0].starts_with("127.0.0.1 GET /adv => 200 ("), "{log}");
    assert!(lines[1].starts_with(&format!("127.0.0.1 POST {recover} => 200 (")), "{log}");
    assert!(lines[2].starts_with("127.0.0.1 GET /what\\x5cis%0athis => 404 ("), "{log}");
    assert!(lines[3].starts_with("127.0.0.1 => 414 ("), "{log}");
}

#[test]
fn no_line_holds_what_was_recovered() {
    let server = Server::start();
    let recover = format!("/rec/{}", server.keys.exchange);
    let answer = server.connect().ask("POST", &recover, &good_body());
    let answer = json::parse(&answer.body, &json::Limits::SMALL).unwrap();
    let x = answer.field("answer").member("x").unwrap().text().unwrap().to_owned();
    assert!(!server.finish().contains(&x));
}
