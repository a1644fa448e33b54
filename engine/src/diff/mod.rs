//! Derivatives of models: [`symbolic`] on the graph, for the kernels.

mod range;
mod rules;
pub mod symbolic;
mod term;
