//! What can be chosen about the phases of a fit.

use serde::{Deserialize, Serialize};

use crate::kernel::Costing;
use crate::loss::LossKind;
use crate::minimize::{self, OptionsError};
use crate::params::Parameters;

/// Where the scale of a robust loss comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScaleRule {
    /// It is given with the loss.
    #[default]
    Given,
    /// By the median absolute residual of all points, at the start and at each solution until it settles.
    Mad,
}

/// The choices for a whole fit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Options {
    /// Method, tolerances, passes.
    pub minimizer: minimize::Options,
    /// The loss, and how it is computed.
    pub costing: Costing,
    /// Where the scale of the loss comes from.
    pub scale: ScaleRule,
    /// Ask for the sum of score times score' at the solution: the sandwich covariance needs it. One pass more, beyond
    /// `max_passes`.
    pub scores: bool,
}

impl Options {
    /// Refuses what contradicts itself or the problem.
    pub fn check(&self, parameters: &Parameters) -> Result<(), OptionsError> {
        if self.scale == ScaleRule::Mad && self.costing.loss.kind == LossKind::Linear {
            return Err(OptionsError::ScaleOfLinear);
        }
        self.minimizer.check(parameters, &self.costing.loss)
    }
}
