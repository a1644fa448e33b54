//! Several starts, global search and profiles through the real program.

use std::fs;
use std::path::Path;

use crate::support::{Run, folder, numbers};

/// y = 2 sin(3 t) with noise of standard deviation 0.1.
fn wave_csv(path: &Path) {
    let mut text = String::from("t,y\n");
    for ((i, a), b) in numbers(400, 5).enumerate().zip(numbers(400, 6)) {
        let t = i as f64 / 40.0;
        let y = 2.0 * (3.0 * t).sin() + 0.1 * 6f64.sqrt() * (a + b - 1.0);
        text.push_str(&format!("{t},{y}\n"));
    }
    fs::write(path, text).expect("the test's folder is writable");
}

const WAVE: &[&str] =
    &["--x", "t", "--y", "y", "--model", "a*sin(w*t)", "--p0", "a=1,w=6", "--bounds", "a=0.1:10,w=0.2:8"];

/// A run whose files outlive it.
struct Wave {
    run: Run,
    log: String,
    report: String,
    job: String,
}

impl Wave {
    fn fit(extra: &[&str]) -> Self {
        let folder = folder();
        let data = folder.path().join("wave.csv");
        wave_csv(&data);
        let job = [&["--data", data.to_str().expect("a plain path")], WAVE, extra].concat();
        let run = Run::fit(folder.path().join("run"), &job);
        let text = |name: &str| fs::read_to_string(run.dir.join(name)).expect("a run leaves its files");
        let (log, report, job) = (text("log.jsonl"), text("report.txt"), text("job.toml"));
        Self { run, log, report, job }
    }

    fn frequency(&self) -> f64 {
        self.run.result["parameters"][1]["value"].as_f64().expect("a number")
    }

    fn passes(&self, phase: &str) -> u64 {
        let phases = self.run.result["phases"].as_array().expect("a list");
        phases.iter().filter(|p| p["name"] == phase).map(|p| p["passes"].as_u64().expect("a count")).sum()
    }
}

#[test]
fn p0_alone_is_caught_and_a_tournament_is_not() {
    let alone = Wave::fit(&[]);
    assert!((alone.frequency() - 3.0).abs() > 0.5, "{}", alone.report);
    let many = Wave::fit(&["--starts", "16", "--seed", "3"]);
    assert_eq!(many.run.output.status.code(), Some(0), "{}", many.report);
    assert!((many.frequency() - 3.0).abs() < 0.01, "{}", many.report);
    assert!(many.log.contains("of 16 starts start "), "{}", many.log);
    assert!(many.passes("explore") > 1);
    assert_eq!(many.run.result["passes"], many.passes("explore") + many.passes("refine"));
    assert!(many.job.contains("starts = 16") && many.job.contains("seed = 3"), "{}", many.job);
    let again = Wave::fit(&["--starts", "16", "--seed", "3"]);
    assert_eq!(again.run.parameters(), many.run.parameters());
    assert_eq!(again.run.result["phases"], many.run.result["phases"]);
}

#[test]
fn a_global_search_finds_the_right_well_within_its_share_of_passes() {
    let wave = Wave::fit(&["--method", "global", "--max-passes", "60"]);
    assert!((wave.frequency() - 3.0).abs() < 0.01, "{}", wave.report);
    assert!(wave.passes("explore") <= 46 && wave.passes("refine") > 0, "{}", wave.report);
    assert!(wave.log.contains("global search: "));
}

#[test]
fn profiles_stand_in_result_and_report() {
    let wave = Wave::fit(&["--starts", "16", "--profile", "w,a"]);
    assert!(wave.passes("profile") > 0, "{}", wave.report);
    let profiles = wave.run.result["profiles"].as_array().expect("a list");
    assert_eq!((profiles[0]["parameter"].as_str(), profiles.len()), (Some("w"), 2));
    for (profile, j) in profiles.iter().zip([1, 0]) {
        let parameter = &wave.run.result["parameters"][j];
        let (value, error) = (parameter["value"].as_f64().unwrap(), parameter["stderr"].as_f64().unwrap());
        for limits in profile["limits"].as_array().expect("a list") {
            let of = |key: &str| limits[key].as_f64().expect("a limit");
            // nearly linear here: a fiftieth of a standard error
            assert!((of("upper") - value - of("tau") * error).abs() < 0.02 * error, "{profile}");
            assert!((value - of("lower") - of("tau") * error).abs() < 0.02 * error, "{profile}");
        }
        assert!(profile["points"].as_array().expect("a list").len() >= 9);
    }
    assert!(wave.report.contains("profile likelihood\n  w  68.27 %: ["), "{}", wave.report);
    assert!(wave.report.contains("(symmetric would be ["));
    assert!(wave.job.contains("profile = [\"w\", \"a\"]"), "{}", wave.job);
}
