//! The sockets of a generation: every member connected to every other.
//!
//! Each member opens a fresh port, so a port of an earlier generation can never be in the way. A member dials those of
//! lower index and accepts those of higher index. Both sides prove that they know the secret and mean this generation and
//! these two members; whatever else knocks is dropped and the wait goes on.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use crate::generation::Generation;
use crate::handshake::{self, HandshakeError, Purpose};
use crate::secret::Secret;

/// Longest time for one handshake.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// Handshakes under way at once; whoever comes beyond is dropped and may come again.
const MAX_HANDSHAKES: usize = 64;
/// Longest wait of one read or write before the clock and the generation are looked at again.
const TURN: Duration = Duration::from_millis(100);
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
    generation: &Arc<Generation>,
    secret: &Secret,
    index: usize,
    listener: &TcpListener,
    addresses: &[SocketAddr],
    deadline: Instant,
) -> Result<Vec<Option<TcpStream>>, MeshError> {
    let mut sockets: Vec<Option<TcpStream>> = addresses.iter().map(|_| None).collect();
    let ours = Ours { generation: Arc::clone(generation), secret: secret.clone(), index };
    for (peer, &address) in addresses.iter().enumerate().take(index) {
        let socket = ours.dial(peer, address, deadline);
        sockets[peer] = Some(socket.map_err(|source| match generation.cause() {
            Some(cause) => MeshError::Aborted { cause },
            None => MeshError::Dial { index: peer, address, source },
        })?);
    }
    let (proved, arrivals) = channel();
    let under_way = Arc::new(AtomicUsize::new(0));
    while let Some(missing) = missing(&sockets, index) {
        if let Some(cause) = generation.cause() {
            return Err(MeshError::Aborted { cause });
        }
        if Instant::now() >= deadline {
            return Err(MeshError::Missing { missing });
        }
        match listener.accept() {
            Ok((socket, _)) => ours.receive(socket, deadline, &proved, &under_way),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if let Ok((peer, socket)) = arrivals.recv_timeout(POLL)
                    && missing.contains(&peer)
                {
                    sockets[peer] = Some(socket);
                }
            }
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

/// Who we are in the generation.
#[derive(Clone)]
struct Ours {
    generation: Arc<Generation>,
    secret: Secret,
    index: usize,
}

impl Ours {
    /// Dials a member; its port is open before its address is known, so refusal is final.
    fn dial(&self, peer: usize, address: SocketAddr, deadline: Instant) -> io::Result<TcpStream> {
        let left = deadline.saturating_duration_since(Instant::now()).max(POLL);
        let mut timed = Timed { socket: TcpStream::connect_timeout(&address, left)?, deadline, ours: self };
        let purpose = Purpose::Data { generation: self.generation.number(), from: self.index as u64, to: peer as u64 };
        handshake::dial(&mut timed, &self.secret, purpose).map_err(io::Error::other)?;
        timed.ready()
    }

    /// Handshakes with whoever has connected, on a thread of its own: a silent stranger must hold up nobody.
    fn receive(
        &self,
        socket: TcpStream,
        deadline: Instant,
        proved: &Sender<(usize, TcpStream)>,
        under_way: &Arc<AtomicUsize>,
    ) {
        if under_way.load(Ordering::Relaxed) >= MAX_HANDSHAKES {
            return;
        }
        under_way.fetch_add(1, Ordering::Relaxed);
        let (ours, proved, under_way) = (self.clone(), proved.clone(), Arc::clone(under_way));
        let deadline = deadline.min(Instant::now() + HANDSHAKE);
        std::thread::spawn(move || {
            // A stranger, a member of an older generation, a port scanner: not ours, and no reason to stop.
            if let Ok(member) = ours.accept(socket, deadline) {
                // Nobody waits any more if the generation was given up.
                let _ = proved.send(member);
            }
            under_way.fetch_sub(1, Ordering::Relaxed);
        });
    }

    fn accept(&self, socket: TcpStream, deadline: Instant) -> io::Result<(usize, TcpStream)> {
        socket.set_nonblocking(false)?;
        let mut timed = Timed { socket, deadline, ours: self };
        let expected = |purpose| {
            matches!(purpose, Purpose::Data { generation, to, .. }
                if generation == self.generation.number() && to == self.index as u64)
        };
        match handshake::accept(&mut timed, &self.secret, expected).map_err(io::Error::other)? {
            Purpose::Data { from, .. } => Ok((usize::try_from(from).map_err(io::Error::other)?, timed.ready()?)),
            other => Err(io::Error::other(HandshakeError::Unexpected(other))),
        }
    }
}

/// A socket whose reads and writes together end by a deadline, or when the generation is given up.
struct Timed<'a> {
    socket: TcpStream,
    deadline: Instant,
    ours: &'a Ours,
}

impl Timed<'_> {
    /// How long the next call may take; an error when the time is up.
    fn turn(&self) -> io::Result<Duration> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || self.ours.generation.is_aborted() {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time"));
        }
        Ok(left.min(TURN).max(POLL))
    }

    /// Without timeouts, for the dataflow.
    fn ready(self) -> io::Result<TcpStream> {
        self.socket.set_read_timeout(None)?;
        self.socket.set_write_timeout(None)?;
        self.socket.set_nodelay(true)?;
        Ok(self.socket)
    }
}

/// Whether a call came back only because its turn was over.
fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

impl Read for Timed<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            self.socket.set_read_timeout(Some(self.turn()?))?;
            match self.socket.read(out) {
                Err(error) if is_timeout(&error) => {}
                done => return done,
            }
        }
    }
}

impl Write for Timed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            self.socket.set_write_timeout(Some(self.turn()?))?;
            match self.socket.write(bytes) {
                Err(error) if is_timeout(&error) => {}
                done => return done,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn three_members_meet_in_spite_of_a_stranger_and_an_old_member() {
        let secret = Secret::random().unwrap();
        let generation = Arc::new(Generation::new(4));
        let listeners: Vec<_> = (0..3).map(|_| listen(LOCAL).unwrap()).collect();
        let addresses: Vec<_> = listeners.iter().map(|l| l.local_addr().unwrap()).collect();
        let deadline = Instant::now() + Duration::from_secs(20);

        drop(TcpStream::connect(addresses[0]).unwrap());
        // One that says nothing stays connected all the while, and nobody waits for it.
        let silent = TcpStream::connect(addresses[0]).unwrap();
        let (old_secret, old_address) = (secret.clone(), addresses[0]);
        let old = std::thread::spawn(move || {
            let mut socket = TcpStream::connect(old_address).unwrap();
            let purpose = Purpose::Data { generation: 3, from: 1, to: 0 };
            handshake::dial(&mut socket, &old_secret, purpose).unwrap_err().to_string()
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
        assert_eq!(old.join().unwrap(), "the connection broke during the handshake");
        assert!(deadline - Instant::now() > HANDSHAKE, "the silent stranger held nobody up");
        drop(silent);
    }

    #[test]
    fn an_abort_ends_the_wait() {
        let secret = Secret::random().unwrap();
        let generation = Arc::new(Generation::new(1));
        generation.abort("changed our mind");
        let listener = listen(LOCAL).unwrap();
        let addresses = [listener.local_addr().unwrap(), listener.local_addr().unwrap()];
        let deadline = Instant::now() + Duration::from_secs(20);
        let error = connect(&generation, &secret, 0, &listener, &addresses, deadline).unwrap_err();
        assert_eq!(error.to_string(), "the generation was given up: changed our mind");
    }
}
