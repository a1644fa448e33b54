//! Do worker processes give the same numbers as one process?
//!
//! Makes two million points, fits them in this process and then with three worker processes, and compares bits:
//! `cargo build --release --bins && cargo run --release --example workers`. On the command line the same is `--workers 3`.

#![allow(clippy::print_stdout)] // an example talks to its reader

use std::fs;

use nlsq_coordinator::config::{Job, JobFlags};
use nlsq_coordinator::fit::run;
use nlsq_engine::data::source::TileSource;
use nlsq_engine::data::synthetic::{Axis, Noise, Synthetic, SyntheticSpec};
use nlsq_engine::data::write::{ColumnKind, TableWriter, WriteColumn, WriteOptions};
use nlsq_engine::expr::{Model, Names};

const JOB: &str = r#"
[model]
expression = "a*exp(-b*t) + c"
[data]
files = ["decay.npy"]
x = ["t"]
y = "y"
[parameters]
a = { start = 1.0 }
b = { start = 1.0 }
c = { start = 0.0 }
"#;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::temp_dir().join(format!("nlsq-workers-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let variables = ["t".to_string()];
    let points = Synthetic::new(SyntheticSpec {
        model: Model::parse("a*exp(-b*t) + c", &Names { variables: &variables, parameters: &[] })?,
        truth: vec![5.0, 3.0, 1.0],
        axes: vec![Axis::Uniform { min: 0.0, max: 1.0 }],
        noise: Noise::Constant(0.1),
        outliers: 0.0,
        outlier_shift: 0.0,
        rows: 2_000_000,
        seed: 1,
    })?;
    let columns = ["t", "y"].map(|name| WriteColumn { name: name.to_string(), kind: ColumnKind::F64 });
    let mut writer = TableWriter::create(&folder.join("decay.npy"), &columns, &WriteOptions::default())?;
    points.scan(0..points.n_points(), &mut |block| writer.push(block.columns))?;
    writer.finish()?;

    let mut bits = Vec::new();
    for (name, cluster) in [("alone.toml", ""), ("workers.toml", "[cluster]\nworkers = 3\n")] {
        let path = folder.join(name);
        fs::write(&path, format!("{JOB}{cluster}"))?;
        let job = Job::read(Some(&path), &JobFlags::default())?;
        let outcome = run(&job, &mut ())?;
        let values: Vec<f64> = outcome.parameters.iter().map(|p| p.value).collect();
        println!("{} workers: {values:?} in {:.3} s", outcome.workers, outcome.seconds.total);
        bits.push(values.into_iter().map(f64::to_bits).collect::<Vec<_>>());
    }
    fs::remove_dir_all(&folder)?;
    assert_eq!(bits[0], bits[1], "the number of workers changes no bit");
    println!("equal to the last bit");
    Ok(())
}
