//! Decides and talks to people: what is fitted (`config`, `starts`), how it is going (`outcome`, `progress`), what came
//! of it (`run_dir`, `report`). The commands are in [`cli`].

pub mod cli;
pub mod clock;
pub mod config;
pub mod crew;
pub mod fit;
pub mod outcome;
pub mod progress;
pub mod report;
pub mod run_dir;
pub mod starts;
