//! Numerics of nonlinear least squares over data that need not fit into one machine.
//!
//! Given points `(x_i, y_i, sigma_i)`, a model `f(x; theta)` with `p` parameters, bounds and a loss `rho`, the engine finds
//!
//! ```text
//! theta* = argmin C(theta),   C(theta) = 1/2 S^2 sum_i rho((r_i/S)^2),   r_i = (f(x_i; theta) - y_i) / sigma_i,
//!          lo <= theta <= hi
//! ```
//!
//! and says how well `theta*` is known. It is pure numerics: no sockets, no clock, no dataflow. The minimizer asks
//! ([`minimize::Demand`]), whoever holds the points answers ([`minimize::Answer`]).
//!
//! Reading order: `expr` (model language), `diff` (derivatives), `models` (built-in models), `tape` (straight-line code),
//! `kernel` (a tape over a tile), `normal` (normal equations and how they are summed), `params` and `loss`, `linalg`, `minimize`
//! (the state machine), `covariance` and `summary` (what is known at the end), `data` (points and where they come from).

pub mod covariance;
pub mod data;
pub mod diff;
pub mod expr;
pub mod kernel;
pub mod linalg;
pub mod loss;
pub mod math;
pub mod minimize;
pub mod models;
pub mod normal;
pub mod params;
pub mod summary;
pub mod tape;
