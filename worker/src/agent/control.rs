//! The agent's end of a control connection.

use std::io;
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::{debug, warn};

use super::{AgentError, Coordinator, Happening, Options};
use crate::handshake::{self, Credentials, HandshakeError, Purpose};
use crate::protocol::codec::{FrameError, MAX_FRAME, receive, send};
use crate::protocol::{Command, Response};
use crate::rendezvous::{Rendezvous, RendezvousError};
use crate::secret::Secret;
use crate::session::Event;
use crate::timed::Timed;
use crate::wire::{Mode, Wire};

/// How often the coordinator is dialled until it answers.
const REACH_AGAIN: Duration = Duration::from_millis(100);
/// Longest time for one attempt.
const ATTEMPT: Duration = Duration::from_secs(10);
/// The same where the address may be that of a dead coordinator, or of another network: the next may do.
const BRIEF_ATTEMPT: Duration = Duration::from_secs(3);
/// How often a given address may close the connection during the handshake.
const MOST_CLOSED: u32 = 20;
/// How long the coordinator may take to answer a handshake.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// Silence that is borne until the coordinator has said how much is.
const FIRST_SILENCE: Duration = Duration::from_secs(30);

/// A proved connection to the coordinator; dropping it closes it and ends its threads.
pub(crate) struct Connection {
    writer: Arc<Mutex<Wire>>,
    open: Arc<AtomicBool>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Connects, proves itself, and hears the coordinator on a thread of its own. Also gives what was proved; how bytes travel there
/// counts for all connections of the run.
pub(crate) fn connect(
    options: &Options,
    number: u64,
    sender: Sender<Happening>,
) -> Result<(Connection, Credentials), AgentError> {
    let (wire, secret) = reach(options)?;
    let credentials = Credentials { secret, wire: wire.mode().max(options.wire) };
    let reader = wire.try_clone().map_err(|error| AgentError::Control(FrameError::Io(error)))?;
    let hear = std::thread::Builder::new().name("control".to_string());
    hear.spawn(move || hear_all(reader, number, &sender)).map_err(AgentError::Threads)?;
    Ok((Connection { writer: Arc::new(Mutex::new(wire)), open: Arc::new(AtomicBool::new(true)) }, credentials))
}

/// Connects to the first address that answers as a coordinator does. Agents may be there before the coordinator listens, or
/// be left behind by one that comes back: it is looked for, for a while. At a given address, one that does not know the secret is
/// final; where a rendezvous file says who and where, the next one may be right.
fn reach(options: &Options) -> Result<(Wire, Secret), AgentError> {
    let (deadline, limit) = (Instant::now() + options.patience, options.patience);
    let (mut last, mut closed) = (None, 0);
    loop {
        match options.coordinator.look() {
            Ok((addresses, secret)) => {
                let credentials = Credentials { secret, wire: options.wire };
                for address in addresses {
                    match attempt(address, &credentials, options.coordinator.attempt_limit()) {
                        Ok(wire) => return Ok((wire, credentials.secret)),
                        Err(HandshakeError::Io(source)) => {
                            let was_closed =
                                [io::ErrorKind::UnexpectedEof, io::ErrorKind::ConnectionReset].contains(&source.kind());
                            closed += u32::from(was_closed);
                            // One that does not know us says nothing; one that is crowded or dying may do the same, but not for long.
                            if closed >= MOST_CLOSED && !options.coordinator.may_change() {
                                return Err(AgentError::Closed { address });
                            }
                            last = Some(AgentError::Unreachable { address, limit, source })
                        }
                        Err(error) if options.coordinator.may_change() => last = Some(AgentError::Handshake(error)),
                        Err(error) => return Err(AgentError::Handshake(error)),
                    }
                }
            }
            Err(source) if source.may_pass() => last = Some(AgentError::NoRendezvous { limit, source }),
            Err(source) => return Err(AgentError::Rendezvous(source)),
        }
        if Instant::now() >= deadline {
            return Err(last.expect("a coordinator has at least one address"));
        }
        std::thread::sleep(REACH_AGAIN);
    }
}

impl Coordinator {
    /// Where it is now, and the secret.
    fn look(&self) -> Result<(Vec<SocketAddr>, Secret), RendezvousError> {
        match self {
            Self::At { addresses, secret } => Ok((addresses.clone(), secret.clone())),
            Self::Rendezvous(path) => Rendezvous::read(path).map(|found| (found.addresses, found.secret)),
        }
    }

