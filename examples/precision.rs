//! What would `--precision f32` bring for my model?
//!
//! Evaluates one tile again and again, in f64 and f32 by turns, from columns of 8 and of 4 bytes, on one thread, and prints
//! the best of each: `cargo run --release --example precision`, or `-- 'a*exp(-b*t) + c' 5,3,1` for a model of t in (0, 1).

#![allow(clippy::print_stdout)] // an example talks to its reader

use std::hint::black_box;
use std::time::Instant;

use nlsq_engine::data::numbers::Numbers;
use nlsq_engine::data::tile::{TILE_POINTS, Tile};
use nlsq_engine::expr::{Model, Names};
use nlsq_engine::kernel::blocks::{Blocks, InstructionSet};
use nlsq_engine::kernel::{Backend, Costing, Precision, Program, Request};
use nlsq_engine::normal::Counts;

const MODELS: [(&str, &str); 7] = [
    ("a*t + b", "2,1"),
    ("a*exp(-b*t) + c", "5,3,1"),
    ("a/(1 + ((t - b)/c)^2) + d", "1,0.5,0.2,0.5"),
    ("a*exp(-b*t) + c*exp(-d*t) + h", "5,3,2,0.3,1"),
    ("a*exp(-((t - m)/s)^2) + b*exp(-((t - n)/u)^2) + c*exp(-((t - o)/v)^2) + d", "5,0.2,0.1,3,0.5,0.1,4,0.8,0.1,1"),
    ("a*sin(w*t) + b*cos(w*t) + c", "1,6,2,0.5"),
    ("a*log(t + b) + c*sqrt(t + d)", "1,0.5,0.2,0.5"),
];

/// Evaluations of each kind, of which the fastest counts.
const RUNS: usize = 400;

fn tile(pack: fn(Vec<f64>) -> Numbers) -> Tile {
    let n = TILE_POINTS as usize;
    let t: Vec<f64> = (0..n).map(|k| (((k * 7_919) % n) as f64 + 0.5) / n as f64).collect();
    let y = t.iter().map(|t| 1.0 / (1.0 + t)).collect();
    let counts = Counts { used: TILE_POINTS, ..Counts::default() };
    Tile { index: 0, x: vec![pack(t)], y: pack(y), inverse_sigma: None, counts }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let models = match &given[..] {
        [] => MODELS.to_vec(),
        [model, theta] => vec![(model.as_str(), theta.as_str())],
        _ => return Err("expected no arguments, or a model and its parameters: 'a*exp(-b*t) + c' 5,3,1".into()),
    };
    let (wide, narrow) =
        (tile(Numbers::F64), tile(|values| Numbers::F32(values.into_iter().map(|v| v as f32).collect())));
    println!(
        "M points/s of one thread: precision/column\n| set | p | f64/f64 | f64/f32 | f32/f64 | f32/f32 | gain | model |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for set in InstructionSet::available() {
        for (text, theta) in &models {
            let theta: Vec<f64> = theta.split(',').map(str::parse).collect::<Result<_, _>>()?;
            let model = Model::parse(text, &Names { variables: &["t".to_string()], parameters: &[] })?;
            if model.parameters().len() != theta.len() {
                return Err(format!("{text}: expected values for {}", model.parameters().join(", ")).into());
            }
            let mut evaluator = Blocks::with(set).evaluator(&Program::new(model, (0..theta.len()).collect()));
            let kinds = [
                (Precision::F64, &wide),
                (Precision::F64, &narrow),
                (Precision::F32, &wide),
                (Precision::F32, &narrow),
            ];
            let mut rate = [0.0f64; 4];
            for _ in 0..RUNS {
                for ((precision, tile), rate) in kinds.iter().zip(&mut rate) {
                    let costing = Costing { precision: *precision, ..Costing::default() };
                    let request = Request::linearize(theta.clone(), costing);
                    let started = Instant::now();
                    black_box(evaluator.evaluate(&request, black_box(tile)));
                    *rate = rate.max(TILE_POINTS as f64 / started.elapsed().as_secs_f64() / 1e6);
                }
            }
            let figures: Vec<String> = rate.iter().map(|rate| format!("{rate:.0}")).collect();
            println!(
                "| {} | {} | {} | {:.2} | `{text}` |",
                set.name(),
                theta.len(),
                figures.join(" | "),
                rate[3] / rate[1]
            );
        }
    }
    Ok(())
}
