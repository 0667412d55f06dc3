//! Faults of the segments of LUKS2.

use crate::case::{Case, Fault, judge};
use crate::fault::{edit, renamed, set, without};
use crate::ledger::{APART, LIST};
use crate::verdict::Verdict::Opens;
use serde_json::json;

#[test]
fn luks2_segments() {
    judge(segments());
}

pub fn segments() -> Vec<Case> {
    const ODD: &str = "not a multiple of 512";
    const TEXT: &str = "whole number written as a string";
    const ENDS: &str = "the keyslots area ends at";
    let offset = |value| set("/segments/0/offset", json!(value));
    let size = |value| set("/segments/0/size", json!(value));
    let sector = |value: i64| set("/segments/0/sector_size", json!(value));
    let cipher = |value| set("/segments/0/encryption", json!(value));
    let only_we = |name, fault, reason| Case::shut(name, fault, reason).but_theirs(Opens, LIST);
    let mut cases = vec![
        Case::refused("luks2_no_segment", set("/segments", json!({})), "segments"),
        Case::refused("luks2_segment_0_is_named_1", renamed("/segments/0", "1"), "segments"),
        Case::refused("luks2_segment_named_a", renamed("/segments/0", "a"), "not named by a number"),
        Case::refused("luks2_segment_named_00", renamed("/segments/0", "00"), "not named by a number"),
        Case::refused("luks2_segment_an_array", set("/segments/0", json!([])), "is not an object"),
        Case::refused("luks2_segment_offset_odd", offset("1048577"), ODD),
        Case::refused("luks2_segment_offset_negative", offset("-1048576"), TEXT),
        Case::refused("luks2_segment_offset_empty", offset(""), TEXT),
        Case::refused("luks2_segment_offset_hexadecimal", offset("0x100000"), TEXT),
        Case::refused("luks2_segment_offset_with_a_space", offset(" 1048576"), TEXT),
        Case::refused("luks2_segment_offset_2_to_the_64", offset("18446744073709551616"), TEXT),
        Case::refused("luks2_segment_offset_in_the_keyslots_area", offset("32768"), ENDS),
        Case::refused("luks2_segment_offset_in_the_header", offset("4096"), ENDS),
        Case::borne("luks2_segment_offset_at_the_last_key_material", offset("819200")),
        Case::borne("luks2_segment_offset_behind_the_disk", offset("1073741824")),
        Case::borne("luks2_segment_offset_2_to_the_64_less_512", offset("18446744073709551104")),
        Case::refused("luks2_segment_size_0", size("0"), "not more than nothing"),
        Case::refused("luks2_segment_size_odd", size("513"), ODD),
        Case::refused("luks2_segment_size_all", size("all"), TEXT),
        Case::borne("luks2_segment_size_overflows", size("18446744073709551104")),
        Case::borne("luks2_segment_size_behind_the_disk", size("1073741824")),
        Case::refused("luks2_segment_sector_size_0", sector(0), ODD),
        Case::refused("luks2_segment_sector_size_513", sector(513), ODD),
        Case::refused("luks2_segment_sector_size_256", sector(256), ODD),
        Case::refused("luks2_segment_sector_size_negative", sector(-512), "is not a whole number"),
        Case::refused(
            "luks2_segment_sector_size_text",
            set("/segments/0/sector_size", json!("512")),
            "is not a whole number",
        ),
        only_we("luks2_segment_sector_size_1536", sector(1536), "sector size"),
        only_we("luks2_segment_sector_size_8192", sector(8192), "sector size"),
        Case::shut("luks2_segment_sector_size_2_to_the_31", sector(1 << 31), "sector size").but_theirs(Opens, LIST),
        Case::refused("luks2_segment_sector_size_2_to_the_32", sector(1 << 32), "below 2^32"),
        Case::refused("luks2_segment_iv_tweak_a_number", set("/segments/0/iv_tweak", json!(0)), TEXT),
        Case::refused("luks2_segment_iv_tweak_negative", set("/segments/0/iv_tweak", json!("-1")), TEXT),
        only_we("luks2_segment_null_cipher", cipher("cipher_null-ecb"), "would not be encrypted at all"),
        only_we("luks2_segment_null_cipher_in_another_spelling", cipher("null"), "would not be encrypted at all"),
        only_we("luks2_segment_capi_cipher", cipher("capi:xts(aes)-plain64"), "is not allowed"),
        only_we("luks2_segment_capi_null_cipher", cipher("capi:ecb(cipher_null)"), "would not be encrypted at all"),
        only_we("luks2_segment_cipher_unknown", cipher("aes-xts-plain65"), "is not allowed"),
        only_we("luks2_segment_cipher_with_a_space", cipher("aes-xts-plain64 "), "is not allowed"),
        only_we("luks2_segment_cipher_with_a_nul", cipher("aes-xts-plain64\0x"), "is not allowed"),
        only_we("luks2_segment_cipher_in_capitals", cipher("AES-XTS-PLAIN64"), "is not allowed"),
        Case::shown("luks2_segment_cipher_empty", cipher(""), "is not allowed"),
        Case::refused("luks2_segment_cipher_a_number", set("/segments/0/encryption", json!(1)), "is not a string"),
        only_we(
            "luks2_segment_linear",
            set("/segments/0", json!({"type": "linear", "offset": "1048576", "size": "dynamic"})),
            "not \"crypt\"",
        ),
        only_we("luks2_segment_of_an_unknown_type", set("/segments/0/type", json!("verity")), "not \"crypt\""),
        Case::refused("luks2_segment_flags_not_strings", set("/segments/0/flags", json!([1])), "is not a string"),
        Case::refused("luks2_segment_flags_an_object", set("/segments/0/flags", json!({})), "is not an array"),
        only_we("luks2_segment_flag_unknown", set("/segments/0/flags", json!(["unknown"])), "is marked"),
        only_we(
            "luks2_segment_flag_in_reencryption",
            set("/segments/0/flags", json!(["in-reencryption"])),
            "is marked",
        ),
        only_we(
            "luks2_segment_integrity",
            set(
                "/segments/0/integrity",
                json!({"type": "hmac(sha256)", "journal_encryption": "none", "journal_integrity": "none"}),
            ),
            "authentication tags",
        ),
        Case::shown(
            "luks2_segment_integrity_without_type",
            set("/segments/0/integrity", json!({})),
            "authentication tags",
        ),
        Case::shown(
            "luks2_segment_integrity_a_string",
            set("/segments/0/integrity", json!("aead")),
            "authentication tags",
        ),
        only_we("luks2_two_segments_behind_each_other", two_segments("1081344", "dynamic"), "2 segments"),
        Case::shown("luks2_two_segments_that_overlap", two_segments("1064960", "dynamic"), "2 segments"),
        Case::shut("luks2_two_segments_with_a_gap", two_segments("1097728", "dynamic"), "2 segments")
            .but_theirs(Opens, LIST),
        Case::shut("luks2_data_at_0", offset("0"), "apart from its data").but_theirs(Opens, APART),
    ];
    for (name, member) in [
        ("luks2_segment_without_type", "/segments/0/type"),
        ("luks2_segment_without_offset", "/segments/0/offset"),
        ("luks2_segment_without_size", "/segments/0/size"),
        ("luks2_segment_without_iv_tweak", "/segments/0/iv_tweak"),
        ("luks2_segment_without_encryption", "/segments/0/encryption"),
        ("luks2_segment_without_sector_size", "/segments/0/sector_size"),
    ] {
        cases.push(Case::refused(name, without(member), "is missing"));
    }
    cases
}

/// A first segment of 32 KiB, and a second one from `offset` on.
fn two_segments(offset: &'static str, size: &'static str) -> Fault {
    edit(move |json| {
        let mut second = json["segments"]["0"].clone();
        second["offset"] = json!(offset);
        second["size"] = json!(size);
        json["segments"]["0"]["size"] = json!("32768");
        json["segments"]["1"] = second;
        json["digests"]["0"]["segments"] = json!(["0", "1"]);
    })
}
