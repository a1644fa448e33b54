//! What can happen to a crew, and what can be done about it.

use std::fmt;
use std::time::Duration;

use nlsq_engine::data::source::DataError;
use nlsq_engine::data::tile_set::TileSet;

/// Names an agent, for as long as one control connection of it lives. Numbers ascend in the order of joining.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgentId(pub u64);

impl fmt::Display for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "worker {}", self.0)
    }
}

/// Who joins.
#[derive(Clone, Debug, PartialEq)]
pub struct Newcomer {
    /// The same for every connection of one process.
    pub identity: u128,
    /// Tiles a second, relative to the others: its threads.
    pub speed: f64,
    /// What it holds of this run.
    pub holds: TileSet,
}

/// What happens.
#[derive(Clone, Debug)]
pub enum Event {
    /// An agent is there.
    Joined(AgentId, Newcomer),
    /// It gives a sign of life; every other event of an agent is one, too.
    Alive(AgentId),
    /// It wants to leave: it serves until its tiles are held by others.
    Leaving(AgentId),
    /// It has read what a request names.
    Loaded(AgentId, u64),
    /// It cannot hold what a request names.
    NoRoom {
        /// Who.
        agent: AgentId,
        /// The request.
        request: u64,
        /// Tiles that it can hold in all.
        room: u64,
        /// Why.
        message: String,
    },
    /// It was refused the data or the model.
    Refused(AgentId, u64, DataError),
    /// Its reading was ended by a bug of ours.
    Failed(AgentId, u64, String),
    /// Its data port is open.
    Listening {
        /// Who.
        agent: AgentId,
        /// For which generation.
        generation: u64,
        /// Where.
        port: u16,
    },
    /// Its part of a generation is over.
    Ended {
        /// Who.
        agent: AgentId,
        /// Which generation.
        generation: u64,
        /// Why, unless it completed.
        cause: Option<String>,
    },
    /// Its control connection is gone.
    Closed(AgentId, String),
    /// A worker that was launched here ended before it joined.
    NeverJoined(String),
    /// The coordinator's own part of a generation is connected and running.
    Up(u64),
    /// It is over, and why unless it completed.
    Down(u64, Option<String>),
    /// A generation has the root of a pass.
    Root {
        /// The generation.
        generation: u64,
        /// The pass.
        pass: u64,
        /// Seconds that members were busy with it, by their indices.
        busy: Vec<(u64, f64)>,
    },
    /// The fit wants a pass.
    Ask(u64),
    /// Time has passed.
    Tick,
}

/// What is said to an agent.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    /// Have these tiles in memory.
    Hold {
        /// Names the answer.
        request: u64,
        /// Which.
        tiles: TileSet,
    },
    /// Let go of all tiles but these, to make room.
    Keep {
        /// Which.
        tiles: TileSet,
    },
    /// Open a data port.
    Prepare {
        /// For this generation.
        generation: u64,
    },
    /// Connect and serve.
    Start {
        /// The generation.
        generation: u64,
        /// The agent's index in it, at least 1.
        index: usize,
        /// All agents in it with their data ports, in the order of their indices from 1.
        members: Vec<(AgentId, u16)>,
        /// What it evaluates.
        tiles: TileSet,
    },
    /// Bring this generation down.
    Abort {
        /// The generation.
        generation: u64,
        /// Why.
        cause: String,
    },
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Say something to an agent.
    Tell(AgentId, Order),
    /// Drop an agent's connection: it counts as lost.
    Dismiss(AgentId, String),
    /// Tell an agent to go home, and why.
    Release(AgentId, String),
    /// Bring up the coordinator's own part of a generation: connect to these.
    Connect {
        /// The generation.
        generation: u64,
        /// All agents in it with their data ports, in the order of their indices from 1.
        members: Vec<(AgentId, u16)>,
    },
    /// Bring it down.
    TearDown(u64, String),
    /// Send the pass that the fit wants into this generation.
    Submit {
        /// The generation.
        generation: u64,
        /// The pass.
        pass: u64,
    },
    /// The pass is complete: give its root to the fit.
    Commit {
        /// The generation.
        generation: u64,
        /// The pass.
        pass: u64,
    },
    /// Start workers on this machine.
    Launch(usize),
    /// Something a person may want to know.
    Say(Report),
    /// The crew cannot go on.
    Fail(Failure),
}

/// What a person is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Report {
    /// An agent is silent.
    Suspected(AgentId, Duration),
    /// It has been heard again.
    Heard(AgentId, Duration),
    /// An agent was sent home because it cannot do its work.
    SentHome(AgentId, String),
    /// An agent that is needed is gone; the crew waits for others until it gives up.
    Waiting {
        /// Why.
        cause: String,
        /// Agents there.
        there: usize,
        /// Agents needed.
        needed: usize,
        /// For how long at most.
        limit: Duration,
    },
    /// A generation serves.
    Generation(Generation),
}

/// A generation that has come up.
#[derive(Clone, Debug, PartialEq)]
pub struct Generation {
    /// Its number.
    pub number: u64,
    /// What ended the one before, first cause first; empty for the first one.
    pub causes: Vec<String>,
    /// Who serves.
    pub members: Vec<AgentId>,
    /// Tiles that had to be read.
    pub moved: u64,
    /// The pass it goes on with; none if none is wanted yet.
    pub pass: Option<u64>,
    /// From the first cause until now.
    pub after: Duration,
}

/// Why a crew cannot go on.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Failure {
    /// Too few agents, for too long.
    #[error("{there} of {needed} workers are left, and no other joined within {} s; {cause}", limit.as_secs_f64())]
    TooFew {
        /// Agents there.
        there: usize,
        /// Agents needed.
        needed: usize,
        /// How long was waited.
        limit: Duration,
        /// What was lost first.
        cause: String,
    },
    /// Not enough joined to begin with.
    #[error("only {there} of {needed} workers joined")]
    NeverEnough {
        /// Agents there.
        there: usize,
        /// Agents needed.
        needed: usize,
        /// How long was waited.
        limit: Duration,
        /// What became of one that did not, if that is known.
        cause: Option<String>,
    },
    /// Agents are lost again and again.
    #[error("{losses} losses within {} s are more than --max-restarts allows; the last: {cause}", window.as_secs())]
    TooManyLosses {
        /// How many.
        losses: usize,
        /// Within which time.
        window: Duration,
        /// The last one's cause.
        cause: String,
    },
    /// The tiles fit into nobody's memory.
    #[error("the workers have room for {room} of {tiles} tiles, and no other joined within {} s; {cause}", limit.as_secs_f64())]
    NoRoom {
        /// Room of all, in tiles.
        room: u64,
        /// Tiles.
        tiles: u64,
        /// How long was waited.
        limit: Duration,
        /// Whose room is how small.
        cause: String,
    },
    /// The data were refused.
    #[error(transparent)]
    Data(DataError),
}
