//! What is true of mending, of keeping and of destroying: the header reads back, nothing is left to mend, and what is wrong with a header
//! never leads to the data.

use crate::header::say;
use crate::replayed::Replayed;
use crate::sparse::SparseDisk;
use luks::{Backup, ErasePlan, Force, Header, RepairPlan, UnusedAreas};

/// Mends what is on the disk and takes it back. `data` is where the data begins, if that is known for sure.
pub(crate) fn try_repair(disk: &SparseDisk, areas: UnusedAreas, data: Option<u64>) {
    let random = Replayed::default();
    let plan = match RepairPlan::new(disk, areas, &random) {
        Ok(plan) => plan,
        Err(error) => return say(&error),
    };
    assert!(!plan.to_string().is_empty());
    assert!(disk.take_written().is_empty(), "a plan has written to the disk");
    let content = disk.content();
    let applied = match plan.apply(disk, Force::Yes) {
        Ok(applied) => applied,
        Err(error) => {
            say(&error);
            return assert!(disk.content() == content, "a repair was refused and made");
        }
    };
    let found = Header::read(disk).expect("a mended header is not read");
    assert!(found.is_same(&applied.header), "a mended header reads back as something else");
    let again = RepairPlan::new(disk, areas, &random).expect("a mended header cannot be mended");
    assert!(!again.finds_fault(), "mended, and still: {again}");
    check_data(disk, data);
    applied.undo.revert(disk).expect("a repair cannot be taken back");
    assert!(disk.content() == content, "a repair was taken back, and something is left of it");
    disk.take_written();
}

/// Keeps the header, reads what was kept, and `start`, the beginning of the disk, as if that were all.
pub(crate) fn try_backup(disk: &SparseDisk, start: &[u8]) {
    if let Err(error) = Backup::parse(start.to_vec()) {
        say(&error);
    }
    match Backup::read(disk) {
        Err(error) => say(&error),
        Ok(kept) => {
            let again = Backup::parse(kept.bytes().to_vec()).expect("a backup is not read");
            assert!(again.bytes() == kept.bytes(), "a backup reads back as something else");
        }
    }
}

/// Destroys all keyslots. There is no way back: the disk is of no use afterwards.
pub(crate) fn try_erase(disk: &SparseDisk, data: Option<u64>) {
    let random = Replayed::default();
    let erased = ErasePlan::new(disk, &random).and_then(|plan| plan.apply(disk, &random));
    match erased {
        Err(error) => say(&error),
        Ok(erased) => {
            let found = Header::read(disk).expect("a header without keyslots is not read");
            assert!(found.is_same(&erased.header), "what was erased reads back as something else");
            assert!(ErasePlan::new(disk, &random).expect("it was erased once").slots().is_empty(), "a slot is left");
            check_data(disk, data);
        }
    }
}

fn check_data(disk: &SparseDisk, data: Option<u64>) {
    for place in disk.take_written() {
        assert!(data.is_none_or(|data| place.end <= data), "written to {place:?}, which is data");
    }
}
