//! Negotiation: the client asks for options until it names the export it wants ("Fixed newstyle negotiation").

use super::export::Export;
use super::wire::{self, LONGEST_STRING, Violation, flag, info, option, reply};
use crate::reader::Reader;

/// Data of one option. A name takes at most 4096 bytes and a list of information requests some tens.
const LONGEST_OPTION: u32 = 1 << 16;
/// Options of one client before it decides. The longest negotiation of a real one takes about ten.
const MOST_OPTIONS: u32 = 256;

/// One negotiation, without input or output: send what [`Handshake::start`] and [`Handshake::take`] return, and give `take`
/// exactly [`Handshake::wants`] bytes at a time.
#[derive(Debug)]
pub struct Handshake<'e> {
    export: &'e Export,
    state: State,
    no_zeroes: bool,
    structured: bool,
    options_left: u32,
}

#[derive(Clone, Copy, Debug)]
enum State {
    ClientFlags,
    OptionHeader,
    OptionData { option: u32, length: u32 },
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Send this (it may be empty) and read on.
    Send(Vec<u8>),
    /// Send this; from here on the client sends commands.
    Transmit(Vec<u8>, Agreed),
    /// Send this and close.
    Close(Vec<u8>),
}

/// What both sides know when commands begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// Whether replies come in chunks.
    pub(super) structured: bool,
    /// The block of which requests are multiples: the export's if the client asked for it, else 1, as the protocol has it.
    pub(super) minimum: u32,
}

impl<'e> Handshake<'e> {
    /// Begins with a client that wants one export; the second value is sent first.
    pub fn start(export: &'e Export) -> (Handshake<'e>, [u8; 18]) {
        let handshake = Handshake {
            export,
            state: State::ClientFlags,
            no_zeroes: false,
            structured: false,
            options_left: MOST_OPTIONS,
        };
        (handshake, wire::greeting())
    }

    /// How many bytes the next [`Handshake::take`] needs: never more than 64 KiB, and none for an option without data.
    pub fn wants(&self) -> usize {
        match self.state {
            State::ClientFlags => 4,
            State::OptionHeader => wire::OPTION_HEADER,
            State::OptionData { length, .. } => usize::try_from(length).unwrap_or(usize::MAX),
        }
    }

    /// Takes the bytes asked for.
    ///
    /// # Errors
    /// [`Violation`]: close the connection, there is nothing left to say.
    pub fn take(&mut self, bytes: &[u8]) -> Result<Step, Violation> {
        match self.state {
            State::ClientFlags => {
                self.take_flags(bytes)?;
                self.state = State::OptionHeader;
                Ok(Step::Send(Vec::new()))
            }
            State::OptionHeader => {
                let (option, length) = wire::parse_option_header(bytes)?;
                if length > LONGEST_OPTION {
                    return Err(Violation::OptionTooLong(length));
                }
                self.options_left = self.options_left.checked_sub(1).ok_or(Violation::TooManyOptions)?;
                self.state = State::OptionData { option, length };
                Ok(Step::Send(Vec::new()))
            }
            State::OptionData { option, .. } => {
                self.state = State::OptionHeader;
                self.answer(option, bytes)
            }
        }
    }

    fn take_flags(&mut self, bytes: &[u8]) -> Result<(), Violation> {
        let flags = Reader::new(bytes).u32_be().unwrap_or(u32::MAX);
        if flags & !u32::from(wire::FIXED_NEWSTYLE | wire::NO_ZEROES) != 0 {
            return Err(Violation::ClientFlags(flags));
        }
        self.no_zeroes = flags & u32::from(wire::NO_ZEROES) != 0;
        Ok(())
    }

