//! Parameters: names, starts, bounds, and which of them are free.

use crate::saved::{Sound, Unsound, ensure};

/// One parameter of a model.
#[derive(Clone, Debug, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Parameter {
    /// Its name in the expression.
    pub name: String,
    /// Where the fit starts; the value itself if fixed.
    pub start: f64,
    /// Lower bound, `-inf` if there is none.
    pub min: f64,
    /// Upper bound, `+inf` if there is none.
    pub max: f64,
    /// A fixed parameter keeps its start and counts as known.
    pub fixed: bool,
}

/// The parameters of a problem in the model's order, with the free ones picked out.
#[derive(Clone, Debug, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Parameters {
    all: Vec<Parameter>,
    free: Vec<usize>,
}

/// Why a set of parameters was refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[allow(missing_docs)]
pub enum ParametersError {
    #[error("parameter \"{name}\": the bounds are reversed: min = {min} is above max = {max}")]
    Reversed { name: String, min: f64, max: f64 },
    #[error("parameter \"{name}\": min equals max ({value}); give it as fixed instead: --fix '{name}={value}'")]
    Pinned { name: String, value: f64 },
    #[error("parameter \"{name}\": a bound is not a number")]
    NotANumber { name: String },
    #[error("parameter \"{name}\": the start {start} is not finite")]
    NonFiniteStart { name: String, start: f64 },
    #[error("parameter \"{name}\": the start {start} lies outside its bounds [{min}, {max}]")]
    Outside { name: String, start: f64, min: f64, max: f64 },
    #[error("there is no free parameter: nothing is left to fit")]
    NothingFree,
}

impl Parameters {
    /// Checks starts and bounds.
    pub fn new(all: Vec<Parameter>) -> Result<Self, ParametersError> {
        for Parameter { name, start, min, max, fixed } in &all {
            let (name, start, min, max) = (name.clone(), *start, *min, *max);
            if !start.is_finite() {
                return Err(ParametersError::NonFiniteStart { name, start });
            }
            if *fixed {
                continue;
            }
            if min.is_nan() || max.is_nan() {
                return Err(ParametersError::NotANumber { name });
            }
            if min > max {
                return Err(ParametersError::Reversed { name, min, max });
            }
            if min == max {
                return Err(ParametersError::Pinned { name, value: min });
            }
            if start < min || start > max {
                return Err(ParametersError::Outside { name, start, min, max });
            }
        }
        let free: Vec<usize> = (0..all.len()).filter(|&j| !all[j].fixed).collect();
        if free.is_empty() {
            return Err(ParametersError::NothingFree);
        }
        Ok(Self { all, free })
    }

    /// All parameters, in the model's order.
    pub fn all(&self) -> &[Parameter] {
        &self.all
    }

    /// Positions of the free parameters among all.
    pub fn free(&self) -> &[usize] {
        &self.free
    }

    /// The free parameters themselves.
    pub fn iter_free(&self) -> impl Iterator<Item = &Parameter> {
        self.free.iter().map(|&j| &self.all[j])
    }

    /// The starts of all parameters.
    pub fn start(&self) -> Vec<f64> {
        self.all.iter().map(|p| p.start).collect()
    }

    /// The same parameters with other starts for the free ones. `[n_free]`
    pub fn starting_at(&self, free_values: &[f64]) -> Self {
        assert_eq!(free_values.len(), self.free.len(), "one value for each free parameter");
        let mut parameters = self.clone();
        for (&j, &value) in self.free.iter().zip(free_values) {
            parameters.all[j].start = value;
        }
        parameters
    }

    /// The same parameters with the free one at position `j` (among the free) fixed at a value; `None` if no other is free.
    pub fn holding(&self, j: usize, value: f64) -> Option<Self> {
        let mut parameters = self.clone();
        let held = parameters.free.remove(j);
        parameters.all[held].start = value;
        parameters.all[held].fixed = true;
        (!parameters.free.is_empty()).then_some(parameters)
    }

    /// Puts the values of the free parameters among the fixed ones: `[n_free]` to `[n_params]`.
    pub fn expand(&self, free_values: &[f64]) -> Vec<f64> {
        assert_eq!(free_values.len(), self.free.len(), "one value for each free parameter");
        let mut theta = self.start();
        for (&j, &value) in self.free.iter().zip(free_values) {
            theta[j] = value;
        }
        theta
    }
}

impl Sound for Parameters {
    fn sound(&self, n_free: usize) -> Result<(), Unsound> {
        let free: Vec<usize> = (0..self.all.len()).filter(|&j| !self.all[j].fixed).collect();
        ensure(self.free == free && free.len() == n_free, "the free parameters are not those that are not fixed")?;
        ensure(self.iter_free().all(|p| p.min <= p.max), "the bounds of a parameter are reversed")
    }
}
