//! The directory of a run: chosen and tried before the fit, filled after it, never left with half a file.

mod lock;

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::checkpoint::{FOLDER, Store};
use crate::clock::Utc;
use crate::config::{Job, JobError};
use lock::{Lock, LockError};

/// The file whose presence means that a directory holds a result.
pub const RESULT: &str = "result.json";
/// The covariance, float64 p x p.
pub const COVARIANCE: &str = "covariance.npy";
/// One row a pass.
pub const HISTORY: &str = "history.parquet";
/// The job as it was run.
pub const JOB: &str = "job.toml";
/// What happened.
pub const LOG: &str = "log.jsonl";
/// What a person reads.
pub const REPORT: &str = "report.txt";

/// A directory that can be written to, and that no other process writes to meanwhile. Dropped without [`RunDir::keep`], it takes away what it made.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    made: Vec<PathBuf>,
    partial: Vec<PathBuf>,
    kept: bool,
    lock: Option<Lock>,
}

impl RunDir {
    /// Makes the directory of a job, or takes it as it is; refuses one that holds a result unless told otherwise.
    pub fn prepare(job: &Job) -> Result<Self, JobError> {
        let path = match &job.output.dir {
            Some(dir) => dir.clone(),
            None => unused(&PathBuf::from("runs"), &format!("{}-{}", Utc::now().compact(), job.name)),
        };
        let path = std::path::absolute(&path).map_err(|error| unwritable(&path, &error))?;
        if path.join(RESULT).exists() && !job.output.overwrite {
            return Err(JobError::usage_with_help(
                format!(
                    "the output directory {} already holds a result; expected an empty or a new one",
                    path.display()
                ),
                "give another --out (output.dir), or --overwrite to write over it; a run that was interrupted goes on with resume",
            ));
        }
        if !path.join(RESULT).exists() && !job.output.overwrite {
            refuse_unfinished(&path)?;
        }
        let mut dir = RunDir { made: missing_parts(&path), path, partial: Vec::new(), kept: false, lock: None };
        fs::create_dir_all(&dir.path).map_err(|error| unwritable(&dir.path, &error))?;
        dir.lock()?;
        let probe = dir.begin(".write-test")?;
        drop(probe);
        dir.discard(".write-test");
        Ok(dir)
    }

    /// The directory of a run that goes on.
    pub fn reopen(path: &Path) -> Result<Self, JobError> {
        let path = std::path::absolute(path).map_err(|error| unwritable(path, &error))?;
        if !path.is_dir() {
            let message = format!("{} is no directory; expected that of a run", path.display());
            return Err(JobError::usage(message));
        }
        let mut dir = RunDir { path, made: Vec::new(), partial: Vec::new(), kept: false, lock: None };
        dir.lock()?;
        Ok(dir)
    }

    fn lock(&mut self) -> Result<(), JobError> {
        let lock = Lock::take(&self.path).map_err(|error| match error {
            LockError::Io(error) => unwritable(&self.path, &error),
            LockError::Taken(who) => JobError::usage_with_help(
                format!("another run writes to the output directory {}: {who}", self.path.display()),
                "expected a directory that no other run uses; wait for its end, or end it",
            ),
        })?;
        self.lock = Some(lock);
        Ok(())
    }

