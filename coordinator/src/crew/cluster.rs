//! Worker processes, on this machine or others, joined to one dataflow.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use nlsq_engine::data::source::DataError;
use nlsq_engine::data::tile::tile_count;
use nlsq_engine::data::tree::TreeNode;
use nlsq_engine::data::{Manifest, YStatistics};
use nlsq_engine::kernel::Request;
use nlsq_engine::normal::Counts;
use nlsq_operators::{Aborted, Compute, Partial, Passes, Reply, driver};
use nlsq_worker::agent::MESH_LIMIT;
use nlsq_worker::generation::{self, Generation, Member, Running};
use nlsq_worker::handshake::{Credentials, RunId};
use nlsq_worker::mesh::{self, Seat};
use nlsq_worker::protocol::{Command, Response, Work};
use nlsq_worker::strangers::Strangers;
use nlsq_worker::wire::Wire;
use tokio::sync::mpsc::UnboundedSender;

use super::launch::{Children, LaunchError};
use super::options::{ClusterOptions, Workers, rendezvous};
use super::placement::deal;
use super::server::{ConnectionId, Event, Rules, Server};
use super::{Crew, CrewError, Loaded};
use crate::config::Placement;
use crate::fit::Problem;
use crate::outcome::{Level, Observer};

/// How long workers started here may take to join.
const LOCAL_JOIN_LIMIT: Duration = Duration::from_secs(30);
/// How long workers of other hosts may take: a queue may start them one by one.
const REMOTE_JOIN_LIMIT: Duration = Duration::from_secs(600);
/// Once the least number has joined, how long to wait for more.
const LAST_CALL: Duration = Duration::from_secs(2);
/// How often a wait looks at the clock and at the child processes.
const POLL: Duration = Duration::from_millis(20);
/// How long workers may take to go when sent home.
const LEAVE_LIMIT: Duration = Duration::from_secs(2);
/// The program's version; workers of another may sum in another order.
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// How a member says that it lost another: a consequence, not a cause.
const LOST_PEER: &str = "lost peer";
/// After a generation was lost, how long to wait for news of the cause.
const POST_MORTEM: Duration = Duration::from_millis(500);

/// A cluster that has come together.
pub struct Cluster {
    problem: Arc<Problem>,
    manifest: Manifest,
    n_points: u64,
    tiles: u64,
    placement: Placement,
    threads: usize,
    run: RunId,
    credentials: Credentials,
    strangers: Arc<Strangers>,
    events: Receiver<Event>,
    members: Vec<Agent>,
    /// Members whose connection is closed: they need no word, and nobody waits for them.
    gone: BTreeSet<ConnectionId>,
    generation: Option<Arc<Generation>>,
    // Dropped in this order: a generation ends when nobody can ask it any more.
    passes: Option<Passes>,
    running: Option<Running>,
    // Dropped in this order, after everybody was sent home: connections close before children are killed.
    server: Server,
    children: Children,
}

/// An agent as the coordinator knows it.
struct Agent {
    id: ConnectionId,
    /// Its own address, and ours as it reaches us.
    address: SocketAddr,
    local: IpAddr,
    commands: UnboundedSender<Command>,
    process: u32,
    device: String,
}

impl Agent {
    fn tell(&self, command: Command) {
        // If the connection is gone, an event says so.
        let _ = self.commands.send(command);
    }
}

/// The coordinator takes part in the graph and owns no points.
struct NoTiles;

impl Compute for NoTiles {
    fn evaluate(&self, _request: Request, reply: Reply) {
        reply.send(Vec::new());
    }
}

/// What a wait for all members found.
enum News {
    Response(usize, Response),
    Lost(String),
    Tick,
}

