//! A fit from job or source to outcome, the same for every way of running: embedded, worker processes, own data sources.

mod conclude;
mod problem;
mod profiles;
mod session;

use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nlsq_engine::covariance::degrees_of_freedom;
use nlsq_engine::data::source::{TileSource, Weighting};
use nlsq_engine::data::tile::tile_count;
use nlsq_engine::data::{Dataset, YStatistics};
use nlsq_engine::hybrid::Hybrid;
use nlsq_engine::kernel::Costing;
use nlsq_engine::normal::Counts;
use nlsq_engine::profile::Profiler;
use nlsq_engine::saved::to_bytes;
use nlsq_engine::summary::Summary;
use nlsq_worker::protocol::RunId;

pub use problem::{Problem, ProblemError, problem_of};

use crate::checkpoint::{Checkpoint, CheckpointError, Identity, Keeping, Record, Sections, Start, nanoseconds};
use crate::config::Job;
use crate::crew::{Cluster, ClusterOptions, Crew, CrewError, Embedded, LaunchError, Loaded, Meeting, Workers};
use crate::outcome::{About, Level, Observer, Outcome, PassRecord, Resumed, RunError, Seconds, Sigma};
use conclude::Solution;
use session::{Clock, Session, Stop};

/// Runs a job to its outcome. Not converging is an outcome, not an error.
pub fn run(job: &Job, observer: &mut dyn Observer) -> Result<Outcome, RunError> {
    run_kept(job, &Keeping::Nothing, observer)
}

/// The same, and leaves checkpoints or goes on from one. What the job's own `[checkpoint]` says is up to the caller.
pub fn run_kept(job: &Job, keeping: &Keeping, observer: &mut dyn Observer) -> Result<Outcome, RunError> {
    let began = Instant::now();
    let dataset = Arc::new(Dataset::open(&job.data)?);
    let problem = Arc::new(problem_of(job, dataset.as_ref())?);
    refuse_too_few(&problem, dataset.n_points())?;
    let start = start(&problem, dataset.as_ref(), keeping, job.decisive_data())?;
    let threads = job.fit.threads;
    match cluster_options(job)? {
        None => {
            let threads = threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
            let mut crew = Embedded::new(Arc::clone(&problem), dataset.clone(), threads, job.fit.memory);
            fit_with(&problem, dataset.as_ref(), &mut crew, observer, start, began)
        }
        Some(options) => {
            let n_points = dataset.n_points();
            let random = || RunId::random().map_err(|error| CrewError::from(LaunchError::Randomness(error)));
            let run = start.run.map_or_else(random, Ok)?;
            let mut crew = Cluster::gather(&problem, dataset.manifest(), n_points, run, &options, observer)?;
            fit_with(&problem, dataset.as_ref(), &mut crew, observer, start, began)
        }
    }
}

/// Fits points of any source in this process, on `threads` threads.
pub fn fit(
    problem: Problem,
    source: Arc<dyn TileSource>,
    threads: usize,
    observer: &mut dyn Observer,
) -> Result<Outcome, RunError> {
    fit_kept(problem, source, threads, &Keeping::Nothing, observer)
}

/// The same, and leaves checkpoints or goes on from one. By what a source is known again it says itself ([`TileSource::parts`]).
pub fn fit_kept(
    problem: Problem,
    source: Arc<dyn TileSource>,
    threads: usize,
    keeping: &Keeping,
    observer: &mut dyn Observer,
) -> Result<Outcome, RunError> {
    let began = Instant::now();
    let problem = Arc::new(problem);
    refuse_too_few(&problem, source.n_points())?;
    let start = start(&problem, source.as_ref(), keeping, Vec::new())?;
    let mut crew = Embedded::new(Arc::clone(&problem), Arc::clone(&source), threads, None);
    fit_with(&problem, source.as_ref(), &mut crew, observer, start, began)
}

/// Where a fit begins: at its start, or at a checkpoint of the same fit.
fn start(
    problem: &Problem,
    source: &dyn TileSource,
    keeping: &Keeping,
    data: Vec<(String, String)>,
) -> Result<Start, RunError> {
    problem.options.check(&problem.parameters)?;
    problem.check_profile()?;
    if *keeping == Keeping::Nothing {
        return Ok(Start::unkept());
    }
    let start = Start::new(keeping, Identity::new(problem, source, data)?)?;
    if let Some((path, checkpoint)) = &start.saved
        && !checkpoint.fit.is_under(&problem.options)
    {
        let differences = vec!["options that no key of a job sets".to_string()];
        return Err(CheckpointError::Differs { path: path.clone(), differences, only_moved: false }.into());
    }
    Ok(start)
}

