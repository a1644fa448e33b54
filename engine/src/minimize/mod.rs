//! The minimizer as a state machine: it asks for a pass, takes the answer, asks again.
//!
//! ```text
//! [Cost(candidate starts) ──>]
//! start() ──> Linearize(start) ──> advance ──┬── trial accepted: tests (stop), then the next step (lm) ──> Linearize
//!                                            ├── trial rejected: a smaller radius (search)            ──> Linearize
//!                                            └── a test holds, passes used up, nothing more to gain   ──> Finished
//! ```
//!
//! Whoever holds the points answers: a loop over a slice ([`minimize`]), a cluster, a script in a test. One pass per
//! trial: residuals, Jacobian and cost come together, so the normal equations of an accepted trial are already there.
//! The whole state is a small value that a checkpoint holds; a fit resumed from it takes the same path to the last bit.

mod options;
mod point;
mod region;
mod trial;

mod bend;
mod boxqp;
mod dogleg;
mod lm;

mod ending;
mod precision;
mod procedure;
mod search;
mod stop;

#[cfg(test)]
pub(crate) mod exam;

pub use options::{Descent, Method, Options, OptionsError};
pub(crate) use point::{Outlook, outlook};
pub use precision::Rise;

use crate::kernel::Costing;
use crate::normal::NormalEquations;
use crate::params::Parameters;
use crate::summary::{Iteration, Phase, Status, Summary};
use bend::Bend;
use ending::Ending;
use point::{Point, scaled_length};
use precision::Rejections;
use search::{Gain, Verdict};
use stop::Arrival;
use trial::Trial;

