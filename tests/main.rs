//! The only integration binary: everything that needs the real programs.

// clippy.toml frees tests of this lint, but not the functions that tests share
#![allow(clippy::unwrap_used)]

mod bad_inputs;
mod checkpoint;
mod commands;
mod corpora;
mod crew;
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
mod program;
mod recovery;
mod reference;
mod reference_problems;
mod rendezvous;
mod resume;
mod simulation;
mod stopping;
mod strangers;
mod support;
mod tidy;
mod uncertainty;
