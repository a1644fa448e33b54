//! What is lost, and how the rest comes together again.

use std::collections::BTreeSet;

use nlsq_engine::data::source::DataError;

use super::event::{Action, AgentId, Event, Failure, Order, Report};
use super::{Membership, Stage};

/// How a member says that it lost another: a consequence, not a cause.
const CONSEQUENCES: [&str; 4] =
    ["lost peer", "the generation was given up", "the dataflow ended early", "left the dataflow"];

impl Membership {
    /// Notes who was heard.
    pub(super) fn hear(&mut self, event: &Event) {
        let (Event::Alive(agent)
        | Event::Leaving(agent)
        | Event::Loaded(agent, _)
        | Event::NoRoom { agent, .. }
        | Event::Refused(agent, ..)
        | Event::Failed(agent, ..)
        | Event::Listening { agent, .. }
        | Event::Ended { agent, .. }) = event
        else {
            return;
        };
        let now = self.now;
        let Some(heard) = self.agents.get_mut(agent) else { return };
        let silence = now - heard.heard;
        heard.heard = now;
        if std::mem::take(&mut heard.suspected) {
            self.act(Action::Say(Report::Heard(*agent, silence)));
        }
    }

    /// Looks for the silent.
    pub(super) fn watch(&mut self) {
        let (now, dead, suspect) = (self.now, self.rules.endurance.dead_after, self.rules.suspect_after());
        let mut silent = Vec::new();
        let mut suspected = Vec::new();
        for (id, agent) in &mut self.agents {
            let silence = now - agent.heard;
            if silence >= dead {
                silent.push((*id, silence));
            } else if silence >= suspect && !agent.suspected {
                agent.suspected = true;
                suspected.push((*id, silence));
            }
        }
        for (agent, silence) in suspected {
            self.act(Action::Say(Report::Suspected(agent, silence)));
        }
        for (agent, silence) in silent {
            let cause = format!("was silent for {:.1} s", silence.as_secs_f64());
            self.act(Action::Dismiss(agent, cause.clone()));
            self.lose(agent, cause);
        }
    }

    /// An agent is gone.
    pub(super) fn lose(&mut self, agent: AgentId, cause: String) {
        if self.stage == Stage::Over || self.agents.remove(&agent).is_none() {
            return;
        }
        if self.next.as_ref().is_some_and(|next| next.contains_key(&agent)) {
            self.next = None;
        }
        let cause = format!("{agent} {cause}");
        if self.deal.contains_key(&agent) {
            match &mut self.stage {
                Stage::Opening { .. } | Stage::Connecting | Stage::Serving { .. } => self.break_up(cause),
                Stage::Loading => {
                    self.blame(cause);
                    self.count_loss();
                    self.regroup();
                }
                Stage::Settling { waiting, .. } => {
                    waiting.remove(&agent);
                    self.blame(cause);
                }
                Stage::Gathering { .. } => self.blame(cause),
                Stage::Over => {}
            }
        }
    }

    /// The generation is over: everybody is told, and waited for.
    pub(super) fn break_up(&mut self, cause: String) {
        let generation = self.generation;
        self.blame(cause.clone());
        self.count_loss();
        if self.stage == Stage::Over {
            return;
        }
        self.act(Action::TearDown(generation, cause.clone()));
        let waiting: BTreeSet<AgentId> = self.deal.keys().filter(|id| self.agents.contains_key(id)).copied().collect();
        for agent in &waiting {
            self.tell(*agent, Order::Abort { generation, cause: cause.clone() });
        }
        if self.next.take().is_some() {
            self.story.moved = 0;
        }
        self.stage = Stage::Settling { generation, waiting, deadline: self.now + self.rules.endurance.dead_after };
    }

    /// An agent's part of a generation is over.
    pub(super) fn ended(&mut self, agent: AgentId, generation: u64, cause: Option<String>) {
        let cause = cause.map(|cause| format!("{agent}: {cause}"));
        match &mut self.stage {
            Stage::Settling { generation: old, waiting, .. } if *old == generation => {
                waiting.remove(&agent);
                if let Some(cause) = cause {
                    self.blame(cause);
                }
            }
            Stage::Opening { .. } | Stage::Connecting | Stage::Serving { .. }
                if generation == self.generation && self.deal.contains_key(&agent) =>
            {
                self.break_up(cause.unwrap_or_else(|| format!("{agent} left the dataflow")));
            }
            _ => {}
        }
    }

    pub(super) fn settle(&mut self) {
        let Stage::Settling { waiting, deadline, .. } = &self.stage else { return };
        let late = if self.now >= *deadline { waiting.clone() } else { BTreeSet::new() };
        for agent in late {
            let cause = "did not end the generation in time".to_string();
            self.act(Action::Dismiss(agent, cause.clone()));
            self.lose(agent, cause);
        }
        if matches!(&self.stage, Stage::Settling { waiting, .. } if waiting.is_empty()) {
            self.regroup();
        }
    }

