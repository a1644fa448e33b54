//! Checkpoints: the whole state of a fit in a file, written after a pass, from which a later process goes on to the same bits.
//!
//! # What is in it
//! Five archives (rkyv 0.8: little-endian, 64-bit offsets), each checked by bytecheck when it is read:
//! *identity*, what is fitted to what (`identity`): two runs with one identity have the same bits. *record*, what the driver knows:
//! passes, phases, notes, times, what became of the points (`state`). *fit*, the procedure itself with all its phases hold: theta, radius
//! and damping, secant matrix, memory of L-BFGS, tournament or population, best point and normal equations. *profiles*, the
//! profile likelihoods under way; empty before. *rows*, one record a pass, for history.parquet. Random numbers
//! have no state: every stream is opened anew from seed and counter (`nlsq_engine::explore`).
//!
//! # The file, byte by byte
//! ```text
//!  0   8  "NLSQCKPT"
//!  8   4  version of the format, u32 little-endian
//! 12   4  zeros
//! 16  40  lengths of the five archives in the order above, u64 little-endian each
//! 56   .  the archives, one behind the other
//!  .  32  blake3 of all bytes before
//! ```
//! Nothing of a file is used before its digest is right, and no number in it is trusted then: archives are checked as such, and what they
//! say is checked against the problem (`nlsq_engine::saved`). Reading executes nothing and allocates no more than the file is long.
//!
//! # How it is written
//! The driver makes archives of the state, microseconds for a few parameters, and hands them to a thread (`writer`), which always
//! writes the newest and skips those it had no time for. A file is written under a temporary name, synced, renamed, and the folder is
//! synced (`store`): at every moment the newest complete one is whole. The newest `keep` stay. A damaged one is skipped when a run is
//! resumed, with a warning, and the one before is used.

mod error;
mod files;
mod format;
mod identity;
mod inspect;
mod keeper;
mod state;
mod store;
mod writer;

use std::path::{Path, PathBuf};

pub use error::{CheckpointError, Damage};
pub use files::Disk;
pub use format::{Checkpoint, VERSION};
pub use identity::Identity;
pub use inspect::describe;
pub(crate) use keeper::{Keeper, Sections, Start};
pub use state::Record;
pub(crate) use state::{Times, nanoseconds};
pub use store::{Found, Store, is_checkpoint};

/// The folder of the checkpoints in the directory of a run.
pub const FOLDER: &str = "checkpoints";

/// Where and how often checkpoints are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoints {
    /// The directory of the run; checkpoints stand in a folder of it.
    pub run_dir: PathBuf,
    /// After how many passes; 0: never.
    pub every_passes: u64,
    /// How many stay, 1 or more.
    pub keep: usize,
    /// The job of the run as text, written beside them before the first.
    pub job: Option<String>,
}

impl Checkpoints {
    /// One after every pass, of which three stay.
    pub fn new(run_dir: &Path) -> Self {
        Self { run_dir: run_dir.to_path_buf(), every_passes: 1, keep: 3, job: None }
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.run_dir.join(FOLDER)
    }
}

/// Whether a fit leaves checkpoints, and whether it begins or goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Keeping {
    /// It leaves none.
    #[default]
    Nothing,
    /// It begins; checkpoints that the folder holds are removed with the first of its own.
    Fresh(Checkpoints),
    /// It goes on from the newest valid one.
    Resume {
        /// Where that is, and where those to come go.
        checkpoints: Checkpoints,
        /// Data that were moved are taken for the same if all else about them agrees.
        moved: bool,
    },
}

#[cfg(test)]
mod tests;
