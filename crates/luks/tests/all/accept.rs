//! Every reason for which a header is refused, each made by hand.

use crate::support::*;
use block::MemoryDisk;
use luks::*;

fn judge(bytes: &[u8], from: &str, to: &str, allowed: &Allowed) -> Result<Accepted, Refused> {
    let disk = MemoryDisk::from(with_json(bytes, from, to));
    Header::read(&disk).unwrap_or_else(|e| panic!("{}", chain(&e))).accept(allowed)
}

/// Replaces `from` by `to` and expects exactly this refusal.
fn check(bytes: &[u8], from: &str, to: &str, expected: &str) {
    let refused = judge(bytes, from, to, &Allowed::default()).expect_err(expected);
    assert_eq!(refused.to_string(), expected);
    assert!(!refused.hint().is_empty());
}

#[test]
fn each_refusal_about_the_data() {
    let bytes = volume(small_options()).disk.to_vec();
    let check = |from: &str, to: &str, expected: &str| check(&bytes, from, to, expected);
    let config = |more: &str| format!("\"config\":{{\"requirements\":{{\"mandatory\":[{more}]}},");
    check(
        "\"config\":{",
        &config("\"inline-hw-opal\""),
        "the header requires \"inline-hw-opal\", which is not known here",
    );
    let contradicts = "the header contradicts itself about a reencryption";
    for name in ["online-reencrypt", "online-reencrypt-v2", "online-reencrypt-v3"] {
        check("\"config\":{", &config(&format!("\"{name}\"")), contradicts);
    }
    let offline = "the volume is being reencrypted by cryptsetup-reencrypt";
    check("\"config\":{", &config("\"offline-reencrypt\""), offline);
    let second = "\"1\":{\"type\":\"linear\",\"offset\":\"2097152\",\"size\":\"dynamic\"},\"0\":{\"type\":\"crypt\"";
    check("\"0\":{\"type\":\"crypt\"", second, "the header has 2 segments, not one");
    check("\"type\":\"crypt\"", "\"type\":\"linear\"", "the data is of type \"linear\", not \"crypt\"");
    let flags = "\"type\":\"crypt\",\"flags\":[\"in-reencryption\"]";
    check("\"type\":\"crypt\"", flags, "the data is marked \"in-reencryption\"");
    let integrity = "\"type\":\"crypt\",\"integrity\":{\"type\":\"hmac(sha256)\"}";
    check("\"type\":\"crypt\"", integrity, "the data has authentication tags, which is not supported yet");
    let apart = "the header is kept apart from its data, which is not on this disk";
    check("\"offset\":\"1048576\"", "\"offset\":\"0\"", apart);
    let cipher = "\"iv_tweak\":\"0\",\"encryption\":\"aes-xts-plain64\"";
    let other = |name: &str| format!("\"iv_tweak\":\"0\",\"encryption\":\"{name}\"");
    for null in ["cipher_null-ecb", "null", "capi:ecb(cipher_null)-plain"] {
        check(cipher, &other(null), &format!("the data would not be encrypted at all ({null:?})"));
    }
    for name in ["", "aes-xts-plain", "aes-ecb", "serpent-xts-plain64", "capi:xts(aes)-plain64", "AES-XTS-PLAIN64"] {
        check(cipher, &other(name), &format!("the cipher {name:?} of the data is not allowed"));
    }
    let essiv = "the data has a key of 64 bytes, which aes-cbc-essiv:sha256 does not take";
    check(cipher, &other("aes-cbc-essiv:sha256"), essiv);
    for size in [1536, 8192, 4_294_966_784u32] {
        let expected = format!("the sector size {size} is not 512, 1024, 2048 or 4096");
        check("\"sector_size\":4096", &format!("\"sector_size\":{size}"), &expected);
    }
}

#[test]
fn each_refusal_about_the_digest() {
    let bytes = volume(small_options()).disk.to_vec();
    let check = |from: &str, to: &str, expected: &str| check(&bytes, from, to, expected);
    let none = "no digest covers the data, so no key could be known to be right";
    // cryptsetup calls this one wrong already; for us it is not allowed.
    check("\"segments\":[\"0\"]", "\"segments\":[]", none);
    let second = r#""digests":{"7":{"type":"pbkdf2","keyslots":[],"segments":["0"],"hash":"sha256","iterations":1000,"salt":"","digest":""},"#;
    check("\"digests\":{", second, "several digests cover the data");
    let second = second.replace("\"keyslots\":[]", "\"keyslots\":[\"0\"]").replace("[\"0\"],\"hash", "[],\"hash");
    check("\"digests\":{", &second, "several digests cover slot 0");
    let digest = "{\"type\":\"pbkdf2\",\"keyslots\"";
    check(digest, "{\"type\":\"x\",\"keyslots\"", "the digest is of the unknown type \"x\"");
    let hash = "\"hash\":\"sha256\",\"iterations\":1000,\"salt\":";
    let json = json_of(&bytes, 0);
    let digest = &json[json.find("\"digests\"").unwrap()..];
    let with = |to: &str| digest.replacen(hash, to, 1);
    check(
        digest,
        &with("\"hash\":\"md5\",\"iterations\":1000,\"salt\":"),
        "the hash \"md5\" of the data is not allowed",
    );
    let few = "the data has 999 iterations of PBKDF2, fewer than 1000";
    check(digest, &with("\"hash\":\"sha256\",\"iterations\":999,\"salt\":"), few);
    let many = "the data has 4294967295 iterations of PBKDF2, more than 200000000";
    check(digest, &with("\"hash\":\"sha256\",\"iterations\":4294967295,\"salt\":"), many);
    let (start, end) = digest.split_once("\"digest\":\"").unwrap();
    let rest = end.split_once('"').unwrap().1;
    for (bytes, text) in [(0, String::new()), (19, format!("{}AA==", "AAAA".repeat(6))), (66, "AAAA".repeat(22))] {
        let to = format!("{start}\"digest\":\"{text}\"{rest}");
        check(digest, &to, &format!("the digest has {bytes} bytes, not 20 to 64"));
    }
}

