//! Faults of the 592 bytes of a LUKS1 header, and of where the disk ends.

use crate::base::Base;
use crate::case::{Case, Fault, judge};
use crate::image::Image;
use crate::ledger::{APART, COSTS, LIST, LUKS1_TEXTS, SLOT, UUID};
use crate::verdict::Verdict::{Endless, Opens, OpensToAll, Shows};
use pbkdf2::pbkdf2_hmac;
use sha2::{Digest, Sha512};

// Places of the fields (LUKS1 on-disk format 1.2.3, figure 1).
const MAGIC: usize = 0;
const VERSION: usize = 6;
const CIPHER_NAME: usize = 8;
const CIPHER_MODE: usize = 40;
const HASH_SPEC: usize = 72;
const PAYLOAD_OFFSET: usize = 104;
const KEY_BYTES: usize = 108;
const MK_DIGEST: usize = 112;
const MK_DIGEST_SALT: usize = 132;
const MK_DIGEST_ITER: usize = 164;
const UUID_AT: usize = 168;
const SLOTS: usize = 208;
const SLOT_LEN: usize = 48;
// And in a slot (figure 2).
const ACTIVE: usize = 0;
const ITERATIONS: usize = 4;
const SALT: usize = 8;
const MATERIAL: usize = 40;
const STRIPES: usize = 44;

// The disk of the corpus: slots of 504 sectors from sector 8 on, data from sector 4096 on.
const FIRST_MATERIAL: usize = 4096;
const MATERIAL_LEN: usize = 256_000;
const SLOT_SECTORS: u32 = 504;
const DATA: usize = 2 << 20;

fn put(offset: usize, bytes: impl AsRef<[u8]> + 'static) -> Fault {
    Box::new(move |image| image.put(offset, bytes.as_ref()))
}

/// A text field of 32 bytes, NULs to its end.
fn text(offset: usize, value: &str) -> Fault {
    let mut bytes = [0; 32];
    bytes[..value.len()].copy_from_slice(value.as_bytes());
    put(offset, bytes)
}

fn number(offset: usize, value: u32) -> Fault {
    put(offset, value.to_be_bytes())
}

/// A number in the entry of a slot.
fn slot(slot: usize, offset: usize, value: u32) -> Fault {
    number(SLOTS + slot * SLOT_LEN + offset, value)
}

fn cut(len: usize) -> Fault {
    Box::new(move |image| image.cut(len))
}

fn on_luks1(cases: Vec<Case>) -> Vec<Case> {
    cases.into_iter().map(|case| case.on(Base::Luks1)).collect()
}

#[test]
fn luks1_fields() {
    judge(fields());
}

