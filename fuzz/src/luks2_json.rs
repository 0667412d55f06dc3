//! The JSON area of LUKS2.

use crate::Reached;
use crate::change;
use crate::header::{accept, say};
use crate::luks2_binary_header::{BINARY_LEN, good_copy, put_checksum};
use crate::replayed::Replayed;
use crate::sparse::SparseDisk;
use crate::touched::key;
use luks::{Accepted, Edit, Metadata, SealState};

/// The smallest header.
const SIZE: usize = 16 << 10;

/// A header that was sealed with the key of all seeds, and the only one: `examples/seal.rs` made it.
const SEALED: &[u8] = include_bytes!("../seeds/luks2_json/sealed");

/// Takes the bytes as the JSON of both copies of a header whose checksums are right; a NUL and zeros follow it.
pub fn luks2_json(bytes: &[u8]) -> Reached {
    let json = bytes.get(..SIZE - BINARY_LEN - 1).unwrap_or(bytes);
    let disk = disk(json);
    let accepted = match accept(&disk) {
        Err(reached) => return reached,
        Ok(accepted) => accepted,
    };
    check_seal(&accepted);
    if change::try_all(&disk, &accepted, json) { Reached::Changed } else { Reached::Accepted }
}

/// The same JSON with a seal in it; `None` if it is no header that could be sealed.
pub fn sealed(json: &[u8]) -> Option<String> {
    let accepted = accept(&disk(json)).ok()?;
    let random = Replayed::default();
    let mut edit = Edit::new(&accepted, &random).ok()?;
    edit.seal(&key()).ok()?;
    Some(edit.metadata()?.document().to_compact().to_string())
}

fn disk(json: &[u8]) -> SparseDisk {
    let mut both = Vec::with_capacity(2 * SIZE);
    for at in [0, SIZE] {
        let mut copy = good_copy(at, SIZE);
        copy[BINARY_LEN..][..json.len()].copy_from_slice(json);
        put_checksum(&mut copy);
        both.extend(copy);
    }
    SparseDisk::starting_with(&both)
}

/// What a seal vouches for is what was sealed, whatever else was done to the header: there is but one seal that its key made.
fn check_seal(accepted: &Accepted) {
    let differences = match accepted.seal_state(&key()) {
        SealState::Unsealed => return,
        SealState::Broken(broken) => {
            assert!(!broken.hint().is_empty());
            return say(&broken);
        }
        SealState::Sealed { differences, .. } => differences,
    };
    let sealed = accept(&disk(SEALED)).expect("a sealed header is no header any more");
    let [sealed, found] = [&sealed, accepted].map(|header| header.header().as_luks2().unwrap().metadata());
    let whole = |metadata: &Metadata| {
        let digests = metadata.digests.values().map(|digest| (digest.segments.clone(), digest.kind.clone()));
        format!("{:?} {:?} {:?}", metadata.segments, digests.collect::<Vec<_>>(), metadata.config.requirements)
    };
    assert_eq!(whole(sealed), whole(found), "a seal vouches for what was not sealed");
    if differences.is_empty() {
        assert_eq!(format!("{:?}", sealed.keyslots), format!("{:?}", found.keyslots), "a keyslot was not sealed");
        assert!(sealed.tokens.len() == found.tokens.len(), "a token was not sealed");
    }
}
