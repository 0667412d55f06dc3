//! LUKS2 in the shapes that cryptsetup and others give it: reencryption under way, tokens of every kind, headers kept apart,
//! slots that want more memory than there is.

use crate::support::*;
use block::{BlockRead, Bytes, MemoryDisk};
use crypto::SystemRandom;
use crypto::kdf::{Argon2Cost, Argon2Variant};
use json::{Limits, Object};
use luks::*;

const MIB: u64 = 1 << 20;

fn refused(disk: &dyn BlockRead) -> Refused {
    let any = Allowed { data: DataPlace::OtherDisk, ..Allowed::default() };
    Header::read(disk).unwrap().accept(&any).unwrap_err()
}

fn reencrypt(args: &[&str], file: &TestFile) {
    let mut all = vec!["reencrypt", "-q", "--init-only", "--key-file=-"];
    all.extend(TINY_PBKDF2);
    all.extend(args);
    all.push(file.name());
    cryptsetup(&all, "one").unwrap();
}

#[test]
fn each_state_of_a_reencryption_is_named_with_the_way_out() {
    let check = |disk: &MemoryDisk, expected: Reencryption, way_out: &str| {
        let refused = refused(disk);
        assert_eq!(refused, Refused::Reencryption { state: expected });
        assert!(refused.hint().contains(way_out), "{}", refused.hint());
    };
    let resume = "cryptsetup reencrypt --resume-only DEVICE";
    for resilience in ["none", "checksum", "journal"] {
        let file = they_format(&TINY_PBKDF2, 24 * MIB);
        reencrypt(&["--resilience", resilience], &file);
        check(&file.disk(), Reencryption::Reencrypting, resume);
        // The requirement of cryptsetup before 2.4, and one that is still to come.
        let json = |to: &str| MemoryDisk::from(with_json(&file.bytes(), "\"online-reencrypt-v2\"", to));
        check(&json("\"online-reencrypt\""), Reencryption::Unprotected, "cryptsetup repair DEVICE");
        check(&json("\"online-reencrypt-v9\""), Reencryption::Reencrypting, resume);
        // Somebody has taken it out.
        check(&json(""), Reencryption::Contradictory, "cotter luks restore");
        let unknown = refused(&json("\"online-reencrypt-v2\",\"inline-hw-tags\""));
        assert_eq!(unknown, Refused::Requirement { name: "inline-hw-tags".into() });
    }
    let file = TestFile::zeroed(24 * MIB);
    let header = TestFile::absent();
    reencrypt(&["--encrypt", "--type", "luks2", "--header", header.name()], &file);
    check(&header.disk(), Reencryption::Encrypting, resume);

    let file = they_format(&TINY_PBKDF2, 24 * MIB);
    let header = TestFile::absent();
    reencrypt(&["--decrypt", "--force-offline-reencrypt", "--header", header.name()], &file);
    check(&header.disk(), Reencryption::Decrypting, resume);

    // The old program for LUKS2 marked the header, and kept its state in files.
    let bytes = volume(small_options()).disk.to_vec();
    let config = "\"config\":{\"requirements\":{\"mandatory\":[\"offline-reencrypt\"]},";
    let marked = MemoryDisk::from(with_json(&bytes, "\"config\":{", config));
    check(&marked, Reencryption::Offline, "cryptsetup-reencrypt DEVICE");
    let only_slot = "{\"type\":\"reencrypt\",\"key_size\"";
    let forged = MemoryDisk::from(with_json(&bytes, "{\"type\":\"luks2\",\"key_size\"", only_slot));
    check(&forged, Reencryption::Contradictory, "cotter luks restore");
    assert_eq!(refused(&forged).to_string(), "the header contradicts itself about a reencryption");
}

