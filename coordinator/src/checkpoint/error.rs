//! Why a checkpoint cannot be read, and why a run cannot go on.

use std::path::PathBuf;

use nlsq_engine::data::source::DataError;
use nlsq_engine::saved::Unsound;

use super::format::VERSION;

/// What is wrong with the bytes of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// Not even a beginning.
    #[error("it has {found} bytes; a checkpoint has {least} at least")]
    Short {
        /// Bytes found.
        found: u64,
        /// Bytes of the shortest.
        least: u64,
    },
    /// Another kind of file.
    #[error("it does not begin as a checkpoint does")]
    Other,
    /// A format of another version.
    #[error("it has version {found} of the format; this program reads version {VERSION}")]
    Version {
        /// The version found.
        found: u32,
    },
    /// Cut off, or with something behind its end.
    #[error("it has {found} bytes and should have {expected}: it is cut off or was added to")]
    Length {
        /// Bytes found.
        found: u64,
        /// Bytes that its own header says.
        expected: u128,
    },
    /// The digest disagrees.
    #[error("its digest is not that of its content: bytes were changed")]
    Digest,
    /// The digest is right and an archive is none.
    #[error("its {section} does not read: {why}")]
    Archive {
        /// Which part.
        section: &'static str,
        /// In the words of the validator.
        why: String,
    },
    /// Archives that contradict themselves or each other.
    #[error("its content contradicts itself: {0}")]
    Unsound(#[from] Unsound),
}

/// Why a run leaves no checkpoints or cannot go on from one.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// There is none that is valid.
    #[error(
        "there is no valid checkpoint in {}{}; expected the directory of a run that has completed a pass",
        folder.display(),
        damaged.iter().map(|why| format!("; {why}")).collect::<String>()
    )]
    Nothing {
        /// Where they were looked for.
        folder: PathBuf,
        /// Those found, each with what is wrong.
        damaged: Vec<String>,
    },
    /// What would be fitted is not what was.
    #[error(
        "the run cannot go on from {}, {}: {}{}", path.display(),
        if *only_moved { "the data have moved" } else { "it fits something else" },
        differences.join("; "),
        if *only_moved { "; the contents agree: --force takes them for the same" } else { "" }
    )]
    Differs {
        /// The checkpoint.
        path: PathBuf,
        /// Each with both values.
        differences: Vec<String>,
        /// Names of files alone differ.
        only_moved: bool,
    },
    /// The points that were read are others.
    #[error(
        "the data have changed since {} was written: then {then}, now {now}; expected the same points", path.display()
    )]
    Points {
        /// The checkpoint.
        path: PathBuf,
        /// What the points amounted to.
        then: String,
        /// What they amount to.
        now: String,
    },
    /// Files of the data could not be looked at.
    #[error(transparent)]
    Data(#[from] DataError),
    /// No random numbers for the name of the run.
    #[error("the system gives no random numbers to name the run with: {0}")]
    Randomness(String),
}
