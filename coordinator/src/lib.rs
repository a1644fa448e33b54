//! Decides and talks to people: what is fitted (`config`, `problem`), how it is going (`progress`), what came of it
//! (`outcome`, `run_dir`, `report`). Commands are in [`cli`].

pub mod cli;
pub mod config;
pub mod crew;
pub mod fit;
pub mod outcome;
mod starts;
