//! Answers (RFC 1035, section 4.1).

use super::query::{Extension, INTERNET, Kind, Query, Transport};
use crate::bytes::{Reader, Short};
use crate::name::{Compression, Name, NameError};
use std::error::Error;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const ALIAS: u16 = 5;
const START_OF_AUTHORITY: u16 = 6;
const HEADER: usize = 12;
/// Names that lead to names: more than that is a circle or a mistake.
pub(super) const MOST_ALIASES: u32 = 8;
/// More addresses of one name are of no use to anybody here.
const MOST_ADDRESSES: usize = 16;

const NO_ERROR: u16 = 0;
const FORMAT_ERROR: u16 = 1;
const NAME_ERROR: u16 = 3;
const NOT_IMPLEMENTED: u16 = 4;

/// What a server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The addresses, one at least.
    Addresses(Vec<IpAddr>),
    /// The name is another one's, whose addresses the server did not send: it is to be asked for that.
    Alias(Name),
    /// There is such a name, without addresses of this family.
    NoAddress,
    /// There is no such name.
    NoName,
}

/// Why a message is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// It ends within a field.
    Short(Short),
    /// A name in it makes no sense.
    Name(NameError),
    /// It answers another question, or is none; forged answers look like that.
    OtherQuestion,
    /// It is ours but for the case of its letters: forged, or by a server that does not keep them. Over TCP there is no doubt.
    OtherCase,
    /// It was cut; over TCP it is whole.
    Truncated,
    /// The server does not know EDNS0.
    NoExtension,
    /// The server fails or refuses: its code (RFC 1035: 2 is a failure, 5 a refusal).
    Code(u8),
    /// Names lead to names more than eight times, or in a circle.
    Circle,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unusable::Short(short) => short.fmt(f),
            Unusable::Name(error) => error.fmt(f),
            Unusable::OtherQuestion => f.write_str("the message answers another question"),
            Unusable::OtherCase => f.write_str("the message has the question in other letters"),
            Unusable::Truncated => f.write_str("the answer is cut"),
            Unusable::NoExtension => f.write_str("the server does not know EDNS0"),
            Unusable::Code(2) => f.write_str("the server fails (SERVFAIL)"),
            Unusable::Code(5) => f.write_str("the server refuses (REFUSED)"),
            Unusable::Code(code) => write!(f, "the server answers with error {code}"),
            Unusable::Circle => f.write_str("names lead to names without end"),
        }
    }
}

impl Error for Unusable {}

impl From<Short> for Unusable {
    fn from(short: Short) -> Unusable {
        Unusable::Short(short)
    }
}

impl From<NameError> for Unusable {
    fn from(error: NameError) -> Unusable {
        Unusable::Name(error)
    }
}

impl Answer {
    /// Reads a message that arrived from the server that `query` was sent to.
    pub fn read(message: &[u8], query: &Query, transport: Transport) -> Result<Answer, Unusable> {
        let mut reader = Reader::new(message);
        let (id, flags) = (reader.u16("the header")?, reader.u16("the header")?);
        let [questions, answers, authorities, _] = counts(&mut reader)?;
        let (is_answer, operation, code) = (flags & 0x8000 != 0, flags >> 11 & 15, flags & 15);
        if id != query.id || !is_answer || operation != 0 {
            return Err(Unusable::OtherQuestion);
        }
        // Who does not understand a question may not repeat it.
        let unknown = matches!(code, FORMAT_ERROR | NOT_IMPLEMENTED);
        if !(unknown && questions == 0) {
            check_question(&mut reader, questions, query, transport)?;
        }
        if unknown && query.extension == Extension::Offered {
            return Err(Unusable::NoExtension);
        }
        if flags & 0x0200 != 0 {
            return Err(Unusable::Truncated);
        }
        if !matches!(code, NO_ERROR | NAME_ERROR) {
            return Err(Unusable::Code(u8::try_from(code).unwrap_or(u8::MAX)));
        }
        let mut at = HEADER + query.question.len();
        let mut records = Vec::new();
        for _ in 0..answers {
            let (record, next) = Record::read(message, at)?;
            records.extend(Some(record).filter(|record| record.class == INTERNET));
            at = next;
        }
        let answer = follow(message, &records, query)?;
        match answer {
            Answer::Addresses(_) => Ok(answer),
            _ if code == NAME_ERROR => Ok(Answer::NoName),
            // The one who answers for the name at the end of the chain says that this was all.
            Answer::Alias(_) if has_authority(message, at, authorities) => Ok(Answer::NoAddress),
            answer => Ok(answer),
        }
    }
}

