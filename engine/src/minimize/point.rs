//! An accepted point and what its normal equations say about it.

use super::lm::Model;
use crate::kernel::Precision;
use crate::linalg::norm;
use crate::normal::NormalEquations;
use crate::saved::{Sound, Unsound, ensure};
use crate::summary::Side;

/// Relative rounding of a cost: a sum of squares whose residuals carry a few roundings each. 450 roundings of f64.
const COST_ROUNDING: f64 = 1e-13;

/// Roundings of the model's value, relative to the size of the terms that make it: so many epsilons of its precision.
const MODEL_ROUNDINGS: f64 = 8.0;

/// The offset at the rounding floor may be so many times its estimated rounding.
const OFFSET_ROUNDINGS: f64 = 32.0;

/// Sums of squares below this have terms without all their digits: the least normal number over the rounding.
const LEAST_SQUARE: f64 = f64::MIN_POSITIVE / f64::EPSILON;

/// A point with finite normal equations.
#[derive(Clone, Debug, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub(super) struct Point {
    pub(super) theta: Vec<f64>,
    pub(super) normal: NormalEquations,
    /// `max_j |g_j| / (|J_j| sqrt(2 cost))` over the coordinates free to move, at most 1.
    pub(super) gradient_norm: f64,
    /// Reduction of the cost that the full Gauss-Newton step promises; infinite if there is no such step.
    pub(super) attainable: f64,
    /// `|D s|` of that step.
    pub(super) full_length: f64,
    /// `|D theta|`.
    pub(super) theta_length: f64,
    /// Differences of cost below this are rounding.
    pub(super) cost_rounding: f64,
    /// The offset that rounding of the sums and of the model's value can feign; infinite if columns of J are combinations
    /// of others.
    pub(super) offset_rounding: f64,
}

impl Point {
    /// `scale` is D, `bounds` the lower and the upper ones, `precision` that of the pass that found the normal equations.
    pub(super) fn new(
        theta: Vec<f64>,
        normal: NormalEquations,
        scale: &[f64],
        bounds: (&[f64], &[f64]),
        precision: Precision,
    ) -> Self {
        let (lower, upper) = bounds;
        let model = Model::new(&normal, &theta, scale, lower, upper);
        let full = model.gauss_newton();
        let residual = (2.0 * normal.cost).sqrt();
        let model_length = scaled_length(&theta, &column_lengths(&normal));
        let value_rounding = MODEL_ROUNDINGS * precision.epsilon() * model_length;
        Self {
            gradient_norm: gradient_norm(&theta, &normal, lower, upper),
            // with dependent columns the step leaves some still: never promise less than one of them alone could bring
            attainable: full.as_ref().map_or(f64::INFINITY, |step| model.reduction(&step.u).max(model.best_of_one())),
            full_length: full.map_or(f64::INFINITY, |step| step.length),
            theta_length: scaled_length(&theta, scale),
            // the terms of the model have the size |J_j theta_j|: what they round to, the residual cannot resolve
            cost_rounding: COST_ROUNDING * normal.cost + value_rounding * residual,
            offset_rounding: offset_rounding(&model, &normal, value_rounding, residual),
            theta,
            normal,
        }
    }

    /// Asked at the start: whether squares of residuals are so small that they lose their digits or vanish. A cost of 0
    /// with a derivative at each parameter is an exact fit; with a derivative whose squares vanish too it may be either.
    pub(super) fn underflow(&self) -> Option<String> {
        let lost = |value: f64| value > 0.0 && value < LEAST_SQUARE;
        let (cost, p) = (self.normal.cost, self.normal.n_free);
        let diagonal = || (0..p).map(|j| self.normal.entry(j, j));
        if lost(cost) {
            return Some(format!(
                "squares underflow: the cost at the start is {cost:e}; rescale y (residuals near 1e-150 or less)"
            ));
        }
        (cost == 0.0 && diagonal().any(|d| d < LEAST_SQUARE) && diagonal().any(|d| d > 0.0)).then(|| {
            "squares underflow: at the start the cost is 0, and so is a derivative of the model; rescale y if its values are near 1e-150 or less".into()
        })
    }

