//! What a pass evaluates at every point, and what its sums mean.

use serde::{Deserialize, Serialize};

use super::magnitudes::Magnitudes;
use crate::loss::Loss;
use crate::normal::{NormalEquations, Sums};

/// A pass: a question, and how residuals become costs in it.
///
/// To a procedure ([`crate::procedure::Procedure`]) a theta holds the free parameters, to a kernel all of them, fixed ones
/// included; [`Request::with_thetas`] leads from one to the other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// What is asked.
    pub question: Question,
    /// How residuals become costs.
    pub costing: Costing,
}

/// How a residual becomes a cost. It may change from pass to pass: the scale of a loss may be estimated on the way, and the
/// precision rise.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize,
)]
pub struct Costing {
    /// The loss with its scale.
    pub loss: Loss,
    /// What stands for the curvature of the loss in J'J.
    pub curvature: Curvature,
    /// In what the model is evaluated.
    pub precision: Precision,
    /// In what form J is summed.
    pub solver: Solver,
}

/// What stands for the curvature of a robust loss in J'J; the gradient is exact either way.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    rkyv::Archive,
    rkyv::Serialize,
    rkyv::Deserialize,
)]
pub enum Curvature {
    /// `rho' + 2 z rho''`, at least eps: that of the cost itself (Triggs et al. 1999), as SciPy's. Close to the minimum it
    /// converges like Gauss-Newton; far out, where a loss bends down, nothing is left of it.
    #[default]
    Exact,
    /// `rho'`, at least eps: that of the parabola in r that touches the loss at r and lies above it everywhere (iteratively
    /// reweighted least squares; Holland & Welsch, Commun. Stat. A 6 (1977) 813). A step of it never goes too far.
    Majorant,
    /// `eps - (rho' + 2 z rho'')` where that is above 0, and no gradient: what [`Curvature::Exact`] adds to the derivative of
    /// the gradient under a loss that bends down. The sandwich takes it off again.
    Excess,
}

/// In what form a linearising pass sums J.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    rkyv::Archive,
    rkyv::Serialize,
    rkyv::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Solver {
    /// As J'J alone.
    #[default]
    Normal,
    /// As J'J and as the triangle R of J = Q R, which keeps the digits that J'J loses where columns are nearly dependent.
    Tsqr,
}

impl Solver {
    /// All of them, with the names used in job files and flags.
    pub const NAMES: [(&'static str, Solver); 2] = [("normal", Solver::Normal), ("tsqr", Solver::Tsqr)];
}

/// In what the model and its derivatives are evaluated. Residuals, losses and sums are f64 either way.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    rkyv::Archive,
    rkyv::Serialize,
    rkyv::Deserialize,
)]
pub enum Precision {
    /// Double.
    #[default]
    #[serde(rename = "f64")]
    F64,
    /// Single: more points to a vector. What depends on theta alone is still computed in f64 and then rounded.
    #[serde(rename = "f32")]
    F32,
}

impl Precision {
    /// All of them, with the names used in job files and flags.
    pub const NAMES: [(&'static str, Precision); 2] = [("f64", Precision::F64), ("f32", Precision::F32)];

    /// The name used in job files and flags.
    pub fn name(self) -> &'static str {
        if self == Precision::F64 { "f64" } else { "f32" }
    }

    /// Distance from 1 to the next number.
    pub fn epsilon(self) -> f64 {
        if self == Precision::F64 { f64::EPSILON } else { f64::from(f32::EPSILON) }
    }
}

/// What is asked of every point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Question {
    /// Normal equations at each of several thetas, in one read of the points. For each, as
    /// [`NormalEquations::width`] lays them out.
    Linearize(Vec<Vec<f64>>),
    /// Cost and rss at each of several thetas, in one read: `[cost_0, rss_0, cost_1, rss_1, ...]`.
    Costs(Vec<Vec<f64>>),
    /// How many |r| fall into each bin below `2^octave`, laid out as [`Magnitudes`] says.
    Magnitudes {
        /// Where.
        theta: Vec<f64>,
        /// Upper end of the window of bins.
        octave: i32,
    },
    /// `sum_i s_i s_i'` with the scores `s_i = rho'(z_i) r_i grad r_i`, whose sum is the gradient of the cost: the middle of
    /// the sandwich. Packed as J'J. `[p (p + 1)/2]`
    Scores(Vec<f64>),
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// To [`Question::Linearize`], one for each theta. Sums that are not finite are an answer too.
    Linearized(Vec<NormalEquations>),
    /// To [`Question::Costs`], one cost for each theta; not finite where the model is not.
    Costs(Vec<f64>),
    /// To [`Question::Magnitudes`].
    Magnitudes(Magnitudes),
    /// To [`Question::Scores`].
    Scores(Vec<f64>),
}

