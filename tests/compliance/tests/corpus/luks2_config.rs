//! Faults of the tokens and of the config of LUKS2, requirements and reencryption among it.

use crate::base::Base;
use crate::case::{Case, judge};
use crate::fault::{renamed, set, without};
use crate::image::{BOTH, Image};
use crate::ledger::{LIST, NAMES, TWICE};
use crate::verdict::Verdict::{Opens, Shows};
use serde_json::{Value, json};

#[test]
fn luks2_tokens() {
    judge(tokens());
}

pub fn tokens() -> Vec<Case> {
    vec![
        Case::refused("luks2_token_without_type", without("/tokens/0/type"), "is missing"),
        Case::refused("luks2_token_without_keyslots", without("/tokens/0/keyslots"), "is missing"),
        Case::refused("luks2_token_type_a_number", set("/tokens/0/type", json!(1)), "is not a string"),
        Case::refused("luks2_token_a_string", set("/tokens/0", json!("x")), "is not an object"),
        Case::refused(
            "luks2_token_of_a_slot_that_is_not",
            set("/tokens/0/keyslots", json!(["7"])),
            "keyslots that exist",
        ),
        Case::refused(
            "luks2_token_of_slot_32",
            set("/tokens/0/keyslots", json!(["32"])),
            "is not the number of a keyslot",
        ),
        Case::refused(
            "luks2_token_of_slot_00",
            set("/tokens/0/keyslots", json!(["00"])),
            "is not the number of a keyslot",
        ),
        Case::refused("luks2_token_of_a_slot_by_number", set("/tokens/0/keyslots", json!([0])), "is not a string"),
        Case::refused("luks2_token_keyslots_an_object", set("/tokens/0/keyslots", json!({})), "is not an array"),
        Case::refused("luks2_token_named_32", renamed("/tokens/0", "32"), "not named by a number")
            .but_theirs(Shows, TWICE),
        Case::refused("luks2_token_named_00", renamed("/tokens/0", "00"), "not named by a number")
            .but_theirs(Opens, NAMES),
        Case::refused("luks2_token_named_minus_1", renamed("/tokens/0", "-1"), "not named by a number"),
        Case::refused("luks2_token_named_nothing", renamed("/tokens/0", ""), "not named by a number")
            .but_theirs(Opens, NAMES),
        Case::refused("luks2_token_named_a", renamed("/tokens/0", "a"), "not named by a number"),
        Case::borne("luks2_token_of_no_slot", set("/tokens/0/keyslots", json!([]))),
        Case::borne("luks2_token_of_an_unknown_type", set("/tokens/0/type", json!("x\u{1b}[2J"))),
        Case::borne("luks2_token_of_a_reserved_type", set("/tokens/0/type", json!("luks2-nobody-knows"))),
        Case::borne("luks2_token_keyring_without_description", without("/tokens/0/key_description")),
        Case::borne("luks2_token_keyring_description_a_number", set("/tokens/0/key_description", json!(1))),
        Case::borne("luks2_token_keyring_with_more", set("/tokens/0/more", json!(1))),
        Case::borne("luks2_token_clevis_without_jwe", set("/tokens/0/type", json!("clevis"))),
        Case::borne(
            "luks2_token_clevis_of_a_hostile_jwe",
            set(
                "/tokens/0",
                json!({
                    "type": "clevis", "keyslots": ["0"],
                    "jwe": {"ciphertext": "", "encrypted_key": "", "iv": "", "protected": "e30", "tag": ""}
                }),
            ),
        ),
        Case::borne("luks2_token_systemd_tpm2_malformed", set("/tokens/0/type", json!("systemd-tpm2"))),
    ]
}

#[test]
fn luks2_config() {
    judge(config());
}

