//! Profile likelihood: how far a parameter can move before the data object.
//!
//! A standard error describes the cost by its curvature at the minimum. The profile follows the cost itself: parameter j is held at
//! values to both sides, all others are refitted at each, and
//!
//! ```text
//! tau(theta_j) = sign(theta_j - theta*_j) sqrt(2 (C(theta_j) - C*) / s^2)
//! ```
//!
//! (the signed root; Bates & Watts, Nonlinear Regression Analysis and Its Applications, Wiley 1988, chapter 6) says how many
//! standard errors away theta_j is, in truth. For a linear model tau is (theta_j - theta*_j)/stderr exactly; how far it is from a
//! straight line is how far the standard error deceives. The limits of a confidence interval are where |tau| reaches the
//! quantile of that level, Student's t, or the normal one where sigma is known (s^2 = 1).
//!
//! Under a robust loss the same formula is used with its cost, and s^2 = 2 C*/dof as in the covariance. If rho is minus twice the
//! logarithm of the density of r (with S and sigma known), that is the likelihood ratio; else its levels are as nominal as those of
//! the standard errors beside it.
//!
//! Both arms of all parameters ask in the same read ([`Profiler`]); each point of an arm starts from its neighbour's.
//! A profile that finds a lower cost than the fit did says that the fit had failed ([`Better`]).

mod arm;
mod interpolate;
mod reached;
mod refit;

use crate::covariance::{Level, Variance};
use crate::kernel::{Answer, Costing, Question, Request};
use crate::normal::NormalEquations;
use crate::params::Parameters;
use crate::procedure::Procedure;
use crate::saved::{Sound, Unsound, ensure};
use crate::summary::{Iteration, Phase};
use arm::Arm;
pub use arm::End;

/// tau is good to this.
const TAU_TOLERANCE: f64 = 1e-4;

/// A cost is lower than that of the fit if tau^2 would be this far below 0 ...
const LOWER_TAU_SQUARED: f64 = 1e-4;

/// ... and the cost itself by this part, beyond its rounding.
const LOWER_COST: f64 = 1e-12;

/// Levels of the limits: one standard error of a normal distribution, and the usual one.
pub const LEVELS: [f64; 2] = [0.6827, 0.95];

/// The minimum that profiles start from.
#[derive(Clone, Debug, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Solution {
    /// Where. `[n_free]`
    pub theta: Vec<f64>,
    /// The normal equations there.
    pub normal: NormalEquations,
    /// How residuals became costs.
    pub costing: Costing,
    /// s^2 > 0.
    pub variance: f64,
    /// Levels of the limits with the |tau| of each, ascending.
    pub criticals: Vec<Critical>,
}

/// A level, and the |tau| at which its limits are.
#[derive(Clone, Copy, Debug, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Critical {
    /// In (0, 1).
    pub level: f64,
    /// Quantile of (1 + level)/2.
    pub tau: f64,
}

/// Quantiles of [`LEVELS`] for `dof` degrees of freedom.
pub fn criticals(dof: u64, variance: Variance) -> Vec<Critical> {
    let level = |level| Level::new(level).expect("the levels lie between 0 and 1");
    LEVELS.map(|value| Critical { level: value, tau: level(value).quantile(dof, variance) }).to_vec()
}

/// The profile of one parameter.
#[derive(Clone, Debug, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// Its value at the minimum.
    pub value: f64,
    /// By ascending value, the minimum among them.
    pub points: Vec<ProfilePoint>,
    /// At each level, ascending.
    pub limits: Vec<Limits>,
    /// `(upper - value)/(value - lower)` at the highest level: 1 for a linear model. `None` unless both limits exist.
    pub asymmetry: Option<f64>,
    /// The largest `|delta/tau - 1|` over the points, delta the distance in standard errors of the linear theory: 0 for a linear model.
    pub nonlinearity: Option<f64>,
    /// Why the arms towards lower and higher values end.
    pub ends: [End; 2],
}

/// The others' best where one parameter is held.
#[derive(Clone, Debug, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct ProfilePoint {
    /// The value that it is held at.
    pub value: f64,
    /// The signed root.
    pub tau: f64,
    /// The cost, the others refitted.
    pub cost: f64,
    /// All free parameters. `[n_free]`
    pub theta: Vec<f64>,
}

/// An interval; a side without a limit is open.
#[derive(Clone, Copy, Debug, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Limits {
    /// Of confidence.
    pub level: f64,
    /// |tau| there.
    pub tau: f64,
    /// Towards lower values.
    pub lower: Option<f64>,
    /// Towards higher values.
    pub upper: Option<f64>,
}

/// A place with a lower cost than the minimum that was given.
#[derive(Clone, Debug, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Better {
    /// Where. `[n_free]`
    pub theta: Vec<f64>,
    /// The cost there.
    pub cost: f64,
}

/// Profiles of several parameters under way.
#[derive(Clone, Debug, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Profiler {
    parameters: Parameters,
    solution: Solution,
    /// Two for each parameter, the one towards lower values first.
    arms: Vec<Arm>,
    better: Option<Better>,
    reads: u64,
    last: Option<Iteration>,
}

