//! Refinement, by two descents side by side where one alone is in trouble.
//!
//! ```text
//! first descent, in the metric of J's columns ──> converged ──> over
//!      │ in trouble                                    ^
//!      v                                               │ the other is not lower
//! first and second descent, both answered by each pass ┘
//! ```
//!
//! The first descent measures steps by the columns of J ([`crate::minimize`]). From some far starts that is the wrong measure,
//! and no rule seen on the way says so: a rule that lets D shrink with the columns saves some fits and loses more others
//! (of the exam's 123 far and near starts 15 end above the best of SciPy's solvers with D as it is, 16 to 32 with
//! D_j = max(|J_j|, c D_j) for c from 0 to 0.9). So a second descent begins again *at the start*, in a trust region of fixed
//! shape ([`super::normalize`]), and one read of the points answers both. The first to converge ends it, unless the
//! other already stands lower.
//!
//! Measured on the exam, NIST's 54 and Moré, Garbow & Hillstrom's 123 fits (`tests/golden/descents.txt` has all rows):
//!
//! | second descent | passes | thetas evaluated | minima lost |
//! |---|---|---|---|
//! | never | 1,117 + 5,667 | as many | 0 + 17 |
//! | in trouble (auto) | 1,024 + 4,893 | 1,518 + 8,076 | 0 + 9 |
//! | always | 937 + 4,579 | 1,820 + 8,983 | 0 + 7 |
//!
//! So it saves passes and minima, at the price of evaluations: where reading or the network decides, it is a gain; where
//! computing decides, a difficult fit may take a third longer. A fit that converges within [`PATIENCE`] passes never pays.
//!
//! **Warm-up** ([`super::warm_up`]) instead of, or before, all this: always, it loses 2 + 10 minima and takes more
//! passes (1,555 + 4,943). It is entered where both descents fail, stalled or creeping: that brings two more of the 123 fits to the
//! best minimum known, and none to a worse one.

use std::collections::VecDeque;

use super::normalize::Normalization;
use crate::kernel::{Answer, Precision, Question, Request};
use crate::minimize::{Minimizer, Options, Rise};
use crate::normal::NormalEquations;
use crate::params::Parameters;
use crate::procedure::Procedure;
use crate::saved::{Sound, Unsound, ensure};
use crate::summary::{Iteration, Status, Summary};

/// Passes within which a descent from a good start has converged.
const PATIENCE: u64 = 10;

/// A point where the largest cosine between residual and columns exceeds this is not near a minimum.
const FAR: f64 = 0.1;

/// A descent that stands lower than one that converged goes on, if it is lower by this part of the cost.
const LOWER: f64 = 1e-3;

/// So many passes ...
const WINDOW: usize = 20;

/// ... that lowered the cost by less than this part of it, far from a minimum, are a creep: towards infinity as a rule. Of
/// the exam's 177 fits three ever creep so, Bard from 10 and 100 times its start and Biggs EXP6 from 100 times.
const CREEP: f64 = 0.01;

/// When the second descent begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub enum Companion {
    /// When the first is in trouble: after 10 passes, at least one of them rejected, it is still far from a minimum;
    /// or it has ended without converging.
    #[default]
    Auto,
    /// With the second pass.
    Always,
    /// Never.
    Never,
}

impl Companion {
    /// All with the names used in job files.
    pub const NAMES: [(&'static str, Companion); 3] =
        [("auto", Companion::Auto), ("always", Companion::Always), ("never", Companion::Never)];
}

/// One or two descents, each with a trust region of its own.
#[derive(Clone, Debug, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub(super) struct Tandem {
    parameters: Parameters,
    options: Options,
    normalization: Normalization,
    companion: Companion,
    first: Minimizer,
    second: Option<Minimizer>,
    /// The normal equations at the start, for the second descent.
    start: Option<NormalEquations>,
    /// That they are those of an f32 pass.
    start_in_single: bool,
    rejected: u64,
    passes: u64,
    /// The lowest cost after each of the last passes, at most [`WINDOW`] and one.
    lowest: VecDeque<f64>,
    last: Option<Iteration>,
    note: Option<String>,
}

impl Tandem {
    /// `first` is the descent from the starts of `parameters`, under `options`; nothing has been asked for it yet, or its
    /// start is known (then it was given these normal equations).
    pub(super) fn new(
        first: Minimizer,
        start: Option<NormalEquations>,
        parameters: &Parameters,
        options: &Options,
        normalization: Normalization,
        companion: Companion,
    ) -> Self {
        Self {
            parameters: parameters.clone(),
            options: options.clone(),
            normalization,
            // a fit without tolerances runs a given number of passes, for what they cost
            companion: if options.endless() { Companion::Never } else { companion },
            first,
            second: None,
            start,
            start_in_single: false,
            rejected: 0,
            passes: 0,
            lowest: VecDeque::new(),
            last: None,
            note: None,
        }
    }

