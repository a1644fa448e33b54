//! `nlsq-worker`: joins a cluster and computes until its coordinator sends it home.

use std::io::Read as _;
use std::net::ToSocketAddrs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use clap::Parser;
use nlsq_engine::data::guard::is_guarded;
use nlsq_worker::agent::{AgentError, Coordinator, Options, serve};
use nlsq_worker::memory;
use nlsq_worker::secret::Secret;
use nlsq_worker::wire::Mode;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use zeroize::Zeroizing;

/// Joins a cluster of nlsq-coordinator.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Control address of the coordinator.
    #[arg(long, value_name = "HOST:PORT", required_unless_present = "rendezvous", requires = "token_file")]
    coordinator: Option<String>,
    /// File with the cluster's secret (mode 600); `-` reads it from standard input.
    #[arg(long, value_name = "FILE", requires = "coordinator")]
    token_file: Option<PathBuf>,
    /// Instead of both: the file that the coordinator leaves where it was started with the same --rendezvous; it is waited for,
    /// and read again whenever the connection was lost.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["coordinator", "token_file"])]
    rendezvous: Option<PathBuf>,
    /// How bytes travel: plain takes what the coordinator asks for, encrypted insists.
    #[arg(long, value_name = "plain|encrypted", default_value = "plain", value_parser = read_mode)]
    wire: Mode,
    /// Compute threads [default: as the coordinator says].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// Memory for tiles, such as 8GiB [default: as the coordinator says, else what the system allows].
    #[arg(long, value_name = "BYTES", value_parser = memory::parse_bytes)]
    memory: Option<u64>,
    /// Seconds to look for the coordinator, at first and whenever it was lost.
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    wait: Duration,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let refused = || format!("\"{text}\" is no time: expected seconds, 0 or above");
    text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).ok_or_else(refused)
}

/// Exit codes as in the coordinator's: 2 usage, 4 the cluster is lost.
fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // A worker that a coordinator has started shares its standard error; the coordinator reports for both.
    let own = if arguments.token_file.as_deref() == Some(Path::new("-")) { "off" } else { "warn" };
    let filter = tracing_subscriber::EnvFilter::try_from_env("NLSQ_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(own));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !is_guarded() {
            report(panic);
        }
    }));
    let options = match configure(&arguments) {
        Ok(options) => options,
        Err(message) => {
            tracing::error!("{message}");
            return ExitCode::from(2);
        }
    };
    match serve(&options, wishes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let source = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
            tracing::error!("{error}{source}");
            ExitCode::from(if matches!(error, AgentError::Rendezvous(_)) { 2 } else { 4 })
        }
    }
}

fn configure(arguments: &Arguments) -> Result<Options, String> {
    let coordinator = match (&arguments.rendezvous, &arguments.coordinator, &arguments.token_file) {
        (Some(path), ..) => Coordinator::Rendezvous(path.clone()),
        (None, Some(name), Some(token_file)) => given(name, token_file)?,
        _ => return Err("expected --coordinator with --token-file, or --rendezvous".to_string()),
    };
    let fault = std::env::var("NLSQ_FAULT").ok().map(|text| text.parse()).transpose()?;
    let threads = arguments.threads.map(usize::from);
    let (wire, memory, patience) = (arguments.wire, arguments.memory, arguments.wait);
    Ok(Options { coordinator, wire, threads, memory, patience, fault })
}

fn given(name: &str, token_file: &Path) -> Result<Coordinator, String> {
    let addresses = name.to_socket_addrs().map_err(|error| format!("--coordinator {name}: {error}"))?;
    let addresses: Vec<_> = addresses.collect();
    if addresses.is_empty() {
        return Err(format!("--coordinator {name}: no such host"));
    }
    let secret = if token_file == Path::new("-") {
        let mut line = Zeroizing::new(String::new());
        std::io::stdin().read_line(&mut line).map_err(|error| format!("cannot read the secret: {error}"))?;
        end_with_parent();
        Secret::from_hex(&line).ok_or("standard input holds no secret: expected 64 hexadecimal digits")?
    } else {
        Secret::read(token_file).map_err(|error| error.to_string())?
    };
    Ok(Coordinator::At { addresses, secret })
}

/// SIGTERM or SIGINT: the first is a wish to leave in order, the second ends the process at once.
fn wishes() -> Receiver<()> {
    let (sender, wishes) = channel();
    match Signals::new([SIGTERM, SIGINT]) {
        Ok(mut signals) => drop(std::thread::spawn(move || {
            for (count, _) in signals.forever().enumerate() {
                if count > 0 || sender.send(()).is_err() {
                    std::process::exit(4);
                }
            }
        })),
        // Then they do what they do to any program.
        Err(error) => tracing::warn!(%error, "signals end this worker at once"),
    }
    wishes
}

/// Whoever gave the secret on standard input holds it open as long as it lives: a worker that a coordinator has started must
/// not outlive it.
fn end_with_parent() {
    std::thread::spawn(|| {
        let mut rest = Vec::new();
        // However it ends, nobody is there any more.
        let _ = std::io::stdin().read_to_end(&mut rest);
        std::process::exit(4);
    });
}

fn read_mode(text: &str) -> Result<Mode, String> {
    let found = Mode::NAMES.iter().find(|(name, _)| *name == text);
    found.map(|(_, mode)| *mode).ok_or_else(|| "expected plain or encrypted".to_string())
}
