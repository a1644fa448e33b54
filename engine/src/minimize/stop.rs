//! When a fit is over. Each test is one inequality; all are free of scale, so units of parameters and of y do not matter.
//!
//! [`converged`] is asked at accepted points only: that a step was rejected says nothing about the minimum. [`floor`] is
//! asked when no step can show progress any more because costs differ by less than their rounding; it then looks at the
//! accepted point, not at the step.

use super::options::Options;
use super::point::Point;

/// At the rounding floor: no offset above this is put down to rounding, whatever its estimate.
const FLOOR_OFFSET: f64 = 1e-6;

/// At the rounding floor: the length of the full Gauss-Newton step, relative to theta, below which it does.
/// Decides for fits so exact that their residual is itself made of roundings, where the offset means nothing.
const FLOOR_STEP: f64 = 1e-8;

/// At the rounding floor: the offset may be so many times the roughness that the cost showed on the way.
const FLOOR_ROUGHNESS: f64 = 100.0;

/// A residual may be made of roundings while its cost is at most this many times the bound on its rounding: while it is
/// below about 4e-13 of the model's terms. Lanczos1, exact to 13 digits, has 1e-13.
const MADE_OF_ROUNDINGS: f64 = 100.0;

/// Short steps and small promises end a fit only where the cosine between residual and columns is below this: a step can
/// be short for other reasons than a minimum, and a bound nearby can hide what there is to gain.
const STATIONARY: f64 = 1e-6;

/// A gradient as small as gtol ends a fit only where the offset is at most this many times gtol: with columns that are nearly
/// dependent, small cosines leave steps of the condition number times their size, and digits that one more pass would bring.
/// A polynomial of degree 9 on [0, 1] (condition 2.4e6) ended with 3.6 digits instead of 7.8.
const POLISHED: f64 = 3.0;

/// The accepted step that led to a point.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    /// `|D s|`.
    pub(super) length: f64,
    /// Neither radius, bounds nor a correction made it another step than the model's own.
    pub(super) full: bool,
}

/// The test that holds at an accepted point, with its numbers. `arrival` is `None` at the start.
pub(super) fn converged(point: &Point, arrival: Option<Arrival>, options: &Options) -> Option<String> {
    gradient(point, options.gtol)
        .or_else(|| gain(point, options.ftol))
        .or_else(|| arrival.and_then(|step| self::step(point, step, options.xtol)))
}

/// `max_j |g_j| / (|J_j| sqrt(2 cost)) <= gtol`.
fn gradient(point: &Point, gtol: f64) -> Option<String> {
    if gtol == 0.0 {
        return None;
    }
    if point.normal.cost == 0.0 {
        return Some("gtol: the cost is exactly 0".into());
    }
    (point.gradient_norm <= gtol && point.offset() <= POLISHED * gtol)
        .then(|| format!("gtol: max |g_j| / (|J_j| sqrt(2 cost)) = {:.2e} <= {gtol:e}", point.gradient_norm))
}

/// `sqrt(2 predicted) <= ftol sqrt(2 cost)`.
fn gain(point: &Point, ftol: f64) -> Option<String> {
    (ftol > 0.0 && point.offset() <= ftol && stationary(point)).then(|| {
        format!("ftol: sqrt(predicted reduction / cost) of the Gauss-Newton step = {:.2e} <= {ftol:e}", point.offset())
    })
}

/// `|D s| <= xtol |D theta|`, the step not cut by anything and the gradient small.
fn step(point: &Point, step: Arrival, xtol: f64) -> Option<String> {
    let short = step.full && step.length <= xtol * point.theta_length;
    (xtol > 0.0 && short && stationary(point)).then(|| {
        format!("xtol: |D s| / |D theta| of the last step = {:.2e} <= {xtol:e}", step.length / point.theta_length)
    })
}

/// Whether the gradient is small, or the fit so exact that the cosine is one between roundings.
fn stationary(point: &Point) -> bool {
    point.gradient_norm <= STATIONARY || exact(point)
}

/// Whether what is left to gain is below the rounding of the cost, the step left would not move theta, and the residual may
/// be made of roundings: the bound on the cost's rounding has them all act together, and alone it excuses too much where
/// noise is 1e-8 of the signal.
fn exact(point: &Point) -> bool {
    let rounded = point.normal.cost <= MADE_OF_ROUNDINGS * point.cost_rounding;
    rounded && point.attainable <= point.cost_rounding && point.full_length <= FLOOR_STEP * point.theta_length
}

/// Whether a point from which no step shows progress is the minimum as far as f64 can tell: its offset is no more than
/// rounding explains, by estimate or by the `roughness` seen, or the residual itself is made of roundings. Where columns
/// of J are combinations of others the offset is blind to them, and nothing is put down to rounding.
pub(super) fn floor(point: &Point, roughness: f64) -> Option<String> {
    let offset = point.offset();
    let explained = (point.offset_rounding + FLOOR_ROUGHNESS * roughness).min(FLOOR_OFFSET);
    if point.offset_rounding.is_finite() && offset <= explained && point.gradient_norm <= STATIONARY {
        return Some(format!(
            "rounding floor: costs differ by no more than their rounding, which explains an offset of {explained:.1e}; offset = {offset:.2e}"
        ));
    }
    exact(point).then(|| {
        format!(
            "rounding floor: the residual is made of roundings; |D s| / |D theta| of the Gauss-Newton step = {:.2e} <= {FLOOR_STEP:e}",
            point.full_length / point.theta_length
        )
    })
}
