//! Which way down is best: every option that chooses one, over all of NIST and of Moré, Garbow & Hillstrom.

use std::fmt::Write;

use super::{Whole, mgh, nist};
use crate::hybrid::{Companion, Normalization, Options, WarmUpRule, warm_up};
use crate::minimize::{Descent, Method};
use crate::summary::Status;

/// A sum of squares above the lowest of all rows by more than this part of it counts as lost ...
const SAME: f64 = 1e-6;

/// ... unless it is itself a rounding.
const NOTHING: f64 = 1e-14;

/// Names and starts, and how each ended.
type Ends = Vec<(String, Whole)>;

fn rows() -> Vec<(&'static str, Options)> {
    let with = |change: fn(&mut Options)| {
        let mut options = Options::default();
        change(&mut options);
        options
    };
    vec![
        ("default: second descent in trouble, warm-up if both stall", with(|_| {})),
        ("second descent always", with(|o| o.companion = Companion::Always)),
        ("second descent never", with(|o| o.companion = Companion::Never)),
        ("neither second descent nor warm-up: method trf", with(|o| o.minimizer.method = Method::Trf)),
        (
            "the same by dogleg",
            with(|o| {
                o.minimizer.method = Method::Trf;
                o.minimizer.descent = Descent::Dogleg;
            }),
        ),
        ("the default by dogleg", with(|o| o.minimizer.descent = Descent::Dogleg)),
        ("method lm", with(|o| o.minimizer.method = Method::Lm)),
        ("warm-up never", with(|o| o.warm_up = WarmUpRule::Never)),
        ("warm-up always", with(|o| o.warm_up = WarmUpRule::Always)),
        (
            "warm-up always, second descent never",
            with(|o| {
                o.warm_up = WarmUpRule::Always;
                o.companion = Companion::Never;
            }),
        ),
        (
            "warm-up always, steps up to 0.1",
            with(|o| {
                o.warm_up = WarmUpRule::Always;
                o.warming.max_step = 0.1;
            }),
        ),
        (
            "warm-up always, backtracking",
            with(|o| {
                o.warm_up = WarmUpRule::Always;
                o.warming.line_search = warm_up::LineSearch::Backtracking;
            }),
        ),
        (
            "warm-up always, by Adam",
            with(|o| {
                o.warm_up = WarmUpRule::Always;
                o.warming.descent = warm_up::Descent::Adam;
            }),
        ),
        ("units by columns", with(|o| o.normalization = Normalization::Columns)),
        ("units none", with(|o| o.normalization = Normalization::None)),
    ]
}

/// `lost` counts the fits that end above the lowest sum of squares that any row finds from the same start. The rows are why
/// the defaults are what they are: the fewest lost for passes that are no more than those of a single descent.
#[test]
fn tandem_on_the_exam() {
    let all: Vec<(&str, [Ends; 2])> =
        rows().into_iter().map(|(name, options)| (name, [nist::ends(&options), mgh::ends(&options)])).collect();
    let sum = |whole: &Whole| 2.0 * whole.summary.normal.cost;
    let lowest = |set: usize, k: usize| all.iter().map(|(_, sets)| sum(&sets[set][k].1)).fold(f64::INFINITY, f64::min);
    let mut table = format!("{:<58} {:>25} {:>33}\n", "", "NIST, 54 fits", "MGH, 123 fits");
    let head = "passes thetas conv. lost";
    writeln!(table, "{:<58} {head:>25} {head:>25} warmed up", "").unwrap();
    let mut lost_by_default = Vec::new();
    for (name, sets) in &all {
        write!(table, "{name:<58}").unwrap();
        for (set, ends) in sets.iter().enumerate() {
            let lost = |(k, (_, whole)): &(usize, &(String, Whole))| {
                let lowest = lowest(set, *k);
                lowest.is_finite() && (sum(whole).is_nan() || sum(whole) > lowest * (1.0 + SAME) + NOTHING)
            };
            let lost: Vec<&str> = ends.iter().enumerate().filter(lost).map(|(_, (name, _))| name.as_str()).collect();
            let passes: u64 = ends.iter().map(|(_, whole)| whole.summary.passes).sum();
            let thetas: usize = ends.iter().map(|(_, whole)| whole.evaluations).sum();
            let converged = ends.iter().filter(|(_, whole)| whole.summary.status == Status::Converged).count();
            write!(table, "  {passes:6} {thetas:6} {converged:5} {:4}", lost.len()).unwrap();
            if name.starts_with("default") {
                lost_by_default.extend(lost);
            }
        }
        writeln!(table, " {:9}", sets[1].iter().filter(|(_, whole)| whole.warmed).count()).unwrap();
    }
    writeln!(table, "lost by default: {}", lost_by_default.join(", ")).unwrap();
    expect_test::expect_file!["../../../../tests/golden/descents.txt"].assert_eq(&table);
}
