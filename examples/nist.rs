//! How many digits of certified answers come out?
//!
//! Fits the 27 problems of the NIST Statistical Reference Datasets for nonlinear regression from both certified starts and
//! prints the digits of agreement, the worst over the parameters, with the default tolerances and with 1e-12:
//! `cargo run --release --example nist`

#![allow(clippy::print_stdout)] // an example talks to its reader

#[path = "../tests/nist_problems.rs"]
mod nist_problems;

use nist_problems::{DEFAULT, TIGHT};
use nlsq_engine::kernel::Precision;

fn main() {
    let tight = "digits, parameters, at 1e-12 | passes";
    println!("| problem | level | start | digits, parameters | standard errors | rss | passes | ended | {tight} |");
    println!("|---|---|---|---|---|---|---|---|---|---|");
    let mut passes = [Vec::new(), Vec::new()];
    for problem in nist_problems::all() {
        for start in [0, 1] {
            let fit = |tolerance| problem.fit(start, tolerance, Precision::F64);
            let (run, exact) = (fit(DEFAULT), fit(TIGHT));
            println!(
                "| {} | {} | {} | {:.1} | {:.1} | {:.1} of {:.1} | {} | {:?} | {:.1} | {} |",
                problem.name,
                problem.level,
                start + 1,
                run.values,
                run.deviations,
                run.rss,
                problem.resolved(),
                run.outcome.passes,
                run.outcome.status,
                exact.values,
                exact.outcome.passes
            );
            passes[0].push(run.outcome.passes);
            passes[1].push(exact.outcome.passes);
        }
    }
    passes.iter_mut().for_each(|each| each.sort_unstable());
    let [usual, tight] = passes.map(|each| (each.iter().sum::<u64>(), each[each.len() / 2]));
    println!("\nPasses in all: {}, median {}; at 1e-12 {}, median {}.", usual.0, usual.1, tight.0, tight.1);
    println!("\"of\": the digits that are certain when the data are rounded to f64, as they are.");
}
