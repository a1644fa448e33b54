//! From gathering to serving.

use std::collections::BTreeMap;
use std::time::Duration;

use nlsq_engine::data::tile_set::TileSet;

use super::agent::Wanted;
use super::event::{Action, AgentId, Failure, Generation, Order, Report};
use super::{Deal, Membership, Stage, Story};
use crate::crew::placement::{NoRoom, Share, place};

/// How long agents may take to open a data port.
const OPEN_LIMIT: Duration = Duration::from_secs(30);

impl Membership {
    /// Goes on as far as the events so far allow.
    pub(super) fn advance(&mut self) {
        // Each turn goes to another stage; there are fewer stages than turns.
        for _ in 0..8 {
            let before = std::mem::discriminant(&self.stage);
            match self.stage {
                Stage::Gathering { .. } => self.gather(),
                Stage::Loading => self.load(),
                Stage::Opening { .. } => self.open_wait(),
                Stage::Serving { submitted: None } => self.between_passes(),
                Stage::Settling { .. } => self.settle(),
                Stage::Connecting | Stage::Serving { .. } | Stage::Over => {}
            }
            if std::mem::discriminant(&self.stage) == before {
                return;
            }
        }
    }

    /// Agents that may serve. Below the least number nobody is let go.
    pub(super) fn fit_to_serve(&self) -> usize {
        self.staying().max(self.agents.len().min(self.rules.min))
    }

    /// Agents that do not want to leave.
    pub(super) fn staying(&self) -> usize {
        self.agents.values().filter(|agent| !agent.draining).count()
    }

    fn gather(&mut self) {
        let there = self.fit_to_serve();
        let (now, rules) = (self.now, &self.rules);
        let Stage::Gathering { deadline, enough_since, first } = &mut self.stage else { return };
        let enough = if there < rules.min {
            *enough_since = None;
            false
        } else {
            let since = *enough_since.get_or_insert(now);
            // after a loss nobody waits for more than are needed
            !*first || there >= rules.max || now >= since + rules.last_call
        };
        let (first, late) = (*first, now >= *deadline);
        let short_of_room = match enough.then(|| self.dealt(&self.candidates())) {
            Some(Ok(deal)) => return self.begin_loading(deal),
            Some(Err(no_room)) => Some(no_room),
            None => None,
        };
        if late {
            self.give_up(there, first, short_of_room);
        }
    }

    fn give_up(&mut self, there: usize, first: bool, short_of_room: Option<NoRoom>) {
        let limit = if first { self.rules.join_limit } else { self.rules.endurance.rejoin_wait };
        let cause = self.story.causes.join("; ");
        self.fail(match short_of_room {
            Some(NoRoom { capacity, tiles }) => Failure::NoRoom { room: capacity, tiles, limit, cause },
            None if first => Failure::NeverEnough { there, needed: self.rules.min, limit, cause: None },
            None => Failure::TooFew { there, needed: self.rules.min, limit, cause },
        });
    }

    /// The agents that serve next: those who stay, those who hold most, then the eldest.
    pub(super) fn candidates(&self) -> Vec<AgentId> {
        let mut all: Vec<_> = self.agents.iter().collect();
        all.sort_by_key(|(id, agent)| (agent.draining, std::cmp::Reverse(agent.coming().len()), **id));
        let most = self.fit_to_serve().min(self.rules.max);
        let mut chosen: Vec<AgentId> = all.into_iter().take(most).map(|(id, _)| *id).collect();
        chosen.sort_unstable();
        chosen
    }

    /// What agents hold or are reading, and how much each should and can.
    pub(super) fn holdings(&self, members: &[AgentId]) -> (BTreeMap<AgentId, TileSet>, BTreeMap<AgentId, Share>) {
        let of = |id: &AgentId| &self.agents[id];
        let share = |id: &AgentId| Share { speed: of(id).speed, capacity: of(id).capacity };
        let held = members.iter().map(|id| (*id, of(id).coming())).collect();
        (held, members.iter().map(|id| (*id, share(id))).collect())
    }

    /// The tiles dealt to these agents, each keeping what it has as far as that is fair.
    pub(super) fn dealt(&self, members: &[AgentId]) -> Result<Deal, NoRoom> {
        let (held, shares) = self.holdings(members);
        place(self.tiles, &held, &shares, self.rules.placement)
    }

    fn begin_loading(&mut self, deal: Deal) {
        self.deal = deal;
        self.next = None;
        let deal = self.deal.clone();
        self.make_room(&deal);
        let moved = self.order_tiles(&deal);
        self.story.moved += moved;
        self.stage = Stage::Loading;
    }

