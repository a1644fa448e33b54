//! A price on the spread of parameters that are of one kind: the contrasts of all angles, the offsets of all detectors.
//!
//! ```text
//! P(theta) = 1/2 n lambda sum_g Var_g,   Var_g = 1/m_g sum_{j in g} ((theta_j - mean_g)/s_g)^2
//! ```
//!
//! with m_g members of group g, n points in use, and s_g the size of the group's starts: the root of their mean square, 1 if all
//! are 0. The fit minimises C + P. The factor n keeps its weight against a cost that grows with the points.
//!
//! P is a sum of squares, so it enters as residuals do: one for each member, `sqrt(n lambda / m_g) (theta_j - mean_g)/s_g`,
//! whose squares, slopes and products are added to the sums of the points. Gradient, J'J, its triangle and cost are then
//! those of one function, and everything that uses them (steps, tests, standard errors, profiles) needs to know nothing of it.
//! What it changes about the standard errors is what a measurement of the spread would: they are those of a compromise.

use serde::{Deserialize, Serialize};

use crate::kernel::{Answer, Question, Request};
use crate::linalg::norm;
use crate::normal::{NormalEquations, packed_index};
use crate::params::Parameters;

/// A price on the spread within groups of parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupVariance {
    /// lambda >= 0.
    weight: f64,
    groups: Vec<Group>,
}

/// Parameters of one kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Group {
    /// Positions among the parameters of the model.
    members: Vec<usize>,
    /// s_g.
    size: f64,
}

/// Why groups were refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[allow(missing_docs)]
pub enum GroupError {
    #[error("a group names \"{name}\", which is no parameter; the parameters are {}", known.join(", "))]
    Unknown { name: String, known: Vec<String> },
    #[error("\"{name}\" stands in two groups, or twice in one; expected once")]
    Twice { name: String },
    #[error("the group {group} has {found} members; expected at least two, one of them free")]
    TooFew { group: String, found: usize },
    #[error("group_variance = {weight}: expected a finite number, 0 or above")]
    Weight { weight: f64 },
}

impl GroupVariance {
    /// lambda.
    pub fn weight(&self) -> f64 {
        self.weight
    }

    /// The names of the members of each group.
    pub fn names(&self, parameters: &Parameters) -> Vec<Vec<String>> {
        let of = |group: &Group| group.members.iter().map(|&j| parameters.all()[j].name.clone()).collect();
        self.groups.iter().map(of).collect()
    }

    /// Groups by the names of their members. A fixed member counts in the mean and does not move.
    pub fn new(parameters: &Parameters, weight: f64, groups: &[Vec<String>]) -> Result<Self, GroupError> {
        if !(weight.is_finite() && weight >= 0.0) {
            return Err(GroupError::Weight { weight });
        }
        let all = parameters.all();
        let mut taken = vec![false; all.len()];
        let mut found = Vec::new();
        for names in groups {
            let mut members = Vec::new();
            for name in names {
                let place = all.iter().position(|p| p.name == *name).ok_or_else(|| GroupError::Unknown {
                    name: name.clone(),
                    known: all.iter().map(|p| p.name.clone()).collect(),
                })?;
                if std::mem::replace(&mut taken[place], true) {
                    return Err(GroupError::Twice { name: name.clone() });
                }
                members.push(place);
            }
            if members.len() < 2 || members.iter().all(|&j| all[j].fixed) {
                return Err(GroupError::TooFew { group: names.join(","), found: members.len() });
            }
            let starts: Vec<f64> = members.iter().map(|&j| all[j].start).collect();
            let size = norm(&starts) / (members.len() as f64).sqrt();
            found.push(Group { members, size: if size > 0.0 { size } else { 1.0 } });
        }
        Ok(Self { weight, groups: found })
    }

    /// P at a theta of all parameters, for `n` points.
    pub fn value(&self, theta: &[f64], n: u64) -> f64 {
        self.residuals(theta, n).iter().map(|(_, _, value)| 0.5 * value * value).sum()
    }

    /// Adds P to the answer to a request whose thetas hold the free parameters.
    pub fn add(&self, parameters: &Parameters, request: &Request, answer: &mut Answer, n: u64) {
        match (&request.question, answer) {
            (Question::Linearize(thetas), Answer::Linearized(normals)) => {
                for (theta, normal) in thetas.iter().zip(normals) {
                    self.add_rows(parameters, &parameters.expand(theta), normal, n);
                }
            }
            (Question::Costs(thetas), Answer::Costs(costs)) => {
                for (theta, cost) in thetas.iter().zip(costs) {
                    *cost += self.value(&parameters.expand(theta), n);
                }
            }
            // magnitudes and scores are of the points
            _ => {}
        }
    }

    /// Group, member and residual of each member of each group.
    fn residuals(&self, theta: &[f64], n: u64) -> Vec<(usize, usize, f64)> {
        let of = |(g, group): (usize, &Group)| {
            let m = group.members.len() as f64;
            let mean = group.members.iter().map(|&j| theta[j]).sum::<f64>() / m;
            let factor = self.factor(group, n);
            group.members.iter().map(|&j| (g, j, factor * (theta[j] - mean))).collect::<Vec<_>>()
        };
        self.groups.iter().enumerate().flat_map(of).collect()
    }

    fn factor(&self, group: &Group, n: u64) -> f64 {
        (n as f64 * self.weight / group.members.len() as f64).sqrt() / group.size
    }

