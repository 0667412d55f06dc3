//! LUKSMeta, in the gap of a LUKS1 volume.

use crate::Reached;
use crate::change;
use crate::header::{accept, say};
use crate::sparse::SparseDisk;
use block::{BlockWrite, Bytes};
use luks::{Header, MetaState};

/// A header with a key of 64 bytes, as cryptsetup makes it: its gap is 28 KiB long.
const HEADER: &[u8] = include_bytes!("../seeds/luks1/usual");
const GAP_AT: u64 = 2_068_480;
const GAP_LEN: usize = (2 << 20) - 2_068_480;
/// The table of the gap's first block: magic and version, its checksum, eight entries.
const CHECKSUM_AT: usize = 12;
const TABLE_LEN: usize = 272;

/// The first byte tells how, the others are what the gap begins with; zeros follow.
///
/// Bit 0 of the first byte: the table gets a right checksum. Every other bit: so does the data of one slot, from the second on.
pub fn luksmeta(bytes: &[u8]) -> Reached {
    let Some((how, gap)) = bytes.split_first() else { return Reached::Nothing };
    let mut gap = gap.get(..GAP_LEN).unwrap_or(gap).to_vec();
    if how & 1 != 0 {
        gap.resize(gap.len().max(TABLE_LEN), 0);
        put_checksums(&mut gap, how >> 1);
    }
    let disk = SparseDisk::starting_with(HEADER);
    disk.write_at(Bytes(GAP_AT), &gap).unwrap();
    disk.take_written();
    let accepted = match accept(&disk) {
        Err(reached) => return reached,
        Ok(accepted) => accepted,
    };
    assert!(change::try_luksmeta(&disk, &accepted), "whatever is in the gap, it can be overwritten");
    look_at(&disk, accepted.header())
}

/// How far it came: the volume around it is always good.
fn look_at(disk: &SparseDisk, header: &Header) -> Reached {
    let meta = match header.as_luks1().expect("it was written as LUKS1").meta() {
        MetaState::NoGap => panic!("the gap is gone"),
        MetaState::Absent => return Reached::Nothing,
        MetaState::Damaged(error) => {
            say(error);
            return Reached::Nothing;
        }
        MetaState::Present(meta) => meta,
    };
    assert_eq!((meta.gap().offset().0, meta.gap().size().0), (GAP_AT, Bytes::from(GAP_LEN).0));
    let mut reached = Reached::Read;
    for (slot, entry) in meta.slots() {
        let loaded = meta.load(disk, slot);
        match (&loaded, meta.data(slot)) {
            (Ok(data), Some(Ok(kept))) => {
                assert!(data == kept && Bytes::from(data.len()).0 == u64::from(entry.length));
                reached = Reached::Accepted;
            }
            (Err(error), Some(Err(kept))) => {
                say(error);
                say(kept);
            }
            _ => panic!("slot {slot} is {loaded:?} now and was not when the header was read"),
        }
    }
    reached
}

/// First those of the data, because the table covers them.
fn put_checksums(gap: &mut [u8], slots: u8) {
    for slot in (0..7).filter(|slot| slots >> slot & 1 != 0) {
        let at = 16 + 32 * (slot + 1);
        let number = |at: usize| u32::from_be_bytes(gap[at..at + 4].try_into().unwrap()) as usize;
        let (offset, length) = (number(at + 16), number(at + 20));
        let Some(data) = offset.checked_add(length).and_then(|end| gap.get(offset..end)) else { continue };
        let crc = crc32c(data);
        gap[at + 24..at + 28].copy_from_slice(&crc.to_be_bytes());
    }
    gap[CHECKSUM_AT..CHECKSUM_AT + 4].fill(0);
    let crc = crc32c(&gap[..TABLE_LEN]);
    gap[CHECKSUM_AT..CHECKSUM_AT + 4].copy_from_slice(&crc.to_be_bytes());
}

/// CRC-32C (RFC 3720, appendix B.4), reflected, bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc32c_is_that_of_rfc_3720() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }
}
