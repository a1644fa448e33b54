//! Warnings that say what is wrong, how badly, and what to do. A clean fit gives none.

use super::{Evidence, Health};
use crate::covariance::directions::combination;
use crate::covariance::{Covariance, Variance};
use crate::loss::LossKind;
use crate::params::Parameters;

/// Correlations beyond this are worth a warning: errors are then over three times those with the other parameter known.
const CORRELATED: f64 = 0.95;
/// Pairs that are named.
const PAIRS: usize = 3;

/// Decades beyond which a model counts as sloppy (Gutenkunst et al., PLoS Comput. Biol. 3 (2007) e189).
const SLOPPY: f64 = 6.0;
/// Digits of the standard errors below which some are lost that people read. Below 2 rank counts as missing, and other words
/// are found.
const ACCURATE: f64 = 4.0;

/// Reduced chi squares this many standard deviations from 1 do not happen by accident.
const CHI_SIGNIFICANT: f64 = 4.0;
/// Residuals that differ from sigma by less than this fraction are not worth a warning.
const CHI_WORTH: f64 = 0.1;

/// `digits` of the standard errors are right. `rooted`: they come from the triangle of J, not from its square.
pub(super) fn conditioning(health: &Health, digits: f64, rooted: bool) -> Option<String> {
    let decades = health.sloppiness.filter(|decades| *decades >= SLOPPY)?;
    let weakest = &health.identifiability.weakest;
    let terms: Vec<(f64, &str)> = weakest.iter().map(|part| (part.component, part.parameter.as_str())).collect();
    let digits = match digits < ACCURATE {
        true => format!(
            ", and only about {:.0} digits of the standard errors are right{}",
            digits.max(1.0),
            if rooted { "" } else { "; --solver tsqr keeps more" }
        ),
        false => String::new(),
    };
    Some(format!(
        "the data determine some combinations of parameters far better than others (eigenvalues of the scaled J'J span \
         {decades:.1} decades, condition number {:.1e}{digits}); the weakest is {} in units of each parameter's own \
         sensitivity: fix one of these parameters, reparametrise the model, or add data that tell them apart",
        health.identifiability.condition.unwrap_or(f64::INFINITY),
        combination(&terms),
    ))
}

pub(super) fn correlations(parameters: &Parameters, covariance: &Covariance) -> Option<String> {
    let p = parameters.all().len();
    let mut pairs: Vec<(f64, usize, usize)> = Vec::new();
    for j in 0..p {
        for k in j + 1..p {
            pairs.extend(covariance.correlation[j * p + k].filter(|c| c.abs() > CORRELATED).map(|c| (c, j, k)));
        }
    }
    pairs.sort_by(|a, b| b.0.abs().total_cmp(&a.0.abs()));
    let name = |j: usize| &parameters.all()[j].name;
    let show = |&(c, j, k): &(f64, usize, usize)| format!("{} and {} ({})", name(j), name(k), shown(c));
    let listed: Vec<String> = pairs.iter().take(PAIRS).map(show).collect();
    let more = match pairs.len().saturating_sub(PAIRS) {
        0 => String::new(),
        1 => ", and one more pair".to_string(),
        left => format!(", and {left} more pairs"),
    };
    (!listed.is_empty()).then(|| {
        format!(
            "strongly correlated: {}{more}; one can make up for the other, so each is known far less well than with the \
             other one given: fix one, reparametrise the model, or add data where they act differently",
            listed.join(", ")
        )
    })
}

/// As many digits as tell a correlation from 1.
fn shown(correlation: f64) -> String {
    let apart = 1.0 - correlation.abs();
    let decimals = (3..12).find(|&d| apart >= 10f64.powi(-d)).map_or(12, |d| d as usize);
    format!("{correlation:.decimals$}")
}

pub(super) fn chi_square(evidence: &Evidence<'_>) -> Option<String> {
    if evidence.variance != Variance::Absolute || evidence.loss != LossKind::Linear {
        return None;
    }
    let dof = evidence.covariance.dof as f64;
    let chi = 2.0 * evidence.normal.cost / dof;
    let spread = (2.0 / dof).sqrt();
    let ratio = chi.sqrt();
    let matters = (chi - 1.0).abs() > CHI_SIGNIFICANT * spread && (ratio - 1.0).abs() > CHI_WORTH;
    matters.then(|| {
        let (finding, causes) = match ratio > 1.0 {
            true => ("larger", "the model misses something, or sigma is too small: plot the residuals against x"),
            false => ("smaller", "sigma is too large, or the model has taken up noise"),
        };
        format!(
            "residuals are {finding} than sigma says, {ratio:.3} of it (reduced chi square {chi:.4}, expected 1 +- \
             {spread:.1e}): {causes}. The standard errors rest on sigma as given; without --absolute-sigma they would be \
             {ratio:.3} of that"
        )
    })
}
