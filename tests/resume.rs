//! A run that is killed, interrupted, moved, damaged: it goes on to the bytes of the run that nothing disturbed, or is refused.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use parquet::file::reader::{FileReader as _, SerializedFileReader};
use serde_json::Value;

use crate::support::{decay_csv, folder, numbers, program};

/// Without tolerances a fit runs exactly so many passes: where it ends depends on every bit before.
const ENDLESS: [&str; 6] = ["--xtol", "0", "--ftol", "0", "--gtol", "0"];

const JOB: [&str; 8] = ["--x", "t", "--y", "y", "--model", "a*exp(-b*t)+c", "--p0", "a=1,b=1,c=0"];

/// A folder with data in it.
struct Scene {
    folder: tempfile::TempDir,
}

impl Scene {
    fn new(rows: usize) -> Self {
        let folder = folder();
        decay_csv(&folder.path().join("decay.csv"), rows);
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn fit(&self, run: &str, words: &[&str]) -> Command {
        let mut fit = program();
        fit.arg("fit").arg("--data").arg(self.path("decay.csv")).args(JOB).args(words);
        fit.args(["--progress", "plain", "--out"]).arg(self.path(run));
        fit
    }

    fn resume(&self, run: &str, words: &[&str]) -> Command {
        let mut resume = program();
        resume.arg("resume").arg(self.path(run)).args(words).args(["--progress", "plain"]);
        resume
    }
}

fn finished(mut command: Command) -> Output {
    command.stdin(Stdio::null()).output().expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// result.json without what depends on who computed it and how long that took.
fn result(run: &Path) -> Value {
    let json = fs::read_to_string(run.join("result.json")).expect("a run leaves result.json");
    let mut result: Value = serde_json::from_str(&json).expect("JSON");
    let fields = result.as_object_mut().expect("an object");
    for of_the_machine in ["seconds", "workers", "generations", "device"] {
        assert!(fields.remove(of_the_machine).is_some());
    }
    result
}

/// Rows of history.parquet without their seconds.
fn history(run: &Path) -> Vec<String> {
    let file = File::open(run.join("history.parquet")).expect("a run leaves history.parquet");
    let reader = SerializedFileReader::new(file).expect("a Parquet file");
    let rows = reader.get_row_iter(None).expect("rows");
    rows.map(|row| {
        let row = row.expect("a row");
        let fields = row.get_column_iter().filter(|(name, _)| *name != "seconds");
        fields.map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>().join(", ")
    })
    .collect()
}

/// That two runs have left the same, to the last byte.
fn assert_same(one: &Path, other: &Path) {
    let bytes = |run: &Path| fs::read(run.join("covariance.npy")).expect("a run leaves covariance.npy");
    assert_eq!(bytes(one), bytes(other), "covariance.npy");
    assert_eq!(result(one).to_string(), result(other).to_string(), "result.json");
    assert_eq!(history(one), history(other), "history.parquet");
}

fn events(run: &Path, event: &str) -> usize {
    let log = fs::read_to_string(run.join("log.jsonl")).expect("a run leaves log.jsonl");
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).expect("every line is an object"));
    lines.filter(|line| line["event"] == event).count()
}

/// Reads lines of a child's stderr until one begins with a word; `None` if it ends before.
fn line_with(stderr: &mut BufReader<impl Read>, word: &str) -> Option<String> {
    let mut line = String::new();
    while stderr.read_line(&mut line).expect("text") > 0 {
        if line.starts_with(word) {
            return Some(line);
        }
        line.clear();
    }
    None
}

fn spawn(mut command: Command) -> (Child, BufReader<std::process::ChildStderr>) {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program starts");
    let stderr = BufReader::new(child.stderr.take().expect("piped"));
    (child, stderr)
}

/// The checkpoints of a run, ascending.
fn checkpoints(run: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(run.join("checkpoints")).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut found: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|e| e == "ckpt")).collect();
    found.sort();
    found
}

fn newest(run: &Path) -> PathBuf {
    checkpoints(run).pop().expect("a checkpoint is there")
}

/// Kills a run by SIGKILL after it has said so many passes and has left a checkpoint of its own. Whether it was still fitting then.
fn kill_after(command: Command, run: &Path, passes: usize) -> bool {
    let before = checkpoints(run);
    let (mut child, mut stderr) = spawn(command);
    let mut seen = 0;
    let left_one = || checkpoints(run).iter().any(|path| !before.contains(path));
    while seen < passes || !left_one() {
        if line_with(&mut stderr, "pass").is_none() {
            break; // it has ended
        }
        seen += 1;
    }
    child.kill().expect("it can be killed");
    child.wait().expect("it ends").signal() == Some(9)
}

