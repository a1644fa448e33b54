//! What a fit says about the model at any point: its value, how well that is known, and where a measurement would fall.
//!
//! ```text
//! se(x)^2 = g' C g,   g = df/dtheta at (x, theta*),   C = covariance of the parameters
//! confidence band   f(x) +- t se(x)                        holds the true curve at x
//! prediction band   f(x) +- t sqrt(se(x)^2 + s^2 sigma^2)   holds a further measurement at x
//! ```
//!
//! with the t of [`crate::covariance::Level::quantile`] (the delta method; Seber and Wild, Nonlinear Regression, Wiley 1989,
//! section 5.1). Both hold at one x at a time, and as far as the model is straight within the errors of its parameters.
//! Parameters that are fixed or held by a bound count as known.

use crate::covariance::CovarianceError;
use crate::data::derived::{Formula, spread_missing};
use crate::expr::Model;
use crate::math;

/// Evaluates a fitted model and its standard error.
#[derive(Clone, Debug)]
pub struct Predictor {
    formula: Formula,
    theta: Vec<f64>,
    /// Positions of the parameters that scatter; slopes and the rows of C run over them.
    scattering: Vec<usize>,
    /// C over those. `[n][n]`
    covariance: Vec<Vec<f64>>,
}

/// A model at several points. `[n_points]` each; NaN where a variable is NaN.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// f.
    pub value: Vec<f64>,
    /// Its standard error.
    pub stderr: Vec<f64>,
}

/// The standard deviation of a single measurement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scatter<'a> {
    /// s, the same everywhere.
    Uniform(f64),
    /// s sigma, with a sigma for each point.
    Points(f64, &'a [f64]),
}

/// Lower and upper ends. `[n_points]` each.
#[derive(Clone, Debug, PartialEq)]
pub struct Band {
    /// Lower ends.
    pub lo: Vec<f64>,
    /// Upper ends.
    pub hi: Vec<f64>,
}

impl Predictor {
    /// `theta` holds all parameters of the model, `covariance` is [`crate::covariance::Covariance::matrix`] over them. A
    /// covariance that is not finite tells nothing and is refused.
    pub fn new(model: &Model, theta: &[f64], covariance: &[f64]) -> Result<Self, CovarianceError> {
        let p = model.parameters().len();
        assert_eq!((theta.len(), covariance.len()), (p, p * p), "a value for each parameter and each pair of them");
        if covariance.iter().any(|entry| !entry.is_finite()) {
            return Err(CovarianceError::NotFinite);
        }
        let scattering: Vec<usize> = (0..p).filter(|&j| covariance[j * p + j] != 0.0).collect();
        let nodes = scattering.iter().map(|&j| model.slopes()[j]);
        let nodes: Vec<_> = std::iter::once(model.value()).chain(nodes).collect();
        let row = |&j: &usize| scattering.iter().map(|&k| covariance[j * p + k]).collect();
        Ok(Self {
            formula: Formula::several(model.graph(), &nodes),
            theta: theta.to_vec(),
            covariance: scattering.iter().map(row).collect(),
            scattering,
        })
    }

    /// At points given by a slice for each variable, all of one length.
    pub fn at(&self, variables: &[&[f64]]) -> Prediction {
        let n = variables.first().map_or(0, |column| column.len());
        assert!(variables.iter().all(|column| column.len() == n), "variables have one length");
        let mut columns = vec![Vec::with_capacity(n); 1 + self.scattering.len()];
        self.formula.evaluate_several(n, variables, &self.theta, &mut columns);
        let mut value = columns.remove(0);
        let mut stderr = self.standard_errors(n, &columns);
        spread_missing(variables, &mut value);
        spread_missing(variables, &mut stderr);
        Prediction { value, stderr }
    }

    /// `sqrt(g' C g)` at each point; `slopes` holds a column for each parameter that scatters.
    fn standard_errors(&self, n: usize, slopes: &[Vec<f64>]) -> Vec<f64> {
        let mut squares = vec![0.0; n];
        for (row, slope) in self.covariance.iter().zip(slopes) {
            let mut along = vec![0.0; n];
            for (entry, other) in row.iter().zip(slopes) {
                along.iter_mut().zip(other).for_each(|(sum, g)| *sum += entry * g);
            }
            squares.iter_mut().zip(slope).zip(&along).for_each(|((sum, g), along)| *sum += g * along);
        }
        // strong correlations cancel: what is left may be a rounding below 0, while NaN stays NaN
        squares.iter().map(|&square| if square < 0.0 { 0.0 } else { square.sqrt() }).collect()
    }
}

impl Prediction {
    /// Where the true curve lies: `quantile` standard errors to either side.
    pub fn confidence(&self, quantile: f64) -> Band {
        self.band(quantile, |i| self.stderr[i])
    }