    /// `sqrt(2 attainable) / sqrt(2 cost)`, the relative offset of Bates & Watts (Technometrics 23 (1981) 179) without
    /// its factor of degrees of freedom: the part of the residual that lies in the plane of the columns of J.
    pub(super) fn offset(&self) -> f64 {
        if self.normal.cost == 0.0 { 0.0 } else { (self.attainable / self.normal.cost).sqrt() }
    }
}

/// What the normal equations at a point say about it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outlook {
    /// As in [`crate::summary::Summary::gradient_norm`].
    pub(crate) gradient_norm: f64,
    /// As in [`crate::summary::Summary::offset`].
    pub(crate) offset: f64,
    /// No column of J is a combination of others, as far as J'J tells.
    pub(crate) independent: bool,
}

/// The outlook at theta inside its bounds.
pub(crate) fn outlook(theta: &[f64], normal: &NormalEquations, lower: &[f64], upper: &[f64]) -> Outlook {
    let scale = column_lengths(normal);
    let condition = Model::new(normal, theta, &scale, lower, upper).condition();
    let point = Point::new(theta.to_vec(), normal.clone(), &scale, (lower, upper), Precision::F64);
    let independent = condition.is_finite() && scale.iter().all(|&length| length > 0.0);
    Outlook { gradient_norm: point.gradient_norm, offset: point.offset(), independent }
}

/// See [`Point::offset_rounding`]. A gradient off by `eps sqrt(n)` of `|J_j| |r|` moves the offset by up to that times the
/// condition of J; a residual off by the rounding of the model's value moves it by that relative to the residual.
fn offset_rounding(model: &Model, normal: &NormalEquations, value_rounding: f64, residual: f64) -> f64 {
    let sums = f64::EPSILON * (normal.counts.used as f64).sqrt() * model.condition();
    let value = if residual > 0.0 { value_rounding / residual } else { 0.0 };
    OFFSET_ROUNDINGS * (sums + value)
}

/// `|J_j|`. `[p]`
pub(super) fn column_lengths(normal: &NormalEquations) -> Vec<f64> {
    (0..normal.n_free).map(|j| normal.entry(j, j).sqrt()).collect()
}

/// `|D theta|` with the diagonal D.
pub(super) fn scaled_length(theta: &[f64], scale: &[f64]) -> f64 {
    norm(&theta.iter().zip(scale).map(|(t, d)| t * d).collect::<Vec<_>>())
}

/// The bound that holds each parameter: it equals the bound, and the cost would fall beyond it.
pub(super) fn active_bounds(theta: &[f64], gradient: &[f64], lower: &[f64], upper: &[f64]) -> Vec<Option<Side>> {
    let side = |j: usize| {
        if theta[j] == lower[j] && gradient[j] > 0.0 {
            Some(Side::Min)
        } else if theta[j] == upper[j] && gradient[j] < 0.0 {
            Some(Side::Max)
        } else {
            None
        }
    };
    (0..theta.len()).map(side).collect()
}

/// The largest cosine between the residual and a column of J, over the coordinates free to move. 0 where the cost is 0.
fn gradient_norm(theta: &[f64], normal: &NormalEquations, lower: &[f64], upper: &[f64]) -> f64 {
    let residual = (2.0 * normal.cost).sqrt();
    let active = active_bounds(theta, &normal.jtr, lower, upper);
    let lengths = column_lengths(normal);
    // a robust loss that flattens every point which sees a parameter leaves almost nothing of its column, but not of its
    // gradient: the ratio then exceeds any cosine and says no more than 'far from the minimum'
    let cosine = |j: usize| (normal.jtr[j].abs() / lengths[j] / residual).min(1.0);
    let movable = (0..normal.n_free).filter(|&j| active[j].is_none() && lengths[j] > 0.0 && residual > 0.0);
    movable.map(cosine).fold(0.0, f64::max)
}

impl Sound for Point {
    fn sound(&self, n_free: usize) -> Result<(), Unsound> {
        let numbers = self.theta.len() == n_free && self.theta.iter().all(|value| !value.is_nan());
        ensure(numbers, "an accepted point is not one over the free parameters")?;
        self.normal.sound(n_free)
    }
}
