//! How do I get a dataset of any size whose answer I know?
//!
//! Made-up points of a model with normal scatter, seeded, in any format the program reads:
//! `scripts/make_dataset --n 100000000 --out decay.parquet`. A smaller n is a prefix of a larger one.

#![allow(clippy::print_stdout)] // an example talks to its reader

use std::path::{Path, PathBuf};

use clap::{Parser, ValueEnum};
use nlsq_engine::data::source::{DataError, TileSource};
use nlsq_engine::data::synthetic::{Axis, Noise, Synthetic, SyntheticSpec};
use nlsq_engine::data::write::{ColumnKind, Compression, TableWriter, WriteColumn, WriteOptions};
use nlsq_engine::expr::{Model, Names};

/// Makes a seeded dataset; the format is that of the file's extension.
#[derive(Parser)]
#[command(name = "make_dataset")]
struct Arguments {
    /// Number of points.
    #[arg(long)]
    n: u64,
    /// File to write.
    #[arg(long)]
    out: PathBuf,
    /// Model of the points.
    #[arg(long, default_value = "a*exp(-b*t) + c", allow_hyphen_values = true)]
    model: String,
    /// Parameters of the model.
    #[arg(long, default_value = "a=5,b=3,c=1")]
    truth: String,
    /// Variables with the range they are drawn from.
    #[arg(long, default_value = "t=0:1")]
    x: String,
    /// Standard deviation of the scatter, or a range of them for a column sigma: 0.1 or 0.05:0.2.
    #[arg(long, default_value = "0.1")]
    noise: String,
    /// Fraction of points that lie off by 10 standard deviations.
    #[arg(long, default_value_t = 0.0)]
    outliers: f64,
    /// Another seed, other points.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Split into this many files of equal size, numbered before the extension.
    #[arg(long, default_value_t = 1)]
    files: u64,
    /// Write numbers of 4 bytes.
    #[arg(long)]
    f32: bool,
    /// Rows of a row group, record batch or chunk.
    #[arg(long, default_value_t = 1 << 20)]
    group_rows: usize,
    /// Compression, where the format has it.
    #[arg(long, value_enum, default_value = "none")]
    compression: Packing,
}

#[derive(Clone, Copy, ValueEnum)]
enum Packing {
    None,
    Snappy,
    Zstd,
    Lz4,
    Deflate,
}

fn main() -> std::process::ExitCode {
    match make(&Arguments::parse()) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("make_dataset: {error}");
            std::process::ExitCode::from(2)
        }
    }
}

fn make(arguments: &Arguments) -> Result<(), DataError> {
    let source = Synthetic::new(spec(arguments)?)?;
    let kind = if arguments.f32 { ColumnKind::F32 } else { ColumnKind::F64 };
    let layout = source.layout();
    let columns: Vec<WriteColumn> =
        (0..layout.width()).map(|k| WriteColumn { name: layout.name(k).to_string(), kind }).collect();
    let compression = match arguments.compression {
        Packing::None => Compression::None,
        Packing::Snappy => Compression::Snappy,
        Packing::Zstd => Compression::Zstd,
        Packing::Lz4 => Compression::Lz4,
        Packing::Deflate => Compression::Deflate,
    };
    let options = WriteOptions { group_rows: arguments.group_rows, compression };
    let files = arguments.files.clamp(1, arguments.n.max(1));
    for k in 0..files {
        let path = if files == 1 { arguments.out.clone() } else { numbered(&arguments.out, k) };
        let rows = (arguments.n * k / files)..(arguments.n * (k + 1) / files);
        let mut writer = TableWriter::create(&path, &columns, &options)?;
        source.scan(rows, &mut |block| writer.push(block.columns))?;
        println!("{}: {} rows", path.display(), writer.finish()?);
    }
    Ok(())
}

fn spec(arguments: &Arguments) -> Result<SyntheticSpec, DataError> {
    let axes: Vec<(String, Axis)> = arguments
        .x
        .split(',')
        .map(|item| {
            let (name, range) = named(item)?;
            let (min, max) = self::range(range)?;
            Ok((name.to_string(), Axis::Uniform { min, max }))
        })
        .collect::<Result<_, DataError>>()?;
    let truth: Vec<(&str, f64)> = arguments
        .truth
        .split(',')
        .map(|item| named(item).and_then(|(name, value)| Ok((name, number(value)?))))
        .collect::<Result<_, _>>()?;
    let variables: Vec<String> = axes.iter().map(|(name, _)| name.clone()).collect();
    let parameters: Vec<String> = truth.iter().map(|(name, _)| name.to_string()).collect();
    let names = Names { variables: &variables, parameters: &parameters };
    let model = Model::parse(&arguments.model, &names).map_err(|error| DataError::new(format!("--model: {error}")))?;
    let value = |name: &String| {
        let found = truth.iter().find(|(known, _)| known == name).map(|(_, value)| *value);
        found.ok_or_else(|| DataError::new(format!("--truth: expected a value for {name}")))
    };
    let truth = model.parameters().iter().map(value).collect::<Result<_, _>>()?;
    let noise = match arguments.noise.split_once(':') {
        None => Noise::Constant(number(&arguments.noise)?),
        Some((min, max)) => Noise::Column { min: number(min)?, max: number(max)? },
    };
    Ok(SyntheticSpec {
        model,
        truth,
        axes: axes.into_iter().map(|(_, axis)| axis).collect(),
        noise,
        outliers: arguments.outliers,
        outlier_shift: 10.0,
        rows: arguments.n,
        seed: arguments.seed,
    })
}

fn named(item: &str) -> Result<(&str, &str), DataError> {
    item.split_once('=').ok_or_else(|| DataError::new(format!("\"{item}\": expected NAME=VALUE")))
}

fn range(text: &str) -> Result<(f64, f64), DataError> {
    let (min, max) = text.split_once(':').ok_or_else(|| DataError::new(format!("\"{text}\": expected MIN:MAX")))?;
    Ok((number(min)?, number(max)?))
}

fn number(text: &str) -> Result<f64, DataError> {
    text.trim().parse().map_err(|_| DataError::new(format!("\"{text}\": expected a number")))
}

/// `decay.parquet` to `decay-003.parquet`.
fn numbered(path: &Path, k: u64) -> PathBuf {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let (stem, extension) = name.split_once('.').unwrap_or((&name, ""));
    path.with_file_name(format!("{stem}-{k:03}.{extension}"))
}
