//! In which order a backup goes over a LUKS1 header: key material first, then the header. What lies between the key material
//! and the data, LUKSMeta above all, stays.

use crate::header::Header;
use crate::luks1::backup;
use crate::luks1::header::{HEADER_LEN, Luks1, Luks1Error};
use crate::luks1::meta;
use crate::undo::{Ready, Write};
use block::{BlockRead, Bytes};

/// Restores `bytes`, a backup.
pub(crate) fn ready(bytes: &[u8], disk: &dyn BlockRead) -> Result<Ready, Luks1Error> {
    let (header, material) = bytes.split_first_chunk::<HEADER_LEN>().ok_or(Luks1Error::CutOff)?;
    let after = Luks1::parse(Box::new(*header), disk.len())?;
    let end = usize::try_from(backup::end(&after).0).unwrap_or(usize::MAX);
    let material = material.get(..end.saturating_sub(HEADER_LEN)).ok_or(Luks1Error::CutOff)?;
    let (meta, table) = meta::read(disk, after.gap());
    let write = |offset, bytes: &[u8]| vec![Write { offset: Bytes::from(offset), bytes: bytes.to_vec().into() }];
    let phases = vec![write(HEADER_LEN, material), write(0, header)];
    Ok(Ready { after: Header::Luks1(Box::new(Luks1 { meta, table, ..after })), phases })
}

/// What the data is encrypted with, as far as a header tells without its key.
pub(crate) fn key(header: &Luks1) -> impl PartialEq + '_ {
    (&header.cipher, header.key_bytes, header.digest, header.digest_salt)
}
