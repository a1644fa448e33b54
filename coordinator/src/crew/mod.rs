//! Who computes: this process ([`Embedded`]) or worker processes ([`Cluster`]), behind one seam.
//!
//! Both run the same dataflow and own the same tiles in the same tree, so a fit has the same bits with either.

pub mod balance;
mod cluster;
mod embedded;
mod launch;
pub mod membership;
mod options;
pub mod placement;
mod progress;
mod rendezvous;
mod server;

use nlsq_engine::data::YStatistics;
use nlsq_engine::data::source::DataError;
use nlsq_engine::data::tree::{TreeFold, TreeNode};
use nlsq_engine::kernel::Request;
use nlsq_engine::normal::Counts;
use nlsq_operators::Partial;
use nlsq_worker::protocol::TileContent;

pub use cluster::Cluster;
pub use embedded::Embedded;
pub use launch::LaunchError;
pub use options::{ClusterOptions, Meeting, Workers, default_wire};

use crate::outcome::Observer;

/// What is known once every tile is in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// What became of the points.
    pub counts: Counts,
    /// Weighted mean and spread of y over the used points.
    pub statistics: YStatistics,
}

/// Why a crew could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum CrewError {
    /// The data were refused.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The crew did not come together.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// The observer wanted to stop while points were read.
    #[error("stopped while points were read: {0}")]
    Stopped(String),
    /// This process alone failed: a bug.
    #[error("the dataflow failed {during}: {cause}")]
    Bug {
        /// What was being done.
        during: String,
        /// The cause.
        cause: String,
    },
    /// Workers were lost and the fit cannot go on.
    #[error("the cluster was lost: {cause}")]
    Lost {
        /// The first cause.
        cause: String,
    },
}

/// Those who hold the points and evaluate them.
pub trait Crew {
    /// Number of workers that share the tiles.
    fn workers(&self) -> usize;

    /// What evaluates the tiles, for people.
    fn device(&self) -> String;

    /// Generations so far.
    fn generations(&self) -> u64;

    /// Reads every tile into the memory of its owner.
    fn load(&mut self, observer: &mut dyn Observer) -> Result<Loaded, CrewError>;

    /// Runs one pass over all tiles, whatever becomes of workers meanwhile: either every point was counted, exactly once, or
    /// it is an error. Numbers ascend. The points must be loaded.
    fn pass(&mut self, number: u64, request: &Request, observer: &mut dyn Observer) -> Result<Partial, CrewError>;

    /// Ends the last generation and sends everybody home.
    fn finish(&mut self, observer: &mut dyn Observer) -> Result<(), CrewError>;
}

impl Loaded {
    /// From what every tile of a dataset of `tiles` tiles holds.
    fn of(tiles: u64, contents: &[TileContent]) -> Self {
        let mut counts = Counts::default();
        let mut fold = TreeFold::new(tiles);
        for content in contents {
            counts.merge(&content.counts);
            fold.add(TreeNode::tile(content.tile), content.statistics, YStatistics::merge);
        }
        Self { counts, statistics: *fold.root().expect("every tile was loaded by its owner") }
    }
}
