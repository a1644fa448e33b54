//! One process: every tile in this process, evaluated on its own threads, through the same dataflow.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, channel};

use nlsq_engine::data::source::{DataError, TileSource};
use nlsq_engine::data::tile::tile_count;
use nlsq_engine::kernel::blocks::Blocks;
use nlsq_engine::kernel::{Backend, Request};
use nlsq_operators::{Aborted, Partial, Passes, driver};
use nlsq_worker::generation::{self, Generation, Member, Running};
use nlsq_worker::handshake::RunId;
use nlsq_worker::load::{self, LoadError, Plan};
use nlsq_worker::memory::{self, Budget};
use nlsq_worker::pool::{Pool, Shard};

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
    memory: Option<u64>,
    tiles: u64,
    pool: Option<Arc<Pool>>,
    generation: Arc<Generation>,
    // Dropped in this order: a generation ends when nobody can ask it any more.
    passes: Option<Passes>,
    answers: Option<Receiver<(u64, Partial)>>,
    running: Option<Running>,
}

impl Embedded {
    /// Over `threads` compute threads; `memory` bytes for points, or what the system allows.
    pub fn new(problem: Arc<Problem>, source: Arc<dyn TileSource>, threads: usize, memory: Option<u64>) -> Self {
        let tiles = tile_count(source.n_points(), problem.tile_points);
        let generation = Arc::new(Generation::new(NO_RUN, 1));
        Self {
            problem,
            source,
            threads,
            memory,
            tiles,
            pool: None,
            generation,
            running: None,
            passes: None,
            answers: None,
        }
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
        let room = self.room();
        let least = memory::least_tile_bytes(self.source.layout(), self.problem.tile_points.min(total));
        if room / least < self.tiles {
            return Err(self.no_room(room / least).into());
        }
        let read = |progress: &(dyn Fn(u64) + Sync), stop: &AtomicBool| {
            load::load(&Plan {
                source: self.source.as_ref(),
                shards: std::slice::from_ref(&all),
                tile_points: self.problem.tile_points,
                nonfinite: self.problem.nonfinite,
                threads: self.threads,
                progress,
                room,
                stop,
            })
        };
        let loaded = match super::progress::watched(total, observer, read) {
            (Ok(loaded), _) => loaded,
            (Err(LoadError::Data(error)), _) => return Err(error.into()),
            (Err(LoadError::NoRoom { tiles }), _) => return Err(self.no_room(tiles).into()),
            (Err(LoadError::Stopped), reason) => return Err(CrewError::Stopped(reason.unwrap_or_default())),
        };
        let tiles = loaded.tiles.into_iter().map(Arc::new).collect();
        let program = &self.problem.program;
        let shard = Shard { tiles, total: self.tiles, member: 0 };
        let pool = Pool::new(&Blocks::new(), program, shard, self.threads, None);
        let refused = |error| {
            DataError::new(format!(
                "cannot start {} compute threads: {error}; expected a smaller --threads",
                self.threads
            ))
        };
        self.pool = Some(Arc::new(pool.map_err(refused)?));
        Ok(Loaded::of(self.tiles, &loaded.contents))
    }

    fn generations(&self) -> u64 {
        self.generation.number()
    }

    fn pass(&mut self, number: u64, request: &Request, _observer: &mut dyn Observer) -> Result<Partial, CrewError> {
        let mut passes = match self.passes.take() {
            Some(passes) => passes,
            None => self.start()?,
        };
        let sent = passes.send(number, request.clone());
        let answer = sent.and_then(|()| self.answers.as_ref().and_then(|answers| answers.recv().ok()).ok_or(Aborted));
        self.passes = Some(passes);
        let (pass, partial) = answer.map_err(|Aborted| self.lost())?;
        assert_eq!(pass, number, "one pass is in flight at a time");
        Ok(partial)
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
    /// Bytes that are left for tiles.
    fn room(&self) -> u64 {
        let reading = memory::reading_bytes(self.source.as_ref(), self.problem.tile_points, self.threads);
        Budget::of_this_process(self.memory).left(0, reading)
    }

    fn no_room(&self, tiles: u64) -> DataError {
        let refusal = Budget::of_this_process(self.memory).refusal(tiles);
        let help = "expected more memory, a larger --memory, or several hosts (--listen and --workers)";
        DataError::new(format!("the data take {} tiles, and this process {refusal}; {help}", self.tiles))
    }

    fn start(&mut self) -> Result<Passes, CrewError> {
        let pool = self.pool.as_ref().expect("points are loaded before a generation starts");
        let (sender, answers) = channel();
        // Fails only when nobody waits for an answer any more.
        let (passes, driver) = driver(move |pass, partial| drop(sender.send((pass, partial))));
        self.answers = Some(answers);
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
