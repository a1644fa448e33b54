//! Made-up data of any size, without files: y = f(x; truth) + noise.
//!
//! Every number is a function of the seed, the row and the column alone (a counter-based generator), so any range of rows
//! can be made anywhere, in any order, and a row has the same bits always.

use std::ops::Range;

use super::derived::Formula;
use super::source::{Block, DataError, Layout, Place, TileSource, Weighting};
use super::table::blocks;
use crate::expr::Model;
use crate::math;

/// How an independent variable is laid out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Axis {
    /// Drawn uniformly from `[min, max)`.
    Uniform {
        /// Lower end.
        min: f64,
        /// Upper end.
        max: f64,
    },
    /// `points` equal steps from `min` to `max`, both included. Of several grid axes the last runs fastest; together they
    /// repeat when the grid is used up.
    Grid {
        /// First value.
        min: f64,
        /// Last value.
        max: f64,
        /// Number of values, at least 2.
        points: u64,
    },
}

/// The scatter of y about the model, normally distributed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Noise {
    /// One standard deviation for all points, not given to the fit. 0 means none.
    Constant(f64),
    /// A standard deviation for each point, drawn uniformly from `[min, max)` and given as the column `sigma`.
    Column {
        /// Smallest, above zero.
        min: f64,
        /// Largest.
        max: f64,
    },
}

/// What to make up.
#[derive(Clone, Debug)]
pub struct SyntheticSpec {
    /// The model, whose variables are the columns x.
    pub model: Model,
    /// The parameters that a fit should find, in the model's order.
    pub truth: Vec<f64>,
    /// One for each variable.
    pub axes: Vec<Axis>,
    /// The scatter of y.
    pub noise: Noise,
    /// Fraction of the points, chosen at random, to which `outlier_shift` standard deviations are added.
    pub outliers: f64,
    /// How far outliers lie off, in standard deviations.
    pub outlier_shift: f64,
    /// Number of points.
    pub rows: u64,
    /// Another seed, other data.
    pub seed: u64,
}

/// A source of made-up points.
#[derive(Clone, Debug)]
pub struct Synthetic {
    spec: SyntheticSpec,
    layout: Layout,
    formula: Formula,
    /// Rows from a value of each grid axis to its next; 0 for others.
    strides: Vec<u64>,
}

/// Streams of random numbers beyond those of the variables.
const SIGMA: u64 = 1 << 32;
const NORMAL: u64 = SIGMA + 1;
const OUTLIER: u64 = SIGMA + 3;

impl Synthetic {
    /// Checks a spec.
    pub fn new(spec: SyntheticSpec) -> Result<Self, DataError> {
        let model = &spec.model;
        let refuse = |what: String| Err(DataError::new(format!("made-up data: {what}")));
        if spec.truth.len() != model.parameters().len() {
            let names = model.parameters().join(", ");
            return refuse(format!("expected a value for each of {names}, found {}", spec.truth.len()));
        }
        if spec.axes.len() != model.variables().len() {
            let names = model.variables().join(", ");
            return refuse(format!("expected an axis for each of {names}, found {}", spec.axes.len()));
        }
        if spec.rows == 0 {
            return refuse("there are no rows".to_owned());
        }
        for axis in &spec.axes {
            let (Axis::Uniform { min, max } | Axis::Grid { min, max, .. }) = *axis;
            let steps = if let Axis::Grid { points, .. } = axis { *points } else { 2 };
            if !(min.is_finite() && max.is_finite() && min < max && steps >= 2) {
                return refuse(format!("{axis:?} is empty; expected finite min < max and at least 2 points"));
            }
        }
        let lawful = match spec.noise {
            Noise::Constant(sigma) => sigma >= 0.0 && sigma.is_finite(),
            Noise::Column { min, max } => min > 0.0 && min <= max && max.is_finite(),
        };
        if !lawful || !(0.0..=1.0).contains(&spec.outliers) {
            return refuse(format!("noise {:?} with a fraction of {} outliers", spec.noise, spec.outliers));
        }
        let mut strides = vec![0; spec.axes.len()];
        let mut stride = 1u64;
        for (axis, slot) in spec.axes.iter().zip(&mut strides).rev() {
            if let Axis::Grid { points, .. } = axis {
                *slot = stride;
                stride = stride.saturating_mul(*points);
            }
        }
        let weighting = match spec.noise {
            Noise::Constant(_) => Weighting::None,
            Noise::Column { .. } => Weighting::Sigma("sigma".to_owned()),
        };
        let layout = Layout { variables: model.variables().to_vec(), y: "y".to_owned(), weighting, mask: None };
        let formula = Formula::new(model.graph(), model.value());
        Ok(Self { layout, formula, strides, spec })
    }

