//! `nlsq-worker`: joins a cluster and computes until its coordinator sends it home.

use std::net::ToSocketAddrs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use nlsq_engine::data::guard::is_guarded;
use nlsq_worker::agent::{Options, serve};
use nlsq_worker::handshake::Credentials;
use nlsq_worker::secret::Secret;
use nlsq_worker::wire::Mode;
use zeroize::Zeroizing;

/// Joins a cluster of nlsq-coordinator.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Control address of the coordinator.
    #[arg(long, value_name = "HOST:PORT")]
    coordinator: String,
    /// File with the cluster's secret (mode 600); `-` reads it from standard input.
    #[arg(long, value_name = "FILE")]
    token_file: PathBuf,
    /// How bytes travel: plain takes what the coordinator asks for, encrypted insists.
    #[arg(long, value_name = "plain|encrypted", default_value = "plain", value_parser = read_mode)]
    wire: Mode,
    /// Compute threads [default: as the coordinator says].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
}

/// Exit codes as in the coordinator's: 2 usage, 4 the cluster is lost.
fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // A worker that a coordinator has started shares its standard error; the coordinator reports for both.
    let own = if arguments.token_file == Path::new("-") { "off" } else { "warn" };
    let filter = tracing_subscriber::EnvFilter::try_from_env("NLSQ_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(own));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !is_guarded() {
            report(panic);
        }
    }));
    let (options, credentials) = match configure(&arguments) {
        Ok(configured) => configured,
        Err(message) => {
            tracing::error!("{message}");
            return ExitCode::from(2);
        }
    };
    match serve(&options, &credentials) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let source = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
            tracing::error!("{error}{source}");
            ExitCode::from(4)
        }
    }
}

fn configure(arguments: &Arguments) -> Result<(Options, Credentials), String> {
    let name = &arguments.coordinator;
    let addresses = name.to_socket_addrs().map_err(|error| format!("--coordinator {name}: {error}"))?;
    let coordinator: Vec<_> = addresses.collect();
    if coordinator.is_empty() {
        return Err(format!("--coordinator {name}: no such host"));
    }
    let secret = if arguments.token_file == Path::new("-") {
        let mut line = Zeroizing::new(String::new());
        std::io::stdin().read_line(&mut line).map_err(|error| format!("cannot read the secret: {error}"))?;
        Secret::from_hex(&line).ok_or("standard input holds no secret: expected 64 hexadecimal digits")?
    } else {
        Secret::read(&arguments.token_file).map_err(|error| error.to_string())?
    };
    let options = Options { coordinator, threads: arguments.threads.map(usize::from) };
    Ok((options, Credentials { secret, wire: arguments.wire }))
}

fn read_mode(text: &str) -> Result<Mode, String> {
    let found = Mode::NAMES.iter().find(|(name, _)| *name == text);
    found.map(|(_, mode)| *mode).ok_or_else(|| "expected plain or encrypted".to_string())
}
