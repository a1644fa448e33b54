//! The reference: one point at a time, straight from the graph. Slow, and the oracle of every other backend.

use super::accumulate::{BLOCK, LANES, SEGMENT, correct, fold_lanes, fold_segments, is_linear};
use super::magnitudes::Magnitudes;
use super::{Backend, Costing, Evaluator, Precision, Program, Question, Request, Solver};
use crate::data::tile::Tile;
use crate::linalg::Triangle;
use crate::loss::Loss;
use crate::normal::{NormalEquations, Sums, packed_index};

/// Evaluates the graph node by node for each point.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scalar;

impl Backend for Scalar {
    fn name(&self) -> String {
        "cpu (scalar reference)".to_string()
    }

    fn evaluator(&self, program: &Program) -> Box<dyn Evaluator> {
        Box::new(ScalarEvaluator { program: program.clone() })
    }
}

struct ScalarEvaluator {
    program: Program,
}

/// f, residual and Jacobian row of one point, weighted by 1/sigma.
struct Row {
    residual: f64,
    jacobian: Vec<f64>,
}

impl ScalarEvaluator {
    fn row(&self, theta: &[f64], precision: Precision, tile: &Tile, k: usize) -> Row {
        let model = self.program.model();
        let x: Vec<f64> = tile.x.iter().map(|column| column.at(k)).collect();
        let values = match precision {
            Precision::F64 => model.graph().evaluate(&x, theta),
            Precision::F32 => super::single::evaluate(model.graph(), &x, theta),
        };
        let mut residual = values[model.value().index()] - tile.y.at(k);
        let mut jacobian: Vec<f64> = self.program.free.iter().map(|&j| values[model.slopes()[j].index()]).collect();
        if let Some(w) = &tile.inverse_sigma {
            residual *= w.at(k);
            jacobian.iter_mut().for_each(|entry| *entry *= w.at(k));
        }
        Row { residual, jacobian }
    }

    /// Sums `width` quantities over the tile in the fixed order; `add` adds one point to its lane.
    fn sum(
        &self,
        tile: &Tile,
        width: usize,
        mut add: impl FnMut(&Self, usize, &mut dyn FnMut(usize, Term)),
    ) -> Vec<f64> {
        let n = tile.y.len();
        let mut segments = Vec::new();
        for start in (0..n).step_by(SEGMENT) {
            let mut lanes = vec![[0.0f64; LANES]; width];
            for k in start..n.min(start + SEGMENT) {
                add(self, k, &mut |sum, term| {
                    let acc = &mut lanes[sum][(k - start) % LANES];
                    *acc = match term {
                        Term::Product(a, b) => a.mul_add(b, *acc),
                        Term::Value(a) => *acc + a,
                    };
                });
            }
            segments.push(lanes.iter().map(fold_lanes).collect());
        }
        fold_segments(segments, width)
    }
}

/// One addend of a sum.
enum Term {
    Product(f64, f64),
    Value(f64),
}

impl Evaluator for ScalarEvaluator {
    fn evaluate(&mut self, request: &Request, tile: &Tile) -> Sums {
        let costing = &request.costing;
        let values = match &request.question {
            Question::Linearize(thetas) => {
                thetas.iter().flat_map(|theta| self.linearize(theta, costing, tile)).collect()
            }
            Question::Costs(thetas) => thetas.iter().flat_map(|theta| self.cost(theta, costing, tile)).collect(),
            Question::Magnitudes { theta, octave } => self.magnitudes(theta, costing, *octave, tile),
            Question::Scores(theta) => self.scores(theta, costing, tile),
        };
        let triangles = match (&request.question, costing.solver) {
            (Question::Linearize(thetas), Solver::Tsqr) => {
                thetas.iter().map(|theta| self.triangle(theta, costing, tile)).collect()
            }
            _ => Vec::new(),
        };
        Sums { triangles, ..Sums::of_tile(values, tile.counts) }
    }
}

