//! What a run says about its parameters, and what it predicts, through the real program.
//!
//! Reference values: SciPy 1.17, `curve_fit` with tolerances of 1e-15; the sandwich and the delta method by hand from its
//! Jacobian, quantiles from `scipy.stats.t`.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use nlsq_coordinator::fit::{Problem, fit as fit_source};
use nlsq_coordinator::outcome::{Observer, PassRecord};
use nlsq_engine::covariance::Kind;
use nlsq_engine::data::memory::Memory;
use nlsq_engine::data::source::{Layout, Weighting};
use nlsq_engine::params::Parameter;
use nlsq_engine::summary::Status;
use serde_json::Value;

use crate::program::nlsq;
use crate::support::numbers;

const DECAY: &str = "--data d.csv --x t --y y --model 'a*exp(-b*t) + c' --p0 a=2,b=1,c=0 --progress none";

/// 80 points of a decay whose scatter grows with t, to six decimals.
fn decay() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut text = String::from("t,y,err\n");
    for k in 0..80u32 {
        let t = f64::from(k) * 0.05;
        let noise = 0.1 * (f64::from(k * 37 % 23) / 23.0 - 0.5) * (1.0 + t);
        text += &format!("{t:?},{:.6},0.03\n", 2.5 * (-0.8 * t).exp() + 0.3 + noise);
    }
    fs::write(dir.path().join("d.csv"), text).unwrap();
    dir
}

fn fit(dir: &Path, flags: &str, out: &str) -> Value {
    let answer = nlsq(dir, &format!("fit {flags} --out {out}"));
    assert_eq!(answer.code, Some(0), "{answer:?}");
    serde_json::from_str(&fs::read_to_string(dir.join(out).join("result.json")).unwrap()).unwrap()
}

fn close(found: &Value, expected: f64, tolerance: f64) {
    let found = found.as_f64().unwrap_or_else(|| panic!("{found} is no number"));
    assert!((found - expected).abs() <= tolerance * expected.abs(), "{found} {expected}");
}

/// The entries of covariance.npy.
fn covariance(run: &Path) -> Vec<f64> {
    let bytes = fs::read(run.join("covariance.npy")).unwrap();
    bytes[128..].chunks_exact(8).map(|entry| f64::from_le_bytes(entry.try_into().unwrap())).collect()
}

/// Lines of CSV as numbers, and the header.
fn table(text: &str) -> (Vec<&str>, Vec<Vec<f64>>) {
    let mut lines = text.lines();
    let header = lines.next().unwrap().split(',').collect();
    (header, lines.map(|line| line.split(',').map(|cell| cell.parse().unwrap()).collect()).collect())
}

#[test]
fn errors_intervals_and_correlations_are_those_of_scipy() {
    let dir = decay();
    let result = fit(dir.path(), DECAY, "run");
    let values = [2.515_579_453_378_808_5, 0.777_282_678_278_437_1, 0.267_080_440_810_516_46];
    let errors = [0.040_470_568_572_701_59, 0.037_754_766_358_170_66, 0.037_347_283_467_831_84];
    for j in 0..3 {
        let p = &result["parameters"][j];
        close(&p["value"], values[j], 1e-7);
        close(&p["stderr"], errors[j], 1e-6);
        close(&p["ci"][0], values[j] - 1.991_254_395_388_384_6 * errors[j], 1e-6);
        close(&p["ci"][1], values[j] + 1.991_254_395_388_384_6 * errors[j], 1e-6);
        assert_eq!(result["correlation"][j][j], 1.0);
    }
    close(&result["correlation"][0][2], -0.445_740_7, 1e-5);
    close(&result["correlation"][2][1], 0.898_406_5, 1e-5);
    assert_eq!((&result["covariance_kind"], &result["confidence"]), (&"classic".into(), &0.95.into()));
    assert_eq!(result["sigma"], "none");
    assert_eq!(result["health"]["identifiability"]["rank"], 3);
    let report = fs::read_to_string(dir.path().join("run/report.txt")).unwrap();
    for part in ["95 % interval", "no sigma given", "health\n", "correlations\n", "classic: from J'J"] {
        assert!(report.contains(part), "{part}: {report}");
    }

    let narrow = fit(dir.path(), &format!("{DECAY} --confidence 0.9"), "narrow");
    close(&narrow["parameters"][0]["ci"][1], values[0] + 1.664_884_537_258_205_3 * errors[0], 1e-6);
    assert_eq!(narrow["confidence"], 0.9);
    let job = fs::read_to_string(dir.path().join("narrow/job.toml")).unwrap();
    assert!(job.contains("confidence = 0.9\n") && job.contains("covariance = \"classic\"\n"), "{job}");

    let known = fit(dir.path(), &format!("{DECAY} --sigma err --absolute-sigma"), "known");
    let error = 0.012_899_489_105_512_031;
    close(&known["parameters"][0]["ci"][0], values[0] - 1.959_963_984_540_054 * error, 1e-6);
    let warnings = known["warnings"].to_string();
    assert!(warnings.contains("residuals are larger than sigma says, 3.137 of it"), "{warnings}");
}

