//! Tournaments on curves with several minima.

use super::*;
use crate::explore::curve::{Curve, grid, noise};

/// A wave: the cost has a minimum near every frequency that fits the window a whole number of times better.
fn wave() -> Curve {
    Curve::new("a*sin(w*x)", grid(0.0, 10.0, 100), &[2.0, 3.0], |i| 0.1 * noise(2)(i))
}

const BOUNDS: [(f64, f64); 2] = [(0.1, 10.0), (0.2, 8.0)];
const POOR: [f64; 2] = [1.0, 6.0];

fn run(curve: &mut Curve, p0: &[f64], bounds: &[(f64, f64)], options: StartsOptions) -> (Summary, Standing) {
    let parameters = curve.parameters(p0, bounds);
    let mut tournament = Tournament::new(&parameters, minimize::Options::default(), options, Costing::default());
    curve.run(&mut tournament);
    let (mut winner, standing) = tournament.finish();
    curve.run(&mut winner);
    (winner.summary().unwrap(), standing)
}

fn starts(starts: usize, seed: u64) -> StartsOptions {
    StartsOptions { starts, seed, ..StartsOptions::default() }
}

#[test]
fn the_right_well_is_found_though_p0_lies_in_a_wrong_one() {
    let mut curve = wave();
    let mut alone = Minimizer::new(&curve.parameters(&POOR, &BOUNDS), minimize::Options::default());
    curve.run(&mut alone);
    assert!(alone.summary().unwrap().normal.cost > 50.0, "p0 alone is caught");
    let found = (0..20).filter(|&seed| {
        let (summary, standing) = run(&mut wave(), &POOR, &BOUNDS, starts(20, seed));
        assert!(standing.minima.windows(2).all(|pair| pair[0].cost <= pair[1].cost));
        (summary.theta[1] - 3.0).abs() < 0.01 && summary.status == Status::Converged
    });
    assert_eq!(found.count(), 20);
}

#[test]
fn p0_wins_where_it_is_best_and_no_pass_is_repeated() {
    let mut curve = wave();
    let p0 = [1.9, 3.01];
    let (summary, standing) = run(&mut curve, &p0, &BOUNDS, starts(8, 1));
    let mut alone = Minimizer::new(&curve.parameters(&p0, &BOUNDS), minimize::Options::default());
    let mut other = wave();
    other.run(&mut alone);
    let alone = alone.summary().unwrap();
    // its minimizer took the same path as it would have alone
    assert_eq!((&summary.theta, summary.passes, &summary.normal), (&alone.theta, alone.passes, &alone.normal));
    assert_eq!((standing.winner, standing.start.as_slice()), (0, &p0[..]));
    // the lining up is the one read more, beside what the last of the others needed to be eliminated
    assert!(curve.reads <= 1 + alone.passes.max(4 * 5), "{} reads, {} alone", curve.reads, alone.passes);
    assert!(standing.notes(&["a".into(), "w".into()])[0].starts_with("of 8 starts p0 won: a = 1.9"));
}

/// The same seed draws the same starts, and the state between two passes can be saved and read back.
#[test]
fn the_seed_decides_and_a_saved_state_goes_on_the_same_way() {
    let first = run(&mut wave(), &POOR, &BOUNDS, starts(12, 5));
    assert_eq!(first, run(&mut wave(), &POOR, &BOUNDS, starts(12, 5)));
    assert_ne!(first.1.start, run(&mut wave(), &POOR, &BOUNDS, starts(12, 6)).1.start);

    let mut curve = wave();
    let parameters = curve.parameters(&POOR, &BOUNDS);
    let mut tournament = Tournament::new(&parameters, minimize::Options::default(), starts(12, 5), Costing::default());
    while let Some(request) = tournament.demand() {
        tournament = crate::saved::tests::again(&tournament);
        tournament.take(curve.answer(&request));
    }
    let (mut winner, standing) = tournament.finish();
    curve.run(&mut winner);
    assert_eq!((winner.summary().unwrap(), standing), first);
}

#[test]
fn starts_at_which_the_model_is_not_finite_drop_out() {
    // finite only for a > 1
    let mut curve = Curve::new("log(a - 1) + b*x", grid(0.0, 1.0, 30), &[4.0, 2.0], |i| 0.01 * noise(3)(i));
    let bounds = [(-20.0, 20.0), (-5.0, 5.0)];
    let (summary, standing) = run(&mut curve, &[2.0, 0.0], &bounds, starts(16, 2));
    assert!((summary.theta[0] - 4.0).abs() < 0.1 && standing.not_finite >= 5, "{standing:?}");
    // p0 too: another start wins
    let (summary, standing) = run(&mut curve, &[-3.0, 0.0], &bounds, starts(16, 2));
    assert!((summary.theta[0] - 4.0).abs() < 0.1 && standing.winner != 0);
    // nowhere finite: the fit from p0 says so
    let (summary, standing) = run(&mut curve, &[-3.0, 0.0], &[(-20.0, 0.5), (-5.0, 5.0)], starts(5, 2));
    assert_eq!((summary.status, standing.winner, standing.not_finite), (Status::Failed, 0, 5));
}

/// Two decays may change places: two minima of equal cost.
#[test]
fn a_minimum_that_is_not_unique_is_told() {
    let expression = "a*exp(-b*x) + c*exp(-d*x)";
    let mut curve = Curve::new(expression, grid(0.0, 5.0, 80), &[3.0, 0.3, 2.0, 2.5], |i| 1e-3 * noise(4)(i));
    let bounds = [(0.0, 10.0), (0.01, 10.0), (0.0, 10.0), (0.01, 10.0)];
    let names = ["a", "b", "c", "d"].map(String::from);
    let (summary, standing) = run(&mut curve, &[1.0, 1.0, 1.0, 2.0], &bounds, starts(24, 7));
    let warning = standing.not_unique(&names, &summary.theta, &summary.normal).expect("two places, one cost");
    assert!(warning.contains("not unique") && warning.contains("d = "), "{warning}");
    assert!(standing.minima.len() >= 2 && standing.minima.iter().map(|m| m.starts).sum::<usize>() <= 24);

    let mut line = Curve::new("a*x + b", grid(0.0, 1.0, 20), &[1.0, 2.0], |i| 0.1 * noise(5)(i));
    let (summary, standing) = run(&mut line, &[0.0, 0.0], &[], starts(9, 7));
    assert_eq!(standing.not_unique(&names[..2], &summary.theta, &summary.normal), None);
    assert!(standing.minima.len() <= 1);
}

#[test]
fn all_starts_share_each_read_and_max_passes_holds() {
    let mut curve = wave();
    let parameters = curve.parameters(&POOR, &BOUNDS);
    let options = minimize::Options { max_passes: 9, ..minimize::Options::default() };
    let mut tournament = Tournament::new(&parameters, options, starts(40, 1), Costing::default());
    curve.run(&mut tournament);
    let (mut winner, _) = tournament.finish();
    curve.run(&mut winner);
    assert!(curve.reads <= 9, "{}", curve.reads);
    assert!(curve.evaluations >= 40 + 20);
}
