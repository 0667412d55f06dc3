//! Writing a change so that it can be taken back: what is overwritten is kept until the caller is sure.

use crate::area::Area;
use crate::header::{Header, Identity};
use crate::header_error::HeaderError;
use block::{BlockError, BlockRead, BlockWrite, Bytes};
use std::fmt;
use zeroize::Zeroizing;

/// Bytes for a place.
pub(crate) struct Write {
    pub(crate) offset: Bytes,
    pub(crate) bytes: Zeroizing<Vec<u8>>,
}

impl Write {
    /// Zeros for a place.
    pub(crate) fn zeros(area: &Area) -> Write {
        let len = usize::try_from(area.size().0).unwrap_or(usize::MAX);
        Write { offset: area.offset(), bytes: vec![0; len].into() }
    }
}

/// Writes that may reach the disk in any order among themselves, before those of the next phase.
pub(crate) type Phase = Vec<Write>;

/// A change of which only the writing is left. It borrows nothing.
pub(crate) struct Ready {
    /// The header after it.
    pub(crate) after: Header,
    /// What is written, in this order.
    pub(crate) phases: Vec<Phase>,
}

impl Ready {
    /// Writes it in place of `before`, the header that the change was made from.
    pub(crate) fn apply(self, disk: &dyn BlockWrite, before: &Header) -> Result<Applied, ApplyError> {
        let found = Header::read(&disk).map_err(|source| ApplyError::Unreadable { source })?;
        if found.identity() != before.identity() {
            return Err(ApplyError::Changed { before: before.sequence(), found: found.sequence() });
        }
        self.write(disk)
    }

    /// Writes it all. The caller has seen that the disk is still the one that the change was made for.
    ///
    /// Phase by phase, each made durable and read back. The two copies of a LUKS2 header are in phases of their own, the one
    /// that can be spared first: see `Luks2::weaker_copy`.
    pub(crate) fn write(self, disk: &dyn BlockWrite) -> Result<Applied, ApplyError> {
        let Ready { after, phases } = self;
        let mut kept = keep(&disk, &phases).map_err(|source| ApplyError::NotKept { source })?;
        let mut begun = 0;
        if let Err(failure) = write_all(disk, &phases, &mut begun) {
            kept.truncate(begun);
            return Err(match put_back(disk, &kept) {
                Ok(()) => ApplyError::Failed { source: failure },
                Err(source) => ApplyError::HalfDone { writing: failure, source },
            });
        }
        let undo = Undo { kept, after: after.identity() };
        Ok(Applied { header: after, undo })
    }
}

/// A change that is on the disk.
#[derive(Debug)]
pub struct Applied {
    /// The header as it is now.
    pub header: Header,
    /// The way back.
    pub undo: Undo,
}

/// What was on the disk before a change. Dropped, it is forgotten.
pub struct Undo {
    /// In the order in which it was overwritten.
    kept: Vec<Phase>,
    after: Identity,
}

/// Why a change is not on the disk.
#[derive(Debug)]
pub enum ApplyError {
    /// The metadata does not fit into its area.
    MetadataFull,
    /// Something speaks against it, and nobody has said yes. Nothing was written.
    NotForced,
    /// The header could not be read again. Nothing was written.
    Unreadable {
        /// What is there instead.
        source: HeaderError,
    },
    /// Somebody else has changed the header meanwhile. Nothing was written: make the change anew.
    Changed {
        /// The sequence number it had.
        before: u64,
        /// The sequence number it has.
        found: u64,
    },
    /// What would be overwritten could not be read. Nothing was written.
    NotKept {
        /// What went wrong.
        source: BlockError,
    },
    /// Writing failed. The disk is as it was.
    Failed {
        /// What went wrong.
        source: WriteFailure,
    },
    /// Writing failed, and so did putting back what was there. One copy of the header is whole unless the disk lost more than
    /// the place it was writing to.
    HalfDone {
        /// What went wrong with writing.
        writing: WriteFailure,
        /// What went wrong with putting back.
        source: BlockError,
    },
}

/// Why writing failed.
#[derive(Debug)]
pub enum WriteFailure {
    /// The disk said so.
    Disk {
        /// What it said.
        source: BlockError,
    },
    /// The disk took it and gives back something else.
    NotReadBack {
        /// Where.
        offset: Bytes,
    },
}

/// Why a change was not taken back.
#[derive(Debug)]
pub enum RevertError {
    /// The header could not be read again.
    Unreadable {
        /// What is there instead.
        source: HeaderError,
    },
    /// Somebody else has changed the header since. Taking back would undo that too.
    Changed,
    /// Writing failed.
    Disk {
        /// What went wrong.
        source: BlockError,
    },
}

/// What each phase will overwrite, which may be what a phase before it wrote.
fn keep(disk: &dyn BlockRead, phases: &[Phase]) -> Result<Vec<Phase>, BlockError> {
    let kept_of = |n: usize, write: &Write| {
        let mut bytes = Zeroizing::new(vec![0; write.bytes.len()]);
        disk.read_at(write.offset, &mut bytes)?;
        phases.iter().take(n).flatten().for_each(|earlier| overlay(&mut bytes, write.offset, earlier));
        Ok(Write { offset: write.offset, bytes })
    };
    let phases = phases.iter().enumerate();
    phases.map(|(n, phase)| phase.iter().map(|write| kept_of(n, write)).collect()).collect()
}

