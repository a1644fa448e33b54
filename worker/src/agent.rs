//! The loop of an agent: it answers the coordinator, and keeps its points from one generation to the next.

use std::collections::HashMap;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nlsq_engine::data::Dataset;
use nlsq_engine::data::source::{DataError, TileSource};
use nlsq_engine::data::tile::tile_count;
use nlsq_engine::expr::{Model, Names};
use nlsq_engine::kernel::blocks::Blocks;
use nlsq_engine::kernel::{Backend, Program};
use tracing::{debug, info, warn};

use crate::generation::{self, Generation, Member};
use crate::handshake::{self, Credentials, HandshakeError, Purpose};
use crate::load::{LoadError, Plan, load};
use crate::mesh::{self, Seat};
use crate::pool::Pool;
use crate::protocol::codec::{FrameError, MAX_FRAME, receive, send};
use crate::protocol::{Command, Response, Work};
use crate::strangers::Strangers;
use crate::timed::Timed;
use crate::wire::Wire;

/// How long the members of a generation may take to connect.
pub const MESH_LIMIT: Duration = Duration::from_secs(30);
/// How long to try to reach the coordinator, and how often.
const REACH_LIMIT: Duration = Duration::from_secs(60);
const REACH_AGAIN: Duration = Duration::from_millis(200);
/// How long the coordinator may take to answer a handshake.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// Loading is reported no more often than this.
const REPORT_EVERY: Duration = Duration::from_millis(200);

/// How an agent is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// The coordinator's control address: the first of these that answers.
    pub coordinator: Vec<SocketAddr>,
    /// Compute threads; `None` leaves it to the coordinator.
    pub threads: Option<usize>,
}