pub fn fields() -> Vec<Case> {
    const NOT_LUKS: &str = "there is no LUKS header";
    on_luks1(vec![
        Case::refused("luks1_magic", put(MAGIC, *b"LUKS\xba\xbf"), NOT_LUKS),
        Case::refused("luks1_magic_of_a_second_copy", put(MAGIC, *b"SKUL\xba\xbe"), NOT_LUKS),
        Case::refused("luks1_version_0", put(VERSION, [0, 0]), "version 0"),
        Case::refused("luks1_version_2", put(VERSION, [0, 2]), "hdr_size"),
        Case::refused("luks1_version_3", put(VERSION, [0, 3]), "version 3"),
        Case::refused("luks1_version_little_endian", put(VERSION, [1, 0]), "version 256"),
        Case::shut("luks1_cipher_name_unknown", text(CIPHER_NAME, "aes257"), "is not allowed"),
        Case::shut("luks1_cipher_name_empty", text(CIPHER_NAME, ""), "is not allowed"),
        Case::shut("luks1_cipher_name_null", text(CIPHER_NAME, "cipher_null"), "would not be encrypted at all"),
        Case::refused("luks1_cipher_name_without_nul", put(CIPHER_NAME, [b'a'; 32]), "cipher-name")
            .but_theirs(Shows, LUKS1_TEXTS),
        Case::refused("luks1_cipher_name_not_ascii", put(CIPHER_NAME, *b"aes\xff\0"), "cipher-name")
            .but_theirs(Shows, LUKS1_TEXTS),
        Case::borne("luks1_cipher_name_with_something_behind_the_nul", put(CIPHER_NAME + 8, *b"junk")),
        Case::shut("luks1_cipher_name_capi", text(CIPHER_NAME, "capi:xts(aes)"), "is not allowed"),
        Case::shut("luks1_cipher_name_in_capitals", text(CIPHER_NAME, "AES"), "is not allowed").but_theirs(Opens, LIST),
        Case::shut("luks1_cipher_mode_unknown", text(CIPHER_MODE, "xts-plain65"), "is not allowed"),
        Case::shut("luks1_cipher_mode_empty", text(CIPHER_MODE, ""), "is not allowed"),
        Case::shut("luks1_cipher_mode_ecb", text(CIPHER_MODE, "ecb"), "is not allowed"),
        Case::shut("luks1_cipher_mode_without_iv", text(CIPHER_MODE, "xts"), "is not allowed"),
        Case::shut("luks1_cipher_mode_xts_plain", text(CIPHER_MODE, "xts-plain"), "is not allowed")
            .but_theirs(Opens, LIST),
        Case::refused("luks1_cipher_mode_without_nul", put(CIPHER_MODE, [b'x'; 32]), "cipher-mode")
            .but_theirs(Shows, LUKS1_TEXTS),
        Case::shut("luks1_cipher_mode_of_another_key_size", text(CIPHER_MODE, "cbc-essiv:sha256"), "a key of 64 bytes"),
        Case::shown("luks1_hash_unknown", text(HASH_SPEC, "sha513"), "is not allowed"),
        Case::shown("luks1_hash_empty", text(HASH_SPEC, ""), "is not allowed"),
        Case::shown("luks1_hash_md5", text(HASH_SPEC, "md5"), "is not allowed"),
        Case::shut("luks1_hash_another", text(HASH_SPEC, "sha256"), "opens none"),
        Case::refused("luks1_hash_without_nul", put(HASH_SPEC, [b's'; 32]), "hash-spec"),
        Case::borne("luks1_hash_in_capitals", text(HASH_SPEC, "SHA512")),
        Case::shut("luks1_payload_offset_0", number(PAYLOAD_OFFSET, 0), "apart from its data").but_theirs(Opens, APART),
        Case::shown("luks1_payload_offset_1", number(PAYLOAD_OFFSET, 1), "between the header and the data"),
        Case::shown("luks1_payload_offset_in_the_slots", number(PAYLOAD_OFFSET, 8), "between the header and the data"),
        Case::shown(
            "luks1_payload_offset_in_the_last_slot",
            number(PAYLOAD_OFFSET, 8 + 7 * SLOT_SECTORS + 499),
            "between the header and the data",
        ),
        Case::borne("luks1_payload_offset_at_the_last_material", number(PAYLOAD_OFFSET, 8 + 7 * SLOT_SECTORS + 500)),
        Case::borne("luks1_payload_offset_behind_the_disk", number(PAYLOAD_OFFSET, 1 << 20)),
        Case::borne("luks1_payload_offset_2_to_the_32_less_1", number(PAYLOAD_OFFSET, u32::MAX)),
        Case::shown("luks1_key_bytes_0", number(KEY_BYTES, 0), "a key of 0 bytes"),
        Case::shut("luks1_key_bytes_1", number(KEY_BYTES, 1), "a key of 1 bytes"),
        Case::shut("luks1_key_bytes_32", number(KEY_BYTES, 32), "opens none of"),
        Case::shut("luks1_key_bytes_63", number(KEY_BYTES, 63), "a key of 63 bytes"),
        Case::shown("luks1_key_bytes_65", number(KEY_BYTES, 65), "a key of 65 bytes"),
        Case::shown("luks1_key_bytes_512", number(KEY_BYTES, 512), "a key of 512 bytes"),
        Case::shown("luks1_key_bytes_2_to_the_31", number(KEY_BYTES, 1 << 31), "a key of"),
        Case::shown("luks1_key_bytes_2_to_the_32_less_1", number(KEY_BYTES, u32::MAX), "a key of"),
        Case::shut("luks1_mk_digest", put(MK_DIGEST, [0; 20]), "opens none of"),
        Case::shut("luks1_mk_digest_salt", put(MK_DIGEST_SALT, [0; 32]), "opens none of"),
        Case::shut("luks1_mk_digest_iterations_0", number(MK_DIGEST_ITER, 0), "fewer than 1000"),
        Case::shut("luks1_mk_digest_iterations_1", number(MK_DIGEST_ITER, 1), "fewer than 1000"),
        Case::shut("luks1_mk_digest_iterations_2_to_the_31_less_1", number(MK_DIGEST_ITER, 0x7fff_ffff), "more than")
            .but_theirs(Endless, COSTS),
        Case::shut("luks1_mk_digest_iterations_2_to_the_32_less_1", number(MK_DIGEST_ITER, u32::MAX), "more than")
            .but_theirs(Endless, COSTS),
        Case::refused("luks1_uuid_garbage", put(UUID_AT, [b'x'; 36]), "uuid is not a UUID").but_theirs(Opens, UUID),
        Case::refused("luks1_uuid_empty", put(UUID_AT, [0; 40]), "uuid is not a UUID").but_theirs(Opens, UUID),
        Case::refused("luks1_uuid_without_nul", put(UUID_AT, [b'1'; 40]), "uuid").but_theirs(Opens, UUID),
    ])
}

