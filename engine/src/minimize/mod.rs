//! The minimizer as a state machine: it asks for a pass, takes the answer, asks again.
//!
//! ```text
//! start() ──> Linearize(start) ──> advance ──┬── trial accepted: tests (stop), then the next step (lm) ──> Linearize
//!                                            ├── trial rejected: a smaller radius (search)            ──> Linearize
//!                                            └── a test holds, passes used up, nothing more to gain   ──> Finished
//! ```
//!
//! Whoever holds the points answers: a loop over a slice ([`minimize`]), a cluster, a script in a test. One pass per
//! trial: residuals, Jacobian and cost come together, so the normal equations of an accepted trial are already there.
//! The whole state is a small value that a checkpoint holds; a fit resumed from it takes the same path to the last bit.

mod boxqp;
#[cfg(test)]
mod exam;
mod lm;
mod options;
mod point;
mod search;
mod stop;

use serde::{Deserialize, Serialize};

pub use options::{Method, Options, OptionsError};

use crate::linalg::norm;
use crate::normal::NormalEquations;
use crate::params::Parameters;
use crate::summary::{Iteration, Phase, Side, Status, Summary};
use lm::{Model, Step};
use point::{Point, active_bounds, column_lengths, scaled_length};
use search::{Gain, Verdict};
use stop::Arrival;

/// The first radius, relative to `|D theta|`: the first step may change the parameters by about a third. MINPACK's 100 lets
/// the first Gauss-Newton step through whatever it is, and loses fits from far starts to flat places: of the 54 NIST fits
/// 51 with 100, 53 with 1, all with 0.3.
const FIRST_RADIUS: f64 = 0.3;

/// The least first radius, relative to the residual's length: a start at or near the origin has no length of its own,
/// and a step so short changes the residual by a thousandth at most.
const LEAST_FIRST_RADIUS: f64 = 1e-3;

/// A correction is worth a pass if it promises to bring at least this part of the reduction first promised.
const CORRECTION_GAIN: f64 = 0.01;

/// What the minimizer wants to know next. A theta holds the free parameters, in the order of [`Parameters::free`].
#[derive(Clone, Debug, PartialEq)]
pub enum Demand {
    /// The normal equations at theta.
    Linearize(Vec<f64>),
    /// The cost at each of several candidates, in one pass.
    Cost(Vec<Vec<f64>>),
    /// Nothing: the fit is over.
    Finished(Summary),
}

/// The answer to a demand.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// To [`Demand::Linearize`]. Sums that are not finite are an answer too: the trial is then rejected.
    Linearized(NormalEquations),
    /// To [`Demand::Cost`], one cost per candidate; not finite where the model is not.
    Costs(Vec<f64>),
}

/// Whoever can run passes over the points.
pub trait Evaluate {
    /// Why a pass failed.
    type Error;
    /// Normal equations at theta. `[n_free]`
    fn linearize(&mut self, theta: &[f64]) -> Result<NormalEquations, Self::Error>;
    /// Costs at several candidates. `[candidates]` of `[n_free]`
    fn costs(&mut self, candidates: &[Vec<f64>]) -> Result<Vec<f64>, Self::Error>;
}

/// Drives a fit to its end in one process. A cluster does the same with a network between question and answer.
pub fn minimize<E: Evaluate>(minimizer: &mut Minimizer, evaluator: &mut E) -> Result<Summary, E::Error> {
    let mut demand = minimizer.start();
    loop {
        let answer = match demand {
            Demand::Linearize(theta) => Answer::Linearized(evaluator.linearize(&theta)?),
            Demand::Cost(candidates) => Answer::Costs(evaluator.costs(&candidates)?),
            Demand::Finished(summary) => return Ok(summary),
        };
        demand = minimizer.advance(answer);
    }
}

/// The state of a fit between two passes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Minimizer {
    options: Options,
    names: Vec<String>,
    lower: Vec<f64>,
    upper: Vec<f64>,
    /// D: the largest length seen of each column of J, at accepted points. `[p]`
    scale: Vec<f64>,
    radius: f64,
    best: Option<Point>,
    trial: Trial,
    passes: u64,
    iterations: u64,
    last: Option<Iteration>,
    ending: Option<Ending>,
}

/// A point asked for, and what the model promises there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Trial {
    theta: Vec<f64>,
    /// `|D s|`.
    length: f64,
    damping: f64,
    predicted: f64,
    slope: f64,
    /// Of a correction: the radius if it fails too.
    fallback: Option<f64>,
}

