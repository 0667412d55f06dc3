//! How a part of an image is compressed, by its first bytes.

use std::fmt;

/// What the kernel can decompress (lib/decompress.c).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Compression {
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
    /// The .xz format.
    Xz,
    /// The legacy frame of lz4, which is the one that the kernel knows, or the frame that later came to be.
    Lz4,
    /// The .lzma format, which has no magic number: its usual properties and a dictionary of a whole number of KiB.
    Lzma,
    /// bzip2.
    Bzip2,
    /// lzop.
    Lzo,
}

impl Compression {
    /// All of them.
    pub const ALL: [Compression; 7] = [
        Compression::Gzip,
        Compression::Zstd,
        Compression::Xz,
        Compression::Lz4,
        Compression::Lzma,
        Compression::Bzip2,
        Compression::Lzo,
    ];

    /// What `bytes` begin with, if it is one of them.
    pub fn of(bytes: &[u8]) -> Option<Compression> {
        Compression::ALL.into_iter().find(|one| one.magic().iter().any(|magic| bytes.starts_with(magic)))
    }

    fn magic(self) -> &'static [&'static [u8]] {
        match self {
            Compression::Gzip => &[b"\x1f\x8b", b"\x1f\x9e"],
            Compression::Zstd => &[b"\x28\xb5\x2f\xfd"],
            Compression::Xz => &[b"\xfd7zXZ\0"],
            Compression::Lz4 => &[b"\x02\x21\x4c\x18", b"\x04\x22\x4d\x18"],
            Compression::Lzma => &[b"\x5d\0\0"],
            Compression::Bzip2 => &[b"BZh"],
            Compression::Lzo => &[b"\x89LZO\0\x0d\x0a\x1a\x0a"],
        }
    }

    /// The program that decompresses it from its standard input to its standard output, with its arguments.
    pub fn program(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Compression::Gzip => ("gzip", &["-dc"]),
            Compression::Zstd => ("zstd", &["-dcq"]),
            Compression::Xz => ("xz", &["-dc"]),
            Compression::Lz4 => ("lz4", &["-dcq"]),
            Compression::Lzma => ("xz", &["-dc", "--format=lzma"]),
            Compression::Bzip2 => ("bzip2", &["-dc"]),
            Compression::Lzo => ("lzop", &["-dc"]),
        }
    }
}

/// The name of its program, as image builders' settings have it.
impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Compression::Gzip => "gzip",
            Compression::Zstd => "zstd",
            Compression::Xz => "xz",
            Compression::Lz4 => "lz4",
            Compression::Lzma => "lzma",
            Compression::Bzip2 => "bzip2",
            Compression::Lzo => "lzo",
        })
    }
}
