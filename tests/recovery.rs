//! Workers that are lost in every way, as real processes. Each test proves that its fault struck, and then that the result has
//! the bytes of a run that nothing disturbed.

use std::path::Path;
use std::time::Duration;

use crate::crew::{Answer, Crew, PASSES, Process, children, job, signal, undisturbed};
use crate::support::{folder, program};

/// Signs of life often enough that a silence is noticed soon.
const QUICK: &str = "--heartbeat 0.1 --dead-after 1";

fn struck(worker: &mut Process) {
    worker.lines.wait_for("a fault strikes");
}

/// Three workers of which one kills itself at a moment; two go on.
fn killed_at(moment: &str) {
    let mut crew = Crew::new("2..3", QUICK);
    crew.worker(None);
    crew.worker(None);
    let victim = crew.worker(Some(&format!("kill@{moment}")));
    struck(&mut crew.workers[victim]);
    let said = crew.same_bytes();
    assert!(said.contains("2 serving"), "{said}");
    let lost = said.lines().filter(|line| line.contains("generation") && line.contains("connection")).count();
    assert_eq!(lost, 1, "the loss is named once: {said}");
}

#[test]
fn a_worker_killed_while_it_dials() {
    killed_at("dial");
}

#[test]
fn a_worker_killed_while_it_computes() {
    killed_at("compute:17");
}

#[test]
fn a_worker_killed_before_it_sends_its_sums() {
    killed_at("reduce:23");
}

#[test]
fn a_worker_killed_while_it_reads() {
    let mut crew = Crew::new("2..3", QUICK);
    crew.worker(None);
    crew.worker(None);
    let victim = crew.worker(Some("kill@load"));
    struck(&mut crew.workers[victim]);
    let said = crew.same_bytes();
    assert!(said.contains("generation 1: worker") && said.contains("2 serving"), "{said}");
}

#[test]
fn two_workers_killed_in_one_pass() {
    let mut crew = Crew::new("2..4", QUICK);
    for fault in [None, Some("kill@compute:9"), None, Some("kill@compute:9")] {
        crew.worker(fault);
    }
    struck(&mut crew.workers[1]);
    struck(&mut crew.workers[3]);
    let said = crew.same_bytes();
    assert!(said.contains("2 serving"), "{said}");
}

#[test]
fn all_workers_but_one_killed() {
    let mut crew = Crew::new("1..3", QUICK);
    for fault in [Some("kill@reduce:5"), Some("kill@compute:30"), None] {
        crew.worker(fault);
    }
    struck(&mut crew.workers[0]);
    struck(&mut crew.workers[1]);
    let said = crew.same_bytes();
    assert!(said.contains("1 serving"), "{said}");
}

#[test]
fn a_replacement_is_waited_for_and_reads_only_what_was_lost() {
    let mut crew = Crew::new("2", QUICK);
    crew.worker(None);
    crew.worker(Some("kill@compute:12"));
    crew.wait_for("1 of 2 workers are left");
    crew.worker(None);
    let said = crew.same_bytes();
    assert!(
        said.contains("2 serving: worker 1, worker 3; 20 tiles read anew; going on at pass 12")
            || said.contains("2 serving: worker 2, worker 3; 20 tiles read anew; going on at pass 12"),
        "{said}"
    );
}

#[test]
fn a_hung_worker_is_given_up_and_comes_back_with_its_tiles() {
    let mut crew = Crew::new("2..3", &format!("{QUICK} --late-joiners always"));
    crew.worker(None);
    crew.worker(None);
    let victim = crew.worker(Some("stop@compute:8"));
    struck(&mut crew.workers[victim]);
    let line = crew.wait_for("was silent for 1.");
    assert!(line.contains("2 serving"), "{line}");
    crew.workers[victim].signal("CONT");
    let said = crew.same_bytes();
    let line = said.lines().find(|line| line.contains("joins")).unwrap_or_else(|| panic!("it came too late: {said}"));
    assert!(line.contains("3 serving") && line.contains("; 0 tiles read anew"), "{line}");
}

#[test]
fn a_late_joiner_is_taken_in_between_two_passes() {
    let mut crew = Crew::new("1..2", &format!("{QUICK} --late-joiners always"));
    crew.worker(None);
    crew.wait_for("generation 1:");
    crew.worker(None);
    let said = crew.same_bytes();
    assert!(said.contains("worker 2 joins; 2 serving"), "{said}");
}

#[test]
fn a_worker_that_is_asked_to_end_leaves_without_a_lost_pass() {
    let mut crew = Crew::new("1..2", QUICK);
    crew.worker(None);
    crew.worker(None);
    crew.wait_for("pass    5");
    crew.workers[0].signal("TERM");
    let said = crew.same_bytes();
    assert!(said.contains("leaves; 1 serving"), "{said}");
    assert!(crew.workers[0].wait().code().is_some(), "it ended by itself");
}

#[test]
fn tiles_move_from_a_slow_worker_to_a_fast_one() {
    let mut crew = Crew::new("2", QUICK);
    crew.worker(None);
    crew.worker(Some("slow:4"));
    let said = crew.same_bytes();
    assert!(said.contains("tiles move from slow to fast workers; 2 serving"), "{said}");
}

