//! Why a job was refused.

use std::ops::Range;
use std::path::PathBuf;

use nlsq_engine::data::source::DataError;
use nlsq_engine::params::ParametersError;

/// Why a job was refused: what is wrong, where, and what was expected.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum JobError {
    /// The model's expression does not read.
    #[error("{place}: {message}")]
    Model {
        /// Where the expression was given.
        place: String,
        /// What is wrong.
        message: String,
        /// The expression.
        expression: String,
        /// Bytes of it to underline.
        span: Range<usize>,
        /// What to do instead.
        help: Option<String>,
    },
    /// A place in the job file.
    #[error("{}, line {line}: {message}", path.display())]
    File {
        /// The job file.
        path: PathBuf,
        /// Its content.
        text: String,
        /// Bytes of it to underline.
        span: Range<usize>,
        /// The line of the span, from 1.
        line: usize,
        /// What is wrong.
        message: String,
        /// What to do instead.
        help: Option<String>,
    },
    /// A flag, or the job as a whole.
    #[error("{message}")]
    Usage {
        /// What is wrong, where, and what was expected.
        message: String,
        /// What to do instead.
        help: Option<String>,
    },
    /// Starts and bounds do not fit together.
    #[error(transparent)]
    Parameters(#[from] ParametersError),
    /// The data cannot be read or hold what they must not.
    #[error(transparent)]
    Data(#[from] DataError),
}

impl JobError {
    /// An error of usage without a hint.
    pub fn usage(message: impl Into<String>) -> Self {
        JobError::Usage { message: message.into(), help: None }
    }

    /// An error of usage with a hint.
    pub fn usage_with_help(message: impl Into<String>, help: impl Into<String>) -> Self {
        JobError::Usage { message: message.into(), help: Some(help.into()) }
    }

    /// Text, bytes of it to underline, and its name, where there is such a text.
    pub fn source_text(&self) -> Option<(String, &str, Range<usize>)> {
        match self {
            JobError::Model { place, expression, span, .. } => Some((place.clone(), expression, span.clone())),
            JobError::File { path, text, span, .. } => Some((path.display().to_string(), text, span.clone())),
            _ => None,
        }
    }

    /// What to do instead.
    pub fn help(&self) -> Option<&str> {
        match self {
            JobError::Model { help, .. } | JobError::File { help, .. } | JobError::Usage { help, .. } => {
                help.as_deref()
            }
            _ => None,
        }
    }
}

/// The known name nearest to `name`, if one is near enough to be what was meant.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    /// Below this Jaro-Winkler similarity a suggestion confuses more than it helps.
    const NEAR: f64 = 0.75;
    known
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&name.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(similarity, _)| *similarity >= NEAR)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// "did you mean \"known\"?" if something is near, else a list of what there is.
pub fn suggest<'a>(name: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    match nearest(name, known.clone()) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => format!("known: {}", known.into_iter().collect::<Vec<_>>().join(", ")),
    }
}
