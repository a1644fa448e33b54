//! What a fit amounts to: the solution, how well it is known, where the time went.

use nlsq_engine::covariance::{Covariance, CovarianceError, Kind, Variance, covariance, degrees_of_freedom, sandwich};
use nlsq_engine::data::YStatistics;
use nlsq_engine::health::Evidence;
use nlsq_engine::loss::Loss;
use nlsq_engine::params::Parameter;
use nlsq_engine::profile::Profile;
use nlsq_engine::summary::{Phase, Status, Summary};

use super::Problem;
use crate::outcome::{Outcome, ParameterOutcome, Seconds, Sigma};

/// Where the procedures came to.
pub(super) struct Solution {
    pub(super) summary: Summary,
    /// The sum of score times score', if it was asked for.
    pub(super) scores: Option<Vec<f64>>,
    /// What J'J holds too much, under a loss that bends down.
    pub(super) excess: Option<Vec<f64>>,
    /// Under which loss the solution was found.
    pub(super) loss: Loss,
    /// In what the model was evaluated, in words.
    pub(super) precision: String,
    /// Passes of each phase.
    pub(super) phases: Vec<(Phase, u64)>,
    /// Costs of the last passes that were counted alike.
    pub(super) costs: Vec<f64>,
    /// What is known of the standard deviations of the points.
    pub(super) sigma: Sigma,
    /// The price on the spread of groups at the solution; no part of the summary's cost.
    pub(super) penalty: f64,
    pub(super) profiles: Vec<Profile>,
    /// What was decided on the way.
    pub(super) notes: Vec<String>,
}

/// The covariance; all unknown where the normal equations are not finite.
pub(super) fn known(problem: &Problem, solution: &Solution) -> Result<Covariance, CovarianceError> {
    let Solution { summary, scores, excess, .. } = solution;
    let (parameters, normal, at_bound) = (&problem.parameters, &summary.normal, &summary.at_bound);
    let dof = degrees_of_freedom(normal.counts.used, normal.n_free)?;
    let kind = if scores.is_some() { Kind::Sandwich } else { Kind::Classic };
    let mut known = match scores {
        Some(scores) => sandwich(parameters, normal, at_bound, scores, excess.as_deref()),
        None => covariance(parameters, normal, at_bound, variance(problem)),
    };
    if known == Err(CovarianceError::NotFinite) {
        known = Ok(Covariance::unknown(parameters, dof, kind));
    }
    let mut known = known?;
    if kind == Kind::Sandwich && normal.is_finite() && known.variance.is_nan() {
        known.warnings.push("the sums of the sandwich covariance overflow: scale the data by a power of ten".into());
    }
    if kind == Kind::Classic && problem.options.scores && normal.is_finite() {
        known.warnings.push(
            "the fit ended before the pass that the sandwich covariance needs: the standard errors are classic ones"
                .into(),
        );
    }
    Ok(known)
}

fn variance(problem: &Problem) -> Variance {
    if problem.absolute_sigma { Variance::Absolute } else { Variance::Estimated }
}

/// Who evaluated the points.
pub(super) struct RanOn {
    pub(super) device: String,
    pub(super) workers: usize,
    pub(super) generations: u64,
}

pub(super) fn outcome(
    problem: &Problem,
    ran_on: RanOn,
    statistics: &YStatistics,
    solution: Solution,
    covariance: Covariance,
    seconds: Seconds,
) -> Outcome {
    let parameters = parameters(problem, &solution.summary, &covariance);
    let evidence = Evidence {
        parameters: &problem.parameters,
        normal: &solution.summary.normal,
        covariance: &covariance,
        variance: variance(problem),
        loss: problem.options.costing.loss.kind,
        scatter: statistics.m2,
        converged: solution.summary.status == Status::Converged,
        costs: &solution.costs,
    };
    let found = evidence.normal.is_finite();
    let health = found.then(|| evidence.health());
    let advice = if found { evidence.warnings() } else { Vec::new() };
    let Solution { summary, phases, sigma, precision, profiles, notes, loss, penalty, .. } = solution;
    let normal = &summary.normal;
    let dof = covariance.dof;
    let of_model = problem.program.model().warnings().iter().map(|warning| format!("the model: {warning}"));
    let warnings = of_model.chain(summary.warnings).chain(covariance.warnings).chain(advice).collect();
    Outcome {
        status: summary.status,
        reason: summary.reason,
        model: problem.model.expression.clone(),
        parameters,
        counts: normal.counts,
        n_free: normal.n_free,
        dof,
        cost: normal.cost,
        penalty: problem.group_variance.is_some().then_some(penalty),
        rss: normal.rss,
        reduced_chi2: 2.0 * normal.cost / dof as f64,
        residual_stddev: (normal.rss / dof as f64).sqrt(),
        r_squared: 1.0 - normal.rss / statistics.m2,
        gradient_norm: summary.gradient_norm,
        condition_number: Some(covariance.condition_number).filter(|condition| condition.is_finite()),
        covariance: covariance.matrix,
        covariance_kind: covariance.kind,
        correlation: covariance.correlation,
        confidence: problem.confidence.value(),
        sigma,
        health,
        loss,
        passes: summary.passes,
        iterations: summary.iterations,
        phases,
        warnings,
        profiles,
        notes,
        device: ran_on.device,
        precision,
        workers: ran_on.workers,
        generations: ran_on.generations,
        seconds,
    }
}

fn parameters(problem: &Problem, summary: &Summary, covariance: &Covariance) -> Vec<ParameterOutcome> {
    let values = problem.parameters.expand(&summary.theta);
    let mut at_bound = vec![None; values.len()];
    for (&j, side) in problem.parameters.free().iter().zip(&summary.at_bound) {
        at_bound[j] = *side;
    }
    let quantile = problem.confidence.quantile(covariance.dof, variance(problem));
    let of = |(j, p): (usize, &Parameter)| ParameterOutcome {
        name: p.name.clone(),
        value: values[j],
        stderr: covariance.stderr[j],
        ci: covariance.stderr[j].map(|stderr| [values[j] - quantile * stderr, values[j] + quantile * stderr]),
        start: p.start,
        min: p.min,
        max: p.max,
        fixed: p.fixed,
        at_bound: at_bound[j],
    };
    problem.parameters.all().iter().enumerate().map(of).collect()
}
