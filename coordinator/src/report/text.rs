//! report.txt: what a person reads.

use std::fmt::Write as _;

use nlsq_engine::covariance::Kind;
use nlsq_engine::summary::{Side, Status};

use super::history::phase_name;
use super::result::{ParameterResult, RunResult, status_name};
use super::{health, profiles};
use crate::outcome::Sigma;

/// Significant digits of a standard error, and so the last digits worth showing of a value.
const ERROR_DIGITS: i32 = 2;
/// Significant digits of a value that has no standard error.
const VALUE_DIGITS: usize = 10;

/// The report of a result; `files` are those beside it, with their meaning.
pub fn render(result: &RunResult, files: &[(String, &str)]) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{}", ending(result.status, &result.reason));
    let _ = writeln!(text, "model: {}\n", result.model);
    write_parameters(&mut text, result);
    text.push('\n');
    write_statistics(&mut text, result);
    if let Some(found) = &result.health {
        text += &health::section(found);
    }
    text += &health::correlations(result);
    text += &profiles::section(result);
    for (heading, lines) in [("warnings", &result.warnings), ("decided on the way", &result.notes)] {
        if !lines.is_empty() {
            let _ = writeln!(text, "\n{heading}");
            lines.iter().for_each(|line| text += &format!("  - {line}\n"));
        }
    }
    if !files.is_empty() {
        text += "\nfiles\n";
        let width = files.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        for (name, meaning) in files {
            let _ = writeln!(text, "  {name:<width$}  {meaning}");
        }
    }
    text
}

/// Status and reason in one line; a reason that begins with the status does not say it twice.
pub fn ending(status: Status, reason: &str) -> String {
    let name = status_name(status);
    if reason.starts_with(name) { reason.to_string() } else { format!("{name}: {reason}") }
}

