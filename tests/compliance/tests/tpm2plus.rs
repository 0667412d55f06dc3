//! clevis-pin-tpm2, the separate replacement of the original's pin: what one side sealed the other opens, with and without signed policies.
//!
//! The policies are signed by OpenSSL and their digests made here, so that neither side is believed.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test stops where it stands")]

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use compliance::swtpm::{Eavesdropper, TCTI};
use compliance::{Disk, Ended, Maker, Program, Swtpm, Table, Version, replacement};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

/// Not text, and with a zero in it.
const PLAINTEXT: &[u8] = b"a plaintext\0with \xff bytes\n";

#[derive(Clone, Copy, PartialEq)]
enum Side {
    Ours,
    Theirs,
}

const SIDES: [Side; 2] = [Side::Ours, Side::Theirs];

impl Side {
    fn name(self) -> &'static str {
        if self == Side::Ours { "cotter" } else { "clevis-pin-tpm2" }
    }

    fn program(self, tpm: &Swtpm) -> Program {
        match self {
            Side::Ours => tpm.give(Program::cotter()),
            Side::Theirs => Program::at(&replacement()).env("TCTI", tpm.place()),
        }
    }

    fn encrypt(self, tpm: &Swtpm, pin: &str, config: &str) -> Vec<u8> {
        let program = self.program(tpm).arg("encrypt");
        let program = if self == Side::Ours { program.arg(pin) } else { program };
        program.arg(config).input(PLAINTEXT).succeed().stdout
    }

    fn decrypt(self, tpm: &Swtpm, jwe: &[u8]) -> Ended {
        self.program(tpm).arg("decrypt").input(jwe).run()
    }
}

/// Without a signed policy it is the pin `tpm2`.
#[test]
fn the_replacement_and_ours_open_what_each_other_sealed() {
    let mut table = Table::new("tpm2 and its replacement");
    for config in [
        "{}",
        r#"{"key":"rsa"}"#,
        r#"{"hash":"sha1"}"#,
        r#"{"hash":"sha384","key":"rsa"}"#,
        r#"{"pcr_ids":"7"}"#,
        r#"{"pcr_bank":"sha1","pcr_ids":[0,7]}"#,
        r#"{"pcr_bank":"sha256","pcr_ids":"4, 16"}"#,
        r#"{"pcr_bank":"sha256","pcr_ids":["16","4"]}"#,
        r#"{"hash":"sha512","pcr_bank":"sha256","pcr_ids":"7"}"#,
    ] {
        for sealing in SIDES {
            let tpm = Swtpm::start();
            tpm.extend(7, 0x77);
            let jwe = sealing.encrypt(&tpm, "tpm2", config);
            for opening in SIDES {
                let too_long = config.contains("384") || config.contains("512");
                if sealing == Side::Ours && opening == Side::Theirs && too_long {
                    continue;
                }
                table.row(format!("{} encrypts, {} decrypts, {config}", sealing.name(), opening.name()), || {
                    assert_eq!(opening.decrypt(&tpm, &jwe).succeeded().stdout, PLAINTEXT);
                });
            }
        }
    }
    // Why these are left out above: the key as the original writes it is longer than that program's own, and too long for it then.
    for config in [r#"{"hash":"sha384","key":"rsa"}"#, r#"{"hash":"sha512"}"#] {
        let tpm = Swtpm::start();
        for (name, program) in [("clevis", Program::new("clevis")), ("cotter", Program::cotter())] {
            let jwe = tpm.give(program).args(["encrypt", "tpm2", config]).input(PLAINTEXT).succeed().stdout;
            table.row(format!("{name} encrypts, clevis-pin-tpm2 does not open it, {config}"), || {
                let said = Side::Theirs.decrypt(&tpm, &jwe).failed_with(1).said();
                assert!(said.contains("of the wrong size"), "{said}");
            });
        }
    }
    table.finish();
}

/// A key of OpenSSL's, its public half as that program reads it, and what it has signed.
struct Signer {
    folder: TempDir,
    scheme: &'static str,
}