#[test]
fn a_coordinator_killed_twenty_times_in_one_fit_ends_with_the_same_bytes() {
    let scene = Scene::new(40_000);
    let words = [&ENDLESS[..], &["--max-passes", "12000", "--tile-points", "2048"]].concat();
    let whole = finished(scene.fit("whole", &[&words[..], &["--threads", "1"]].concat()));
    assert_eq!(whole.status.code(), Some(3), "{whole:?}");
    // moments without pattern, by the number of passes seen
    let mut moments = numbers(20, 77).map(|u| 2 + (u * 14.0) as usize);
    let run = scene.path("run");
    assert!(kill_after(scene.fit("run", &words), &run, moments.next().expect("twenty")));
    let mut kills = 1;
    for (k, passes) in moments.enumerate() {
        assert!(!run.join("result.json").exists(), "it was killed before its end");
        let way: &[&str] = [&["--threads", "1"][..], &["--threads", "3"], &["--workers", "2"], &["--embedded"]][k % 4];
        // workers that the run had stay its workers, unless it is told otherwise
        let way = if k % 4 < 2 { [way, &["--embedded"]].concat() } else { way.to_vec() };
        kills += usize::from(kill_after(scene.resume("run", &way), &run, passes));
    }
    assert_eq!(kills, 20, "every kill met a fit under way");
    let last = finished(scene.resume("run", &["--embedded"]));
    assert_eq!(last.status.code(), Some(3), "{}", text(&last.stderr));
    assert_same(&scene.path("run"), &scene.path("whole"));
    assert_eq!(events(&run, "resumed"), 20, "the log goes on");
}

#[test]
fn a_fit_interrupted_by_a_signal_names_what_to_type_and_goes_on_elsewhere() {
    let scene = Scene::new(20_000);
    let words = [&ENDLESS[..], &["--max-passes", "300", "--checkpoint-every", "1000"]].concat();
    assert_eq!(finished(scene.fit("whole", &words)).status.code(), Some(3));
    for (signal, way, other) in [
        ("-TERM", &["--threads", "1"][..], &["--workers", "3"][..]),
        ("-INT", &["--workers", "2"], &["--embedded", "--threads", "3"]),
        ("-USR1", &["--threads", "2"], &["--workers", "1", "--threads", "2"]),
    ] {
        let run = format!("run{signal}");
        let (mut child, mut stderr) = spawn(scene.fit(&run, &[&words[..], way].concat()));
        assert!(line_with(&mut stderr, "pass").is_some());
        let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().expect("kill is there");
        assert!(sent.success());
        let mut said = String::new();
        stderr.read_to_string(&mut said).expect("text");
        assert_eq!(child.wait().expect("it ends").code(), Some(75), "{said}");
        let hint = format!("go on with: nlsq-coordinator resume {}", scene.path(&run).display());
        assert!(said.contains(&hint), "{said}");
        assert_eq!(result(&scene.path(&run))["status"], "interrupted");
        let resumed = finished(scene.resume(&run, other));
        assert_eq!(resumed.status.code(), Some(3), "{}", text(&resumed.stderr));
        assert!(text(&resumed.stderr).contains("going on from pass"), "{}", text(&resumed.stderr));
        assert_same(&scene.path(&run), &scene.path("whole"));
        assert_eq!(events(&scene.path(&run), "started"), 2, "the log goes on");
    }
}

/// Phases that a driver treats differently, killed after each of their first passes.
#[test]
fn killed_in_any_phase_a_run_ends_with_the_same_bytes() {
    let scene = Scene::new(100_000);
    let mut killed = 0;
    for (name, words) in [
        ("profile", &["--profile", "b,c"][..]),
        ("starts", &["--starts", "5", "--bounds", "a=0:9,b=0:9,c=-2:3"]),
        ("global", &["--method", "global", "--bounds", "a=0:9,b=0:9,c=-2:3", "--max-passes", "25"]),
        ("robust", &["--loss", "tukey", "--covariance", "sandwich"]),
        ("single", &["--precision", "f32", "--solver", "tsqr"]),
    ] {
        let whole = format!("{name}-whole");
        let code = finished(scene.fit(&whole, words)).status.code();
        for passes in [1, 3, 8] {
            let run = format!("{name}-{passes}");
            // it may have ended by itself before the kill; then there is nothing to show
            if kill_after(scene.fit(&run, words), &scene.path(&run), passes)
                && !scene.path(&run).join("result.json").exists()
            {
                killed += 1;
                let resumed = finished(scene.resume(&run, &[]));
                assert_eq!(resumed.status.code(), code, "{name} {passes}: {}", text(&resumed.stderr));
                assert_same(&scene.path(&run), &scene.path(&whole));
            }
        }
    }
    assert!(killed >= 5, "only {killed} of 15 kills met a fit under way");
}

