//! Where starts are drawn from, and how they are spread.

use super::random::{Purpose, Stream};
use crate::math;
use crate::params::{Parameter, Parameters};
use crate::saved::{Sound, Unsound, ensure};

/// An axis whose bounds have one sign and a ratio from here on is divided evenly in the logarithm.
const LOGARITHMIC_FROM: f64 = 1e3;

/// Where there is no bound, an axis ends so many times |p0| away from p0 (away from 0 so many units, if p0 = 0).
const REACH: f64 = 3.0;

/// The region that starts are drawn from: one interval for each free parameter, mapped to [0, 1].
///
/// - Both bounds finite: from bound to bound; evenly in log |theta| where the bounds have one sign and a ratio of 1000 or more,
///   as of a rate that may be 1e-6 or 1. (A bound of 0 has no logarithm: such an axis is even.)
/// - A side without a bound: from p0 as far as three times |p0|, or 3 if p0 = 0. That is a guess about the size of a
///   parameter; bounds are better.
#[derive(Clone, Debug, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Region {
    axes: Vec<Axis>,
}

/// One interval.
#[derive(Clone, Copy, Debug, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
struct Axis {
    low: f64,
    high: f64,
    logarithmic: bool,
}

/// A parameter without the bounds that a search of its whole box needs.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error(
    "method \"global\" searches between bounds, but parameter \"{name}\" has [{min}, {max}]; give it two finite bounds: --bounds '{name}=MIN:MAX'"
)]
pub struct Unbounded {
    /// Its name.
    pub name: String,
    /// Its lower bound.
    pub min: f64,
    /// Its upper bound.
    pub max: f64,
}

impl Region {
    /// The region around the starts of the free parameters.
    pub fn around(parameters: &Parameters) -> Self {
        Self { axes: parameters.iter_free().map(Axis::around).collect() }
    }

    /// The box between the bounds; every free parameter must have two finite ones.
    pub fn between_bounds(parameters: &Parameters) -> Result<Self, Unbounded> {
        match parameters.iter_free().find(|p| !(p.min.is_finite() && p.max.is_finite())) {
            Some(p) => Err(Unbounded { name: p.name.clone(), min: p.min, max: p.max }),
            None => Ok(Self::around(parameters)),
        }
    }

    /// Number of axes.
    pub fn dimension(&self) -> usize {
        self.axes.len()
    }

    /// The parameters at a point of the unit cube; never outside the bounds.
    pub fn theta(&self, unit: &[f64]) -> Vec<f64> {
        self.axes.iter().zip(unit).map(|(axis, &u)| axis.value(u)).collect()
    }

    /// The point of the unit cube nearest to these parameters.
    pub fn unit(&self, theta: &[f64]) -> Vec<f64> {
        self.axes.iter().zip(theta).map(|(axis, &value)| axis.position(value)).collect()
    }
}

impl Axis {
    fn around(p: &Parameter) -> Self {
        let reach = REACH * if p.start == 0.0 { 1.0 } else { p.start.abs() };
        let low = if p.min.is_finite() { p.min } else { (p.start - reach).max(f64::MIN) };
        let high = if p.max.is_finite() { p.max } else { (p.start + reach).min(f64::MAX) };
        let bounded = p.min.is_finite() && p.max.is_finite();
        let one_sign = low > 0.0 || high < 0.0;
        let ratio = (low / high).abs().max((high / low).abs());
        Self { low, high, logarithmic: bounded && one_sign && ratio >= LOGARITHMIC_FROM }
    }

    fn value(&self, u: f64) -> f64 {
        if u <= 0.0 || u >= 1.0 {
            // exp(log x) is not x to the last bit
            return if u <= 0.0 { self.low } else { self.high };
        }
        let value = if self.logarithmic {
            let (a, b) = (math::log(self.low.abs()), math::log(self.high.abs()));
            math::exp(a * (1.0 - u) + b * u) * self.low.signum()
        } else {
            // not low + u (high - low): the difference of two finite bounds may be infinite
            self.low * (1.0 - u) + self.high * u
        };
        value.clamp(self.low, self.high)
    }

    fn position(&self, value: f64) -> f64 {
        let u = if self.logarithmic {
            let (a, b) = (math::log(self.low.abs()), math::log(self.high.abs()));
            (math::log(value.abs()) - a) / (b - a)
        } else {
            (value / 2.0 - self.low / 2.0) / (self.high / 2.0 - self.low / 2.0)
        };
        u.clamp(0.0, 1.0)
    }
}

/// A Latin hypercube: `n` points of the unit cube, on each axis one in each of n equal parts, anywhere in it
/// (McKay, Beckman & Conover, Technometrics 21 (1979) 239). Each axis is permuted and jittered by a stream of its own
/// (`random`), so axes are independent of each other.
pub(super) fn latin_hypercube(dimension: usize, n: usize, seed: u64, purpose: Purpose) -> Vec<Vec<f64>> {
    let mut points = vec![vec![0.0; dimension]; n];
    for axis in 0..dimension {
        let index = u32::try_from(axis).expect("there are fewer than 2^32 parameters");
        let mut stream = Stream::new(seed, purpose, index);
        for (i, part) in stream.permutation(n).into_iter().enumerate() {
            points[i][axis] = (part as f64 + stream.unit()) / n as f64;
        }
    }
    points
}

