//! The distribution of |r|, counted in bins: its median gives the scale of a robust loss.
//!
//! The bins are those of the f64 format itself: a bin holds the magnitudes that share the exponent and the first eleven
//! bits of the fraction, so its width is 2^-11 of its lower end or less, wherever the residuals lie. Counts are whole
//! numbers: the histogram, and so the median, is the same for any owners of the tiles, and no point is left out.
//!
//! A window of 16 octaves has these bins. What lies outside is counted in coarse bins of 16 octaves over all of f64, zeros
//! apart, so a window that misses the median says which one holds it: two passes find any median, or that it is 0.

use serde::{Deserialize, Serialize};

/// Leading bits of the fraction that a bin is known by.
const FRACTION_BITS: u32 = 11;
/// Bits of an f64 below those.
const SHIFT: u32 = f64::MANTISSA_DIGITS - 1 - FRACTION_BITS;
/// Octaves that a window spans.
const OCTAVES: i32 = 16;
/// Bins of a window.
const BINS: usize = (OCTAVES as usize) << FRACTION_BITS;
/// The exponent's offset in the f64 format.
const BIAS: i32 = 1023;
/// Coarse bins: those of all exponents, and one for zeros and what is as good as zero.
const COARSE: usize = (1 << 11) / OCTAVES as usize;
const ZERO: usize = BINS + COARSE;
/// Windows reach no lower: below lie the subnormal numbers, whose bins are wider.
const LOWEST: i32 = OCTAVES - BIAS + 1;
/// And no higher: 2^1024 is the end of the numbers.
const HIGHEST: i32 = BIAS + 1;

/// How many |r| lie in each bin of a window of 16 octaves that ends at `2^octave`, and in each coarse bin outside it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Magnitudes {
    octave: i32,
    bins: Vec<u64>,
    coarse: Vec<u64>,
    zeros: u64,
    finite: bool,
}

/// Where the median of |r| lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Median {
    /// In a bin of the window. The value is right to 2^-12 of it ([`Magnitudes::ERROR`]).
    At(f64),
    /// Outside the window; the one that ends at this octave has it.
    In(i32),
    /// At least half of the residuals are 0, or as good as.
    Zero,
    /// A residual is not finite.
    NotFinite,
}

impl Magnitudes {
    /// Sums that a pass takes: bins, coarse bins, zeros, and one that is NaN if a residual was not finite.
    pub const WIDTH: usize = ZERO + 2;

    /// Bound on the relative error of [`Median::At`].
    pub const ERROR: f64 = 1.0 / 4096.0;

    /// The window whose upper end is the least power of two not below `largest`.
    pub fn octave_above(largest: f64) -> i32 {
        if !(largest > 0.0 && largest.is_finite()) {
            return if largest > 0.0 { HIGHEST } else { LOWEST };
        }
        // the exponent of the number; of a subnormal one it does not matter, the window cannot go there
        let exponent = (largest.to_bits() >> (f64::MANTISSA_DIGITS - 1)) as i32 - BIAS;
        (exponent + 1).clamp(LOWEST, HIGHEST)
    }

    /// Whether a window may end there.
    pub fn is_window(octave: i32) -> bool {
        (LOWEST..=HIGHEST).contains(&octave)
    }

    /// The place among the sums of a residual's magnitude.
    #[inline]
    pub(super) fn place(octave: i32, residual: f64) -> usize {
        if !residual.is_finite() {
            return ZERO + 1;
        }
        let key = (residual.abs().to_bits() >> SHIFT) as usize;
        let bin = key.wrapping_sub(Self::first(octave));
        match (bin < BINS, key >> FRACTION_BITS) {
            (true, _) => bin,
            (false, 0) => ZERO,
            (false, exponent) => BINS + exponent / OCTAVES as usize,
        }
    }

    /// The exponent and leading bits that the lowest bin of a window is known by.
    #[inline]
    fn first(octave: i32) -> usize {
        ((octave - OCTAVES + BIAS) as usize) << FRACTION_BITS
    }

    /// Reads the totals of a pass.
    pub(super) fn from_totals(octave: i32, totals: &[f64]) -> Self {
        assert_eq!(totals.len(), Self::WIDTH, "a histogram of residuals has one length");
        let finite = !totals[ZERO + 1].is_nan();
        let counts = |from: usize, to: usize| totals[from..to].iter().map(|&count| count as u64).collect();
        Self { octave, bins: counts(0, BINS), coarse: counts(BINS, ZERO), zeros: totals[ZERO] as u64, finite }
    }

