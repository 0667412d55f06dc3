//! Segment objects: which part of the disk holds what (LUKS2 on-disk format, section 3.3).

use crate::luks2::keyslot::u32_member;
use block::{Bytes, SECTOR};
use json::{Field, FieldError};

/// One segment.
#[derive(Clone, Debug)]
pub struct Segment {
    /// Where it begins on the disk.
    pub offset: Bytes,
    /// How long it is; `None` is `dynamic`: to the end of the disk.
    pub size: Option<Bytes>,
    /// Flags such as `backup-final`; each says that something unusual goes on.
    pub flags: Vec<String>,
    /// What kind of segment it is.
    pub kind: SegmentKind,
}

/// The kinds of segments.
#[derive(Clone, Debug)]
pub enum SegmentKind {
    /// `crypt`: data under dm-crypt.
    Crypt(CryptSegment),
    /// Any other, such as `linear`.
    Other {
        /// The type.
        name: String,
    },
}

/// The members of a segment of type `crypt`.
#[derive(Clone, Debug)]
pub struct CryptSegment {
    /// The cipher.
    pub encryption: String,
    /// Bytes that are encrypted as one.
    pub sector_size: u32,
    /// What is added to the number of a 512-byte sector to give its IV.
    pub iv_tweak: u64,
    /// Whether there is an `integrity` object: data is stored with authentication tags (dm-integrity).
    pub integrity: bool,
}

impl Segment {
    /// Reads the object of one segment.
    pub(crate) fn parse(field: &Field<'_>) -> Result<Segment, FieldError> {
        let offset = sectors(&field.member("offset")?)?;
        let size = field.member("size")?;
        let size = if size.text()? == "dynamic" { None } else { Some(sectors(&size)?) };
        if size == Some(Bytes(0)) {
            return Err(field.member("size")?.wrong_value("more than nothing"));
        }
        let kind = match field.member("type")?.text()? {
            "crypt" => SegmentKind::Crypt(CryptSegment::parse(field, size)?),
            name => SegmentKind::Other { name: name.to_owned() },
        };
        Ok(Segment { offset, size, flags: texts(field, "flags")?, kind })
    }

    /// The segment, if it is encrypted data.
    pub fn as_crypt(&self) -> Option<&CryptSegment> {
        if let SegmentKind::Crypt(segment) = &self.kind { Some(segment) } else { None }
    }
}

impl CryptSegment {
    fn parse(field: &Field<'_>, size: Option<Bytes>) -> Result<CryptSegment, FieldError> {
        let sector_size = u32_member(field, "sector_size")?;
        if sector_size == 0 || !u64::from(sector_size).is_multiple_of(SECTOR) {
            return Err(field.member("sector_size")?.wrong_value("a multiple of 512"));
        }
        if size.is_some_and(|size| !size.is_multiple_of(sector_size.into())) {
            return Err(field.member("size")?.wrong_value("a multiple of the sector size"));
        }
        Ok(CryptSegment {
            encryption: field.member("encryption")?.text()?.to_owned(),
            sector_size,
            iv_tweak: field.member("iv_tweak")?.integer_text()?,
            integrity: field.optional("integrity")?.is_some(),
        })
    }
}

/// An optional array of strings.
pub(crate) fn texts(field: &Field<'_>, name: &str) -> Result<Vec<String>, FieldError> {
    let Some(member) = field.optional(name)? else { return Ok(Vec::new()) };
    member.items()?.map(|item| Ok(item.text()?.to_owned())).collect()
}

fn sectors(field: &Field<'_>) -> Result<Bytes, FieldError> {
    let bytes = Bytes(field.integer_text()?);
    if bytes.is_multiple_of(SECTOR) { Ok(bytes) } else { Err(field.wrong_value("a multiple of 512")) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use json::{Limits, parse};

    const SEGMENT: &str = r#"{"type":"crypt","offset":"16777216","size":"dynamic","iv_tweak":"0","encryption":"aes-xts-plain64","sector_size":4096}"#;

    fn read(text: &str) -> Result<Segment, String> {
        let value = parse(text.as_bytes(), &Limits::SMALL).unwrap();
        Segment::parse(&value.field("segments.0")).map_err(|e| e.to_string())
    }

    #[test]
    fn what_cryptsetup_writes_is_read() {
        let segment = read(SEGMENT).unwrap();
        assert_eq!((segment.offset, segment.size), (Bytes(16 << 20), None));
        let crypt = segment.as_crypt().unwrap();
        assert_eq!((crypt.encryption.as_str(), crypt.sector_size, crypt.iv_tweak), ("aes-xts-plain64", 4096, 0));
        assert!(!crypt.integrity);
        assert_eq!(read(&SEGMENT.replace("dynamic", "8192")).unwrap().size, Some(Bytes(8192)));
    }

    #[test]
    fn errors_name_the_member() {
        let check = |from: &str, to: &str, expected: &str| {
            assert!(SEGMENT.contains(from));
            assert_eq!(read(&SEGMENT.replace(from, to)).unwrap_err(), format!("segments.0.{expected}"));
        };
        check("dynamic", "all", "size is not a whole number written as a string");
        check("dynamic", "0", "size is not more than nothing");
        check("dynamic", "18446744073709551616", "size is not a whole number written as a string");
        check("dynamic", "4608", "size is not a multiple of the sector size");
        check("16777216", "16777217", "offset is not a multiple of 512");
        check("\"iv_tweak\":\"0\"", "\"iv_tweak\":0", "iv_tweak is not a whole number written as a string");
        check("4096", "0", "sector_size is not a multiple of 512");
        check("4096", "1000", "sector_size is not a multiple of 512");
        check("\"encryption\"", "\"cipher\"", "encryption is missing");
        check("4096}", "4096,\"flags\":[1]}", "flags.0 is not a string");
    }
}
