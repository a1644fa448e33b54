//! Profile likelihoods after a fit, in the same generation.

use std::sync::Arc;

use nlsq_engine::covariance::{Variance, degrees_of_freedom};
use nlsq_engine::hybrid::Hybrid;
use nlsq_engine::kernel::Costing;
use nlsq_engine::profile::{Better, Profile, Profiler, Solution, criticals};
use nlsq_engine::saved::to_bytes;
use nlsq_engine::summary::{Status, Summary};

use super::session::{Session, Stop};
use crate::checkpoint::Sections;

/// Follows the profiles that the problem asks for. What must be said is added to the warnings of the summary, and the passes to its
/// own. Passes of profiles are beyond max_passes: each arm has a bound of its own.
///
/// `under_way` are those of a checkpoint. Stopped before they are complete, the fit counts as interrupted: it may go on.
pub(super) fn follow(
    session: &mut Session<'_>,
    fit: &Hybrid,
    under_way: Option<Profiler>,
    summary: &mut Summary,
) -> Result<Vec<Profile>, Stop> {
    let costing = fit.costing();
    let problem = session.problem;
    if problem.profile.is_empty() {
        return Ok(Vec::new());
    }
    let variance = if problem.absolute_sigma { Variance::Absolute } else { Variance::Estimated };
    let dof = degrees_of_freedom(summary.normal.counts.used, summary.normal.n_free).map_err(|e| Stop::Run(e.into()))?;
    let scale = match variance {
        Variance::Absolute => 1.0,
        Variance::Estimated => {
            let penalty = problem.penalty(&summary.theta, summary.normal.counts.used);
            2.0 * (summary.normal.cost - penalty) / dof as f64
        }
    };
    // residuals that are roundings of y: their cost has no digits to follow
    let rounding = 8.0 * f64::EPSILON;
    let exact = scale == 0.0 || summary.normal.rss <= rounding * rounding * session.loaded.statistics.m2;
    if summary.status != Status::Converged || exact {
        let why = if exact { "the fit is exact" } else { "the fit has not converged" };
        summary.warnings.push(format!("no profile was followed: {why}"));
        return Ok(Vec::new());
    }
    let solution = Solution {
        theta: summary.theta.clone(),
        normal: summary.normal.clone(),
        costing: Costing { loss: costing.loss, solver: costing.solver, ..Costing::default() },
        variance: scale,
        criticals: criticals(dof, variance),
    };
    let free: Vec<&str> = problem.parameters.iter_free().map(|p| p.name.as_str()).collect();
    // Problem::profile may be set by hand: names that are not free are refused before the fit
    let wanted: Vec<usize> = problem.profile.iter().filter_map(|name| free.iter().position(|f| f == name)).collect();
    let mut profiler = under_way.unwrap_or_else(|| Profiler::new(&problem.parameters, solution, &wanted));
    let before = *session.record.fit_passes.get_or_insert(session.record.passes);
    // the fit is over: its archive stays what it is
    let archive = Arc::new(to_bytes(fit).expect("numbers and texts written to memory make an archive"));
    let sections = |profiler: &Profiler| Sections {
        fit: Arc::clone(&archive),
        profiles: Some(to_bytes(profiler).expect("numbers and texts written to memory make an archive")),
    };
    match session.run(&mut profiler, sections, |_, _, _| {}) {
        Ok(()) => {}
        Err(Stop::Asked(reason)) => {
            summary.warnings.push(format!("the profiles were stopped: {reason}"));
            summary.reason = format!("{reason} while profiles were followed; of the fit itself: {}", summary.reason);
            summary.status = Status::Interrupted;
        }
        Err(stop) => return Err(stop),
    }
    summary.passes += session.record.passes - before;
    if let Some(better) = profiler.better() {
        summary.warnings.push(failed(&free, better, summary.normal.cost));
    }
    Ok(profiler.profiles())
}

fn failed(names: &[&str], better: &Better, cost: f64) -> String {
    let values: Vec<String> =
        names.iter().zip(&better.theta).map(|(name, value)| format!("{name}={value:e}")).collect();
    format!(
        "the fit did not find the minimum: a profile met the cost {:e}, below {cost:e}; fit again from there: --p0 '{}'",
        better.cost,
        values.join(",")
    )
}
