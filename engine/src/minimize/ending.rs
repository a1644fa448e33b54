//! How a fit ended, and what it has to say.

use super::Minimizer;
use super::point::{Point, active_bounds};
use crate::normal::NormalEquations;
use crate::saved::{Sound, Unsound, are_bounds, ensure};
use crate::summary::{Side, Status, Summary};

/// Why a fit is over.
#[derive(Clone, Debug, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub(super) struct Ending {
    pub(super) status: Status,
    pub(super) reason: String,
    /// The answer at a start that could not be evaluated.
    pub(super) at_start: Option<NormalEquations>,
}

impl Minimizer {
    /// Ends the fit from outside, at the best point so far. `None` before the first answer.
    pub fn interrupt(&self, reason: &str) -> Option<Summary> {
        let ending = Ending { status: Status::Interrupted, reason: reason.into(), at_start: None };
        self.best.as_ref().or(self.left.as_ref()).map(|best| self.summary_at(best, &ending))
    }

    pub(super) fn end(&mut self, status: Status, reason: String) {
        self.ending = Some(Ending { status, reason, at_start: None });
    }

    /// Which sums are not finite, in words.
    pub(super) fn not_finite(&self, normal: &NormalEquations) -> String {
        if !normal.cost.is_finite() {
            return format!("the cost is {}", normal.cost);
        }
        let p = normal.n_free;
        let bad = (0..p).find(|&j| !(normal.jtr[j].is_finite() && (0..p).all(|k| normal.entry(j, k).is_finite())));
        let name = bad.map_or("?", |j| &self.names[j]);
        format!("the cost is {}, but a derivative with respect to {name} is not finite", normal.cost)
    }

    /// How it ended; `None` before.
    pub fn summary(&self) -> Option<Summary> {
        let ending = self.ending.as_ref()?;
        if let Some(best) = self.best.as_ref().or(self.left.as_ref()) {
            return Some(self.summary_at(best, ending));
        }
        Some(Summary {
            status: ending.status,
            reason: ending.reason.clone(),
            theta: self.trial.theta.clone(),
            normal: ending.at_start.clone().expect("a fit without an accepted point failed at its start"),
            iterations: 0,
            passes: self.passes,
            gradient_norm: f64::NAN,
            offset: f64::NAN,
            at_bound: vec![None; self.names.len()],
            warnings: Vec::new(),
        })
    }

    fn summary_at(&self, best: &Point, ending: &Ending) -> Summary {
        let at_bound = active_bounds(&best.theta, &best.normal.jtr, &self.lower, &self.upper);
        Summary {
            status: ending.status,
            reason: ending.reason.clone(),
            theta: best.theta.clone(),
            normal: best.normal.clone(),
            iterations: self.iterations,
            passes: self.passes,
            gradient_norm: best.gradient_norm,
            offset: best.offset(),
            warnings: self.warnings(best, &at_bound),
            at_bound,
        }
    }

    fn warnings(&self, best: &Point, at_bound: &[Option<Side>]) -> Vec<String> {
        let mut warnings = Vec::new();
        for (j, name) in self.names.iter().enumerate() {
            match at_bound[j] {
                Some(Side::Min) => warnings.push(at_bound_warning(name, "lower", self.lower[j])),
                Some(Side::Max) => warnings.push(at_bound_warning(name, "upper", self.upper[j])),
                None if best.normal.entry(j, j) == 0.0 => warnings.push(format!(
                    "{name} has no influence on the model at the solution: its derivative is 0 at every point, and it stayed at {}",
                    best.theta[j]
                )),
                None => {}
            }
        }
        warnings
    }
}

fn at_bound_warning(name: &str, side: &str, bound: f64) -> String {
    format!(
        "{name} ended at its {side} bound {bound}: it has no standard error, and those of the others take it as known; widen \
         the bound if it was a guess"
    )
}

impl Sound for Minimizer {
    fn sound(&self, n_free: usize) -> Result<(), Unsound> {
        let lengths = self.names.len() == n_free && self.scale.len() == n_free;
        ensure(lengths && are_bounds(&self.lower, &self.upper, n_free), "a descent is not over the free parameters")?;
        self.bend.sound(n_free)?;
        self.trial.sound(n_free)?;
        self.best.sound(n_free)?;
        self.left.sound(n_free)?;
        ensure(self.candidates.iter().all(|theta| theta.len() == n_free), "a start is not over the free parameters")?;
        let Some(ending) = &self.ending else { return Ok(()) };
        ending.at_start.as_ref().map_or(Ok(()), |normal| normal.sound(n_free))?;
        let came_somewhere = self.best.is_some() || self.left.is_some() || ending.at_start.is_some();
        ensure(came_somewhere, "a descent is over and has come nowhere")
    }
}

impl Minimizer {
    /// Whether it waits for normal equations at one theta.
    pub(crate) fn is_descending(&self) -> bool {
        self.ending.is_none() && self.candidates.is_empty()
    }

    /// Whether it is past the choice of a start.
    pub(crate) fn has_a_start(&self) -> bool {
        self.candidates.is_empty()
    }
}
