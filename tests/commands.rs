//! What the commands print and leave behind.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::program::{nlsq, snapshot};

const FIT: &str = "fit --data d.csv --x t --y y --sigma err --model 'a*exp(-b*t) + c' --p0 a=1,b=1 --fix c=1";

/// 200 rows of t, y, err, keep near y = 5 exp(-3 t) + 1.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut text = String::from("t,y,err,keep\n");
    for i in 0..200u32 {
        let (t, wave) = (f64::from(i) / 100.0, f64::from(i * 37 % 11) / 11.0 - 0.5);
        text += &format!("{t},{},{},{}\n", 5.0 * (-3.0 * t).exp() + 1.0 + 0.05 * wave, 0.02, i32::from(i % 10 != 3));
    }
    fs::write(dir.path().join("d.csv"), text).unwrap();
    dir
}

fn result(dir: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(dir.join("result.json")).unwrap()).unwrap()
}

#[test]
fn a_run_leaves_its_files() {
    let dir = folder();
    let answer = nlsq(dir.path(), &format!("{FIT} --mask keep --out run"));
    assert_eq!(answer.code, Some(0), "{answer:?}");
    let run = dir.path().join("run");
    let mut names: Vec<String> =
        fs::read_dir(&run).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(
        names,
        ["checkpoints", "covariance.npy", "history.parquet", "job.toml", "log.jsonl", "report.txt", "result.json"]
    );

    let result = result(&run);
    assert_eq!((&result["schema"], &result["status"]), (&Value::from(1), &Value::from("converged")));
    assert_eq!((&result["n_points"], &result["n_used"], &result["n_masked"]), (&200.into(), &180.into(), &20.into()));
    assert_eq!((&result["n_parameters"], &result["dof"]), (&2.into(), &178.into()));
    let parameter = |j: usize, key: &str| result["parameters"][j][key].clone();
    assert_eq!(
        (parameter(2, "fixed"), parameter(2, "stderr"), parameter(2, "value")),
        (true.into(), Value::Null, 1.0.into())
    );
    let value = parameter(0, "value").as_f64().unwrap();
    assert!((value - 5.0).abs() < 0.1, "{value}");

    // the square of a standard error stands on the diagonal
    let npy = fs::read(run.join("covariance.npy")).unwrap();
    let first = f64::from_le_bytes(npy[128..136].try_into().unwrap());
    let stderr = parameter(0, "stderr").as_f64().unwrap();
    assert!((first.sqrt() - stderr).abs() <= 1e-14 * stderr, "{first} {stderr}");
    assert_eq!(npy.len(), 128 + 9 * 8);

    let log = fs::read_to_string(run.join("log.jsonl")).unwrap();
    let events: Vec<String> = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["event"].as_str().unwrap().to_string())
        .collect();
    assert_eq!((events[0].as_str(), events.last().unwrap().as_str()), ("started", "finished"));
    let passes = events.iter().filter(|event| *event == "pass").count();
    assert_eq!(Value::from(passes), result["passes"]);
    let report = fs::read_to_string(run.join("report.txt")).unwrap();
    assert_eq!(answer.stdout, report);
    assert!(report.starts_with("converged: ") && report.contains("180 used + 20 masked"), "{report}");
}

#[test]
fn the_job_as_run_gives_the_same_bits_again() {
    let dir = folder();
    assert_eq!(
        nlsq(dir.path(), &format!("{FIT} --loss soft_l1 --loss-scale 0.5 --bounds b=0: --out run")).code,
        Some(0)
    );
    fs::create_dir(dir.path().join("elsewhere")).unwrap();
    let again = nlsq(&dir.path().join("elsewhere"), "fit ../run/job.toml --out again");
    assert_eq!(again.code, Some(0), "{again:?}");
    let (first, second) = (result(&dir.path().join("run")), result(&dir.path().join("elsewhere/again")));
    for key in ["parameters", "cost", "rss", "passes", "gradient_norm", "condition_number", "reason", "model"] {
        assert_eq!(first[key], second[key], "{key}");
    }
    let covariance = |run: &str| fs::read(dir.path().join(run).join("covariance.npy")).unwrap();
    assert_eq!(covariance("run"), covariance("elsewhere/again"));
}

