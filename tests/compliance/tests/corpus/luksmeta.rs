//! Faults of LUKSMeta, in the gap between the key material and the data of a LUKS1 disk. Checksums are right unless they are
//! the fault.
//!
//! Slot 1 is bound: its data is a JWE, which `luksmeta load` gives out and from which `cotter luks pass` makes the passphrase.
//! Slot 2 has data of somebody else.

use crate::base::Base;
use crate::case::{Case, Fault, judge};
use crate::image::Image;
use crate::ledger::GAP;
use crate::verdict::Verdict::Opens;

// Places in the table (there is no specification; this is what libluksmeta 9 writes). All of it is big endian.
const MAGIC: usize = 0;
const VERSION: usize = 8;
const CRC: usize = 12;
const SLOTS: usize = 16;
const SLOT_LEN: usize = 32;
const TABLE_LEN: usize = 272;
// And in a slot.
const UUID: usize = 0;
const OFFSET: usize = 16;
const LENGTH: usize = 20;
const DATA_CRC: usize = 24;
const RESERVED: usize = 28;

/// The gap of the disk of the corpus: behind 8 areas of 504 sectors, and before the data at 2 MiB.
const GAP_AT: usize = 2_068_480;
const GAP_LEN: u32 = 28_672;
const DATA_AT: usize = 2 << 20;
/// Where the data of slots 1 and 2 was put.
const FIRST_DATA: usize = GAP_AT + 4096;

fn number(offset: usize, value: u32) -> Fault {
    table(offset, value.to_be_bytes())
}

/// Bytes of the table, whose checksum is made right again.
fn table(offset: usize, bytes: impl AsRef<[u8]> + 'static) -> Fault {
    Box::new(move |image| {
        image.put(GAP_AT + offset, bytes.as_ref());
        seal(image);
    })
}

fn slot(slot: usize, offset: usize, value: u32) -> Fault {
    number(SLOTS + slot * SLOT_LEN + offset, value)
}

fn bytes(offset: usize, bytes: impl AsRef<[u8]> + 'static) -> Fault {
    Box::new(move |image| image.put(offset, bytes.as_ref()))
}

/// Makes the checksum of the table right.
fn seal(image: &mut Image) {
    image.zero(GAP_AT + CRC, 4);
    let crc = crc32c(&image.bytes()[GAP_AT..GAP_AT + TABLE_LEN]);
    image.put(GAP_AT + CRC, &crc.to_be_bytes());
}

/// CRC-32C (Castagnoli): reflected, from all ones, inverted in the end.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 })
    })
}

fn length_of_slot_1(image: &Image) -> usize {
    let at = GAP_AT + SLOTS + SLOT_LEN + LENGTH;
    usize::try_from(u32::from_be_bytes(image.bytes()[at..at + 4].try_into().unwrap())).unwrap()
}

#[test]
fn luksmeta_table() {
    judge(of_table());
}

fn on_luksmeta(cases: Vec<Case>) -> Vec<Case> {
    cases.into_iter().map(|case| case.on(Base::LuksMeta)).collect()
}

// What `luks dump` and `luks list` say of LUKSMeta.
const ABSENT: &str = "LUKSMeta: not initialised";
const NO_ROOM: &str = "LUKSMeta: no room for any";
const UNKNOWN: &str = "LUKSMeta: damaged: LUKSMeta of the unknown version";
const TABLE: &str = "LUKSMeta: damaged: the table of LUKSMeta does not have its checksum";
const MISPLACED: &str = "LUKSMeta: damaged: the table of LUKSMeta misplaces the data";
const UNREADABLE: &str = "LUKSMeta: damaged: the gap behind the key material cannot be read";
const CHECKSUM: &str =
    "LUKSMeta of keyslot 1: its data in LUKSMeta cannot be read: the data does not have its checksum";
const OUTSIDE: &str = "LUKSMeta of keyslot 1: its data in LUKSMeta cannot be read: the data would reach out of the gap";

