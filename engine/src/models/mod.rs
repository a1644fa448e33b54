//! Built-in models: a name, a formula in the model language, bounds that keep it meaningful, and start values from the data.
//!
//! Reading order: `catalogue` (formulas, parameters, sources), `estimate` (start values of each), `separable` (the search
//! behind them).

mod catalogue;
mod estimate;
mod separable;

#[cfg(test)]
mod tests;

use crate::expr::is_name;
use crate::expr::nearest::nearest;

pub use catalogue::BuiltinParameter;
use catalogue::Kind;

/// Highest degree of `polynomial(n)`.
pub const MAX_DEGREE: usize = 20;

/// A built-in model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Builtin {
    kind: Kind,
}

/// Why a name finds no built-in model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum UnknownModel {
    #[error("there is no built-in model \"{name}\"{}; there are: {}", did_you_mean(nearest), names().join(", "))]
    Name { name: String, nearest: Option<String> },
    #[error("\"{name}\" needs a degree from 0 to {MAX_DEGREE}: polynomial(3)")]
    Degree { name: String },
}

fn did_you_mean(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|nearest| format!(" (did you mean \"{nearest}\"?)")).unwrap_or_default()
}

/// Why a variable's name cannot stand in a built-in model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum VariableName {
    #[error(
        "model \"{model}\" has a parameter \"{name}\", so its variable cannot be called so; \
         bind the column to another name, such as x={name}"
    )]
    Collides { model: String, name: String },
    #[error("\"{name}\" cannot stand as a name in an expression; bind the column to a name of letters and digits")]
    Unlawful { name: String },
}

/// The model of this name; polynomials are called `polynomial(n)`.
pub fn find(name: &str) -> Result<Builtin, UnknownModel> {
    let wanted = name.trim();
    if let Some(rest) = wanted.strip_prefix("polynomial") {
        let degree = rest.trim().strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
        return match degree.and_then(|degree| degree.trim().parse().ok()) {
            Some(degree) if degree <= MAX_DEGREE => Ok(Builtin { kind: Kind::Polynomial(degree) }),
            _ => Err(UnknownModel::Degree { name: wanted.to_owned() }),
        };
    }
    let kind = Kind::FIXED.into_iter().find(|kind| kind.name() == wanted);
    kind.map(|kind| Builtin { kind }).ok_or_else(|| UnknownModel::Name {
        name: wanted.to_owned(),
        nearest: catalogue::other_name(wanted).or_else(|| nearest(wanted, names())).map(str::to_owned),
    })
}

/// Every built-in model; `polynomial(3)` stands for all polynomials.
pub fn all() -> Vec<Builtin> {
    let mut all: Vec<Builtin> = Kind::FIXED.into_iter().map(|kind| Builtin { kind }).collect();
    all.insert(1, Builtin { kind: Kind::Polynomial(3) });
    all
}

fn names() -> Vec<&'static str> {
    let mut names: Vec<&str> = Kind::FIXED.iter().map(|kind| kind.name()).collect();
    names.insert(1, "polynomial(n)");
    names
}

impl Builtin {
    /// The name that [`find`] knows it by.
    pub fn name(&self) -> String {
        match self.kind {
            Kind::Polynomial(degree) => format!("polynomial({degree})"),
            kind => kind.name().to_owned(),
        }
    }

    /// What it describes, in a line.
    pub fn description(&self) -> &'static str {
        self.kind.description()
    }

    /// Where its form is described.
    pub fn source(&self) -> &'static str {
        self.kind.source()
    }

    /// Its parameters, in the order in which the formula first has them.
    pub fn parameters(&self) -> Vec<BuiltinParameter> {
        self.kind.parameters()
    }

    /// The formula as an expression of the variable's name.
    pub fn expression(&self, variable: &str) -> Result<String, VariableName> {
        if !is_name(variable) {
            return Err(VariableName::Unlawful { name: variable.to_owned() });
        }
        if self.parameters().iter().any(|parameter| parameter.name == variable) {
            return Err(VariableName::Collides { model: self.name(), name: variable.to_owned() });
        }
        Ok(self.kind.formula().replace(catalogue::VARIABLE, variable))
    }

    /// Start values from a sample of the data, one for each parameter, finite and inside the default bounds.
    ///
    /// `x` and `y` have one length; points may come in any order, and those that are not finite are passed over. Whatever
    /// the sample, even an empty one, there is an answer; from a sample that shows the model's shape it lies in the basin of
    /// the best fit.
    pub fn estimate(&self, x: &[f64], y: &[f64]) -> Vec<f64> {
        assert_eq!(x.len(), y.len(), "a sample has one y for each x");
        let values = estimate::start(self.kind, x, y);
        let parameters = self.parameters();
        debug_assert_eq!(values.len(), parameters.len());
        values.iter().zip(&parameters).map(|(value, parameter)| parameter.admit(*value)).collect()
    }
}