#[test]
fn json_is_all_that_stdout_holds() {
    let dir = folder();
    let answer = nlsq(dir.path(), &format!("{FIT} --json --out run"));
    assert_eq!(answer.stdout, fs::read_to_string(dir.path().join("run/result.json")).unwrap());
    let answer = nlsq(dir.path(), &format!("{FIT} --json --progress json --out run --overwrite"));
    assert!(serde_json::from_str::<Value>(&answer.stdout).is_ok(), "{answer:?}");
    for line in answer.stderr.lines() {
        assert!(serde_json::from_str::<Value>(line).is_ok_and(|line| line["event"].is_string()), "{line}");
    }
    let answer = nlsq(dir.path(), &format!("{FIT} --json --progress none --out quiet"));
    assert_eq!(answer.stderr, "");
}

#[test]
fn ending_without_converging_is_exit_code_3_with_a_result() {
    let dir = folder();
    let answer = nlsq(dir.path(), &format!("{FIT} --max-passes 2 --json --out run"));
    assert_eq!(answer.code, Some(3), "{answer:?}");
    let result = result(&dir.path().join("run"));
    assert_eq!((&result["status"], &result["passes"]), (&"max_passes".into(), &2.into()));
    let exactly = nlsq(dir.path(), &format!("{FIT} --xtol 0 --ftol 0 --gtol 0 --max-passes 17 --json --out more"));
    assert_eq!(serde_json::from_str::<Value>(&exactly.stdout).unwrap()["passes"], 17, "{exactly:?}");
}

