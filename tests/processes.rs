//! Real processes that are really killed.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use crate::support::{decay_csv, folder, program};

/// Processes whose parent is `parent`.
fn children(parent: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").expect("this system has /proc").flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter(|id| {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        // "id (name) state parent ...", and a name may hold blanks and parentheses
        let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        after_name.split_whitespace().nth(1) == Some(&parent.to_string())
    })
    .collect()
}

#[test]
fn a_killed_worker_ends_the_fit_with_its_cause_and_no_orphans() {
    let folder = folder();
    let data = folder.path().join("decay.csv");
    decay_csv(&data, 20_000);
    // Without tolerances the fit would go on for a million passes.
    let mut fit = program()
        .arg("fit")
        .args(["--data", data.to_str().expect("a plain path")])
        .args(["--x", "t", "--y", "y", "--model", "a*exp(-b*t)+c", "--p0", "a=1,b=1,c=0"])
        .args(["--xtol", "0", "--ftol", "0", "--gtol", "0", "--max-passes", "1000000"])
        .args(["--workers", "3", "--progress", "plain", "--out"])
        .arg(folder.path().join("run"))
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stderr = BufReader::new(fit.stderr.take().expect("piped"));
    let mut line = String::new();
    while !line.starts_with("pass") {
        line.clear();
        assert_ne!(stderr.read_line(&mut line).expect("text"), 0, "the fit ended before its first pass");
    }
    let workers = children(fit.id());
    assert_eq!(workers.len(), 3, "three workers serve");
    let killed = Command::new("kill").args(["-9", &workers[1].to_string()]).status().expect("kill is there");
    assert!(killed.success());
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).expect("text");
    let status = fit.wait().expect("the program ends");
    assert_eq!(status.code(), Some(4), "{rest}");
    assert!(rest.contains("was killed by signal 9"), "{rest}");
    for worker in workers {
        assert!(!fs::exists(format!("/proc/{worker}")).expect("this system has /proc"), "worker {worker} is left");
    }
}
