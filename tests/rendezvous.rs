//! Workers that find their coordinator through a rendezvous file, as real processes: whoever starts first, whatever a dead
//! coordinator has left, and when another one takes its place.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::crew::{Answer, Process, job, undisturbed};
use crate::support::{folder, program};

fn worker(meeting: &Path) -> Process {
    let mut command = Command::new(Path::new(env!("CARGO_BIN_EXE_nlsq-coordinator")).with_file_name("nlsq-worker"));
    command.args(["--threads", "1", "--wait", "30", "--rendezvous"]).arg(meeting).env("NLSQ_LOG", "info");
    Process::start(&mut command)
}

fn coordinator(meeting: &Path, run: &Path, flags: &[&str]) -> Process {
    let mut command = program();
    command
        .args(job())
        .args(["--workers", "2", "--progress", "plain", "--rendezvous"])
        .arg(meeting)
        .arg("--out")
        .arg(run);
    Process::start(command.args(flags))
}

/// Waits for the end of a fit, which must be that of the undisturbed run; what was said.
fn same_bytes(coordinator: &mut Process, run: &Path) -> String {
    let status = coordinator.wait();
    let said = coordinator.lines.all();
    assert_eq!(status.code(), Some(3), "{said}");
    assert_eq!(Answer::of(run), undisturbed().answer, "{said}");
    said
}

/// The content of the file, once a coordinator listens.
fn posted(coordinator: &Process, meeting: &Path) -> String {
    coordinator.lines.wait_for("to 2 workers");
    fs::read_to_string(meeting).expect("the file stands before the coordinator says that it listens")
}

fn secret_of(posted: &str) -> String {
    let digits = posted.lines().find_map(|line| line.strip_prefix("secret ")).expect("the file holds a secret");
    assert_eq!(digits.len(), 64);
    digits.to_string()
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).expect("a folder").flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

#[test]
fn workers_that_came_first_wait_and_nothing_is_left_but_the_result() {
    let folder = folder();
    let (meeting, run) = (folder.path().join("meeting"), folder.path().join("run"));
    let mut workers = [worker(&meeting), worker(&meeting)];
    let mut fit = coordinator(&meeting, &run, &[]);
    let posted = posted(&fit, &meeting);
    let mode = fs::metadata(&meeting).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode, 0o600, "{mode:o}");
    let mut said = same_bytes(&mut fit, &run);
    for worker in &mut workers {
        assert!(worker.wait().success(), "a worker is sent home");
        said += &worker.lines.all();
    }
    assert!(!meeting.exists());
    let secret = secret_of(&posted);
    assert!(!said.contains(&secret));
    for file in files_below(&run) {
        let content = fs::read(&file).expect("a file of the run");
        assert!(!String::from_utf8_lossy(&content).contains(&secret), "{} holds the secret", file.display());
    }
    let job = fs::read_to_string(run.join("job.toml")).expect("the job as it was run");
    assert!(job.contains(&format!("rendezvous = \"{}\"", meeting.display())), "{job}");
}

#[test]
fn what_a_killed_coordinator_left_leads_to_the_next_one() {
    let folder = folder();
    let (meeting, first, second) =
        (folder.path().join("meeting"), folder.path().join("first"), folder.path().join("second"));
    let mut killed = coordinator(&meeting, &first, &[]);
    let old = posted(&killed, &meeting);
    let mut workers = [worker(&meeting), worker(&meeting)];
    killed.lines.wait_for("pass");
    killed.signal("KILL");
    killed.wait();
    assert!(!first.join("result.json").exists(), "it was killed in the middle of the fit");
    assert_eq!(fs::read_to_string(&meeting).expect("nobody took it away"), old);
    let mut fit = coordinator(&meeting, &second, &[]);
    let new = posted(&fit, &meeting);
    assert_ne!(secret_of(&old), secret_of(&new), "every coordinator makes a secret of its own");
    same_bytes(&mut fit, &second);
    for worker in &mut workers {
        assert!(worker.wait().success(), "the same workers served both: {}", worker.lines.all());
    }
}

#[test]
fn a_coordinator_that_runs_keeps_its_file() {
    let folder = folder();
    let (meeting, run, other) = (folder.path().join("meeting"), folder.path().join("run"), folder.path().join("other"));
    let mut fit = coordinator(&meeting, &run, &[]);
    let before = posted(&fit, &meeting);
    let mut intruder = coordinator(&meeting, &other, &[]);
    assert_eq!(intruder.wait().code(), Some(2));
    let said = intruder.lines.all();
    assert!(said.contains("leads to a coordinator that runs"), "{said}");
    assert!(!other.exists(), "a refused run leaves nothing");
    assert_eq!(fs::read_to_string(&meeting).expect("it stands"), before);
    let _workers = [worker(&meeting), worker(&meeting)];
    same_bytes(&mut fit, &run);
}

#[test]
fn it_listens_where_it_is_told_and_says_so_in_the_file() {
    let folder = folder();
    let (meeting, run) = (folder.path().join("meeting"), folder.path().join("run"));
    let mut fit = coordinator(&meeting, &run, &["--listen", "127.0.0.1:0"]);
    let posted = posted(&fit, &meeting);
    let addresses: Vec<&str> = posted.lines().filter_map(|line| line.strip_prefix("address ")).collect();
    assert!(matches!(addresses[..], [address] if address.starts_with("127.0.0.1:")), "{addresses:?}");
    let _workers = [worker(&meeting), worker(&meeting)];
    same_bytes(&mut fit, &run);
}

#[test]
fn a_worker_refuses_a_file_that_others_can_read() {
    let folder = folder();
    let meeting = folder.path().join("meeting");
    let text = format!("nlsq rendezvous 1\naddress 127.0.0.1:1\nsecret {}\n", "0".repeat(64));
    fs::write(&meeting, text).expect("the folder is writable");
    fs::set_permissions(&meeting, fs::Permissions::from_mode(0o644)).expect("it is ours");
    let mut refused = worker(&meeting);
    assert_eq!(refused.wait().code(), Some(2));
    let said = refused.lines.all();
    assert!(said.contains("mode 644") && said.contains("expected mode 600"), "{said}");
}