#[test]
fn luks1_slots() {
    judge(slots());
}

pub fn slots() -> Vec<Case> {
    let material = |sector| slot(0, MATERIAL, sector);
    on_luks1(vec![
        Case::shut("luks1_key_material_for_any_passphrase", any_passphrase_opens, "would not be encrypted at all")
            .or_theirs(OpensToAll, LIST),
        Case::refused("luks1_slot_neither_active_nor_inactive", slot(0, ACTIVE, 0), "neither active nor inactive")
            .but_theirs(Shows, LUKS1_TEXTS),
        Case::refused("luks1_slot_active_little_endian", slot(0, ACTIVE, 0xf371_ac00), "neither active nor inactive")
            .but_theirs(Shows, LUKS1_TEXTS),
        Case::refused("luks1_slot_active_all_ones", slot(0, ACTIVE, u32::MAX), "neither active nor inactive")
            .but_theirs(Shows, LUKS1_TEXTS),
        Case::refused("luks1_last_slot_neither_active_nor_inactive", slot(7, ACTIVE, 1), "neither active nor inactive")
            .but_theirs(Opens, LUKS1_TEXTS),
        Case::shut("luks1_slot_made_inactive", slot(0, ACTIVE, 0xdead), "opens none of"),
        Case::shut("luks1_no_slot_active", no_slot, "there is no slot"),
        Case::shut("luks1_slot_made_active", slot(5, ACTIVE, 0x00ac_71f3), "fewer than 1000").but_theirs(Opens, SLOT),
        Case::shut("luks1_slot_iterations_0", slot(0, ITERATIONS, 0), "fewer than 1000"),
        Case::shut("luks1_slot_iterations_1", slot(0, ITERATIONS, 1), "fewer than 1000"),
        Case::shut("luks1_slot_iterations_1001", slot(0, ITERATIONS, 1001), "opens none of"),
        Case::shut("luks1_slot_iterations_2_to_the_31_less_1", slot(0, ITERATIONS, 0x7fff_ffff), "more than")
            .but_theirs(Endless, COSTS),
        Case::shut("luks1_slot_iterations_2_to_the_32_less_1", slot(0, ITERATIONS, u32::MAX), "more than")
            .but_theirs(Endless, COSTS),
        Case::shut("luks1_slot_salt", put(SLOTS + SALT, [0; 32]), "opens none of"),
        Case::shown("luks1_slot_stripes_0", slot(0, STRIPES, 0), "0 stripes"),
        Case::shown("luks1_slot_stripes_1", slot(0, STRIPES, 1), "1 stripes"),
        Case::shown("luks1_slot_stripes_3999", slot(0, STRIPES, 3999), "3999 stripes"),
        Case::shown("luks1_slot_stripes_8000", slot(0, STRIPES, 8000), "8000 stripes"),
        Case::shown("luks1_slot_stripes_2_to_the_32_less_1", slot(0, STRIPES, u32::MAX), "stripes"),
        Case::shown("luks1_inactive_slot_stripes_0", slot(6, STRIPES, 0), "0 stripes"),
        Case::shown("luks1_slot_material_at_0", material(0), "between the header and the data"),
        Case::shown("luks1_slot_material_in_the_header", material(1), "between the header and the data"),
        Case::shut("luks1_slot_material_behind_the_header", material(2), "opens none of"),
        Case::shut("luks1_slot_material_in_the_gap", material(7), "opens none of"),
        Case::shown("luks1_slot_material_of_the_next_slot", material(8 + SLOT_SECTORS), "overlaps that of slot 0"),
        Case::shown("luks1_slot_material_overlaps_the_next_slot", material(8 + 5), "overlaps that of slot 0"),
        Case::shown(
            "luks1_slot_material_overlaps_an_inactive_slot",
            material(8 + 2 * SLOT_SECTORS),
            "overlaps that of slot 0",
        ),
        Case::shown("luks1_slot_material_over_the_payload", material(4096 - 499), "between the header and the data"),
        Case::shown("luks1_slot_material_in_the_payload", material(4096), "between the header and the data"),
        Case::shown("luks1_slot_material_behind_the_disk", material(1 << 20), "between the header and the data"),
        Case::shown("luks1_slot_material_2_to_the_32_less_1", material(u32::MAX), "between the header and the data"),
        Case::shown("luks1_slot_material_overflows", material(u32::MAX - 400), "between the header and the data"),
        Case::borne("luks1_slots_in_another_order", exchanged),
        Case::shown("luks1_inactive_slot_material_at_0", slot(6, MATERIAL, 0), "between the header and the data"),
        Case::shown(
            "luks1_inactive_slot_material_over_the_payload",
            slot(6, MATERIAL, 4096),
            "between the header and the data",
        ),
        Case::shown(
            "luks1_inactive_slot_material_2_to_the_32_less_1",
            slot(6, MATERIAL, u32::MAX),
            "between the header and the data",
        ),
        Case::shut("luks1_material_zeroed", |image| image.zero(FIRST_MATERIAL, MATERIAL_LEN), "opens none of"),
        Case::shut("luks1_material_with_a_flipped_bit", put(FIRST_MATERIAL + 70_000, [0; 16]), "opens none of"),
    ])
}

