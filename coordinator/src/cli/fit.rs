//! The command `fit`: a job in, the directory of a run out.

use std::path::Path;

use nlsq_engine::summary::Status;

use super::output::print;
use super::signals::Signals;
use super::{Failure, INTERRUPTED, JobArgs, NOT_CONVERGED, REFUSED};
use crate::config::{Job, JobError};
use crate::outcome::{Level, Observer, Outcome, RunError};
use crate::progress::{self, Watchers};
use crate::report::result::RunResult;
use crate::report::{covariance, history::History, log::Log, text};
use crate::run_dir::{COVARIANCE, HISTORY, JOB, LOG, REPORT, RESULT, RunDir};

pub(super) fn fit(arguments: &JobArgs) -> Result<u8, Failure> {
    let mut job = Job::read(arguments.job_file.as_deref(), &arguments.flags)?;
    let mut dir = RunDir::prepare(&job)?;
    job.output.dir = Some(dir.path().to_path_buf());
    let mut log = Log::new(dir.begin(LOG)?);
    let mut history = History::default();
    let mut progress = progress::on_stderr(job.output.progress, job.fit.options.minimizer.max_passes);

    let mut signals = Signals::listen();
    let mut watchers = Watchers(vec![&mut log, &mut history, progress.as_mut(), &mut signals]);
    for warning in job.parse_model().warnings() {
        watchers.note(Level::Warn, &format!("the model: {warning}"));
    }
    let ended = crate::fit::run(&job, &mut watchers);
    if let Ok(outcome) = &ended {
        watchers.finished(outcome);
    }
    drop(progress);
    match ended {
        Ok(outcome) => succeed(&job, &outcome, log, &history, dir),
        Err(error) => fail(&job, error, log, &history, dir),
    }
}

fn succeed<W: std::io::Write>(
    job: &Job,
    outcome: &Outcome,
    log: Log<W>,
    history: &History,
    mut dir: RunDir,
) -> Result<u8, Failure> {
    let result = RunResult::from(outcome);
    let report = text::render(&result, &files(dir.path()));
    // the answer is printed first: a full disk must not take it away
    let printed = print(&if job.output.json { result.to_json() } else { report.clone() });
    let written = write_files(job, outcome, history, &mut dir)
        .and_then(|()| dir.write(REPORT, report.as_bytes()))
        .and_then(|()| close_log(log, &mut dir))
        .and_then(|()| dir.write(RESULT, result.to_json().as_bytes()));
    dir.keep();
    written?;
    match printed {
        Ok(()) | Err(Failure::BrokenPipe) => Ok(exit_code(outcome.status)),
        Err(failure) => Err(failure),
    }
}

/// A run without an outcome leaves nothing behind if the job was at fault, and its traces if it was not.
fn fail<W: std::io::Write>(
    job: &Job,
    error: RunError,
    log: Log<W>,
    history: &History,
    mut dir: RunDir,
) -> Result<u8, Failure> {
    if error.exit_code() != REFUSED {
        // the error itself is what a person must see; a trace that cannot be written must not hide it
        let _ = write_traces(job, history, &mut dir).and_then(|()| close_log(log, &mut dir));
        dir.keep();
    }
    Err(error.into())
}

fn exit_code(status: Status) -> u8 {
    match status {
        Status::Converged => 0,
        Status::MaxPasses | Status::Stalled | Status::Failed => NOT_CONVERGED,
        Status::Interrupted => INTERRUPTED,
    }
}

fn write_files(job: &Job, outcome: &Outcome, history: &History, dir: &mut RunDir) -> Result<(), JobError> {
    write_traces(job, history, dir)?;
    dir.write(COVARIANCE, &covariance::to_npy(&outcome.covariance, outcome.parameters.len()))
}

fn write_traces(job: &Job, history: &History, dir: &mut RunDir) -> Result<(), JobError> {
    dir.write(JOB, job.to_toml().as_bytes())?;
    let mut bytes = Vec::new();
    history.write(&mut bytes).expect("columns of one length written to memory make a lawful file");
    dir.write(HISTORY, &bytes)
}

fn close_log<W: std::io::Write>(log: Log<W>, dir: &mut RunDir) -> Result<(), JobError> {
    let closed = log.finish().and_then(|()| dir.finish(LOG));
    closed.map_err(|error| JobError::usage(format!("cannot write {}: {error}", dir.path().join(LOG).display())))
}

/// The files of a run with their meaning, for its report.
pub(super) fn files(dir: &Path) -> Vec<(String, &'static str)> {
    [
        (RESULT, "the same for machines, all digits"),
        (COVARIANCE, "covariance of the parameters, in the order above"),
        (HISTORY, "one row a pass"),
        (JOB, "the job as it was run"),
        (LOG, "what happened"),
    ]
    .map(|(name, meaning)| (dir.join(name).display().to_string(), meaning))
    .to_vec()
}
