//! The command `resume`: goes on from the newest valid checkpoint of a run, to the bits that the run would have had.

use std::path::{Path, PathBuf};

use clap::Args;

use super::Failure;
use super::fit::{checkpoints, run};
use crate::checkpoint::{Checkpoints, FOLDER, Found, Keeping, Store};
use crate::config::{ClusterSettings, Job, JobError, JobFlags};
use crate::report::log::Log;
use crate::report::result::{RunResult, status_name};
use crate::run_dir::{JOB, RESULT, RunDir};
use nlsq_engine::summary::Status;

#[derive(Debug, Args)]
pub(super) struct ResumeArgs {
    /// The directory of the run
    run_dir: PathBuf,
    /// Go on in this process alone, whatever workers the run had
    #[arg(long)]
    embedded: bool,
    /// Take data files that were moved for the same, if lengths, rows and contents agree
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    flags: JobFlags,
}

/// Settings of the run itself: its place is where it is.
const OF_THE_RUN: [(&str, &str); 2] = [("output", "dir"), ("output", "overwrite")];

pub(super) fn resume(arguments: &ResumeArgs) -> Result<u8, Failure> {
    let ResumeArgs { run_dir, embedded, force, flags } = arguments;
    refuse_flags(flags, *embedded)?;
    let mut dir = RunDir::reopen(run_dir)?;
    let folder = dir.path().join(FOLDER);
    refuse_finished(dir.path(), &Store::new(folder))?;
    let mut job = Job::read(Some(&job_file(dir.path())?), flags)?;
    job.output.dir = Some(dir.path().to_path_buf());
    if *embedded {
        let cluster = job.cluster;
        job.cluster = ClusterSettings { workers: None, listen: None, token_file: None, rendezvous: None, ..cluster };
    }
    let checkpoints = Checkpoints { job: None, ..checkpoints(&job, &dir) };
    let log = Log::new(dir.go_on_with_log()?);
    run(&job, &Keeping::Resume { checkpoints, moved: *force }, log, dir)
}

fn refuse_flags(flags: &JobFlags, embedded: bool) -> Result<(), JobError> {
    for (key, _) in &flags.given {
        if OF_THE_RUN.contains(&(key.section, key.name)) {
            return Err(JobError::usage(format!("resume goes on where the run is; expected no {}", key.title())));
        }
        if embedded && key.section == "cluster" {
            return Err(JobError::usage(format!("--embedded and {} exclude each other; expected one", key.title())));
        }
    }
    Ok(())
}

fn job_file(run_dir: &Path) -> Result<PathBuf, JobError> {
    let path = run_dir.join(JOB);
    if path.is_file() {
        return Ok(path);
    }
    Err(JobError::usage_with_help(
        format!("{} holds no {JOB}; expected the directory of a run that has completed a pass", run_dir.display()),
        "a run that was ended before its first pass has nothing to go on from: start it again with fit",
    ))
}

/// A run that has left its result has nothing to go on to.
fn refuse_finished(run_dir: &Path, store: &Store) -> Result<(), JobError> {
    let json = std::fs::read_to_string(run_dir.join(RESULT));
    let Some(result) = json.ok().and_then(|json| RunResult::from_json(&json).ok()) else { return Ok(()) };
    if result.status == Status::Interrupted {
        return Ok(());
    }
    // a result beside the checkpoints of another run is one that this run was told to write over
    let newest = match store.newest() {
        Ok(Found { newest: Some((_, checkpoint)), .. }) => Some(checkpoint.identity.run),
        _ => None,
    };
    if newest.is_none_or(|run| store.is_finished(run)) {
        return Err(JobError::usage_with_help(
            format!(
                "the run in {} is over, with the status {} after {} passes: there is nothing to go on with",
                run_dir.display(),
                status_name(result.status),
                result.passes
            ),
            "start another with fit; --p0 from its result.json begins where it ended",
        ));
    }
    Ok(())
}
