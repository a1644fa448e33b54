//! Worker processes, on this machine or others, joined to one dataflow: carries out what [`Membership`] decides.
//!
//! Everything that happens comes through one channel: what agents say, what becomes of our own part of a generation, roots of
//! passes. The thread of the fit takes one happening at a time, asks the state machine, and does what it says.

mod agents;
mod beat;
mod part;
mod words;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use nlsq_engine::data::Manifest;
use nlsq_engine::data::source::DataError;
use nlsq_engine::data::tile::tile_count;
use nlsq_engine::kernel::Request;
use nlsq_operators::Partial;
use nlsq_worker::handshake::Credentials;
use nlsq_worker::protocol::{RunId, TileContent, Welcome, Work};
use nlsq_worker::strangers::Strangers;

use super::launch::{Children, LaunchError};
use super::membership::{Action, AgentId, Event, Failure, Membership, Rules};
use super::options::{ClusterOptions, Meeting, Workers, doorway};
use super::rendezvous::Posted;
use super::server::{self, Server};
use super::{Crew, CrewError, Loaded};
use crate::fit::Problem;
use crate::outcome::{Level, Observer};
use agents::{Agent, Visitors};
use beat::Beat;
use part::Part;

/// How long workers started here may take to join.
const LOCAL_JOIN_LIMIT: Duration = Duration::from_secs(30);
/// How long workers of other hosts may take: a queue may start them one by one.
const REMOTE_JOIN_LIMIT: Duration = Duration::from_secs(600);
/// Once the least number has joined, how long to wait for more.
const LAST_CALL: Duration = Duration::from_secs(2);
/// How often the clock, the child processes and the wishes of the observer are looked at.
const POLL: Duration = Duration::from_millis(20);
/// How long workers may take to go when sent home.
const LEAVE_LIMIT: Duration = Duration::from_secs(2);
/// When somebody wants to stop, how long the pass under way may take to end.
const LAST_PASS_LIMIT: Duration = Duration::from_secs(5);

/// What reaches the thread of the fit.
enum Happening {
    /// At the control port.
    Server(server::Event),
    /// Our part of a generation is connected.
    Up(u64, nlsq_operators::Passes),
    /// It is over.
    Down(u64, Option<String>),
    /// A pass is complete.
    Root { generation: u64, pass: u64, partial: Box<Partial> },
}

/// A cluster that has come together.
pub struct Cluster {
    welcome: Welcome,
    tiles: u64,
    n_points: u64,
    began: Instant,
    machine: Membership,
    happenings: Receiver<Happening>,
    sender: Sender<Happening>,
    agents: BTreeMap<AgentId, Agent>,
    visitors: Visitors,
    contents: BTreeMap<u64, TileContent>,
    /// The coordinator's part of the last generation.
    part: Option<Part>,
    /// The pass that the fit waits for.
    request: Option<(u64, Request)>,
    /// Complete, but not committed.
    root: Option<(u64, u64, Partial)>,
    committed: Option<Partial>,
    failure: Option<CrewError>,
    credentials: Credentials,
    strangers: Arc<Strangers>,
    beat: Beat,
    /// Leads workers here as long as it stands.
    _posted: Option<Posted>,
    // Dropped in this order, after everybody was sent home: connections close before children are killed.
    server: Server,
    children: Children,
}

/// The coordinator's view of what is fitted, for agents.
fn work(problem: &Problem, manifest: Manifest, threads: usize, memory: Option<u64>) -> Work {
    Work {
        manifest,
        tile_points: problem.tile_points,
        nonfinite: problem.nonfinite,
        model: problem.model.clone(),
        free: problem.parameters.free().iter().map(|&j| j as u64).collect(),
        threads: threads as u64,
        memory: memory.unwrap_or(0),
    }
}

fn rules(options: &ClusterOptions) -> Rules {
    let (min, max, launched) = match options.workers {
        Workers::Local { min, max } => (min, max, true),
        Workers::Join { min, max, .. } => (min, max, false),
    };
    Rules {
        min,
        max,
        launched,
        join_limit: if launched { LOCAL_JOIN_LIMIT } else { REMOTE_JOIN_LIMIT },
        last_call: LAST_CALL,
        endurance: options.endurance.clone(),
        placement: options.placement,
    }
}

/// Starts workers, or says where they are awaited; how many were started, and how many threads each is to have (0: its own choice).
fn call_workers(
    options: &ClusterOptions,
    address: SocketAddr,
    credentials: &Credentials,
    observer: &mut dyn Observer,
) -> Result<(Children, usize, usize), LaunchError> {
    match options.workers {
        Workers::Local { max, .. } => {
            let cores = std::thread::available_parallelism().map_or(1, usize::from);
            let mut children = Children::new(address, &credentials.secret)?;
            children.start(max)?;
            Ok((children, max, options.threads.unwrap_or((cores / max).max(1))))
        }
        Workers::Join { min, max, .. } => {
            let wire = credentials.wire.name();
            observer.note(Level::Info, &format!("listening on {address} for {min} to {max} workers, wire {wire}"));
            Ok((Children::none(), 0, options.threads.unwrap_or(0)))
        }
    }
}

