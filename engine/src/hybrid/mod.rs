//! The phases of a fit, as one machine.
//!
//! ```text
//!              loss scale by MAD                  converged, scale by MAD
//! start ──────────────────────────> Scale ──────┐ ┌────────────────────────> Scale ──┐
//!   │                                           v │                                  │ changed
//!   ├─────────────────────────────────────────> Refine <─────────────────────────────┘
//!   │                                         ^ │ ^ │                        settled │
//!   └──> WarmUp (asked for) ──────────────────┘ │ │ │                                │
//!          stalled, for the first time          v │ v                                v
//!                                           WarmUp  Finish (if scores are wanted) ──> over
//! ```
//!
//! Only Refine may begin in f32, and once a reason to leave it has come up (`minimize::precision`) no pass of the fit is f32
//! any more.
//!
//! With several starts, or the method "global", Explore stands before the first Refine (`crate::explore`): the winner of a
//! tournament enters Refine as it is, the best point of a global search is where Refine starts.
//!
//! Each phase is a procedure of its own and knows nothing of the others; this file holds the transitions, counts passes and
//! says what was decided and why.

mod approach;
mod explore;
pub mod normalize;
mod options;
mod preset;
mod rescue;
mod scale;
mod settle;
mod sound;
mod tandem;
pub mod warm_up;

pub use approach::ApproachRule;
pub use normalize::Normalization;
pub use options::{Options, ScaleRule, WarmUpRule};
pub use preset::Preset;
pub use tandem::Companion;

use crate::explore::Standing;
use crate::kernel::{Answer, Costing, Curvature, Precision, Question, Request, Solver};
use crate::loss::LossKind;
use crate::minimize::{Minimizer, Rise};
use crate::params::Parameters;
use crate::procedure::Procedure;
use crate::summary::{Iteration, Phase, Status, Summary};
use explore::Exploration;
use rescue::Left;
use scale::ScaleEstimate;
use tandem::Tandem;
use warm_up::{Place, WarmUp};

/// A fit from start to end.
#[derive(Clone, Debug, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Hybrid {
    parameters: Parameters,
    options: Options,
    costing: Costing,
    stage: Stage,
    /// Passes answered.
    passes: u64,
    /// Accepted steps in stages that are over.
    iterations: u64,
    /// Scales estimated so far.
    scales: u64,
    /// The scale has not settled: minima under it are sought roughly.
    rough: bool,
    /// Whether the warm-up was entered, and why; once that is decided.
    decision: Option<Decision>,
    /// A refinement that was left for a warm-up, and what it had found by then.
    left: Option<Left>,
    /// Passes answered in f32.
    single_passes: u64,
    /// How the tournament of starts ended, if there was one.
    standing: Option<Standing>,
    /// The solution, once there is one.
    solution: Option<Summary>,
    scores: Option<Vec<f64>>,
    /// What J'J holds too much at the solution, under a loss that bends down.
    excess: Option<Vec<f64>>,
    last: Option<Iteration>,
    notes: Vec<String>,
}

/// Whether the warm-up was entered.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Decision {
    /// It was.
    pub entered: bool,
    /// Why, or why not.
    pub reason: String,
}

/// What is under way.
#[derive(Clone, Debug, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
#[expect(clippy::large_enum_variant, reason = "there is one fit")]
enum Stage {
    Scale(ScaleEstimate),
    Explore(Exploration),
    WarmUp(WarmUp),
    Refine(Tandem),
    Finish,
    Over,
}

