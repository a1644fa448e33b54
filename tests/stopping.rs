//! Stopping from outside: by a callback of the Rust interface, by a signal. The best point so far is kept and written.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use nlsq_coordinator::fit::{Problem, fit};
use nlsq_coordinator::outcome::{Observer, PassRecord, RunError};
use nlsq_engine::data::memory::Memory;
use nlsq_engine::data::source::{Layout, Weighting};
use nlsq_engine::params::Parameter;
use nlsq_engine::summary::Status;
use serde_json::Value;

use crate::support::{decay_csv, folder, numbers, program};

/// Stops after some passes, and remembers what it saw.
struct Impatient {
    limit: usize,
    seen: Vec<PassRecord>,
}

impl Observer for Impatient {
    fn iteration(&mut self, record: &PassRecord) {
        self.seen.push(record.clone());
    }

    fn stop(&mut self) -> Option<String> {
        (self.seen.len() >= self.limit).then(|| "patience is over".to_string())
    }
}

fn problem() -> (Problem, Arc<Memory>) {
    let t: Vec<f64> = numbers(3_000, 1).collect();
    let y = t.iter().zip(numbers(3_000, 2)).map(|(t, noise)| 5.0 * (-3.0 * t).exp() + 1.0 + 0.1 * noise).collect();
    let free = |name: &str| {
        let (min, max) = (f64::NEG_INFINITY, f64::INFINITY);
        Parameter { name: name.to_string(), start: 1.0, min, max, fixed: false }
    };
    let problem = Problem::new("a*exp(-b*t) + c", &["t"], ["a", "b", "c"].map(free).into()).expect("a lawful problem");
    let layout = Layout { variables: vec!["t".into()], y: "y".into(), weighting: Weighting::None, mask: None };
    (problem, Arc::new(Memory::new(layout, vec![t, y]).expect("columns of one length")))
}

#[test]
fn a_callback_stops_the_fit_at_its_best_point() {
    let (problem, points) = problem();
    let mut observer = Impatient { limit: 4, seen: Vec::new() };
    let outcome = fit(problem, points, 2, &mut observer).expect("a fit that is stopped has an outcome");
    assert_eq!((outcome.status, outcome.reason.as_str()), (Status::Interrupted, "patience is over"));
    assert_eq!((outcome.passes, observer.seen.len()), (4, 4));
    let accepted = observer.seen.iter().filter(|record| record.iteration.accepted);
    assert_eq!(outcome.cost, accepted.map(|record| record.iteration.cost).fold(f64::INFINITY, f64::min));
}

#[test]
fn a_fit_stopped_before_its_first_pass_has_no_outcome() {
    let (problem, points) = problem();
    let stopped = fit(problem, points, 1, &mut Impatient { limit: 0, seen: Vec::new() });
    let error = stopped.expect_err("nothing is known before the first pass");
    assert!(matches!(&error, RunError::Interrupted { reason } if reason == "patience is over"), "{error}");
    assert_eq!(error.exit_code(), 75);
}

fn endless(data: &std::path::Path, run: &std::path::Path, words: &[&str]) -> Child {
    program()
        .arg("fit")
        .arg("--data")
        .arg(data)
        .args(["--x", "t", "--y", "y", "--model", "a*exp(-b*t)+c", "--p0", "a=1,b=1,c=0"])
        .args(["--xtol", "0", "--ftol", "0", "--gtol", "0", "--max-passes", "1000000"])
        .args(words)
        .args(["--progress", "plain", "--out"])
        .arg(run)
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("the program starts")
}

/// Sends a signal once the first line that begins with `word` is there; the exit code, and all that was said.
fn signalled(mut fit: Child, word: &str, signal: &str) -> (Option<i32>, String) {
    let mut stderr = BufReader::new(fit.stderr.take().expect("piped"));
    let mut said = String::new();
    while !said.lines().any(|line| line.contains(word)) {
        assert_ne!(stderr.read_line(&mut said).expect("text"), 0, "it ended before: {said}");
    }
    let sent = Command::new("kill").args([signal, &fit.id().to_string()]).status().expect("kill is there");
    assert!(sent.success());
    stderr.read_to_string(&mut said).expect("text");
    (fit.wait().expect("the program ends").code(), said)
}

#[test]
fn a_signal_ends_the_fit_after_the_pass_and_its_best_point_is_written() {
    let folder = folder();
    let data = folder.path().join("decay.csv");
    decay_csv(&data, 20_000);
    for (k, (signal, words)) in
        [("-INT", &["--threads", "2"][..]), ("-TERM", &["--workers", "2"]), ("-USR1", &[])].iter().enumerate()
    {
        let run = folder.path().join(format!("run{k}"));
        let (code, said) = signalled(endless(&data, &run, words), "pass", signal);
        assert_eq!(code, Some(75), "{signal}: {said}");
        let result = std::fs::read_to_string(run.join("result.json")).expect("the result is written");
        let result: Value = serde_json::from_str(&result).expect("JSON");
        assert_eq!(result["status"], "interrupted");
        assert!(result["reason"].as_str().is_some_and(|reason| reason.contains("received")), "{result}");
        // after many passes of so plain a fit the best point is the minimum
        assert!(result["passes"].as_u64().is_some_and(|passes| passes >= 1));
        assert!(result["parameters"][0]["value"].is_f64());
    }
}

#[test]
fn a_signal_while_workers_are_awaited_ends_at_once_and_leaves_no_result() {
    let folder = folder();
    let data = folder.path().join("decay.csv");
    decay_csv(&data, 100);
    let run = folder.path().join("run");
    let token = folder.path().join("token");
    let words = ["--listen", "127.0.0.1:0", "--workers", "1", "--token-file", token.to_str().expect("a plain path")];
    let (code, said) = signalled(endless(&data, &run, &words), "listening", "-TERM");
    assert_eq!(code, Some(75), "{said}");
    assert!(said.contains("interrupted before the first pass"), "{said}");
    assert!(!run.join("result.json").exists());
}
