//! Tiles: consecutive points of the global order, the unit of computing and summing.

use serde::{Deserialize, Serialize};

use super::numbers::{Numbers, Weights};
use crate::normal::Counts;

/// Points of a tile, unless `--tile-points` says otherwise.
pub const TILE_POINTS: u64 = 65_536;

/// The used points of one tile, in the dataset's order; points that do not count are already left out.
///
/// The order of sums inside a tile goes by a point's rank among the used points of its tile (see `kernel`).
#[derive(Clone, Debug, PartialEq)]
pub struct Tile {
    /// Its index in the dataset.
    pub index: u64,
    /// One column for each variable. `[n_variables][n_used]`
    pub x: Vec<Numbers>,
    /// The response. `[n_used]`
    pub y: Numbers,
    /// 1/sigma, where points are weighted. `[n_used]`
    pub inverse_sigma: Option<Weights>,
    /// What became of its points.
    pub counts: Counts,
}

impl Tile {
    /// Bytes that its columns take.
    pub fn bytes(&self) -> usize {
        let columns: usize = self.x.iter().chain([&self.y]).map(Numbers::bytes).sum();
        columns + self.inverse_sigma.as_ref().map_or(0, Weights::bytes)
    }
}

/// Number of tiles of a dataset: `ceil(n_points / tile_points)`.
pub fn tile_count(n_points: u64, tile_points: u64) -> u64 {
    n_points.div_ceil(tile_points)
}

/// What becomes of points that have a value that is not finite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum NonFinite {
    /// The first one is an error.
    #[default]
    Error,
    /// They are left out and counted.
    Skip,
}
