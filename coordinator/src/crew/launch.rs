//! Worker processes on this machine.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nlsq_worker::rendezvous::RendezvousError;
use nlsq_worker::secret::{Secret, SecretError};

/// What the worker's program is called.
const WORKER: &str = "nlsq-worker";
/// How long workers may take to end when told to.
const LEAVE_LIMIT: Duration = Duration::from_secs(5);
/// How often a wait for them looks.
const POLL: Duration = Duration::from_millis(2);

/// Why workers could not be started or did not join.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum LaunchError {
    #[error("cannot find the program {WORKER}: looked in {}", looked.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", "))]
    NoProgram { looked: Vec<PathBuf> },
    #[error("cannot start {}", program.display())]
    Spawn { program: PathBuf, source: io::Error },
    #[error("cannot listen on {address}")]
    Listen { address: String, source: io::Error },
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error("the system has no more threads")]
    Threads(#[source] io::Error),
    #[error("cannot make a secret")]
    Randomness(#[source] io::Error),
    #[error("listening on {address} without a secret is refused: expected --token-file FILE (made on first use)")]
    NoSecret { address: SocketAddr },
    #[error(transparent)]
    Rendezvous(#[from] RendezvousError),
    #[error("the rendezvous file {} leads to a coordinator that runs, at {address}: expected a file of this run alone", path.display())]
    Taken { path: PathBuf, address: SocketAddr },
    #[error("cannot tell the addresses of this host: expected --listen HOST:PORT beside --rendezvous")]
    Addresses { source: io::Error },
    #[error("only {joined} of {expected} workers joined within {} s", limit.as_secs())]
    TooFew { joined: usize, expected: usize, limit: Duration },
    #[error("only {joined} of {expected} workers joined: {cause}")]
    Died { joined: usize, expected: usize, cause: String },
}

impl LaunchError {
    /// 2 where the person can set it right, 4 where the workers are missing.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::TooFew { .. } | Self::Died { .. } | Self::Spawn { .. } | Self::Threads(_) => 4,
            Self::NoProgram { .. } | Self::Listen { .. } | Self::Secret(_) | Self::Randomness(_) => 2,
            Self::NoSecret { .. } | Self::Rendezvous(_) | Self::Taken { .. } | Self::Addresses { .. } => 2,
        }
    }
}

/// Worker processes that this process has started; they are killed when it is dropped.
pub(super) struct Children {
    start: Option<Start>,
    running: Vec<Running>,
    /// How the others ended.
    ended: BTreeMap<u32, ExitStatus>,
}

/// What it takes to start one.
struct Start {
    program: PathBuf,
    coordinator: SocketAddr,
    secret: Secret,
}

struct Running {
    process: u32,
    child: Child,
    /// Held open as long as this process lives: a worker ends when it is closed.
    _stdin: ChildStdin,
}

impl Children {
    /// None, and none will be started.
    pub(super) fn none() -> Self {
        Self { start: None, running: Vec::new(), ended: BTreeMap::new() }
    }

    /// None yet; those that are started join `coordinator`.
    pub(super) fn new(coordinator: SocketAddr, secret: &Secret) -> Result<Self, LaunchError> {
        let start = Start { program: find_worker()?, coordinator, secret: secret.clone() };
        Ok(Self { start: Some(start), running: Vec::new(), ended: BTreeMap::new() })
    }

    /// Starts `count` more.
    pub(super) fn start(&mut self, count: usize) -> Result<(), LaunchError> {
        let Some(Start { program, coordinator, secret }) = &self.start else { return Ok(()) };
        for _ in 0..count {
            let spawned = spawn(program, *coordinator, secret);
            let (child, stdin) = spawned.map_err(|source| LaunchError::Spawn { program: program.clone(), source })?;
            self.running.push(Running { process: child.id(), child, _stdin: stdin });
        }
        Ok(())
    }

    /// Whether this process started that one.
    pub(super) fn has(&self, process: u32) -> bool {
        self.ended.contains_key(&process) || self.running.iter().any(|running| running.process == process)
    }

    /// How a worker ended, if it has.
    pub(super) fn status(&mut self, process: u32) -> Option<ExitStatus> {
        let running = self.running.iter_mut().find(|running| running.process == process);
        running.and_then(Running::look).or_else(|| self.ended.get(&process).copied())
    }

    /// Those that have ended since this was asked last.
    pub(super) fn newly_ended(&mut self) -> Vec<(u32, ExitStatus)> {
        let mut ended = Vec::new();
        self.running.retain_mut(|running| match running.look() {
            Some(status) => {
                ended.push((running.process, status));
                false
            }
            None => true,
        });
        self.ended.extend(ended.iter().copied());
        ended
    }

    /// Waits for all to end by themselves, for a while.
    pub(super) fn wait(&mut self) {
        let deadline = Instant::now() + LEAVE_LIMIT;
        while self.running.iter_mut().any(|running| running.look().is_none()) && Instant::now() < deadline {
            std::thread::sleep(POLL);
        }
    }
}

impl Running {
    fn look(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        for Running { child, .. } in &mut self.running {
            // Fails for a child that has ended, which is what is wanted.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The secret goes through a pipe: neither arguments nor environment of a process are private.
fn spawn(program: &Path, coordinator: SocketAddr, secret: &Secret) -> io::Result<(Child, ChildStdin)> {
    let mut child = Command::new(program)
        .arg("--coordinator")
        .arg(coordinator.to_string())
        .args(["--token-file", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        // a Ctrl-C at the terminal is for the coordinator alone, which ends the fit in order and sends its workers home
        .process_group(0)
        .spawn()?;
    let mut stdin = child.stdin.take().expect("standard input is piped");
    // Fails if the child is dead already; its exit status then says more than a broken pipe.
    let _ = stdin.write_all(secret.to_hex().as_bytes()).and_then(|()| stdin.write_all(b"\n"));
    Ok((child, stdin))
}

/// Beside this program, or one folder up (test programs and examples stand in a folder of their own).
fn find_worker() -> Result<PathBuf, LaunchError> {
    let own = std::env::current_exe().unwrap_or_default();
    let folders = own.ancestors().skip(1).take(2);
    let looked: Vec<PathBuf> = folders.map(|folder| folder.join(WORKER)).collect();
    match looked.iter().find(|path| path.is_file()) {
        Some(path) => Ok(path.clone()),
        None => Err(LaunchError::NoProgram { looked }),
    }
}