    /// Tells agents that cannot hold their part of a deal beside what they have to let go of the rest.
    fn make_room(&mut self, deal: &Deal) {
        for (id, tiles) in deal {
            let agent = self.agents.get_mut(id).expect("tiles are dealt to agents that are there");
            if agent.cramped || !agent.has_room(tiles, &agent.coming()) {
                agent.keeps(tiles);
                self.tell(*id, Order::Keep { tiles: tiles.clone() });
            }
        }
    }

    /// Tells every agent of a deal to read what it lacks; how many tiles that are.
    pub(super) fn order_tiles(&mut self, deal: &Deal) -> u64 {
        let mut moved = 0;
        for (id, tiles) in deal {
            let agent = self.agents.get_mut(id).expect("tiles are dealt to agents that are there");
            let missing = tiles.difference(&agent.coming());
            if missing.is_empty() {
                continue;
            }
            moved += missing.len();
            self.requests += 1;
            agent.loading.insert(self.requests, Wanted { tiles: missing.clone(), since: Some(self.clock) });
            let order = Order::Hold { request: self.requests, tiles: missing };
            self.actions.push(Action::Tell(*id, order));
        }
        moved
    }

    /// Whether every agent of a deal holds its part.
    pub(super) fn is_held(&self, deal: &Deal) -> bool {
        let held = |id: &AgentId, tiles: &TileSet| {
            self.agents.get(id).is_some_and(|agent| tiles.difference(&agent.held).is_empty())
        };
        deal.iter().all(|(id, tiles)| held(id, tiles))
    }

    fn load(&mut self) {
        if !self.refusals.is_empty() {
            // Of several faults the first in the dataset's order is named, whoever found it.
            if self.agents.values().all(|agent| agent.loading.is_empty()) {
                let first = self.refusals.iter().min_by_key(|error| error.row.unwrap_or(0));
                let first = first.expect("there is a refusal").clone();
                self.fail(Failure::Data(first));
            }
            return;
        }
        if self.deal.keys().any(|id| self.agents[id].cramped) {
            // Dealt anew when all have answered: only then is it known who holds what.
            if self.agents.values().all(|agent| agent.loading.is_empty()) {
                self.regroup();
            }
            return;
        }
        if self.is_held(&self.deal) {
            self.complete = true;
            self.open();
        }
    }

    /// Opens the next generation: every member ends an older one and opens a data port.
    pub(super) fn open(&mut self) {
        self.generation += 1;
        let members: Vec<AgentId> = self.deal.keys().copied().collect();
        for agent in members {
            self.tell(agent, Order::Prepare { generation: self.generation });
        }
        self.stage = Stage::Opening { ports: BTreeMap::new(), deadline: self.now + OPEN_LIMIT };
    }

    fn open_wait(&mut self) {
        let Stage::Opening { ports, deadline } = &self.stage else { return };
        let (ports, late) = (ports.clone(), self.now >= *deadline);
        if let Some(missing) = self.deal.keys().copied().find(|id| !ports.contains_key(id)) {
            if late {
                let cause = "opened no data port in time".to_string();
                self.act(Action::Dismiss(missing, cause.clone()));
                self.lose(missing, cause);
            }
            return;
        }
        let members: Vec<(AgentId, u16)> = ports.into_iter().collect();
        let generation = self.generation;
        for (place, (agent, _)) in members.iter().enumerate() {
            let tiles = self.deal[agent].clone();
            let keeps = self.agents.get_mut(agent).expect("a lost member leaves its stage");
            keeps.starts(&tiles);
            let members = members.clone();
            self.tell(*agent, Order::Start { generation, index: place + 1, members, tiles });
        }
        self.act(Action::Connect { generation, members });
        self.stage = Stage::Connecting;
    }

    /// The generation is connected.
    pub(super) fn serve(&mut self) {
        let story = std::mem::take(&mut self.story);
        let after = story.since.map_or(Duration::ZERO, |since| self.clock - since);
        if story.since.is_some() {
            self.pace.change = after.as_secs_f64();
        }
        self.balance.start_generation(self.pace.passes);
        let Story { causes, moved, .. } = story;
        self.act(Action::Say(Report::Generation(Generation {
            number: self.generation,
            causes,
            members: self.deal.keys().copied().collect(),
            moved,
            pass: self.wanted,
            after,
        })));
        self.stage = Stage::Serving { submitted: None };
    }

    fn between_passes(&mut self) {
        if self.change_is_ready() {
            return self.change();
        }
        let generation = self.generation;
        if let (Stage::Serving { submitted }, Some(pass)) = (&mut self.stage, self.wanted) {
            *submitted = Some(pass);
            self.act(Action::Submit { generation, pass });
        }
    }

    pub(super) fn fail(&mut self, failure: Failure) {
        self.act(Action::Fail(failure));
        self.stage = Stage::Over;
    }
}
