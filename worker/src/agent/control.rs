//! The agent's end of a control connection.

use std::io;
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::{debug, warn};

use super::{AgentError, Happening, Options};
use crate::handshake::{self, HandshakeError, Purpose};
use crate::protocol::codec::{FrameError, receive, send};
use crate::protocol::{Command, Response};
use crate::secret::Secret;
use crate::session::Event;

/// How often the coordinator is dialled until it answers.
const REACH_AGAIN: Duration = Duration::from_millis(100);
/// Longest time for one attempt.
const ATTEMPT: Duration = Duration::from_secs(10);
/// How long the coordinator may take to answer a handshake.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// Silence that is borne until the coordinator has said how much is.
const FIRST_SILENCE: Duration = Duration::from_secs(30);

/// A proved connection to the coordinator; dropping it closes it and ends its threads.
pub(crate) struct Connection {
    writer: Arc<Mutex<TcpStream>>,
    open: Arc<AtomicBool>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Connects, proves itself, and hears the coordinator on a thread of its own.
pub(crate) fn connect(
    options: &Options,
    secret: &Secret,
    number: u64,
    sender: Sender<Happening>,
) -> Result<Connection, AgentError> {
    let socket = reach(options, secret)?;
    let reader = socket.try_clone().map_err(|error| AgentError::Control(FrameError::Io(error)))?;
    let hear = std::thread::Builder::new().name("control".to_string());
    hear.spawn(move || hear_all(reader, number, &sender)).map_err(AgentError::Threads)?;
    Ok(Connection { writer: Arc::new(Mutex::new(socket)), open: Arc::new(AtomicBool::new(true)) })
}

/// Connects to the first address that answers as a coordinator does. Agents may be there before the coordinator listens, or
/// be left behind by one that comes back: it is looked for, for a while. One that does not know the secret is final.
fn reach(options: &Options, secret: &Secret) -> Result<TcpStream, AgentError> {
    let deadline = Instant::now() + options.patience;
    loop {
        let mut last: Option<(SocketAddr, io::Error)> = None;
        for &address in &options.coordinator {
            match attempt(address, secret) {
                Ok(socket) => return Ok(socket),
                Err(HandshakeError::Io(error)) => last = Some((address, error)),
                Err(error) => return Err(AgentError::Handshake(error)),
            }
        }
        let (address, source) = last.expect("a name resolves to at least one address");
        if Instant::now() >= deadline {
            return Err(AgentError::Unreachable { address, limit: options.patience, source });
        }
        std::thread::sleep(REACH_AGAIN);
    }
}

fn attempt(address: SocketAddr, secret: &Secret) -> Result<TcpStream, HandshakeError> {
    let mut socket = TcpStream::connect_timeout(&address, ATTEMPT)?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(HANDSHAKE_LIMIT))?;
    socket.set_write_timeout(Some(HANDSHAKE_LIMIT))?;
    handshake::dial(&mut socket, secret, Purpose::Control)?;
    socket.set_read_timeout(Some(FIRST_SILENCE))?;
    Ok(socket)
}

fn hear_all(mut reader: TcpStream, connection: u64, sender: &Sender<Happening>) {
    loop {
        let event = match receive::<Command>(&mut reader) {
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
            writer.set_read_timeout(Some(dead_after)).and_then(|()| writer.set_write_timeout(Some(dead_after)))
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

fn say(writer: &Mutex<TcpStream>, response: &Response) {
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