/// What the minimizer wants to know next. A theta holds the free parameters, in the order of [`Parameters::free`].
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "there is one demand per pass over all points")]
pub enum Demand {
    /// The normal equations at theta.
    Linearize(Vec<f64>),
    /// The cost at each of several candidates, in one pass: asked once, to choose a start. (For trials it does not pay:
    /// asking for the costs at four radii after two rejections changed the passes of the exam by less than a hundredth.)
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
#[derive(Clone, Debug, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Minimizer {
    options: Options,
    names: Vec<String>,
    lower: Vec<f64>,
    upper: Vec<f64>,
    /// D: the largest length seen of each column of J at accepted points, or what was given. `[p]`
    scale: Vec<f64>,
    /// D was given and stays.
    fixed_scale: bool,
    radius: f64,
    /// What J'J leaves out of the curvature.
    bend: Bend,
    best: Option<Point>,
    trial: Trial,
    /// Since the last accepted point the Gauss-Newton step was tried, or at least asked for.
    tried_full: bool,
    /// The largest roughness of the cost seen, relative to it.
    roughness: f64,
    /// Starts to choose from, until their costs are known.
    candidates: Vec<Vec<f64>>,
    passes: u64,
    iterations: u64,
    last: Option<Iteration>,
    ending: Option<Ending>,
    /// How residuals become costs, for [`crate::procedure::Procedure`].
    costing: Costing,
    /// The best point in f32, while its place in f64 is asked for.
    left: Option<Point>,
    rejections: Rejections,
    rise: Option<Rise>,
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
            fixed_scale: false,
            radius: f64::INFINITY,
            bend: Bend::new(start.len()),
            best: None,
            trial: Trial::standing(start),
            tried_full: false,
            roughness: 0.0,
            candidates: Vec::new(),
            passes: 0,
            iterations: 0,
            last: None,
            ending: None,
            costing: Costing::default(),
            left: None,
            rejections: Rejections::default(),
            rise: None,
        }
    }

    /// The same fit under another loss than the linear one, or beginning in f32. With one pass in all there is nothing to
    /// begin: it is f64.
    pub fn under(mut self, costing: Costing) -> Self {
        self.costing = costing;
        if self.options.max_passes == 1 {
            self.guard_precision();
        }
        self
    }

    /// A fit from the best of several starts of the free parameters, each inside the bounds. One pass asks for their
    /// costs; the lowest decides, the first among equals. It counts as a pass, and the start is evaluated after it even
    /// if `max_passes` is 1.
    pub fn from_candidates(parameters: &Parameters, candidates: Vec<Vec<f64>>, options: Options) -> Self {
        let mut minimizer = Self::new(parameters, options);
        assert!(!candidates.is_empty(), "at least one start");
        for theta in &candidates {
            assert_eq!(theta.len(), minimizer.names.len(), "a start has one value for each free parameter");
            let inside = |j: usize| (minimizer.lower[j]..=minimizer.upper[j]).contains(&theta[j]);
            assert!((0..theta.len()).all(inside), "starts lie inside the bounds: {theta:?}");
        }
        minimizer.candidates = candidates;
        minimizer
    }

    /// The demand that stands: the first one, or the one that a checkpoint was waiting for.
    pub fn start(&self) -> Demand {
        match self.summary() {
            Some(summary) => Demand::Finished(summary),
            None if !self.candidates.is_empty() => Demand::Cost(self.candidates.clone()),
            None => Demand::Linearize(self.trial.theta.clone()),
        }
    }

    /// Takes the answer to the demand that stands and says what is wanted next.
    ///
    /// # Panics
    /// If the answer is not one to that demand, by kind or by shape: a bug of the caller.
    pub fn advance(&mut self, answer: Answer) -> Demand {
        assert!(self.ending.is_none(), "a finished fit takes no answer");
        self.passes += 1;
        match answer {
            Answer::Costs(costs) => {
                assert_eq!(costs.len(), self.candidates.len(), "one cost for each candidate that was asked for");
                self.choose(&costs);
                self.guard_precision();
                return self.start();
            }
            Answer::Linearized(normal) => {
                assert!(self.candidates.is_empty(), "the demand was Cost, the answer is Linearized");
                assert_eq!(normal.n_free, self.names.len(), "normal equations over the free parameters");
                match (self.left.take(), self.best.take()) {
                    (Some(left), _) => self.land(left, normal),
                    (None, None) => self.begin(normal),
                    (None, Some(best)) => self.judge(best, normal),
                }
            }
        }
        self.guard_precision();
        if self.ending.is_none() && self.passes >= self.options.max_passes {
            self.end(Status::MaxPasses, format!("max_passes: all {} passes are used", self.passes));
        }
        self.start()
    }

    /// How residuals become costs.
    pub fn costing(&self) -> Costing {
        self.costing
    }

    /// The lowest cost so far; `None` before the first answer.
    pub fn lowest(&self) -> Option<f64> {
        self.best.as_ref().or(self.left.as_ref()).map(|best| best.normal.cost)
    }

    /// The record of the pass answered last.
    pub fn iteration(&self) -> Option<&Iteration> {
        self.last.as_ref()
    }

    /// The best point accepted so far and its normal equations; `None` before the first.
    pub fn best(&self) -> Option<(&[f64], &NormalEquations)> {
        self.best.as_ref().map(|best| (best.theta.as_slice(), &best.normal))
    }

    /// Whether the fit has ended: it wants no further answer.
    pub fn is_over(&self) -> bool {
        self.ending.is_some()
    }

    /// The candidate with the lowest cost becomes the start. A cost that is not finite is beaten by any that is.
    fn choose(&mut self, costs: &[f64]) {
        let mut lowest = 0;
        for i in 1..costs.len() {
            if costs[i] < costs[lowest] || !costs[lowest].is_finite() && costs[i].is_finite() {
                lowest = i;
            }
        }
        self.trial.theta = std::mem::take(&mut self.candidates).swap_remove(lowest);
        self.last = Some(self.iteration_at(costs[lowest], f64::NAN, false));
    }

    /// The first pass at one point: the start becomes the first accepted point.
    fn begin(&mut self, normal: NormalEquations) {
        if !normal.is_finite() {
            self.record(&normal, f64::NAN, false);
            let reason = format!("not finite at the start: {}", self.not_finite(&normal));
            self.ending = Some(Ending { status: Status::Failed, reason, at_start: Some(normal) });
            return;
        }
        self.first_scale(&normal);
        let point = self.point(self.trial.theta.clone(), normal);
        self.radius = self.first_radius(&point);
        self.record(&point.normal, point.gradient_norm, true);
        let inert = (0..self.names.len()).all(|j| point.normal.entry(j, j) == 0.0);
        if inert && point.normal.cost > 0.0 && !self.options.endless() {
            self.end(Status::Stalled, "no free parameter has any influence on the model at the start".into());
        }
        if !self.options.endless()
            && let Some(reason) = point.underflow()
        {
            self.end(Status::Failed, reason);
        }
        self.settle(point, None);
    }

    /// A later pass: the trial is accepted or not.
    fn judge(&mut self, best: Point, normal: NormalEquations) {
        let arrived = normal.is_finite().then(|| self.point(self.trial.theta.clone(), normal.clone()));
        let gain = self.gain(&best, arrived.as_ref());
        let verdict = gain.verdict();
        self.roughness = self.roughness.max(gain.roughness());
        self.tried_full |= self.trial.full;
        if let Some(point) = &arrived {
            self.watch_the_bend(&best, point, &gain, verdict);
        }
        let accepted = arrived.as_ref().filter(|_| verdict == Verdict::Accept);
        self.record(&normal, accepted.unwrap_or(&best).gradient_norm, accepted.is_some());
        self.rejections = match verdict {
            Verdict::Accept => Rejections::default(),
            _ => Rejections {
                count: self.rejections.count + 1,
                promised: self.trial.predicted,
                overflow: !normal.is_finite(),
            },
        };
        if self.iterations == 0 {
            // the first radius was a guess; the first step is a measure
            self.radius = self.radius.min(self.trial.length);
        }
        let next_radius = gain.radius(self.radius, self.trial.length);
        match (verdict, arrived) {
            (Verdict::Accept, Some(point)) => {
                self.radius = next_radius;
                self.accept(&best, point);
            }
            (Verdict::Floor, _) if !(self.options.endless() || gain.far) => {
                if self.tried_full {
                    self.give_up(best);
                } else {
                    self.radius = 2.0 * best.full_length;
                    self.tried_full = true;
                    self.propose(best);
                }
            }
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
            cut: self.trial.cut,
            cost: best.normal.cost,
            rounding: best.cost_rounding,
            offset_before: best.offset(),
            offset_after: arrived.map_or(f64::INFINITY, Point::offset),
            far: stop::floor(best, self.roughness).is_none(),
        }
    }

    fn accept(&mut self, best: &Point, point: Point) {
        self.reshape(best, &point.theta, &point.normal);
        self.iterations += 1;
        self.tried_full = false;
        let arrival = Arrival { length: self.trial.length, full: self.trial.full };
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

    /// No step can show progress: the minimum, as far as f64 can tell, or a place where the model deceives.
    fn give_up(&mut self, best: Point) {
        let tried = self.tried_full || best.full_length <= f64::EPSILON * best.theta_length;
        match stop::floor(&best, self.roughness).filter(|_| tried) {
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

    fn point(&self, theta: Vec<f64>, normal: NormalEquations) -> Point {
        let scale = self.scale_with(&normal);
        Point::new(theta, normal, &scale, (&self.lower, &self.upper), self.costing.precision)
    }

    fn record(&mut self, normal: &NormalEquations, gradient_norm: f64, accepted: bool) {
        let cost = if normal.is_finite() { normal.cost } else { f64::NAN };
        self.last = Some(self.iteration_at(cost, gradient_norm, accepted));
    }

    fn iteration_at(&self, cost: f64, gradient_norm: f64, accepted: bool) -> Iteration {
        let theta_length = scaled_length(&self.trial.theta, &self.scale);
        Iteration {
            pass: self.passes,
            phase: Phase::Refine,
            cost,
            gradient_norm,
            step_norm: if self.trial.length == 0.0 { 0.0 } else { self.trial.length / theta_length },
            damping: self.trial.damping,
            radius: self.radius,
            accepted,
        }
    }
}
