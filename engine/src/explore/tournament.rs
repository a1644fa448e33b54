//! Several starts in the same passes: a tournament.
//!
//! ```text
//! line up ─ one read: the cost at every start ──> those where it is not finite leave
//!    │
//!    └──> heat: a few reads, in each one trial of every fit that is left ──> the worse half leaves ──> heat ──> ... ──> over
//! ```
//!
//! Every fit is a [`Minimizer`] of its own; all ask in the same read, so a heat costs as many reads as a single fit would
//! need for it (the arithmetic is that of all fits). Costs are those of all points, not of a sample, so fits can be compared
//! exactly. p0 is a start like the others. The winner's minimizer is handed over with all that it knows, and the fit goes on
//! from where it stands without a pass repeated.
//!
//! Fits that have come to the same place are one. A fit within a thousandth of the lowest cost is not removed while it runs: it may
//! end as low, at other parameters, and then the minimum is not unique, which is worth knowing.

use super::random::Purpose;
use super::sample::{Region, latin_hypercube};
use super::standing::{Minimum, Standing, same_place};
use crate::kernel::{Answer, Costing, Question, Request};
use crate::minimize::{self, Demand, Minimizer};
use crate::normal::NormalEquations;
use crate::params::Parameters;
use crate::procedure::Procedure;
use crate::saved::{Sound, Unsound, ensure};
use crate::summary::{Iteration, Phase, Status, Summary};

/// A fit whose cost lies within this part of the lowest is not removed while it runs.
const TIE: f64 = 1e-3;

/// Costs below this part of the lowest cost at a start are equal: roundings of an exact fit.
const HAIR_AT_START: f64 = 1e-14;

/// What can be chosen about several starts.
#[derive(Clone, Debug, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct StartsOptions {
    /// Number of starts, p0 among them; 1 is no tournament.
    pub starts: usize,
    /// What the starts are drawn with.
    pub seed: u64,
    /// The part of the fits that leaves after each heat; at least one does. In (0, 1).
    pub eliminated: f64,
    /// Reads of a heat.
    pub heat: u64,
}

impl Default for StartsOptions {
    fn default() -> Self {
        Self { starts: 1, seed: 0, eliminated: 0.5, heat: 5 }
    }
}

/// Several fits of which one will win.
#[derive(Clone, Debug, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Tournament {
    parameters: Parameters,
    minimizer: minimize::Options,
    options: StartsOptions,
    costing: Costing,
    /// All that ever took part, by the number of their start; 0 is p0.
    fits: Vec<Fit>,
    stage: Stage,
    reads: u64,
    /// Reads of the heat under way.
    heat: u64,
    lowest: f64,
    /// The lowest cost at a start.
    at_start: f64,
    last: Option<Iteration>,
}

#[derive(Clone, Copy, Debug, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
enum Stage {
    LineUp,
    Heats,
    Over,
}

/// One of the fits.
#[derive(Clone, Debug, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
struct Fit {
    start: Vec<f64>,
    /// At the best point so far.
    cost: f64,
    minimizer: Option<Minimizer>,
    fate: Fate,
}

#[derive(Clone, Copy, Debug, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
enum Fate {
    /// In the race, running or at its end.
    In,
    /// The model is not finite at its start.
    NotFinite,
    /// Others were better.
    Worse,
    /// It came to the same place as another.
    Same(usize),
}

impl Tournament {
    /// A tournament of starts drawn from [`Region::around`] the parameters' own.
    pub fn new(
        parameters: &Parameters,
        minimizer: minimize::Options,
        options: StartsOptions,
        costing: Costing,
    ) -> Self {
        assert!(options.starts > 0, "p0 at least takes part");
        let region = Region::around(parameters);
        let drawn = latin_hypercube(region.dimension(), options.starts - 1, options.seed, Purpose::Starts);
        let p0: Vec<f64> = parameters.iter_free().map(|p| p.start).collect();
        let starts = std::iter::once(p0).chain(drawn.iter().map(|unit| region.theta(unit)));
        // the lining up is a pass too
        let max_passes = minimizer.max_passes.saturating_sub(1).max(1);
        Self {
            parameters: parameters.clone(),
            minimizer: minimize::Options { max_passes, ..minimizer },
            options,
            costing,
            fits: starts.map(|start| Fit { start, cost: f64::NAN, minimizer: None, fate: Fate::In }).collect(),
            stage: Stage::LineUp,
            reads: 0,
            heat: 0,
            lowest: f64::INFINITY,
            at_start: 0.0,
            last: None,
        }
    }

    /// Takes the winner out of a tournament that is over: its minimizer, and what was learned from the others.
    pub fn finish(mut self) -> (Minimizer, Standing) {
        assert_eq!(self.stage, Stage::Over, "the winner is known at the end");
        let winner = self.ranking().first().copied().unwrap_or(0);
        let standing = self.standing(winner);
        // no start is finite: a fit from p0 will say at which point the model fails
        let minimizer = self.fits[winner].minimizer.take().unwrap_or_else(|| self.fit_from(winner));
        (minimizer, standing)
    }

