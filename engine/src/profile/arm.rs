//! One arm of a profile: from the minimum in one direction, point after point, until every limit is found.

use serde::{Deserialize, Serialize};

use super::interpolate::{theta_at, where_cost_is};
use super::reached::{Held, Reached};
use super::refit::{Progress, Refit};
use super::{Solution, TAU_TOLERANCE};
use crate::normal::NormalEquations;
use crate::params::Parameters;
use crate::saved::{Sound, Unsound, are_bounds, ensure};

/// Points lie so far apart in tau, or an eighth of the way where that is more.
const WAYPOINT: f64 = 0.5;

/// A step is at most so many times as long as the way so far.
const GROWTH: f64 = 4.0;

/// Points of an arm, at most; an arm that is not done then is open.
const MOST_POINTS: usize = 32;

/// Times that an arm goes back half the way from where the model is not finite.
const MOST_RETREATS: u32 = 8;

/// The others are at their best if their refinement would change tau by less.
const TAU_ERROR: f64 = 1e-5;

/// A limit within an interval so narrow, relative to the distance, lies where the cost jumps.
const NARROW: f64 = 1e-6;

/// Why an arm ended.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// It has not.
    Unfinished,
    /// All limits are found.
    Complete,
    /// The parameter's bound is reached: beyond it there is nothing to know.
    Bound,
    /// The cost stays too low however far the parameter goes.
    Open,
    /// The model is not finite further out.
    NotFinite,
    /// A refit of the others did not converge.
    NoRefit,
}

/// An arm.
#[derive(Clone, Debug, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub(super) struct Arm {
    parameter: usize,
    direction: f64,
    /// By distance; the first is the minimum.
    points: Vec<Reached>,
    lower: Vec<f64>,
    upper: Vec<f64>,
    refit: Option<Refit>,
    /// The best point of the refit under way.
    best: Option<Reached>,
    /// The shortest distance at which the model was not finite.
    wall: f64,
    retreats: u32,
    end: End,
}

impl Arm {
    pub(super) fn new(parameters: &Parameters, solution: &Solution, parameter: usize, direction: f64) -> Self {
        let lower: Vec<f64> = parameters.iter_free().map(|p| p.min).collect();
        let upper: Vec<f64> = parameters.iter_free().map(|p| p.max).collect();
        let held = Held { parameter, direction, lower: &lower, upper: &upper };
        let minimum = Reached::new(held, solution, solution.theta.clone(), &solution.normal);
        let mut arm = Self {
            parameter,
            direction,
            points: vec![minimum],
            lower,
            upper,
            refit: None,
            best: None,
            wall: f64::INFINITY,
            retreats: 0,
            end: End::Unfinished,
        };
        arm.go_on(parameters, solution);
        arm
    }

    pub(super) fn parameter(&self) -> usize {
        self.parameter
    }

    pub(super) fn points(&self) -> &[Reached] {
        &self.points
    }

    pub(super) fn end(&self) -> End {
        self.end
    }

    /// The theta whose normal equations it waits for.
    pub(super) fn asked(&self) -> Option<Vec<f64>> {
        self.refit.as_ref().map(Refit::asked)
    }

    /// Takes the answer; whether a point of the profile was reached.
    pub(super) fn take(
        &mut self,
        parameters: &Parameters,
        solution: &Solution,
        theta: &[f64],
        normal: NormalEquations,
    ) -> bool {
        let refit = self.refit.as_mut().expect("an arm that asked has a refit under way");
        let progress = refit.take(&normal);
        let distance = (theta[self.parameter] - solution.theta[self.parameter]).abs();
        match progress {
            // a refit may end at an earlier point than the one just answered
            Progress::Converged if self.best.is_some() && !better(&normal, self.best.as_ref()) => {
                return self.reach(parameters, solution);
            }
            Progress::Converged | Progress::Accepted => {
                let held = self.held();
                let point = Reached::new(held, solution, theta.to_vec(), &normal);
                let settled = point.promise <= TAU_ERROR * solution.variance * point.tau.max(0.1);
                self.best = Some(point);
                if settled || progress == Progress::Converged {
                    return self.reach(parameters, solution);
                }
            }
            Progress::Rejected => {}
            Progress::NotFinite => {
                self.wall = self.wall.min(distance);
                self.retreats += 1;
                self.go_on(parameters, solution);
            }
            Progress::Failed => {
                self.refit = None;
                self.end = End::NoRefit;
            }
        }
        false
    }

