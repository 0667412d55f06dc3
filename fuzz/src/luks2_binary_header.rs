//! The binary headers of LUKS2.

use crate::Reached;
use crate::change;
use crate::header::accept;
use crate::rescue;
use crate::sparse::SparseDisk;
use block::{BlockWrite, Bytes};
use crypto::Hash;
use luks::{HeaderSize, UnusedAreas};

/// Of a binary header with its padding.
pub(crate) const BINARY_LEN: usize = 4096;
/// Of its fields: what follows them is padding.
const FIELDS_LEN: usize = 512;
/// Where its checksum stands.
const CHECKSUM_AT: usize = 448;
/// Metadata of a volume that cryptsetup made, without what depends on the header's size.
const JSON: &str = include_str!("luks2_binary_header.json");
/// What stands for the size of the JSON area.
const JSON_SIZE: &str = "JSON_SIZE";

/// The first byte tells how, then come the fields of two copies, 512 bytes each.
///
/// Bit 0 of the first byte: the first copy gets a right checksum; bit 1: so does the second one. Its upper half: where the second
/// copy stands, as one of the nine legal sizes. Both copies are followed by the same JSON, which is right for their own size if
/// that is legal.
pub fn luks2_binary_header(bytes: &[u8]) -> Reached {
    let Some((how, fields)) = bytes.split_first() else { return Reached::Nothing };
    let (first, second) = fields.split_at(fields.len().min(FIELDS_LEN));
    let disk = SparseDisk::default();
    let second_at = HeaderSize::all().nth(usize::from(how >> 4)).unwrap_or(HeaderSize::SMALLEST).bytes();
    // The second copy is put last: with a first one that claims to be longer, it lies in the JSON of that.
    for (at, fields, right) in [(Bytes(0), first, how & 1), (second_at, second, how & 2)] {
        disk.write_at(at, &copy(fields, right != 0)).unwrap();
    }
    disk.take_written();
    let accepted = accept(&disk);
    let data = accepted.as_ref().ok().map(|accepted| accepted.data().offset.0);
    rescue::try_repair(&disk, UnusedAreas::LeftOver, data);
    match accepted {
        Err(reached) => reached,
        Ok(accepted) if change::try_one(&disk, &accepted) => Reached::Changed,
        Ok(_) => Reached::Accepted,
    }
}

/// A whole copy with these fields.
fn copy(fields: &[u8], right: bool) -> Vec<u8> {
    let fields = fields.get(..FIELDS_LEN).unwrap_or(fields);
    let said = fields.get(8..16).map_or(0, |said| u64::from_be_bytes(said.try_into().unwrap()));
    let size = HeaderSize::new(Bytes(said)).unwrap_or(HeaderSize::SMALLEST);
    let size = usize::try_from(size.bytes().0).unwrap();
    let mut copy = vec![0; size];
    copy[..fields.len()].copy_from_slice(fields);
    put_json(&mut copy);
    if right {
        put_checksum(&mut copy);
    }
    copy
}

fn put_json(copy: &mut [u8]) {
    let json = JSON.trim_end().replace(JSON_SIZE, &(copy.len() - BINARY_LEN).to_string());
    copy[BINARY_LEN..][..json.len()].copy_from_slice(json.as_bytes());
}

/// A copy of this size for this place, its checksum not yet made, its JSON empty.
pub(crate) fn good_copy(at: usize, size: usize) -> Vec<u8> {
    let mut copy = vec![0; size];
    let mut put = |at: usize, bytes: &[u8]| copy[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, if at == 0 { b"LUKS\xba\xbe\0\x02" } else { b"SKUL\xba\xbe\0\x02" });
    put(8, &(size as u64).to_be_bytes());
    put(16, &3_u64.to_be_bytes());
    put(72, b"sha256");
    put(104, &[7; 64]);
    put(168, b"00000000-0000-4000-8000-000000000007");
    put(256, &(at as u64).to_be_bytes());
    copy
}

/// Gives a copy the checksum it asks for, or SHA-256 if it asks for none that exists.
pub(crate) fn put_checksum(copy: &mut [u8]) {
    let name = copy[72..104].split(|byte| *byte == 0).next().unwrap_or_default();
    let hash = str::from_utf8(name).ok().and_then(Hash::from_luks_name).unwrap_or(Hash::Sha256);
    copy[CHECKSUM_AT..FIELDS_LEN].fill(0);
    let digest = hash.digest(&[copy]);
    copy[CHECKSUM_AT..][..digest.as_ref().len()].copy_from_slice(digest.as_ref());
}
