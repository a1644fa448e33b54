//! Errors as a person sees them: once, on stderr, with the expression or job file underlined.

use std::fmt;
use std::io::{IsTerminal as _, Write as _};

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode};
use tracing_subscriber::EnvFilter;

use super::{BUG, Failure};
use crate::config::JobError;
use crate::outcome::RunError;

/// What a person can do about a bug of ours.
const REPORT_BUG: &str = "this is a bug of ours, not of your job: please report it with these lines and the job file";

/// One failure as miette wants it.
struct Message {
    text: String,
    help: Option<String>,
    source: Option<NamedSource<String>>,
    label: Option<LabeledSpan>,
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Message {}

impl Diagnostic for Message {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.label.clone().map(|label| Box::new(std::iter::once(label)) as Box<dyn Iterator<Item = LabeledSpan>>)
    }
}

impl Message {
    fn of_job(error: &JobError) -> Self {
        let (source, label) = match error.source_text() {
            Some((name, text, span)) => {
                // an empty span stands at the end of the text
                let label = LabeledSpan::new(Some("here".into()), span.start, span.end - span.start);
                (Some(NamedSource::new(name, text.to_string())), Some(label))
            }
            None => (None, None),
        };
        Self { text: error.to_string(), help: error.help().map(String::from), source, label }
    }

    fn plain(text: String) -> Self {
        Self { text, help: None, source: None, label: None }
    }
}

/// Shows a failure on stderr.
pub(super) fn show(failure: &Failure) {
    let message = match failure {
        Failure::Run(RunError::Job(error)) => Message::of_job(error),
        Failure::Run(error) if error.exit_code() == BUG => {
            Message { help: Some(REPORT_BUG.into()), ..Message::plain(chain(error)) }
        }
        Failure::Run(error) => Message::plain(chain(error)),
        Failure::Files(text) => Message::plain(text.clone()),
        Failure::BrokenPipe => return,
    };
    let mut theme = match std::io::stderr().is_terminal() {
        true => GraphicalTheme::unicode_nocolor(),
        false => GraphicalTheme::none(), // ASCII: logs keep what they are given
    };
    theme.characters.error = "error:".into();
    // lines are not wrapped: a path or a number cut in two can be neither copied nor searched for
    let handler = GraphicalReportHandler::new_themed(theme).with_wrap_lines(false).with_links(false);
    let mut text = String::new();
    let rendered = handler.render_report(&mut text, &message);
    if rendered.is_err() {
        text = format!("error: {message}");
    }
    let _ = writeln!(std::io::stderr(), "{}", text.trim());
}

/// An error with its causes, outermost first.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text += &format!(": {cause}");
        source = cause.source();
    }
    text
}

/// A panic is a bug of ours: say so, and where, once. One of a decoder on a damaged file becomes an error instead.
pub(super) fn install_panic_hook() {
    std::panic::set_hook(Box::new(|info| {
        if nlsq_engine::data::guard::is_guarded() {
            return;
        }
        let thread = std::thread::current();
        let _ = writeln!(
            std::io::stderr(),
            "error: nlsq-coordinator {} stopped in thread {}: {info}\n  help: {REPORT_BUG}",
            env!("CARGO_PKG_VERSION"),
            thread.name().unwrap_or("without a name"),
        );
    }));
}

/// Sends the program's own logs to stderr, as far as the filter lets them.
pub(super) fn install_logging(filter: &str) -> Result<(), JobError> {
    let filter = EnvFilter::builder().parse(filter).map_err(|error| {
        JobError::usage(format!("NLSQ_LOG is \"{filter}\": {error}; expected a level such as info, or target=level"))
    })?;
    // a second subscriber in one process (tests) is refused; the first stays
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
    Ok(())
}