impl Cluster {
    /// Brings workers together for a problem over a dataset.
    pub fn gather(
        problem: Arc<Problem>,
        manifest: Manifest,
        n_points: u64,
        options: &ClusterOptions,
        observer: &mut dyn Observer,
    ) -> Result<Self, CrewError> {
        let (listen, credentials) = rendezvous(options)?;
        let (sender, events) = channel();
        let strangers: Arc<Strangers> = Arc::default();
        let tiles = tile_count(n_points, problem.tile_points);
        let rules = Rules { credentials: credentials.clone(), tiles, strangers: Arc::clone(&strangers) };
        let server = Server::start(listen, rules, sender)
            .map_err(|source| LaunchError::Listen { address: listen.to_string(), source })?;
        let (min, max, limit) = match options.workers {
            Workers::Local(count) => (count, count, LOCAL_JOIN_LIMIT),
            Workers::Join { min, max, .. } => (min, max, REMOTE_JOIN_LIMIT),
        };
        let children = match options.workers {
            Workers::Local(count) => Children::start(count, server.address(), &credentials.secret)?,
            Workers::Join { .. } => {
                let (address, wire) = (server.address(), credentials.wire.name());
                observer.note(Level::Info, &format!("listening on {address} for {min} to {max} workers, wire {wire}"));
                Children::default()
            }
        };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = match options.workers {
            Workers::Local(count) => options.threads.unwrap_or((cores / count).max(1)),
            Workers::Join { .. } => options.threads.unwrap_or(0),
        };
        let mut cluster = Self {
            tiles,
            problem,
            manifest,
            n_points,
            placement: options.placement,
            threads,
            run: RunId::random().map_err(LaunchError::Randomness)?,
            credentials,
            strangers,
            events,
            members: Vec::new(),
            gone: BTreeSet::new(),
            generation: None,
            running: None,
            passes: None,
            server,
            children,
        };
        cluster.wait_for_members(min, max, limit, observer)?;
        Ok(cluster)
    }

    fn wait_for_members(
        &mut self,
        min: usize,
        max: usize,
        limit: Duration,
        observer: &mut dyn Observer,
    ) -> Result<(), CrewError> {
        let deadline = Instant::now() + limit;
        let mut enough_since = None;
        let mut connected = BTreeMap::new();
        while self.members.len() < max {
            if self.members.len() >= min {
                let since = *enough_since.get_or_insert_with(Instant::now);
                if since.elapsed() >= LAST_CALL {
                    break;
                }
            }
            match self.events.recv_timeout(POLL) {
                Ok(Event::Connected { id, address, local, commands }) => {
                    connected.insert(id, (address, local, commands));
                }
                Ok(Event::Said { id, response: Response::Joined { version, process, device } }) => {
                    let Some((address, local, commands)) = connected.remove(&id) else { continue };
                    let agent = Agent { id, address, local, commands, process, device };
                    if version == VERSION {
                        self.members.push(agent);
                    } else {
                        let text =
                            format!("a worker of version {version} at {address} was sent home: this is {VERSION}");
                        observer.note(Level::Warn, &text);
                        agent.tell(Command::Leave { reason: Some(text) });
                    }
                }
                Ok(Event::Said { .. }) => {}
                Ok(Event::Closed { id, .. }) => self.members.retain(|agent| agent.id != id),
                Err(_) => {}
            }
            self.tell_of_strangers(observer);
            stopped(observer)?;
            let joined = self.members.len();
            if let Some(cause) = self.first_death() {
                return Err(LaunchError::Died { joined, expected: min, cause }.into());
            }
            if Instant::now() >= deadline {
                return Err(LaunchError::TooFew { joined, expected: min, limit }.into());
            }
        }
        self.server.close_to_joiners();
        for (_, _, commands) in connected.into_values() {
            // If it is gone, it needs no word.
            let _ = commands.send(Command::Leave { reason: Some("the run has all its workers already".to_string()) });
        }
        // Sockets arrive in any order; the index of a member should not depend on it.
        self.members.sort_by_key(|agent| (agent.address.ip(), agent.process));
        Ok(())
    }

