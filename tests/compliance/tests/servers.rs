//! Key directories, thumbprints and sockets: what an administrator of tang has, our server takes, and the other way.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test stops where it stands")]

use compliance::keys::Visible;
use compliance::program::cotter;
use compliance::secret::Planted;
use compliance::server::{free_port, wait_for};
use compliance::{Curve, KeyDirectory, Maker, Program, Running, Server, Table};
use std::time::Duration;

const PLAINTEXT: &[u8] = b"a plaintext";

/// Keys made by either side work in the other's server.
#[test]
fn key_directories_are_interchangeable() {
    let mut table = Table::new("key directories");
    for making in Maker::BOTH {
        for serving in Maker::BOTH {
            for curve in [Curve::P521, Curve::P384, Curve::P256] {
                let maker = match (making, curve) {
                    (Maker::Ours, _) => "cotter keys init",
                    (Maker::Theirs, Curve::P521) => "tangd-keygen",
                    (Maker::Theirs, _) => "jose jwk gen",
                };
                table.row(format!("{maker}, {}, {curve}", serving.server_name()), || {
                    let keys = KeyDirectory::new(making, curve);
                    let server = Server::start(serving, &keys);
                    for client in Maker::BOTH {
                        let jwe = client.encrypt("tang", &server.config(), PLAINTEXT);
                        assert_eq!(client.decrypt(&jwe), PLAINTEXT);
                    }
                });
            }
        }
    }
    table.finish();
}

/// Both tools name the same signing keys, of a directory and of a server, before and after a rotation.
#[test]
fn both_tools_show_the_same_thumbprints() {
    let mut table = Table::new("tang-show-keys and cotter keys show");
    for serving in Maker::BOTH {
        table.row(serving.server_name(), || {
            let keys = KeyDirectory::new(serving, Curve::P521);
            let server = Server::start(serving, &keys);
            for _ in 0..2 {
                let theirs = Program::new("tang-show-keys").arg(server.port().to_string()).succeed().text();
                assert_eq!(theirs.len(), 43);
                assert_eq!(Program::cotter().args(["keys", "show", &server.url()]).succeed().text(), theirs);
                assert_eq!(Program::cotter().args(["keys", "show"]).arg(keys.path()).succeed().text(), theirs);
                keys.rotate(serving);
            }
        });
    }
    table.finish();
}

/// Listing keys shows every one with its state, and nothing private.
#[test]
fn a_list_of_keys_has_no_private_part() {
    let keys = KeyDirectory::new(Maker::Theirs, Curve::P521);
    keys.rotate(Maker::Theirs);
    assert_eq!((keys.files(Visible::Yes).len(), keys.files(Visible::No).len()), (2, 2));
    for format in [&["keys", "list"][..], &["keys", "list", "--json"]] {
        let list = Program::cotter().args(format).arg(keys.path()).succeed().text();
        for file in [keys.files(Visible::Yes), keys.files(Visible::No)].concat() {
            let name = file.file_stem().unwrap().to_string_lossy().trim_start_matches('.').to_owned();
            assert!(list.contains(&name), "{name} is not listed: {list}");
        }
        for private in keys.private_parts() {
            let found = Planted::new("a private part", &private).found_in(list.as_bytes());
            assert!(found.is_empty(), "a private part is listed {found:?}");
        }
    }
}

/// Serving never makes keys: the original does, and a fleet then binds to keys that nobody has saved.
#[test]
fn a_server_without_keys_says_so_and_makes_none() {
    let empty = tempfile::tempdir().unwrap();
    let program = Program::cotter().args(["serve", "--listen", "127.0.0.1:0", "--keys"]).arg(empty.path());
    let ended = program.limit(Duration::from_secs(10)).run().failed_with(1);
    assert!(ended.said().contains("cotter keys init"), "{}", ended.said());
    assert_eq!(empty.path().read_dir().unwrap().count(), 0);
}

/// What every request is answered with, side by side: statuses and types are the original's (and so is the silence).
#[test]
fn both_servers_answer_alike() {
    let keys = KeyDirectory::new(Maker::Theirs, Curve::P521);
    keys.rotate(Maker::Theirs);
    let servers = Maker::BOTH.map(|maker| Server::start(maker, &keys));
    let mut table = Table::new("requests: cotter serve answers as tangd");
    for Asked { method, path, body, shown } in requests(&keys) {
        table.row(format!("{method} {shown}"), || {
            let [ours, theirs] = [0, 1].map(|at| status_and_type(&servers[at], method, &path, &body));
            assert_eq!(ours, theirs);
        });
    }
    table.finish();
}

