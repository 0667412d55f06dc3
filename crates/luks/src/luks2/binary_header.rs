//! The first 4096 bytes of a header copy (LUKS2 on-disk format, section 2.1).
//!
//! Everything is big endian. The checksum covers this block, with its own field zero, and the JSON area behind it.

use block::Bytes;
use crypto::Hash;
use std::fmt;
use uuid::Uuid;

/// Length of this block, whatever the size of the JSON area.
pub(crate) const BINARY_LEN: usize = 4096;
/// Length of the salt, and of the field of the checksum.
pub(crate) const SALT_LEN: usize = 64;

/// Which of the two copies of the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderCopy {
    /// The one at the beginning of the disk.
    Primary,
    /// The one behind it.
    Secondary,
}

impl HeaderCopy {
    /// The six bytes that such a copy begins with.
    pub(crate) fn magic(self) -> [u8; 6] {
        match self {
            HeaderCopy::Primary => *b"LUKS\xba\xbe",
            HeaderCopy::Secondary => *b"SKUL\xba\xbe",
        }
    }
}

impl fmt::Display for HeaderCopy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HeaderCopy::Primary => "primary header",
            HeaderCopy::Secondary => "secondary header",
        })
    }
}

/// Size of one header copy with its JSON area: a power of two from 16 KiB to 4 MiB. It is also where the second copy begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HeaderSize(u64);

impl HeaderSize {
    /// 16 KiB, as cryptsetup writes it unless told.
    pub const SMALLEST: HeaderSize = HeaderSize(16 << 10);
    /// 4 MiB.
    pub const LARGEST: HeaderSize = HeaderSize(4 << 20);

    /// This size, if it is a legal one.
    pub fn new(bytes: Bytes) -> Option<HeaderSize> {
        let legal = bytes.0.is_power_of_two() && (Self::SMALLEST.0..=Self::LARGEST.0).contains(&bytes.0);
        legal.then_some(HeaderSize(bytes.0))
    }

    /// All legal sizes in ascending order.
    pub fn all() -> impl Iterator<Item = HeaderSize> {
        (14..=22).map(|shift| HeaderSize(1 << shift))
    }

    /// In bytes.
    pub fn bytes(self) -> Bytes {
        Bytes(self.0)
    }

    /// As a length in memory.
    pub(crate) fn len(self) -> usize {
        // At most 4 MiB.
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    /// Size of the JSON area alone.
    pub(crate) fn json_len(self) -> usize {
        self.len().saturating_sub(BINARY_LEN)
    }

    /// Where the keyslots area begins.
    pub(crate) fn both(self) -> Bytes {
        Bytes(2 * self.0)
    }
}

/// A text field: bytes up to the first NUL. What stands behind it is kept and means nothing.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct FixedText<const N: usize>([u8; N]);

impl<const N: usize> FixedText<N> {
    /// The text, if it fits with a NUL behind it and has none inside.
    pub(crate) fn new(text: &str) -> Option<Self> {
        let mut bytes = [0; N];
        let fits = text.len() < N && !text.bytes().any(|b| b == 0);
        bytes.iter_mut().zip(text.bytes()).for_each(|(to, from)| *to = from);
        fits.then_some(FixedText(bytes))
    }

    /// The text; bytes that are not UTF-8 become U+FFFD.
    pub(crate) fn text(&self) -> String {
        let text = self.0.split(|b| *b == 0).next().unwrap_or_default();
        String::from_utf8_lossy(text).into_owned()
    }
}

impl<const N: usize> fmt::Debug for FixedText<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text().fmt(f)
    }
}

