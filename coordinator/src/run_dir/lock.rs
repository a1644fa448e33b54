//! One coordinator to a directory: two that write checkpoints and results into one would ruin both.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::system::uname;

/// The file that is locked; it says who has locked it.
const NAME: &str = ".lock";

/// A lock on a directory, until it is dropped or the process ends, however it does. It goes by `flock`, which NFS carries from host to
/// host; where a file system has no locks there is none.
#[derive(Debug)]
pub(super) struct Lock {
    path: PathBuf,
    _file: File,
}

/// Why a directory could not be locked.
#[derive(Debug)]
pub(super) enum LockError {
    /// Somebody has it: in words, who.
    Taken(String),
    /// Its file cannot be made.
    Io(io::Error),
}

impl Lock {
    /// Locks a directory.
    pub(super) fn take(folder: &Path) -> Result<Self, LockError> {
        let path = folder.join(NAME);
        loop {
            let mut file = File::options()
                .create(true)
                .truncate(false)
                .read(true)
                .write(true)
                .open(&path)
                .map_err(LockError::Io)?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => {
                    return Err(LockError::Taken(fs::read_to_string(&path).unwrap_or_default().trim().to_string()));
                }
                Err(error) => {
                    tracing::warn!(%error, path = %path.display(), "no locks here: another run could write to it")
                }
            }
            // Whoever had it before may have taken it away between our opening and our locking.
            if is_at(&file, &path) {
                // What it says is for people only.
                let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", this_process()));
                return Ok(Self { path, _file: file });
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // If it stays, it is locked by nobody.
        let _ = fs::remove_file(&self.path);
    }
}

fn is_at(file: &File, path: &Path) -> bool {
    let name = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    match (file.metadata(), fs::metadata(path)) {
        (Ok(ours), Ok(there)) => name(ours) == name(there),
        _ => false,
    }
}

fn this_process() -> String {
    format!("process {} on {}", std::process::id(), uname().nodename().to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_locked_by_one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let lock = Lock::take(folder.path()).unwrap();
        match Lock::take(folder.path()) {
            Err(LockError::Taken(who)) => assert_eq!(who, this_process()),
            other => panic!("{other:?}"),
        }
        drop(lock);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        // left behind by one that was killed
        fs::write(folder.path().join(NAME), "process 1 on nowhere").unwrap();
        let lock = Lock::take(folder.path()).unwrap();
        assert_eq!(fs::read_to_string(folder.path().join(NAME)).unwrap().trim(), this_process());
        drop(lock);
        assert!(matches!(Lock::take(&folder.path().join("absent")), Err(LockError::Io(_))));
    }

    /// Many that come and go: never two at once.
    #[test]
    fn nobody_locks_a_file_that_is_gone() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let folder = tempfile::tempdir().unwrap();
        let (inside, taken) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        let Ok(lock) = Lock::take(folder.path()) else { continue };
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        taken.fetch_add(1, Ordering::SeqCst);
                        inside.fetch_sub(1, Ordering::SeqCst);
                        drop(lock);
                    }
                });
            }
        });
        assert!(taken.into_inner() > 0);
    }
}
