//! Faults of the two binary headers of LUKS2, of their checksums, and of where the disk ends.

use crate::base::Base;
use crate::case::{Case, Fault, judge};
use crate::image::{BOTH, Copy, Image};
use crate::ledger::{SIGNATURES, UUID};
use crate::verdict::Verdict::Opens;
use sha2::{Digest, Sha512};

// Places of the fields (LUKS2 on-disk format, section 2.1).
const MAGIC: usize = 0;
const VERSION: usize = 6;
const HDR_SIZE: usize = 8;
const SEQID: usize = 16;
const LABEL: usize = 24;
const CSUM_ALG: usize = 72;
const SALT: usize = 104;
const UUID_AT: usize = 168;
const SUBSYSTEM: usize = 208;
const HDR_OFFSET: usize = 256;
const PADDING: usize = 264;
const CSUM: usize = 448;
const REST: usize = 512;

const FIRST: [Copy; 1] = [Copy::First];
const SECOND: [Copy; 1] = [Copy::Second];

/// A field of these copies, sealed afterwards.
fn field(copies: &'static [Copy], offset: usize, bytes: impl AsRef<[u8]> + 'static) -> Fault {
    Box::new(move |image| image.field(copies, offset, bytes.as_ref()))
}

/// A text field, NULs to its end.
fn text<const N: usize>(value: &str) -> [u8; N] {
    let mut bytes = [0; N];
    bytes[..value.len()].copy_from_slice(value.as_bytes());
    bytes
}

fn cut(len: usize) -> Fault {
    Box::new(move |image| image.cut(len))
}

#[test]
fn luks2_magic_and_version() {
    judge(magic_and_version());
}

pub fn magic_and_version() -> Vec<Case> {
    const NOT_LUKS: &str = "there is no LUKS header";
    vec![
        Case::refused("luks2_magic_of_neither_copy", field(&BOTH, MAGIC, *b"LUKS\xba\xbf"), NOT_LUKS),
        Case::borne("luks2_magic_of_the_first_copy", field(&FIRST, MAGIC, *b"LUKS\xba\xbf")),
        Case::borne("luks2_magic_of_the_second_copy", field(&SECOND, MAGIC, *b"SKUL\xba\xbf")),
        Case::refused("luks2_magic_in_small_letters", field(&BOTH, MAGIC, *b"luks\xba\xbe"), NOT_LUKS),
        Case::borne("luks2_magic_of_the_first_copy_in_the_second", field(&SECOND, MAGIC, *b"LUKS\xba\xbe")),
        Case::borne("luks2_magic_of_the_second_copy_in_the_first", field(&FIRST, MAGIC, *b"SKUL\xba\xbe")),
        Case::refused("luks2_copies_exchanged", exchanged, NOT_LUKS),
        Case::refused("luks2_version_0", field(&BOTH, VERSION, [0, 0]), "unknown version 0"),
        Case::refused("luks2_version_3", field(&BOTH, VERSION, [0, 3]), "unknown version 3"),
        Case::refused("luks2_version_little_endian", field(&BOTH, VERSION, [2, 0]), "unknown version 512"),
        Case::refused("luks2_version_3_of_the_first_copy", field(&FIRST, VERSION, [0, 3]), "unknown version 3"),
        Case::borne("luks2_version_3_of_the_second_copy", field(&SECOND, VERSION, [0, 3])),
        Case::refused("luks2_version_1_of_the_first_copy", field(&FIRST, VERSION, [0, 1]), "LUKS1"),
    ]
}

fn exchanged(image: &mut Image) {
    let len = image.copy_len();
    let (first, second) = (image.bytes()[..len].to_vec(), image.bytes()[len..2 * len].to_vec());
    image.put(0, &second);
    image.put(len, &first);
}

#[test]
fn luks2_place_and_size() {
    judge(place_and_size());
}