/// Why a fit is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Ending {
    status: Status,
    reason: String,
    /// The answer at a start that could not be evaluated.
    at_start: Option<NormalEquations>,
}

impl Minimizer {
    /// A fit from the starts of the free parameters. Options are expected to have passed [`Options::check`].
    pub fn new(parameters: &Parameters, options: Options) -> Self {
        let free = || parameters.iter_free();
        let start: Vec<f64> = free().map(|p| p.start).collect();
        Self {
            options,
            names: free().map(|p| p.name.clone()).collect(),
            lower: free().map(|p| p.min).collect(),
            upper: free().map(|p| p.max).collect(),
            scale: vec![0.0; start.len()],
            radius: f64::INFINITY,
            best: None,
            trial: Trial { theta: start, length: 0.0, damping: 0.0, predicted: 0.0, slope: 0.0, fallback: None },
            passes: 0,
            iterations: 0,
            last: None,
            ending: None,
        }
    }

    /// The demand that stands: the first one, or the one that a checkpoint was waiting for.
    pub fn start(&self) -> Demand {
        match self.summary() {
            Some(summary) => Demand::Finished(summary),
            None => Demand::Linearize(self.trial.theta.clone()),
        }
    }

    /// Takes the answer to the demand that stands and says what is wanted next.
    ///
    /// # Panics
    /// If the answer is not one to that demand, by kind or by shape: a bug of the caller.
    pub fn advance(&mut self, answer: Answer) -> Demand {
        assert!(self.ending.is_none(), "a finished fit takes no answer");
        let Answer::Linearized(normal) = answer else { panic!("the demand was Linearize, the answer is Costs") };
        assert_eq!(normal.n_free, self.names.len(), "normal equations over the free parameters");
        self.passes += 1;
        match self.best.take() {
            None => self.begin(normal),
            Some(best) => self.judge(best, normal),
        }
        if self.ending.is_none() && self.passes >= self.options.max_passes {
            self.end(Status::MaxPasses, format!("max_passes: all {} passes are used", self.passes));
        }
        self.start()
    }

    /// The record of the pass answered last.
    pub fn iteration(&self) -> Option<&Iteration> {
        self.last.as_ref()
    }

    /// Ends the fit from outside, at the best point so far. `None` before the first answer.
    pub fn interrupt(&self, reason: &str) -> Option<Summary> {
        let ending = Ending { status: Status::Interrupted, reason: reason.into(), at_start: None };
        self.best.as_ref().map(|best| self.summary_at(best, &ending))
    }

    /// The first pass: the start becomes the first accepted point.
    fn begin(&mut self, normal: NormalEquations) {
        if !normal.is_finite() {
            self.record(&normal, f64::NAN, false);
            let reason = format!("not finite at the start: {}", self.not_finite(&normal));
            self.ending = Some(Ending { status: Status::Failed, reason, at_start: Some(normal) });
            return;
        }
        self.scale = column_lengths(&normal);
        let point = self.point(self.trial.theta.clone(), normal);
        let residual = (2.0 * point.normal.cost).sqrt();
        self.radius = (FIRST_RADIUS * point.theta_length).max(LEAST_FIRST_RADIUS * residual);
        self.record(&point.normal, point.gradient_norm, true);
        let inert = self.scale.iter().all(|&d| d == 0.0);
        if inert && point.normal.cost > 0.0 && !self.options.endless() {
            self.end(Status::Stalled, "no free parameter has any influence on the model at the start".into());
        }
        self.settle(point, None);
    }

    /// A later pass: the trial is accepted or not.
    fn judge(&mut self, best: Point, normal: NormalEquations) {
        let arrived = normal.is_finite().then(|| self.point(self.trial.theta.clone(), normal.clone()));
        let gain = self.gain(&best, arrived.as_ref());
        let verdict = gain.verdict();
        let accepted = arrived.as_ref().filter(|_| verdict == Verdict::Accept);
        self.record(&normal, accepted.unwrap_or(&best).gradient_norm, accepted.is_some());
        if self.passes == 2 {
            // the first radius was a guess; the first step is a measure
            self.radius = self.radius.min(self.trial.length);
        }
        let next_radius = gain.radius(self.radius, self.trial.length);
        match (verdict, arrived) {
            (Verdict::Accept, Some(point)) => {
                self.radius = next_radius;
                self.accept(point);
            }
            (Verdict::Floor, _) if !(self.options.endless() || gain.far) => self.give_up(best),
            (_, arrived) => {
                if let Some(correction) = arrived.and_then(|a| self.correction(&best, &a, &gain, next_radius)) {
                    self.trial = correction;
                    self.best = Some(best);
                } else {
                    self.radius = self.trial.fallback.unwrap_or(next_radius);
                    self.propose(best);
                }
            }
        }
    }

