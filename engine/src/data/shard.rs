//! A run of tiles, read from a source in one go: which points count, and with what weight.
//!
//! A point is masked, else not finite, else used, in this order. Masked: its mask is 0 or false. Not finite: a NaN, an
//! infinity or a missing value in x, y, sigma (or weight) or the mask itself. Used points carry 1/sigma, or sqrt(w).
//! A tile keeps its columns in the fewest bytes that hold them exactly ([`super::numbers`]).

use std::ops::Range;

use super::numbers::{Numbers, Weights, narrow};
use super::source::{Block, DataError, TileSource, Weighting};
use super::tile::{NonFinite, Tile};
use crate::normal::Counts;

/// Reads `tiles` in order and hands each to `sink` as soon as it is complete. Of several faults the first in the order of
/// rows is the error; the tiles before it have been handed over by then.
pub fn load_tiles(
    source: &dyn TileSource,
    tiles: Range<u64>,
    tile_points: u64,
    nonfinite: NonFinite,
    sink: &mut dyn FnMut(Tile),
) -> Result<(), DataError> {
    assert!(tile_points > 0, "a tile has points");
    let end = tiles.end.saturating_mul(tile_points).min(source.n_points());
    let rows = (tiles.start * tile_points).min(end)..end;
    let mut loader = Loader::new(source, nonfinite, rows.start);
    source.scan(rows.clone(), &mut |block| {
        assert_eq!(block.first_row, loader.row, "a source yields its rows in order");
        let n = block.columns[0].len();
        let mut at = 0;
        while at < n {
            let tile_end = (loader.row / tile_points + 1) * tile_points;
            let take = (tile_end.min(end) - loader.row).min((n - at) as u64) as usize;
            loader.take(&block, at..at + take)?;
            at += take;
            if loader.row == tile_end || loader.row == end {
                sink(loader.finish((loader.row - 1) / tile_points));
            }
        }
        Ok(())
    })?;
    if loader.row != end {
        let place = source.place(loader.row);
        return Err(DataError::at_row(
            loader.row,
            format!("{place}: the source ended before its {} points", source.n_points()),
        ));
    }
    Ok(())
}

struct Loader<'a> {
    source: &'a dyn TileSource,
    nonfinite: NonFinite,
    /// The next row.
    row: u64,
    /// The used points of the tile that is being filled: the columns of the layout but the mask. Mostly the same memory for
    /// every tile.
    columns: Vec<Vec<f64>>,
    /// Their 1/sigma, where they are weighted.
    inverse_sigma: Vec<f64>,
    counts: Counts,
}

/// What becomes of a point.
enum Verdict {
    Used,
    Masked,
    /// By this column of the layout.
    NotFinite(usize),
}

impl<'a> Loader<'a> {
    fn new(source: &'a dyn TileSource, nonfinite: NonFinite, row: u64) -> Self {
        let kept = source.layout().width() - usize::from(source.layout().mask.is_some());
        let (columns, inverse_sigma) = (vec![Vec::new(); kept], Vec::new());
        Self { source, nonfinite, row, columns, inverse_sigma, counts: Counts::default() }
    }

    /// Adds the points `range` of a block to the tile that is being filled.
    fn take(&mut self, block: &Block<'_>, range: Range<usize>) -> Result<(), DataError> {
        let layout = self.source.layout();
        let columns: Vec<&[f64]> = block.columns.iter().map(|column| &column[range.clone()]).collect();
        assert_eq!(columns.len(), layout.width(), "a block has the columns of its layout");
        let n = range.len();
        if layout.mask.is_none() && columns.iter().all(|column| all_finite(column)) {
            self.extend(&columns)?;
        } else {
            // longest stretches of used points at once
            let mut from = 0;
            for i in 0..=n {
                let verdict = if i < n { self.judge(&columns, i) } else { Verdict::Masked };
                if matches!(verdict, Verdict::Used) {
                    continue;
                }
                let stretch: Vec<&[f64]> = columns.iter().map(|column| &column[from..i]).collect();
                self.row += from as u64;
                let extended = self.extend(&stretch);
                self.row -= from as u64;
                extended?;
                from = i + 1;
                match verdict {
                    _ if i == n => {}
                    Verdict::NotFinite(column) if self.nonfinite == NonFinite::Error => {
                        return Err(self.not_finite(i, column, columns[column][i]));
                    }
                    Verdict::NotFinite(_) => self.counts.nonfinite += 1,
                    _ => self.counts.masked += 1,
                }
            }
        }
        self.row += n as u64;
        Ok(())
    }

