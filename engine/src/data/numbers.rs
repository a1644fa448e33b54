//! Columns of a tile in the fewest bytes that hold every value exactly.
//!
//! Sources hand out f64, in blocks that stay in cache. What a tile keeps is f32 wherever that loses nothing: columns that
//! their file stores as f32, and also counts, grids and the like. A kernel widens them again block by block, so a fit has
//! the same bits whichever way its points are kept; only memory and the traffic to it differ.

use std::ops::Range;

/// Values that are tried at a time before a column is given up as f64.
const TRIED: usize = 1_024;

/// A column of numbers, each of which reads back as the f64 that was stored.
#[derive(Clone, Debug, PartialEq)]
pub enum Numbers {
    /// 8 bytes each.
    F64(Vec<f64>),
    /// 4 bytes each.
    F32(Vec<f32>),
}

impl Numbers {
    /// As f32 if that keeps every value, else as f64. `values` is left empty, with room for as many.
    pub fn pack(values: &mut Vec<f64>) -> Self {
        match narrow(values) {
            Some(narrow) => {
                values.clear();
                Self::F32(narrow)
            }
            None => {
                let room = Vec::with_capacity(values.len());
                let mut all = std::mem::replace(values, room);
                all.shrink_to_fit();
                Self::F64(all)
            }
        }
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        match self {
            Self::F64(values) => values.len(),
            Self::F32(values) => values.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Value `i`, widened.
    pub fn at(&self, i: usize) -> f64 {
        match self {
            Self::F64(values) => values[i],
            Self::F32(values) => f64::from(values[i]),
        }
    }

    /// All values, widened.
    pub fn iter(&self) -> impl Iterator<Item = f64> + '_ {
        (0..self.len()).map(|i| self.at(i))
    }

    /// Bytes that the values take.
    pub fn bytes(&self) -> usize {
        match self {
            Self::F64(values) => size_of_val(values.as_slice()),
            Self::F32(values) => size_of_val(values.as_slice()),
        }
    }

    /// The values of `range`, widened: where they stand, or in `scratch`, which is as long at least.
    #[inline(always)]
    pub fn view<'a>(&'a self, range: Range<usize>, scratch: &'a mut [f64]) -> &'a [f64] {
        match self {
            Self::F64(values) => &values[range],
            Self::F32(values) => {
                let scratch = &mut scratch[..range.len()];
                for (wide, narrow) in scratch.iter_mut().zip(&values[range]) {
                    *wide = f64::from(*narrow);
                }
                scratch
            }
        }
    }
}

impl From<Vec<f64>> for Numbers {
    fn from(mut values: Vec<f64>) -> Self {
        Self::pack(&mut values)
    }
}

/// The values as f32, if that loses none.
pub(crate) fn narrow(values: &[f64]) -> Option<Vec<f32>> {
    let exact = |chunk: &[f64]| chunk.iter().fold(true, |exact, &v| exact & (f64::from(v as f32) == v));
    if !exact(&values[..values.len().min(TRIED)]) {
        return None;
    }
    let mut narrow = Vec::with_capacity(values.len());
    for chunk in values.chunks(TRIED) {
        if !exact(chunk) {
            return None;
        }
        narrow.extend(chunk.iter().map(|&v| v as f32));
    }
    Some(narrow)
}

/// 1/sigma of each point: kept as it is, or as what it is computed from where that is exact in 4 bytes and it is not.
#[derive(Clone, Debug, PartialEq)]
pub enum Weights {
    /// 1/sigma.
    Inverse(Numbers),
    /// sigma.
    Sigma(Vec<f32>),
    /// w = 1/sigma^2.
    Square(Vec<f32>),
}

impl Weights {
    /// Number of points.
    pub fn len(&self) -> usize {
        match self {
            Self::Inverse(numbers) => numbers.len(),
            Self::Sigma(values) | Self::Square(values) => values.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// 1/sigma of point `i`.
    pub fn at(&self, i: usize) -> f64 {
        match self {
            Self::Inverse(numbers) => numbers.at(i),
            Self::Sigma(sigma) => 1.0 / f64::from(sigma[i]),
            Self::Square(weights) => f64::from(weights[i]).sqrt(),
        }
    }

    /// Bytes that the values take.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Inverse(numbers) => numbers.bytes(),
            Self::Sigma(values) | Self::Square(values) => size_of_val(values.as_slice()),
        }
    }

