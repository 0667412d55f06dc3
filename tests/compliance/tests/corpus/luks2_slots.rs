//! Faults of the keyslots of LUKS2: names, areas, splitter, ciphers, costs. The checksums are right.

use crate::base::Base;
use crate::case::{Case, Fault, judge};
use crate::fault::{edit, renamed, set, without};
use crate::image::{BOTH, Image};
use crate::ledger::{COSTS, LIST, MEMBERS, SLOT, STRIPES, TWICE};

use crate::verdict::Verdict::{Endless, Opens, Shows};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pbkdf2::pbkdf2_hmac;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// A member of slot 0.
fn slot(member: &'static str, value: Value) -> Fault {
    edit(move |json| json["keyslots"]["0"][member] = value.clone())
}

fn area(member: &'static str, value: Value) -> Fault {
    edit(move |json| json["keyslots"]["0"]["area"][member] = value.clone())
}

fn kdf(member: &'static str, value: Value) -> Fault {
    edit(move |json| json["keyslots"]["0"]["kdf"][member] = value.clone())
}

fn af(member: &'static str, value: Value) -> Fault {
    edit(move |json| json["keyslots"]["0"]["af"][member] = value.clone())
}

#[test]
fn luks2_slots() {
    judge(slots());
}

pub fn slots() -> Vec<Case> {
    let mut cases = vec![
        Case::shut("luks2_no_slot", no_slot, "there is no slot"),
        Case::refused("luks2_slot_a_string", set("/keyslots/0", json!("x")), "is not an object"),
        Case::refused("luks2_slot_named_a", slot_named("a"), "not named by a number"),
        Case::refused("luks2_slot_named_00", slot_named("00"), "not named by a number"),
        Case::refused("luks2_slot_named_32", slot_named("32"), "not named by a number").but_theirs(Opens, TWICE),
        Case::refused("luks2_slot_named_4294967296", slot_named("4294967296"), "not named by a number"),
        Case::refused("luks2_slot_named_minus_1", slot_named("-1"), "not named by a number"),
        Case::refused("luks2_slot_named_nothing", slot_named(""), "not named by a number"),
        Case::borne("luks2_slot_named_31", slot_named("31")),
        Case::shut("luks2_slot_of_an_unknown_type", slot("type", json!("luks3")), "unknown type"),
        Case::refused("luks2_slot_type_a_number", slot("type", json!(2)), "is not a string"),
        Case::shut("luks2_slot_key_size_0", slot("key_size", json!(0)), "a key of 0 bytes"),
        Case::shut("luks2_slot_key_size_1", slot("key_size", json!(1)), "a key of 1 bytes"),
        Case::shut("luks2_slot_key_size_16", slot("key_size", json!(16)), "a key of 16 bytes"),
        Case::refused("luks2_slot_key_size_64", slot("key_size", json!(64)), "too small for its stripes")
            .but_theirs(Shows, STRIPES),
        Case::refused(
            "luks2_slot_key_size_2_to_the_31",
            slot("key_size", json!(1u64 << 31)),
            "too small for its stripes",
        )
        .but_theirs(Shows, STRIPES),
        Case::refused("luks2_slot_key_size_2_to_the_32", slot("key_size", json!(1u64 << 32)), "below 2^32"),
        Case::refused("luks2_slot_key_size_negative", slot("key_size", json!(-32)), "is not a whole number"),
        Case::refused("luks2_slot_key_size_text", slot("key_size", json!("32")), "is not a whole number"),
        Case::refused("luks2_slot_priority_3", slot("priority", json!(3)), "priority is not 0, 1 or 2")
            .but_theirs(Shows, MEMBERS),
        Case::refused("luks2_slot_priority_negative", slot("priority", json!(-1)), "priority")
            .but_theirs(Shows, MEMBERS),
        Case::refused("luks2_slot_priority_text", slot("priority", json!("normal")), "priority")
            .but_theirs(Shows, MEMBERS),
        Case::borne("luks2_slot_priority_2", slot("priority", json!(2))),
        Case::shut("luks2_slot_priority_0", slot("priority", json!(0)), "opens none of 1 slots"),
        Case::borne("luks2_slot_with_more", slot("more", json!({"x": [1]}))),
    ];
    for (name, member) in [
        ("luks2_slot_without_type", "/keyslots/0/type"),
        ("luks2_slot_without_key_size", "/keyslots/0/key_size"),
        ("luks2_slot_without_af", "/keyslots/0/af"),
        ("luks2_slot_without_area", "/keyslots/0/area"),
        ("luks2_slot_without_kdf", "/keyslots/0/kdf"),
        ("luks2_area_without_type", "/keyslots/0/area/type"),
        ("luks2_area_without_offset", "/keyslots/0/area/offset"),
        ("luks2_area_without_size", "/keyslots/0/area/size"),
        ("luks2_area_without_encryption", "/keyslots/0/area/encryption"),
        ("luks2_area_without_key_size", "/keyslots/0/area/key_size"),
        ("luks2_af_without_type", "/keyslots/0/af/type"),
        ("luks2_af_without_hash", "/keyslots/0/af/hash"),
        ("luks2_af_without_stripes", "/keyslots/0/af/stripes"),
        ("luks2_kdf_without_type", "/keyslots/0/kdf/type"),
        ("luks2_kdf_without_salt", "/keyslots/0/kdf/salt"),
        ("luks2_kdf_without_hash", "/keyslots/0/kdf/hash"),
        ("luks2_kdf_without_iterations", "/keyslots/0/kdf/iterations"),
    ] {
        cases.push(Case::refused(name, without(member), "is missing"));
    }
    cases
}

