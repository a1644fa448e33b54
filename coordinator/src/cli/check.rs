//! The command `check`: everything short of fitting.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use nlsq_engine::covariance::degrees_of_freedom;
use nlsq_engine::data::dataset::Dataset;
use nlsq_engine::data::shard::load_tiles;
use nlsq_engine::data::source::TileSource;
use nlsq_engine::data::tile::{Tile, tile_count};
use nlsq_engine::diff::check::{self as gradient, GradientCheck, Verdict};
use nlsq_engine::kernel::blocks::Blocks;
use nlsq_engine::kernel::{Backend, Program, Request};
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

/// Runs of the tile that a pass is timed with, and when to stop before.
const PROBE_RUNS: u32 = 50;
const PROBE_LIMIT: Duration = Duration::from_millis(100);

/// What one read of the data shows.
struct Reading {
    counts: Counts,
    /// Of the columns of all tiles.
    bytes: usize,
    seconds: f64,
    /// Points for the gradient check, one value a variable.
    points: Vec<Vec<f64>>,
    /// A tile to time a pass with: the one with the most used points.
    probe: Option<Tile>,
}

pub(super) fn check(arguments: &JobArgs) -> Result<u8, Failure> {
    if arguments.flags.given.iter().any(|(key, _)| (key.section, key.name) == ("output", "json")) {
        let message = "check prints text only, found --json; expected it with fit";
        return Err(JobError::usage(message).into());
    }
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
    write_time(&mut text, &job, &parameters, &reading);
    write_gradient(&mut text, &job, &parameters, &reading, &verdict);
    for warning in model.warnings() {
        let _ = writeln!(text, "warning: {warning}");
    }
    print(&text)?;
    Ok(if verdict.passed() { 0 } else { REFUSED })
}

fn read(job: &Job, dataset: &Dataset) -> Result<Reading, JobError> {
    let tiles = tile_count(dataset.n_points(), job.fit.tile_points);
    // points from evenly spaced tiles, as many from each
    let every = tiles.div_ceil(GRADIENT_POINTS as u64).max(1);
    let from_each = GRADIENT_POINTS.div_ceil(usize::try_from(tiles.div_ceil(every)).unwrap_or(usize::MAX)).max(1);
    let mut reading = Reading { counts: Counts::default(), bytes: 0, seconds: 0.0, points: Vec::new(), probe: None };
    let started = Instant::now();
    load_tiles(dataset, 0..tiles, job.fit.tile_points, job.fit.nonfinite, &mut |tile: Tile| {
        reading.counts.merge(&tile.counts);
        reading.bytes += tile.bytes();
        if tile.index.is_multiple_of(every) {
            let step = tile.y.len().div_ceil(from_each).max(1);
            reading.points.extend((0..tile.y.len()).step_by(step).map(|i| tile.x.iter().map(|x| x.at(i)).collect()));
        }
        if reading.probe.as_ref().is_none_or(|probe| probe.y.len() < tile.y.len()) {
            reading.probe = Some(tile);
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
    // a column takes 4 bytes a point in tiles where that is exact, else 8
    let bytes_per_point = reading.bytes as f64 / used.max(1) as f64;
    let _ = writeln!(
        text,
        "points      {} = {} used + {} masked + {} not finite",
        grouped(reading.counts.points()),
        grouped(used),
        grouped(masked),
        grouped(nonfinite)
    );
    let tiles = tile_count(reading.counts.points(), job.fit.tile_points);
    let _ = writeln!(text, "tiles       {} of {} points", grouped(tiles), grouped(job.fit.tile_points));
    let _ = writeln!(
        text,
        "memory      {} for all workers together: {columns} columns, {} bytes a point",
        bytes_text(reading.bytes as u128),
        number((bytes_per_point * 10.0).round() / 10.0)
    );
    let rate = reading.counts.points() as f64 / reading.seconds.max(1e-9) / 1e6;
    let _ = writeln!(text, "read in     {:.3} s by one thread ({rate:.1} M points/s)", reading.seconds);
}

/// What a pass will take, from one tile evaluated here and now.
fn write_time(text: &mut String, job: &Job, parameters: &Parameters, reading: &Reading) {
    let Some(tile) = &reading.probe else { return };
    let program = Program::new(job.parse_model(), parameters.free().to_vec());
    let mut evaluator = Blocks::new().evaluator(&program);
    let request = Request::linearize(parameters.start(), job.fit.options.costing);
    evaluator.evaluate(&request, tile); // the first run also fetches code and scratch
    let started = Instant::now();
    let mut runs = 0;
    while runs < PROBE_RUNS && (runs == 0 || started.elapsed() < PROBE_LIMIT) {
        evaluator.evaluate(&request, tile);
        runs += 1;
    }
    let per_point = started.elapsed().as_secs_f64() / f64::from(runs) / tile.y.len() as f64;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = job.cluster.workers.map_or(1, |(min, _)| min);
    let threads = job.fit.threads.map_or(cores, |threads| threads * workers).max(1);
    let pass = per_point * reading.counts.used as f64 / threads as f64;
    let _ = writeln!(
        text,
        "a pass      about {} s on {threads} threads ({:.1} M points/s by each, measured on one tile)",
        number((pass * 1e6).round() / 1e6),
        1e-6 / per_point
    );
}

fn write_gradient(text: &mut String, job: &Job, parameters: &Parameters, reading: &Reading, check: &GradientCheck) {
    let outcome = if check.passed() { "agree" } else { "DISAGREE" };
    let points = reading.points.len();
    let _ = writeln!(text, "gradient    derivatives and differences {outcome} ({points} points at the starts)");
    for slope in &check.parameters {
        let name = &parameters.all()[slope.parameter].name;
        let verdict = match slope.verdict {
            Verdict::Agrees => "agrees",
            Verdict::Disagrees => "DISAGREES",
            Verdict::Undecided => "cannot be compared: no point is smooth enough",
        };
        let _ = write!(text, "  {name:<12} {verdict}");
        if let Some(worst) = &slope.worst {
            let variables = job.model.variables.iter().zip(&reading.points[worst.point]);
            let at: Vec<String> = variables.map(|(name, value)| format!("{name} = {value}")).collect();
            let _ = write!(
                text,
                " to {:.1e} ({} points); worst at {}: derivative {}, difference {}",
                worst.scaled,
                slope.compared,
                at.join(", "),
                number(worst.derivative),
                number(worst.difference)
            );
        }
        text.push('\n');
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
