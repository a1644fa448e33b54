//! What a run leaves behind, for machines and for people.

pub mod result;
pub mod text;
pub mod covariance;
pub mod history;
pub mod log;