/// A run that was interrupted, for the refusals.
fn interrupted(scene: &Scene, run: &str) {
    let (mut child, mut stderr) = spawn(scene.fit(run, &[&ENDLESS[..], &["--max-passes", "100000"]].concat()));
    assert!(line_with(&mut stderr, "pass").is_some());
    let sent = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("kill is there");
    assert!(sent.success());
    let mut said = String::new();
    stderr.read_to_string(&mut said).expect("text");
    assert_eq!(child.wait().expect("it ends").code(), Some(75), "{said}");
}

#[test]
fn what_would_change_the_numbers_is_refused_with_both_values() {
    let scene = Scene::new(3_000);
    interrupted(&scene, "run");
    let before = crate::program::snapshot(&scene.path("run"));
    for (words, said) in [
        (&["--max-passes", "7"][..], "fit.max_passes: the run has 100000, now it is 7"),
        (&["--ftol", "1e-3"], "fit.ftol: the run has 0.0, now it is 0.001"),
        (&["--loss", "huber"], "fit.loss: the run has \"linear\", now it is \"huber\""),
        (&["--model", "a*exp(-b*t)-c"], "model.expression: the run has a*exp(-b*t)+c, now it is a*exp(-b*t)-c"),
        (&["--p0", "a=2"], "parameters.a: the run has start 1.0 in [-inf, inf], now it is start 2.0"),
        (
            &["--bounds", "b=0:4"],
            "parameters.b: the run has start 1.0 in [-inf, inf], now it is start 1.0 in [0.0, 4.0]",
        ),
        (&["--fix", "c=1"], "parameters.c: the run has start 0.0 in [-inf, inf], now it is fixed at 1.0"),
        (&["--y", "err"], "data.y: the run has \"y\", now it is \"err\""),
        (&["--sigma", "err"], "data.sigma: the run has nothing, now it is \"err\""),
        (&["--mask", "t > 0.5"], "data.mask: the run has nothing, now it is \"t > 0.5\""),
        (&["--nonfinite", "skip"], "fit.nonfinite: the run has \"error\", now it is \"skip\""),
        (&["--tile-points", "2048"], "fit.tile_points: the run has 65536, now it is 2048"),
        (&["--covariance", "sandwich"], "fit.covariance: the run has \"classic\", now it is \"sandwich\""),
        (&["--precision", "f32"], "fit.precision: the run has \"f64\", now it is \"f32\""),
        (&["--seed", "4"], "fit.seed: the run has 0, now it is 4"),
        (&["--out", "elsewhere"], "resume goes on where the run is; expected no --out"),
        (&["--overwrite"], "resume goes on where the run is; expected no --overwrite"),
        (&["--embedded", "--workers", "2"], "--embedded and --workers (cluster.workers) exclude each other"),
    ] {
        for force in [&[][..], &["--force"]] {
            let refused = finished(scene.resume("run", &[words, force].concat()));
            let answer = text(&refused.stderr);
            assert_eq!(refused.status.code(), Some(2), "{words:?}: {answer}");
            assert!(answer.contains(said), "{words:?}: {answer}");
        }
    }
    assert!(crate::program::snapshot(&scene.path("run")) == before, "nothing is written over");
}

