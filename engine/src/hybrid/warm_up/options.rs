//! What can be chosen about the warm-up.

use crate::minimize::OptionsError;

/// How the warm-up descends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub enum Descent {
    /// Quasi-Newton with limited memory and a line search.
    #[default]
    Lbfgs,
    /// Gradient descent with a learning rate for each parameter (Kingma & Ba, arXiv:1412.6980). One pass a step, no search.
    Adam,
}

impl Descent {
    /// Both with the names used in job files.
    pub const NAMES: [(&'static str, Descent); 2] = [("lbfgs", Descent::Lbfgs), ("adam", Descent::Adam)];
}

/// When a line search is content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub enum LineSearch {
    /// With sufficient decrease and a slope that has flattened (strong Wolfe conditions).
    #[default]
    Wolfe,
    /// With sufficient decrease.
    Backtracking,
}

impl LineSearch {
    /// Both with the names used in job files.
    pub const NAMES: [(&'static str, LineSearch); 2] =
        [("wolfe", LineSearch::Wolfe), ("backtracking", LineSearch::Backtracking)];
}

/// How to warm up, and when to stop. Lengths of steps are in the units of [`super::super::normalize`]. Each threshold is
/// free of scale; 0 switches its test off.
#[derive(Clone, Debug, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct WarmUpOptions {
    /// How it descends.
    pub descent: Descent,
    /// Steps before any of the tests below may end it.
    pub min_iterations: u64,
    /// Steps after which it ends.
    pub max_iterations: u64,
    /// Ends when a step changed the cost by no more than this part of it.
    pub plateau: f64,
    /// Ends when the largest cosine between the residual and a column of J is no more than this.
    pub gradient: f64,
    /// Ends when the quadratic model of Gauss-Newton foretold the gain of a step to this part of it, twice in a row: the
    /// next phase can then be trusted with it.
    pub agreement: f64,
    /// Pairs of steps and gradients that L-BFGS remembers.
    pub history: usize,
    /// When L-BFGS takes a step.
    pub line_search: LineSearch,
    /// Length of the first step where `adaptive_first_step` is off.
    pub first_step: f64,
    /// Length of Adam's steps, per parameter.
    pub learning_rate: f64,
    /// First defence: no warm-up where the start is close to a minimum.
    pub warm_start_detection: bool,
    /// The start counts as close when its offset (see [`WarmUp`](super::WarmUp)) is no more than this.
    pub warm_start_threshold: f64,
    /// Second defence: the first step is as long as J'J says, not as `first_step` says.
    pub adaptive_first_step: bool,
    /// Third defence: Adam ends when the cost exceeds that of the start.
    pub cost_guard: bool,
    /// By more than this part of it.
    pub cost_increase_tolerance: f64,
    /// Fourth defence: no step is longer than `max_step`.
    pub step_clipping: bool,
    /// Length of the longest step.
    pub max_step: f64,
}

impl Default for WarmUpOptions {
    fn default() -> Self {
        Self {
            descent: Descent::Lbfgs,
            min_iterations: 2,
            max_iterations: 50,
            plateau: 1e-4,
            gradient: 1e-3,
            agreement: 0.25,
            history: 10,
            line_search: LineSearch::Wolfe,
            first_step: 0.1,
            learning_rate: 0.05,
            warm_start_detection: true,
            warm_start_threshold: 0.1,
            adaptive_first_step: true,
            cost_guard: true,
            cost_increase_tolerance: 0.05,
            step_clipping: true,
            max_step: 0.5,
        }
    }
}

impl WarmUpOptions {
    /// Refuses what makes no sense.
    pub fn check(&self) -> Result<(), OptionsError> {
        for (name, value) in [
            ("plateau threshold", self.plateau),
            ("gradient threshold", self.gradient),
            ("agreement threshold", self.agreement),
            ("warm start threshold", self.warm_start_threshold),
            ("cost increase tolerance", self.cost_increase_tolerance),
        ] {
            if !(value.is_finite() && value >= 0.0) {
                return Err(OptionsError::Tolerance { name, value });
            }
        }
        for (name, value) in
            [("first step", self.first_step), ("learning rate", self.learning_rate), ("max step", self.max_step)]
        {
            if !(value.is_finite() && value > 0.0) {
                return Err(OptionsError::Length { name, value });
            }
        }
        let counts = [("max iterations", self.max_iterations), ("history", self.history as u64)];
        match counts.into_iter().find(|(_, count)| *count == 0) {
            Some((name, _)) => Err(OptionsError::Zero { name }),
            None => Ok(()),
        }
    }
}
