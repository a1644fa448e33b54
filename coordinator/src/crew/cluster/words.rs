//! What a person reads about the crew.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use super::Cluster;
use crate::crew::membership::{AgentId, Generation, Report};
use crate::outcome::Level;
use crate::progress::grouped;

impl Cluster {
    /// A report as one line.
    pub(super) fn words(&self, report: &Report) -> (Level, String) {
        match report {
            Report::Suspected(agent, silence) => {
                (Level::Warn, format!("{} is silent for {}", self.name(*agent), seconds(*silence)))
            }
            Report::Heard(agent, silence) => {
                (Level::Info, format!("{} is heard again after {}", self.name(*agent), seconds(*silence)))
            }
            Report::SentHome(agent, cause) => (Level::Warn, format!("{} was sent home: {cause}", self.name(*agent))),
            Report::Waiting { cause, there, needed, limit } => {
                let text = format!(
                    "{there} of {needed} workers are left ({cause}); waiting {} for others; they keep their points",
                    seconds(*limit)
                );
                (Level::Warn, text)
            }
            Report::Generation(generation) => (generation_level(generation), self.generation_words(generation)),
        }
    }

    fn generation_words(&self, generation: &Generation) -> String {
        let Generation { number, causes, members, moved, pass, after } = generation;
        let names: Vec<String> = members.iter().map(ToString::to_string).collect();
        let serving = format!("{} serving: {}", names.len(), names.join(", "));
        if causes.is_empty() {
            return format!("generation {number}: {serving}; {} tiles read", grouped(*moved));
        }
        let at = pass.map_or("before the next pass".to_string(), |pass| format!("at pass {pass}"));
        format!(
            "generation {number}: {}; {serving}; {} tiles read anew; going on {at} after {}",
            causes.join("; "),
            grouped(*moved),
            seconds(*after)
        )
    }

    fn name(&self, agent: AgentId) -> String {
        match self.agents.get(&agent) {
            Some(known) => format!("{agent} (process {} at {})", known.process, known.address.ip()),
            None => agent.to_string(),
        }
    }
}

fn generation_level(generation: &Generation) -> Level {
    if generation.causes.is_empty() { Level::Info } else { Level::Warn }
}

fn seconds(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 10.0 { format!("{seconds:.2} s") } else { format!("{seconds:.0} s") }
}

/// How a process ended.
pub(super) fn how_it_ended(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(signal), _) => format!("was killed by signal {signal}"),
        (None, Some(code)) => format!("ended with exit code {code}"),
        (None, None) => "ended".to_string(),
    }
}
