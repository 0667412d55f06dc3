//! May this request be carried out? Decided from values alone; [`super::session`] then does it.

use super::export::Export;
use super::handshake::Agreed;
use super::wire::{Errno, Request, command};
use crate::unit::Bytes;

/// What is read or written at a time, and thereby the memory of a session that uses structured replies.
pub(super) const PIECE: u32 = 1 << 20;

/// A request that may be carried out: inside the export, of a legal size, allowed by its mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    Read { offset: Bytes, length: u32 },
    Write { offset: Bytes, length: u32, durable: Durable },
    Flush,
    Disconnect,
}

/// When a write may be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Durable {
    /// Once it is on stable storage ("FUA").
    Now,
    /// Once the disk has it; a `FLUSH` will follow.
    Later,
}

/// Why a request is not carried out; the client may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) errno: Errno,
    pub(super) why: &'static str,
}

/// Decides about one request ("Request types" and "Error values" of the protocol).
pub(super) fn judge(export: &Export, agreed: Agreed, request: &Request) -> Result<Task, Refusal> {
    let refuse = |errno, why| Err(Refusal { errno, why });
    if request.flags & !allowed_flags(agreed, request.command) != 0 {
        return refuse(Errno::Invalid, "this request has a flag that was not offered");
    }
    match request.command {
        command::READ => {
            check_range(export, agreed, request, Errno::Invalid)?;
            if request.flags & command::FLAG_DF != 0 && request.length > PIECE {
                return refuse(Errno::Overflow, "at most 1 MiB is sent in one fragment");
            }
            Ok(Task::Read { offset: Bytes(request.offset), length: request.length })
        }
        command::WRITE | command::TRIM | command::WRITE_ZEROES if export.is_read_only() => {
            refuse(Errno::Permission, "this export is read-only")
        }
        command::WRITE => {
            check_range(export, agreed, request, Errno::NoSpace)?;
            let durable = if request.flags & command::FLAG_FUA != 0 { Durable::Now } else { Durable::Later };
            Ok(Task::Write { offset: Bytes(request.offset), length: request.length, durable })
        }
        command::FLUSH if request.offset != 0 || request.length != 0 => {
            refuse(Errno::Invalid, "a flush has neither offset nor length")
        }
        command::FLUSH => Ok(Task::Flush),
        command::DISC => Ok(Task::Disconnect),
        command::TRIM | command::WRITE_ZEROES => refuse(Errno::Invalid, "this export does not punch holes"),
        _ => refuse(Errno::Invalid, "this command is not supported"),
    }
}

/// FUA is legal on everything once it is offered; some clients do set it on reads.
fn allowed_flags(agreed: Agreed, command: u16) -> u16 {
    match command {
        command::READ if agreed.structured => command::FLAG_FUA | command::FLAG_DF,
        _ => command::FLAG_FUA,
    }
}

