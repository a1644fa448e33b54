//! The control port: accepts agents, proves them, and carries messages. It decides nothing.
//!
//! It runs on a thread of its own, so that a connection is noticed whatever the coordinator is doing. Each connection is
//! one task: handshake and first message under a time limit, then frames in both directions until either side closes. Those
//! that have not proved themselves wait in a lobby, where the oldest make room for later ones.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use nlsq_worker::handshake::{Acceptor, Agreed, Credentials, HELLO, HandshakeError, Purpose, RESPONSE};
use nlsq_worker::lobby::Lobby;
use nlsq_worker::protocol::codec::{self, FrameError, Inbox, JOINING};
use nlsq_worker::protocol::{Command, Response};
use nlsq_worker::strangers::{Knock, Strangers};
use nlsq_worker::wire::{Opener, Sealer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tracing::debug;

/// A peer that has not proved itself by then is dropped.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(5);
/// So is one that has, and has not said by then that it joins.
const JOIN_LIMIT: Duration = Duration::from_secs(10);
/// Proved connections at once.
const MAX_CONNECTIONS: usize = 4096;
/// An agent that takes nothing for so long is given up: nothing of it would be heard, and nobody could be told.
const WRITE_LIMIT: Duration = Duration::from_secs(60);
/// How long to wait when no connection can be accepted.
const AGAIN: Duration = Duration::from_millis(50);
/// Bytes read in one go.
const READ_BYTES: usize = 64 << 10;

/// Names a control connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ConnectionId(pub(super) u64);

/// What happens on the control port. Of a connection that does not say that it joins, nothing is heard.
#[derive(Debug)]
pub(super) enum Event {
    /// An agent has proved itself; what it says comes next.
    Connected { id: ConnectionId, address: SocketAddr, local: IpAddr, commands: mpsc::UnboundedSender<Command> },
    /// It says something.
    Said { id: ConnectionId, response: Response },
    /// Its connection is gone.
    Closed { id: ConnectionId, cause: String },
}

/// What the server is to know.
pub(super) struct Rules {
    /// Who is let in.
    pub(super) credentials: Credentials,
    /// Tiles of the dataset, which bound what an agent can have to say.
    pub(super) tiles: u64,
    /// Where those are noted who are not let in.
    pub(super) strangers: Arc<Strangers>,
}

/// The running server; dropping it closes every connection.
pub(super) struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What all connections share.
struct Door {
    rules: Rules,
    lobby: Mutex<Lobby>,
    seats: Arc<Semaphore>,
    events: Sender<Event>,
}

impl Server {
    /// Serves `address`; events go to `events`.
    pub(super) fn start(address: SocketAddr, rules: Rules, events: Sender<Event>) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let seats = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let door = Arc::new(Door { rules, lobby: Mutex::default(), seats, events });
        let thread = std::thread::Builder::new().name("control".to_string()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    // Either the sender says stop or it is gone: the end all the same.
                    _ = stopped => {}
                    error = listen(listener, door) => debug!(?error, "the control port is closed"),
                }
            });
        })?;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in it was printed when it happened.
            let _ = thread.join();
        }
    }
}

