//! A coordinator and workers as real processes, and what they say while they run.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Run, decay_csv, folder, program};

/// Longest wait for anything: far beyond what it takes, so that only a hang meets it.
const PATIENCE: Duration = Duration::from_secs(60);
/// Points of the dataset; 40 tiles.
const POINTS: usize = 81_920;
/// Passes of every run: Adam with a short stride, far from its end, so that every bit of every pass is in the result.
pub(crate) const PASSES: u64 = 300;

/// The job that all runs fit.
fn job_file(data: &Path) -> String {
    format!(
        "[model]\nexpression = \"a*exp(-b*t)+c\"\n[data]\nfiles = [\"{}\"]\nx = [\"t\"]\ny = \"y\"\nsigma = \"err\"\n\
         [parameters]\na = {{ start = 1 }}\nb = {{ start = 1 }}\nc = {{ start = 0 }}\n\
         [fit]\nloss = \"cauchy\"\ntile_points = 2048\nxtol = 0\nftol = 0\ngtol = 0\nmax_passes = {PASSES}\n\
         [fit.hybrid]\nwarm_up = \"always\"\nwarm_up_method = \"adam\"\nlearning_rate = 1e-3\nmin_iterations = 1000\n\
         max_iterations = 1000\nplateau_threshold = 0\ngradient_threshold = 0\nagreement_threshold = 0\n\
         warm_start_detection = false\n",
        data.display()
    )
}

/// The words that fit it.
pub(crate) fn job() -> [String; 2] {
    ["fit".to_string(), undisturbed().job.display().to_string()]
}

/// The job and what a run that nothing disturbs makes of it.
pub(crate) struct Undisturbed {
    _folder: tempfile::TempDir,
    job: PathBuf,
    pub(crate) answer: Answer,
}

/// What of a run must be the same bytes, whatever happened to its workers.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    covariance: Vec<u8>,
    result: Value,
}

impl Answer {
    /// Everything but who computed, how long it took, and what is said about that.
    pub(crate) fn of(dir: &Path) -> Self {
        let text = fs::read_to_string(dir.join("result.json")).expect("a run leaves result.json");
        let mut result: Value = serde_json::from_str(&text).expect("result.json is JSON");
        let fields = result.as_object_mut().expect("an object");
        for name in ["workers", "device", "generations", "seconds"] {
            assert!(fields.remove(name).is_some(), "{name}");
        }
        Self { covariance: fs::read(dir.join("covariance.npy")).expect("a run leaves covariance.npy"), result }
    }
}

pub(crate) fn undisturbed() -> &'static Undisturbed {
    static ONCE: OnceLock<Undisturbed> = OnceLock::new();
    ONCE.get_or_init(|| {
        let folder = folder();
        let data = folder.path().join("decay.csv");
        decay_csv(&data, POINTS);
        let job = folder.path().join("job.toml");
        fs::write(&job, job_file(&data)).expect("the folder is writable");
        let run = Run::fit(folder.path().join("run"), &[job.to_str().expect("a plain path")]);
        assert_eq!(run.result["passes"], PASSES, "{}", run.result["reason"]);
        assert_eq!(run.result["phases"][0]["name"], "warm_up", "{}", run.result);
        Undisturbed { job, answer: Answer::of(&run.dir), _folder: folder }
    })
}

/// Lines that a process has written to standard error so far.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<(Mutex<Said>, Condvar)>);

/// The lines, and whether there will be no more.
type Said = (Vec<String>, bool);

impl Lines {
    fn collect(from: impl std::io::Read + Send + 'static) -> Self {
        let lines = Self::default();
        let shared = lines.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(from).lines().map_while(Result::ok) {
                shared.0.0.lock().unwrap().0.push(line);
                shared.0.1.notify_all();
            }
            shared.0.0.lock().unwrap().1 = true;
            shared.0.1.notify_all();
        });
        lines
    }

    /// Waits for the first line that contains `text`.
    pub(crate) fn wait_for(&self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.0.0.lock().unwrap();
        loop {
            if let Some(line) = state.0.iter().find(|line| line.contains(text)) {
                return line.clone();
            }
            assert!(!state.1, "ended without \"{text}\":\n{}", state.0.join("\n"));
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "no \"{text}\" within {PATIENCE:?}:\n{}", state.0.join("\n"));
            state = self.0.1.wait_timeout(state, left).unwrap().0;
        }
    }

    /// All of them, once the process has ended.
    pub(crate) fn all(&self) -> String {
        let mut state = self.0.0.lock().unwrap();
        while !state.1 {
            state = self.0.1.wait(state).unwrap();
        }
        state.0.join("\n")
    }
}