    /// What was decided, once.
    pub(super) fn take_note(&mut self) -> Option<String> {
        self.note.take()
    }

    /// The precision of the pass that it waits for.
    pub(super) fn precision(&self) -> Precision {
        self.first.precision()
    }

    /// That it went over from f32 to f64.
    pub(super) fn rise(&self) -> Option<&Rise> {
        self.first.rise()
    }

    /// How it ended; `None` while it has not.
    pub(super) fn summary(&self) -> Option<Summary> {
        let first = self.first.summary();
        let Some(second) = &self.second else { return first };
        let ended = match (first, second.summary()) {
            (Some(a), Some(b)) => Some(if b.better_than(&a) { b } else { a }),
            (Some(a), None) => converged_below(&a, second).then_some(a),
            (None, Some(b)) => converged_below(&b, &self.first).then_some(b),
            (None, None) => None,
        };
        ended.map(|summary| Summary { passes: self.passes, ..summary })
    }

    /// Ends it from outside, at the best point so far. `None` while there is none.
    pub(super) fn interrupt(&self, reason: &str) -> Option<Summary> {
        let first = self.first.interrupt(reason);
        let second = self.second.as_ref().and_then(|second| second.interrupt(reason));
        let best = match (first, second) {
            (Some(a), Some(b)) => Some(if b.normal.cost < a.normal.cost { b } else { a }),
            (a, b) => a.or(b),
        };
        best.map(|summary| Summary { passes: self.passes, ..summary })
    }

    /// Why going on is of no use, in words: both descents run, and the last passes brought next to nothing, far from a
    /// minimum.
    pub(super) fn creeps(&self) -> Option<String> {
        self.second.as_ref()?;
        let (before, now) = (*self.lowest.front()?, *self.lowest.back()?);
        let gradient = self.last.as_ref()?.gradient_norm;
        let creeps = self.lowest.len() > WINDOW && before - now < CREEP * now && gradient > FAR;
        creeps.then(|| {
            let part = (before - now) / now;
            format!("the last {WINDOW} passes lowered the cost by {part:.1e} of it, far from a minimum: gradient norm = {gradient:.1e}")
        })
    }

    /// The parameters at its start, and the normal equations there as far as f64 knows them.
    pub(super) fn start(&self) -> (&Parameters, Option<&NormalEquations>) {
        (&self.parameters, self.start.as_ref().filter(|_| !self.start_in_single))
    }

    /// Lets it run so many more passes.
    pub(super) fn allow(&mut self, passes: u64) {
        self.options.max_passes = self.passes + passes;
        self.first.allow(passes);
        if let Some(second) = &mut self.second {
            second.allow(passes);
        }
    }

    fn runs(&self) -> impl Iterator<Item = &Minimizer> {
        [Some(&self.first), self.second.as_ref()].into_iter().flatten().filter(|descent| descent.summary().is_none())
    }

    /// Begins the second descent if it is time.
    fn watch(&mut self) {
        // both are asked in one pass, of one precision: the second begins once the first is in f64 to stay
        if self.second.is_some()
            || self.first.precision() == Precision::F32
            || self.companion == Companion::Never
            || self.passes >= self.options.max_passes
        {
            return;
        }
        let ended = self.first.summary();
        if ended.as_ref().is_some_and(|summary| summary.status != Status::Stalled) {
            return;
        }
        let gradient = self.first.iteration().map_or(0.0, |iteration| iteration.gradient_norm);
        let trouble = self.passes >= PATIENCE && self.rejected > 0 && gradient > FAR;
        let reason = match ended {
            Some(_) => "the first descent stalled".to_string(),
            None if trouble => format!(
                "after {} passes with {} rejected trials it is still far from a minimum: gradient norm = {gradient:.1e} > {FAR}",
                self.passes, self.rejected
            ),
            None if self.companion == Companion::Always => "it was asked for".to_string(),
            None => return,
        };
        let Some(start) = self.start.clone().filter(NormalEquations::is_finite) else { return };
        let units = self.normalization.units(&self.parameters, &start).units;
        let max_passes = self.options.max_passes - self.passes;
        // the start counts as a pass to a minimizer, and none is run for it
        let options = Options { max_passes, ..self.options.clone() };
        let second = Minimizer::new(&self.parameters, options).with_units(&units).under(self.first.costing());
        // what f32 said about the start is good for its units, not to go on from
        self.second = Some(if self.start_in_single { second } else { second.known(start) });
        self.note = Some(format!("second descent from the start, in units of the parameters: {reason}"));
    }