async fn listen(listener: std::net::TcpListener, door: Arc<Door>) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let mut next = 1;
    loop {
        match listener.accept().await {
            Ok((socket, address)) => {
                let (id, visited) = (ConnectionId(next), Arc::clone(&door));
                let visit = tokio::spawn(async move { visited.visit(socket, id, address).await }).abort_handle();
                let crowded = door.lobby().enter(id.0, address.ip(), move || visit.abort());
                door.note_crowded(crowded);
                next += 1;
                // Those who wait must get their turn before the next comes: they may have said the right thing already.
                tokio::task::yield_now().await;
            }
            Err(error) => {
                // Out of descriptors, or a connection that broke before it was accepted: wait rather than spin.
                debug!(%error, "a connection was not accepted");
                let crowded = door.lobby().make_room();
                door.note_crowded(crowded);
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

impl Door {
    fn lobby(&self) -> MutexGuard<'_, Lobby> {
        // What it holds is valid after every statement, so a panic elsewhere does not spoil it.
        self.lobby.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_crowded(&self, crowded: Option<IpAddr>) {
        if let Some(address) = crowded {
            self.rules.strangers.knocked(address, Knock::Crowded);
        }
    }

    /// A connection from its first byte to its last.
    async fn visit(&self, mut socket: TcpStream, id: ConnectionId, address: SocketAddr) {
        let proved = tokio::time::timeout(HANDSHAKE_LIMIT, self.prove(&mut socket, id)).await;
        let proved = proved.unwrap_or_else(|_| Err(HandshakeError::Io(ErrorKind::TimedOut.into())));
        self.lobby().leave(id.0);
        match proved {
            Ok(agreed) => self.serve(socket, agreed, id, address).await,
            Err(error) => {
                debug!(%address, %error, "a stranger knocked");
                self.rules.strangers.knocked(address.ip(), Knock::of(&error));
            }
        }
    }

    async fn prove(&self, socket: &mut TcpStream, id: ConnectionId) -> Result<Agreed, HandshakeError> {
        socket.set_nodelay(true)?;
        let mut hello = [0; HELLO];
        socket.read_exact(&mut hello).await?;
        let expected = |purpose| purpose == Purpose::Control;
        let (acceptor, challenge) = Acceptor::new(&self.rules.credentials, &hello, expected)?;
        let crowded = self.lobby().claims(id.0);
        self.note_crowded(crowded);
        socket.write_all(&challenge).await?;
        let mut response = [0; RESPONSE];
        socket.read_exact(&mut response).await?;
        acceptor.accept(&response)
    }

    /// Carries frames both ways until either side closes. Sends fail only when the coordinator no longer listens.
    async fn serve(&self, socket: TcpStream, agreed: Agreed, id: ConnectionId, address: SocketAddr) {
        let Ok(local) = socket.local_addr() else { return };
        let (reader, writer) = socket.into_split();
        let (sealer, opener) = agreed.keys.unzip();
        let mut reader = Reader { socket: reader, opener, inbox: Inbox::default() };
        let writer = Writer { socket: writer, sealer };
        let seat = match self.seat() {
            Ok(seat) => seat,
            Err(reason) => return turn_away(reader, writer, reason).await,
        };
        // It may say what it holds from before: as much as any response.
        let limit = codec::response_limit(self.rules.tiles);
        let joined = tokio::time::timeout(JOIN_LIMIT, reader.next(limit)).await;
        let Ok(Ok(Some(response @ Response::Joined(_)))) = joined else {
            debug!(%address, ?joined, "a proved connection did not join");
            return self.rules.strangers.knocked(address.ip(), Knock::Unruly);
        };
        let (commands, queue) = mpsc::unbounded_channel();
        let connected = Event::Connected { id, address, local: local.ip(), commands };
        if self.events.send(connected).is_err() || self.events.send(Event::Said { id, response }).is_err() {
            return;
        }
        let cause = tokio::select! {
            cause = self.listen_to(reader, id) => cause,
            cause = writer.write(queue) => cause,
        };
        drop(seat);
        let _ = self.events.send(Event::Closed { id, cause });
    }

    /// A place among the agents, or why there is none.
    fn seat(&self) -> Result<OwnedSemaphorePermit, &'static str> {
        Arc::clone(&self.seats).try_acquire_owned().map_err(|_| "the coordinator has no room for more connections")
    }

    async fn listen_to(&self, mut reader: Reader, id: ConnectionId) -> String {
        let limit = codec::response_limit(self.rules.tiles);
        loop {
            let said = match reader.next(limit).await {
                Ok(Some(response)) => self.events.send(Event::Said { id, response }).is_ok(),
                Ok(None) => false,
                Err(error) => return with_source(&error),
            };
            if !said {
                return "connection closed".to_string();
            }
        }
    }
}

/// An error with its source, in one line.
fn with_source(error: &FrameError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// Responses as they arrive.
struct Reader {
    socket: OwnedReadHalf,
    opener: Option<Opener>,
    inbox: Inbox,
}

impl Reader {
    /// The next response; `None` when the agent has closed the connection between two.
    async fn next(&mut self, limit: usize) -> Result<Option<Response>, FrameError> {
        let mut records = Vec::new();
        loop {
            if let Some(response) = self.inbox.next(limit)? {
                return Ok(Some(response));
            }
            let arrived = match self.opener {
                Some(_) => &mut records,
                None => self.inbox.arrived(),
            };
            arrived.reserve(READ_BYTES);
            if self.socket.read_buf(arrived).await? == 0 {
                let torn = !self.inbox.is_empty() || self.opener.as_ref().is_some_and(Opener::is_torn);
                return if torn { Err(FrameError::Io(ErrorKind::UnexpectedEof.into())) } else { Ok(None) };
            }
            if let Some(opener) = &mut self.opener {
                opener.open(&records, self.inbox.arrived()).map_err(io::Error::from)?;
                records.clear();
            }
        }
    }
}

/// Commands as they are given.
struct Writer {
    socket: OwnedWriteHalf,
    sealer: Option<Sealer>,
}

impl Writer {
    async fn send(&mut self, command: &Command) -> Result<(), FrameError> {
        let mut bytes = codec::encode(command)?;
        if let Some(sealer) = &mut self.sealer {
            let mut records = Vec::new();
            sealer.seal(&bytes, &mut records).map_err(io::Error::from)?;
            bytes = records;
        }
        let written = tokio::time::timeout(WRITE_LIMIT, self.socket.write_all(&bytes)).await;
        Ok(written.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))?)
    }

    /// Sends what comes until nothing more will: why it ended.
    async fn write(mut self, mut queue: mpsc::UnboundedReceiver<Command>) -> String {
        while let Some(command) = queue.recv().await {
            if let Err(error) = self.send(&command).await {
                return with_source(&error);
            }
        }
        "told to leave".to_string()
    }
}

/// Tells an agent why it is not needed, and hears it out: a connection that is closed before all was read may lose what was
/// said on it.
async fn turn_away(mut reader: Reader, mut writer: Writer, reason: &str) {
    let leave = async {
        writer.send(&Command::Leave { reason: Some(reason.to_string()) }).await?;
        writer.socket.shutdown().await?;
        while reader.next(JOINING).await?.is_some() {}
        Ok::<(), FrameError>(())
    };
    // If it is gone, so much the better.
    let _ = tokio::time::timeout(HANDSHAKE_LIMIT, leave).await;
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
