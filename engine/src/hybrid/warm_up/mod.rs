//! Warm-up: gradient descent that needs no trust in J'J, until Gauss-Newton may be trusted.
//!
//! ```text
//! start ──> close to a minimum already? ──> over
//!             │ no
//!             v
//!           direction (L-BFGS or Adam) ──> trial: one pass ──> taken? ──> a test holds? ──> over: refine from here
//!             ^                              ^          │ no      │ yes         │ no
//!             │                              └── shorter┘         │             │
//!             └────────────────────────────────────────────────────┴─────────────┘
//! ```
//!
//! A pass brings cost, gradient and J'J together, so every trial is a full one: the gradient at a trial serves the line search,
//! and the normal equations of the last point are handed over with it, without a further pass. Bounds are kept by projection
//! (Bertsekas, SIAM J. Control Optim. 20 (1982) 221): coordinates that a bound stops take no part in the direction, the
//! path bends at bounds that it meets, and trials land exactly on them.
//!
//! **Is the start close to a minimum?** To ask whether the residual is small against the variance of y gives a flat signal no
//! chance and a signal with a large offset every chance. Here J'J at the start answers: the *offset*
//! `sqrt(2 predicted)/sqrt(2 cost)` is the part of the residual that lies in the plane of the columns of J (Bates & Watts,
//! Technometrics 23 (1981) 179). A start is warm when that is small and the columns are independent: nothing that a step could
//! remove is left. Neither the units of y or of the parameters, nor an offset of y, nor the number of points changes it.

mod direction;
mod line_search;
mod options;
mod sound;

pub use options::{Descent, LineSearch, WarmUpOptions};

use super::normalize::Normalization;
use crate::kernel::{Answer, Costing, Request};
use crate::linalg::{dot, norm};
use crate::minimize::{Outlook, outlook};
use crate::normal::NormalEquations;
use crate::params::Parameters;
use crate::procedure::Procedure;
use crate::summary::{Iteration, Phase};
use direction::{Memory, Moments};
use line_search::{Outcome, Search};

/// Steps in a row that Gauss-Newton must have foretold.
const AGREEMENTS: u64 = 2;

/// Times that Adam's rate is halved where the model is not finite.
const HALVINGS: u64 = 20;

/// A point with its normal equations.
#[derive(Clone, Debug, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Place {
    /// The free parameters. `[n_free]`
    pub theta: Vec<f64>,
    /// The normal equations there.
    pub normal: NormalEquations,
}

/// The state of a warm-up between two passes.
#[derive(Clone, Debug, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct WarmUp {
    options: WarmUpOptions,
    normalization: Normalization,
    parameters: Parameters,
    costing: Costing,
    lower: Vec<f64>,
    upper: Vec<f64>,
    /// Of the parameters; empty before the start is known. `[p]`
    units: Vec<f64>,
    start_cost: f64,
    /// The lowest cost so far.
    best: Option<Place>,
    /// Where the next step begins.
    here: Option<Place>,
    /// The best trial of the search under way.
    kept: Option<Place>,
    direction: Vec<f64>,
    search: Option<Search>,
    memory: Memory,
    moments: Moments,
    rate: f64,
    halvings: u64,
    /// The theta asked for.
    trial: Vec<f64>,
    agreed: u64,
    iterations: u64,
    passes: u64,
    max_passes: u64,
    last: Option<Iteration>,
    ending: Option<String>,
}

impl WarmUp {
    /// A warm-up from the starts of the free parameters, of at most `max_passes` passes.
    pub fn new(
        parameters: &Parameters,
        options: WarmUpOptions,
        normalization: Normalization,
        costing: Costing,
        max_passes: u64,
    ) -> Self {
        Self {
            lower: parameters.iter_free().map(|p| p.min).collect(),
            upper: parameters.iter_free().map(|p| p.max).collect(),
            trial: parameters.iter_free().map(|p| p.start).collect(),
            rate: options.learning_rate,
            parameters: parameters.clone(),
            options,
            normalization,
            costing,
            units: Vec::new(),
            start_cost: f64::NAN,
            best: None,
            here: None,
            kept: None,
            direction: Vec::new(),
            search: None,
            memory: Memory::default(),
            moments: Moments::default(),
            halvings: 0,
            agreed: 0,
            iterations: 0,
            passes: 0,
            max_passes,
            last: None,
            ending: None,
        }
    }

