//! What must hold, whatever happens.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use nlsq_coordinator::crew::membership::{Action, AgentId, Event, Failure, Order, Report};
use nlsq_engine::data::tile_set::TileSet;
use nlsq_worker::agent::MESH_LIMIT;
use nlsq_worker::protocol::{Command, Response};
use nlsq_worker::session::{self, Session};

use super::agent::Process;
use super::data::sum_of;
use super::plan::{CALM, Kind, Plan, Weather};
use super::world::{Host, World};

/// What is remembered to judge by.
pub(super) struct Law {
    hosts: Host,
    weather: Weather,
    pub(super) vanished: BTreeSet<Host>,
    pub(super) struck: BTreeMap<Kind, u64>,
    /// Data were refused before all of them had been read.
    pub(super) refused: bool,
    /// Passes that are committed.
    pub(super) passes: u64,
    pub(super) generations: u64,
    /// Generations that began because members changed, not because of a loss.
    pub(super) changes: u64,
    pub(super) breaks: u64,
    answers: BTreeSet<(usize, u64)>,
    /// Who was told to start, by generation.
    started: BTreeMap<u64, Vec<(AgentId, TileSet)>>,
    /// The last generation, if a loss ended it.
    broken: Option<u64>,
    torn_down: BTreeSet<u64>,
    /// Requests that are not answered.
    asked: BTreeMap<AgentId, BTreeSet<u64>>,
    /// How often an agent was told to start while it was reading something else.
    pub(super) forgotten: u64,
    /// When there were enough agents last.
    enough: Duration,
    /// When something happened that may count as a loss.
    losses: Vec<Duration>,
}

impl Law {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            hosts: 0,
            weather: plan.weather,
            vanished: BTreeSet::new(),
            struck: BTreeMap::new(),
            refused: false,
            passes: 0,
            generations: 0,
            changes: 0,
            breaks: 0,
            answers: BTreeSet::new(),
            started: BTreeMap::new(),
            broken: None,
            torn_down: BTreeSet::new(),
            asked: BTreeMap::new(),
            forgotten: 0,
            enough: Duration::ZERO,
            losses: Vec::new(),
        }
    }

    pub(super) fn next_host(&mut self) -> Host {
        self.hosts += 1;
        self.hosts
    }

    /// The coordinator's agents have other names now.
    pub(super) fn resumed(&mut self) {
        self.started.clear();
        self.broken = None;
        self.asked.clear();
    }

    /// The coordinator is told of something.
    pub(super) fn happens(&mut self, event: &Event, now: Duration) {
        match event {
            Event::Closed(..) | Event::NeverJoined(_) => self.losses.push(now),
            Event::Loaded(agent, request)
            | Event::NoRoom { agent, request, .. }
            | Event::Refused(agent, request, _)
            | Event::Failed(agent, request, _) => {
                self.asked.entry(*agent).or_default().remove(request);
            }
            _ => {}
        }
    }

    /// An agent that is told to evaluate tiles holds them.
    pub(super) fn told_to_agent(&self, session: &Session, host: Host, event: &session::Event) {
        if let session::Event::Said(Command::Start { generation, tiles, .. }) = event {
            let held = session.holds().map_or_else(TileSet::new, |(_, tiles)| tiles);
            assert!(
                tiles.is_subset(&held),
                "process {host} holds {held:?} and is told to evaluate {tiles:?} in generation {generation}"
            );
        }
    }

    /// What an agent begins to evaluate is in its memory.
    pub(super) fn began(&self, process: &Process, host: Host, generation: u64, tiles: &TileSet) {
        let store = &process.store;
        assert!(
            tiles.is_subset(store),
            "process {host} begins generation {generation} with {tiles:?}, and {store:?} is in its memory"
        );
    }

    /// A request is answered once.
    pub(super) fn answered(&mut self, connection: usize, response: &Response) {
        if let Response::Loaded { request, .. }
        | Response::NoRoom { request, .. }
        | Response::Refused { request, .. }
        | Response::Failed { request, .. } = response
        {
            assert!(self.answers.insert((connection, *request)), "request {request} is answered twice");
        }
    }

    /// A pass is committed once, in its turn, and every tile counts once.
    pub(super) fn committed(&mut self, tiles: u64, pass: u64, sum: u64) {
        self.passes += 1;
        assert_eq!(pass, self.passes, "passes are committed in their order, each once");
        let expected = (0..tiles).fold(0u64, |sum, tile| sum.wrapping_add(sum_of(tile, pass)));
        assert_eq!(sum, expected, "every tile counts once in pass {pass}");
    }
}