#[test]
fn data_that_have_changed_are_refused_and_data_that_have_moved_need_force() {
    let scene = Scene::new(3_000);
    interrupted(&scene, "run");
    let (data, elsewhere) = (scene.path("decay.csv"), scene.path("moved.csv"));
    fs::rename(&data, &elsewhere).expect("it can be moved");
    let words = ["--data", elsewhere.to_str().expect("a plain path"), "--checkpoint-every", "5"];
    let refused = finished(scene.resume("run", &words));
    let said = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("the data have moved") && said.contains("--force takes them for the same"), "{said}");
    let (mut child, mut stderr) = spawn(scene.resume("run", &[&words[..], &["--force"]].concat()));
    assert!(line_with(&mut stderr, "warn: --force: data file: the run has").is_some(), "what is skipped is said");
    assert!(line_with(&mut stderr, "pass").is_some(), "it goes on");
    child.kill().expect("it can be killed");
    child.wait().expect("it ends");
    // one digit of one number
    let mut bytes = fs::read(&elsewhere).expect("it is there");
    let digit = bytes.iter().rposition(u8::is_ascii_digit).expect("numbers have digits");
    bytes[digit] = if bytes[digit] == b'5' { b'6' } else { b'5' };
    fs::write(&data, &bytes).expect("it can be written");
    for force in [&[][..], &["--force"]] {
        let refused =
            finished(scene.resume("run", &[&["--data", data.to_str().expect("a plain path")], force].concat()));
        let said = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(2), "{said}");
        assert!(said.contains("has changed (blake3 of length, first and last 64 KiB)"), "{said}");
    }
}

/// A change that the digest of a file does not cover shows when the points are read.
#[test]
fn a_response_that_changed_in_the_middle_of_a_long_file_is_refused() {
    let scene = Scene::new(12_000);
    interrupted(&scene, "run");
    let data = scene.path("decay.csv");
    let mut bytes = fs::read(&data).expect("it is there");
    let middle = bytes.len() / 2;
    assert!(middle > 70_000, "the middle is not an end");
    let comma = middle + bytes[middle..].iter().position(|&b| b == b'\n').expect("lines end");
    let y = comma + bytes[comma..].iter().position(|&b| b == b',').expect("cells end") + 4;
    bytes[y] = if bytes[y] == b'5' { b'6' } else { b'5' };
    fs::write(&data, &bytes).expect("it can be written");
    let refused = finished(scene.resume("run", &[]));
    let said = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("the data have changed since"), "{said}");
}

#[test]
fn what_is_no_run_or_is_over_is_refused() {
    let scene = Scene::new(1_000);
    assert_eq!(finished(scene.fit("done", &[])).status.code(), Some(0));
    let before = crate::program::snapshot(&scene.path("done"));
    fs::create_dir(scene.path("empty")).expect("a folder");
    for (run, said) in [
        ("done", "is over, with the status converged after"),
        ("nowhere", "is no directory; expected that of a run"),
        ("empty", "holds no job.toml"),
    ] {
        let refused = finished(scene.resume(run, &[]));
        let answer = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(2), "{run}: {answer}");
        assert!(answer.contains(said), "{run}: {answer}");
    }
    assert!(crate::program::snapshot(&scene.path("done")) == before, "nothing is written over");
    assert!(!scene.path("nowhere").exists());
    // without checkpoints a run leaves none
    let none = finished(scene.fit("none", &["--checkpoint-every", "0"]));
    assert_eq!(none.status.code(), Some(0));
    assert!(!scene.path("none/checkpoints").exists() && scene.path("none/job.toml").exists());
}

/// A run without a result is not written over by accident; with --overwrite its checkpoints go, and those of the new run count.
#[test]
fn another_run_takes_the_place_of_an_unfinished_one_only_when_told() {
    let scene = Scene::new(3_000);
    let words = [&ENDLESS[..], &["--max-passes", "100000"]].concat();
    let run = scene.path("run");
    assert!(kill_after(scene.fit("run", &words), &run, 40));
    let refused = finished(scene.fit("run", &[]));
    let said = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("of a run without a result") && said.contains("nlsq-coordinator resume"), "{said}");
    let short = [&ENDLESS[..], &["--max-passes", "9000", "--overwrite"]].concat();
    assert!(kill_after(scene.fit("run", &short), &run, 3));
    let resumed = finished(scene.resume("run", &[]));
    assert_eq!(resumed.status.code(), Some(3), "{}", text(&resumed.stderr));
    assert_eq!(result(&scene.path("run"))["passes"], 9000);
    assert_eq!(finished(scene.fit("whole", &short)).status.code(), Some(3));
    assert_same(&scene.path("run"), &scene.path("whole"));
    // over a result: the old one stands until the new one is there, and the killed run goes on
    assert!(kill_after(scene.fit("run", &[&ENDLESS[..], &["--max-passes", "20000", "--overwrite"]].concat()), &run, 3));
    assert_eq!(result(&scene.path("run"))["passes"], 9000);
    let resumed = finished(scene.resume("run", &[]));
    assert_eq!(resumed.status.code(), Some(3), "{}", text(&resumed.stderr));
    assert_eq!(result(&scene.path("run"))["passes"], 20000);
}

