//! A fit: the minimizer asks, the crew answers.
//!
//! This file holds the one loop that every way of running goes through: embedded, worker processes, own data sources.

use std::net::ToSocketAddrs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nlsq_engine::covariance::{Covariance, CovarianceError, Kind, Variance, covariance, degrees_of_freedom};
use nlsq_engine::data::source::TileSource;
use nlsq_engine::data::tile::{TILE_POINTS, tile_count};
use nlsq_engine::data::{Dataset, NonFinite, YStatistics};
use nlsq_engine::expr::{Model, Names, ParseError};
use nlsq_engine::kernel::Program;
use nlsq_engine::loss::Loss;
use nlsq_engine::minimize::{Answer, Demand, Minimizer, Options};
use nlsq_engine::normal::NormalEquations;
use nlsq_engine::params::Parameters;
use nlsq_engine::summary::{Phase, Summary};
use nlsq_operators::{Fault, Partial, Passes, Request};
use nlsq_worker::protocol::ModelText;

use crate::config::Job;
use crate::crew::{Cluster, ClusterOptions, Crew, Embedded, Loaded, Workers};
use crate::outcome::{About, Level, Observer, Outcome, ParameterOutcome, PassRecord, RunError, Seconds};

/// What is fitted and how, wherever the points are.
#[derive(Clone, Debug)]
pub struct Problem {
    /// The model as text, for other processes.
    pub model: ModelText,
    /// The model with the derivatives of its free parameters, and the loss.
    pub program: Program,
    /// Starts, bounds, fixed values.
    pub parameters: Parameters,
    /// Method, tolerances, passes.
    pub minimizer: Options,
    /// Whether sigma is known rather than relative: the covariance is then not scaled by the residuals.
    pub absolute_sigma: bool,
    /// What to do with values that are not finite.
    pub nonfinite: NonFinite,
    /// Points of a tile.
    pub tile_points: u64,
}

impl Problem {
    /// A problem with default options: hybrid method, linear loss, tolerances 1e-10.
    ///
    /// `variables` names the columns of the points; every other name in `expression` must be among the parameters, which
    /// are put into the order of first appearance.
    pub fn new(
        expression: &str,
        variables: &[&str],
        parameters: Vec<nlsq_engine::params::Parameter>,
    ) -> Result<Self, ProblemError> {
        let text = ModelText {
            expression: expression.to_string(),
            variables: variables.iter().map(ToString::to_string).collect(),
            parameters: parameters.iter().map(|p| p.name.clone()).collect(),
        };
        let model = Model::parse(expression, &Names { variables: &text.variables, parameters: &text.parameters })?;
        if let Some(unknown) = parameters.iter().find(|p| !model.parameters().contains(&p.name)) {
            return Err(ProblemError::Unknown { name: unknown.name.clone(), known: model.parameters().to_vec() });
        }
        let in_order = model.parameters().iter().map(|name| {
            let found = parameters.iter().find(|p| p.name == *name);
            found.cloned().ok_or_else(|| ProblemError::Missing { name: name.clone() })
        });
        let parameters = Parameters::new(in_order.collect::<Result<_, _>>()?)?;
        Ok(Self::from_parts(text, model, parameters, Options::default(), Loss::default()))
    }

    /// From parts that belong together.
    pub(crate) fn from_parts(
        text: ModelText,
        model: Model,
        parameters: Parameters,
        minimizer: Options,
        loss: Loss,
    ) -> Self {
        Self {
            model: text,
            program: Program::new(model, parameters.free().to_vec(), loss),
            parameters,
            minimizer,
            absolute_sigma: false,
            nonfinite: NonFinite::Error,
            tile_points: TILE_POINTS,
        }
    }

    /// The same problem under another loss.
    pub fn with_loss(mut self, loss: Loss) -> Self {
        self.program = Program::new(self.program.model().clone(), self.parameters.free().to_vec(), loss);
        self
    }
}