impl World {
    /// Whether what the coordinator is about to do is right.
    pub(super) fn check(&mut self, action: &Action) {
        match action {
            Action::Tell(agent, order) => {
                let known = self.coordinator.agents.contains_key(agent);
                assert!(known, "{agent} is told {order:?}, and is not there");
                self.check_order(*agent, order);
            }
            Action::Connect { generation, members } => self.check_deal(*generation, members.len()),
            Action::Commit { generation, .. } => {
                assert_eq!(*generation, self.law.generations, "commits come from the last generation");
                assert!(!self.law.torn_down.contains(generation), "commits come from a generation that serves");
            }
            Action::TearDown(generation, cause) => {
                self.law.torn_down.insert(*generation);
                let change = cause == "the members change";
                self.law.broken = (!change).then_some(*generation);
                if change {
                    self.law.changes += 1;
                } else {
                    self.law.breaks += 1;
                    self.law.losses.push(self.now);
                    self.is_no_loss_in_good_weather(cause);
                }
            }
            Action::Dismiss(_, cause) | Action::Say(Report::SentHome(_, cause)) => {
                self.law.losses.push(self.now);
                self.is_no_loss_in_good_weather(cause);
            }
            Action::Fail(failure) => self.check_failure(failure),
            Action::Release(..) | Action::Submit { .. } | Action::Launch(_) | Action::Say(_) => {}
        }
    }

    fn is_no_loss_in_good_weather(&self, cause: &str) {
        assert_eq!(self.plan.weather, Weather::Wild, "somebody is lost while nothing is wrong: {cause}");
        let late = CALM + MESH_LIMIT + self.plan.rules.endurance.dead_after * 3;
        assert!(self.now < late, "somebody is lost long after the last fault: {cause}");
    }

    fn check_order(&mut self, agent: AgentId, order: &Order) {
        match order {
            Order::Prepare { generation } if *generation > self.law.generations => {
                self.law.generations = *generation;
                self.check_settled();
            }
            Order::Prepare { generation } => {
                assert_eq!(*generation, self.law.generations, "generations ascend");
            }
            Order::Start { generation, tiles, .. } => {
                assert_eq!(*generation, self.law.generations, "a generation starts that was prepared");
                let asked = self.law.asked.remove(&agent).unwrap_or_default();
                self.law.forgotten += u64::from(!asked.is_empty());
                self.law.started.entry(*generation).or_default().push((agent, tiles.clone()));
            }
            Order::Hold { request, .. } => drop(self.law.asked.entry(agent).or_default().insert(*request)),
            Order::Keep { .. } | Order::Abort { .. } => {}
        }
    }

    /// After a loss, those who served before have ended it or are lost.
    fn check_settled(&self) {
        let Some(before) = self.law.broken else { return };
        for (agent, _) in self.law.started.get(&before).into_iter().flatten() {
            let serves = self.host(*agent).is_some_and(|host| self.takes_part(before, host));
            assert!(!serves, "{agent} still serves generation {before} when the next begins");
        }
    }

    /// Every tile has one owner.
    fn check_deal(&self, generation: u64, members: usize) {
        let started = self.law.started.get(&generation).map_or(&[][..], Vec::as_slice);
        assert_eq!(started.len(), members, "all members are told to start");
        let mut all = TileSet::new();
        for (agent, tiles) in started {
            assert!(all.is_disjoint(tiles), "{agent} is dealt a tile that another has");
            all = all.union(tiles);
        }
        assert_eq!(all, TileSet::full(self.plan.tiles), "every tile has an owner in generation {generation}");
    }

    pub(super) fn count_agents(&mut self) {
        if self.coordinator.agents.len() >= self.plan.rules.min {
            self.law.enough = self.now;
        }
    }

    /// A run fails only for what its rules name.
    fn check_failure(&self, failure: &Failure) {
        let (rules, text) = (&self.plan.rules, failure.to_string());
        assert_ne!(self.law.weather, Weather::Calm, "nothing is wrong, and yet: {text}");
        let for_long = self.now - self.law.enough;
        match failure {
            Failure::TooFew { .. } | Failure::NeverEnough { cause: None, .. } => {
                assert!(
                    for_long >= rules.endurance.rejoin_wait.min(rules.join_limit),
                    "given up after {for_long:?}: {text}"
                );
                assert!(self.now < CALM + Duration::from_secs(5), "there are enough agents, and yet: {text}");
            }
            Failure::NeverEnough { .. } => {
                assert!(self.plan.rules.launched, "nobody was launched, and yet: {text}");
            }
            Failure::TooManyLosses { .. } => {
                let since = self.now.saturating_sub(rules.endurance.restart_window);
                let seen = self.law.losses.iter().filter(|time| **time >= since).count();
                // The last one ends the run before anything is torn down.
                assert!(seen + 1 > rules.endurance.max_restarts, "{seen} losses seen before: {text}");
                assert_eq!(self.law.weather, Weather::Wild, "nobody was lost, and yet: {text}");
            }
            Failure::NoRoom { .. } => panic!("any {} workers have room for all tiles, and yet: {text}", rules.min),
            Failure::Data(_) => assert!(self.law.refused, "no data were refused, and yet: {text}"),
        }
    }
}
