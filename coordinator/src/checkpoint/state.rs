//! What the driver of a fit knows beside the procedure that it drives.

use std::time::Duration;

use nlsq_engine::data::YStatistics;
use nlsq_engine::loss::Loss;
use nlsq_engine::normal::Counts;
use nlsq_engine::saved::Unsound;
use nlsq_engine::summary::Phase;

use crate::crew::Loaded;
use crate::outcome::PassRecord;

/// What the driver of a fit knows beside the procedure that it drives.
#[derive(Clone, Debug, Default, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Record {
    /// Passes run.
    pub(crate) passes: u64,
    /// Of these, passes of the fit itself; the others are of profiles. None while it is under way.
    pub(crate) fit_passes: Option<u64>,
    /// Passes of each phase, in the order of the phases.
    pub(crate) phases: Vec<(Phase, u64)>,
    /// The loss of the pass run last.
    pub(crate) loss: Option<Loss>,
    /// The first of the rows under that loss.
    pub(crate) since: u64,
    /// What was decided on the way.
    pub(crate) notes: Vec<String>,
    /// Where the time went, over all processes that had a part in the run.
    pub(crate) times: Times,
    /// Generations so far.
    pub(crate) generations: u64,
    /// What became of the points.
    pub(crate) counts: Counts,
    /// Statistics of the response.
    pub(crate) statistics: YStatistics,
}

/// Wall-clock time of a run and of its parts, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub(crate) struct Times {
    /// From the start of reading on.
    pub(crate) total: u64,
    /// Reading points.
    pub(crate) read: u64,
    /// Whole passes.
    pub(crate) passes: u64,
    /// Evaluating tiles, the slowest worker of each pass.
    pub(crate) compute: u64,
    /// What writing checkpoints held up.
    pub(crate) checkpoint: u64,
}

/// A duration as [`Times`] keeps it: 584 years are enough.
pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Record {
    /// Takes down one pass, and whether its cost is one to be compared with those before.
    pub(crate) fn pass(&mut self, record: &PassRecord, loss: Loss) {
        let phase = record.iteration.phase;
        match self.phases.last_mut() {
            Some((last, count)) if *last == phase => *count += 1,
            _ => self.phases.push((phase, 1)),
        }
        if self.loss.replace(loss) != Some(loss) {
            self.since = self.passes - 1;
        }
    }

    /// Costs of the passes that sought a lower one, since the loss last changed.
    pub(crate) fn costs(&self, rows: &[PassRecord]) -> Vec<f64> {
        let sought = |row: &&PassRecord| {
            !matches!(row.iteration.phase, Phase::Scale | Phase::Explore | Phase::Finish | Phase::Profile)
        };
        rows[self.since as usize..].iter().filter(sought).map(|row| row.iteration.cost).collect()
    }

    /// What the points amounted to.
    pub(crate) fn loaded(&self) -> Loaded {
        Loaded { counts: self.counts, statistics: self.statistics }
    }

    /// Whether it is one of so many rows.
    pub(super) fn check(&self, rows: &[PassRecord]) -> Result<(), Unsound> {
        let counted = self.passes == rows.len() as u64 && self.passes > 0 && self.since < self.passes;
        if !counted || self.fit_passes.is_some_and(|passes| passes > self.passes) {
            return Err(Unsound("the passes and their records are not as many"));
        }
        Ok(())
    }
}
