//! One connection: negotiation, then commands one after the other until the client leaves.

use super::export::Export;
use super::handshake::{Agreed, Handshake, Step};
use super::request::{Durable, PIECE, Refusal, Task, judge};
use super::wire::{self, Chunk, Errno, Request, Violation};
use crate::disk::{BlockError, BlockWrite};
use crate::unit::Bytes;
use std::fmt;
use std::io::{self, BufReader, ErrorKind, Read, Write};

/// A client that has chosen the export and now sends commands.
#[derive(Debug)]
pub struct Session<'e, R, W> {
    export: &'e Export,
    agreed: Agreed,
    input: BufReader<R>,
    output: W,
    /// Head and data of a reply, or a piece of what is written.
    buffer: Vec<u8>,
    report: Report,
}

/// How a negotiation came out.
#[derive(Debug)]
pub enum Negotiated<'e, R, W> {
    /// The client wants the export.
    Session(Session<'e, R, W>),
    /// The client only looked, or went away.
    Ended(Ending),
}

/// How a client left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It said goodbye.
    Farewell,
    /// It closed between two messages.
    Closed,
}

/// What happened in a session, for a log line.
#[derive(Debug)]
pub struct Report {
    /// How much the client was given.
    pub read: Bytes,
    /// How much it changed.
    pub written: Bytes,
    /// How many requests were refused as illegal.
    pub refused: u64,
    /// The first time the disk failed. The client was told each time; the session went on.
    pub disk_failure: Option<BlockError>,
    /// How it ended.
    pub end: Result<Ending, SessionError>,
}

/// Why a connection ended without the client wanting it.
#[derive(Debug)]
pub enum SessionError {
    /// The client broke the protocol.
    Violation(Violation),
    /// The connection ended in the middle of a message.
    CutOff,
    /// The connection failed.
    Connection {
        /// What was being done.
        doing: &'static str,
        /// What the system said; a time-out of the caller's arrives here too.
        source: io::Error,
    },
}

/// Negotiates over a fresh connection.
///
/// `input` and `output` may be two handles of one socket. Deadlines are the caller's: one on the socket makes a read fail,
/// which ends the negotiation.
///
/// # Errors
/// Every [`SessionError`].
pub fn negotiate<R: Read, W: Write>(
    export: &Export,
    input: R,
    mut output: W,
) -> Result<Negotiated<'_, R, W>, SessionError> {
    let mut input = BufReader::new(input);
    let (mut handshake, greeting) = Handshake::start(export);
    send(&mut output, &greeting)?;
    loop {
        let mut message = vec![0; handshake.wants()];
        if receive(&mut input, &mut message)? == Received::End {
            return Ok(Negotiated::Ended(Ending::Closed));
        }
        match handshake.take(&message).map_err(SessionError::Violation)? {
            Step::Send(reply) => send(&mut output, &reply)?,
            Step::Close(reply) => {
                // The client may be gone already, which the protocol asks to bear.
                let _ = send(&mut output, &reply);
                return Ok(Negotiated::Ended(Ending::Farewell));
            }
            Step::Transmit(reply, agreed) => {
                send(&mut output, &reply)?;
                return Ok(Negotiated::Session(Session::new(export, agreed, input, output)));
            }
        }
    }
}