    /// The same, the normal equations at the start being known: no pass asks for them.
    pub fn known(mut self, start: NormalEquations) -> Self {
        self.begin(start);
        self
    }

    /// Why it is over, in words; `None` while it is not.
    pub fn ended(&self) -> Option<&str> {
        self.ending.as_deref()
    }

    /// The point with the lowest cost so far; the start if it could not be evaluated. `None` before the first answer.
    pub fn place(&self) -> Option<&Place> {
        self.best.as_ref()
    }

    /// Steps taken.
    pub fn iterations(&self) -> u64 {
        self.iterations
    }

    fn begin(&mut self, normal: NormalEquations) {
        let start = Place { theta: self.trial.clone(), normal };
        self.start_cost = start.normal.cost;
        self.best = Some(start.clone());
        if !start.normal.is_finite() {
            return self.end("the model is not finite at the start");
        }
        self.units = self.normalization.units(&self.parameters, &start.normal).units;
        let outlook = self.outlook(&start);
        let threshold = self.options.warm_start_threshold;
        if self.options.warm_start_detection && outlook.independent && outlook.offset <= threshold {
            return self.end(&format!("the start is warm: offset = {:.2e} <= {threshold}", outlook.offset));
        }
        self.here = Some(start);
        self.launch();
    }

    /// Chooses a direction from here, and the first trial along it.
    fn launch(&mut self) {
        let here = self.here.take().expect("a step begins somewhere");
        let gradient = self.gradient(&here.normal);
        let moves = self.moves(&here);
        if (0..gradient.len()).all(|j| !moves[j] || gradient[j] == 0.0) {
            self.here = Some(here);
            return self.end("the gradient is 0 for every parameter that can move");
        }
        match self.options.descent {
            Descent::Lbfgs => self.launch_search(&here, &gradient, &moves),
            Descent::Adam => {
                // only ratios of gradients matter; that of the first pass keeps the squares from under- and overflow
                let size = norm(&gradient);
                let gradient: Vec<f64> =
                    (0..gradient.len()).map(|j| if moves[j] { gradient[j] / size } else { 0.0 }).collect();
                let step = self.moments.step(&gradient, self.rate);
                let length = norm(&step);
                let most = self.longest();
                let t = if length > most { most / length } else { 1.0 };
                self.direction = step.into_iter().map(|s| t * s).collect();
                self.trial = self.landing(&here, 1.0);
            }
        }
        self.here = Some(here);
    }

    fn launch_search(&mut self, here: &Place, gradient: &[f64], moves: &[bool]) {
        let downhill = |d: &Vec<f64>| dot(d, gradient) < 0.0;
        let quasi_newton = self.memory.direction(gradient, moves).filter(downhill);
        let remembers = quasi_newton.is_some();
        let steepest = || (0..gradient.len()).map(|j| if moves[j] { -gradient[j] } else { 0.0 }).collect();
        self.direction = quasi_newton.unwrap_or_else(steepest);
        let length = norm(&self.direction);
        let slope = dot(&self.direction, gradient);
        let first = match (remembers, self.options.adaptive_first_step) {
            (true, _) => 1.0,
            (false, true) => self.cauchy(&here.normal, slope),
            (false, false) => self.options.first_step / length,
        };
        let most = self.longest() / length;
        let search = Search::new(self.options.line_search, here.normal.cost, slope, first, most);
        self.trial = self.landing(here, search.t);
        self.search = Some(search);
        self.kept = None;
    }

    /// The length at which the model of Gauss-Newton has its minimum along the direction; the whole direction where
    /// J'J is 0 along it.
    fn cauchy(&self, normal: &NormalEquations, slope: f64) -> f64 {
        let step: Vec<f64> = self.direction.iter().zip(&self.units).map(|(d, u)| d * u).collect();
        let length = -slope / curvature(normal, &step);
        if length.is_finite() && length > 0.0 { length } else { self.options.first_step / norm(&self.direction) }
    }

    /// A later pass: what does the trial say?
    fn judge(&mut self, normal: NormalEquations) {
        let here = self.here.take().expect("a trial begins somewhere");
        let trial = Place { theta: self.trial.clone(), normal };
        match self.options.descent {
            Descent::Lbfgs => self.judge_search(here, trial),
            Descent::Adam => self.judge_adam(here, trial),
        }
    }

