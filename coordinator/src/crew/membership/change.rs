//! Changes of members while a generation serves: late joiners, leavers, stragglers.

use super::event::{Action, AgentId, Order};
use super::{Deal, Membership, Stage};
use crate::crew::balance::{Joiner, joiner_pays};

impl Membership {
    /// An agent's pace, from its sign of life.
    pub(super) fn pace_of(&mut self, agent: AgentId, generation: u64, passes: u64, seconds: f64) {
        let (current, tiles) = (self.generation, self.deal.get(&agent).map_or(0, |tiles| tiles.len()));
        let Some(known) = self.agents.get_mut(&agent) else { return };
        let (last, before, spent) = known.progress;
        known.progress = (generation, passes, seconds);
        let (before, spent) = if last == generation { (before, spent) } else { (0, 0.0) };
        if generation == current && passes > before && tiles > 0 {
            self.balance.observe(agent, tiles, (seconds - spent) / (passes - before) as f64);
        }
    }

    /// An agent wants to leave: it serves until its tiles are held by others.
    pub fn drain(&mut self, agent: AgentId) {
        if let Some(known) = self.agents.get_mut(&agent) {
            known.draining = true;
        }
    }

    /// Between two passes: whether tiles should move, and where to. If so, they are read beside the passes that follow.
    pub(super) fn consider_change(&mut self) {
        if self.next.is_some() || !matches!(self.stage, Stage::Serving { submitted: None }) {
            return;
        }
        let members = self.candidates();
        let leaves = |id: &&AgentId| self.agents.get(id).is_some_and(|agent| agent.draining);
        if self.deal.keys().any(|id| leaves(&id)) && members.len() >= self.rules.min {
            return self.prepare(members);
        }
        let joins = members.iter().any(|id| !self.deal.contains_key(id));
        if joins && members.len() > self.deal.len() {
            let joiner = Joiner {
                before: self.deal.len(),
                after: members.len(),
                pass_seconds: self.pace.seconds / self.pace.passes.max(1) as f64,
                passes: self.pace.total,
                cost_seconds: self.pace.change_seconds,
            };
            if joiner_pays(self.rules.late_joiners, &joiner) {
                self.prepare(members);
            }
        } else if self.rules.balance {
            let proposal = self.balance.proposal(self.pace.total, &self.deal, self.pace.change_seconds);
            if let Some(speeds) = proposal {
                for (id, speed) in speeds {
                    if let Some(agent) = self.agents.get_mut(&id) {
                        agent.speed = speed;
                    }
                }
                self.prepare(self.deal.keys().copied().collect());
            }
        }
    }

    fn prepare(&mut self, members: Vec<AgentId>) {
        // Without room the crew stays as it is.
        let Ok(deal) = self.dealt(members) else { return };
        if deal != self.deal {
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
            if !self.deal.contains_key(agent) && self.agents.get(agent).is_some_and(|known| known.draining) {
                self.act(Action::Release(*agent, "its tiles are held by others".to_string()));
                self.agents.remove(agent);
            }
        }
        self.story.since = Some(self.now);
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