/// One copy's binary header. Nothing in it is secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BinaryHeader {
    pub(crate) copy: HeaderCopy,
    pub(crate) size: HeaderSize,
    /// Grows by one with every change; the copy with the higher one is the newer.
    pub(crate) sequence: u64,
    pub(crate) label: FixedText<48>,
    pub(crate) checksum_hash: Hash,
    checksum_name: FixedText<32>,
    /// Makes the two copies differ; used for nothing else.
    pub(crate) salt: [u8; SALT_LEN],
    pub(crate) uuid: Uuid,
    pub(crate) uuid_text: FixedText<40>,
    pub(crate) subsystem: FixedText<48>,
    pub(crate) offset: Bytes,
    padding: [u8; 184],
    pub(crate) checksum: [u8; SALT_LEN],
    rest: [u8; 3584],
}

/// What a new header says of itself.
pub(crate) struct Identity<'a> {
    pub(crate) uuid: Uuid,
    pub(crate) label: &'a str,
    pub(crate) subsystem: &'a str,
    pub(crate) checksum_hash: Hash,
}

/// Why a binary header was not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BinaryError {
    /// The block is cut off.
    CutOff,
    /// It does not begin with the magic of such a copy.
    WrongMagic,
    /// The version is not 2.
    WrongVersion {
        /// The version it has.
        found: u16,
    },
    /// The size is not a power of two from 16 KiB to 4 MiB.
    WrongSize {
        /// The size it has.
        found: Bytes,
    },
    /// The copy says that it belongs elsewhere.
    WrongOffset {
        /// Where it says it is.
        said: Bytes,
        /// Where it is.
        found: Bytes,
    },
    /// The checksum's hash is not one that we know.
    UnknownChecksum {
        /// Its name.
        name: String,
    },
    /// The UUID is none.
    WrongUuid,
}

impl fmt::Display for BinaryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BinaryError::CutOff => f.write_str("it is cut off"),
            BinaryError::WrongMagic => f.write_str("it does not begin with the magic of LUKS2"),
            BinaryError::WrongVersion { found } => write!(f, "version is {found}, not 2"),
            BinaryError::WrongSize { found } => {
                write!(f, "hdr_size is {}, not a power of two from 16384 to 4194304", found.0)
            }
            BinaryError::WrongOffset { said, found } => {
                write!(f, "hdr_offset is {}, but it stands at {}", said.0, found.0)
            }
            BinaryError::UnknownChecksum { name } => write!(f, "csum_alg is {name:?}, which is not a hash we know"),
            BinaryError::WrongUuid => f.write_str("uuid is not a UUID"),
        }
    }
}

impl std::error::Error for BinaryError {}

/// Takes fields off the front of a block.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], BinaryError> {
        let (field, rest) = self.0.split_first_chunk().ok_or(BinaryError::CutOff)?;
        self.0 = rest;
        Ok(*field)
    }

    fn u64(&mut self) -> Result<u64, BinaryError> {
        self.array().map(u64::from_be_bytes)
    }
}

impl BinaryHeader {
    /// Reads the block that was found at `offset`. The checksum is not looked at: it needs the JSON area.
    pub(crate) fn parse(block: &[u8], copy: HeaderCopy, offset: Bytes) -> Result<BinaryHeader, BinaryError> {
        let mut r = Reader(block);
        if r.array()? != copy.magic() {
            return Err(BinaryError::WrongMagic);
        }
        let version = u16::from_be_bytes(r.array()?);
        if version != 2 {
            return Err(BinaryError::WrongVersion { found: version });
        }
        let size = Bytes(r.u64()?);
        let size = HeaderSize::new(size).ok_or(BinaryError::WrongSize { found: size })?;
        let sequence = r.u64()?;
        let label = FixedText(r.array()?);
        let checksum_name = FixedText(r.array()?);
        let salt = r.array()?;
        let uuid_text = FixedText(r.array()?);
        let subsystem = FixedText(r.array()?);
        let said = Bytes(r.u64()?);
        if said != offset {
            return Err(BinaryError::WrongOffset { said, found: offset });
        }
        let name = checksum_name.text();
        let checksum_hash = Hash::from_luks_name(&name).ok_or(BinaryError::UnknownChecksum { name })?;
        let uuid = Uuid::try_parse(&uuid_text.text()).map_err(|_| BinaryError::WrongUuid)?;
        let (padding, checksum, rest) = (r.array()?, r.array()?, r.array()?);
        Ok(BinaryHeader {
            copy,
            size,
            sequence,
            label,
            checksum_hash,
            checksum_name,
            salt,
            uuid,
            uuid_text,
            subsystem,
            offset,
            padding,
            checksum,
            rest,
        })
    }

