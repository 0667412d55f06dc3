//! Mending a header: the copy that is not good is made anew from the one that is, and key material that no slot knows of is
//! overwritten. What to do follows from what is on the disk alone; where both copies are bad, nothing is guessed.

use crate::allowed::{Allowed, DataPlace};
use crate::area::Area;
use crate::force::Force;
use crate::header::{Header, Identity};
use crate::header_error::HeaderError;
use crate::luks1;
use crate::luks1::header::Luks1;
use crate::luks1::repair::{Luks1Fault, Mended};
use crate::luks2::binary_header::HeaderCopy;
use crate::luks2::header::Luks2;
use crate::luks2::pair::MendError;
use crate::luks2::repair::{Mending, left_over, mending, read_anyway, unused};
use crate::luks2::unmarked::Unmarked;
use crate::slot::Slot;
use crate::undo::{Applied, ApplyError, Phase, Ready, Write};
use block::{BlockError, BlockRead, BlockWrite, Bytes, signature};
use crypto::{Random, RandomFailed};
use std::fmt;
use zeroize::Zeroizing;

/// What is overwritten beside mending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnusedAreas {
    /// What an interrupted change has left behind, where the other copy of the header tells of it.
    LeftOver,
    /// All places for key material that no slot is in, whatever a change has left there, told of or not; with LUKS1 also the data
    /// of Clevis for slots that are not in use, and what of LUKSMeta no slot has data in.
    All,
}

/// What would be done about a header. It can be printed.
pub struct RepairPlan {
    /// What is recognised on the disk beside the only copy of a header that is there.
    beside: Option<&'static str>,
    /// In what the copies of the header contradict each other.
    contradiction: Option<String>,
    before: Before,
    steps: Vec<RepairStep>,
    ready: Ready,
}

/// The header that a plan was made for.
enum Before {
    Read(Identity),
    /// One of LUKS1 that could not be read or was not accepted.
    Luks1(Identity),
}

/// One thing that a repair does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RepairStep {
    /// A copy of the header is made from the other one.
    Mend {
        /// Which copy.
        copy: HeaderCopy,
        /// What is wrong with it.
        state: String,
    },
    /// What an interrupted change has left is overwritten.
    WipeLeftOver {
        /// Where.
        area: Area,
    },
    /// A place that no slot is in is overwritten.
    WipeUnused {
        /// Where.
        area: Area,
    },
    /// Something about a LUKS1 header is put right.
    MendLuks1 {
        /// What is wrong.
        fault: Luks1Fault,
    },
    /// Data of Clevis in LUKSMeta is removed: its slot is not in use. An interrupted change leaves such data, but so does a header
    /// that was restored, and then it is needed when the next one is.
    ForgetMeta {
        /// The slot.
        slot: Slot,
    },
    /// A place in LUKSMeta that no slot has data in is overwritten with zeros.
    WipeUnusedMeta {
        /// Where.
        area: Area,
    },
}

/// Why nothing can be mended.
#[derive(Debug)]
pub enum RepairError {
    /// There is no header that can be read: neither copy of it.
    Header {
        /// What is there instead.
        source: HeaderError,
    },
    /// Somebody has changed the header while it was read.
    Changed,
    /// There were no random bytes.
    Random {
        /// What went wrong.
        source: RandomFailed,
    },
    /// The gap that LUKSMeta lies in holds more that no slot has data in than is overwritten at once.
    TooMuchUnused {
        /// How much would be.
        limit: Bytes,
    },
    /// The disk could not be read.
    Disk {
        /// What went wrong.
        source: BlockError,
    },
}

