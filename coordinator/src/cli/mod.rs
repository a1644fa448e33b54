//! The commands, their exit codes, and errors as a person sees them.

mod check;
mod commands;
mod fit;
mod message;
mod output;
mod predict;
mod resume;
mod signals;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::{JobError, JobFlags};
use crate::outcome::RunError;

/// Fits a nonlinear model to data, on one machine or many: the same numbers, bit for bit.
#[derive(Debug, Parser)]
#[command(name = "nlsq-coordinator", version, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a fit
    Fit(JobArgs),
    /// Go on from the newest valid checkpoint of a run
    Resume(resume::ResumeArgs),
    /// Everything short of fitting: model, data, memory, derivatives
    Check(JobArgs),
    /// Describe a dataset or a checkpoint
    Inspect {
        /// The file
        file: PathBuf,
        /// How CSV files are written, such as 'sep=;,comment=#,header=no'
        #[arg(long, value_name = "OPTIONS", allow_hyphen_values = true)]
        csv: Option<String>,
    },
    /// Built-in models: formula, parameters, bounds, source
    Models {
        /// One of them
        name: Option<String>,
    },
    /// Print the code generated for the model
    Kernel {
        /// For what to generate it
        #[arg(long, value_enum, default_value = "tape")]
        target: Target,
        #[command(flatten)]
        job: JobArgs,
    },
    /// Rewrite the report of a run from its result.json
    Report {
        /// The directory of the run
        run_dir: PathBuf,
    },
    /// Predict from a run: f with its standard error and bands, at points of data files or of a grid
    Predict(predict::PredictArgs),
    /// Print all keys of a job file with their defaults
    Manual,
}

#[derive(Debug, Args)]
struct JobArgs {
    /// Job file; flags win over it
    #[arg(value_name = "JOB.toml")]
    job_file: Option<PathBuf>,
    #[command(flatten)]
    flags: JobFlags,
}

/// What code is generated for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Target {
    /// The interpreter
    Tape,
    /// The host's compiler
    Native,
    /// A CUDA device
    Cuda,
}

/// Ways in which a command fails.
#[derive(Debug)]
enum Failure {
    /// Shown as a message; the exit code follows from it.
    Run(RunError),
    /// A file of a run could not be read or written.
    Files(String),
    /// The reader of stdout went away: nobody is left to tell.
    BrokenPipe,
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        Failure::Run(error)
    }
}

impl From<JobError> for Failure {
    fn from(error: JobError) -> Self {
        Failure::Run(error.into())
    }
}

/// Usage, job, model or data.
const REFUSED: u8 = 2;
/// Ended without converging.
const NOT_CONVERGED: u8 = 3;
/// Interrupted.
const INTERRUPTED: u8 = 75;
/// A bug of ours.
const BUG: u8 = 1;

/// Runs the command line; `log_filter` is a `tracing` filter such as "debug" or "off".
pub fn main(arguments: impl IntoIterator<Item = OsString>, log_filter: &str) -> ExitCode {
    message::install_panic_hook();
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // clap prints help and version to stdout, errors to stderr; a closed stdout is nobody's fault
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { REFUSED } else { 0 });
        }
    };
    if let Err(error) = message::install_logging(log_filter) {
        message::show(&Failure::Run(error.into()));
        return ExitCode::from(REFUSED);
    }
    ExitCode::from(guarded(|| match run(&cli.command) {
        Ok(code) => code,
        Err(failure) => {
            message::show(&failure);
            failure.exit_code()
        }
    }))
}

/// A panic has told its story through the hook; what is left is the exit code.
fn guarded(run: impl FnOnce() -> u8 + std::panic::UnwindSafe) -> u8 {
    std::panic::catch_unwind(run).unwrap_or(BUG)
}

fn run(command: &Command) -> Result<u8, Failure> {
    match command {
        Command::Fit(job) => fit::fit(job),
        Command::Resume(arguments) => resume::resume(arguments),
        Command::Check(job) => check::check(job),
        Command::Inspect { file, csv } => commands::inspect(file, csv.as_deref()),
        Command::Models { name } => commands::models(name.as_deref()),
        Command::Kernel { target, job } => commands::kernel(*target, job),
        Command::Report { run_dir } => commands::report(run_dir),
        Command::Predict(arguments) => predict::predict(arguments),
        Command::Manual => commands::manual(),
    }
}

impl Failure {
    fn exit_code(&self) -> u8 {
        match self {
            Failure::Run(error) => error.exit_code(),
            Failure::Files(_) => REFUSED,
            Failure::BrokenPipe => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn a_panic_is_exit_code_1() {
        assert_eq!(super::guarded(|| panic!("found by a test")), 1);
        assert_eq!(super::guarded(|| 3), 3);
    }

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