    fn answer(&mut self, option: u32, data: &[u8]) -> Result<Step, Violation> {
        let say = |kind, text: &str| {
            let mut message = Vec::new();
            wire::push_option_reply(&mut message, option, kind, text.as_bytes());
            Step::Send(message)
        };
        Ok(match option {
            option::EXPORT_NAME => return self.export_name(data),
            option::ABORT => Step::Close(acknowledge(option)),
            option::LIST | option::STRUCTURED_REPLY if !data.is_empty() => {
                say(reply::INVALID, "this option has no data")
            }
            option::LIST => Step::Send(self.list()),
            option::STRUCTURED_REPLY => {
                self.structured = true;
                Step::Send(acknowledge(option))
            }
            option::INFO | option::GO => match Wish::parse(data) {
                None => say(reply::INVALID, "the data of this option is malformed"),
                Some(wish) if !self.is_ours(wish.name) => say(reply::UNKNOWN, "there is no export of this name"),
                Some(wish) => self.describe(option, &wish),
            },
            option::STARTTLS => say(reply::UNSUPPORTED, "this server speaks on a local socket, without TLS"),
            _ => say(reply::UNSUPPORTED, "this option is not supported"),
        })
    }

    /// A zero-length name means the default export.
    fn is_ours(&self, name: &[u8]) -> bool {
        name.is_empty() || name == self.export.name().as_bytes()
    }

    /// The old way into transmission, which cannot say no.
    fn export_name(&self, name: &[u8]) -> Result<Step, Violation> {
        if !self.is_ours(name) {
            return Err(Violation::UnknownExport);
        }
        let mut message = self.export.length().0.to_be_bytes().to_vec();
        message.extend_from_slice(&self.flags().to_be_bytes());
        if !self.no_zeroes {
            message.extend_from_slice(&[0; 124]);
        }
        Ok(Step::Transmit(message, Agreed { structured: self.structured, minimum: 1 }))
    }

    fn list(&self) -> Vec<u8> {
        let name = self.export.name().as_bytes();
        let mut data = u32::try_from(name.len()).unwrap_or(u32::MAX).to_be_bytes().to_vec();
        data.extend_from_slice(name);
        data.extend_from_slice(self.export.description().as_bytes());
        let mut message = Vec::new();
        wire::push_option_reply(&mut message, option::LIST, reply::SERVER, &data);
        message.extend_from_slice(&acknowledge(option::LIST));
        message
    }

    /// The answer to `INFO` and `GO`: what was asked for, then the acknowledgement.
    fn describe(&self, option: u32, wish: &Wish<'_>) -> Step {
        let mut message = Vec::new();
        let mut tell = |kind: u16, data: &[u8]| {
            let data = [&kind.to_be_bytes(), data].concat();
            wire::push_option_reply(&mut message, option, reply::INFO, &data);
        };
        let (length, flags) = (self.export.length().0.to_be_bytes(), self.flags().to_be_bytes());
        tell(info::EXPORT, &[&length[..], &flags].concat());
        if wish.asks(info::NAME) {
            tell(info::NAME, self.export.name().as_bytes());
        }
        if wish.asks(info::DESCRIPTION) && !self.export.description().is_empty() {
            tell(info::DESCRIPTION, self.export.description().as_bytes());
        }
        let sizes = self.export.sizes();
        if wish.asks(info::BLOCK_SIZE) {
            tell(info::BLOCK_SIZE, &[sizes.minimum, sizes.preferred, sizes.maximum].map(u32::to_be_bytes).concat());
        }
        message.extend_from_slice(&acknowledge(option));
        if option == option::INFO {
            return Step::Send(message);
        }
        let minimum = if wish.asks(info::BLOCK_SIZE) { sizes.minimum } else { 1 };
        Step::Transmit(message, Agreed { structured: self.structured, minimum })
    }

    fn flags(&self) -> u16 {
        let read_only = if self.export.is_read_only() { flag::READ_ONLY } else { 0 };
        let df = if self.structured { flag::SEND_DF } else { 0 };
        flag::HAS_FLAGS | flag::SEND_FLUSH | flag::SEND_FUA | flag::CAN_MULTI_CONN | read_only | df
    }
}

fn acknowledge(option: u32) -> Vec<u8> {
    let mut message = Vec::new();
    wire::push_option_reply(&mut message, option, reply::ACK, &[]);
    message
}

/// The data of `INFO` and `GO`.
struct Wish<'a> {
    name: &'a [u8],
    /// Numbers of two bytes each.
    asked: &'a [u8],
}