    /// The fit with the lowest cost so far, for one that is interrupted.
    pub fn leader(&self) -> Option<&Minimizer> {
        self.ranking().first().and_then(|&k| self.fits[k].minimizer.as_ref())
    }

    fn fit_from(&self, k: usize) -> Minimizer {
        Minimizer::new(&self.parameters.starting_at(&self.fits[k].start), self.minimizer.clone()).under(self.costing)
    }

    /// Fits in the race, the lowest cost first; of equals that of the earlier start.
    fn ranking(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.fits.len()).filter(|&k| self.fits[k].fate == Fate::In).collect();
        order.sort_by(|&a, &b| self.fits[a].cost.total_cmp(&self.fits[b].cost).then(a.cmp(&b)));
        order
    }

    /// Fits in the race that want another trial.
    fn running(&self) -> impl Iterator<Item = (usize, &Minimizer)> {
        let in_race = self.fits.iter().enumerate().filter(|(_, fit)| fit.fate == Fate::In);
        in_race.filter_map(|(k, fit)| Some((k, fit.minimizer.as_ref().filter(|m| !m.is_over())?)))
    }

    fn line_up(&mut self, costs: &[f64]) {
        assert_eq!(costs.len(), self.fits.len(), "one cost for each start");
        for (fit, &cost) in self.fits.iter_mut().zip(costs) {
            fit.cost = cost;
            if !cost.is_finite() {
                fit.fate = Fate::NotFinite;
            }
        }
        self.at_start = self.ranking().first().map_or(0.0, |&k| self.fits[k].cost);
        for k in self.ranking() {
            self.fits[k].minimizer = Some(self.fit_from(k));
        }
        self.stage = Stage::Heats;
    }

    fn trials(&mut self, answers: Vec<NormalEquations>) {
        let asked: Vec<usize> = self.running().map(|(k, _)| k).collect();
        assert_eq!(answers.len(), asked.len(), "normal equations for each fit that asked");
        for (k, normal) in asked.into_iter().zip(answers) {
            let fit = &mut self.fits[k];
            let minimizer = fit.minimizer.as_mut().expect("it asked");
            minimizer.take(Answer::Linearized(vec![normal]));
            match minimizer.best() {
                Some((_, best)) => fit.cost = best.cost,
                // finite cost, but a derivative that is not
                None => fit.fate = Fate::NotFinite,
            }
        }
        self.heat += 1;
        if self.heat >= self.options.heat || self.running().next().is_none() {
            self.unite();
            self.eliminate();
            self.heat = 0;
        }
    }

    /// Fits at the same place become one: the one with the lower cost.
    fn unite(&mut self) {
        let order = self.ranking();
        for (i, &k) in order.iter().enumerate() {
            let twin = order[..i].iter().find(|&&j| self.fits[j].fate == Fate::In && self.same(j, k));
            if let Some(&j) = twin {
                self.fits[k].fate = Fate::Same(j);
            }
        }
    }

    fn same(&self, a: usize, b: usize) -> bool {
        let best = |k: usize| self.fits[k].minimizer.as_ref().and_then(Minimizer::best);
        match (best(a), best(b)) {
            (Some((a, normal)), Some((b, _))) => same_place(a, b, normal),
            _ => false,
        }
    }

    /// The worse part leaves, but for those close to the best that still run.
    fn eliminate(&mut self) {
        let order = self.ranking();
        let leaving = ((order.len() as f64 * self.options.eliminated) as usize).max(1);
        let Some(&best) = order.first() else { return };
        let close = self.fits[best].cost * (1.0 + TIE);
        for &k in order[1..].iter().rev().take(leaving) {
            let fit = &mut self.fits[k];
            let ended = fit.minimizer.as_ref().is_some_and(Minimizer::is_over);
            if ended || fit.cost > close {
                fit.fate = Fate::Worse;
            }
        }
    }

    /// Whether one fit is left, or none that wants another trial.
    fn decided(&self) -> bool {
        self.ranking().len() <= 1 || self.running().next().is_none()
    }

    fn record(&self, evaluated: f64) -> Iteration {
        let blank = Iteration::without_point(self.reads, Phase::Explore);
        let of_leader = self.leader().and_then(Minimizer::iteration).cloned();
        Iteration {
            pass: self.reads,
            phase: Phase::Explore,
            cost: evaluated,
            accepted: self.lowest_now() < self.lowest,
            ..of_leader.unwrap_or(blank)
        }
    }

    fn lowest_now(&self) -> f64 {
        self.fits.iter().map(|fit| fit.cost).filter(|cost| cost.is_finite()).fold(f64::INFINITY, f64::min)
    }

    /// Which fits ended where, the lowest cost first.
    fn standing(&self, winner: usize) -> Standing {
        let ended = |k: usize| {
            let summary = self.fits[k].minimizer.as_ref().and_then(Minimizer::summary);
            summary.filter(|summary| summary.status == Status::Converged)
        };
        let mut order: Vec<(usize, Summary)> = (0..self.fits.len()).filter_map(|k| Some((k, ended(k)?))).collect();
        order.sort_by(|(a, x), (b, y)| x.normal.cost.total_cmp(&y.normal.cost).then(a.cmp(b)));
        let mut minima: Vec<Minimum> = Vec::new();
        let mut place = vec![None; self.fits.len()];
        for (k, Summary { theta, normal, .. }) in order {
            let known = minima.iter().position(|m| same_place(&m.theta, &theta, &normal));
            place[k] = Some(known.unwrap_or(minima.len()));
            if known.is_none() {
                minima.push(Minimum { theta, cost: normal.cost, starts: 0 });
            }
        }
        for k in 0..self.fits.len() {
            // a fit that was united with another ends where that one does
            if let Some(at) = place[k].or(place[self.survivor(k)]) {
                minima[at].starts += 1;
            }
        }
        let not_finite = self.fits.iter().filter(|fit| fit.fate == Fate::NotFinite).count();
        let start = self.fits[winner].start.clone();
        Standing { starts: self.fits.len(), not_finite, winner, start, minima, hair: HAIR_AT_START * self.at_start }
    }

    /// The fit that goes on for this one: itself, or the one that it was united with.
    fn survivor(&self, mut k: usize) -> usize {
        while let Fate::Same(twin) = self.fits[k].fate {
            k = twin;
        }
        k
    }
}