    /// The tile that was being filled, now complete; begins the next one.
    fn finish(&mut self, index: u64) -> Tile {
        let n_variables = self.source.layout().variables.len();
        let inverse_sigma = match self.source.layout().weighting {
            Weighting::None => None,
            Weighting::Sigma(_) => Some(self.weights(Weights::Sigma)),
            Weighting::Weights(_) => Some(self.weights(Weights::Square)),
        };
        let mut packed = self.columns[..=n_variables].iter_mut().map(Numbers::pack);
        let x = packed.by_ref().take(n_variables).collect();
        let y = packed.next().expect("a layout has a response");
        Tile { index, x, y, inverse_sigma, counts: std::mem::take(&mut self.counts) }
    }

    /// 1/sigma in the fewest bytes: as it is, or as the column that was given.
    fn weights(&mut self, given: fn(Vec<f32>) -> Weights) -> Weights {
        let column = self.columns.last_mut().expect("the column after y");
        let packed = match (narrow(&self.inverse_sigma), narrow(column)) {
            (None, Some(narrow)) => given(narrow),
            _ => Weights::Inverse(Numbers::pack(&mut self.inverse_sigma)),
        };
        column.clear();
        self.inverse_sigma.clear();
        packed
    }

    fn judge(&self, columns: &[&[f64]], i: usize) -> Verdict {
        let masked = self.source.layout().mask.is_some();
        let mask = columns.len() - 1;
        if masked && columns[mask][i] == 0.0 {
            return Verdict::Masked;
        }
        match columns.iter().position(|column| !column[i].is_finite()) {
            Some(column) => Verdict::NotFinite(column),
            None => Verdict::Used,
        }
    }

    /// Appends used points, the first of which is row `self.row`.
    fn extend(&mut self, columns: &[&[f64]]) -> Result<(), DataError> {
        for (kept, column) in self.columns.iter_mut().zip(columns) {
            kept.extend_from_slice(column);
        }
        let n_variables = self.source.layout().variables.len();
        self.counts.used += columns[n_variables].len() as u64;
        let by_weights = match self.source.layout().weighting {
            Weighting::None => return Ok(()),
            Weighting::Sigma(_) => false,
            Weighting::Weights(_) => true,
        };
        let given = columns[n_variables + 1];
        let from = self.inverse_sigma.len();
        if by_weights {
            self.inverse_sigma.extend(given.iter().map(|w| w.sqrt()));
        } else {
            self.inverse_sigma.extend(given.iter().map(|sigma| 1.0 / sigma));
        }
        // a negative weight has a NaN for a root; 1/sigma overflows below 5.6e-309
        let lawful = |(value, inverse): (&f64, &f64)| *value > 0.0 && inverse.is_finite();
        match given.iter().zip(&self.inverse_sigma[from..]).position(|pair| !lawful(pair)) {
            None => Ok(()),
            Some(at) => Err(self.not_positive(at, given[at], n_variables + 1)),
        }
    }

    fn not_finite(&self, offset: usize, column: usize, value: f64) -> DataError {
        let row = self.row + offset as u64;
        let name = self.source.layout().name(column);
        let what = if value.is_nan() { "a missing value or NaN".to_owned() } else { value.to_string() };
        let place = self.source.place(row);
        DataError::at_row(
            row,
            format!(
                "{place}, column \"{name}\": {what}; expected a finite number (--nonfinite skip leaves such points out)"
            ),
        )
    }

