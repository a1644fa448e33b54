//! Confidence intervals: how many standard errors a level is.

use statrs::distribution::{ContinuousCDF as _, Normal, StudentsT};

use super::Variance;

/// From this many degrees of freedom on the quantile comes from its expansion in 1/dof, which is then exact to rounding; below
/// it from the incomplete beta function, whose argument loses a digit for every power of ten.
const MANY_DOF: u64 = 10_000;

/// The level of confidence intervals, in (0, 1).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level(f64);

impl Default for Level {
    fn default() -> Self {
        Self(0.95)
    }
}

impl Level {
    /// `None` unless 0 < level < 1.
    pub fn new(level: f64) -> Option<Self> {
        (level > 0.0 && level < 1.0).then_some(Self(level))
    }

    /// The number.
    pub fn value(self) -> f64 {
        self.0
    }

    /// How many standard errors an interval of this level reaches to either side: Student's t with `dof` degrees of freedom
    /// where the variance is estimated from the residuals, the normal distribution where it is known.
    pub fn quantile(self, dof: u64, variance: Variance) -> f64 {
        let quantile = match variance {
            Variance::Absolute => normal(self.0),
            Variance::Estimated if dof >= MANY_DOF => many(normal(self.0), dof as f64),
            Variance::Estimated => student(self.0, dof as f64),
        };
        rounded(quantile)
    }
}

/// Both quantiles leave (1 - level)/2 on either side.
fn normal(level: f64) -> f64 {
    -Normal::standard().inverse_cdf(0.5 * (1.0 - level))
}

fn student(level: f64, dof: f64) -> f64 {
    let distribution = StudentsT::new(0.0, 1.0, dof).expect("there is at least one degree of freedom");
    -distribution.inverse_cdf(0.5 * (1.0 - level))
}

/// Student's t from the normal quantile z: Cornish and Fisher's expansion (Abramowitz and Stegun 26.7.5).
fn many(z: f64, dof: f64) -> f64 {
    let s = z * z;
    let terms = [
        (s + 1.0) / 4.0,
        ((5.0 * s + 16.0) * s + 3.0) / 96.0,
        (((3.0 * s + 19.0) * s + 17.0) * s - 15.0) / 384.0,
        ((((79.0 * s + 776.0) * s + 1482.0) * s - 1920.0) * s - 945.0) / 92160.0,
    ];
    z + z * terms.iter().rev().fold(0.0, |sum, term| (sum + term) / dof)
}

/// To 36 bits, about 11 digits: the logarithms in quantiles are those of the host and may differ in the last bits.
fn rounded(x: f64) -> f64 {
    /// Bits dropped from the mantissa.
    const DROPPED: u32 = 16;
    let half = 1u64 << (DROPPED - 1);
    f64::from_bits((x.to_bits() + half) & !((1u64 << DROPPED) - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// scipy.stats.t.ppf((1 + level)/2, dof), SciPy 1.17.
    const STUDENT: [(f64, u64, f64); 10] = [
        (0.95, 1, 12.706_204_736_174_694),
        (0.95, 2, 4.302_652_729_749_462),
        (0.95, 10, 2.228_138_851_986_274),
        (0.6827, 5, 1.110_533_393_814_024_7),
        (0.999, 3, 12.923_978_636_687_961),
        (0.95, 100, 1.983_971_518_523_551_8),
        (0.95, 9_999, 1.960_201_263_621_357),
        (0.95, 10_001, 1.960_201_216_164_641),
        (0.99, 1_000_000, 2.575_834_220_105_334_4),
        (0.95, 1_000_000_000, 1.959_963_986_912_325),
    ];

    #[test]
    fn quantiles_agree_with_tables() {
        for (level, dof, expected) in STUDENT {
            let found = Level::new(level).unwrap().quantile(dof, Variance::Estimated);
            assert!((found / expected - 1.0).abs() < 1e-9, "{level} {dof}: {found} {expected}");
        }
        for (level, expected) in
            [(0.95, 1.959_963_984_540_054), (0.6827, 1.000_021_713_322_999_2), (0.999_999, 4.891_638_475_671_085)]
        {
            let found = Level::new(level).unwrap().quantile(3, Variance::Absolute);
            assert!((found / expected - 1.0).abs() < 1e-9, "{level}: {found} {expected}");
        }
    }

    #[test]
    fn both_ways_to_a_quantile_meet() {
        for level in [0.5, 0.95, 0.999, 0.999_999_9] {
            let ways = [student(level, MANY_DOF as f64), many(normal(level), MANY_DOF as f64)];
            assert!((ways[0] / ways[1] - 1.0).abs() < 1e-10, "{level}: {ways:?}");
        }
    }

    #[test]
    fn levels_lie_between_0_and_1() {
        for bad in [0.0, 1.0, -0.5, 95.0, f64::NAN] {
            assert_eq!(Level::new(bad), None, "{bad}");
        }
    }
}
