//! Units of the parameters: `z = (theta - offset)/units`, so that steps in different parameters can be compared.
//!
//! Gauss-Newton in the metric of the columns of J needs no such units ([`crate::minimize`]). Two things do: the warm-up, whose
//! gradient descent depends on the coordinates, and a trust region of fixed shape. Only the units matter to either, as both
//! take differences; the offset puts z into `[0, 1]` for people who read it.
//!
//! | rule | units | offset | where it has no answer |
//! |---|---|---|---|
//! | bounds | max - min | min | a side is open: p0 |
//! | p0 | abs(start) | 0 | the start is 0: the width of the bounds if both are finite, else columns |
//! | columns | abs(r) / abs(J_j) at the start: the change of theta_j alone that moves the model by the whole residual | 0 | the column is 0: abs(start), else 1 |
//! | none | 1 | 0 | |
//! | auto | bounds where both are finite, else p0 | | as those |
//!
//! A unit is never 0, infinite or so small that it underflows: what is left is 1.

use crate::normal::NormalEquations;
use crate::params::{Parameter, Parameters};

/// Where the units of the parameters come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub enum Normalization {
    /// Bounds where both are finite, else the start.
    #[default]
    Auto,
    /// The width of the bounds.
    Bounds,
    /// The size of the start.
    P0,
    /// The lengths of the columns of J at the start.
    Columns,
    /// None: all units are 1.
    None,
}

impl Normalization {
    /// All rules with the names used in job files.
    pub const NAMES: [(&'static str, Normalization); 5] = [
        ("auto", Normalization::Auto),
        ("bounds", Normalization::Bounds),
        ("p0", Normalization::P0),
        ("columns", Normalization::Columns),
        ("none", Normalization::None),
    ];

    /// The units of the free parameters. `start` holds the normal equations there, which the rule `columns` reads.
    pub fn units(self, parameters: &Parameters, start: &NormalEquations) -> Units {
        let residual = (2.0 * start.cost).sqrt();
        let column = |j: usize| residual / start.entry(j, j).sqrt();
        let pick = |(j, parameter)| self.of_one(parameter, column(j));
        let (units, offset) = parameters.iter_free().enumerate().map(pick).unzip();
        Units { units, offset }
    }

    /// Unit and offset of one parameter; `column` is `|r|/|J_j|`.
    fn of_one(self, parameter: &Parameter, column: f64) -> (f64, f64) {
        let width = parameter.max - parameter.min;
        let (size, p0, bounds) = (parameter.start.abs(), (parameter.start.abs(), 0.0), (width, parameter.min));
        let order = match self {
            Normalization::None => [(1.0, 0.0); 4],
            Normalization::Columns => [(column, 0.0), p0, (1.0, 0.0), (1.0, 0.0)],
            Normalization::P0 if size > 0.0 => [p0, bounds, (column, 0.0), (1.0, 0.0)],
            Normalization::P0 | Normalization::Bounds | Normalization::Auto => [bounds, p0, (column, 0.0), (1.0, 0.0)],
        };
        let usable = |unit: f64| unit.is_normal() && unit > 0.0 && (1.0 / unit).is_normal();
        order.into_iter().find(|(unit, _)| usable(*unit)).unwrap_or((1.0, 0.0))
    }
}

/// The units of the free parameters, and where z is 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Units {
    /// `[n_free]`, each above 0.
    pub units: Vec<f64>,
    /// `[n_free]`
    pub offset: Vec<f64>,
}

impl Units {
    /// `z = (theta - offset)/units`.
    pub fn normalized(&self, theta: &[f64]) -> Vec<f64> {
        (0..theta.len()).map(|j| (theta[j] - self.offset[j]) / self.units[j]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normal::Counts;

    const OPEN: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);

    fn units(rule: Normalization, start: f64, (min, max): (f64, f64), column: f64) -> (f64, f64) {
        let parameter = Parameter { name: "a".into(), start, min, max, fixed: false };
        let normal = NormalEquations {
            n_free: 1,
            jtj: vec![column * column],
            jtr: vec![0.0],
            cost: 8.0, // |r| = 4
            rss: 16.0,
            lag: 0.0,
            triangle: None,
            counts: Counts::default(),
        };
        let units = rule.units(&Parameters::new(vec![parameter]).unwrap(), &normal);
        (units.units[0], units.offset[0])
    }

    #[test]
    fn each_rule_has_its_units_and_falls_back_where_it_has_no_answer() {
        use Normalization::*;
        for (rule, start, bounds, column, expected) in [
            (Bounds, 3.0, (1.0, 9.0), 2.0, (8.0, 1.0)),
            (Bounds, 3.0, (1.0, f64::INFINITY), 2.0, (3.0, 0.0)),
            (Bounds, 0.0, OPEN, 2.0, (2.0, 0.0)),
            (P0, -3.0, (-9.0, 9.0), 2.0, (3.0, 0.0)),
            (P0, 0.0, (-9.0, 9.0), 2.0, (18.0, -9.0)),
            (P0, 0.0, OPEN, 2.0, (2.0, 0.0)),
            (P0, 0.0, OPEN, 0.0, (1.0, 0.0)),
            (P0, 1e-310, OPEN, 2.0, (2.0, 0.0)),
            (Columns, 3.0, (1.0, 9.0), 2.0, (2.0, 0.0)),
            (Columns, 3.0, OPEN, 0.0, (3.0, 0.0)),
            (Columns, 0.0, OPEN, 0.0, (1.0, 0.0)),
            (None, 3.0, (1.0, 9.0), 2.0, (1.0, 0.0)),
            (Auto, 3.0, (1.0, 9.0), 2.0, (8.0, 1.0)),
            (Auto, 3.0, OPEN, 2.0, (3.0, 0.0)),
            (Auto, 0.0, OPEN, 2.0, (2.0, 0.0)),
            (Auto, 0.0, (-f64::MAX, f64::MAX), 2.0, (2.0, 0.0)),
        ] {
            assert_eq!(units(rule, start, bounds, column), expected, "{rule:?} from {start} in {bounds:?}");
        }
    }

    #[test]
    fn bounds_become_0_and_1() {
        let units = Units { units: vec![8.0, 3.0], offset: vec![1.0, 0.0] };
        assert_eq!(units.normalized(&[9.0, 3.0]), [1.0, 1.0]);
        assert_eq!(units.normalized(&[1.0, 0.0]), [0.0, 0.0]);
    }
}