impl RepairPlan {
    /// Plans what can be done for the header on `disk`. Nothing is overwritten that an unknown requirement of the header may
    /// have put there.
    ///
    /// # Errors
    /// [`RepairError`].
    pub fn new(disk: &dyn BlockRead, areas: UnusedAreas, random: &dyn Random) -> Result<RepairPlan, RepairError> {
        let mended = luks1::repair::mend(disk).map_err(|source| RepairError::Disk { source })?;
        let found = Header::read(disk);
        if let (Some(mended), true) = (mended, may_be_luks1(&found)) {
            return RepairPlan::of_mended(mended, disk);
        }
        match found {
            Ok(Header::Luks1(header)) => RepairPlan::of_luks1(&header, disk, areas, random),
            Ok(Header::Luks2(_)) | Err(HeaderError::Ambiguous { .. } | HeaderError::UnknownVersion { .. }) => {
                let (header, beside) = read_anyway(disk).map_err(|source| RepairError::Header { source })?;
                RepairPlan::of_luks2(header, beside, disk, areas, random)
            }
            Err(source) => Err(RepairError::Header { source }),
        }
    }

    fn of_luks2(
        header: Luks2,
        beside: Option<&'static str>,
        disk: &dyn BlockRead,
        areas: UnusedAreas,
        random: &dyn Random,
    ) -> Result<RepairPlan, RepairError> {
        let (mut steps, mut phases) = (Vec::new(), Vec::new());
        let left_over = left_over(&header, disk);
        let unused = if areas == UnusedAreas::All { unused(&header, disk) } else { Vec::new() };
        let mended = mending(&header, disk, random)?;
        let contradiction = header.contradiction().map(ToString::to_string);
        let header = Header::Luks2(Box::new(header));
        let (before, known) = (Before::Read(header.identity()), is_known(&header));
        let after = match mended {
            Some(Mending { copy, state, write, after }) => {
                steps.push(RepairStep::Mend { copy, state });
                phases.push(write);
                Header::Luks2(Box::new(after))
            }
            None => header,
        };
        // Of two copies that contradict each other the one that goes may be right about what is key material.
        if known && contradiction.is_none() {
            let rest: Vec<Area> = unused.iter().flat_map(|area| area.without(&left_over)).collect();
            phases.push(noise(left_over.iter().chain(&rest), random)?);
            steps.extend(left_over.into_iter().map(|area| RepairStep::WipeLeftOver { area }));
            steps.extend(rest.into_iter().map(|area| RepairStep::WipeUnused { area }));
        }
        Ok(RepairPlan { beside, contradiction, before, steps, ready: Ready { after, phases } })
    }

    fn of_luks1(
        header: &Luks1,
        disk: &dyn BlockRead,
        areas: UnusedAreas,
        random: &dyn Random,
    ) -> Result<RepairPlan, RepairError> {
        let whole = Header::Luks1(Box::new(header.clone()));
        let before = Before::Read(whole.identity());
        let mut steps = Vec::new();
        let mut ready = Ready { after: whole, phases: Vec::new() };
        if !is_known(&ready.after) {
            return Ok(RepairPlan { beside: None, contradiction: None, before, steps, ready });
        }
        if areas == UnusedAreas::All {
            if let Some((slots, forget)) = luks1::repair::forget_meta(header) {
                steps.extend(slots.into_iter().map(|slot| RepairStep::ForgetMeta { slot }));
                ready = forget;
            }
            let unused = luks1::repair::unused(header, disk);
            ready.phases.push(noise(unused.iter(), random)?);
            steps.extend(unused.into_iter().map(|area| RepairStep::WipeUnused { area }));
            // What the table refers to before is overwritten where it is forgotten.
            let meta = header.meta().present();
            let blocks =
                meta.map_or(Ok(Some(Vec::new())), |meta| luks1::repair::unused_blocks(meta, meta.table(), disk));
            let blocks = blocks.map_err(|source| RepairError::Disk { source })?;
            let blocks = blocks.ok_or(RepairError::TooMuchUnused { limit: luks1::repair::MOST_WIPED })?;
            ready.phases.push(blocks.iter().map(Write::zeros).collect());
            steps.extend(blocks.into_iter().map(|area| RepairStep::WipeUnusedMeta { area }));
        }
        Ok(RepairPlan { beside: None, contradiction: None, before, steps, ready })
    }