impl<'e, R: Read, W: Write> Session<'e, R, W> {
    fn new(export: &'e Export, agreed: Agreed, input: BufReader<R>, output: W) -> Session<'e, R, W> {
        let report =
            Report { read: Bytes(0), written: Bytes(0), refused: 0, disk_failure: None, end: Ok(Ending::Closed) };
        Session { export, agreed, input, output, buffer: Vec::new(), report }
    }

    /// Carries out commands until the client leaves or the connection ends.
    pub fn serve(mut self) -> Report {
        let end = loop {
            match self.serve_one() {
                Ok(None) => {}
                Ok(Some(ending)) => break Ok(ending),
                Err(error) => break Err(error),
            }
        };
        Report { end, ..self.report }
    }

    fn serve_one(&mut self) -> Result<Option<Ending>, SessionError> {
        let mut bytes = [0; Request::LENGTH];
        if receive(&mut self.input, &mut bytes)? == Received::End {
            return Ok(Some(Ending::Closed));
        }
        let request = Request::parse(&bytes).map_err(SessionError::Violation)?;
        match judge(self.export, self.agreed, &request) {
            Ok(Task::Read { offset, length }) if self.agreed.structured => {
                self.read_chunks(&request, offset, length)?
            }
            Ok(Task::Read { offset, length }) => self.read_whole(&request, offset, length)?,
            Ok(Task::Write { offset, length, durable }) => self.write(&request, offset, length, durable)?,
            Ok(Task::Flush) => {
                let done = self.export.flush();
                self.finish(&request, done)?;
            }
            Ok(Task::Disconnect) => return Ok(Some(Ending::Farewell)),
            Err(Refusal { errno, why }) => {
                self.report.refused = self.report.refused.saturating_add(1);
                self.skip(request.payload())?;
                self.say_error(&request, errno, why, None)?;
            }
        }
        Ok(None)
    }

    /// A simple reply promises all its data before the first byte of it, so everything is read before anything is sent.
    fn read_whole(&mut self, request: &Request, offset: Bytes, length: u32) -> Result<(), SessionError> {
        let head = wire::simple_reply(request.cookie, None);
        let outcome = match self.load(&head, offset, length) {
            Ok(()) => self.send_loaded(length),
            Err(failure) => self.say_failure(request, failure, None),
        };
        self.buffer.truncate(PIECE as usize);
        self.buffer.shrink_to(PIECE as usize + wire::DATA_CHUNK);
        outcome
    }

    /// Chunks may end with an error, so a long read needs no more memory than a short one.
    fn read_chunks(&mut self, request: &Request, offset: Bytes, length: u32) -> Result<(), SessionError> {
        let mut done = 0;
        while done < length {
            let piece = PIECE.min(length - done);
            let at = Bytes(offset.0.saturating_add(done.into()));
            done += piece;
            let chunk = if done == length { Chunk::Last } else { Chunk::More };
            let head = wire::data_chunk(request.cookie, chunk, at.0, piece as usize);
            match self.load(&head, at, piece) {
                Ok(()) => self.send_loaded(piece)?,
                Err(failure) => return self.say_failure(request, failure, Some(at)),
            }
        }
        Ok(())
    }

    /// Puts `head` and what the disk holds into the buffer, so that both leave in one call.
    fn load(&mut self, head: &[u8], offset: Bytes, length: u32) -> Result<(), BlockError> {
        self.buffer.resize(head.len().saturating_add(length as usize), 0);
        let (front, data) = self.buffer.split_at_mut(head.len());
        front.copy_from_slice(head);
        self.export.reader().read_at(offset, data)
    }

    fn send_loaded(&mut self, length: u32) -> Result<(), SessionError> {
        send(&mut self.output, &self.buffer)?;
        self.report.read.0 = self.report.read.0.saturating_add(length.into());
        Ok(())
    }

    /// Takes the data piece by piece. After a failure the rest is still taken off the line, or the next request would be
    /// looked for in the middle of it.
    fn write(&mut self, request: &Request, offset: Bytes, length: u32, durable: Durable) -> Result<(), SessionError> {
        let Some(disk) = self.export.writer() else {
            return self.skip(length.into()); // cannot be: `judge` lets no write through here
        };
        let mut done = 0;
        while done < length {
            let piece = PIECE.min(length - done);
            self.buffer.resize(piece as usize, 0);
            if receive(&mut self.input, &mut self.buffer)? == Received::End {
                return Err(SessionError::CutOff);
            }
            let at = Bytes(offset.0.saturating_add(done.into()));
            done += piece;
            if let Err(failure) = disk.write_at(at, &self.buffer) {
                self.skip((length - done).into())?;
                return self.say_failure(request, failure, None);
            }
        }
        self.report.written.0 = self.report.written.0.saturating_add(length.into());
        self.finish(request, settle(disk, durable))
    }

    fn finish(&mut self, request: &Request, done: Result<(), BlockError>) -> Result<(), SessionError> {
        match done {
            Ok(()) => send(&mut self.output, &wire::simple_reply(request.cookie, None)),
            Err(failure) => self.say_failure(request, failure, None),
        }
    }

    fn say_failure(&mut self, request: &Request, failure: BlockError, at: Option<Bytes>) -> Result<(), SessionError> {
        let errno = errno_of(&failure);
        let outcome = self.say_error(request, errno, &failure.to_string(), at);
        self.report.disk_failure.get_or_insert(failure);
        outcome
    }

    fn say_error(&mut self, request: &Request, errno: Errno, why: &str, at: Option<Bytes>) -> Result<(), SessionError> {
        if self.agreed.structured {
            send(&mut self.output, &wire::error_chunk(request.cookie, errno, why, at.map(|at| at.0)))
        } else {
            send(&mut self.output, &wire::simple_reply(request.cookie, Some(errno)))
        }
    }

    /// Takes data off the line that nobody wants, without keeping it.
    fn skip(&mut self, length: u64) -> Result<(), SessionError> {
        let copied = io::copy(&mut self.input.by_ref().take(length), &mut io::sink());
        match copied {
            Ok(skipped) if skipped == length => Ok(()),
            Ok(_) => Err(SessionError::CutOff),
            Err(source) => Err(SessionError::Connection { doing: "receiving", source }),
        }
    }
}

fn settle(disk: &dyn BlockWrite, durable: Durable) -> Result<(), BlockError> {
    match durable {
        Durable::Now => disk.flush(),
        Durable::Later => Ok(()),
    }
}

/// The protocol's error for a disk's. The client knows eight of them; everything else is an input/output error.
fn errno_of(failure: &BlockError) -> Errno {
    match failure {
        BlockError::BeyondEnd { .. } => Errno::Invalid,
        BlockError::Failed { source, .. } => match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => Errno::NoSpace,
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Errno::Permission,
            _ => Errno::InputOutput,
        },
    }
}

