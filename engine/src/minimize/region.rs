//! The trust region: its shape D and its first radius.
//!
//! As Moré has it, D holds the largest length seen of each column of J: the region does not depend on the units of the
//! parameters. That has a price. Where the columns at a far start are 1e8 times those at the minimum, D keeps steps tiny in
//! parameters that once had long columns. The other shape is fixed: `D_j = 1/unit_j`, in units that somebody gives
//! ([`crate::hybrid::normalize`]).

use super::options::Method;
use super::point::{Point, column_lengths};
use super::{Minimizer, Options};
use crate::linalg::norm;
use crate::normal::NormalEquations;
use crate::summary::Status;

/// The first radius, relative to `|D theta|`: the first step may change the parameters by about a third. MINPACK's 100 lets
/// the first Gauss-Newton step through whatever it is, and loses fits from far starts to flat places: of the 54 NIST fits
/// 51 with 100, 53 with 1, all with 0.3.
const FIRST_RADIUS: f64 = 0.3;

/// The same for [`Method::Lm`], which is to do what MINPACK does.
const FIRST_RADIUS_LM: f64 = 100.0;

/// The same in units that were given. Of 0.1, 0.3, 1, 3, 10 and 100 it loses the fewest of the far starts.
const FIRST_RADIUS_UNITS: f64 = 1.0;

/// The least first radius, relative to the residual's length: a start at or near the origin has no length of its own,
/// and a step so short changes the residual by a thousandth at most.
const LEAST_FIRST_RADIUS: f64 = 1e-3;

/// If an accepted step is so many times longer after its own D than before it, the radius grows with it: where a robust
/// loss had flattened every point at the start, the columns of J grow by up to 1e8 on the way to the data, and a
/// radius in the old units would creep for dozens of passes.
const JUMP: f64 = 1e6;

impl Minimizer {
    /// The same fit in a trust region of fixed shape: `|(theta - centre)/units| <= radius`, each unit above 0. `[n_free]`
    pub fn with_units(mut self, units: &[f64]) -> Self {
        assert_eq!(units.len(), self.scale.len(), "a unit for each free parameter");
        self.scale = units.iter().map(|unit| 1.0 / unit).collect();
        self.fixed_scale = true;
        self
    }

    /// The same fit, the normal equations at its start being known: no pass asks for them.
    pub fn known(mut self, start: NormalEquations) -> Self {
        assert!(self.best.is_none() && self.ending.is_none(), "nothing has been asked yet");
        self.begin(start);
        if self.ending.is_none() && self.options.max_passes == 0 {
            self.end(Status::MaxPasses, "max_passes: all passes are used".into());
        }
        self
    }

    /// Lets a fit that has not ended run so many more passes.
    pub fn allow(&mut self, passes: u64) {
        self.options.max_passes = self.passes + passes;
    }

    /// D at the start.
    pub(super) fn first_scale(&mut self, normal: &NormalEquations) {
        if !self.fixed_scale {
            self.scale = column_lengths(normal);
        }
    }

    /// D as it would be after a step to a point with these normal equations.
    pub(super) fn scale_with(&self, normal: &NormalEquations) -> Vec<f64> {
        if self.fixed_scale {
            return self.scale.clone();
        }
        self.scale.iter().zip(column_lengths(normal)).map(|(d, length)| d.max(length)).collect()
    }

    pub(super) fn first_radius(&self, start: &Point) -> f64 {
        let usual = match self.options.method {
            _ if self.fixed_scale => FIRST_RADIUS_UNITS,
            Method::Lm => FIRST_RADIUS_LM,
            Method::Trf | Method::Hybrid | Method::Global => FIRST_RADIUS,
        };
        let factor = self.options.first_radius.unwrap_or(usual);
        let radius = factor * start.theta_length;
        match self.fixed_scale {
            true if radius > 0.0 => radius,
            true => factor,
            false => radius.max(LEAST_FIRST_RADIUS * (2.0 * start.normal.cost).sqrt()),
        }
    }

    /// D and radius after a step from `left` to a point with these normal equations.
    pub(super) fn reshape(&mut self, left: &Point, theta: &[f64], normal: &NormalEquations) {
        let before = norm(&self.scaled_step(&left.theta, theta));
        self.scale = self.scale_with(normal);
        let stretched = norm(&self.scaled_step(&left.theta, theta)) / before;
        if stretched > JUMP && stretched.is_finite() {
            self.radius *= stretched;
        }
    }
}

impl Options {
    /// Neither secant curvature nor corrections: the algorithm as Moré described it.
    pub(super) fn plain(&self) -> bool {
        self.method == Method::Lm
    }
}
