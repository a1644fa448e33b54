//! What coordinator and agent say to each other.
//!
//! An agent dials the coordinator once and keeps that control connection for life; after the [handshake](crate::handshake)
//! both sides send frames ([`codec`]). Stages, in order:
//!
//! 1. *Joining.* The agent sends [`Response::Joined`].
//! 2. *Loading.* The coordinator sends [`Command::Load`]; the agent reads its tiles, says [`Response::Loading`] as it goes,
//!    and ends with [`Response::Loaded`], [`Response::Refused`] or [`Response::Failed`].
//! 3. *Serving*, once per generation. [`Command::Prepare`] makes the agent open a fresh data port: [`Response::Listening`].
//!    When all members have one, [`Command::Start`] names them all; the agent connects to its peers and steps the
//!    dataflow. It ends with [`Response::Ended`], by itself or after [`Command::Abort`].
//! 4. *Leaving.* [`Command::Leave`], or the end of the connection: the agent drops its points and ends.
//!
//! Every message of a generation carries its number; one that carries another number than the receiver's is out of date
//! and ignored.

pub mod codec;

use std::net::SocketAddr;
use std::ops::Range;

use nlsq_engine::data::tree::TreeNode;
use nlsq_engine::data::{Manifest, NonFinite, YStatistics};
use nlsq_engine::normal::Counts;
use serde::{Deserialize, Serialize};

use crate::handshake::RunId;

/// From coordinator to agent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Command {
    /// Read these tiles and get ready to evaluate this model.
    Load {
        /// What is to be fitted.
        work: Box<Work>,
        /// The agent's tiles: shards, ascending and disjoint.
        shards: Vec<Range<u64>>,
    },
    /// Open a data port for this generation.
    Prepare {
        /// The generation.
        generation: u64,
    },
    /// Connect to the members of this generation and begin.
    Start {
        /// The run; data connections prove that they mean it.
        run: RunId,
        /// The generation that was prepared.
        generation: u64,
        /// The agent's index in it, at least 1.
        index: u64,
        /// The data ports of all members by index; the coordinator's is the first.
        addresses: Vec<SocketAddr>,
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
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Response {
    /// Sent once, first.
    Joined {
        /// The program's version: other versions may sum in another order.
        version: String,
        /// Who this is, for logs.
        process: u32,
        /// What evaluates its tiles.
        device: String,
    },
    /// Progress while loading.
    Loading {
        /// Points read so far.
        points: u64,
    },
    /// All tiles are there.
    Loaded {
        /// What became of their points.
        counts: Counts,
        /// Nodes of the tile tree over the agent's tiles, folded as far as they go.
        statistics: Vec<(TreeNode, YStatistics)>,
    },
    /// The tiles or the model were refused.
    Refused {
        /// The sentence for a person.
        message: String,
        /// The global row at fault, if it is one.
        row: Option<u64>,
    },
    /// Loading ended by a bug of ours.
    Failed {
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

/// What is to be fitted, as far as an agent must know.
#[derive(Clone, Debug, Serialize, Deserialize)]
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
