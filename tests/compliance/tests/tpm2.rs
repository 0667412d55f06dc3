//! The pin `tpm2`: what one side sealed the other opens, on a TPM made of software.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test stops where it stands")]

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use compliance::disk::PASSPHRASE;
use compliance::swtpm::{Eavesdropper, TCTI};
use compliance::{Disk, Ended, Maker, Program, Swtpm, Table, Version};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::time::Duration;

/// Not text, and with a zero in it.
const PLAINTEXT: &[u8] = b"a plaintext\0with \xff bytes\n";

/// Configurations that both sides take, apart from those below.
const CONFIGS: &[&str] = &[
    "{}",
    r#"{"key":"ecc"}"#,
    r#"{"key":"rsa"}"#,
    r#"{"hash":"sha1"}"#,
    r#"{"hash":"sha256"}"#,
    r#"{"hash":"sha384"}"#,
    r#"{"hash":"sha512"}"#,
    r#"{"key":"ecc256"}"#,
    r#"{"key":"rsa2048"}"#,
    r#"{"hash":"sha384","key":"rsa"}"#,
    r#"{"hash":"sha512","key":"rsa"}"#,
    r#"{"hash":"sha1","key":"rsa"}"#,
    r#"{"pcr_ids":"7"}"#,
    r#"{"pcr_bank":"sha1","pcr_ids":"0,7"}"#,
    r#"{"pcr_bank":"sha256","pcr_ids":"4, 16"}"#,
    r#"{"pcr_bank":"sha256","pcr_ids":["16","4"]}"#,
    r#"{"pcr_bank":"sha256","pcr_ids":[4,16]}"#,
    r#"{"pcr_bank":"sha256","pcr_ids":"0,1,2,3,4,5,7,23"}"#,
    r#"{"pcr_bank":"sha384","pcr_ids":"7"}"#,
    r#"{"pcr_bank":"sha512","pcr_ids":"7"}"#,
    r#"{"key":"rsa","pcr_bank":"sha256","pcr_ids":"7"}"#,
];

/// With another `hash` and PCRs the original seals what it never opens: its session is of SHA-256 always (nbde-formats 3.3).
const HASH_AND_PCRS: &[&str] = &[
    r#"{"hash":"sha1","pcr_bank":"sha256","pcr_ids":"7"}"#,
    r#"{"hash":"sha384","pcr_bank":"sha256","pcr_ids":"7"}"#,
    r#"{"hash":"sha384","pcr_bank":"sha384","pcr_ids":"7"}"#,
    r#"{"hash":"sha512","pcr_bank":"sha256","pcr_ids":["16",4]}"#,
    r#"{"hash":"sha512","key":"rsa","pcr_bank":"sha1","pcr_ids":"7"}"#,
];

fn encrypt(tpm: &Swtpm, maker: Maker, config: &str) -> Ended {
    tpm.give(maker.client().args(["encrypt", "tpm2", config])).input(PLAINTEXT).run()
}

fn decrypt(tpm: &Swtpm, maker: Maker, jwe: &[u8]) -> Ended {
    tpm.give(maker.client().arg("decrypt")).input(jwe).run()
}

fn pair(table: &mut Table, config: &str, encrypting: Maker, decrypting: &[Maker]) {
    let tpm = Swtpm::start();
    tpm.extend(7, 0x77);
    let jwe = encrypt(&tpm, encrypting, config).succeeded().stdout;
    for reader in decrypting {
        table.row(
            format!("{} encrypts, {} decrypts, {config}", encrypting.client_name(), reader.client_name()),
            || {
                assert_eq!(decrypt(&tpm, *reader, &jwe).succeeded().stdout, PLAINTEXT);
            },
        );
    }
}

fn header(jwe: &[u8]) -> Value {
    let first = jwe.split(|byte| *byte == b'.').next().unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(first).unwrap()).unwrap()
}