/// Why an agent ended otherwise than by being told to leave.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum AgentError {
    #[error("cannot reach the coordinator at {address} within {} s", limit.as_secs())]
    Unreachable { address: SocketAddr, limit: Duration, source: io::Error },
    #[error("the coordinator was not accepted")]
    Handshake(#[source] HandshakeError),
    #[error("the connection to the coordinator failed")]
    Control(#[from] FrameError),
    #[error("not needed: {reason}")]
    NotNeeded { reason: String },
    #[error("the coordinator is gone")]
    CoordinatorGone,
}

/// Joins a coordinator and serves it until it says to leave.
pub fn serve(options: &Options, credentials: &Credentials) -> Result<(), AgentError> {
    let control = join(&options.coordinator, credentials)?;
    let failed = |error| AgentError::Control(FrameError::Io(error));
    // The coordinator's word counts for all connections of the run.
    let wire = control.mode().max(credentials.wire);
    let agent = Agent {
        control: Arc::new(Mutex::new(control.try_clone().map_err(failed)?)),
        credentials: Credentials { wire, ..credentials.clone() },
        strangers: Arc::default(),
        threads: options.threads,
        store: Arc::default(),
        prepared: HashMap::new(),
        current: None,
    };
    agent.run(control)
}

/// A control connection that both sides have proved.
fn join(coordinator: &[SocketAddr], credentials: &Credentials) -> Result<Wire, AgentError> {
    let socket = reach(coordinator)?;
    let mut timed = Timed { socket, deadline: Instant::now() + HANDSHAKE_LIMIT, given_up: &|| false };
    let agreed = handshake::dial(&mut timed, credentials, Purpose::Control).map_err(AgentError::Handshake)?;
    let socket = timed.ready().map_err(|error| AgentError::Handshake(error.into()))?;
    debug!(wire = agreed.mode().name(), "the coordinator has proved itself");
    Ok(Wire::new(socket, agreed.keys))
}

/// Connects to the first address that answers. Whoever starts many processes at once starts some agents before the
/// coordinator listens, so it tries for a while.
fn reach(addresses: &[SocketAddr]) -> Result<TcpStream, AgentError> {
    let deadline = Instant::now() + REACH_LIMIT;
    loop {
        let mut last = None;
        for &address in addresses {
            match TcpStream::connect_timeout(&address, HANDSHAKE_LIMIT) {
                Ok(socket) => return Ok(socket),
                Err(error) => last = Some((address, error)),
            }
        }
        let (address, source) = last.expect("a name resolves to at least one address");
        if Instant::now() >= deadline {
            return Err(AgentError::Unreachable { address, limit: REACH_LIMIT, source });
        }
        std::thread::sleep(REACH_AGAIN);
    }
}

/// The points, once they are loaded, ready to be evaluated.
struct Store {
    pool: Arc<Pool>,
    tiles: u64,
}

struct Agent {
    control: Arc<Mutex<Wire>>,
    credentials: Credentials,
    strangers: Arc<Strangers>,
    threads: Option<usize>,
    store: Arc<Mutex<Option<Store>>>,
    /// Data ports opened for generations that have not started.
    prepared: HashMap<u64, TcpListener>,
    current: Option<Arc<Generation>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sends a response from any thread. One that cannot be sent must not leave the coordinator waiting: the connection is
/// closed, which it notices. If the coordinator is gone, the agent's own loop ends everything.
fn respond(control: &Mutex<Wire>, response: &Response) {
    let mut control = lock(control);
    if let Err(error) = send(&mut *control, response) {
        warn!(%error, "a response was not sent");
        // Fails if the connection is down already.
        let _ = control.shutdown(Shutdown::Both);
    }
}

/// What a panic said, for the coordinator; its own message went to standard error.
fn panicked(what: &str) -> String {
    format!("{what} stopped by a bug in nlsq-worker {}", env!("CARGO_PKG_VERSION"))
}

impl Agent {
    fn run(mut self, mut control: Wire) -> Result<(), AgentError> {
        let (version, device) = (env!("CARGO_PKG_VERSION").to_string(), Blocks::new().name());
        respond(&self.control, &Response::Joined { version, process: std::process::id(), device });
        while let Some(command) = receive::<Command>(&mut control, MAX_FRAME)? {
            match command {
                Command::Load { work, shards } => self.load(*work, shards),
                Command::Prepare { generation } => self.prepare(generation, &control)?,
                Command::Start { run, generation, index, addresses } => {
                    self.start(Generation::new(run, generation), index, addresses);
                }
                Command::Abort { generation, cause } => self.abort(generation, cause),
                Command::Leave { reason: None } => return Ok(()),
                Command::Leave { reason: Some(reason) } => return Err(AgentError::NotNeeded { reason }),
            }
        }
        Err(AgentError::CoordinatorGone)
    }

    /// Loads on a thread of its own, so that the agent hears the coordinator meanwhile.
    fn load(&self, work: Work, shards: Vec<Range<u64>>) {
        let (control, store, threads) = (Arc::clone(&self.control), Arc::clone(&self.store), self.threads);
        std::thread::spawn(move || {
            let loading = catch_unwind(AssertUnwindSafe(|| load_store(&work, &shards, threads, &control)));
            let response = match loading {
                Ok(Ok((loaded, response))) => {
                    *lock(&store) = Some(loaded);
                    response
                }
                Ok(Err(DataError { message, row })) => Response::Refused { message, row },
                Err(_) => Response::Failed { message: panicked("loading was") },
            };
            respond(&control, &response);
        });
    }

    fn prepare(&mut self, generation: u64, control: &Wire) -> Result<(), AgentError> {
        let address = control.local_addr().map_err(FrameError::Io)?.ip();
        let listener = mesh::listen(address).map_err(FrameError::Io)?;
        let port = listener.local_addr().map_err(FrameError::Io)?.port();
        self.prepared.clear();
        self.prepared.insert(generation, listener);
        respond(&self.control, &Response::Listening { generation, port });
        Ok(())
    }

    fn start(&mut self, generation: Generation, index: u64, addresses: Vec<SocketAddr>) {
        let number = generation.number();
        let Some(listener) = self.prepared.remove(&number) else {
            warn!(generation = number, "told to start a generation that was not prepared");
            return;
        };
        let generation = Arc::new(generation);
        self.current = Some(Arc::clone(&generation));
        let (credentials, strangers) = (self.credentials.clone(), Arc::clone(&self.strangers));
        let seat = Seat { generation, credentials, index: index as usize, strangers };
        let (control, store) = (Arc::clone(&self.control), Arc::clone(&self.store));
        std::thread::spawn(move || {
            let part = AssertUnwindSafe(|| take_part(&seat, &store, listener, &addresses));
            let cause = catch_unwind(part).unwrap_or_else(|_| Err(panicked("the generation was"))).err();
            respond(&control, &Response::Ended { generation: number, cause });
        });
    }

    fn abort(&self, number: u64, cause: String) {
        match &self.current {
            Some(generation) if generation.number() == number => generation.abort(cause),
            _ => debug!(generation = number, "told to abort a generation that is not here"),
        }
    }
}

/// One generation from the first connection to the last thread.
fn take_part(
    seat: &Seat,
    store: &Mutex<Option<Store>>,
    listener: TcpListener,
    addresses: &[SocketAddr],
) -> Result<(), String> {
    let (compute, tiles) = match lock(store).as_ref() {
        Some(store) => (Arc::clone(&store.pool), store.tiles),
        None => return Err("told to start before its points were loaded".to_string()),
    };
    let deadline = Instant::now() + MESH_LIMIT;
    let wires = mesh::connect(seat, &listener, addresses, deadline).map_err(with_source);
    for text in seat.strangers.news() {
        warn!("{text}");
    }
    drop(listener);
    let member = Member { index: seat.index, wires: wires?, tiles, compute, driver: None };
    let running = generation::start(Arc::clone(&seat.generation), member).map_err(with_source)?;
    running.join()
}

/// An error with its source, in one line.
fn with_source(error: impl std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// Reads the model and the tiles.
fn load_store(
    work: &Work,
    shards: &[Range<u64>],
    threads: Option<usize>,
    control: &Mutex<Wire>,
) -> Result<(Store, Response), DataError> {
    let names = Names { variables: &work.model.variables, parameters: &work.model.parameters };
    let model = Model::parse(&work.model.expression, &names)
        .map_err(|error| DataError::new(format!("the coordinator's model was refused here: {error}")))?;
    let program = Program::new(model, work.free.iter().map(|&j| j as usize).collect());
    let dataset = Dataset::from_manifest(work.manifest.clone())?;
    let threads = match threads.unwrap_or(work.threads as usize) {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    let reported = Mutex::new(Instant::now());
    let progress = |points| {
        let mut reported = lock(&reported);
        if reported.elapsed() >= REPORT_EVERY {
            *reported = Instant::now();
            respond(control, &Response::Loading { points });
        }
    };
    let plan = Plan {
        source: &dataset,
        shards,
        tile_points: work.tile_points,
        nonfinite: work.nonfinite,
        threads,
        progress: &progress,
        stop: &AtomicBool::new(false),
    };
    let loaded = load(&plan).map_err(|error| match error {
        LoadError::Data(error) => error,
        LoadError::Stopped => unreachable!("nobody stops an agent while it reads but by ending it"),
    })?;
    let tiles = tile_count(dataset.n_points(), work.tile_points);
    info!(tiles = loaded.tiles.len(), points = loaded.counts.used, threads, "points are loaded");
    let pool = Pool::new(&Blocks::new(), &program, loaded.tiles, tiles, threads).map_err(|error| {
        DataError::new(format!("cannot start {threads} compute threads: {error}; expected a smaller --threads"))
    })?;
    let pool = Arc::new(pool);
    let response = Response::Loaded { counts: loaded.counts, statistics: loaded.statistics };
    Ok((Store { pool, tiles }, response))
}
