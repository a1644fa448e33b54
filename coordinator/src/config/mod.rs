//! The job: everything that decides what is fitted and how, merged from job file and flags and checked as far as that
//! is possible without reading data.

pub mod columns;
mod endurance;
pub mod error;
mod explore;
pub mod flags;
mod groups;
mod hybrid;
pub mod job_file;
pub mod keys;
pub mod parameters;
pub mod settings;
pub mod value;
pub mod write;

use std::path::{Path, PathBuf};

use nlsq_engine::covariance::{Kind as Covariance, Level};
use nlsq_engine::data::spec::DatasetSpec;
use nlsq_engine::data::tile::NonFinite;
use nlsq_engine::expr::{Model, Names, ParseError};
use nlsq_engine::hybrid::{Options, ScaleRule};
use nlsq_engine::kernel::{Costing, Precision, Solver};
use nlsq_engine::loss::{Loss, LossKind};
use nlsq_engine::minimize::{self, Method};
use nlsq_engine::models::{self, Builtin};
use nlsq_worker::wire::Mode;

pub use endurance::Endurance;
pub use error::JobError;
pub use flags::JobFlags;
pub use groups::Groups;
use parameters::DefaultBounds;
pub use parameters::{ParameterSetting, Start};
use settings::Settings;

/// A whole job.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// What the run is called: the job file's name, else the built-in model's, else "fit".
    pub name: String,
    /// What is fitted.
    pub model: ModelSpec,
    /// To what.
    pub data: DatasetSpec,
    /// The model's parameters, in its order.
    pub parameters: Vec<ParameterSetting>,
    /// How.
    pub fit: FitSettings,
    /// By whom.
    pub cluster: ClusterSettings,
    /// What is kept on the way.
    pub checkpoint: CheckpointSettings,
    /// Where the answer goes.
    pub output: OutputSettings,
}

/// The model of a job.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelSpec {
    /// Its expression, also of a built-in model.
    pub expression: String,
    /// The built-in model's name.
    pub builtin: Option<String>,
    /// Names of the independent variables.
    pub variables: Vec<String>,
    /// Names with a start or a fixed value, as far as the language needs to know them (`e` is a constant elsewhere).
    pub valued: Vec<String>,
}

/// How a job is fitted.
#[derive(Clone, Debug, PartialEq)]
pub struct FitSettings {
    /// Method, tolerances, passes, loss and its scale.
    pub options: Options,
    /// What happens to points that are not finite.
    pub nonfinite: NonFinite,
    /// Whether sigma is known rather than relative.
    pub absolute_sigma: bool,
    /// Level of the confidence intervals.
    pub confidence: Level,
    /// Groups of parameters whose spread has a price.
    pub groups: Groups,
    /// Parameters whose profile is followed.
    pub profile: Vec<String>,
    /// Points of a tile.
    pub tile_points: u64,
    /// What evaluates the points.
    pub device: Device,
    /// Compute threads of each worker; none: one per CPU core.
    pub threads: Option<usize>,
    /// Bytes of each worker for its points; none: what the system allows.
    pub memory: Option<u64>,
}

impl FitSettings {
    /// Where standard errors come from.
    pub fn covariance(&self) -> Covariance {
        if self.options.scores { Covariance::Sandwich } else { Covariance::Classic }
    }
}

/// What evaluates the points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// The best there is.
    Auto,
    /// The CPU.
    Cpu,
}

/// Who takes part in a fit.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterSettings {
    /// Smallest and largest number of worker processes; none: this process alone.
    pub workers: Option<(usize, usize)>,
    /// HOST:PORT on which workers of other hosts join; none: workers are started here.
    pub listen: Option<String>,
    /// File with the secret the processes share.
    pub token_file: Option<PathBuf>,
    /// File that tells workers where to join, and the secret.
    pub rendezvous: Option<PathBuf>,
    /// How tiles are dealt to workers.
    pub placement: Placement,
    /// How bytes travel between processes; none: as the address to listen on says.
    pub wire: Option<Mode>,
    /// How silence, losses and late joiners are dealt with.
    pub endurance: Endurance,
}

/// How tiles are dealt to workers. The result does not depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// Each worker a run of neighbours.
    Contiguous,
    /// In turn.
    Scattered,
}

/// How the state of a fit is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckpointSettings {
    /// After how many passes; 0: never.
    pub every_passes: u64,
    /// How many checkpoints stay.
    pub keep: usize,
}

/// Where the answer of a job goes.
#[derive(Clone, Debug, PartialEq)]
pub struct OutputSettings {
    /// Directory of the run; none: `runs/<UTC time>-<name>`.
    pub dir: Option<PathBuf>,
    /// Whether a directory that holds a result may be written over.
    pub overwrite: bool,
    /// Progress on stderr.
    pub progress: ProgressMode,
    /// Whether result.json is printed on stdout.
    pub json: bool,
}