    /// A header that is put right is all that is done: what its slots are worth is seen when they are tried.
    fn of_mended(mended: Mended, disk: &dyn BlockRead) -> Result<RepairPlan, RepairError> {
        let Mended { before, faults, ready } = mended;
        // What took the magic away may have put something else there.
        let beside = if faults.contains(&Luks1Fault::Magic) {
            signature::find(&Unmarked(disk)).map_err(|source| RepairError::Disk { source })?
        } else {
            None
        };
        let steps = faults.into_iter().map(|fault| RepairStep::MendLuks1 { fault }).collect();
        Ok(RepairPlan { beside, contradiction: None, before: Before::Luks1(before), steps, ready })
    }

    /// What would be done, in that order.
    pub fn steps(&self) -> &[RepairStep] {
        &self.steps
    }

    /// Whether something is wrong: there is more to do than to overwrite what nobody needs.
    pub fn finds_fault(&self) -> bool {
        let is_unused = |step: &RepairStep| {
            use RepairStep::{ForgetMeta, WipeUnused, WipeUnusedMeta};
            matches!(step, WipeUnused { .. } | WipeUnusedMeta { .. } | ForgetMeta { .. })
        };
        !self.steps.iter().all(is_unused)
    }

    /// What the copy of the header that would be overwritten is, if it contradicts the other one: it has another UUID, or the same
    /// sequence number and other content. No interrupted change explains that, and it may be the one that is right; with
    /// [`Force::Yes`] it is lost. Nothing else is overwritten along with it.
    pub fn contradiction(&self) -> Option<&str> {
        self.contradiction.as_deref()
    }

    /// What else is recognised on the disk. Then only the second copy of the header is there, and it may be what an older volume
    /// has left; with [`Force::Yes`] the header comes back, and what was recognised is lost.
    pub fn beside(&self) -> Option<&'static str> {
        self.beside
    }

    /// Does it. The caller holds the volume's write lock.
    ///
    /// # Errors
    /// [`ApplyError`]; with [`ApplyError::NotForced`] and [`ApplyError::Changed`] nothing was written.
    pub fn apply(self, disk: &dyn BlockWrite, force: Force) -> Result<Applied, ApplyError> {
        if force == Force::No && (self.beside.is_some() || self.contradiction.is_some()) {
            return Err(ApplyError::NotForced);
        }
        let (before, found) = match &self.before {
            Before::Luks1(before) => (before, luks1::repair::identity(&disk, &self.ready.after)?),
            Before::Read(before) if self.beside.is_some() => {
                let found = read_anyway(&disk).map_err(|source| ApplyError::Unreadable { source })?;
                (before, Header::Luks2(Box::new(found.0)).identity())
            }
            Before::Read(before) => {
                let found = Header::read(&disk).map_err(|source| ApplyError::Unreadable { source })?;
                (before, found.identity())
            }
        };
        if found != *before {
            return Err(ApplyError::Changed { before: before.sequence(), found: found.sequence() });
        }
        self.ready.write(disk)
    }
}

/// Whether no header of LUKS2 was found.
fn may_be_luks1(found: &Result<Header, HeaderError>) -> bool {
    match found {
        Ok(header) => header.as_luks1().is_some(),
        Err(error) => {
            matches!(error, HeaderError::Luks1 { .. } | HeaderError::NotLuks | HeaderError::UnknownVersion { .. })
        }
    }
}

/// Whether all that lies in the keyslots area is known: unknown requirements may keep something else there. What it costs to open a
/// slot says nothing about where its key material lies.
fn is_known(header: &Header) -> bool {
    header.check(&Allowed::at_any_cost(DataPlace::OtherDisk)).is_ok()
}