impl Hybrid {
    /// A fit from the starts of the parameters. Options are expected to have passed [`Options::check`]. `spread` is the
    /// size of the residuals to be expected at the start, the standard deviation of y/sigma: it only decides where the
    /// search for their median begins.
    pub fn new(parameters: &Parameters, options: Options, spread: f64) -> Self {
        let start: Vec<f64> = parameters.iter_free().map(|p| p.start).collect();
        let costing = options.costing;
        let rough = options.scale == ScaleRule::Mad && !options.minimizer.endless();
        let stage = match options.scale {
            ScaleRule::Given => Stage::Over,
            // with a factor of 4 the window covers a start four times worse than no model at all
            ScaleRule::Mad => Stage::Scale(ScaleEstimate::new(start.clone(), double(costing), 4.0 * spread)),
        };
        let mut fit = Self {
            parameters: parameters.clone(),
            options,
            costing,
            stage,
            passes: 0,
            iterations: 0,
            scales: 0,
            rough,
            decision: None,
            left: None,
            single_passes: 0,
            standing: None,
            solution: None,
            scores: None,
            excess: None,
            last: None,
            notes: Vec::new(),
        };
        if fit.stage == Stage::Over {
            fit.begin(&start);
        }
        fit
    }

    /// How residuals become costs at present; at the end, under which loss the solution was found.
    pub fn costing(&self) -> Costing {
        self.costing
    }

    /// In what the model was evaluated, in words: "f64", "f32", or "f32 for 7 passes, then f64".
    pub fn precision(&self) -> String {
        match (self.single_passes, self.costing.precision) {
            (0, precision) => precision.name().into(),
            (_, Precision::F32) => "f32".into(),
            (1, Precision::F64) => "f32 for 1 pass, then f64".into(),
            (passes, Precision::F64) => format!("f32 for {passes} passes, then f64"),
        }
    }

    /// How the fit ended; `None` before.
    pub fn summary(&self) -> Option<Summary> {
        (self.stage == Stage::Over).then(|| self.solution.clone().expect("a fit that is over has a solution"))
    }

    /// Whether the warm-up was entered, and why; `None` while that is not decided.
    pub fn decision(&self) -> Option<&Decision> {
        self.decision.as_ref()
    }

    /// The sum over points of score times score' at the solution, if [`Options::scores`] asked for it.
    pub fn scores(&self) -> Option<&[f64]> {
        self.scores.as_deref()
    }

    /// What J'J holds too much at the solution ([`Curvature::Excess`]), packed alike; `None` unless there are scores under a
    /// loss that bends down.
    pub fn excess(&self) -> Option<&[f64]> {
        self.excess.as_deref()
    }

    /// What was decided since the last call, for the log.
    pub fn take_notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// Ends the fit from outside, at the best point so far. `None` while no point has been accepted.
    pub fn interrupt(&self, reason: &str) -> Option<Summary> {
        let now = match &self.stage {
            Stage::Refine(tandem) => tandem.interrupt(reason),
            Stage::WarmUp(warm_up) => warm_up.place().and_then(|place| self.at(place).interrupt(reason)),
            Stage::Explore(stage) => stage.leader().and_then(|leader| leader.interrupt(reason)),
            Stage::Scale(_) | Stage::Finish | Stage::Over => None,
        };
        let left = self.left.as_ref().map(|left| &left.best);
        let better = |now: Summary| left.filter(|left| left.normal.cost < now.normal.cost).cloned().unwrap_or(now);
        let best = now.map(|now| better(self.total(now))).or_else(|| self.solution.clone());
        let (status, reason) = (Status::Interrupted, reason.to_string());
        let mut best = best.map(|summary| Summary { status, reason, passes: self.passes, ..summary });
        if let (Some(best), Curvature::Majorant) = (&mut best, self.costing.curvature) {
            best.warnings.push(
                "stopped before the exact curvature of the loss took over: standard errors rest on its majorant".into(),
            );
        }
        best
    }

    fn passes_left(&self) -> u64 {
        self.options.minimizer.max_passes.saturating_sub(self.passes)
    }

    /// Enters the phase of refinement.
    fn refine(&mut self, theta: &[f64]) {
        let parameters = self.parameters.starting_at(theta);
        let options = self.refinement(self.passes_left().max(1));
        let first = Minimizer::new(&parameters, options.clone()).under(self.costing);
        self.stage = Stage::Refine(self.tandem(first, None, &parameters, &options));
        self.follow_precision();
    }

    /// Enters it at a place whose normal equations are known.
    fn refine_known(&mut self, place: &Place) {
        let parameters = self.parameters.starting_at(&place.theta);
        let options = self.refinement(self.passes_left());
        let start = Some(place.normal.clone());
        self.stage = Stage::Refine(self.tandem(self.at(place), start, &parameters, &options));
    }