/// Puts what `write` has in common with the `bytes` at `offset` over them.
fn overlay(bytes: &mut [u8], offset: Bytes, write: &Write) {
    let skip = |from: Bytes, to: Bytes| usize::try_from(to.0.saturating_sub(from.0)).unwrap_or(usize::MAX);
    let to = bytes.iter_mut().skip(skip(offset, write.offset));
    to.zip(write.bytes.iter().skip(skip(write.offset, offset))).for_each(|(to, from)| *to = *from);
}

/// Each phase is read back before the next, which may overwrite what it stands for. `begun` counts the phases of which
/// something may be on the disk.
fn write_all(disk: &dyn BlockWrite, phases: &[Phase], begun: &mut usize) -> Result<(), WriteFailure> {
    for phase in phases {
        *begun += 1;
        write_phase(disk, phase).map_err(|source| WriteFailure::Disk { source })?;
        read_back(&disk, phase)?;
    }
    Ok(())
}

fn write_phase(disk: &dyn BlockWrite, phase: &Phase) -> Result<(), BlockError> {
    if phase.is_empty() {
        return Ok(());
    }
    phase.iter().try_for_each(|write| disk.write_at(write.offset, &write.bytes))?;
    disk.flush()
}

fn read_back(disk: &dyn BlockRead, phase: &Phase) -> Result<(), WriteFailure> {
    for write in phase {
        let mut found = Zeroizing::new(vec![0; write.bytes.len()]);
        disk.read_at(write.offset, &mut found).map_err(|source| WriteFailure::Disk { source })?;
        if found != write.bytes {
            return Err(WriteFailure::NotReadBack { offset: write.offset });
        }
    }
    Ok(())
}

/// Last written, first put back. The disk goes back through the states it came by, and in each of them one copy of the header
/// was whole and described what was there; only what is being written can be torn, as on the way there.
fn put_back(disk: &dyn BlockWrite, kept: &[Phase]) -> Result<(), BlockError> {
    kept.iter().rev().try_for_each(|phase| write_phase(disk, phase))
}

impl Undo {
    /// Puts back, byte for byte, what was there before the change. The caller holds the volume's write lock.
    ///
    /// # Errors
    /// [`RevertError`]; if the header has been changed since, nothing is written.
    pub fn revert(self, disk: &dyn BlockWrite) -> Result<(), RevertError> {
        let found = Header::read(&disk).map_err(|source| RevertError::Unreadable { source })?;
        if found.identity() != self.after {
            return Err(RevertError::Changed);
        }
        put_back(disk, &self.kept).map_err(|source| RevertError::Disk { source })
    }
}

impl fmt::Debug for Undo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Undo(..)")
    }
}

impl fmt::Display for ApplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ApplyError::MetadataFull => f.write_str("the metadata does not fit into its area"),
            ApplyError::NotForced => f.write_str("not without being told; nothing was written"),
            ApplyError::Unreadable { .. } => f.write_str("the header could not be read again; nothing was written"),
            ApplyError::Changed { before, found } if before == found => {
                f.write_str("somebody else has changed the header meanwhile; nothing was written")
            }
            ApplyError::Changed { before, found } => write!(
                f,
                "somebody else has changed the header meanwhile (sequence number {before}, now {found}); nothing was written"
            ),
            ApplyError::NotKept { .. } => {
                f.write_str("what would be overwritten could not be read; nothing was written")
            }
            ApplyError::Failed { .. } => f.write_str("the change could not be written; the disk is as it was"),
            ApplyError::HalfDone { writing, .. } => {
                write!(f, "the change could not be written ({writing}), and what was there could not be put back")
            }
        }
    }
}

impl fmt::Display for WriteFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WriteFailure::Disk { source } => source.fmt(f),
            WriteFailure::NotReadBack { offset } => {
                write!(f, "what was written at byte {} reads back as something else", offset.0)
            }
        }
    }
}

impl fmt::Display for RevertError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RevertError::Unreadable { .. } => f.write_str("the header could not be read again"),
            RevertError::Changed => {
                f.write_str("somebody else has changed the header since, so the change was not taken back")
            }
            RevertError::Disk { .. } => f.write_str("what was there before could not be put back"),
        }
    }
}

impl std::error::Error for ApplyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ApplyError::Unreadable { source } => Some(source),
            ApplyError::NotKept { source } | ApplyError::HalfDone { source, .. } => Some(source),
            ApplyError::Failed { source } => Some(source),
            ApplyError::MetadataFull | ApplyError::NotForced | ApplyError::Changed { .. } => None,
        }
    }
}

impl std::error::Error for WriteFailure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            WriteFailure::Disk { source } => source.source(),
            WriteFailure::NotReadBack { .. } => None,
        }
    }
}

impl std::error::Error for RevertError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            RevertError::Unreadable { source } => Some(source),
            RevertError::Disk { source } => Some(source),
            RevertError::Changed => None,
        }
    }
}