#[test]
fn without_out_runs_are_named_by_time_and_job() {
    let dir = folder();
    for _ in 0..2 {
        assert_eq!(nlsq(dir.path(), FIT).code, Some(0));
    }
    let names: Vec<String> = fs::read_dir(dir.path().join("runs"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names.len(), 2);
    assert!(names.iter().all(|name| name.len() >= "20261121-011835-fit".len() && name.contains("-fit")), "{names:?}");
}

#[test]
fn report_is_rewritten_from_the_result() {
    let dir = folder();
    nlsq(dir.path(), &format!("{FIT} --out run"));
    let path = dir.path().join("run/report.txt");
    let parts = |text: &str| text.split("\nfiles\n").next().unwrap().to_string();
    let before = parts(&fs::read_to_string(&path).unwrap());
    fs::write(&path, "scribble").unwrap();
    let answer = nlsq(dir.path(), "report run");
    assert_eq!(answer.code, Some(0), "{answer:?}");
    let after = fs::read_to_string(&path).unwrap();
    assert_eq!((parts(&after), answer.stdout), (before, after));
}

#[test]
fn looking_changes_nothing() {
    let dir = folder();
    let before = snapshot(dir.path());
    let check = nlsq(dir.path(), &FIT.replacen("fit", "check", 1));
    assert_eq!(check.code, Some(0), "{check:?}");
    for fragment in
        ["2 free of 3", "200 = 200 used + 0 masked + 0 not finite", "1 of 65,536 points", "20 bytes a point", "agree"]
    {
        assert!(check.stdout.contains(fragment), "{fragment}\n{}", check.stdout);
    }
    let inspect = nlsq(dir.path(), "inspect d.csv");
    assert_eq!(inspect.code, Some(0), "{inspect:?}");
    for fragment in ["d.csv", "CSV", "t", "err", "keep", "200 rows"] {
        assert!(inspect.stdout.contains(fragment), "{fragment}\n{}", inspect.stdout);
    }
    let kernel = nlsq(dir.path(), "kernel --x t --model 'a*exp(-b*t)'");
    assert_eq!(kernel.code, Some(0), "{kernel:?}");
    assert!(kernel.stdout.contains("# theta1 = b, out2 = df/db") && kernel.stdout.contains("exp"), "{}", kernel.stdout);
    assert_eq!(snapshot(dir.path()), before);
}

#[test]
fn every_builtin_model_is_listed_and_described() {
    let dir = folder();
    let list = nlsq(dir.path(), "models");
    assert_eq!(list.code, Some(0), "{list:?}");
    let names: Vec<&str> = list.stdout.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(names.len() >= 12 && names.contains(&"gaussian"), "{names:?}");
    for name in names {
        let one = nlsq(dir.path(), &format!("models {name}"));
        assert_eq!(one.code, Some(0), "{one:?}");
        assert!(one.stdout.contains("f(x) = ") && one.stdout.contains("\nsource\n"), "{}", one.stdout);
    }
    let fit = nlsq(dir.path(), "fit --data d.csv --x t --y y --builtin exponential_decay --p0 auto --json");
    assert_eq!(fit.code, Some(0), "{fit:?}");
}

#[test]
fn every_format_gives_the_same_bits() {
    use nlsq_engine::data::write::{ColumnKind, TableWriter, WriteColumn, WriteOptions};
    let dir = tempfile::tempdir().unwrap();
    let t: Vec<f64> = (0..5000).map(|i| f64::from(i) / 1700.0).collect();
    let y: Vec<f64> = t.iter().enumerate().map(|(i, t)| 5.0 * (-t).exp() + ((i * 7919 % 101) as f64) / 977.0).collect();
    let mut answers = Vec::new();
    let mut formats = vec!["csv", "csv.gz", "npy", "npz", "parquet", "arrow"];
    if cfg!(feature = "hdf5") {
        formats.push("h5");
    }
    for format in formats {
        let columns = ["t", "y"].map(|name| WriteColumn { name: name.into(), kind: ColumnKind::F64 });
        let path = dir.path().join(format!("d.{format}"));
        let mut writer =
            TableWriter::create(&path, &columns, &WriteOptions { group_rows: 1000, ..WriteOptions::default() })
                .unwrap();
        writer.push(&[&t, &y]).unwrap();
        writer.finish().unwrap();
        let line = format!(
            "fit --data d.{format} --x t --y y --model 'a*exp(-b*t) + c' --p0 a=1,b=2,c=0 --json --progress none"
        );
        let answer = nlsq(dir.path(), &format!("{line} --out {format}"));
        assert_eq!(answer.code, Some(0), "{format}: {answer:?}");
        let result: Value = serde_json::from_str(&answer.stdout).unwrap();
        answers.push((format, result["parameters"].clone(), result["cost"].clone()));
    }
    for answer in &answers[1..] {
        assert_eq!((&answer.1, &answer.2), (&answers[0].1, &answers[0].2), "{}", answer.0);
    }
}

#[test]
fn points_that_are_not_finite_are_skipped_on_demand() {
    let dir = folder();
    let text = fs::read_to_string(dir.path().join("d.csv")).unwrap();
    fs::write(dir.path().join("d.csv"), text.replacen("\n0.05,", "\n,", 1).replacen("\n0.07,", "\ninf,", 1)).unwrap();
    let answer = nlsq(dir.path(), &format!("{FIT} --nonfinite skip --json"));
    assert_eq!(answer.code, Some(0), "{answer:?}");
    let result: Value = serde_json::from_str(&answer.stdout).unwrap();
    assert_eq!((&result["n_used"], &result["n_nonfinite"]), (&198.into(), &2.into()));
}

#[test]
fn y_may_be_an_expression_of_columns() {
    let dir = folder();
    let line = "fit --data d.csv --x t --y 'log(y - 1)' --mask 't < 1' --model 'a - b*t' --p0 a=0,b=0 --json";
    let answer = nlsq(dir.path(), line);
    assert_eq!(answer.code, Some(0), "{answer:?}");
    let result: Value = serde_json::from_str(&answer.stdout).unwrap();
    let value = |j: usize| result["parameters"][j]["value"].as_f64().unwrap();
    assert!((value(0) - 5.0f64.ln()).abs() < 0.05 && (value(1) - 3.0).abs() < 0.1, "{result}");
    assert_eq!((&result["n_used"], &result["n_masked"]), (&100.into(), &100.into()));
}

#[test]
fn a_result_is_written_over_on_demand_only() {
    let dir = folder();
    assert_eq!(nlsq(dir.path(), &format!("{FIT} --out run --max-passes 2")).code, Some(3));
    assert_eq!(nlsq(dir.path(), &format!("{FIT} --out run")).code, Some(2));
    assert_eq!(result(&dir.path().join("run"))["status"], "max_passes");
    assert_eq!(nlsq(dir.path(), &format!("{FIT} --out run --overwrite")).code, Some(0));
    assert_eq!(result(&dir.path().join("run"))["status"], "converged");
}

#[test]
fn a_reader_that_goes_away_is_no_panic() {
    let dir = folder();
    let mut child = Command::new(env!("CARGO_BIN_EXE_nlsq-coordinator"))
        .arg("manual")
        .current_dir(dir.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!((child.wait().unwrap().code(), stderr.as_str()), (Some(0), ""));
}