/// Random bytes for all of these places.
fn noise<'a>(areas: impl Iterator<Item = &'a Area>, random: &dyn Random) -> Result<Phase, RepairError> {
    let write = |area: &Area| {
        let mut bytes = Zeroizing::new(vec![0; usize::try_from(area.size().0).unwrap_or(usize::MAX)]);
        random.fill(&mut bytes).map_err(|source| RepairError::Random { source })?;
        Ok(Write { offset: area.offset(), bytes })
    };
    areas.map(write).collect()
}

impl From<MendError> for RepairError {
    fn from(error: MendError) -> RepairError {
        match error {
            MendError::Random(source) => RepairError::Random { source },
            MendError::Disk(source) => RepairError::Disk { source },
            MendError::Changed => RepairError::Changed,
        }
    }
}

impl fmt::Debug for RepairPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RepairPlan").field("steps", &self.steps).field("beside", &self.beside).finish_non_exhaustive()
    }
}

/// One line for each step, to be read behind "would".
impl fmt::Display for RepairPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.steps.is_empty() {
            return f.write_str("nothing to repair");
        }
        let lines: Vec<String> = self.steps.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))?;
        if self.contradiction.is_some() {
            f.write_str("\nrefuse that unless told: the copies contradict each other, and that one may be right")?;
        }
        self.beside.map_or(Ok(()), |found| {
            write!(f, "\nrefuse that unless told: there is something else on the disk, which would be lost: {found}")
        })
    }
}

impl fmt::Display for RepairStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = |area: &Area| format!("{} at byte {}", area.size(), area.offset().0);
        match self {
            RepairStep::Mend { copy, state } => write!(f, "write the {copy} anew: it is {state}"),
            RepairStep::WipeLeftOver { area } => {
                write!(f, "overwrite key material that an interrupted change has left: {}", place(area))
            }
            RepairStep::WipeUnused { area } => {
                write!(f, "overwrite a place for key material that no slot uses: {}", place(area))
            }
            RepairStep::MendLuks1 { fault } => fault.fmt(f),
            RepairStep::ForgetMeta { slot } => {
                write!(f, "remove data of Clevis for slot {slot} from LUKSMeta: the slot is not in use")
            }
            RepairStep::WipeUnusedMeta { area } => {
                write!(f, "overwrite a place in LUKSMeta that no slot has data in: {}", place(area))
            }
        }
    }
}

impl RepairStep {
    /// The same when it has been done.
    pub fn done(&self) -> String {
        let place = |area: &Area| format!("{} at byte {}", area.size(), area.offset().0);
        match self {
            RepairStep::Mend { copy, state } => format!("the {copy} is written anew: it was {state}"),
            RepairStep::WipeLeftOver { area } => {
                format!("key material that an interrupted change had left is overwritten: {}", place(area))
            }
            RepairStep::WipeUnused { area } => {
                format!("a place for key material that no slot uses is overwritten: {}", place(area))
            }
            RepairStep::MendLuks1 { fault } => fault.done(),
            RepairStep::ForgetMeta { slot } => {
                format!("data of Clevis for slot {slot}, which is not in use, is removed from LUKSMeta")
            }
            RepairStep::WipeUnusedMeta { area } => {
                format!("a place in LUKSMeta that no slot has data in is overwritten: {}", place(area))
            }
        }
    }
}

impl fmt::Display for RepairError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RepairError::Header { .. } => f.write_str("there is no good copy of a header to repair the other one from"),
            RepairError::Changed => f.write_str("somebody has changed the header while it was read"),
            RepairError::Random { .. } => f.write_str("there are no random bytes"),
            RepairError::TooMuchUnused { limit } => {
                write!(
                    f,
                    "more than {limit} in the gap of LUKSMeta belong to no slot: too much to be overwritten at once"
                )
            }
            RepairError::Disk { .. } => f.write_str("the header cannot be read"),
        }
    }
}

impl std::error::Error for RepairError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            RepairError::Header { source } => Some(source),
            RepairError::Random { source } => Some(source),
            RepairError::Disk { source } => Some(source),
            RepairError::Changed | RepairError::TooMuchUnused { .. } => None,
        }
    }
}
