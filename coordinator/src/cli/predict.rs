//! The command `predict`: a run and points in, the model with its bands out.

use std::cell::Cell;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use clap::Args;
use nlsq_engine::covariance::Level;
use nlsq_engine::data::spec::{CsvOptions, DatasetSpec};
use nlsq_engine::data::write::{TableWriter, WriteOptions};

use super::Failure;
use super::output::print;
use crate::config::JobError;
use crate::config::settings::absolute;
use crate::outcome::Sigma;
use crate::predict::{Bands, Fitted, Grid, Measured, Points, Written, columns, write};
use crate::progress::grouped;

/// Predict from a run: f, its standard error, and bands.
#[derive(Debug, Args)]
pub(super) struct PredictArgs {
    /// The directory of the run
    run_dir: PathBuf,
    /// Data files or globs with the variables of the model; may be repeated
    #[arg(long, value_name = "FILE|GLOB", num_args = 1.., required_unless_present = "at", conflicts_with = "at")]
    data: Vec<String>,
    /// Points of a grid instead: 'x=FIRST:LAST:COUNT', or a value 'x=1', separated by commas
    #[arg(long, value_name = "'x=0:10:101'", allow_hyphen_values = true)]
    at: Option<String>,
    /// Where the variables are in the data, NAME or NAME=SOURCE [as in the run]
    #[arg(long, value_name = "NAME[,NAME...]", conflicts_with = "at")]
    x: Vec<String>,
    /// Sigma of the measurements to predict: a number, or a column or expression of the data
    #[arg(long, value_name = "NUMBER|COLUMN")]
    sigma: Option<String>,
    /// How CSV files are written [as in the run]
    #[arg(long, value_name = "OPTIONS", allow_hyphen_values = true, conflicts_with = "at")]
    csv: Option<String>,
    /// Level of the bands [that of the run]
    #[arg(long, value_name = "LEVEL", allow_hyphen_values = true)]
    level: Option<String>,
    /// File to write, in the format of its extension [CSV on stdout]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write over a file that exists
    #[arg(long, requires = "out")]
    overwrite: bool,
}

pub(super) fn predict(arguments: &PredictArgs) -> Result<u8, Failure> {
    let fitted = Fitted::open(&arguments.run_dir)?;
    let level = level(arguments, &fitted)?;
    let (measured, column) = measured(arguments, &fitted)?;
    let points = points(arguments, &fitted, column)?;
    let scatter = fitted.scatter();
    let measured = if scatter.is_some() { measured } else { Measured::Unknown };
    let bands = Bands { quantile: fitted.quantile(level), scatter: scatter.unwrap_or(f64::NAN), measured };
    let mut warnings = fitted.warnings();
    if measured == Measured::Unknown {
        warnings
            .push("no prediction band: the run had a sigma, and that of the points is not known; give --sigma".into());
    }
    for warning in &warnings {
        warn(warning);
    }
    let written = match &arguments.out {
        None => to_stdout(&fitted, &points, bands)?,
        Some(path) => to_file(&fitted, &points, bands, path, arguments.overwrite)?,
    };
    if written.nonfinite > 0 {
        warn(&format!("the model or its standard error is not finite at {} points", grouped(written.nonfinite)));
    }
    match &arguments.out {
        None => Ok(0),
        Some(path) => print(&format!("{} points: {}\n", grouped(written.points), path.display())).map(|()| 0),
    }
}

fn warn(text: &str) {
    let _ = writeln!(io::stderr(), "warning: {text}");
}

fn level(arguments: &PredictArgs, fitted: &Fitted) -> Result<Level, JobError> {
    let Some(text) = &arguments.level else { return Ok(fitted.level()) };
    let level = text.trim().parse().ok().and_then(Level::new);
    level.ok_or_else(|| {
        JobError::usage(format!("--level: expected a number above 0 and below 1, such as 0.95, found \"{text}\""))
    })
}

/// Sigma of the measurements, and the column it stands in if it stands in one.
fn measured<'a>(arguments: &'a PredictArgs, fitted: &Fitted) -> Result<(Measured, Option<&'a str>), JobError> {
    let text = match (&arguments.sigma, fitted.sigma()) {
        (None, Sigma::None) => return Ok((Measured::Alike(1.0), None)),
        (None, _) => return Ok((Measured::Unknown, None)),
        (Some(_), Sigma::None) => {
            return Err(JobError::usage(
                "--sigma: the run had no sigma, so the scatter of a measurement is that of its residuals; expected no --sigma",
            ));
        }
        (Some(text), _) => text.as_str(),
    };
    match (text.trim().parse::<f64>(), &arguments.at) {
        (Ok(sigma), _) if sigma > 0.0 && sigma.is_finite() => Ok((Measured::Alike(sigma), None)),
        (Ok(_), _) => Err(JobError::usage(format!("--sigma: expected a finite number above 0, found \"{text}\""))),
        (Err(_), Some(_)) => {
            Err(JobError::usage(format!("--sigma: a grid has no column \"{text}\"; expected a number beside --at")))
        }
        (Err(_), None) => Ok((Measured::Column, Some(text))),
    }
}

