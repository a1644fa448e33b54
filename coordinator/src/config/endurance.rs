//! What a crew bears: how silence, losses and late joiners are dealt with.

use std::time::Duration;

use super::settings::Settings;
use super::value::Value;
use super::{JobError, chosen, word_of};
use crate::crew::balance::LateJoiners;

/// What a crew bears.
#[derive(Clone, Debug, PartialEq)]
pub struct Endurance {
    /// How often signs of life are sent.
    pub heartbeat: Duration,
    /// Silence after which a process counts as lost.
    pub dead_after: Duration,
    /// With too few workers, how long to wait for others.
    pub rejoin_wait: Duration,
    /// Losses within [`Endurance::restart_window`] that a run survives.
    pub max_restarts: usize,
    /// The sliding window in which losses are counted.
    pub restart_window: Duration,
    /// Whether workers that join late are taken in.
    pub late_joiners: LateJoiners,
    /// Whether tiles are moved from slow to fast workers.
    pub balance: bool,
}

const LATE_JOINERS: [(&str, LateJoiners); 3] =
    [("auto", LateJoiners::Auto), ("always", LateJoiners::Always), ("never", LateJoiners::Never)];

/// Keys that say something to several workers only.
const KEYS: [&str; 7] =
    ["heartbeat", "dead_after", "rejoin_wait", "max_restarts", "restart_window", "late_joiners", "balance"];

impl Endurance {
    pub(super) fn read(settings: &Settings, several: bool) -> Result<Self, JobError> {
        if let Some(name) = KEYS.iter().find(|name| !several && settings.is_set("cluster", name)) {
            let flag = name.replace('_', "-");
            let message = format!("--{flag} (cluster.{name}) is for several workers; expected --workers beside it");
            return Err(settings.error("cluster", name, message));
        }
        let seconds = |name| match Duration::try_from_secs_f64(settings.number("cluster", name)) {
            Ok(duration) => Ok(duration),
            Err(_) => Err(settings.error("cluster", name, format!("{name}: expected fewer seconds"))),
        };
        let (heartbeat, dead_after) = (seconds("heartbeat")?, seconds("dead_after")?);
        if dead_after < 2 * heartbeat {
            let message = format!(
                "dead_after = {} s with heartbeat = {} s: expected at least twice as long, or every delay is a death",
                dead_after.as_secs_f64(),
                heartbeat.as_secs_f64()
            );
            return Err(settings.error("cluster", "dead_after", message));
        }
        Ok(Self {
            heartbeat,
            dead_after,
            rejoin_wait: seconds("rejoin_wait")?,
            max_restarts: match settings.or_default("cluster", "max_restarts") {
                Value::Count(count) => usize::try_from(count).unwrap_or(usize::MAX),
                other => panic!("cluster.max_restarts holds {other:?}"),
            },
            restart_window: seconds("restart_window")?,
            late_joiners: chosen(settings, "cluster", "late_joiners", &LATE_JOINERS),
            balance: settings.switch("cluster", "balance"),
        })
    }

    /// As job.toml has it.
    pub(super) fn value(&self, name: &str) -> Option<Value> {
        let seconds = |duration: Duration| Some(Value::Number(duration.as_secs_f64()));
        match name {
            "heartbeat" => seconds(self.heartbeat),
            "dead_after" => seconds(self.dead_after),
            "rejoin_wait" => seconds(self.rejoin_wait),
            "restart_window" => seconds(self.restart_window),
            "max_restarts" => Some(Value::Count(self.max_restarts as u64)),
            "late_joiners" => Some(Value::Text(word_of(&LATE_JOINERS, self.late_joiners).to_string())),
            "balance" => Some(Value::Switch(self.balance)),
            _ => None,
        }
    }
}
