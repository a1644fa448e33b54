//! The agent: a long-lived process that owns points, computes on its own threads, and takes part in one generation of the
//! dataflow after another.
//!
//! Reading order: [`protocol`] (what coordinator and agent say to each other, and in which order), [`secret`],
//! [`handshake`] (who may speak at all) and [`rendezvous`] (where they meet), [`wire`] (plain bytes or sealed records), [`lobby`] and
//! [`strangers`] (those who wait to be let in, and those who were not), [`session`] (what an agent does and when, as a pure state
//! machine), [`generation`] and [`fused`] (one timely instance over given connections, which can be torn down without a panic),
//! [`mesh`] (those connections), [`pool`] (threads that evaluate tiles), [`load`] (tiles from a source), [`memory`] (how many
//! fit), [`agent`] (sockets and threads for what the session decides), [`fault`] (what tests let go wrong).

pub mod agent;
pub mod fault;
pub mod fused;
pub mod generation;
pub mod handshake;
pub mod load;
pub mod lobby;
pub mod memory;
pub mod mesh;
pub mod pool;
pub mod protocol;
pub mod rendezvous;
pub mod secret;
pub mod session;
pub mod strangers;
mod timed;
pub mod wire;
