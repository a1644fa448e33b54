//! Weighted mean and scatter of the response, for r^2: one record a tile, merged in the tile tree.

use serde::{Deserialize, Serialize};

use super::tile::Tile;

/// Weight, mean and scatter of y over some points, with w = 1/sigma^2 (1 where points are not weighted).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize,
)]
pub struct YStatistics {
    /// W = sum w.
    pub weight: f64,
    /// sum w y / W; 0 without points.
    pub mean: f64,
    /// sum w (y - mean)^2.
    pub m2: f64,
}

impl YStatistics {
    /// Of one tile: two passes, each in the order of its points.
    pub fn of_tile(tile: &Tile) -> Self {
        let weight_of = |i: usize| tile.inverse_sigma.as_ref().map_or(1.0, |inverse| inverse.at(i) * inverse.at(i));
        let mut weight = 0.0;
        let mut sum = 0.0;
        for (i, y) in tile.y.iter().enumerate() {
            weight += weight_of(i);
            sum += weight_of(i) * y;
        }
        if weight == 0.0 {
            return Self::default();
        }
        let mean = sum / weight;
        let mut m2 = 0.0;
        for (i, y) in tile.y.iter().enumerate() {
            m2 += weight_of(i) * (y - mean) * (y - mean);
        }
        Self { weight, mean, m2 }
    }

    /// Of both parts together, `left` before `right` (Chan, Golub, LeVeque, Stanford STAN-CS-79-773 (1979)).
    pub fn merge(left: Self, right: Self) -> Self {
        if right.weight == 0.0 {
            return left;
        }
        if left.weight == 0.0 {
            return right;
        }
        let weight = left.weight + right.weight;
        let apart = right.mean - left.mean;
        let share = right.weight / weight;
        Self { weight, mean: left.mean + apart * share, m2: left.m2 + right.m2 + apart * apart * left.weight * share }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normal::Counts;

    fn tile(y: &[f64], sigma: Option<&[f64]>) -> Tile {
        Tile {
            index: 0,
            x: Vec::new(),
            y: y.to_vec().into(),
            inverse_sigma: sigma.map(|sigma| sigma.iter().map(|s| 1.0 / s).collect::<Vec<_>>().into()),
            counts: Counts { used: y.len() as u64, ..Counts::default() },
        }
    }

    #[test]
    fn parts_merge_to_the_whole() {
        let y = [1.0, 4.0, -2.0, 7.5, 3.0];
        let sigma = [1.0, 0.5, 2.0, 1.0, 0.25];
        let whole = YStatistics::of_tile(&tile(&y, Some(&sigma)));
        let parts = YStatistics::merge(
            YStatistics::of_tile(&tile(&y[..2], Some(&sigma[..2]))),
            YStatistics::of_tile(&tile(&y[2..], Some(&sigma[2..]))),
        );
        assert_eq!(whole.weight, 1.0 + 4.0 + 0.25 + 1.0 + 16.0);
        assert!((whole.mean - parts.mean).abs() < 1e-15 && (whole.m2 - parts.m2).abs() < 1e-12 * whole.m2);
        let direct: f64 = y.iter().zip(&sigma).map(|(y, s)| (y - whole.mean) * (y - whole.mean) / (s * s)).sum();
        assert!((whole.m2 - direct).abs() < 1e-13 * direct);
    }

    #[test]
    fn a_tile_without_points_changes_nothing() {
        let some = YStatistics::of_tile(&tile(&[1.0, 2.0], None));
        let none = YStatistics::of_tile(&tile(&[], None));
        assert_eq!(none, YStatistics::default());
        assert_eq!(YStatistics::merge(some, none), some);
        assert_eq!(YStatistics::merge(none, some), some);
        assert_eq!(some, YStatistics { weight: 2.0, mean: 1.5, m2: 0.5 });
    }
}
