//! How healthy a fit is, from its last normal equations and the costs of its passes: what is well determined, what is
//! not, and what to do about it. No further pass over the points, and no score: each figure means something by itself.

mod advice;
mod whiteness;

use serde::{Deserialize, Serialize};

use crate::covariance::{Covariance, Variance};
use crate::loss::LossKind;
use crate::normal::NormalEquations;
use crate::params::Parameters;

pub use whiteness::Whiteness;

/// Passes that together brought less than this fraction of the whole reduction count as stagnation.
pub const STAGNATION: f64 = 1e-3;

/// A parameter takes part in the weakest direction, as far as people are told, from this component on.
const PART: f64 = 0.1;

/// Figures of merit of a fit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// What the data determine.
    pub identifiability: Identifiability,
    /// `max |J_j| / min |J_j|` over the free parameters that no bound holds: how far their units are apart. None if a
    /// column is 0.
    pub gradient_balance: Option<f64>,
    /// Last passes that together brought less than [`STAGNATION`] of the whole reduction of the cost.
    pub stagnation: u64,
    /// Decades that the eigenvalues of J'J span in columns of length 1. None if rank is missing.
    pub sloppiness: Option<f64>,
    /// Correlation of the residuals of neighbouring points; none where nothing but rounding is left.
    pub lag1: Option<f64>,
}

/// What the data determine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Identifiability {
    /// Directions that they determine.
    pub rank: usize,
    /// Free parameters that no bound holds: directions there are.
    pub directions: usize,
    /// Condition number of J in columns of length 1; none if rank is missing.
    pub condition: Option<f64>,
    /// The direction that they determine least, the largest component first.
    pub weakest: Vec<Component>,
}

/// A parameter's part in a direction of unit length, in units of 1/|J_j|.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Component {
    /// Its name.
    pub parameter: String,
    /// From -1 to 1; the largest of a direction is positive.
    pub component: f64,
}

/// What health is judged from.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// The parameters.
    pub parameters: &'a Parameters,
    /// The normal equations at the solution.
    pub normal: &'a NormalEquations,
    /// The covariance there.
    pub covariance: &'a Covariance,
    /// Whether sigma is known.
    pub variance: Variance,
    /// The loss.
    pub loss: LossKind,
    /// Scatter of y about its mean, `sum w (y - mean)^2`, w = 1/sigma^2.
    pub scatter: f64,
    /// Whether the fit has converged: what residuals say elsewhere is about the way there.
    pub converged: bool,
    /// Cost found by each pass, as far as they were counted the same way; NaN where the model was not finite.
    pub costs: &'a [f64],
}

impl Evidence<'_> {
    /// The figures.
    pub fn health(&self) -> Health {
        let covariance = self.covariance;
        let full = !covariance.eigenvalues.is_empty() && covariance.rank == covariance.moving.len();
        let condition = Some(covariance.condition_number).filter(|c| full && c.is_finite());
        let lengths = covariance.lengths.iter().copied();
        let balance = lengths.clone().reduce(f64::max).zip(lengths.reduce(f64::min)).map(|(max, min)| max / min);
        Health {
            identifiability: Identifiability {
                rank: covariance.rank,
                directions: covariance.moving.len(),
                condition,
                weakest: self.weakest(),
            },
            gradient_balance: balance.filter(|ratio| ratio.is_finite()),
            stagnation: stagnation(self.costs),
            sloppiness: condition.map(|condition| 2.0 * crate::math::log10(condition)),
            lag1: self.whiteness().map(|white| white.lag1),
        }
    }

    /// What a person should know and do; empty for a clean fit. Of the covariance's own warnings none is repeated.
    pub fn warnings(&self) -> Vec<String> {
        let health = self.health();
        let findings = [
            advice::conditioning(&health, self.digits(&health), self.normal.triangle.is_some()),
            advice::correlations(self.parameters, self.covariance),
            advice::chi_square(self),
            self.whiteness().filter(|_| self.converged).and_then(Whiteness::warning),
        ];
        findings.into_iter().flatten().collect()
    }

    /// About how many digits of the standard errors are right. A sum has 16, of which the inverse of J'J loses one for each
    /// decade that its eigenvalues span, the triangle of J half as many.
    fn digits(&self, health: &Health) -> f64 {
        let lost = if self.normal.triangle.is_some() { 0.5 } else { 1.0 };
        16.0 - lost * health.sloppiness.unwrap_or(0.0)
    }

    fn whiteness(&self) -> Option<Whiteness> {
        Whiteness::of(self.normal, self.scatter)
    }

    fn weakest(&self) -> Vec<Component> {
        let name = |a: usize| self.parameters.all()[self.covariance.moving[a]].name.clone();
        let direction = &self.covariance.weakest;
        let mut order: Vec<usize> = (0..direction.len()).filter(|&a| direction[a].abs() >= PART).collect();
        // rounding must not decide between parts of one size: the first stays first
        let size = |a: usize| (direction[a].abs() / 1e-9).round();
        order.sort_by(|&a, &b| size(b).total_cmp(&size(a)));
        let sign = order.first().map_or(1.0, |&a| direction[a].signum());
        order.into_iter().map(|a| Component { parameter: name(a), component: sign * direction[a] }).collect()
    }
}

/// How many of the last passes together brought less than [`STAGNATION`] of the reduction from the first cost to the best.
fn stagnation(costs: &[f64]) -> u64 {
    let mut best = f64::INFINITY;
    let best_after: Vec<f64> = costs
        .iter()
        .map(|cost| {
            best = best.min(*cost); // a NaN changes nothing
            best
        })
        .collect();
    let Some(first) = best_after.iter().copied().find(|cost| cost.is_finite()) else { return 0 };
    let left = |cost: &f64| cost - best;
    let idle = best_after.iter().rev().take_while(|cost| left(cost) <= STAGNATION * left(&first)).count();
    // the first of these is the pass that brought the cost there
    idle.saturating_sub(1) as u64
}

#[cfg(test)]
mod tests;
