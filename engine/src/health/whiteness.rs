//! Whether residuals of neighbouring points know of each other.

use crate::normal::NormalEquations;

/// Points of a row of the kernels' lanes: products of neighbours are summed inside rows.
const ROW: u64 = 32;

/// A correlation this many of its standard deviations from 0 is no accident (1 clean fit in 2,000).
const SIGNIFICANT: f64 = 3.5;

/// Standard errors that are wrong by less than this fraction are not worth a warning.
const WORTH: f64 = 0.1;

/// Residuals below this fraction (squared) of the scatter of y are rounding, which is not noise.
const ROUNDING: f64 = 1e-20;

/// The correlation of residuals of neighbouring points.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Whiteness {
    /// `(sum r_k r_(k+1) / pairs) / (sum r^2 / n)`, near 0 for independent points, up to 1/sqrt(pairs).
    pub lag1: f64,
    /// Neighbours that were compared.
    pub pairs: u64,
}

/// Pairs of neighbours inside rows of 32 among `n` points, as if they were one tile: the ends of other tiles may add one
/// pair fewer each, of 2,048 or more.
fn neighbours(n: u64) -> u64 {
    n / ROW * (ROW - 1) + (n % ROW).saturating_sub(1)
}

impl Whiteness {
    /// From the sums at the solution; `scatter` is that of y about its mean in units of sigma. `None` where nothing is left
    /// but rounding, or too little to compare.
    pub fn of(normal: &NormalEquations, scatter: f64) -> Option<Self> {
        let pairs = neighbours(normal.counts.used);
        let mean_square = normal.rss / normal.counts.used as f64;
        let lag1 = normal.lag / pairs as f64 / mean_square;
        (pairs > 0 && normal.rss > ROUNDING * scatter && lag1.is_finite())
            .then_some(Self { lag1: lag1.clamp(-1.0, 1.0), pairs })
    }

    /// By what factor the standard errors are too small: `sqrt((1 + lag1)/(1 - lag1))`, exact for a mean, or a smooth model,
    /// under noise of first autoregressive order (Bayley and Hammersley, J. R. Stat. Soc. Suppl. 8 (1946) 184).
    pub fn stretch(self) -> f64 {
        ((1.0 + self.lag1) / (1.0 - self.lag1)).sqrt()
    }

    /// The warning, where the correlation is beyond doubt and its effect worth one.
    pub fn warning(self) -> Option<String> {
        let spread = 1.0 / (self.pairs as f64).sqrt();
        let stretch = self.stretch();
        let wrong = stretch.max(1.0 / stretch) - 1.0 > WORTH;
        (self.lag1.abs() > SIGNIFICANT * spread && wrong).then(|| {
            let (direction, factor) = if stretch > 1.0 { ("small", stretch) } else { ("large", 1.0 / stretch) };
            let by = if factor.is_finite() { format!(" by a factor of about {factor:.2}") } else { String::new() };
            format!(
                "residuals of neighbouring points are correlated: {:.3} (independent points: 0 +- {spread:.1e}); the standard \
                 errors are too {direction}{by}. Either the model misses something: plot the residuals against x; or the \
                 noise itself is correlated: average neighbours until they are independent",
                self.lag1
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normal::Counts;

    fn normal(residuals: &[f64]) -> NormalEquations {
        let rows = residuals.chunks(ROW as usize);
        let lag = rows.map(|row| row.windows(2).map(|pair| pair[0] * pair[1]).sum::<f64>()).sum();
        let rss = residuals.iter().map(|r| r * r).sum();
        let counts = Counts { used: residuals.len() as u64, ..Counts::default() };
        NormalEquations { n_free: 1, jtj: vec![1.0], jtr: vec![0.0], cost: 0.5 * rss, rss, lag, triangle: None, counts }
    }

    /// First-order autoregressive noise from a fixed generator.
    fn noise(n: usize, memory: f64) -> Vec<f64> {
        let mut state = 7u64;
        let mut last = 0.0;
        let mut uniform = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1u64 << 53) as f64 - 0.5
        };
        (0..n)
            .map(|_| {
                last = memory * last + uniform();
                last
            })
            .collect()
    }

    #[test]
    fn pairs_are_counted_inside_rows() {
        assert_eq!([0, 1, 2, 32, 33, 34, 64, 65].map(neighbours), [0, 0, 1, 31, 31, 32, 62, 62]);
    }

    #[test]
    fn memory_is_found_and_its_absence_too() {
        for memory in [0.6, -0.4, 0.2] {
            let white = Whiteness::of(&normal(&noise(5_000, memory)), 1e9).unwrap();
            assert!((white.lag1 - memory).abs() < 0.05, "{white:?}");
            let text = white.warning().expect("a memory this long matters");
            let direction = if memory > 0.0 { "too small by" } else { "too large by" };
            assert!(text.contains(direction) && text.contains("plot the residuals"), "{text}");
        }
        assert_eq!(Whiteness::of(&normal(&noise(5_000, 0.0)), 1e9).unwrap().warning(), None);
        // beyond doubt, but of no account
        let slight = Whiteness { lag1: 0.05, pairs: 100_000_000 };
        assert_eq!(slight.warning(), None);
        // large, but of six points
        assert_eq!(Whiteness { lag1: 0.8, pairs: 6 }.warning(), None);
        assert!((Whiteness { lag1: 0.6, pairs: 9 }.stretch() - 2.0).abs() < 1e-15);
    }

    #[test]
    fn rounding_is_not_noise() {
        assert_eq!(Whiteness::of(&normal(&[1e-14; 100]), 1e-3), None);
        assert_eq!(Whiteness::of(&normal(&[0.0; 100]), 0.0), None);
        assert_eq!(Whiteness::of(&normal(&[1.0]), 1.0), None);
        // residuals all alike: nothing but structure
        let alike = Whiteness::of(&normal(&[1.0; 100]), 1.0).unwrap();
        assert!((alike.lag1 - 1.0).abs() < 1e-15 && alike.warning().unwrap().contains("too small"), "{alike:?}");
    }
}
