//! Whether the state of a fit that was read can be gone on from.

use super::{Hybrid, Options, Stage};
use crate::kernel::Question;
use crate::params::Parameters;
use crate::procedure::Procedure as _;
use crate::saved::{Sound, Unsound, ensure};

impl Hybrid {
    /// Whether it runs under these options.
    pub fn is_under(&self, options: &Options) -> bool {
        self.options == *options
    }

    /// Whether it can go on as a fit of these parameters.
    pub fn is_whole(&self, parameters: &Parameters) -> Result<(), Unsound> {
        ensure(self.parameters == *parameters, "the fit is one of other parameters")?;
        let n_free = parameters.free().len();
        match &self.stage {
            Stage::Scale(stage) => stage.sound(n_free)?,
            Stage::Explore(stage) => stage.sound(n_free)?,
            Stage::WarmUp(stage) => stage.sound(n_free)?,
            Stage::Refine(stage) => stage.sound(n_free)?,
            Stage::Finish | Stage::Over => ensure(self.solution.is_some(), "a fit is over and has no solution")?,
        }
        self.solution.sound(n_free)?;
        self.left.sound(n_free)?;
        self.standing.sound(n_free)?;
        let entries = n_free * (n_free + 1) / 2;
        let packed = |sums: &Option<Vec<f64>>| sums.as_ref().is_none_or(|sums| sums.len() == entries);
        ensure(packed(&self.scores) && packed(&self.excess), "the scores are not over the free parameters")?;
        self.waits(n_free)
    }

    /// A fit that is not over asks for something, at thetas of the free parameters.
    fn waits(&self, n_free: usize) -> Result<(), Unsound> {
        let over = matches!(self.stage, Stage::Over);
        let Some(request) = self.demand() else { return ensure(over, "a fit is not over and waits for nothing") };
        let lawful = match &request.question {
            Question::Linearize(thetas) | Question::Costs(thetas) => {
                !thetas.is_empty() && thetas.iter().all(|theta| theta.len() == n_free)
            }
            Question::Magnitudes { theta, .. } | Question::Scores(theta) => theta.len() == n_free,
        };
        ensure(lawful && !over, "a fit asks for what is no theta of its parameters")
    }
}
