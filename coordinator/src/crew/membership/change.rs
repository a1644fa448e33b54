//! Changes of members while a generation serves: late joiners, leavers, stragglers.

use super::event::{Action, AgentId, Order};
use super::{Deal, Membership, Stage};
use crate::crew::balance::{ChangeCost, Standing};

/// Seconds that a change of members is thought to take before there was one.
const FIRST_CHANGE: f64 = 0.1;

impl Membership {
    /// An agent has read what it was asked to.
    pub(super) fn loaded(&mut self, agent: AgentId, request: u64) {
        let Some((tiles, since)) = self.agents.get_mut(&agent).and_then(|agent| agent.has_loaded(request)) else {
            return;
        };
        let (seconds, all) = &mut self.pace.reading;
        *seconds += (self.clock - since).as_secs_f64();
        *all += tiles;
    }

    /// A pass is over; how long each member was busy with it.
    pub(super) fn note_pace(&mut self, busy: &[(u64, f64)]) {
        let members: Vec<(AgentId, u64)> = self.deal.iter().map(|(id, tiles)| (*id, tiles.len())).collect();
        for (index, seconds) in busy {
            // The first member is the coordinator, which has no tiles.
            let member = usize::try_from(*index).ok().and_then(|index| members.get(index.checked_sub(1)?));
            if let Some((agent, tiles)) = member.filter(|(_, tiles)| *tiles > 0) {
                self.balance.observe(self.pace.passes, *agent, *tiles, *seconds);
            }
        }
        self.pace.passes += 1;
    }

    /// Between two passes: whether tiles should move, and where to. If so, they are read beside the passes that follow.
    pub(super) fn consider_change(&mut self) {
        if self.next.is_some() || !matches!(self.stage, Stage::Serving { submitted: None }) {
            return;
        }
        let members = self.candidates();
        let leaves = |id: &AgentId| self.agents.get(id).is_some_and(|agent| agent.draining);
        if self.deal.keys().any(leaves) {
            // Below the least number nobody is let go; one that is lost all the same is waited for.
            if self.staying() >= self.rules.min {
                self.prepare(members);
            }
            return;
        }
        let joins = members.len() > self.deal.len() && members.iter().any(|id| !self.deal.contains_key(id));
        if joins && self.joining_pays(&members) {
            self.prepare(members);
        } else if self.rules.endurance.balance {
            self.rebalance();
        }
    }

    /// Lets those go who want to leave and have nothing to do.
    pub(super) fn release_idle(&mut self) {
        if matches!(self.stage, Stage::Settling { .. } | Stage::Over) || self.staying() < self.rules.min {
            return;
        }
        let idle =
            |id: &AgentId| !self.deal.contains_key(id) && !self.next.as_ref().is_some_and(|it| it.contains_key(id));
        let leave = |id: &&AgentId| self.agents[*id].draining && idle(id);
        for agent in self.agents.keys().filter(leave).copied().collect::<Vec<_>>() {
            self.act(Action::Release(agent, "its tiles are held by others".to_string()));
            self.agents.remove(&agent);
            self.released += 1;
        }
    }

    fn joining_pays(&self, members: &[AgentId]) -> bool {
        let (held, shares) = self.holdings(members);
        let standing = Standing { serving: &self.deal, held: &held, shares: &shares };
        self.balance.joiner_pays(self.rules.endurance.late_joiners, self.pace.passes, standing, self.cost())
    }

    fn rebalance(&mut self) {
        let members: Vec<AgentId> = self.deal.keys().copied().collect();
        let (held, shares) = self.holdings(&members);
        let (standing, cost) = (Standing { serving: &self.deal, held: &held, shares: &shares }, self.cost());
        let Some(speeds) = self.balance.proposal(self.pace.passes, standing, cost) else { return };
        for (id, speed) in speeds {
            if let Some(agent) = self.agents.get_mut(&id) {
                agent.speed = speed;
            }
        }
        self.prepare(members);
    }

    fn cost(&self) -> ChangeCost {
        let (seconds, tiles) = self.pace.reading;
        let restart = if self.pace.change > 0.0 { self.pace.change } else { FIRST_CHANGE };
        ChangeCost { restart, per_tile: seconds / tiles.max(1) as f64 }
    }

    fn prepare(&mut self, members: Vec<AgentId>) {
        // Without room the crew stays as it is; what an agent serves now it must hold beside what it is to serve next.
        let Ok(deal) = self.dealt(&members) else { return };
        let serves = |id| self.deal.get(id).cloned().unwrap_or_default();
        let fits = deal.iter().all(|(id, tiles)| self.agents[id].has_room(tiles, &serves(id)));
        if fits && deal != self.deal {
            self.story.moved = self.order_tiles(&deal);
            self.next = Some(deal);
        }
    }

    pub(super) fn change_is_ready(&self) -> bool {
        self.next.as_ref().is_some_and(|next| self.is_held(next))
    }

    /// Between two passes: the next generation begins.
    pub(super) fn change(&mut self) {
        let Some(next) = self.next.take() else { return };
        let generation = self.generation;
        let cause = "the members change".to_string();
        self.act(Action::TearDown(generation, cause.clone()));
        let before: Deal = std::mem::replace(&mut self.deal, next);
        for agent in before.keys() {
            self.tell(*agent, Order::Abort { generation, cause: cause.clone() });
        }
        self.release_idle();
        self.story.since = Some(self.clock);
        self.story.causes = reasons(&before, &self.deal);
        self.open();
    }
}

/// Why members change, in words.
fn reasons(before: &Deal, after: &Deal) -> Vec<String> {
    let left = before.keys().filter(|id| !after.contains_key(id)).map(|id| format!("{id} leaves"));
    let joined = after.keys().filter(|id| !before.contains_key(id)).map(|id| format!("{id} joins"));
    let reasons: Vec<String> = left.chain(joined).collect();
    if reasons.is_empty() { vec!["tiles move from slow to fast workers".to_string()] } else { reasons }
}
