//! The protocol's numbers and the shapes of its messages, all of them big endian.

use crate::reader::Reader;
use std::fmt;

/// `NBDMAGIC`, the first thing a client sees.
const GREETING_MAGIC: u64 = 0x4e42_444d_4147_4943;
/// `IHAVEOPT`, before each option.
const OPTION_MAGIC: u64 = 0x4948_4156_454f_5054;
const OPTION_REPLY_MAGIC: u64 = 0x0003_e889_0455_65a9;
const REQUEST_MAGIC: u32 = 0x2560_9513;
const SIMPLE_REPLY_MAGIC: u32 = 0x6744_6698;
const CHUNK_MAGIC: u32 = 0x668e_33ef;

/// The longest string the protocol allows.
pub(super) const LONGEST_STRING: usize = 4096;

/// Handshake flags, and the same bits from the client: fixed newstyle and no zeroes.
pub(super) const FIXED_NEWSTYLE: u16 = 1;
pub(super) const NO_ZEROES: u16 = 1 << 1;

/// What a client may ask for before it says what it wants.
pub(super) mod option {
    pub(crate) const EXPORT_NAME: u32 = 1;
    pub(crate) const ABORT: u32 = 2;
    pub(crate) const LIST: u32 = 3;
    pub(crate) const STARTTLS: u32 = 5;
    pub(crate) const INFO: u32 = 6;
    pub(crate) const GO: u32 = 7;
    pub(crate) const STRUCTURED_REPLY: u32 = 8;
}

/// Kinds of answers to an option.
pub(super) mod reply {
    pub(crate) const ACK: u32 = 1;
    pub(crate) const SERVER: u32 = 2;
    pub(crate) const INFO: u32 = 3;
    pub(crate) const UNSUPPORTED: u32 = (1 << 31) + 1;
    pub(crate) const INVALID: u32 = (1 << 31) + 3;
    pub(crate) const UNKNOWN: u32 = (1 << 31) + 6;
}

/// Kinds of information about an export.
pub(super) mod info {
    pub(crate) const EXPORT: u16 = 0;
    pub(crate) const NAME: u16 = 1;
    pub(crate) const DESCRIPTION: u16 = 2;
    pub(crate) const BLOCK_SIZE: u16 = 3;
}

/// Transmission flags.
pub(super) mod flag {
    pub(crate) const HAS_FLAGS: u16 = 1;
    pub(crate) const READ_ONLY: u16 = 1 << 1;
    pub(crate) const SEND_FLUSH: u16 = 1 << 2;
    pub(crate) const SEND_FUA: u16 = 1 << 3;
    pub(crate) const SEND_DF: u16 = 1 << 7;
    pub(crate) const CAN_MULTI_CONN: u16 = 1 << 8;
}

/// Commands and their flags.
pub(super) mod command {
    pub(crate) const READ: u16 = 0;
    pub(crate) const WRITE: u16 = 1;
    pub(crate) const DISC: u16 = 2;
    pub(crate) const FLUSH: u16 = 3;
    pub(crate) const TRIM: u16 = 4;
    pub(crate) const WRITE_ZEROES: u16 = 6;
    /// Force unit access: durable before it is answered.
    pub(crate) const FLAG_FUA: u16 = 1;
    /// Do not fragment the answer.
    pub(crate) const FLAG_DF: u16 = 1 << 2;
}

/// The errors a command may end with, the only values of `errno` the protocol knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Errno {
    Permission = 1,
    InputOutput = 5,
    Invalid = 22,
    NoSpace = 28,
    Overflow = 75,
}

impl Errno {
    fn number(self) -> u32 {
        self as u32
    }
}

/// The first message of a conversation.
pub(super) fn greeting() -> [u8; 18] {
    let mut bytes = [0; 18];
    let parts =
        [&GREETING_MAGIC.to_be_bytes()[..], &OPTION_MAGIC.to_be_bytes(), &(FIXED_NEWSTYLE | NO_ZEROES).to_be_bytes()];
    join(&mut bytes, &parts);
    bytes
}

/// Option number and length of its data.
pub(super) const OPTION_HEADER: usize = 16;