pub fn config() -> Vec<Case> {
    let mandatory = |value: Value| set("/config/requirements", json!({"mandatory": value}));
    let keyslots_size = |value| set("/config/keyslots_size", json!(value));
    vec![
        Case::refused("luks2_config_without_json_size", without("/config/json_size"), "is missing"),
        Case::refused("luks2_config_without_keyslots_size", without("/config/keyslots_size"), "is missing"),
        Case::refused("luks2_config_json_size_a_number", set("/config/json_size", json!(12288)), "written as a string"),
        Case::refused("luks2_config_json_size_less", set("/config/json_size", json!("8192")), "json_size is 8192"),
        Case::refused("luks2_config_json_size_more", set("/config/json_size", json!("16384")), "json_size is 16384"),
        Case::refused(
            "luks2_config_keyslots_size_a_number",
            set("/config/keyslots_size", json!(786_432)),
            "written as a string",
        ),
        Case::refused("luks2_config_keyslots_size_odd", keyslots_size("786431"), "a multiple of 4096"),
        Case::refused("luks2_config_keyslots_size_0", keyslots_size("0"), "does not lie in the keyslots area"),
        Case::refused(
            "luks2_config_keyslots_size_too_small_for_a_slot",
            keyslots_size("131072"),
            "does not lie in the keyslots area",
        ),
        Case::refused(
            "luks2_config_keyslots_size_over_the_data",
            keyslots_size("1019904"),
            "the keyslots area ends at",
        ),
        Case::refused("luks2_config_keyslots_size_over_128_mib", keyslots_size("134221824"), "at most 128 MiB"),
        Case::refused("luks2_config_keyslots_size_overflows", keyslots_size("18446744073709547520"), "at most 128 MiB"),
        Case::refused("luks2_config_flags_an_object", set("/config/flags", json!({})), "is not an array"),
        Case::refused("luks2_config_flags_not_strings", set("/config/flags", json!([1])), "is not a string"),
        Case::borne("luks2_config_flag_unknown", set("/config/flags", json!(["unknown"]))),
        Case::refused("luks2_requirements_an_array", set("/config/requirements", json!([])), "is not an object"),
        Case::refused("luks2_requirements_mandatory_an_object", mandatory(json!({})), "is not an array"),
        Case::refused("luks2_requirements_not_strings", mandatory(json!([1])), "is not a string"),
        Case::shut("luks2_requirement_unknown", mandatory(json!(["unknown-v7"])), "the header requires \"unknown-v7\"")
            .but_theirs(Opens, LIST),
        Case::shown(
            "luks2_requirement_unknown_behind_a_known_one",
            mandatory(json!(["online-reencrypt-v2", "unknown-v7"])),
            "the header requires \"unknown-v7\"",
        ),
        Case::shut("luks2_requirement_offline_reencrypt", mandatory(json!(["offline-reencrypt"])), "being reencrypted")
            .but_theirs(Opens, LIST),
        Case::shown("luks2_requirement_online_reencrypt", mandatory(json!(["online-reencrypt"])), "contradicts itself"),
        Case::shown(
            "luks2_requirement_online_reencrypt_v2_alone",
            mandatory(json!(["online-reencrypt-v2"])),
            "contradicts itself",
        ),
        Case::shut(
            "luks2_requirement_online_reencrypt_v9",
            mandatory(json!(["online-reencrypt-v9"])),
            "contradicts itself",
        )
        .but_theirs(Opens, LIST),
        Case::shut("luks2_reencryption_begun", set("/unknown", json!(1)), "being reencrypted")
            .on(Base::Reencrypting)
            .but_theirs(Opens, LIST),
        Case::shown(
            "luks2_reencryption_without_the_requirement",
            without("/config/requirements"),
            "contradicts itself",
        )
        .on(Base::Reencrypting),
        Case::shown("luks2_reencryption_without_its_slot", reencryption_without_slot, "contradicts itself")
            .on(Base::Reencrypting),
        Case::shut("luks2_reencryption_made_a_decryption", reencryption_made_a_decryption, "being decrypted")
            .on(Base::Reencrypting),
        Case::shown("luks2_reencryption_of_an_unknown_mode", set("/keyslots/2/mode", json!("x")), "contradicts itself")
            .on(Base::Reencrypting),
        Case::shown(
            "luks2_reencryption_of_an_unknown_direction",
            set("/keyslots/2/direction", json!("x")),
            "being reencrypted",
        )
        .on(Base::Reencrypting),
        Case::shut(
            "luks2_reencryption_of_an_unknown_resilience",
            set("/keyslots/2/area/type", json!("x")),
            "being reencrypted",
        )
        .on(Base::Reencrypting),
    ]
}

fn reencryption_without_slot(image: &mut Image) {
    image.edit(&BOTH, |json| {
        json["keyslots"].as_object_mut().unwrap().remove("2").unwrap();
        json["digests"].as_object_mut().unwrap().remove("2").unwrap();
    });
}

/// CVE-2021-4122: whoever can write the header says that a decryption was interrupted.
fn reencryption_made_a_decryption(image: &mut Image) {
    image.edit(&BOTH, |json| {
        json["keyslots"]["2"]["mode"] = json!("decrypt");
        json["segments"]["2"] =
            json!({"type": "linear", "offset": "1048576", "size": "dynamic", "flags": ["backup-final"]});
        json["digests"]["1"]["segments"] = json!([]);
    });
}
