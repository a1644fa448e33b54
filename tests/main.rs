//! The only integration binary: everything that needs the real programs.

// clippy.toml frees tests of this lint, but not the functions that tests share
#![allow(clippy::unwrap_used)]

mod bad_inputs;
mod commands;
mod explore;
mod formats;
mod groups;
mod ill_conditioned;
mod ill_scaled;
mod known_faults;
mod membership;
mod nist;
mod nist_problems;
mod parity;
mod processes;
mod program;
mod reference;
mod reference_problems;
mod simulation;
mod stopping;
mod support;
mod tidy;
mod uncertainty;