impl Cluster {
    /// Brings workers together for a problem over a dataset. `run` is the same when a run is resumed, so that workers that are
    /// still there come back with their tiles.
    pub fn gather(
        problem: &Problem,
        manifest: Manifest,
        n_points: u64,
        run: RunId,
        options: &ClusterOptions,
        observer: &mut dyn Observer,
    ) -> Result<Self, CrewError> {
        let (listen, credentials) = doorway(options)?;
        let (sender, happenings) = channel();
        let strangers: Arc<Strangers> = Arc::default();
        let tiles = tile_count(n_points, problem.tile_points);
        let door = server::Rules { credentials: credentials.clone(), tiles, strangers: Arc::clone(&strangers) };
        let server = Server::start(listen, door, server_events(sender.clone())?)
            .map_err(|source| LaunchError::Listen { address: listen.to_string(), source })?;
        let posted = match &options.workers {
            Workers::Join { meeting: Meeting::Rendezvous(path), .. } => {
                Some(Posted::post(path, server.address(), &credentials.secret)?)
            }
            _ => None,
        };
        let rules = rules(options);
        let (children, launching, threads) = call_workers(options, server.address(), &credentials, observer)?;
        let mesh = RunId::random().map_err(LaunchError::Randomness)?;
        let (heartbeat, dead_after) = (rules.endurance.heartbeat, rules.endurance.dead_after);
        let mut cluster = Self {
            welcome: Welcome {
                run,
                mesh,
                work: work(problem, manifest, threads, options.memory),
                heartbeat,
                dead_after,
            },
            tiles,
            n_points,
            began: Instant::now(),
            machine: Membership::new(rules, tiles, launching, 0),
            happenings,
            sender,
            agents: BTreeMap::new(),
            visitors: Visitors::default(),
            contents: BTreeMap::new(),
            part: None,
            request: None,
            root: None,
            committed: None,
            failure: None,
            credentials,
            strangers,
            beat: Beat::start(heartbeat).map_err(LaunchError::Threads)?,
            _posted: posted,
            server,
            children,
        };
        cluster.drive(observer, |cluster| !cluster.machine.is_gathering_first())?;
        Ok(cluster)
    }

    /// Takes happenings until `done`, or until the crew cannot go on, or until the observer wants to stop.
    fn drive(&mut self, observer: &mut dyn Observer, done: impl Fn(&Self) -> bool) -> Result<(), CrewError> {
        let mut stop_since: Option<Instant> = None;
        self.step(Event::Tick, observer);
        loop {
            if let Some(failure) = self.failure.take() {
                return Err(failure);
            }
            if done(self) {
                return Ok(());
            }
            match self.happenings.recv_timeout(POLL) {
                Ok(happening) => self.handle(happening, observer),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => self.step(Event::Tick, observer),
            }
            self.look_after_children(observer);
            for text in self.strangers.news() {
                observer.note(Level::Warn, &text);
            }
            if let Some(reason) = observer.stop() {
                let since = *stop_since.get_or_insert_with(Instant::now);
                // A pass that serves may end; everything else is given up at once.
                if !self.machine.is_serving() || since.elapsed() > LAST_PASS_LIMIT {
                    return Err(CrewError::Stopped(reason));
                }
            }
        }
    }

    fn handle(&mut self, happening: Happening, observer: &mut dyn Observer) {
        match happening {
            Happening::Server(event) => {
                if let Some(event) = self.meet(event, observer) {
                    self.step(event, observer);
                }
            }
            Happening::Up(generation, passes) => {
                if let Some(part) = self.part.as_mut().filter(|part| part.number() == generation) {
                    part.passes = Some(passes);
                    self.step(Event::Up(generation), observer);
                }
            }
            Happening::Down(generation, cause) => self.step(Event::Down(generation, cause), observer),
            Happening::Root { generation, pass, partial } => {
                let busy = partial.busy.clone();
                self.root = Some((generation, pass, *partial));
                self.step(Event::Root { generation, pass, busy }, observer);
            }
        }
    }

    fn step(&mut self, event: Event, observer: &mut dyn Observer) {
        let mut events = vec![event];
        // What cannot be done is an event of its own.
        while let Some(event) = events.pop() {
            for action in self.machine.step(self.began.elapsed(), event) {
                events.extend(self.act(action, observer));
            }
        }
    }

    fn act(&mut self, action: Action, observer: &mut dyn Observer) -> Option<Event> {
        match action {
            Action::Tell(agent, order) => return self.tell(agent, order),
            Action::Dismiss(agent, cause) => self.dismiss(agent, &cause),
            Action::Release(agent, reason) => self.release(agent, reason),
            Action::Connect { generation, members } => return self.connect(generation, &members),
            Action::TearDown(generation, cause) => {
                if let Some(part) = self.part.as_mut().filter(|part| part.number() == generation) {
                    part.abort(&cause);
                }
            }
            Action::Submit { generation, pass } => self.submit(generation, pass),
            Action::Commit { generation, pass } => {
                let root = self.root.take().filter(|(of, number, _)| (*of, *number) == (generation, pass));
                self.committed = Some(root.expect("a pass is committed when its root is there").2);
            }
            Action::Launch(count) => {
                if let Err(error) = self.children.start(count) {
                    return Some(Event::NeverJoined(error.to_string()));
                }
            }
            Action::Say(report) => {
                let (level, text) = self.words(&report);
                observer.note(level, &text);
            }
            Action::Fail(failure) => self.failure = Some(crew_error(failure)),
        }
        None
    }

