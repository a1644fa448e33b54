//! A price on the spread within groups of parameters.

use std::fs;
use std::sync::Arc;

use nlsq_coordinator::fit::{Problem, fit};
use nlsq_coordinator::outcome::Outcome;
use nlsq_engine::data::memory::Memory;
use nlsq_engine::data::source::{Layout, Weighting};
use nlsq_engine::loss::{Loss, LossKind};
use nlsq_engine::params::Parameter;
use nlsq_engine::summary::Status;

use crate::support::{Run, folder, numbers};

/// Three decays of one rate with amplitudes of their own and a common floor; group 1 of two amplitudes, c alone.
const MODEL: &str = "where(k == 0, a0, where(k == 1, a1, a2))*exp(-b*t) + c";

fn columns(n: usize) -> Vec<Vec<f64>> {
    let k: Vec<f64> = (0..n).map(|i| (i % 3) as f64).collect();
    let t: Vec<f64> = numbers(n, 5).map(|u| 2.0 * u).collect();
    let noise: Vec<f64> = numbers(n, 6).collect();
    let y = (0..n).map(|i| (2.0 + 0.3 * k[i]) * (-1.5 * t[i]).exp() + 0.5 + 0.4 * (noise[i] - 0.5)).collect();
    vec![k, t, y]
}

fn solve(columns: Vec<Vec<f64>>, weight: Option<f64>, loss: Loss) -> Outcome {
    let free = |name: &str| {
        let (min, max) = (f64::NEG_INFINITY, f64::INFINITY);
        Parameter { name: name.to_string(), start: 1.0, min, max, fixed: false }
    };
    let problem = Problem::new(MODEL, &["k", "t"], ["a0", "a1", "a2", "b", "c"].map(free).into());
    let mut problem = problem.expect("a lawful problem").with_loss(loss);
    if let Some(weight) = weight {
        let group = ["a0", "a1", "a2"].map(String::from).to_vec();
        problem = problem.with_group_variance(weight, &[group]).expect("a lawful group");
    }
    let layout = Layout {
        variables: ["k", "t"].map(String::from).into(),
        y: "y".into(),
        weighting: Weighting::None,
        mask: None,
    };
    let points = Memory::new(layout, columns).expect("columns of one length");
    let outcome = fit(problem, Arc::new(points), 2, &mut ()).expect("a fit");
    assert_eq!(outcome.status, Status::Converged, "{}", outcome.reason);
    outcome
}

fn values(outcome: &Outcome) -> Vec<f64> {
    outcome.parameters.iter().map(|p| p.value).collect()
}

fn spread(outcome: &Outcome) -> f64 {
    let a = &values(outcome)[..3];
    let mean = a.iter().sum::<f64>() / 3.0;
    a.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 3.0
}

#[test]
fn the_spread_falls_as_its_price_rises() {
    for loss in [Loss::default(), Loss { kind: LossKind::Cauchy, scale: 0.1 }] {
        let free = solve(columns(600), None, loss);
        assert_eq!(values(&solve(columns(600), Some(0.0), loss)), values(&free), "a price of 0 changes nothing");
        let mut last = spread(&free);
        for weight in [0.01, 0.1, 1.0, 1e4] {
            let priced = solve(columns(600), Some(weight), loss);
            assert!(spread(&priced) < last, "{weight}");
            assert!(priced.cost > free.cost, "the cost is that of the points");
            let price = 0.5 * 600.0 * weight * spread(&priced);
            let found = priced.penalty.expect("a price");
            assert!((found - price).abs() < 1e-9 * price, "{found} {price}");
            last = spread(&priced);
        }
        assert!(last < 1e-8, "{last}");
    }
}

/// Where the price lacks the factor n that the cost has, twice the points give another compromise.
#[test]
fn the_same_points_twice_give_the_same_compromise() {
    let once = columns(300);
    let twice = once.iter().map(|column| [column.as_slice(), column].concat()).collect();
    let (once, twice) = (solve(once, Some(0.05), Loss::default()), solve(twice, Some(0.05), Loss::default()));
    for (a, b) in values(&once).iter().zip(values(&twice)) {
        assert!((a - b).abs() < 1e-9, "{a} {b}");
    }
}

#[test]
fn it_works_in_every_method_and_in_processes_and_from_the_written_job() {
    let folder = folder();
    let data = folder.path().join("decays.csv");
    let columns = columns(5_000);
    let rows = (0..5_000).map(|i| format!("{},{},{}\n", columns[0][i], columns[1][i], columns[2][i]));
    fs::write(&data, format!("k,t,y\n{}", rows.collect::<String>())).expect("the folder is writable");
    let job = folder.path().join("job.toml");
    let text = format!(
        "[model]\nexpression = \"{MODEL}\"\n[data]\nfiles = [\"decays.csv\"]\nx = [\"k\", \"t\"]\ny = \"y\"\n\
         [parameters]\na0 = {{ start = 1 }}\na1 = {{ start = 1 }}\na2 = {{ start = 1 }}\nb = {{ start = 1 }}\nc = {{ start = 0 }}\n\
         [fit]\ntile_points = 2048\n[fit.hybrid]\ngroups = [\"a0, a1,a2\"]\ngroup_variance = 0.05\n"
    );
    fs::write(&job, text).expect("the folder is writable");
    let run = |name: &str, job: &std::path::Path, more: &[&str]| {
        let job = job.to_str().expect("a plain path");
        Run::fit(folder.path().join(name), &[&[job], more].concat())
    };
    let alone = run("alone", &job, &["--threads", "1"]);
    assert!(alone.result["penalty"].as_f64().is_some_and(|penalty| penalty > 0.0), "{}", alone.result);
    for (name, more) in [
        ("workers", &["--workers", "2", "--placement", "scattered"][..]),
        ("tsqr", &["--solver", "tsqr"]),
        ("trf", &["--method", "trf"]),
        ("starts", &["--starts", "3"]),
    ] {
        let other = run(name, &job, more);
        let same = alone.parameters() == other.parameters() && alone.covariance() == other.covariance();
        assert!(same || name != "workers", "the same bits");
        for (a, b) in
            alone.result["parameters"].as_array().unwrap().iter().zip(other.result["parameters"].as_array().unwrap())
        {
            let (a, b, error) = (a["value"].as_f64(), b["value"].as_f64(), a["stderr"].as_f64());
            assert!((a.unwrap() - b.unwrap()).abs() < 1e-5 * error.unwrap(), "{name}: {a:?} {b:?}");
        }
    }
    let again = run("again", &alone.dir.join("job.toml"), &["--threads", "1"]);
    assert_eq!((again.parameters(), again.covariance()), (alone.parameters(), alone.covariance()));
}