fn no_slot(image: &mut Image) {
    image.edit(&BOTH, |json| {
        json["keyslots"] = json!({});
        json["tokens"] = json!({});
        json["digests"]["0"]["keyslots"] = json!([]);
    });
}

/// Slot 0 by another name, everywhere.
fn slot_named(name: &'static str) -> Fault {
    Box::new(move |image| {
        renamed("/keyslots/0", name)(image);
        set("/tokens/0/keyslots", json!([name]))(image);
        set("/digests/0/keyslots", json!([name, "1"]))(image);
    })
}

#[test]
fn luks2_areas() {
    judge(areas());
}

pub fn areas() -> Vec<Case> {
    const OUTSIDE: &str = "does not lie in the keyslots area";
    const TEXT: &str = "whole number written as a string";
    const RANGE: &str = "ends below 2^64";
    let offset = |value| area("offset", json!(value));
    let size = |value| area("size", json!(value));
    let cipher = |value| area("encryption", json!(value));
    vec![
        Case::refused("luks2_area_an_array", slot("area", json!([])), "is not an object"),
        Case::refused("luks2_area_offset_0", offset("0"), OUTSIDE),
        Case::refused("luks2_area_offset_in_the_second_copy", offset("16384"), OUTSIDE),
        Case::refused("luks2_area_offset_before_the_keyslots_area", offset("28672"), OUTSIDE),
        Case::refused("luks2_area_offset_behind_the_keyslots_area", offset("819200"), OUTSIDE),
        Case::refused("luks2_area_offset_at_the_end_of_the_keyslots_area", offset("692224"), OUTSIDE),
        Case::refused("luks2_area_offset_in_the_data", offset("1048576"), OUTSIDE),
        Case::refused("luks2_area_offset_behind_the_disk", offset("1073741824"), OUTSIDE),
        Case::refused("luks2_area_offset_overflows", offset("18446744073709551615"), RANGE),
        Case::refused("luks2_area_offset_2_to_the_64", offset("18446744073709551616"), TEXT),
        Case::refused("luks2_area_offset_negative", offset("-32768"), TEXT),
        Case::refused("luks2_area_offset_a_number", area("offset", json!(32768)), TEXT),
        Case::refused("luks2_area_offset_empty", offset(""), TEXT),
        Case::refused("luks2_area_offset_of_another_slot", offset("163840"), "overlaps that of slot 0"),
        Case::refused("luks2_area_overlaps_by_a_byte", area_of_slot_1_overlaps, "overlaps that of slot 0"),
        Case::shut("luks2_area_with_other_content", offset("294912"), "opens none of"),
        Case::refused("luks2_area_size_0", size("0"), "at least one byte"),
        Case::refused("luks2_area_size_1", size("1"), "too small for its stripes").but_theirs(Opens, STRIPES),
        Case::refused("luks2_area_size_too_small_by_a_byte", size("127999"), "too small for its stripes")
            .but_theirs(Opens, STRIPES),
        Case::refused("luks2_area_size_into_the_next", size("135168"), "overlaps that of slot 0"),
        Case::refused("luks2_area_size_overflows", size("18446744073709551615"), RANGE),
        Case::refused("luks2_area_size_2_to_the_64", size("18446744073709551616"), TEXT),
        Case::refused("luks2_area_size_a_number", area("size", json!(131_072)), TEXT),
        Case::refused("luks2_area_of_an_unknown_type", area("type", json!("journal")), "is not \"raw\""),
        Case::shut("luks2_area_key_size_0", area("key_size", json!(0)), "a key of 0 bytes"),
        Case::shut("luks2_area_key_size_16", area("key_size", json!(16)), "a key of 16 bytes"),
        Case::refused("luks2_area_key_size_negative", area("key_size", json!(-1)), "is not a whole number")
            .but_theirs(Shows, MEMBERS),
        Case::refused("luks2_area_key_size_2_to_the_32", area("key_size", json!(1u64 << 32)), "below 2^32")
            .but_theirs(Shows, MEMBERS),
        Case::shut("luks2_area_null_cipher", cipher("cipher_null-ecb"), "would not be encrypted at all"),
        Case::shut("luks2_key_material_for_any_passphrase", any_passphrase_opens, "would not be encrypted at all"),
        Case::shut("luks2_area_capi_cipher", cipher("capi:xts(aes)-plain64"), "is not allowed").or_theirs(Opens, LIST),
        Case::shut("luks2_area_cipher_unknown", cipher("aes-xts-plain65"), "is not allowed"),
        Case::shown("luks2_area_cipher_empty", cipher(""), "is not allowed"),
        Case::shut("luks2_area_cipher_without_mode", cipher("aes"), "is not allowed"),
        Case::refused("luks2_area_cipher_a_number", area("encryption", json!(1)), "is not a string"),
        Case::shut(
            "luks2_null_cipher_in_the_other_slot",
            set("/keyslots/1/area/encryption", json!("cipher_null-ecb")),
            "would not be encrypted at all",
        )
        .but_theirs(Opens, SLOT),
        Case::shut("luks2_af_stripes_0", af("stripes", json!(0)), "0 stripes").but_theirs(Opens, STRIPES),
        Case::shut("luks2_af_stripes_1", af("stripes", json!(1)), "1 stripes").but_theirs(Opens, STRIPES),
        Case::shut("luks2_af_stripes_3999", af("stripes", json!(3999)), "3999 stripes").but_theirs(Opens, STRIPES),
        Case::refused("luks2_af_stripes_8000", af("stripes", json!(8000)), "too small for its stripes")
            .but_theirs(Opens, STRIPES),
        Case::refused("luks2_af_stripes_2_to_the_31", af("stripes", json!(1u64 << 31)), "too small for its stripes")
            .but_theirs(Opens, STRIPES),
        Case::refused("luks2_af_stripes_2_to_the_32", af("stripes", json!(1u64 << 32)), "below 2^32")
            .but_theirs(Opens, STRIPES),
        Case::refused("luks2_af_stripes_negative", af("stripes", json!(-1)), "is not a whole number")
            .but_theirs(Opens, STRIPES),
        Case::shut("luks2_af_hash_unknown", af("hash", json!("sha257")), "is not allowed"),
        Case::shown("luks2_af_hash_empty", af("hash", json!("")), "is not allowed"),
        Case::shut("luks2_af_hash_md5", af("hash", json!("md5")), "is not allowed"),
        Case::refused("luks2_af_of_an_unknown_type", af("type", json!("luks2")), "is not \"luks1\""),
    ]
}

