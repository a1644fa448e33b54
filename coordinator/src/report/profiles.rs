//! Profile likelihoods in result.json and report.txt.

use std::fmt::Write as _;

use nlsq_engine::profile::{End, Limits, Profile, ProfilePoint};
use serde::{Deserialize, Serialize};

use super::result::RunResult;
use super::text::number;

/// The profile of one parameter in result.json. A limit that is null is open.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)] // the fields of Profile, where they are described
pub struct ProfileResult {
    pub parameter: String,
    pub limits: Vec<LimitsResult>,
    pub asymmetry: Option<f64>,
    pub nonlinearity: Option<f64>,
    pub lower_end: End,
    pub upper_end: End,
    pub points: Vec<ProfilePointResult>,
}

/// The limits at one level in result.json.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct LimitsResult {
    pub level: f64,
    pub tau: f64,
    pub lower: Option<f64>,
    pub upper: Option<f64>,
}

/// One point of a profile in result.json; `theta` holds all free parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct ProfilePointResult {
    pub value: f64,
    pub tau: f64,
    pub cost: f64,
    pub theta: Vec<f64>,
}

impl From<&Profile> for ProfileResult {
    fn from(profile: &Profile) -> Self {
        let limits = |l: &Limits| LimitsResult { level: l.level, tau: l.tau, lower: l.lower, upper: l.upper };
        let point =
            |p: &ProfilePoint| ProfilePointResult { value: p.value, tau: p.tau, cost: p.cost, theta: p.theta.clone() };
        Self {
            parameter: profile.name.clone(),
            limits: profile.limits.iter().map(limits).collect(),
            asymmetry: profile.asymmetry,
            nonlinearity: profile.nonlinearity,
            lower_end: profile.ends[0],
            upper_end: profile.ends[1],
            points: profile.points.iter().map(point).collect(),
        }
    }
}

/// The profiles for report.txt, a line for each level; empty without profiles.
pub fn section(result: &RunResult) -> String {
    if result.profiles.is_empty() {
        return String::new();
    }
    let mut text = String::from("\nprofile likelihood\n");
    let width = result.profiles.iter().map(|p| p.parameter.chars().count()).max().unwrap_or(0);
    for profile in &result.profiles {
        let known = result.parameters.iter().find(|p| p.name == profile.parameter);
        let of_error = |tau: f64| {
            let (value, error) = known.and_then(|p| Some((p.value?, p.stderr?)))?;
            Some(format!("  (symmetric would be [{}, {}])", number(value - tau * error), number(value + tau * error)))
        };
        for limits in &profile.limits {
            let lower = limits.lower.map_or_else(|| open(profile.lower_end), number);
            let upper = limits.upper.map_or_else(|| open(profile.upper_end), number);
            let _ = writeln!(
                text,
                "  {:<width$}  {} %: [{lower}, {upper}]{}",
                profile.parameter,
                number(100.0 * limits.level),
                of_error(limits.tau).unwrap_or_default()
            );
        }
    }
    text
}

/// Why a side has no limit.
fn open(end: End) -> String {
    match end {
        End::Unfinished => "not followed to its end",
        End::Complete => "open",
        End::Bound => "open: the bound is reached",
        End::Open => "open",
        End::NotFinite => "open: the model is not finite further out",
        End::NoRefit => "open: the others did not converge further out",
    }
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::result::tests::outcome;
    use expect_test::expect;

    #[test]
    fn a_line_a_level() {
        let limits = |level, tau, lower, upper| Limits { level, tau, lower, upper };
        let point = ProfilePoint { value: 2.0, tau: 0.0, cost: 0.5, theta: vec![2.0, 0.0] };
        let profile = Profile {
            name: "a".into(),
            value: 2.0,
            points: vec![point],
            limits: vec![limits(0.6827, 1.0, Some(1.9), Some(2.2)), limits(0.95, 1.96, None, Some(2.5))],
            asymmetry: None,
            nonlinearity: Some(0.25),
            ends: [End::Bound, End::Complete],
        };
        let mut result = RunResult::from(&outcome());
        assert_eq!(section(&result), "");
        result.profiles = vec![ProfileResult::from(&profile)];
        expect![[r#"

            profile likelihood
              a  68.27 %: [1.9, 2.2]  (symmetric would be [1.998888957, 2.001357957])
              a  95 %: [open: the bound is reached, 2.5]  (symmetric would be [1.997703837, 2.002543077])
        "#]]
        .assert_eq(&section(&result));
        assert_eq!(RunResult::from_json(&result.to_json()).unwrap(), result);
    }
}