impl ScalarEvaluator {
    /// The triangle of J, block after block.
    fn triangle(&self, theta: &[f64], costing: &Costing, tile: &Tile) -> Triangle {
        let p = self.program.n_free();
        let mut triangle = Triangle::zero(p);
        for start in (0..tile.y.len()).step_by(BLOCK) {
            let mut columns = vec![Vec::new(); p];
            for k in start..tile.y.len().min(start + BLOCK) {
                let Row { residual, jacobian } = self.row(theta, costing.precision, tile, k);
                let factor = if is_linear(&costing.loss) { 1.0 } else { correct(costing, residual).jacobian };
                for (column, entry) in columns.iter_mut().zip(jacobian) {
                    column.push(entry * factor);
                }
            }
            let mut block: Vec<&mut [f64]> = columns.iter_mut().map(Vec::as_mut_slice).collect();
            triangle.absorb(&mut block);
        }
        triangle
    }

    fn linearize(&self, theta: &[f64], costing: &Costing, tile: &Tile) -> Vec<f64> {
        let Costing { loss, precision, .. } = costing;
        let p = self.program.n_free();
        let triangle = p * (p + 1) / 2;
        let mut sums = self.sum(tile, NormalEquations::width(p), |this, k, add| {
            let Row { residual: raw, mut jacobian } = this.row(theta, *precision, tile, k);
            let mut residual = raw;
            if !is_linear(loss) {
                let corrected = correct(costing, raw);
                residual *= corrected.residual;
                jacobian.iter_mut().for_each(|entry| *entry *= corrected.jacobian);
                add(triangle + p, Term::Value(corrected.rho));
            }
            for j in 0..p {
                for l in j..p {
                    add(packed_index(p, j, l), Term::Product(jacobian[j], jacobian[l]));
                }
                add(triangle + j, Term::Product(jacobian[j], residual));
            }
            add(triangle + p + 1, Term::Product(raw, raw));
            // the right neighbour in the row, 0 where the tile ends
            if k % LANES != LANES - 1 {
                let right = if k + 1 < tile.y.len() { this.row(theta, *precision, tile, k + 1).residual } else { 0.0 };
                add(triangle + p + 2, Term::Product(raw, right));
            }
        });
        finish_cost(&mut sums[triangle + p..], loss);
        sums
    }

    fn cost(&self, theta: &[f64], costing: &Costing, tile: &Tile) -> Vec<f64> {
        let Costing { loss, precision, .. } = costing;
        let mut sums = self.sum(tile, 2, |this, k, add| {
            let residual = this.row(theta, *precision, tile, k).residual;
            if !is_linear(loss) {
                add(0, Term::Value(correct(costing, residual).rho));
            }
            add(1, Term::Product(residual, residual));
        });
        finish_cost(&mut sums, loss);
        sums
    }

    fn magnitudes(&self, theta: &[f64], costing: &Costing, octave: i32, tile: &Tile) -> Vec<f64> {
        let mut counts = vec![0.0; Magnitudes::WIDTH];
        for k in 0..tile.y.len() {
            count(&mut counts, octave, self.row(theta, costing.precision, tile, k).residual);
        }
        counts
    }

    fn scores(&self, theta: &[f64], costing: &Costing, tile: &Tile) -> Vec<f64> {
        let Costing { loss, precision, .. } = costing;
        let p = self.program.n_free();
        self.sum(tile, p * (p + 1) / 2, |this, k, add| {
            let Row { mut residual, mut jacobian } = this.row(theta, *precision, tile, k);
            if !is_linear(loss) {
                let corrected = correct(costing, residual);
                residual *= corrected.residual;
                jacobian.iter_mut().for_each(|entry| *entry *= corrected.jacobian);
            }
            jacobian.iter_mut().for_each(|entry| *entry *= residual);
            for j in 0..p {
                for l in j..p {
                    add(packed_index(p, j, l), Term::Product(jacobian[j], jacobian[l]));
                }
            }
        })
    }
}

/// Counts one residual. Whole numbers up to 2^53 add up exactly, in any order.
#[inline(always)]
pub(super) fn count(counts: &mut [f64], octave: i32, residual: f64) {
    counts[Magnitudes::place(octave, residual)] += if residual.is_finite() { 1.0 } else { f64::NAN };
}

/// `[sum of S^2 rho, rss]` to `[cost, rss]`; under the linear loss the first is half the second.
pub(super) fn finish_cost(cost_and_rss: &mut [f64], loss: &Loss) {
    cost_and_rss[0] = 0.5 * if is_linear(loss) { cost_and_rss[1] } else { cost_and_rss[0] };
}
