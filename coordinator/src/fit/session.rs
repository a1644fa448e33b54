//! Procedures ask, the crew answers: the one loop that every fit goes through.

use std::time::{Duration, Instant};

use nlsq_engine::data::source::TileSource;
use nlsq_engine::kernel::{Answer, Request};
use nlsq_engine::loss::Loss;
use nlsq_engine::procedure::Procedure;
use nlsq_engine::summary::Phase;
use nlsq_operators::Fault;

use super::Problem;
use crate::crew::{Crew, CrewError, Loaded};
use crate::outcome::{Observer, PassRecord, RunError};

/// Passes over loaded points, and who is told of them.
pub(super) struct Session<'a> {
    pub(super) problem: &'a Problem,
    pub(super) source: &'a dyn TileSource,
    pub(super) crew: &'a mut dyn Crew,
    pub(super) loaded: &'a Loaded,
    pub(super) observer: &'a mut dyn Observer,
    pub(super) times: PassTimes,
    /// Passes of each phase, in the order of the phases.
    pub(super) phases: Vec<(Phase, u64)>,
    /// Passes run.
    pub(super) count: u64,
    /// Costs of the passes that sought a lower one, since the loss last changed.
    pub(super) costs: Vec<f64>,
    /// Under which loss they were counted.
    pub(super) loss: Option<Loss>,
}

/// Wall-clock time of the passes so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PassTimes {
    /// Of whole passes.
    pub(super) total: Duration,
    /// Of evaluating tiles, the slowest worker of each pass.
    pub(super) compute: Duration,
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
    /// Runs a procedure to its end; `between` is called after every answer.
    pub(super) fn run<P: Procedure>(
        &mut self,
        procedure: &mut P,
        mut between: impl FnMut(&mut P, &mut dyn Observer),
    ) -> Result<(), Stop> {
        while let Some(request) = procedure.demand() {
            if let Some(reason) = self.observer.stop() {
                return Err(Stop::Asked(reason));
            }
            let began = Instant::now();
            let answer = self.pass(&request)?;
            let elapsed = began.elapsed();
            procedure.take(answer);
            if let Some(iteration) = procedure.iteration() {
                match self.phases.last_mut() {
                    Some((phase, count)) if *phase == iteration.phase => *count += 1,
                    _ => self.phases.push((iteration.phase, 1)),
                }
                if self.loss.replace(request.costing.loss) != Some(request.costing.loss) {
                    self.costs.clear();
                }
                if !matches!(iteration.phase, Phase::Scale | Phase::Explore | Phase::Finish | Phase::Profile) {
                    self.costs.push(iteration.cost);
                }
                self.observer.iteration(&PassRecord {
                    iteration: iteration.clone(),
                    seconds: elapsed.as_secs_f64(),
                    points: self.loaded.counts.used,
                });
            }
            between(procedure, self.observer);
        }
        Ok(())
    }

    /// One pass over all tiles.
    fn pass(&mut self, request: &Request) -> Result<Answer, Stop> {
        let problem = self.problem;
        let expanded = request.with_thetas(|theta| problem.parameters.expand(theta));
        self.count += 1;
        let began = Instant::now();
        let partial = self.crew.pass(self.count, &expanded, self.observer).map_err(|error| match error {
            CrewError::Stopped(reason) => Stop::Asked(reason),
            error => Stop::Lost(error),
        })?;
        let elapsed = began.elapsed();
        self.times.total += elapsed;
        self.times.compute += Duration::from_secs_f64(partial.busy_seconds()).min(elapsed);
        assert_eq!(partial.sums.counts, self.loaded.counts, "a pass counts every point exactly once");
        // where several thetas are tried some may fail
        let only = self.count == 1 && request.only_theta().is_some();
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
