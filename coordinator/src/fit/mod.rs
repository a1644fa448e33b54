//! A fit from job or source to outcome, the same for every way of running: embedded, worker processes, own data sources.

mod conclude;
mod problem;
mod profiles;
mod session;

use std::net::ToSocketAddrs;
use std::sync::Arc;
use std::time::Instant;

use nlsq_engine::covariance::degrees_of_freedom;
use nlsq_engine::data::Dataset;
use nlsq_engine::data::source::{TileSource, Weighting};
use nlsq_engine::data::tile::tile_count;
use nlsq_engine::hybrid::Hybrid;
use nlsq_engine::kernel::Costing;
use nlsq_engine::summary::Summary;

pub use problem::{Problem, ProblemError, problem_of};

use crate::config::Job;
use crate::crew::{Cluster, ClusterOptions, Crew, Embedded, Loaded, Workers};
use crate::outcome::{About, Level, Observer, Outcome, RunError, Seconds, Sigma};
use conclude::Solution;
use session::{PassTimes, Session, Stop};

/// Runs a job to its outcome. Not converging is an outcome, not an error.
pub fn run(job: &Job, observer: &mut dyn Observer) -> Result<Outcome, RunError> {
    let began = Instant::now();
    let dataset = Arc::new(Dataset::open(&job.data)?);
    let problem = Arc::new(problem_of(job, dataset.as_ref())?);
    refuse_too_few(&problem, dataset.n_points())?;
    let threads = job.fit.threads;
    match cluster_options(job)? {
        None => {
            let threads = threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
            let mut crew = Embedded::new(Arc::clone(&problem), dataset.clone(), threads);
            fit_with(&problem, dataset.as_ref(), &mut crew, observer, began)
        }
        Some(options) => {
            let n_points = dataset.n_points();
            let mut crew = Cluster::gather(Arc::clone(&problem), dataset.manifest(), n_points, &options, observer)?;
            fit_with(&problem, dataset.as_ref(), &mut crew, observer, began)
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
    let began = Instant::now();
    let problem = Arc::new(problem);
    refuse_too_few(&problem, source.n_points())?;
    let mut crew = Embedded::new(Arc::clone(&problem), Arc::clone(&source), threads);
    fit_with(&problem, source.as_ref(), &mut crew, observer, began)
}

fn cluster_options(job: &Job) -> Result<Option<ClusterOptions>, RunError> {
    let cluster = &job.cluster;
    let Some((min, max)) = cluster.workers else { return Ok(None) };
    let workers = match &cluster.listen {
        None => Workers::Local(max),
        Some(listen) => {
            let address = listen.to_socket_addrs().ok().and_then(|mut addresses| addresses.next());
            let listen = address.ok_or_else(|| RunError::Listen { address: listen.clone() })?;
            Workers::Join { listen, min, max, token_file: cluster.token_file.clone() }
        }
    };
    Ok(Some(ClusterOptions { workers, threads: job.fit.threads, placement: cluster.placement, wire: cluster.wire }))
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
    began: Instant,
) -> Result<Outcome, RunError> {
    problem.options.check(&problem.parameters)?;
    problem.check_profile()?;
    observer.started(&about(problem, source, crew));
    let reading = Instant::now();
    let loaded = crew.load(observer)?;
    let read = reading.elapsed();
    observer.loading(loaded.counts.points(), source.n_points());
    refuse_too_few(problem, loaded.counts.used)?;

    let mut session = Session {
        problem,
        source,
        crew: &mut *crew,
        loaded: &loaded,
        observer,
        times: PassTimes::default(),
        phases: Vec::new(),
        count: 0,
        costs: Vec::new(),
        loss: None,
    };
    let solved = solve(&mut session, problem, &loaded).and_then(|mut solved| {
        let profiles = profiles::follow(&mut session, solved.costing, &mut solved.summary)?;
        Ok((solved, profiles))
    });
    let Session { times, phases, costs, .. } = session;
    let (Solved { mut summary, scores, excess, costing, precision, notes }, profiles) = match solved {
        Ok(solved) => solved,
        Err(Stop::Lost(error)) => return Err(error.into()),
        Err(Stop::Asked(reason)) => return Err(RunError::Interrupted { reason }),
        Err(Stop::Run(error)) => return Err(error),
    };
    // a crew that has finished has nobody left to name
    let ran_on = conclude::RanOn { device: crew.device(), workers: crew.workers(), generations: crew.generations() };
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
    let solution =
        Solution { penalty, summary, scores, excess, loss, precision, phases, costs, sigma, profiles, notes };
    let covariance = conclude::known(problem, &solution)?;
    let seconds = Seconds {
        total: began.elapsed().as_secs_f64(),
        read: read.as_secs_f64(),
        compute: times.compute.as_secs_f64(),
        reduce: times.total.saturating_sub(times.compute).as_secs_f64(),
        checkpoint: 0.0,
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

/// How a fit ended, and under which loss.
struct Solved {
    summary: Summary,
    scores: Option<Vec<f64>>,
    /// What J'J holds too much, under a loss that bends down.
    excess: Option<Vec<f64>>,
    costing: Costing,
    /// In what the model was evaluated, in words.
    precision: String,
    /// What was decided on the way.
    notes: Vec<String>,
}

/// The fit itself, to its end or to where the observer stops it.
fn solve(session: &mut Session<'_>, problem: &Problem, loaded: &Loaded) -> Result<Solved, Stop> {
    let spread = (loaded.statistics.m2 / loaded.counts.used as f64).sqrt();
    let mut fit = Hybrid::new(&problem.parameters, problem.options.clone(), spread);
    let mut notes = Vec::new();
    let ended = session.run(&mut fit, |fit, observer| {
        let new = fit.take_notes();
        new.iter().for_each(|note| observer.note(Level::Info, note));
        notes.extend(new);
    });
    let precision = fit.precision();
    match ended {
        Ok(()) => {
            let summary = fit.summary().expect("a fit that asks for nothing more is over");
            let (scores, excess) = (fit.scores().map(<[f64]>::to_vec), fit.excess().map(<[f64]>::to_vec));
            Ok(Solved { summary, scores, excess, costing: fit.costing(), precision, notes })
        }
        Err(Stop::Asked(reason)) => match fit.interrupt(&reason) {
            Some(summary) => {
                let (scores, excess, costing) = (None, None, fit.costing());
                Ok(Solved { summary, scores, excess, costing, precision, notes })
            }
            None => Err(Stop::Asked(reason)),
        },
        Err(stop) => Err(stop),
    }
}