pub(super) fn parse_option_header(bytes: &[u8]) -> Result<(u32, u32), Violation> {
    let mut r = Reader::new(bytes);
    let fields = (|| Some((r.u64_be()?, r.u32_be()?, r.u32_be()?)))();
    match fields {
        Some((OPTION_MAGIC, option, length)) => Ok((option, length)),
        _ => Err(Violation::OptionMagic),
    }
}

/// Appends one reply to an option. `data` is a few hundred bytes to a few KiB, by the limits on names.
pub(super) fn push_option_reply(to: &mut Vec<u8>, option: u32, kind: u32, data: &[u8]) {
    to.extend_from_slice(&OPTION_REPLY_MAGIC.to_be_bytes());
    to.extend_from_slice(&option.to_be_bytes());
    to.extend_from_slice(&kind.to_be_bytes());
    to.extend_from_slice(&u32::try_from(data.len()).unwrap_or(u32::MAX).to_be_bytes());
    to.extend_from_slice(data);
}

/// One command of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) flags: u16,
    pub(super) command: u16,
    /// Chosen by the client, given back with the answer, without a meaning here.
    pub(super) cookie: u64,
    pub(super) offset: u64,
    pub(super) length: u32,
}

impl Request {
    pub(super) const LENGTH: usize = 28;

    pub(super) fn parse(bytes: &[u8; Request::LENGTH]) -> Result<Request, Violation> {
        let mut r = Reader::new(bytes);
        let fields = (|| {
            let magic = r.u32_be()?;
            let request = Request {
                flags: r.u16_be()?,
                command: r.u16_be()?,
                cookie: r.u64_be()?,
                offset: r.u64_be()?,
                length: r.u32_be()?,
            };
            Some((magic, request))
        })();
        match fields {
            Some((REQUEST_MAGIC, request)) => Ok(request),
            _ => Err(Violation::RequestMagic),
        }
    }

    /// How many bytes of data follow the request itself.
    pub(super) fn payload(self) -> u64 {
        if self.command == command::WRITE { self.length.into() } else { 0 }
    }
}

pub(super) const SIMPLE_REPLY: usize = 16;

/// The head of a simple reply; the data of a `READ` follows when `error` is none.
pub(super) fn simple_reply(cookie: u64, error: Option<Errno>) -> [u8; SIMPLE_REPLY] {
    let mut bytes = [0; SIMPLE_REPLY];
    let error = error.map_or(0, Errno::number);
    join(&mut bytes, &[&SIMPLE_REPLY_MAGIC.to_be_bytes()[..], &error.to_be_bytes(), &cookie.to_be_bytes()]);
    bytes
}

/// Whether more chunks follow for the same request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunk {
    Last,
    More,
}

pub(super) const DATA_CHUNK: usize = 28;

/// The head of a chunk that carries `length` bytes from `offset` on, at most some mebibytes.
pub(super) fn data_chunk(cookie: u64, chunk: Chunk, offset: u64, length: usize) -> [u8; DATA_CHUNK] {
    let mut bytes = [0; DATA_CHUNK];
    let head = chunk_head(cookie, chunk, 1, 8_usize.saturating_add(length));
    join(&mut bytes, &[&head[..], &offset.to_be_bytes()]);
    bytes
}

/// A last chunk that carries an error and a line for a person; `offset` says where on the disk, if that is known.
pub(super) fn error_chunk(cookie: u64, error: Errno, message: &str, offset: Option<u64>) -> Vec<u8> {
    let message = message.as_bytes().get(..message.floor_char_boundary(LONGEST_STRING)).unwrap_or_default();
    let mut data = error.number().to_be_bytes().to_vec();
    data.extend_from_slice(&u16::try_from(message.len()).unwrap_or(u16::MAX).to_be_bytes());
    data.extend_from_slice(message);
    data.extend(offset.iter().flat_map(|offset| offset.to_be_bytes()));
    let kind = (1 << 15) + if offset.is_some() { 2 } else { 1 };
    let mut bytes = chunk_head(cookie, Chunk::Last, kind, data.len()).to_vec();
    bytes.append(&mut data);
    bytes
}