fn check_range(export: &Export, agreed: Agreed, request: &Request, beyond: Errno) -> Result<(), Refusal> {
    let refuse = |errno, why| Err(Refusal { errno, why });
    let (offset, length) = (Bytes(request.offset), Bytes(request.length.into()));
    let unit = u64::from(agreed.minimum);
    if length == Bytes(0) {
        return refuse(Errno::Invalid, "a request for no bytes");
    }
    if request.length > export.sizes().maximum {
        return refuse(Errno::Invalid, "a request for more than the largest block");
    }
    if !(offset.is_multiple_of(unit) && length.is_multiple_of(unit)) {
        return refuse(Errno::Invalid, "a request that is not in whole blocks");
    }
    match offset.checked_add(length) {
        Some(end) if end <= export.length() => Ok(()),
        _ => refuse(beyond, "a request behind the end of the export"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::export::BlockSizes;
    use super::*;
    use crate::MemoryDisk;
    use std::sync::Arc;

    const LENGTH: u64 = 64 << 20;
    const AGREED: Agreed = Agreed { structured: true, minimum: 512 };

    fn export(read_only: bool) -> Export {
        let (disk, sizes) = (Arc::new(MemoryDisk::zeroed(64 << 20)), BlockSizes::from_minimum(512).unwrap());
        if read_only { Export::read_only("", disk, sizes) } else { Export::read_write("", disk, sizes) }.unwrap()
    }

    fn request(command: u16, offset: u64, length: u32) -> Request {
        Request { flags: 0, command, cookie: 0, offset, length }
    }

    fn refused(export: &Export, agreed: Agreed, request: Request) -> Errno {
        judge(export, agreed, &request).unwrap_err().errno
    }

    #[test]
    fn reads_inside_are_carried_out() {
        for (offset, length) in [(0, 512), (LENGTH - 512, 512), (512, 1 << 25)] {
            let task = judge(&export(true), AGREED, &request(command::READ, offset, length));
            assert_eq!(task, Ok(Task::Read { offset: Bytes(offset), length }));
        }
    }

    #[test]
    fn ranges_outside_and_sizes_not_agreed_are_refused() {
        let export = export(false);
        for (offset, length) in [(LENGTH, 512), (LENGTH - 512, 1024), (u64::MAX - 511, 512)] {
            assert_eq!(refused(&export, AGREED, request(command::READ, offset, length)), Errno::Invalid);
            assert_eq!(refused(&export, AGREED, request(command::WRITE, offset, length)), Errno::NoSpace);
        }
        for (offset, length) in [(0, 0), (0, (1 << 25) + 512), (0, u32::MAX), (1, 512), (0, 511)] {
            for command in [command::READ, command::WRITE] {
                assert_eq!(refused(&export, AGREED, request(command, offset, length)), Errno::Invalid);
            }
        }
        // Who did not ask for the block sizes was not told that they are in force.
        let loose = Agreed { structured: false, minimum: 1 };
        assert!(judge(&export, loose, &request(command::READ, 1, 511)).is_ok());
    }

    #[test]
    fn a_read_only_export_is_never_changed() {
        let export = export(true);
        for command in [command::WRITE, command::TRIM, command::WRITE_ZEROES] {
            assert_eq!(refused(&export, AGREED, request(command, 0, 512)), Errno::Permission);
        }
        assert_eq!(judge(&export, AGREED, &request(command::FLUSH, 0, 0)), Ok(Task::Flush));
    }

    #[test]
    fn commands_that_are_not_offered_are_invalid() {
        let export = export(false);
        for command in [command::TRIM, 5, command::WRITE_ZEROES, 7, 8, u16::MAX] {
            assert_eq!(refused(&export, AGREED, request(command, 0, 512)), Errno::Invalid);
        }
        assert_eq!(refused(&export, AGREED, request(command::FLUSH, 0, 1)), Errno::Invalid);
        assert_eq!(judge(&export, AGREED, &request(command::DISC, 0, 0)), Ok(Task::Disconnect));
    }

    #[test]
    fn flags_are_taken_as_far_as_they_were_offered() {
        let export = export(false);
        let with = |flags, command, length| Request { flags, ..request(command, 0, length) };
        let fua = judge(&export, AGREED, &with(command::FLAG_FUA, command::WRITE, 512));
        assert_eq!(fua, Ok(Task::Write { offset: Bytes(0), length: 512, durable: Durable::Now }));
        assert!(judge(&export, AGREED, &with(command::FLAG_FUA, command::READ, 512)).is_ok());
        assert!(judge(&export, AGREED, &with(command::FLAG_DF, command::READ, PIECE)).is_ok());
        assert_eq!(refused(&export, AGREED, with(command::FLAG_DF, command::READ, PIECE + 512)), Errno::Overflow);
        let simple = Agreed { structured: false, ..AGREED };
        assert_eq!(refused(&export, simple, with(command::FLAG_DF, command::READ, 512)), Errno::Invalid);
        assert_eq!(refused(&export, AGREED, with(1 << 9, command::WRITE, 512)), Errno::Invalid);
    }
}