/// CVE-2025-59054 in LUKS1: nothing is encrypted, so every passphrase finds the same key; and the digest of that key, which
/// whoever writes the header knows.
fn any_passphrase_opens(image: &mut Image) {
    let mut digest = [0; 20];
    let salt = image.bytes()[MK_DIGEST_SALT..MK_DIGEST_ITER].to_vec();
    pbkdf2_hmac::<Sha512>(&key_of_zeros(), &salt, 1000, &mut digest);
    image.put(MK_DIGEST, &digest);
    image.zero(FIRST_MATERIAL, MATERIAL_LEN);
    text(CIPHER_NAME, "cipher_null")(image);
    text(CIPHER_MODE, "ecb")(image);
}

/// What 4000 stripes of zeros merge to: `d(d(...d(0)))` with `d(x) = SHA-512(0 || x)`, 3999 times (LUKS1 on-disk format, 2.4).
fn key_of_zeros() -> [u8; 64] {
    (1..4000).fold([0; 64], |key, _| Sha512::new().chain_update([0; 4]).chain_update(key).finalize().into())
}

fn no_slot(image: &mut Image) {
    slot(0, ACTIVE, 0xdead)(image);
    slot(1, ACTIVE, 0xdead)(image);
}

/// The first two entries change places; both keep their material.
fn exchanged(image: &mut Image) {
    let entries = image.bytes()[SLOTS..SLOTS + 2 * SLOT_LEN].to_vec();
    image.put(SLOTS, &entries[SLOT_LEN..]);
    image.put(SLOTS + SLOT_LEN, &entries[..SLOT_LEN]);
}

#[test]
fn luks1_ends_too_soon() {
    judge(ends());
}

pub fn ends() -> Vec<Case> {
    const NOT_LUKS: &str = "there is no LUKS header";
    on_luks1(vec![
        Case::refused("luks1_cut_to_nothing", cut(0), NOT_LUKS),
        Case::refused("luks1_cut_in_the_magic", cut(5), NOT_LUKS),
        Case::refused("luks1_cut_behind_the_version", cut(8), "it is cut off"),
        Case::refused("luks1_cut_after_a_sector", cut(512), "it is cut off"),
        Case::refused("luks1_cut_in_the_last_slot", cut(591), "it is cut off"),
        Case::refused("luks1_cut_behind_the_header", cut(592), "it is cut off"),
        Case::shown("luks1_cut_after_two_sectors", cut(1024), "between the header and the data"),
        Case::shown("luks1_cut_before_the_material", cut(FIRST_MATERIAL), "between the header and the data"),
        Case::shown(
            "luks1_cut_in_the_first_material",
            cut(FIRST_MATERIAL + MATERIAL_LEN - 1),
            "between the header and the data",
        ),
        Case::shown(
            "luks1_cut_behind_the_active_material",
            cut(FIRST_MATERIAL + 258_048 + MATERIAL_LEN),
            "between the header and the data",
        ),
        Case::borne("luks1_cut_behind_all_material", cut(FIRST_MATERIAL + 7 * 258_048 + MATERIAL_LEN)),
        Case::borne("luks1_cut_before_the_data", cut(DATA - 1)),
        Case::borne("luks1_cut_at_the_data", cut(DATA)),
        Case::borne("luks1_cut_after_a_sector_of_data", cut(DATA + 512)),
    ])
}