fn cluster_options(job: &Job) -> Result<Option<ClusterOptions>, RunError> {
    let cluster = &job.cluster;
    let Some((min, max)) = cluster.workers else { return Ok(None) };
    let workers = match (&cluster.listen, &cluster.rendezvous) {
        (None, None) => Workers::Local { min, max },
        (listen, rendezvous) => Workers::Join {
            listen: listen.as_ref().map_or(Ok(ANYWHERE), |name| resolve(name))?,
            min,
            max,
            meeting: match rendezvous {
                Some(path) => Meeting::Rendezvous(path.clone()),
                None => Meeting::TokenFile(cluster.token_file.clone()),
            },
        },
    };
    let (threads, memory) = (job.fit.threads, job.fit.memory);
    Ok(Some(ClusterOptions {
        workers,
        threads,
        memory,
        placement: cluster.placement,
        endurance: cluster.endurance.clone(),
        wire: cluster.wire,
    }))
}

/// A free port on all interfaces.
const ANYWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

fn resolve(listen: &str) -> Result<SocketAddr, RunError> {
    let address = listen.to_socket_addrs().ok().and_then(|mut addresses| addresses.next());
    address.ok_or_else(|| RunError::Listen { address: listen.to_string() })
}

/// Fewer points than parameters can be refused before anything is read.
fn refuse_too_few(problem: &Problem, n: u64) -> Result<(), RunError> {
    degrees_of_freedom(n, problem.parameters.free().len())?;
    Ok(())
}

/// Drives the minimizer through a crew.
fn fit_with(
    problem: &Problem,
    source: &dyn TileSource,
    crew: &mut dyn Crew,
    observer: &mut dyn Observer,
    start: Start,
    began: Instant,
) -> Result<Outcome, RunError> {
    let Start { keeper, saved, warnings, .. } = start;
    observer.started(&about(problem, source, crew));
    warnings.iter().for_each(|warning| observer.note(Level::Warn, warning));
    if let Some((path, checkpoint)) = &saved {
        observer.resumed(&Resumed { path: path.clone(), rows: checkpoint.rows.clone() });
    }
    let reading = Instant::now();
    let loaded = crew.load(observer).map_err(|error| not_loaded(error, saved.as_ref()))?;
    let read = reading.elapsed();
    observer.loading(loaded.counts.points(), source.n_points());
    refuse_too_few(problem, loaded.counts.used)?;
    let Begun { mut record, rows, fit, under_way } = begun(problem, &loaded, saved)?;
    let clock = Clock { began, before: record.times, generations: record.generations };
    record.times.read += nanoseconds(read);
    let mut session =
        Session { problem, source, crew: &mut *crew, loaded: &loaded, observer, record, rows, keeper, clock };
    let solved = solve(&mut session, fit).and_then(|(mut solved, fit)| {
        let profiles = profiles::follow(&mut session, &fit, under_way, &mut solved.summary)?;
        Ok((solved, profiles))
    });
    let waited = session.keeper.close(session.observer);
    session.tick();
    let Session { record, rows, .. } = session;
    let (Solved { mut summary, scores, excess, costing, precision }, profiles) = match solved {
        Ok(solved) => solved,
        Err(Stop::Lost(error)) => return Err(error.into()),
        Err(Stop::Asked(reason)) => return Err(RunError::Interrupted { reason }),
        Err(Stop::Run(error)) => return Err(error),
    };
    // a crew that has finished has nobody left to name
    let generations = record.generations;
    let ran_on = conclude::RanOn { device: crew.device(), workers: crew.workers(), generations };
    if let Err(error) = crew.finish(observer) {
        // The result is complete by its data; a worker that stumbled on its way out takes nothing from it.
        observer.note(Level::Warn, &error.to_string());
    }
    let sigma = match (&source.layout().weighting, problem.absolute_sigma) {
        (Weighting::None, _) => Sigma::None,
        (_, false) => Sigma::Relative,
        (_, true) => Sigma::Absolute,
    };
    let loss = costing.loss;
    // from here on the cost is that of the points, as the variance of the residuals is
    let penalty = problem.penalty(&summary.theta, loaded.counts.used);
    summary.normal.cost -= penalty;
    let (times, costs) = (record.times, record.costs(&rows));
    let Record { phases, notes, .. } = record;
    let solution =
        Solution { penalty, summary, scores, excess, loss, precision, phases, costs, sigma, profiles, notes };
    let covariance = conclude::known(problem, &solution)?;
    let seconds = |nanoseconds: u64| Duration::from_nanos(nanoseconds).as_secs_f64();
    let seconds = Seconds {
        total: seconds(clock.before.total + nanoseconds(began.elapsed())),
        read: seconds(times.read),
        compute: seconds(times.compute),
        reduce: seconds(times.passes.saturating_sub(times.compute)),
        checkpoint: seconds(clock.before.checkpoint + waited),
    };
    Ok(conclude::outcome(problem, ran_on, &loaded.statistics, solution, covariance, seconds))
}

