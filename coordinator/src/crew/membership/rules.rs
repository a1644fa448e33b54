//! What a crew goes by.

use std::time::Duration;

use crate::config::Placement;
use crate::crew::balance::LateJoiners;

/// What a crew goes by.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// Fewest agents that may go on.
    pub min: usize,
    /// Most that take part; others are spares.
    pub max: usize,
    /// Whether agents are launched here, and replaced when they are lost.
    pub launched: bool,
    /// How long the first `min` agents may take to join.
    pub join_limit: Duration,
    /// Once they are there, how long to wait for more.
    pub last_call: Duration,
    /// How often signs of life come.
    pub heartbeat: Duration,
    /// Silence after which an agent is lost.
    pub dead_after: Duration,
    /// With fewer than `min` agents, how long to wait for others.
    pub rejoin_wait: Duration,
    /// Losses within [`Rules::restart_window`] that a run survives.
    pub max_restarts: usize,
    /// The window that losses are counted in.
    pub restart_window: Duration,
    /// Whether agents that join late are taken in.
    pub late_joiners: LateJoiners,
    /// Whether tiles are moved from slow agents to fast ones.
    pub balance: bool,
    /// How tiles are dealt.
    pub placement: Placement,
}

impl Rules {
    /// Silence after which an agent is suspected: several signs of life are missing.
    pub fn suspect_after(&self) -> Duration {
        (self.heartbeat * 3).min(self.dead_after / 2)
    }
}
