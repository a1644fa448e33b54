//! What a fit tells while it runs and what it yields at the end; the seam between the driver and everything for people.

use std::path::PathBuf;

use nlsq_engine::covariance::{CovarianceError, Kind};
use nlsq_engine::data::source::{DataError, Place};
use nlsq_engine::health::Health;
use nlsq_engine::loss::Loss;
use nlsq_engine::minimize::OptionsError;
use nlsq_engine::normal::Counts;
use nlsq_engine::params::ParametersError;
use nlsq_engine::profile::Profile;
use nlsq_engine::summary::{Iteration, Phase, Side, Status};

use serde::{Deserialize, Serialize};

use crate::checkpoint::CheckpointError;
use crate::config::JobError;
use crate::crew::CrewError;

/// One parameter at the end of a fit.
#[derive(Clone, Debug, PartialEq)]
pub struct ParameterOutcome {
    /// Its name in the expression.
    pub name: String,
    /// Its best value.
    pub value: f64,
    /// Its standard error; none if fixed, at an active bound, or not determined by the data.
    pub stderr: Option<f64>,
    /// Its confidence interval, value -+ t stderr; where there is a standard error. Bounds do not cut it.
    pub ci: Option<[f64; 2]>,
    /// Where it started.
    pub start: f64,
    /// Lower bound, `-inf` if there is none.
    pub min: f64,
    /// Upper bound, `+inf` if there is none.
    pub max: f64,
    /// Whether it was kept at its start.
    pub fixed: bool,
    /// The active bound it rests on: equal to it, with a multiplier of the sign that holds it there.
    pub at_bound: Option<Side>,
}

/// What is known of the standard deviations of the points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sigma {
    /// Nothing: every point counts alike.
    None,
    /// Their ratios; the common factor comes from the residuals.
    Relative,
    /// All.
    Absolute,
}

/// Wall-clock seconds of a fit and of its parts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Seconds {
    /// From the start of reading to the end of the covariance.
    pub total: f64,
    /// Reading points.
    pub read: f64,
    /// Evaluating tiles, the slowest worker of each pass.
    pub compute: f64,
    /// The rest of the passes: spreading theta, merging sums, deciding.
    pub reduce: f64,
    /// Writing checkpoints.
    pub checkpoint: f64,
}

/// All that is known at the end of a fit, whatever its end.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// How it ended.
    pub status: Status,
    /// Which test ended it, in words.
    pub reason: String,
    /// The expression fitted.
    pub model: String,
    /// In the model's order.
    pub parameters: Vec<ParameterOutcome>,
    /// What became of the points.
    pub counts: Counts,
    /// Number of free parameters, those at bounds counted.
    pub n_free: usize,
    /// n_used - n_free.
    pub dof: u64,
    /// 1/2 S^2 sum rho((r/S)^2).
    pub cost: f64,
    /// What the spread within groups of parameters adds to the cost that was minimised; none without groups.
    pub penalty: Option<f64>,
    /// sum r^2, without the loss.
    pub rss: f64,
    /// 2 cost / dof.
    pub reduced_chi2: f64,
    /// sqrt(rss / dof).
    pub residual_stddev: f64,
    /// 1 - sum w (f - y)^2 / sum w (y - ybar_w)^2, w = 1/sigma^2; NaN where y does not vary.
    pub r_squared: f64,
    /// max_j |g_j| / (||J_j|| sqrt(2 cost)) over the coordinates free to move.
    pub gradient_norm: f64,
    /// Of J with its columns scaled to length 1; none if there is no such J.
    pub condition_number: Option<f64>,
    /// Row-major, over all parameters; zeros for the fixed and those at active bounds. `[p x p]`
    pub covariance: Vec<f64>,
    /// How it was made.
    pub covariance_kind: Kind,
    /// The same in units of the standard errors; none where there are none. `[p x p]`
    pub correlation: Vec<Option<f64>>,
    /// Level of the confidence intervals.
    pub confidence: f64,
    /// What is known of the standard deviations of the points.
    pub sigma: Sigma,
    /// Figures of merit; none where the fit failed.
    pub health: Option<Health>,
    /// The loss, with the scale that it had at the solution.
    pub loss: Loss,
    /// Passes over the data.
    pub passes: u64,
    /// Accepted steps.
    pub iterations: u64,
    /// Passes of each phase.
    pub phases: Vec<(Phase, u64)>,
    /// What a person should know before using the numbers.
    pub warnings: Vec<String>,
    /// Profile likelihoods, of the parameters for which they were asked for.
    pub profiles: Vec<Profile>,
    /// What was decided on the way, such as whether a warm-up was entered and why.
    pub notes: Vec<String>,
    /// What evaluated the points.
    pub device: String,
    /// In what the model was evaluated: "f64", or "f32 for 7 passes, then f64".
    pub precision: String,
    /// Workers of the last generation.
    pub workers: usize,
    /// Generations it took; 1 if no worker was lost.
    pub generations: u64,
    /// Where the time went.
    pub seconds: Seconds,
}

/// What is fitted, known before the first point is read.
#[derive(Clone, Debug, PartialEq)]
pub struct About {
    /// The expression.
    pub model: String,
    /// Names and starts of all parameters, in the model's order.
    pub parameters: Vec<(String, f64)>,
    /// Rows of the dataset, whatever becomes of them.
    pub n_points: u64,
    /// Tiles they are cut into.
    pub tiles: u64,
    /// Workers that share them.
    pub workers: usize,
    /// What evaluates them.
    pub device: String,
}