/// Progress on stderr.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgressMode {
    /// A bar on a terminal, plain lines elsewhere.
    Auto,
    /// Plain lines.
    Plain,
    /// JSON lines.
    Json,
    /// Nothing.
    None,
}

const NONFINITE: [(&str, NonFinite); 2] = [("error", NonFinite::Error), ("skip", NonFinite::Skip)];
const DEVICES: [(&str, Device); 2] = [("auto", Device::Auto), ("cpu", Device::Cpu)];
const PLACEMENTS: [(&str, Placement); 2] = [("contiguous", Placement::Contiguous), ("scattered", Placement::Scattered)];
const PROGRESS: [(&str, ProgressMode); 4] = [
    ("auto", ProgressMode::Auto),
    ("plain", ProgressMode::Plain),
    ("json", ProgressMode::Json),
    ("none", ProgressMode::None),
];

/// The value a word of a choice stands for.
fn chosen<T: Copy>(settings: &Settings, section: &str, name: &str, words: &[(&str, T)]) -> T {
    let word = settings.word(section, name);
    let found = words.iter().find(|(known, _)| *known == word);
    found.expect("the table of keys lists the words that have a meaning").1
}

/// The word that stands for a value.
fn word_of<T: PartialEq>(words: &[(&'static str, T)], value: T) -> &'static str {
    words.iter().find(|(_, known)| *known == value).expect("every value has a word").0
}

/// More threads than any machine has cores for; far more would exhaust the system instead of failing.
const MAX_THREADS: usize = 4096;

impl Job {
    /// Reads and checks a job.
    pub fn read(job_file: Option<&Path>, flags: &JobFlags) -> Result<Self, JobError> {
        let settings = Settings::read(job_file, flags)?;
        let (model, parsed) = read_model(&settings)?;
        let data = columns::dataset(&settings)?;
        let fit = read_fit(&settings)?;
        let defaults = match (&model.builtin, fit.options.minimizer.method) {
            // lm knows no bounds: a built-in model's own do not apply
            (Some(name), method) if method != Method::Lm => default_bounds(&find_builtin(&settings, name)?),
            _ => Vec::new(),
        };
        let parameters = settings.parameters.resolve(parsed.parameters(), &defaults, settings.file())?;
        let job = Job {
            name: run_name(job_file, model.builtin.as_deref()),
            cluster: read_cluster(&settings)?,
            checkpoint: read_checkpoint(&settings),
            output: read_output(&settings)?,
            model,
            data,
            parameters,
            fit,
        };
        job.check(&settings)?;
        Ok(job)
    }

    /// The model, parsed.
    pub fn parse_model(&self) -> Model {
        self.model.parse().expect("the expression was parsed when the job was read")
    }

    /// Checks that concern several keys at once.
    fn check(&self, settings: &Settings) -> Result<(), JobError> {
        let fit = &self.fit;
        if fit.options.minimizer.method == Method::Lm {
            if fit.options.costing.loss.kind != LossKind::Linear {
                let message =
                    format!("method lm takes no loss but linear, found loss {}", settings.word("fit", "loss"));
                return Err(settings.error("fit", "method", format!("{message}; expected method hybrid or trf")));
            }
            if let Some(name) = settings.parameters.bounded() {
                let message = format!("method lm takes no bounds, found bounds of \"{name}\"");
                return Err(settings.error("fit", "method", format!("{message}; expected method hybrid or trf")));
            }
        }
        if fit.absolute_sigma && fit.options.scores {
            return Err(settings.error(
                "fit",
                "covariance",
                "covariance sandwich takes the scatter from the residuals, absolute_sigma from sigma: expected one of them",
            ));
        }
        if fit.absolute_sigma && self.data.sigma.is_none() && self.data.weights.is_none() {
            return Err(settings.error(
                "fit",
                "absolute_sigma",
                "absolute_sigma needs to know sigma: expected --sigma or --weights beside it",
            ));
        }
        self.check_profile(settings)?;
        self.check_groups(settings)?;
        self.check_global(settings)?;
        let auto = self.parameters.iter().find(|p| p.start == Start::Auto);
        if let (Some(parameter), None) = (auto, &self.model.builtin) {
            return Err(JobError::usage_with_help(
                format!("the start of \"{}\" is auto, but only built-in models estimate starts", parameter.name),
                "give --p0 'NAME=NUMBER,...', or fit a built-in model: --builtin NAME",
            ));
        }
        Ok(())
    }
}

impl ModelSpec {
    /// Parses the expression.
    pub fn parse(&self) -> Result<Model, ParseError> {
        Model::parse(&self.expression, &Names { variables: &self.variables, parameters: &self.valued })
    }
}

/// Reads the model alone: all that `kernel` needs.
pub fn read_model(settings: &Settings) -> Result<(ModelSpec, Model), JobError> {
    let mut variables = columns::variables(settings)?;
    let (expression, builtin) = match (settings.text("model", "expression"), settings.text("model", "builtin")) {
        (Some(expression), _) => (expression, None),
        (None, Some(name)) => {
            let builtin = find_builtin(settings, &name)?;
            if variables.len() != 1 {
                let found = variables.len();
                let message = format!("the built-in model {name} has one variable, found {found}: expected --x NAME");
                return Err(settings.error("data", "x", message));
            }
            let variable = variables.pop().expect("there is one");
            let expression =
                builtin.expression(&variable).map_err(|error| settings.error("data", "x", error.to_string()))?;
            variables.push(variable);
            (expression, Some(name))
        }
        (None, None) => {
            return Err(JobError::usage_with_help(
                "there is no model; expected --model EXPR or --builtin NAME, or a job file with [model]",
                "nlsq-coordinator fit job.toml, or nlsq-coordinator fit --data FILE --x NAME --y COLUMN --model EXPR --p0 ...",
            ));
        }
    };
    if variables.is_empty() {
        return Err(JobError::usage("there is no independent variable; expected --x NAME (data.x)"));
    }
    let spec = ModelSpec { expression, builtin, variables, valued: settings.parameters.valued_names() };
    let model = spec.parse().map_err(|error| model_error(settings, &spec, &error))?;
    if model.parameters().is_empty() {
        return Err(JobError::usage(format!(
            "the model \"{}\" has no parameter: nothing is left to fit (every name in it is a variable or a constant)",
            spec.expression
        )));
    }
    Ok((spec, model))
}

fn model_error(settings: &Settings, spec: &ModelSpec, error: &ParseError) -> JobError {
    let place = match (settings.file(), settings.is_flag("model", "expression")) {
        (Some(file), false) => format!("{} (model.expression)", file.path.display()),
        _ => "--model".to_string(),
    };
    JobError::Model {
        place,
        message: error.to_string(),
        expression: spec.expression.clone(),
        span: error.span().into(),
        help: error.help(),
    }
}

fn find_builtin(settings: &Settings, name: &str) -> Result<Builtin, JobError> {
    models::find(name).map_err(|error| settings.error("model", "builtin", error.to_string()))
}

fn default_bounds(builtin: &Builtin) -> Vec<DefaultBounds> {
    let of = |p: &models::BuiltinParameter| DefaultBounds { name: p.name.to_string(), min: p.min, max: p.max };
    builtin.parameters().iter().map(of).collect()
}

/// The loss, and where its scale comes from.
fn loss_settings(settings: &Settings) -> Result<(Loss, ScaleRule), JobError> {
    let kind = chosen(settings, "fit", "loss", &LossKind::NAMES);
    let given = settings.is_set("fit", "loss_scale").then(|| settings.or_default("fit", "loss_scale"));
    let (scale, rule) = match given {
        Some(value::Value::Number(scale)) => (scale, ScaleRule::Given),
        None if kind != LossKind::Tukey => (1.0, ScaleRule::Given),
        Some(_) | None => (1.0, ScaleRule::Mad),
    };
    if rule == ScaleRule::Mad && kind == LossKind::Linear {
        let message = "the linear loss has no scale to estimate; expected a robust --loss (fit.loss) with \"mad\"";
        return Err(settings.error("fit", "loss_scale", message));
    }
    Ok((Loss { kind, scale }, rule))
}

fn read_fit(settings: &Settings) -> Result<FitSettings, JobError> {
    let tolerance = |name| settings.number("fit", name);
    let max_passes = match settings.or_default("fit", "max_passes") {
        value::Value::Count(count) => count,
        other => panic!("fit.max_passes holds {other:?}"),
    };
    let tile_points = match settings.or_default("fit", "tile_points") {
        value::Value::Count(count) => count,
        other => panic!("fit.tile_points holds {other:?}"),
    };
    let threads = settings.count("fit", "threads").map(|count| match usize::try_from(count) {
        Ok(threads) if threads <= MAX_THREADS => Ok(threads),
        _ => {
            let message = format!("threads (--threads) = {count}: expected 1 to {MAX_THREADS}");
            Err(settings.error("fit", "threads", message))
        }
    });
    let (loss, scale) = loss_settings(settings)?;
    let minimizer = minimize::Options {
        method: chosen(settings, "fit", "method", &Method::NAMES),
        xtol: tolerance("xtol"),
        ftol: tolerance("ftol"),
        gtol: tolerance("gtol"),
        max_passes,
        ..minimize::Options::default()
    };
    let costing = Costing {
        loss,
        precision: chosen(settings, "fit", "precision", &Precision::NAMES),
        solver: chosen(settings, "fit", "solver", &Solver::NAMES),
        ..Costing::default()
    };
    let scores = chosen(settings, "fit", "covariance", &Covariance::NAMES) == Covariance::Sandwich;
    let (starts, global) = (explore::starts(settings)?, explore::global(settings)?);
    let mut options = Options { minimizer, costing, scale, scores, starts, global, ..Options::default() };
    hybrid::read(settings, &mut options)?;
    Ok(FitSettings {
        options,
        nonfinite: chosen(settings, "fit", "nonfinite", &NONFINITE),
        absolute_sigma: settings.switch("fit", "absolute_sigma"),
        confidence: Level::new(settings.number("fit", "confidence")).expect("the table lets only such numbers pass"),
        groups: Groups::read(settings)?,
        profile: settings.list("fit", "profile"),
        tile_points,
        device: chosen(settings, "fit", "device", &DEVICES),
        threads: threads.transpose()?,
        memory: settings.count("fit", "memory"),
    })
}

fn read_cluster(settings: &Settings) -> Result<ClusterSettings, JobError> {
    let workers = settings.workers();
    let listen = settings.text("cluster", "listen");
    if let Some(address) = &listen {
        let port = address.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port.parse::<u16>());
        if !matches!(port, Some(Ok(_))) {
            let message = format!("--listen (cluster.listen): expected HOST:PORT, found \"{address}\"");
            return Err(settings.error("cluster", "listen", message));
        }
        if workers.is_none() {
            let message = "--listen (cluster.listen) needs --workers MIN[..MAX]: how many workers to wait for";
            return Err(settings.error("cluster", "listen", message));
        }
    }
    let token_file = settings.path("cluster", "token_file")?;
    let rendezvous = settings.path("cluster", "rendezvous")?;
    let refuse = |name: &str, message: &str| Err(settings.error("cluster", name, message));
    match (workers, &listen) {
        (None, _) if settings.is_set("cluster", "placement") => {
            refuse("placement", "--placement (cluster.placement) is for several workers; expected --workers beside it")
        }
        (None, _) if rendezvous.is_some() => refuse(
            "rendezvous",
            "--rendezvous (cluster.rendezvous) needs --workers MIN[..MAX]: how many workers to wait for",
        ),
        _ if rendezvous.is_some() && token_file.is_some() => refuse(
            "token_file",
            "--rendezvous (cluster.rendezvous) makes a secret of its own, --token-file (cluster.token_file) names one: \
             expected one of them",
        ),
        (None, _) if settings.is_set("cluster", "wire") => {
            refuse("wire", "--wire (cluster.wire) is for several processes; expected --workers beside it")
        }
        (_, None) if token_file.is_some() => refuse(
            "token_file",
            "--token-file (cluster.token_file) is for workers that join; expected --listen beside it",
        ),
        _ => Ok(()),
    }?;
    let placement = chosen(settings, "cluster", "placement", &PLACEMENTS);
    let wire = settings.is_set("cluster", "wire").then(|| chosen(settings, "cluster", "wire", &Mode::NAMES));
    let endurance = Endurance::read(settings, workers.is_some())?;
    Ok(ClusterSettings { workers, listen, token_file, rendezvous, placement, wire, endurance })
}

fn read_checkpoint(settings: &Settings) -> CheckpointSettings {
    let count = |name| match settings.or_default("checkpoint", name) {
        value::Value::Count(count) => count,
        other => panic!("checkpoint.{name} holds {other:?}"),
    };
    CheckpointSettings {
        every_passes: count("every_passes"),
        keep: usize::try_from(count("keep")).unwrap_or(usize::MAX),
    }
}

fn read_output(settings: &Settings) -> Result<OutputSettings, JobError> {
    Ok(OutputSettings {
        dir: settings.path("output", "dir")?,
        overwrite: settings.switch("output", "overwrite"),
        progress: chosen(settings, "output", "progress", &PROGRESS),
        json: settings.switch("output", "json"),
    })
}

fn run_name(job_file: Option<&Path>, builtin: Option<&str>) -> String {
    let stem = job_file.and_then(Path::file_stem).map(|stem| stem.to_string_lossy().into_owned());
    let name = stem.or(builtin.map(String::from)).unwrap_or_else(|| "fit".into());
    name.chars().map(|c| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '-' }).collect()
}

#[cfg(test)]
pub(crate) mod tests;