fn chunk_head(cookie: u64, chunk: Chunk, kind: u16, length: usize) -> [u8; 20] {
    let mut bytes = [0; 20];
    let flags = u16::from(chunk == Chunk::Last);
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    let parts = [
        &CHUNK_MAGIC.to_be_bytes()[..],
        &flags.to_be_bytes(),
        &kind.to_be_bytes(),
        &cookie.to_be_bytes(),
        &length.to_be_bytes(),
    ];
    join(&mut bytes, &parts);
    bytes
}

/// Copies `parts` one after the other; together they fill `into`.
fn join(into: &mut [u8], parts: &[&[u8]]) {
    for (place, byte) in into.iter_mut().zip(parts.iter().copied().flatten()) {
        *place = *byte;
    }
}

/// What a client did that leaves no way to go on: the connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// It set flags that were not offered.
    ClientFlags(u32),
    /// Its option did not begin with `IHAVEOPT`.
    OptionMagic,
    /// Its option has more data than any option needs.
    OptionTooLong(u32),
    /// It asked for options without end.
    TooManyOptions,
    /// It asked by `NBD_OPT_EXPORT_NAME`, which knows no error, for an export that is not here.
    UnknownExport,
    /// Its request did not begin with the magic number: both sides no longer agree where a message begins.
    RequestMagic,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Violation::ClientFlags(flags) => write!(f, "the client set unknown flags {flags:#x}"),
            Violation::OptionMagic => write!(f, "the client sent something else than an option"),
            Violation::OptionTooLong(length) => write!(f, "the client sent an option of {length} bytes"),
            Violation::TooManyOptions => write!(f, "the client asked for options without end"),
            Violation::UnknownExport => write!(f, "the client asked for an export that is not here"),
            Violation::RequestMagic => write!(f, "the client sent something else than a request"),
        }
    }
}

impl std::error::Error for Violation {}

#[cfg(test)]
mod tests {
    use super::*;

    /// The layouts of `doc/proto.md`, byte by byte.
    #[test]
    fn messages_have_the_documented_layout() {
        assert_eq!(greeting(), *b"NBDMAGICIHAVEOPT\0\x03");
        assert_eq!(simple_reply(0x0102, Some(Errno::NoSpace)), *b"\x67\x44\x66\x98\0\0\0\x1c\0\0\0\0\0\0\x01\x02");
        assert_eq!(
            data_chunk(7, Chunk::Last, 0x200, 0x1000),
            *b"\x66\x8e\x33\xef\0\x01\0\x01\0\0\0\0\0\0\0\x07\0\0\x10\x08\0\0\0\0\0\0\x02\0"
        );
        assert_eq!(
            error_chunk(7, Errno::InputOutput, "bad", Some(9)),
            *b"\x66\x8e\x33\xef\0\x01\x80\x02\0\0\0\0\0\0\0\x07\0\0\0\x11\0\0\0\x05\0\x03bad\0\0\0\0\0\0\0\x09"
        );
        let mut reply = Vec::new();
        push_option_reply(&mut reply, option::GO, reply::UNKNOWN, b"x");
        assert_eq!(reply, *b"\0\x03\xe8\x89\x04\x55\x65\xa9\0\0\0\x07\x80\0\0\x06\0\0\0\x01x");
    }

    #[test]
    fn a_request_is_read_field_by_field() {
        let bytes = b"\x25\x60\x95\x13\0\x01\0\x01\x01\x02\x03\x04\x05\x06\x07\x08\0\0\0\0\0\0\x02\0\0\0\x10\0";
        let request = Request::parse(bytes).unwrap();
        let expected = Request { flags: 1, command: 1, cookie: 0x0102_0304_0506_0708, offset: 512, length: 4096 };
        assert_eq!(request, expected);
        assert_eq!(request.payload(), 4096);
        assert_eq!(Request::parse(&[0; 28]), Err(Violation::RequestMagic));
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let chunk = error_chunk(0, Errno::Invalid, &"ä".repeat(3000), None);
        assert_eq!(chunk.len(), 20 + 6 + 4096);
        let odd = error_chunk(0, Errno::Invalid, &format!("x{}", "ä".repeat(3000)), None);
        assert_eq!(odd.len(), 20 + 6 + 4095);
    }
}
