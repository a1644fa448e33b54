//! The phase before descent: several starts, or a search of the whole box. In f64 throughout: what is compared are costs.

use super::{Hybrid, Stage, double};
use crate::explore::{Evolution, GlobalOptions, Standing, Tournament};
use crate::kernel::{Answer, Request};
use crate::minimize::{Method, Minimizer};
use crate::procedure::Procedure;
use crate::saved::{Sound, Unsound};
use crate::summary::{Iteration, Status, Summary};

/// The part of the passes left that a global search may use: the fit from its best point needs the rest.
const GLOBAL_SHARE: f64 = 0.75;

/// An exploration under way.
#[derive(Clone, Debug, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub(super) enum Exploration {
    Tournament(Tournament),
    Evolution(Evolution),
}

impl Exploration {
    /// The fit that stands lowest, if there is one yet.
    pub(super) fn leader(&self) -> Option<&Minimizer> {
        match self {
            Exploration::Tournament(tournament) => tournament.leader(),
            Exploration::Evolution(_) => None,
        }
    }

    fn procedure(&self) -> &dyn Procedure {
        match self {
            Exploration::Tournament(tournament) => tournament,
            Exploration::Evolution(evolution) => evolution,
        }
    }
}

impl Procedure for Exploration {
    fn demand(&self) -> Option<Request> {
        self.procedure().demand()
    }

    fn take(&mut self, answer: Answer) {
        match self {
            Exploration::Tournament(tournament) => tournament.take(answer),
            Exploration::Evolution(evolution) => evolution.take(answer),
        }
    }

    fn iteration(&self) -> Option<&Iteration> {
        self.procedure().iteration()
    }
}

impl Hybrid {
    /// Begins at a start: with an exploration around it if one is asked for, else at once.
    pub(super) fn begin(&mut self, theta: &[f64]) {
        let parameters = self.parameters.starting_at(theta);
        let max_passes = self.options.minimizer.max_passes.saturating_sub(self.passes).max(1);
        let costing = double(self.costing);
        if self.options.minimizer.method == Method::Global {
            // the first population is a pass before the first generation, and the fit from its best point needs one
            let most = ((max_passes as f64 * GLOBAL_SHARE) as u64).min(max_passes.saturating_sub(2));
            let global = &self.options.global;
            let options = GlobalOptions { generations: global.generations.min(most), ..global.clone() };
            let evolution = Evolution::new(&parameters, options, costing).expect("the options were checked for bounds");
            self.stage = Stage::Explore(Exploration::Evolution(evolution));
        } else if self.options.starts.starts > 1 {
            if costing != self.costing {
                self.notes.push("precision f64 from the start: fits that compete must be comparable".into());
            }
            let minimizer = crate::minimize::Options { max_passes, ..self.options.minimizer.clone() };
            let tournament = Tournament::new(&parameters, minimizer, self.options.starts.clone(), costing);
            self.stage = Stage::Explore(Exploration::Tournament(tournament));
        } else {
            self.descend(theta);
        }
    }

    /// The exploration is over: its best goes on.
    pub(super) fn after_explore(&mut self, stage: Exploration) {
        let names: Vec<String> = self.parameters.iter_free().map(|p| p.name.clone()).collect();
        match stage {
            Exploration::Tournament(tournament) => {
                let (winner, standing) = tournament.finish();
                self.notes.extend(standing.notes(&names));
                self.standing = Some(standing);
                self.go_on(winner);
            }
            Exploration::Evolution(evolution) => {
                self.notes.push(evolution.note(&names));
                self.refine(evolution.best());
            }
        }
        if self.demand().is_none() {
            self.advance();
        }
    }

    /// The winner goes on where it is; what else is tried begins at its best place.
    fn go_on(&mut self, winner: Minimizer) {
        let best = winner.best().map(|(theta, normal)| (theta.to_vec(), normal.clone()));
        let (parameters, known) = match best {
            Some((theta, normal)) => (self.parameters.starting_at(&theta), Some(normal)),
            None => (self.parameters.clone(), None),
        };
        let options = self.refinement(self.passes_left().max(1));
        self.stage = Stage::Refine(self.tandem(winner, known, &parameters, &options));
        self.follow_precision();
    }

    /// What other starts say about a solution.
    pub(super) fn compared(&self, mut solution: Summary) -> Summary {
        if let (Some(standing), Status::Converged) = (&self.standing, solution.status) {
            let names: Vec<String> = self.parameters.iter_free().map(|p| p.name.clone()).collect();
            solution.warnings.extend(standing.not_unique(&names, &solution.theta, &solution.normal));
        }
        solution
    }

    /// How the tournament of starts ended, if there was one.
    pub fn standing(&self) -> Option<&Standing> {
        self.standing.as_ref()
    }
}

impl Sound for Exploration {
    fn sound(&self, n_free: usize) -> Result<(), Unsound> {
        match self {
            Exploration::Tournament(tournament) => tournament.sound(n_free),
            Exploration::Evolution(evolution) => evolution.sound(n_free),
        }
    }
}
