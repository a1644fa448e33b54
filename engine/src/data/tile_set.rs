//! Sets of tiles: what an agent holds, owns or lacks. Kept as runs, so that a set costs by its runs and not by its tiles.

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

/// A set of tile indices, as ascending runs that neither overlap nor touch.
///
/// Two sets are equal exactly when they hold the same tiles. Reading one from bytes puts whatever runs come into that form.
#[derive(Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "Vec<Range<u64>>", into = "Vec<Range<u64>>")]
pub struct TileSet {
    runs: Vec<Range<u64>>,
}

impl TileSet {
    /// No tile.
    pub fn new() -> Self {
        Self::default()
    }

    /// All tiles of a dataset that has this many.
    pub fn full(tiles: u64) -> Self {
        (0..tiles).into()
    }

    /// Number of tiles.
    pub fn len(&self) -> u64 {
        self.runs.iter().map(|run| run.end - run.start).sum()
    }

    /// Whether there is no tile.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Whether it has this tile.
    pub fn contains(&self, tile: u64) -> bool {
        let after = self.runs.partition_point(|run| run.start <= tile);
        after > 0 && tile < self.runs[after - 1].end
    }

    /// Its runs: ascending, none empty, with a gap between any two.
    pub fn runs(&self) -> &[Range<u64>] {
        &self.runs
    }

    /// Its tiles, ascending.
    pub fn tiles(&self) -> impl Iterator<Item = u64> + '_ {
        self.runs.iter().cloned().flatten()
    }

    /// Tiles of either.
    pub fn union(&self, other: &Self) -> Self {
        self.combine(other, |here, there| here || there)
    }

    /// Tiles of this one that the other has not.
    pub fn difference(&self, other: &Self) -> Self {
        self.combine(other, |here, there| here && !there)
    }

    /// Tiles of both.
    pub fn intersection(&self, other: &Self) -> Self {
        self.combine(other, |here, there| here && there)
    }

    /// Whether no tile is in both.
    pub fn is_disjoint(&self, other: &Self) -> bool {
        self.intersection(other).is_empty()
    }

    /// Whether the other has all tiles of this one.
    pub fn is_subset(&self, other: &Self) -> bool {
        self.difference(other).is_empty()
    }

    /// Its `count` lowest tiles, or all if there are fewer.
    pub fn first(&self, count: u64) -> Self {
        let mut left = count;
        let mut runs = Vec::new();
        for run in &self.runs {
            let taken = left.min(run.end - run.start);
            if taken == 0 {
                break;
            }
            runs.push(run.start..run.start + taken);
            left -= taken;
        }
        Self { runs }
    }

    /// One sweep over where either set begins or ends a run; `keep` says by membership in both which tiles stay.
    fn combine(&self, other: &Self, keep: impl Fn(bool, bool) -> bool) -> Self {
        let (mut ours, mut theirs) = (self.edges().peekable(), other.edges().peekable());
        let (mut here, mut there) = (false, false);
        let mut runs = Vec::new();
        let mut open = None;
        while let Some(edge) = [ours.peek(), theirs.peek()].into_iter().flatten().min().copied() {
            here ^= ours.next_if_eq(&edge).is_some();
            there ^= theirs.next_if_eq(&edge).is_some();
            match (keep(here, there), open) {
                (true, None) => open = Some(edge),
                (false, Some(start)) => {
                    runs.push(start..edge);
                    open = None;
                }
                _ => {}
            }
        }
        Self { runs }
    }

    /// Starts and ends of its runs, strictly ascending.
    fn edges(&self) -> impl Iterator<Item = u64> + '_ {
        self.runs.iter().flat_map(|run| [run.start, run.end])
    }
}

impl FromIterator<Range<u64>> for TileSet {
    /// In any order; they may overlap, and empty ones (end not above start) say nothing.
    fn from_iter<I: IntoIterator<Item = Range<u64>>>(ranges: I) -> Self {
        let mut ranges: Vec<Range<u64>> = ranges.into_iter().filter(|range| !range.is_empty()).collect();
        ranges.sort_unstable_by_key(|range| range.start);
        let mut runs: Vec<Range<u64>> = Vec::with_capacity(ranges.len());
        for range in ranges {
            match runs.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => runs.push(range),
            }
        }
        Self { runs }
    }
}

impl From<Range<u64>> for TileSet {
    fn from(range: Range<u64>) -> Self {
        std::iter::once(range).collect()
    }
}

