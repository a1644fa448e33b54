//! A fit that was run, read back from its directory.

use std::fs;
use std::path::Path;

use nlsq_engine::covariance::{Level, Variance};
use nlsq_engine::expr::Model;
use nlsq_engine::prediction::Predictor;
use nlsq_engine::summary::Status;

use crate::config::{Job, JobError, JobFlags};
use crate::outcome::Sigma;
use crate::report::covariance::from_npy;
use crate::report::result::{RunResult, status_name};
use crate::run_dir::{COVARIANCE, JOB, RESULT};

/// What a run left behind, ready to predict.
#[derive(Clone, Debug)]
pub struct Fitted {
    /// The job as it was run.
    pub job: Job,
    /// Its result.
    pub result: RunResult,
    /// The model.
    pub model: Model,
    /// The model at the solution, with its standard error.
    pub predictor: Predictor,
}

impl Fitted {
    /// Reads job.toml, result.json and covariance.npy of a run.
    pub fn open(dir: &Path) -> Result<Self, JobError> {
        let job_file = dir.join(JOB);
        let expected = |path: &Path, why: String| {
            JobError::usage(format!("cannot read {}: {why}; expected the directory of a run", path.display()))
        };
        let read = |name: &str| {
            let path = dir.join(name);
            fs::read(&path).map_err(|error| expected(&path, error.to_string()))
        };
        let json = String::from_utf8_lossy(&read(RESULT)?).into_owned();
        let result = RunResult::from_json(&json).map_err(|why| expected(&dir.join(RESULT), why))?;
        read(JOB)?;
        let job = Job::read(Some(&job_file), &JobFlags::default())?;
        let model = job.parse_model();
        let (covariance, p) = from_npy(&read(COVARIANCE)?).map_err(|why| expected(&dir.join(COVARIANCE), why))?;
        let names: Vec<&str> = result.parameters.iter().map(|parameter| parameter.name.as_str()).collect();
        if names != model.parameters() || p != names.len() {
            return Err(JobError::usage(format!(
                "{}: {JOB}, {RESULT} and {COVARIANCE} are not of one run: the model has the parameters {}, {RESULT} has {}, \
                 {COVARIANCE} is {p} x {p}",
                dir.display(),
                model.parameters().join(", "),
                names.join(", "),
            )));
        }
        let theta: Option<Vec<f64>> = result.parameters.iter().map(|parameter| parameter.value).collect();
        let predictor = theta.and_then(|theta| Predictor::new(&model, &theta, &covariance).ok());
        let Some(predictor) = predictor else {
            return Err(JobError::usage(format!(
                "{}: the run ended {} and left no parameters and covariance that are finite: there is nothing to predict from",
                dir.display(),
                status_name(result.status),
            )));
        };
        Ok(Self { job, result, model, predictor })
    }

    /// The level of the run's own intervals.
    pub fn level(&self) -> Level {
        self.result.confidence.and_then(Level::new).unwrap_or_default()
    }

    /// How many standard errors a band of this level reaches to either side.
    pub fn quantile(&self, level: Level) -> f64 {
        let variance = if self.sigma() == Sigma::Absolute { Variance::Absolute } else { Variance::Estimated };
        level.quantile(self.result.dof, variance)
    }

    /// What was known of the standard deviations of the points.
    pub fn sigma(&self) -> Sigma {
        let weighted = self.job.data.sigma.is_some() || self.job.data.weights.is_some();
        match (weighted, self.job.fit.absolute_sigma) {
            (false, _) => Sigma::None,
            (true, false) => Sigma::Relative,
            (true, true) => Sigma::Absolute,
        }
    }

    /// The scatter of a measurement, in units of its sigma where the run had one; none if it is not finite.
    pub fn scatter(&self) -> Option<f64> {
        match self.sigma() {
            Sigma::Absolute => Some(1.0),
            Sigma::None | Sigma::Relative => self.result.reduced_chi2.map(f64::sqrt),
        }
    }

    /// What a person should know before using the bands.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.result.status != Status::Converged {
            let (status, reason) = (status_name(self.result.status), &self.result.reason);
            warnings
                .push(format!("the run did not converge ({status}: {reason}): the bands are about where it stopped"));
        }
        let undetermined =
            |p: &&crate::report::result::ParameterResult| !p.fixed && p.at_bound.is_none() && p.stderr.is_none();
        let names: Vec<&str> = self.result.parameters.iter().filter(undetermined).map(|p| p.name.as_str()).collect();
        if !names.is_empty() {
            warnings.push(format!(
                "the data do not determine {}: bands hold only where the model depends on what they do determine, as it does \
                 at the points fitted",
                names.join(", ")
            ));
        }
        warnings
    }
}