impl<'a> Wish<'a> {
    /// `None` if a length does not fit the rest.
    fn parse(data: &'a [u8]) -> Option<Wish<'a>> {
        let mut r = Reader::new(data);
        let length = usize::try_from(r.u32_be()?).ok().filter(|length| *length <= LONGEST_STRING)?;
        let name = r.take(length)?;
        let count = usize::from(r.u16_be()?);
        let asked = r.take(2 * count)?;
        r.is_empty().then_some(Wish { name, asked })
    }

    fn asks(&self, kind: u16) -> bool {
        self.asked.as_chunks().0.contains(&kind.to_be_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::super::export::BlockSizes;
    use super::*;
    use crate::MemoryDisk;
    use std::sync::Arc;

    fn export() -> Export {
        let disk = Arc::new(MemoryDisk::zeroed(1 << 20));
        let export = Export::read_only("disk", disk, BlockSizes::from_minimum(512).unwrap()).unwrap();
        export.described("a test").unwrap()
    }

    /// A handshake that has taken the client's flags.
    fn ready(export: &Export) -> Handshake<'_> {
        let (mut handshake, _) = Handshake::start(export);
        assert_eq!(handshake.wants(), 4);
        handshake.take(&[0, 0, 0, 3]).unwrap();
        handshake
    }

    fn ask(handshake: &mut Handshake<'_>, option: u32, data: &[u8]) -> Result<Step, Violation> {
        let length = u32::try_from(data.len()).unwrap().to_be_bytes();
        let header = [&b"IHAVEOPT"[..], &option.to_be_bytes(), &length].concat();
        assert_eq!(handshake.wants(), header.len());
        assert_eq!(handshake.take(&header)?, Step::Send(vec![]));
        assert_eq!(handshake.wants(), data.len());
        handshake.take(data)
    }

    /// The kinds of the replies in a message, and their data.
    fn replies(message: &[u8]) -> Vec<(u32, Vec<u8>)> {
        let mut r = Reader::new(message);
        let mut found = Vec::new();
        while !r.is_empty() {
            assert_eq!(r.u64_be().unwrap(), 0x0003_e889_0455_65a9);
            let (_option, kind, length) = (r.u32_be().unwrap(), r.u32_be().unwrap(), r.u32_be().unwrap());
            found.push((kind, r.take(length as usize).unwrap().to_vec()));
        }
        found
    }

    fn sent(step: Step) -> Vec<(u32, Vec<u8>)> {
        match step {
            Step::Send(message) => replies(&message),
            other => panic!("{other:?}"),
        }
    }

    fn wish(name: &str, asked: &[u16]) -> Vec<u8> {
        let mut data = u32::try_from(name.len()).unwrap().to_be_bytes().to_vec();
        data.extend_from_slice(name.as_bytes());
        data.extend_from_slice(&u16::try_from(asked.len()).unwrap().to_be_bytes());
        data.extend(asked.iter().flat_map(|kind| kind.to_be_bytes()));
        data
    }

    const EXPORT_INFO: &[u8] = b"\0\0\0\0\0\0\0\x10\0\0\x01\x0f";

    #[test]
    fn info_tells_what_was_asked_and_stays_in_negotiation() {
        let export = export();
        let mut handshake = ready(&export);
        let told = sent(ask(&mut handshake, option::INFO, &wish("", &[1, 2, 3, 77])).unwrap());
        let sizes = b"\0\x03\0\0\x02\0\0\0\x10\0\x02\0\0\0";
        assert_eq!(
            told,
            [
                (reply::INFO, EXPORT_INFO.to_vec()),
                (reply::INFO, b"\0\x01disk".to_vec()),
                (reply::INFO, b"\0\x02a test".to_vec()),
                (reply::INFO, sizes.to_vec()),
                (reply::ACK, vec![])
            ]
        );
        assert_eq!(sent(ask(&mut handshake, option::INFO, &wish("disk", &[])).unwrap()).len(), 2);
    }

    #[test]
    fn go_enters_transmission_and_remembers_what_was_agreed() {
        let export = export();
        let mut handshake = ready(&export);
        assert_eq!(sent(ask(&mut handshake, option::STRUCTURED_REPLY, &[]).unwrap()), [(reply::ACK, vec![])]);
        let Step::Transmit(message, agreed) = ask(&mut handshake, option::GO, &wish("disk", &[3])).unwrap() else {
            panic!("still negotiating")
        };
        assert_eq!(agreed, Agreed { structured: true, minimum: 512 });
        // With structured replies the flags also offer DF.
        assert_eq!(replies(&message)[0].1, b"\0\0\0\0\0\0\0\x10\0\0\x01\x8f");
        let mut handshake = ready(&export);
        let step = ask(&mut handshake, option::GO, &wish("", &[])).unwrap();
        assert!(matches!(step, Step::Transmit(_, Agreed { structured: false, minimum: 1 })));
    }

    #[test]
    fn export_name_sends_zeroes_unless_told_not_to() {
        let export = export();
        for (flags, length) in [(1, 10 + 124), (3, 10)] {
            let (mut handshake, _) = Handshake::start(&export);
            handshake.take(&[0, 0, 0, flags]).unwrap();
            let Step::Transmit(message, _) = ask(&mut handshake, option::EXPORT_NAME, b"disk").unwrap() else {
                panic!("still negotiating")
            };
            assert_eq!(message.len(), length);
            assert_eq!(message[..10], EXPORT_INFO[2..]);
        }
        assert_eq!(ask(&mut ready(&export), option::EXPORT_NAME, b"other"), Err(Violation::UnknownExport));
    }

    #[test]
    fn list_names_the_export() {
        let export = export();
        let told = sent(ask(&mut ready(&export), option::LIST, &[]).unwrap());
        assert_eq!(told, [(reply::SERVER, b"\0\0\0\x04diska test".to_vec()), (reply::ACK, vec![])]);
    }

    #[test]
    fn what_is_not_supported_is_refused_and_the_client_may_go_on() {
        let export = export();
        let mut handshake = ready(&export);
        let mut kind = |option, data: &[u8]| sent(ask(&mut handshake, option, data).unwrap())[0].0;
        for unknown in [0, 4, option::STARTTLS, 9, 10, 11, u32::MAX] {
            assert_eq!(kind(unknown, b"whatever"), reply::UNSUPPORTED);
        }
        assert_eq!(kind(option::LIST, b"x"), reply::INVALID);
        assert_eq!(kind(option::STRUCTURED_REPLY, b"x"), reply::INVALID);
        assert_eq!(kind(option::GO, &wish("other", &[])), reply::UNKNOWN);
        assert!(matches!(ask(&mut handshake, option::ABORT, b"ignored"), Ok(Step::Close(_))));
    }

    #[test]
    fn a_malformed_wish_is_refused() {
        let export = export();
        let good = wish("disk", &[3, 1]);
        for length in 0..good.len() {
            assert_eq!(sent(ask(&mut ready(&export), option::GO, &good[..length]).unwrap())[0].0, reply::INVALID);
        }
        let long = [&good[..], b"x"].concat();
        let huge_name = [&[0xff; 4][..], &good[4..]].concat();
        let long_name = wish(&"x".repeat(4097), &[]);
        for bad in [long, huge_name, long_name] {
            assert_eq!(sent(ask(&mut ready(&export), option::GO, &bad).unwrap())[0].0, reply::INVALID);
        }
    }

    #[test]
    fn violations_close_the_connection() {
        let export = export();
        let (mut handshake, _) = Handshake::start(&export);
        assert_eq!(handshake.take(&[0, 0, 0, 7]), Err(Violation::ClientFlags(7)));
        assert_eq!(ready(&export).take(&[0; 16]), Err(Violation::OptionMagic));
        let long = [&b"IHAVEOPT\0\0\0\x07"[..], &65537_u32.to_be_bytes()].concat();
        assert_eq!(ready(&export).take(&long), Err(Violation::OptionTooLong(65537)));
        let mut handshake = ready(&export);
        for _ in 0..MOST_OPTIONS {
            ask(&mut handshake, option::LIST, &[]).unwrap();
        }
        assert_eq!(ask(&mut handshake, option::LIST, &[]), Err(Violation::TooManyOptions));
    }
}