/// Weights below 0 count as they are; who evaluated the points is named whether or not they were other processes.
#[test]
fn under_a_loss_that_bends_down_the_sandwich_keeps_its_bread() {
    let dir = decay();
    let job = "--data d.csv --x t --y y --model 'a + 0*t' --p0 a=1 --loss cauchy --loss-scale 0.2 --progress none";
    let result = fit(dir.path(), &format!("{job} --covariance sandwich --workers 2"), "run");
    let a = result["parameters"][0]["value"].as_f64().unwrap();
    let text = fs::read_to_string(dir.path().join("d.csv")).unwrap();
    let (mut bread, mut filling, mut n) = (0.0, 0.0, 0.0);
    for row in table(&text).1 {
        let z = ((a - row[1]) / 0.2).powi(2);
        bread += (1.0 - z) / (1.0 + z).powi(2);
        filling += ((a - row[1]) / (1.0 + z)).powi(2);
        n += 1.0;
    }
    let variance = filling / (bread * bread) * n / (n - 1.0);
    close(&result["parameters"][0]["stderr"], variance.sqrt(), 1e-6);
    assert_eq!((&result["loss"], &result["loss_scale"]), (&"cauchy".into(), &0.2.into()));
    assert_eq!(result["workers"], 2);
    assert!(result["device"].as_str().unwrap().contains("cpu"), "{}", result["device"]);
}

#[test]
fn the_sandwich_is_the_sum_over_points() {
    let dir = decay();
    let result = fit(dir.path(), &format!("{DECAY} --covariance sandwich"), "run");
    for (j, expected) in
        [0.036_451_924_274_899_29, 0.035_881_408_392_717_126, 0.045_264_059_340_045_34].into_iter().enumerate()
    {
        close(&result["parameters"][j]["stderr"], expected, 1e-6);
    }
    close(&covariance(&dir.path().join("run"))[1].into(), -0.000_925_583_455_905_641_7, 1e-5);
    assert_eq!(result["covariance_kind"], "sandwich");
    let phases = result["phases"].as_array().unwrap();
    assert_eq!((&phases[phases.len() - 1]["name"], &phases[phases.len() - 1]["passes"]), (&"finish".into(), &1.into()));
    let total: u64 = phases.iter().map(|phase| phase["passes"].as_u64().unwrap()).sum();
    assert_eq!(result["passes"], total);

    // under a robust loss g = rho' r grad r and A = J'J with the loss's weights: by hand for soft_l1 and a constant
    let robust = "--data d.csv --x t --y y --model 'a + 0*t' --p0 a=1 --loss soft_l1 --loss-scale 0.5 --progress none";
    let result = fit(dir.path(), &format!("{robust} --covariance sandwich"), "robust");
    let a = result["parameters"][0]["value"].as_f64().unwrap();
    let text = fs::read_to_string(dir.path().join("d.csv")).unwrap();
    let (mut bread, mut filling) = (0.0, 0.0);
    for row in table(&text).1 {
        let z = ((a - row[1]) / 0.5).powi(2);
        let (first, second) = ((1.0 + z).powf(-0.5), -0.5 * (1.0 + z).powf(-1.5));
        bread += first + 2.0 * z * second;
        filling += (first * (a - row[1])).powi(2);
    }
    close(&result["parameters"][0]["stderr"], (filling * 80.0 / 79.0).sqrt() / bread, 1e-9);

    let refused = nlsq(dir.path(), &format!("fit {DECAY} --sigma err --absolute-sigma --covariance sandwich"));
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("covariance sandwich takes the scatter from the residuals"), "{refused:?}");
    let refused = nlsq(dir.path(), &format!("fit {DECAY} --confidence 95"));
    assert!(refused.code == Some(2) && refused.stderr.contains("a number above 0 and below 1"), "{refused:?}");
}

