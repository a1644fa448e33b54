//! The command `check`: everything short of fitting.

use std::fmt::Write as _;
use std::time::Instant;

use nlsq_engine::covariance::degrees_of_freedom;
use nlsq_engine::data::dataset::Dataset;
use nlsq_engine::data::shard::load_tiles;
use nlsq_engine::data::source::TileSource;
use nlsq_engine::data::tile::Tile;
use nlsq_engine::diff::check::{self as gradient, GradientCheck};
use nlsq_engine::normal::Counts;
use nlsq_engine::params::Parameters;

use super::output::print;
use super::{Failure, JobArgs, REFUSED};
use crate::config::{Job, JobError};
use crate::outcome::RunError;
use crate::progress::grouped;
use crate::report::text::number;
use crate::starts;

/// Points at which derivatives are checked, at most.
const GRADIENT_POINTS: usize = 256;

/// What one read of the data shows.
struct Reading {
    counts: Counts,
    seconds: f64,
    /// Points for the gradient check, one value a variable.
    points: Vec<Vec<f64>>,
}

pub(super) fn check(arguments: &JobArgs) -> Result<u8, Failure> {
    let job = Job::read(arguments.job_file.as_deref(), &arguments.flags)?;
    let dataset = Dataset::open(&job.data).map_err(JobError::from)?;
    let (model, parameters) = (job.parse_model(), starts::resolve(&job, &dataset)?);
    let n_free = parameters.free().len();
    degrees_of_freedom(dataset.n_points(), n_free).map_err(RunError::from)?;
    let reading = read(&job, &dataset)?;
    degrees_of_freedom(reading.counts.used, n_free).map_err(RunError::from)?;
    let verdict = gradient::check(&model, &reading.points, &parameters.start(), parameters.free());

    let mut text = String::new();
    write_model(&mut text, &job, &parameters);
    write_data(&mut text, &job, &reading);
    write_gradient(&mut text, &parameters, &verdict, reading.points.len());
    for warning in model.warnings() {
        let _ = writeln!(text, "warning: {warning}");
    }
    print(&text)?;
    Ok(if verdict.passed() { 0 } else { REFUSED })
}

fn read(job: &Job, dataset: &Dataset) -> Result<Reading, JobError> {
    let tiles = dataset.n_points().div_ceil(job.fit.tile_points);
    // points from evenly spaced tiles, as many from each
    let every = tiles.div_ceil(GRADIENT_POINTS as u64).max(1);
    let from_each = GRADIENT_POINTS.div_ceil(usize::try_from(tiles.div_ceil(every)).unwrap_or(usize::MAX)).max(1);
    let mut reading = Reading { counts: Counts::default(), seconds: 0.0, points: Vec::new() };
    let started = Instant::now();
    load_tiles(dataset, 0..tiles, job.fit.tile_points, job.fit.nonfinite, &mut |tile: Tile| {
        reading.counts.merge(&tile.counts);
        if tile.index.is_multiple_of(every) {
            let step = tile.y.len().div_ceil(from_each).max(1);
            reading.points.extend((0..tile.y.len()).step_by(step).map(|i| tile.x.iter().map(|x| x[i]).collect()));
        }
    })?;
    reading.seconds = started.elapsed().as_secs_f64();
    Ok(reading)
}

fn write_model(text: &mut String, job: &Job, parameters: &Parameters) {
    let named = job.model.builtin.as_ref().map(|name| format!("  ({name})")).unwrap_or_default();
    let _ = writeln!(text, "model       {}{named}", job.model.expression);
    let _ = writeln!(text, "variables   {}", job.model.variables.join(", "));
    let _ = writeln!(text, "parameters  {} free of {}", parameters.free().len(), parameters.all().len());
    for p in parameters.all() {
        let state = match (p.fixed, p.min.is_finite() || p.max.is_finite()) {
            (true, _) => "fixed".to_string(),
            (false, true) => format!("in [{}, {}]", number(p.min), number(p.max)),
            (false, false) => String::new(),
        };
        let _ = writeln!(text, "  {:<12} {:<14} {state}", p.name, number(p.start));
    }
}

fn write_data(text: &mut String, job: &Job, reading: &Reading) {
    let Counts { used, masked, nonfinite } = reading.counts;
    let weighted = job.data.sigma.is_some() || job.data.weights.is_some();
    let columns = job.model.variables.len() + 1 + usize::from(weighted);
    let bytes_per_point = columns * size_of::<f64>();
    let memory = u128::from(used) * bytes_per_point as u128;
    let _ = writeln!(
        text,
        "points      {} = {} used + {} masked + {} not finite",
        grouped(reading.counts.points()),
        grouped(used),
        grouped(masked),
        grouped(nonfinite)
    );
    let tiles = reading.counts.points().div_ceil(job.fit.tile_points);
    let _ = writeln!(text, "tiles       {} of {} points", grouped(tiles), grouped(job.fit.tile_points));
    let _ = writeln!(
        text,
        "memory      {} for all workers together: {columns} columns, {bytes_per_point} bytes a point",
        bytes_text(memory)
    );
    let rate = reading.counts.points() as f64 / reading.seconds.max(1e-9) / 1e6;
    let _ = writeln!(text, "read in     {:.3} s by one thread ({rate:.1} M points/s)", reading.seconds);
}

fn write_gradient(text: &mut String, parameters: &Parameters, verdict: &GradientCheck, points: usize) {
    let outcome = if verdict.passed() { "agree" } else { "DISAGREE" };
    let _ = writeln!(text, "gradient    derivatives and differences {outcome} at {points} points");
    for entry in &verdict.parameters {
        let name = &parameters.all()[entry.parameter].name;
        let _ = writeln!(
            text,
            "  {name:<12} largest relative disagreement {:.1e}",
            entry.worst.as_ref().map_or(0.0, |w| w.scaled)
        );
    }
}

/// A number of bytes as a person reads it.
pub(super) fn bytes_text(bytes: u128) -> String {
    const UNITS: [&str; 5] = ["bytes", "KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut unit) = (bytes as f64, 0);
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} bytes") } else { format!("{value:.1} {}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_readable() {
        assert_eq!([0, 1023, 1536, 3 << 30].map(bytes_text), ["0 bytes", "1023 bytes", "1.5 KiB", "3.0 GiB"]);
    }
}
