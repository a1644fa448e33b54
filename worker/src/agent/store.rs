//! The tiles of an agent: read by a thread of its own, kept across generations and connections.

use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nlsq_engine::data::Dataset;
use nlsq_engine::data::source::{DataError, TileSource};
use nlsq_engine::data::tile::{Tile, tile_count};
use nlsq_engine::data::tile_set::TileSet;
use nlsq_engine::expr::{Model, Names};
use nlsq_engine::kernel::Program;
use nlsq_engine::kernel::blocks::Blocks;
use tracing::info;

use super::{Happening, Options, panicked};
use crate::fault::{Fault, Moment};
use crate::load::{LoadError, Plan, load};
use crate::memory::{self, Budget};
use crate::pool::{Pool, Shard};
use crate::protocol::{TileContent, Work};
use crate::session::{Event, Reading};

/// Progress is told no more often than this.
const TELL_EVERY: Duration = Duration::from_millis(200);

/// Tiles by their index.
type Tiles = BTreeMap<u64, Arc<Tile>>;

/// What the agent works on, and what it has of it.
pub(super) struct Store {
    jobs: Sender<Job>,
    /// Replaced as a whole when another run is adopted, so that a reading that ends late fills the old one.
    current: Option<Run>,
    threads: Option<usize>,
    memory: Option<u64>,
}

/// One run's model and tiles.
#[derive(Clone)]
struct Run {
    work: Arc<Work>,
    tiles: Arc<Mutex<Tiles>>,
    threads: usize,
    memory: Option<u64>,
}

struct Job {
    run: Run,
    reading: u64,
    wanted: TileSet,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store {
    /// Starts the thread that reads.
    pub(super) fn start(options: &Options, sender: Sender<Happening>) -> io::Result<Self> {
        let (jobs, queue) = channel();
        let fault = options.fault.clone();
        std::thread::Builder::new().name("load".to_string()).spawn(move || serve(&queue, &sender, fault.as_ref()))?;
        Ok(Self { jobs, current: None, threads: options.threads, memory: options.memory })
    }

    /// Another run begins: its tiles are others.
    pub(super) fn adopt(&mut self, work: &Work) {
        let threads = match self.threads.unwrap_or(work.threads as usize) {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        };
        let memory = self.memory.or_else(|| Some(work.memory).filter(|&bytes| bytes > 0));
        self.current = Some(Run { work: Arc::new(work.clone()), tiles: Arc::default(), threads, memory });
    }

    /// Reads tiles, after those that are being read already.
    pub(super) fn read(&self, reading: u64, wanted: TileSet) {
        let Some(run) = self.current.clone() else { return };
        self.jobs.send(Job { run, reading, wanted }).expect("the thread that reads ends after the agent");
    }

    /// Lets go of all tiles but these.
    pub(super) fn keep(&self, kept: &TileSet) {
        if let Some(run) = &self.current {
            lock(&run.tiles).retain(|tile, _| kept.contains(*tile));
        }
    }

    /// Threads of a member over these tiles, and the number of tiles of the dataset.
    pub(super) fn pool(&self, tiles: &TileSet, member: u64, fault: Option<Fault>) -> Result<(Arc<Pool>, u64), String> {
        let run = self.current.as_ref().ok_or("told to start before it was told what to fit")?;
        let program = program(&run.work).map_err(|error| error.message)?;
        let held = lock(&run.tiles);
        let own: Vec<Arc<Tile>> = tiles.tiles().filter_map(|tile| held.get(&tile).map(Arc::clone)).collect();
        if own.len() as u64 != tiles.len() {
            return Err("told to evaluate tiles that it does not hold".to_string());
        }
        let total = tile_count(run.work.manifest.n_points, run.work.tile_points);
        let shard = Shard { tiles: own, total, member };
        let pool = Pool::new(&Blocks::new(), &program, shard, run.threads, fault);
        let pool = pool.map_err(|error| {
            format!("cannot start {} compute threads: {error}; expected a smaller --threads", run.threads)
        })?;
        Ok((Arc::new(pool), total))
    }
}

fn serve(queue: &Receiver<Job>, sender: &Sender<Happening>, fault: Option<&Fault>) {
    let told = Mutex::new(Instant::now());
    let progress = |points| {
        let mut told = lock(&told);
        if told.elapsed() >= TELL_EVERY {
            *told = Instant::now();
            let _ = sender.send(Happening::Progress(points));
        }
    };
    for Job { run, reading, wanted } in queue {
        let read = catch_unwind(AssertUnwindSafe(|| run.read(&wanted, fault, &progress)));
        let outcome = read.unwrap_or_else(|_| Reading::Failed { message: panicked("loading was") });
        // Fails only when the agent has ended.
        let _ = sender.send(Happening::Session(Event::Read { reading, outcome }));
    }
}

fn program(work: &Work) -> Result<Program, DataError> {
    let names = Names { variables: &work.model.variables, parameters: &work.model.parameters };
    let model = Model::parse(&work.model.expression, &names)
        .map_err(|error| DataError::new(format!("the coordinator's model was refused here: {error}")))?;
    Ok(Program::new(model, work.free.iter().map(|&j| j as usize).collect()))
}

impl Run {
    fn read(&self, wanted: &TileSet, fault: Option<&Fault>, progress: &(dyn Fn(u64) + Sync)) -> Reading {
        let refused = |DataError { message, row }| Reading::Refused { message, row };
        // A model that cannot be read is refused before the points are.
        if let Err(error) = program(&self.work) {
            return refused(error);
        }
        let dataset = match Dataset::from_manifest(self.work.manifest.clone()) {
            Ok(dataset) => dataset,
            Err(error) => return refused(error),
        };
        match self.load(&dataset, wanted, fault, progress) {
            Ok(contents) => Reading::Done(contents),
            Err(LoadError::Data(error)) => refused(error),
            Err(LoadError::NoRoom { tiles }) => {
                let room = lock(&self.tiles).len() as u64 + tiles;
                Reading::NoRoom { room, message: Budget::of_this_process(self.memory).refusal(room) }
            }
            Err(LoadError::Stopped) => unreachable!("nobody stops an agent while it reads but by ending it"),
        }
    }

    /// Reads as long as what is read fits; what certainly does not is not begun.
    fn load(
        &self,
        dataset: &Dataset,
        wanted: &TileSet,
        fault: Option<&Fault>,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Vec<TileContent>, LoadError> {
        let points = self.work.tile_points;
        let holds: u64 = lock(&self.tiles).values().map(|tile| tile.bytes() as u64).sum();
        let reading = memory::reading_bytes(dataset, points, self.threads);
        let room = Budget::of_this_process(self.memory).left(holds, reading);
        let fit = room / memory::least_tile_bytes(dataset.layout(), points.min(dataset.n_points()));
        if fit < wanted.len() {
            return Err(LoadError::NoRoom { tiles: fit });
        }
        let before: u64 = lock(&self.tiles).values().map(|tile| tile.counts.points()).sum();
        let plan = Plan {
            source: dataset,
            shards: wanted.runs(),
            tile_points: self.work.tile_points,
            nonfinite: self.work.nonfinite,
            threads: self.threads,
            progress: &|points| {
                if let Some(fault) = fault {
                    fault.strike(Moment::Load);
                }
                progress(before + points);
            },
            room,
            stop: &AtomicBool::new(false),
        };
        let loaded = load(&plan)?;
        info!(tiles = loaded.tiles.len(), "tiles are loaded");
        lock(&self.tiles).extend(loaded.tiles.into_iter().map(|tile| (tile.index, Arc::new(tile))));
        Ok(loaded.contents)
    }
}