    /// Waits for as many agents as are needed; that may be none.
    pub(super) fn regroup(&mut self) {
        if self.stage == Stage::Over {
            return;
        }
        let (there, needed, limit) = (self.fit_to_serve(), self.rules.min, self.rules.endurance.rejoin_wait);
        // Where workers are launched here, others are on their way already.
        if there < needed && !self.rules.launched {
            let cause = self.story.causes.join("; ");
            self.act(Action::Say(Report::Waiting { cause, there, needed, limit }));
        }
        self.stage = Stage::Gathering { deadline: self.now + limit, enough_since: None, first: false };
    }

    /// Keeps a cause, in the order in which they became known. What follows from a loss is kept only as long as nothing
    /// better is known.
    fn blame(&mut self, cause: String) {
        self.story.since.get_or_insert(self.clock);
        let follows = |cause: &str| CONSEQUENCES.iter().any(|text| cause.contains(text));
        let known = &mut self.story.causes;
        if follows(&cause) && !known.is_empty() {
            return;
        }
        if !follows(&cause) {
            known.retain(|other| !follows(other));
        }
        if !known.contains(&cause) {
            known.push(cause);
        }
    }

    /// Counts a broken generation; too many in too short a time end the run.
    fn count_loss(&mut self) {
        let (now, window) = (self.clock, self.rules.endurance.restart_window);
        self.losses.push_back(now);
        while self.losses.front().is_some_and(|&first| now - first > window) {
            self.losses.pop_front();
        }
        if self.losses.len() > self.rules.endurance.max_restarts {
            let (losses, cause) = (self.losses.len(), self.story.causes.join("; "));
            self.fail(Failure::TooManyLosses { losses, window, cause });
        }
    }

    /// Launches workers in the place of lost ones, where that is done here. One that was asked to leave is replaced only where the
    /// least number needs it. Those that end again and again are not replaced for ever: in the window of losses every place may
    /// be filled anew once for each loss that is survived.
    pub(super) fn relaunch(&mut self) {
        if !self.rules.launched || self.stage == Stage::Over {
            return;
        }
        let (now, window) = (self.clock, self.rules.endurance.restart_window);
        while self.launches.front().is_some_and(|&first| now - first > window) {
            self.launches.pop_front();
        }
        let leaving = self.agents.len() - self.fit_to_serve();
        let places = self.rules.max.saturating_sub(self.released + leaving).max(self.rules.min);
        let allowed = self.rules.endurance.max_restarts.max(1).saturating_mul(self.rules.max) - self.launches.len();
        let missing = places.saturating_sub(self.fit_to_serve() + self.launching).min(allowed);
        if missing > 0 {
            self.launching += missing;
            self.launches.extend(std::iter::repeat_n(now, missing));
            self.act(Action::Launch(missing));
        }
    }

    /// A worker that was launched here ended before it joined.
    pub(super) fn never_joined(&mut self, cause: String) {
        self.launching = self.launching.saturating_sub(1);
        if let Stage::Gathering { first: true, .. } = self.stage {
            let (there, needed, limit) = (self.agents.len(), self.rules.min, self.rules.join_limit);
            return self.fail(Failure::NeverEnough { there, needed, limit, cause: Some(cause) });
        }
        // As long as a generation serves, nothing is lost by it.
        if !self.is_serving() {
            self.blame(cause);
        }
    }

    /// An agent was refused the data. Before they were complete that ends the run; later they were good, so the agent is not.
    pub(super) fn refused(&mut self, agent: AgentId, request: u64, error: DataError) {
        if !self.waits_for(agent, request) {
            return;
        }
        if self.complete {
            self.send_home(agent, format!("cannot read its tiles: {}", error.message));
        } else {
            self.refusals.push(error);
        }
    }

    /// An agent's reading was ended by a bug: another may do better.
    pub(super) fn failed(&mut self, agent: AgentId, request: u64, cause: String) {
        if self.waits_for(agent, request) {
            self.send_home(agent, cause);
        }
    }

    /// Whether this request stood; it does no more.
    fn waits_for(&mut self, agent: AgentId, request: u64) -> bool {
        self.agents.get_mut(&agent).is_some_and(|agent| agent.loading.remove(&request).is_some())
    }

    /// An agent cannot do its work. It must not come back to fail again, and a person must hear of it.
    fn send_home(&mut self, agent: AgentId, cause: String) {
        self.act(Action::Say(Report::SentHome(agent, cause.clone())));
        self.act(Action::Release(agent, cause.clone()));
        self.lose(agent, cause);
    }

    /// An agent cannot hold what it was dealt: it is dealt less from now on.
    pub(super) fn no_room(&mut self, agent: AgentId, request: u64, room: u64, message: String) {
        let Some(known) = self.agents.get_mut(&agent) else { return };
        // The room counts in any case; the request only if it still stands.
        let stood = known.loading.remove(&request);
        known.capacity = known.capacity.min(room);
        known.cramped |= stood.is_some();
        if self.next.as_ref().is_some_and(|next| next.contains_key(&agent)) {
            self.next = None;
        }
        self.story.moved = self.story.moved.saturating_sub(stood.as_ref().map_or(0, |wanted| wanted.tiles.len()));
        if stood.is_some() && self.stage == Stage::Loading {
            self.blame(format!("{agent} {message}"));
        }
    }
}
