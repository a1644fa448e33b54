//! One generation: a timely instance over a fixed set of workers, inside a process that outlives it.
//!
//! A generation ends in one of two ways. The driver hangs up: every dataflow completes and all threads end. Or somebody
//! [aborts](Generation::abort) it: sockets are shut down, which frees every blocked read and write, and the timely thread
//! is woken, drops its dataflow and never steps it again. Either way the threads and sockets are gone when
//! [`Running::join`] returns, and what the process owns beyond (points, devices) is untouched.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Thread;
use std::time::Duration;

use nlsq_operators::{Compute, Driver, assemble};
use timely::WorkerConfig;
use timely::communication::allocator::ProcessBuilder;
use timely::communication::allocator::generic::AllocatorBuilder;
use timely::communication::allocator::zero_copy::initialize::initialize_networking_from_sockets;
use timely::communication::{Hooks, WorkerGuards};
use timely::worker::Worker;

use crate::fused::Fused;
use crate::handshake::RunId;
use crate::wire::Wire;

/// How long a timely thread sleeps when nothing wakes it; a bound on how late it could notice an abort.
const PARK: Duration = Duration::from_millis(100);

/// The handle of a generation: knows whether it still stands, and how to bring it down.
#[derive(Debug)]
pub struct Generation {
    run: RunId,
    number: u64,
    aborted: AtomicBool,
    cause: Mutex<Option<String>>,
    sockets: Mutex<Vec<TcpStream>>,
    threads: Mutex<Vec<Thread>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What these mutexes hold is valid after every statement, so a panic elsewhere does not spoil it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Generation {
    /// Generation `number` of a run, standing.
    pub fn new(run: RunId, number: u64) -> Self {
        Self {
            run,
            number,
            aborted: AtomicBool::new(false),
            cause: Mutex::default(),
            sockets: Mutex::default(),
            threads: Mutex::default(),
        }
    }

    /// The run it belongs to.
    pub fn run(&self) -> RunId {
        self.run
    }

    /// Its number, which every message of the generation carries.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Brings it down, from any thread; the first cause given is kept.
    pub fn abort(&self, cause: impl Into<String>) {
        lock(&self.cause).get_or_insert_with(|| cause.into());
        self.aborted.store(true, Ordering::SeqCst);
        self.shut_down_sockets();
        for thread in lock(&self.threads).iter() {
            thread.unpark();
        }
    }

    fn shut_down_sockets(&self) {
        for socket in lock(&self.sockets).iter() {
            // A socket whose peer is gone is down already.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    /// Whether it is being brought down.
    pub fn is_aborted(&self) -> bool {
        self.aborted.load(Ordering::SeqCst)
    }

    /// The first cause of its end, if it was aborted.
    pub fn cause(&self) -> Option<String> {
        lock(&self.cause).clone()
    }

    /// Closes our copies of the sockets: while one is open the peer sees no end.
    fn release(&self) {
        lock(&self.sockets).clear();
        lock(&self.threads).clear();
    }
}

/// What a member brings into a generation.
pub struct Member {
    /// Its index; 0 is the coordinator.
    pub index: usize,
    /// Connections to all members by index, `None` at its own.
    pub wires: Vec<Option<Wire>>,
    /// Tiles of the whole dataset.
    pub tiles: u64,
    /// Evaluates the tiles it owns.
    pub compute: Arc<dyn Compute>,
    /// The driver, at index 0 and nowhere else.
    pub driver: Option<Driver>,
}

/// A generation whose threads are up.
pub struct Running {
    generation: Arc<Generation>,
    guards: WorkerGuards<()>,
}

/// Starts a generation on threads of its own.
pub fn start(generation: Arc<Generation>, member: Member) -> io::Result<Running> {
    let Member { index, wires, tiles, compute, driver } = member;
    for wire in wires.iter().flatten() {
        lock(&generation.sockets).push(wire.socket().try_clone()?);
    }
    if generation.is_aborted() {
        // The abort may have come before the sockets were known to it.
        generation.shut_down_sockets();
    }
    let hooks = Hooks::default();
    let process = ProcessBuilder::new_typed_vector(1, hooks.refill.clone(), None);
    let streams = wires
        .into_iter()
        .enumerate()
        .map(|(peer, wire)| wire.map(|wire| Fused::new(wire, Arc::clone(&generation), peer)))
        .collect();
    let (builders, communication) = initialize_networking_from_sockets(process, streams, index, 1, hooks)?;
    let builders = builders.into_iter().map(AllocatorBuilder::Tcp).collect();
    let driver = Mutex::new(driver);
    let handle = Arc::clone(&generation);
    let run = move |worker: &mut Worker| {
        let (compute, driver) = (Arc::clone(&compute), lock(&driver).take());
        step(&handle, worker, |worker| assemble(worker, tiles, compute, driver));
    };
    let guards = timely::execute::execute_from(builders, Box::new(communication), WorkerConfig::default(), run)
        .map_err(io::Error::other)?;
    Ok(Running { generation, guards })
}

/// The timely thread: builds the dataflow and steps it until it completes or the generation is aborted.
fn step(generation: &Generation, worker: &mut Worker, build: impl FnOnce(&mut Worker)) {
    lock(&generation.threads).push(std::thread::current());
    let stepped = catch_unwind(AssertUnwindSafe(|| {
        build(worker);
        while worker.has_dataflows() && !generation.is_aborted() {
            worker.step_or_park(Some(PARK));
        }
    }));
    if stepped.is_err() {
        // Let out, the panic would poison the queues of every other thread.
        generation.abort("an operator panicked");
    }
    for dataflow in worker.installed_dataflows() {
        worker.drop_dataflow(dataflow);
    }
}

impl Running {
    /// Waits for the end: `Err` with the first cause if it was aborted.
    pub fn join(self) -> Result<(), String> {
        let threads = self.guards.join();
        self.generation.release();
        let panicked = threads.into_iter().find_map(Result::err);
        match self.generation.cause().or(panicked) {
            None => Ok(()),
            Some(cause) => Err(cause),
        }
    }
}