#[test]
fn every_client_opens_what_every_other_sealed() {
    let mut table = Table::new("tpm2");
    for config in CONFIGS {
        for encrypting in Maker::BOTH {
            pair(&mut table, config, encrypting, &Maker::BOTH);
        }
    }
    for config in HASH_AND_PCRS {
        pair(&mut table, config, Maker::Ours, &Maker::BOTH);
        pair(&mut table, config, Maker::Theirs, &[Maker::Ours]);
    }
    table.finish();
}

/// If this fails, the harness or the machine is at fault and not our program. The last row is why ours seals otherwise.
#[test]
fn the_originals_seal_for_each_other() {
    let mut table = Table::new("control: the originals' tpm2");
    for config in ["{}", r#"{"pcr_bank":"sha256","pcr_ids":"7"}"#] {
        pair(&mut table, config, Maker::Theirs, &[Maker::Theirs]);
    }
    table.row("clevis does not open what it seals with another hash and PCRs", || {
        let tpm = Swtpm::start();
        let jwe = encrypt(&tpm, Maker::Theirs, HASH_AND_PCRS[0]).succeeded().stdout;
        assert!(!decrypt(&tpm, Maker::Theirs, &jwe).status.success());
    });
    table.finish();
}

/// The header has the members of the original, in its words; beside them stands what ours says of itself, which the original passes over.
#[test]
fn the_header_is_the_originals() {
    for config in ["{}", r#"{"hash":"sha1","pcr_bank":"sha256","pcr_ids":["16",4]}"#] {
        let tpm = Swtpm::start();
        let [ours, theirs] = Maker::BOTH.map(|maker| header(&encrypt(&tpm, maker, config).succeeded().stdout));
        let shape = |header: &Value| {
            let mut header = header.clone();
            header.as_object_mut().unwrap().remove("cotter");
            for half in ["jwk_pub", "jwk_priv"] {
                let text = header["clevis"]["tpm2"][half].as_str().unwrap().to_owned();
                let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).unwrap();
                // The length that stands before it is that of the rest; a private half is as long as its integrity digest makes it.
                assert_eq!(usize::from(u16::from_be_bytes([bytes[0], bytes[1]])), bytes.len() - 2);
                header["clevis"]["tpm2"][half] = "".into();
            }
            header
        };
        assert_eq!(shape(&ours), shape(&theirs), "{config}");
    }
}

/// Other PCRs, another TPM: both sides refuse what both sides sealed, and ours says why.
#[test]
fn another_state_or_another_tpm_opens_nothing() {
    let mut table = Table::new("tpm2: what must not open");
    for sealing in Maker::BOTH {
        for opening in Maker::BOTH {
            let names = (sealing.client_name(), opening.client_name());
            table.row(format!("{} seals, PCR 7 moves, {} opens nothing", names.0, names.1), || {
                let tpm = Swtpm::start();
                let jwe = encrypt(&tpm, sealing, r#"{"pcr_bank":"sha256","pcr_ids":"7"}"#).succeeded().stdout;
                tpm.extend(7, 1);
                let before = tpm.left_behind();
                let ended = decrypt(&tpm, opening, &jwe).failed_with(1);
                if opening == Maker::Ours {
                    let said = ended.said();
                    assert!(said.contains("the PCRs sha256:7 are not what they were"), "{said}");
                    assert!(said.contains("TPM_RC_POLICY_FAIL (0x99d)"), "{said}");
                    assert_eq!(tpm.left_behind(), before);
                }
            });
            table.row(format!("{} seals, {} opens nothing on another TPM", names.0, names.1), || {
                let (tpm, other) = (Swtpm::start(), Swtpm::start());
                let jwe = encrypt(&tpm, sealing, "{}").succeeded().stdout;
                let ended = decrypt(&other, opening, &jwe).failed_with(1);
                if opening == Maker::Ours {
                    let said = ended.said();
                    assert!(said.contains("another TPM's, or the TPM was cleared"), "{said}");
                }
            });
        }
    }
    table.finish();
}

/// Halves of the sealed object that were cut or changed are a damaged binding, and no TPM to be blamed.
#[test]
fn a_damaged_binding_is_called_one() {
    let tpm = Swtpm::start();
    let jwe = encrypt(&tpm, Maker::Ours, "{}").succeeded().stdout;
    let (_, rest) = jwe.split_at(jwe.iter().position(|byte| *byte == b'.').unwrap());
    let damaged = |half: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let mut header = header(&jwe);
        let member = &mut header["clevis"]["tpm2"][half];
        let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(member.as_str().unwrap()).unwrap();
        change(&mut bytes);
        *member = BASE64_URL_SAFE_NO_PAD.encode(bytes).into();
        let first = BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(&header).unwrap());
        let said = decrypt(&tpm, Maker::Ours, &[first.as_bytes(), rest].concat()).failed_with(1).said();
        assert_eq!(tpm.left_behind(), "", "{said}");
        said
    };
    let cut = |bytes: &mut Vec<u8>| {
        bytes.truncate(20);
        bytes[1] = 18;
    };
    for (half, change) in [("jwk_pub", &cut as &dyn Fn(&mut Vec<u8>)), ("jwk_priv", &cut), ("jwk_pub", &|b| b.clear())]
    {
        let said = damaged(half, change);
        assert!(said.contains("the binding is damaged"), "{half}: {said}");
    }
    let said = damaged("jwk_priv", &|bytes| *bytes.last_mut().unwrap() ^= 1);
    assert!(said.contains("TPM_RC_INTEGRITY"), "{said}");
}