    fn gain(&self, best: &Point, arrived: Option<&Point>) -> Gain {
        let slope_after = arrived.map_or(f64::NAN, |point| {
            (0..point.theta.len()).map(|j| point.normal.jtr[j] * (point.theta[j] - best.theta[j])).sum()
        });
        Gain {
            predicted: self.trial.predicted,
            actual: arrived.map_or(f64::NAN, |point| best.normal.cost - point.normal.cost),
            slope: self.trial.slope,
            slope_after,
            cut: self.trial.damping > 0.0,
            rounding: best.cost_rounding,
            offset_before: best.offset(),
            offset_after: arrived.map_or(f64::INFINITY, Point::offset),
            far: stop::floor(best).is_none(),
        }
    }

    fn accept(&mut self, point: Point) {
        for (d, length) in self.scale.iter_mut().zip(column_lengths(&point.normal)) {
            *d = d.max(length);
        }
        self.iterations += 1;
        let arrival = Arrival { length: self.trial.length, damping: self.trial.damping };
        self.settle(point, Some(arrival));
    }

    /// At an accepted point: is it the minimum? If not, where next?
    fn settle(&mut self, point: Point, arrival: Option<Arrival>) {
        if let (None, Some(reason)) = (&self.ending, stop::converged(&point, arrival, &self.options)) {
            self.end(Status::Converged, reason);
        }
        if self.ending.is_some() {
            self.best = Some(point);
        } else {
            self.propose(point);
        }
    }

    /// Asks for the next trial from the accepted point.
    fn propose(&mut self, best: Point) {
        let model = Model::new(&best.normal, &best.theta, &self.scale, &self.lower, &self.upper);
        let step = model.step(self.radius);
        let theta = self.landing(&best.theta, &step);
        if !self.options.endless() && (theta == best.theta || step.length <= f64::EPSILON * best.theta_length) {
            return self.give_up(best);
        }
        let taken = self.scaled_step(&best.theta, &theta);
        self.trial = Trial {
            theta,
            length: step.length,
            damping: step.damping,
            predicted: model.reduction(&taken).max(0.0),
            slope: model.slope(&taken),
            fallback: None,
        };
        self.best = Some(best);
    }

    /// A second chance for a rejected trial: in a narrow curved valley a straight step ends on the wall, and what the
    /// model did not foresee there is the way back to the floor. The surprise is the gradient at the trial minus the one
    /// the model expected; undoing it with the trial's own J'J and damping is what geodesic acceleration does (Transtrum &
    /// Sethna, arXiv:1201.5885), without a further evaluation. It is tried once, if the trial's own model promises that
    /// the corrected point is better than the best. In the NIST fits it saves a third of all passes.
    fn correction(&self, best: &Point, arrived: &Point, gain: &Gain, fallback: f64) -> Option<Trial> {
        if self.trial.fallback.is_some() || gain.drowned() {
            return None;
        }
        let before = Model::new(&best.normal, &best.theta, &self.scale, &self.lower, &self.upper);
        let there = Model::new(&arrived.normal, &arrived.theta, &self.scale, &self.lower, &self.upper);
        let step = there.back(&before, &self.scaled_step(&best.theta, &arrived.theta), self.trial.damping)?;
        let promised = best.normal.cost - (arrived.normal.cost - there.reduction(&step.u));
        // a NaN promises nothing
        if promised.is_nan() || promised < CORRECTION_GAIN * gain.predicted {
            return None;
        }
        let theta = self.landing(&arrived.theta, &step);
        let length = norm(&self.scaled_step(&best.theta, &theta));
        (theta != best.theta).then(|| Trial { theta, length, fallback: Some(fallback), ..self.trial.clone() })
    }

    /// `D (to - from)`: what a step really is, after theta was rounded.
    fn scaled_step(&self, from: &[f64], to: &[f64]) -> Vec<f64> {
        (0..from.len()).map(|j| self.scale[j] * (to[j] - from[j])).collect()
    }

