//! Compares a model's derivatives with differences, at points and parameters of the user's choice.
//!
//! Each difference is central and twice extrapolated (Richardson: steps h, h/2, h/4, error O(h^6)), tried over a ladder of h
//! from 4 % of the parameter down; of those that the next shorter one confirms, the rung with the smallest estimated error
//! (disagreement of the two extrapolations, plus rounding) counts. A point says nothing, and gives no alarm, where no rung agrees with itself to a part in a million: where the
//! model jumps, where a side is not finite, or where forward and backward difference keep their distance as h shrinks (a kink).

use crate::expr::Model;
use crate::expr::graph::{Graph, NodeId};

/// Largest h relative to the parameter; not a power of two, so that periodic models do not repeat at it.
const LARGEST_STEP: f64 = 0.0437;
/// Each rung of the ladder is this much shorter.
const RUNG: f64 = 8.0;
/// Number of rungs.
const RUNGS: i32 = 9;
/// A difference counts if its estimated error, relative to the slope, is below this.
const COMPARABLE: f64 = 1e-6;
/// The next rung must confirm an estimate this well: a periodic model seen at whole periods agrees with itself by chance.
const CONFIRMED: f64 = 1e-2;
/// Derivative and difference disagree if they are further apart than this, relative to the slope.
const ALARM: f64 = 1e-5;
/// Slopes below this fraction of value/parameter are compared on that scale instead of their own.
const FLOOR: f64 = 1e-6;

/// What the comparison found.
#[derive(Clone, Debug, PartialEq)]
pub struct GradientCheck {
    /// One entry for each parameter asked for.
    pub parameters: Vec<SlopeCheck>,
}

impl GradientCheck {
    /// Whether no derivative disagrees.
    pub fn passed(&self) -> bool {
        self.parameters.iter().all(|check| check.verdict != Verdict::Disagrees)
    }
}

/// What was found for one parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct SlopeCheck {
    /// Position among the model's parameters.
    pub parameter: usize,
    /// The outcome.
    pub verdict: Verdict,
    /// How many points could be compared.
    pub compared: usize,
    /// The point of the largest disagreement.
    pub worst: Option<Disagreement>,
}

/// The outcome for one parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Derivative and differences agree at every point that could be compared.
    Agrees,
    /// They do not.
    Disagrees,
    /// No point could be compared.
    Undecided,
}

/// Derivative and difference at one point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Disagreement {
    /// Position among the points.
    pub point: usize,
    /// The model's derivative.
    pub derivative: f64,
    /// The extrapolated central difference.
    pub difference: f64,
    /// Their distance relative to the slope; infinite if the derivative is not finite.
    pub scaled: f64,
}

/// Checks the derivatives with respect to the parameters `free` at `theta`. Each point has one value for each variable.
pub fn check(model: &Model, points: &[Vec<f64>], theta: &[f64], free: &[usize]) -> GradientCheck {
    let (graph, roots) = model.graph().pruned(&[model.value()]);
    let derivatives: Vec<Vec<f64>> = points.iter().map(|point| model.evaluate(point, theta).1).collect();
    let mut check = GradientCheck { parameters: Vec::with_capacity(free.len()) };
    for &parameter in free {
        let mut compared = 0;
        let mut worst: Option<Disagreement> = None;
        for (point, x) in points.iter().enumerate() {
            let line = Line { graph: &graph, root: roots[0], variables: x, theta, parameter };
            let Some(found) = line.compare(point, derivatives[point][parameter]) else { continue };
            compared += 1;
            if worst.is_none_or(|known| found.scaled > known.scaled) {
                worst = Some(found);
            }
        }
        let verdict = match worst {
            None => Verdict::Undecided,
            Some(worst) if worst.scaled > ALARM => Verdict::Disagrees,
            Some(_) => Verdict::Agrees,
        };
        check.parameters.push(SlopeCheck { parameter, verdict, compared, worst });
    }
    check
}

/// The model at one point as a function of one parameter.
struct Line<'a> {
    graph: &'a Graph,
    root: NodeId,
    variables: &'a [f64],
    theta: &'a [f64],
    parameter: usize,
}

/// A difference with an estimate of its error.
#[derive(Clone, Copy, Debug)]
struct Estimate {
    slope: f64,
    error: f64,
}

impl Line<'_> {
    fn at(&self, value: f64) -> f64 {
        let mut theta = self.theta.to_vec();
        theta[self.parameter] = value;
        self.graph.evaluate(self.variables, &theta)[self.root.index()]
    }

    /// None where the differences say nothing.
    fn compare(&self, point: usize, derivative: f64) -> Option<Disagreement> {
        let center = self.theta[self.parameter];
        let size = if center == 0.0 { 1.0 } else { center.abs() };
        let value = self.at(center);
        if !value.is_finite() {
            return None;
        }
        let floor = FLOOR * value.abs() / size;
        let best = self.difference(value, size, floor)?;
        let trusted = best.slope.abs().max(floor);
        if best.error > COMPARABLE * trusted.max(f64::MIN_POSITIVE) && best.error > 0.0 {
            return None;
        }
        let scale = if derivative.is_finite() { trusted.max(derivative.abs()) } else { trusted };
        let distance = (derivative - best.slope).abs();
        let scaled = match () {
            () if !derivative.is_finite() => f64::INFINITY,
            () if distance == 0.0 => 0.0,
            () => distance / scale,
        };
        Some(Disagreement { point, derivative, difference: best.slope, scaled })
    }

    /// The confirmed estimate with the smallest error.
    fn difference(&self, value: f64, size: f64, floor: f64) -> Option<Estimate> {
        let step = |rung: i32| size * LARGEST_STEP / RUNG.powi(rung);
        let rungs: Vec<_> = (0..=RUNGS).map(|rung| self.estimate(value, size, step(rung))).collect();
        let confirmed = rungs.windows(2).filter_map(|pair| {
            let (estimate, next) = (pair[0]?, pair[1]?);
            let allowed = CONFIRMED * estimate.slope.abs().max(floor) + next.error;
            ((next.slope - estimate.slope).abs() <= allowed).then_some(estimate)
        });
        confirmed.min_by(|a, b| a.error.total_cmp(&b.error))
    }

    /// The extrapolated difference with steps h, h/2, h/4; none at a jump, a kink, or where a side is not finite.
    fn estimate(&self, value: f64, size: f64, h: f64) -> Option<Estimate> {
        let center = self.theta[self.parameter];
        let mut slopes = [0.0; 3];
        let mut gaps = [0.0; 3];
        let mut largest = value.abs();
        for k in 0..3 {
            let step = h / f64::from(1 << k);
            let (above, below) = (center + step, center - step);
            let (up, down) = (self.at(above), self.at(below));
            largest = largest.max(up.abs()).max(down.abs());
            slopes[k] = (up - down) / (above - below);
            gaps[k] = ((up - value) - (value - down)) / step;
        }
        let once = [(4.0 * slopes[1] - slopes[0]) / 3.0, (4.0 * slopes[2] - slopes[1]) / 3.0];
        let slope = (16.0 * once[1] - once[0]) / 15.0;
        let noise = 8.0 * f64::EPSILON * (largest + slope.abs() * size) / h;
        let error = (slope - once[1]).abs() + noise;
        // the gap between forward and backward difference is h f'': a quarter of it is left if the model is smooth
        let kink = gaps[2].abs() > 0.5 * gaps[0].abs() && gaps[2].abs() > COMPARABLE * slope.abs() + 4.0 * noise;
        (error.is_finite() && !kink).then_some(Estimate { slope, error })
    }
}
