//! How a cluster is made up, and where it meets.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use nlsq_worker::handshake::Credentials;
use nlsq_worker::secret::Secret;
use nlsq_worker::wire::Mode;

use super::launch::LaunchError;
use crate::config::Placement;

/// Where workers come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Workers {
    /// This many, started here.
    Local(usize),
    /// Whoever joins with the secret.
    Join {
        /// Where to listen.
        listen: SocketAddr,
        /// Fewest to begin with.
        min: usize,
        /// Most to take in.
        max: usize,
        /// File with the secret, made on first use.
        token_file: Option<PathBuf>,
    },
}

/// How a cluster is made up.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// Where workers come from.
    pub workers: Workers,
    /// Compute threads of each worker; none: the cores of this machine, shared.
    pub threads: Option<usize>,
    /// How tiles are dealt.
    pub placement: Placement,
    /// How bytes travel; none: as [`default_wire`] says.
    pub wire: Option<Mode>,
}

/// What nobody else on the network can see needs no encryption; all else does.
pub fn default_wire(workers: &Workers) -> Mode {
    match workers {
        Workers::Join { listen, .. } if !listen.ip().is_loopback() => Mode::Encrypted,
        _ => Mode::Plain,
    }
}

/// Where the control port opens, and what it takes to be let in.
pub(super) fn rendezvous(options: &ClusterOptions) -> Result<(SocketAddr, Credentials), LaunchError> {
    let (listen, secret) = match &options.workers {
        Workers::Local(_) => {
            let secret = Secret::random().map_err(LaunchError::Randomness)?;
            (SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0), secret)
        }
        Workers::Join { listen, token_file: Some(path), .. } => (*listen, Secret::read_or_create(path)?),
        Workers::Join { listen, token_file: None, .. } => return Err(LaunchError::NoSecret { address: *listen }),
    };
    let wire = options.wire.unwrap_or_else(|| default_wire(&options.workers));
    Ok((listen, Credentials { secret, wire }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leaves_the_machine_is_encrypted_unless_told_otherwise() {
        let join = |address: &str| Workers::Join { listen: address.parse().unwrap(), min: 1, max: 1, token_file: None };
        for (workers, mode) in [
            (Workers::Local(2), Mode::Plain),
            (join("127.0.0.1:7440"), Mode::Plain),
            (join("[::1]:7440"), Mode::Plain),
            (join("0.0.0.0:7440"), Mode::Encrypted),
            (join("[::]:7440"), Mode::Encrypted),
            (join("192.168.1.5:0"), Mode::Encrypted),
        ] {
            assert_eq!(default_wire(&workers), mode, "{workers:?}");
        }
    }
}
