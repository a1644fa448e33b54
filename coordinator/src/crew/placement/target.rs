//! How many tiles everybody may get: by speed, under capacities, in whole tiles.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::{NoRoom, Share};

/// The slowest agent may take this part longer than it must, 1/50 = 2 %, so that no tile moves for next to nothing.
const SLACK: u128 = 50;

/// The fastest agent's weight; the others' are in proportion. Whole numbers, so that no rounding makes or loses a tile.
const UNIT: f64 = (1u64 << 32) as f64;

/// What one agent may get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    /// Most tiles.
    pub(super) most: u64,
    /// Speed as a whole number.
    pub(super) weight: u64,
}

/// The most tiles that each agent may get so that a pass takes at most the slack longer than the best placement of whole
/// tiles. How few an agent has does not matter: only the slowest makes the others wait.
pub(super) fn rooms(tiles: u64, shares: &[Share]) -> Result<Vec<Room>, NoRoom> {
    let capacity = shares.iter().fold(0u64, |sum, share| sum.saturating_add(share.capacity));
    if capacity < tiles {
        return Err(NoRoom { tiles, capacity });
    }
    let held: Vec<Room> =
        shares.iter().zip(weights(shares)).map(|(share, weight)| Room { most: share.capacity, weight }).collect();
    let best = sizes(tiles, &held, &floors(tiles, &held));
    let longer = |a: &(u64, u64), b: &(u64, u64)| (product(a.0, b.1)).cmp(&product(b.0, a.1));
    let times = best.iter().copied().zip(held.iter().map(|room| room.weight));
    let Some((count, weight)) = times.max_by(longer) else { return Ok(held) };
    let most = |room: &Room| {
        let time = u128::from(room.weight) * u128::from(count);
        u64::try_from(time * (SLACK + 1) / (SLACK * u128::from(weight))).unwrap_or(u64::MAX).min(room.most)
    };
    Ok(held.iter().map(|room| Room { most: most(room), ..*room }).collect())
}

fn product(a: u64, b: u64) -> u128 {
    u128::from(a) * u128::from(b)
}

/// Speeds as whole numbers, at least 1.
fn weights(shares: &[Share]) -> Vec<u64> {
    let fastest = shares.iter().map(Share::known_speed).fold(0.0, f64::max);
    shares.iter().map(|share| ((share.known_speed() / fastest * UNIT) as u64).max(1)).collect()
}

/// Exact shares, rounded down: all share in proportion to their weights, those that this would overfill get what they can
/// hold, the others share the rest, and so on. The best placement of whole tiles gives nobody less.
fn floors(tiles: u64, rooms: &[Room]) -> Vec<u64> {
    let mut full = vec![false; rooms.len()];
    let mut left = u128::from(tiles);
    let mut weight: u128 = rooms.iter().map(|room| u128::from(room.weight)).sum();
    loop {
        let overfull: Vec<usize> = (0..rooms.len())
            .filter(|&k| !full[k] && left * u128::from(rooms[k].weight) > u128::from(rooms[k].most) * weight)
            .collect();
        if overfull.is_empty() {
            break;
        }
        for k in overfull {
            full[k] = true;
            left -= u128::from(rooms[k].most);
            weight -= u128::from(rooms[k].weight);
        }
    }
    let floor = |k: usize| if full[k] { rooms[k].most } else { (left * u128::from(rooms[k].weight) / weight) as u64 };
    (0..rooms.len()).map(floor).collect()
}

/// How many tiles everybody gets, given that nobody gets fewer than `at_least` or more than it has room for: one more to
/// whoever is then done first, until all are given.
pub(super) fn sizes(tiles: u64, rooms: &[Room], at_least: &[u64]) -> Vec<u64> {
    let mut sizes = at_least.to_vec();
    let given: u64 = sizes.iter().sum();
    assert!(given <= tiles, "{given} of {tiles} tiles are spoken for");
    // Time with one tile more, in units that tell apart any two numbers of tiles that occur.
    let time = |size: u64, room: &Room| ((u128::from(size) + 1) << 48) / u128::from(room.weight);
    let waiting = sizes.iter().zip(rooms).enumerate().filter(|(_, (size, room))| **size < room.most);
    let mut next: BinaryHeap<_> = waiting.map(|(k, (&size, room))| Reverse((time(size, room), k))).collect();
    for _ in given..tiles {
        let Reverse((_, k)) = next.pop().expect("there is room for all tiles");
        sizes[k] += 1;
        if sizes[k] < rooms[k].most {
            next.push(Reverse((time(sizes[k], &rooms[k]), k)));
        }
    }
    sizes
}