fn area_of_slot_1_overlaps(image: &mut Image) {
    image.edit(&BOTH, |json| json["keyslots"]["1"]["area"]["offset"] = json!("163839"));
}

/// CVE-2025-59054: key material that is not encrypted, so that every passphrase finds the same key; and the digest of that key,
/// which whoever writes the header knows.
fn any_passphrase_opens(image: &mut Image) {
    const SALT: [u8; 32] = [7; 32];
    image.zero(32768, 131_072);
    let mut digest = [0; 32];
    pbkdf2_hmac::<Sha256>(&key_of_zeros(), &SALT, 1000, &mut digest);
    image.edit(&BOTH, |json| {
        json["keyslots"]["0"]["area"]["encryption"] = json!("cipher_null-ecb");
        json["digests"]["0"]["salt"] = json!(STANDARD.encode(SALT));
        json["digests"]["0"]["digest"] = json!(STANDARD.encode(digest));
    });
}

/// What 4000 stripes of zeros merge to: `d(d(...d(0)))` with `d(x) = SHA-256(0 || x)`, 3999 times (LUKS1 on-disk format, 2.4).
fn key_of_zeros() -> [u8; 32] {
    (1..4000).fold([0; 32], |key, _| Sha256::new().chain_update([0; 4]).chain_update(key).finalize().into())
}

#[test]
fn luks2_costs() {
    judge(costs());
}

