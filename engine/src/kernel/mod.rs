//! Kernels: a tape evaluated over a tile, fused with the sums of the normal equations.
//!
//! Every backend computes the same [`Sums`] in the same order, so backends of a device class agree to the last bit
//! (`conformance`). The order inside a tile, fixed for good:
//!
//! - the used points of a tile are cut into segments of 2,048, a segment into 64 rows of 32 lanes: the point of rank k
//!   within its tile stands in segment k / 2048, row (k mod 2048) / 32, lane k mod 32;
//! - each lane of a segment sums its points down the rows, `acc = fma(a, b, acc)` from +0.0 (a loss's rho is added plainly);
//! - the 32 lanes are folded by halves: lane l takes lane l + 16, then l + 8, 4, 2, 1;
//! - the segments are folded in the binary tree over segment indices, left + right, as tiles are (`data::tree`).
//!
//! It suits a CPU (8 or 4 lanes of a row to a vector), a GPU warp (one row a step) and a scalar loop alike.
//!
//! A request says in which [`Precision`] the model and its derivatives are evaluated. In f32 their values are widened as they
//! leave the tape; y and 1/sigma are never rounded, and residuals, losses and sums are f64.
//!
//! A residual is `r = (f - y) w` with `w = 1/sigma`, a Jacobian entry `df/dtheta_j w`. Under a loss both are scaled as
//! SciPy's `least_squares` does (Triggs et al. 1999): with z = (r/S)^2 and `c = max(rho' + 2 z rho'', eps)`,
//! `J <- sqrt(c) J`, `r <- rho'/sqrt(c) r`, so that J'r stays the exact gradient of the cost.

pub mod accumulate;
pub mod blocks;
#[cfg(test)]
mod conformance;
pub(crate) mod lanes;
mod machine;
pub mod magnitudes;
pub mod request;
pub mod scalar;
mod single;

pub use request::{Answer, Costing, Curvature, Precision, Question, Request, Solver};

use crate::data::tile::Tile;
use crate::expr::Model;
use crate::normal::Sums;
use crate::tape::Tape;

/// The model with the derivatives of its free parameters: what a kernel needs beside a request.
#[derive(Clone, Debug)]
pub struct Program {
    model: Model,
    free: Vec<usize>,
}

impl Program {
    /// `free` lists the positions of the free parameters among the model's, ascending.
    pub fn new(model: Model, free: Vec<usize>) -> Self {
        assert!(free.iter().all(|&j| j < model.parameters().len()), "free parameters are parameters of the model");
        Self { model, free }
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Number of free parameters.
    pub fn n_free(&self) -> usize {
        self.free.len()
    }

    /// Code for f alone.
    pub fn value_tape(&self) -> Tape {
        Tape::new(self.model.graph(), &[self.model.value()])
    }

    /// Code for f, then df/dtheta_j for each free parameter.
    pub fn slopes_tape(&self) -> Tape {
        let slopes = self.free.iter().map(|&j| self.model.slopes()[j]);
        let outputs: Vec<_> = std::iter::once(self.model.value()).chain(slopes).collect();
        Tape::new(self.model.graph(), &outputs)
    }
}

/// A way to run programs. Backends are shared between threads, evaluators are not.
pub trait Backend: Send + Sync {
    /// What people see in `result.json` under "device".
    fn name(&self) -> String;

    /// An evaluator with scratch of its own; one for each thread.
    fn evaluator(&self, program: &Program) -> Box<dyn Evaluator>;
}

/// Evaluates tiles.
pub trait Evaluator: Send {
    /// The sums of a tile for a request whose thetas hold all parameters of the model, free and fixed: as many as
    /// [`Request::width`] says, laid out as [`Question`] says.
    fn evaluate(&mut self, request: &Request, tile: &Tile) -> Sums;
}

/// Where a model stops being finite.
#[derive(Clone, Debug, PartialEq)]
pub struct NonFinitePoint {
    /// Rank among the used points of the tile.
    pub rank: usize,
    /// The point's variables.
    pub x: Vec<f64>,
    /// "f" or the name of the parameter whose derivative it is.
    pub quantity: String,
}

/// Finds the first point of a tile at which f or a derivative with respect to a free parameter is not finite.
pub fn first_nonfinite(program: &Program, theta: &[f64], tile: &Tile) -> Option<NonFinitePoint> {
    let model = program.model();
    (0..tile.y.len()).find_map(|rank| {
        let x: Vec<f64> = tile.x.iter().map(|column| column.at(rank)).collect();
        let values = model.graph().evaluate(&x, theta);
        let quantity = if !values[model.value().index()].is_finite() {
            Some("f".to_string())
        } else {
            let bad = program.free.iter().find(|&&j| !values[model.slopes()[j].index()].is_finite());
            bad.map(|&j| model.parameters()[j].clone())
        };
        quantity.map(|quantity| NonFinitePoint { rank, x, quantity })
    })
}
