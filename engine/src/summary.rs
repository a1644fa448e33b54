//! What a fit has to say for itself: iterations as they happen, and how it ended.

use serde::{Deserialize, Serialize};

/// One pass of the fit, for log, progress, history and report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Iteration {
    /// Number of the pass, from 1.
    pub pass: u64,
    /// The phase that asked for it.
    pub phase: Phase,
    /// Cost at the point that this pass evaluated; NaN if the model was not finite there.
    pub cost: f64,
    /// Largest cosine between the residual and a column of J, at the best point so far.
    pub gradient_norm: f64,
    /// Length of the step that led here, in scaled parameters, relative to the length of theta.
    pub step_norm: f64,
    /// Levenberg-Marquardt damping of that step.
    pub damping: f64,
    /// Trust radius that the step had to keep.
    pub radius: f64,
    /// Whether the step was accepted.
    pub accepted: bool,
}

/// The phases of a fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Gauss-Newton in a trust region.
    Refine,
}

/// How a fit ended. Not converging is an outcome, not an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