    /// The primary copy of a new header, sequence number 1; `None` if a text is too long or holds a NUL.
    pub(crate) fn primary(size: HeaderSize, identity: &Identity<'_>, salt: [u8; SALT_LEN]) -> Option<BinaryHeader> {
        Some(BinaryHeader {
            copy: HeaderCopy::Primary,
            size,
            sequence: 1,
            label: FixedText::new(identity.label)?,
            checksum_hash: identity.checksum_hash,
            checksum_name: FixedText::new(identity.checksum_hash.luks_name())?,
            salt,
            uuid: identity.uuid,
            uuid_text: FixedText::new(&identity.uuid.to_string())?,
            subsystem: FixedText::new(identity.subsystem)?,
            offset: Bytes(0),
            padding: [0; 184],
            checksum: [0; SALT_LEN],
            rest: [0; 3584],
        })
    }

    /// The other copy, which says the same in its place and has a salt of its own.
    pub(crate) fn other(&self, salt: [u8; SALT_LEN]) -> BinaryHeader {
        let (copy, offset) = match self.copy {
            HeaderCopy::Primary => (HeaderCopy::Secondary, self.size.bytes()),
            HeaderCopy::Secondary => (HeaderCopy::Primary, Bytes(0)),
        };
        BinaryHeader { copy, offset, salt, ..self.clone() }
    }

    /// Whether two copies differ in nothing but what makes them two.
    pub(crate) fn says_the_same(&self, other: &BinaryHeader) -> bool {
        let unmarked = |header: &BinaryHeader| BinaryHeader {
            copy: HeaderCopy::Primary,
            offset: Bytes(0),
            salt: [0; SALT_LEN],
            checksum: [0; SALT_LEN],
            ..header.clone()
        };
        unmarked(self) == unmarked(other)
    }

    /// Whether the checksum is that of this block and this JSON area.
    pub(crate) fn verify(&self, json_area: &[u8]) -> bool {
        let digest = self.digest(json_area);
        self.checksum.get(..digest.as_ref().len()) == Some(digest.as_ref())
    }

    /// The whole copy with a fresh checksum; `json_area` is as long as the size says.
    pub(crate) fn sealed(&mut self, json_area: &[u8]) -> Vec<u8> {
        let digest = self.digest(json_area);
        self.checksum = [0; SALT_LEN];
        self.checksum.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
        [self.encode(&self.checksum).as_slice(), json_area].concat()
    }

    fn digest(&self, json_area: &[u8]) -> crypto::Digest {
        self.checksum_hash.digest(&[&self.encode(&[0; SALT_LEN]), json_area])
    }

