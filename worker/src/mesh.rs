//! The sockets of a generation: every member connected to every other.
//!
//! Each member opens a fresh port, so a port of an earlier generation can never be in the way. A member dials those of
//! lower index and accepts those of higher index. Both sides prove that they know the secret and mean this generation and
//! these two members; whatever else knocks is dropped and the wait goes on.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::generation::Generation;
use crate::handshake::{self, Purpose};
use crate::secret::Secret;

/// Longest time for one handshake; a peer that says nothing must not hold up the others for long.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// How often waits look at the clock and at the generation.
const POLL: Duration = Duration::from_millis(5);

/// Why the members did not come together.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum MeshError {
    #[error("cannot reach member {index} at {address}")]
    Dial { index: usize, address: SocketAddr, source: io::Error },
    #[error("cannot accept connections")]
    Accept(#[source] io::Error),
    #[error("members {missing:?} did not connect in time")]
    Missing { missing: Vec<usize> },
    #[error("the generation was given up: {cause}")]
    Aborted { cause: String },
}

/// A fresh data port on `address`.
pub fn listen(address: IpAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(SocketAddr::new(address, 0))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Connects member `index` to all others, by `deadline`: one socket for each member, `None` for itself.
pub fn connect(
    generation: &Generation,
    secret: &Secret,
    index: usize,
    listener: &TcpListener,
    addresses: &[SocketAddr],
    deadline: Instant,
) -> Result<Vec<Option<TcpStream>>, MeshError> {
    let mut sockets: Vec<Option<TcpStream>> = addresses.iter().map(|_| None).collect();
    for (peer, &address) in addresses.iter().enumerate().take(index) {
        let socket = dial(generation, secret, index, peer, address, deadline);
        sockets[peer] = Some(socket.map_err(|source| MeshError::Dial { index: peer, address, source })?);
    }
    while let Some(missing) = missing(&sockets, index) {
        if let Some(cause) = generation.cause() {
            return Err(MeshError::Aborted { cause });
        }
        if Instant::now() >= deadline {
            return Err(MeshError::Missing { missing });
        }
        match listener.accept() {
            Ok((socket, _)) => {
                // A stranger, a member of an older generation, a port scanner: not ours, and no reason to stop.
                if let Ok((peer, socket)) = accept(generation, secret, index, socket)
                    && missing.contains(&peer)
                {
                    sockets[peer] = Some(socket);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::sleep(POLL),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(MeshError::Accept(error)),
        }
    }
    Ok(sockets)
}

/// The members after `index` that have not come, if any.
fn missing(sockets: &[Option<TcpStream>], index: usize) -> Option<Vec<usize>> {
    let missing: Vec<usize> = (index + 1..sockets.len()).filter(|&peer| sockets[peer].is_none()).collect();
    (!missing.is_empty()).then_some(missing)
}

/// Dials a member; its port is open before its address is known, so refusal is final.
fn dial(
    generation: &Generation,
    secret: &Secret,
    index: usize,
    peer: usize,
    address: SocketAddr,
    deadline: Instant,
) -> io::Result<TcpStream> {
    let left = deadline.saturating_duration_since(Instant::now()).max(POLL);
    let mut socket = TcpStream::connect_timeout(&address, left)?;
    let purpose = Purpose::Data { generation: generation.number(), from: index as u64, to: peer as u64 };
    timeouts(&socket, Some(left))?;
    handshake::dial(&mut socket, secret, purpose).map_err(io::Error::other)?;
    timeouts(&socket, None)?;
    socket.set_nodelay(true)?;
    Ok(socket)
}

fn accept(
    generation: &Generation,
    secret: &Secret,
    index: usize,
    mut socket: TcpStream,
) -> io::Result<(usize, TcpStream)> {
    socket.set_nonblocking(false)?;
    timeouts(&socket, Some(HANDSHAKE))?;
    let purpose = handshake::accept(&mut socket, secret).map_err(io::Error::other)?;
    timeouts(&socket, None)?;
    socket.set_nodelay(true)?;
    match purpose {
        Purpose::Data { generation: number, from, to } if number == generation.number() && to == index as u64 => {
            let from = usize::try_from(from).map_err(io::Error::other)?;
            Ok((from, socket))
        }
        other => Err(io::Error::other(format!("a connection for {other:?}"))),
    }
}

fn timeouts(socket: &TcpStream, limit: Option<Duration>) -> io::Result<()> {
    socket.set_read_timeout(limit)?;
    socket.set_write_timeout(limit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use std::sync::Arc;

    const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn three_members_meet_in_spite_of_a_stranger_and_an_old_member() {
        let secret = Secret::random().unwrap();
        let generation = Arc::new(Generation::new(4));
        let listeners: Vec<_> = (0..3).map(|_| listen(LOCAL).unwrap()).collect();
        let addresses: Vec<_> = listeners.iter().map(|l| l.local_addr().unwrap()).collect();
        let deadline = Instant::now() + Duration::from_secs(20);

        let stranger = TcpStream::connect(addresses[0]).unwrap();
        drop(stranger);
        let (old_secret, old_address) = (secret.clone(), addresses[0]);
        let old = std::thread::spawn(move || {
            let mut socket = TcpStream::connect(old_address).unwrap();
            let purpose = Purpose::Data { generation: 3, from: 1, to: 0 };
            handshake::dial(&mut socket, &old_secret, purpose).unwrap();
            let mut byte = [0];
            std::io::Read::read(&mut socket, &mut byte).unwrap_or(0)
        });

        let members: Vec<_> = listeners
            .into_iter()
            .enumerate()
            .map(|(index, listener)| {
                let (generation, secret, addresses) = (Arc::clone(&generation), secret.clone(), addresses.clone());
                std::thread::spawn(move || connect(&generation, &secret, index, &listener, &addresses, deadline))
            })
            .collect();
        for (index, member) in members.into_iter().enumerate() {
            let sockets = member.join().unwrap().unwrap();
            let connected: Vec<bool> = sockets.iter().map(Option::is_some).collect();
            let expected: Vec<bool> = (0..3).map(|peer| peer != index).collect();
            assert_eq!(connected, expected);
        }
        assert_eq!(old.join().unwrap(), 0, "the member of generation 3 is turned away");
    }

    #[test]
    fn an_abort_ends_the_wait() {
        let secret = Secret::random().unwrap();
        let generation = Generation::new(1);
        generation.abort("changed our mind");
        let listener = listen(LOCAL).unwrap();
        let addresses = [listener.local_addr().unwrap(), listener.local_addr().unwrap()];
        let deadline = Instant::now() + Duration::from_secs(20);
        let error = connect(&generation, &secret, 0, &listener, &addresses, deadline).unwrap_err();
        assert_eq!(error.to_string(), "the generation was given up: changed our mind");
    }
}
