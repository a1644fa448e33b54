//! Where to go: the direction of L-BFGS, and the steps of Adam. Both in the units of the parameters.

use std::collections::VecDeque;

use crate::linalg::{dot, norm};
use crate::saved::{Sound, Unsound, ensure};

/// A pair whose curvature is below this part of what its lengths allow says nothing about a minimum.
const LEAST_CURVATURE: f64 = 1e-10;

/// What L-BFGS remembers: steps s and changes of gradient y, oldest first.
#[derive(Clone, Debug, Default, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub(super) struct Memory {
    pairs: VecDeque<(Vec<f64>, Vec<f64>)>,
}

impl Memory {
    pub(super) fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    pub(super) fn forget(&mut self) {
        self.pairs.clear();
    }

    /// Remembers a step, if the cost curves upwards along it; at most `most` are kept.
    pub(super) fn remember(&mut self, step: Vec<f64>, change: Vec<f64>, most: usize) {
        let curvature = dot(&step, &change);
        if curvature > LEAST_CURVATURE * norm(&step) * norm(&change) && curvature.is_finite() {
            self.pairs.push_back((step, change));
            while self.pairs.len() > most {
                self.pairs.pop_front();
            }
        }
    }

    /// `-H g` over the coordinates that may move, H by the two loops of Nocedal (Math. Comp. 35 (1980) 773). Pairs are
    /// taken over the same coordinates; one whose curvature is lost with the others is skipped. `None` without any pair.
    pub(super) fn direction(&self, gradient: &[f64], moves: &[bool]) -> Option<Vec<f64>> {
        let over = |v: &[f64]| -> Vec<f64> { (0..v.len()).map(|j| if moves[j] { v[j] } else { 0.0 }).collect() };
        let pairs: Vec<(Vec<f64>, Vec<f64>, f64)> = self
            .pairs
            .iter()
            .map(|(s, y)| (over(s), over(y)))
            .map(|(s, y)| {
                let curvature = dot(&s, &y);
                (s, y, curvature)
            })
            .filter(|(s, y, curvature)| *curvature > LEAST_CURVATURE * norm(s) * norm(y))
            .collect();
        let (s, y, curvature) = pairs.last()?;
        debug_assert_eq!(s.len(), gradient.len());
        let size = curvature / dot(y, y);
        let mut q = over(gradient);
        let mut parts = Vec::with_capacity(pairs.len());
        for (s, y, curvature) in pairs.iter().rev() {
            let part = dot(s, &q) / curvature;
            add(&mut q, -part, y);
            parts.push(part);
        }
        q.iter_mut().for_each(|v| *v *= size);
        for ((s, y, curvature), part) in pairs.iter().zip(parts.into_iter().rev()) {
            let factor = part - dot(y, &q) / curvature;
            add(&mut q, factor, s);
        }
        q.iter_mut().for_each(|v| *v = -*v);
        q.iter().all(|v| v.is_finite()).then_some(q)
    }
}

fn add(to: &mut [f64], factor: f64, v: &[f64]) {
    for (a, b) in to.iter_mut().zip(v) {
        *a += factor * b;
    }
}

/// Memory of the mean of past gradients and of their squares (Kingma & Ba's values).
const KEEP_MEAN: f64 = 0.9;
const KEEP_SQUARE: f64 = 0.999;

/// The moments of Adam.
#[derive(Clone, Debug, Default, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub(super) struct Moments {
    mean: Vec<f64>,
    square: Vec<f64>,
    /// `KEEP^steps`, for the bias of moments that began with 0.
    bias: [f64; 2],
}

impl Moments {
    /// The next step for a gradient, each coordinate about as long as `rate`. A coordinate whose gradient was always 0
    /// stays.
    pub(super) fn step(&mut self, gradient: &[f64], rate: f64) -> Vec<f64> {
        if self.mean.is_empty() {
            *self = Self { mean: vec![0.0; gradient.len()], square: vec![0.0; gradient.len()], bias: [1.0; 2] };
        }
        self.bias = [self.bias[0] * KEEP_MEAN, self.bias[1] * KEEP_SQUARE];
        let mut step = Vec::with_capacity(gradient.len());
        for (j, g) in gradient.iter().enumerate() {
            self.mean[j] = KEEP_MEAN * self.mean[j] + (1.0 - KEEP_MEAN) * g;
            self.square[j] = KEEP_SQUARE * self.square[j] + (1.0 - KEEP_SQUARE) * g * g;
            let (mean, square) = (self.mean[j] / (1.0 - self.bias[0]), self.square[j] / (1.0 - self.bias[1]));
            step.push(if square > 0.0 { -rate * mean / square.sqrt() } else { 0.0 });
        }
        step
    }
}

impl Sound for Memory {
    fn sound(&self, n_free: usize) -> Result<(), Unsound> {
        let pairs = self.pairs.iter().all(|(step, change)| step.len() == n_free && change.len() == n_free);
        ensure(pairs, "the memory of L-BFGS is not over the free parameters")
    }
}

impl Sound for Moments {
    fn sound(&self, n_free: usize) -> Result<(), Unsound> {
        let lengths = (self.mean.len(), self.square.len());
        ensure(lengths == (0, 0) || lengths == (n_free, n_free), "the moments of Adam are not over the free parameters")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::Symmetric;

    /// With exact line searches on a quadratic of p parameters the p-th direction leads to the minimum.
    #[test]
    fn a_quadratic_is_solved_in_as_many_steps_as_it_has_parameters() {
        let a = Symmetric::from_fn(3, |j, k| [[9.0, 1.0, 0.5], [1.0, 4.0, -1.0], [0.5, -1.0, 2.0]][j][k]);
        let (mut z, mut memory) = (vec![1.0, -2.0, 3.0], Memory::default());
        for _ in 0..3 {
            let g = a.times(&z);
            let d = memory.direction(&g, &[true; 3]).unwrap_or_else(|| g.iter().map(|v| -v).collect());
            let t = -dot(&g, &d) / dot(&d, &a.times(&d));
            let next: Vec<f64> = z.iter().zip(&d).map(|(z, d)| z + t * d).collect();
            let change = a.times(&next).iter().zip(&g).map(|(n, g)| n - g).collect();
            memory.remember(next.iter().zip(&z).map(|(n, z)| n - z).collect(), change, 10);
            z = next;
        }
        assert!(norm(&z) < 1e-12, "{z:?}");
    }

    #[test]
    fn coordinates_that_may_not_move_stay_and_downward_curves_are_forgotten() {
        let mut memory = Memory::default();
        memory.remember(vec![1.0, 0.5], vec![-2.0, 0.0], 10);
        assert!(memory.is_empty());
        for k in 0..5 {
            memory.remember(vec![1.0, 0.5 * f64::from(k)], vec![2.0, 1.0], 3);
        }
        assert_eq!(memory.pairs.len(), 3);
        let d = memory.direction(&[1.0, 7.0], &[true, false]).unwrap();
        assert_eq!(d[1], 0.0);
        assert!((d[0] + 0.5).abs() < 1e-15, "one coordinate with curvature 2: {d:?}");
        memory.forget();
        assert_eq!(memory.direction(&[1.0, 7.0], &[true; 2]), None);
    }

    #[test]
    fn adam_begins_with_steps_as_long_as_its_rate_whatever_the_gradient() {
        for size in [1e-100, 1.0, 1e100] {
            let step = Moments::default().step(&[size, -3.0 * size, 0.0], 0.05);
            for (s, expected) in step.iter().zip([-0.05, 0.05, 0.0]) {
                assert!((s - expected).abs() < 1e-12, "{step:?}");
            }
        }
    }
}