struct Asked {
    method: &'static str,
    path: String,
    body: String,
    /// Path and body with names in place of thumbprints and keys, so that two runs of the table read alike.
    shown: String,
}

fn requests(keys: &KeyDirectory) -> Vec<Asked> {
    let mut requests = Vec::new();
    for path in ["/adv", "/adv/", "//adv///", "/adv/x", "/adv?x=1", "/", "/rec", "/rec/", "/rec/x", "/x"] {
        let asked = |method| Asked { method, path: path.into(), body: String::new(), shown: path.into() };
        requests.extend(["GET", "PUT", "DELETE"].map(asked));
    }
    let key = Program::new("jose").args(["jwk", "gen", "-i", r#"{"alg":"ECMR"}"#]).succeed().stdout;
    let point = Program::new("jose").args(["jwk", "pub", "-i-"]).input(key).succeed().text();
    let (other_curve, other_use) = (point.replace("P-521", "P-256"), point.replace("deriveKey", "sign"));
    let named = [("a point", &point), ("a point of another curve", &other_curve), ("a key to sign", &other_use)];
    let plain = ["", "{", "[]", "{}", r#"{"kty":"oct","k":"AA"}"#].map(|body| (body, body.to_owned()));
    let bodies: Vec<(&str, String)> = named.map(|(name, body)| (name, body.clone())).into_iter().chain(plain).collect();
    for (name, thumbprint) in named_thumbprints(keys) {
        let path = format!("/adv/{thumbprint}");
        requests.push(Asked { method: "GET", path, body: String::new(), shown: format!("/adv/{name}") });
        for end in ["", "/"] {
            requests.extend(bodies.iter().map(|(shown, body)| Asked {
                method: "POST",
                path: format!("/rec/{thumbprint}{end}"),
                body: body.clone(),
                shown: format!("/rec/{name}{end} {shown}"),
            }));
        }
    }
    requests
}

/// Each key of the directory: `(advertised ECMR)` and so on, with its thumbprint.
fn named_thumbprints(keys: &KeyDirectory) -> Vec<(String, String)> {
    let mut named = Vec::new();
    for (state, visible) in [("advertised", Visible::Yes), ("rotated", Visible::No)] {
        for file in keys.files(visible) {
            let key: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
            let thumbprint = file.file_stem().unwrap().to_str().unwrap().trim_start_matches('.').to_owned();
            named.push((format!("({state} {})", key["alg"].as_str().unwrap()), thumbprint));
        }
    }
    named.sort();
    named
}

/// `200 application/jose+json`, from curl.
fn status_and_type(server: &Server, method: &str, path: &str, body: &str) -> String {
    let program = Program::new("curl").args(["-sS", "--path-as-is", "-X", method, "-o", "/dev/null"]);
    let program = program.args(["-w", "%{http_code} %{content_type}", "--max-time", "20", "--noproxy", "*"]);
    let program = if method == "POST" { program.args(["--data-binary", "@-"]).input(body) } else { program };
    program.arg(server.url() + path).succeed().text()
}

/// A socket that systemd opened, and one connection on standard input and output, as `tangd@.service` has it.
#[test]
fn systemd_hands_over_its_sockets() {
    let keys = KeyDirectory::new(Maker::Theirs, Curve::P521);
    let ways = [("a listening socket", &[][..]), ("each connection", &["--inetd", "-a"])];
    let mut table = Table::new("systemd-socket-activate and cotter serve");
    for (name, words) in ways {
        table.row(name, || {
            let port = free_port();
            let program =
                Program::new("systemd-socket-activate").args(words).args(["-l", &format!("127.0.0.1:{port}")]);
            let program = program.arg(cotter()).args(["serve", "--keys"]).arg(keys.path());
            let running = program.start();
            wait_for(port);
            let config = format!(r#"{{"url":"http://127.0.0.1:{port}"}}"#);
            for client in Maker::BOTH {
                assert_eq!(client.decrypt(&client.encrypt("tang", &config, PLAINTEXT)), PLAINTEXT);
            }
            stop(running);
        });
    }
    table.finish();
}

fn stop(running: Running) {
    running.interrupt();
    running.wait();
}

/// SIGTERM lets a request that has begun end, and the server says 0.
#[test]
fn a_server_stops_cleanly() {
    let keys = KeyDirectory::new(Maker::Ours, Curve::P521);
    let program = Program::cotter().args(["serve", "--listen", "127.0.0.1:0", "--keys"]).arg(keys.path());
    let running = program.limit(Duration::from_secs(10)).start();
    std::thread::sleep(Duration::from_millis(500));
    running.terminate();
    let ended = running.wait().succeeded();
    assert!(ended.said().contains("listening on 127.0.0.1:"), "{}", ended.said());
}