    fn may_change(&self) -> bool {
        matches!(self, Self::Rendezvous(_))
    }

    fn attempt_limit(&self) -> Duration {
        if self.may_change() { BRIEF_ATTEMPT } else { ATTEMPT }
    }
}

/// Where of these addresses a coordinator answers that knows the secret.
pub fn answering(rendezvous: &Rendezvous) -> Option<SocketAddr> {
    let credentials = &Credentials { secret: rendezvous.secret.clone(), wire: Mode::Plain };
    std::thread::scope(|scope| {
        let answers = move |address: SocketAddr| attempt(address, credentials, BRIEF_ATTEMPT).is_ok();
        let attempts: Vec<_> =
            rendezvous.addresses.iter().map(|&address| (address, scope.spawn(move || answers(address)))).collect();
        attempts
            .into_iter()
            .find_map(|(address, attempt)| attempt.join().is_ok_and(|answers| answers).then_some(address))
    })
}

fn attempt(address: SocketAddr, credentials: &Credentials, limit: Duration) -> Result<Wire, HandshakeError> {
    let socket = TcpStream::connect_timeout(&address, limit)?;
    let deadline = Instant::now() + HANDSHAKE_LIMIT.min(limit);
    let mut timed = Timed { socket, deadline, given_up: &|| false };
    let agreed = handshake::dial(&mut timed, credentials, Purpose::Control)?;
    let socket = timed.ready()?;
    socket.set_read_timeout(Some(FIRST_SILENCE))?;
    socket.set_write_timeout(Some(HANDSHAKE_LIMIT))?;
    Ok(Wire::new(socket, agreed.keys))
}

fn hear_all(mut reader: Wire, connection: u64, sender: &Sender<Happening>) {
    loop {
        let event = match receive::<Command>(&mut reader, MAX_FRAME) {
            Ok(Some(command)) => Event::Said(command),
            Ok(None) => Event::Broken,
            Err(error) => {
                let cause = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
                warn!("the coordinator is no longer heard: {error}{cause}");
                Event::Broken
            }
        };
        if matches!(event, Event::Broken) {
            // Closed before anything else is done, so that the coordinator hears of it.
            let _ = reader.shutdown(Shutdown::Both);
        }
        let broken = matches!(event, Event::Broken);
        // Fails only when the agent has ended.
        if sender.send(Happening::Heard { connection, event }).is_err() || broken {
            return;
        }
    }
}

impl Connection {
    /// Says something, from any thread. What cannot be said must not leave the coordinator waiting: the connection is closed,
    /// which both sides notice.
    pub(crate) fn say(&self, response: &Response) {
        say(&self.writer, response);
    }

    /// Where this host is reached by those who reach the coordinator.
    pub(crate) fn local(&self) -> io::Result<IpAddr> {
        Ok(lock(&self.writer).local_addr()?.ip())
    }

    /// From now on silence of `dead_after` counts as a broken connection, and a thread of its own gives signs of life, so that
    /// an agent that computes or reads does not look dead.
    pub(crate) fn keep_alive(&self, heartbeat: Duration, dead_after: Duration) {
        let limited = {
            let writer = lock(&self.writer);
            let socket = writer.socket();
            socket.set_read_timeout(Some(dead_after)).and_then(|()| socket.set_write_timeout(Some(dead_after)))
        };
        if let Err(error) = limited {
            debug!(%error, "silence of the coordinator will not be noticed");
        }
        let (writer, open) = (Arc::clone(&self.writer), Arc::clone(&self.open));
        let beat = move || {
            while open.load(Ordering::SeqCst) {
                say(&writer, &Response::Alive);
                std::thread::park_timeout(heartbeat);
            }
        };
        if let Err(error) = std::thread::Builder::new().name("alive".to_string()).spawn(beat) {
            warn!(%error, "no thread for signs of life");
            let _ = lock(&self.writer).shutdown(Shutdown::Both);
        }
    }
}

fn say(writer: &Mutex<Wire>, response: &Response) {
    let mut writer = lock(writer);
    if let Err(error) = send(&mut *writer, response) {
        debug!(%error, "a response was not sent");
        // Fails if the connection is down already.
        let _ = writer.shutdown(Shutdown::Both);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.open.store(false, Ordering::SeqCst);
        // Frees the thread that hears; fails if the connection is down already.
        let _ = lock(&self.writer).shutdown(Shutdown::Both);
    }
}
