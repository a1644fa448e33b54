//! When a fit warms up: before refinement where that is asked for, or instead of a refinement that leads nowhere.

use super::tandem::Tandem;
use super::warm_up::WarmUp;
use super::{Decision, Hybrid, Stage, WarmUpRule, double};
use crate::params::Parameters;
use crate::procedure::Procedure;
use crate::saved::{Sound, Unsound};
use crate::summary::Summary;

/// A refinement that was left.
#[derive(Clone, Debug, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub(super) struct Left {
    /// Its state, if it can go on.
    pub(super) tandem: Option<Tandem>,
    /// The best that it found; or, once it goes on, the best of what was tried instead.
    pub(super) best: Summary,
}

impl Hybrid {
    /// Descends from a start: by refinement, after a warm-up if one is asked for.
    pub(super) fn descend(&mut self, theta: &[f64]) {
        self.approach();
        let rule = self.options.warm_up;
        if !self.options.minimizer.method.has_phases() || rule != WarmUpRule::Always {
            return self.refine(theta);
        }
        self.decide(true, "warm_up = \"always\"");
        let parameters = self.parameters.starting_at(theta);
        self.stage = Stage::WarmUp(self.warm_up(&parameters));
    }

    pub(super) fn decide(&mut self, entered: bool, reason: &str) {
        let verb = if entered { "entered" } else { "not entered" };
        self.notes.push(format!("warm-up {verb}: {reason}"));
        self.decision = Some(Decision { entered, reason: reason.to_string() });
    }

    pub(super) fn warm_up(&self, parameters: &Parameters) -> WarmUp {
        let (options, normalization) = (self.options.warming.clone(), self.options.normalization);
        WarmUp::new(parameters, options, normalization, double(self.costing), self.passes_left())
    }

    pub(super) fn after_warm_up(&mut self, stage: WarmUp) {
        self.iterations += stage.iterations();
        let ended = stage.ended().unwrap_or_default();
        self.notes.push(format!("warm-up over after {} steps: {ended}", stage.iterations()));
        let place = stage.place().expect("a warm-up that is over has evaluated its start");
        self.costing = double(self.costing);
        self.refine_known(place);
        if self.demand().is_none() {
            self.advance();
        }
    }

    /// Leaves refinement for a warm-up from the start, if that may help; `stalled` is how it ended, if it has.
    pub(super) fn rescue(&mut self, stalled: Option<&Summary>) -> bool {
        let Stage::Refine(tandem) = &self.stage else { return false };
        let first = self.decision.is_none() && self.solution.is_none();
        let options = &self.options.minimizer;
        let allowed = options.method.has_phases() && self.options.warm_up == WarmUpRule::Auto && !options.endless();
        let reason = stalled.map(|summary| summary.reason.clone()).or_else(|| tandem.creeps());
        let (true, Some(reason)) = (first && allowed && self.passes_left() > 1, reason) else { return false };
        let best = stalled.cloned().or_else(|| tandem.interrupt(&reason)).expect("its start has been evaluated");
        let (parameters, known) = tandem.start();
        let mut warm_up = self.warm_up(parameters);
        if let Some(start) = known {
            warm_up = warm_up.known(start.clone());
        }
        if let Some(ended) = warm_up.ended() {
            self.decide(false, &format!("{reason}; but {ended}"));
            return false;
        }
        let tandem = stalled.is_none().then(|| tandem.clone());
        self.left = Some(Left { tandem, best });
        self.decide(true, &reason);
        self.iterations = 0;
        self.stage = Stage::WarmUp(warm_up);
        true
    }

    /// The better of a refinement's end and of what was left for it; `None` if what was left goes on.
    pub(super) fn settle_with_left(&mut self, summary: Summary) -> Option<Summary> {
        let Some(mut left) = self.left.take() else { return Some(summary) };
        let resumed = left.tandem.take();
        if summary.better_than(&left.best) {
            return Some(summary);
        }
        let Some(mut tandem) = resumed else { return Some(left.best) };
        if self.passes_left() == 0 {
            // it was taken for this summary while it ran: nobody from outside has ended it
            return Some(self.out_of_passes(left.best));
        }
        self.notes.push("the refinement that was left stands lower and goes on".into());
        tandem.allow(self.passes_left());
        self.stage = Stage::Refine(tandem);
        self.left = Some(Left { tandem: None, best: summary });
        None
    }
}

impl Sound for Left {
    fn sound(&self, n_free: usize) -> Result<(), Unsound> {
        self.tandem.sound(n_free)?;
        self.best.sound(n_free)
    }
}