#[test]
fn a_clean_fit_has_no_warnings_and_a_wrong_model_has_one_that_helps() {
    let dir = tempfile::tempdir().unwrap();
    let mut text = String::from("t,y\n");
    for (k, noise) in numbers(5_000, 11).enumerate() {
        let t = k as f64 / 5_000.0 - 0.5;
        text += &format!("{t},{}\n", 1.0 + 2.0 * t + t * t + 0.05 * (noise - 0.5));
    }
    fs::write(dir.path().join("d.csv"), text).unwrap();
    let job = "--data d.csv --x t --y y --progress none --p0";
    let clean = fit(dir.path(), &format!("{job} a=1,b=1,c=0 --model 'a + b*t + c*t*t'"), "clean");
    assert_eq!(clean["warnings"], Value::Array(Vec::new()));
    assert!(clean["health"]["lag1"].as_f64().unwrap().abs() < 0.05, "{}", clean["health"]);
    let wrong = fit(dir.path(), &format!("{job} a=1,b=1 --model 'a + b*t'"), "wrong");
    let warnings = wrong["warnings"].as_array().unwrap();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let text = warnings[0].as_str().unwrap();
    assert!(text.contains("neighbouring points are correlated") && text.contains("plot the residuals"), "{text}");
    let far = fit(dir.path(), &format!("{job} a=1,b=1,c=0 --model 'a + b*(t + 20) + c*t*t'"), "far");
    let text = far["warnings"].to_string();
    assert!(text.contains("strongly correlated: a and b (-0.999"), "{text}");
}