    fn refinement(&self, passes: u64) -> crate::minimize::Options {
        let max_passes = self.options.max_refine_passes.map_or(passes, |most| passes.min(most));
        self.approaching(self.settling(crate::minimize::Options { max_passes, ..self.options.minimizer.clone() }))
    }

    /// A minimizer at a place whose normal equations are known.
    fn at(&self, place: &Place) -> Minimizer {
        let parameters = self.parameters.starting_at(&place.theta);
        let options = self.refinement(self.passes_left());
        Minimizer::new(&parameters, options).under(self.costing).known(place.normal.clone())
    }

    fn tandem(
        &self,
        first: Minimizer,
        start: Option<crate::normal::NormalEquations>,
        parameters: &Parameters,
        options: &crate::minimize::Options,
    ) -> Tandem {
        let hybrid = options.method.has_phases();
        let companion = if hybrid { self.options.companion } else { Companion::Never };
        Tandem::new(first, start, parameters, options, self.options.normalization, companion)
    }

    /// Takes note when refinement has gone over to f64.
    fn follow_precision(&mut self) {
        let Stage::Refine(tandem) = &self.stage else { return };
        if self.costing.precision == tandem.precision() {
            return;
        }
        self.costing.precision = tandem.precision();
        if let Some(Rise { reason, .. }) = tandem.rise() {
            self.notes.push(format!("precision f64 from pass {} on: {reason}", self.passes + 1));
        }
    }

    /// The precision of the pass that is being answered.
    fn demand_precision(&self) -> Precision {
        match &self.stage {
            Stage::Refine(tandem) => tandem.precision(),
            _ => Precision::F64,
        }
    }

    /// A summary of a fit that could have gone on.
    fn out_of_passes(&self, solution: Summary) -> Summary {
        let reason = format!("max_passes: all {} passes are used", self.passes);
        Summary { status: Status::MaxPasses, reason, ..solution }
    }

    /// A summary of one stage as one of the whole fit.
    fn total(&self, summary: Summary) -> Summary {
        Summary { passes: self.passes, iterations: self.iterations + summary.iterations, ..summary }
    }

    fn after_refine(&mut self, summary: Summary) {
        if summary.status == Status::Stalled && self.rescue(Some(&summary)) {
            return;
        }
        let Some(summary) = self.settle_with_left(summary) else { return };
        if self.after_approach(&summary) {
            return;
        }
        self.iterations = summary.iterations;
        let settle = self.options.scale == ScaleRule::Mad && summary.status == Status::Converged;
        if settle {
            let rms = (summary.normal.rss / summary.normal.counts.used as f64).sqrt();
            // half of the points at least have |r| <= sqrt(2) rms
            let estimate =
                ScaleEstimate::new(summary.theta.clone(), double(self.costing), std::f64::consts::SQRT_2 * rms);
            self.solution = Some(summary);
            self.stage = Stage::Scale(estimate);
        } else {
            self.finish(summary);
        }
    }

    fn finish(&mut self, solution: Summary) {
        let wanted = self.options.scores && solution.normal.is_finite();
        self.stage = if wanted { Stage::Finish } else { Stage::Over };
        let mut solution = Summary { passes: self.passes, ..self.compared(self.within(solution)) };
        if solution.status == Status::MaxPasses && self.passes_left() == 0 {
            solution.reason = format!("max_passes: all {} passes are used", self.passes);
        } else if let (Status::MaxPasses, Some(most)) = (solution.status, self.options.max_refine_passes) {
            solution.reason = format!("max_refine_passes: all {most} passes of a refinement are used");
        }
        self.solution = Some(solution);
    }