impl Signer {
    fn new(scheme: &'static str) -> Signer {
        let signer = Signer { folder: tempfile::tempdir().unwrap(), scheme };
        let key = signer.file("key.pem");
        Program::new("openssl").args(["genrsa", "-out"]).arg(&key).arg("2048").succeed();
        let text = Program::new("openssl").args(["rsa", "-noout", "-modulus", "-in"]).arg(&key).succeed().text();
        let modulus = text.trim().strip_prefix("Modulus=").unwrap().to_owned();
        let modulus: Vec<u8> =
            (0..modulus.len()).step_by(2).map(|at| u8::from_str_radix(&modulus[at..at + 2], 16).unwrap()).collect();
        let modulus = BASE64_STANDARD.encode(modulus);
        let json = format!(
            r#"{{"RSA":{{"scheme":"{scheme}","hashing_algo":"SHA256","exponent":65537,"modulus":"{modulus}"}}}}"#
        );
        fs::write(signer.file("public.json"), json).unwrap();
        signer.write(&[]);
        signer
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn config(&self, reference: &str) -> String {
        let (key, policies) = (self.file("public.json"), self.file("policies.json"));
        format!(
            r#"{{"use_policy":true,"policy_pubkey_path":"{}","policy_path":"{}","policy_ref":"{reference}"}}"#,
            key.display(),
            policies.display()
        )
    }

    /// A policy that PCR 7 of SHA-256 holds this, signed for this purpose.
    fn sign(&self, reference: &str, value: &[u8]) -> String {
        self.sign_in((0x0b, "sha256"), reference, value)
    }

    /// The same of a bank, by its number and its name.
    fn sign_in(&self, bank: (u8, &str), reference: &str, value: &[u8]) -> String {
        let mut policy = vec![0; 32];
        // TPM_CC_PolicyPCR, and a selection of PCR 7 alone.
        policy.extend([0, 0, 1, 0x7f]);
        policy.extend([0, 0, 0, 1, 0, bank.0, 3, 0x80, 0, 0]);
        policy.extend(Sha256::digest(value));
        let mut message = Sha256::digest(&policy).to_vec();
        message.extend(reference.as_bytes());
        let options: &[&str] = match self.scheme {
            "RSAPSS" => &["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:32"],
            _ => &[],
        };
        let openssl = Program::new("openssl").args(["dgst", "-sha256", "-sign"]).arg(self.file("key.pem"));
        let signature = openssl.args(options).input(message).succeed().stdout;
        format!(
            r#"{{"policy_ref":"{}","steps":[{{"PCRs":{{"pcr_ids":[7],"hash_algorithm":"{}","value":"{}"}}}}],"signature":"{}"}}"#,
            BASE64_STANDARD.encode(reference),
            bank.1,
            BASE64_STANDARD.encode(value),
            BASE64_STANDARD.encode(signature)
        )
    }

    fn write(&self, policies: &[String]) {
        fs::write(self.file("policies.json"), format!("[{}]", policies.join(","))).unwrap();
    }
}

/// What PCR 7 of SHA-256 holds.
fn pcr_7(tpm: &Swtpm) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("value");
    tpm.tool("tpm2_pcrread").arg("sha256:7").arg("-o").arg(&file).succeed();
    fs::read(file).unwrap()
}

/// Sealed once, opened by whatever the key has signed since, by both sides.
#[test]
fn a_signed_policy_decides_without_sealing_again() {
    let mut table = Table::new("tpm2plus");
    for (scheme, reference) in [("RSASSA", ""), ("RSASSA", "boot"), ("RSAPSS", "")] {
        let signer = Signer::new(scheme);
        for sealing in SIDES {
            let tpm = Swtpm::start();
            tpm.extend(7, 0x77);
            let jwe = sealing.encrypt(&tpm, "tpm2plus", &signer.config(reference));
            let before = signer.sign(reference, &pcr_7(&tpm));
            let row = |opening: Side, what: &str| {
                format!("{} encrypts, {scheme}, purpose \"{reference}\", {} {what}", sealing.name(), opening.name())
            };
            for opening in SIDES {
                signer.write(std::slice::from_ref(&before));
                table.row(row(opening, "decrypts"), || {
                    assert_eq!(opening.decrypt(&tpm, &jwe).succeeded().stdout, PLAINTEXT);
                    let left = tpm.left_behind();
                    assert!(opening == Side::Theirs || !left.contains("0x"), "{left}");
                });
            }
            tpm.extend(7, 1);
            for opening in SIDES {
                table.row(row(opening, "opens nothing once PCR 7 has moved"), || {
                    let ended = opening.decrypt(&tpm, &jwe).failed_with(1);
                    let said = ended.said();
                    assert!(opening == Side::Theirs || said.contains("no signed policy in"), "{said}");
                });
            }
            let after = signer.sign(reference, &pcr_7(&tpm));
            for opening in SIDES {
                // That program takes the first policy of the purpose; ours looks for the one that fits.
                signer.write(&if opening == Side::Ours {
                    vec![before.clone(), after.clone()]
                } else {
                    vec![after.clone()]
                });
                table.row(row(opening, "decrypts once the new value is signed"), || {
                    assert_eq!(opening.decrypt(&tpm, &jwe).succeeded().stdout, PLAINTEXT);
                });
            }
        }
    }
    table.finish();
}