    fn held(&self) -> Held<'_> {
        Held { parameter: self.parameter, direction: self.direction, lower: &self.lower, upper: &self.upper }
    }

    /// The refit is done: its point joins the others.
    fn reach(&mut self, parameters: &Parameters, solution: &Solution) -> bool {
        let point = self.best.take().expect("a refit that is done has a point");
        let at = self.points.partition_point(|known| known.distance < point.distance);
        self.points.insert(at, point);
        self.go_on(parameters, solution);
        true
    }

    /// The first pair of neighbours between which tau passes a value.
    fn crossing(&self, tau: f64) -> Option<(&Reached, &Reached)> {
        let above = self.points.iter().position(|point| point.tau > tau).filter(|&k| k > 0)?;
        Some((&self.points[above - 1], &self.points[above]))
    }

    /// The point at which tau is this value, within the tolerance.
    fn hit(&self, tau: f64) -> Option<&Reached> {
        self.points.iter().find(|point| (point.tau - tau).abs() <= TAU_TOLERANCE)
    }

    /// Where next? The limits one after another: between the points where tau passes it, else further out.
    fn go_on(&mut self, parameters: &Parameters, solution: &Solution) {
        (self.refit, self.best) = (None, None);
        let open = solution.criticals.iter().find(|critical| !self.found(critical.tau));
        let Some(critical) = open else {
            self.end = End::Complete;
            return;
        };
        if self.points.len() > MOST_POINTS || self.retreats > MOST_RETREATS {
            self.end = if self.wall.is_finite() { End::NotFinite } else { End::Open };
            return;
        }
        let start = match self.crossing(critical.tau) {
            Some((below, above)) => Ok(self.between(critical.tau, below, above, solution)),
            None => self.outward(critical.tau, solution),
        };
        match start {
            Ok(start) => self.refit = Some(Refit::new(parameters, self.parameter, &start)),
            Err(end) => self.end = end,
        }
    }

    fn found(&self, tau: f64) -> bool {
        let jump = |(below, above): (&Reached, &Reached)| above.distance - below.distance <= NARROW * above.distance;
        self.hit(tau).is_some() || self.crossing(tau).is_some_and(jump)
    }

    /// A start between two points, where the cubic through them has this tau.
    fn between(&self, tau: f64, below: &Reached, above: &Reached, solution: &Solution) -> Vec<f64> {
        let cost = solution.normal.cost + 0.5 * solution.variance * tau * tau;
        let width = above.distance - below.distance;
        let guess = where_cost_is(cost, below, above);
        // well inside: a guess at the very end would halve nothing
        let mut distance = guess.clamp(below.distance + 0.02 * width, above.distance - 0.02 * width);
        if self.points.len() > MOST_POINTS / 2 {
            distance = below.distance + 0.5 * width;
        }
        let theta = theta_at(distance, below, above);
        self.inside(theta, distance, solution)
    }

    /// A start further out than any point: where the quadratic through the last one expects the next waypoint.
    fn outward(&self, tau: f64, solution: &Solution) -> Result<Vec<f64>, End> {
        let last = self.points.last().expect("the minimum is a point");
        let j = self.parameter;
        let room =
            if self.direction > 0.0 { self.upper[j] - solution.theta[j] } else { solution.theta[j] - self.lower[j] };
        if last.distance >= room {
            return Err(End::Bound);
        }
        let waypoint = WAYPOINT.max(tau / 8.0);
        let next = if tau - last.tau <= 1.5 * waypoint { tau } else { last.tau + waypoint };
        // where the quadratic knows no way, the parameter's own size must do at first
        let (longest, blind) = if last.distance > 0.0 {
            (GROWTH * last.distance, GROWTH * last.distance)
        } else {
            (f64::INFINITY, 1e-3 * solution.theta[j].abs().max(1e-3))
        };
        let step = last.step_to(next, solution).unwrap_or(blind).min(longest);
        let mut distance = (last.distance + step).min(room);
        if distance >= self.wall {
            distance = 0.5 * (last.distance + self.wall);
        }
        let step = distance - last.distance;
        let theta = (0..last.theta.len()).map(|k| last.theta[k] + last.tangent[k] * step).collect();
        Ok(self.inside(theta, distance, solution))
    }

    /// Puts the held parameter at its distance, exactly on its bound where it is reached, and the others inside theirs.
    fn inside(&self, mut theta: Vec<f64>, distance: f64, solution: &Solution) -> Vec<f64> {
        theta[self.parameter] = solution.theta[self.parameter] + self.direction * distance;
        (0..theta.len()).map(|k| theta[k].clamp(self.lower[k], self.upper[k])).collect()
    }

    /// The value of the parameter where |tau| is this; `None` where the arm did not find it.
    pub(super) fn limit(&self, solution: &Solution, tau: f64) -> Option<f64> {
        let distance = match self.hit(tau) {
            Some(point) => {
                let correction = (tau - point.tau) / point.tau_slope(solution);
                point.distance + if correction.is_finite() { correction } else { 0.0 }
            }
            None if self.found(tau) => self.crossing(tau)?.1.distance,
            None => return None,
        };
        let value = solution.theta[self.parameter] + self.direction * distance;
        Some(value.clamp(self.lower[self.parameter], self.upper[self.parameter]))
    }
}

/// Whether these normal equations belong to a better point than the best so far.
fn better(normal: &NormalEquations, best: Option<&Reached>) -> bool {
    best.is_none_or(|best| normal.is_finite() && normal.cost < best.cost)
}

impl Sound for Arm {
    fn sound(&self, n_free: usize) -> Result<(), Unsound> {
        let held = self.parameter < n_free && self.refit.as_ref().is_none_or(|refit| refit.holds(self.parameter));
        ensure(held && are_bounds(&self.lower, &self.upper, n_free), "a profile is of no free parameter")?;
        self.points.sound(n_free)?;
        self.best.sound(n_free)?;
        self.refit.sound(n_free)?;
        let ascending = self.points.windows(2).all(|pair| pair[0].distance <= pair[1].distance);
        ensure(!self.points.is_empty() && ascending, "the points of a profile are not in order")
    }
}
