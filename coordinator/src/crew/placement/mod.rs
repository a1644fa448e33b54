//! Tiles to agents. Whatever is given to whom, the tile tree gives the same bits; what matters here is that nobody waits
//! for the slowest, that nobody gets more than it can hold, and that a change of members reads as few tiles anew as it can.
//!
//! In three steps, each a file: how many tiles everybody may get (`target`), who keeps what it holds (`keep`), and
//! who gets the rest (`spread`).

mod keep;
mod spread;
mod target;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use nlsq_engine::data::TileSet;

use crate::config::Placement;

/// What an agent can take on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// Tiles per second, relative to the other agents; 1 where it is not known. What is not a finite number above 0 counts
    /// as not known.
    pub speed: f64,
    /// Most tiles that it can hold.
    pub capacity: u64,
}

impl Share {
    /// The speed, 1 where it is not known.
    pub(super) fn known_speed(&self) -> f64 {
        if self.speed.is_finite() && self.speed > 0.0 { self.speed } else { 1.0 }
    }
}

impl Default for Share {
    /// Of unknown speed, and with room for anything.
    fn default() -> Self {
        Self { speed: 1.0, capacity: u64::MAX }
    }
}

/// The agents together cannot hold all tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{tiles} tiles do not fit into the workers' memory, which has room for {capacity}")]
pub struct NoRoom {
    /// Tiles of the dataset.
    pub tiles: u64,
    /// Most that the agents can hold together.
    pub capacity: u64,
}

/// Gives every tile one owner among the agents of `shares`; the result names each of them, those without a tile too.
///
/// - Nobody gets more than its capacity, and a pass takes at most 2 % longer than the best placement of whole tiles
///   for these speeds and capacities.
/// - Within that, as few tiles as possible get an owner that does not hold them. A tile may be held by several agents, one of which
///   then owns it; what agents hold that are not in `shares` is as good as lost.
/// - Who must give tiles away gives the short runs and then the end of a long one; who gets tiles gets neighbours of its
///   own or long runs (`Contiguous`), or tiles from everywhere (`Scattered`).
/// - With nothing held, `Contiguous` deals one run each, cut at round numbers where the 2 % allow it: such a run folds
///   to few nodes of the tile tree.
///
/// The result depends on the arguments and nothing else.
pub fn place<K: Ord + Copy>(
    tiles: u64,
    held: &BTreeMap<K, TileSet>,
    shares: &BTreeMap<K, Share>,
    style: Placement,
) -> Result<BTreeMap<K, TileSet>, NoRoom> {
    let rooms = target::rooms(tiles, &shares.values().copied().collect::<Vec<_>>())?;
    let all = TileSet::full(tiles);
    let held: Vec<TileSet> =
        shares.keys().map(|agent| held.get(agent).map_or_else(TileSet::new, |held| held.intersection(&all))).collect();
    let kept = keep::keep(&held, &rooms, style);
    let sizes = target::sizes(tiles, &rooms, &kept.iter().map(TileSet::len).collect::<Vec<_>>());
    let fresh = kept.iter().all(TileSet::is_empty);
    let owned = match style {
        Placement::Contiguous if fresh => spread::runs(&sizes, &rooms),
        Placement::Contiguous => spread::neighbours(tiles, kept, &sizes),
        Placement::Scattered => spread::scatter(tiles, kept, &sizes),
    };
    Ok(shares.keys().copied().zip(owned).collect())
}

/// Scrambles a tile's index, so that neighbours lie far apart: splitmix64's finalizer, a bijection.
fn scrambled(tile: u64) -> u64 {
    let mut z = tile.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
