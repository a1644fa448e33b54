//! The scale of a robust loss, estimated from the residuals of all points.
//!
//! `S = k median|r| / 0.6745`, k the loss's [`efficient scale`](crate::loss::LossKind::efficient_scale): the normalised median
//! absolute deviation about 0 is the standard deviation of normal noise, and up to half of the points may be anything
//! (Huber & Ronchetti, Robust Statistics, 2009, 5.1). The median is that of every point, not of a sample, to 2.5e-4 of it.

use crate::kernel::magnitudes::{Magnitudes, Median};
use crate::kernel::{Answer, Costing, Question, Request};
use crate::procedure::Procedure;
use crate::saved::{Sound, Unsound, ensure};
use crate::summary::{Iteration, Phase};

/// The median of |r| of normal noise with standard deviation 1 is 1 over this.
const NORMAL: f64 = 1.482_602_218_505_602;

/// Windows asked for, at most: the first, and the one that it says holds the median.
const MOST_PASSES: u64 = 2;

/// What came of an estimate.
#[derive(Clone, Copy, Debug, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub(super) enum Estimate {
    /// median|r| / 0.6745.
    Deviation(f64),
    /// Half of the residuals, or more, are 0.
    Zero,
    /// A residual is not finite.
    NotFinite,
}

/// Finds the normalised median absolute deviation at one theta, by one pass, or two if its size was not foreseen.
#[derive(Clone, Debug, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub(super) struct ScaleEstimate {
    theta: Vec<f64>,
    costing: Costing,
    octave: i32,
    passes: u64,
    estimate: Option<Estimate>,
    last: Option<Iteration>,
}

impl ScaleEstimate {
    /// At `theta`, where most |r| are expected to lie below `expected`.
    pub(super) fn new(theta: Vec<f64>, costing: Costing, expected: f64) -> Self {
        let octave = Magnitudes::octave_above(expected);
        Self { theta, costing, octave, passes: 0, estimate: None, last: None }
    }

    pub(super) fn theta(&self) -> &[f64] {
        &self.theta
    }

    pub(super) fn estimate(&self) -> Option<Estimate> {
        self.estimate
    }
}

impl Procedure for ScaleEstimate {
    fn demand(&self) -> Option<Request> {
        let question = Question::Magnitudes { theta: self.theta.clone(), octave: self.octave };
        self.estimate.is_none().then_some(Request { question, costing: self.costing })
    }

    fn take(&mut self, answer: Answer) {
        let Answer::Magnitudes(magnitudes) = answer else {
            panic!("the demand was for magnitudes, the answer is {answer:?}")
        };
        self.passes += 1;
        assert!(self.passes <= MOST_PASSES, "a window that misses the median says which one holds it");
        self.last = Some(Iteration::without_point(self.passes, Phase::Scale));
        match magnitudes.median() {
            Median::At(median) => self.estimate = Some(Estimate::Deviation(NORMAL * median)),
            Median::In(octave) => self.octave = octave,
            Median::Zero => self.estimate = Some(Estimate::Zero),
            Median::NotFinite => self.estimate = Some(Estimate::NotFinite),
        }
    }

    fn iteration(&self) -> Option<&Iteration> {
        self.last.as_ref()
    }
}

impl Sound for ScaleEstimate {
    fn sound(&self, n_free: usize) -> Result<(), Unsound> {
        ensure(self.theta.len() == n_free, "the scale is sought at no theta of the free parameters")?;
        ensure(Magnitudes::is_window(self.octave), "the window of magnitudes lies outside the numbers")?;
        ensure(self.passes < MOST_PASSES, "the scale has been sought too often")
    }
}