/// A configuration but for `pcr_digest`, its bank, its PCRs, and whether the original opens what it seals by it.
const GIVEN: &[(&str, &str, &[u8], bool)] = &[
    (r#""pcr_bank":"sha256","pcr_ids":"16""#, "sha256", &[16], true),
    (r#""pcr_bank":"sha256","pcr_ids":"16,4,23""#, "sha256", &[4, 16, 23], true),
    (r#""key":"rsa","pcr_bank":"sha256","pcr_ids":[4,"16"]"#, "sha256", &[4, 16], true),
    (r#""pcr_bank":"sha1","pcr_ids":"4,16""#, "sha1", &[4, 16], true),
    (r#""hash":"sha384","pcr_bank":"sha256","pcr_ids":"16""#, "sha256", &[16], false),
];

/// Values that are given instead of read: the PCRs get there later, and then both sides open it. One that gets elsewhere opens nothing.
#[test]
fn given_values_are_sealed_to() {
    let mut table = Table::new("tpm2: pcr_digest");
    let boot = |tpm: &Swtpm, bank: &str, pcrs: &[u8]| {
        let len = if bank == "sha1" { 20 } else { 32 };
        for pcr in pcrs {
            let digest = format!("{:02x}", 0x40 + pcr).repeat(len);
            tpm.tool("tpm2_pcrextend").arg(format!("{pcr}:{bank}={digest}")).succeed();
        }
    };
    for (members, bank, pcrs, theirs_opens) in GIVEN {
        // What they will hold, as the original's tools write it: one value behind the other.
        let to_come = Swtpm::start();
        boot(&to_come, bank, pcrs);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pcrs");
        let ids = pcrs.iter().map(u8::to_string).collect::<Vec<_>>().join(",");
        to_come.tool("tpm2_pcrread").args(["-Q", "-o"]).arg(&file).arg(format!("{bank}:{ids}")).succeed();
        let values = std::fs::read(&file).unwrap();
        let config = format!(r#"{{{members},"pcr_digest":"{}"}}"#, BASE64_URL_SAFE_NO_PAD.encode(values));
        for sealing in Maker::BOTH {
            let opening = Maker::BOTH.into_iter();
            for opening in
                opening.filter(|opening| (sealing, *opening) != (Maker::Theirs, Maker::Theirs) || *theirs_opens)
            {
                let (from, to) = (sealing.client_name(), opening.client_name());
                table.row(format!("{from} seals, {to} opens, {members}"), || {
                    let tpm = Swtpm::start();
                    let jwe = encrypt(&tpm, sealing, &config).succeeded().stdout;
                    decrypt(&tpm, opening, &jwe).failed_with(1);
                    boot(&tpm, bank, pcrs);
                    assert_eq!(decrypt(&tpm, opening, &jwe).succeeded().stdout, PLAINTEXT);
                    // The last of them counts as well.
                    boot(&tpm, bank, &pcrs[pcrs.len() - 1..]);
                    decrypt(&tpm, opening, &jwe).failed_with(1);
                });
            }
        }
    }
    table.finish();
}

/// A configuration that would protect less than it seems to is refused, and the reason names the option.
#[test]
fn a_configuration_that_means_less_than_it_says_is_refused() {
    let tpm = Swtpm::start();
    for (config, word) in [
        (r#"{"pcr_bank":"sha256"}"#, "pcr_bank"),
        (r#"{"pcr_digest":"AA"}"#, "pcr_digest"),
        (r#"{"pcr_ids":""}"#, "pcr_ids"),
        (r#"{"pcr_ids":[]}"#, "pcr_ids"),
        (r#"{"pcr_ids":"24"}"#, "pcr_ids"),
        (r#"{"pcr_ids":"07"}"#, "pcr_ids"),
        (r#"{"pcr_ids":"7,"}"#, "pcr_ids"),
        (r#"{"pcr_ids":{"7":1}}"#, "pcr_ids"),
        (r#"{"pcr_ids":"0,1,2,3,4,5,6,7,8"}"#, "pcr_ids"),
        (r#"{"pcr_ids":"7","pcr_digest":"AA"}"#, "pcr_digest"),
        (r#"{"pcr_bank":"sha256","pcr_ids":"7","pcr_digest":"AA"}"#, "pcr_digest"),
        (r#"{"pcr_bank":"sha257","pcr_ids":"7"}"#, "pcr_bank"),
        (r#"{"hash":"md5"}"#, "hash"),
        (r#"{"key":"keyedhash"}"#, "key"),
        (r#"{"pcrs":"7"}"#, "pcrs"),
    ] {
        let said = encrypt(&tpm, Maker::Ours, config).failed_with(1).said();
        assert!(said.contains(&format!("configuration.{word}")), "{config}: {said}");
    }
    // A bank that this TPM does not have is the TPM's word.
    let said = encrypt(&tpm, Maker::Ours, r#"{"pcr_bank":"sm3_256","pcr_ids":"7"}"#).failed_with(1).said();
    assert!(said.contains("pcr_bank"), "{said}");
}

/// A PCR may be a number, which the original does not take.
#[test]
fn a_pcr_is_a_number_too() {
    let tpm = Swtpm::start();
    let theirs = encrypt(&tpm, Maker::Theirs, r#"{"pcr_ids":7}"#).failed_with(1);
    assert!(theirs.stdout.is_empty() && theirs.said().contains("Parsing the requested policy failed"), "{theirs:?}");
    let jwe = encrypt(&tpm, Maker::Ours, r#"{"pcr_ids":7}"#).succeeded().stdout;
    assert_eq!(header(&jwe)["clevis"]["tpm2"]["pcr_ids"], "7");
    assert_eq!(header(&jwe)["clevis"]["tpm2"]["pcr_bank"], "sha256");
    assert_eq!(decrypt(&tpm, Maker::Theirs, &jwe).succeeded().stdout, PLAINTEXT);
}

fn luks(tpm: &Swtpm, maker: Maker, disk: &Disk, command: &str, words: &[&str]) -> Program {
    tpm.give(maker.client().args(["luks", command, "-d"]).arg(disk.path()).args(words))
}

/// `luks bind`, `list` and `pass` on both versions, each side's with the other's.
#[test]
fn disks_are_bound_for_each_other() {
    let mut table = Table::new("luks bind to a TPM");
    let config = r#"{"hash":"sha256","key":"ecc","pcr_bank":"sha256","pcr_ids":"7"}"#;
    for version in Version::BOTH {
        for binding in Maker::BOTH {
            table.row(format!("{} binds a {version}", binding.client_name()), || {
                let tpm = Swtpm::start();
                let disk = Disk::of(Maker::Theirs, version);
                let said = tpm.give(disk.bind_program(binding, "tpm2", config)).succeed().said();
                if binding == Maker::Ours {
                    assert!(said.contains("what answers as the TPM is believed each time it opens"), "{said}");
                    assert!(said.contains("the TPM is virtual") && !said.contains("Clevis does not know"), "{said}");
                }
                let [ours, theirs] = Maker::BOTH.map(|maker| luks(&tpm, maker, &disk, "list", &[]).succeed().text());
                assert_eq!(ours, theirs);
                let [ours, theirs] =
                    Maker::BOTH.map(|maker| luks(&tpm, maker, &disk, "pass", &["-s", "1"]).succeed().stdout);
                assert_eq!(ours, theirs);
                assert!(disk.opens_with(&ours) && disk.opens_with(PASSPHRASE.as_bytes()));
                assert_eq!(luks(&tpm, Maker::Ours, &disk, "unlock", &["--print-key"]).succeed().stdout, ours);
                tpm.extend(7, 1);
                for maker in Maker::BOTH {
                    let ended = luks(&tpm, maker, &disk, "pass", &["-s", "1"]).run();
                    assert!(!ended.status.success() && ended.stdout.is_empty(), "{maker}");
                }
            });
        }
    }
    table.finish();
}

/// After an update the person's passphrase binds anew by the configuration that is in the header, whoever made it.
#[test]
fn a_binding_is_made_anew_by_its_own_configuration() {
    let mut table = Table::new("luks regen of a TPM binding");
    for binding in Maker::BOTH {
        table.row(binding.client_name(), || {
            let tpm = Swtpm::start();
            let disk = Disk::formatted(Maker::Theirs);
            let config = r#"{"pcr_bank":"sha256","pcr_ids":"7"}"#;
            tpm.give(disk.bind_program(binding, "tpm2", config)).succeed();
            let expect = |config: &str| {
                luks(&tpm, Maker::Ours, &disk, "list", &["-s", "1", "--expect", "tpm2", config]).run().status
            };
            assert_eq!(expect(config).code(), Some(0));
            assert_eq!(expect(r#"{"pcr_bank":"sha256","pcr_ids":"7,8"}"#).code(), Some(4));
            tpm.extend(7, 1);
            let key = disk.passphrase_file();
            let words = ["-s", "1", "-q", "-k", key.to_str().unwrap()];
            luks(&tpm, Maker::Ours, &disk, "regen", &words).succeed();
            let [ours, theirs] =
                Maker::BOTH.map(|maker| luks(&tpm, maker, &disk, "pass", &["-s", "1"]).succeed().stdout);
            assert!(ours == theirs && disk.opens_with(&ours));
            assert_eq!(expect(config).code(), Some(0));
        });
    }
    table.finish();
}

/// Values of a boot to come are bound to although they cannot be met now; whoever wants a proof gets none.
#[test]
fn a_disk_is_bound_to_a_boot_to_come() {
    let tpm = Swtpm::start();
    let disk = Disk::formatted(Maker::Ours);
    let digest: [u8; 32] = Sha256::digest([[0; 32], [0x41; 32]].concat()).into();
    let digest = BASE64_URL_SAFE_NO_PAD.encode(digest);
    let config = format!(r#"{{"pcr_bank":"sha256","pcr_ids":"16","pcr_digest":"{digest}"}}"#);
    let bind = || tpm.give(disk.bind_program(Maker::Ours, "tpm2", &config));
    let said = bind().arg("--require-proof").run().failed_with(1).said();
    assert!(said.contains("the PCRs sha256:16 are not what they were"), "{said}");
    let said = bind().succeed().said();
    assert!(said.contains("not proved: "), "{said}");
    tpm.extend(16, 0x41);
    for maker in Maker::BOTH {
        assert!(disk.opens_with(&luks(&tpm, maker, &disk, "pass", &["-s", "1"]).succeed().stdout));
    }
    // The values are kept: bound anew, it is bound to them and not to those of now.
    let words = ["-s", "1", "--expect", "tpm2", &config];
    assert_eq!(luks(&tpm, Maker::Ours, &disk, "list", &words).run().status.code(), Some(0));
    let key = disk.passphrase_file();
    luks(&tpm, Maker::Ours, &disk, "regen", &["-s", "1", "-q", "-k", key.to_str().unwrap()]).succeed();
    assert_eq!(luks(&tpm, Maker::Ours, &disk, "list", &words).run().status.code(), Some(0));
}

/// Several pins of one threshold want the TPM at once: they take turns.
#[test]
fn thresholds_with_several_tpm_pins_open() {
    let mut table = Table::new("sss of tpm2");
    let config = r#"{"t":3,"pins":{"tpm2":[{},{"pcr_bank":"sha256","pcr_ids":"7"},{"hash":"sha1","key":"rsa"}]}}"#;
    for sealing in Maker::BOTH {
        table.row(format!("{} seals, cotter opens", sealing.client_name()), || {
            let tpm = Swtpm::start();
            let program = tpm.give(sealing.client().args(["encrypt", "sss", config])).input(PLAINTEXT);
            let jwe = program.succeed().stdout;
            // The original's tools leave a session there.
            let before = tpm.left_behind();
            assert_eq!(decrypt(&tpm, Maker::Ours, &jwe).succeeded().stdout, PLAINTEXT);
            assert_eq!(tpm.left_behind(), before);
        });
    }
    table.finish();
}

/// The content key, as José's text, is what is sealed: no piece of it goes over the line in clear, with either parent.
#[test]
fn whoever_listens_hears_no_secret() {
    for config in ["{}", r#"{"key":"rsa"}"#, r#"{"pcr_bank":"sha256","pcr_ids":"7"}"#] {
        let tpm = Swtpm::start();
        let line = Eavesdropper::listening(&tpm);
        let client = |words: &[&str]| Program::cotter().args(words).env(TCTI, line.place());
        let jwe = client(&["encrypt", "tpm2", config]).input(PLAINTEXT).succeed().stdout;
        assert_eq!(client(&["decrypt"]).input(jwe.clone()).succeed().stdout, PLAINTEXT);
        let heard = line.heard();
        assert!(heard.len() > 1000, "{} bytes were heard", heard.len());
        // The text is known but for the key; with the original it passes in clear, see below.
        for piece in [r#""alg":"A256GCM""#, "key_ops", "decrypt", r#""kty":"oct""#] {
            assert!(!contains(&heard, piece.as_bytes()), "{piece} was heard");
        }
    }
}

/// What the test above listens for is what is sealed, to the byte the original's text.
#[test]
fn the_sealed_text_is_the_originals() {
    let tpm = Swtpm::start();
    for maker in Maker::BOTH {
        let text = tpm.sealed_text(&encrypt(&tpm, maker, "{}").succeeded().stdout);
        assert_eq!(text.len(), 112, "{maker}");
        assert!(text.starts_with(br#"{"alg":"A256GCM","k":""#), "{maker}");
        assert!(text.ends_with(b"\",\"key_ops\":[\"encrypt\",\"decrypt\"],\"kty\":\"oct\"}\n"), "{maker}");
    }
}

/// Whatever comes back over the line, the program ends by itself: with the plaintext, where what was changed means nothing, or with an error.
#[test]
fn whoever_answers_wrongly_gets_an_error() {
    let tpm = Swtpm::start();
    let jwe = encrypt(&tpm, Maker::Ours, r#"{"pcr_bank":"sha256","pcr_ids":"7"}"#).succeeded().stdout;
    type Wrong = fn(Vec<u8>) -> Vec<u8>;
    let wrongs: &[(&str, Wrong)] = &[
        ("reset", |_| Vec::new()),
        ("cut", |answer| answer[..answer.len() / 2].to_vec()),
        ("cut, and its length with it", |answer| with_length(answer[..answer.len() - 1].to_vec())),
        ("longer", |answer| with_length([answer.as_slice(), b"more"].concat())),
        ("changed", |mut answer| {
            *answer.last_mut().unwrap() ^= 1;
            answer
        }),
        ("rubbish", |answer| vec![0xff; answer.len()]),
        ("a TPM that failed", |_| b"\x80\x01\0\0\0\x0a\0\0\x01\x01".to_vec()),
        ("a TPM that was switched off", |_| b"\x80\x01\0\0\0\x0a\0\0\x01\x20".to_vec()),
    ];
    for victim in 0..7 {
        for (name, wrong) in wrongs {
            let wrong = *wrong;
            let change = move |at, answer| if at == victim { wrong(answer) } else { answer };
            let line = Eavesdropper::changing(&tpm, Box::new(change));
            let program = Program::cotter().args(["decrypt", "--timeout", "5"]).env(TCTI, line.place());
            let ended = program.input(jwe.clone()).limit(Duration::from_secs(20)).run();
            if ended.status.success() {
                assert_eq!(ended.stdout, PLAINTEXT);
            } else {
                assert!(ended.failed_with(1).stdout.is_empty(), "answer {victim}, {name}");
            }
            // What a lying line hid from us stays in a TPM without a resource manager; failures count too.
            for what in ["-t", "-l", "-s"] {
                tpm.tool("tpm2_flushcontext").arg(what).run();
            }
            tpm.tool("tpm2_dictionarylockout").arg("--clear-lockout").succeed();
        }
    }
    assert_eq!(decrypt(&tpm, Maker::Ours, &jwe).succeeded().stdout, PLAINTEXT);
}

/// An answer that comes late is waited for within the limit, and not beyond it.
#[test]
fn a_slow_tpm_is_waited_for_within_the_limit() {
    let tpm = Swtpm::start();
    let jwe = encrypt(&tpm, Maker::Ours, "{}").succeeded().stdout;
    for (late, limit, opens) in [(Duration::from_millis(200), "60", true), (Duration::from_secs(4), "1", false)] {
        let wait = move |at, answer| {
            if at == 1 {
                std::thread::sleep(late);
            }
            answer
        };
        let line = Eavesdropper::changing(&tpm, Box::new(wait));
        let program = Program::cotter().args(["decrypt", "--timeout", limit]).env(TCTI, line.place());
        let ended = program.input(jwe.clone()).run();
        assert_eq!(ended.status.success(), opens, "{}", ended.said());
        assert!(opens || ended.said().contains("the TPM gave no answer within"), "{}", ended.said());
    }
}

/// A TPM that never answers holds nobody beyond the limit.
#[test]
fn a_silent_tpm_is_given_up() {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let place = format!("swtpm:port={}", listener.local_addr().unwrap().port());
    let program = Program::cotter().args(["encrypt", "tpm2", "{}", "--timeout", "1"]).env(TCTI, place);
    let said = program.input(PLAINTEXT).limit(Duration::from_secs(30)).run().failed_with(1).said();
    assert!(said.contains("the TPM gave no answer within"), "{said}");
}

fn with_length(mut answer: Vec<u8>) -> Vec<u8> {
    let size = u32::try_from(answer.len()).unwrap().to_be_bytes();
    answer[2..6].copy_from_slice(&size);
    answer
}

fn contains(text: &[u8], piece: &[u8]) -> bool {
    text.windows(piece.len()).any(|window| window == piece)
}
