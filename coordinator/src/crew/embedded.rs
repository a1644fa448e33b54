//! One process: every tile in this process, evaluated on its own threads, through the same dataflow.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use nlsq_engine::data::source::{DataError, TileSource};
use nlsq_engine::data::tile::tile_count;
use nlsq_engine::kernel::blocks::Blocks;
use nlsq_engine::kernel::{Backend, Request};
use nlsq_operators::{Aborted, Partial, Passes, driver};
use nlsq_worker::generation::{self, Generation, Member, Running};
use nlsq_worker::handshake::RunId;
use nlsq_worker::load::{self, LoadError, Plan};
use nlsq_worker::pool::Pool;

use super::{Crew, CrewError, Loaded};
use crate::fit::Problem;
use crate::outcome::Observer;

/// A process alone has no connections that could be of another run.
const NO_RUN: RunId = RunId([0; 16]);

/// This process alone.
pub struct Embedded {
    problem: Arc<Problem>,
    source: Arc<dyn TileSource>,
    threads: usize,
    tiles: u64,
    pool: Option<Arc<Pool>>,
    generation: Arc<Generation>,
    // Dropped in this order: a generation ends when nobody can ask it any more.
    passes: Option<Passes>,
    running: Option<Running>,
}

impl Embedded {
    /// Over `threads` compute threads.
    pub fn new(problem: Arc<Problem>, source: Arc<dyn TileSource>, threads: usize) -> Self {
        let tiles = tile_count(source.n_points(), problem.tile_points);
        let generation = Arc::new(Generation::new(NO_RUN, 1));
        Self { problem, source, threads, tiles, pool: None, generation, running: None, passes: None }
    }
}

impl Crew for Embedded {
    /// One for each CPU core it uses: embedded, a worker is a thread.
    fn workers(&self) -> usize {
        self.threads
    }

    fn device(&self) -> String {
        Blocks::new().name()
    }

    fn load(&mut self, observer: &mut dyn Observer) -> Result<Loaded, CrewError> {
        let all = 0..self.tiles;
        let total = self.source.n_points();
        let read = |progress: &(dyn Fn(u64) + Sync), stop: &AtomicBool| {
            load::load(&Plan {
                source: self.source.as_ref(),
                shards: std::slice::from_ref(&all),
                tile_points: self.problem.tile_points,
                nonfinite: self.problem.nonfinite,
                threads: self.threads,
                progress,
                stop,
            })
        };
        let loaded = match super::progress::watched(total, observer, read) {
            (Ok(loaded), _) => loaded,
            (Err(LoadError::Data(error)), _) => return Err(error.into()),
            (Err(LoadError::Stopped), reason) => return Err(CrewError::Stopped(reason.unwrap_or_default())),
        };
        let statistics = super::fold_statistics(self.tiles, loaded.statistics);
        let pool = Pool::new(&Blocks::new(), &self.problem.program, loaded.tiles, self.tiles, self.threads);
        let refused = |error| {
            DataError::new(format!(
                "cannot start {} compute threads: {error}; expected a smaller --threads",
                self.threads
            ))
        };
        self.pool = Some(Arc::new(pool.map_err(refused)?));
        Ok(Loaded { counts: loaded.counts, statistics })
    }

    fn generations(&self) -> u64 {
        self.generation.number()
    }

    fn pass(&mut self, number: u64, request: &Request, _observer: &mut dyn Observer) -> Result<Partial, CrewError> {
        let mut passes = match self.passes.take() {
            Some(passes) => passes,
            None => self.start()?,
        };
        let partial = passes.run(number, request.clone());
        self.passes = Some(passes);
        partial.map_err(|Aborted| self.lost())
    }

    fn finish(&mut self, _observer: &mut dyn Observer) -> Result<(), CrewError> {
        // the generation ends when nobody can ask it any more
        self.passes = None;
        match self.running.take().map(Running::join) {
            Some(Err(cause)) => Err(bug("at the end", cause)),
            _ => Ok(()),
        }
    }
}

impl Embedded {
    fn start(&mut self) -> Result<Passes, CrewError> {
        let pool = self.pool.as_ref().expect("points are loaded before a generation starts");
        let (passes, driver) = driver();
        let member = Member {
            index: 0,
            wires: vec![None],
            tiles: self.tiles,
            compute: Arc::clone(pool) as _,
            driver: Some(driver),
        };
        let running = generation::start(Arc::clone(&self.generation), member);
        self.running = Some(running.map_err(|error| bug("while starting", error.to_string()))?);
        Ok(passes)
    }

    fn lost(&mut self) -> CrewError {
        let cause = self.running.take().and_then(|running| running.join().err());
        bug("during a pass", cause.unwrap_or_else(|| "it ended early".to_string()))
    }
}

/// Nothing outside this process can end the dataflow.
fn bug(during: &str, cause: String) -> CrewError {
    CrewError::Bug { during: during.to_string(), cause }
}
