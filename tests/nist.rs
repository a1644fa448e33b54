//! The exam: certified answers of the US National Institute of Standards and Technology.

use crate::nist_problems::all;
use nlsq_engine::kernel::Precision;
use nlsq_engine::summary::Status;

#[test]
fn certified_digits_from_both_starts() {
    println!("{}", exam(Precision::F64, 50));
}

/// The way is another, the answers are not: nothing of f32 is left in them.
#[test]
fn certified_digits_from_both_starts_by_way_of_single_precision() {
    println!("{}", exam(Precision::F32, 50));
}

/// Fits all problems from both starts; the table of what came out.
fn exam(precision: Precision, least: usize) -> String {
    let mut table = String::new();
    let (mut runs, mut good, mut sure) = (0, 0, 0);
    for problem in all() {
        for start in [0, 1] {
            let run = problem.fit(start, precision);
            table.push_str(&format!(
                "{:<9} ({}) start {}: {:4.1} digits in parameters, {:4.1} in standard errors, {:3} passes, {:?}, {}\n",
                problem.name,
                problem.level,
                start + 1,
                run.values,
                run.deviations,
                run.outcome.passes,
                run.outcome.status,
                run.outcome.precision
            ));
            runs += 1;
            good += usize::from(run.values >= 6.0);
            // An answer that is called converged must be one.
            let claimed = run.outcome.status == Status::Converged;
            sure += usize::from(!claimed || run.values >= 6.0);
        }
    }
    assert_eq!(runs, 54);
    assert!(good >= least, "only {good} of 54 runs have 6 digits:\n{table}");
    assert_eq!(sure, runs, "a run claims to have converged and has not:\n{table}");
    table
}