    /// Where a further measurement would fall.
    pub fn prediction(&self, quantile: f64, scatter: Scatter<'_>) -> Band {
        self.band(quantile, |i| {
            let own = match scatter {
                Scatter::Uniform(s) => s,
                Scatter::Points(s, sigma) => s * sigma[i],
            };
            math::hypot(self.stderr[i], own)
        })
    }

    fn band(&self, quantile: f64, half: impl Fn(usize) -> f64) -> Band {
        let end = |sign: f64| self.value.iter().enumerate().map(|(i, f)| f + sign * quantile * half(i)).collect();
        Band { lo: end(-1.0), hi: end(1.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::Names;

    fn model(text: &str) -> Model {
        Model::parse(text, &Names { variables: &["t".to_string()], parameters: &[] }).unwrap()
    }

    #[test]
    fn a_line_has_the_textbook_band() {
        // six points at t = 0..5, s^2 = 2: se(t)^2 = s^2 (1/n + (t - mean)^2 / sum (t_i - mean)^2)
        let covariance = [55.0, -15.0, -15.0, 6.0].map(|v| 2.0 * v / 105.0);
        let line = Predictor::new(&model("a + b*t"), &[1.0, 0.5], &covariance).unwrap();
        let t = [0.0, 2.5, 5.0, 20.0];
        let found = line.at(&[&t]);
        for (i, t) in t.iter().enumerate() {
            let expected = (2.0 * (1.0 / 6.0 + (t - 2.5) * (t - 2.5) / 17.5)).sqrt();
            assert!((found.stderr[i] - expected).abs() < 1e-14, "{t}");
            assert_eq!(found.value[i], 1.0 + 0.5 * t);
        }
        let sure = found.confidence(2.0);
        let measured = found.prediction(2.0, Scatter::Uniform(2f64.sqrt()));
        let weighted = found.prediction(2.0, Scatter::Points(2f64.sqrt(), &[1.0, 0.0, 2.0, 1.0]));
        assert!((sure.hi[1] - 2.25 - 2.0 * (2.0f64 / 6.0).sqrt()).abs() < 1e-14);
        assert!((measured.hi[1] - 2.25 - 2.0 * (2.0f64 / 6.0 + 2.0).sqrt()).abs() < 1e-14);
        assert!((sure.hi[3] - found.value[3] - (found.value[3] - sure.lo[3])).abs() < 1e-13);
        assert_eq!((weighted.hi[0], weighted.lo[1]), (measured.hi[0], sure.lo[1]));
        assert!((weighted.hi[2] - 3.5 - 2.0 * (found.stderr[2] * found.stderr[2] + 8.0).sqrt()).abs() < 1e-14);
    }

    #[test]
    fn slopes_of_a_curve_are_those_of_its_parameters() {
        let (a, b) = (2.0, 0.3);
        let covariance = [0.04, -0.003, 0.0, -0.003, 0.0009, 0.0, 0.0, 0.0, 0.0];
        let decay = Predictor::new(&model("a*exp(-b*t) + c"), &[a, b, 1.0], &covariance).unwrap();
        let t: Vec<f64> = (0..1000).map(|i| f64::from(i) * 0.02).collect();
        let found = decay.at(&[&t]);
        for (i, t) in t.iter().enumerate() {
            let fall = (-b * t).exp();
            let g = [fall, -a * t * fall];
            let square = g[0] * g[0] * 0.04 - 2.0 * 0.003 * g[0] * g[1] + g[1] * g[1] * 0.0009;
            assert!((found.stderr[i] - square.sqrt()).abs() < 1e-13, "{t}");
            assert!((found.value[i] - a * fall - 1.0).abs() < 1e-14, "{t}");
        }
    }

    #[test]
    fn missing_points_stay_missing_and_known_parameters_add_nothing() {
        let known = Predictor::new(&model("where(t > 1, a, b)"), &[1.0, 2.0], &[0.0; 4]).unwrap();
        let found = known.at(&[&[0.0, f64::NAN, 2.0]]);
        assert_eq!((found.value[0], found.value[2], found.stderr[0]), (2.0, 1.0, 0.0));
        assert!(found.value[1].is_nan() && found.stderr[1].is_nan());
        // a covariance of one direction: the rounding of a cancelled sum is no error
        let one = Predictor::new(&model("a*t + b*t"), &[1.0, 2.0], &[0.1, -0.1, -0.1, 0.1]).unwrap();
        assert_eq!(one.at(&[&[0.7, 3.0]]).stderr, [0.0, 0.0]);
        let refused = Predictor::new(&model("a*t + b*t"), &[1.0, 2.0], &[f64::NAN; 4]);
        assert_eq!(refused.unwrap_err(), CovarianceError::NotFinite);
    }
}
