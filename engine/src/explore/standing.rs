//! What a tournament teaches besides its winner: which minima there are.

use crate::linalg::norm;
use crate::normal::NormalEquations;
use crate::saved::{Sound, Unsound, ensure};

/// Two points are one if they differ by no more than this part of the length of theta, each parameter in units of its column
/// of J. Fits that converged differ by far less, unless columns depend on each other; then they are different points of
/// equal cost, as they should be.
const SAME_PLACE: f64 = 1e-5;

/// Costs that differ by no more than this part are equal.
const HAIR: f64 = 1e-6;

/// A minimum that some of the fits came to.
#[derive(Clone, Debug, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Minimum {
    /// Where. `[n_free]`
    pub theta: Vec<f64>,
    /// The cost there.
    pub cost: f64,
    /// How many of the starts led there.
    pub starts: usize,
}

/// How a tournament ended.
#[derive(Clone, Debug, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Standing {
    /// Starts that took part, p0 among them.
    pub starts: usize,
    /// Starts at which the model is not finite.
    pub not_finite: usize,
    /// The number of the start that won; 0 is p0.
    pub winner: usize,
    /// That start. `[n_free]`
    pub start: Vec<f64>,
    /// The minima that fits had converged to when it was decided, the lowest first. Fits that were eliminated on their way are in none.
    pub minima: Vec<Minimum>,
    /// Costs below this are roundings of 0.
    pub hair: f64,
}

/// `|D (a - b)| <= 1e-5 |D a|`, D the lengths of the columns of J at one of the two.
pub(super) fn same_place(a: &[f64], b: &[f64], normal: &NormalEquations) -> bool {
    let scaled = |value: &dyn Fn(usize) -> f64| {
        norm(&(0..a.len()).map(|j| normal.entry(j, j).sqrt() * value(j)).collect::<Vec<_>>())
    };
    scaled(&|j| a[j] - b[j]) <= SAME_PLACE * scaled(&|j| a[j]).max(scaled(&|j| b[j]))
}

impl Standing {
    /// Who won, and what was met on the way; a line each. `names` are those of the free parameters.
    pub fn notes(&self, names: &[String]) -> Vec<String> {
        let whom = match self.winner {
            0 => "p0".to_string(),
            k => format!("start {k}"),
        };
        let mut notes = vec![format!("of {} starts {whom} won: {}", self.starts, values(names, &self.start))];
        if self.not_finite > 0 {
            notes.push(format!("the model is not finite at {} of {} starts", self.not_finite, self.starts));
        }
        for minimum in &self.minima {
            let plural = if minimum.starts == 1 { "" } else { "s" };
            notes.push(format!(
                "minimum met from {} start{plural}: cost {:.10e} at {}",
                minimum.starts,
                minimum.cost,
                values(names, &minimum.theta)
            ));
        }
        notes
    }

    /// A warning if another minimum is as low as the solution: same cost within a hair, other parameters.
    pub fn not_unique(&self, names: &[String], theta: &[f64], normal: &NormalEquations) -> Option<String> {
        let as_low = |cost: f64| cost <= normal.cost * (1.0 + HAIR) + self.hair;
        let other = self.minima.iter().find(|m| as_low(m.cost) && !same_place(&m.theta, theta, normal))?;
        Some(format!(
            "the minimum is not unique: another start ended with the cost {:.10e} (here {:.10e}) at other parameters: {}",
            other.cost,
            normal.cost,
            values(names, &other.theta)
        ))
    }
}

/// `a = 1, b = 2`.
fn values(names: &[String], theta: &[f64]) -> String {
    names.iter().zip(theta).map(|(name, value)| format!("{name} = {value:.6e}")).collect::<Vec<_>>().join(", ")
}

impl Sound for Standing {
    fn sound(&self, n_free: usize) -> Result<(), Unsound> {
        let minima = self.minima.iter().all(|minimum| minimum.theta.len() == n_free);
        ensure(self.start.len() == n_free && minima, "minima of a tournament are not over the free parameters")
    }
}