/// The theta of the trial that a minimizer waits for.
pub(crate) fn asked(minimizer: &Minimizer) -> Vec<f64> {
    match minimizer.start() {
        Demand::Linearize(theta) => theta,
        other => panic!("a running fit from one start asks for normal equations, not {other:?}"),
    }
}

impl Procedure for Tournament {
    fn demand(&self) -> Option<Request> {
        let question = match self.stage {
            Stage::LineUp => Question::Costs(self.fits.iter().map(|fit| fit.start.clone()).collect()),
            Stage::Heats => Question::Linearize(self.running().map(|(_, minimizer)| asked(minimizer)).collect()),
            Stage::Over => return None,
        };
        Some(Request { question, costing: self.costing })
    }

    fn take(&mut self, answer: Answer) {
        self.reads += 1;
        let lowest = |costs: &mut dyn Iterator<Item = f64>| {
            let finite = costs.filter(|cost| cost.is_finite()).fold(f64::INFINITY, f64::min);
            if finite.is_finite() { finite } else { f64::NAN }
        };
        let evaluated = match (self.stage, answer) {
            (Stage::LineUp, Answer::Costs(costs)) => {
                self.line_up(&costs);
                lowest(&mut costs.iter().copied())
            }
            (Stage::Heats, Answer::Linearized(normal)) => {
                let evaluated = lowest(&mut normal.iter().map(|n| n.cost));
                self.trials(normal);
                evaluated
            }
            (stage, answer) => panic!("nothing like it was asked for at {stage:?}: {answer:?}"),
        };
        self.last = Some(self.record(evaluated));
        self.lowest = self.lowest_now();
        if self.decided() {
            self.stage = Stage::Over;
        }
    }

    fn iteration(&self) -> Option<&Iteration> {
        self.last.as_ref()
    }
}

impl Sound for Tournament {
    fn sound(&self, n_free: usize) -> Result<(), Unsound> {
        self.parameters.sound(n_free)?;
        ensure(!self.fits.is_empty(), "a tournament has no starts")?;
        for fit in &self.fits {
            ensure(fit.start.len() == n_free, "a start is not over the free parameters")?;
            fit.minimizer.sound(n_free)?;
            ensure(fit.minimizer.as_ref().is_none_or(Minimizer::has_a_start), "a start is more than one")?;
        }
        ensure((0..self.fits.len()).all(|k| self.leads_to_a_survivor(k)), "fits of a tournament lead in a circle")?;
        let waits = match self.stage {
            Stage::LineUp => true,
            Stage::Heats => self.running().next().is_some(),
            Stage::Over => false,
        };
        ensure(waits, "a tournament waits for nothing")
    }
}

impl Tournament {
    fn leads_to_a_survivor(&self, mut k: usize) -> bool {
        for _ in 0..=self.fits.len() {
            match self.fits[k].fate {
                Fate::Same(twin) if twin < self.fits.len() => k = twin,
                Fate::Same(_) => return false,
                _ => return true,
            }
        }
        false
    }
}

#[cfg(test)]
mod tests;