fn send(output: &mut impl Write, bytes: &[u8]) -> Result<(), SessionError> {
    let sent = output.write_all(bytes).and_then(|()| output.flush());
    sent.map_err(|source| SessionError::Connection { doing: "sending", source })
}

#[derive(PartialEq, Eq)]
enum Received {
    All,
    /// Nothing came: the connection ended before the first byte.
    End,
}

fn receive(input: &mut impl Read, into: &mut [u8]) -> Result<Received, SessionError> {
    let mut rest = &mut *into;
    let wanted = rest.len();
    while !rest.is_empty() {
        match input.read(rest) {
            Ok(0) if rest.len() == wanted => return Ok(Received::End),
            Ok(0) => return Err(SessionError::CutOff),
            Ok(count) => rest = rest.split_at_mut_checked(count).map_or(&mut [], |(_, rest)| rest),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(source) => return Err(SessionError::Connection { doing: "receiving", source }),
        }
    }
    Ok(Received::All)
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SessionError::Violation(violation) => violation.fmt(f),
            SessionError::CutOff => write!(f, "the connection ended in the middle of a message"),
            SessionError::Connection { doing, .. } => write!(f, "the connection failed while {doing}"),
        }
    }
}

impl std::error::Error for SessionError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            SessionError::Connection { source, .. } => Some(source),
            SessionError::Violation(_) | SessionError::CutOff => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::cast_possible_truncation)]
    use super::super::export::BlockSizes;
    use super::super::wire::command;
    use super::*;
    use crate::{BlockRead, MemoryDisk};
    use proptest::prelude::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    const MIB: usize = 1 << 20;

    /// A disk that counts flushes and fails where it is told to.
    struct Scripted {
        bytes: MemoryDisk,
        bad: u64,
        kind: ErrorKind,
        flushes: AtomicUsize,
    }

    impl Scripted {
        fn check(&self, doing: &'static str, offset: Bytes, length: usize) -> Result<(), BlockError> {
            if (offset.0..offset.0 + length as u64).contains(&self.bad) {
                return Err(BlockError::Failed { doing, offset, source: self.kind.into() });
            }
            Ok(())
        }
    }

    impl BlockRead for Scripted {
        fn len(&self) -> Bytes {
            self.bytes.len()
        }
        fn read_at(&self, offset: Bytes, into: &mut [u8]) -> Result<(), BlockError> {
            self.check("read", offset, into.len())?;
            self.bytes.read_at(offset, into)
        }
    }

    impl BlockWrite for Scripted {
        fn write_at(&self, offset: Bytes, from: &[u8]) -> Result<(), BlockError> {
            self.check("write", offset, from.len())?;
            self.bytes.write_at(offset, from)
        }
        fn flush(&self) -> Result<(), BlockError> {
            self.flushes.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }
    }

    fn disk(bad: u64, kind: ErrorKind) -> Arc<Scripted> {
        let bytes = (0..4 * MIB).map(|at| (at / 512 % 251) as u8).collect::<Vec<_>>();
        Arc::new(Scripted { bytes: bytes.into(), bad, kind, flushes: AtomicUsize::new(0) })
    }

    fn good_disk() -> Arc<Scripted> {
        disk(u64::MAX, ErrorKind::Other)
    }

    fn read_write(disk: Arc<Scripted>) -> Export {
        Export::read_write("disk", disk, BlockSizes::from_minimum(512).unwrap()).unwrap()
    }

    const FLAGS: &[u8] = &[0, 0, 0, 3];
    const STRUCTURED: &[u8] = b"IHAVEOPT\0\0\0\x08\0\0\0\0";
    const GO: &[u8] = b"IHAVEOPT\0\0\0\x07\0\0\0\x0a\0\0\0\x04disk\0\0";

    fn request(flags: u16, command: u16, offset: u64, length: u32) -> Vec<u8> {
        let mut bytes = 0x2560_9513_u32.to_be_bytes().to_vec();
        bytes.extend_from_slice(&flags.to_be_bytes());
        bytes.extend_from_slice(&command.to_be_bytes());
        bytes.extend_from_slice(b"cookie!!");
        bytes.extend_from_slice(&offset.to_be_bytes());
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes
    }

    fn talk(export: &Export, input: &[u8]) -> (Result<Report, SessionError>, Vec<u8>) {
        let mut output = Vec::new();
        let outcome = match negotiate(export, input, &mut output) {
            Ok(Negotiated::Session(session)) => Ok(session.serve()),
            Ok(Negotiated::Ended(ending)) => panic!("left with {ending:?}"),
            Err(error) => Err(error),
        };
        (outcome, output)
    }

    /// Serves a client that sends `commands` after the handshake, and returns what it is sent after it.
    fn serve(export: &Export, structured: bool, commands: &[u8]) -> (Report, Vec<u8>) {
        let handshake = [FLAGS, if structured { STRUCTURED } else { &[] }, GO].concat();
        let (_, silent) = talk(export, &handshake);
        let (report, output) = talk(export, &[&handshake, commands].concat());
        (report.unwrap(), output[silent.len()..].to_vec())
    }

    fn simple(error: u8) -> Vec<u8> {
        [&[0x67, 0x44, 0x66, 0x98, 0, 0, 0, error], &b"cookie!!"[..]].concat()
    }

    #[test]
    fn simple_reads_return_the_bytes() {
        let disk = good_disk();
        let export = read_write(disk.clone());
        let (report, output) = serve(&export, false, &request(0, command::READ, 512, 3 << 20));
        assert_eq!(output[..16], simple(0));
        assert_eq!(output[16..], disk.bytes.to_vec()[512..512 + 3 * MIB]);
        assert_eq!(report.read, Bytes(3 << 20));
        assert!(matches!(report.end, Ok(Ending::Closed)));
    }

    #[test]
    fn structured_reads_come_in_pieces_that_cover_everything_once() {
        let disk = good_disk();
        let export = read_write(disk.clone());
        let length = 5 * MIB / 2;
        let (_, output) = serve(&export, true, &request(0, command::READ, 1024, length as u32));
        let mut rest = output.as_slice();
        let mut seen = Vec::new();
        while !rest.is_empty() {
            let count = u32::from_be_bytes(rest[16..20].try_into().unwrap()) as usize;
            assert_eq!(rest[..4], [0x66, 0x8e, 0x33, 0xef]);
            assert_eq!(rest[6..16], *b"\0\x01cookie!!");
            assert_eq!(u64::from_be_bytes(rest[20..28].try_into().unwrap()), 1024 + seen.len() as u64);
            seen.extend_from_slice(&rest[28..20 + count]);
            assert_eq!(rest[5], u8::from(seen.len() == length), "the last chunk and no other is marked");
            rest = &rest[20 + count..];
        }
        assert_eq!(seen, disk.bytes.to_vec()[1024..1024 + length]);
    }

    #[test]
    fn writes_flushes_and_farewell() {
        let disk = good_disk();
        let data = vec![0xab; 2 * MIB + 512];
        let commands = [
            request(0, command::WRITE, 512, data.len() as u32),
            data.clone(),
            request(command::FLAG_FUA, command::WRITE, 0, 512),
            vec![0xcd; 512],
            request(0, command::FLUSH, 0, 0),
            request(0, command::DISC, 0, 0),
            b"what comes after a farewell is not read".to_vec(),
        ];
        let (report, output) = serve(&read_write(disk.clone()), true, &commands.concat());
        assert_eq!(output, [simple(0), simple(0), simple(0)].concat());
        assert!(matches!(report.end, Ok(Ending::Farewell)));
        assert_eq!(report.written, Bytes(data.len() as u64 + 512));
        assert_eq!(disk.flushes.load(Ordering::Relaxed), 2, "one for FUA, one for FLUSH");
        let bytes = disk.bytes.to_vec();
        assert!(bytes[..512].iter().all(|byte| *byte == 0xcd));
        assert_eq!(bytes[512..512 + data.len()], data);
    }

    #[test]
    fn a_refused_write_keeps_both_sides_in_step() {
        let disk = good_disk();
        let export = Export::read_only("disk", disk.clone(), BlockSizes::from_minimum(512).unwrap()).unwrap();
        let before = disk.bytes.to_vec();
        let commands = [request(0, command::WRITE, 0, 4096), vec![1; 4096], request(0, command::READ, 0, 512)].concat();
        let (report, output) = serve(&export, false, &commands);
        assert_eq!(output[..32], [simple(1), simple(0)].concat());
        assert_eq!(report.refused, 1);
        assert_eq!(disk.bytes.to_vec(), before);
    }

    #[test]
    fn a_disk_failure_is_told_and_the_session_goes_on() {
        for (kind, expected) in [(ErrorKind::Other, 5), (ErrorKind::StorageFull, 28), (ErrorKind::PermissionDenied, 1)]
        {
            let export = read_write(disk(MIB as u64 + 5, kind));
            let commands = [
                request(0, command::READ, 0, 2 << 20),
                request(0, command::WRITE, 0, 3 << 20),
                vec![7; 3 * MIB],
                request(0, command::FLUSH, 0, 0),
            ];
            let (report, output) = serve(&export, false, &commands.concat());
            assert_eq!(output, [simple(expected), simple(expected), simple(0)].concat());
            assert!(matches!(report.disk_failure, Some(BlockError::Failed { doing: "read", .. })));
        }
    }

    #[test]
    fn a_structured_read_that_fails_halfway_names_the_place() {
        let export = read_write(disk(MIB as u64 + 5, ErrorKind::Other));
        let (_, output) = serve(&export, true, &request(0, command::READ, 0, 2 << 20));
        let error = &output[28 + MIB..];
        assert_eq!(error[4..8], [0, 1, 0x80, 2], "the last chunk is an error with an offset");
        assert_eq!(error[20..24], [0, 0, 0, 5]);
        assert_eq!(error[error.len() - 8..], (MIB as u64).to_be_bytes());
        assert!(String::from_utf8_lossy(error).contains("cannot read at byte 1048576"));
    }

    #[test]
    fn an_absurd_length_allocates_nothing_and_is_answered() {
        let commands = [request(0, command::READ, 0, u32::MAX), request(0, command::FLUSH, 0, 0)].concat();
        let (report, output) = serve(&read_write(good_disk()), false, &commands);
        assert_eq!(output, [simple(22), simple(0)].concat());
        assert_eq!(report.refused, 1);
    }

    /// A conversation with everything in it.
    fn whole_conversation() -> Vec<u8> {
        [
            FLAGS,
            STRUCTURED,
            b"IHAVEOPT\0\0\0\x03\0\0\0\0",
            GO,
            &request(0, command::READ, 0, 512),
            &request(0, command::WRITE, 512, 512),
            &[9; 512],
            &request(0, command::TRIM, 0, 512),
            &request(0, command::DISC, 0, 0),
        ]
        .concat()
    }

    #[test]
    fn every_truncation_ends_the_session() {
        let (whole, export) = (whole_conversation(), read_write(good_disk()));
        for length in 0..whole.len() {
            let mut output = Vec::new();
            match negotiate(&export, &whole[..length], &mut output) {
                Ok(Negotiated::Session(session)) => {
                    let end = session.serve().end;
                    assert!(matches!(end, Ok(Ending::Closed) | Err(SessionError::CutOff)), "{length}: {end:?}");
                }
                Ok(Negotiated::Ended(Ending::Closed)) | Err(SessionError::CutOff) => {}
                other => panic!("{length}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_client_that_breaks_the_protocol_is_left() {
        let commands = [request(0, command::READ, 0, 512), vec![0; 28]].concat();
        let (report, _) = serve(&read_write(good_disk()), true, &commands);
        assert!(matches!(report.end, Err(SessionError::Violation(Violation::RequestMagic))));
        let (outcome, _) = talk(&read_write(good_disk()), &[0xff; 4]);
        assert!(matches!(outcome, Err(SessionError::Violation(Violation::ClientFlags(_)))));
    }

    #[test]
    fn a_connection_that_fails_is_reported() {
        struct Failing;
        impl Read for Failing {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(ErrorKind::TimedOut.into())
            }
        }
        let export = read_write(good_disk());
        let outcome = negotiate(&export, Failing, Vec::new());
        assert!(matches!(outcome, Err(SessionError::Connection { doing: "receiving", .. })));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn no_bytes_from_a_client_break_the_server(
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
            tail in proptest::collection::vec(any::<u8>(), 0..64),
        ) {
            let mut input = whole_conversation();
            for (at, value) in changes {
                let at = at.index(input.len());
                input[at] = value;
            }
            input.extend(tail);
            if let Ok(Negotiated::Session(session)) =
                negotiate(&read_write(good_disk()), input.as_slice(), Vec::new())
            {
                let _ = session.serve();
            }
        }
    }
}
