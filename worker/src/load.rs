//! Tiles from a source, read by several threads at once.
//!
//! Shards are cut into runs as long as the source likes to read in one go; threads claim runs in order. Of several faults
//! the first in the dataset's order is reported, however the threads raced: a run is given up only if an earlier one failed.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nlsq_engine::data::shard::load_tiles;
use nlsq_engine::data::source::{DataError, TileSource};
use nlsq_engine::data::tile::Tile;
use nlsq_engine::data::{NonFinite, YStatistics};

use crate::protocol::TileContent;

/// What to read.
pub struct Plan<'a> {
    /// The dataset.
    pub source: &'a dyn TileSource,
    /// The tiles wanted: ascending, disjoint ranges of tile indices.
    pub shards: &'a [Range<u64>],
    /// Points of a tile.
    pub tile_points: u64,
    /// What to do with values that are not finite.
    pub nonfinite: NonFinite,
    /// Threads that read and decode.
    pub threads: usize,
    /// Told the number of points read so far, now and then, from any thread.
    pub progress: &'a (dyn Fn(u64) + Sync),
    /// Bytes that the tiles may take.
    pub room: u64,
    /// Looked at before each run: once it is true, reading ends with [`LoadError::Stopped`].
    pub stop: &'a AtomicBool,
}

/// Why there are no tiles.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The data were refused.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The tiles do not fit.
    #[error("no more than {tiles} tiles fit into memory")]
    NoRoom {
        /// How many fit.
        tiles: u64,
    },
    /// Reading was stopped from outside.
    #[error("reading was stopped")]
    Stopped,
}

/// The tiles, and what was learnt while reading them.
#[derive(Debug)]
pub struct Loaded {
    /// In no particular order.
    pub tiles: Vec<Tile>,
    /// What became of their points, in the same order.
    pub contents: Vec<TileContent>,
}

struct Shared<'a> {
    plan: &'a Plan<'a>,
    runs: Vec<Range<u64>>,
    next: AtomicUsize,
    points: AtomicU64,
    bytes: AtomicU64,
    /// How many tiles were there when one did not fit.
    full: AtomicU64,
    tiles: Mutex<Vec<(Tile, TileContent)>>,
    failed: Mutex<Option<(usize, DataError)>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads the tiles of a plan.
pub fn load(plan: &Plan<'_>) -> Result<Loaded, LoadError> {
    let shared = Shared {
        plan,
        runs: runs(plan),
        next: AtomicUsize::new(0),
        points: AtomicU64::new(0),
        bytes: AtomicU64::new(0),
        full: AtomicU64::new(u64::MAX),
        tiles: Mutex::default(),
        failed: Mutex::default(),
    };
    std::thread::scope(|scope| {
        for _ in 1..plan.threads.min(shared.runs.len()) {
            // If the system has no more threads, those there are do the work.
            if std::thread::Builder::new().name("load".to_string()).spawn_scoped(scope, || shared.read_runs()).is_err()
            {
                break;
            }
        }
        shared.read_runs();
    });
    if let Some((_, error)) = lock(&shared.failed).take() {
        return Err(error.into());
    }
    let full = shared.full.load(Ordering::Relaxed);
    if full < u64::MAX {
        return Err(LoadError::NoRoom { tiles: full });
    }
    if plan.stop.load(Ordering::Relaxed) {
        return Err(LoadError::Stopped);
    }
    let (tiles, contents) = std::mem::take(&mut *lock(&shared.tiles)).into_iter().unzip();
    Ok(Loaded { tiles, contents })
}

/// Cuts the shards into runs: as long as the source likes, but several for each thread.
fn runs(plan: &Plan<'_>) -> Vec<Range<u64>> {
    let total: u64 = plan.shards.iter().map(|shard| shard.end - shard.start).sum();
    let liked = plan.source.run_points().div_ceil(plan.tile_points);
    let length = liked.min(total.div_ceil(2 * plan.threads as u64)).max(1);
    let mut runs = Vec::new();
    for shard in plan.shards {
        let mut start = shard.start;
        while start < shard.end {
            // Cut where the source does: at multiples of its run.
            let end = ((start / length + 1) * length).min(shard.end);
            runs.push(start..end);
            start = end;
        }
    }
    runs
}

impl Shared<'_> {
    fn read_runs(&self) {
        loop {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(run) = self.runs.get(index).filter(|_| !self.is_over()) else { return };
            if lock(&self.failed).as_ref().is_some_and(|(failed, _)| *failed < index) {
                return;
            }
            if let Err(error) = self.read_run(run.clone()) {
                let mut failed = lock(&self.failed);
                if failed.as_ref().is_none_or(|(earlier, _)| index < *earlier) {
                    *failed = Some((index, error));
                }
            }
        }
    }

    fn is_over(&self) -> bool {
        self.plan.stop.load(Ordering::Relaxed) || self.full.load(Ordering::Relaxed) < u64::MAX
    }

    fn read_run(&self, run: Range<u64>) -> Result<(), DataError> {
        let Plan { source, tile_points, nonfinite, progress, .. } = *self.plan;
        load_tiles(source, run, tile_points, nonfinite, &mut |tile| {
            let points = self.points.fetch_add(tile.counts.points(), Ordering::Relaxed) + tile.counts.points();
            let bytes = tile.bytes() as u64;
            if self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes > self.plan.room {
                self.full.fetch_min(lock(&self.tiles).len() as u64, Ordering::Relaxed);
                return;
            }
            let statistics = YStatistics::of_tile(&tile);
            let content = TileContent { tile: tile.index, counts: tile.counts, statistics };
            lock(&self.tiles).push((tile, content));
            progress(points);
        })
    }
}
