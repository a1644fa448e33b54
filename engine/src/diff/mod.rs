//! Derivatives of models: [`symbolic`] on the graph, for the kernels; [`dual`] numbers, the reference it is held to; and
//! [`check`], which compares a model's derivatives with differences at points of the user's data.

pub mod check;
pub mod dual;
mod range;
mod rules;
pub mod symbolic;
mod term;

#[cfg(test)]
mod tests;