/// Why a problem was refused.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum ProblemError {
    #[error(transparent)]
    Parse(#[from] ParseError),
    #[error(transparent)]
    Parameters(#[from] nlsq_engine::params::ParametersError),
    #[error("parameter \"{name}\" has no start")]
    Missing { name: String },
    #[error("the model has no parameter \"{name}\": it has {}", known.join(", "))]
    Unknown { name: String, known: Vec<String> },
}

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

/// The problem of a job, with starts estimated from the data where it asks for that.
pub fn problem_of(job: &Job, source: &dyn TileSource) -> Result<Problem, RunError> {
    let parameters = crate::starts::resolve(job, source)?;
    let text = ModelText {
        expression: job.model.expression.clone(),
        variables: job.model.variables.clone(),
        parameters: job.model.valued.clone(),
    };
    let fit = &job.fit;
    let problem = Problem::from_parts(text, job.parse_model(), parameters, fit.minimizer.clone(), fit.loss);
    Ok(Problem {
        absolute_sigma: fit.absolute_sigma,
        nonfinite: fit.nonfinite,
        tile_points: fit.tile_points,
        ..problem
    })
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
    Ok(Some(ClusterOptions { workers, threads: job.fit.threads, placement: cluster.placement }))
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
    problem.minimizer.check(&problem.parameters, problem.program.loss())?;
    observer.started(&about(problem, source, crew));
    let reading = Instant::now();
    let loaded = crew.load(observer)?;
    let read = reading.elapsed();
    observer.loading(loaded.counts.points(), source.n_points());
    refuse_too_few(problem, loaded.counts.used)?;

    let mut passes = crew.start()?;
    let mut times = PassTimes::default();
    let minimized = drive(problem, source, &mut passes, &loaded, observer, &mut times);
    drop(passes);
    let minimized = match minimized {
        Ok(minimized) => minimized,
        Err(Stop::Aborted) => return Err(crew.lost().into()),
        Err(Stop::Run(error)) => return Err(error),
    };
    if let Err(error) = crew.finish() {
        // The result is complete by its data; a worker that stumbled on its way out takes nothing from it.
        observer.note(Level::Warn, &error.to_string());
    }
    let covariance = known(problem, &minimized.summary)?;
    let seconds = Seconds {
        total: began.elapsed().as_secs_f64(),
        read: read.as_secs_f64(),
        compute: times.compute.as_secs_f64(),
        reduce: times.total.saturating_sub(times.compute).as_secs_f64(),
        checkpoint: 0.0,
    };
    Ok(outcome(problem, crew, &loaded.statistics, minimized, covariance, seconds))
}

/// The covariance; all unknown where the normal equations are not finite.
fn known(problem: &Problem, summary: &Summary) -> Result<Covariance, CovarianceError> {
    let variance = if problem.absolute_sigma { Variance::Absolute } else { Variance::Estimated };
    match covariance(&problem.parameters, &summary.normal, &summary.at_bound, variance) {
        Err(CovarianceError::NotFinite) => {
            let dof = degrees_of_freedom(summary.normal.counts.used, summary.normal.n_free)?;
            Ok(Covariance::unknown(&problem.parameters, dof, Kind::Classic))
        }
        known => known,
    }
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

#[derive(Default)]
struct PassTimes {
    total: Duration,
    compute: Duration,
}

/// Why the loop ended without a summary.
enum Stop {
    Aborted,
    Run(RunError),
}

/// Where the loop came to.
struct Minimized {
    summary: Summary,
    /// Passes of each phase.
    phases: Vec<(Phase, u64)>,
}

/// The loop: demand, pass, answer.
fn drive(
    problem: &Problem,
    source: &dyn TileSource,
    passes: &mut Passes,
    loaded: &Loaded,
    observer: &mut dyn Observer,
    times: &mut PassTimes,
) -> Result<Minimized, Stop> {
    let mut minimizer = Minimizer::new(&problem.parameters, problem.minimizer.clone());
    let mut demand = minimizer.start();
    let mut phases: Vec<(Phase, u64)> = Vec::new();
    for pass in 1.. {
        let request = match demand {
            Demand::Linearize(theta) => Request::Linearize(problem.parameters.expand(&theta)),
            Demand::Cost(candidates) => {
                Request::Costs(candidates.iter().map(|theta| problem.parameters.expand(theta)).collect())
            }
            Demand::Finished(summary) => return Ok(Minimized { summary, phases }),
        };
        let linear = matches!(request, Request::Linearize(_));
        let began = Instant::now();
        let partial = passes.run(pass, request).map_err(|_| Stop::Aborted)?;
        let elapsed = began.elapsed();
        times.total += elapsed;
        times.compute += Duration::from_secs_f64(partial.busy_seconds).min(elapsed);
        assert_eq!(partial.sums.counts, loaded.counts, "a pass counts every point exactly once");
        if let (1, Some(fault)) = (pass, &partial.fault) {
            return Err(Stop::Run(start_fault(problem, source, loaded, fault)));
        }
        demand = minimizer.advance(answer(problem, &partial, linear));
        if let Some(iteration) = minimizer.iteration() {
            match phases.last_mut() {
                Some((phase, count)) if *phase == iteration.phase => *count += 1,
                _ => phases.push((iteration.phase, 1)),
            }
            let seconds = elapsed.as_secs_f64();
            observer.iteration(&PassRecord { iteration: iteration.clone(), seconds, points: loaded.counts.used });
        }
    }
    unreachable!("the minimizer ends after max_passes")
}

fn answer(problem: &Problem, partial: &Partial, linear: bool) -> Answer {
    if linear {
        Answer::Linearized(NormalEquations::from_sums(problem.program.n_free(), &partial.sums))
    } else {
        // [cost, rss] for each candidate
        Answer::Costs(partial.sums.totals().chunks_exact(2).map(|pair| pair[0]).collect())
    }
}

/// The model is not finite at the start: says at which point.
fn start_fault(problem: &Problem, source: &dyn TileSource, loaded: &Loaded, fault: &Fault) -> RunError {
    let variables = source.layout().variables.iter().zip(&fault.x);
    let at = variables.map(|(name, value)| format!("{name} = {value}")).collect::<Vec<_>>().join(", ");
    // Ranks are rows only where every point is used.
    let all_used = loaded.counts.used == loaded.counts.points();
    let place = all_used.then(|| source.place(fault.tile * problem.tile_points + fault.rank));
    RunError::StartNotFinite { quantity: fault.quantity.clone(), at, place }
}

fn outcome(
    problem: &Problem,
    crew: &dyn Crew,
    statistics: &YStatistics,
    minimized: Minimized,
    covariance: Covariance,
    seconds: Seconds,
) -> Outcome {
    let Minimized { summary, phases } = minimized;
    let values = problem.parameters.expand(&summary.theta);
    let mut at_bound = vec![None; values.len()];
    for (&j, side) in problem.parameters.free().iter().zip(&summary.at_bound) {
        at_bound[j] = *side;
    }
    let parameters = problem.parameters.all().iter().enumerate().map(|(j, p)| ParameterOutcome {
        name: p.name.clone(),
        value: values[j],
        stderr: covariance.stderr[j],
        start: p.start,
        min: p.min,
        max: p.max,
        fixed: p.fixed,
        at_bound: at_bound[j],
    });
    let normal = &summary.normal;
    let dof = covariance.dof;
    let of_model = problem.program.model().warnings().iter().map(|warning| format!("the model: {warning}"));
    let warnings = of_model.chain(summary.warnings).chain(covariance.warnings).collect();
    Outcome {
        status: summary.status,
        reason: summary.reason,
        model: problem.model.expression.clone(),
        parameters: parameters.collect(),
        counts: normal.counts,
        n_free: normal.n_free,
        dof,
        cost: normal.cost,
        rss: normal.rss,
        reduced_chi2: 2.0 * normal.cost / dof as f64,
        residual_stddev: (normal.rss / dof as f64).sqrt(),
        r_squared: 1.0 - normal.rss / statistics.m2,
        gradient_norm: summary.gradient_norm,
        condition_number: Some(covariance.condition_number).filter(|condition| condition.is_finite()),
        covariance: covariance.matrix,
        passes: summary.passes,
        iterations: summary.iterations,
        phases,
        warnings,
        device: crew.device(),
        workers: crew.workers(),
        generations: 1,
        seconds,
    }
}
