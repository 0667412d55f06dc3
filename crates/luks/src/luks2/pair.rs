//! Both copies of a header, as they are written: with the next sequence number, or, where one is damaged, older or different,
//! made anew from the good one.

use crate::luks2::binary_header::{BINARY_LEN, BinaryHeader, HeaderCopy, SALT_LEN};
use crate::luks2::copy::CopyState;
use crate::luks2::header::Luks2;
use crate::luks2::json::Metadata;
use crate::material::random_bytes;
use block::{BlockError, BlockRead, Bytes};
use crypto::{Random, RandomFailed};

/// Two good copies with one sequence number, and their bytes. JSON is never written anew: it is that of the good copy, byte
/// for byte.
pub(crate) struct Pair {
    pub(crate) primary: BinaryHeader,
    pub(crate) secondary: BinaryHeader,
    pub(crate) primary_bytes: Vec<u8>,
    pub(crate) secondary_bytes: Vec<u8>,
}

/// Why there are no two good copies.
#[derive(Debug)]
pub(crate) enum MendError {
    Random(RandomFailed),
    Disk(BlockError),
    /// The copy does not read as it did before.
    Changed,
}

impl Pair {
    /// The copies of `header` as they stand on `disk`; a bad one is replaced.
    pub(crate) fn of(header: &Luks2, disk: &dyn BlockRead, random: &dyn Random) -> Result<Pair, MendError> {
        let mut good = header.binary.clone();
        let area = json_area(&good, disk)?;
        let good_bytes = good.sealed(&area);
        let (other, other_bytes) = match (&header.other, header.copies()) {
            (Some(other), [CopyState::Good, CopyState::Good]) => {
                let area = json_area(other, disk)?;
                let mut other = other.clone();
                let bytes = other.sealed(&area);
                (other, bytes)
            }
            _ => {
                let mut other = good.other(random_salt(random).map_err(MendError::Random)?);
                let bytes = other.sealed(&area);
                (other, bytes)
            }
        };
        Ok(match good.copy {
            HeaderCopy::Primary => {
                Pair { primary: good, secondary: other, primary_bytes: good_bytes, secondary_bytes: other_bytes }
            }
            HeaderCopy::Secondary => {
                Pair { primary: other, secondary: good, primary_bytes: other_bytes, secondary_bytes: good_bytes }
            }
        })
    }
}

/// Both copies' bytes as they will stand on the disk.
pub(crate) struct SealedHeader {
    pub(crate) primary: BinaryHeader,
    pub(crate) secondary: BinaryHeader,
    pub(crate) metadata: Metadata,
    pub(crate) primary_bytes: Vec<u8>,
    pub(crate) secondary_bytes: Vec<u8>,
}

impl SealedHeader {
    /// `None` if the metadata does not fit into its area.
    pub(crate) fn new(
        mut primary: BinaryHeader,
        mut secondary: BinaryHeader,
        metadata: Metadata,
    ) -> Option<SealedHeader> {
        let area = metadata.to_area()?;
        let (primary_bytes, secondary_bytes) = (primary.sealed(&area), secondary.sealed(&area));
        Some(SealedHeader { primary, secondary, metadata, primary_bytes, secondary_bytes })
    }
}

/// Both copies, one number on; a copy that is damaged is made from the other one, with a salt of its own. `None` if there is no
/// such number.
pub(crate) fn next_pair(
    read: &Luks2,
    random: &dyn Random,
) -> Result<Option<(BinaryHeader, BinaryHeader)>, RandomFailed> {
    let mut chosen = read.binary.clone();
    let Some(sequence) = chosen.sequence.checked_add(1) else { return Ok(None) };
    chosen.sequence = sequence;
    let salt = match &read.other {
        Some(other) => other.salt,
        None => random_salt(random)?,
    };
    let other = chosen.other(salt);
    Ok(Some(if chosen.copy == HeaderCopy::Primary { (chosen, other) } else { (other, chosen) }))
}

/// The salt of a header copy.
pub(crate) fn random_salt(random: &dyn Random) -> Result<[u8; SALT_LEN], RandomFailed> {
    random_bytes(random)
}

/// The JSON area behind this block, which was read before.
fn json_area(binary: &BinaryHeader, disk: &dyn BlockRead) -> Result<Vec<u8>, MendError> {
    let mut area = vec![0; binary.size.json_len()];
    let behind = Bytes(binary.offset.0 + Bytes::from(BINARY_LEN).0);
    disk.read_at(behind, &mut area).map_err(MendError::Disk)?;
    if binary.verify(&area) { Ok(area) } else { Err(MendError::Changed) }
}
