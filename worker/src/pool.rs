//! Threads that evaluate tiles: the CPU's answer to [`Compute`].
//!
//! Threads live as long as a generation; the tiles live longer. Within a pass threads claim short runs of tiles from a shared
//! counter, fold each run by itself, and merge what is left into one tile tree; which thread takes which run changes no bit.
//! A pool that is dropped in the middle of a pass gives it up at the next claim.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use nlsq_engine::data::tile::Tile;
use nlsq_engine::data::tree::{TreeFold, TreeNode};
use nlsq_engine::kernel::{Backend, Evaluator, Program, Request, first_nonfinite};
use nlsq_engine::normal::Sums;
use nlsq_operators::{self as operators, Compute, Partial, Reply};

use crate::fault::{Fault, Moment};

/// Tiles that a thread claims at a time, at most: long enough that the shared tree is no bottleneck.
const RUN: usize = 4;
/// Claims of each thread, at least, where there are tiles enough: short enough to balance.
const CLAIMS: usize = 4;

/// What a member of a generation evaluates.
pub struct Shard {
    /// Its tiles.
    pub tiles: Vec<Arc<Tile>>,
    /// Tiles of the whole dataset.
    pub total: u64,
    /// Its index.
    pub member: u64,
}

/// Threads over a fixed set of tiles.
pub struct Pool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    program: Program,
    tiles: Vec<Arc<Tile>>,
    /// Tiles of the whole dataset.
    total: u64,
    /// Tiles of a claim.
    run: usize,
    queue: Mutex<Queue>,
    wake: Condvar,
    /// Nobody wants an answer any more.
    closed: AtomicBool,
    /// Its member of the generation.
    member: u64,
    fault: Option<Fault>,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Arc<Job>>,
}

/// One request under way.
struct Job {
    pass: u64,
    request: Request,
    started: Instant,
    /// Next tile to claim.
    next: AtomicUsize,
    progress: Mutex<Progress>,
}

struct Progress {
    fold: TreeFold<Partial>,
    done: usize,
    /// Taken by whoever finishes; dropped by a thread that panics, which the dataflow notices.
    reply: Option<Reply>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic of a compute thread is handled by dropping its reply; the data behind the lock stay valid.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pool {
    /// Starts `threads` threads over a shard; fails if the system has no more threads.
    pub fn new(
        backend: &dyn Backend,
        program: &Program,
        shard: Shard,
        threads: usize,
        fault: Option<Fault>,
    ) -> io::Result<Self> {
        let Shard { mut tiles, total, member } = shard;
        assert!(threads > 0, "a pool has at least one thread");
        tiles.sort_by_key(|tile| tile.index);
        let shared = Shared {
            program: program.clone(),
            total,
            run: tiles.len().div_ceil(CLAIMS * threads).clamp(1, RUN),
            tiles,
            queue: Mutex::default(),
            wake: Condvar::new(),
            closed: AtomicBool::new(false),
            member,
            fault,
        };
        let shared = Arc::new(shared);
        let mut pool = Self { shared, threads: Vec::with_capacity(threads) };
        for k in 0..threads {
            let (shared, evaluator) = (Arc::clone(&pool.shared), backend.evaluator(program));
            let thread = std::thread::Builder::new().name(format!("compute-{k}"));
            pool.threads.push(thread.spawn(move || shared.serve(evaluator))?);
        }
        Ok(pool)
    }
}

impl Compute for Pool {
    fn evaluate(&self, request: Request, reply: Reply) {
        if self.shared.tiles.is_empty() {
            return reply.send(Vec::new());
        }
        let fold = TreeFold::new(self.shared.total);
        let job = Job {
            pass: reply.pass(),
            request,
            started: Instant::now(),
            next: AtomicUsize::new(0),
            progress: Mutex::new(Progress { fold, done: 0, reply: Some(reply) }),
        };
        lock(&self.shared.queue).jobs.push_back(Arc::new(job));
        self.shared.wake.notify_all();
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        {
            // Under the lock, so that no thread looks before and waits after.
            let _queue = lock(&self.shared.queue);
            self.shared.closed.store(true, Ordering::SeqCst);
        }
        self.shared.wake.notify_all();
        for thread in self.threads.drain(..) {
            // A panic was reported when it happened; here it only matters that the thread is gone.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn serve(&self, mut evaluator: Box<dyn Evaluator>) {
        while let Some(job) = self.next_job() {
            let worked = catch_unwind(AssertUnwindSafe(|| self.work(&job, evaluator.as_mut())));
            if worked.is_err() {
                lock(&job.progress).reply = None;
                self.retire(&job);
            }
        }
    }

    /// The job at the head of the queue; waits for one.
    fn next_job(&self) -> Option<Arc<Job>> {
        let mut queue = lock(&self.queue);
        loop {
            if self.closed.load(Ordering::SeqCst) {
                return None;
            }
            if let Some(job) = queue.jobs.front() {
                return Some(Arc::clone(job));
            }
            queue = self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Evaluates runs of tiles until none is left to claim.
    fn work(&self, job: &Arc<Job>, evaluator: &mut dyn Evaluator) {
        loop {
            let start = job.next.fetch_add(self.run, Ordering::Relaxed);
            if start >= self.tiles.len() || self.closed.load(Ordering::Relaxed) {
                return self.retire(job);
            }
            let run = &self.tiles[start..self.tiles.len().min(start + self.run)];
            if let Some(fault) = &self.fault {
                fault.strike(Moment::Compute(job.pass));
            }
            let mut fold = TreeFold::new(self.total);
            for tile in run {
                fold.add(TreeNode::tile(tile.index), self.evaluate(&job.request, tile, evaluator), Partial::merge);
            }
            self.finish(job, fold, run.len());
        }
    }

    /// No tile of this job is left to claim.
    fn retire(&self, job: &Arc<Job>) {
        lock(&self.queue).jobs.retain(|other| !Arc::ptr_eq(other, job));
    }

    fn finish(&self, job: &Job, run: TreeFold<Partial>, tiles: usize) {
        let mut progress = lock(&job.progress);
        for (node, partial) in run.into_nodes() {
            progress.fold.add(node, partial, Partial::merge);
        }
        progress.done += tiles;
        if progress.done < self.tiles.len() {
            return;
        }
        let fold = std::mem::replace(&mut progress.fold, TreeFold::new(self.total));
        let busy_seconds = job.started.elapsed().as_secs_f64();
        let mut nodes: Vec<_> = fold.into_nodes().collect();
        if let Some((_, first)) = nodes.first_mut() {
            first.busy = vec![(self.member, busy_seconds)];
        }
        if let Some(fault) = &self.fault {
            fault.strike(Moment::Reduce(job.pass));
        }
        if let Some(reply) = progress.reply.take() {
            reply.send(nodes);
        }
    }

    fn evaluate(&self, request: &Request, tile: &Tile, evaluator: &mut dyn Evaluator) -> Partial {
        let sums = evaluator.evaluate(request, tile);
        let fault = request.only_theta().and_then(|theta| self.fault(theta, tile, &sums));
        Partial { sums, fault, busy: Vec::new() }
    }

    /// Looks for the point that spoiled the sums, if they are spoiled.
    fn fault(&self, theta: &[f64], tile: &Tile, sums: &Sums) -> Option<operators::Fault> {
        if sums.hi.iter().all(|sum| sum.is_finite()) {
            return None;
        }
        first_nonfinite(&self.program, theta, tile).map(|point| operators::Fault {
            tile: tile.index,
            rank: point.rank as u64,
            x: point.x,
            quantity: point.quantity,
        })
    }
}
