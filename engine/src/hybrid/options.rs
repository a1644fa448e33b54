//! What can be chosen about the phases of a fit.

use super::approach::ApproachRule;
use super::normalize::Normalization;
use super::tandem::Companion;
use super::warm_up::WarmUpOptions;
use crate::explore::{GlobalOptions, Region, StartsOptions};
use crate::kernel::Costing;
use crate::loss::LossKind;
use crate::minimize::{self, Method, OptionsError};
use crate::params::Parameters;

/// Where the scale of a robust loss comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub enum ScaleRule {
    /// It is given with the loss.
    #[default]
    Given,
    /// By the median absolute residual of all points, at the start and at each solution until it settles.
    Mad,
}

/// When the fit begins with a warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub enum WarmUpRule {
    /// When refinement stalls.
    #[default]
    Auto,
    /// Before refinement.
    Always,
    /// Never.
    Never,
}

impl WarmUpRule {
    /// All with the names used in job files.
    pub const NAMES: [(&'static str, WarmUpRule); 3] =
        [("auto", WarmUpRule::Auto), ("always", WarmUpRule::Always), ("never", WarmUpRule::Never)];
}

/// The choices for a whole fit.
#[derive(Clone, Debug, Default, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Options {
    /// Method, tolerances, passes.
    pub minimizer: minimize::Options,
    /// The loss, and how it is computed.
    pub costing: Costing,
    /// Where the scale of the loss comes from.
    pub scale: ScaleRule,
    /// Units of the parameters, for the warm-up and for the second descent.
    pub normalization: Normalization,
    /// When to approach a robust minimum by the majorant curvature. Only methods with phases do.
    pub approach: ApproachRule,
    /// When to warm up. Only methods with phases do ([`minimize::Method::has_phases`]).
    pub warm_up: WarmUpRule,
    /// How.
    pub warming: WarmUpOptions,
    /// When a second descent begins beside the first. Only methods with phases have one.
    pub companion: Companion,
    /// Passes of one refinement, at most; none: as many as are left of `max_passes`.
    pub max_refine_passes: Option<u64>,
    /// Ask for the sum of score times score' at the solution: the sandwich covariance needs it. One pass more, beyond
    /// `max_passes`; two under a loss that bends down.
    pub scores: bool,
    /// Several starts that compete. Not with [`Method::Global`].
    pub starts: StartsOptions,
    /// The search of [`Method::Global`].
    pub global: GlobalOptions,
}

impl Options {
    /// Refuses what contradicts itself or the problem.
    pub fn check(&self, parameters: &Parameters) -> Result<(), OptionsError> {
        if self.scale == ScaleRule::Mad && self.costing.loss.kind == LossKind::Linear {
            return Err(OptionsError::ScaleOfLinear);
        }
        if self.starts.starts == 0 {
            return Err(OptionsError::NoStarts);
        }
        if self.minimizer.method == Method::Global {
            if self.starts.starts > 1 {
                return Err(OptionsError::StartsWithGlobal { starts: self.starts.starts });
            }
            if self.warm_up == WarmUpRule::Always {
                return Err(OptionsError::GlobalWithWarmUp);
            }
            Region::between_bounds(parameters)?;
        }
        if self.starts.starts > 1 && self.warm_up == WarmUpRule::Always {
            return Err(OptionsError::StartsWithWarmUp { starts: self.starts.starts });
        }
        let begun = self.starts.starts > 1 || self.minimizer.method == Method::Global;
        let least = 1 + u64::from(begun) + u64::from(self.scale == ScaleRule::Mad);
        if (1..least).contains(&self.minimizer.max_passes) {
            return Err(OptionsError::FewPasses { max_passes: self.minimizer.max_passes, least });
        }
        self.warming.check()?;
        self.minimizer.check(parameters, &self.costing.loss)
    }
}