    /// Opens the log of a run that goes on, behind its last whole line. Until it is finished it has its temporary name, as after a
    /// run that was killed.
    pub fn go_on_with_log(&mut self) -> Result<File, JobError> {
        let (log, partial) = (self.path.join(LOG), self.partial_path(LOG));
        let opened = (|| {
            if !partial.exists() && log.exists() {
                fs::copy(&log, &partial)?;
                self.partial.push(partial.clone());
            }
            let mut file = File::options().create(true).append(true).read(true).open(&partial)?;
            let mut text = Vec::new();
            file.read_to_end(&mut text)?;
            let whole = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
            file.set_len(whole as u64)?;
            Ok(file)
        })();
        opened.map_err(|error| unwritable(&partial, &error))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a file under its temporary name; [`RunDir::finish`] gives it its own.
    pub fn begin(&mut self, name: &str) -> Result<File, JobError> {
        let partial = self.partial_path(name);
        let file = File::create(&partial).map_err(|error| unwritable(&partial, &error))?;
        self.partial.push(partial);
        Ok(file)
    }

    /// Gives a file its own name.
    pub fn finish(&mut self, name: &str) -> io::Result<()> {
        let partial = self.partial_path(name);
        File::open(&partial)?.sync_all()?;
        fs::rename(&partial, self.path.join(name))?;
        self.partial.retain(|known| *known != partial);
        Ok(())
    }

    /// Writes a whole file.
    pub fn write(&mut self, name: &str, content: &[u8]) -> Result<(), JobError> {
        let mut file = self.begin(name)?;
        let written = file.write_all(content).and_then(|()| self.finish(name));
        written.map_err(|error| unwritable(&self.path.join(name), &error))
    }

    /// The run ended: what was written stays.
    pub fn keep(mut self) {
        self.kept = true;
    }

    fn discard(&mut self, name: &str) {
        let partial = self.partial_path(name);
        let _ = fs::remove_file(&partial);
        self.partial.retain(|known| *known != partial);
    }

    fn partial_path(&self, name: &str) -> PathBuf {
        self.path.join(format!("{name}.partial"))
    }
}

impl Drop for RunDir {
    fn drop(&mut self) {
        for partial in &self.partial {
            let _ = fs::remove_file(partial);
        }
        self.lock = None;
        if !self.kept {
            // innermost first; one that holds something by now stays
            for made in self.made.iter().rev() {
                let _ = fs::remove_dir(made);
            }
        }
    }
}

/// Writes a file beside its place and moves it there.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let name = path.file_name().ok_or_else(|| io::Error::other("the path names no file"))?;
    let partial = path.with_file_name(format!("{}.partial", name.to_string_lossy()));
    let written = (|| {
        let mut file = File::create(&partial)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&partial, path)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&partial);
    }
    written
}

/// Directories on the way to `path` that do not exist yet, outermost first.
fn missing_parts(path: &Path) -> Vec<PathBuf> {
    let mut missing: Vec<PathBuf> = path.ancestors().take_while(|part| !part.exists()).map(Path::to_path_buf).collect();
    missing.reverse();
    missing
}

/// `name` in `parent`, with a number behind it if that is taken: two runs may start in one second.
fn unused(parent: &Path, name: &str) -> PathBuf {
    let mut path = parent.join(name);
    let mut number = 2u32;
    while path.exists() {
        path = parent.join(format!("{name}-{number}"));
        number += 1;
    }
    path
}

/// A run that was killed can go on: another one does not take its place by accident.
fn refuse_unfinished(path: &Path) -> Result<(), JobError> {
    let Some(name) = Store::new(path.join(FOLDER)).newest_name() else { return Ok(()) };
    Err(JobError::usage_with_help(
        format!(
            "the output directory {} holds the checkpoint {name} of a run without a result; expected an empty or a new one",
            path.display()
        ),
        format!(
            "go on with it: nlsq-coordinator resume {}; or give another --out (output.dir), or --overwrite",
            path.display()
        ),
    ))
}

fn unwritable(path: &Path, error: &io::Error) -> JobError {
    JobError::usage_with_help(
        format!("cannot write to the output directory: {}: {error}", path.display()),
        "expected a directory that can be made and written to: --out DIR (output.dir)",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::job;

    fn job_into(dir: &Path) -> Job {
        let mut job = job();
        job.output.dir = Some(dir.to_path_buf());
        job
    }

    #[test]
    fn what_was_made_goes_away_unless_kept() {
        let root = tempfile::tempdir().unwrap();
        let job = job_into(&root.path().join("a/b"));
        let mut dir = RunDir::prepare(&job).unwrap();
        let _log = dir.begin(LOG).unwrap();
        assert!(root.path().join("a/b/log.jsonl.partial").exists());
        drop(dir);
        assert!(!root.path().join("a").exists());

        let mut dir = RunDir::prepare(&job).unwrap();
        dir.write(RESULT, b"{}").unwrap();
        dir.keep();
        assert_eq!(fs::read(root.path().join("a/b/result.json")).unwrap(), b"{}");
        assert_eq!(fs::read_dir(root.path().join("a/b")).unwrap().count(), 1, "nothing half-written stays");
    }

    #[test]
    fn a_result_is_not_written_over() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join(RESULT), "{}").unwrap();
        let mut job = job_into(root.path());
        assert!(RunDir::prepare(&job).unwrap_err().to_string().contains("already holds a result"));
        job.output.overwrite = true;
        drop(RunDir::prepare(&job).unwrap());
        assert!(root.path().join(RESULT).exists(), "the old result stands until a new one is there");
    }

    #[test]
    fn a_path_below_a_file_is_refused() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("plain"), "x").unwrap();
        let error = RunDir::prepare(&job_into(&root.path().join("plain/run"))).unwrap_err().to_string();
        assert!(error.contains("cannot write to the output directory"), "{error}");
    }
}