    fn encode(&self, checksum: &[u8; SALT_LEN]) -> Vec<u8> {
        let mut block = Vec::with_capacity(BINARY_LEN);
        block.extend_from_slice(&self.copy.magic());
        block.extend_from_slice(&2u16.to_be_bytes());
        block.extend_from_slice(&self.size.0.to_be_bytes());
        block.extend_from_slice(&self.sequence.to_be_bytes());
        block.extend_from_slice(&self.label.0);
        block.extend_from_slice(&self.checksum_name.0);
        block.extend_from_slice(&self.salt);
        block.extend_from_slice(&self.uuid_text.0);
        block.extend_from_slice(&self.subsystem.0);
        block.extend_from_slice(&self.offset.0.to_be_bytes());
        block.extend_from_slice(&self.padding);
        block.extend_from_slice(checksum);
        block.extend_from_slice(&self.rest);
        block
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    fn new_header() -> BinaryHeader {
        let identity = Identity { uuid: Uuid::from_u128(7), label: "data", subsystem: "", checksum_hash: Hash::Sha256 };
        BinaryHeader::primary(HeaderSize::SMALLEST, &identity, [9; SALT_LEN]).unwrap()
    }

    fn parse(block: &[u8]) -> Result<BinaryHeader, BinaryError> {
        BinaryHeader::parse(block, HeaderCopy::Primary, Bytes(0))
    }

    #[test]
    fn what_is_written_is_read() {
        let json = vec![b' '; HeaderSize::SMALLEST.json_len()];
        let mut header = new_header();
        let bytes = header.sealed(&json);
        assert_eq!(bytes.len(), 16384);
        let again = parse(&bytes).unwrap();
        assert_eq!(again, header);
        assert!(again.verify(&json));
        assert_eq!((again.label.text().as_str(), again.uuid), ("data", Uuid::from_u128(7)));

        let mut second = again.other([1; SALT_LEN]);
        let bytes = second.sealed(&json);
        let read = BinaryHeader::parse(&bytes, HeaderCopy::Secondary, Bytes(16384)).unwrap();
        assert_eq!((read, &bytes[..4]), (second, &b"SKUL"[..]));
    }

    #[test]
    fn every_byte_counts() {
        let json = vec![b' '; HeaderSize::SMALLEST.json_len()];
        let bytes = new_header().sealed(&json);
        for i in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[i] ^= 0x20;
            match parse(&bad) {
                Err(_) => {}
                Ok(header) if header.verify(&bad[BINARY_LEN..]) => {
                    // The field of the checksum is longer than the checksum.
                    assert!((448 + 32..512).contains(&i), "byte {i}");
                }
                Ok(_) => {}
            }
        }
    }

    #[test]
    fn each_field_is_refused_for_what_is_wrong_with_it() {
        let good = new_header().sealed(&vec![0; HeaderSize::SMALLEST.json_len()]);
        let with = |at: usize, bytes: &[u8]| {
            let mut bad = good.clone();
            bad[at..at + bytes.len()].copy_from_slice(bytes);
            parse(&bad).unwrap_err()
        };
        assert_eq!(with(0, b"luks"), BinaryError::WrongMagic);
        assert_eq!(with(6, &[0, 1]), BinaryError::WrongVersion { found: 1 });
        for size in [0, 1, 8192, 16383, 16385, 3 << 14, 8 << 20, u64::MAX] {
            assert_eq!(with(8, &size.to_be_bytes()), BinaryError::WrongSize { found: Bytes(size) });
        }
        assert_eq!(with(72, b"md5\0\0\0"), BinaryError::UnknownChecksum { name: "md5".into() });
        assert_eq!(with(168, b"x"), BinaryError::WrongUuid);
        assert_eq!(with(256, &[0, 0, 0, 0, 0, 0, 0, 1]), BinaryError::WrongOffset { said: Bytes(1), found: Bytes(0) });
        for cut in [0, 5, 6, 8, 100, 4095] {
            assert_eq!(parse(&good[..cut]).unwrap_err(), BinaryError::CutOff);
        }
    }

    #[test]
    fn text_must_fit_with_its_nul() {
        assert!(FixedText::<4>::new("abc").is_some());
        assert!(FixedText::<4>::new("abcd").is_none());
        assert!(FixedText::<4>::new("a\0b").is_none());
        assert_eq!(FixedText(*b"ab\0c").text(), "ab");
        assert_eq!(FixedText(*b"a\xff\0c").text(), "a\u{fffd}");
    }

    #[test]
    fn sizes_are_the_nine_legal_ones() {
        assert_eq!(HeaderSize::all().count(), 9);
        assert!(HeaderSize::all().all(|s| HeaderSize::new(s.bytes()) == Some(s)));
        assert_eq!(HeaderSize::all().last(), Some(HeaderSize::LARGEST));
    }
}
