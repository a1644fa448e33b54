//! From far away to the neighbourhood of a robust minimum.
//!
//! Far out a robust loss bends down, and little or nothing of its curvature is left for J'J: on the straight part of Huber's loss
//! and beyond the turning point of Cauchy's and arctan the exact curvature is floored at eps, J'J says next to nothing
//! about a gradient that is large, and early steps run to where the model is flat. So a fit first goes by the majorant
//! ([`Curvature::Majorant`]), whose steps never go too far, until every gradient cosine is small; then the exact curvature
//! takes over there, at the price of one pass. The minimum is the same: curvatures differ, the gradient does not.
//!
//! Of 300 curve fits (`tests/golden/reference.txt`), 240 of them under a robust loss:
//!
//! | | passes, median | converged | ended above the lowest cost known |
//! |---|---|---|---|
//! | without | 5,652, 14 | 298 | 20 |
//! | with | 3,785, 11 | 300 | 8 |
//! | SciPy's trf | 7,130, 14 | | 31 |

use super::Hybrid;
use crate::kernel::Curvature;
use crate::loss::LossKind;
use crate::summary::{Status, Summary};

/// The approach ends where every gradient cosine is at most this.
const NEAR: f64 = 1e-2;

/// Passes that an approach needs at least, with one for the exact curvature after it.
const LEAST_PASSES: u64 = 3;

/// When a fit approaches its minimum by the majorant curvature.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub enum ApproachRule {
    /// Under every loss but the linear one, with methods that have phases.
    #[default]
    Auto,
    /// Never.
    Never,
}

impl ApproachRule {
    /// All with the names used in job files.
    pub const NAMES: [(&'static str, ApproachRule); 2] = [("auto", ApproachRule::Auto), ("never", ApproachRule::Never)];
}

impl Hybrid {
    /// Takes the majorant curvature for the refinement about to begin, if that is of use.
    pub(super) fn approach(&mut self) {
        let minimizer = &self.options.minimizer;
        let of_use = self.costing.loss.kind != LossKind::Linear && minimizer.method.has_phases();
        let allowed = self.options.approach == ApproachRule::Auto && !minimizer.endless();
        if of_use && allowed && self.passes_left() >= LEAST_PASSES {
            self.costing.curvature = Curvature::Majorant;
        }
    }

    /// Options of a refinement while approaching: one pass is kept for the exact curvature.
    pub(super) fn approaching(&self, options: crate::minimize::Options) -> crate::minimize::Options {
        if self.costing.curvature == Curvature::Exact {
            return options;
        }
        let max_passes = options.max_passes.min(self.passes_left().saturating_sub(1)).max(1);
        crate::minimize::Options { gtol: NEAR, max_passes, ..options }
    }

    /// The approach is over: the exact curvature takes over where it ended. `false` if there was none.
    pub(super) fn after_approach(&mut self, summary: &Summary) -> bool {
        if self.costing.curvature == Curvature::Exact {
            return false;
        }
        self.costing.curvature = Curvature::Exact;
        if summary.status == Status::Failed {
            return false;
        }
        self.notes.push(format!("majorant curvature until pass {}: {}", self.passes, summary.reason));
        self.iterations = summary.iterations;
        self.refine(&summary.theta);
        true
    }
}
