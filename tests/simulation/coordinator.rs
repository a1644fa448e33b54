//! The coordinator's process around the real [`Membership`]: what the server, the data port, the children and the fit would do.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use nlsq_coordinator::crew::membership::{Action, AgentId, Event, Membership, Newcomer, Order};
use nlsq_engine::data::source::DataError;
use nlsq_engine::data::tile_set::TileSet;
use nlsq_worker::protocol::{Command, Introduction, Response, RunId, TileContent, Welcome, Work};
use serde_json::json;

use super::control::Frame;
use super::plan::{Plan, Watched};
use super::world::{COORDINATOR, Ending, Happening, Host, World, note};

/// What reaches the thread of the fit.
#[derive(Clone, Debug)]
pub(super) enum Mail {
    Connected(usize),
    Said(usize, Response),
    Closed(usize, String),
    ChildEnded(Host),
    Up(u64),
    Down(u64, Option<String>),
    Root { generation: u64, pass: u64, sum: u64, busy: Vec<(u64, f64)> },
}

/// What the thread of the fit is doing.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Gathering,
    Loading,
    /// The fit waits for a pass.
    Passing,
    /// It thinks; what comes in waits.
    Thinking,
}

/// The process.
pub(super) struct Coordinator {
    pub(super) machine: Membership,
    pub(super) incarnation: u64,
    pub(super) up: bool,
    began: Duration,
    welcome: Welcome,
    inbox: VecDeque<Mail>,
    mode: Mode,
    waiting: BTreeSet<usize>,
    joined: BTreeMap<usize, AgentId>,
    pub(super) agents: BTreeMap<AgentId, usize>,
    last_agent: u64,
    hosts_that_joined: BTreeSet<Host>,
    contents: BTreeMap<u64, TileContent>,
    /// Its part of the last generation.
    part: Option<u64>,
    /// The pass that the fit waits for, or will ask for next.
    pub(super) pass: u64,
    root: Option<(u64, u64, u64)>,
    committed: bool,
    /// The thread of the fit is held up; other threads go on.
    pub(super) stalled: bool,
}

/// What agents are told of the run; nothing of it matters here but its name and its times.
fn welcome(plan: &Plan) -> Welcome {
    let work: Work = serde_json::from_value(json!({
        "manifest": {
            "layout": { "variables": [], "y": "y", "weighting": "None", "mask": null },
            "n_points": 1, "run_points": 1, "files": [], "aside": [],
            "csv": { "separator": null, "comment": null, "header": true },
            "reads": [], "outputs": [],
        },
        "tile_points": 1, "nonfinite": "Error",
        "model": { "expression": "a", "variables": [], "parameters": [] },
        "free": [], "threads": 1, "memory": 0,
    }))
    .expect("work as a coordinator describes it");
    let Plan { rules, .. } = plan;
    Welcome {
        run: RunId([7; 16]),
        mesh: RunId([8; 16]),
        work,
        heartbeat: rules.endurance.heartbeat,
        dead_after: rules.endurance.dead_after,
    }
}

impl Coordinator {
    pub(super) fn new(plan: &Plan, last_generation: u64) -> Self {
        let launching = if plan.rules.launched { plan.rules.max } else { 0 };
        Self {
            machine: Membership::new(plan.rules.clone(), plan.tiles, launching, last_generation),
            incarnation: 0,
            up: true,
            began: Duration::ZERO,
            welcome: welcome(plan),
            inbox: VecDeque::new(),
            mode: Mode::Gathering,
            waiting: BTreeSet::new(),
            joined: BTreeMap::new(),
            agents: BTreeMap::new(),
            last_agent: 0,
            hosts_that_joined: BTreeSet::new(),
            contents: BTreeMap::new(),
            part: None,
            pass: 1,
            root: None,
            committed: false,
            stalled: false,
        }
    }
}

impl World {
    /// What becomes known in this process, on its way to the thread of the fit.
    pub(super) fn post(&mut self, mail: Mail) {
        let incarnation = self.coordinator.incarnation;
        self.receive(incarnation, mail);
    }

    pub(super) fn receive(&mut self, incarnation: u64, mail: Mail) {
        if !self.coordinator.up || incarnation != self.coordinator.incarnation {
            return;
        }
        self.coordinator.inbox.push_back(mail);
        self.drive();
    }

    /// Nothing came for a while.
    pub(super) fn look(&mut self) {
        if self.coordinator.up && !self.coordinator.stalled && self.coordinator.mode != Mode::Thinking {
            self.step(Event::Tick);
            self.drive();
        }
    }

    /// Takes what has come, as long as the fit does not think.
    fn drive(&mut self) {
        if self.coordinator.stalled {
            return;
        }
        self.consider();
        while self.coordinator.mode != Mode::Thinking && self.ending.is_none() {
            let Some(mail) = self.coordinator.inbox.pop_front() else { return };
            if let Some(event) = self.meet(mail) {
                self.step(event);
            }
            self.consider();
        }
    }

