//! The sockets of a generation: every member connected to every other.
//!
//! Each member opens a fresh port, so a port of an earlier generation can never be in the way. A member dials those of
//! lower index and accepts those of higher index. Both sides prove that they know the secret and mean this run, this
//! generation and these two members; whatever else knocks is dropped, noted, and the wait goes on.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::generation::Generation;
use crate::handshake::{self, Credentials, HandshakeError, Purpose};
use crate::lobby::Lobby;
use crate::strangers::{Knock, Strangers};
use crate::timed::Timed;
use crate::wire::Wire;

/// Longest time for one handshake.
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

/// Who a member is in a generation, and what it shows to the others.
#[derive(Clone)]
pub struct Seat {
    /// The generation.
    pub generation: Arc<Generation>,
    /// What its handshakes are made of.
    pub credentials: Credentials,
    /// Its index.
    pub index: usize,
    /// Where those are noted who are not let in.
    pub strangers: Arc<Strangers>,
}

/// Connects a member to all others, by `deadline`: one connection for each member, `None` for itself.
pub fn connect(
    seat: &Seat,
    listener: &TcpListener,
    addresses: &[SocketAddr],
    deadline: Instant,
) -> Result<Vec<Option<Wire>>, MeshError> {
    let mut wires: Vec<Option<Wire>> = addresses.iter().map(|_| None).collect();
    for (peer, &address) in addresses.iter().enumerate().take(seat.index) {
        let wire = seat.dial(peer, address, deadline);
        wires[peer] = Some(wire.map_err(|source| match seat.generation.cause() {
            Some(cause) => MeshError::Aborted { cause },
            None => MeshError::Dial { index: peer, address, source },
        })?);
    }
    let (proved, arrivals) = channel();
    // Whoever still waits when all members are there is closed.
    let door = Door { seat, deadline, proved, lobby: Arc::default() };
    let take = |wires: &mut Vec<Option<Wire>>, (peer, wire): (usize, Wire)| {
        if missing(wires, seat.index).is_some_and(|missing| missing.contains(&peer)) {
            wires[peer] = Some(wire);
        }
    };
    for guest in 0.. {
        // A flood of connections must not keep us from those that have proved themselves.
        arrivals.try_iter().for_each(|member| take(&mut wires, member));
        let Some(missing) = missing(&wires, seat.index) else { break };
        if let Some(cause) = seat.generation.cause() {
            return Err(MeshError::Aborted { cause });
        }
        if Instant::now() >= deadline {
            return Err(MeshError::Missing { missing });
        }
        match listener.accept() {
            Ok((socket, address)) => door.receive(guest, socket, address.ip()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if let Ok(member) = arrivals.recv_timeout(POLL) {
                    take(&mut wires, member);
                }
            }
            // It was gone before it was accepted.
            Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {}
            // Most likely there is no descriptor left: those who say nothing hold some.
            Err(error) => {
                if !door.make_room() {
                    return Err(MeshError::Accept(error));
                }
            }
        }
    }
    Ok(wires)
}

/// The members after `index` that have not come, if any.
fn missing(wires: &[Option<Wire>], index: usize) -> Option<Vec<usize>> {
    let missing: Vec<usize> = (index + 1..wires.len()).filter(|&peer| wires[peer].is_none()).collect();
    (!missing.is_empty()).then_some(missing)
}

impl Seat {
    /// Dials a member; its port is open before its address is known, so refusal is final.
    fn dial(&self, peer: usize, address: SocketAddr, deadline: Instant) -> io::Result<Wire> {
        let left = deadline.saturating_duration_since(Instant::now()).max(POLL);
        let socket = TcpStream::connect_timeout(&address, left)?;
        let mut timed = Timed { socket, deadline, given_up: &|| self.generation.is_aborted() };
        let (run, generation) = (self.generation.run(), self.generation.number());
        let purpose = Purpose::Data { run, generation, from: self.index as u64, to: peer as u64 };
        let agreed = handshake::dial(&mut timed, &self.credentials, purpose).map_err(io::Error::other)?;
        Ok(Wire::new(timed.ready()?, agreed.keys))
    }

    /// Lets in a member of this generation that means this one, and nobody else.
    fn accept(
        &self,
        socket: TcpStream,
        deadline: Instant,
        claimed: impl FnOnce(),
    ) -> Result<(usize, Wire), HandshakeError> {
        socket.set_nonblocking(false)?;
        let mut timed = Timed { socket, deadline, given_up: &|| self.generation.is_aborted() };
        let expected = |purpose| {
            matches!(purpose, Purpose::Data { run, generation, to, .. }
                if run == self.generation.run() && generation == self.generation.number() && to == self.index as u64)
        };
        let agreed = handshake::accept(&mut timed, &self.credentials, expected, claimed)?;
        match agreed.purpose {
            Purpose::Data { from, .. } => {
                let from = usize::try_from(from).map_err(io::Error::other)?;
                Ok((from, Wire::new(timed.ready()?, agreed.keys)))
            }
            other => Err(HandshakeError::Unexpected(other)),
        }
    }
}

