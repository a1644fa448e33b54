//! Who gets the tiles that nobody keeps.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::ops::Range;

use nlsq_engine::data::TileSet;

use super::scrambled;
use super::target::Room;

/// All tiles from 0 on, a run for each agent. A cut goes to the roundest number near its place for which both sides have
/// room.
pub(super) fn runs(sizes: &[u64], rooms: &[Room]) -> Vec<TileSet> {
    let mut owned = Vec::with_capacity(sizes.len());
    let (mut start, mut end) = (0, 0);
    for k in 0..sizes.len() {
        end += sizes[k];
        let cut = match sizes.get(k + 1) {
            None => end,
            Some(next) => {
                let lowest = (end + next).saturating_sub(rooms[k + 1].most).max(start);
                roundest(lowest, start.saturating_add(rooms[k].most).min(end + next))
            }
        };
        owned.push(TileSet::from(start..cut));
        start = cut;
    }
    owned
}

/// The multiple of the greatest power of two between two numbers, both included.
fn roundest(low: u64, high: u64) -> u64 {
    let mut round = low;
    for bit in 0..64 {
        match low.checked_next_multiple_of(1 << bit) {
            Some(multiple) if multiple <= high => round = multiple,
            _ => break,
        }
    }
    round
}

/// Brings everybody to its size with free tiles, in few and long runs: first with those that touch what it keeps, then with
/// the shortest free run that is long enough, or the longest there is.
pub(super) fn neighbours(tiles: u64, kept: Vec<TileSet>, sizes: &[u64]) -> Vec<TileSet> {
    let mut needs = needs(&kept, sizes);
    let mut owned: Vec<Vec<Range<u64>>> = kept.iter().map(|set| set.runs().to_vec()).collect();
    let ends: BTreeMap<u64, usize> = bounds(&owned, |run| run.end);
    let starts: BTreeMap<u64, usize> = bounds(&owned, |run| run.start);
    let mut free: BTreeSet<(u64, u64)> = BTreeSet::new();
    for run in idle(tiles, &kept).runs() {
        let mut run = run.clone();
        if let Some(&left) = ends.get(&run.start) {
            let count = needs[left].min(run.end - run.start);
            owned[left].push(run.start..run.start + count);
            needs[left] -= count;
            run.start += count;
        }
        if let Some(&right) = starts.get(&run.end) {
            let count = needs[right].min(run.end - run.start);
            owned[right].push(run.end - count..run.end);
            needs[right] -= count;
            run.end -= count;
        }
        if !run.is_empty() {
            free.insert((run.end - run.start, run.start));
        }
    }
    let wanting = needs.into_iter().enumerate().filter(|(_, need)| *need > 0);
    let mut wanting: BinaryHeap<(u64, Reverse<usize>)> = wanting.map(|(k, need)| (need, Reverse(k))).collect();
    while let Some((need, Reverse(k))) = wanting.pop() {
        let run =
            free.range((need, 0)..).next().or(free.last()).copied().expect("as many tiles are free as are needed");
        free.remove(&run);
        let (length, start) = run;
        let (taken, rest) = cut(start..start + length, need);
        if !rest.is_empty() {
            free.insert((rest.end - rest.start, rest.start));
        }
        if need > length {
            wanting.push((need - length, Reverse(k)));
        }
        owned[k].push(taken);
    }
    owned.into_iter().map(TileSet::from).collect()
}

/// Brings everybody to its size with free tiles from everywhere: the hardest case for any order of sums.
pub(super) fn scatter(tiles: u64, kept: Vec<TileSet>, sizes: &[u64]) -> Vec<TileSet> {
    let mut free: Vec<u64> = idle(tiles, &kept).tiles().collect();
    free.sort_unstable_by_key(|&tile| scrambled(tile));
    let mut free = free.into_iter();
    let needs = needs(&kept, sizes);
    let owned = kept.into_iter().zip(needs).map(|(kept, need)| {
        let new: TileSet = free.by_ref().take(need as usize).map(|tile| tile..tile + 1).collect();
        kept.union(&new)
    });
    owned.collect()
}

/// Splits a run into a part of at most `count` tiles and the rest, from the end that makes the rounder cut.
pub(super) fn cut(run: Range<u64>, count: u64) -> (Range<u64>, Range<u64>) {
    let count = count.min(run.end - run.start);
    let (from_start, from_end) = (run.start + count, run.end - count);
    if from_start.trailing_zeros() >= from_end.trailing_zeros() {
        (run.start..from_start, from_start..run.end)
    } else {
        (from_end..run.end, run.start..from_end)
    }
}

/// The tiles that nobody keeps.
fn idle(tiles: u64, kept: &[TileSet]) -> TileSet {
    let all: TileSet = kept.iter().flat_map(|set| set.runs().iter().cloned()).collect();
    TileSet::full(tiles).difference(&all)
}

fn needs(kept: &[TileSet], sizes: &[u64]) -> Vec<u64> {
    sizes.iter().zip(kept).map(|(size, kept)| size - kept.len()).collect()
}

/// Whose run has a given start or end.
fn bounds(owned: &[Vec<Range<u64>>], bound: impl Fn(&Range<u64>) -> u64) -> BTreeMap<u64, usize> {
    let all = owned.iter().enumerate();
    all.flat_map(|(k, runs)| runs.iter().map(move |run| (run, k))).map(|(run, k)| (bound(run), k)).collect()
}
