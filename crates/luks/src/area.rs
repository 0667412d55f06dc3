//! Where key material lies: byte ranges inside the keyslots area (LUKS2 on-disk format, section 2.2).

use block::Bytes;

/// Areas begin and end on multiples of this. The specification wants it; cryptsetup writes it so and does not check it,
/// and neither do we: volumes converted from LUKS1 keep the places they had.
pub(crate) const ALIGNMENT: u64 = 4096;

/// A range of bytes on the disk, never empty, never beyond 2^64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Area {
    start: u64,
    end: u64,
}

impl Area {
    /// The range of `size` bytes from `offset` on, if it is one.
    pub fn new(offset: Bytes, size: Bytes) -> Option<Area> {
        let end = offset.checked_add(size)?;
        (offset < end).then_some(Area { start: offset.0, end: end.0 })
    }

    /// Where it begins.
    pub fn offset(&self) -> Bytes {
        Bytes(self.start)
    }

    /// How long it is.
    pub fn size(&self) -> Bytes {
        Bytes(self.end - self.start)
    }

    /// The first byte behind it.
    pub fn end(&self) -> Bytes {
        Bytes(self.end)
    }

    /// Whether `other` lies wholly in here.
    pub(crate) fn contains(&self, other: &Area) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    /// Whether the two have a byte in common.
    pub(crate) fn overlaps(&self, other: &Area) -> bool {
        self.start < other.end && other.start < self.end
    }

    /// What of it lies before `end`, if anything does.
    pub(crate) fn before(&self, end: Bytes) -> Option<Area> {
        let end = self.end.min(end.0);
        (self.start < end).then_some(Area { start: self.start, end })
    }

    /// Lets it end there, if it ends before.
    pub(crate) fn extend_to(&mut self, end: Bytes) {
        self.end = self.end.max(end.0);
    }

    /// What is left of it beside `others`, from the start on.
    pub(crate) fn without(&self, others: &[Area]) -> Vec<Area> {
        others.iter().fold(vec![*self], |left, other| left.into_iter().flat_map(|area| area.beside(other)).collect())
    }

    /// What of it lies before and behind `other`.
    fn beside(self, other: &Area) -> impl Iterator<Item = Area> + use<> {
        let before = Area { start: self.start, end: self.end.min(other.start) };
        let behind = Area { start: self.start.max(other.end), end: self.end };
        let parts = if self.overlaps(other) { [before, behind] } else { [self, Area { start: 0, end: 0 }] };
        parts.into_iter().filter(|part| part.start < part.end)
    }

    /// The first gap of `size` bytes that none of `taken` touches, from the start on, as cryptsetup looks for it.
    pub(crate) fn first_gap(&self, taken: &[Area], size: Bytes) -> Option<Area> {
        let mut taken = taken.to_vec();
        taken.sort();
        let mut start = self.offset();
        for area in &taken {
            match Area::new(start, size) {
                Some(gap) if gap.end() <= area.offset() && self.contains(&gap) => return Some(gap),
                _ => {}
            }
            start = start.max(area.end());
        }
        Area::new(start, size).filter(|gap| self.contains(gap))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn area(offset: u64, size: u64) -> Area {
        Area::new(Bytes(offset), Bytes(size)).unwrap()
    }

    #[test]
    fn an_area_is_neither_empty_nor_beyond_2_to_the_64() {
        assert_eq!(Area::new(Bytes(5), Bytes(0)), None);
        assert_eq!(Area::new(Bytes(u64::MAX), Bytes(2)), None);
        assert!(Area::new(Bytes(u64::MAX), Bytes(1)).is_none_or(|a| a.end().0 == u64::MAX));
    }

    #[test]
    fn the_first_gap_that_fits_is_taken() {
        let room = area(100, 100);
        assert_eq!(room.first_gap(&[], Bytes(100)), Some(area(100, 100)));
        assert_eq!(room.first_gap(&[], Bytes(101)), None);
        assert_eq!(room.first_gap(&[area(110, 10), area(100, 5)], Bytes(5)), Some(area(105, 5)));
        assert_eq!(room.first_gap(&[area(110, 10), area(100, 5)], Bytes(6)), Some(area(120, 6)));
        assert_eq!(room.first_gap(&[area(100, 90)], Bytes(11)), None);
    }

    #[test]
    fn what_is_left_beside_others() {
        let check = |others: &[Area], left: &[Area]| assert_eq!(area(100, 100).without(others), left, "{others:?}");
        check(&[], &[area(100, 100)]);
        check(&[area(0, 100), area(200, 5)], &[area(100, 100)]);
        check(&[area(120, 10)], &[area(100, 20), area(130, 70)]);
        check(&[area(90, 20), area(190, 20), area(150, 1)], &[area(110, 40), area(151, 39)]);
        check(&[area(0, 1000)], &[]);
    }

    proptest! {
        #[test]
        fn a_gap_never_touches_what_is_taken(taken in proptest::collection::vec((0u64..300, 1u64..50), 0..8), size in 1u64..60) {
            let room = area(50, 200);
            let taken: Vec<Area> = taken.into_iter().map(|(o, s)| area(o, s)).collect();
            let free = |gap: &Area| room.contains(gap) && taken.iter().all(|t| !t.overlaps(gap));
            let found = room.first_gap(&taken, Bytes(size));
            let expected = (50..250).map(|start| area(start, size)).find(free);
            prop_assert_eq!(found, expected);
        }
    }
}
