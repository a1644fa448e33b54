//! Starts: those given, and those estimated from a sample of the data.

use std::ops::Range;

use nlsq_engine::data::source::{DataError, TileSource, Weighting};
use nlsq_engine::models::{self, Builtin};
use nlsq_engine::params::Parameters;

use crate::config::{Job, JobError, Start};
use crate::outcome::RunError;

/// Rows that starts are estimated from, at most.
pub const SAMPLE_ROWS: u64 = 4096;
/// Up to this many rows the dataset is read in one go for the sample; beyond, in [`SAMPLE_RUNS`] places.
const ONE_SCAN_ROWS: u64 = 1 << 20;
/// Places at which a large dataset is sampled: reading single rows would unpack a whole block for each.
const SAMPLE_RUNS: u64 = 512;

/// The parameters of a job with a start each.
pub fn resolve(job: &Job, source: &dyn TileSource) -> Result<Parameters, RunError> {
    let starts = match job.parameters.iter().any(|p| p.start == Start::Auto) {
        true => estimate(job, source)?,
        false => vec![0.0; job.parameters.len()],
    };
    let resolved = job.parameters.iter().zip(&starts).map(|(setting, &start)| setting.resolve(start)).collect();
    Ok(Parameters::new(resolved).map_err(JobError::from)?)
}

/// Estimates for all parameters, in the order of the job's.
fn estimate(job: &Job, source: &dyn TileSource) -> Result<Vec<f64>, RunError> {
    let name = job.model.builtin.as_deref().expect("auto starts were refused without a built-in model");
    let builtin: Builtin = models::find(name).expect("the built-in model was found when the job was read");
    let (x, y) = sample(source)?;
    if x.is_empty() {
        return Err(JobError::usage_with_help(
            "the starts cannot be estimated: no point of the sample counts (masked or not finite)",
            "give --p0 'NAME=NUMBER,...'",
        )
        .into());
    }
    let estimates = builtin.estimate(&x, &y);
    let of = |name: &str| builtin.parameters().iter().position(|parameter| parameter.name == name);
    let at = |name: &str| of(name).expect("a built-in model's expression has its parameters");
    Ok(job.parameters.iter().map(|setting| estimates[at(&setting.name)]).collect())
}

/// At most [`SAMPLE_ROWS`] rows, evenly spread and chosen by their numbers alone; those that do not count are left out.
pub fn sample(source: &dyn TileSource) -> Result<(Vec<f64>, Vec<f64>), DataError> {
    let layout = source.layout();
    let (y_column, width) = (layout.variables.len(), layout.width());
    let weighted = layout.weighting != Weighting::None;
    let (mut x, mut y) = (Vec::new(), Vec::new());
    let wanted = sample_rows(source.n_points());
    for run in &wanted.runs {
        source.scan(run.clone(), &mut |block| {
            for (offset, row) in (block.first_row..run.end).enumerate().take(block.columns[0].len()) {
                let value = |column: usize| block.columns[column][offset];
                let masked = layout.mask.is_some() && value(width - 1) == 0.0;
                let finite = (0..width).all(|column| value(column).is_finite());
                let positive = !weighted || value(y_column + 1) > 0.0;
                if wanted.contains(row) && !masked && finite && positive {
                    x.push(value(0));
                    y.push(value(y_column));
                }
            }
            Ok(())
        })?;
    }
    Ok((x, y))
}

/// Which rows a sample takes.
#[derive(Debug)]
struct SampleRows {
    runs: Vec<Range<u64>>,
    stride: u64,
}

impl SampleRows {
    fn contains(&self, row: u64) -> bool {
        row.is_multiple_of(self.stride)
    }
}

fn sample_rows(n: u64) -> SampleRows {
    if n <= ONE_SCAN_ROWS {
        let all = std::iter::once(0..n).collect();
        return SampleRows { runs: all, stride: n.div_ceil(SAMPLE_ROWS).max(1) };
    }
    let length = SAMPLE_ROWS / SAMPLE_RUNS;
    // runs begin at both ends and evenly in between
    let start = |run: u64| (u128::from(n - length) * u128::from(run) / u128::from(SAMPLE_RUNS - 1)) as u64;
    SampleRows { runs: (0..SAMPLE_RUNS).map(|run| start(run)..start(run) + length).collect(), stride: 1 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nlsq_engine::data::source::{Block, Layout, Place};

    struct Rows {
        layout: Layout,
        columns: Vec<Vec<f64>>,
    }

    impl TileSource for Rows {
        fn layout(&self) -> &Layout {
            &self.layout
        }
        fn n_points(&self) -> u64 {
            self.columns[0].len() as u64
        }
        fn scan(
            &self,
            rows: Range<u64>,
            sink: &mut dyn FnMut(Block<'_>) -> Result<(), DataError>,
        ) -> Result<(), DataError> {
            // in blocks of three, to cross borders
            let mut first = rows.start;
            while first < rows.end {
                let last = (first + 3).min(rows.end);
                let part: Vec<&[f64]> = self.columns.iter().map(|c| &c[first as usize..last as usize]).collect();
                sink(Block { first_row: first, columns: &part })?;
                first = last;
            }
            Ok(())
        }
        fn place(&self, row: u64) -> Place {
            Place { file: "rows".into(), row: row + 1 }
        }
    }

    #[test]
    fn a_small_dataset_is_its_own_sample_without_what_does_not_count() {
        let layout = Layout {
            variables: vec!["x".into()],
            y: "y".into(),
            weighting: Weighting::Sigma("s".into()),
            mask: Some("m".into()),
        };
        let columns = vec![
            vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
            vec![0.0, 10.0, f64::NAN, 30.0, 40.0, 50.0, 60.0],
            vec![1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0],
            vec![1.0, 1.0, 1.0, 1.0, 0.0, 1.0, f64::NAN],
        ];
        let (x, y) = sample(&Rows { layout, columns }).unwrap();
        assert_eq!((x, y), (vec![0.0, 1.0, 5.0], vec![0.0, 10.0, 50.0]));
    }

    #[test]
    fn a_sample_is_bounded_and_spread() {
        for n in [1, 4095, 4096, 4097, 10_000, ONE_SCAN_ROWS, ONE_SCAN_ROWS + 1, 10_000_000_000] {
            let wanted = sample_rows(n);
            let count: u64 = wanted.runs.iter().map(|run| (run.end - run.start).div_ceil(wanted.stride)).sum();
            assert!(
                (1..=SAMPLE_ROWS).contains(&count) && (n < SAMPLE_ROWS || count >= SAMPLE_ROWS / 2),
                "{n}: {count}"
            );
            assert!(wanted.runs.windows(2).all(|pair| pair[0].end <= pair[1].start), "{n}");
            assert_eq!(wanted.runs.first().unwrap().start, 0);
            assert_eq!(wanted.runs.last().unwrap().end, n);
        }
    }
}
