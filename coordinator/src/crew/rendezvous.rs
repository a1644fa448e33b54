//! The rendezvous file that a coordinator leaves for its workers, as long as it is there for them.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use if_addrs::{IfOperStatus, Interface, get_if_addrs};
use nlsq_worker::agent::control::answering;
use nlsq_worker::rendezvous::Rendezvous;
use nlsq_worker::secret::Secret;

use super::launch::LaunchError;

/// A file that leads to this coordinator; dropping it takes the file away.
pub(super) struct Posted {
    path: PathBuf,
    content: Rendezvous,
}

impl Posted {
    /// Leaves word of a coordinator that listens there. What a dead one has left is replaced; that of a living one stays.
    pub(super) fn post(path: &Path, listening: SocketAddr, secret: &Secret) -> Result<Self, LaunchError> {
        if let Ok(older) = Rendezvous::read(path)
            && let Some(address) = answering(&older)
        {
            return Err(LaunchError::Taken { path: path.into(), address });
        }
        let addresses = reachable(listening).map_err(|source| LaunchError::Addresses { source })?;
        let content = Rendezvous { addresses, secret: secret.clone() };
        content.write(path)?;
        Ok(Self { path: path.into(), content })
    }
}

impl Drop for Posted {
    fn drop(&mut self) {
        self.content.remove(&self.path);
    }
}

/// Where others reach a port that listens there: if on all interfaces, every address of this host but those that mean the host
/// itself, unless it has no other. No name is asked for: that of a node need not be known to the others.
fn reachable(listening: SocketAddr) -> io::Result<Vec<SocketAddr>> {
    if !listening.ip().is_unspecified() {
        return Ok(vec![listening]);
    }
    let interfaces = get_if_addrs()?;
    let addresses = |loopback: bool| {
        let wanted =
            interfaces.iter().filter(|one| one.is_loopback() == loopback && is_up(one) && !one.is_link_local());
        let ips = wanted.map(Interface::ip).filter(|ip| ip.is_ipv4() || listening.is_ipv6());
        ips.map(|ip| SocketAddr::new(ip, listening.port())).collect::<Vec<_>>()
    };
    let others = addresses(false);
    Ok(if others.is_empty() { addresses(true) } else { others })
}

/// Some interfaces, loopback among them, do not know whether they are up.
fn is_up(interface: &Interface) -> bool {
    interface.oper_status != IfOperStatus::Down
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_given_address_is_told_and_all_interfaces_are_named_one_by_one() {
        let given: SocketAddr = "192.0.2.7:7440".parse().unwrap();
        assert_eq!(reachable(given).unwrap(), [given]);
        let listener = TcpListener::bind("0.0.0.0:0").unwrap();
        let listening = listener.local_addr().unwrap();
        let addresses = reachable(listening).unwrap();
        assert!(!addresses.is_empty(), "a host that has no other address has its loopback");
        for address in addresses {
            assert!(
                address.is_ipv4() && address.port() == listening.port() && !address.ip().is_unspecified(),
                "{address}"
            );
            std::net::TcpStream::connect(address).unwrap();
        }
    }

    #[test]
    fn what_a_dead_coordinator_left_is_replaced_and_taken_away_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rendezvous");
        // a port where nobody listens any more
        let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let left = Rendezvous { addresses: vec![dead], secret: Secret::random().unwrap() };
        left.write(&path).unwrap();
        let ours = Posted::post(&path, "127.0.0.1:9".parse().unwrap(), &Secret::random().unwrap()).unwrap();
        assert_eq!(Rendezvous::read(&path).unwrap(), ours.content);
        drop(ours);
        assert!(!path.exists());
    }
}
