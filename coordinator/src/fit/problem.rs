//! What is fitted and how, wherever the points are.

use nlsq_engine::covariance::Level;
use nlsq_engine::data::NonFinite;
use nlsq_engine::data::source::TileSource;
use nlsq_engine::data::tile::TILE_POINTS;
use nlsq_engine::expr::{Model, Names, ParseError};
use nlsq_engine::hybrid::Options;
use nlsq_engine::kernel::Program;
use nlsq_engine::loss::Loss;
use nlsq_engine::params::Parameters;
use nlsq_engine::penalty::{GroupError, GroupVariance};
use nlsq_worker::protocol::ModelText;

use crate::config::{Device, FitSettings, Groups, Job};
use crate::outcome::RunError;

/// What is fitted and how, wherever the points are.
#[derive(Clone, Debug)]
pub struct Problem {
    /// The model as text, for other processes.
    pub model: ModelText,
    /// The model with the derivatives of its free parameters.
    pub program: Program,
    /// Starts, bounds, fixed values.
    pub parameters: Parameters,
    /// Method, tolerances, passes, loss.
    pub options: Options,
    /// Whether sigma is known rather than relative: the covariance is then not scaled by the residuals.
    pub absolute_sigma: bool,
    /// Level of the confidence intervals.
    pub confidence: Level,
    /// Names of the free parameters whose profile likelihood is followed after the fit.
    pub profile: Vec<String>,
    /// The price on the spread within groups of parameters, if there is one.
    pub group_variance: Option<GroupVariance>,
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
        Ok(Self::from_parts(text, model, parameters, Options::default()))
    }

    /// From parts that belong together.
    pub(super) fn from_parts(text: ModelText, model: Model, parameters: Parameters, options: Options) -> Self {
        Self {
            model: text,
            program: Program::new(model, parameters.free().to_vec()),
            parameters,
            options,
            absolute_sigma: false,
            confidence: Level::default(),
            profile: Vec::new(),
            group_variance: None,
            nonfinite: NonFinite::Error,
            tile_points: TILE_POINTS,
        }
    }

    /// The same problem under another loss.
    pub fn with_loss(mut self, loss: Loss) -> Self {
        self.options.costing.loss = loss;
        self
    }

    /// Profiles are of free parameters.
    pub(super) fn check_profile(&self) -> Result<(), ProblemError> {
        let free: Vec<String> = self.parameters.iter_free().map(|p| p.name.clone()).collect();
        match self.profile.iter().find(|name| !free.contains(name)) {
            Some(name) => Err(ProblemError::NoProfile { name: name.clone(), free }),
            None => Ok(()),
        }
    }

    /// The same problem with a price on the spread within groups of parameters, given by their names.
    pub fn with_group_variance(mut self, weight: f64, groups: &[Vec<String>]) -> Result<Self, GroupError> {
        self.group_variance = Some(GroupVariance::new(&self.parameters, weight, groups)?);
        Ok(self)
    }

    /// The price at a theta of the free parameters; 0 without one.
    pub(super) fn penalty(&self, theta: &[f64], n_used: u64) -> f64 {
        self.group_variance.as_ref().map_or(0.0, |price| price.value(&self.parameters.expand(theta), n_used))
    }

    /// Settings that matter to the numbers, by the names of their keys.
    pub(crate) fn decisive_settings(&self) -> Vec<(String, String)> {
        FitSettings {
            options: self.options.clone(),
            nonfinite: self.nonfinite,
            absolute_sigma: self.absolute_sigma,
            confidence: self.confidence,
            groups: Groups::of(self.group_variance.as_ref(), &self.parameters),
            profile: self.profile.clone(),
            tile_points: self.tile_points,
            device: Device::Auto,
            threads: None,
            memory: None,
        }
        .decisive()
    }

    /// The same problem with standard errors from the scatter of the points themselves; one pass more.
    pub fn with_sandwich(mut self) -> Self {
        self.options.scores = true;
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
    #[error("\"{name}\" has no profile; expected a free parameter: {}", free.join(", "))]
    NoProfile { name: String, free: Vec<String> },
    #[error("the model has no parameter \"{name}\": it has {}", known.join(", "))]
    Unknown { name: String, known: Vec<String> },
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
    let problem = Problem::from_parts(text, job.parse_model(), parameters, fit.options.clone());
    Ok(Problem {
        absolute_sigma: fit.absolute_sigma,
        confidence: fit.confidence,
        profile: fit.profile.clone(),
        group_variance: fit.groups.variance(&problem.parameters),
        nonfinite: fit.nonfinite,
        tile_points: fit.tile_points,
        ..problem
    })
}
