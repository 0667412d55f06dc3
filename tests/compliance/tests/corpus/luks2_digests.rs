//! Faults of the digests of LUKS2: what tells that a key is the right one.

use crate::case::{Case, Fault, judge};
use crate::fault::{edit, renamed, set, without};
use crate::image::BOTH;
use crate::ledger::{COSTS, DIGEST, LIST, MEMBERS, NAMES};
use crate::verdict::Verdict::{Endless, Opens, OpensToAll, Shows};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

#[test]
fn luks2_digests() {
    judge(digests());
}

pub fn digests() -> Vec<Case> {
    let digest = |member: &'static str, value: Value| edit(move |json| json["digests"]["0"][member] = value.clone());
    let mut cases = vec![
        Case::shown("luks2_no_digest", set("/digests", json!({})), "no digest covers the data"),
        Case::refused("luks2_digest_named_a", renamed("/digests/0", "a"), "not named by a number"),
        Case::refused("luks2_digest_named_00", renamed("/digests/0", "00"), "not named by a number")
            .but_theirs(Shows, NAMES),
        Case::shown("luks2_digest_without_the_segment", digest("segments", json!([])), "no digest covers the data"),
        Case::shown("luks2_digest_without_the_slot", digest("keyslots", json!([])), "there is no slot"),
        Case::refused("luks2_digest_of_a_segment_that_is_not", digest("segments", json!(["1"])), "segments that exist"),
        Case::refused(
            "luks2_digest_of_a_slot_that_is_not",
            digest("keyslots", json!(["0", "7"])),
            "keyslots that exist",
        ),
        Case::refused("luks2_digest_of_a_slot_by_number", digest("keyslots", json!([0])), "is not a string"),
        Case::refused("luks2_digest_of_segments_in_an_object", digest("segments", json!({"0": 1})), "is not an array"),
        Case::shut(
            "luks2_digest_of_another_key",
            digest("digest", json!("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")),
            "opens none of",
        ),
        Case::shut("luks2_digest_empty", digest("digest", json!("")), "the digest has 0 bytes")
            .but_theirs(OpensToAll, DIGEST),
        Case::shut("luks2_digest_of_one_byte", digest("digest", json!("AA==")), "the digest has 1 bytes")
            .but_theirs(OpensToAll, DIGEST),
        Case::shut("luks2_digest_cut_to_19_bytes", shortened(19), "the digest has 19 bytes")
            .but_theirs(OpensToAll, DIGEST),
        Case::borne("luks2_digest_cut_to_20_bytes", shortened(20)),
        Case::shut(
            "luks2_digest_of_65_bytes",
            digest("digest", json!(STANDARD.encode([1; 65]))),
            "the digest has 65 bytes",
        )
        .but_theirs(OpensToAll, DIGEST),
        Case::refused("luks2_digest_not_base64", digest("digest", json!("*")), "is not base64")
            .but_theirs(Shows, MEMBERS),
        Case::refused("luks2_digest_salt_not_base64", digest("salt", json!("*")), "is not base64")
            .but_theirs(Shows, MEMBERS),
        Case::refused(
            "luks2_digest_salt_without_padding",
            |image| image.edit(&BOTH, |json| unpad(&mut json["digests"]["0"]["salt"])),
            "is not base64",
        )
        .but_theirs(Shows, MEMBERS),
        Case::shut(
            "luks2_digest_of_another_salt",
            digest("salt", json!("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")),
            "opens none of",
        ),
        Case::shut("luks2_digest_salt_empty", digest("salt", json!("")), "opens none of")
            .but_theirs(OpensToAll, DIGEST),
        Case::shut(
            "luks2_digest_hash_unknown",
            digest("hash", json!("sha257")),
            "the hash \"sha257\" of the data is not allowed",
        )
        .but_theirs(OpensToAll, DIGEST),
        Case::refused("luks2_digest_hash_a_number", digest("hash", json!(256)), "is not a string")
            .but_theirs(OpensToAll, DIGEST),
        Case::shut("luks2_digest_iterations_0", digest("iterations", json!(0)), "fewer than 1000"),
        Case::shut("luks2_digest_iterations_1", digest("iterations", json!(1)), "fewer than 1000"),
        Case::refused("luks2_digest_iterations_negative", digest("iterations", json!(-1)), "is not a whole number")
            .but_theirs(Endless, COSTS),
        Case::refused("luks2_digest_iterations_text", digest("iterations", json!("1000")), "is not a whole number")
            .but_theirs(Opens, MEMBERS),
        Case::shut("luks2_digest_iterations_2_to_the_31_less_1", digest("iterations", json!(0x7fff_ffff)), "more than")
            .but_theirs(Endless, COSTS),
        Case::shut(
            "luks2_digest_iterations_2_to_the_32_less_1",
            digest("iterations", json!(0xffff_ffffu32)),
            "more than",
        )
        .but_theirs(Endless, COSTS),
        Case::refused("luks2_digest_iterations_2_to_the_32", digest("iterations", json!(1u64 << 32)), "below 2^32")
            .but_theirs(Shows, MEMBERS),
        Case::shut("luks2_digest_of_an_unknown_type", digest("type", json!("scrypt")), "unknown type"),
        Case::shut(
            "luks2_two_digests_of_the_data",
            two_digests(json!([]), json!(["0"])),
            "several digests cover the data",
        )
        .but_theirs(Opens, LIST),
        Case::shown(
            "luks2_two_digests_of_a_slot",
            two_digests(json!(["0"]), json!([])),
            "several digests cover slot 0",
        ),
        Case::borne("luks2_digest_with_a_slot_listed_twice", digest("keyslots", json!(["0", "1", "0"]))),
    ];
    for (name, member) in [
        ("luks2_digest_without_type", "/digests/0/type"),
        ("luks2_digest_without_keyslots", "/digests/0/keyslots"),
        ("luks2_digest_without_segments", "/digests/0/segments"),
    ] {
        cases.push(Case::refused(name, without(member), "is missing"));
    }
    for (name, member, theirs, ledger) in [
        ("luks2_digest_without_digest", "/digests/0/digest", OpensToAll, DIGEST),
        ("luks2_digest_without_salt", "/digests/0/salt", Shows, MEMBERS),
        ("luks2_digest_without_hash", "/digests/0/hash", Shows, MEMBERS),
        ("luks2_digest_without_iterations", "/digests/0/iterations", Shows, MEMBERS),
    ] {
        cases.push(Case::refused(name, without(member), "is missing").but_theirs(theirs, ledger));
    }
    cases
}

/// The first bytes of the right digest.
fn shortened(len: usize) -> Fault {
    edit(move |json| {
        let digest = &mut json["digests"]["0"]["digest"];
        let whole = STANDARD.decode(digest.as_str().unwrap()).unwrap();
        *digest = json!(STANDARD.encode(&whole[..len]));
    })
}

fn unpad(text: &mut Value) {
    *text = json!(text.as_str().unwrap().trim_end_matches('='));
}

/// A second digest like the first one.
fn two_digests(keyslots: Value, segments: Value) -> Fault {
    edit(move |json| {
        let mut second = json["digests"]["0"].clone();
        second["keyslots"] = keyslots.clone();
        second["segments"] = segments.clone();
        json["digests"]["1"] = second;
    })
}