    fn tell_of_strangers(&self, observer: &mut dyn Observer) {
        for text in self.strangers.news() {
            observer.note(Level::Warn, &text);
        }
    }

    /// How the first of our children ended, if one has.
    fn first_death(&mut self) -> Option<String> {
        let (process, status) = *self.children.ended().first()?;
        Some(format!("worker process {process} {}", how_it_ended(status)))
    }

    /// The next thing that concerns a member.
    fn news(&mut self) -> News {
        match self.events.recv_timeout(POLL) {
            Ok(Event::Said { id, response }) => match self.index_of(id) {
                Some(member) => News::Response(member, response),
                None => News::Tick,
            },
            Ok(Event::Closed { id, cause }) => match self.index_of(id) {
                Some(member) => {
                    self.gone.insert(id);
                    News::Lost(self.obituary(member, &cause))
                }
                None => News::Tick,
            },
            Ok(Event::Connected { .. }) => News::Tick,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => News::Tick,
        }
    }

    fn index_of(&self, id: ConnectionId) -> Option<usize> {
        self.members.iter().position(|agent| agent.id == id)
    }

    fn obituary(&mut self, member: usize, cause: &str) -> String {
        let process = self.members[member].process;
        let name = format!("worker {} (process {process} at {})", member + 1, self.members[member].address.ip());
        // A killed process closes its socket a moment before its parent can learn how it ended.
        let deadline = Instant::now() + POST_MORTEM;
        while self.children.has(process) && Instant::now() < deadline {
            if let Some((_, status)) = self.children.ended().into_iter().find(|(id, _)| *id == process) {
                return format!("{name} {}", how_it_ended(status));
            }
            std::thread::sleep(POLL);
        }
        format!("{name}: {cause}")
    }

    /// What the members have to say about a lost generation. A peer that lost a peer is no cause.
    fn first_cause(&mut self) -> Option<String> {
        let deadline = Instant::now() + POST_MORTEM;
        while Instant::now() < deadline {
            match self.news() {
                News::Lost(cause) => return Some(cause),
                News::Response(member, Response::Ended { cause: Some(cause), .. }) if !cause.starts_with(LOST_PEER) => {
                    return Some(format!("worker {}: {cause}", member + 1));
                }
                _ => {}
            }
        }
        None
    }

    /// Opens data ports everywhere: the addresses of all members but the coordinator, and our own listener.
    fn prepare(&mut self, number: u64) -> Result<(std::net::TcpListener, Vec<SocketAddr>), CrewError> {
        for agent in &self.members {
            agent.tell(Command::Prepare { generation: number });
        }
        let mut ports = BTreeMap::new();
        let deadline = Instant::now() + MESH_LIMIT;
        while ports.len() < self.members.len() {
            match self.news() {
                News::Response(member, Response::Listening { generation, port }) if generation == number => {
                    ports.insert(member, port);
                }
                News::Lost(cause) => return Err(lost("while starting", cause)),
                _ if Instant::now() >= deadline => {
                    return Err(lost("while starting", "a worker opened no data port in time".to_string()));
                }
                _ => {}
            }
        }
        let address = |(member, port): (&usize, &u16)| SocketAddr::new(self.members[*member].address.ip(), *port);
        let addresses = ports.iter().map(address).collect();
        let listener = mesh::listen(self.server.address().ip());
        let listener = listener.map_err(|error| lost("while starting", format!("cannot open a data port: {error}")))?;
        Ok((listener, addresses))
    }

