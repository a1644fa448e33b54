//! Predictions of a run at any points: the model with its bands, a block of points at a time.
//!
//! Columns: the variables, then `fit` (f), `stderr` (its standard error), `ci_lo` and `ci_hi` (confidence band), and where the
//! scatter of a measurement is known `pi_lo` and `pi_hi` (prediction band). Formulas: [`nlsq_engine::prediction`].

mod fitted;
mod points;

use nlsq_engine::data::source::DataError;
use nlsq_engine::data::write::{ColumnKind, TableWriter, WriteColumn};
use nlsq_engine::prediction::{Band, Scatter};

pub use fitted::Fitted;
pub use points::{Grid, Points};

/// Sigma of the measurements to be predicted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Measured {
    /// Nothing is known of it: there is no prediction band.
    Unknown,
    /// Each has the scatter of a point of sigma 1, times this.
    Alike(f64),
    /// The points have a column of it.
    Column,
}

/// What the bands of a prediction are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bands {
    /// How many standard errors they reach.
    pub quantile: f64,
    /// The scatter of a measurement of sigma 1.
    pub scatter: f64,
    /// Sigma of the measurements.
    pub measured: Measured,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Points.
    pub points: u64,
    /// Of these, points where the model or its standard error is not finite.
    pub nonfinite: u64,
}

/// Names of the columns that are written: what would be a variable's name gets an underscore.
pub fn columns(variables: &[String], measured: Measured) -> Vec<WriteColumn> {
    let bands: &[&str] = match measured {
        Measured::Unknown => &["fit", "stderr", "ci_lo", "ci_hi"],
        _ => &["fit", "stderr", "ci_lo", "ci_hi", "pi_lo", "pi_hi"],
    };
    let own = bands.iter().map(|name| {
        let mut name = name.to_string();
        while variables.contains(&name) {
            name.push('_');
        }
        name
    });
    let names = variables.iter().cloned().chain(own);
    names.map(|name| WriteColumn { name, kind: ColumnKind::F64 }).collect()
}

/// Writes the predictions at all points.
pub fn write(fitted: &Fitted, points: &Points, bands: Bands, writer: &mut TableWriter) -> Result<Written, DataError> {
    let mut written = Written::default();
    points.scan(&mut |variables, sigma| {
        let found = fitted.predictor.at(variables);
        let confidence = found.confidence(bands.quantile);
        let scatter = match (bands.measured, sigma) {
            (Measured::Unknown, _) => None,
            (Measured::Alike(sigma), _) => Some(Scatter::Uniform(bands.scatter * sigma)),
            (Measured::Column, sigma) => {
                Some(Scatter::Points(bands.scatter, sigma.expect("the points were opened with their sigma")))
            }
        };
        let prediction = scatter.map(|scatter| found.prediction(bands.quantile, scatter));
        let mut columns = variables.to_vec();
        columns.extend([&found.value[..], &found.stderr]);
        for Band { lo, hi } in std::iter::once(&confidence).chain(&prediction) {
            columns.extend([&lo[..], hi]);
        }
        written.points += found.value.len() as u64;
        let ends = found.value.iter().zip(&found.stderr);
        written.nonfinite += ends.filter(|(value, stderr)| !(value.is_finite() && stderr.is_finite())).count() as u64;
        writer.push(&columns)
    })?;
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_have_names_of_their_own() {
        let names = |variables: &[&str], measured| -> Vec<String> {
            let variables: Vec<String> = variables.iter().map(ToString::to_string).collect();
            columns(&variables, measured).into_iter().map(|column| column.name).collect()
        };
        assert_eq!(names(&["t"], Measured::Unknown), ["t", "fit", "stderr", "ci_lo", "ci_hi"]);
        assert_eq!(
            names(&["fit", "fit_"], Measured::Alike(1.0)),
            ["fit", "fit_", "fit__", "stderr", "ci_lo", "ci_hi", "pi_lo", "pi_hi"]
        );
    }
}
