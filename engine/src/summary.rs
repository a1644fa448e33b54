//! What a fit has to say for itself: iterations as they happen, and how it ended.

use serde::{Deserialize, Serialize};

use crate::normal::NormalEquations;
use crate::saved::{Sound, Unsound, ensure};

/// One pass of the fit, for log, progress, history and report.
#[derive(Clone, Debug, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Iteration {
    /// Number of the pass, from 1.
    pub pass: u64,
    /// The phase that asked for it.
    pub phase: Phase,
    /// Cost at the point that this pass evaluated (the lowest of several); NaN if the model was not finite there.
    pub cost: f64,
    /// Largest cosine between the residual and a column of J, at the best point so far.
    pub gradient_norm: f64,
    /// Length of the step that led here, in scaled parameters, relative to the length of theta.
    pub step_norm: f64,
    /// Levenberg-Marquardt damping of that step.
    pub damping: f64,
    /// Trust radius that the step had to keep, in the units of the residual.
    pub radius: f64,
    /// Whether the step was accepted.
    pub accepted: bool,
}

impl Iteration {
    /// A pass that evaluated no cost.
    pub fn without_point(pass: u64, phase: Phase) -> Self {
        Self {
            pass,
            phase,
            cost: f64::NAN,
            gradient_norm: f64::NAN,
            step_norm: 0.0,
            damping: 0.0,
            radius: f64::NAN,
            accepted: false,
        }
    }
}

/// The phases of a fit.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Several starts, or a whole box, are searched.
    Explore,
    /// The scale of a robust loss is estimated.
    Scale,
    /// Gradient descent, until Gauss-Newton can be trusted.
    WarmUp,
    /// Gauss-Newton under the majorant curvature of a robust loss, from far away.
    Approach,
    /// Gauss-Newton in a trust region.
    Refine,
    /// What the solution is worth is asked of all points once more.
    Finish,
    /// Parameters are held at values around the solution, the others refitted.
    Profile,
}

/// How a fit ended. Not converging is an outcome, not an error.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// A test on gradient, step or cost holds.
    Converged,
    /// The passes allowed are used up.
    MaxPasses,
    /// No step reduces the cost, yet no test holds.
    Stalled,
    /// Stopped from outside.
    Interrupted,
    /// The problem could not be evaluated.
    Failed,
}

/// The side on which a bound holds a parameter.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The lower bound.
    Min,
    /// The upper bound.
    Max,
}

/// How a fit ended and where. Vectors run over the free parameters, in the order of [`crate::params::Parameters::free`].
#[derive(Clone, Debug, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Summary {
    /// How it ended.
    pub status: Status,
    /// The inequality that ended it, with its numbers.
    pub reason: String,
    /// The best point that was accepted; the start if none was. `[n_free]`
    pub theta: Vec<f64>,
    /// The normal equations at that point.
    pub normal: NormalEquations,
    /// Accepted steps.
    pub iterations: u64,
    /// Passes answered.
    pub passes: u64,
    /// `max_j |g_j| / (||J_j|| sqrt(2 cost))` over the coordinates free to move; 0 where the cost is 0, NaN where the
    /// normal equations are not finite.
    pub gradient_norm: f64,
    /// `sqrt(2 predicted) / sqrt(2 cost)`, with the reduction predicted for the full Gauss-Newton step from here: what is
    /// left to gain, as a fraction of the residual's length. 0 where the cost is 0, NaN as above.
    pub offset: f64,
    /// Which bound holds a parameter: it equals the bound, and the cost would fall beyond it.
    pub at_bound: Vec<Option<Side>>,
    /// What a person should know.
    pub warnings: Vec<String>,
}

impl Sound for Summary {
    fn sound(&self, n_free: usize) -> Result<(), Unsound> {
        let lengths = self.theta.len() == n_free && self.at_bound.len() == n_free;
        ensure(lengths, "a solution is not over the free parameters")?;
        self.normal.sound(n_free)
    }
}