#[test]
fn predictions_are_those_of_the_delta_method() {
    let dir = decay();
    fit(dir.path(), DECAY, "run");
    let answer = nlsq(dir.path(), "predict run --at t=0.5:5:2");
    assert_eq!((answer.code, answer.stderr.as_str()), (Some(0), ""), "{answer:?}");
    let (header, rows) = table(&answer.stdout);
    assert_eq!(header, ["t", "fit", "stderr", "ci_lo", "ci_hi", "pi_lo", "pi_hi"]);
    let expected = [
        [
            0.5,
            1.972_586_433_872_893,
            0.018_149_626_973_448_72,
            1.936_445_909_387_352_5,
            2.008_726_958_358_431,
            1.781_714_198_552_682_8,
        ],
        [
            5.0,
            0.318_697_130_488_444_6,
            0.028_476_988_547_016_302,
            0.261_992_201_876_773_74,
            0.375_402_059_100_115_5,
            0.122_887_218_494_955_26,
        ],
    ];
    for (row, expected) in rows.iter().zip(expected) {
        for (found, expected) in row.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6 * expected.abs(), "{row:?} {expected:?}");
        }
        assert!((row[6] + row[5] - 2.0 * row[1]).abs() < 1e-12);
    }
    // the same points from a file, in another format, with another level
    fs::write(dir.path().join("at.csv"), "t\n0.5\n5\n").unwrap();
    let file = nlsq(dir.path(), "predict run --data at.csv");
    assert_eq!(file.stdout, answer.stdout);
    let answer = nlsq(dir.path(), "predict run --data at.csv --level 0.9 --out p.parquet");
    assert_eq!((answer.code, answer.stdout.as_str()), (Some(0), "2 points: p.parquet\n"), "{answer:?}");
    let refit = "--data p.parquet --x t --y 'ci_hi - fit' --model 'a + 0*t' --fix a=1 --progress none";
    assert_eq!(nlsq(dir.path(), &format!("check {refit}")).code, Some(2), "nothing is free");
    let again = nlsq(dir.path(), "predict run --data at.csv --out p.parquet");
    assert!(again.code == Some(2) && again.stderr.contains("p.parquet exists"), "{again:?}");
    assert_eq!(nlsq(dir.path(), "predict run --data at.csv --out p.parquet --overwrite").code, Some(0));
    assert!(nlsq(dir.path(), "inspect p.parquet").stdout.contains("pi_hi"));

    // with the sandwich the same at other errors
    fit(dir.path(), &format!("{DECAY} --covariance sandwich"), "sandwich");
    let sandwich = nlsq(dir.path(), "predict sandwich --at t=0.5:5:2");
    let errors: Vec<f64> = table(&sandwich.stdout).1.iter().map(|row| row[2]).collect();
    assert!((errors[0] / 0.009_735_906_250_912_906 - 1.0).abs() < 1e-5, "{errors:?}");
    assert!((errors[1] / 0.036_104_586_094_440_984 - 1.0).abs() < 1e-5, "{errors:?}");
}

#[test]
fn a_measurement_scatters_by_its_sigma() {
    let dir = decay();
    fit(dir.path(), &format!("{DECAY} --sigma err --absolute-sigma"), "known");
    let bare = nlsq(dir.path(), "predict known --at t=1");
    assert!(bare.code == Some(0) && bare.stderr.contains("give --sigma"), "{bare:?}");
    assert_eq!(table(&bare.stdout).0.len(), 5);
    let rows = |flags: &str| {
        let answer = nlsq(dir.path(), &format!("predict known {flags}"));
        assert_eq!((answer.code, answer.stderr.as_str()), (Some(0), ""), "{answer:?}");
        table(&answer.stdout).1
    };
    let row = &rows("--at t=1 --sigma 0.2")[0];
    let half = 1.959_963_984_540_054 * (row[2] * row[2] + 0.04).sqrt();
    assert!((row[6] - row[1] - half).abs() < 1e-9, "{row:?}");
    fs::write(dir.path().join("at.csv"), "time,e\n1,0.1\n2,0.4\n").unwrap();
    for row in rows("--data at.csv --x t=time --sigma 'e*2'") {
        let sigma = if row[0] == 1.0 { 0.2 } else { 0.8 };
        let half = 1.959_963_984_540_054 * row[2].hypot(sigma);
        assert!((row[6] - row[1] - half).abs() < 1e-9, "{row:?}");
    }
    fs::write(dir.path().join("bad.csv"), "t,e\n1,0.1\n2,0\n").unwrap();
    let bad = nlsq(dir.path(), "predict known --data bad.csv --sigma e --out bad.npy");
    assert!(bad.code == Some(2) && bad.stderr.contains("bad.csv, row 2: e is 0"), "{bad:?}");
    let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("npy")), "{left:?}");
}