    fn submit(&mut self, generation: u64, pass: u64) {
        let (number, request) = self.request.as_ref().expect("a pass is submitted when the fit waits for it");
        assert_eq!(*number, pass, "the fit waits for one pass at a time");
        let passes =
            self.part.as_mut().filter(|part| part.number() == generation).and_then(|part| part.passes.as_mut());
        let passes = passes.expect("a generation that serves is up");
        // If the dataflow has ended, what ended it is on its way to us.
        let _ = passes.send(pass, request.clone());
    }

    /// Looks for workers started here that ended before they joined.
    fn look_after_children(&mut self, observer: &mut dyn Observer) {
        for (process, status) in self.children.newly_ended() {
            if !self.agents.values().any(|agent| agent.process == process) && !self.visitors.knew(process) {
                let cause = format!("worker process {process} {}", words::how_it_ended(status));
                self.step(Event::NeverJoined(cause), observer);
            }
        }
    }

    /// What a tile holds is the same whoever reads it, or the data have changed under the fit.
    fn note_contents(&mut self, contents: Vec<TileContent>) -> Result<(), DataError> {
        for content in contents {
            match self.contents.get(&content.tile) {
                Some(known) if *known != content => {
                    let row = content.tile * self.welcome.work.tile_points;
                    let message =
                        format!("the data changed while the fit ran: the tile from row {row} on is another now");
                    return Err(DataError { message, row: Some(row) });
                }
                Some(_) => {}
                None => drop(self.contents.insert(content.tile, content)),
            }
        }
        Ok(())
    }
}

/// The server's events, on their way to the thread of the fit.
fn server_events(sender: Sender<Happening>) -> Result<Sender<server::Event>, LaunchError> {
    let (events, queue) = channel();
    let forward = move || {
        for event in queue {
            if sender.send(Happening::Server(event)).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().name("events".to_string()).spawn(forward).map_err(LaunchError::Threads)?;
    Ok(events)
}

fn crew_error(failure: Failure) -> CrewError {
    match failure {
        Failure::Data(error) => error.into(),
        Failure::NeverEnough { there, needed, cause: Some(cause), .. } => {
            LaunchError::Died { joined: there, expected: needed, cause }.into()
        }
        Failure::NeverEnough { there, needed, limit, cause: None } => {
            LaunchError::TooFew { joined: there, expected: needed, limit }.into()
        }
        lost => CrewError::Lost { cause: lost.to_string() },
    }
}

impl Crew for Cluster {
    fn workers(&self) -> usize {
        self.machine.members().count()
    }

    fn device(&self) -> String {
        let mut devices: Vec<&str> = self.agents.values().map(|agent| agent.device.as_str()).collect();
        devices.sort_unstable();
        devices.dedup();
        devices.join(" and ")
    }

    fn generations(&self) -> u64 {
        self.machine.generation()
    }

    fn load(&mut self, observer: &mut dyn Observer) -> Result<Loaded, CrewError> {
        let total = self.n_points;
        loop {
            let until = Instant::now() + Duration::from_millis(100);
            self.drive(observer, |cluster| cluster.machine.is_loaded() || Instant::now() >= until)?;
            if self.machine.is_loaded() {
                break;
            }
            // That all are read is said once, by the fit.
            let points: u64 = self.agents.values().map(|agent| agent.points).sum();
            if points < total {
                observer.loading(points, total);
            }
        }
        let contents: Vec<TileContent> = self.contents.values().copied().collect();
        Ok(Loaded::of(self.tiles, &contents))
    }

    fn pass(&mut self, number: u64, request: &Request, observer: &mut dyn Observer) -> Result<Partial, CrewError> {
        self.request = Some((number, request.clone()));
        self.committed = None;
        self.step(Event::Ask(number), observer);
        self.drive(observer, |cluster| cluster.committed.is_some())?;
        self.request = None;
        Ok(self.committed.take().expect("waited for"))
    }

    fn finish(&mut self, observer: &mut dyn Observer) -> Result<(), CrewError> {
        for text in self.strangers.news().into_iter().chain(self.strangers.totals()) {
            observer.note(Level::Warn, &text);
        }
        self.machine.finish();
        let ended = match self.part.take() {
            Some(part) => part.finish(&self.happenings, LEAVE_LIMIT),
            None => Ok(()),
        };
        self.send_home();
        ended.map_err(|cause| CrewError::Lost { cause: format!("at the end, {cause}") })
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.machine.finish();
        if let Some(part) = &mut self.part {
            part.abort("the run is over");
        }
        self.send_home();
    }
}
