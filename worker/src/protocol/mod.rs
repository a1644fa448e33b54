//! What coordinator and agent say to each other.
//!
//! An agent dials the coordinator and keeps that control connection; after the [handshake](crate::handshake) both sides send
//! frames ([`codec`]). When it breaks, the agent keeps its points and dials again. Stages, in order:
//!
//! 1. *Joining.* The agent sends [`Response::Joined`], with the tiles that it still holds of a run; the coordinator answers
//!    with [`Command::Welcome`], and both begin to send signs of life: [`Command::Beat`] and [`Response::Alive`].
//! 2. *Loading.* [`Command::Hold`] names tiles that the agent will need; it reads those that it does not hold, says
//!    [`Response::Loading`] as it goes, and ends with [`Response::Loaded`], [`Response::NoRoom`], [`Response::Refused`] or
//!    [`Response::Failed`]. Several may be under way; they are answered in order, but not after a [`Command::Start`] that
//!    came meanwhile. Tiles may be read while a generation serves. [`Command::Keep`] makes room where there is little.
//! 3. *Serving*, once per generation. [`Command::Prepare`] ends an older generation and makes the agent open a fresh data
//!    port: [`Response::Listening`]. When all members have one, [`Command::Start`] names them all, and the tiles that the
//!    agent is to evaluate; it lets go of all others, connects to its peers and steps the dataflow. It ends with
//!    [`Response::Ended`], by itself or after [`Command::Abort`].
//! 4. *Leaving.* [`Command::Leave`]: the agent drops its points and ends.
//!
//! Every message of a generation carries its number, every answer to a request the request's; one that carries another number
//! than the receiver's is out of date and ignored. Silence for longer than the time that [`Command::Welcome`] names counts as a
//! broken connection, on both sides.

pub mod codec;

use std::net::SocketAddr;
use std::time::Duration;

use nlsq_engine::data::tile_set::TileSet;
use nlsq_engine::data::{Manifest, NonFinite, YStatistics};
use nlsq_engine::normal::Counts;
use serde::{Deserialize, Serialize};

pub use crate::handshake::RunId;

/// From coordinator to agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Command {
    /// The agent is known; what the run is about.
    Welcome(Box<Welcome>),
    /// The coordinator is alive.
    Beat,
    /// Have these tiles in memory.
    Hold {
        /// Names the answer.
        request: u64,
        /// Those that are wanted; what is held already need not be read.
        tiles: TileSet,
    },
    /// Let go of all tiles but these: there is no room for them and for those that will be asked for.
    Keep {
        /// Which.
        tiles: TileSet,
    },
    /// Open a data port for this generation.
    Prepare {
        /// The generation.
        generation: u64,
    },
    /// Connect to the members of this generation and begin.
    Start {
        /// The generation that was prepared.
        generation: u64,
        /// The agent's index in it, at least 1.
        index: u64,
        /// The data ports of all members by index; the coordinator's is the first.
        addresses: Vec<SocketAddr>,
        /// What the agent evaluates; it keeps no other tiles.
        tiles: TileSet,
    },
    /// Bring this generation down.
    Abort {
        /// The generation.
        generation: u64,
        /// Why, for the agent's log.
        cause: String,
    },
    /// The run is over, or goes on without this agent.
    Leave {
        /// Why, unless the run has simply ended.
        reason: Option<String>,
    },
}

/// From agent to coordinator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Response {
    /// Sent once, first.
    Joined(Box<Introduction>),
    /// A sign of life, whatever else the agent is doing.
    Alive,
    /// The agent was asked to end. It serves until its tiles are held by others and it is told to leave.
    Leaving,
    /// Progress while loading.
    Loading {
        /// Points held so far.
        points: u64,
    },
    /// All tiles of a request are there.
    Loaded {
        /// The request.
        request: u64,
        /// What is in them, tile by tile, read for it or held before.
        tiles: Vec<TileContent>,
    },
    /// The tiles of a request do not fit into the agent's memory.
    NoRoom {
        /// The request.
        request: u64,
        /// Tiles that it can hold in all.
        room: u64,
        /// Why, for people.
        message: String,
    },
    /// The tiles or the model were refused.
    Refused {
        /// The request.
        request: u64,
        /// The sentence for a person.
        message: String,
        /// The global row at fault, if it is one.
        row: Option<u64>,
    },
    /// Loading ended by a bug of ours.
    Failed {
        /// The request.
        request: u64,
        /// What is known of it.
        message: String,
    },
    /// The data port is open.
    Listening {
        /// The generation it is for.
        generation: u64,
        /// Its port, on the address by which the agent reaches the coordinator.
        port: u16,
    },
    /// The generation is over, and all its threads and sockets are gone.
    Ended {
        /// The generation.
        generation: u64,
        /// Why, unless it completed.
        cause: Option<String>,
    },
}

/// Who an agent is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Introduction {
    /// The program's version: other versions may sum in another order.
    pub version: String,
    /// The same for every connection of this process, and different for any other.
    pub identity: u128,
    /// Its process id, for logs.
    pub process: u32,
    /// What evaluates its tiles.
    pub device: String,
    /// Its compute threads; 0 where it leaves that to the coordinator.
    pub threads: u64,
    /// What it holds from before the connection broke.
    pub holds: Option<(RunId, TileSet)>,
}

/// What an agent needs to know of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Welcome {
    /// The run.
    pub run: RunId,
    /// This process of the coordinator; data connections prove that they mean it. One that resumes the run has another, so
    /// that its generations are no earlier one's.
    pub mesh: RunId,
    /// What is to be fitted.
    pub work: Work,
    /// How often signs of life are sent.
    pub heartbeat: Duration,
    /// Silence after which the other side counts as lost.
    pub dead_after: Duration,
}

/// What became of a tile's points when it was read. Whoever reads it again must find the same.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TileContent {
    /// The tile.
    pub tile: u64,
    /// Its points.
    pub counts: Counts,
    /// Their y.
    pub statistics: YStatistics,
}

/// What is to be fitted, as far as an agent must know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Work {
    /// Where the points are.
    pub manifest: Manifest,
    /// Points of a tile.
    pub tile_points: u64,
    /// What to do with values that are not finite.
    pub nonfinite: NonFinite,
    /// The model.
    pub model: ModelText,
    /// Positions of the free parameters among all.
    pub free: Vec<u64>,
    /// Compute threads of the agent; 0 for one on each of its cores.
    pub threads: u64,
    /// Bytes that the agent may use for tiles; 0 for what its system allows.
    pub memory: u64,
}

/// A model as text: reading it again gives the same graph, and so the same bits, in every process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelText {
    /// The expression.
    pub expression: String,
    /// Names of its variables, in the order of the points' columns.
    pub variables: Vec<String>,
    /// Names that are parameters for certain (they have a start or a value).
    pub parameters: Vec<String>,
}
