//! Numerics of nonlinear least squares over data that need not fit into one machine.
//!
//! Given points `(x_i, y_i, sigma_i)`, a model `f(x; theta)` with `p` parameters, bounds and a loss `rho`, the engine finds
//!
//! ```text
//! theta* = argmin C(theta),   C(theta) = 1/2 S^2 sum_i rho((r_i/S)^2),   r_i = (f(x_i; theta) - y_i) / sigma_i,
//!          lo <= theta <= hi
//! ```
//!
//! and says how well `theta*` is known. It is pure numerics: no sockets, no clock, no dataflow. Procedures ask
//! ([`procedure::Procedure`]), whoever holds the points answers ([`kernel::Answer`]).
//!
//! ```
//! use nlsq_engine::data::tile::Tile;
//! use nlsq_engine::expr::{Model, Names};
//! use nlsq_engine::kernel::{Answer, Backend, Program, Request, blocks::Blocks};
//! use nlsq_engine::minimize::{Minimizer, Options};
//! use nlsq_engine::normal::Counts;
//! use nlsq_engine::params::{Parameter, Parameters};
//! use nlsq_engine::procedure;
//!
//! // Five points on y = 2 exp(-t).
//! let t: Vec<f64> = (0..5).map(f64::from).collect();
//! let y = t.iter().map(|t| 2.0 * (-t).exp()).collect::<Vec<f64>>().into();
//! let counts = Counts { used: 5, masked: 0, nonfinite: 0 };
//! let tile = Tile { index: 0, x: vec![t.into()], y, inverse_sigma: None, counts };
//!
//! let variables = ["t".to_string()];
//! let model = Model::parse("a*exp(-b*t)", &Names { variables: &variables, parameters: &[] })?;
//! let free = |name: &str| Parameter {
//!     name: name.to_string(),
//!     start: 1.5,
//!     min: f64::NEG_INFINITY,
//!     max: f64::INFINITY,
//!     fixed: false,
//! };
//! let parameters = Parameters::new(vec![free("a"), free("b")])?;
//! let program = Program::new(model, parameters.free().to_vec());
//!
//! // Whoever holds the points answers the minimizer; here it is one tile in this process.
//! let mut points = Blocks::new().evaluator(&program);
//! let mut minimizer = Minimizer::new(&parameters, Options::default());
//! let answered = procedure::run(&mut minimizer, |request: &Request| -> Result<Answer, std::convert::Infallible> {
//!     let sums = points.evaluate(request, &tile);
//!     Ok(request.answer(program.n_free(), &sums))
//! });
//! let summary = minimizer.summary().expect("it has ended");
//! assert!(answered.is_ok() && (summary.theta[0] - 2.0).abs() < 1e-12 && (summary.theta[1] - 1.0).abs() < 1e-12);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Reading order: `expr` (model language), `diff` (derivatives), `models` (built-in models), `tape` (straight-line code),
//! `kernel` (a tape over a tile), `normal` (normal equations and how they are summed), `params` and `loss`, `linalg`, `procedure`
//! (who asks for passes), `minimize` (the trust region), `hybrid` (the phases of a fit), `saved` (their state outside memory), `summary`, `covariance`, `health` and
//! `prediction` (what is known at the end), `data` (points and where they come from).

pub mod covariance;
pub mod data;
pub mod diff;
pub mod explore;
pub mod expr;
pub mod health;
pub mod hybrid;
pub mod kernel;
pub mod linalg;
pub mod loss;
pub mod math;
pub mod minimize;
pub mod models;
mod native;
pub mod normal;
pub mod params;
pub mod penalty;
pub mod prediction;
pub mod procedure;
pub mod profile;
pub mod real;
pub mod saved;
pub mod summary;
pub mod tape;
