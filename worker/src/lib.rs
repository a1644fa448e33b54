//! The agent: a long-lived process that owns points, computes on its own threads, and takes part in one generation of the
//! dataflow after another.
//!
//! Reading order: [`protocol`] (what coordinator and agent say to each other, and in which order), [`secret`] and
//! [`handshake`] (who may speak at all), [`wire`] (plain bytes or sealed records), [`lobby`] and [`strangers`] (those who wait
//! to be let in, and those who were not), [`generation`] and [`fused`] (one timely instance over given connections, which can
//! be torn down without a panic), [`mesh`] (those connections), [`pool`] (threads that evaluate tiles), [`load`] (tiles
//! from a source), [`agent`] (the loop that ties them together).

pub mod agent;
pub mod fused;
pub mod generation;
pub mod handshake;
pub mod load;
pub mod lobby;
pub mod mesh;
pub mod pool;
pub mod protocol;
pub mod secret;
pub mod strangers;
mod timed;
pub mod wire;
