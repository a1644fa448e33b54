//! What a fit amounts to: the solution, how well it is known, where the time went.

use nlsq_engine::covariance::{Covariance, CovarianceError, Variance, covariance, degrees_of_freedom};
use nlsq_engine::data::YStatistics;
use nlsq_engine::summary::{Phase, Summary};

use super::Problem;
use crate::crew::Crew;
use crate::outcome::{Outcome, ParameterOutcome, Seconds};

/// Where the procedures came to.
pub(super) struct Solution {
    pub(super) summary: Summary,
    /// The sum of score times score', if it was asked for.
    pub(super) scores: Option<Vec<f64>>,
    /// Passes of each phase.
    pub(super) phases: Vec<(Phase, u64)>,
}

/// The covariance; all unknown where the normal equations are not finite.
pub(super) fn known(problem: &Problem, solution: &Solution) -> Result<Covariance, CovarianceError> {
    let summary = &solution.summary;
    let variance = if problem.absolute_sigma { Variance::Absolute } else { Variance::Estimated };
    let p = problem.parameters.all().len();
    match covariance(&problem.parameters, &summary.normal, &summary.at_bound, variance) {
        Err(CovarianceError::NotFinite) => Ok(Covariance {
            matrix: vec![f64::NAN; p * p],
            stderr: vec![None; p],
            condition_number: f64::NAN,
            rank: 0,
            dof: degrees_of_freedom(summary.normal.counts.used, summary.normal.n_free)?,
            variance: f64::NAN,
            warnings: Vec::new(),
        }),
        known => known,
    }
}

pub(super) fn outcome(
    problem: &Problem,
    crew: &dyn Crew,
    statistics: &YStatistics,
    solution: Solution,
    covariance: Covariance,
    seconds: Seconds,
) -> Outcome {
    let Solution { summary, phases, .. } = solution;
    let values = problem.parameters.expand(&summary.theta);
    let mut at_bound = vec![None; values.len()];
    for (&j, side) in problem.parameters.free().iter().zip(&summary.at_bound) {
        at_bound[j] = *side;
    }
    let parameters = problem.parameters.all().iter().enumerate().map(|(j, p)| ParameterOutcome {
        name: p.name.clone(),
        value: values[j],
        stderr: covariance.stderr[j],
        start: p.start,
        min: p.min,
        max: p.max,
        fixed: p.fixed,
        at_bound: at_bound[j],
    });
    let normal = &summary.normal;
    let dof = covariance.dof;
    let of_model = problem.program.model().warnings().iter().map(|warning| format!("the model: {warning}"));
    let warnings = of_model.chain(summary.warnings).chain(covariance.warnings).collect();
    Outcome {
        status: summary.status,
        reason: summary.reason,
        model: problem.model.expression.clone(),
        parameters: parameters.collect(),
        counts: normal.counts,
        n_free: normal.n_free,
        dof,
        cost: normal.cost,
        rss: normal.rss,
        reduced_chi2: 2.0 * normal.cost / dof as f64,
        residual_stddev: (normal.rss / dof as f64).sqrt(),
        r_squared: 1.0 - normal.rss / statistics.m2,
        gradient_norm: summary.gradient_norm,
        condition_number: Some(covariance.condition_number).filter(|condition| condition.is_finite()),
        covariance: covariance.matrix,
        passes: summary.passes,
        iterations: summary.iterations,
        phases,
        warnings,
        device: crew.device(),
        workers: crew.workers(),
        generations: 1,
        seconds,
    }
}