#[test]
fn predictions_of_bad_requests_say_what_was_expected() {
    let dir = decay();
    fit(dir.path(), DECAY, "run");
    fs::create_dir(dir.path().join("empty")).unwrap();
    fs::write(dir.path().join("other.csv"), "x,y\n1,2\n").unwrap();
    for (line, what) in [
        ("predict empty --at t=1", "expected the directory of a run"),
        ("predict run", "--data"),
        ("predict run --at q=1", "the model has no variable \"q\", it has t"),
        ("predict run --at t=1 --data d.csv", "cannot be used with"),
        ("predict run --at t=1 --level 95", "a number above 0 and below 1"),
        ("predict run --at t=1 --sigma 1", "the run had no sigma"),
        ("predict run --data other.csv", "no column"),
        ("predict run --data none.csv", "none.csv"),
        ("predict run --data other.csv --x x", "expected the variables of the model in its order, t; found x"),
        ("predict run --at t=1 --out p.xyz", "p.xyz"),
    ] {
        let answer = nlsq(dir.path(), line);
        assert_eq!(answer.code, Some(2), "{line}: {answer:?}");
        assert!(answer.stderr.contains(what), "{line}: {}", answer.stderr);
        assert_eq!(answer.stdout, "", "{line}");
    }
    // another run's covariance
    fit(dir.path(), "--data d.csv --x t --y y --model 'a + b*t' --p0 a=1,b=1 --progress none", "line");
    fs::copy(dir.path().join("line/covariance.npy"), dir.path().join("run/covariance.npy")).unwrap();
    let mixed = nlsq(dir.path(), "predict run --at t=1");
    assert!(mixed.code == Some(2) && mixed.stderr.contains("are not of one run"), "{mixed:?}");
}

#[test]
fn points_without_a_value_keep_their_rows() {
    let dir = decay();
    fit(dir.path(), "--data d.csv --x t --y y --model 'a*log(t + 1) + b' --p0 a=1,b=1 --progress none", "run");
    fs::write(dir.path().join("at.csv"), "t\n1\n\n-3\n2\n").unwrap();
    let answer = nlsq(dir.path(), "predict run --data at.csv");
    assert_eq!(answer.code, Some(0), "{answer:?}");
    let rows = table(&answer.stdout).1;
    assert!(rows.last().unwrap().iter().all(|value| value.is_finite()), "{rows:?}");
    assert!(answer.stderr.contains("is not finite at 1 points"), "{answer:?}");
    assert!(rows[rows.len() - 2][1].is_nan(), "{rows:?}");
}

/// Stops a fit after so many passes.
struct Impatient(u64);

impl Observer for Impatient {
    fn iteration(&mut self, _: &PassRecord) {
        self.0 = self.0.saturating_sub(1);
    }

    fn stop(&mut self) -> Option<String> {
        (self.0 == 0).then(|| "the observer has seen enough".to_string())
    }
}

#[test]
fn a_fit_that_is_stopped_before_its_scores_says_that_its_errors_are_classic() {
    let run = |passes| {
        let t: Vec<f64> = (0..100).map(|k| f64::from(k) / 50.0).collect();
        let y = t.iter().zip(numbers(100, 5)).map(|(t, noise)| (-t).exp() + 0.1 * noise).collect();
        let layout = Layout { variables: vec!["t".into()], y: "y".into(), weighting: Weighting::None, mask: None };
        let points = Memory::new(layout, vec![t, y]).unwrap();
        let (min, max) = (f64::NEG_INFINITY, f64::INFINITY);
        let free = |name: &str| Parameter { name: name.into(), start: 1.5, min, max, fixed: false };
        let problem = Problem::new("a*exp(-b*t)", &["t"], vec![free("a"), free("b")]).unwrap().with_sandwich();
        fit_source(problem, Arc::new(points), 1, &mut Impatient(passes)).unwrap()
    };
    let stopped = run(2);
    assert_eq!((stopped.status, stopped.covariance_kind), (Status::Interrupted, Kind::Classic));
    assert!(stopped.warnings.iter().any(|warning| warning.contains("classic ones")), "{:?}", stopped.warnings);
    let whole = run(u64::MAX);
    assert_eq!((whole.status, whole.covariance_kind), (Status::Converged, Kind::Sandwich));
    assert!(whole.warnings.iter().all(|warning| !warning.contains("classic")), "{:?}", whole.warnings);
}
