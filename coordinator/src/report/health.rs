//! Health and correlations as report.txt shows them.

use std::fmt::Write as _;

use nlsq_engine::covariance::directions::combination;
use nlsq_engine::health::{Health, STAGNATION};

use super::result::RunResult;
use super::text::number;

/// Up to this many parameters with a standard error their correlations are shown; result.json has more of them.
const SHOWN: usize = 10;

/// The section on health; nothing where there is none.
pub fn section(health: &Health) -> String {
    let found = &health.identifiability;
    // figures of merit: three digits say all
    let short = |value: f64| number(format!("{value:.2e}").parse().unwrap_or(value));
    let condition = found.condition.map_or("infinite".to_string(), short);
    let mut lines = vec![(
        "determined",
        format!("{} of {} directions, condition number {condition}", found.rank, found.directions),
    )];
    if found.weakest.len() > 1 {
        let terms: Vec<(f64, &str)> = found.weakest.iter().map(|c| (c.component, c.parameter.as_str())).collect();
        lines.push(("determined least", format!("{} (in units of 1/|J_j|)", combination(&terms))));
    }
    if let Some(decades) = health.sloppiness.filter(|_| found.directions > 1) {
        lines.push(("eigenvalues span", format!("{decades:.1} decades")));
        let apart = health.gradient_balance.map_or("infinity".to_string(), short);
        lines.push(("columns of J", format!("lengths up to a factor of {apart} apart")));
    }
    if health.stagnation > 0 {
        let (count, part) = (health.stagnation, 100.0 * STAGNATION);
        lines.push(("last passes", format!("{count} brought less than {part} % of the reduction")));
    }
    let lag = health.lag1.map_or("nothing but rounding is left".into(), |lag| format!("{lag:.4} between neighbours"));
    lines.push(("residual correlation", lag));
    let mut text = String::from("\nhealth\n");
    for (name, value) in lines {
        let _ = writeln!(text, "  {name:<25} {value}");
    }
    text
}

/// The lower triangle of the correlations; nothing where there are fewer than two parameters, or many.
pub fn correlations(result: &RunResult) -> String {
    let Some(rows) = &result.correlation else { return String::new() };
    let known: Vec<usize> = (0..rows.len()).filter(|&j| rows[j][j].is_some()).collect();
    if !(2..=SHOWN).contains(&known.len()) {
        return String::new();
    }
    let name = |j: usize| result.parameters[j].name.as_str();
    let widest = known.iter().map(|&j| name(j).chars().count()).max().unwrap_or(0);
    let cell = widest.max("-0.000".len());
    let mut text = String::from("\ncorrelations\n");
    for (at, &j) in known.iter().enumerate().skip(1) {
        let _ = write!(text, "  {:<widest$}", name(j));
        for &k in &known[..at] {
            let shown = rows[j][k].map_or("-".to_string(), |value| format!("{value:.3}"));
            let _ = write!(text, "  {shown:>cell$}");
        }
        text.push('\n');
    }
    let _ = write!(text, "  {:widest$}", "");
    for &k in &known[..known.len() - 1] {
        let _ = write!(text, "  {:>cell$}", name(k));
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::result::tests::outcome;
    use expect_test::expect;
    use nlsq_engine::health::{Component, Identifiability};

    #[test]
    fn health_in_words() {
        let part = |parameter: &str, component| Component { parameter: parameter.into(), component };
        let weakest = vec![part("b", 0.8), part("a", -0.6)];
        let identifiability = Identifiability { rank: 3, directions: 3, condition: Some(31.6), weakest };
        let mut health = Health {
            identifiability,
            gradient_balance: Some(120.0),
            stagnation: 4,
            sloppiness: Some(2.99),
            lag1: Some(-0.01234),
        };
        expect![[r#"

            health
              determined                3 of 3 directions, condition number 31.6
              determined least          0.80 b - 0.60 a (in units of 1/|J_j|)
              eigenvalues span          3.0 decades
              columns of J              lengths up to a factor of 120 apart
              last passes               4 brought less than 0.1 % of the reduction
              residual correlation      -0.0123 between neighbours
        "#]]
        .assert_eq(&section(&health));
        health.identifiability.condition = None;
        (health.sloppiness, health.gradient_balance, health.lag1) = (None, None, None);
        let text = section(&health);
        assert!(text.contains("condition number infinite") && text.contains("nothing but rounding"), "{text}");
    }

    #[test]
    fn correlations_are_a_triangle() {
        let mut result = RunResult::from(&outcome());
        assert_eq!(correlations(&result), "", "one parameter is correlated with nothing");
        let row = |values: [f64; 3]| values.map(Some).to_vec();
        result.correlation = Some(vec![row([1.0, -0.5, 0.25]), row([-0.5, 1.0, 0.125]), row([0.25, 0.125, 1.0])]);
        expect![[r#"

            correlations
              b  -0.500
              c   0.250   0.125
                      a       b
        "#]]
        .assert_eq(&correlations(&result));
    }
}
