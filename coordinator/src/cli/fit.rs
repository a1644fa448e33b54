//! The command `fit`: a job in, the directory of a run out; and what `resume` has in common with it.

use std::io::Write as _;
use std::path::Path;

use nlsq_engine::summary::Status;

use super::output::print;
use super::signals::Signals;
use super::{Failure, INTERRUPTED, JobArgs, NOT_CONVERGED, REFUSED};
use crate::checkpoint::{Checkpoints, FOLDER, Found, Keeping, Store};
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
    let log = Log::new(dir.begin(LOG)?);
    let keeping = match job.checkpoint.every_passes {
        0 => Keeping::Nothing,
        _ => Keeping::Fresh(checkpoints(&job, &dir)),
    };
    run(&job, &keeping, log, dir)
}

/// Where the checkpoints of a job go.
pub(super) fn checkpoints(job: &Job, dir: &RunDir) -> Checkpoints {
    Checkpoints {
        run_dir: dir.path().to_path_buf(),
        every_passes: job.checkpoint.every_passes,
        keep: job.checkpoint.keep,
        job: Some(job.to_toml()),
    }
}

/// Runs a job, from its start or from a checkpoint.
pub(super) fn run<W: std::io::Write>(
    job: &Job,
    keeping: &Keeping,
    mut log: Log<W>,
    dir: RunDir,
) -> Result<u8, Failure> {
    let mut history = History::default();
    let mut progress = progress::on_stderr(job.output.progress, job.fit.options.minimizer.max_passes);

    let mut signals = Signals::listen();
    let mut watchers = Watchers(vec![&mut log, &mut history, progress.as_mut(), &mut signals]);
    for warning in job.parse_model().warnings() {
        watchers.note(Level::Warn, &format!("the model: {warning}"));
    }
    let ended = crate::fit::run_kept(job, keeping, &mut watchers);
    if let Ok(outcome) = &ended {
        watchers.finished(outcome);
    }
    drop(progress);
    match ended {
        Ok(outcome) => succeed(job, &outcome, log, &history, dir),
        Err(error) => fail(job, error, log, &history, dir),
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
    let place = dir.path().to_path_buf();
    dir.keep();
    if written.is_err() || outcome.status == Status::Interrupted {
        say_how_to_go_on(&place);
    }
    written?;
    if outcome.status != Status::Interrupted {
        finish(&place);
    }
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
        // what an earlier process left of the run says more than one that came to no pass
        let untouched = history.is_empty() && dir.path().join(JOB).exists();
        let traces = if untouched { Ok(()) } else { write_traces(job, history, &mut dir) };
        // the error itself is what a person must see; a trace that cannot be written must not hide it
        let _ = traces.and_then(|()| close_log(log, &mut dir));
        say_how_to_go_on(dir.path());
        dir.keep();
    }
    Err(error.into())
}

/// What a person types to go on with a run, or that there is nothing to go on from.
fn say_how_to_go_on(dir: &Path) {
    let text = match Store::new(dir.join(FOLDER)).newest_name() {
        Some(name) => {
            format!("the newest checkpoint is {FOLDER}/{name}; go on with: nlsq-coordinator resume {}", dir.display())
        }
        None => "there is no checkpoint: no pass was completed, or [checkpoint] every_passes is 0".to_string(),
    };
    // nobody may be listening on stderr any more
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// The result is there: what checkpoints there are need not be gone on from.
fn finish(dir: &Path) {
    let store = Store::new(dir.join(FOLDER));
    if let Ok(Found { newest: Some((_, checkpoint)), .. }) = store.newest() {
        // if this is lost, a later resume repeats the last steps and writes the same result
        let _ = store.finish(checkpoint.identity.run);
    }
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