/// A process whose standard error is collected; killed when dropped.
pub(crate) struct Process {
    pub(crate) child: Child,
    pub(crate) lines: Lines,
}

impl Process {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("the program starts");
        let lines = Lines::collect(child.stderr.take().expect("piped"));
        Self { child, lines }
    }

    pub(crate) fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                return status;
            }
            assert!(Instant::now() < deadline, "the process does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn signal(process: u32, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &process.to_string()]).status().expect("kill is there");
    assert!(sent.success(), "process {process} is there");
}

/// Processes whose parent is `parent`.
pub(crate) fn children(parent: u32) -> Vec<u32> {
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

/// A coordinator that waits for workers, and those who came.
pub(crate) struct Crew {
    folder: tempfile::TempDir,
    pub(crate) coordinator: Process,
    pub(crate) workers: Vec<Process>,
    address: String,
}

impl Crew {
    /// Starts a coordinator for `workers` ("2..3") with more flags.
    pub(crate) fn new(workers: &str, flags: &str) -> Self {
        let folder = folder();
        let mut command = program();
        command.args(job()).args(["--workers", workers, "--listen", "127.0.0.1:0"]);
        command.arg("--token-file").arg(folder.path().join("token"));
        command.arg("--out").arg(folder.path().join("run")).args(["--progress", "plain"]);
        command.args(flags.split_whitespace());
        let coordinator = Process::start(&mut command);
        let line = coordinator.lines.wait_for("listening on ");
        let address = line.split("listening on ").nth(1).and_then(|rest| rest.split(' ').next());
        let address = address.expect("the line names the address").to_string();
        Self { folder, coordinator, workers: Vec::new(), address }
    }

    /// Kills the coordinator; another goes on with the run at the same address.
    pub(crate) fn resume(&mut self, flags: &str) {
        self.coordinator.signal("KILL");
        self.coordinator.wait();
        let mut command = program();
        command.arg("resume").arg(self.dir()).args(["--listen", &self.address, "--progress", "plain"]);
        command.args(flags.split_whitespace());
        self.coordinator = Process::start(&mut command);
    }

    /// A worker with one thread, and with a fault if one is named.
    pub(crate) fn worker(&mut self, fault: Option<&str>) -> usize {
        let mut command = self.worker_command();
        if let Some(fault) = fault {
            command.env("NLSQ_FAULT", fault);
        }
        self.join(&mut command)
    }

    pub(crate) fn join(&mut self, command: &mut Command) -> usize {
        self.workers.push(Process::start(command));
        self.workers.len() - 1
    }

    pub(crate) fn worker_command(&self) -> Command {
        let mut command = Command::new(Path::new(env!("CARGO_BIN_EXE_nlsq-coordinator")).with_file_name("nlsq-worker"));
        command.args(["--coordinator", &self.address, "--threads", "1", "--wait", "20", "--token-file"]);
        command.arg(self.folder.path().join("token"));
        command
    }

    pub(crate) fn wait_for(&self, text: &str) -> String {
        self.coordinator.lines.wait_for(text)
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.folder.path().join("run")
    }

    /// Waits for the end, which must be that of the undisturbed run; what the coordinator said.
    pub(crate) fn same_bytes(&mut self) -> String {
        let status = self.coordinator.wait();
        let said = self.coordinator.lines.all();
        assert_eq!(status.code(), Some(3), "{said}");
        assert_eq!(Answer::of(&self.dir()), undisturbed().answer, "{said}");
        said
    }
}
