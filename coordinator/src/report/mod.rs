//! What a run leaves behind, for machines and for people.

pub mod covariance;
pub mod health;
pub mod history;
pub mod log;
pub mod result;
pub mod text;
