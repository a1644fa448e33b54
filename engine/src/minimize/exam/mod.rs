//! The exam: problems with known answers, driven through [`Minimizer`] as a script would.

mod behaviour;
mod bounds;
mod dual;
mod honesty;
mod mgh;
mod mgh_systems;
mod nist;
mod random;

use super::{Evaluate, Minimizer, Options, minimize};
use crate::kernel::Costing;
use crate::kernel::accumulate::{LANES, correct};
use crate::loss::Loss;
use crate::normal::{Counts, NormalEquations};
use crate::params::{Parameter, Parameters};
use crate::summary::Summary;
use dual::Dual;

/// A system of residuals r(theta) under a loss, summed in plain order.
struct System<F> {
    residuals: F,
    loss: Loss,
    /// Every point asked for, with its cost.
    visited: Vec<(Vec<f64>, f64)>,
}

impl<F: Fn(&[Dual]) -> Vec<Dual>> System<F> {
    fn new(residuals: F) -> Self {
        Self { residuals, loss: Loss::default(), visited: Vec::new() }
    }

    fn at(&self, theta: &[f64]) -> NormalEquations {
        let p = theta.len();
        let mut normal = NormalEquations {
            n_free: p,
            jtj: vec![0.0; p * (p + 1) / 2],
            jtr: vec![0.0; p],
            cost: 0.0,
            rss: 0.0,
            lag: 0.0,
            triangle: None,
            counts: Counts::default(),
        };
        let residuals = (self.residuals)(&dual::variables(theta));
        let pairs = residuals.windows(2).enumerate().filter(|(k, _)| k % LANES != LANES - 1);
        normal.lag = pairs.map(|(_, pair)| pair[0].value * pair[1].value).sum();
        for r in residuals {
            let corrected = correct(&Costing { loss: self.loss, ..Costing::default() }, r.value);
            let slope: Vec<f64> = r.slope[..p].iter().map(|slope| slope * corrected.jacobian).collect();
            let mut packed = 0;
            for j in 0..p {
                for k in j..p {
                    normal.jtj[packed] += slope[j] * slope[k];
                    packed += 1;
                }
                normal.jtr[j] += slope[j] * (r.value * corrected.residual);
            }
            normal.cost += 0.5 * corrected.rho;
            normal.rss += r.value * r.value;
            normal.counts.used += 1;
        }
        normal
    }
}

impl<F: Fn(&[Dual]) -> Vec<Dual>> Evaluate for System<F> {
    type Error = std::convert::Infallible;

    fn linearize(&mut self, theta: &[f64]) -> Result<NormalEquations, Self::Error> {
        let normal = self.at(theta);
        self.visited.push((theta.to_vec(), normal.cost));
        Ok(normal)
    }

    fn costs(&mut self, candidates: &[Vec<f64>]) -> Result<Vec<f64>, Self::Error> {
        Ok(candidates.iter().map(|theta| self.at(theta).cost).collect())
    }
}

/// Parameters x1, x2, ... without bounds.
fn unbounded(start: &[f64]) -> Parameters {
    bounded(start, &vec![(f64::NEG_INFINITY, f64::INFINITY); start.len()])
}

fn bounded(start: &[f64], bounds: &[(f64, f64)]) -> Parameters {
    let parameter = |(j, (&start, &(min, max)))| {
        let name = format!("x{}", j + 1);
        Parameter { name, start, min, max, fixed: false }
    };
    Parameters::new(start.iter().zip(bounds).enumerate().map(parameter).collect()).unwrap()
}

fn fit(parameters: &Parameters, options: Options, residuals: impl Fn(&[Dual]) -> Vec<Dual>) -> Summary {
    let Ok(summary) = minimize(&mut Minimizer::new(parameters, options), &mut System::new(residuals));
    summary
}

/// Digits on which a value agrees with a certified one.
fn digits(value: f64, certified: f64) -> f64 {
    if value == certified { 16.0 } else { -((value - certified) / certified).abs().log10() }
}
