//! From single to double precision: when a fit that began in f32 goes on in f64, and from where.
//!
//! ```text
//! f32 passes ── a reason ──> one f64 pass at the best point, or where its full step leads ──> f64 passes to the end
//! ```
//!
//! f32 is for the way, not for the answer: whatever would end a fit, and whatever rounding may have a part in, is looked at
//! again in f64. After the first reason no pass is f32 any more, and the last pass of a fit is always f64. D, the radius and
//! the bend are kept.

use super::ending::Ending;
use super::point::{Point, column_lengths, scaled_length};
use super::search::DROWNED;
use super::trial::Trial;
use super::{Minimizer, Status};
use crate::kernel::Precision;
use crate::linalg::norm;
use crate::normal::NormalEquations;

/// f32 roundings of a model's value and of theta that the gradient may be made of.
const ROUNDINGS: f64 = 4.0;

/// A trial that promised no more than this part of the cost and failed may have failed by rounding.
const SMALL_PROMISE: f64 = 1e-4;

/// So many trials rejected in a row leave it to f64 to say why.
const MOST_REJECTIONS: u32 = 2;

/// That a fit went over to f64.
#[derive(Clone, Debug, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Rise {
    /// Passes answered in f32.
    pub passes: u64,
    /// Why, in words.
    pub reason: String,
}

/// Trials rejected in f32 since the last one that was accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub(super) struct Rejections {
    pub(super) count: u32,
    /// What the last of them promised.
    pub(super) promised: f64,
    /// Its sums were not finite.
    pub(super) overflow: bool,
}

impl Minimizer {
    /// That the fit went over to f64; `None` if it is still in f32, or began in f64.
    pub fn rise(&self) -> Option<&Rise> {
        self.rise.as_ref()
    }

    /// The precision of the pass that it waits for.
    pub fn precision(&self) -> Precision {
        self.costing.precision
    }

    /// Goes on in f64 if there is a reason.
    pub(super) fn guard_precision(&mut self) {
        if self.costing.precision == Precision::F32
            && let Some(reason) = self.doubt()
        {
            self.go_double(reason);
        }
    }

    /// Why the next pass should be f64, if it should.
    fn doubt(&self) -> Option<String> {
        if let Some(ending) = &self.ending {
            return Some(format!("in f32 the fit would end: {}", ending.reason));
        }
        if self.passes + 1 >= self.options.max_passes {
            return Some("one pass is left".into());
        }
        let best = self.best.as_ref()?;
        let noise = noise(best);
        if best.gradient_norm <= noise {
            return Some(format!("the gradient is at the rounding of f32: {:.1e} <= {noise:.1e}", best.gradient_norm));
        }
        if best.offset() <= noise {
            return Some(format!(
                "what is left to gain is at the rounding of f32: offset = {:.1e} <= {noise:.1e}",
                best.offset()
            ));
        }
        let Rejections { count, promised, overflow } = self.rejections;
        if count > 0 && overflow {
            return Some("the model is not finite in f32 at a trial".into());
        }
        if count > 0 && promised <= (DROWNED * best.cost_rounding).max(SMALL_PROMISE * best.normal.cost) {
            return Some("a trial was rejected that promised no more than f32 can tell".into());
        }
        (count >= MOST_REJECTIONS).then(|| format!("{count} trials were rejected in a row"))
    }

    /// From here on passes are f64. The next one is where the full step from the best point leads, if that point was
    /// accepted just now; else at the best point itself.
    fn go_double(&mut self, reason: String) {
        self.rise = Some(Rise { passes: self.passes, reason });
        self.costing.precision = Precision::F64;
        self.roughness = 0.0;
        self.tried_full = false;
        let ended = self.ending.take().is_some();
        // without a point nothing but the start has been looked at: it is asked for again
        let Some(best) = self.best.take() else { return };
        let last_pass = self.passes + 1 >= self.options.max_passes;
        if ended || last_pass || self.rejections.count > 0 || !self.trial.full {
            self.trial = Trial::standing(best.theta.clone());
        }
        self.left = Some(best);
    }

    /// The first f64 pass after others: from here on as if the fit had come here in f64. A trial that turns out worse than
    /// the point it was to improve on is given up for that point.
    pub(super) fn land(&mut self, left: Point, normal: NormalEquations) {
        let moved = self.trial.theta != left.theta;
        let worse = !normal.is_finite() || normal.cost > left.normal.cost + left.cost_rounding;
        if moved && worse && self.passes < self.options.max_passes {
            self.record(&normal, left.gradient_norm, false);
            self.trial = Trial::standing(left.theta.clone());
            self.left = Some(left);
            return;
        }
        if !normal.is_finite() {
            self.record(&normal, f64::NAN, false);
            let reason = format!("not finite in f64 where f32 was: {}", self.not_finite(&normal));
            self.ending = Some(Ending { status: Status::Failed, reason, at_start: Some(normal) });
            return;
        }
        self.scale = self.scale_with(&normal);
        let point = self.point(self.trial.theta.clone(), normal);
        self.record(&point.normal, point.gradient_norm, moved);
        if moved {
            self.iterations += 1;
            let length = norm(&self.scaled_step(&left.theta, &point.theta));
            self.radius = self.radius.max(2.0 * length);
        }
        self.settle(point, None);
    }
}

/// The part of the residual's direction that roundings of f32 can feign: those of the model's value, whose terms have the
/// size `|J_j theta_j|`, and of theta where it meets x. Relative to the residual's length, as the gradient norm and the
/// offset are.
fn noise(point: &Point) -> f64 {
    let model_length = scaled_length(&point.theta, &column_lengths(&point.normal));
    let residual = (2.0 * point.normal.cost).sqrt();
    ROUNDINGS * Precision::F32.epsilon() * (1.0 + model_length / residual)
}