#[test]
fn a_second_interrupt_ends_at_once_and_nothing_written_is_lost() {
    let scene = Scene::new(3_000);
    let (mut child, mut stderr) = spawn(scene.fit("run", &[&ENDLESS[..], &["--max-passes", "100000"]].concat()));
    while checkpoints(&scene.path("run")).is_empty() {
        assert!(line_with(&mut stderr, "pass").is_some(), "it ended before its first checkpoint");
    }
    let interrupt = || Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill is there");
    assert!(interrupt().success() && interrupt().success());
    let code = child.wait().expect("it ends").code();
    assert!(code == Some(130) || code == Some(75), "{code:?}");
    let inspected = finished({
        let mut inspect = program();
        inspect.arg("inspect").arg(newest(&scene.path("run")));
        inspect
    });
    assert_eq!(inspected.status.code(), Some(0), "{}", text(&inspected.stderr));
    let said = text(&inspected.stdout);
    for word in [
        "a valid checkpoint, version 1",
        "run ",
        "phase refine",
        "cost ",
        "a*exp(-b*t)+c",
        "decay.csv",
        "fit.max_passes = 100000",
    ] {
        assert!(said.contains(word), "{word}: {said}");
    }
}

#[test]
fn inspect_says_why_a_checkpoint_is_not_valid() {
    let scene = Scene::new(1_000);
    assert_eq!(finished(scene.fit("run", &[])).status.code(), Some(0));
    let newest = newest(&scene.path("run"));
    let bytes = fs::read(&newest).expect("it is readable");
    fs::write(&newest, &bytes[..bytes.len() - 1]).expect("it is writable");
    let mut inspect = program();
    inspect.arg("inspect").arg(&newest);
    let inspected = finished(inspect);
    assert_eq!(inspected.status.code(), Some(2));
    assert!(text(&inspected.stderr).contains("is cut off or was added to"), "{}", text(&inspected.stderr));
}

/// A file system of so many KiB in memory, for as long as it lives.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(place: PathBuf, kib: u32) -> Option<Self> {
        fs::create_dir_all(&place).expect("a folder");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={kib}k"), "tmpfs"]).arg(&place).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self(place))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).output();
    }
}

/// The disk fills up on the way: the checkpoint that there is stays, the fit goes on to its end, and says what it could not write.
/// With room again the run goes on from that checkpoint, to the same bytes.
#[test]
fn a_full_disk_costs_what_cannot_be_written_and_nothing_else() {
    let scene = Scene::new(3_000);
    let words = [&ENDLESS[..], &["--max-passes", "40", "--checkpoint-keep", "1"]].concat();
    let Some(_disk) = SmallDisk::mount(scene.path("run"), 64) else {
        println!("skipped: 1 test, no file system can be mounted here");
        return;
    };
    assert_eq!(finished(scene.fit("whole", &words)).status.code(), Some(3));
    // one checkpoint of 10 to 15 KB fits beside the filling; the next, the log and the result do not
    fs::write(scene.path("run/filling"), vec![0; 32 << 10]).expect("there is room");
    let full = finished(scene.fit("run", &words));
    let said = text(&full.stderr);
    assert_eq!(full.status.code(), Some(2), "{said}");
    assert!(
        said.contains("warn: cannot write the checkpoint of pass") && said.contains("and the fit goes on"),
        "{said}"
    );
    assert_eq!(said.matches("cannot write the checkpoint").count(), 1, "said once: {said}");
    assert!(said.contains("pass   40") && said.contains("No space left on device"), "{said}");
    assert!(said.contains("go on with: nlsq-coordinator resume"), "{said}");
    assert!(text(&full.stdout).contains("a*exp(-b*t)+c"), "the answer is printed before it is written");
    assert!(!scene.path("run/result.json").exists());
    fs::remove_file(scene.path("run/filling")).expect("it is ours");
    let resumed = finished(scene.resume("run", &[]));
    assert_eq!(resumed.status.code(), Some(3), "{}", text(&resumed.stderr));
    assert_same(&scene.path("run"), &scene.path("whole"));
}