impl Answer {
    /// The normal equations at the one theta asked for.
    ///
    /// # Panics
    /// If the answer is another.
    pub fn into_normal(self) -> NormalEquations {
        match self {
            Answer::Linearized(mut normal) if normal.len() == 1 => normal.remove(0),
            other => panic!("the demand was for normal equations at one theta, the answer is {other:?}"),
        }
    }
}

impl Request {
    /// Normal equations at one theta.
    pub fn linearize(theta: Vec<f64>, costing: Costing) -> Self {
        Self { question: Question::Linearize(vec![theta]), costing }
    }

    /// Costs at several thetas.
    pub fn costs(thetas: Vec<Vec<f64>>, costing: Costing) -> Self {
        Self { question: Question::Costs(thetas), costing }
    }

    /// The same question at other thetas.
    pub fn with_thetas(&self, theta: impl Fn(&[f64]) -> Vec<f64>) -> Self {
        let all = |thetas: &[Vec<f64>]| thetas.iter().map(|t| theta(t)).collect();
        let question = match &self.question {
            Question::Linearize(thetas) => Question::Linearize(all(thetas)),
            Question::Costs(thetas) => Question::Costs(all(thetas)),
            Question::Magnitudes { theta: at, octave } => Question::Magnitudes { theta: theta(at), octave: *octave },
            Question::Scores(at) => Question::Scores(theta(at)),
        };
        Self { question, costing: self.costing }
    }

    /// Number of sums that it takes, for `n_free` free parameters.
    pub fn width(&self, n_free: usize) -> usize {
        match &self.question {
            Question::Linearize(thetas) => thetas.len() * NormalEquations::width(n_free),
            Question::Costs(thetas) => 2 * thetas.len(),
            Question::Magnitudes { .. } => Magnitudes::WIDTH,
            Question::Scores(_) => n_free * (n_free + 1) / 2,
        }
    }

    /// The one theta at which every sum must be finite for the pass to be of use: a fault there is worth naming. `None`
    /// where several are tried and some may fail.
    pub fn only_theta(&self) -> Option<&[f64]> {
        match &self.question {
            Question::Linearize(thetas) if thetas.len() == 1 => Some(&thetas[0]),
            Question::Magnitudes { theta, .. } | Question::Scores(theta) => Some(theta),
            _ => None,
        }
    }

    /// Reads the sums of the whole dataset.
    pub fn answer(&self, n_free: usize, sums: &Sums) -> Answer {
        let totals = sums.totals();
        assert_eq!(totals.len(), self.width(n_free), "the sums are those of this request");
        match &self.question {
            Question::Linearize(_) => {
                let each = totals.chunks_exact(NormalEquations::width(n_free));
                let mut normal: Vec<_> = each.map(|t| NormalEquations::from_totals(n_free, t, sums.counts)).collect();
                for (normal, triangle) in normal.iter_mut().zip(&sums.triangles) {
                    normal.triangle = Some(triangle.clone());
                }
                Answer::Linearized(normal)
            }
            Question::Costs(_) => Answer::Costs(totals.chunks_exact(2).map(|pair| pair[0]).collect()),
            Question::Magnitudes { octave, .. } => Answer::Magnitudes(Magnitudes::from_totals(*octave, &totals)),
            Question::Scores(_) => Answer::Scores(totals),
        }
    }
}