pub fn place_and_size() -> Vec<Case> {
    const SIZE: &str = "hdr_size is";
    let size = |copies, bytes: u64| field(copies, HDR_SIZE, bytes.to_be_bytes());
    let offset = |copies, bytes: u64| field(copies, HDR_OFFSET, bytes.to_be_bytes());
    vec![
        Case::refused("luks2_hdr_size_0", size(&BOTH, 0), SIZE),
        Case::refused("luks2_hdr_size_4096", size(&BOTH, 4096), SIZE),
        Case::refused("luks2_hdr_size_8192", size(&BOTH, 8192), SIZE),
        Case::refused("luks2_hdr_size_odd", size(&BOTH, 16385), SIZE),
        Case::refused("luks2_hdr_size_24_kib", size(&BOTH, 24 << 10), SIZE),
        Case::refused("luks2_hdr_size_8_mib", size(&BOTH, 8 << 20), SIZE),
        Case::refused("luks2_hdr_size_2_to_the_63", size(&BOTH, 1 << 63), SIZE),
        Case::refused("luks2_hdr_size_all_ones", size(&BOTH, u64::MAX), SIZE),
        Case::refused("luks2_hdr_size_twice_as_large", size(&BOTH, 32 << 10), "checksum is wrong"),
        Case::refused("luks2_hdr_size_larger_than_the_disk", size(&BOTH, 4 << 20), "JSON area cannot be read"),
        Case::borne("luks2_hdr_size_0_of_the_first_copy", size(&FIRST, 0)),
        Case::borne("luks2_hdr_size_0_of_the_second_copy", size(&SECOND, 0)),
        Case::refused("luks2_hdr_offset_elsewhere", offset(&BOTH, 4096), "hdr_offset is 4096"),
        Case::refused("luks2_hdr_offset_all_ones", offset(&BOTH, u64::MAX), "hdr_offset is"),
        Case::borne("luks2_hdr_offset_of_the_first_copy", offset(&FIRST, 16384)),
        Case::borne("luks2_hdr_offset_of_the_second_copy", offset(&SECOND, 0)),
        Case::refused(
            "luks2_first_copy_gone_and_a_partition_table",
            over_the_first(510, b"\x55\xaa"),
            "partition table",
        ),
        Case::refused(
            "luks2_first_copy_gone_and_an_ext_file_system",
            over_the_first(1080, b"\x53\xef"),
            "ext file system",
        ),
        Case::refused("luks2_first_copy_gone_and_only_the_magic_of_xfs", over_the_first(0, b"XFSB"), "XFS")
            .but_theirs(Opens, SIGNATURES),
        Case::borne("luks2_first_copy_zeros", |image| image.zero(0, image.copy_len())),
        Case::borne("luks2_second_copy_zeros", |image| image.zero(image.copy_len(), image.copy_len())),
        Case::refused(
            "luks2_both_copies_zeros",
            |image| image.zero(0, 2 * image.copy_len()),
            "there is no LUKS header",
        ),
        Case::borne("luks2_large_first_copy_zeros", |image| image.zero(0, image.copy_len())).on(Base::Large),
    ]
}

/// Zeros over the first copy, and the mark of something else among them.
fn over_the_first(offset: usize, mark: &'static [u8]) -> Fault {
    Box::new(move |image| {
        image.zero(0, image.copy_len());
        image.put(offset, mark);
    })
}

#[test]
fn luks2_sequence_and_checksum() {
    judge(sequence_and_checksum());
}

pub fn sequence_and_checksum() -> Vec<Case> {
    const WRONG: &str = "its checksum is wrong";
    const UNKNOWN: &str = "csum_alg is";
    let sequence = |copies, number: u64| field(copies, SEQID, number.to_be_bytes());
    let algorithm = |copies, name| field(copies, CSUM_ALG, text::<32>(name));
    vec![
        Case::borne("luks2_seqid_0", sequence(&BOTH, 0)),
        Case::borne("luks2_seqid_all_ones", sequence(&BOTH, u64::MAX)),
        Case::borne("luks2_seqid_of_the_second_copy_older", sequence(&SECOND, 1)),
        Case::borne("luks2_seqid_of_the_second_copy_newer", sequence(&SECOND, 1000)),
        Case::shut("luks2_newer_second_copy_without_slots", newer_without_slots(Copy::Second), "there is no slot"),
        Case::shut("luks2_newer_first_copy_without_slots", newer_without_slots(Copy::First), "there is no slot"),
        Case::borne("luks2_as_new_second_copy_without_slots", |image| image.edit(&SECOND, without_slots)),
        Case::refused("luks2_csum_of_both_copies", |image| BOTH.map(|copy| flip(image, copy, CSUM)).fill(()), WRONG),
        Case::borne("luks2_csum_of_the_first_copy", |image| flip(image, Copy::First, CSUM)),
        Case::borne("luks2_csum_of_the_second_copy", |image| flip(image, Copy::Second, CSUM)),
        Case::borne("luks2_csum_with_something_behind_it", |image| {
            BOTH.map(|copy| flip(image, copy, CSUM + 40)).fill(())
        }),
        Case::refused("luks2_csum_alg_unknown", algorithm(&BOTH, "sha257"), UNKNOWN),
        Case::refused("luks2_csum_alg_empty", algorithm(&BOTH, ""), UNKNOWN),
        Case::refused("luks2_csum_alg_without_nul", field(&BOTH, CSUM_ALG, [b'a'; 32]), UNKNOWN),
        Case::refused("luks2_csum_alg_of_another_length", algorithm(&BOTH, "sha512"), WRONG),
        Case::borne("luks2_csum_alg_sha512_and_right", with_sha512),
        Case::borne("luks2_csum_alg_of_the_first_copy", algorithm(&FIRST, "sha257")),
        Case::borne("luks2_salt_0", field(&BOTH, SALT, [0; 64])),
        Case::borne("luks2_label_without_nul", field(&BOTH, LABEL, [b'l'; 48])),
        Case::borne("luks2_label_not_utf8", field(&BOTH, LABEL, [0xff; 48])),
        Case::borne("luks2_label_of_control_characters", field(&BOTH, LABEL, *b"\x1b]0;title\x07\n\x1b[2J")),
        Case::borne("luks2_label_of_the_second_copy", field(&SECOND, LABEL, text::<48>("another"))),
        Case::borne("luks2_subsystem_without_nul", field(&BOTH, SUBSYSTEM, [b's'; 48])),
        Case::refused("luks2_uuid_empty", field(&BOTH, UUID_AT, [0; 40]), "uuid is not a UUID").but_theirs(Opens, UUID),
        Case::refused("luks2_uuid_garbage", field(&BOTH, UUID_AT, text::<40>("no uuid")), "uuid is not a UUID")
            .but_theirs(Opens, UUID),
        Case::refused("luks2_uuid_without_nul", field(&BOTH, UUID_AT, [b'1'; 40]), "uuid is not a UUID")
            .but_theirs(Opens, UUID),
        Case::borne("luks2_padding_not_0", field(&BOTH, PADDING, [7; 184])),
        Case::borne("luks2_rest_not_0", field(&BOTH, REST, [7; 3584])),
        Case::refused(
            "luks2_a_byte_of_both_json_areas",
            |image| BOTH.map(|copy| flip(image, copy, 4100)).fill(()),
            WRONG,
        ),
    ]
}

