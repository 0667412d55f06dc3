//! All sets of so many things out of so many, those of the first things first.

/// A set of things, counted from 0 to 63.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Set(u64);

impl Set {
    /// Whether this thing is in it.
    pub(super) fn contains(self, thing: usize) -> bool {
        u32::try_from(thing).ok().and_then(|thing| self.0.checked_shr(thing)).is_some_and(|rest| rest & 1 == 1)
    }
}

/// Every set of `size` out of `things`, which are at most 63. None if there are too few.
pub(super) fn subsets(things: usize, size: usize) -> impl Iterator<Item = Set> {
    let full =
        |count: usize| u32::try_from(count).ok().and_then(|n| 1_u64.checked_shl(n)).map_or(u64::MAX, |bit| bit - 1);
    let all = full(things);
    std::iter::successors(Some(full(size)), |set| next(*set)).take_while(move |set| *set <= all).map(Set)
}

/// The next larger number with as many ones (Gosper): the lowest run of ones moves up by one, and what it leaves falls down.
fn next(set: u64) -> Option<u64> {
    let lowest = set & set.wrapping_neg();
    let moved = set.checked_add(lowest)?;
    let left = ((moved ^ set) >> 2).checked_div(lowest)?;
    Some(moved | left)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lists(things: usize, size: usize) -> Vec<Vec<usize>> {
        subsets(things, size).map(|set| (0..64).filter(|thing| set.contains(*thing)).collect()).collect()
    }

    #[test]
    fn every_set_comes_once() {
        assert_eq!(lists(4, 2), [[0, 1], [0, 2], [1, 2], [0, 3], [1, 3], [2, 3]]);
        assert_eq!(lists(3, 3), [[0, 1, 2]]);
        assert_eq!(lists(5, 0), [[]; 1] as [[usize; 0]; 1]);
        assert_eq!(lists(0, 0).len(), 1);
        assert!(lists(2, 3).is_empty() && lists(0, 1).is_empty());
        for (things, size, count) in [(10, 5, 252), (63, 1, 63), (63, 62, 63), (63, 63, 1), (20, 17, 1140)] {
            let mut found = lists(things, size);
            found.dedup();
            assert_eq!(found.len(), count, "{size} of {things}");
            assert!(found.iter().all(|set| set.len() == size && set.iter().all(|thing| *thing < things)));
        }
    }
}