/// As systemd-cryptenroll and cryptsetup write them; an edit leaves each as it is.
#[test]
fn tokens_of_every_kind_are_named_and_kept() {
    let tokens = [
        (
            r#"{"type":"luks2-keyring","keyslots":["0"],"key_description":"some key"}"#,
            TokenKind::Luks2Keyring { description: Some("some key".into()) },
        ),
        (
            r#"{"type":"systemd-tpm2","keyslots":["0"],"tpm2-blob":"AJ4A","tpm2-pcrs":[7],"tpm2-pcr-bank":"sha256","tpm2-primary-alg":"ecc","tpm2-policy-hash":"2f6d","tpm2-pin":false}"#,
            TokenKind::SystemdTpm2,
        ),
        (
            r#"{"type":"systemd-fido2","keyslots":["0"],"fido2-credential":"AJ4A","fido2-salt":"AJ4A","fido2-rp":"io.systemd.cryptsetup","fido2-clientPin-required":true,"fido2-up-required":true,"fido2-uv-required":false}"#,
            TokenKind::SystemdFido2,
        ),
        (
            r#"{"type":"systemd-pkcs11","keyslots":["0"],"pkcs11-uri":"pkcs11:token=x","pkcs11-key":"AJ4A"}"#,
            TokenKind::SystemdPkcs11,
        ),
        (r#"{"type":"systemd-recovery","keyslots":["0"]}"#, TokenKind::SystemdRecovery),
        (r#"{"type":"clevis","keyslots":["0"],"jwe":{"protected":"e30"}}"#, TokenKind::Clevis),
        (r#"{"type":"somebody's","keyslots":[],"deep":[{"a":null}]}"#, TokenKind::Other),
    ];
    let file = they_format(&TINY_PBKDF2, 20 * MIB);
    for (json, _) in &tokens {
        cryptsetup(&["token", "import", file.name()], json).unwrap();
    }
    let disk = file.disk();
    let header = accepted(&disk);
    let (_, key) = open_any(&disk, &header, &passphrase("one")).unwrap();
    let mut edit = Edit::new(&header, &SystemRandom).unwrap();
    let two = passphrase("two");
    let new = NewKeyslot { key: &key, passphrase: &two, slot: None, kdf: pbkdf2(), af_hash: crypto::Hash::Sha256 };
    edit.add_keyslot(&new).unwrap();
    edit.set_label("x").unwrap();
    edit.set_flags(&[Flag::AllowDiscards]).unwrap();
    edit.apply(&disk).unwrap();
    let header = Luks2::read(&disk).unwrap();
    let found: Vec<TokenKind> = header.metadata().tokens.values().map(Token::recognised).collect();
    assert_eq!(found, tokens.each_ref().map(|(_, kind)| kind.clone()));
    file.set(&disk);
    for (number, (json, _)) in tokens.iter().enumerate() {
        let number = number.to_string();
        let exported = cryptsetup(&["token", "export", "--token-id", &number, file.name()], "").unwrap();
        assert_eq!(&exported, json);
    }
}

#[test]
fn a_header_apart_from_its_data_opens_and_is_changed() {
    for (offset, sector) in [("0", "4096"), ("4096", "4096"), ("2048", "512")] {
        let data = TestFile::zeroed(4 * MIB);
        let header = TestFile::absent();
        let mut args = vec!["luksFormat", "-q", "--type", "luks2", "--key-file=-", "--header", header.name()];
        args.extend(["--offset", offset, "--sector-size", sector]);
        args.extend(TINY_PBKDF2);
        args.push(data.name());
        cryptsetup(&args, "one").unwrap();
        let disk = header.disk();
        let offset = Bytes(offset.parse::<u64>().unwrap() * 512);
        let behind = Header::read(&disk).unwrap().accept(&Allowed::default());
        assert_eq!(behind.is_err(), offset == Bytes(0), "only an offset of 0 tells that the header is kept apart");
        let apart = Allowed { data: DataPlace::OtherDisk, ..Allowed::default() };
        let accepted = || Header::read(&disk).unwrap().accept(&apart).unwrap();
        let before = accepted();
        let (_, key) = open_any(&disk, &before, &passphrase("one")).unwrap();
        let plain = Plain::new(data.disk(), &before, &key).unwrap();
        assert_eq!((plain.len(), before.data().offset), (Bytes(4 * MIB - offset.0), offset));

        let mut edit = Edit::new(&before, &SystemRandom).unwrap();
        let two = passphrase("two");
        let new = NewKeyslot { key: &key, passphrase: &two, slot: None, kdf: pbkdf2(), af_hash: crypto::Hash::Sha256 };
        edit.add_keyslot(&new).unwrap();
        edit.remove_keyslot(slot(0)).unwrap();
        edit.apply(&disk).unwrap();
        header.set(&disk);
        let test = ["open", "--test-passphrase", "--key-file=-", "--header", header.name(), data.name()];
        assert!(cryptsetup(&test, "two").is_ok() && cryptsetup(&test, "one").is_err());
        assert_eq!(open_any(&disk, &accepted(), &two).unwrap().0, slot(1));
    }
}

#[test]
fn a_slot_that_takes_more_memory_than_is_free_is_not_tried() {
    let kdf = KdfCost::Argon2 {
        variant: Argon2Variant::Argon2id,
        cost: Argon2Cost { memory_kib: 2048, passes: 4, lanes: 2 },
    };
    let Volume { disk, key } = volume(FormatOptions { kdf, ..small_options() });
    let with = |free: u64| {
        let allowed = Allowed { free_memory_kib: Some(free), ..Allowed::default() };
        Header::read(&disk).unwrap().accept(&allowed).unwrap()
    };
    // 4000 stripes of 64 bytes are 250 KiB.
    let header = with(2297);
    assert_eq!((header.memory_kib(slot(0)), header.memory_kib(slot(1))), (Some(2298), None));
    let error = open_keyslot(&disk, &header, slot(0), &passphrase("one")).unwrap_err();
    assert!(matches!(error, OpenError::NotEnoughMemory { needed_kib: 2298, free_kib: 2297, .. }));
    assert_eq!(error.to_string(), "slot 0 takes 2298 KiB of memory, and 2297 KiB are free");
    assert!(error.hint().unwrap().contains("give the machine more memory"));
    // Not even a wrong passphrase is.
    let any = open_any(&disk, &header, &passphrase("wrong")).unwrap_err();
    assert!(matches!(any, OpenError::NotEnoughMemory { .. }), "{any}");
    assert!(open_keyslot(&disk, &with(2298), slot(0), &passphrase("one")).is_ok());

    // One that takes less opens all the same.
    let two = passphrase("two");
    let mut edit = Edit::new(&header, &SystemRandom).unwrap();
    let new = NewKeyslot { key: &key, passphrase: &two, slot: None, kdf: pbkdf2(), af_hash: crypto::Hash::Sha256 };
    edit.add_keyslot(&new).unwrap();
    edit.apply(&disk).unwrap();
    let header = with(300);
    assert_eq!(header.memory_kib(slot(1)), Some(250));
    assert_eq!(open_any(&disk, &header, &two).unwrap().0, slot(1));
}

/// What is not known is kept all the same, where a change is possible at all.
#[test]
fn objects_with_members_of_the_future_are_kept() {
    let Volume { disk, .. } = volume(small_options());
    let bytes = with_json(&disk.to_vec(), "\"segments\":{\"0\":{", "\"segments\":{\"0\":{\"later\":[1,{}],");
    let bytes = with_json(&bytes, "\"digests\":{\"0\":{", "\"digests\":{\"0\":{\"later\":\"x\",");
    let disk = MemoryDisk::from(bytes);
    let header = accepted(&disk);
    let mut edit = Edit::new(&header, &SystemRandom).unwrap();
    let token: Object =
        json::parse(br#"{"type":"x","keyslots":[]}"#, &Limits::SMALL).unwrap().as_object().unwrap().clone();
    edit.add_token(None, token).unwrap();
    edit.set_priority(slot(0), Priority::Prefer).unwrap();
    edit.apply(&disk).unwrap();
    let json = json_of(&disk.to_vec(), 0);
    assert!(json.contains("\"0\":{\"later\":[1,{}],") && json.contains("\"0\":{\"later\":\"x\","), "{json}");
}