#[test]
fn a_panic_in_the_dataflow_costs_its_pass_and_no_worker() {
    let mut crew = Crew::new("2", QUICK);
    crew.worker(None);
    crew.worker(Some("panic@compute:14"));
    let said = crew.same_bytes();
    assert!(said.contains("panicked; 2 serving: worker 1, worker 2; 0 tiles read anew; going on at pass 14"), "{said}");
}

#[test]
fn a_worker_without_room_is_dealt_what_it_can_hold() {
    let mut crew = Crew::new("2", QUICK);
    crew.worker(None);
    let mut small = crew.worker_command();
    // The least: what reading takes, and room for a few of the 40 tiles of 2048 points.
    crew.join(small.args(["--memory", "4400KiB"]));
    let said = crew.same_bytes();
    assert!(said.contains("has room for"), "{said}");
}

#[test]
fn a_worker_at_the_end_of_its_address_space_is_dealt_what_it_can_hold() {
    let mut crew = Crew::new("1..2", QUICK);
    crew.worker(None);
    let worker = crew.worker_command();
    let words: Vec<String> = worker.get_args().map(|word| word.to_string_lossy().into_owned()).collect();
    let line = format!("ulimit -v 400000; exec '{}' {}", worker.get_program().to_string_lossy(), words.join(" "));
    let mut limited = std::process::Command::new("sh");
    crew.join(limited.args(["-c", &line]));
    crew.same_bytes();
}

/// Workers of this machine are replaced by others.
#[test]
fn workers_started_here_are_replaced() {
    let folder = folder();
    let mut command = program();
    command.args(job()).args(["--workers", "3", "--progress", "plain", "--out"]);
    let mut coordinator = Process::start(command.arg(folder.path().join("run")).args(QUICK.split(' ')));
    for (pass, name) in [(5, "KILL"), (25, "STOP")] {
        coordinator.lines.wait_for(&format!("pass {pass:>4}"));
        let victim = children(coordinator.child.id())[1];
        signal(victim, name);
    }
    let status = coordinator.wait();
    let said = coordinator.lines.all();
    assert_eq!(status.code(), Some(3), "{said}");
    assert!(said.contains("was killed by signal 9; 3 serving") && said.contains("was silent"), "{said}");
    assert_eq!(Answer::of(&folder.path().join("run")), undisturbed().answer);
}

#[test]
fn a_crew_that_cannot_go_on_says_why_and_leaves_nobody_behind() {
    let mut crew = Crew::new("2", &format!("{QUICK} --rejoin-wait 0.2"));
    crew.worker(None);
    crew.worker(Some("kill@compute:12"));
    assert_eq!(crew.coordinator.wait().code(), Some(4));
    let said = crew.coordinator.lines.all();
    assert!(said.contains("1 of 2 workers are left, and no other joined within 0.2 s"), "{said}");
    assert!(said.contains("connection"), "the first cause is named: {said}");
    assert!(crew.workers[0].wait().success(), "the other one is sent home");
}

#[test]
fn losses_without_end_are_an_end() {
    let mut crew = Crew::new("1..4", &format!("{QUICK} --max-restarts 2"));
    for pass in [4, 6, 8] {
        crew.worker(Some(&format!("kill@compute:{pass}")));
    }
    crew.worker(None);
    assert_eq!(crew.coordinator.wait().code(), Some(4));
    let said = crew.coordinator.lines.all();
    assert!(said.contains("3 losses within 600 s are more than --max-restarts allows"), "{said}");
}

#[test]
fn workers_do_not_outlive_a_coordinator_that_started_them() {
    let folder = folder();
    let mut command = program();
    command.args(job()).args(["--workers", "2", "--progress", "plain", "--out"]);
    let mut coordinator = Process::start(command.arg(folder.path().join("run")));
    coordinator.lines.wait_for("pass    3");
    let workers = children(coordinator.child.id());
    assert_eq!(workers.len(), 2);
    coordinator.signal("KILL");
    coordinator.wait();
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while workers.iter().any(|worker| Path::new(&format!("/proc/{worker}")).exists()) {
        assert!(std::time::Instant::now() < deadline, "workers {workers:?} are left behind");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn workers_come_back_to_a_resumed_coordinator_with_their_tiles() {
    let mut crew = Crew::new("2", QUICK);
    crew.worker(None);
    crew.worker(None);
    crew.wait_for("pass   40");
    crew.resume("");
    let said = crew.same_bytes();
    let line = said.lines().find(|line| line.starts_with("generation ")).unwrap_or_else(|| panic!("{said}"));
    assert!(line.contains("2 serving: ") && line.ends_with("; 0 tiles read"), "{said}");
}

#[test]
fn a_run_directory_has_one_coordinator() {
    let mut crew = Crew::new("1", QUICK);
    crew.wait_for("listening on ");
    let mut second = program();
    let output = second.arg("resume").arg(crew.dir()).output().expect("the program starts");
    let said = String::from_utf8_lossy(&output.stderr);
    let owner = format!("process {} on ", crew.coordinator.child.id());
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("another run writes to the output directory") && said.contains(&owner), "{said}");
    crew.worker(None);
    crew.same_bytes();
}

#[test]
fn a_loss_costs_no_pass_but_its_own() {
    let mut crew = Crew::new("1..2", QUICK);
    crew.worker(None);
    crew.worker(Some("kill@compute:20"));
    let said = crew.same_bytes();
    let passes = said.lines().filter(|line| line.starts_with("pass ")).count();
    assert_eq!(passes as u64, PASSES, "every pass is committed once: {said}");
}
