//! The log of the boot: where it is, and that it is not there.

use crate::args::LogFile;
use crate::error::CommandError;
use crate::output;
use clevis::measured::BOOT_LOG;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;
use tpm2::event_log::{End, EventLog, LONGEST_LOG};

/// Reads it. One that is not there, or may not be read, is an answer; one that was named must be there.
pub fn read(named: &LogFile) -> Result<EventLog, CommandError> {
    let path = named.log.as_deref().unwrap_or(Path::new(BOOT_LOG));
    match read_file(path) {
        Ok(bytes) => {
            let log = EventLog::read(&bytes);
            if named.log.is_some() && is_none(&log) {
                let error = CommandError::plain(format!("{} is no log of a boot", path.display()));
                return Err(error.hint("a copy of what the kernel shows as binary_bios_measurements"));
            }
            Ok(log)
        }
        Err(source) if named.log.is_some() => {
            Err(CommandError::failed(format!("cannot read {}", path.display()), source))
        }
        Err(source) => {
            if source.kind() == ErrorKind::PermissionDenied {
                output::say("the log of the boot is for root alone");
            }
            Ok(EventLog::read(&[]))
        }
    }
}

/// One byte more than is looked at, so that a longer one shows.
fn read_file(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(LONGEST_LOG).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Whether something is there that is no log: not one event can be read.
fn is_none(log: &EventLog) -> bool {
    log.events.is_empty() && !matches!(log.end, End::Absent | End::Complete)
}

/// How it ends, in words.
pub fn end(log: &EventLog) -> String {
    let events = log.events.len();
    match log.end {
        _ if is_none(log) => "this is no log of a boot".to_owned(),
        End::Absent => "there is none: no measured boot, or a kernel that does not show it".to_owned(),
        End::Complete => format!("{events} events"),
        End::Truncated { offset } => {
            format!("{events} events, then it is cut off in the middle of one, at byte {offset}")
        }
        End::Malformed { offset } => format!("{events} events, then something that is none, at byte {offset}"),
        End::TooLong => format!("{events} events, and more than is read"),
    }
}

/// The same as one word.
pub fn end_word(log: &EventLog) -> &'static str {
    match log.end {
        End::Absent => "absent",
        End::Complete => "complete",
        End::Truncated { .. } => "truncated",
        End::Malformed { .. } => "malformed",
        End::TooLong => "too-long",
    }
}
