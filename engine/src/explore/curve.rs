//! A curve through a few points, for tests: answers requests in plain order.

use crate::expr::{Model, Names};
use crate::kernel::accumulate::correct;
use crate::kernel::{Answer, Costing, Question, Request};
use crate::normal::{Counts, NormalEquations};
use crate::params::{Parameter, Parameters};
use crate::procedure::{self, Procedure};

/// Points (x, y) and a model of them.
pub(crate) struct Curve {
    model: Model,
    x: Vec<f64>,
    y: Vec<f64>,
    /// Reads of the points, and thetas evaluated in them.
    pub(crate) reads: u64,
    pub(crate) evaluations: u64,
}

impl Curve {
    /// y = f(x; truth) plus `noise(i)` at each x. Parameters in the order of first appearance.
    pub(crate) fn new(expression: &str, x: Vec<f64>, truth: &[f64], noise: impl Fn(usize) -> f64) -> Self {
        let model = Model::parse(expression, &Names { variables: &["x".into()], parameters: &[] }).unwrap();
        let y = x.iter().enumerate().map(|(i, &x)| model.evaluate(&[x], truth).0 + noise(i)).collect();
        Self { model, x, y, reads: 0, evaluations: 0 }
    }

    /// The parameters with these starts and bounds; all free.
    pub(crate) fn parameters(&self, starts: &[f64], bounds: &[(f64, f64)]) -> Parameters {
        let open = (f64::NEG_INFINITY, f64::INFINITY);
        let parameter = |(j, name): (usize, &String)| {
            let (min, max) = bounds.get(j).copied().unwrap_or(open);
            Parameter { name: name.clone(), start: starts[j], min, max, fixed: false }
        };
        Parameters::new(self.model.parameters().iter().enumerate().map(parameter).collect()).unwrap()
    }

    pub(crate) fn linearize(&self, theta: &[f64], costing: &Costing) -> NormalEquations {
        let p = theta.len();
        let mut normal = NormalEquations {
            n_free: p,
            jtj: vec![0.0; p * (p + 1) / 2],
            jtr: vec![0.0; p],
            cost: 0.0,
            rss: 0.0,
            lag: 0.0,
            triangle: None,
            counts: Counts { used: self.x.len() as u64, ..Counts::default() },
        };
        for (&x, &y) in self.x.iter().zip(&self.y) {
            let (value, slopes) = self.model.evaluate(&[x], theta);
            let r = value - y;
            let corrected = correct(costing, r);
            let row: Vec<f64> = slopes.iter().map(|s| s * corrected.jacobian).collect();
            let pairs = (0..p).flat_map(|j| (j..p).map(move |k| (j, k)));
            normal.jtj.iter_mut().zip(pairs).for_each(|(sum, (j, k))| *sum += row[j] * row[k]);
            normal.jtr.iter_mut().zip(&row).for_each(|(sum, s)| *sum += s * r * corrected.residual);
            normal.cost += 0.5 * corrected.rho;
            normal.rss += r * r;
        }
        normal
    }

    pub(crate) fn answer(&mut self, request: &Request) -> Answer {
        let costing = &request.costing;
        self.reads += 1;
        match &request.question {
            Question::Linearize(thetas) => {
                self.evaluations += thetas.len() as u64;
                Answer::Linearized(thetas.iter().map(|theta| self.linearize(theta, costing)).collect())
            }
            Question::Costs(thetas) => {
                self.evaluations += thetas.len() as u64;
                Answer::Costs(thetas.iter().map(|theta| self.linearize(theta, costing).cost).collect())
            }
            other => panic!("not asked in these tests: {other:?}"),
        }
    }

    pub(crate) fn run<P: Procedure>(&mut self, procedure: &mut P) {
        let Ok(()) = procedure::run(procedure, |request| Ok::<_, std::convert::Infallible>(self.answer(request)));
    }
}

/// n values from a to b, both included.
pub(crate) fn grid(a: f64, b: f64, n: usize) -> Vec<f64> {
    (0..n).map(|i| a + (b - a) * i as f64 / (n - 1) as f64).collect()
}

/// Noise of standard deviation 1, the same in every run: a sum of twelve uniform numbers.
pub(crate) fn noise(seed: u64) -> impl Fn(usize) -> f64 {
    move |i| {
        let mut stream = super::random::Stream::new(seed, super::random::Purpose::Starts, i as u32);
        (0..12).map(|_| stream.unit()).sum::<f64>() - 6.0
    }
}