    /// 1/sigma of the points of `range`: where it stands, or in `scratch`, which is as long at least.
    #[inline(always)]
    pub fn view<'a>(&'a self, range: Range<usize>, scratch: &'a mut [f64]) -> &'a [f64] {
        match self {
            Self::Inverse(numbers) => numbers.view(range, scratch),
            Self::Sigma(sigma) => {
                let scratch = &mut scratch[..range.len()];
                for (inverse, sigma) in scratch.iter_mut().zip(&sigma[range]) {
                    *inverse = 1.0 / f64::from(*sigma);
                }
                scratch
            }
            Self::Square(weights) => {
                let scratch = &mut scratch[..range.len()];
                for (inverse, weight) in scratch.iter_mut().zip(&weights[range]) {
                    *inverse = f64::from(*weight).sqrt();
                }
                scratch
            }
        }
    }
}

impl From<Vec<f64>> for Weights {
    /// From 1/sigma.
    fn from(inverse: Vec<f64>) -> Self {
        Self::Inverse(inverse.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_back_to_the_same_bits() {
        let third = f64::from(1.0f32 / 3.0);
        for (values, bytes) in [
            (vec![], 0),
            (vec![0.0, -0.0, 1.5, -7.0, third, 3.4028234663852886e38, f64::from(f32::MIN_POSITIVE / 3.0)], 28),
            (vec![1.0, 1.0 / 3.0], 16),
            (vec![16_777_217.0], 8),
            (vec![1e-60], 8),
            (vec![1e300], 8),
            ([vec![2.0; 3_000], vec![0.1]].concat(), 24_008),
        ] {
            let numbers = Numbers::from(values.clone());
            assert_eq!((numbers.len(), numbers.bytes()), (values.len(), bytes), "{values:?}");
            let bits = |v: &[f64]| v.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&numbers.iter().collect::<Vec<_>>()), bits(&values));
            let mut scratch = vec![f64::NAN; values.len()];
            let from = values.len().min(1);
            assert_eq!(bits(numbers.view(from..values.len(), &mut scratch)), bits(&values[from..]));
        }
    }

    #[test]
    fn a_column_that_is_packed_leaves_room_behind() {
        let mut scratch = Vec::with_capacity(100);
        scratch.extend([1.0, 2.0]);
        assert_eq!(Numbers::pack(&mut scratch), Numbers::F32(vec![1.0, 2.0]));
        assert!(scratch.is_empty() && scratch.capacity() >= 100);
        scratch.extend([0.1, 2.0]);
        assert_eq!(Numbers::pack(&mut scratch), Numbers::F64(vec![0.1, 2.0]));
        assert!(scratch.is_empty() && scratch.capacity() >= 2);
    }

    #[test]
    fn weights_have_the_bits_of_the_division_and_the_root() {
        let given = [0.3f32, 7.0, 1e-20];
        let mut scratch = [0.0; 3];
        for (weights, of) in [
            (Weights::Sigma(given.to_vec()), (|s| 1.0 / s) as fn(f64) -> f64),
            (Weights::Square(given.to_vec()), f64::sqrt),
        ] {
            let expected: Vec<f64> = given.iter().map(|&v| of(f64::from(v))).collect();
            assert_eq!(weights.view(1..3, &mut scratch), &expected[1..]);
            assert_eq!((0..3).map(|i| weights.at(i)).collect::<Vec<_>>(), expected);
            assert_eq!((weights.len(), weights.bytes()), (3, 12));
        }
    }
}