    /// Where no more points lie within the scale of a loss that lets go of those beyond than there are parameters, nothing
    /// pulls: that the gradient is 0 there is no convergence.
    fn within(&self, solution: Summary) -> Summary {
        let scale = self.costing.loss.scale;
        let counts = solution.normal.counts.used.saturating_sub(solution.normal.n_free as u64) as f64;
        let all_beyond = scale * scale / 6.0 * counts;
        let let_go = self.costing.loss.kind == LossKind::Tukey && solution.normal.cost >= (1.0 - 1e-12) * all_beyond;
        if !(let_go && solution.status == Status::Converged) {
            return solution;
        }
        let reason = format!(
            "hardly a point lies within the scale of the loss, {scale:.4e}, so nothing pulls: give a larger --loss-scale or a better start"
        );
        Summary { status: Status::Stalled, reason, ..solution }
    }

    /// Leaves a stage that is over.
    fn advance(&mut self) {
        match &self.stage {
            Stage::Scale(stage) => {
                let (theta, estimate) = (stage.theta().to_vec(), stage.estimate());
                self.after_scale(&theta, estimate.expect("an estimate that asks for nothing more is complete"));
            }
            Stage::Explore(stage) => self.after_explore(stage.clone()),
            Stage::WarmUp(stage) => self.after_warm_up(stage.clone()),
            Stage::Refine(stage) => {
                let summary = stage.summary().expect("a minimizer that asks for nothing more has ended");
                self.after_refine(self.total(summary));
            }
            Stage::Finish | Stage::Over => {}
        }
    }
}

impl Procedure for Hybrid {
    fn demand(&self) -> Option<Request> {
        match &self.stage {
            Stage::Scale(stage) => stage.demand(),
            Stage::Explore(stage) => stage.demand(),
            Stage::WarmUp(stage) => stage.demand(),
            Stage::Refine(stage) => stage.demand(),
            Stage::Finish => {
                let solution = self.solution.as_ref().expect("a fit finishes at its solution");
                let (theta, costing) = (solution.theta.clone(), double(self.costing));
                if self.excess.is_none() && costing.loss.kind.bends_down() {
                    let costing = Costing { curvature: Curvature::Excess, solver: Solver::Normal, ..costing };
                    return Some(Request::linearize(theta, costing));
                }
                Some(Request { question: Question::Scores(theta), costing })
            }
            Stage::Over => None,
        }
    }

    fn take(&mut self, answer: Answer) {
        self.passes += 1;
        self.single_passes += u64::from(self.demand_precision() == Precision::F32);
        let last = match (&mut self.stage, answer) {
            (Stage::Scale(stage), answer) => taken(stage, answer),
            (Stage::Explore(stage), answer) => taken(stage, answer),
            (Stage::WarmUp(stage), answer) => taken(stage, answer),
            (Stage::Refine(stage), answer) => {
                let last = taken(stage, answer);
                self.notes.extend(stage.take_note());
                if stage.demand().is_some() {
                    self.rescue(None);
                }
                last
            }
            (Stage::Finish, answer @ Answer::Linearized(_)) => {
                self.excess = Some(answer.into_normal().jtj);
                Some(Iteration::without_point(self.passes, Phase::Finish))
            }
            (Stage::Finish, Answer::Scores(scores)) => {
                self.scores = Some(scores);
                self.stage = Stage::Over;
                if let Some(solution) = &mut self.solution {
                    solution.passes = self.passes;
                }
                Some(Iteration::without_point(self.passes, Phase::Finish))
            }
            (_, answer) => panic!("nothing like it was asked for: {answer:?}"),
        };
        self.last = last.map(|iteration| match (iteration.phase, self.costing.curvature) {
            (Phase::Refine, Curvature::Majorant) => {
                Iteration { pass: self.passes, phase: Phase::Approach, ..iteration }
            }
            _ => Iteration { pass: self.passes, ..iteration },
        });
        self.follow_precision();
        if self.demand().is_none() {
            self.advance();
        }
    }

    fn iteration(&self) -> Option<&Iteration> {
        self.last.as_ref()
    }
}

/// Costing in f64.
fn double(costing: Costing) -> Costing {
    Costing { precision: Precision::F64, ..costing }
}

fn taken<P: Procedure>(stage: &mut P, answer: Answer) -> Option<Iteration> {
    stage.take(answer);
    stage.iteration().cloned()
}

#[cfg(test)]
mod tests;