    fn judge_search(&mut self, here: Place, trial: Place) {
        let mut search = self.search.take().expect("L-BFGS searches along its direction");
        let promised = (0..here.theta.len()).map(|j| here.normal.jtr[j] * (trial.theta[j] - here.theta[j])).sum();
        let slope = self.slope(&trial);
        let cost = if trial.normal.is_finite() { trial.normal.cost } else { f64::NAN };
        match search.judge(cost, slope, promised) {
            Outcome::Accept => self.step(here, trial),
            Outcome::Next { keep } => {
                if keep {
                    self.kept = Some(trial);
                }
                self.trial = self.landing(&here, search.t);
                self.search = Some(search);
                self.here = Some(here);
            }
            Outcome::Exhausted => match self.kept.take() {
                Some(kept) => self.step(here, kept),
                None if self.memory.is_empty() => {
                    self.here = Some(here);
                    self.end("no step along the gradient lowers the cost");
                }
                None => {
                    self.memory.forget();
                    self.here = Some(here);
                    self.launch();
                }
            },
        }
    }

    fn judge_adam(&mut self, here: Place, trial: Place) {
        if !trial.normal.is_finite() {
            if self.halvings >= HALVINGS {
                self.here = Some(here);
                return self.end("the model is not finite wherever a step leads");
            }
            self.halvings += 1;
            self.rate *= 0.5;
            self.moments = Moments::default();
            self.here = self.best.clone();
            return self.launch();
        }
        let limit = self.start_cost * (1.0 + self.options.cost_increase_tolerance);
        if self.options.cost_guard && trial.normal.cost > limit {
            self.here = Some(here);
            return self.end(&format!("the cost rose above {limit:.3e}"));
        }
        self.step(here, trial);
    }

    /// Goes to `there`; another step follows unless a test holds.
    fn step(&mut self, here: Place, there: Place) {
        let in_units = |v: &dyn Fn(usize) -> f64| -> Vec<f64> { (0..self.units.len()).map(v).collect() };
        let step = in_units(&|j| (there.theta[j] - here.theta[j]) / self.units[j]);
        let change = in_units(&|j| (there.normal.jtr[j] - here.normal.jtr[j]) * self.units[j]);
        self.memory.remember(step, change, self.options.history);
        self.iterations += 1;
        self.watch_the_model(&here, &there);
        if self.best.as_ref().is_none_or(|best| there.normal.cost < best.normal.cost) {
            self.best = Some(there.clone());
        }
        let reason = self.test(&here, &there);
        self.here = Some(there);
        match reason {
            Some(reason) => self.end(&reason),
            None => self.launch(),
        }
    }

    /// Counts the steps in a row whose gain Gauss-Newton foretold.
    fn watch_the_model(&mut self, here: &Place, there: &Place) {
        let step: Vec<f64> = (0..here.theta.len()).map(|j| there.theta[j] - here.theta[j]).collect();
        let foretold = -dot(&here.normal.jtr, &step) - 0.5 * curvature(&here.normal, &step);
        let gain = here.normal.cost - there.normal.cost;
        let agrees = (gain / foretold - 1.0).abs() <= self.options.agreement && foretold > 0.0;
        self.agreed = if agrees { self.agreed + 1 } else { 0 };
    }

    /// The test that ends the warm-up, with its numbers.
    fn test(&self, here: &Place, there: &Place) -> Option<String> {
        let options = &self.options;
        let change = (there.normal.cost - here.normal.cost).abs();
        let gradient = self.outlook(there).gradient_norm;
        if there.normal.cost == 0.0 {
            return Some("the cost is exactly 0".into());
        }
        if self.iterations >= options.max_iterations {
            return Some(format!("max_iterations: {} steps are taken", self.iterations));
        }
        if self.iterations < options.min_iterations {
            return None;
        }
        if options.agreement > 0.0 && self.agreed >= AGREEMENTS {
            return Some(format!("agreement: Gauss-Newton foretold {AGREEMENTS} steps in a row"));
        }
        if options.plateau > 0.0 && change <= options.plateau * here.normal.cost {
            let part = change / here.normal.cost;
            return Some(format!(
                "plateau: the last step changed the cost by {part:.2e} of it <= {:e}",
                options.plateau
            ));
        }
        (options.gradient > 0.0 && gradient <= options.gradient)
            .then(|| format!("gradient: max |g_j| / (|J_j| sqrt(2 cost)) = {gradient:.2e} <= {:e}", options.gradient))
    }