    /// A uniform number in [0, 1): 53 bits of a hash of seed, row and stream.
    fn uniform(&self, row: u64, stream: u64) -> f64 {
        let bits = mix(mix(mix(self.spec.seed) ^ row) ^ stream);
        (bits >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A standard normal number (Box and Muller, Ann. Math. Stat. 29 (1958) 610).
    fn normal(&self, row: u64) -> f64 {
        let radius = math::sqrt(-2.0 * math::log(1.0 - self.uniform(row, NORMAL)));
        radius * math::cos(2.0 * std::f64::consts::PI * self.uniform(row, NORMAL + 1))
    }

    fn x(&self, row: u64, k: usize) -> f64 {
        match self.spec.axes[k] {
            Axis::Uniform { min, max } => min + (max - min) * self.uniform(row, k as u64),
            Axis::Grid { min, max, points } => {
                let step = row / self.strides[k] % points;
                min + (max - min) * (step as f64 / (points - 1) as f64)
            }
        }
    }

    fn sigma(&self, row: u64) -> f64 {
        match self.spec.noise {
            Noise::Constant(sigma) => sigma,
            Noise::Column { min, max } => min + (max - min) * self.uniform(row, SIGMA),
        }
    }

    /// What is added to the model at a row.
    fn scatter(&self, row: u64) -> f64 {
        let sigma = self.sigma(row);
        if sigma == 0.0 {
            return 0.0;
        }
        let outlier = self.spec.outliers > 0.0 && self.uniform(row, OUTLIER) < self.spec.outliers;
        sigma * (self.normal(row) + if outlier { self.spec.outlier_shift } else { 0.0 })
    }
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): a bijection in which every bit depends on every bit.
fn mix(bits: u64) -> u64 {
    let mut z = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl TileSource for Synthetic {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn n_points(&self) -> u64 {
        self.spec.rows
    }

    fn scan(
        &self,
        rows: Range<u64>,
        sink: &mut dyn FnMut(Block<'_>) -> Result<(), DataError>,
    ) -> Result<(), DataError> {
        let mut columns = vec![Vec::new(); self.layout.width()];
        let n_variables = self.spec.axes.len();
        for block in blocks(rows) {
            columns.iter_mut().for_each(Vec::clear);
            let (x, rest) = columns.split_at_mut(n_variables);
            for (k, x) in x.iter_mut().enumerate() {
                x.extend(block.clone().map(|row| self.x(row, k)));
            }
            let slices: Vec<&[f64]> = x.iter().map(Vec::as_slice).collect();
            let n = (block.end - block.start) as usize;
            self.formula.evaluate(n, &slices, &self.spec.truth, &mut rest[0]);
            for (y, row) in rest[0].iter_mut().zip(block.clone()) {
                *y += self.scatter(row);
            }
            if let Some(sigma) = rest.get_mut(1) {
                sigma.extend(block.clone().map(|row| self.sigma(row)));
            }
            let slices: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
            sink(Block { first_row: block.start, columns: &slices })?;
        }
        Ok(())
    }

    fn place(&self, row: u64) -> Place {
        Place { file: "made-up data".to_owned(), row: row + 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::tests::{bits, values};
    use crate::expr::Names;

    fn spec() -> SyntheticSpec {
        let names = ["t".to_owned(), "u".to_owned()];
        let model = Model::parse("a*exp(-b*t) + u", &Names { variables: &names, parameters: &[] }).unwrap();
        let axes = vec![Axis::Grid { min: 0.0, max: 1.0, points: 5 }, Axis::Uniform { min: -1.0, max: 1.0 }];
        let noise = Noise::Column { min: 0.5, max: 2.0 };
        SyntheticSpec {
            model,
            truth: vec![2.0, 0.7],
            axes,
            noise,
            outliers: 0.0,
            outlier_shift: 0.0,
            rows: 200_000,
            seed: 7,
        }
    }

    #[test]
    fn a_row_has_the_same_bits_in_every_range() {
        let source = Synthetic::new(spec()).unwrap();
        let whole = bits(&source, 0..200_000).unwrap();
        for range in [0..1, 65_530..65_540, 131_071..200_000] {
            let part = bits(&source, range.clone()).unwrap();
            for (part, whole) in part.iter().zip(&whole) {
                assert_eq!(part, &whole[range.start as usize..range.end as usize]);
            }
        }
        let other = Synthetic::new(SyntheticSpec { seed: 8, ..spec() }).unwrap();
        assert_ne!(bits(&other, 0..10).unwrap(), bits(&source, 0..10).unwrap());
    }

    #[test]
    fn noise_is_normal_with_the_sigma_given() {
        let source = Synthetic::new(spec()).unwrap();
        let columns = values(&source).unwrap();
        let n = 200_000;
        assert_eq!(&columns[0][..6], &[0.0, 0.25, 0.5, 0.75, 1.0, 0.0]);
        let z: Vec<f64> = (0..n)
            .map(|i| (columns[2][i] - 2.0 * (-0.7 * columns[0][i]).exp() - columns[1][i]) / columns[3][i])
            .collect();
        let moment = |k: i32| z.iter().map(|z| z.powi(k)).sum::<f64>() / n as f64;
        // standard errors of the moments: 0.0022, 0.0032, 0.0087, 0.022
        assert!(moment(1).abs() < 0.01 && (moment(2) - 1.0).abs() < 0.015, "{} {}", moment(1), moment(2));
        assert!(moment(3).abs() < 0.04 && (moment(4) - 3.0).abs() < 0.1, "{} {}", moment(3), moment(4));
        let u = &columns[1];
        let mean_u = u.iter().sum::<f64>() / n as f64;
        assert!(mean_u.abs() < 0.006 && u.iter().all(|u| (-1.0..1.0).contains(u)), "{mean_u}");
    }

    #[test]
    fn outliers_are_as_many_as_asked_for() {
        let source = Synthetic::new(SyntheticSpec {
            outliers: 0.1,
            outlier_shift: 1000.0,
            noise: Noise::Constant(1.0),
            ..spec()
        });
        let columns = values(&source.unwrap()).unwrap();
        let far = columns[2].iter().filter(|y| **y > 900.0).count() as f64 / 200_000.0;
        assert!((far - 0.1).abs() < 0.004, "{far}");
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        let message = |change: fn(&mut SyntheticSpec)| {
            let mut spec = spec();
            change(&mut spec);
            Synthetic::new(spec).unwrap_err().message
        };
        assert_eq!(message(|s| s.truth = vec![1.0]), "made-up data: expected a value for each of a, b, found 1");
        assert_eq!(message(|s| s.axes.clear()), "made-up data: expected an axis for each of t, u, found 0");
        assert_eq!(message(|s| s.rows = 0), "made-up data: there are no rows");
        assert!(message(|s| s.axes[0] = Axis::Uniform { min: 1.0, max: 1.0 }).contains("is empty"));
        assert!(message(|s| s.noise = Noise::Constant(f64::NAN)).contains("noise Constant(NaN)"));
    }
}
