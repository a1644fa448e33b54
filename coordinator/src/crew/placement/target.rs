//! How many tiles everybody may get: shares in proportion to speed, under capacities, in whole tiles.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::{NoRoom, Share};

/// An agent may have this part of its exact share more or less, 1/50 = 2 %, so that no tile moves for next to nothing.
pub(super) const SLACK: u64 = 50;

/// The fastest agent's weight; the others' are in proportion. Whole numbers, so that no rounding makes or loses a tile.
const UNIT: f64 = (1u64 << 32) as f64;

/// The numbers of tiles that suit one agent. Those of all agents admit a sum of all tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Band {
    /// Fewest.
    pub(super) low: u64,
    /// Most; never above the capacity.
    pub(super) high: u64,
    /// Speed as a whole number.
    pub(super) weight: u64,
}

/// The band of each agent: floor and ceiling of its exact share, widened by the slack.
///
/// Exact shares are found by filling: all agents share in proportion to their weights, those that this would overfill get
/// what they can hold, the others share the rest, and so on.
pub(super) fn bands(tiles: u64, shares: &[Share]) -> Result<Vec<Band>, NoRoom> {
    let capacity = shares.iter().fold(0u64, |sum, share| sum.saturating_add(share.capacity));
    if capacity < tiles {
        return Err(NoRoom { tiles, capacity });
    }
    let weights = weights(shares);
    let mut full = vec![false; shares.len()];
    let mut left = u128::from(tiles);
    let mut weight: u128 = weights.iter().map(|&weight| u128::from(weight)).sum();
    loop {
        let overfull: Vec<usize> = (0..shares.len())
            .filter(|&k| !full[k] && left * u128::from(weights[k]) > u128::from(shares[k].capacity) * weight)
            .collect();
        if overfull.is_empty() {
            break;
        }
        for k in overfull {
            full[k] = true;
            left -= u128::from(shares[k].capacity);
            weight -= u128::from(weights[k]);
        }
    }
    let band = |k: usize| {
        let capacity = shares[k].capacity;
        let exact = left * u128::from(weights[k]);
        let (floor, ceiling) =
            if full[k] { (capacity, capacity) } else { ((exact / weight) as u64, exact.div_ceil(weight) as u64) };
        let slack = floor / SLACK;
        Band { low: floor - slack, high: capacity.min(ceiling.saturating_add(slack)), weight: weights[k] }
    };
    Ok((0..shares.len()).map(band).collect())
}

/// Speeds as whole numbers, at least 1.
fn weights(shares: &[Share]) -> Vec<u64> {
    let fastest = shares.iter().map(Share::known_speed).fold(0.0, f64::max);
    shares.iter().map(|share| ((share.known_speed() / fastest * UNIT) as u64).max(1)).collect()
}

/// How many tiles everybody gets, given that nobody gets fewer than `at_least` or leaves its band: one more to whoever is
/// then done first, until all are given.
pub(super) fn sizes(tiles: u64, bands: &[Band], at_least: &[u64]) -> Vec<u64> {
    let mut sizes: Vec<u64> = bands.iter().zip(at_least).map(|(band, &least)| band.low.max(least)).collect();
    let given: u64 = sizes.iter().sum();
    assert!(given <= tiles, "{given} of {tiles} tiles are spoken for");
    // Time with one tile more, in units that tell apart any two numbers of tiles that occur.
    let time = |size: u64, band: &Band| ((u128::from(size) + 1) << 48) / u128::from(band.weight);
    let waiting = sizes.iter().zip(bands).enumerate().filter(|(_, (size, band))| **size < band.high);
    let mut next: BinaryHeap<_> = waiting.map(|(k, (&size, band))| Reverse((time(size, band), k))).collect();
    for _ in given..tiles {
        let Reverse((_, k)) = next.pop().expect("the bands have room for all tiles");
        sizes[k] += 1;
        if sizes[k] < bands[k].high {
            next.push(Reverse((time(sizes[k], &bands[k]), k)));
        }
    }
    sizes
}