#[test]
fn each_refusal_about_a_slot() {
    let bytes = volume(small_options()).disk.to_vec();
    let check_pbkdf2 = |from: &str, to: &str, expected: &str| check(&bytes, from, to, expected);
    let kind = "{\"type\":\"luks2\",\"key_size\"";
    check_pbkdf2(kind, "{\"type\":\"luks3\",\"key_size\"", "slot 0 is of the unknown type \"luks3\"");
    let reencrypts = "the header contradicts itself about a reencryption";
    check_pbkdf2(kind, "{\"type\":\"reencrypt\",\"key_size\"", reencrypts);
    check_pbkdf2("\"stripes\":4000", "\"stripes\":1", "slot 0 has 1 stripes, not 4000");
    check_pbkdf2("\"stripes\":4000", "\"stripes\":0", "slot 0 has 0 stripes, not 4000");
    let af = "\"stripes\":4000,\"hash\":\"sha256\"";
    check_pbkdf2(af, "\"stripes\":4000,\"hash\":\"md5\"", "the hash \"md5\" of slot 0 is not allowed");
    let area = "\"encryption\":\"aes-xts-plain64\",\"key_size\":64},";
    let null = "\"encryption\":\"cipher_null-ecb\",\"key_size\":64},";
    check_pbkdf2(area, null, "slot 0 would not be encrypted at all (\"cipher_null-ecb\")");
    let other = "\"encryption\":\"aes-lrw-plain\",\"key_size\":64},";
    check_pbkdf2(area, other, "the cipher \"aes-lrw-plain\" of slot 0 is not allowed");
    let short = "\"encryption\":\"aes-xts-plain64\",\"key_size\":16},";
    check_pbkdf2(area, short, "slot 0 has a key of 16 bytes, which aes-xts-plain64 does not take");
    for len in [0, 1, 16, 63] {
        let key = format!("\"type\":\"luks2\",\"key_size\":{len},");
        let expected = format!("the data has a key of {len} bytes, which aes-xts-plain64 does not take");
        check_pbkdf2("\"type\":\"luks2\",\"key_size\":64,", &key, &expected);
    }
    let kdf = "\"kdf\":{\"type\":\"pbkdf2\",\"hash\":\"sha256\",\"iterations\":1000";
    let with = |hash: &str, n: u32| format!("\"kdf\":{{\"type\":\"pbkdf2\",\"hash\":\"{hash}\",\"iterations\":{n}");
    check_pbkdf2(kdf, &with("md5", 1000), "the hash \"md5\" of slot 0 is not allowed");
    check_pbkdf2(kdf, &with("sha256", 999), "slot 0 has 999 iterations of PBKDF2, fewer than 1000");
    check_pbkdf2(kdf, &with("sha256", 0), "slot 0 has 0 iterations of PBKDF2, fewer than 1000");
    let many = "slot 0 has 200000001 iterations of PBKDF2, more than 200000000";
    check_pbkdf2(kdf, &with("sha256", 200_000_001), many);

    let kdf = argon2(crypto::kdf::Argon2Variant::Argon2id);
    let bytes = volume(FormatOptions { kdf, ..small_options() }).disk.to_vec();
    let cost = |time: u32, memory: u32, cpus: u32| format!("\"time\":{time},\"memory\":{memory},\"cpus\":{cpus},");
    let check_argon2 =
        |time, memory, cpus, expected: &str| check(&bytes, &cost(4, 64, 2), &cost(time, memory, cpus), expected);
    check_argon2(4, 4_194_305, 2, "slot 0 wants 4194305 KiB of memory for Argon2, more than 4194304");
    check_argon2(101, 64, 2, "slot 0 wants 101 passes of Argon2, more than 100");
    check_argon2(4, 4096, 65, "slot 0 wants 65 lanes of Argon2, more than 64");
    let little = "the cost of Argon2 of slot 0 is less than there can be";
    check_argon2(0, 64, 2, little);
    check_argon2(4, 64, 0, little);
    check_argon2(4, 15, 2, little);
    check_argon2(4, 0, 1, little);
}

#[test]
fn the_bounds_can_be_set() {
    let kdf = argon2(crypto::kdf::Argon2Variant::Argon2id);
    let bytes = volume(FormatOptions { kdf, ..small_options() }).disk.to_vec();
    let with = |allowed: Allowed| judge(&bytes, "{", "{", &allowed);
    assert!(with(Allowed { argon2_memory_kib: 64, argon2_passes: 4, argon2_lanes: 2, ..Allowed::default() }).is_ok());
    let refused = with(Allowed { argon2_memory_kib: 63, ..Allowed::default() }).unwrap_err();
    assert_eq!(refused, Refused::Argon2Memory { slot: slot(0), found_kib: 64, most_kib: 63 });
    assert!(matches!(with(Allowed { argon2_passes: 3, ..Allowed::default() }), Err(Refused::Argon2Passes { .. })));
    assert!(matches!(with(Allowed { argon2_lanes: 1, ..Allowed::default() }), Err(Refused::Argon2Lanes { .. })));
    let few = Allowed { pbkdf2_iterations: 999, ..Allowed::default() };
    assert!(matches!(with(few), Err(Refused::TooManyIterations { slot: None, .. })));
}