    fn not_positive(&self, offset: usize, value: f64, column: usize) -> DataError {
        let row = self.row + offset as u64;
        let layout = self.source.layout();
        let what = if matches!(layout.weighting, Weighting::Weights(_)) { "weight" } else { "sigma" };
        let place = self.source.place(row);
        DataError::at_row(
            row,
            format!(
                "{place}, column \"{}\": the {what} is {value:?}; expected a number above zero (--mask leaves points out)",
                layout.name(column)
            ),
        )
    }
}

/// Whether no value is NaN or infinite. By bits, so that the compiler may take many at once.
fn all_finite(values: &[f64]) -> bool {
    const EXPONENT: u64 = 0x7ff0_0000_0000_0000;
    !values.chunks(1024).any(|chunk| chunk.iter().fold(false, |bad, v| bad | (v.to_bits() & EXPONENT == EXPONENT)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::source::{Layout, Place};

    struct Memory {
        layout: Layout,
        columns: Vec<Vec<f64>>,
        block: usize,
    }

    impl TileSource for Memory {
        fn layout(&self) -> &Layout {
            &self.layout
        }
        fn n_points(&self) -> u64 {
            self.columns[0].len() as u64
        }
        fn scan(
            &self,
            rows: Range<u64>,
            sink: &mut dyn FnMut(Block<'_>) -> Result<(), DataError>,
        ) -> Result<(), DataError> {
            for start in (rows.start..rows.end).step_by(self.block) {
                let end = rows.end.min(start + self.block as u64);
                let columns: Vec<&[f64]> = self.columns.iter().map(|c| &c[start as usize..end as usize]).collect();
                sink(Block { first_row: start, columns: &columns })?;
            }
            Ok(())
        }
        fn place(&self, row: u64) -> Place {
            Place { file: "memory".into(), row: row + 1 }
        }
    }

    fn memory(weighting: Weighting, mask: bool, columns: &[&[f64]]) -> Memory {
        let layout =
            Layout { variables: vec!["t".into()], y: "y".into(), weighting, mask: mask.then(|| "keep".to_owned()) };
        Memory { layout, columns: columns.iter().map(|c| c.to_vec()).collect(), block: 3 }
    }

    fn load(source: &Memory, tile_points: u64, nonfinite: NonFinite) -> Result<Vec<Tile>, String> {
        let mut tiles = Vec::new();
        let all = crate::data::tile::tile_count(source.n_points(), tile_points);
        load_tiles(source, 0..all, tile_points, nonfinite, &mut |tile| tiles.push(tile)).map_err(|e| e.message)?;
        for block in 1..7 {
            let other = Memory { block, layout: source.layout.clone(), columns: source.columns.clone() };
            for k in 0..all {
                load_tiles(&other, k..k + 1, tile_points, nonfinite, &mut |tile| {
                    assert_eq!(tile, tiles[k as usize], "blocks of {block}");
                })
                .unwrap();
            }
        }
        Ok(tiles)
    }

    const NAN: f64 = f64::NAN;

    #[test]
    fn points_are_masked_then_not_finite_then_used() {
        let sigma = Weighting::Sigma("s".into());
        let t = [1.0, 2.0, 3.0, 4.0, NAN, 6.0, 7.0, 8.0];
        let y = [1.0, NAN, 3.0, 4.0, 5.0, 6.0, f64::INFINITY, 8.0];
        let s = [0.5, 1.0, NAN, 0.25, 1.0, 1.0, 1.0, -1.0];
        let keep = [1.0, 0.0, 1.0, 2.0, 1.0, NAN, 1.0, 0.0];
        let tiles = load(&memory(sigma, true, &[&t, &y, &s, &keep]), 3, NonFinite::Skip).unwrap();
        let counts: Vec<_> = tiles.iter().map(|t| (t.counts.used, t.counts.masked, t.counts.nonfinite)).collect();
        assert_eq!(counts, [(1, 1, 1), (1, 0, 2), (0, 1, 1)]);
        assert_eq!(tiles[1].x, [vec![4.0].into()]);
        assert_eq!(tiles[0].inverse_sigma, Some(vec![2.0].into()));
        assert_eq!((tiles[2].index, tiles[2].y.len()), (2, 0));
    }

    #[test]
    fn weights_are_squared_inverse_sigmas() {
        let source = memory(Weighting::Weights("w".into()), false, &[&[1.0, 2.0], &[3.0, 4.0], &[4.0, 0.25]]);
        let tiles = load(&source, 10, NonFinite::Error).unwrap();
        assert_eq!(tiles[0].inverse_sigma, Some(vec![2.0, 0.5].into()));
        assert_eq!(tiles[0].counts, Counts { used: 2, ..Counts::default() });
    }

    #[test]
    fn tiles_keep_what_four_bytes_hold_exactly() {
        let third = f64::from(1.0f32 / 3.0);
        let (t, y) = ([1.0, 2.0, 0.1, 0.2], [0.1, 0.2, third, -1.0]);
        // three tiles' worth of sigma: 1/sigma exact in 4 bytes, sigma exact, neither
        for (s, weights) in [
            ([2.0, 0.5], Weights::Inverse(Numbers::F32(vec![0.5, 2.0]))),
            ([3.0, 2.0], Weights::Sigma(vec![3.0, 2.0])),
            ([0.1, 3.0], Weights::Inverse(Numbers::F64(vec![10.0, 1.0 / 3.0]))),
        ] {
            let s = [s, s].concat();
            let source = memory(Weighting::Sigma("s".into()), false, &[&t, &y, &s]);
            let tiles = load(&source, 2, NonFinite::Error).unwrap();
            assert_eq!(tiles[1].inverse_sigma.as_ref(), Some(&weights));
            assert_eq!((&tiles[0].x[0], &tiles[0].y), (&Numbers::F32(vec![1.0, 2.0]), &Numbers::F64(vec![0.1, 0.2])));
            assert!(matches!((&tiles[1].x[0], &tiles[1].y), (Numbers::F64(_), Numbers::F32(_))));
            assert_eq!(tiles[1].bytes(), 16 + 8 + weights.bytes());
        }
        let source = memory(Weighting::Weights("w".into()), false, &[&t, &y, &[3.0; 4]]);
        let tiles = load(&source, 4, NonFinite::Error).unwrap();
        assert_eq!(tiles[0].inverse_sigma, Some(Weights::Square(vec![3.0; 4])));
    }

    #[test]
    fn the_first_fault_in_the_order_of_rows_is_the_error() {
        let sigma = || Weighting::Sigma("s".into());
        let (t, y) = ([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, NAN, 4.0]);
        let message = |s: [f64; 4]| load(&memory(sigma(), false, &[&t, &y, &s]), 4, NonFinite::Error).unwrap_err();
        assert_eq!(
            message([1.0, 1.0, 1.0, 0.0]),
            "memory, row 3, column \"y\": a missing value or NaN; expected a finite number (--nonfinite skip leaves such points out)"
        );
        assert_eq!(
            message([1.0, -0.5, 1.0, 0.0]),
            "memory, row 2, column \"s\": the sigma is -0.5; expected a number above zero (--mask leaves points out)"
        );
        let source = memory(sigma(), false, &[&t, &y, &[1.0, 1.0, 1.0, 1e-320]]);
        assert!(
            load(&source, 4, NonFinite::Skip)
                .unwrap_err()
                .starts_with("memory, row 4, column \"s\": the sigma is 1e-320")
        );
        let source = memory(Weighting::Weights("w".into()), false, &[&t, &y, &[1.0, 1.0, 1.0, 0.0]]);
        assert!(load(&source, 4, NonFinite::Skip).unwrap_err().contains("the weight is 0.0; expected"));
    }
}