pub fn costs() -> Vec<Case> {
    const FEW: &str = "fewer than 1000";
    let argon2 = |name, member, value: Value, reason| Case::shut(name, kdf(member, value), reason).on(Base::Argon2);
    vec![
        Case::refused("luks2_kdf_an_array", slot("kdf", json!([])), "is not an object"),
        Case::refused("luks2_kdf_of_an_unknown_type", kdf("type", json!("scrypt")), "is not \"pbkdf2\"")
            .but_theirs(Shows, MEMBERS),
        Case::refused("luks2_kdf_type_argon2d", kdf("type", json!("argon2d")), "is not \"pbkdf2\"")
            .on(Base::Argon2)
            .but_theirs(Shows, MEMBERS),
        Case::refused("luks2_kdf_salt_not_base64", kdf("salt", json!("*")), "is not base64").but_theirs(Shows, MEMBERS),
        Case::refused("luks2_kdf_salt_a_number", kdf("salt", json!(1)), "is not a string"),
        Case::refused("luks2_kdf_salt_empty", kdf("salt", json!("")), "salt"),
        Case::shut("luks2_kdf_salt_of_16_bytes", kdf("salt", json!("AAAAAAAAAAAAAAAAAAAAAA==")), "opens none of"),
        Case::refused("luks2_kdf_salt_of_4_kib", kdf("salt", json!("AAAA".repeat(1366))), "at most 1024 characters")
            .but_theirs(Shows, MEMBERS),
        Case::shut("luks2_kdf_hash_unknown", kdf("hash", json!("sha257")), "is not allowed"),
        Case::shut("luks2_kdf_hash_another", kdf("hash", json!("sha512")), "opens none of"),
        Case::shut("luks2_kdf_iterations_0", kdf("iterations", json!(0)), FEW),
        Case::shut("luks2_kdf_iterations_1", kdf("iterations", json!(1)), FEW),
        Case::shut("luks2_kdf_iterations_999", kdf("iterations", json!(999)), FEW),
        Case::refused("luks2_kdf_iterations_negative", kdf("iterations", json!(-1)), "is not a whole number")
            .but_theirs(Endless, COSTS),
        Case::refused("luks2_kdf_iterations_text", kdf("iterations", json!("1000")), "is not a whole number"),
        Case::refused("luks2_kdf_iterations_a_fraction", kdf("iterations", json!(1000.5)), "is not a whole number"),
        Case::shut("luks2_kdf_iterations_2_to_the_31_less_1", kdf("iterations", json!(0x7fff_ffff)), "more than")
            .but_theirs(Endless, COSTS),
        Case::shut("luks2_kdf_iterations_2_to_the_32_less_1", kdf("iterations", json!(0xffff_ffffu32)), "more than")
            .but_theirs(Endless, COSTS),
        Case::refused("luks2_kdf_iterations_2_to_the_32", kdf("iterations", json!(1u64 << 32)), "below 2^32")
            .but_theirs(Endless, COSTS),
        argon2("luks2_kdf_time_0", "time", json!(0), "less than there can be"),
        argon2("luks2_kdf_time_2_to_the_32_less_1", "time", json!(0xffff_ffffu32), "passes").but_theirs(Endless, COSTS),
        argon2("luks2_kdf_time_101", "time", json!(101), "passes"),
        argon2("luks2_kdf_memory_0", "memory", json!(0), "less than there can be"),
        argon2("luks2_kdf_memory_7", "memory", json!(7), "less than there can be"),
        argon2("luks2_kdf_memory_2_to_the_32_less_1", "memory", json!(0xffff_ffffu32), "KiB of memory"),
        argon2("luks2_kdf_memory_over_4_gib", "memory", json!((4u64 << 20) + 1), "KiB of memory"),
        argon2("luks2_kdf_cpus_0", "cpus", json!(0), "less than there can be"),
        argon2("luks2_kdf_cpus_65", "cpus", json!(65), "lanes"),
        argon2("luks2_kdf_cpus_2_to_the_24", "cpus", json!(1 << 24), "lanes"),
        argon2("luks2_kdf_cpus_2_to_the_32_less_1", "cpus", json!(0xffff_ffffu32), "lanes"),
        Case::refused("luks2_kdf_memory_negative", kdf("memory", json!(-1)), "is not a whole number")
            .on(Base::Argon2)
            .but_theirs(Shows, MEMBERS),
        Case::refused("luks2_kdf_memory_2_to_the_32", kdf("memory", json!(1u64 << 32)), "below 2^32")
            .on(Base::Argon2)
            .but_theirs(Shows, MEMBERS),
        Case::refused("luks2_kdf_memory_text", kdf("memory", json!("64")), "is not a whole number").on(Base::Argon2),
        Case::refused("luks2_kdf_without_time", without("/keyslots/0/kdf/time"), "is missing").on(Base::Argon2),
        Case::refused("luks2_kdf_without_memory", without("/keyslots/0/kdf/memory"), "is missing").on(Base::Argon2),
        Case::refused("luks2_kdf_without_cpus", without("/keyslots/0/kdf/cpus"), "is missing").on(Base::Argon2),
    ]
}
