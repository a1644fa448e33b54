//! My points are in no file: how do I fit them?
//!
//! Implement `TileSource`: say which columns there are, how many rows, and hand out any range of them when asked. Here the
//! points come out of a formula, as they might from a detector's memory or a database: `cargo run --release --example own_source`

#![allow(clippy::print_stdout)] // an example talks to its reader

use std::ops::Range;
use std::sync::Arc;

use nlsq_coordinator::fit::{Problem, fit};
use nlsq_engine::data::source::{Block, DataError, Layout, Place, TileSource, Weighting};
use nlsq_engine::params::Parameter;

/// A resonance curve sampled at a million frequencies.
struct Resonance {
    layout: Layout,
}

impl TileSource for Resonance {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn n_points(&self) -> u64 {
        1_000_000
    }

    fn scan(
        &self,
        rows: Range<u64>,
        sink: &mut dyn FnMut(Block<'_>) -> Result<(), DataError>,
    ) -> Result<(), DataError> {
        let frequency: Vec<f64> = rows.clone().map(|row| 90.0 + row as f64 * 2e-5).collect();
        // A triangle wave of known size stands for noise: it depends on the row alone, whatever range is asked for.
        let noise = |row: u64| ((row * 7_919) % 1_000) as f64 / 500.0 - 1.0;
        let amplitude = |(row, f): (u64, &f64)| 4.0 / (1.0 + ((f - 100.0) / 1.5).powi(2)) + 0.3 + 0.05 * noise(row);
        let signal: Vec<f64> = rows.clone().zip(&frequency).map(amplitude).collect();
        sink(Block { first_row: rows.start, columns: &[&frequency, &signal] })
    }

    fn place(&self, row: u64) -> Place {
        Place { file: "resonance".to_string(), row: row + 1 }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let free = |name: &str, start: f64, min: f64| Parameter {
        name: name.to_string(),
        start,
        min,
        max: f64::INFINITY,
        fixed: false,
    };
    let any = f64::NEG_INFINITY;
    let parameters =
        vec![free("height", 1.0, 0.0), free("centre", 99.0, any), free("width", 1.0, 0.0), free("base", 0.0, any)];
    let problem = Problem::new("height/(1 + ((f - centre)/width)^2) + base", &["f"], parameters)?;
    let layout =
        Layout { variables: vec!["f".to_string()], y: "signal".to_string(), weighting: Weighting::None, mask: None };
    let outcome = fit(problem, Arc::new(Resonance { layout }), 2, &mut ())?;
    println!("{:?}: {}", outcome.status, outcome.reason);
    for parameter in &outcome.parameters {
        println!("{:<7} {:12.6} +- {:.6}", parameter.name, parameter.value, parameter.stderr.unwrap_or(f64::NAN));
    }
    Ok(())
}