    fn end(&mut self, reason: &str) {
        self.ending = Some(reason.to_string());
    }

    fn outlook(&self, place: &Place) -> Outlook {
        outlook(&place.theta, &place.normal, &self.lower, &self.upper)
    }

    /// The gradient of the cost, in units of the parameters.
    fn gradient(&self, normal: &NormalEquations) -> Vec<f64> {
        normal.jtr.iter().zip(&self.units).map(|(g, u)| g * u).collect()
    }

    /// Which parameters no bound stops.
    fn moves(&self, place: &Place) -> Vec<bool> {
        let (theta, g) = (&place.theta, &place.normal.jtr);
        let stopped = |j: usize| theta[j] <= self.lower[j] && g[j] > 0.0 || theta[j] >= self.upper[j] && g[j] < 0.0;
        (0..theta.len()).map(|j| !stopped(j)).collect()
    }

    /// The slope of the cost along the path at a trial: coordinates that a bound stopped no longer move.
    fn slope(&self, trial: &Place) -> f64 {
        let moves = |j: usize| {
            let stop = if self.direction[j] > 0.0 { self.upper[j] } else { self.lower[j] };
            self.direction[j] != 0.0 && trial.theta[j] != stop
        };
        let along = |j: usize| trial.normal.jtr[j] * self.units[j] * self.direction[j];
        (0..trial.theta.len()).filter(|&j| moves(j)).map(along).sum()
    }

    fn landing(&self, from: &Place, t: f64) -> Vec<f64> {
        let coordinate = |j: usize| {
            let moved = from.theta[j] + t * self.direction[j] * self.units[j];
            moved.clamp(self.lower[j], self.upper[j])
        };
        (0..from.theta.len()).map(coordinate).collect()
    }

    fn longest(&self) -> f64 {
        if self.options.step_clipping { self.options.max_step } else { f64::INFINITY }
    }

    fn record(&mut self, asked: &[f64], normal: &NormalEquations, from: Option<&Place>) {
        let accepted = self.here.as_ref().is_some_and(|here| here.theta == *asked);
        let length = |v: &dyn Fn(usize) -> f64| norm(&(0..self.units.len()).map(v).collect::<Vec<_>>());
        let step = from.map_or(0.0, |from| length(&|j| (asked[j] - from.theta[j]) / self.units[j]));
        let theta = length(&|j| asked[j] / self.units[j]);
        let at = if accepted { self.here.as_ref() } else { self.best.as_ref() };
        let known = at.filter(|place| place.normal.is_finite());
        self.last = Some(Iteration {
            pass: self.passes,
            phase: Phase::WarmUp,
            cost: if normal.is_finite() { normal.cost } else { f64::NAN },
            gradient_norm: known.map_or(f64::NAN, |place| self.outlook(place).gradient_norm),
            step_norm: if step == 0.0 { 0.0 } else { step / theta },
            damping: 0.0,
            radius: self.longest(),
            accepted,
        });
    }
}

/// `s'J'J s`.
fn curvature(normal: &NormalEquations, step: &[f64]) -> f64 {
    let p = step.len();
    (0..p).map(|j| step[j] * (0..p).map(|k| normal.entry(j, k) * step[k]).sum::<f64>()).sum()
}

impl Procedure for WarmUp {
    fn demand(&self) -> Option<Request> {
        self.ending.is_none().then(|| Request::linearize(self.trial.clone(), self.costing))
    }

    fn take(&mut self, answer: Answer) {
        assert!(self.ending.is_none(), "a warm-up that is over takes no answer");
        let normal = answer.into_normal();
        assert_eq!(normal.n_free, self.lower.len(), "normal equations over the free parameters");
        self.passes += 1;
        let (asked, from) = (self.trial.clone(), self.here.clone());
        if self.best.is_none() {
            self.begin(normal.clone());
        } else {
            self.judge(normal.clone());
        }
        if self.ending.is_none() && self.passes >= self.max_passes {
            self.end(&format!("all {} passes of the warm-up are used", self.max_passes));
        }
        self.record(&asked, &normal, from.as_ref());
    }

    fn iteration(&self) -> Option<&Iteration> {
        self.last.as_ref()
    }
}

#[cfg(test)]
mod tests;