fn flip(image: &mut Image, copy: Copy, offset: usize) {
    let at = image.start(copy) + offset;
    let byte = image.bytes()[at] ^ 1;
    image.put(at, &[byte]);
}

fn without_slots(json: &mut serde_json::Value) {
    json["keyslots"] = serde_json::json!({});
    json["tokens"] = serde_json::json!({});
    json["digests"]["0"]["keyslots"] = serde_json::json!([]);
}

fn newer_without_slots(copy: Copy) -> Fault {
    Box::new(move |image| {
        image.edit(&[copy], without_slots);
        image.field(&[copy], SEQID, &1000u64.to_be_bytes());
    })
}

fn with_sha512(image: &mut Image) {
    for copy in BOTH {
        image.put(image.start(copy) + CSUM_ALG, &text::<32>("sha512"));
        let digest = image.unsealed(copy, |bytes| Sha512::digest(bytes).to_vec());
        image.put(image.start(copy) + CSUM, &digest);
    }
}

#[test]
fn luks2_ends_too_soon() {
    judge(ends());
}

/// The disk is cut at each boundary, and one byte before it. The slots' areas end at 294912, the data begins at 1048576.
pub fn ends() -> Vec<Case> {
    const NOT_LUKS: &str = "there is no LUKS header";
    const AREA: &str = "reaches behind the end of the disk";
    const AREAS: &str = "the keyslots area ends at 819200, behind the end of the disk";
    const JSON: &str = "JSON area cannot be read";
    vec![
        Case::refused("luks2_cut_to_nothing", cut(0), NOT_LUKS),
        Case::refused("luks2_cut_in_the_magic", cut(5), NOT_LUKS),
        Case::refused("luks2_cut_behind_the_magic", cut(6), NOT_LUKS),
        Case::refused("luks2_cut_after_a_sector", cut(512), NOT_LUKS),
        Case::refused("luks2_cut_in_the_binary_header", cut(4095), NOT_LUKS),
        Case::refused("luks2_cut_behind_the_binary_header", cut(4096), JSON),
        Case::refused("luks2_cut_in_the_first_copy", cut(16383), JSON),
        Case::refused("luks2_cut_behind_the_first_copy", cut(16384), AREA),
        Case::refused("luks2_cut_in_the_second_copy", cut(32767), AREA),
        Case::refused("luks2_cut_behind_the_copies", cut(32768), AREA),
        Case::refused("luks2_cut_in_the_first_area", cut(32768 + 4096), AREA),
        Case::refused("luks2_cut_in_the_last_area", cut(294911), AREA),
        Case::refused("luks2_cut_behind_the_last_area", cut(294912), AREAS),
        Case::refused("luks2_cut_in_the_keyslots_area", cut(819199), AREAS),
        Case::borne("luks2_cut_behind_the_keyslots_area", cut(819200)),
        Case::borne("luks2_cut_before_the_data", cut(1 << 20)),
    ]
}