    /// Goes on with the fit if what it waits for is there.
    fn consider(&mut self) {
        let coordinator = &mut self.coordinator;
        if coordinator.mode == Mode::Gathering && !coordinator.machine.is_gathering_first() {
            coordinator.mode = Mode::Loading;
        }
        let loaded = coordinator.mode == Mode::Loading && coordinator.machine.is_loaded();
        if loaded {
            let known = coordinator.contents.len() as u64;
            assert_eq!(known, self.plan.tiles, "all tiles are loaded, and what is in {known} of them is known");
        }
        let passed = coordinator.mode == Mode::Passing && std::mem::take(&mut coordinator.committed);
        if passed {
            coordinator.pass += 1;
        }
        if loaded || passed {
            let time = self.random.millis(0, self.plan.thinking);
            self.think(time);
        }
    }

    /// The fit thinks, and sees nothing meanwhile.
    fn think(&mut self, time: Duration) {
        self.coordinator.mode = Mode::Thinking;
        self.after(time, Happening::Thought(self.coordinator.incarnation));
    }

    /// The thread of the fit goes on.
    pub(super) fn wake(&mut self) {
        self.coordinator.stalled = false;
        self.drive();
    }

    pub(super) fn thought(&mut self, incarnation: u64) {
        if !self.coordinator.up || incarnation != self.coordinator.incarnation {
            return;
        }
        if self.coordinator.stalled {
            return self.think(Duration::from_millis(5));
        }
        if self.coordinator.pass > self.plan.passes {
            self.ending = Some(Ending::Finished);
            return;
        }
        self.coordinator.mode = Mode::Passing;
        self.step(Event::Ask(self.coordinator.pass));
        self.drive();
    }