fn write_parameters(text: &mut String, result: &RunResult) {
    let interval = result.confidence.map_or("interval".into(), |level| format!("{} % interval", number(100.0 * level)));
    let header = ["parameter", "value", "std. error", "relative", &interval, "start", "bounds", ""].map(String::from);
    let mut rows = vec![header];
    rows.extend(result.parameters.iter().map(parameter_row));
    let widths: Vec<usize> =
        (0..rows[0].len()).map(|c| rows.iter().map(|row| row[c].chars().count()).max().unwrap_or(0)).collect();
    for row in &rows {
        let mut line = String::from(" ");
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            // names, bounds and flags read from the left, numbers from the right
            let _ = match column {
                0 | 6 | 7 => write!(line, " {cell:<width$} "),
                _ => write!(line, " {cell:>width$} "),
            };
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
}

fn parameter_row(p: &ParameterResult) -> [String; 8] {
    let (value, error) = match p.value {
        Some(value) => value_and_error(value, p.stderr),
        None => ("not finite".into(), "-".into()),
    };
    let relative = match (p.value, p.stderr) {
        (Some(value), Some(error)) if value != 0.0 => format!("{:.2}%", 100.0 * (error / value).abs()),
        _ => "-".into(),
    };
    let side = |bound: Option<f64>, open: &str| bound.map_or(open.to_string(), number);
    let bounds = match (p.min, p.max) {
        (None, None) => "-".into(),
        (min, max) => format!("[{}, {}]", side(min, "-inf"), side(max, "inf")),
    };
    let flag = match (p.fixed, p.at_bound) {
        (true, _) => "fixed".into(),
        (false, Some(Side::Min)) => "at min".into(),
        (false, Some(Side::Max)) => "at max".into(),
        (false, None) if p.stderr.is_none() => "not determined".into(),
        _ => String::new(),
    };
    let interval = match p.ci {
        Some(ends) => format!("[{}, {}]", value_and_error(ends[0], p.stderr).0, value_and_error(ends[1], p.stderr).0),
        None => "-".into(),
    };
    [p.name.clone(), value, error, relative, interval, p.start.map_or("-".into(), number), bounds, flag]
}

fn write_statistics(text: &mut String, result: &RunResult) {
    let optional = |value: Option<f64>| value.map_or("not defined".to_string(), number);
    let precision = if result.precision == "f64" { String::new() } else { format!("; {}", result.precision) };
    let phases: Vec<String> = result.phases.iter().map(|p| format!("{} {}", phase_name(p.name), p.passes)).collect();
    let seconds = |value: Option<f64>| value.map_or("-".to_string(), |s| format!("{s:.3}"));
    let time = &result.seconds;
    let lines = [
        (
            "points",
            format!(
                "{} = {} used + {} masked + {} not finite",
                result.n_points, result.n_used, result.n_masked, result.n_nonfinite
            ),
        ),
        ("free parameters", result.n_parameters.to_string()),
        ("degrees of freedom", result.dof.to_string()),
        ("cost", format!("{}{}", optional(result.cost), price_of_groups(result))),
        ("sum of squared residuals", optional(result.rss)),
        ("reduced chi square", format!("{}{}", optional(result.reduced_chi2), meaning_of_chi(result))),
        ("standard errors", covariance_meaning(result.covariance_kind).to_string()),
        ("residual std. deviation", optional(result.residual_stddev)),
        ("r squared", optional(result.r_squared)),
        ("gradient norm", optional(result.gradient_norm)),
        ("condition number", optional(result.condition_number)),
        (
            "passes",
            format!("{} ({}), {} accepted steps{precision}", result.passes, phases.join(", "), result.iterations),
        ),
        ("ran on", format!("{}, workers: {}, generations: {}", result.device, result.workers, result.generations)),
        (
            "seconds",
            format!(
                "{} (read {}, compute {}, reduce {}, checkpoint {})",
                seconds(time.total),
                seconds(time.read),
                seconds(time.compute),
                seconds(time.reduce),
                seconds(time.checkpoint)
            ),
        ),
    ];
    for (name, value) in lines {
        let _ = writeln!(text, "  {name:<25} {value}");
    }
}

fn price_of_groups(result: &RunResult) -> String {
    let price = |penalty| format!(" (and {} for the spread within groups of parameters)", number(penalty));
    result.penalty.map(price).unwrap_or_default()
}

/// What the reduced chi square can be compared with, which depends on what is known of sigma.
fn meaning_of_chi(result: &RunResult) -> String {
    match result.sigma {
        None => String::new(),
        Some(Sigma::None) => " (no sigma given: the variance of the residuals, no test of the fit)".into(),
        Some(Sigma::Relative) => " (sigma counts as relative: no test of the fit)".into(),
        Some(Sigma::Absolute) => format!(" (expected 1 +- {:.1e})", (2.0 / result.dof as f64).sqrt()),
    }
}

fn covariance_meaning(kind: Kind) -> &'static str {
    match kind {
        Kind::Classic => "classic: from J'J and one variance",
        Kind::Sandwich => "sandwich: from the scatter of the points themselves",
    }
}

/// A value to the digits that its standard error allows, and the error to two significant digits.
pub fn value_and_error(value: f64, error: Option<f64>) -> (String, String) {
    let Some(error) = error.filter(|error| *error > 0.0 && error.is_finite()) else {
        return (number(value), error.map_or("-".into(), number));
    };
    // rounding to the digits shown may carry into the next power of ten: 0.0996 is 0.10, not 0.100
    let rounded: f64 = format!("{error:.*e}", (ERROR_DIGITS - 1) as usize).parse().unwrap_or(error);
    let last_place = exponent(rounded) - (ERROR_DIGITS - 1);
    let largest = exponent(value.abs().max(rounded));
    if (-5..=8).contains(&largest) && (-12..=0).contains(&last_place) {
        let decimals = last_place.unsigned_abs() as usize;
        return (format!("{value:.decimals$}"), format!("{rounded:.decimals$}"));
    }
    let digits = |x: f64| (exponent(x) - last_place).clamp(0, 16) as usize;
    let value_text = if value == 0.0 { "0".into() } else { format!("{value:.*e}", digits(value)) };
    (value_text, format!("{rounded:.*e}", digits(rounded)))
}