    fn add_rows(&self, parameters: &Parameters, theta: &[f64], normal: &mut NormalEquations, n: u64) {
        let p = normal.n_free;
        for (g, member, value) in self.residuals(theta, n) {
            let group = &self.groups[g];
            let (factor, m) = (self.factor(group, n), group.members.len() as f64);
            // d (theta_j - mean)/d theta_k = [j = k] - 1/m
            let slope = |&k: &usize| match group.members.contains(&k) {
                true => factor * (f64::from(u8::from(k == member)) - 1.0 / m),
                false => 0.0,
            };
            let mut row: Vec<f64> = parameters.free().iter().map(slope).collect();
            for j in 0..p {
                for k in j..p {
                    normal.jtj[packed_index(p, j, k)] += row[j] * row[k];
                }
                normal.jtr[j] += row[j] * value;
            }
            normal.cost += 0.5 * value * value;
            if let Some(triangle) = &mut normal.triangle {
                let mut block: Vec<&mut [f64]> = row.iter_mut().map(std::slice::from_mut).collect();
                triangle.absorb(&mut block);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Costing;
    use crate::linalg::Triangle;
    use crate::normal::Counts;
    use crate::params::Parameter;

    /// Groups (a, b) and (c, d, e) of unequal size, e fixed, f alone.
    fn parameters() -> Parameters {
        let of = |(name, start): (&str, f64)| Parameter {
            name: name.into(),
            start,
            min: f64::NEG_INFINITY,
            max: f64::INFINITY,
            fixed: name == "e",
        };
        let all = [("a", 3.0), ("b", 4.0), ("c", 0.0), ("d", 0.0), ("e", 0.0), ("f", 7.0)];
        Parameters::new(all.map(of).into()).unwrap()
    }

    fn groups(names: &[&str]) -> Vec<Vec<String>> {
        names.iter().map(|group| group.split(',').map(String::from).collect()).collect()
    }

    fn nothing(p: usize) -> NormalEquations {
        NormalEquations {
            n_free: p,
            jtj: vec![0.0; p * (p + 1) / 2],
            jtr: vec![0.0; p],
            cost: 0.0,
            rss: 0.0,
            lag: 0.0,
            triangle: Some(Triangle::zero(p)),
            counts: Counts::default(),
        }
    }

    const THETA: [f64; 5] = [1.0, 2.5, -0.3, 0.8, 9.0];

    fn penalty() -> GroupVariance {
        GroupVariance::new(&parameters(), 0.01, &groups(&["a,b", "c,d,e"])).unwrap()
    }

    fn linearized(theta: &[f64], n: u64) -> NormalEquations {
        let request = Request::linearize(theta.to_vec(), Costing::default());
        let mut answer = Answer::Linearized(vec![nothing(5)]);
        penalty().add(&parameters(), &request, &mut answer, n);
        let Answer::Linearized(mut normal) = answer else { panic!("the kind of an answer stays") };
        normal.remove(0)
    }

    #[test]
    fn it_is_the_variance_of_each_group_times_half_the_points() {
        // s = sqrt(25/2) for (3, 4) and 1 for zeros; means 1.75 and 1/6
        let first = ((1.0_f64 - 1.75).powi(2) + (2.5_f64 - 1.75).powi(2)) / 2.0 / 12.5;
        let second = [-0.3, 0.8, 0.0].map(|v: f64| (v - 0.5 / 3.0).powi(2)).iter().sum::<f64>() / 3.0;
        let expected = 0.5 * 200.0 * 0.01 * (first + second);
        assert!((linearized(&THETA, 200).cost - expected).abs() < 1e-14);
        let mut costs = Answer::Costs(vec![1.0, 2.0]);
        let request = Request::costs(vec![THETA.to_vec(), vec![3.0; 5]], Costing::default());
        penalty().add(&parameters(), &request, &mut costs, 200);
        let Answer::Costs(costs) = costs else { panic!("the kind of an answer stays") };
        assert!((costs[0] - 1.0 - expected).abs() < 1e-14 && costs[1] > 2.0);
    }

    /// Where gradient and J'J lack the factor n that the cost has, or groups are cut at wrong places, this fails.
    #[test]
    fn gradient_and_curvature_are_those_of_the_cost() {
        for n in [10, 100_000] {
            let normal = linearized(&THETA, n);
            let h = 1e-3;
            let moved = |j: usize, by: f64| {
                let mut theta = THETA;
                theta[j] += by;
                linearized(&theta, n)
            };
            for j in 0..5 {
                // a quadratic: differences are exact but for rounding
                let slope = (moved(j, h).cost - moved(j, -h).cost) / (2.0 * h);
                assert!((slope - normal.jtr[j]).abs() < 1e-9 * n as f64, "{j}: {slope} {}", normal.jtr[j]);
                for k in 0..5 {
                    let bend = (moved(j, h).jtr[k] - moved(j, -h).jtr[k]) / (2.0 * h);
                    assert!((bend - normal.entry(j, k)).abs() < 1e-9 * n as f64, "{j} {k}");
                    let triangle = normal.triangle.as_ref().unwrap();
                    let square: f64 = (0..5).map(|i| triangle.get(i, j) * triangle.get(i, k)).sum();
                    assert!((square - normal.entry(j, k)).abs() < 1e-12 * n as f64);
                }
            }
            assert_eq!((normal.jtr[4], normal.entry(4, 4)), (0.0, 0.0), "f stands in no group");
        }
    }

    #[test]
    fn groups_that_make_no_sense_are_refused() {
        let new = |names: &[&str]| GroupVariance::new(&parameters(), 0.01, &groups(names)).unwrap_err();
        assert!(matches!(new(&["a,x"]), GroupError::Unknown { name, .. } if name == "x"));
        assert_eq!(new(&["a,b", "c,a"]), GroupError::Twice { name: "a".into() });
        assert_eq!(new(&["a"]), GroupError::TooFew { group: "a".into(), found: 1 });
        assert!(GroupVariance::new(&parameters(), f64::NAN, &groups(&["a,b"])).is_err());
    }
}