    fn step(&mut self, event: Event) {
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            if !matches!(event, Event::Tick | Event::Alive(_)) {
                note!(self, "<- {event:?}");
            }
            self.law.happens(&event, self.now);
            let time = self.now - self.coordinator.began;
            for action in self.coordinator.machine.step(time, event) {
                note!(self, "-> {action:?}");
                self.check(&action);
                events.extend(self.act(action));
            }
            self.count_agents();
        }
    }

    fn act(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Tell(agent, order) => self.tell(agent, order),
            Action::Dismiss(agent, _) => self.forget(agent),
            Action::Release(agent, reason) => {
                self.command(agent, Command::Leave { reason: Some(reason) });
                self.forget(agent);
            }
            Action::Connect { generation, .. } => self.join_mesh(generation, 0),
            Action::TearDown(generation, cause) => {
                self.watch(Watched::TearDown);
                if self.coordinator.part == Some(generation) {
                    self.abort_host(generation, COORDINATOR, &cause);
                }
            }
            Action::Submit { generation, pass } => {
                self.watch(Watched::Submit);
                if self.coordinator.part != Some(generation) || !self.submit(generation, pass) {
                    return Some(Event::Down(generation, None));
                }
            }
            Action::Commit { generation, pass } => {
                let (of, number, sum) =
                    self.coordinator.root.take().expect("a pass is committed when its root is there");
                assert_eq!((of, number), (generation, pass), "the root is that of the pass");
                self.law.committed(self.plan.tiles, pass, sum);
                self.coordinator.committed = true;
                self.watch(Watched::Commit);
            }
            Action::Launch(count) => self.launch(count),
            Action::Say(_) => {}
            Action::Fail(failure) => self.ending = Some(Ending::Failed(failure)),
        }
        None
    }

    fn launch(&mut self, count: usize) {
        self.watch(Watched::Launch);
        for _ in 0..count {
            let after = self.random.millis(20, 500);
            if self.launch_failures > 0 {
                self.launch_failures -= 1;
                // A process that ends at once.
                let host = self.law.next_host();
                let mail = Happening::Mail(self.coordinator.incarnation, Mail::ChildEnded(host));
                self.after(after, mail);
            } else {
                self.after(after, Happening::Begins { child: true });
            }
        }
    }

    fn tell(&mut self, agent: AgentId, order: Order) {
        let command = match order {
            Order::Hold { request, tiles } => {
                self.watch(Watched::Hold);
                Command::Hold { request, tiles }
            }
            Order::Keep { tiles } => Command::Keep { tiles },
            Order::Prepare { generation } => {
                self.watch(Watched::Prepare);
                Command::Prepare { generation }
            }
            Order::Abort { generation, cause } => Command::Abort { generation, cause },
            Order::Start { generation, index, members, tiles } => {
                self.watch(Watched::Start);
                let hosts = std::iter::once(Some(COORDINATOR)).chain(members.iter().map(|(id, _)| self.host(*id)));
                let hosts: Vec<Host> = hosts.map(|host| host.expect("members are there")).collect();
                self.coordinator.part = Some(generation);
                self.add_member(generation, hosts, index, &tiles);
                Command::Start { generation, index: index as u64, addresses: Vec::new(), tiles }
            }
        };
        self.command(agent, command);
    }

    /// Where an agent is.
    pub(super) fn host(&self, agent: AgentId) -> Option<Host> {
        self.coordinator.agents.get(&agent).map(|&connection| self.connections[connection].host)
    }

    fn command(&mut self, agent: AgentId, command: Command) {
        if let Some(&connection) = self.coordinator.agents.get(&agent) {
            self.send(connection, true, Frame::Told(command));
        }
    }

    fn forget(&mut self, agent: AgentId) {
        if let Some(connection) = self.coordinator.agents.remove(&agent) {
            self.coordinator.joined.remove(&connection);
            self.close(connection, false);
        }
    }

    /// Signs of life, from a thread of their own.
    pub(super) fn beat(&mut self) {
        if self.coordinator.up {
            for agent in self.coordinator.agents.keys().copied().collect::<Vec<_>>() {
                self.command(agent, Command::Beat);
            }
        }
    }

    fn meet(&mut self, mail: Mail) -> Option<Event> {
        match mail {
            Mail::Connected(connection) => {
                self.coordinator.waiting.insert(connection);
                None
            }
            Mail::Said(connection, Response::Joined(who)) => self.introduce(connection, *who),
            Mail::Said(connection, response) => {
                let agent = *self.coordinator.joined.get(&connection)?;
                self.said(agent, response)
            }
            Mail::Closed(connection, cause) => {
                self.coordinator.waiting.remove(&connection);
                let agent = self.coordinator.joined.remove(&connection)?;
                self.coordinator.agents.remove(&agent);
                Some(Event::Closed(agent, cause))
            }
            Mail::ChildEnded(host) => {
                let knew = self.coordinator.hosts_that_joined.contains(&host);
                (!knew).then(|| Event::NeverJoined(format!("process {host} ended")))
            }
            Mail::Up(generation) => (self.coordinator.part == Some(generation)).then_some(Event::Up(generation)),
            Mail::Down(generation, cause) => Some(Event::Down(generation, cause)),
            Mail::Root { generation, pass, sum, busy } => {
                self.coordinator.root = Some((generation, pass, sum));
                Some(Event::Root { generation, pass, busy })
            }
        }
    }

    fn introduce(&mut self, connection: usize, who: Introduction) -> Option<Event> {
        if !self.coordinator.waiting.remove(&connection) {
            return None;
        }
        self.coordinator.last_agent += 1;
        let agent = AgentId(self.coordinator.last_agent);
        let Introduction { identity, threads, holds, process, .. } = who;
        self.coordinator.joined.insert(connection, agent);
        self.coordinator.agents.insert(agent, connection);
        self.coordinator.hosts_that_joined.insert(process as Host);
        self.command(agent, Command::Welcome(Box::new(self.coordinator.welcome.clone())));
        let holds = holds.map_or_else(TileSet::new, |(_, tiles)| tiles);
        Some(Event::Joined(agent, Newcomer { identity, speed: threads as f64, holds }))
    }

    fn said(&mut self, agent: AgentId, response: Response) -> Option<Event> {
        Some(match response {
            Response::Joined(_) | Response::Loading { .. } => return None,
            Response::Alive => Event::Alive(agent),
            Response::Leaving => Event::Leaving(agent),
            Response::Loaded { request, tiles } => {
                self.coordinator.contents.extend(tiles.into_iter().map(|content| (content.tile, content)));
                Event::Loaded(agent, request)
            }
            Response::NoRoom { request, room, message } => Event::NoRoom { agent, request, room, message },
            Response::Refused { request, message, row } => {
                self.law.refused |= !self.coordinator.machine.is_loaded();
                Event::Refused(agent, request, DataError { message, row })
            }
            Response::Failed { request, message } => Event::Failed(agent, request, message),
            Response::Listening { generation, port } => Event::Listening { agent, generation, port },
            Response::Ended { generation, cause } => Event::Ended { agent, generation, cause },
        })
    }

    /// The process is killed. What was committed is in its checkpoint.
    pub(super) fn kill_coordinator(&mut self) {
        note!(self, "the coordinator is gone");
        for connection in 0..self.connections.len() {
            self.close(connection, false);
        }
        if let Some(generation) = self.coordinator.part {
            self.leave_mesh(generation, COORDINATOR, true);
        }
        self.coordinator.up = false;
        if self.is_stopped(COORDINATOR) {
            self.forget_frozen(COORDINATOR);
            self.after(Duration::ZERO, Happening::Poll);
            self.after(Duration::ZERO, Happening::Beat);
        }
    }

    /// It is resumed.
    pub(super) fn resume_coordinator(&mut self) {
        note!(self, "the coordinator is resumed");
        let (incarnation, pass) = (self.coordinator.incarnation + 1, self.coordinator.pass);
        // A pass that was committed and not looked at yet is done again: its number is new to nobody.
        let last = self.coordinator.machine.generation();
        let began = self.now;
        let pass = pass.max(self.law.passes + 1);
        self.coordinator = Coordinator { incarnation, pass, began, ..Coordinator::new(&self.plan, last) };
        self.law.resumed();
    }
}