/// What must not open, with the words that say why.
#[test]
fn a_wrong_signature_or_another_key_opens_nothing() {
    let (signer, other) = (Signer::new("RSASSA"), Signer::new("RSASSA"));
    let tpm = Swtpm::start();
    let jwe = Side::Ours.encrypt(&tpm, "tpm2plus", &signer.config("boot"));
    let refused = |what: &str| {
        let said = Side::Ours.decrypt(&tpm, &jwe).failed_with(1).said();
        assert!(said.contains(what), "{said}");
        assert!(!tpm.left_behind().contains("0x"));
    };
    let value = pcr_7(&tpm);
    for policies in [vec![], vec![other.sign("boot", &value)], vec![signer.sign("other", &value)]] {
        signer.write(&policies);
        refused("no signed policy in");
    }
    fs::write(signer.file("policies.json"), "[{}]").unwrap();
    refused("does not serve");
    fs::remove_file(signer.file("policies.json")).unwrap();
    refused("cannot be read");
    fs::copy(other.file("public.json"), signer.file("public.json")).unwrap();
    refused("its key is not the one that the binding was made for");
}

/// A file for several machines may speak of banks that this one does not have.
#[test]
fn a_policy_of_another_bank_shuts_no_other() {
    let (signer, tpm) = (Signer::new("RSASSA"), Swtpm::start());
    let jwe = Side::Ours.encrypt(&tpm, "tpm2plus", &signer.config(""));
    let (unknown, here) = (signer.sign_in((0x12, "sm3_256"), "", &[0; 32]), signer.sign("", &pcr_7(&tpm)));
    signer.write(&[unknown.clone(), here]);
    assert_eq!(Side::Ours.decrypt(&tpm, &jwe).succeeded().stdout, PLAINTEXT);
    signer.write(&[unknown]);
    let said = Side::Ours.decrypt(&tpm, &jwe).failed_with(1).said();
    assert!(said.contains("no signed policy in"), "{said}");
}

/// A TPM says no more than a number: what that is about is said as of a binding of the pin `tpm2`.
#[test]
fn what_the_tpm_refuses_is_named() {
    let (signer, tpm) = (Signer::new("RSASSA"), Swtpm::start());
    signer.write(&[signer.sign("", &pcr_7(&tpm))]);
    let jwe = Side::Ours.encrypt(&tpm, "tpm2plus", &signer.config(""));
    let refused = |command: usize, code: [u8; 2], expected: &str| {
        let refusal = [&b"\x80\x01\0\0\0\x0a\0\0"[..], &code].concat();
        let answers = move |number, answer| if number == command { refusal.clone() } else { answer };
        let line = Eavesdropper::changing(&tpm, Box::new(answers));
        let decrypt = Program::cotter().arg("decrypt").input(jwe.clone()).env(TCTI, line.place());
        let said = decrypt.run().failed_with(1).said();
        assert!(said.contains(expected), "{said}");
    };
    // The PCR was extended since it was read: TPM_RC_VALUE of PolicyAuthorize, TPM_RC_POLICY_FAIL of Unseal.
    refused(9, [1, 0xc4], "the PCRs sha256:7 are not what they were");
    refused(10, [9, 0x9d], "the PCRs sha256:7 are not what they were");
    // TPM_RC_SIZE of Load.
    refused(6, [1, 0xd5], "the binding is damaged");
}