impl From<Vec<Range<u64>>> for TileSet {
    fn from(ranges: Vec<Range<u64>>) -> Self {
        ranges.into_iter().collect()
    }
}

impl From<TileSet> for Vec<Range<u64>> {
    fn from(set: TileSet) -> Self {
        set.runs
    }
}

/// The runs, for people: `0..5 9..12`, or `none`.
impl fmt::Display for TileSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.runs.is_empty() {
            return f.write_str("none");
        }
        for (k, run) in self.runs.iter().enumerate() {
            let gap = if k == 0 { "" } else { " " };
            write!(f, "{gap}{}..{}", run.start, run.end)?;
        }
        Ok(())
    }
}

impl fmt::Debug for TileSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// The set whose tiles are the bits of `bits`, made from its tiles one by one.
    fn of(bits: u64) -> TileSet {
        (0..64).filter(|tile| bits >> tile & 1 == 1).map(|tile| tile..tile + 1).collect()
    }

    fn bits(set: &TileSet) -> u64 {
        set.tiles().fold(0, |bits, tile| bits | 1 << tile)
    }

    fn is_normal(set: &TileSet) -> bool {
        set.runs().iter().all(|run| run.start < run.end) && set.runs().is_sorted_by(|a, b| a.end < b.start)
    }

    #[test]
    fn every_pair_of_sets_over_seven_tiles() {
        for a in 0..128 {
            let left = of(a);
            assert_eq!((bits(&left), left.len()), (a, u64::from(a.count_ones())));
            assert_eq!(left.is_empty(), a == 0);
            for tile in 0..8 {
                assert_eq!(left.contains(tile), a >> tile & 1 == 1, "{tile} in {left:?}");
            }
            for count in 0..9 {
                let lowest: Vec<u64> = left.tiles().take(count).collect();
                assert_eq!(left.first(count as u64).tiles().collect::<Vec<_>>(), lowest);
            }
            for b in 0..128 {
                let right = of(b);
                assert_eq!(left.union(&right), of(a | b));
                assert_eq!(left.intersection(&right), of(a & b));
                assert_eq!(left.difference(&right), of(a & !b));
                assert_eq!(left.is_disjoint(&right), a & b == 0);
                assert_eq!(left.is_subset(&right), a & !b == 0);
            }
        }
    }

    #[test]
    fn people_read_runs() {
        let set: TileSet = [9..12, 0..3, 3..5].into_iter().collect();
        assert_eq!((format!("{set}"), format!("{set:?}")), ("0..5 9..12".to_string(), "0..5 9..12".to_string()));
        assert_eq!(TileSet::new().to_string(), "none");
        assert_eq!(TileSet::full(0), TileSet::new());
        assert_eq!(TileSet::full(u64::MAX).len(), u64::MAX);
    }

    proptest! {
        #[test]
        fn any_ranges_come_into_the_same_form(ranges in prop::collection::vec((0u64..64, 0u64..64), 0..12)) {
            let ranges: Vec<Range<u64>> = ranges.into_iter().map(|(start, end)| start..end).collect();
            let expected: BTreeSet<u64> = ranges.iter().cloned().flatten().collect();
            let set: TileSet = ranges.iter().cloned().collect();
            prop_assert!(is_normal(&set), "{set:?}");
            prop_assert_eq!(set.tiles().collect::<Vec<_>>(), expected.into_iter().collect::<Vec<_>>());
            // what comes over the wire is put in order too, whoever wrote it
            let bytes = postcard::to_allocvec(&ranges).unwrap();
            prop_assert_eq!(&postcard::from_bytes::<TileSet>(&bytes).unwrap(), &set);
            let bytes = postcard::to_allocvec(&set).unwrap();
            prop_assert_eq!(&postcard::from_bytes::<TileSet>(&bytes).unwrap(), &set);
        }

        #[test]
        fn operations_agree_with_sets_of_tiles(a: u64, b: u64) {
            // bit 63 is left out: 64 tiles from 0 would need a shift by 64 to check
            let (a, b) = (a >> 1, b >> 1);
            let (left, right) = (of(a), of(b));
            for (set, expected) in
                [(left.union(&right), a | b), (left.intersection(&right), a & b), (left.difference(&right), a & !b)]
            {
                prop_assert!(is_normal(&set), "{set:?}");
                prop_assert_eq!(bits(&set), expected);
            }
        }
    }
}
