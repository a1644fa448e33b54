//! Normal equations, and the one order in which they are summed.
//!
//! A pass yields for every tile one [`Sums`]. Tiles are merged in the canonical binary tree over tile indices
//! ([`crate::data::tree`]), always left + right, so the total has the same bits whoever owned which tile.
//! Within a tile the order is fixed too (`kernel`). Merging keeps each sum as an unevaluated pair `hi + lo` (two-sum,
//! Knuth; Ogita, Rump, Oishi, SIAM J. Sci. Comput. 26 (2005) 1955), so folding 10^5 tiles loses nothing.

use serde::{Deserialize, Serialize};

use crate::linalg::Triangle;
use crate::saved::{Sound, Unsound, ensure};

/// How many points of a tile, shard or dataset were left out and why.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    rkyv::Archive,
    rkyv::Serialize,
    rkyv::Deserialize,
)]
pub struct Counts {
    /// Points that count.
    pub used: u64,
    /// Points that the mask leaves out.
    pub masked: u64,
    /// Points left out because a value is not finite.
    pub nonfinite: u64,
}

impl Counts {
    /// All points, used or not.
    pub fn points(&self) -> u64 {
        self.used + self.masked + self.nonfinite
    }

    /// Adds another part.
    pub fn merge(&mut self, other: &Counts) {
        self.used += other.used;
        self.masked += other.masked;
        self.nonfinite += other.nonfinite;
    }
}

/// Partial sums of one tile or one node of the tile tree: any list of f64 sums, with the points that are in them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sums {
    /// Leading parts.
    pub hi: Vec<f64>,
    /// Trailing parts, `|lo| <= ulp(hi)/2`.
    pub lo: Vec<f64>,
    /// Triangles of J, one for each theta, if the pass was asked for them; they merge by factorisation, not by addition.
    pub triangles: Vec<Triangle>,
    /// Points in these sums.
    pub counts: Counts,
}

impl Sums {
    /// The sums of one tile.
    pub fn of_tile(values: Vec<f64>, counts: Counts) -> Self {
        Self { lo: vec![0.0; values.len()], hi: values, triangles: Vec::new(), counts }
    }

    /// `self + right`, where `right` covers the tiles after those of `self`.
    pub fn merge(mut self, right: &Sums) -> Self {
        assert_eq!(self.hi.len(), right.hi.len(), "sums of one pass have one length");
        for i in 0..self.hi.len() {
            let (sum, error) = two_sum(self.hi[i], right.hi[i]);
            (self.hi[i], self.lo[i]) = fast_two_sum(sum, error + (self.lo[i] + right.lo[i]));
        }
        assert_eq!(self.triangles.len(), right.triangles.len(), "triangles of one pass are as many everywhere");
        let triangles = std::mem::take(&mut self.triangles).into_iter().zip(&right.triangles);
        self.triangles = triangles.map(|(left, right)| left.merge(right)).collect();
        self.counts.merge(&right.counts);
        self
    }

    /// The sums rounded to f64.
    pub fn totals(&self) -> Vec<f64> {
        self.hi.iter().zip(&self.lo).map(|(hi, lo)| hi + lo).collect()
    }
}

/// `a + b` as rounded sum and exact error (Knuth).
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let t = sum - a;
    (sum, (a - (sum - t)) + (b - t))
}

/// The same for `|a| >= |b|` (Dekker). A sum that overflowed keeps a zero error, so it stays infinite and not NaN.
fn fast_two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    if sum.is_finite() { (sum, b - (sum - a)) } else { (a, 0.0) }
}

/// The normal equations of a problem at one theta, over all used points and the free parameters.
#[derive(Clone, Debug, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct NormalEquations {
    /// Number of free parameters p.
    pub n_free: usize,
    /// J'J, packed upper triangle by rows: entry (j, k), j <= k, stands at [`packed_index`]. `[p (p + 1)/2]`
    pub jtj: Vec<f64>,
    /// J'r with r = (f - y)/sigma, so the gradient of the cost. `[p]`
    pub jtr: Vec<f64>,
    /// 1/2 S^2 sum rho((r/S)^2).
    pub cost: f64,
    /// sum r^2, without the loss.
    pub rss: f64,
    /// sum r_k r_(k+1) over neighbours in the same row of a segment, 31 of 32 pairs: whether residuals are white.
    pub lag: f64,
    /// R of J = Q R, if it was asked for ([`crate::kernel::Solver`]).
    pub triangle: Option<Triangle>,
    /// The points that count.
    pub counts: Counts,
}

impl NormalEquations {
    /// Number of sums for p free parameters: J'J, J'r, cost, rss, lag.
    pub fn width(n_free: usize) -> usize {
        n_free * (n_free + 1) / 2 + n_free + 3
    }

