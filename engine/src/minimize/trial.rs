//! Where to look next: the trial, and the correction of one that was rejected.

use super::Minimizer;
use super::lm::{Model, Step};
use super::point::Point;
use super::search::{Gain, Verdict};
use crate::linalg::norm;
use crate::saved::{Sound, Unsound, ensure};
use crate::summary::Side;

/// A correction is worth a pass if it promises to bring at least this part of the reduction first promised.
const CORRECTION_GAIN: f64 = 0.01;

/// S takes part only where most of the residual will stay what it is: where the offset is at most this ...
const BENT_OFFSET: f64 = 0.2;

/// ... or at most this while the last trial promised no more than [`BENT_GAIN`] of the cost. Elsewhere S is about to change
/// with the residual, and what was learned of it in a curved valley misleads: with S everywhere MGH10 is lost.
const BENT_OFFSET_SLOW: f64 = 0.5;

/// See [`BENT_OFFSET_SLOW`].
const BENT_GAIN: f64 = 1e-3;

/// A point asked for, and what the model promises there.
#[derive(Clone, Debug, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub(super) struct Trial {
    pub(super) theta: Vec<f64>,
    /// `|D s|`.
    pub(super) length: f64,
    pub(super) damping: f64,
    /// Whether radius or regularization cut the step.
    pub(super) cut: bool,
    /// The model's own step: cut neither by the radius nor by a bound on the way, and no correction.
    pub(super) full: bool,
    pub(super) predicted: f64,
    pub(super) slope: f64,
    /// Of a correction: the radius if it fails too.
    pub(super) fallback: Option<f64>,
}

impl Trial {
    /// No step: the point itself is asked for.
    pub(super) fn standing(theta: Vec<f64>) -> Self {
        Self { theta, length: 0.0, damping: 0.0, cut: false, full: false, predicted: 0.0, slope: 0.0, fallback: None }
    }
}

impl Minimizer {
    /// Asks for the next trial from the accepted point.
    pub(super) fn propose(&mut self, best: Point) {
        let mut model = Model::new(&best.normal, &best.theta, &self.scale, &self.lower, &self.upper);
        if self.bent_at(&best) {
            model = model.bent(&self.bend, &self.scale);
        }
        let step = model.step(self.radius, self.options.descent, self.options.regularization);
        let theta = self.landing(&best.theta, &step);
        if !self.options.endless() && (theta == best.theta || step.length <= f64::EPSILON * best.theta_length) {
            return self.give_up(best);
        }
        let taken = self.scaled_step(&best.theta, &theta);
        self.trial = Trial {
            theta,
            length: step.length,
            damping: step.damping,
            cut: step.cut,
            full: step.is_full(),
            predicted: model.reduction(&taken).max(0.0),
            slope: model.slope(&taken),
            fallback: None,
        };
        self.best = Some(best);
    }

    /// A second chance for a rejected trial: in a narrow curved valley a straight step ends on the wall, and what the
    /// model did not foresee there is the way back to the floor. The surprise is the gradient at the trial minus the one
    /// the model expected; undoing it with the trial's own J'J and damping is what geodesic acceleration does (Transtrum &
    /// Sethna, arXiv:1201.5885), without a further evaluation. It is tried once, if the trial's own model promises that
    /// the corrected point is better than the best. In the NIST fits it saves a third of all passes.
    ///
    /// True geodesic acceleration needs the second derivative along the step, and so one pass more for each trial. In a
    /// plain Levenberg-Marquardt it saves steps but not passes: 2,808 instead of 2,558 over the exam's NIST fits, 9,462
    /// instead of 7,341 over the others, with one fit of 177 more converged. It is not offered.
    pub(super) fn correction(&self, best: &Point, arrived: &Point, gain: &Gain, fallback: f64) -> Option<Trial> {
        if self.options.plain() || self.trial.fallback.is_some() || self.bent_at(best) || gain.drowned() {
            return None;
        }
        let before = Model::new(&best.normal, &best.theta, &self.scale, &self.lower, &self.upper);
        let there = Model::new(&arrived.normal, &arrived.theta, &self.scale, &self.lower, &self.upper);
        let step = there.back(&before, &self.scaled_step(&best.theta, &arrived.theta), self.trial.damping)?;
        let promised = best.normal.cost - (arrived.normal.cost - there.reduction(&step.u));
        // a NaN promises nothing
        if promised.is_nan() || promised < CORRECTION_GAIN * gain.predicted {
            return None;
        }
        let theta = self.landing(&arrived.theta, &step);
        let taken = self.scaled_step(&best.theta, &theta);
        // measured against the promise of the first trial, but along its own way
        let (length, slope) = (norm(&taken), before.slope(&taken));
        (theta != best.theta).then(|| Trial {
            theta,
            length,
            slope,
            full: false,
            fallback: Some(fallback),
            ..self.trial.clone()
        })
    }

    /// Whether S takes part in the step from a point.
    fn bent_at(&self, best: &Point) -> bool {
        let slow = self.trial.predicted <= BENT_GAIN * best.normal.cost;
        let limit = if slow { BENT_OFFSET_SLOW } else { BENT_OFFSET };
        // where J itself is kept, it is because J'J has lost digits, and S has no more than J'J
        let worthwhile = best.normal.triangle.is_none() && !self.options.plain();
        self.bend.active() && worthwhile && best.offset() <= limit
    }

    /// Which model foretold this trial better? And if it was accepted, what does it say about the curvature?
    pub(super) fn watch_the_bend(&mut self, best: &Point, arrived: &Point, gain: &Gain, verdict: Verdict) {
        let step: Vec<f64> = (0..best.theta.len()).map(|j| arrived.theta[j] - best.theta[j]).collect();
        let model = Model::new(&best.normal, &best.theta, &self.scale, &self.lower, &self.upper);
        let promised = model.reduction(&self.scaled_step(&best.theta, &arrived.theta));
        // where costs drown in rounding the gradients still tell which model is wrong, but not what to learn
        self.bend.compare(&step, promised, gain.witnessed());
        if verdict == Verdict::Accept && !gain.drowned() {
            self.bend.learn(&step, &best.normal, &arrived.normal);
        }
    }

    /// `D (to - from)`: what a step really is, after theta was rounded.
    pub(super) fn scaled_step(&self, from: &[f64], to: &[f64]) -> Vec<f64> {
        (0..from.len()).map(|j| self.scale[j] * (to[j] - from[j])).collect()
    }

    /// The point where a step leads: exactly on the bounds that hold it, never outside.
    fn landing(&self, theta: &[f64], step: &Step) -> Vec<f64> {
        let coordinate = |j: usize| match step.held[j] {
            Some(Side::Min) => self.lower[j],
            Some(Side::Max) => self.upper[j],
            None if step.u[j] == 0.0 => theta[j],
            None => (theta[j] + step.u[j] / self.scale[j]).clamp(self.lower[j], self.upper[j]),
        };
        (0..theta.len()).map(coordinate).collect()
    }
}

impl Sound for Trial {
    fn sound(&self, n_free: usize) -> Result<(), Unsound> {
        ensure(self.theta.len() == n_free, "a trial is not one over the free parameters")
    }
}