/// Where connections arrive while a member waits for others.
struct Door<'a> {
    seat: &'a Seat,
    deadline: Instant,
    proved: Sender<(usize, Wire)>,
    lobby: Arc<Mutex<Lobby>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What it holds is valid after every statement, so a panic elsewhere does not spoil it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Door<'_> {
    /// Handshakes with whoever has connected, on a thread of its own: a silent stranger must hold up nobody.
    fn receive(&self, guest: u64, socket: TcpStream, address: IpAddr) {
        let (seat, proved, lobby) = (self.seat.clone(), self.proved.clone(), Arc::clone(&self.lobby));
        let deadline = self.deadline.min(Instant::now() + HANDSHAKE);
        // Without a second handle it could not be told to go.
        let Ok(handle) = socket.try_clone() else { return };
        let close = move || {
            // Fails if it has gone by itself.
            let _ = handle.shutdown(Shutdown::Both);
        };
        self.note_crowded(lock(&self.lobby).enter(guest, address, close));
        let handshake = move || {
            let claimed = || {
                if let Some(crowded) = lock(&lobby).claims(guest) {
                    seat.strangers.knocked(crowded, Knock::Crowded);
                }
            };
            let accepted = seat.accept(socket, deadline, claimed);
            let waited = lock(&lobby).leave(guest);
            match accepted {
                // Nobody waits any more if the generation was given up.
                Ok(member) => drop(proved.send(member)),
                // A stranger, a member of an older generation, a port scanner: not ours, and no reason to stop.
                Err(error) if waited => seat.strangers.knocked(address, Knock::of(&error)),
                // It had to make room, or all members are there.
                Err(_) => {}
            }
        };
        if std::thread::Builder::new().spawn(handshake).is_err() {
            // No thread to be had: with the thread's socket gone, only the lobby's handle is left.
            lock(&self.lobby).leave(guest);
        }
    }

    fn make_room(&self) -> bool {
        let crowded = lock(&self.lobby).make_room();
        self.note_crowded(crowded);
        crowded.is_some()
    }

    fn note_crowded(&self, crowded: Option<IpAddr>) {
        if let Some(address) = crowded {
            self.seat.strangers.knocked(address, Knock::Crowded);
        }
    }
}

impl Drop for Door<'_> {
    fn drop(&mut self) {
        *lock(&self.lobby) = Lobby::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handshake::RunId;
    use crate::secret::Secret;
    use crate::wire::Mode;
    use std::net::Ipv4Addr;

    const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn seat(credentials: &Credentials, generation: &Arc<Generation>, index: usize) -> Seat {
        Seat { generation: Arc::clone(generation), credentials: credentials.clone(), index, strangers: Arc::default() }
    }

    fn credentials(wire: Mode) -> Credentials {
        Credentials { secret: Secret::random().unwrap(), wire }
    }

    /// Whoever comes from elsewhere with the right secret is refused as soon as it has said for what it comes.
    fn come_from(credentials: &Credentials, address: SocketAddr, run: RunId, generation: u64) -> HandshakeError {
        let mut socket = TcpStream::connect(address).unwrap();
        handshake::dial(&mut socket, credentials, Purpose::Data { run, generation, from: 1, to: 0 }).unwrap_err()
    }

    #[test]
    fn three_members_meet_in_spite_of_strangers_and_old_members() {
        let run = RunId::random().unwrap();
        let ours = credentials(Mode::Plain);
        let generation = Arc::new(Generation::new(run, 4));
        let listeners: Vec<_> = (0..3).map(|_| listen(LOCAL).unwrap()).collect();
        let addresses: Vec<_> = listeners.iter().map(|l| l.local_addr().unwrap()).collect();
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut listeners = listeners.into_iter();
        let first = (seat(&ours, &generation, 0), listeners.next().unwrap());
        let strangers = Arc::clone(&first.0.strangers);

        drop(TcpStream::connect(addresses[0]).unwrap());
        // These say nothing and stay connected all the while, and nobody waits for them.
        let silent: Vec<_> = (0..100).map(|_| TcpStream::connect(addresses[0]).unwrap()).collect();
        let connecting = addresses.clone();
        let first = std::thread::spawn(move || connect(&first.0, &first.1, &connecting, deadline));
        let refused = [
            come_from(&ours, addresses[0], run, 3),
            come_from(&ours, addresses[0], RunId::random().unwrap(), 4),
            come_from(&credentials(Mode::Plain), addresses[0], run, 4),
        ];
        assert!(refused.iter().all(|error| matches!(error, HandshakeError::Io(_))), "{refused:?}");

        let others: Vec<_> = listeners
            .enumerate()
            .map(|(k, listener)| {
                let wire = [Mode::Plain, Mode::Encrypted][k];
                let seat = seat(&Credentials { wire, ..ours.clone() }, &generation, k + 1);
                let addresses = addresses.clone();
                std::thread::spawn(move || connect(&seat, &listener, &addresses, deadline))
            })
            .collect();
        let members = std::iter::once(first).chain(others);
        let modes: Vec<Vec<Option<Mode>>> = members
            .map(|member| member.join().unwrap().unwrap().iter().map(|w| w.as_ref().map(Wire::mode)).collect())
            .collect();
        let (plain, sealed) = (Some(Mode::Plain), Some(Mode::Encrypted));
        assert_eq!(modes, [[None, plain, sealed], [plain, None, sealed], [sealed, sealed, None]]);
        assert!(deadline - Instant::now() > HANDSHAKE, "the silent held nobody up");
        let news = strangers.news().join("; ");
        for part in ["without the secret", "another run or a generation that is over", "did not say who it is"] {
            assert_eq!(news.matches(part).count(), 1, "{news}");
        }
        drop(silent);
    }

    #[test]
    fn an_abort_ends_the_wait() {
        let generation = Arc::new(Generation::new(RunId::random().unwrap(), 1));
        generation.abort("changed our mind");
        let listener = listen(LOCAL).unwrap();
        let addresses = [listener.local_addr().unwrap(), listener.local_addr().unwrap()];
        let deadline = Instant::now() + Duration::from_secs(20);
        let seat = seat(&credentials(Mode::Plain), &generation, 0);
        let error = connect(&seat, &listener, &addresses, deadline).unwrap_err();
        assert_eq!(error.to_string(), "the generation was given up: changed our mind");
    }
}
