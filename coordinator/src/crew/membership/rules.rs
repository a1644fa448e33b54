//! What a crew goes by.

use std::time::Duration;

use crate::config::{Endurance, Placement};

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
    /// What it bears.
    pub endurance: Endurance,
    /// How tiles are dealt.
    pub placement: Placement,
}

impl Rules {
    /// Silence after which an agent is suspected: several signs of life are missing.
    pub fn suspect_after(&self) -> Duration {
        (self.endurance.heartbeat * 3).min(self.endurance.dead_after / 2)
    }
}