fn counts(reader: &mut Reader<'_>) -> Result<[u16; 4], Short> {
    let mut counts = [0; 4];
    for count in &mut counts {
        *count = reader.u16("the header")?;
    }
    Ok(counts)
}

fn check_question(
    reader: &mut Reader<'_>,
    questions: u16,
    query: &Query,
    transport: Transport,
) -> Result<(), Unusable> {
    let question = reader.take(query.question.len(), "the question")?;
    match () {
        () if questions != 1 || !question.eq_ignore_ascii_case(&query.question) => Err(Unusable::OtherQuestion),
        () if transport == Transport::Udp && question != query.question => Err(Unusable::OtherCase),
        () => Ok(()),
    }
}

/// One record, its data still in the message: names in them are compressed.
struct Record<'a> {
    owner: Name,
    kind: u16,
    class: u16,
    data: &'a [u8],
    data_at: usize,
}

impl<'a> Record<'a> {
    fn read(message: &'a [u8], at: usize) -> Result<(Record<'a>, usize), Unusable> {
        let (owner, at) = Name::read(message, at, Compression::Allowed)?;
        let mut reader = Reader::new(message.get(at..).unwrap_or_default());
        let (kind, class) = (reader.u16("a record")?, reader.u16("a record")?);
        reader.u32("a record")?;
        let length = usize::from(reader.u16("a record")?);
        let data = reader.take(length, "a record")?;
        let data_at = at + 10;
        Ok((Record { owner, kind, class, data, data_at }, data_at + length))
    }
}

/// From the name that was asked for over its aliases to addresses. Records of other names mean nothing.
fn follow(message: &[u8], records: &[Record<'_>], query: &Query) -> Result<Answer, Unusable> {
    let mut name = query.name.clone();
    for hop in 0..=MOST_ALIASES {
        let own = records.iter().filter(|record| record.owner == name && record.kind == query.kind as u16);
        let addresses: Vec<IpAddr> =
            own.filter_map(|record| address(query.kind, record.data)).take(MOST_ADDRESSES).collect();
        if !addresses.is_empty() {
            return Ok(Answer::Addresses(addresses));
        }
        match records.iter().find(|record| record.owner == name && record.kind == ALIAS) {
            Some(alias) => name = Name::read(message, alias.data_at, Compression::Allowed)?.0,
            None if hop == 0 => return Ok(Answer::NoAddress),
            None => return Ok(Answer::Alias(name)),
        }
    }
    Err(Unusable::Circle)
}

fn address(kind: Kind, data: &[u8]) -> Option<IpAddr> {
    match kind {
        Kind::A => <[u8; 4]>::try_from(data).ok().map(|bytes| Ipv4Addr::from(bytes).into()),
        Kind::Aaaa => <[u8; 16]>::try_from(data).ok().map(|bytes| Ipv6Addr::from(bytes).into()),
    }
}

fn has_authority(message: &[u8], mut at: usize, authorities: u16) -> bool {
    for _ in 0..authorities {
        match Record::read(message, at) {
            Ok((record, _)) if record.kind == START_OF_AUTHORITY => return true,
            Ok((_, next)) => at = next,
            Err(_) => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests;