/// One pass as the driver saw it.
#[derive(Clone, Debug, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct PassRecord {
    /// The minimizer's record.
    pub iteration: Iteration,
    /// Wall-clock seconds of the pass.
    pub seconds: f64,
    /// Points evaluated.
    pub points: u64,
}

/// A checkpoint that is on the disk.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    /// After which pass.
    pub pass: u64,
    /// Its file.
    pub path: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// What writing it took, beside the fit.
    pub seconds: f64,
}

/// A fit that goes on.
#[derive(Clone, Debug, PartialEq)]
pub struct Resumed {
    /// From which file.
    pub path: PathBuf,
    /// One record for each pass before.
    pub rows: Vec<PassRecord>,
}

/// How much a note matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// A change of state.
    Info,
    /// Look here first.
    Warn,
    /// A person must act.
    Error,
}

impl Level {
    /// As log.jsonl writes it.
    pub fn name(self) -> &'static str {
        match self {
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        }
    }
}

/// Who watches a fit: progress, history and log.
pub trait Observer {
    /// The job is understood and the points are about to be read.
    fn started(&mut self, about: &About) {
        let _ = about;
    }

    /// The fit goes on from a checkpoint.
    fn resumed(&mut self, resumed: &Resumed) {
        let _ = resumed;
    }

    /// A checkpoint was written.
    fn kept(&mut self, kept: &Kept) {
        let _ = kept;
    }

    /// Points read so far.
    fn loading(&mut self, points_done: u64, points_total: u64) {
        let _ = (points_done, points_total);
    }

    /// A pass was answered.
    fn iteration(&mut self, record: &PassRecord) {
        let _ = record;
    }

    /// Something worth knowing happened.
    fn note(&mut self, level: Level, text: &str) {
        let _ = (level, text);
    }

    /// Asked before every pass: a reason to stop, if there is one. The fit then ends with the best point so far, as
    /// interrupted.
    fn stop(&mut self) -> Option<String> {
        None
    }

    /// The fit ended; nothing follows. Told by the command `fit`, which has the outcome from the driver.
    fn finished(&mut self, outcome: &Outcome) {
        let _ = outcome;
    }
}

/// Nobody watches.
impl Observer for () {}

/// Why a run yields no outcome.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The job cannot be understood or does not fit its data.
    #[error(transparent)]
    Job(#[from] JobError),
    /// The data cannot be read or hold what they must not.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Starts and bounds do not fit together.
    #[error(transparent)]
    Parameters(#[from] ParametersError),
    /// A profile of a parameter that is not free.
    #[error(transparent)]
    Problem(#[from] crate::fit::ProblemError),
    /// Method, bounds and loss do not fit together.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// Too few points, or normal equations that are not finite.
    #[error(transparent)]
    Covariance(#[from] CovarianceError),
    /// The model has no value where the fit starts.
    #[error(
        "the model is not finite at the start: {quantity} at {at}{}; expected finite values at every used point",
        place.as_ref().map(|place| format!(" ({place})")).unwrap_or_default()
    )]
    StartNotFinite {
        /// "f", or the derivative that is not finite.
        quantity: String,
        /// The values of the variables.
        at: String,
        /// Where the point stands, if that is known.
        place: Option<Place>,
    },
    /// It leaves no checkpoints, or cannot go on from one.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Stopped before the first pass after those of a checkpoint.
    #[error("interrupted before it went on ({reason}): the run stands at pass {pass}, as before")]
    InterruptedAgain {
        /// Who stopped it.
        reason: String,
        /// Of the checkpoint.
        pass: u64,
    },
    /// Stopped before any point was evaluated.
    #[error("interrupted before the first pass was complete ({reason}): there is no result")]
    Interrupted {
        /// Who stopped it.
        reason: String,
    },
    /// No such address.
    #[error("--listen (cluster.listen): \"{address}\" is no address of this machine; expected HOST:PORT")]
    Listen {
        /// As given.
        address: String,
    },
    /// The workers could not do their part.
    #[error(transparent)]
    Crew(CrewError),
}

impl From<CrewError> for RunError {
    fn from(error: CrewError) -> Self {
        match error {
            CrewError::Data(error) => Self::Data(error),
            CrewError::Stopped(reason) => Self::Interrupted { reason },
            other => Self::Crew(other),
        }
    }
}

impl RunError {
    /// What the process returns: 2 usage, job, model or data; 4 lost cluster; 1 a bug of ours.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Job(_) | Self::Data(_) | Self::Problem(_) | Self::Parameters(_) | Self::Options(_) => 2,
            Self::Covariance(_) | Self::StartNotFinite { .. } | Self::Listen { .. } | Self::Checkpoint(_) => 2,
            Self::Crew(CrewError::Launch(error)) => error.exit_code(),
            Self::Crew(CrewError::Data(_)) => 2,
            Self::Crew(CrewError::Stopped(_)) => 75,
            Self::Crew(CrewError::Lost { .. }) => 4,
            Self::Crew(CrewError::Bug { .. }) => 1,
            Self::Interrupted { .. } | Self::InterruptedAgain { .. } => 75,
        }
    }
}