fn about(problem: &Problem, source: &dyn TileSource, crew: &dyn Crew) -> About {
    let n_points = source.n_points();
    About {
        model: problem.model.expression.clone(),
        parameters: problem.parameters.all().iter().map(|p| (p.name.clone(), p.start)).collect(),
        n_points,
        tiles: tile_count(n_points, problem.tile_points),
        workers: crew.workers(),
        device: crew.device(),
    }
}

/// The state to begin with.
struct Begun {
    record: Record,
    rows: Vec<PassRecord>,
    fit: Hybrid,
    /// Profiles of a checkpoint.
    under_way: Option<Profiler>,
}

/// That of the checkpoint, if the points are the same; without one that before the first pass.
fn begun(problem: &Problem, loaded: &Loaded, saved: Option<(PathBuf, Checkpoint)>) -> Result<Begun, CheckpointError> {
    let Loaded { counts, statistics } = loaded.clone();
    let Some((path, saved)) = saved else {
        let spread = (statistics.m2 / counts.used as f64).sqrt();
        let fit = Hybrid::new(&problem.parameters, problem.options.clone(), spread);
        let record = Record { counts, statistics, ..Record::default() };
        return Ok(Begun { record, rows: Vec::new(), fit, under_way: None });
    };
    refuse_other_points(&path, &saved.record.loaded(), loaded)?;
    Ok(Begun { record: saved.record, rows: saved.rows, fit: saved.fit, under_way: saved.profiles })
}

/// What a crew says that could not load.
fn not_loaded(error: CrewError, saved: Option<&(PathBuf, Checkpoint)>) -> RunError {
    match (error, saved) {
        (CrewError::Stopped(reason), Some((_, saved))) => {
            RunError::InterruptedAgain { reason, pass: saved.rows.len() as u64 }
        }
        (error, _) => error.into(),
    }
}

/// The points must be those of the checkpoint, whatever the files look like. The statistics cover every bit of the response, the
/// weights and the mask; of the variables only what the digests of the files cover.
fn refuse_other_points(path: &Path, then: &Loaded, now: &Loaded) -> Result<(), CheckpointError> {
    let words = |loaded: &Loaded| {
        let Loaded { counts: Counts { used, masked, nonfinite }, statistics: YStatistics { weight, mean, m2 } } =
            loaded;
        format!(
            "{used} used + {masked} masked + {nonfinite} not finite with weight {weight:?}, mean {mean:?}, scatter {m2:?}"
        )
    };
    let (then, now) = (words(then), words(now));
    if then == now { Ok(()) } else { Err(CheckpointError::Points { path: path.to_path_buf(), then, now }) }
}

/// How a fit ended, and under which loss.
struct Solved {
    summary: Summary,
    scores: Option<Vec<f64>>,
    /// What J'J holds too much, under a loss that bends down.
    excess: Option<Vec<f64>>,
    costing: Costing,
    /// In what the model was evaluated, in words.
    precision: String,
}

/// The fit itself, to its end or to where the observer stops it.
fn solve(session: &mut Session<'_>, mut fit: Hybrid) -> Result<(Solved, Hybrid), Stop> {
    let sections = |fit: &Hybrid| Sections {
        fit: Arc::new(to_bytes(fit).expect("numbers and texts written to memory make an archive")),
        profiles: None,
    };
    let ended = session.run(&mut fit, sections, |fit, record, observer| {
        let new = fit.take_notes();
        new.iter().for_each(|note| observer.note(Level::Info, note));
        record.notes.extend(new);
    });
    let precision = fit.precision();
    let solved = match ended {
        Ok(()) => {
            let summary = fit.summary().expect("a fit that asks for nothing more is over");
            let (scores, excess) = (fit.scores().map(<[f64]>::to_vec), fit.excess().map(<[f64]>::to_vec));
            Solved { summary, scores, excess, costing: fit.costing(), precision }
        }
        Err(Stop::Asked(reason)) => match fit.interrupt(&reason) {
            Some(summary) => Solved { summary, scores: None, excess: None, costing: fit.costing(), precision },
            None => return Err(Stop::Asked(reason)),
        },
        Err(stop) => return Err(stop),
    };
    Ok((solved, fit))
}
