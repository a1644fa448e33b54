//! Tiles to workers. Whatever is dealt to whom, the tile tree gives the same bits.

use std::ops::Range;

use crate::config::Placement;

/// Tiles of each worker, as ascending, disjoint shards.
pub fn deal(tiles: u64, workers: usize, placement: Placement) -> Vec<Vec<Range<u64>>> {
    match placement {
        Placement::Contiguous => contiguous(tiles, workers),
        Placement::Scattered => scattered(tiles, workers),
    }
}

/// One run for each worker, cut at multiples of a power of two where that costs less than 1/8 of a share: an aligned shard
/// folds to few nodes of the tile tree.
fn contiguous(tiles: u64, workers: usize) -> Vec<Vec<Range<u64>>> {
    let workers = workers as u64;
    let share = tiles.div_ceil(workers);
    let grain = (share / 8).next_power_of_two().max(1);
    let cut = |k: u64| {
        let exact = (u128::from(tiles) * u128::from(k) / u128::from(workers)) as u64;
        if k == workers { tiles } else { exact / grain * grain }
    };
    (0..workers).map(|k| cut(k)..cut(k + 1)).map(|shard| if shard.is_empty() { vec![] } else { vec![shard] }).collect()
}

/// Single tiles, dealt by a fixed hash of the tile's index: the hardest case for any order of sums.
fn scattered(tiles: u64, workers: usize) -> Vec<Vec<Range<u64>>> {
    let mut shards: Vec<Vec<Range<u64>>> = vec![Vec::new(); workers];
    for tile in 0..tiles {
        // splitmix64's finalizer spreads neighbours
        let mut z = tile.wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let owner = &mut shards[((z ^ (z >> 31)) % workers as u64) as usize];
        match owner.last_mut() {
            Some(last) if last.end == tile => last.end += 1,
            _ => owner.push(tile..tile + 1),
        }
    }
    shards
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tile_has_one_owner() {
        for placement in [Placement::Contiguous, Placement::Scattered] {
            for tiles in [1, 2, 3, 7, 64, 1000, 1526] {
                for workers in [1, 2, 3, 5, 16] {
                    let shards = deal(tiles, workers, placement);
                    assert_eq!(shards.len(), workers);
                    assert!(shards.iter().all(|own| own.is_sorted_by(|a, b| a.end <= b.start)));
                    let mut all: Vec<u64> = shards.into_iter().flatten().flatten().collect();
                    all.sort_unstable();
                    assert_eq!(all, (0..tiles).collect::<Vec<_>>(), "{placement:?} {tiles} {workers}");
                }
            }
        }
    }

    #[test]
    fn contiguous_shares_differ_by_little() {
        for workers in 2..12 {
            let shares: Vec<u64> = deal(1526, workers, Placement::Contiguous)
                .iter()
                .map(|own| own.iter().map(|shard| shard.end - shard.start).sum())
                .collect();
            let exact = 1526.0 / workers as f64;
            assert!(shares.iter().all(|&share| (share as f64 / exact - 1.0).abs() < 0.3), "{shares:?}");
        }
    }
}
