//! How a cluster is made up, and where it meets.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use nlsq_worker::secret::Secret;

use super::launch::LaunchError;
use crate::config::{Endurance, Placement};

/// Where workers come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Workers {
    /// Started here.
    Local {
        /// Fewest to go on with.
        min: usize,
        /// How many are started.
        max: usize,
    },
    /// Whoever joins with the secret.
    Join {
        /// Where to listen.
        listen: SocketAddr,
        /// Fewest to begin and to go on with.
        min: usize,
        /// Most to take in.
        max: usize,
        /// How they know where, and the secret.
        meeting: Meeting,
    },
}

/// How workers that join know where to, and the secret of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meeting {
    /// The address is told to them; the secret stands in this file, made on first use.
    TokenFile(Option<PathBuf>),
    /// Both stand in this file, which the coordinator writes.
    Rendezvous(PathBuf),
}

/// How a cluster is made up.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// Where workers come from.
    pub workers: Workers,
    /// Compute threads of each worker; none: the cores of this machine, shared.
    pub threads: Option<usize>,
    /// Bytes of each worker for its points; none: what its system allows.
    pub memory: Option<u64>,
    /// How tiles are dealt.
    pub placement: Placement,
    /// How silence, losses and late joiners are dealt with.
    pub endurance: Endurance,
}

/// Where the control port opens, and with which secret.
pub(super) fn doorway(workers: &Workers) -> Result<(SocketAddr, Secret), LaunchError> {
    match workers {
        Workers::Local { .. } => {
            let secret = Secret::random().map_err(LaunchError::Randomness)?;
            Ok((SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0), secret))
        }
        Workers::Join { listen, meeting: Meeting::Rendezvous(_), .. } => {
            Ok((*listen, Secret::random().map_err(LaunchError::Randomness)?))
        }
        Workers::Join { listen, meeting: Meeting::TokenFile(Some(path)), .. } => {
            Ok((*listen, Secret::read_or_create(path)?))
        }
        Workers::Join { listen, meeting: Meeting::TokenFile(None), .. } => {
            Err(LaunchError::NoSecret { address: *listen })
        }
    }
}