    /// Connects to all members, watching the control connections meanwhile.
    fn connect(
        &mut self,
        generation: &Arc<Generation>,
        listener: &std::net::TcpListener,
        addresses: &[SocketAddr],
    ) -> Result<Vec<Option<Wire>>, CrewError> {
        let (credentials, strangers) = (self.credentials.clone(), Arc::clone(&self.strangers));
        let seat = Seat { generation: Arc::clone(generation), credentials, index: 0, strangers };
        let deadline = Instant::now() + MESH_LIMIT;
        std::thread::scope(|scope| {
            let connecting = scope.spawn(|| mesh::connect(&seat, listener, addresses, deadline));
            while !connecting.is_finished() {
                match self.news() {
                    News::Lost(cause) => generation.abort(cause),
                    News::Response(member, Response::Ended { generation: number, cause: Some(cause) })
                        if number == generation.number() =>
                    {
                        generation.abort(format!("worker {}: {cause}", member + 1));
                    }
                    _ => {}
                }
            }
            let connected = connecting.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            match generation.cause() {
                // A member was lost; that the others then could not connect is a consequence.
                Some(cause) => Err(lost("while connecting", cause)),
                None => connected.map_err(|error| lost("while connecting", error.to_string())),
            }
        })
    }
}

impl Crew for Cluster {
    fn workers(&self) -> usize {
        self.members.len()
    }

    fn device(&self) -> String {
        let mut devices: Vec<&str> = self.members.iter().map(|agent| agent.device.as_str()).collect();
        devices.sort_unstable();
        devices.dedup();
        devices.join(" and ")
    }

    fn load(&mut self, observer: &mut dyn Observer) -> Result<Loaded, CrewError> {
        let problem = &self.problem;
        let work = Work {
            manifest: self.manifest.clone(),
            tile_points: problem.tile_points,
            nonfinite: problem.nonfinite,
            model: problem.model.clone(),
            free: problem.parameters.free().iter().map(|&j| j as u64).collect(),
            threads: self.threads as u64,
        };
        let shards: Vec<Vec<Range<u64>>> = deal(self.tiles, self.members.len(), self.placement);
        for (agent, shards) in self.members.iter().zip(shards) {
            agent.tell(Command::Load { work: Box::new(work.clone()), shards });
        }
        let mut parts: BTreeMap<usize, Part> = BTreeMap::new();
        let mut points = vec![0; self.members.len()];
        while parts.len() < self.members.len() {
            match self.news() {
                News::Response(member, Response::Loading { points: done }) => points[member] = done,
                News::Response(member, Response::Loaded { counts, statistics }) => {
                    points[member] = counts.points();
                    parts.insert(member, Ok((counts, statistics)));
                }
                News::Response(member, Response::Refused { message, row }) => {
                    parts.insert(member, Err(DataError { message, row }));
                }
                News::Response(_, Response::Failed { message }) => {
                    return Err(CrewError::Bug { during: "while loading".to_string(), cause: message });
                }
                News::Lost(cause) => return Err(lost("while loading", cause)),
                News::Response(..) => {}
                News::Tick => {
                    stopped(observer)?;
                    let points = points.iter().sum();
                    // That all are read is said once, by the fit.
                    if points < self.n_points {
                        observer.loading(points, self.n_points);
                    }
                }
            }
        }
        merge(self.tiles, parts.into_values())
    }

    fn generations(&self) -> u64 {
        self.generation.as_ref().map_or(0, |generation| generation.number())
    }

    fn pass(&mut self, number: u64, request: &Request, observer: &mut dyn Observer) -> Result<Partial, CrewError> {
        self.tell_of_strangers(observer);
        let mut passes = match self.passes.take() {
            Some(passes) => passes,
            None => self.start()?,
        };
        let partial = passes.run(number, request.clone());
        self.passes = Some(passes);
        partial.map_err(|Aborted| self.lost())
    }

    fn finish(&mut self, observer: &mut dyn Observer) -> Result<(), CrewError> {
        self.tell_of_strangers(observer);
        for text in self.strangers.totals() {
            observer.note(Level::Warn, &text);
        }
        // the generation ends when nobody can ask it any more
        self.passes = None;
        let ended = match self.running.take().map(Running::join) {
            Some(Err(cause)) => Err(lost("at the end", cause)),
            _ => Ok(()),
        };
        self.dismiss();
        ended
    }
}