fn points(arguments: &PredictArgs, fitted: &Fitted, sigma: Option<&str>) -> Result<Points, Failure> {
    let variables = fitted.model.variables();
    if let Some(text) = &arguments.at {
        return Ok(Points::Grid(Grid::parse(text, variables)?));
    }
    let x = match arguments.x.is_empty() {
        true => bindings_of_the_run(&fitted.job.data)?,
        false => arguments.x.clone(),
    };
    let csv = match &arguments.csv {
        Some(text) => CsvOptions::parse(text).map_err(JobError::from)?,
        None => fitted.job.data.csv,
    };
    let spec = DatasetSpec {
        base: absolute(Path::new("."))?,
        files: arguments.data.clone(),
        x,
        sigma: sigma.map(String::from),
        csv,
        ..DatasetSpec::default()
    };
    let points = Points::open(spec).map_err(JobError::from)?;
    if let Points::Data(dataset) = &points {
        let found = &nlsq_engine::data::source::TileSource::layout(dataset.as_ref()).variables;
        if found != variables {
            return Err(JobError::usage(format!(
                "--x: expected the variables of the model in its order, {}; found {}",
                variables.join(", "),
                found.join(", ")
            ))
            .into());
        }
    }
    Ok(points)
}

/// The run's own texts for its variables. One that is bound to a file of its own says nothing about other data.
fn bindings_of_the_run(data: &DatasetSpec) -> Result<Vec<String>, JobError> {
    for item in &data.x {
        if let Some((name, source)) = item.split_once('=')
            && data.base.join(source.trim().trim_matches(['\'', '"'])).is_file()
        {
            return Err(JobError::usage(format!(
                "the run read {} from the file {source}; expected --x to say where it is in these data, such as --x {name}",
                name.trim()
            )));
        }
    }
    Ok(data.x.clone())
}

fn to_file(fitted: &Fitted, points: &Points, bands: Bands, path: &Path, overwrite: bool) -> Result<Written, Failure> {
    if path.exists() && !overwrite {
        let message = format!("--out: {} exists; expected a new file", path.display());
        return Err(JobError::usage_with_help(message, "give another --out, or --overwrite to write over it").into());
    }
    let Some(name) = path.file_name() else {
        return Err(JobError::usage(format!("--out: {} names no file", path.display())).into());
    };
    // beside its place until it is whole, with the extension that names the format
    let partial = path.with_file_name(format!(".partial-{}", name.to_string_lossy()));
    let columns = columns(fitted.model.variables(), bands.measured);
    let written = TableWriter::create(&partial, &columns, &WriteOptions::default()).and_then(|mut writer| {
        let written = write(fitted, points, bands, &mut writer)?;
        writer.finish().map(|_| written)
    });
    let moved = written.map_err(|error| Failure::from(JobError::from(error))).and_then(|written| {
        let unwritable = |error: io::Error| Failure::Files(format!("cannot write {}: {error}", path.display()));
        fs::rename(&partial, path).map(|()| written).map_err(unwritable)
    });
    if moved.is_err() {
        let _ = fs::remove_file(&partial);
    }
    moved
}

fn to_stdout(fitted: &Fitted, points: &Points, bands: Bands) -> Result<Written, Failure> {
    let broken = Rc::new(Cell::new(false));
    let out = Stdout { out: io::BufWriter::with_capacity(1 << 16, io::stdout()), broken: Rc::clone(&broken) };
    let columns = columns(fitted.model.variables(), bands.measured);
    let written = TableWriter::csv("stdout", Box::new(out), &columns).and_then(|mut writer| {
        let written = write(fitted, points, bands, &mut writer)?;
        writer.finish().map(|_| written)
    });
    match written {
        Err(_) if broken.get() => Err(Failure::BrokenPipe),
        written => written.map_err(|error| JobError::from(error).into()),
    }
}

/// stdout that remembers whether its reader went away.
struct Stdout {
    out: io::BufWriter<io::Stdout>,
    broken: Rc<Cell<bool>>,
}

impl Stdout {
    fn noting<T>(&self, result: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &result {
            self.broken.set(error.kind() == io::ErrorKind::BrokenPipe);
        }
        result
    }
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes);
        self.noting(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.out.flush();
        self.noting(flushed)
    }
}