/// Power of ten of the leading digit; 0 for 0.
fn exponent(x: f64) -> i32 {
    let text = format!("{x:e}");
    text.rsplit('e').next().and_then(|power| power.parse().ok()).unwrap_or(0)
}

/// A number to a fixed number of significant digits, without idle zeros.
pub fn number(value: f64) -> String {
    let scientific = format!("{value:.*e}", VALUE_DIGITS - 1);
    let Some((mantissa, power)) = scientific.split_once('e') else { return scientific };
    let power: i32 = power.parse().unwrap_or(0);
    let trim = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_string(),
        false => text.to_string(),
    };
    if (-5..VALUE_DIGITS as i32).contains(&power) {
        let decimals = (VALUE_DIGITS as i32 - 1 - power).max(0) as usize;
        return trim(&format!("{value:.decimals$}"));
    }
    format!("{}e{power}", trim(mantissa))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::result::tests::outcome;
    use expect_test::expect;

    #[test]
    fn values_show_the_digits_their_errors_allow() {
        let show = |value, error| {
            let (value, error) = value_and_error(value, Some(error));
            format!("{value} {error}")
        };
        assert_eq!(show(2.000_123_456, 0.001_234_5), "2.0001 0.0012");
        assert_eq!(show(-1.5, 0.0996), "-1.50 0.10");
        assert_eq!(show(1234.5678, 12.0), "1235 12");
        assert_eq!(show(123_456.0, 1234.0), "1.235e5 1.2e3");
        assert_eq!(show(1.234e-9, 5.6e-12), "1.2340e-9 5.6e-12");
        assert_eq!(show(0.0, 0.5), "0.00 0.50");
        assert_eq!(
            show(1e20, 1e3),
            "1.00000000000000000e20 1.0e3".replace("1.00000000000000000e20", "1.0000000000000000e20")
        );
        assert_eq!(value_and_error(0.1 + 0.2, None), ("0.3".into(), "-".into()));
    }

    #[test]
    fn numbers_keep_ten_digits() {
        for (value, text) in [
            (0.0, "0"),
            (1.0, "1"),
            (-0.001, "-0.001"),
            (123_456.789, "123456.789"),
            (1.0 / 3.0, "0.3333333333"),
            (1e10, "1e10"),
            (9_999_999_999.6, "1e10"),
            (1e-10, "1e-10"),
            (1.5e300, "1.5e300"),
            (100.0, "100"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn a_report() {
        let text = render(&RunResult::from(&outcome()), &[("result.json".into(), "the same for machines")]);
        expect![[r#"
            converged: xtol: step 1e-12 <= 1e-10
            model: a*exp(-b*t) + c

              parameter   value  std. error  relative     95 % interval  start  bounds
              a          2.0001      0.0012     0.06%  [1.9977, 2.0026]      1  -
              b               0           -         -                 -      1  [0, inf]  at min
              c             0.3           -         -                 -      1  -         fixed

              points                    1000 = 990 used + 7 masked + 3 not finite
              free parameters           2
              degrees of freedom        988
              cost                      1.23456789e-300
              sum of squared residuals  4.940656458e-324
              reduced chi square        0.1 (sigma counts as relative: no test of the fit)
              standard errors           classic: from J'J and one variance
              residual std. deviation   1.797693135e308
              r squared                 not defined
              gradient norm             not defined
              condition number          12.5
              passes                    9 (refine 9), 7 accepted steps
              ran on                    cpu, workers: 2, generations: 1
              seconds                   1.500 (read 1.000, compute 0.250, reduce 0.125, checkpoint 0.000)

            health
              determined                1 of 1 directions, condition number 1
              last passes               2 brought less than 0.1 % of the reduction
              residual correlation      0.0123 between neighbours

            warnings
              - b ends at its lower bound 0

            decided on the way
              - second descent from the start

            files
              result.json  the same for machines
        "#]]
        .assert_eq(&text);
    }
}
