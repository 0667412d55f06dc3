//! Programs of UEFI, as they are measured: their Authenticode digest, and the sections of a unified image.
//!
//! The digest leaves out the checksum, the place of the signatures and the signatures themselves (Microsoft, "Windows Authenticode Portable
//! Executable Signature Format", "Calculating the PE Image Hash"), so that signing a program does not change it.

use super::reader::Reader;
use crypto::Hash;
use std::fmt;

/// Most sections that are read; a unified image has about twenty.
const MOST_SECTIONS: u16 = 96;
/// Longest section in memory beyond what the file has of it: zeros that would have to be made.
const MOST_ZEROS: usize = 1 << 20;

/// The directory that says where the signatures are, and the length of one.
const CERTIFICATES: usize = 4;
const DIRECTORY_LEN: usize = 8;

/// A program in the format PE/COFF.
#[derive(Clone, Debug)]
pub struct Image<'a> {
    bytes: &'a [u8],
    checksum: usize,
    certificates: usize,
    headers: usize,
    certificates_len: usize,
    sections: Vec<Section>,
}

/// One section.
#[derive(Clone, Debug)]
struct Section {
    name: String,
    in_memory: usize,
    in_file: usize,
    at: usize,
}

/// Why a program cannot be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageError {
    /// It is not PE/COFF.
    NotAProgram,
    /// A field says something that cannot be.
    Odd {
        /// Which one.
        field: &'static str,
    },
}

impl<'a> Image<'a> {
    /// Reads the headers.
    ///
    /// # Errors
    /// [`ImageError`].
    pub fn read(bytes: &'a [u8]) -> Result<Image<'a>, ImageError> {
        let coff = Coff::read(bytes)?;
        let directories = coff.directories(bytes)?;
        let number = |offset: usize, field| number_at(bytes, coff.optional + offset).ok_or(odd(field));
        let entry = directories + CERTIFICATES * DIRECTORY_LEN;
        let count = number(directories - 4, "NumberOfRvaAndSizes")?;
        if coff.optional_len < entry + DIRECTORY_LEN || count <= CERTIFICATES {
            return Err(odd("NumberOfRvaAndSizes"));
        }
        let image = Image {
            bytes,
            checksum: coff.optional + 64,
            certificates: coff.optional + entry,
            headers: number(60, "SizeOfHeaders")?,
            certificates_len: number(entry + 4, "Size of the certificate table")?,
            sections: coff.sections(bytes).ok_or(odd("a section"))?,
        };
        image.check().ok_or(odd("SizeOfHeaders, or the place of a section"))?;
        Ok(image)
    }

    /// The digest that firmware extends PCR 4 with.
    pub fn authenticode(&self, hash: Hash) -> Vec<u8> {
        let part = |from: usize, to: usize| self.bytes.get(from..to).unwrap_or_default();
        let mut parts = vec![
            part(0, self.checksum),
            part(self.checksum + 4, self.certificates),
            part(self.certificates + 8, self.headers),
        ];
        let mut sections: Vec<&Section> = self.sections.iter().filter(|section| section.in_file > 0).collect();
        sections.sort_by_key(|section| section.at);
        parts.extend(sections.iter().map(|section| part(section.at, section.at + section.in_file)));
        let hashed = sections.iter().fold(self.headers, |sum, section| sum + section.in_file);
        let end = self.bytes.len().saturating_sub(self.certificates_len);
        parts.push(part(hashed.min(end), end));
        hash.digest(&parts).as_ref().to_vec()
    }

    /// The content of a section as it lies in memory.
    pub fn section(&self, name: &str) -> Option<Vec<u8>> {
        let section = self.sections.iter().find(|section| section.name == name)?;
        let kept = section.in_memory.min(section.in_file);
        let mut content = self.bytes.get(section.at..section.at.checked_add(kept)?)?.to_vec();
        content.resize(section.in_memory, 0);
        Some(content)
    }

    /// Whether everything lies inside of the file, so that nothing that is added up later overflows.
    fn check(&self) -> Option<()> {
        let len = self.bytes.len();
        let headers = self.headers <= len && self.certificates + 8 <= self.headers;
        let sections = self.sections.iter().all(|section| {
            section.at.checked_add(section.in_file).is_some_and(|end| end <= len)
                && section.in_memory <= section.in_file.saturating_add(MOST_ZEROS)
        });
        let sum = self.sections.iter().try_fold(self.headers, |sum, section| sum.checked_add(section.in_file));
        (headers && sections && sum.is_some() && self.certificates_len <= len).then_some(())
    }
}

/// What stands before the optional header, which no program of UEFI lacks.
struct Coff {
    optional: usize,
    optional_len: usize,
    sections: u16,
}

impl Coff {
    fn read(bytes: &[u8]) -> Result<Coff, ImageError> {
        let not = ImageError::NotAProgram;
        if !bytes.starts_with(b"MZ") {
            return Err(not);
        }
        let head = number_at(bytes, 0x3c).ok_or(not)?;
        let mut reader = Reader::new(bytes.get(head..).ok_or(not)?);
        if reader.array() != Some(*b"PE\0\0") {
            return Err(not);
        }
        reader.u16().ok_or(not)?;
        let sections = reader.u16().filter(|count| *count <= MOST_SECTIONS).ok_or(odd("NumberOfSections"))?;
        reader.take(12).ok_or(not)?;
        let optional_len = reader.u16().map(usize::from).ok_or(not)?;
        reader.u16().ok_or(not)?;
        Ok(Coff { optional: head + reader.offset(), optional_len, sections })
    }

    /// Where the directories begin in the optional header of 32 or 64 bits.
    fn directories(&self, bytes: &[u8]) -> Result<usize, ImageError> {
        match bytes.get(self.optional..).and_then(|optional| Reader::new(optional).u16()) {
            Some(0x10b) => Ok(96),
            Some(0x20b) => Ok(112),
            _ => Err(odd("Magic")),
        }
    }

    fn sections(&self, bytes: &[u8]) -> Option<Vec<Section>> {
        let mut reader = Reader::new(bytes.get(self.optional + self.optional_len..)?);
        (0..self.sections).map(|_| Section::read(&mut reader)).collect()
    }
}

impl Section {
    fn read(reader: &mut Reader<'_>) -> Option<Section> {
        let name: [u8; 8] = reader.array()?;
        let name = name.split(|byte| *byte == 0).next().map(String::from_utf8_lossy)?.into_owned();
        let mut number = || reader.u32().and_then(|value| usize::try_from(value).ok());
        let (in_memory, _, in_file, at) = (number()?, number()?, number()?, number()?);
        // Relocations, line numbers and their counts, and what the section is.
        reader.take(16)?;
        Some(Section { name, in_memory, in_file, at })
    }
}

fn number_at(bytes: &[u8], offset: usize) -> Option<usize> {
    Reader::new(bytes.get(offset..)?).u32().and_then(|value| usize::try_from(value).ok())
}

fn odd(field: &'static str) -> ImageError {
    ImageError::Odd { field }
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ImageError::NotAProgram => f.write_str("it is no program of UEFI"),
            ImageError::Odd { field } => write!(f, "its field {field} says what cannot be"),
        }
    }
}

impl std::error::Error for ImageError {}