    /// The record of a pass: that of the descent which stands lower, with the lowest cost of the pass.
    fn record(&mut self, asked: [bool; 2]) {
        let records = [Some(&self.first), self.second.as_ref()].map(|d| d.and_then(Minimizer::iteration));
        let of_pass = [0, 1].map(|k| records[k].filter(|_| asked[k]));
        let leader = match of_pass {
            [Some(a), Some(b)] if self.second_leads() => Iteration { cost: a.cost.min(b.cost), ..b.clone() },
            [Some(a), Some(b)] => Iteration { cost: a.cost.min(b.cost), ..a.clone() },
            [a, b] => a.or(b).expect("a pass was asked for by one of them").clone(),
        };
        self.last = Some(Iteration { pass: self.passes, ..leader });
    }

    fn second_leads(&self) -> bool {
        self.second.as_ref().and_then(Minimizer::lowest) < self.first.lowest()
    }
}

/// Whether `ended` converged while the other does not stand lower.
fn converged_below(ended: &Summary, other: &Minimizer) -> bool {
    let lower = other.lowest().is_some_and(|cost| cost < (1.0 - LOWER) * ended.normal.cost);
    ended.status == Status::Converged && !lower
}

impl Summary {
    /// Converged beats not converged unless that stands lower; else the lower cost does.
    pub(super) fn better_than(&self, other: &Summary) -> bool {
        let lower = |a: &Summary, b: &Summary| a.normal.cost < (1.0 - LOWER) * b.normal.cost;
        let converged = |s: &Summary| s.status == Status::Converged;
        match (converged(self), converged(other)) {
            (true, false) => !lower(other, self),
            (false, true) => lower(self, other),
            _ => self.normal.cost < other.normal.cost,
        }
    }
}

impl Procedure for Tandem {
    fn demand(&self) -> Option<Request> {
        if self.summary().is_some() {
            return None;
        }
        let mut requests = self.runs().filter_map(Procedure::demand);
        let mut request = requests.next()?;
        if let Some(Request { question: Question::Linearize(more), .. }) = requests.next()
            && let Question::Linearize(thetas) = &mut request.question
        {
            thetas.extend(more);
        }
        Some(request)
    }

    fn take(&mut self, answer: Answer) {
        let single = self.precision() == Precision::F32;
        let asked = [self.first.summary().is_none(), self.second.as_ref().is_some_and(|s| s.summary().is_none())];
        let Answer::Linearized(normals) = answer else {
            panic!("the demand was for normal equations, the answer is {answer:?}")
        };
        assert_eq!(normals.len(), self.runs().count(), "one answer for each descent");
        self.passes += 1;
        if self.passes == 1 && self.start.is_none() {
            self.start = Some(normals[0].clone());
            self.start_in_single = single;
        }
        let mut normals = normals.into_iter();
        let mut next = || Answer::Linearized(vec![normals.next().expect("one for each that runs")]);
        if asked[0] {
            self.first.take(next());
            self.rejected += u64::from(!self.first.iteration().is_some_and(|iteration| iteration.accepted));
        }
        if let Some(second) = self.second.as_mut().filter(|_| asked[1]) {
            second.take(next());
        }
        self.record(asked);
        let second = self.second.as_ref().and_then(Minimizer::lowest).unwrap_or(f64::INFINITY);
        self.lowest.extend(self.first.lowest().map(|cost| cost.min(second)));
        if self.lowest.len() > WINDOW + 1 {
            self.lowest.pop_front();
        }
        self.watch();
    }

    fn iteration(&self) -> Option<&Iteration> {
        self.last.as_ref()
    }
}

impl Sound for Tandem {
    fn sound(&self, n_free: usize) -> Result<(), Unsound> {
        self.parameters.sound(n_free)?;
        self.first.sound(n_free)?;
        self.second.sound(n_free)?;
        self.start.sound(n_free)?;
        let descents = std::iter::once(&self.first).chain(&self.second);
        ensure(descents.into_iter().all(Minimizer::has_a_start), "a refinement has more than one start")
    }
}