pub fn of_table() -> Vec<Case> {
    on_luksmeta(vec![
        Case::refused("luksmeta_magic", table(MAGIC, *b"LUKSMETB"), ABSENT),
        Case::refused("luksmeta_magic_in_small_letters", table(MAGIC, *b"luksmeta"), ABSENT),
        Case::refused("luksmeta_zeros", |image| image.zero(GAP_AT, 28_672), ABSENT),
        Case::refused("luksmeta_version_0", number(VERSION, 0), UNKNOWN),
        Case::refused("luksmeta_version_2", number(VERSION, 2), UNKNOWN),
        Case::refused("luksmeta_version_little_endian", number(VERSION, 1 << 24), UNKNOWN),
        Case::refused("luksmeta_crc", |image| image.put(GAP_AT + CRC, &[1, 2, 3, 4]), TABLE),
        Case::refused("luksmeta_crc_0", |image| image.zero(GAP_AT + CRC, 4), TABLE),
        Case::refused("luksmeta_crc_little_endian", crc_little_endian, TABLE),
        Case::refused("luksmeta_a_byte_of_the_table", bytes(GAP_AT + SLOTS + 7 * SLOT_LEN, [1]), TABLE),
        Case::borne("luksmeta_bytes_behind_the_table", bytes(GAP_AT + TABLE_LEN, [1; 64])),
        Case::refused("luksmeta_cut_in_the_table", |image| image.cut(GAP_AT + TABLE_LEN - 1), UNREADABLE),
        Case::refused("luksmeta_cut_before_the_table", |image| image.cut(GAP_AT), UNREADABLE),
        Case::refused("luksmeta_no_gap", payload(4040), NO_ROOM),
        Case::refused("luksmeta_gap_of_a_block", payload(4048), MISPLACED),
        Case::refused("luksmeta_gap_of_half_a_block", payload(4044), NO_ROOM),
        Case::refused("luksmeta_data_elsewhere", payload(0), "apart from its data"),
        Case::refused(
            "luksmeta_moved_by_a_slot_area",
            |image| image.put(208 + 7 * 48 + 40, &3560u32.to_be_bytes()),
            ABSENT,
        ),
    ])
}

/// Where the data begins, in sectors: the gap ends there.
fn payload(sector: u32) -> Fault {
    bytes(104, sector.to_be_bytes())
}

fn crc_little_endian(image: &mut Image) {
    let crc: Vec<u8> = image.bytes()[GAP_AT + CRC..GAP_AT + CRC + 4].iter().rev().copied().collect();
    image.put(GAP_AT + CRC, &crc);
}

#[test]
fn luksmeta_slots() {
    judge(of_slots());
}