impl Sound for Region {
    fn sound(&self, n_free: usize) -> Result<(), Unsound> {
        let ordered = self.axes.iter().all(|axis| axis.low <= axis.high);
        ensure(self.axes.len() == n_free && ordered, "a region is not one of the free parameters")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(start: f64, min: f64, max: f64) -> Axis {
        Axis::around(&Parameter { name: "a".into(), start, min, max, fixed: false })
    }

    const OPEN: f64 = f64::INFINITY;

    #[test]
    fn axes_are_those_stated() {
        let of = |start, min, max| {
            let axis = axis(start, min, max);
            (axis.low, axis.high, axis.logarithmic)
        };
        assert_eq!(of(1.0, -2.0, 5.0), (-2.0, 5.0, false));
        assert_eq!(of(1e-3, 1e-6, 1.0), (1e-6, 1.0, true));
        assert_eq!(of(-1e-3, -1.0, -1e-6), (-1.0, -1e-6, true));
        assert_eq!(of(2.0, 1.0, 999.0), (1.0, 999.0, false), "fewer than three decades");
        assert_eq!(of(1.0, 0.0, 1e6), (0.0, 1e6, false), "0 has no logarithm");
        assert_eq!(of(1.0, -1e6, 1e-3), (-1e6, 1e-3, false), "nor has a change of sign");
        assert_eq!(of(-2.0, -OPEN, OPEN), (-8.0, 4.0, false));
        assert_eq!(of(0.0, 0.0, OPEN), (0.0, 3.0, false));
        assert_eq!(of(1e-9, 0.0, OPEN), (0.0, 4e-9, false));
        assert_eq!(of(1e308, -OPEN, OPEN), (f64::MIN, f64::MAX, false));
    }

    #[test]
    fn the_map_keeps_the_bounds_and_goes_both_ways() {
        for axis in [axis(1.0, -2.0, 5.0), axis(1e-3, 1e-6, 1.0), axis(-1e-3, -1.0, -1e-6), axis(1.0, -1e308, 1e308)] {
            assert_eq!((axis.value(0.0), axis.value(1.0)), (axis.low, axis.high));
            for k in 0..=20 {
                let u = f64::from(k) / 20.0;
                let value = axis.value(u);
                assert!(value >= axis.low && value <= axis.high);
                assert!((axis.position(value) - u).abs() < 1e-12, "{axis:?} at {u}");
            }
        }
        let decades = axis(1e-3, 1e-6, 1.0);
        assert!((decades.value(0.5) / 1e-3 - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_latin_hypercube_has_one_point_in_each_part_of_each_axis() {
        let points = latin_hypercube(4, 23, 5, Purpose::Starts);
        for axis in 0..4 {
            let mut parts: Vec<usize> = points.iter().map(|p| (p[axis] * 23.0) as usize).collect();
            parts.sort_unstable();
            assert_eq!(parts, (0..23).collect::<Vec<_>>());
        }
    }

    /// Axes permuted by one and the same shuffle would be correlated (or anticorrelated) to nearly 1.
    #[test]
    fn axes_are_independent_and_the_seed_decides() {
        let (d, n) = (6, 400);
        for seed in 0..10 {
            let points = latin_hypercube(d, n, seed, Purpose::Starts);
            assert_eq!(points, latin_hypercube(d, n, seed, Purpose::Starts));
            for a in 0..d {
                for b in 0..a {
                    let product = |p: &Vec<f64>| (p[a] - 0.5) * (p[b] - 0.5);
                    let correlation = 12.0 * points.iter().map(product).sum::<f64>() / n as f64;
                    // five standard deviations of 1/sqrt(n)
                    assert!(correlation.abs() < 0.25, "seed {seed}, axes {a} and {b}: {correlation}");
                }
            }
        }
        assert_ne!(latin_hypercube(d, n, 0, Purpose::Starts), latin_hypercube(d, n, 1, Purpose::Starts));
    }

    #[test]
    fn a_box_needs_all_its_bounds() {
        let parameter = |name: &str, max| Parameter { name: name.into(), start: 1.0, min: 0.0, max, fixed: false };
        let whole = Parameters::new(vec![parameter("a", 2.0), parameter("b", 3.0)]).unwrap();
        assert_eq!(Region::between_bounds(&whole).unwrap().theta(&[0.5, 0.5]), [1.0, 1.5]);
        let open = Parameters::new(vec![parameter("a", 2.0), parameter("b", OPEN)]).unwrap();
        let error = Region::between_bounds(&open).unwrap_err().to_string();
        assert!(error.contains("\"b\" has [0, inf]"), "{error}");
    }
}
