//! How many digits of certified answers come out?
//!
//! Fits the 27 problems of the NIST Statistical Reference Datasets for nonlinear regression from both certified starts and
//! prints the digits of agreement: `cargo run --release --example nist`

#![allow(clippy::print_stdout)] // an example talks to its reader

#[path = "../tests/nist_problems.rs"]
mod nist_problems;

use nlsq_engine::kernel::Precision;

fn main() {
    println!("| problem | level | start | digits, parameters | digits, standard errors | passes | ended |");
    println!("|---|---|---|---|---|---|---|");
    for problem in nist_problems::all() {
        for start in [0, 1] {
            let run = problem.fit(start, Precision::F64);
            println!(
                "| {} | {} | {} | {:.1} | {:.1} | {} | {:?} |",
                problem.name,
                problem.level,
                start + 1,
                run.values,
                run.deviations,
                run.outcome.passes,
                run.outcome.status
            );
        }
    }
}