pub fn of_slots() -> Vec<Case> {
    let offset = |value| slot(1, OFFSET, value);
    let length = |value| slot(1, LENGTH, value);
    on_luksmeta(vec![
        Case::shut("luksmeta_slot_uuid_another", table(SLOTS + SLOT_LEN + UUID, [7; 16]), "no keyslot is bound"),
        Case::shut("luksmeta_slot_uuid_0", table(SLOTS + SLOT_LEN + UUID, [0; 16]), "no keyslot is bound"),
        Case::refused("luksmeta_slot_offset_0", offset(0), MISPLACED),
        Case::refused("luksmeta_slot_offset_in_the_table", offset(16), MISPLACED),
        Case::refused("luksmeta_slot_offset_at_the_end_of_the_table", offset(272), MISPLACED),
        Case::shut("luksmeta_slot_offset_behind_the_table", offset(273), CHECKSUM),
        Case::shut("luksmeta_slot_offset_odd", offset(4097), CHECKSUM),
        Case::shut("luksmeta_slot_offset_of_another_slot", offset(8192), CHECKSUM),
        Case::shut("luksmeta_slot_offset_of_free_blocks", offset(12_288), CHECKSUM),
        Case::shut("luksmeta_slot_offset_behind_the_gap", offset(GAP_LEN), OUTSIDE),
        Case::shut("luksmeta_slot_offset_behind_the_disk", offset(1 << 30), OUTSIDE),
        Case::shut("luksmeta_slot_offset_2_to_the_32_less_1", offset(u32::MAX), OUTSIDE),
        Case::shut("luksmeta_slot_length_0", length(0), "LUKSMeta of keyslot 1"),
        Case::shut("luksmeta_slot_length_1", length(1), CHECKSUM),
        Case::shut("luksmeta_slot_length_of_the_whole_gap", length(GAP_LEN - 4096), CHECKSUM),
        Case::refused("luksmeta_slot_length_longer_than_the_gap", length(GAP_LEN - 4095), MISPLACED),
        Case::refused("luksmeta_slot_length_2_to_the_31", length(1 << 31), MISPLACED),
        Case::refused("luksmeta_slot_length_2_to_the_32_less_1", length(u32::MAX), MISPLACED),
        Case::refused("luksmeta_length_of_another_slot", slot(2, LENGTH, u32::MAX), MISPLACED),
        Case::refused("luksmeta_offset_of_another_slot", slot(2, OFFSET, 0), MISPLACED),
        Case::borne("luksmeta_another_slot_over_the_first", slot(2, OFFSET, 4096)),
        Case::shut("luksmeta_slot_data_crc", slot(1, DATA_CRC, 0), CHECKSUM),
        Case::borne("luksmeta_data_crc_of_another_slot", slot(2, DATA_CRC, 0)),
        Case::borne("luksmeta_slot_reserved_not_0", slot(1, RESERVED, 1)),
        Case::borne("luksmeta_empty_slot_with_something_behind_its_uuid", slot(5, LENGTH, 77)),
        Case::shut("luksmeta_a_byte_of_the_data", bytes(FIRST_DATA + 10, [b'!']), CHECKSUM),
        Case::shut("luksmeta_data_zeroed", |image| image.zero(FIRST_DATA, 4096), CHECKSUM),
        Case::shut("luksmeta_cut_before_the_data", |image| image.cut(FIRST_DATA), "cannot be read"),
        Case::shut("luksmeta_cut_in_the_data", |image| image.cut(FIRST_DATA + 100), "cannot be read"),
        Case::borne("luksmeta_cut_before_the_encrypted_data", |image| image.cut(DATA_AT)),
        Case::shut("luksmeta_data_that_is_no_jwe", no_jwe, "a compact JWE has 5 parts").not_looked_at(),
        Case::shut("luksmeta_data_of_one_character_less", one_less, "is not base64url").not_looked_at(),
        Case::shut("luksmeta_data_in_the_encrypted_data", moved(GAP_LEN), OUTSIDE).but_theirs(Opens, GAP),
        Case::shut("luksmeta_data_over_the_end_of_the_gap", moved(GAP_LEN - 100), OUTSIDE).but_theirs(Opens, GAP),
        Case::borne("luksmeta_data_between_blocks", moved(4096 * 3 + 700)),
        Case::borne("luksmeta_data_in_the_block_of_the_table", moved(1024)),
        Case::shut("luksmeta_slot_inactive_in_luks", bytes(208 + 48, 0xdeadu32.to_be_bytes()), "no keyslot is bound")
            .not_looked_at(),
    ])
}

/// Gives the data of slot 1 other bytes, with the right checksum.
fn set_data(image: &mut Image, offset: u32, data: &[u8]) {
    let at = GAP_AT + usize::try_from(offset).unwrap();
    image.put(at, data);
    let length = u32::try_from(data.len()).unwrap();
    for (field, value) in [(OFFSET, offset), (LENGTH, length), (DATA_CRC, crc32c(data))] {
        image.put(GAP_AT + SLOTS + SLOT_LEN + field, &value.to_be_bytes());
    }
    seal(image);
}

fn data(image: &Image) -> Vec<u8> {
    image.bytes()[FIRST_DATA..FIRST_DATA + length_of_slot_1(image)].to_vec()
}

fn no_jwe(image: &mut Image) {
    set_data(image, 4096, b"this is no JWE");
}

fn one_less(image: &mut Image) {
    let data = data(image);
    set_data(image, 4096, &data[..data.len() - 1]);
}

/// The whole data at another place: the table says the truth about it.
fn moved(offset: u32) -> Fault {
    Box::new(move |image| {
        let data = data(image);
        set_data(image, offset, &data);
    })
}
