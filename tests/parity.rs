//! The same bits for any number of threads and workers, any placement, any format.

use crate::support::{Run, decay_csv, folder};

const JOB: &[&str] = &["--x", "t", "--y", "y", "--sigma", "err", "--model", "a*exp(-b*t)+c", "--p0", "a=1,b=1,c=0"];

/// Every way of running that must not change a bit.
const WAYS: &[&[&str]] = &[
    &["--threads", "2"],
    &["--threads", "5"],
    &["--workers", "1"],
    &["--workers", "2"],
    &["--workers", "3"],
    &["--workers", "5", "--threads", "2"],
    &["--workers", "3", "--placement", "scattered"],
    &["--workers", "2", "--placement", "scattered", "--threads", "3"],
];

fn check(extra: &[&str]) {
    check_ways(WAYS, extra);
}

fn check_ways(ways: &[&[&str]], extra: &[&str]) {
    let folder = folder();
    let data = folder.path().join("decay.csv");
    // 31 tiles, the last one cut short inside a row of lanes
    decay_csv(&data, 30 * 2_048 + 1_001);
    let run = |name: &str, way: &[&str]| {
        let data = data.to_str().expect("a plain path");
        let job = [&["--data", data, "--tile-points", "2048"], JOB, extra, way].concat();
        Run::fit(folder.path().join(name), &job)
    };
    let alone = run("alone", &["--threads", "1"]);
    assert_eq!(alone.result["n_points"], 30 * 2_048 + 1_001);
    for (k, way) in ways.iter().enumerate() {
        let other = run(&format!("way{k}"), way);
        assert_eq!(other.parameters(), alone.parameters(), "{way:?} {extra:?}");
        assert_eq!(other.covariance(), alone.covariance(), "{way:?} {extra:?}");
        for key in [
            "health",
            "correlation",
            "warnings",
            "status",
            "cost",
            "rss",
            "r_squared",
            "gradient_norm",
            "condition_number",
            "passes",
            "n_used",
            "phases",
            "profiles",
        ] {
            assert_eq!(other.result[key], alone.result[key], "{key}: {way:?} {extra:?}");
        }
    }
}

#[test]
fn a_converged_fit_has_the_same_bits_everywhere() {
    check(&[]);
}

/// One way of each kind is enough where only the minimizer differs.
const FEW_WAYS: &[&[&str]] = &[&["--threads", "3"], &["--workers", "2", "--placement", "scattered"]];

#[test]
fn every_method_has_the_same_bits_everywhere() {
    const BOX: [&str; 2] = ["--bounds", "a=0:9,b=0:9,c=-2:3"];
    for method in
        [&["--method", "lm"][..], &["--method", "trf"], &["--method", "global", BOX[0], BOX[1]], &["--starts", "5"]]
    {
        check_ways(FEW_WAYS, method);
        check_ways(FEW_WAYS, &[method, &["--max-passes", "4"]].concat());
    }
}

#[test]
fn every_loss_has_the_same_bits_everywhere() {
    for loss in ["soft_l1", "huber", "cauchy", "arctan", "tukey"] {
        check_ways(FEW_WAYS, &["--loss", loss, "--loss-scale", "0.05"]);
        check_ways(FEW_WAYS, &["--loss", loss, "--loss-scale", "mad", "--max-passes", "6"]);
    }
}

/// A converged fit hides differences: the minimum attracts. One that is stopped on its way does not.
#[test]
fn a_fit_stopped_early_has_the_same_bits_everywhere() {
    check(&["--max-passes", "3"]);
}

#[test]
fn a_robust_fit_with_bounds_and_a_fixed_parameter_has_the_same_bits_everywhere() {
    check(&["--loss", "soft_l1", "--loss-scale", "0.05", "--bounds", "a=0:4.5", "--fix", "c=1"]);
}

/// Several candidates in each pass, and refits that start from their neighbours.
#[test]
fn a_tournament_and_a_profile_have_the_same_bits_everywhere() {
    check(&[
        "--starts",
        "4",
        "--seed",
        "7",
        "--bounds",
        "a=0.1:10,b=0.1:10,c=-1:3",
        "--profile",
        "b",
        "--max-passes",
        "40",
    ]);
}

#[test]
fn a_fit_that_begins_in_single_precision_has_the_same_bits_everywhere() {
    check(&["--precision", "f32"]);
    check(&["--precision", "f32", "--max-passes", "3", "--loss", "cauchy", "--loss-scale", "0.1"]);
}

#[test]
fn a_scale_estimated_from_all_residuals_has_the_same_bits_everywhere() {
    check(&["--loss", "tukey"]);
    check(&["--loss", "huber", "--loss-scale", "mad", "--max-passes", "5"]);
}

#[test]
fn the_triangle_of_the_jacobian_has_the_same_bits_everywhere() {
    check(&["--solver", "tsqr"]);
    check(&["--solver", "tsqr", "--loss", "cauchy", "--loss-scale", "0.1", "--bounds", "b=0:2.5", "--max-passes", "4"]);
}

#[test]
fn rows_left_out_change_no_bit_of_the_order() {
    check(&["--mask", "t > 0.1", "--max-passes", "4"]);
}

#[test]
fn the_sandwich_has_the_same_bits_everywhere() {
    check(&["--covariance", "sandwich", "--loss", "huber", "--loss-scale", "0.05"]);
}
