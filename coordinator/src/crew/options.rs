//! How a cluster is made up, and where it meets.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use nlsq_worker::handshake::Credentials;
use nlsq_worker::secret::Secret;
use nlsq_worker::wire::Mode;

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
pub(super) fn doorway(options: &ClusterOptions) -> Result<(SocketAddr, Credentials), LaunchError> {
    let random = || Secret::random().map_err(LaunchError::Randomness);
    let (listen, secret) = match &options.workers {
        Workers::Local { .. } => (SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0), random()?),
        Workers::Join { listen, meeting, .. } => match meeting {
            Meeting::Rendezvous(_) => (*listen, random()?),
            Meeting::TokenFile(Some(path)) => (*listen, Secret::read_or_create(path)?),
            Meeting::TokenFile(None) => return Err(LaunchError::NoSecret { address: *listen }),
        },
    };
    let wire = options.wire.unwrap_or_else(|| default_wire(&options.workers));
    Ok((listen, Credentials { secret, wire }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leaves_the_machine_is_encrypted_unless_told_otherwise() {
        let meeting = Meeting::TokenFile(None);
        let join = |address: &str| Workers::Join {
            listen: address.parse().unwrap(),
            min: 1,
            max: 1,
            meeting: meeting.clone(),
        };
        for (workers, mode) in [
            (Workers::Local { min: 2, max: 2 }, Mode::Plain),
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