    /// Reads the sums of a linearising pass at one theta.
    pub fn from_sums(n_free: usize, sums: &Sums) -> Self {
        Self::from_totals(n_free, &sums.totals(), sums.counts)
    }

    /// Reads the totals for one theta; the layout is that of [`NormalEquations::width`].
    pub fn from_totals(n_free: usize, totals: &[f64], counts: Counts) -> Self {
        assert_eq!(totals.len(), Self::width(n_free), "a linearising pass sums J'J, J'r, cost, rss and lag");
        let triangle = n_free * (n_free + 1) / 2;
        Self {
            n_free,
            jtj: totals[..triangle].to_vec(),
            jtr: totals[triangle..triangle + n_free].to_vec(),
            cost: totals[triangle + n_free],
            rss: totals[triangle + n_free + 1],
            lag: totals[triangle + n_free + 2],
            triangle: None,
            counts,
        }
    }

    /// Entry (j, k) of J'J.
    pub fn entry(&self, j: usize, k: usize) -> f64 {
        self.jtj[packed_index(self.n_free, j.min(k), j.max(k))]
    }

    /// Whether every sum is finite.
    pub fn is_finite(&self) -> bool {
        self.cost.is_finite() && self.jtj.iter().chain(&self.jtr).all(|v| v.is_finite())
    }
}

/// Position of entry (j, k), j <= k, in a packed upper triangle of order p.
pub fn packed_index(p: usize, j: usize, k: usize) -> usize {
    debug_assert!(j <= k && k < p);
    j * p - j * (j + 1) / 2 + k
}

impl Sound for NormalEquations {
    fn sound(&self, n_free: usize) -> Result<(), Unsound> {
        let entries = n_free * (n_free + 1) / 2;
        let triangle = self.triangle.as_ref().is_none_or(|triangle| triangle.has_order(n_free));
        let lengths = self.n_free == n_free && self.jtj.len() == entries && self.jtr.len() == n_free;
        ensure(lengths && triangle, "normal equations are not over the free parameters")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::tree::{TreeFold, TreeNode};
    use proptest::prelude::*;

    fn tile(values: &[f64]) -> Sums {
        Sums::of_tile(values.to_vec(), Counts { used: 1, masked: 0, nonfinite: 0 })
    }

    #[test]
    fn merging_keeps_what_plain_addition_loses() {
        let total = tile(&[1e16]).merge(&tile(&[1.0])).merge(&tile(&[-1e16]));
        assert_eq!(total.totals(), [1.0]);
        assert_eq!(total.counts.used, 3);
    }

    #[test]
    fn sums_that_are_not_finite_stay_so() {
        assert!(tile(&[f64::NAN]).merge(&tile(&[1.0])).totals()[0].is_nan());
        assert_eq!(tile(&[f64::MAX]).merge(&tile(&[f64::MAX])).totals(), [f64::INFINITY]);
        assert_eq!(tile(&[f64::INFINITY]).merge(&tile(&[1.0])).totals(), [f64::INFINITY]);
    }

    #[test]
    fn packed_triangle_is_dense_and_in_order() {
        for p in 1..6 {
            let all: Vec<usize> = (0..p).flat_map(|j| (j..p).map(move |k| packed_index(p, j, k))).collect();
            assert_eq!(all, (0..p * (p + 1) / 2).collect::<Vec<_>>());
        }
    }

    proptest! {
        #[test]
        fn the_tree_gives_the_same_bits_for_any_owners_and_arrival(
            values in prop::collection::vec(-1e6..1e6f64, 1..200),
            owners in prop::collection::vec(0..7usize, 200),
            order in prop::collection::vec(any::<u32>(), 200),
        ) {
            let n = values.len();
            let merge = |a: Sums, b: Sums| a.merge(&b);
            let mut alone = TreeFold::new(n as u64);
            for (k, v) in values.iter().enumerate() {
                alone.add(TreeNode::tile(k as u64), tile(&[*v]), merge);
            }
            let mut shuffled: Vec<usize> = (0..n).collect();
            shuffled.sort_by_key(|&k| order[k]);
            let mut parts: Vec<TreeFold<Sums>> = (0..7).map(|_| TreeFold::new(n as u64)).collect();
            for k in shuffled {
                parts[owners[k]].add(TreeNode::tile(k as u64), tile(&[values[k]]), merge);
            }
            let mut root = TreeFold::new(n as u64);
            for (node, sums) in parts.into_iter().rev().flat_map(TreeFold::into_nodes) {
                root.add(node, sums, merge);
            }
            prop_assert_eq!(root.root(), alone.root());
            let exact: f64 = values.iter().sum();
            let found = alone.root().unwrap().totals()[0];
            prop_assert!((found - exact).abs() <= 1e-9 * values.iter().map(|v| v.abs()).sum::<f64>());
            prop_assert_eq!(alone.root().unwrap().counts.used, n as u64);
        }
    }
}