impl Cluster {
    fn start(&mut self) -> Result<Passes, CrewError> {
        let number = self.generation.as_ref().map_or(1, |last| last.number() + 1);
        let (listener, others) = self.prepare(number)?;
        let port = listener.local_addr().map_err(|error| lost("while starting", error.to_string()))?.port();
        for (k, agent) in self.members.iter().enumerate() {
            let ours = SocketAddr::new(agent.local, port);
            let addresses = std::iter::once(ours).chain(others.iter().copied()).collect();
            agent.tell(Command::Start { run: self.run, generation: number, index: k as u64 + 1, addresses });
        }
        let generation = Arc::new(Generation::new(self.run, number));
        self.generation = Some(Arc::clone(&generation));
        let all: Vec<SocketAddr> = std::iter::once(self.server.address()).chain(others).collect();
        let wires = self.connect(&generation, &listener, &all)?;
        let (passes, driver) = driver();
        let compute = Arc::new(NoTiles);
        let member = Member { index: 0, wires, tiles: self.tiles, compute, driver: Some(driver) };
        let running = generation::start(generation, member);
        self.running = Some(running.map_err(|error| lost("while starting", error.to_string()))?);
        Ok(passes)
    }

    fn lost(&mut self) -> CrewError {
        let seen = self.running.take().and_then(|running| running.join().err());
        // That a peer was lost is known from its socket; why, its control connection or its parent may tell.
        let cause = match seen {
            Some(cause) if !cause.starts_with(LOST_PEER) => Some(cause),
            seen => self.first_cause().or(seen),
        };
        lost("during a pass", cause.unwrap_or_else(|| "the dataflow ended early".to_string()))
    }
}

impl Cluster {
    /// Sends everybody home and waits a little until they have gone: a word that is not delivered is not said.
    fn dismiss(&mut self) {
        let all_joined = self.members.len() >= self.children.len();
        for agent in &self.members {
            agent.tell(Command::Leave { reason: None });
        }
        let deadline = Instant::now() + LEAVE_LIMIT;
        self.members.retain(|agent| !self.gone.contains(&agent.id));
        while !self.members.is_empty() && Instant::now() < deadline {
            if let Ok(Event::Closed { id, .. }) = self.events.recv_timeout(POLL) {
                self.members.retain(|agent| agent.id != id);
            }
        }
        if all_joined {
            self.children.wait();
        } // else some have never heard of us: they are killed when the children are dropped
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.dismiss();
    }
}

/// Whether the observer wants to stop.
fn stopped(observer: &mut dyn Observer) -> Result<(), CrewError> {
    observer.stop().map_or(Ok(()), |reason| Err(CrewError::Stopped(reason)))
}

/// What one worker's loading came to.
type Part = Result<(Counts, Vec<(TreeNode, YStatistics)>), DataError>;

/// All parts together; of several faults the first in the dataset's order.
fn merge(tiles: u64, parts: impl Iterator<Item = Part>) -> Result<Loaded, CrewError> {
    let mut counts = Counts::default();
    let mut nodes = Vec::new();
    let mut first: Option<DataError> = None;
    for part in parts {
        match part {
            Ok((part, statistics)) => {
                counts.merge(&part);
                nodes.extend(statistics);
            }
            Err(error) => {
                let earlier = first.as_ref().is_some_and(|first| first.row.unwrap_or(0) <= error.row.unwrap_or(0));
                if !earlier {
                    first = Some(error);
                }
            }
        }
    }
    match first {
        Some(error) => Err(error.into()),
        None => Ok(Loaded { counts, statistics: super::fold_statistics(tiles, nodes) }),
    }
}

fn how_it_ended(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(signal), _) => format!("was killed by signal {signal}"),
        (None, Some(code)) => format!("ended with exit code {code}"),
        (None, None) => "ended".to_string(),
    }
}

fn lost(during: &str, cause: String) -> CrewError {
    CrewError::Lost { during: during.to_string(), cause }
}
