//! The exam: certified answers of the US National Institute of Standards and Technology.

use crate::nist_problems::{DEFAULT, TIGHT, all};
use nlsq_engine::kernel::Precision;
use nlsq_engine::minimize::Options;
use nlsq_engine::summary::Status;

/// Digits asked of standard errors and of the residual sum of squares, where f64 data have as many.
const SUMS: f64 = 6.0;

/// All problems from both starts: `parameters` digits in each of them, and of the sums what f64 data hold.
fn check(tolerance: f64, precision: Precision, parameters: f64) {
    let mut faults = Vec::new();
    let mut runs = 0;
    for problem in all() {
        for start in [0, 1] {
            let run = problem.fit(start, tolerance, precision);
            let sums = SUMS.min(problem.resolved());
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
    check(DEFAULT, Precision::F64, 8.0);
}

#[test]
fn tighter_tolerances_give_more_certified_digits() {
    check(TIGHT, Precision::F64, 10.0);
}

/// The way is another, the answers are not: nothing of f32 is left in them.
#[test]
fn certified_digits_from_both_starts_by_way_of_single_precision() {
    check(DEFAULT, Precision::F32, 8.0);
}

/// The limit is a limit of one problem only.
#[test]
fn f64_data_hold_six_digits_of_the_residual_but_for_lanczos1() {
    for problem in all() {
        let enough = problem.resolved() >= SUMS;
        assert_eq!(enough, problem.name != "Lanczos1", "{}: {:.1}", problem.name, problem.resolved());
    }
}
