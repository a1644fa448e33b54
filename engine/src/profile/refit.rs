//! The others at their best while one parameter is held.

use crate::explore::asked;
use crate::kernel::Answer;
use crate::minimize::{Minimizer, Options};
use crate::normal::{NormalEquations, packed_index};
use crate::params::Parameters;
use crate::procedure::Procedure as _;
use crate::saved::{Sound, Unsound, ensure};
use crate::summary::Status;

/// Passes of one refit, at most.
const MOST_PASSES: u64 = 60;

/// A refit under way.
#[derive(Clone, Debug, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub(super) struct Refit {
    parameter: usize,
    value: f64,
    /// `None` where no other parameter is free: one evaluation is all.
    minimizer: Option<Minimizer>,
}

/// What an answer meant to a refit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// The others are at their best.
    Converged,
    /// The best point so far; more passes may find a better one.
    Accepted,
    /// No better point.
    Rejected,
    /// The model is not finite here.
    NotFinite,
    /// The minimizer gave up.
    Failed,
}

impl Refit {
    /// Parameter number `parameter` of the free ones is held at its value in `start`, the others begin there.
    pub(super) fn new(parameters: &Parameters, parameter: usize, start: &[f64]) -> Self {
        let value = start[parameter];
        let others: Vec<f64> = without(start, parameter);
        let options = Options { max_passes: MOST_PASSES, ..Options::default() };
        let minimizer = parameters.holding(parameter, value);
        let minimizer = minimizer.map(|others_free| Minimizer::new(&others_free.starting_at(&others), options));
        Self { parameter, value, minimizer }
    }

    /// The theta asked for, over all free parameters.
    pub(super) fn asked(&self) -> Vec<f64> {
        let mut theta = self.minimizer.as_ref().map(asked).unwrap_or_default();
        theta.insert(self.parameter, self.value);
        theta
    }

    /// Whether it holds this parameter.
    pub(super) fn holds(&self, parameter: usize) -> bool {
        self.parameter == parameter
    }

    /// Takes the normal equations over all free parameters.
    pub(super) fn take(&mut self, normal: &NormalEquations) -> Progress {
        let Some(minimizer) = &mut self.minimizer else {
            return if normal.is_finite() { Progress::Converged } else { Progress::NotFinite };
        };
        minimizer.take(Answer::Linearized(vec![reduced(normal, self.parameter)]));
        let accepted = minimizer.iteration().is_some_and(|iteration| iteration.accepted);
        match minimizer.summary().map(|summary| summary.status) {
            Some(Status::Converged) => Progress::Converged,
            Some(_) if minimizer.best().is_none() => Progress::NotFinite,
            Some(_) => Progress::Failed,
            None if accepted => Progress::Accepted,
            None => Progress::Rejected,
        }
    }
}

fn without<T: Copy>(values: &[T], j: usize) -> Vec<T> {
    values.iter().enumerate().filter(|(k, _)| *k != j).map(|(_, v)| *v).collect()
}

/// The normal equations without parameter j.
pub(super) fn reduced(normal: &NormalEquations, j: usize) -> NormalEquations {
    let p = normal.n_free;
    let left: Vec<usize> = (0..p).filter(|&k| k != j).collect();
    let pairs = left.iter().enumerate().flat_map(|(i, &a)| left[i..].iter().map(move |&b| (a, b)));
    NormalEquations {
        n_free: p - 1,
        jtj: pairs.map(|(a, b)| normal.jtj[packed_index(p, a, b)]).collect(),
        jtr: without(&normal.jtr, j),
        triangle: normal.triangle.as_ref().map(|triangle| triangle.select(&left, 0.0)),
        ..normal.clone()
    }
}

impl Sound for Refit {
    fn sound(&self, n_free: usize) -> Result<(), Unsound> {
        ensure(self.parameter < n_free, "a refit holds no free parameter")?;
        let others = n_free - 1;
        ensure(self.minimizer.is_some() == (others > 0), "a refit and the parameters that it leaves free disagree")?;
        self.minimizer.sound(others)?;
        ensure(self.minimizer.as_ref().is_none_or(Minimizer::is_descending), "a refit waits for nothing")
    }
}
