//! Procedures ask, the crew answers: the one loop that every fit goes through.

use std::time::{Duration, Instant};

use nlsq_engine::data::source::TileSource;
use nlsq_engine::kernel::{Answer, Request};
use nlsq_engine::procedure::Procedure;
use nlsq_operators::Fault;

use super::Problem;
use crate::checkpoint::{Keeper, Record, Sections, Times, nanoseconds};
use crate::crew::{Crew, CrewError, Loaded};
use crate::outcome::{Observer, PassRecord, RunError};

/// Passes over loaded points, and who is told of them.
pub(super) struct Session<'a> {
    pub(super) problem: &'a Problem,
    pub(super) source: &'a dyn TileSource,
    pub(super) crew: &'a mut dyn Crew,
    pub(super) loaded: &'a Loaded,
    pub(super) observer: &'a mut dyn Observer,
    /// What is known of the passes, and of processes before this one that had a part in the run.
    pub(super) record: Record,
    /// One record for each pass.
    pub(super) rows: Vec<PassRecord>,
    /// Takes the state after passes.
    pub(super) keeper: Keeper,
    pub(super) clock: Clock,
}

/// What turns the time of this process into that of the run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    /// When this process began.
    pub(super) began: Instant,
    /// The time of the processes before it.
    pub(super) before: Times,
    /// Their generations.
    pub(super) generations: u64,
}

/// Why a procedure was not run to its end.
pub(super) enum Stop {
    /// The crew was lost.
    Lost(CrewError),
    /// The observer asked for it, for this reason.
    Asked(String),
    /// The fit makes no sense.
    Run(RunError),
}

impl Session<'_> {
    /// Runs a procedure to its end. After every answer `between` is called, then the state may be kept, of which `sections` makes
    /// archives.
    pub(super) fn run<P: Procedure>(
        &mut self,
        procedure: &mut P,
        sections: impl Fn(&P) -> Sections,
        mut between: impl FnMut(&mut P, &mut Record, &mut dyn Observer),
    ) -> Result<(), Stop> {
        let mut request = procedure.demand();
        let ended = loop {
            let Some(asked) = &request else { break Ok(()) };
            if let Some(reason) = self.observer.stop() {
                break Err(Stop::Asked(reason));
            }
            let began = Instant::now();
            let answer = match self.pass(asked) {
                Ok(answer) => answer,
                Err(stop) => break Err(stop),
            };
            let elapsed = began.elapsed();
            procedure.take(answer);
            let iteration = procedure.iteration().expect("a procedure that took an answer has a record of it").clone();
            let row = PassRecord { iteration, seconds: elapsed.as_secs_f64(), points: self.loaded.counts.used };
            self.record.pass(&row, asked.costing.loss);
            self.observer.iteration(&row);
            between(procedure, &mut self.record, self.observer);
            self.tick();
            request = procedure.demand();
            let sections = || sections(procedure);
            match request {
                Some(_) => self.keeper.pass(&row, &self.record, sections, self.observer),
                None => self.keeper.last_pass(&row, &self.record, sections, self.observer),
            }
            self.rows.push(row);
        };
        if let Err(Stop::Asked(_) | Stop::Lost(_)) = ended {
            self.keeper.stopped(&self.record, || sections(procedure), self.observer);
        }
        ended
    }

    /// Takes down the time and the generations.
    pub(super) fn tick(&mut self) {
        let Clock { began, before, generations } = self.clock;
        let times = &mut self.record.times;
        times.total = before.total + nanoseconds(began.elapsed());
        times.checkpoint = before.checkpoint + self.keeper.blocked();
        self.record.generations = generations + self.crew.generations();
    }

    /// One pass over all tiles.
    fn pass(&mut self, request: &Request) -> Result<Answer, Stop> {
        let problem = self.problem;
        let expanded = request.with_thetas(|theta| problem.parameters.expand(theta));
        self.record.passes += 1;
        let began = Instant::now();
        let partial = match self.crew.pass(self.record.passes, &expanded, self.observer) {
            Ok(partial) => partial,
            Err(error) => {
                self.record.passes -= 1; // it does not count
                return Err(match error {
                    CrewError::Stopped(reason) => Stop::Asked(reason),
                    error => Stop::Lost(error),
                });
            }
        };
        let elapsed = began.elapsed();
        self.record.times.passes += nanoseconds(elapsed);
        self.record.times.compute += nanoseconds(Duration::from_secs_f64(partial.busy_seconds()).min(elapsed));
        assert_eq!(partial.sums.counts, self.loaded.counts, "a pass counts every point exactly once");
        // where several thetas are tried some may fail
        let only = self.record.passes == 1 && request.only_theta().is_some();
        if let (true, Some(fault)) = (only, &partial.fault) {
            return Err(Stop::Run(self.start_fault(fault)));
        }
        let mut answer = request.answer(problem.program.n_free(), &partial.sums);
        if let Some(price) = &problem.group_variance {
            price.add(&problem.parameters, request, &mut answer, self.loaded.counts.used);
        }
        Ok(answer)
    }

    /// The model is not finite at the start: says at which point.
    fn start_fault(&self, fault: &Fault) -> RunError {
        let Self { problem, source, loaded, .. } = self;
        let variables = source.layout().variables.iter().zip(&fault.x);
        let at = variables.map(|(name, value)| format!("{name} = {value}")).collect::<Vec<_>>().join(", ");
        // Ranks are rows only where every point is used.
        let all_used = loaded.counts.used == loaded.counts.points();
        let place = all_used.then(|| source.place(fault.tile * problem.tile_points + fault.rank));
        RunError::StartNotFinite { quantity: fault.quantity.clone(), at, place }
    }
}
