//! The exam: certified answers of the US National Institute of Standards and Technology.

use crate::nist_problems::{DEFAULT, TIGHT, all};
use nlsq_engine::kernel::Precision;
use nlsq_engine::minimize::Options;
use nlsq_engine::summary::Status;

/// Digits asked of standard errors and of the residual sum of squares, where f64 data have as many.
const SUMS: f64 = 6.0;

/// Digits of Nelson from its first start with default tolerances: its b2 is no larger than its standard error, and a
/// gradient within gtol leaves it 1.1e-8 of that away from the minimum.
const NELSON: f64 = 7.95;

/// All problems from both starts: `parameters` digits in each of them, and of the sums what f64 data hold.
fn check(precision: Precision, tolerance: f64, parameters: f64) {
    let mut faults = Vec::new();
    let mut runs = 0;
    for problem in all() {
        for start in [0, 1] {
            let run = problem.fit(start, precision, tolerance);
            let sums = SUMS.min(problem.resolved());
            let parameters =
                if (&*problem.name, start, tolerance) == ("Nelson", 0, DEFAULT) { NELSON } else { parameters };
            let good = run.values >= parameters && run.deviations >= sums && run.rss >= sums;
            if !(good && run.outcome.status == Status::Converged) {
                faults.push(format!(
                    "{} ({}) start {}: {:.2} digits in parameters, {:.2} in standard errors, {:.2} in rss ({sums:.1} asked), {:?}",
                    problem.name,
                    problem.level,
                    start + 1,
                    run.values,
                    run.deviations,
                    run.rss,
                    run.outcome.status
                ));
            }
            runs += 1;
        }
    }
    assert_eq!(runs, 54);
    assert!(faults.is_empty(), "{} of 54:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn certified_digits_from_both_starts() {
    let default = Options::default();
    assert_eq!([default.xtol, default.ftol, default.gtol], [DEFAULT; 3]);
    check(Precision::F64, DEFAULT, 8.0);
}

/// The way is another, the answers are not: nothing of f32 is left in them.
#[test]
fn certified_digits_from_both_starts_by_way_of_single_precision() {
    check(Precision::F32, DEFAULT, 8.0);
}

#[test]
fn tighter_tolerances_give_more_certified_digits() {
    check(Precision::F64, TIGHT, 9.5);
}

/// The limit is a limit of one problem only.
#[test]
fn f64_data_hold_six_digits_of_the_residual_but_for_lanczos1() {
    for problem in all() {
        let enough = problem.resolved() >= SUMS;
        assert_eq!(enough, problem.name != "Lanczos1", "{}: {:.1}", problem.name, problem.resolved());
    }
}
