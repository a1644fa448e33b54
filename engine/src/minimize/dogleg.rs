//! The dogleg: a step on the path from here along the gradient to where the model is least on it, and on to the
//! Gauss-Newton step (Powell, in: Numerical Methods for Nonlinear Algebraic Equations, 1970, 87).
//!
//! It needs one factorisation a step where the damped step needs two or three, and on a cluster neither counts against a
//! pass. It is not the better step: over the exam's 54 + 123 fits it takes 1,167 + 6,758 passes and loses 25 minima, the
//! damped one 1,117 + 5,619 and 18 (`tests/golden/descents.txt`). So it is an option and not the default. Inside a box both ends of the path lie
//! in the box, and so does all of it.

use super::lm::{Model, Step};
use crate::linalg::{dot, norm};

impl Model {
    /// The dogleg step inside bounds and radius; `full` is the Gauss-Newton step, longer than the radius.
    pub(super) fn dogleg(&self, full: &[f64], radius: f64) -> Step {
        let cauchy = self.cauchy(radius);
        let leg: Vec<f64> = full.iter().zip(&cauchy).map(|(f, c)| f - c).collect();
        let part = reach(&cauchy, &leg, radius);
        let u: Vec<f64> = cauchy.iter().zip(&leg).map(|(c, l)| c + part * l).collect();
        Step { length: norm(&u), held: vec![None; u.len()], u, damping: 0.0, cut: true }
    }

    /// The minimum of the model along the gradient of the parameters that no bound stops, inside radius and bounds.
    fn cauchy(&self, radius: f64) -> Vec<f64> {
        let mut along = vec![0.0; self.quadratic.gradient.len()];
        for j in self.movable() {
            along[j] = -self.quadratic.gradient[j];
        }
        let curvature = dot(&along, &self.quadratic.hessian.times(&along));
        let mut t = radius / norm(&along);
        if curvature > 0.0 {
            t = t.min(dot(&along, &along) / curvature);
        }
        for (j, &d) in along.iter().enumerate().filter(|(_, d)| **d != 0.0) {
            let stop = if d > 0.0 { self.quadratic.upper[j] } else { self.quadratic.lower[j] };
            t = t.min(stop / d);
        }
        along.iter().map(|d| t * d).collect()
    }
}

/// The part of `leg` that leads from `from`, inside the radius, to its surface; at most 1.
fn reach(from: &[f64], leg: &[f64], radius: f64) -> f64 {
    let (a, b, c) = (dot(leg, leg), dot(from, leg), radius * radius - dot(from, from));
    let root = (b * b + a * c.max(0.0)).sqrt();
    // the form without cancellation
    let part = if b > 0.0 { c.max(0.0) / (b + root) } else { (root - b) / a };
    if part.is_finite() { part.clamp(0.0, 1.0) } else { 0.0 }
}
