//! A pass: what comes back from every tile. What is asked is [`nlsq_engine::kernel::Request`].

use nlsq_engine::normal::Sums;
use serde::{Deserialize, Serialize};

/// The first point of a part of the data at which the model is not finite.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// Its tile.
    pub tile: u64,
    /// Its rank among the used points of the tile.
    pub rank: u64,
    /// Its variables.
    pub x: Vec<f64>,
    /// "f", or the parameter whose derivative is not finite.
    pub quantity: String,
}

/// What a node of the tile tree carries.
///
/// A fault travels in the same record as the sums that it spoils: two streams would need a frontier to say that the second
/// is complete. Merging keeps the left one, so the root names the first bad point in the dataset's order, whoever owned it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Partial {
    /// The sums over the node's tiles.
    pub sums: Sums,
    /// The first fault among them.
    pub fault: Option<Fault>,
    /// Which members of the generation contributed and how many seconds each was busy; no part of the result.
    pub busy: Vec<(u64, f64)>,
}

impl Partial {
    /// Seconds of the slowest member.
    pub fn busy_seconds(&self) -> f64 {
        self.busy.iter().map(|(_, seconds)| *seconds).fold(0.0, f64::max)
    }

    /// The node that covers both, `right` after `self`.
    pub fn merge(mut self, right: Self) -> Self {
        self.busy.extend(right.busy);
        Self { sums: self.sums.merge(&right.sums), fault: self.fault.or(right.fault), busy: self.busy }
    }
}

/// The generation ended before the pass was complete. Nothing of the pass counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aborted;
