//! No secret reaches an argument vector, the environment, a log, a socket or a temporary file.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test stops where it stands")]

use compliance::disk::PASSPHRASE;
use compliance::secret::{Planted, Trace, files_below};
use compliance::server::{free_port, wait_for};
use compliance::{Curve, Disk, KeyDirectory, Maker, Program, Server, Swtpm};
use std::path::Path;
use tempfile::TempDir;

const PLAINTEXT: &[u8] = b"a planted plaintext that nobody may see";

/// Every place where a program may put files of its own.
struct Scratch(TempDir);

impl Scratch {
    fn new() -> Scratch {
        Scratch(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn give(&self, program: Program) -> Program {
        ["HOME", "TMPDIR", "XDG_RUNTIME_DIR"].into_iter().fold(program, |program, name| program.env(name, self.path()))
    }

    /// Runs the program and looks for the secrets in what it called and in what it left.
    #[track_caller]
    fn run(&self, program: Program, secrets: &[&Planted]) -> Trace {
        let trace_goes_to = tempfile::tempdir().unwrap();
        let trace = Trace::of(self.give(program), trace_goes_to.path());
        assert!(trace.ended.status.success(), "it failed: {}", trace.ended.said());
        assert!(trace.len() > 5, "the trace is too short to prove anything");
        for secret in secrets {
            assert_eq!(trace.leaks(secret), Vec::<String>::new(), "{} leaks", secret.name);
            assert!(secret.found_in(&trace.ended.stderr).is_empty(), "{} was said", secret.name);
        }
        assert_eq!(files_below(self.path()), Vec::<std::path::PathBuf>::new(), "files were left behind");
        trace
    }
}

fn luks(disk: &Disk, words: &[&str]) -> Program {
    Program::cotter().arg("luks").args(words).arg("-d").arg(disk.path())
}

/// The person's passphrase, the volume key and the bound passphrase, through the life of a binding.
#[test]
fn a_disk_keeps_its_secrets() {
    let scratch = Scratch::new();
    let keys = KeyDirectory::new(Maker::Ours, Curve::P521);
    let server = Server::start(Maker::Ours, &keys);
    let disk = Disk::blank(20 << 20);
    let passphrase = Planted::new("the person's passphrase", PASSPHRASE.as_bytes());
    let passphrase_file = disk.passphrase_file();
    let key = ["-k", passphrase_file.to_str().unwrap()];

    let kdf = ["--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1001"];
    scratch.run(luks(&disk, &["format", "-q"]).args(kdf).args(key), &[&passphrase]);
    let volume_key = Planted::new("the volume key", &disk.volume_key());
    let config = server.config();
    scratch.run(luks(&disk, &["bind", "-y"]).args(key).args(["tang", &config]), &[&passphrase, &volume_key]);

    let bound = disk.pass(Maker::Ours, "1");
    let bound = Planted::new("the bound passphrase", &bound);
    let all = [&passphrase, &volume_key, &bound];
    let pass = scratch.run(luks(&disk, &["pass", "-s", "1"]), &all);
    assert!(pass.shows(&bound), "the search does not even find what was printed on purpose");
    scratch.run(luks(&disk, &["unlock", "--print-key"]), &all);
    scratch.run(luks(&disk, &["list"]), &all);
    scratch.run(luks(&disk, &["dump"]), &all);
    scratch.run(luks(&disk, &["dump", "--json"]), &all);
    scratch.run(Program::cotter().args(["image", "cat"]).arg(disk.path()), &all);
    scratch.run(luks(&disk, &["unbind", "-f", "-s", "1"]), &all);
    for secret in all {
        let found = secret.files_with(disk.directory(), std::slice::from_ref(&passphrase_file));
        assert!(found.is_empty(), "{} stands in {found:?}", secret.name);
        assert!(secret.found_in(server.log().as_bytes()).is_empty());
    }
}

/// A plaintext on its way through `encrypt` and `decrypt`.
#[test]
fn a_plaintext_is_seen_by_nobody() {
    let scratch = Scratch::new();
    let keys = KeyDirectory::new(Maker::Ours, Curve::P521);
    let server = Server::start(Maker::Ours, &keys);
    let secret = Planted::new("the plaintext", PLAINTEXT);
    let threshold = format!(r#"{{"t":1,"pins":{{"tang":[{},{}]}}}}"#, server.config(), server.config());
    for (pin, config) in [("tang", server.config()), ("sss", threshold)] {
        let encrypt = Program::cotter().args(["encrypt", pin, &config, "-y"]).input(PLAINTEXT);
        let encrypted = scratch.run(encrypt, &[&secret]);
        assert!(!encrypted.shows(&secret));
        let decrypt = Program::cotter().arg("decrypt").input(encrypted.ended.stdout);
        assert!(scratch.run(decrypt, &[&secret]).shows(&secret));
    }
}

/// The key that a TPM seals, and the plaintext under it.
#[test]
fn a_sealed_key_is_seen_by_nobody() {
    let scratch = Scratch::new();
    let tpm = Swtpm::start();
    let plaintext = Planted::new("the plaintext", PLAINTEXT);
    for config in ["{}", r#"{"key":"rsa","hash":"sha384"}"#] {
        let encrypt = tpm.give(Program::cotter().args(["encrypt", "tpm2", config])).input(PLAINTEXT);
        let encrypted = scratch.run(encrypt, &[&plaintext]);
        let jwe = &encrypted.ended.stdout;
        let text = tpm.sealed_text(jwe);
        let key = Planted::new("the content key", &text[22..22 + 43]);
        let whole = Planted::new("the sealed text", &text);
        assert!(encrypted.leaks(&key).is_empty() && encrypted.leaks(&whole).is_empty());
        let decrypt = tpm.give(Program::cotter().arg("decrypt")).input(jwe.clone());
        let decrypted = scratch.run(decrypt, &[&plaintext, &key, &whole]);
        assert!(decrypted.shows(&plaintext) && decrypted.count("sendto(") > 4, "the line was not looked at");
    }
}

/// A failure says much, and nothing of what it was given.
#[test]
fn an_error_tells_no_secret() {
    let disk = Disk::formatted(Maker::Theirs);
    let wrong = "a planted passphrase that opens nothing";
    let secret = Planted::new("the wrong passphrase", wrong.as_bytes());
    let unlock = luks(&disk, &["unlock", "--print-key", "-k", "-"]).input(wrong);
    let scratch = tempfile::tempdir().unwrap();
    let trace = Trace::of(unlock, scratch.path());
    assert_eq!(trace.ended.status.code(), Some(1));
    assert!(trace.leaks(&secret).is_empty() && !trace.shows(&secret));
}

/// The server's private keys, while it answers, lists and shows.
#[test]
fn a_server_keeps_its_keys() {
    let keys = KeyDirectory::new(Maker::Theirs, Curve::P521);
    let secrets: Vec<Planted> = keys.private_parts().iter().map(|part| Planted::new("a private key", part)).collect();
    assert_eq!(secrets.len(), 2);
    let files = secrets.iter().map(|secret| secret.files_with(keys.path(), &[]).len());
    assert!(files.eq([1, 1]), "the search does not even find the keys in their own files");
    let scratch = tempfile::tempdir().unwrap();
    let port = free_port();
    let serve = Program::cotter().args(["serve", "--listen", &format!("127.0.0.1:{port}"), "--keys"]).arg(keys.path());
    let served = Trace::of_server(serve, scratch.path(), || {
        wait_for(port);
        let jwe = Maker::Theirs.encrypt("tang", &format!(r#"{{"url":"http://127.0.0.1:{port}"}}"#), PLAINTEXT);
        assert_eq!(Maker::Theirs.decrypt(&jwe), PLAINTEXT);
    });
    let said = served.ended.said();
    assert!(said.contains("GET /adv") && said.contains("POST /rec/"), "{said}");
    let mut traces = vec![served];
    for words in [&["keys", "list"][..], &["keys", "list", "--json"], &["keys", "show"]] {
        traces.push(Trace::of(Program::cotter().args(words).arg(keys.path()), scratch.path()));
    }
    for trace in traces {
        assert!(trace.ended.status.success(), "{}", trace.ended.said());
        for secret in &secrets {
            assert!(!trace.shows(secret), "{}: {:?}", secret.name, trace.leaks(secret));
        }
    }
}