    /// No step can show progress: the minimum, as far as f64 can tell, or a place where the model deceives.
    fn give_up(&mut self, best: Point) {
        match stop::floor(&best) {
            Some(reason) => self.end(Status::Converged, reason),
            None => {
                let reason = format!(
                    "no step reduces the cost: radius / |D theta| = {:.2e}, offset = {:.2e}, gradient norm = {:.2e}",
                    self.radius / best.theta_length,
                    best.offset(),
                    best.gradient_norm
                );
                self.end(Status::Stalled, reason);
            }
        }
        self.best = Some(best);
    }

    /// The point where a step leads: exactly on the bounds that hold it, never outside.
    fn landing(&self, theta: &[f64], step: &Step) -> Vec<f64> {
        let coordinate = |j: usize| match step.held[j] {
            Some(Side::Min) => self.lower[j],
            Some(Side::Max) => self.upper[j],
            None if step.u[j] == 0.0 => theta[j],
            None => (theta[j] + step.u[j] / self.scale[j]).clamp(self.lower[j], self.upper[j]),
        };
        (0..theta.len()).map(coordinate).collect()
    }

    fn point(&self, theta: Vec<f64>, normal: NormalEquations) -> Point {
        let scale: Vec<f64> = self.scale.iter().zip(column_lengths(&normal)).map(|(d, l)| d.max(l)).collect();
        Point::new(theta, normal, &scale, &self.lower, &self.upper)
    }

    fn end(&mut self, status: Status, reason: String) {
        self.ending = Some(Ending { status, reason, at_start: None });
    }

    fn record(&mut self, normal: &NormalEquations, gradient_norm: f64, accepted: bool) {
        let theta_length = scaled_length(&self.trial.theta, &self.scale);
        self.last = Some(Iteration {
            pass: self.passes,
            phase: Phase::Refine,
            cost: if normal.is_finite() { normal.cost } else { f64::NAN },
            gradient_norm,
            step_norm: if self.trial.length == 0.0 { 0.0 } else { self.trial.length / theta_length },
            damping: self.trial.damping,
            radius: self.radius,
            accepted,
        });
    }

    /// Which sums are not finite, in words.
    fn not_finite(&self, normal: &NormalEquations) -> String {
        if !normal.cost.is_finite() {
            return format!("the cost is {}", normal.cost);
        }
        let p = normal.n_free;
        let bad = (0..p).find(|&j| !(normal.jtr[j].is_finite() && (0..p).all(|k| normal.entry(j, k).is_finite())));
        let name = bad.map_or("?", |j| &self.names[j]);
        format!("the cost is {}, but a derivative with respect to {name} is not finite", normal.cost)
    }

    fn summary(&self) -> Option<Summary> {
        let ending = self.ending.as_ref()?;
        if let Some(best) = &self.best {
            return Some(self.summary_at(best, ending));
        }
        Some(Summary {
            status: ending.status,
            reason: ending.reason.clone(),
            theta: self.trial.theta.clone(),
            normal: ending.at_start.clone().expect("a fit without an accepted point failed at its start"),
            iterations: 0,
            passes: self.passes,
            gradient_norm: f64::NAN,
            offset: f64::NAN,
            at_bound: vec![None; self.names.len()],
            warnings: Vec::new(),
        })
    }

    fn summary_at(&self, best: &Point, ending: &Ending) -> Summary {
        let at_bound = active_bounds(&best.theta, &best.normal.jtr, &self.lower, &self.upper);
        Summary {
            status: ending.status,
            reason: ending.reason.clone(),
            theta: best.theta.clone(),
            normal: best.normal.clone(),
            iterations: self.iterations,
            passes: self.passes,
            gradient_norm: best.gradient_norm,
            offset: best.offset(),
            warnings: self.warnings(best, &at_bound),
            at_bound,
        }
    }

    fn warnings(&self, best: &Point, at_bound: &[Option<Side>]) -> Vec<String> {
        let mut warnings = Vec::new();
        for (j, name) in self.names.iter().enumerate() {
            match at_bound[j] {
                Some(Side::Min) => warnings.push(format!("{name} ended at its lower bound {}", self.lower[j])),
                Some(Side::Max) => warnings.push(format!("{name} ended at its upper bound {}", self.upper[j])),
                None if best.normal.entry(j, j) == 0.0 => warnings.push(format!(
                    "{name} has no influence on the model at the solution: its derivative is 0 at every point, and it stayed at {}",
                    best.theta[j]
                )),
                None => {}
            }
        }
        warnings
    }
}