/// The parent is the original's, and so is what is said of it: before the TPM locks, and for how long it has.
#[test]
fn a_lockout_is_told_before_it_comes_and_then_how_long() {
    let (signer, tpm) = (Signer::new("RSASSA"), Swtpm::start());
    signer.write(&[signer.sign("", &pcr_7(&tpm))]);
    let disk = Disk::of(Maker::Theirs, Version::Luks2);
    let bound = tpm.give(disk.bind_program(Maker::Ours, "tpm2plus", &signer.config(""))).succeed();
    let told = || tpm.give(disk.cotter(["unlock", "--test-passphrase"])).run();
    assert!(!bound.said().contains("failures"));
    tpm.locks_and_it_is_told(&told);
}

/// No more is sent than is documented, and no key in clear.
#[test]
fn no_more_commands_than_are_documented() {
    const OPENING: [u32; 14] = [
        0x131, // CreatePrimary
        0x176, // StartAuthSession
        0x167, // LoadExternal
        0x17e, // PCR_Read
        0x177, // VerifySignature
        0x165, // FlushContext
        0x157, // Load
        0x176, // StartAuthSession
        0x17f, // PolicyPCR
        0x16a, // PolicyAuthorize
        0x15e, // Unseal
        0x165, // FlushContext
        0x165, // FlushContext
        0x17a, // GetCapability
    ];
    let (signer, tpm) = (Signer::new("RSASSA"), Swtpm::start());
    // A TPM that has just started tests itself first, and wants its first commands twice.
    Side::Ours.encrypt(&tpm, "tpm2plus", &signer.config(""));
    let line = Eavesdropper::listening(&tpm);
    let encrypt = Program::cotter().args(["encrypt", "tpm2plus", &signer.config("")]);
    let jwe = encrypt.input(PLAINTEXT).env(TCTI, line.place()).succeed().stdout;
    assert_eq!(line.commands(), [0x131, 0x176, 0x153, 0x165]);
    signer.write(&[signer.sign("", &pcr_7(&tpm))]);
    let opening = Eavesdropper::listening(&tpm);
    let decrypt = Program::cotter().arg("decrypt").input(jwe.clone()).env(TCTI, opening.place());
    assert_eq!(decrypt.succeed().stdout, PLAINTEXT);
    assert_eq!(opening.commands(), OPENING);
    for heard in [line.heard(), opening.heard()] {
        assert!(!heard.windows(6).any(|part| part == b"\"kty\":"));
    }
}

/// Of what the signer's file decides no more is known than whether it is this TPM, and what is to be done for the next boot.
#[test]
fn what_the_file_decides_is_said() {
    let (signer, tpm) = (Signer::new("RSASSA"), Swtpm::start());
    signer.write(&[signer.sign("", &pcr_7(&tpm))]);
    let disk = Disk::formatted(Maker::Ours);
    let on = |tpm: &Swtpm, words: &[&str]| tpm.give(Program::cotter()).args(words).arg("-d").arg(disk.path());
    let bind = on(&tpm, &["luks", "bind", "-y", "-s", "1"]).arg("-k").arg(disk.passphrase_file());
    bind.args(["tpm2plus", &signer.config("")]).succeed();
    let explain = |tpm: &Swtpm| {
        let ended = on(tpm, &["tpm", "explain", "-s", "1"]).run();
        (ended.status.code(), ended.text())
    };
    let (code, text) = explain(&tpm);
    assert!(code == Some(1) && text.contains("tpm2plus it does not tell what it compares the PCRs with"), "{text}");
    let (code, text) = explain(&Swtpm::start());
    assert!(code == Some(3) && text.contains("another TPM sealed it"), "{text}");
    let said = on(&tpm, &["luks", "reseal", "--dry-run"]).run().said();
    assert!(said.contains("keyslot 1 (tpm2plus) opens for what is signed in its file"), "{said}");
}

/// That program says of both together that it is not implemented; so does ours, before anything is sealed.
#[test]
fn pcrs_beside_a_signed_policy_are_refused_by_both() {
    let (signer, tpm) = (Signer::new("RSASSA"), Swtpm::start());
    let config = signer.config("").replacen('{', r#"{"pcr_ids":"7","#, 1);
    for side in SIDES {
        let program = side.program(&tpm).arg("encrypt");
        let program = if side == Side::Ours { program.arg("tpm2plus") } else { program };
        assert!(!program.arg(&config).input(PLAINTEXT).run().status.success(), "{}", side.name());
    }
}
