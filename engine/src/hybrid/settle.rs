//! When the estimated scale of a loss has settled.
//!
//! The scale is that of the residuals at the minimum, and the minimum depends on the scale: both are found in turn. As long
//! as the scale changes, the minimum need not be known better than the scale is, so it is sought roughly; once it has
//! settled, it is sought in full, and the scale is looked at once more. Of `scripts/fuzz_fits.py --first 1000 --count 600`
//! the 85 fits that estimate their scale and end where SciPy does take 21 passes instead of 28 (median), 27 instead of 41
//! (upper quartile).

use super::scale::Estimate;
use super::{Hybrid, Status, Summary};

/// The scale has settled when it changes by no more than this part: four times the error of the median.
pub(super) const SETTLED: f64 = 1e-3;

/// Times that the scale is estimated anew, at most.
const MOST_SCALES: u64 = 30;

/// From so many estimates on minima are sought in full: rough ones may be what keeps the scale from settling.
const MOST_ROUGH: u64 = 15;

/// The gradient cosine that ends a rough search.
const ROUGH: f64 = 1e-3;

impl Hybrid {
    /// Options of a refinement while the scale has not settled.
    pub(super) fn settling(&self, options: crate::minimize::Options) -> crate::minimize::Options {
        let gtol = if self.rough { options.gtol.max(ROUGH) } else { options.gtol };
        crate::minimize::Options { gtol, ..options }
    }

    pub(super) fn after_scale(&mut self, theta: &[f64], estimate: Estimate) {
        let factor = self.costing.loss.kind.efficient_scale();
        let before = self.costing.loss.scale;
        self.scales += 1;
        match (estimate, self.solution.take()) {
            (Estimate::Deviation(deviation), None) => {
                self.costing.loss.scale = factor * deviation;
                self.notes.push(format!("loss scale at the start: {:.4e}, from the median of |r|", factor * deviation));
                self.begin(theta);
            }
            (Estimate::Deviation(deviation), Some(solution)) => {
                let change = (factor * deviation / before - 1.0).abs();
                if change <= SETTLED {
                    self.notes.push(format!("loss scale {before:.4e} has settled: it would change by {change:.1e}"));
                    return self.settled(solution);
                }
                if self.scales >= MOST_SCALES || self.passes >= self.options.minimizer.max_passes {
                    return self.unsettled(solution, change);
                }
                self.costing.loss.scale = factor * deviation;
                self.notes.push(format!("loss scale: {before:.4e} to {:.4e}", factor * deviation));
                self.rough &= self.scales < MOST_ROUGH;
                self.refine(&solution.theta);
            }
            (_, Some(solution)) if self.rough => self.settled(solution),
            (Estimate::Zero, Some(mut solution)) => {
                solution.warnings.push(format!(
                    "the scale of the loss stays {before:.4e}: half of the points or more are met exactly, so the residuals have no scale of their own; give --loss-scale"
                ));
                self.finish(solution);
            }
            (_, Some(solution)) => self.finish(solution),
            // whatever keeps the start from having a scale, the minimizer's first pass says more about it
            (_, None) => {
                self.notes.push("the residuals at the start have no scale: the loss begins with 1".into());
                self.costing.loss.scale = 1.0;
                self.begin(theta);
            }
        }
    }

    /// The scale is what it will be. A minimum that was sought roughly is sought in full, and the scale looked at again.
    fn settled(&mut self, solution: Summary) {
        if !std::mem::take(&mut self.rough) {
            return self.finish(solution);
        }
        match self.passes_left() {
            0 => self.finish(self.out_of_passes(solution)),
            _ => self.refine(&solution.theta),
        }
    }

    /// The scale goes on changing, and no pass is left to follow it.
    fn unsettled(&mut self, mut solution: Summary, change: f64) {
        solution.warnings.push(format!(
            "the scale of the loss has not settled: it would change by {:.2} % again; give --loss-scale",
            100.0 * change
        ));
        if solution.status == Status::Converged {
            solution.status = Status::Stalled;
            solution.reason = format!("the scale of the loss has not settled after {} estimates", self.scales);
        }
        self.finish(solution);
    }
}
