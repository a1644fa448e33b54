//! Worker processes on this machine.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

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
    #[error("cannot make a secret")]
    Randomness(#[source] io::Error),
    #[error("listening on {address} without a secret is refused: expected --token-file FILE (made on first use)")]
    NoSecret { address: SocketAddr },
    #[error("only {joined} of {expected} workers joined within {} s", limit.as_secs())]
    TooFew { joined: usize, expected: usize, limit: Duration },
    #[error("only {joined} of {expected} workers joined: {cause}")]
    Died { joined: usize, expected: usize, cause: String },
}

impl LaunchError {
    /// 2 where the person can set it right, 4 where the workers are missing.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::TooFew { .. } | Self::Died { .. } | Self::Spawn { .. } => 4,
            Self::NoProgram { .. } | Self::Listen { .. } | Self::Secret(_) | Self::Randomness(_) => 2,
            Self::NoSecret { .. } => 2,
        }
    }
}

/// Worker processes that this process has started; they are killed when it is dropped.
#[derive(Default)]
pub(super) struct Children {
    children: Vec<(u32, Child)>,
}

impl Children {
    /// Starts `count` workers that join `coordinator`.
    pub(super) fn start(count: usize, coordinator: SocketAddr, secret: &Secret) -> Result<Self, LaunchError> {
        let program = find_worker()?;
        let mut children = Self::default();
        for _ in 0..count {
            let child = spawn(&program, coordinator, secret);
            let child = child.map_err(|source| LaunchError::Spawn { program: program.clone(), source })?;
            children.children.push((child.id(), child));
        }
        Ok(children)
    }

    /// How many were started.
    pub(super) fn len(&self) -> usize {
        self.children.len()
    }

    /// Whether this process started that one.
    pub(super) fn has(&self, process: u32) -> bool {
        self.children.iter().any(|(id, _)| *id == process)
    }

    /// How each worker that has already ended did so, by process id.
    pub(super) fn ended(&mut self) -> Vec<(u32, ExitStatus)> {
        let ended = |(id, child): &mut (u32, Child)| child.try_wait().ok().flatten().map(|status| (*id, status));
        self.children.iter_mut().filter_map(ended).collect()
    }

    /// Waits for all to end by themselves, for a while.
    pub(super) fn wait(&mut self) {
        let deadline = Instant::now() + LEAVE_LIMIT;
        while self.ended().len() < self.children.len() && Instant::now() < deadline {
            std::thread::sleep(POLL);
        }
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        for (_, child) in &mut self.children {
            // Fails for a child that has ended, which is what is wanted.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The secret goes through a pipe: neither arguments nor environment of a process are private.
fn spawn(program: &Path, coordinator: SocketAddr, secret: &Secret) -> io::Result<Child> {
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
    Ok(child)
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