impl Profiler {
    /// Profiles of the free parameters at `wanted`, positions among the free ones.
    pub fn new(parameters: &Parameters, solution: Solution, wanted: &[usize]) -> Self {
        assert!(solution.variance > 0.0 && solution.normal.is_finite(), "an exact fit has no profile");
        let arms =
            wanted.iter().flat_map(|&j| [-1.0, 1.0].map(|direction| Arm::new(parameters, &solution, j, direction)));
        let arms = arms.collect();
        let parameters = parameters.clone();
        Self { parameters, solution, arms, better: None, reads: 0, last: None }
    }

    /// A lower cost than that of the fit, if one was found: it ends all profiles.
    pub fn better(&self) -> Option<&Better> {
        self.better.as_ref()
    }

    /// The profiles, as far as they were followed, in the order in which parameters were wanted.
    pub fn profiles(&self) -> Vec<Profile> {
        self.arms.chunks_exact(2).map(|arms| self.profile(&arms[0], &arms[1])).collect()
    }

    fn profile(&self, lower: &Arm, upper: &Arm) -> Profile {
        let j = lower.parameter();
        let value = self.solution.theta[j];
        let left = lower.points()[1..].iter().rev().map(|point| point.in_table(-1.0, j));
        let points: Vec<ProfilePoint> = left.chain(upper.points().iter().map(|point| point.in_table(1.0, j))).collect();
        // a profile from what is no minimum has no limits
        let limit = |arm: &Arm, tau| if self.better.is_none() { arm.limit(&self.solution, tau) } else { None };
        let limits: Vec<Limits> = self
            .solution
            .criticals
            .iter()
            .map(|&Critical { level, tau }| Limits { level, tau, lower: limit(lower, tau), upper: limit(upper, tau) })
            .collect();
        let asymmetry = limits.last().and_then(|l| Some((l.upper? - value) / (value - l.lower?)));
        let stderr = lower.points()[0].linear_error(&self.solution);
        let departures =
            points.iter().filter(|p| p.tau.abs() > 0.1).map(|p| ((p.value - value) / stderr / p.tau - 1.0).abs());
        Profile {
            name: self.parameters.all()[self.parameters.free()[j]].name.clone(),
            value,
            nonlinearity: departures.reduce(f64::max).filter(|n| n.is_finite()),
            points,
            limits,
            asymmetry,
            ends: [lower.end(), upper.end()],
        }
    }

    /// Watches for a lower cost than the fit's.
    fn compare(&mut self, theta: &[f64], normal: &NormalEquations) {
        let gain = self.solution.normal.cost - normal.cost;
        let least = (0.5 * LOWER_TAU_SQUARED * self.solution.variance).max(LOWER_COST * self.solution.normal.cost);
        let known = self.better.as_ref().is_some_and(|better| better.cost <= normal.cost);
        if gain > least && normal.is_finite() && !known {
            self.better = Some(Better { theta: theta.to_vec(), cost: normal.cost });
        }
    }
}

impl Procedure for Profiler {
    fn demand(&self) -> Option<Request> {
        let thetas: Vec<Vec<f64>> = self.arms.iter().filter_map(Arm::asked).collect();
        let over = thetas.is_empty() || self.better.is_some();
        (!over).then_some(Request { question: Question::Linearize(thetas), costing: self.solution.costing })
    }

    fn take(&mut self, answer: Answer) {
        let Answer::Linearized(answers) = answer else {
            panic!("the demand was for normal equations, the answer is {answer:?}")
        };
        self.reads += 1;
        let lowest = answers.iter().map(|n| n.cost).filter(|cost| cost.is_finite()).fold(f64::NAN, f64::min);
        let asking: Vec<usize> = (0..self.arms.len()).filter(|&k| self.arms[k].asked().is_some()).collect();
        assert_eq!(answers.len(), asking.len(), "normal equations for each arm that asked");
        let mut reached = false;
        for (k, normal) in asking.into_iter().zip(answers) {
            let theta = self.arms[k].asked().expect("it asked");
            self.compare(&theta, &normal);
            reached |= self.arms[k].take(&self.parameters, &self.solution, &theta, normal);
        }
        let blank = Iteration::without_point(self.reads, Phase::Profile);
        self.last = Some(Iteration { cost: lowest, accepted: reached, ..blank });
    }

    fn iteration(&self) -> Option<&Iteration> {
        self.last.as_ref()
    }
}

impl Profiler {
    /// Whether it can go on as the profiles of these parameters.
    pub fn is_of(&self, parameters: &Parameters) -> Result<(), Unsound> {
        ensure(self.parameters == *parameters, "the profiles are of other parameters")?;
        let n_free = parameters.free().len();
        ensure(self.solution.theta.len() == n_free, "the profiles start from no theta of the free parameters")?;
        self.solution.normal.sound(n_free)?;
        self.arms.sound(n_free)?;
        let pairs = self.arms.len().is_multiple_of(2)
            && self.arms.chunks_exact(2).all(|pair| pair[0].parameter() == pair[1].parameter());
        ensure(pairs, "a profile has not two arms")?;
        let better = self.better.as_ref().is_none_or(|better| better.theta.len() == n_free);
        ensure(better, "a profile met a theta that is not one of the free parameters")
    }
}

#[cfg(test)]
mod tests;