    /// The median of |r|: of n values the one of rank (n + 1)/2, rounded down.
    pub fn median(&self) -> Median {
        if !self.finite {
            return Median::NotFinite;
        }
        let n = self.zeros + self.coarse.iter().chain(&self.bins).sum::<u64>();
        let mut left = n.div_ceil(2);
        if left <= self.zeros {
            return Median::Zero;
        }
        left -= self.zeros;
        let first = Self::first(self.octave);
        // a coarse bin is as wide as the window: what it holds outside the window lies all below or all above
        let below = (first >> FRACTION_BITS).div_ceil(OCTAVES as usize);
        let outside = |coarse: usize| Median::In(((coarse as i32 + 1) * OCTAVES - BIAS).clamp(LOWEST, HIGHEST));
        if let Some(coarse) = holder(&self.coarse[..below], &mut left) {
            return outside(coarse);
        }
        if let Some(bin) = holder(&self.bins, &mut left) {
            let key = ((first + bin) as u64) << SHIFT;
            return Median::At(f64::from_bits(key + (1 << (SHIFT - 1))));
        }
        let above = holder(&self.coarse[below..], &mut left).expect("the rank is at most the number of residuals");
        outside(below + above)
    }
}

/// The count that holds the value of rank `left`, which becomes the rank among what follows if none does.
fn holder(counts: &[u64], left: &mut u64) -> Option<usize> {
    counts.iter().position(|&count| {
        let found = *left <= count;
        *left -= if found { 0 } else { count };
        found
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn count(octave: i32, residuals: &[f64]) -> Magnitudes {
        let mut totals = vec![0.0; Magnitudes::WIDTH];
        for &r in residuals {
            let place = Magnitudes::place(octave, r);
            totals[place] += if r.is_finite() { 1.0 } else { f64::NAN };
        }
        Magnitudes::from_totals(octave, &totals)
    }

    /// Asks as a fit does, and says how often.
    fn median(start: i32, residuals: &[f64]) -> (Median, usize) {
        let mut octave = start;
        for passes in 1.. {
            match count(octave, residuals).median() {
                Median::In(next) => octave = next,
                found => return (found, passes),
            }
        }
        unreachable!("the second window holds it")
    }

    #[test]
    fn a_window_ends_at_a_power_of_two_above() {
        assert_eq!([0.7, 1.0, 1.5, 2.0, 1e300].map(Magnitudes::octave_above), [0, 1, 1, 2, 997]);
        assert_eq!([0.0, 1e-320, f64::INFINITY].map(Magnitudes::octave_above), [LOWEST, LOWEST, HIGHEST]);
        let counted = count(1, &[0.0, 1.9, 2.0, -2.0]);
        assert_eq!((counted.zeros, counted.bins.iter().sum::<u64>()), (1, 1));
        assert_eq!(counted.coarse.iter().sum::<u64>(), 2);
    }

    #[test]
    fn zeros_and_values_that_are_not_finite_are_told_apart() {
        assert_eq!(median(0, &[0.0, 0.0, 1e-320, 1.0]), (Median::Zero, 1));
        assert_eq!(median(0, &[0.0, f64::NAN, 1.0]).0, Median::NotFinite);
        assert_eq!(median(0, &[0.0, f64::INFINITY, 1.0]).0, Median::NotFinite);
        assert!(
            matches!(median(HIGHEST, &[1e308, -f64::MAX, 1e-300]).0, Median::At(v) if (v / 1e308 - 1.0).abs() < 3e-4)
        );
    }

    #[test]
    fn two_passes_find_any_median_from_any_window() {
        for exponent in -1022..1024 {
            let value = 1.3 * f64::powi(2.0, exponent);
            for window in [LOWEST, LOWEST + 5, -3, 0, 7, HIGHEST - 1, HIGHEST] {
                let (found, passes) = median(window, &[0.0, value, -value, 1.01 * value]);
                let Median::At(found) = found else { panic!("2^{exponent} from {window}: {found:?}") };
                assert!((found / value - 1.0).abs() <= Magnitudes::ERROR && passes <= 2, "2^{exponent} from {window}");
            }
        }
    }

    proptest! {
        #[test]
        fn the_median_is_that_of_all_values_within_its_bound(
            values in prop::collection::vec((-1.0..1.0f64, -60..60i32), 1..200),
        ) {
            let residuals: Vec<f64> = values.iter().map(|(v, e)| v * f64::powi(2.0, *e)).collect();
            let mut sorted: Vec<f64> = residuals.iter().map(|r| r.abs()).collect();
            sorted.sort_by(f64::total_cmp);
            let exact = sorted[(sorted.len() - 1) / 2];
            let rms = (residuals.iter().map(|r| r * r).sum::<f64>() / residuals.len() as f64).sqrt();
            let (found, passes) = median(Magnitudes::octave_above(2f64.sqrt() * rms), &residuals);
            let Median::At(found) = found else { panic!("{found:?}") };
            prop_assert!((found - exact).abs() <= Magnitudes::ERROR * exact, "{found} {exact}");
            prop_assert!(passes <= 2);
        }
    }
}
